//! `waxseal log` as an operator runs it: on the store of a milter that works, on a log, and on what strangers wrote.

mod common;

use common::{
    eventually, open_folder,
    process::{Process, run},
    waxseal::{Home, Waxseal},
};
use indymilter_test::{MacroStage, SocketInfo, Status, TestConnection};
use serde_json::Value;
use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};
use waxseal::dkim::KeyType;

const WAXSEAL: &str = env!("CARGO_BIN_EXE_waxseal");
const LIMIT: Duration = Duration::from_secs(60);

fn log(arguments: &[&str]) -> Output {
    let mut command = Command::new(WAXSEAL);
    command.arg("log").args(arguments).env("TZ", "Asia/Seoul").stdin(Stdio::null());
    command.output().expect("it runs")
}

#[track_caller]
fn told(arguments: &[&str]) -> String {
    let output = log(arguments);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{err}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn objects(arguments: &[&str]) -> Vec<Value> {
    told(arguments).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Hands one message to a milter.
async fn send(waxseal: &Waxseal, queue_id: &str, from: &str) {
    let address = waxseal.socket();
    let address = address.strip_prefix("inet:").expect("an address").to_owned();
    let mut milter = TestConnection::open(address).await.expect("it listens");
    let client: std::net::IpAddr = "127.0.0.1".parse().expect("an address");
    milter.connect("localhost", SocketInfo::Inet((client, 25).into())).await.expect("an answer");
    milter.helo("localhost").await.expect("an answer");
    milter.mail([format!("<{from}>")]).await.expect("an answer");
    milter.rcpt(["<bob@example.net>"]).await.expect("an answer");
    milter.header("From", format!(" {from}")).await.expect("an answer");
    milter.header("Message-ID", format!(" <{queue_id}@example.com>")).await.expect("an answer");
    milter.macros(MacroStage::Eoh, [("i", queue_id)]).await.expect("macros");
    if milter.eoh().await.expect("an answer") == Status::Accept {
        // It passes unsigned, and no more is asked.
        return;
    }
    milter.macros(MacroStage::Eom, [("i", queue_id)]).await.expect("macros");
    milter.eom().await.expect("an answer");
    milter.close().await.expect("closed");
}

fn home(more: &str) -> Home {
    let home = Home::new();
    home.key(KeyType::Rsa, "s1");
    home.settings(&format!(
        "{more}\n[[listener]]\nsocket = \"inet:127.0.0.1:0\"\nmode = \"sign\"\n[domains.\"example.com\"]\n\
         selector = \"s1\"\nkey = \"keys/s1.pem\"\n"
    ));
    home
}

/// Events of a store, whether or not it is there yet.
fn stored(config: &str) -> Vec<Value> {
    let output = log(&["--json", "--config", config]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_milter_did_is_found_even_after_a_kill() {
    let mut waxseal = Waxseal::start(home(""));
    let config = waxseal.home().path("waxseal.toml").display().to_string();
    send(&waxseal, "4A", "ann@example.com").await;
    send(&waxseal, "4B", "ann@example.org").await;
    eventually("both are stored", LIMIT, || (stored(&config).len() == 2).then_some(()));
    waxseal.kill();
    waxseal.restart();
    send(&waxseal, "4C", "ann@example.com").await;
    eventually("the third is stored", LIMIT, || (stored(&config).len() == 3).then_some(()));

    // The store holds what the log says, word for word.
    let mut logged = eventually("the log has all", LIMIT, || Some(waxseal.events()).filter(|events| events.len() == 3));
    for event in &mut logged {
        event.as_object_mut().expect("an object").remove("level");
    }
    assert_eq!(stored(&config), logged);
    let ids = |arguments: &[&str]| -> Vec<String> {
        let arguments = [arguments, &["--json", "--config", &config]].concat();
        objects(&arguments).iter().map(|event| event["queue_id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(&["--since", "today"]), ["4A", "4B", "4C"]);
    assert_eq!(ids(&["--action", "sign"]), ["4A", "4C"]);
    assert_eq!(ids(&["--domain", "example.org"]), ["4B"]);
    assert_eq!(ids(&["--message-id", "4C@example.com"]), ["4C"]);
    assert_eq!(ids(&["-n", "1"]), ["4C"]);
    let line = told(&["--queue-id", "4B", "--config", &config]);
    assert!(line.contains("not signed: no key is configured for the From domain example.org"), "{line}");

    let mut follow = Command::new(WAXSEAL);
    follow.args(["log", "--follow", "--json", "--config", &config]);
    let follower = Process::start(follow, waxseal.home().path("followed"));
    eventually("it starts with the last events", LIMIT, || follower.said().contains("\"4C\"").then_some(()));
    send(&waxseal, "4D", "ann@example.com").await;
    eventually("it sees the next one", LIMIT, || follower.said().contains("\"4D\"").then_some(()));
    assert_eq!(follower.said().lines().count(), 4);
    assert!(waxseal.stop().success());
    // What was asked just before the end is there too, and the file can be read when nobody writes.
    assert_eq!(stored(&config).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_the_store_holds_up_mail() {
    let waxseal = Waxseal::start(home("store.url = \"sqlite:missing/events.db\""));
    let complaints = || {
        let line = |line: &Value| line["message"].as_str().is_some_and(|text| text.contains("events are not stored"));
        waxseal.log().into_iter().filter(line).count()
    };
    eventually("it says so at once", LIMIT, || (complaints() == 1).then_some(()));
    for number in 0..20 {
        let start = Instant::now();
        send(&waxseal, &format!("4{number}"), "ann@example.com").await;
        assert!(start.elapsed() < Duration::from_secs(1), "mail waited {:?}", start.elapsed());
    }
    assert_eq!(complaints(), 1);
    fs::create_dir(waxseal.home().path("missing")).expect("a folder");
    let config = waxseal.home().path("waxseal.toml").display().to_string();
    eventually("it recovers by itself", LIMIT, || (stored(&config).len() == 20).then_some(()));
    let again = |line: &Value| line["message"].as_str().is_some_and(|text| text.contains("stored again"));
    eventually("it says that too", LIMIT, || waxseal.log().iter().find(|line| again(line)).cloned());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_nothing_that_fits_into_the_queue() {
    let home = home("store.url = \"sqlite:small/events.db\"");
    let small = home.path("small");
    fs::create_dir(&small).expect("a folder");
    let waxseal = Waxseal::start_with_small_disk(home, &small, "1m");
    // The disk is seen by the milter alone; this is the way to what it sees.
    let seen =
        Path::new("/proc").join(waxseal.id().to_string()).join("root").join(small.strip_prefix("/").expect("a path"));
    send(&waxseal, "4A", "ann@example.com").await;
    eventually("the store is there", LIMIT, || seen.join("events.db-wal").exists().then_some(()));
    let ballast = seen.join("ballast");
    let full = (0..).map(|_| fs::File::options().create(true).append(true).open(&ballast)).find_map(|file| {
        let mut file = file.expect("a file");
        // In small pieces, so that nothing is left over.
        (0..1024).find_map(|_| file.write_all(&[0; 512]).err())
    });
    assert_eq!(full.map(|error| error.kind()), Some(std::io::ErrorKind::StorageFull));
    let complaint = |what: &'static str| {
        let log = waxseal.log();
        log.iter().filter(|line| line["message"].as_str().is_some_and(|text| text.contains(what))).count()
    };
    for number in 0..200 {
        let start = Instant::now();
        send(&waxseal, &format!("4B{number}"), "ann@example.com").await;
        assert!(start.elapsed() < Duration::from_secs(1), "mail waited {:?}", start.elapsed());
    }
    eventually("it says that the disk is full", LIMIT, || (complaint("disk is full") == 1).then_some(()));
    fs::remove_file(&ballast).expect("removed");
    eventually("it recovers", LIMIT, || (complaint("stored again") == 1).then_some(()));
    let inside = || {
        let mut command = Command::new("/usr/bin/nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", waxseal.id())).args([WAXSEAL, "log", "--json", "--config"]);
        run(command.arg(waxseal.home().path("waxseal.toml"))).lines().count()
    };
    eventually("all are there", LIMIT, || (inside() == 201).then_some(()));
    assert_eq!((complaint("events are not stored"), complaint("0 were lost")), (1, 1));
}

#[test]
fn a_missing_store_is_a_mistake_with_its_fix() {
    let home = home("");
    let config = home.path("waxseal.toml").display().to_string();
    for (arguments, want) in [
        (&["--config", &config][..], "events.db"),
        (&["--config", "/nowhere/waxseal.toml"], "no such settings file"),
        (&["--config", &config, "--since", "noon"], "--since"),
        (&["--from-log", "/nowhere/log"], "/nowhere/log"),
        (&["--config", &config, "--action", "fly"], "sign, verify, pass"),
        (&["--summary", "--follow"], "cannot be used"),
    ] {
        let output = log(arguments);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {err}");
        assert!(err.contains(want), "{arguments:?}: {err}");
    }
    assert!(!home.path("events.db").exists(), "a question made a store");
}

const LINES: &str = r#"{"level":"info","time":"2026-11-23T04:00:00.000Z","host":"mx","queue_id":"4A","action":"sign","direction":"out","domain":"example.com","selector":"s1","result":"pass","signatures":[{"domain":"example.com","selector":"s1","algorithm":"rsa-sha256","result":"pass"}],"from_domain":"example.com","mail_from":"<ann@example.com>","rcpt_to":["<bob@example.net>"],"size":1,"millis":1}
{"level":"info","time":"2026-11-23T04:00:01.000Z","message":"ready: version 0.1.0, 1 domains"}
{"level":"info","time":"2026-11-23T05:00:00.000Z","host":"mx","queue_id":"4B","action":"verify","direction":"in","domain":"example.net","selector":"s","result":"fail","reason":"body hash did not verify","signatures":[{"domain":"example.net","selector":"s","algorithm":"rsa-sha256","result":"fail","reason":"body hash did not verify"}],"spf":"softfail","dmarc":"fail","client_ip":"192.0.2.9","from_domain":"example.net","mail_from":"<eve@example.net>","rcpt_to":["<secret@example.com>"],"message_id":"<2@example.net>","size":1,"millis":1}
{"level":"info","time":"2026-11-23T05:00:01.000Z","host":"mx","queue_id":"4B","action":"diagnose","direction":"in","domain":"example.net","result":"fail","from_domain":"example.net","mail_from":"<eve@example.net>","message_id":"<2@example.net>","client_ip":"192.0.2.9","causes":[{"cause":"dkim-record-not-found","confidence":"certain"}],"rcpt_to":["<secret@example.com>"]}
"#;

fn file(folder: &Path, text: impl AsRef<[u8]>) -> String {
    let path = folder.join("log");
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

#[test]
fn a_json_log_answers_the_same_questions() {
    let folder = open_folder();
    let path = file(folder.path(), LINES);
    let text = told(&["--from-log", &path]);
    let starts: Vec<&str> = text.lines().filter_map(|line| line.get(..19)).collect();
    // Seoul is nine hours ahead.
    assert_eq!(starts, ["2026-11-23 13:00:00", "2026-11-23 14:00:00", "2026-11-23 14:00:01"]);
    assert!(told(&["--from-log", &path, "--utc"]).starts_with("2026-11-23 04:00:00Z"));
    assert_eq!(objects(&["--from-log", &path, "--json", "--cause", "dkim-record-not-found"]).len(), 1);

    let summary = told(&["--from-log", &path, "--summary", "--utc"]);
    for want in ["3 events since 2026-11-23 04:00:00Z (UTC)", "sign pass", "verify fail", "dkim-record-not-found"] {
        assert!(summary.contains(want), "{want}:\n{summary}");
    }
    let summary = &objects(&["--from-log", &path, "--summary", "--json"])[0];
    assert_eq!(summary["causes"][0]["cause"], "dkim-record-not-found");
    assert_eq!(summary["outcomes"].as_array().map(Vec::len), Some(3));

    let note = told(&["note", "example.net", "--from-log", &path]);
    for want in ["Subject: ", "1 of 1 messages", "dkim-record-not-found", "What to do", "192.0.2.9", "<2@example.net>"]
    {
        assert!(note.contains(want), "{want}:\n{note}");
    }
    assert!(!note.contains("secret"), "the note names a recipient:\n{note}");

    let mut piped = Command::new(WAXSEAL);
    piped.args(["log", "--json", "--from-log", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut piped = piped.spawn().expect("it runs");
    piped.stdin.take().expect("its input").write_all(LINES.as_bytes()).expect("written");
    let output = piped.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 3);
}

#[test]
fn what_strangers_wrote_does_no_harm() {
    let folder = open_folder();
    let hostile = "\u{1b}]0;x\u{7}\u{9b}2J\r\n<script>alert(1)</script>\u{202e}\u{0}'; DROP TABLE waxseal_events; --";
    let event = serde_json::json!({
        "time": "2026-11-23T04:00:00.000Z", "queue_id": hostile, "action": "verify", "result": hostile,
        "reason": hostile.repeat(1000), "from_domain": hostile, "mail_from": hostile, "rcpt_to": [hostile],
        "message_id": hostile, "dmarc": "fail", "spf": hostile, "client_ip": hostile,
        "signatures": [{"domain": hostile, "selector": hostile, "result": hostile, "reason": hostile}],
        "causes": [{"cause": hostile, "confidence": hostile}],
    });
    let mut text = event.to_string().into_bytes();
    text.extend(b"\n\xff\xfe not UTF-8 {\"action\":\n");
    let path = file(folder.path(), text);
    for arguments in [&[][..], &["--json"], &["--summary"], &["--summary", "--json"]] {
        let out = told(&[&["--from-log", &path], arguments].concat());
        let bad = out.chars().find(|c| c.is_control() && *c != '\n' || matches!(c, '\u{202e}'));
        assert_eq!(bad, None, "{arguments:?}: {out:?}");
        assert!(out.len() < 20_000, "{arguments:?}: {} octets", out.len());
        if arguments.is_empty() {
            assert_eq!(out.lines().count(), 1, "{out}");
        }
    }
    let name = hostile.replace('\0', "");
    let out = told(&["note", &name, "--from-log", &path]);
    assert!(!out.chars().any(|c| c.is_control() && c != '\n'), "{out:?}");
}
