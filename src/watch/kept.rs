//! What is kept of one key between two looks, and what a look changes of it. Nothing here waits or writes.

use super::{
    Readiness, State,
    look::{Before, Seen},
};
use crate::{
    config::KeyRef,
    diagnose::{
        finding::{Effect, Finding},
        history::Published,
        register::{self, Family, propagation},
        servers::Holders,
    },
    dkim::record::Key,
    event::CauseEvent,
    name::DomainName,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// A sound record is not asked for more often than this, whatever its time to live: a minute late is early enough.
const SHORTEST: Duration = Duration::from_secs(60);
/// Nor less often than this.
const LONGEST: Duration = Duration::from_secs(86_400);
/// The pause after the first look that found no sound record, or no answer; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause while a record is not ready: mail may wait for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest pause while DNS gives no answer.
const LONGEST_SILENCE: Duration = Duration::from_secs(900);
/// What was diagnosed is diagnosed again after this time: the servers around the record may have changed. While nothing
/// does, the time doubles.
const DIAGNOSE_AGAIN: Duration = Duration::from_secs(60);
/// Up to this.
const DIAGNOSE_SELDOM: Duration = Duration::from_secs(6 * 3600);
/// The name servers of a record that is ready are asked this often.
const SEARCH_AGAIN: Duration = Duration::from_secs(86_400);
/// So many looks without an answer are said; one or two are the weather.
pub(super) const FAULTS: u32 = 3;
/// So many looks without an extreme time to live, and the name servers are asked whether it was mended.
const MILD: u32 = 3;
/// Causes that are kept.
const MOST_CAUSES: usize = 5;
/// Contents of one name that are kept, as the store does.
const MOST_RECORDS: usize = 8;

/// One key that is watched.
pub(super) struct Kept {
    pub(super) key: KeyRef,
    pub(super) readiness: Arc<Readiness>,
    /// When it is to be looked at.
    pub(super) due: Instant,
    /// What was published.
    pub(super) history: Vec<Published>,
    /// Has the store told what it knows of that?
    pub(super) recalled: bool,
    /// The looks that began. One that began before the last one has nothing to say any more.
    pub(super) looks: usize,
    /// What stood there at the last look.
    content: Option<String>,
    /// Our key then.
    ours: Option<Key>,
    /// When it was diagnosed, and for how long that holds.
    diagnosed: Option<(Instant, Duration)>,
    /// Who holds the record, as it was diagnosed.
    holders: Option<Holders>,
    /// Looks without an answer, one after the other.
    faults: u32,
    /// Why there was none, when that was said.
    pub(super) silence: Vec<CauseEvent>,
    /// Looks that saw no extreme time to live, one after the other.
    mild: u32,
    /// Looks that found no sound record, one after the other.
    unready: u32,
    /// When it was last written down, in seconds since 1970.
    pub(super) noted: u64,
}

/// What a look changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Is there something to say?
    pub(super) told: bool,
    /// Is there something else at the name than at the last look?
    pub(super) content: bool,
}

impl Kept {
    /// A key of which nothing is known yet.
    pub(super) fn new(domain: &DomainName, key: &KeyRef, now: u64) -> Kept {
        let readiness = Readiness {
            domain: domain.clone(),
            selector: key.selector.clone(),
            algorithm: key.algorithm,
            state: State::Unknown,
            causes: Vec::new(),
            publish: None,
            since: now,
            asked: None,
            fault: None,
        };
        Kept {
            key: key.clone(),
            readiness: Arc::new(readiness),
            due: Instant::now(),
            history: Vec::new(),
            recalled: false,
            looks: 0,
            content: None,
            ours: None,
            diagnosed: None,
            holders: None,
            faults: 0,
            silence: Vec::new(),
            mild: 0,
            unready: 0,
            noted: 0,
        }
    }

    /// What the next look has to know. `search`: are the name servers to be asked even if nothing is wrong?
    pub(super) fn before(&self, search: bool) -> Before {
        let state = self.readiness.state;
        let settled = self.diagnosed.is_some_and(|(at, holds)| at.elapsed() < holds);
        let doubts = self.has_doubts();
        Before {
            content: self.content.clone(),
            ours: self.ours.clone(),
            settled,
            // After a silence that lasts, and while the name servers are known to differ, too.
            deep: search || self.faults + 1 == FAULTS || !settled && (doubts || self.is_extreme() && self.mild >= MILD),
            state,
            doubts,
            holders: self.holders.clone(),
            turn: self.looks,
        }
    }

    /// Is something known of the name servers of a record that is ready?
    fn has_doubts(&self) -> bool {
        let of_servers = |cause: &CauseEvent| {
            register::find(&cause.cause).is_some_and(|cause| {
                matches!(cause.family, Family::Dns | Family::Propagation) && cause != &propagation::TTL_OUT_OF_RANGE
            })
        };
        self.readiness.state == State::Ready && self.readiness.causes.iter().any(of_servers)
    }

    /// Is its time to live known to be out of range?
    fn is_extreme(&self) -> bool {
        self.readiness.causes.iter().any(is_extreme)
    }

    /// Were the name servers of a record that may be sound not asked for long? Nobody waits for that.
    pub(super) fn is_unsearched(&self) -> bool {
        let lately = self.diagnosed.is_some_and(|(at, _)| at.elapsed() < SEARCH_AGAIN);
        self.readiness.state != State::NotReady && !lately
    }

    /// Adds what the store knows of earlier days.
    pub(super) fn recall(&mut self, published: Vec<Published>) {
        self.recalled = true;
        for older in published {
            match self.history.iter_mut().find(|known| known.record == older.record) {
                Some(known) => {
                    known.first = known.first.min(older.first);
                    known.last = known.last.max(older.last);
                    known.times = known.times.max(older.times);
                    known.ours |= older.ours;
                }
                None => self.history.push(older),
            }
        }
    }

    /// Takes in what was seen (`now` in seconds since 1970); `jitter` from 0 to 1 keeps keys apart that were asked for
    /// together.
    pub(super) fn take(&mut self, seen: Seen, now: u64, jitter: f64) -> Change {
        let (change, pause) = match seen {
            Seen::Nothing { why, findings } => self.unanswered(why, &findings),
            Seen::Record { content, key, ours, ttl, ready, found, findings, deep } => {
                let changed = self.remember(&content, ours, now);
                self.ours = Some(key);
                let pause = match (ready, found) {
                    (true, true) => ttl.clamp(SHORTEST, LONGEST),
                    // The resolver remembers something else; whoever holds the record may be asked at any time.
                    (true, false) => ttl.clamp(SHORTEST, LONGEST_PAUSE),
                    (false, _) => doubled(self.unready, LONGEST_PAUSE),
                };
                self.unready = if ready { 0 } else { self.unready.saturating_add(1) };
                let told = self.answered(ready, findings, deep.is_some(), now);
                if let Some(holders) = deep {
                    self.holders = holders;
                    let before = self.diagnosed.filter(|_| !told).map(|(_, holds)| holds * 2);
                    let holds = before.unwrap_or(DIAGNOSE_AGAIN).min(DIAGNOSE_SELDOM);
                    self.diagnosed = Some((Instant::now(), holds));
                }
                let pause = match self.diagnosed {
                    Some((_, holds)) if self.has_doubts() => pause.min(holds.max(SHORTEST)),
                    _ => pause,
                };
                (Change { told, content: changed }, pause)
            }
        };
        // Past the end, so that no cache answers with what it kept.
        self.due = Instant::now() + pause + Duration::from_millis(500) + pause.mul_f64(jitter / 10.0);
        change
    }

    fn unanswered(&mut self, why: String, findings: &[Finding]) -> (Change, Duration) {
        self.faults = self.faults.saturating_add(1);
        let told = self.faults == FAULTS;
        let readiness = Arc::make_mut(&mut self.readiness);
        readiness.fault = Some(why);
        if told {
            self.silence = causes(findings);
            if readiness.state == State::Unknown {
                readiness.causes = self.silence.clone();
            }
        }
        (Change { told, content: false }, doubled(self.faults - 1, LONGEST_SILENCE))
    }

    /// Takes in an answer; is there something to say?
    fn answered(&mut self, ready: bool, findings: Option<Vec<Finding>>, deep: bool, now: u64) -> bool {
        let was_silent = std::mem::take(&mut self.faults) >= FAULTS;
        let before = self.readiness.clone();
        let readiness = Arc::make_mut(&mut self.readiness);
        (readiness.asked, readiness.fault) = (Some(now), None);
        readiness.state = if ready { State::Ready } else { State::NotReady };
        if let Some(findings) = findings {
            let mut causes = causes(&findings);
            match causes.iter().any(is_extreme) {
                true => self.mild = 0,
                // A copy that a resolver has kept for long shows a short time to live, and none whether it was set so short.
                false if !deep => {
                    self.mild = self.mild.saturating_add(1);
                    causes.extend(before.causes.iter().find(|cause| is_extreme(cause)).cloned());
                }
                false => self.mild = 0,
            }
            readiness.causes = causes;
            let publish = findings.into_iter().filter(|finding| finding.effect == Effect::Breaks);
            readiness.publish = publish.into_iter().find_map(|finding| finding.publish);
        }
        if readiness.state != before.state {
            readiness.since = now;
        }
        let codes = |readiness: &Readiness| -> Vec<String> {
            readiness.causes.iter().map(|cause| cause.cause.clone()).collect()
        };
        was_silent || readiness.state != before.state || codes(readiness) != codes(&before)
    }

    /// Writes what was seen into the history; is it something else than at the last look?
    fn remember(&mut self, content: &str, ours: bool, now: u64) -> bool {
        let name = format!("{}._domainkey.{}", self.key.selector, self.readiness.domain);
        let changed = remember(&mut self.history, self.content.as_deref(), &name, (content, ours), now);
        self.content = Some(content.to_owned());
        changed
    }

    /// The entry of what stands there now.
    pub(super) fn present(&self) -> Option<&Published> {
        let content = self.content.as_ref()?;
        self.history.iter().find(|published| published.record == *content)
    }

    /// Is DNS silent for so long that it was said?
    pub(super) fn is_silent(&self) -> bool {
        self.faults >= FAULTS
    }
}

/// Writes a content, and whether our key is in it, into the history of a name; is it something else than the last one?
/// `last` is what the last look saw; after a restart, what was seen last is what stood there.
pub(super) fn remember(
    history: &mut Vec<Published>,
    last: Option<&str>,
    name: &str,
    (content, ours): (&str, bool),
    now: u64,
) -> bool {
    let latest = || history.iter().max_by_key(|published| published.last).map(|published| &*published.record);
    let changed = last.or_else(latest) != Some(content);
    match history.iter_mut().find(|published| published.record == content) {
        Some(published) => {
            published.last = now;
            published.ours |= ours;
            published.times += u64::from(changed);
        }
        None => history.push(Published {
            name: name.to_owned(),
            record: content.to_owned(),
            ours,
            first: now,
            last: now,
            times: 1,
        }),
    }
    if history.len() > MOST_RECORDS {
        history.sort_by_key(|published| std::cmp::Reverse(published.last));
        history.truncate(MOST_RECORDS);
    }
    changed
}

fn is_extreme(cause: &CauseEvent) -> bool {
    cause.cause == propagation::TTL_OUT_OF_RANGE.code
}

/// A pause that doubles.
fn doubled(times: u32, longest: Duration) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << times.min(16)).min(longest)
}

fn causes(findings: &[Finding]) -> Vec<CauseEvent> {
    let mut causes: Vec<CauseEvent> = Vec::new();
    for finding in findings {
        if causes.len() < MOST_CAUSES && causes.iter().all(|known| known.cause != finding.cause.code) {
            causes.push(CauseEvent::of(finding));
        }
    }
    causes
}
