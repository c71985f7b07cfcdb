//! Waxseal signs through a real Postfix, and every message of every odd shape verifies everywhere; none goes unsigned.

mod common;

use common::{
    delivery::{self, Known},
    eventually, mail,
    postfix::{Options, Postfix},
    sink::Sink,
    verifiers::{Judge, Verifier},
    waxseal::{Home, Key, Waxseal},
};
use std::{collections::BTreeSet, time::Duration};
use waxseal::dkim::KeyType;

/// Why a verifier refuses a signature that RFC 6376 makes valid, kind by kind, where header fields are relaxed.
///
/// Stray CRs are no difference: Postfix 3.7.11 makes blanks of them before any milter sees the message
/// (cleanup_replace_stray_cr_lf). Repeated single-use fields are none either: only opendkim-testmsg refuses them, by an
/// option of the library (STRICTHDRS) that the opendkim milter leaves off.
const KNOWN_RELAXED: [Known; 1] = [Known {
    kind: "form-feed",
    verifier: Verifier::OpenDkim,
    because: "its relaxed header takes form feed and vertical tab for blanks; WSP is space and tab (RFC 5234)",
}];

/// Settings that sign for example.com with one key, on any port.
fn settings_for(key: &Key, canonicalization: &str) -> String {
    format!(
        "signing.canonicalization = \"{canonicalization}\"\n[[listener]]\nsocket = \"inet:127.0.0.1:0\"\n\
         [domains.\"example.com\"]\nselector = \"{}\"\nkey = \"keys/{}\"\n",
        key.selector, key.file
    )
}

/// 300 messages through one Postfix, one milter, three verifiers.
fn signs_everything(canonicalization: &str, algorithms: &[KeyType], known: &[Known]) {
    let home = Home::new();
    let keys: Vec<_> =
        algorithms.iter().zip(["first", "second"]).map(|(&algorithm, name)| home.key(algorithm, name)).collect();
    let mut settings = settings_for(&keys[0], canonicalization);
    if keys.len() > 1 {
        settings += "ed25519 = { selector = \"second\", key = \"keys/second.pem\" }\n";
    }
    home.settings(&settings);
    let waxseal = Waxseal::start(home);
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address(), waxseal.socket()));

    let messages = mail::messages(1, 300, "example.com");
    delivery::send(&postfix, &messages);
    let delivered = delivery::collect(&sink, &messages, Duration::from_secs(180));
    delivery::all_verify(&messages, &delivered, "example.com", &keys, known);

    // The log has one event for each message that Postfix queued, bounced ones and their bounces included.
    let bounces = messages.iter().filter(|mail| mail.kind == "bounce").count();
    let wanted = messages.len() + bounces;
    let events = eventually("an event for each message", Duration::from_secs(30), || {
        Some(waxseal.events()).filter(|events| events.len() >= wanted)
    });
    assert_eq!(events.len(), wanted);
    for event in &events {
        assert_eq!((event["action"].as_str(), event["result"].as_str()), (Some("sign"), Some("pass")), "{event}");
        let queue_id = event["queue_id"].as_str().expect("a queue id");
        assert!(postfix.log().contains(&format!(" {queue_id}: ")), "Postfix does not know {queue_id}");
    }
}

#[test]
fn relaxed_relaxed_with_two_keys() {
    signs_everything("relaxed/relaxed", &[KeyType::Rsa, KeyType::Ed25519], &KNOWN_RELAXED);
}

#[test]
fn relaxed_simple() {
    signs_everything("relaxed/simple", &[KeyType::Rsa], &KNOWN_RELAXED);
}

#[test]
fn simple_relaxed() {
    signs_everything("simple/relaxed", &[KeyType::Rsa], &[]);
}

#[test]
fn simple_simple() {
    signs_everything("simple/simple", &[KeyType::Rsa], &[]);
}

/// What `smtp_line_length_limit` = 998, Postfix's default, does to a message after it was signed.
#[test]
fn lines_over_998_octets_are_broken_after_signing() {
    let home = Home::new();
    let key = home.key(KeyType::Rsa, "first");
    home.settings(&settings_for(&key, "relaxed/relaxed"));
    let waxseal = Waxseal::start(home);
    let sink = Sink::start();
    let options = Options { main: Vec::new(), ..Options::new(sink.address(), waxseal.socket()) };
    let postfix = Postfix::start(&options);

    let long = |mail: &mail::Mail| mail.bytes.split(|&byte| byte == b'\n').any(|line| line.len() > 998);
    let (broken, whole): (Vec<_>, Vec<_>) = mail::messages(2, 80, "example.com").into_iter().partition(long);
    let kinds: BTreeSet<_> = broken.iter().map(|mail| mail.kind).collect();
    assert_eq!(kinds, BTreeSet::from(["long-header", "long-line"]));

    delivery::send(&postfix, &whole);
    let delivered = delivery::collect(&sink, &whole, Duration::from_secs(120));
    delivery::all_verify(&whole, &delivered, "example.com", std::slice::from_ref(&key), &KNOWN_RELAXED);

    sink.take();
    delivery::send(&postfix, &broken);
    let records = [key.published("example.com")];
    let mut judges = Judge::all(&records);
    for (mail, arrived) in broken.iter().zip(delivery::collect(&sink, &broken, Duration::from_secs(120))) {
        let lines = arrived.bytes.split(|&byte| byte == b'\n');
        assert!(lines.clone().all(|line| line.len() <= 999), "{}: Postfix broke no line", mail.name);
        // Postfix writes CR LF SP after 998 octets; without them it is the message that was signed.
        let mended = mended(&arrived.bytes);
        for judge in &mut judges {
            let verdicts = judge.judge(&arrived.bytes);
            let passed = verdicts.iter().filter(|verdict| verdict.passed()).count();
            assert_eq!((verdicts.len(), passed), (1, 0), "{}: {}: {verdicts:?}", judge.verifier(), mail.name);
            let verdicts = judge.judge(&mended);
            let said = format!("{}: {} mended: {verdicts:?}", judge.verifier(), mail.name);
            assert!(verdicts.len() == 1 && verdicts[0].passed(), "{said}");
        }
    }
}

/// The message without the breaks that smtp(8) puts into lines of more than 998 octets.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut mended = Vec::new();
    let mut line_start = 0;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"\r\n ") && at - line_start == 998 {
            // The blank counts as the first octet of the next line.
            line_start = at + 2;
            at += 3;
            continue;
        }
        if bytes[at] == b'\n' {
            line_start = at + 1;
        }
        mended.push(bytes[at]);
        at += 1;
    }
    mended
}
