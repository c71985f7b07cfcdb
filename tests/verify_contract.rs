//! The promises of `waxseal verify --json`, one by one: the words of a signature, which of several reasons wins, what is
//! said of body, header and key, and which exit status follows.

mod common;

use common::{
    desk::Desk,
    forge::{Key, OTHER_2048, RSA_2048, Signer, Zone},
    table::{NOW, Row, run},
};
use serde_json::Value;
use std::collections::BTreeSet;

const MAIL: &str = "From: <a@example.com>\r\nTo: <b@example.net>\r\nSubject: hello\r\n\
                    Date: Mon, 23 Nov 2026 03:59:00 +0000\r\n\r\nThe body.\r\n";

const KEY: &str = "sel._domainkey.example.com";

fn dmarc() -> Zone {
    Zone::default().txt("_dmarc.example.com", "v=DMARC1; p=reject")
}

fn good() -> Zone {
    dmarc().txt(KEY, &RSA_2048.record())
}

/// A name for whose TXT records DNS has no answer.
fn unanswered(zone: Zone, name: &str) -> Zone {
    zone.line(&format!(";waxseal-outcome {name}. TXT timeout"))
}

/// A name that leads to itself: that has no answer either, and stays so until somebody mends it.
fn circle(zone: Zone, name: &str) -> Zone {
    zone.line(&format!("{name}. 60 IN CNAME loop.{name}.")).line(&format!("loop.{name}. 60 IN CNAME {name}."))
}

fn signer() -> Signer<'static> {
    Signer::new(&RSA_2048, "example.com")
}

fn expired() -> Signer<'static> {
    signer().set("x", format!("{}", NOW - 1))
}

fn sign(signer: &Signer) -> Vec<u8> {
    signer.sign(MAIL.as_bytes())
}

fn swapped(mail: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(mail.to_vec()).expect("text");
    assert!(text.contains(from), "{from:?} is not in the message");
    text.replace(from, to).into_bytes()
}

fn body_changed(mail: &[u8]) -> Vec<u8> {
    swapped(mail, "The body.", "Another body.")
}

fn subject_changed(mail: &[u8]) -> Vec<u8> {
    swapped(mail, "Subject: hello", "Subject: goodbye")
}

/// The first signature has this result, and the program this exit status.
fn word(id: &str, mail: Vec<u8>, zone: &Zone, result: &str, status: &str) -> Row {
    Row::new(id, mail, zone).want("/dkim/0/result", result).want("status", status)
}

#[test]
fn our_rules_say_policy() {
    let small = Key::rsa(512);
    let small_mail = Signer::new(&small, "example.com").sign(MAIL.as_bytes());
    let zone = good();
    let refused = |id: &str, signer: Signer| word(id, sign(&signer), &zone, "policy", "1");
    run(vec![
        word("RSA under 1024", small_mail, &dmarc().txt(KEY, &small.record()), "policy", "1")
            .want("/dkim/0/key_bits", "512"),
        refused("rsa-sha1", signer().set("a", "rsa-sha1")),
        refused("l= shorter than the body", signer().set("l", "3")),
        refused("x= in the past", expired()),
        refused("t= in the future", signer().set("t", format!("{}", NOW + 301))),
    ]);
}

#[test]
fn syntax_comes_before_the_key_record_then_policy_then_the_digest() {
    let (zone, revoked) = (good(), dmarc().txt(KEY, "v=DKIM1; p="));
    let silent = unanswered(dmarc(), KEY);
    let small = Key::rsa(512);
    let small_records = |flags: &str| dmarc().txt(KEY, &format!("v=DKIM1; {flags}; p={}", small.public()));
    let small_mail = Signer::new(&small, "example.com").sign(MAIL.as_bytes());
    let no_from = expired().set("h", "to:subject");
    run(vec![
        word("syntax before a silent DNS", sign(&no_from), &silent, "permerror", "1").keys(0),
        word("syntax before policy", sign(&no_from), &zone, "permerror", "1"),
        word("syntax before the digest", body_changed(&sign(&signer().set("l", "-1"))), &zone, "permerror", "1"),
        word("no key before policy", sign(&expired()), &dmarc(), "permerror", "1"),
        word("a revoked key before policy", sign(&expired()), &revoked, "permerror", "1"),
        word("a revoked key before rsa-sha1", sign(&signer().set("a", "rsa-sha1")), &revoked, "permerror", "1"),
        word("a revoked key before l=", sign(&signer().set("l", "3")), &revoked, "permerror", "1"),
        word("a revoked key before the digest", body_changed(&sign(&signer())), &revoked, "permerror", "1"),
        word("flags before the size", small_mail, &small_records("s=tlsrpt"), "permerror", "1"),
        word("policy before the digest", body_changed(&sign(&expired())), &zone, "policy", "1"),
        word("policy before another key", sign(&expired()), &dmarc().txt(KEY, &OTHER_2048.record()), "policy", "1"),
        word("a silent DNS before the digest", body_changed(&sign(&signer())), &silent, "temperror", "75"),
    ]);
}

/// The three words tell a changed body, a changed header and a wrong key apart.
#[test]
fn body_header_and_key_are_told_apart() {
    let mail = sign(&signer());
    let other = dmarc().txt(KEY, &OTHER_2048.record());
    let states = |id: &str, mail: Vec<u8>, zone: &Zone, [body, header, key]: [&str; 3]| {
        Row::new(id, mail, zone).want("/dkim/0/body", body).want("/dkim/0/header", header).want("/dkim/0/key", key)
    };
    run(vec![
        states("as signed", mail.clone(), &good(), ["intact", "intact", "signer"]),
        states("body", body_changed(&mail), &good(), ["changed", "intact", "signer"]),
        states("header", subject_changed(&mail), &good(), ["intact", "changed", "signer"]),
        states("both", subject_changed(&body_changed(&mail)), &good(), ["changed", "changed", "signer"]),
        states("another key", mail.clone(), &other, ["intact", "unknown", "other"]),
        states("another key and body", body_changed(&mail), &other, ["changed", "unknown", "other"]),
        states("no key", mail.clone(), &dmarc(), ["intact", "unknown", "unavailable"]),
        states("no key and body", body_changed(&mail), &dmarc(), ["changed", "unknown", "unavailable"]),
        states("revoked", mail.clone(), &dmarc().txt(KEY, "v=DKIM1; p="), ["intact", "unknown", "unavailable"]),
        states("silent DNS", mail.clone(), &unanswered(dmarc(), KEY), ["intact", "unknown", "unavailable"]),
        states("expired", sign(&expired()), &good(), ["intact", "intact", "signer"]),
        states("expired and body", body_changed(&sign(&expired())), &good(), ["changed", "intact", "signer"]),
    ]);
}

#[test]
fn the_exit_status_says_whether_dns_is_to_blame() {
    let theirs = Signer::new(&OTHER_2048, "other.example");
    let silent = unanswered(dmarc(), KEY);
    let no_policy = unanswered(Zone::default().txt(KEY, &RSA_2048.record()), "_dmarc.example.com");
    let two_from = [b"From: <x@example.org>\r\n", MAIL.as_bytes()].concat();
    let spf = |zone: Zone| zone.txt("example.com", "v=spf1 ip4:192.0.2.1 -all");
    let from = |row: Row, ip| row.from(ip, "mx.example.com", "a@example.com");
    run(vec![
        word("authenticates", sign(&signer()), &good(), "pass", "0"),
        word("fails", body_changed(&sign(&signer())), &good(), "fail", "1"),
        word("no key to be had", sign(&signer()), &silent, "temperror", "75").want("/dmarc/result", "temperror"),
        word("aliases in a circle", sign(&signer()), &circle(dmarc(), KEY), "temperror", "1"),
        word("no policy to be had", sign(&signer()), &no_policy, "pass", "75"),
        word("no policy to be had, and failed", body_changed(&sign(&signer())), &no_policy, "fail", "1"),
        from(word("SPF passes meanwhile", sign(&signer()), &spf(silent.clone()), "temperror", "0"), "192.0.2.1"),
        from(word("SPF fails too", sign(&signer()), &spf(silent.clone()), "temperror", "75"), "192.0.2.9"),
        // Another's signature cannot help, whatever its key.
        word(
            "a stranger's key",
            theirs.sign(MAIL.as_bytes()),
            &unanswered(dmarc(), "sel._domainkey.other.example"),
            "temperror",
            "1",
        ),
        word("two authors", signer().sign(&two_from), &silent, "temperror", "1").want("/dmarc/result", "permerror"),
        from(
            Row::new("SPF alone to be had", MAIL, &unanswered(dmarc(), "example.com")).want("status", "75"),
            "192.0.2.1",
        )
        .want("/spf/result", "temperror"),
    ]);
}

#[test]
fn of_several_files_the_worst_status_counts() {
    let zone = unanswered(good(), "silent._domainkey.example.com");
    let desk = Desk::new(&zone);
    let good = sign(&signer());
    desk.put("good", &good);
    desk.put("bad", body_changed(&good));
    desk.put("later", sign(&signer().set("s", "silent")));
    for (files, want) in [
        (&["good"][..], 0),
        (&["later"], 75),
        (&["good", "later"], 75),
        (&["later", "good"], 75),
        (&["later", "bad"], 1),
        (&["bad", "later", "good"], 1),
        (&["later", "absent"], 2),
        (&["bad", "absent", "later"], 2),
    ] {
        let output =
            desk.verify(["--dns", "zone", "--json", "--at", "2026-11-23T04:00:00Z"].iter().chain(files).copied());
        assert_eq!(output.status.code(), Some(want), "{files:?} {output:?}");
    }
}

fn names(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// A script that reads a name of the contract finds it in every report, if only as null.
#[test]
fn no_name_is_ever_missing() {
    let desk = Desk::new(&good());
    for (mail, count) in [
        (sign(&signer()), 1),
        (MAIL.as_bytes().to_vec(), 0),
        ([b"DKIM-Signature: junk\r\n", MAIL.as_bytes()].concat(), 1),
        (b"Subject: nobody\r\n\r\n".to_vec(), 0),
        (Vec::new(), 0),
        ([&sign(&signer())[..sign(&signer()).len() - MAIL.len()], &sign(&signer())].concat(), 2),
    ] {
        let (report, _) = desk.judge(&mail, &[]);
        let contract = [
            ("", "schema file at from dkim spf dmarc arc findings authentication_results"),
            ("/spf", "result scope domain client_ip reason"),
            ("/dmarc", "result domain policy dkim_aligned spf_aligned"),
            ("/arc", "result instances"),
        ];
        for (pointer, wanted) in contract {
            let there = names(report.pointer(pointer).expect("it is there"));
            assert!(wanted.split(' ').all(|name| there.contains(name)), "{pointer}: {there:?}");
        }
        let signatures = report["dkim"].as_array().expect("an array");
        assert_eq!(signatures.len(), count);
        for (at, signature) in signatures.iter().enumerate() {
            let there = names(signature);
            let wanted =
                "index domain selector algorithm canonicalization key_bits result reason aligned body header key";
            assert!(wanted.split(' ').all(|name| there.contains(name)), "{there:?}");
            assert_eq!(signature["index"], at + 1, "top first, from 1");
        }
    }
}
