//! The program behind `tests/long/events`: a store with as many events as are asked for, and the time of each question.
//!
//! Arguments: how many events (1,000,000 by default), and `sqlite` (the default) or `postgres`.

#[path = "../common/mod.rs"]
mod common;

use common::{eventually, mail::Random, open_folder, postgres::Postgres};
use std::{
    process::ExitCode,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};
use waxseal::{
    config::{self, Place, Url},
    event::{
        Action, CauseEvent, Direction, Event, SignatureEvent,
        store::{Archive, Filter, Store},
    },
};

const DAYS: u64 = 90;
const DAY: i64 = 86_400_000;
const LIMIT: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().map_or(1_000_000, |count| count.parse().expect("a number"));
    let folder = open_folder();
    let postgres = arguments.next().filter(|kind| kind == "postgres").map(|_| Postgres::start());
    let place = match &postgres {
        Some(postgres) => Place::Postgres(Url::new(&postgres.url()).expect("a URL")),
        None => Place::Sqlite(folder.path().join("events.db")),
    };
    let now = jiff::Timestamp::now().as_millisecond();
    fill(&place, count, now);
    if let Place::Sqlite(path) = &place {
        let bytes = std::fs::metadata(path).expect("the file").len();
        println!("{:.0} octets an event", bytes as f64 / count as f64);
    }
    if ask(&place, count, now) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fill(place: &Place, count: u64, now: i64) {
    let settings = config::Store { place: Some(place.clone()), delete_after: None, max_bytes: u64::MAX };
    let store = Store::start(settings, Arc::new(AtomicU64::new(0)));
    let mut random = Random::new(1);
    let start = Instant::now();
    for number in 0..count {
        store.keep(event(number, count, now, &mut random));
        if store.waiting() > 8000 {
            eventually("the store takes them", LIMIT, || (store.waiting() < 4000).then_some(()));
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(store.close());
    let seconds = start.elapsed().as_secs_f64();
    println!("{count} events stored in {seconds:.1} s: {:.0} a second", count as f64 / seconds);
}

/// Half signed, two fifths judged, some passed, and a diagnosis for each twentieth.
fn event(number: u64, count: u64, now: i64, random: &mut Random) -> Event {
    let back = (count - number) as f64 / count as f64 * (DAYS as f64) * DAY as f64;
    let time = jiff::Timestamp::from_millisecond(now - back as i64).expect("a time");
    // Few domains have most of the mail.
    let skewed = |random: &mut Random, most: usize| random.below(most).min(random.below(most)).min(random.below(most));
    let ours = format!("ours{}.example.com", skewed(random, 50));
    let theirs = format!("theirs{}.example.net", skewed(random, 20_000));
    let event = Event {
        time: time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        host: "mx1.example.com".into(),
        queue_id: format!("4bW{number:011X}"),
        client_ip: Some(format!("192.0.{}.{}", random.below(256), random.below(256))),
        rcpt_to: vec![format!("<user{}@example.org>", random.below(5000))],
        message_id: Some(format!("<{number}.{}@mail.example>", random.below(1_000_000))),
        size: random.below(100_000) as u64,
        millis: random.below(500) as u64,
        ..Event::default()
    };
    let signature = |domain: &str, result: &str| SignatureEvent {
        domain: domain.into(),
        selector: "ncpcompubkr".into(),
        algorithm: "rsa-sha256".into(),
        result: result.into(),
        reason: (result == "fail").then(|| "body hash did not verify".into()),
    };
    let judged = |event: Event, result: &str| {
        Event {
            action: Action::Verify,
            direction: Direction::In,
            mail_from: format!("<info@{theirs}>"),
            from_domain: Some(theirs.clone()),
            spf: Some(result.into()),
            dmarc: Some(result.into()),
            ..event
        }
        .with_signatures(vec![signature(&theirs, result)])
    };
    match random.below(100) {
        0..50 => Event {
            action: Action::Sign,
            direction: Direction::Out,
            mail_from: format!("<ann@{ours}>"),
            from_domain: Some(ours.clone()),
            ..event
        }
        .with_signatures(vec![signature(&ours, "pass")]),
        50..85 => judged(event, "pass"),
        85..90 => judged(event, "fail"),
        90..95 => {
            let cause = CauseEvent { cause: format!("cause-{}", skewed(random, 80)), confidence: "certain".into() };
            Event { action: Action::Diagnose, causes: vec![cause], ..judged(event, "fail") }
        }
        _ => Event {
            direction: Direction::Out,
            reason: Some("no key is configured for the From domain".into()),
            from_domain: Some(ours),
            ..event
        },
    }
}

/// Asks each question three times, and says how long the second longest took; false if a common one is slow.
fn ask(place: &Place, count: u64, now: i64) -> bool {
    let since = |days: i64| Some(now - days * DAY);
    let all = Filter::default();
    let day = Filter { since: since(1), ..Filter::default() };
    let only = |text: &str| Some(text.to_owned());
    let queue_id = Filter { queue_id: Some(format!("4bW{:011X}", count / 3)), ..Filter::default() };
    let near = Filter { queue_id: Some(format!("4bW{:011X}", count - 2)), since: since(1), ..Filter::default() };
    let message_id = Filter { message_id: only("1.2@mail.example"), ..Filter::default() };
    let domain = Filter { domain: only("ours0.example.com"), ..Filter::default() };
    let rare = Filter { domain: only("theirs19000.example.net"), ..Filter::default() };
    let domain_day = Filter { domain: only("ours0.example.com"), since: since(1), ..Filter::default() };
    let cause = Filter { cause: only("cause-1"), ..Filter::default() };
    let both = Filter { cause: only("cause-1"), domain: only("theirs1.example.net"), ..Filter::default() };
    let signed = Filter { action: Some(Action::Sign), since: since(1), ..Filter::default() };
    let summary = |archive: &mut Archive, filter: &Filter, marks: i64| {
        let width = (now - filter.since.unwrap_or(now - DAYS as i64 * DAY)) / marks;
        let marks: Vec<i64> = (0..=marks).map(|mark| now - mark * width).rev().collect();
        archive.outcomes(filter).expect("an answer");
        archive.domains(filter, 20).expect("an answer");
        archive.causes(filter, 20).expect("an answer");
        archive.new_causes(now - DAY).expect("an answer");
        archive.unsigned(filter, 10).expect("an answer");
        archive.over_time(filter, &marks).expect("an answer");
    };
    let newest = |filter: &Filter, most: usize| {
        let filter = filter.clone();
        move |archive: &mut Archive| drop(archive.newest(&filter, most).expect("an answer"))
    };
    type Question<'a> = (&'a str, bool, Box<dyn Fn(&mut Archive) + 'a>);
    let questions: [Question<'_>; 16] = [
        ("by queue id, anywhere", true, Box::new(newest(&queue_id, 100))),
        ("by queue id, of today", true, Box::new(newest(&near, 100))),
        ("by Message-ID", true, Box::new(newest(&message_id, 100))),
        ("the last 100", true, Box::new(newest(&all, 100))),
        ("the last 100 of a large domain", true, Box::new(newest(&domain, 100))),
        ("all of a small domain", true, Box::new(newest(&rare, 1000))),
        ("a large domain, today", true, Box::new(newest(&domain_day, 10_000))),
        ("the last 100 of a cause", true, Box::new(newest(&cause, 100))),
        ("a cause at a domain", true, Box::new(newest(&both, 1000))),
        ("what was signed today", true, Box::new(newest(&signed, 100_000))),
        ("causes new since yesterday", true, Box::new(|archive| drop(archive.new_causes(now - DAY)))),
        ("summary of today", true, Box::new(|archive| summary(archive, &day, 24))),
        ("summary of a large domain", true, Box::new(|archive| summary(archive, &domain, 90))),
        ("counts by result, of all", true, Box::new(|archive| drop(archive.outcomes(&all)))),
        ("counts by domain, of all", false, Box::new(|archive| drop(archive.domains(&all, 20)))),
        ("summary of all", false, Box::new(|archive| summary(archive, &all, 90))),
    ];
    let mut good = true;
    for (name, common, question) in questions {
        let mut times: Vec<Duration> = (0..3)
            .map(|_| {
                // A connection of its own each time, as a command has.
                let start = Instant::now();
                let mut archive = Archive::open(place).expect("a store");
                question(&mut archive);
                start.elapsed()
            })
            .collect();
        times.sort();
        let slow = common && times[1] >= Duration::from_secs(1);
        good &= !slow;
        println!("{:>8.1} ms  {name}{}", times[1].as_secs_f64() * 1000.0, if slow { "  TOO SLOW" } else { "" });
    }
    good
}
