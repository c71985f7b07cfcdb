//! What runs short or goes wrong around the program while mail flows: descriptors, whoever reads its log, and the clock.

mod common;

use common::{
    eventually,
    forge::{RSA_2048, Signer, Zone},
    nsd::Nsd,
    talk::{Answer, Given, Talk},
    waxseal::{Home, Waxseal},
};
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::{Duration, Instant},
};
use waxseal::{clock, dkim::KeyType};

const LIMIT: Duration = Duration::from_secs(60);

const SOA: &str = "$ORIGIN example.\n@ 300 IN SOA ns.example. h.example. 1 3600 900 604800 60\n@ 300 IN NS ns.example.";

fn names() -> Nsd {
    let zone = Zone::default().line(SOA).txt("sel._domainkey.sender.example", &RSA_2048.record());
    Nsd::start(&[("example", zone.text())])
}

/// Signs for example.com and verifies the mail of others, on a Unix socket.
fn home(names: &Nsd) -> (Home, PathBuf) {
    let home = Home::new();
    let key = home.key(KeyType::Rsa, "s");
    home.settings(&format!(
        "verify.resolver = \"{}\"\nverify.authserv_id = \"mx.test\"\n[[listener]]\nsocket = \"unix:socket\"\n\
         [domains.\"example.com\"]\nselector = \"s\"\nkey = \"keys/{}\"\n",
        names.address(),
        key.file
    ));
    let socket = home.path("socket");
    (home, socket)
}

fn ours() -> Given {
    Given::new("127.0.0.1", "a@example.com", b"From: a@example.com\r\nSubject: ours\r\n\r\nbody\r\n")
}

#[track_caller]
fn is_signed(answer: &Answer) {
    assert!(answer.verdict == b'a' && answer.inserts("DKIM-Signature", "d=example.com"), "{answer:?}");
}

/// The processor time that a process has taken so far.
fn used(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
    let ticks: u64 = [11, 12].into_iter().map(|at: usize| fields[at].parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

/// The CPU time that a process takes in this time.
fn used_in(pid: u32, time: Duration) -> Duration {
    let (start, before) = (Instant::now(), used(pid));
    eventually("the time passes", LIMIT, || (start.elapsed() >= time).then_some(()));
    used(pid) - before
}

#[test]
fn out_of_descriptors_it_waits_without_spinning_and_is_back_at_once() {
    for limit in ["64", "256"] {
        let names = names();
        let (home, socket) = home(&names);
        let waxseal = Waxseal::start_under(home, &["/usr/bin/prlimit", &format!("--nofile={limit}:{limit}"), "--"]);
        let mut before = Talk::open(&socket).expect("it serves");
        is_signed(&before.message(&ours()).expect("an answer"));

        let count = 2 * limit.parse::<usize>().expect("a number");
        let idle: Vec<_> = (0..count).map(|_| UnixStream::connect(&socket).expect("the kernel keeps it")).collect();
        eventually("it says so", LIMIT, || {
            let said =
                |line: &serde_json::Value| line["message"].as_str().is_some_and(|text| text.contains("accept failed"));
            waxseal.log().iter().any(said).then_some(())
        });
        // Who is in is served.
        is_signed(&before.message(&ours()).expect("an answer"));
        let busy = used_in(waxseal.pid(), Duration::from_secs(2));
        assert!(busy < Duration::from_millis(100), "{limit}: {busy:?} of CPU in two seconds");

        drop(idle);
        let start = Instant::now();
        is_signed(&Talk::open(&socket).expect("it serves").message(&ours()).expect("an answer"));
        let took = start.elapsed();
        println!("limit {limit}: {busy:?} of CPU in 2 s without descriptors, a new connection served after {took:?}");
        assert!(took < Duration::from_secs(1), "{limit}: {took:?}");
        before.quit().expect("an end");
    }
}

#[test]
fn a_log_that_nobody_reads_holds_up_no_mail() {
    for gone in [true, false] {
        let names = names();
        let (home, socket) = home(&names);
        let pipe = home.path("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).expect("a pipe");
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", "exec \"$@\" 2>\"$0\""]).arg(&pipe).arg(env!("CARGO_BIN_EXE_waxseal"));
        command.arg("run").arg("--config").arg(home.path("waxseal.toml"));
        let mut process = common::process::Process::start(command, home.path("said"));
        let mut reader = Some(BufReader::new(fs::File::open(&pipe).expect("its other end")));
        let mut lines = reader.as_mut().expect("it is there").lines();
        let ready = lines.any(|line| line.expect("a line").contains("ready: "));
        assert!(ready, "{}", process.said());
        if gone {
            reader = None;
        }
        // Far more lines than a pipe holds, and than wait for it.
        let mut talk = Talk::open(&socket).expect("it serves");
        let mut longest = Duration::ZERO;
        for _ in 0..MANY {
            let start = Instant::now();
            is_signed(&talk.message(&ours()).expect("an answer"));
            longest = longest.max(start.elapsed());
        }
        talk.quit().expect("an end");
        let what = if gone { "gone" } else { "stalled" };
        println!("reader {what}: {MANY} messages, the slowest took {longest:?}");
        assert!(longest < Duration::from_secs(1), "reader {what}: {longest:?}");
        process.signal("TERM");
        let status = process.wait(LIMIT);
        assert!(status.success(), "reader {what}: {status}");
        drop(reader);
    }
}

/// A pipe holds 64 KiB: some 200 lines.
const MANY: usize = 2_000;

/// The value of t= in the signature that is inserted.
fn signed_at(answer: &Answer) -> i64 {
    is_signed(answer);
    let edit = String::from_utf8_lossy(&answer.edits[0]).into_owned();
    let value = edit.split("t=").nth(1).and_then(|rest| rest.split(';').next()).expect("t=");
    value.trim().parse().expect("seconds")
}

/// libfaketime tells the program another time; what waits goes by the monotonic clock, which nothing sets.
#[test]
fn the_clock_may_jump_by_years() {
    const YEARS: i64 = 3650 * 86_400;
    let names = names();
    let (home, socket) = home(&names);
    let offset = home.path("offset");
    let set = |text: &str| {
        let new = offset.with_extension("new");
        fs::write(&new, text).expect("written");
        fs::rename(&new, &offset).expect("in one step");
    };
    set("+0");
    let library =
        ["x86_64", "aarch64"].map(|machine| format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1"));
    let library =
        library.iter().find(|path| fs::exists(path).is_ok_and(|there| there)).expect("tests/run installs faketime");
    let (library, file) = (format!("LD_PRELOAD={library}"), format!("FAKETIME_TIMESTAMP_FILE={}", offset.display()));
    let command = [
        "/usr/bin/env",
        &library,
        &file,
        "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "FAKETIME_DONT_RESET=1",
    ];
    let mut waxseal = Waxseal::start_under(home, &command);

    let now = i64::try_from(clock::unix_seconds()).expect("seconds");
    // Good for another day, as the world sees it.
    let mail = "From: a@sender.example\r\nTo: b@example.com\r\nSubject: theirs\r\nDate: Mon, 30 Nov 2026 04:00:00 +0000\r\n\r\nx\r\n";
    let signer = Signer::new(&RSA_2048, "sender.example");
    let signed = signer.set("t", (now - 60).to_string()).set("x", (now + 86_400).to_string()).sign(mail.as_bytes());
    let theirs = Given::new("192.0.2.7", "a@sender.example", &signed);
    let (mut talk, mut outside) = (Talk::open(&socket).expect("it serves"), Talk::open(&socket).expect("it serves"));
    for (text, years) in [("+0", 0), ("+3650d", YEARS), ("-3650d", -YEARS), ("+0", 0), ("+3650d", YEARS), ("+0", 0)] {
        // The jump comes in the middle of a message that is being signed.
        talk.begin(&ours()).expect("taken");
        assert_eq!(talk.hear().expect("an answer"), b"c");
        set(text);
        let start = Instant::now();
        let at = signed_at(&talk.end(b"body\r\n").expect("an answer"));
        assert!((at - now - years).abs() < 600, "{text}: t={at}");
        let answer = outside.message(&theirs).expect("an answer");
        let passes = answer.inserts("Authentication-Results", "dkim=pass");
        assert!(answer.verdict == b'a' && passes == (years == 0), "{text}: {answer:?}");
        assert!(answer.inserts("Authentication-Results", "dkim="), "{text}: {answer:?}");
        waxseal.reload().expect("good settings");
        assert!(start.elapsed() < Duration::from_secs(5), "{text}: {:?}", start.elapsed());
    }
    talk.quit().and(outside.quit()).expect("an end");
    assert!(waxseal.stop().success());
}
