//! The store of events: what goes in comes out, in a file and in a server alike, and no fault of either holds up mail.

mod common;

use common::{eventually, open_folder, postgres::Postgres};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use waxseal::{
    config::{self, Place, Url},
    diagnose::history::Published,
    event::{
        Action, CauseEvent, Direction, Event, SignatureEvent,
        store::{Archive, FaultKind, Filter, Note, Store, Watched},
    },
};

const LIMIT: Duration = Duration::from_secs(60);

fn settings(place: Place) -> config::Store {
    config::Store { place: Some(place), ..config::Store::default() }
}

fn file(path: &Path) -> Place {
    Place::Sqlite(path.to_owned())
}

fn server(postgres: &Postgres) -> Place {
    Place::Postgres(Url::new(&postgres.url()).expect("a URL"))
}

/// An event of the second `second` after an hour long ago.
fn event(second: u32, queue_id: &str) -> Event {
    let time = jiff::Timestamp::from_second(1_795_000_000 + i64::from(second)).expect("a time");
    Event {
        time: time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        host: "mx.example.com".into(),
        queue_id: queue_id.into(),
        mail_from: "<ann@example.com>".into(),
        rcpt_to: vec!["<bob@example.net>".into()],
        ..Event::default()
    }
}

fn signed(second: u32, queue_id: &str) -> Event {
    let signature = SignatureEvent {
        domain: "Example.com".into(),
        selector: "ncpcompubkr".into(),
        algorithm: "rsa-sha256".into(),
        result: "pass".into(),
        reason: None,
    };
    Event {
        action: Action::Sign,
        direction: Direction::Out,
        message_id: Some(format!("<{queue_id}@example.com>")),
        from_domain: Some("mail.example.com".into()),
        size: 12_345,
        millis: 3,
        observed: true,
        ..event(second, queue_id)
    }
    .with_signatures(vec![signature])
}

fn failed(second: u32, queue_id: &str) -> Event {
    let signature = SignatureEvent {
        domain: "example.net".into(),
        selector: "s".into(),
        result: "fail".into(),
        reason: Some("body hash did not verify".into()),
        ..SignatureEvent::default()
    };
    Event {
        action: Action::Verify,
        direction: Direction::In,
        from_domain: Some("example.net".into()),
        spf: Some("softfail".into()),
        dmarc: Some("fail".into()),
        client_ip: Some("2001:db8::7".into()),
        auth_user: Some("ann".into()),
        ..event(second, queue_id)
    }
    .with_signatures(vec![signature])
}

fn hostile(second: u32) -> Event {
    let text = "\u{1b}[31m<script>alert('1')</script>\r\n'; DROP TABLE waxseal_events; --\0\u{202e}\u{fffd}";
    Event {
        queue_id: text.into(),
        mail_from: text.repeat(50),
        rcpt_to: vec![text.into(); 3],
        from_domain: Some(text.into()),
        message_id: Some(text.into()),
        reason: Some(text.into()),
        ..event(second, "")
    }
}

/// Stores events in the order given, and waits until they are there.
#[track_caller]
fn store(settings: &config::Store, events: &[Event]) {
    let dropped = Arc::new(AtomicU64::new(0));
    let store = Store::start(settings.clone(), dropped.clone());
    for event in events {
        store.keep(waxseal::event::bound::bounded(event.clone()));
    }
    close(&store);
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
}

fn close(store: &Store) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(store.close());
}

fn archive(place: &Place) -> Archive {
    Archive::open(place).unwrap_or_else(|fault| panic!("{fault}"))
}

fn found(archive: &mut Archive, filter: &Filter) -> Vec<Event> {
    let mut all = Vec::new();
    let mut after = None;
    // Small pages, so that their seams are seen.
    loop {
        let page = archive.page(filter, after.as_ref(), 2).expect("an answer");
        let Some((cursor, _)) = page.last() else { return all };
        after = Some(cursor.clone());
        all.extend(page.into_iter().map(|(_, event)| event));
    }
}

fn ids(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.queue_id.as_str()).collect()
}

/// Every question that there is, with the same answers whatever the database.
fn questions_are_answered(place: Place) {
    let cause = |cause: &str, confidence: &str| CauseEvent {
        cause: cause.into(),
        confidence: confidence.into(),
        ..CauseEvent::default()
    };
    let mut diagnosis = failed(3, "4C").diagnosis(vec![cause("body-changed", "likely"), cause("spf-x", "certain")]);
    diagnosis.time = failed(4, "").time;
    let passed = Event {
        reason: Some("no key".into()),
        mail_from: "<>".into(),
        rcpt_to: vec!["<Carol_x@example.org>".into(), "<dan@example.org>".into()],
        ..event(5, "4D")
    };
    let events = [signed(1, "4A"), signed(2, "4B"), failed(3, "4C"), diagnosis, passed, hostile(6)];
    store(&settings(place.clone()), &events);

    let mut archive = archive(&place);
    let all = found(&mut archive, &Filter::default());
    let kept: Vec<Event> = events.iter().cloned().map(waxseal::event::bound::bounded).collect();
    assert_eq!(all, kept);

    let only = |text: &str| Some(text.to_owned());
    let since = |second: i64| Some((1_795_000_000 + second) * 1000);
    for (filter, want) in [
        (Filter { queue_id: only("4B"), ..Filter::default() }, &["4B"][..]),
        (Filter { message_id: only("4A@example.com"), ..Filter::default() }, &["4A"]),
        (Filter { message_id: only("<4A@example.com>"), ..Filter::default() }, &["4A"]),
        (Filter { mail_from: only("<>"), ..Filter::default() }, &["4D"]),
        (Filter { mail_from: only("Ann@Example.com"), since: since(2), ..Filter::default() }, &["4B", "4C", "4C"]),
        (Filter { rcpt_to: only("carol_x@example.org"), ..Filter::default() }, &["4D"]),
        (Filter { rcpt_to: only("<dan@example.org>"), ..Filter::default() }, &["4D"]),
        (Filter { rcpt_to: only("carolyx@example.org"), ..Filter::default() }, &[]),
        (Filter { domain: only("EXAMPLE.com"), ..Filter::default() }, &["4A", "4B"]),
        (Filter { domain: only("mail.example.com"), ..Filter::default() }, &["4A", "4B"]),
        (Filter { domain: only("com"), ..Filter::default() }, &[]),
        (Filter { domain: only("example.net"), ..Filter::default() }, &["4C", "4C"]),
        (Filter { domain: only("example.net"), since: since(4), ..Filter::default() }, &["4C"]),
        (Filter { cause: only("spf-x"), ..Filter::default() }, &["4C"]),
        (Filter { cause: only("spf-x"), domain: only("example.net"), ..Filter::default() }, &["4C"]),
        (Filter { cause: only("spf-x"), domain: only("example.com"), ..Filter::default() }, &[]),
        (Filter { action: Some(Action::Sign), since: since(2), ..Filter::default() }, &["4B"]),
        (Filter { action: Some(Action::Diagnose), ..Filter::default() }, &["4C"]),
        (Filter { queue_id: only("4B' OR '1'='1"), ..Filter::default() }, &[]),
    ] {
        assert_eq!(ids(&found(&mut archive, &filter)), want, "{filter:?}");
        let matching: Vec<Event> = kept.iter().filter(|event| filter.matches(event)).cloned().collect();
        assert_eq!(ids(&matching), want, "a log: {filter:?}");
    }
    let newest = archive.newest(&Filter { action: Some(Action::Sign), ..Filter::default() }, 1).expect("an answer");
    assert_eq!(newest.first().map(|(_, event)| event.queue_id.as_str()), Some("4B"));

    let outcomes = archive.outcomes(&Filter::default()).expect("counts");
    let outcome = |action: &str, result: Option<&str>| {
        outcomes
            .iter()
            .find(|found| found.action == action && found.result.as_deref() == result)
            .map(|found| found.count)
    };
    assert_eq!(outcome("sign", Some("pass")), Some(2));
    assert_eq!(outcome("verify", Some("fail")), Some(1));
    assert_eq!(outcome("pass", None), Some(2));
    let domains = archive.domains(&Filter::default(), 10).expect("counts");
    let domain = |name: &str| domains.iter().find(|found| found.name == name).expect("counted");
    assert_eq!((domain("mail.example.com").messages, domain("mail.example.com").signed), (2, 2));
    assert_eq!((domain("example.net").messages, domain("example.net").failed), (1, 1));
    let causes = archive.causes(&Filter::default(), 10).expect("counts");
    assert_eq!(
        causes.iter().map(|cause| (&*cause.cause, cause.count, cause.domains)).collect::<Vec<_>>(),
        [("body-changed", 1, 1), ("spf-x", 1, 1)]
    );
    assert_eq!(archive.new_causes(since(4).expect("a time")).expect("an answer").len(), 2);
    assert!(archive.new_causes(since(5).expect("a time")).expect("an answer").is_empty());
    let reasons = archive.unsigned(&Filter::default(), 10).expect("counts");
    assert!(reasons.contains(&("no key".into(), 1)), "{reasons:?}");
    let marks = [0, 4, 8].map(|second| since(second).expect("a time"));
    let slots = archive.over_time(&Filter::default(), &marks).expect("counts");
    let slots: Vec<_> = slots.iter().map(|slot| (slot.start - 1_795_000_000_000, slot.signed, slot.failed)).collect();
    assert_eq!(slots, [(0, 2, 1), (4000, 0, 0)]);
}

#[test]
fn a_file_answers_every_question() {
    let folder = open_folder();
    questions_are_answered(file(&folder.path().join("events.db")));
}

#[test]
fn a_server_answers_every_question() {
    let postgres = Postgres::start();
    questions_are_answered(server(&postgres));
}

/// What the watch keeps: the later word holds, what was seen adds up, and each name has room for eight contents.
fn notes_are_kept(place: Place) {
    // Older than events are kept by default.
    let now = waxseal::clock::unix_seconds();
    let old = now - 100 * 86_400;
    let published = |record: String, last: u64, times: u64| Published {
        name: "S._domainkey.Example.com".into(),
        record,
        ours: times == 2,
        first: old + 100,
        last: old + last,
        times,
    };
    let watched = |domain: &str, signed: u64, state: &str| Watched {
        host: "mx.example.com".into(),
        domain: domain.into(),
        selector: "s".into(),
        signed: now - 5000 + signed,
        state: state.into(),
        since: 50,
        causes: vec![CauseEvent { cause: "dkim-record-deleted".into(), ..CauseEvent::default() }],
    };
    let mut notes: Vec<Note> =
        (0..20).map(|number| Note::Published(published(format!("v=DKIM1; p={number}"), 200 + number, 1))).collect();
    notes.push(Note::Published(published("v=DKIM1; p=19".into(), 210, 2)));
    notes.push(Note::Published(published("x".repeat(10_000), 900, 1)));
    notes.push(Note::Published(published("nul\0".into(), 300, 1)));
    notes.push(Note::Watched(watched("example.com", 100, "ready")));
    notes.push(Note::Watched(watched("example.com", 300, "not-ready")));
    notes.push(Note::Watched(Watched { host: "other.example.com".into(), ..watched("example.com", 400, "ready") }));
    notes.push(Note::Watched(watched("silent.example.com", 10, "ready")));
    notes.push(Note::Watched(Watched { signed: now - 15 * 86_400, ..watched("forgotten.example.com", 0, "ready") }));
    let keeps = config::Store { delete_after: None, ..settings(place.clone()) };
    let store = Store::start(keeps, Arc::default());
    store.keep(signed(1, "4A"));
    notes.into_iter().for_each(|note| store.note(note));
    close(&store);

    let mut archive = archive(&place);
    let kept = archive.published("s._domainkey.example.com").expect("an answer");
    assert_eq!(kept.len(), 8, "{kept:?}");
    let last = kept.iter().find(|kept| kept.record == "v=DKIM1; p=19").expect("among those seen last");
    assert_eq!(
        (last.first - old, last.last - old, last.times, last.ours),
        (100, 219, 2, true),
        "times and places add up"
    );
    assert!(kept.iter().any(|kept| kept.record == "nul\u{fffd}"), "{kept:?}");
    assert!(archive.published("t._domainkey.example.com").expect("an answer").is_empty());
    let watched_by = |archive: &mut Archive, host: &str| archive.watched(host, now - 4950, 10).expect("an answer");
    assert_eq!(watched_by(&mut archive, "mx.example.com"), [watched("example.com", 300, "not-ready")]);
    assert_eq!(watched_by(&mut archive, "other.example.com")[0].state, "ready");
    assert_eq!(found(&mut archive, &Filter::default()).len(), 1, "events stand beside them");

    // What is as old as events that go is forgotten with them.
    let started = Store::start(settings(place.clone()), Arc::default());
    eventually("old notes are gone", LIMIT, || {
        let gone = archive.published("s._domainkey.example.com").expect("an answer").is_empty();
        let all = archive.watched("mx.example.com", 0, 10).expect("an answer");
        (gone && all.len() == 2).then_some(())
    });
    close(&started);
}

#[test]
fn a_file_keeps_what_the_watch_saw() {
    let folder = open_folder();
    notes_are_kept(file(&folder.path().join("events.db")));
}

#[test]
fn a_server_keeps_what_the_watch_saw() {
    let postgres = Postgres::start();
    notes_are_kept(server(&postgres));
}

#[test]
fn a_file_is_private_and_keeps_what_is_added_later() {
    let folder = open_folder();
    let path = folder.path().join("events.db");
    store(&settings(file(&path)), &[signed(1, "4A")]);
    // A second start, and a reader while it writes.
    let second = Store::start(settings(file(&path)), Arc::default());
    second.keep(signed(2, "4B"));
    let count = || found(&mut archive(&file(&path)), &Filter::default()).len();
    eventually("the second event is there", LIMIT, || (count() == 2).then_some(()));
    for entry in fs::read_dir(folder.path()).expect("a folder") {
        let entry = entry.expect("a file");
        let mode = entry.metadata().expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
    }
    close(&second);
}

#[test]
fn what_is_missing_is_named_and_not_made() {
    let folder = open_folder();
    let path = folder.path().join("events.db");
    let fault = Archive::open(&file(&path)).err().expect("there is none");
    assert_eq!(fault.kind, FaultKind::Missing);
    assert!(fault.text.contains("events.db"), "{fault}");
    assert!(!path.exists());
}

#[test]
fn a_damaged_file_is_moved_aside() {
    let folder = open_folder();
    let path = folder.path().join("events.db");
    fs::write(&path, "this is no database\n".repeat(1000)).expect("written");
    store(&settings(file(&path)), &[signed(1, "4A")]);
    assert_eq!(found(&mut archive(&file(&path)), &Filter::default()).len(), 1);
    let names = fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("a file").file_name());
    let aside = names.filter(|name| name.to_string_lossy().starts_with("events.db.damaged-")).count();
    assert_eq!(aside, 1);
}

#[test]
fn events_wait_for_a_folder_that_comes_late_and_loss_is_counted() {
    let folder = open_folder();
    let path = folder.path().join("later/events.db");
    let dropped = Arc::new(AtomicU64::new(0));
    let store = Store::start(settings(file(&path)), dropped.clone());
    let start = Instant::now();
    for number in 0..20_000 {
        store.keep(signed(number, "4A"));
    }
    assert!(start.elapsed() < Duration::from_secs(10), "keeping waits for the store");
    let lost = dropped.load(Ordering::Relaxed);
    assert!((1..20_000).contains(&lost), "{lost} lost: what waits must be bounded");
    fs::create_dir(folder.path().join("later")).expect("a folder");
    let count = || {
        let mut archive = Archive::open(&file(&path)).ok()?;
        let outcomes = archive.outcomes(&Filter::default()).ok()?;
        Some(outcomes.iter().map(|outcome| outcome.count as u64).sum::<u64>())
    };
    eventually("the rest is stored", LIMIT, || count().filter(|count| *count == 20_000 - lost));
    close(&store);
    assert_eq!(dropped.load(Ordering::Relaxed), lost);
}

#[test]
fn old_events_go_by_age_and_by_size() {
    let folder = open_folder();
    let path = folder.path().join("events.db");
    let by_age = config::Store { delete_after: Some(Duration::from_secs(60)), ..settings(file(&path)) };
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    let young = Event { time: now.clone(), ..signed(0, "young") };
    store(&settings(file(&path)), &[signed(1, "old"), failed(2, "old"), young]);
    let kept = || ids_of(&mut archive(&file(&path)));
    assert_eq!(kept(), ["old", "old", "young"]);
    let started = Store::start(by_age, Arc::default());
    eventually("the old ones are gone", LIMIT, || (kept() == ["young"]).then_some(()));
    close(&started);

    // Two megabytes of events, and room for one.
    let large =
        |number: u32| Event { reason: Some("x".repeat(900)), time: now.clone(), ..event(0, &format!("4{number}")) };
    store(&settings(file(&path)), &(0..2000).map(large).collect::<Vec<_>>());
    let by_size = config::Store { max_bytes: 1024 * 1024, ..settings(file(&path)) };
    let started = Store::start(by_size, Arc::default());
    let size = || fs::metadata(&path).expect("the file").len();
    eventually("the file is smaller", LIMIT, || (size() <= 1024 * 1024).then_some(()));
    close(&started);
    assert!((100..2000).contains(&kept().len()), "{}", kept().len());
}

fn ids_of(archive: &mut Archive) -> Vec<String> {
    archive.newest(&Filter::default(), 10_000).expect("events").into_iter().map(|(_, event)| event.queue_id).collect()
}

#[test]
fn a_server_that_stops_under_load_costs_nothing_that_fits_into_the_queue() {
    let mut postgres = Postgres::start();
    let place = server(&postgres);
    let dropped = Arc::new(AtomicU64::new(0));
    let store = Store::start(settings(place.clone()), dropped.clone());
    let stored = || -> Option<i64> {
        let mut archive = Archive::open(&place).ok()?;
        Some(archive.outcomes(&Filter::default()).ok()?.iter().map(|outcome| outcome.count).sum())
    };
    for number in 0..3000 {
        store.keep(signed(number, &format!("4{number}")));
        if number == 1000 {
            eventually("some are stored", LIMIT, || stored().filter(|count| *count > 0));
            postgres.stop();
        }
    }
    postgres.restart();
    eventually("all are stored, none twice", LIMIT, || stored().filter(|count| *count == 3000));
    close(&store);
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
}

#[test]
fn a_server_that_demands_tls_is_believed_by_its_certificate_alone() {
    let postgres = Postgres::start_with_tls();
    let place =
        |parameters: &str| Place::Postgres(Url::new(&format!("{}{parameters}", postgres.url())).expect("a URL"));
    let trusted = place(&format!("?sslmode=require&sslrootcert={}", postgres.certificate().display()));
    store(&settings(trusted.clone()), &[signed(1, "4A")]);
    assert_eq!(found(&mut archive(&trusted), &Filter::default()).len(), 1);
    for parameters in ["?sslmode=require", "?sslmode=disable", "?sslmode=prefer"] {
        let fault = Archive::open(&place(parameters)).err().expect("refused");
        assert!(matches!(fault.kind, FaultKind::Unreachable | FaultKind::Denied), "{parameters}: {fault:?}");
    }
}

#[test]
fn several_hosts_share_one_server() {
    let postgres = Postgres::start();
    let place = server(&postgres);
    // All at once, into an empty database: the tables are made once.
    let stores: Vec<_> = (0..4).map(|_| Store::start(settings(place.clone()), Arc::default())).collect();
    for (number, store) in (0..).zip(&stores) {
        store.keep(Event { host: format!("mx{number}.example.com"), ..signed(1, &format!("4{number}")) });
    }
    let hosts = || {
        let mut archive = Archive::open(&place).ok()?;
        let mut hosts: Vec<_> = found(&mut archive, &Filter::default()).into_iter().map(|event| event.host).collect();
        hosts.sort();
        (hosts.len() == 4).then_some(hosts)
    };
    let hosts = eventually("every host has stored its event", LIMIT, hosts);
    assert_eq!(hosts, ["mx0.example.com", "mx1.example.com", "mx2.example.com", "mx3.example.com"]);
    stores.iter().for_each(close);
}
