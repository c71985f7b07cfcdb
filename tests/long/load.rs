//! The program behind `tests/long/load`: how long a good message takes beside many connections that are half open or slow,
//! and what the process holds meanwhile; and the processor time that hostile messages cost it.
//!
//! Arguments: the numbers of connections (500 and 2,000 by default).

#[path = "../common/mod.rs"]
mod common;

use common::{
    eventually,
    forge::{RSA_2048, Signer, Zone},
    hostile::{OPTIONS, framed},
    nsd::Nsd,
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
    costs();
}

const SOA: &str = "$ORIGIN example.\n@ 300 IN SOA ns.example. h.example. 1 3600 900 604800 60\n@ 300 IN NS ns.example.";
const HEADER: &str = "From: a@sender.example\r\nTo: user@receiver.example\r\nSubject: hostile\r\n\
                      Date: Mon, 30 Nov 2026 04:00:00 +0000\r\nMIME-Version: 1.0\r\n";

/// Makes a message with so many of something.
type Make = fn(&Signer<'_>, usize) -> Vec<u8>;

/// What is sent, how much of it, and how it is made; all are signed, so that all of it is judged.
const HOSTILE: [(&str, usize, Make); 9] = [
    ("a message of 100 KB", 2_000, |signer, size| {
        signer.sign(
            format!("{HEADER}\r\n{}", "Some words of a line, as people write them in mail.\r\n".repeat(size))
                .as_bytes(),
        )
    }),
    ("header fields", 10_000, |signer, size| {
        [&b"X-Many: one of them\r\n".repeat(size)[..], &signer.sign(format!("{HEADER}\r\nx\r\n").as_bytes())].concat()
    }),
    ("signatures", 100, |signer, size| {
        let signed = signer.sign(format!("{HEADER}\r\nx\r\n").as_bytes());
        let field = &signed[..signed.len() - HEADER.len() - 5];
        [&field.repeat(size - 1)[..], &signed].concat()
    }),
    ("MB in one line", 5, |signer, size| {
        signer.sign(format!("{HEADER}\r\n{}\r\n", " a a a".repeat((size << 20) / 6)).as_bytes())
    }),
    ("MB of blanks", 5, |signer, size| signer.sign(format!("{HEADER}\r\n{}\r\n", " ".repeat(size << 20)).as_bytes())),
    ("parts in parts", 10_000, |signer, size| {
        let part = "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n".repeat(size);
        let mail = format!("{HEADER}Content-Type: multipart/mixed; boundary=b\r\n\r\n{part}x\r\n");
        [signer.sign(mail.as_bytes()), b"changed\r\n".to_vec()].concat()
    }),
    ("results", 5_000, |signer, size| {
        let field = format!("Authentication-Results: mx.test{}\r\n", "; dkim=pass header.d=a.example".repeat(size));
        [field.into_bytes(), signer.sign(format!("{HEADER}\r\nx\r\n").as_bytes())].concat()
    }),
    ("addresses in From", 2_500, |signer, size| {
        signer.sign(format!("From: {}b@sender.example\r\n\r\nx\r\n", "<a@d.example>, ".repeat(size)).as_bytes())
    }),
    ("comments in From", 50_000, |signer, size| {
        signer.sign(format!("From: {}a@sender.example\r\n\r\nx\r\n", "(".repeat(size)).as_bytes())
    }),
];

/// What the larger of each may cost.
const MOST: Duration = Duration::from_millis(50);

/// The processor time of the whole process for a message, and for one with twice as much.
fn costs() {
    let zone = Zone::default()
        .line(SOA)
        .txt("_dmarc.sender.example", "v=DMARC1; p=none")
        .txt("sel._domainkey.sender.example", &RSA_2048.record());
    let names = Nsd::start(&[("example", zone.text())]);
    let home = Home::new();
    home.settings(&format!(
        "store.url = \"\"\nverify.resolver = \"{}\"\nverify.authserv_id = \"mx.test\"\n[[listener]]\nsocket = \"unix:socket\"\n\
         mode = \"verify\"\n",
        names.address()
    ));
    let socket = home.path("socket");
    let mut waxseal = Waxseal::start(home);
    let signer = Signer::new(&RSA_2048, "sender.example");
    for (what, size, make) in HOSTILE {
        let [one, two] = [size, 2 * size].map(|size| {
            let given = Given::new("192.0.2.7", "a@sender.example", &make(&signer, size));
            (0..20).map(|_| cost(&waxseal, &socket, &given)).min().expect("twenty")
        });
        let ratio = two.as_secs_f64() / one.as_secs_f64();
        println!("{size} {what}: {one:?} of CPU; twice as much: {two:?}, {ratio:.2} times");
        assert!(two < MOST, "{what}: {two:?}");
    }
    assert!(waxseal.stop().success());
}

fn cost(waxseal: &Waxseal, socket: &Path, given: &Given) -> Duration {
    let mut talk = Talk::open(socket).expect("it serves");
    let before = used(waxseal.pid());
    let answer = talk.message(given).expect("an answer");
    // What it does after its answer belongs to the message too: the end of the connection comes after that.
    assert_eq!(talk.quit().expect("an end"), b"");
    let cost = used(waxseal.pid()).saturating_sub(before);
    assert!(matches!(answer.verdict, b'a' | b't' | b'y'), "{answer:?}");
    cost
}

/// The time on a processor of all threads, to the nanosecond.
fn used(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
    let time = |task: fs::DirEntry| {
        // A thread that has just ended is not there.
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or_default()
    };
    Duration::from_nanos(tasks.filter_map(Result::ok).map(time).sum())
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
