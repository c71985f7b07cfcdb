//! The milter behind a real Postfix knows how the published record of its own keys stands: mail waits, leaves unsigned or
//! leaves with a warning while the record is wrong, each change is said once, and all of it outlasts a restart.

mod common;

use common::{
    eventually,
    nsd::Nsd,
    postfix::{Options, Postfix},
    postgres::Postgres,
    sink::Sink,
    smtp::{Envelope, Reply},
    waxseal::{Home, Key, Waxseal},
};
use serde_json::Value;
use std::{net::SocketAddr, process::Command, time::Duration};
use waxseal::dkim::KeyType;

const LIMIT: Duration = Duration::from_secs(60);

/// The longest pause between two looks at a record that is not right is five minutes, and a busy machine gets there.
const LOOK: Duration = Duration::from_secs(330);

/// A zone without keys; nothing of it is kept for longer than a second, which is itself out of the advised range. Its name
/// server has an address that nobody asks, whoever else serves DNS on this machine.
fn zone() -> String {
    let soa = "@ SOA ns h 1 2 3 4 1\n@ NS ns\nns A 192.0.2.53\n";
    format!("$ORIGIN example.com.\n$TTL 1\n{soa}")
}

/// The record of a key at its selector, in strings of at most 255 octets.
fn record(selector: &str, text: &str) -> String {
    let strings: Vec<String> =
        text.as_bytes().chunks(255).map(|part| format!("\"{}\"", String::from_utf8_lossy(part))).collect();
    format!("{selector}._domainkey TXT {}\n", strings.join(" "))
}

/// The sending side, and the DNS of its domain.
struct Sender {
    nsd: Option<Nsd>,
    dns: SocketAddr,
    waxseal: Waxseal,
    sink: Sink,
    postfix: Postfix,
    key: Key,
}

impl Sender {
    /// With these records in the zone, and further settings of the domain.
    #[track_caller]
    fn start(records: impl Fn(&Key) -> String, domain: &str) -> Sender {
        Sender::start_with(records, "", domain)
    }

    /// As [`Sender::start`], with further settings for all.
    #[track_caller]
    fn start_with(records: impl Fn(&Key) -> String, settings: &str, domain: &str) -> Sender {
        let home = Home::new();
        let key = home.key(KeyType::Rsa, "first");
        let nsd = Nsd::start(&[("example.com", &(zone() + &records(&key)))]);
        let dns = nsd.address();
        home.settings(&format!(
            "watch.enabled = true\nverify.resolver = \"{dns}\"\n{settings}\n\
             [[listener]]\nsocket = \"unix:socket\"\nsocket_mode = \"0666\"\n\
             [domains.\"example.com\"]\nselector = \"first\"\nkey = \"keys/first.pem\"\n{domain}\n"
        ));
        let waxseal = Waxseal::start(home);
        let sink = Sink::start();
        let postfix = Postfix::start(&Options::new(sink.address(), waxseal.socket()));
        Sender { nsd: Some(nsd), dns, waxseal, sink, postfix, key }
    }

    /// Publishes another zone in place of the one before.
    #[track_caller]
    fn publish(&mut self, records: &str) {
        drop(self.nsd.take());
        self.nsd = Some(Nsd::start_at(self.dns, &[("example.com", &(zone() + records))]));
    }

    fn message(number: u32) -> Vec<u8> {
        format!("From: a@example.com\r\nTo: b@example.net\r\nSubject: {number}\r\n\r\nhello\r\n").into_bytes()
    }

    #[track_caller]
    fn offer(&self, number: u32) -> Reply {
        let envelope = Envelope { mail_from: "a@example.com", rcpt_to: vec!["b@example.net"], utf8: false };
        self.postfix.client().send(&envelope, &Sender::message(number)).expect("Postfix answers")
    }

    /// What is said of the record, in order: state and first cause.
    fn said(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let watched = self.waxseal.log().into_iter().filter(|line| line["action"] == "watch");
        watched.map(|event| (text(&event["result"]), text(&event["causes"][0]["cause"]))).collect()
    }

    #[track_caller]
    fn says(&self, state: &str, cause: &str) {
        eventually(&format!("{state} {cause}"), LOOK, || {
            (self.said().last() == Some(&(state.to_owned(), cause.to_owned()))).then_some(())
        });
    }

    /// The event of a message that was to be signed, with this result, once it is there.
    #[track_caller]
    fn event(&self, action: &str, result: &str) -> Value {
        eventually(&format!("an event {action} {result}"), LIMIT, || {
            let events = self.waxseal.events().into_iter();
            events.rev().find(|event| event["action"] == action && (result.is_empty() || event["result"] == result))
        })
    }

    /// What verifiers make of a message that arrived.
    #[track_caller]
    fn verdict(&self, message: &[u8]) -> String {
        let file = self.waxseal.home().path("arrived.eml");
        std::fs::write(&file, message).expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_waxseal"))
            .args(["verify", "--json", "--resolver", &self.dns.to_string()])
            .arg(file)
            .output()
            .expect("the program runs");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        report["dkim"][0]["result"].as_str().unwrap_or("none").to_owned()
    }
}

#[test]
fn mail_waits_while_the_record_is_wrong_and_leaves_signed_when_it_is_right() {
    let mut sender = Sender::start(|_| String::new(), "when_not_ready = \"tempfail\"");
    // Nobody knows yet: that holds nothing.
    assert_eq!(sender.offer(1).code, 250);
    sender.says("not-ready", "dkim-record-not-found");
    assert_eq!(sender.sink.wait_for(1, LIMIT).len(), 1);
    sender.sink.take();

    // A client is told to come again; what a local program hands over waits in Postfix.
    let reply = sender.offer(2);
    assert_eq!(reply.code, 451, "{reply:?}");
    sender.postfix.sendmail("a@example.com", "b@example.net", b"From: a@example.com\nSubject: 3\n\nhello\n");
    let event = sender.event("sign", "temperror");
    assert_eq!(event["causes"][0]["cause"], "dkim-record-not-found", "{event:#}");
    assert!(
        event["reason"].as_str().is_some_and(|reason| reason.contains("when_not_ready = \"tempfail\"")),
        "{event:#}"
    );
    assert!(sender.sink.messages().is_empty());

    let right = record("first", &sender.key.record);
    sender.publish(&right);
    sender.says("ready", "dns-ttl-out-of-range");
    let arrived = sender.sink.wait_for(1, LIMIT).remove(0);
    let text = String::from_utf8_lossy(&arrived.bytes).into_owned();
    assert!(text.contains("Subject: 3") && text.contains("DKIM-Signature:"), "{text}");
    assert_eq!(sender.verdict(&arrived.bytes), "pass");
    assert_eq!(sender.offer(4).code, 250);

    // What was right and is gone is another cause, and the record comes with it.
    sender.publish("");
    // A sound record is looked at again after a minute at the earliest, or whenever somebody reloads; the cache keeps the
    // answer of the second before.
    eventually("a reload sees the deletion", LIMIT, || {
        sender.waxseal.reload().expect("the same settings");
        (sender.said().len() == 3).then_some(())
    });
    sender.says("not-ready", "dkim-record-deleted");
    let words: Vec<String> = sender.said().into_iter().map(|(state, cause)| format!("{state} {cause}")).collect();
    assert_eq!(
        words,
        ["not-ready dkim-record-not-found", "ready dns-ttl-out-of-range", "not-ready dkim-record-deleted"],
        "each change is said once"
    );
    let event = sender.waxseal.log().into_iter().rfind(|line| line["action"] == "watch").expect("an event");
    assert_eq!(event["causes"][0]["confidence"], "certain");
    assert_eq!((&event["domain"], &event["selector"]), (&"example.com".into(), &"first".into()));

    // It outlasts a restart, even where DNS gives no answer.
    drop(sender.nsd.take());
    assert!(sender.waxseal.stop().success());
    sender.waxseal.restart();
    eventually("mail waits again", LIMIT, || (sender.offer(5).code == 451).then_some(()));
    assert_eq!(sender.said().len(), 3, "{:?}", sender.said());
}

#[test]
fn what_is_known_outlasts_a_restart_in_a_server_too() {
    let postgres = Postgres::start();
    let store = format!("store.url = \"{}\"", postgres.url());
    let mut sender = Sender::start_with(|_| String::new(), &store, "when_not_ready = \"tempfail\"");
    assert_eq!(sender.offer(1).code, 250);
    sender.says("not-ready", "dkim-record-not-found");
    assert!(sender.waxseal.stop().success());
    drop(sender.nsd.take());
    sender.waxseal.restart();
    eventually("mail waits again", LIMIT, || (sender.offer(2).code == 451).then_some(()));
    assert!(sender.waxseal.stop().success(), "the connection to the server ends in order");
    sender.waxseal.restart();
}

#[test]
fn mail_leaves_unsigned_or_with_a_warning_where_that_is_wanted() {
    let other = |_: &Key| record("first", &common::forge::OTHER_2048.record());
    let mut sender = Sender::start(other, "");
    assert_eq!(sender.offer(1).code, 250);
    sender.says("not-ready", "dkim-key-mismatch");
    assert_eq!(sender.offer(2).code, 250);
    let arrived = sender.sink.wait_for(2, LIMIT).remove(1);
    assert!(String::from_utf8_lossy(&arrived.bytes).contains("DKIM-Signature:"), "the default is to sign");
    let event = eventually("the event of the second message", LIMIT, || {
        sender.waxseal.events().into_iter().filter(|event| event["action"] == "sign").nth(1)
    });
    assert_eq!((&event["result"], &event["level"]), (&"pass".into(), &"warn".into()), "{event:#}");
    assert_eq!(event["causes"][0]["cause"], "dkim-key-mismatch");
    sender.sink.take();

    let text = std::fs::read_to_string(sender.waxseal.home().path("waxseal.toml")).expect("the settings");
    std::fs::write(sender.waxseal.home().path("waxseal.toml"), text + "when_not_ready = \"skip\"\n").expect("written");
    sender.waxseal.reload().expect("good settings");
    assert_eq!(sender.offer(3).code, 250);
    let arrived = sender.sink.wait_for(1, LIMIT).remove(0);
    assert!(!String::from_utf8_lossy(&arrived.bytes).contains("DKIM-Signature:"));
    let event = sender.event("pass", "");
    assert!(event["reason"].as_str().is_some_and(|reason| reason.contains("when_not_ready = \"skip\"")), "{event:#}");
    assert_eq!(sender.said().len(), 1, "{:?}", sender.said());

    // Split in two records, as the seed document forbids it.
    let (one, two) = sender.key.record.split_at(255);
    let split = record("first", one) + &record("first", two);
    sender.publish(&split);
    sender.says("not-ready", "dkim-key-split-across-records");
    let right = record("first", &sender.key.record);
    sender.publish(&right);
    sender.says("ready", "dns-ttl-out-of-range");
    sender.sink.take();
    assert_eq!(sender.offer(4).code, 250);
    let arrived = sender.sink.wait_for(1, LIMIT).remove(0);
    assert_eq!(sender.verdict(&arrived.bytes), "pass");
}
