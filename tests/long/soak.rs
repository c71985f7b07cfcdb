//! The program behind `tests/long/soak`: mixed messages with a reload every ten seconds, as many as are asked for, and what
//! the process holds meanwhile.
//!
//! Arguments: how many messages (1,000,000 by default). Each is answered exactly once and rightly, or it panics. At the end
//! memory must not have grown by a megabyte since the first fifth, and descriptors and threads not at all.

#[path = "../common/mod.rs"]
mod common;

use common::{
    eventually,
    forge::{RSA_2048, Signer, Zone},
    hostile::framed,
    mail::Random,
    nsd::Nsd,
    talk::{Given, Talk},
    waxseal::{Home, Waxseal},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};
use waxseal::dkim::KeyType;

const SOA: &str = "$ORIGIN example.\n@ 300 IN SOA ns.example. h.example. 1 3600 900 604800 60\n@ 300 IN NS ns.example.";
const CONNECTIONS: u64 = 4;
const RELOAD: Duration = Duration::from_secs(10);
/// What memory may grow by while all the rest of the messages go through.
const GROWTH: f64 = 1024.0;

/// What is sent.
struct Stock {
    ours: Vec<Given>,
    good: Vec<Given>,
    bad: Vec<Given>,
    passed: Given,
    stranger: Given,
}

/// What came of it.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    signed: AtomicU64,
    good: AtomicU64,
    bad: AtomicU64,
    passed: AtomicU64,
    aborted: AtomicU64,
    broken: AtomicU64,
}

/// What the process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    sent: u64,
    resident: f64,
    descriptors: usize,
    threads: usize,
}

fn main() {
    let count: u64 = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().expect("a number"));
    let zone = Zone::default()
        .line(SOA)
        .txt("sender.example", "v=spf1 ip4:192.0.2.7 -all")
        .txt("_dmarc.sender.example", "v=DMARC1; p=reject")
        .txt("sel._domainkey.sender.example", &RSA_2048.record());
    let names = Nsd::start(&[("example", zone.text())]);
    let home = Home::new();
    let key = home.key(KeyType::Rsa, "s");
    home.settings(&format!(
        "verify.resolver = \"{}\"\nverify.authserv_id = \"mx.test\"\n[[listener]]\nsocket = \"unix:socket\"\n\
         [domains.\"example.com\"]\nselector = \"s\"\nkey = \"keys/{}\"\n",
        names.address(),
        key.file
    ));
    let socket = home.path("socket");
    let mut waxseal = Waxseal::start(home);
    let (stock, counts, done) = (stock(), Counts::default(), AtomicBool::new(false));
    let start = Instant::now();
    let held = thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|seed| {
                let (socket, stock, counts) = (&socket, &stock, &counts);
                scope.spawn(move || send(socket, stock, counts, count / CONNECTIONS, seed))
            })
            .collect();
        let watcher = scope.spawn(|| watch(&waxseal, &counts, &done));
        let sent: Vec<_> = senders.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::SeqCst);
        let held = watcher.join().expect("it watches to the end");
        sent.into_iter().for_each(|one| one.expect("every message is answered"));
        held
    });
    let took = start.elapsed();
    // Threads that wait for files end when nothing has come for a while.
    let idle = eventually("every descriptor and thread comes back", Duration::from_secs(60), || {
        let now = look(&waxseal, count);
        (now.descriptors <= held[0].descriptors && now.threads <= held[0].threads).then_some(now)
    });
    report(&counts, &held, idle, took);
    assert!(waxseal.stop().success());
}

fn stock() -> Stock {
    let mail = |domain: &str, number: usize, size: usize| {
        let line = "Some words of a line, as they are written by people.\r\n";
        format!(
            "From: a@{domain}\r\nTo: user@receiver.example\r\nSubject: number {number}\r\n\
             Date: Mon, 30 Nov 2026 04:00:00 +0000\r\nMessage-ID: <{number}@{domain}>\r\n\r\n{}",
            line.repeat(size / line.len() + 1)
        )
    };
    let sizes = [100, 2_000, 20_000, 200_000];
    let each =
        |make: &dyn Fn(usize, usize) -> Given| sizes.iter().enumerate().map(|(at, &size)| make(at, size)).collect();
    let sign = |at, size| Signer::new(&RSA_2048, "sender.example").sign(mail("sender.example", at, size).as_bytes());
    Stock {
        ours: each(&|at, size| Given::new("127.0.0.1", "a@example.com", mail("example.com", at, size).as_bytes())),
        good: each(&|at, size| Given::new("192.0.2.7", "a@sender.example", &sign(at, size))),
        bad: each(&|at, size| {
            let mut given = Given::new("192.0.2.7", "a@sender.example", &sign(at, size));
            given.body.extend_from_slice(b"and a line that was added\r\n");
            given
        }),
        passed: Given::new("127.0.0.1", "a@other.example", mail("other.example", 0, 2_000).as_bytes()),
        stranger: Given::new("192.0.2.7", "a@sender.example", mail("sender.example", 0, 2_000).as_bytes()),
    }
}

/// Sends its share, in sessions of some messages each.
fn send(socket: &Path, stock: &Stock, counts: &Counts, share: u64, seed: u64) {
    let mut random = Random::new(seed);
    let mut left = share;
    while left > 0 {
        let ours = random.below(2) == 0;
        let mut talk = Talk::open(socket).expect("it serves");
        let messages = left.min(1 + random.next() % 40);
        for _ in 0..messages {
            left -= 1;
            counts.sent.fetch_add(1, Ordering::Relaxed);
            // One in twenty is given up, and one in forty breaks off with its connection.
            match random.below(40) {
                0 | 1 => {
                    talk.begin(if ours { &stock.ours[0] } else { &stock.stranger }).expect("taken");
                    assert_eq!(talk.hear().expect("an answer"), b"c");
                    talk.say(&framed(b"Bhalf a body\r\n")).and_then(|()| talk.abort()).expect("taken");
                    counts.aborted.fetch_add(1, Ordering::Relaxed);
                }
                2 => {
                    talk.begin(if ours { &stock.ours[0] } else { &stock.stranger }).expect("taken");
                    talk.say(b"\0\0\xff\xffBhalf a packet").expect("taken");
                    counts.broken.fetch_add(1, Ordering::Relaxed);
                    talk = Talk::open(socket).expect("it serves");
                }
                _ => whole(&mut talk, stock, counts, &mut random, ours),
            }
        }
        assert_eq!(talk.quit().expect("an end"), b"", "an answer that nobody asked for");
    }
}

fn whole(talk: &mut Talk, stock: &Stock, counts: &Counts, random: &mut Random, ours: bool) {
    // Small mail is the rule.
    let size = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3][random.below(16)];
    let (given, count) = match (ours, random.below(4)) {
        (true, 0) => (&stock.passed, &counts.passed),
        (true, _) => (&stock.ours[size], &counts.signed),
        (false, 0) => (&stock.bad[size], &counts.bad),
        (false, _) => (&stock.good[size], &counts.good),
    };
    let answer = talk.message(given).expect("an answer");
    let signatures = answer.edits.iter().filter(|edit| edit[5..].starts_with(b"DKIM-Signature\0")).count();
    let results = |what: &str| answer.inserts("Authentication-Results", what);
    let right = match (ours, std::ptr::eq(count, &counts.bad)) {
        (true, _) => signatures == usize::from(std::ptr::eq(count, &counts.signed)) && answer.edits.len() == signatures,
        (false, true) => answer.edits.len() == 1 && results("dkim=fail") && results("dmarc=pass"),
        (false, false) => answer.edits.len() == 1 && results("dkim=pass") && results("dmarc=pass"),
    };
    assert!(answer.verdict == b'a' && right, "{given:?}: {answer:?}");
    count.fetch_add(1, Ordering::Relaxed);
}

/// Reloads every ten seconds and looks what the process holds.
fn watch(waxseal: &Waxseal, counts: &Counts, done: &AtomicBool) -> Vec<Held> {
    let log: PathBuf = waxseal.home().path("log");
    let mut held = vec![look(waxseal, 0)];
    while !done.load(Ordering::SeqCst) {
        let start = Instant::now();
        eventually("ten seconds pass", Duration::from_secs(60), || {
            (start.elapsed() >= RELOAD || done.load(Ordering::SeqCst)).then_some(())
        });
        // What was said so far would only be read again and again.
        let text = fs::read_to_string(&log).expect("its log");
        assert!(!text.contains("panicked"), "{text}");
        fs::File::options().write(true).open(&log).and_then(|file| file.set_len(0)).expect("our own file");
        waxseal.reload().expect("good settings");
        held.push(look(waxseal, counts.sent.load(Ordering::Relaxed)));
        let now = held[held.len() - 1];
        println!(
            "{} messages: {:.0} KiB, {} descriptors, {} threads",
            now.sent, now.resident, now.descriptors, now.threads
        );
    }
    held
}

fn look(waxseal: &Waxseal, sent: u64) -> Held {
    let place = PathBuf::from(format!("/proc/{}", waxseal.pid()));
    let status = fs::read_to_string(place.join("status")).expect("it lives");
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux says it");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number")
    };
    Held {
        sent,
        resident: number("VmRSS:"),
        descriptors: fs::read_dir(place.join("fd")).expect("it lives").count(),
        threads: fs::read_dir(place.join("task")).expect("it lives").count(),
    }
}

/// How fast the resident memory grows from the first fifth to the end, by least squares, in KiB for all those messages.
fn growth(held: &[Held]) -> f64 {
    let last = held[held.len() - 1].sent;
    let points: Vec<(f64, f64)> =
        held.iter().filter(|at| at.sent >= last / 5).map(|at| (at.sent as f64, at.resident)).collect();
    let count = points.len() as f64;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(&|point| point.0), mean(&|point| point.1));
    let above: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let below: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let span = points[points.len() - 1].0 - points[0].0;
    if below > 0.0 { above / below * span } else { 0.0 }
}

fn report(counts: &Counts, held: &[Held], idle: Held, took: Duration) {
    let number = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let grown = growth(held);
    println!(
        "{} messages in {:.0} s with {} reloads: {} signed, {} good and {} bad verified, {} passed, {} given up, {} broken off; \
         each answered once",
        number(&counts.sent),
        took.as_secs_f64(),
        held.len() - 1,
        number(&counts.signed),
        number(&counts.good),
        number(&counts.bad),
        number(&counts.passed),
        number(&counts.aborted),
        number(&counts.broken)
    );
    println!(
        "memory {:.0} KiB at the end, grown by {grown:.0} KiB since the first fifth; descriptors {} at first, at most {} and {} at the \
         end; threads {}, {} and {}",
        idle.resident,
        held[0].descriptors,
        held.iter().map(|at| at.descriptors).max().unwrap_or_default(),
        idle.descriptors,
        held[0].threads,
        held.iter().map(|at| at.threads).max().unwrap_or_default(),
        idle.threads
    );
    assert!(grown < GROWTH, "memory grows");
}
