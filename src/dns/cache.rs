//! A source that keeps the answers of another one.
//!
//! Positive and negative answers are kept for their TTL, faults and what has no TTL for a moment; whoever asks what is
//! being asked already waits for the same answer. By setting, an answer that has expired stands in when its renewal fails
//! (RFC 8767). Entries and octets are bounded, and what was not used for longest goes first: a flood of names cannot grow
//! the cache, nor drive out what is in use.

use super::labels::Labels;
use super::pace::Pace;
use super::{Answer, Data, Dns, Fault, Outcome, Pending, RecordType, Source};
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// How much is kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most answers.
    pub entries: usize,
    /// The most octets in all, as counted by length; an answer larger than an eighth of it is not kept.
    pub octets: usize,
    /// The longest that records are kept, whatever their TTL.
    pub positive: Duration,
    /// The longest that NXDOMAIN and NODATA are kept.
    pub negative: Duration,
    /// How long a fault is kept, and NXDOMAIN and NODATA without a SOA, which say nothing of how long they hold (RFC 2308
    /// §5 would not keep them, lest they go round between servers for ever; nobody asks us).
    pub moment: Duration,
    /// For how long after its end an answer may stand in for a fault; zero for never.
    pub stale: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // A busy server sees some thousand domains a day, and an answer has some 300 octets.
            entries: 8192,
            octets: 4 << 20,
            positive: Duration::from_secs(86_400),
            // RFC 2308 §5 finds one to three hours sensible.
            negative: Duration::from_secs(3600),
            // RFC 9520 §3.2 demands one second at least.
            moment: Duration::from_secs(1),
            stale: Duration::ZERO,
        }
    }
}

/// The TTL of an answer that stands in, and how long its renewal is not tried again (RFC 8767 §4).
const STALE_TTL: u32 = 30;

/// A caching source.
pub struct Cache {
    inner: Dns,
    shared: Arc<Shared>,
}

type Key = Arc<(Labels, RecordType)>;
type Flight = watch::Receiver<Option<Arc<Answer>>>;

struct Shared {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: HashMap<Key, Kept>,
    /// The keys of `kept`, longest unused first.
    order: BTreeMap<u64, Key>,
    clock: u64,
    octets: usize,
    flights: HashMap<Key, Flight>,
}

struct Kept {
    answer: Arc<Answer>,
    since: Instant,
    until: Instant,
    /// Until when it stands in without another attempt to renew it.
    excused: Instant,
    used: u64,
    octets: usize,
}

impl Cache {
    /// Keeps answers of `inner`.
    pub fn new(inner: Dns, limits: Limits) -> Cache {
        Cache { inner, shared: Arc::new(Shared { limits, state: Mutex::default() }) }
    }

    /// The answer that is kept, unless one past it is wanted, or else a new one.
    async fn answer(&self, name: &str, kind: RecordType, renew: bool) -> Arc<Answer> {
        let key = match Labels::from_question(name) {
            Ok(labels) => Arc::new((labels, kind)),
            Err(why) => return Arc::new(Answer::fault(name, kind, Fault::Unaskable(why))),
        };
        let mut flight = {
            let mut state = self.shared.lock();
            if !renew && let Some(answer) = state.fresh(&key, Instant::now()) {
                return answer;
            }
            match state.flights.get(&key) {
                // A flight that crashed has no sender any more.
                Some(flight) if flight.has_changed().is_ok() => flight.clone(),
                _ => {
                    let flight = self.depart(key.clone(), name.to_owned(), renew);
                    state.flights.insert(key.clone(), flight.clone());
                    flight
                }
            }
        };
        match flight.wait_for(Option::is_some).await {
            Ok(answer) => answer.as_ref().map(Arc::clone),
            Err(_) => None,
        }
        .unwrap_or_else(|| {
            let fault = Fault::Other("the question was given up".into());
            Arc::new(Answer::new(key.0.text(), kind, Outcome::Fault(fault)))
        })
    }

    /// Asks in a task of its own, so that an asker who goes away takes nothing from the others.
    fn depart(&self, key: Key, name: String, renew: bool) -> Flight {
        let (sender, flight) = watch::channel(None);
        let (inner, shared) = (self.inner.clone(), self.shared.clone());
        tokio::spawn(async move {
            let answer = inner.query(&name, key.1).await;
            sender.send_replace(Some(shared.land(key, answer, renew)));
        });
        flight
    }
}

impl Source for Cache {
    fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        Box::pin(self.answer(name, kind, false))
    }

    fn renew<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        Box::pin(self.answer(name, kind, true))
    }

    fn resolvers(&self) -> Vec<SocketAddr> {
        self.inner.resolvers()
    }

    fn pace(&self) -> Option<Pace> {
        self.inner.pace()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of the state is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a new answer, and gives the one to use: itself, or an older one in its stead unless one past it is wanted.
    fn land(&self, key: Key, answer: Arc<Answer>, renew: bool) -> Arc<Answer> {
        let now = Instant::now();
        let mut state = self.lock();
        state.flights.remove(&key);
        if is_outage(&answer.outcome)
            && let Some(kept) = state.kept.get_mut(&key)
            && !matches!(kept.answer.outcome, Outcome::Fault(_))
            && now < kept.until + self.limits.stale
        {
            if renew {
                return answer;
            }
            kept.excused = now + Duration::from_secs(STALE_TTL.into());
            return kept.stale();
        }
        let lifetime = self.lifetime(&answer);
        if lifetime > Duration::ZERO {
            state.keep(key, &answer, now, now + lifetime, &self.limits);
        } else {
            state.forget(&key);
        }
        answer
    }

    fn lifetime(&self, answer: &Answer) -> Duration {
        let seconds = |ttl: u32| Duration::from_secs(ttl.into());
        let shortest = answer.records.iter().map(|record| record.ttl).min();
        match &answer.outcome {
            Outcome::Records => seconds(shortest.unwrap_or(0)).min(self.limits.positive),
            Outcome::NoData | Outcome::NxDomain => match &answer.negative {
                Some((_, ttl)) => {
                    seconds(shortest.map_or(*ttl, |shortest| shortest.min(*ttl))).min(self.limits.negative)
                }
                None => self.limits.moment.min(self.limits.negative),
            },
            Outcome::Fault(Fault::Budget | Fault::Unaskable(_)) => Duration::ZERO,
            Outcome::Fault(_) => self.limits.moment,
        }
    }
}

impl State {
    /// A kept answer that may be used now.
    fn fresh(&mut self, key: &Key, now: Instant) -> Option<Arc<Answer>> {
        let kept = self.kept.get_mut(key)?;
        let answer = match now {
            now if now < kept.until => kept.aged(now),
            now if now < kept.excused => kept.stale(),
            _ => return None,
        };
        self.order.remove(&kept.used);
        self.clock += 1;
        kept.used = self.clock;
        self.order.insert(self.clock, key.clone());
        Some(answer)
    }

    fn keep(&mut self, key: Key, answer: &Answer, now: Instant, until: Instant, limits: &Limits) {
        self.forget(&key);
        let octets = size(answer);
        if octets > limits.octets / 8 {
            return;
        }
        self.clock += 1;
        self.octets += octets;
        let answer = Arc::new(Answer { took: Duration::ZERO, ..answer.clone() });
        self.order.insert(self.clock, key.clone());
        self.kept.insert(key, Kept { answer, since: now, until, excused: until, used: self.clock, octets });
        while self.kept.len() > limits.entries || self.octets > limits.octets {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(kept) = self.kept.remove(key) {
            self.order.remove(&kept.used);
            self.octets -= kept.octets;
        }
    }
}

impl Kept {
    /// The answer with what is left of its TTLs.
    fn aged(&self, now: Instant) -> Arc<Answer> {
        match u32::try_from((now - self.since).as_secs()).unwrap_or(u32::MAX) {
            0 => self.answer.clone(),
            age => self.with_ttl(|ttl| ttl.saturating_sub(age)),
        }
    }

    fn stale(&self) -> Arc<Answer> {
        self.with_ttl(|_| STALE_TTL)
    }

    fn with_ttl(&self, change: impl Fn(u32) -> u32) -> Arc<Answer> {
        let mut answer = (*self.answer).clone();
        answer.records.iter_mut().for_each(|record| record.ttl = change(record.ttl));
        answer.negative = answer.negative.map(|(owner, ttl)| (owner, change(ttl)));
        Arc::new(answer)
    }
}

/// Did the question get no answer, as opposed to one that is no use?
fn is_outage(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Records | Outcome::NoData | Outcome::NxDomain => false,
        Outcome::Fault(fault) => match fault {
            Fault::Timeout | Fault::ServFail | Fault::Refused | Fault::Truncated | Fault::Other(_) => true,
            Fault::CnameLoop | Fault::Unaskable(_) | Fault::Budget => false,
        },
    }
}

/// About what an answer takes in memory: what it holds, and the types around it.
fn size(answer: &Answer) -> usize {
    let records = answer.records.iter().map(|record| {
        let data = match &record.data {
            Data::A(_) | Data::Aaaa(_) => 0,
            Data::Cname(name) | Data::Ns(name) | Data::Ptr(name) => name.len(),
            Data::Mx { exchange, .. } => exchange.len(),
            Data::Soa { mname, .. } => mname.len(),
            Data::Txt(strings) => strings.iter().map(|string| 16 + string.len()).sum(),
        };
        size_of_val(record) + record.name.len() + data
    });
    let keys = 2 * answer.name.len() + size_of::<Kept>() + 200;
    size_of_val(answer) + keys + records.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::zone;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::time::sleep;

    /// A zone that counts its questions, needs a second for each, and can fail.
    struct Slow {
        zone: Dns,
        asked: Arc<AtomicUsize>,
        fault: Arc<Mutex<Option<Fault>>>,
    }

    impl Source for Slow {
        fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
            Box::pin(async move {
                self.asked.fetch_add(1, Ordering::SeqCst);
                sleep(Duration::from_secs(1)).await;
                let fault = self.fault.lock().expect("no test panics with the lock").clone();
                match fault {
                    Some(fault) => Arc::new(Answer::new(name.to_owned(), kind, Outcome::Fault(fault))),
                    None => self.zone.query(name, kind).await,
                }
            })
        }
    }

    struct Bench {
        cache: Arc<Cache>,
        asked: Arc<AtomicUsize>,
        fault: Arc<Mutex<Option<Fault>>>,
    }

    impl Bench {
        fn new(limits: Limits) -> Bench {
            let text = "$ORIGIN example.com.\n@ SOA ns h 1 2 3 4 60\na 300 TXT one\na 200 TXT two\nlong 9999999 TXT x\n\
                        zero 0 TXT x\nloop CNAME loop\nshort 20 CNAME a\n*.w 300 TXT wild\n";
            let zone = zone::parse(text, "zone").expect("a good zone");
            let (asked, fault) = (Arc::default(), Arc::default());
            let slow = Slow { zone, asked: Arc::clone(&asked), fault: Arc::clone(&fault) };
            Bench { cache: Arc::new(Cache::new(Dns::new(slow), limits)), asked, fault }
        }

        async fn ask(&self, name: &str) -> Arc<Answer> {
            self.cache.query(name, RecordType::Txt).await
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }

        fn fail(&self, fault: Option<Fault>) {
            *self.fault.lock().expect("no test panics with the lock") = fault;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_kept_for_their_ttl() {
        // The name, and for how many seconds no second question goes out.
        for (name, fault, lifetime) in [
            ("a.example.com", None, 200),
            ("short.example.com", None, 20),
            ("long.example.com", None, 86_400),
            ("zero.example.com", None, 0),
            ("nowhere.example.com", None, 60),
            ("no.soa", None, 1),
            ("loop.example.com", None, 1),
            ("a.example.com", Some(Fault::ServFail), 1),
            ("a.example.com", Some(Fault::Budget), 0),
        ] {
            let bench = Bench::new(Limits::default());
            bench.fail(fault);
            let first = bench.ask(name).await;
            if lifetime > 0 {
                sleep(Duration::from_secs(lifetime) - Duration::from_millis(1)).await;
                assert_eq!(bench.ask(&name.to_uppercase()).await.outcome, first.outcome, "{name}");
                assert_eq!(bench.asked(), 1, "{name} is kept for {lifetime} s");
                sleep(Duration::from_millis(1)).await;
            }
            bench.ask(name).await;
            assert_eq!(bench.asked(), 2, "{name} is kept for {lifetime} s only");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_ttl_of_what_is_kept_runs_down() {
        let bench = Bench::new(Limits::default());
        bench.ask("a.example.com").await;
        bench.ask("nowhere.example.com").await;
        sleep(Duration::from_secs(42)).await;
        let ttls = bench.ask("a.example.com").await.records.iter().map(|record| record.ttl).collect::<Vec<_>>();
        assert_eq!(ttls, [300 - 43, 200 - 43], "43 seconds: the other question took one");
        let nowhere = bench.ask("nowhere.example.com").await;
        assert_eq!(nowhere.negative, Some(("example.com".into(), 60 - 42)));
        assert_eq!(nowhere.took, Duration::ZERO);
        assert_eq!(bench.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_the_same_at_once_shares_one_question() {
        let bench = Bench::new(Limits::default());
        let mut askers = tokio::task::JoinSet::new();
        for name in ["zero.example.com", "ZERO.example.com.", "zero.Example.com"].repeat(30) {
            let cache = bench.cache.clone();
            askers.spawn(async move { cache.query(name, RecordType::Txt).await.outcome.clone() });
        }
        // One who goes away, even the first, does not take the question along.
        let impatient = tokio::time::timeout(Duration::from_millis(10), bench.ask("zero.example.com")).await;
        assert!(impatient.is_err());
        assert_eq!(askers.join_all().await, vec![Outcome::Records; 90]);
        assert_eq!(bench.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_wants_to_know_how_things_stand_now_is_asked_for_anew() {
        let bench = Bench::new(Limits::default());
        let renew = || bench.cache.renew("nowhere.example.com", RecordType::Txt);
        bench.ask("nowhere.example.com").await;
        assert_eq!(renew().await.negative, Some(("example.com".into(), 60)), "as received, not as kept");
        assert_eq!(bench.asked(), 2);
        bench.fail(Some(Fault::ServFail));
        assert_eq!(renew().await.outcome, Outcome::Fault(Fault::ServFail), "a fault is told, whatever is kept");
        assert_eq!(bench.ask("nowhere.example.com").await.outcome, Outcome::NxDomain, "and takes nothing away");
        assert_eq!(bench.asked(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_answer_stands_in_for_a_fault_where_set() {
        let hour = Duration::from_secs(3600);
        for (stale, fault, stands_in) in [
            (hour, Fault::ServFail, true),
            (hour, Fault::Timeout, true),
            (hour, Fault::CnameLoop, false),
            (Duration::ZERO, Fault::ServFail, false),
            (Duration::from_secs(10), Fault::ServFail, false),
        ] {
            let bench = Bench::new(Limits { stale, ..Limits::default() });
            bench.ask("a.example.com").await;
            sleep(Duration::from_secs(220)).await;
            bench.fail(Some(fault.clone()));
            let answer = bench.ask("a.example.com").await;
            assert_eq!(answer.outcome == Outcome::Records, stands_in, "{fault:?} {stale:?}");
            if stands_in {
                assert!(answer.records.iter().all(|record| record.ttl == 30), "{answer:?}");
                sleep(Duration::from_secs(29)).await;
                assert_eq!(bench.ask("a.example.com").await.outcome, Outcome::Records);
                assert_eq!(bench.asked(), 2, "not tried again before 30 s");
                sleep(Duration::from_secs(2)).await;
                bench.fail(None);
                assert_eq!(bench.ask("a.example.com").await.records[0].ttl, 300, "renewed");
                bench.fail(Some(fault));
                sleep(hour * 2).await;
                assert_ne!(bench.ask("a.example.com").await.outcome, Outcome::Records, "too old");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_neither_grows_the_cache_nor_drives_out_what_is_used() {
        for (entries, octets) in [(20, 1 << 20), (1000, 20_000)] {
            let bench = Bench::new(Limits { entries, octets, ..Limits::default() });
            for index in 0..150 {
                bench.ask(&format!("{index}.w.example.com")).await;
                bench.ask("a.example.com").await;
                let state = bench.cache.shared.lock();
                assert!(state.kept.len() <= entries && state.octets <= octets, "at {index}");
                assert_eq!(state.kept.len(), state.order.len());
                assert_eq!(state.octets, state.kept.values().map(|kept| kept.octets).sum::<usize>());
                assert!(state.flights.is_empty());
            }
            assert!(bench.cache.shared.lock().kept.len() > 10, "something is kept");
            // 150 seconds have passed, less than the 200 of its TTL.
            assert_eq!(bench.asked(), 151, "what is in use stays");
        }
        let small = Bench::new(Limits { octets: 1000, ..Limits::default() });
        small.ask("a.example.com").await;
        assert!(small.cache.shared.lock().kept.is_empty(), "an answer larger than an eighth of the cache");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_asked_goes_no_further() {
        let bench = Bench::new(Limits::default());
        let answer = bench.ask(&"x".repeat(100_000)).await;
        assert!(matches!(answer.outcome, Outcome::Fault(Fault::Unaskable(_))));
        assert_eq!(bench.asked(), 0);
    }
}
