//! The program behind `tests/long/load`: how long a good message takes beside many connections that are half open or slow,
//! and what the process holds meanwhile.
//!
//! Arguments: the numbers of connections (500 and 2,000 by default).

#[path = "../common/mod.rs"]
mod common;

use common::{
    eventually,
    hostile::{OPTIONS, framed},
    talk::{Given, Talk},
    waxseal::{Home, Waxseal},
};
use std::{
    fs,
    io::Write,
    os::unix::net::UnixStream,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};
use waxseal::dkim::KeyType;

const LIMIT: Duration = Duration::from_secs(60);
const MESSAGES: usize = 1_000;

fn main() {
    let mut numbers: Vec<usize> = std::env::args().skip(1).map(|text| text.parse().expect("a number")).collect();
    if numbers.is_empty() {
        numbers = vec![500, 2_000];
    }
    let given = Given::new(
        "127.0.0.1",
        "a@example.com",
        format!("From: a@example.com\r\nSubject: good\r\n\r\n{}", "Some words of a line.\r\n".repeat(90)).as_bytes(),
    );
    for number in numbers {
        let home = Home::new();
        let key = home.key(KeyType::Rsa, "s");
        home.settings(&format!(
            "store.url = \"\"\nlimits.connections = 4000\n[[listener]]\nsocket = \"unix:socket\"\n\
             [domains.\"example.com\"]\nselector = \"s\"\nkey = \"keys/{}\"\n",
            key.file
        ));
        let socket = home.path("socket");
        let mut waxseal = Waxseal::start(home);
        let before = measure(&socket, &given);
        let idle: Vec<_> = (0..number).map(|which| half_open(&socket, which)).collect();
        eventually("all are taken", LIMIT, || (descriptors(&waxseal) > number).then_some(()));
        let done = AtomicBool::new(false);
        let beside = thread::scope(|scope| {
            scope.spawn(|| drip(&idle, &done));
            let beside = measure(&socket, &given);
            done.store(true, Ordering::SeqCst);
            beside
        });
        println!(
            "{number} connections: median {:?}, and {:?} without; 99 of 100 within {:?}, and {:?} without; {} threads, {} KiB",
            beside[MESSAGES / 2],
            before[MESSAGES / 2],
            beside[MESSAGES * 99 / 100],
            before[MESSAGES * 99 / 100],
            fs::read_dir(format!("/proc/{}/task", waxseal.pid())).expect("it lives").count(),
            resident(&waxseal)
        );
        drop(idle);
        assert!(waxseal.stop().success());
    }
}

/// A connection that stops somewhere: before, in or after its negotiation, in a packet, in a header, or in a body.
fn half_open(socket: &Path, which: usize) -> UnixStream {
    let header: &[&[u8]] = &[
        OPTIONS,
        b"Cmail.example\x004\x04\xd2127.0.0.1\0",
        b"M<a@example.com>\0",
        b"R<b@example.net>\0",
        b"LFrom\0 a@example.com\0",
    ];
    let whole: Vec<u8> = header.iter().flat_map(|packet| framed(packet)).collect();
    let body = [&whole[..], &framed(b"N"), &0x0000_ffff_u32.to_be_bytes(), b"B"].concat();
    let octets: &[u8] = [&b""[..], &whole[..9], &whole[..17], &whole[..60], &whole, &body][which % 6];
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream.write_all(octets).expect("taken");
    stream
}

/// Every so often another octet of a body, on those that are in one.
fn drip(idle: &[UnixStream], done: &AtomicBool) {
    while !done.load(Ordering::SeqCst) {
        for mut stream in idle.iter().skip(5).step_by(6) {
            let _ = stream.write_all(b"x");
        }
        let start = Instant::now();
        eventually("half a second passes", LIMIT, || {
            (start.elapsed() > Duration::from_millis(500) || done.load(Ordering::SeqCst)).then_some(())
        });
    }
}

/// How long each of many messages takes, with a connection of its own as Postfix has it; shortest first.
fn measure(socket: &Path, given: &Given) -> Vec<Duration> {
    let once = || {
        let start = Instant::now();
        let mut talk = Talk::open(socket).expect("it serves");
        let answer = talk.message(given).expect("an answer");
        let took = start.elapsed();
        assert!(answer.inserts("DKIM-Signature", "d=example.com"), "{answer:?}");
        talk.quit().expect("an end");
        took
    };
    once();
    let mut all: Vec<_> = (0..MESSAGES).map(|_| once()).collect();
    all.sort();
    all
}

fn descriptors(waxseal: &Waxseal) -> usize {
    fs::read_dir(format!("/proc/{}/fd", waxseal.pid())).expect("it lives").count()
}

fn resident(waxseal: &Waxseal) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", waxseal.pid())).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says it");
    line.trim().trim_end_matches(" kB").to_owned()
}
