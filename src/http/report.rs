//! What the status page shows: questions to the store, each with a bound, and our own domains with their records.
//!
//! Nothing here knows how it will look. A store that fails is a text that says so; the domains need no store.

use crate::{
    config::{Domain, Rotating, Settings},
    event::{
        Action, Event,
        store::{Archive, CauseCount, DomainCount, Fault, Filter, Slot},
    },
    key::Record,
    milter::View,
    watch::{Readiness, State},
};
use jiff::{Timestamp, tz::TimeZone};
use std::{collections::HashMap, sync::Arc};

/// Domains that are shown; those that need something come first.
const MOST_DOMAINS: usize = 50;
/// Causes that are shown.
const MOST_CAUSES: usize = 10;
/// Failures that are shown.
const MOST_FAILURES: usize = 12;
/// Reasons that are shown.
const MOST_REASONS: usize = 8;

const HOUR: i64 = 3_600_000;

/// How far back the page looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Period {
    /// 24 hours, one by one.
    #[default]
    Day,
    /// 7 days, in quarters.
    Week,
    /// 30 days, one by one.
    Month,
}

/// What the store knows of a period.
pub(super) struct Stored {
    /// Span by span, the oldest first.
    pub slots: Vec<Slot>,
    /// How long a span is, in milliseconds.
    pub width: i64,
    /// The causes found most often.
    pub causes: Vec<CauseCount>,
    /// The last messages that were looked into, the last one first.
    pub failures: Vec<Event>,
    /// Why mail of ours was not signed, and how often.
    pub reasons: Vec<(String, i64)>,
    /// What became of the mail of the domains that are shown.
    pub domains: Vec<DomainCount>,
}

/// Our own domains.
pub(super) struct Domains {
    /// Those that are shown.
    pub shown: Vec<Key>,
    /// How many more there are.
    pub more: usize,
    /// Are their records looked at?
    pub watched: bool,
}

/// A key that we sign with.
pub(super) struct Key {
    /// d=.
    pub domain: String,
    /// s=.
    pub selector: String,
    /// What is known of its record.
    pub readiness: Option<Arc<Readiness>>,
    /// The record that has to be there, or why the key cannot be read.
    pub record: Result<Record, String>,
    /// How far its rotations are.
    pub rotations: Vec<String>,
}

impl Period {
    pub(super) const ALL: [Period; 3] = [Period::Day, Period::Week, Period::Month];

    /// Reads the query of a request; whatever it is, it means one of these.
    pub(super) fn read(query: Option<&str>) -> Period {
        Period::ALL.into_iter().find(|period| query == Some(period.query())).unwrap_or_default()
    }

    /// The query that asks for it.
    pub(super) fn query(self) -> &'static str {
        match self {
            Period::Day => "period=day",
            Period::Week => "period=week",
            Period::Month => "period=month",
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Period::Day => "24 hours",
            Period::Week => "7 days",
            Period::Month => "30 days",
        }
    }

    /// How many spans, and how long each is in milliseconds.
    fn spans(self) -> (i64, i64) {
        match self {
            Period::Day => (24, HOUR),
            Period::Week => (28, 6 * HOUR),
            Period::Month => (30, 24 * HOUR),
        }
    }

    /// The ends of its spans, at full hours or days of this zone: the last one is to come.
    fn marks(self, now: Timestamp, zone: &TimeZone) -> Vec<i64> {
        let (count, width) = self.spans();
        // Local days may have 23 or 25 hours; the offset of now is near enough for a chart.
        let ahead = i64::from(zone.to_offset(now).seconds()) * 1000;
        let now = now.as_millisecond();
        let end = now - (now + ahead).rem_euclid(width) + width;
        (0..=count).map(|number| end - (count - number) * width).collect()
    }
}

/// Asks the store. Blocks.
pub(super) fn stored(view: &View, period: Period) -> Result<Stored, String> {
    let Some(place) = view.settings(|settings| settings.store.place.clone()) else {
        return Err("no events are kept (store.url is empty)".into());
    };
    let ask = || -> Result<Stored, Fault> {
        let mut archive = Archive::open(&place)?;
        let marks = period.marks(Timestamp::now(), &TimeZone::system());
        let filter = Filter { since: marks.first().copied(), ..Filter::default() };
        let failed = Filter { action: Some(Action::Diagnose), ..filter.clone() };
        let mut failures = archive.newest(&failed, MOST_FAILURES)?;
        failures.reverse();
        Ok(Stored {
            slots: archive.over_time(&filter, &marks)?,
            width: period.spans().1,
            causes: archive.causes(&filter, MOST_CAUSES)?,
            failures: failures.into_iter().map(|(_, event)| event).collect(),
            reasons: archive.unsigned(&filter, MOST_REASONS)?,
            domains: archive.domains(&filter, MOST_DOMAINS)?,
        })
    };
    ask().map_err(|fault| fault.to_string())
}

/// Looks at our own domains. Blocks, since keys may have to be read.
pub(super) fn domains(view: &View) -> Domains {
    let mut known: HashMap<String, Vec<Arc<Readiness>>> = HashMap::new();
    for readiness in view.readiness() {
        known.entry(readiness.domain.to_string()).or_default().push(readiness);
    }
    let rank = |domain: &Domain| {
        let keys = known.get(domain.name.as_str()).map_or(&[][..], Vec::as_slice);
        let states = keys.iter().map(|key| match key.state {
            State::NotReady => 0,
            State::Unknown => 1,
            State::Ready => 2,
        });
        states.min().unwrap_or(3)
    };
    let (all, total) = view.settings(|settings: &Settings| {
        let mut all: Vec<_> = settings.domains.values().map(|domain| (rank(domain), domain.clone())).collect();
        all.sort_by(|(rank, one), (other_rank, other)| (rank, &one.name).cmp(&(other_rank, &other.name)));
        let total = all.len();
        all.truncate(MOST_DOMAINS);
        (all, total)
    });
    let shown: Vec<Key> = all
        .iter()
        .flat_map(|(_, domain)| keys(view, domain, known.get(domain.name.as_str()).map_or(&[][..], Vec::as_slice)))
        .collect();
    Domains { shown, more: total - all.len(), watched: view.settings(|settings| settings.watch) }
}

fn keys(view: &View, domain: &Domain, known: &[Arc<Readiness>]) -> Vec<Key> {
    let keys = view.keys_of(domain);
    let rotations: Vec<(Rotating, String)> = view.settings(|settings| {
        let keep = settings.rotation.keep;
        settings.rotations_of(&domain.name).map(|rotating| (rotating.clone(), rotating.state(keep))).collect()
    });
    let one = |(at, reference): (usize, &crate::config::KeyRef)| {
        let record = keys.as_ref().map_err(Clone::clone).and_then(|keys| {
            let name = Record::dkim_name(&reference.selector, &domain.name).map_err(|error| error.to_string())?;
            let key = keys.get(at).ok_or("the settings have changed meanwhile")?;
            Ok(Record { name, value: key.public_record() })
        });
        let readiness = known.iter().find(|readiness| readiness.selector == reference.selector).cloned();
        let concerns = |rotating: &Rotating| [&rotating.from, &rotating.to].contains(&&reference.selector);
        let rotations = rotations.iter().filter(|(rotating, _)| concerns(rotating)).map(|(_, state)| state.clone());
        Key {
            domain: domain.name.to_string(),
            selector: reference.selector.to_string(),
            readiness,
            record,
            rotations: rotations.collect(),
        }
    };
    domain.keys.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_end_at_full_hours_and_days_of_people() {
        let zone = TimeZone::fixed(jiff::tz::offset(9));
        let now: Timestamp = "2026-11-23T15:30:00Z".parse().expect("a time");
        for (period, first, last, count) in [
            (Period::Day, "2026-11-22T16:00:00Z", "2026-11-23T16:00:00Z", 24),
            (Period::Week, "2026-11-16T21:00:00Z", "2026-11-23T21:00:00Z", 28),
            (Period::Month, "2026-10-25T15:00:00Z", "2026-11-24T15:00:00Z", 30),
        ] {
            let marks = period.marks(now, &zone);
            let time = |text: &str| text.parse::<Timestamp>().expect("a time").as_millisecond();
            assert_eq!((marks[0], marks[count], marks.len()), (time(first), time(last), count + 1), "{period:?}");
        }
        assert_eq!(Period::read(Some("period=week")), Period::Week);
        assert_eq!(Period::read(Some("period=<script>")), Period::Day);
    }
}
