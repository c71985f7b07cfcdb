//! The watch as a whole, on a clock that stands still: who is asked how often, and what is said and kept of it.

use super::*;
use crate::{
    clock,
    config::{self, Place, Settings},
    dkim::KeyType,
    dns::{Answer, Data, Dns, Fault, Outcome, Pending, Record, RecordType, Source, pace::Pace},
    event::{Action, Event, Journal, store::Archive, store::Filter},
    key::{KeyMistake, PrivateKey, generate},
    provider::Profile,
};
use std::{path::Path, sync::LazyLock, time::Duration};
use tokio::time::{Instant, sleep};

static OURS: LazyLock<Arc<PrivateKey>> = LazyLock::new(|| Arc::new(generate(KeyType::Rsa).expect("a key").key));

/// What stands at every name.
#[derive(Clone)]
enum Stands {
    Text(String),
    Nothing,
    Fault,
}

/// DNS with one content at every name of a key, which counts its questions.
#[derive(Clone)]
struct World {
    stands: Arc<Mutex<Stands>>,
    ttl: u32,
    asked: Arc<Mutex<Vec<(Instant, String)>>>,
    pace: Pace,
}

impl Source for World {
    fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        Box::pin(async move {
            let _turn = self.pace.turn().await;
            self.asked.lock().expect("no test panics with the lock").push((Instant::now(), name.to_owned()));
            let stands = self.stands.lock().expect("no test panics with the lock").clone();
            let mut answer = match stands {
                Stands::Fault => Answer::fault(name, kind, Fault::ServFail),
                Stands::Nothing => Answer::new(name.into(), kind, Outcome::NxDomain),
                // A name that nobody published, and those above the key.
                Stands::Text(_) if name.starts_with("waxseal-") => Answer::new(name.into(), kind, Outcome::NxDomain),
                Stands::Text(_) if !name.starts_with("s.") || kind != RecordType::Txt => {
                    Answer::new(name.into(), kind, Outcome::NoData)
                }
                Stands::Text(text) => {
                    let strings = text.as_bytes().chunks(255).map(Box::from).collect();
                    let record = Record { name: name.into(), ttl: self.ttl, data: Data::Txt(strings) };
                    Answer { records: vec![record], ..Answer::new(name.into(), kind, Outcome::Records) }
                }
            };
            if answer.is_negative() {
                answer.negative = Some(("example".into(), self.ttl));
            }
            Arc::new(answer)
        })
    }
}

struct Ground {
    settings: Settings,
    dns: Dns,
}

impl Basis for Ground {
    fn domain(&self, name: &DomainName) -> Option<Arc<Domain>> {
        self.settings.domains.get(name).cloned()
    }

    fn keys(&self, domain: &Domain) -> Result<Vec<Arc<PrivateKey>>, KeyMistake> {
        Ok(domain.keys.iter().map(|_| OURS.clone()).collect())
    }

    fn profile(&self, _: &Domain, _: &DomainName) -> Option<Arc<Profile>> {
        None
    }

    fn dns(&self) -> Option<Dns> {
        Some(self.dns.clone())
    }
}

struct Bench {
    world: World,
    ground: Arc<Ground>,
    watch: Arc<Watch>,
    journal: Journal,
    _keeper: Keeper,
}

impl Bench {
    fn start(domains: usize, stands: Stands, ttl: u32, store: Option<&Path>) -> Bench {
        let text: String =
            (0..domains).map(|number| format!("[domains.\"d{number}.example\"]\nselector = \"s\"\n")).collect();
        let settings = Settings::parse(&text, Path::new("/waxseal.toml")).expect("settings");
        let world =
            World { stands: Arc::new(Mutex::new(stands)), ttl, asked: Arc::default(), pace: Pace::new(A_SECOND) };
        let ground = Arc::new(Ground { settings, dns: Dns::new(world.clone()) });
        let journal = Journal::new(&config::Log { json: false, level: tracing::Level::ERROR });
        let place = store.map(|path| Place::Sqlite(path.to_owned()));
        journal.keep_in(&config::Store { place, ..config::Store::default() });
        let watch = Arc::<Watch>::default();
        let basis = ground.clone();
        let recall = Recall::new(journal.clone());
        let current = move || basis.clone() as Arc<dyn Basis>;
        let keeper = Keeper::begin(&watch, recall, current, journal.clone(), "mx.example".into()).expect("the first");
        Bench { world, ground, watch, journal, _keeper: keeper }
    }

    fn domain(&self, number: usize) -> Arc<Domain> {
        let name = DomainName::new(&format!("d{number}.example")).expect("a name");
        self.ground.settings.domains[&name].clone()
    }

    /// What a session is told.
    fn signs(&self, number: usize) -> Option<Arc<Readiness>> {
        self.watch.signs(&self.domain(number), clock::unix_seconds())
    }

    fn stands(&self, stands: Stands) {
        *self.world.stands.lock().expect("no test panics with the lock") = stands;
    }

    fn asked(&self) -> Vec<(Instant, String)> {
        self.world.asked.lock().expect("no test panics with the lock").clone()
    }

    /// How often somebody asked for keys themselves.
    fn looks(&self) -> usize {
        self.asked().iter().filter(|(_, name)| name.starts_with("s.")).count()
    }

    fn states(&self) -> Vec<State> {
        self.watch.readiness().iter().map(|readiness| readiness.state).collect()
    }
}

/// State and causes of every event of the watch, in their order.
async fn said(journal: &Journal, store: &Path) -> Vec<String> {
    // The thread that writes knows nothing of a clock that stands still.
    tokio::time::resume();
    journal.close().await;
    tokio::time::pause();
    let mut archive = Archive::open(&Place::Sqlite(store.to_owned())).expect("a store");
    let filter = Filter { action: Some(Action::Watch), ..Filter::default() };
    let events = archive.page(&filter, None, 1000).expect("events");
    let line = |event: &Event| {
        let causes: Vec<&str> = event.causes.iter().map(|cause| cause.cause.as_str()).collect();
        format!("{} {}", event.result.as_deref().unwrap_or_default(), causes.join(" "))
    };
    events.iter().map(|(_, event)| line(event)).collect()
}

fn right() -> Stands {
    Stands::Text(OURS.public_record())
}

#[tokio::test(start_paused = true)]
async fn only_who_signs_is_asked_for_and_nobody_asks_too_fast() {
    let bench = Bench::start(5000, right(), 300, None);
    sleep(Duration::from_secs(60)).await;
    assert!(bench.asked().is_empty(), "who is only configured costs nothing");
    for _ in 0..3 {
        (0..300).for_each(|number| assert_eq!(bench.signs(number), None, "not known yet"));
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.states(), vec![State::Ready; 300]);
    assert_eq!(bench.looks(), 300, "once each");
    let asked: Vec<Instant> = bench.asked().into_iter().map(|(at, _)| at).collect();
    for at in &asked {
        let within = asked.iter().filter(|other| *other >= at && **other - *at < Duration::from_secs(1)).count();
        assert!(within <= 20, "{within} questions in a second");
    }
    sleep(Duration::from_secs(3600)).await;
    let rounds = bench.looks() / 300;
    assert!((10..=12).contains(&rounds), "{rounds} rounds of a time to live of 300 s in an hour");
    // Nobody of them signed for a week.
    for watched in bench.watch.domains.read().expect("unharmed").values() {
        watched.signed.store(clock::unix_seconds() - REMEMBERED - 1, Ordering::Relaxed);
    }
    sleep(Duration::from_secs(600)).await;
    assert!(bench.watch.readiness().is_empty());
    let before = bench.asked().len();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(bench.asked().len(), before, "who is silent for a week is forgotten");
}

#[tokio::test(start_paused = true)]
async fn each_change_is_said_once_and_a_fault_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("events.db");
    let bench = Bench::start(1, right(), 300, Some(&store));
    bench.signs(0);
    sleep(Duration::from_secs(1000)).await;
    assert_eq!(bench.signs(0), None, "ready");
    bench.stands(Stands::Nothing);
    sleep(Duration::from_secs(2000)).await;
    let told = bench.signs(0).expect("not ready");
    assert_eq!(told.causes[0].cause, "dkim-record-deleted");
    assert_eq!(told.publish.as_ref().map(|publish| publish.value.clone()), Some(OURS.public_record()));
    let before = bench.looks();
    bench.stands(Stands::Fault);
    sleep(Duration::from_secs(20_000)).await;
    let told = bench.signs(0).expect("what was known holds");
    assert!(told.fault.is_some() && told.state == State::NotReady, "{told:?}");
    let asked = bench.looks() - before;
    assert!((20..60).contains(&asked), "{asked} questions in five hours of silence");
    bench.stands(Stands::Text(generate(KeyType::Rsa).expect("a key").key.public_record()));
    sleep(Duration::from_secs(2000)).await;
    assert_eq!(bench.signs(0).expect("not ready").causes[0].cause, "dkim-record-modified");
    bench.stands(right());
    sleep(Duration::from_secs(2000)).await;
    assert_eq!(bench.signs(0), None);
    assert_eq!(
        said(&bench.journal, &store).await,
        [
            "ready ",
            "not-ready dkim-record-deleted dkim-record-not-found",
            "not-ready dns-lookup-failed",
            "not-ready dkim-record-modified",
            "ready ",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_known_outlasts_a_restart_and_is_not_said_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("events.db");
    let first = Bench::start(2, Stands::Nothing, 60, Some(&store));
    first.signs(0);
    first.signs(1);
    sleep(Duration::from_secs(60)).await;
    assert!(first.signs(0).is_some());
    assert_eq!(said(&first.journal, &store).await, ["not-ready dkim-record-not-found"; 2]);
    drop(first);

    let second = Bench::start(1, Stands::Fault, 60, Some(&store));
    sleep(Duration::from_secs(5)).await;
    let told = second.signs(0).expect("mail waits from the start");
    assert_eq!(told.causes[0].cause, "dkim-record-not-found");
    assert_eq!(second.states(), [State::NotReady], "the other domain is no longer configured");
    second.stands(Stands::Nothing);
    sleep(Duration::from_secs(2000)).await;
    assert!(second.signs(0).is_some());
    let said = said(&second.journal, &store).await;
    assert!(said.iter().filter(|line| line.ends_with("dkim-record-not-found")).count() <= 3, "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn contents_that_come_in_turns_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("events.db");
    let bench = Bench::start(1, right(), 60, Some(&store));
    bench.signs(0);
    for turn in 0..4 {
        sleep(Duration::from_secs(400)).await;
        bench.stands(if turn % 2 == 0 { Stands::Nothing } else { right() });
    }
    sleep(Duration::from_secs(400)).await;
    let readiness = bench.watch.readiness().remove(0);
    assert_eq!(readiness.state, State::Ready);
    let causes: Vec<&str> = readiness.causes.iter().map(|cause| cause.cause.as_str()).collect();
    assert_eq!(causes, ["dkim-results-alternate"]);
}

#[tokio::test(start_paused = true)]
async fn many_records_that_are_wrong_hold_up_nobody_else() {
    let bench = Bench::start(400, Stands::Nothing, 300, None);
    (0..300).for_each(|number| assert_eq!(bench.signs(number), None));
    sleep(Duration::from_secs(20)).await;
    bench.stands(right());
    let began = Instant::now();
    (300..400).for_each(|number| assert_eq!(bench.signs(number), None));
    while bench.states() != vec![State::Ready; 400] {
        sleep(Duration::from_secs(1)).await;
        assert!(began.elapsed() < Duration::from_secs(600), "{:?}", bench.states());
    }
}

#[tokio::test(start_paused = true)]
async fn reloads_that_come_quickly_leave_nobody_out() {
    let bench = Bench::start(150, right(), 3600, None);
    (0..150).for_each(|number| assert_eq!(bench.signs(number), None));
    sleep(Duration::from_secs(60)).await;
    // A round takes seven seconds.
    for _ in 0..12 {
        bench.watch.reload();
        sleep(Duration::from_secs(3)).await;
    }
    let asked = bench.asked();
    for number in 0..150 {
        let name = format!("s._domainkey.d{number}.example");
        let looks = asked.iter().filter(|(_, asked)| *asked == name).count();
        assert!(looks > 1, "{name} was looked at {looks} times");
    }
}
