//! Counters and histograms of the mail path: atomic numbers, so that counting costs nanoseconds and never waits.
//!
//! Every series is known beforehand (the words of RFC 8601, the codes of the register), so a stranger cannot make new
//! ones, and each is there from the start with 0, so that a first failure is seen as an increase. Writing them down for
//! Prometheus is `http`'s.

use super::{Action, Event};
use crate::{diagnose::register, dns};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What can become of a message: its action, and the result of its first signature.
pub const OUTCOMES: [(&str, &str); 12] = [
    ("sign", "pass"),
    ("sign", "temperror"),
    ("sign", "permerror"),
    ("verify", "pass"),
    ("verify", "fail"),
    ("verify", "policy"),
    ("verify", "neutral"),
    ("verify", "temperror"),
    ("verify", "permerror"),
    ("verify", "none"),
    ("pass", "none"),
    // What none of these names; it is there so that the sum is right whatever happens.
    ("other", "other"),
];

/// What can come of a question to a name server.
pub const DNS_OUTCOMES: [&str; 7] = ["records", "nodata", "nxdomain", "timeout", "servfail", "refused", "other"];

/// Bounds of the buckets in microseconds. An RSA signature takes 300 (docs/benchmarks.md); a large body and a busy
/// machine take the rest.
const SIGNING: &[u64] = &[250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000];
/// Verification waits for DNS, for 25 s at most (`verify.dns_timeout`).
const VERIFYING: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 25_000_000,
];
/// One question takes 5 s at most.
const ASKING: &[u64] =
    &[500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000];

/// All numbers of one process.
#[derive(Debug)]
pub struct Metrics {
    messages: [AtomicU64; OUTCOMES.len()],
    failures: Box<[AtomicU64]>,
    /// How long the MTA waited at the end of a message that was to be signed.
    pub sign: Histogram,
    /// The same for one that was judged.
    pub verify: Histogram,
    dns: [Histogram; DNS_OUTCOMES.len()],
}

/// How many took how long.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for what is beyond.
    buckets: Box<[AtomicU64]>,
    nanos: AtomicU64,
}

/// What a histogram holds at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// For each bound in microseconds: how many took at most as long.
    pub buckets: Vec<(u64, u64)>,
    /// How many there were.
    pub count: u64,
    /// How long all of them took together, in nanoseconds.
    pub nanos: u64,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            messages: Default::default(),
            failures: register::all().map(|_| AtomicU64::new(0)).collect(),
            sign: Histogram::new(SIGNING),
            verify: Histogram::new(VERIFYING),
            dns: std::array::from_fn(|_| Histogram::new(ASKING)),
        }
    }
}

impl Metrics {
    /// Counts an event: a message, or the causes that were found for one.
    pub fn count(&self, event: &Event) {
        match event.action {
            Action::Sign | Action::Verify | Action::Pass => self.count_message(event),
            Action::Diagnose => self.count_causes(event),
            // No message: a change of a record of ours, which `waxseal_domain_ready` tells.
            Action::Watch => {}
        }
    }

    fn count_causes(&self, event: &Event) {
        // A cause that breaks two signatures of a message breaks one message.
        let codes: HashSet<&str> = event.causes.iter().map(|cause| cause.cause.as_str()).collect();
        for at in codes.into_iter().filter_map(place_of) {
            self.failures[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count_message(&self, event: &Event) {
        let action = event.action.as_str();
        let result = event.result.as_deref().unwrap_or("none");
        let place = OUTCOMES.iter().position(|outcome| *outcome == (action, result)).unwrap_or(OUTCOMES.len() - 1);
        self.messages[place].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer of a name server.
    pub fn answered(&self, answer: &dns::Answer) {
        let outcome = match &answer.outcome {
            dns::Outcome::Records => 0,
            dns::Outcome::NoData => 1,
            dns::Outcome::NxDomain => 2,
            dns::Outcome::Fault(dns::Fault::Timeout) => 3,
            dns::Outcome::Fault(dns::Fault::ServFail) => 4,
            dns::Outcome::Fault(dns::Fault::Refused) => 5,
            // No question was sent.
            dns::Outcome::Fault(dns::Fault::Unaskable(_) | dns::Fault::Budget) => return,
            dns::Outcome::Fault(_) => 6,
        };
        self.dns[outcome].observe(answer.took);
    }

    /// Messages by action and result.
    pub fn messages(&self) -> impl Iterator<Item = ((&'static str, &'static str), u64)> {
        OUTCOMES.into_iter().zip(self.messages.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Messages that failed by a cause, for every cause of the register.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        register::all().map(|cause| cause.code).zip(self.failures.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Questions to name servers by what came of them.
    pub fn dns(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        DNS_OUTCOMES.into_iter().zip(&self.dns)
    }
}

/// The place of a cause in the register.
fn place_of(code: &str) -> Option<usize> {
    static PLACES: OnceLock<HashMap<&'static str, usize>> = OnceLock::new();
    let places = PLACES.get_or_init(|| register::all().enumerate().map(|(at, cause)| (cause.code, at)).collect());
    places.get(code).copied()
}

impl Histogram {
    fn new(bounds: &'static [u64]) -> Histogram {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds, buckets, nanos: AtomicU64::new(0) }
    }

    /// Counts one that took so long.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
        let bucket = self.bounds.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What it holds now; the count is the sum of its buckets, whatever is being counted meanwhile.
    pub fn counted(&self) -> Counted {
        let nanos = self.nanos.load(Ordering::Relaxed);
        let mut count = 0;
        let mut cumulated = self.buckets.iter().map(|bucket| {
            count += bucket.load(Ordering::Relaxed);
            count
        });
        let buckets = self.bounds.iter().copied().zip(cumulated.by_ref()).collect();
        cumulated.for_each(drop);
        Counted { buckets, count, nanos }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::CauseEvent;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_is_long_enough() {
        let histogram = Histogram::new(&[1_000, 5_000]);
        for micros in [0, 1_000, 1_001, 5_000, 6_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let want = Counted { buckets: vec![(1_000, 2), (5_000, 4)], count: 5, nanos: 6_007_001_000 };
        assert_eq!(histogram.counted(), want);
        let just_over = Histogram::new(&[1_000]);
        just_over.observe(Duration::from_nanos(1_000_001));
        assert_eq!(just_over.counted().buckets, [(1_000, 0)]);
    }

    #[test]
    fn what_strangers_write_makes_no_new_series() {
        let metrics = Metrics::default();
        let series = (metrics.messages().count(), metrics.failures().count());
        let event = |action, result: &str| Event { action, result: Some(result.into()), ..Event::default() };
        metrics.count(&event(Action::Sign, "pass"));
        metrics.count(&event(Action::Verify, "x\"} 1\n"));
        let cause = |cause: &str| CauseEvent { cause: cause.into(), ..CauseEvent::default() };
        let causes = vec![cause("dkim-key-revoked"), cause("dkim-key-revoked"), cause("no-such-cause")];
        metrics.count(&Event { action: Action::Diagnose, causes, ..Event::default() });
        assert_eq!(series, (metrics.messages().count(), metrics.failures().count()));
        let counted: Vec<_> = metrics.messages().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(("sign", "pass"), 1), (("other", "other"), 1)]);
        let failed: Vec<_> = metrics.failures().filter(|(_, count)| *count > 0).collect();
        assert_eq!(failed, [("dkim-key-revoked", 1)]);
    }
}
