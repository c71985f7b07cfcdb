//! ARC (RFC 8617): chains of our own, sound and broken in every way, the caps, and junk.

mod common;

use common::{
    desk::Desk,
    forge::{ED25519, Key, OTHER_2048, RSA_1024, RSA_2048, Signer, Zone},
    seal::{NOW, Sealer, judge, said},
};
use std::{
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use waxseal::{
    dns::{Answer, Dns, Fault, Outcome, Pending, RecordType, Source, zone},
    message::Message,
    verify::{
        Word,
        arc::{Reason, Verifier},
        dkim,
    },
};

const MAIL: &str = "Received: from a by b; Mon, 23 Nov 2026 04:00:00 +0000\r\n\
    From: <alice@example.com>\r\nTo: list@example.org\r\nSubject: hello\r\nDate: Mon, 23 Nov 2026 04:00:00 +0000\r\n\
    \r\nHello  there\r\n";

static RSA_4096: LazyLock<Key> = LazyLock::new(|| Key::rsa(4096));
static RSA_512: LazyLock<Key> = LazyLock::new(|| Key::rsa(512));

fn zone_text() -> Zone {
    [
        ("one.example", &*RSA_2048),
        ("two.example", &*RSA_1024),
        ("three.example", &*ED25519),
        ("other.example", &*OTHER_2048),
        ("large.example", &*RSA_4096),
        ("small.example", &*RSA_512),
    ]
    .into_iter()
    .fold(Zone::default(), |zone, (domain, key)| zone.txt(&format!("sel._domainkey.{domain}"), &key.record()))
    .txt("sel._domainkey.revoked.example", "v=DKIM1; p=")
    .txt("sel._domainkey.sha1.example", &format!("v=DKIM1; h=sha1; p={}", RSA_2048.public()))
    .txt("sel._domainkey.web.example", &format!("v=DKIM1; s=tlsrpt; p={}", RSA_2048.public()))
    .txt("sel._domainkey.strict.example", &format!("v=DKIM1; t=s; p={}", RSA_2048.public()))
}

fn dns() -> Dns {
    zone::parse(zone_text().text(), "zone").expect("a zone")
}

fn one() -> Sealer<'static> {
    Sealer::new(&RSA_2048, "one.example", 1)
}

fn two() -> Sealer<'static> {
    Sealer::new(&RSA_1024, "two.example", 2)
}

fn three() -> Sealer<'static> {
    Sealer::new(&ED25519, "three.example", 3)
}

fn seal<'a>(sealers: impl IntoIterator<Item = Sealer<'a>>) -> Vec<u8> {
    sealers.into_iter().fold(MAIL.into(), |mail, sealer| sealer.seal(&mail))
}

fn replaced(mail: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(mail.to_vec()).expect("text");
    assert!(text.contains(from), "{from} is not in it");
    text.replacen(from, to, 1).into()
}

/// Without the topmost field of this name and instance.
fn without(mail: &[u8], start: &str) -> Vec<u8> {
    let text = String::from_utf8(mail.to_vec()).expect("text");
    let at = text.find(start).expect("the field is there");
    let end = at + text[at..].find("\r\n").expect("the field ends") + 2;
    [&text[..at], &text[end..]].concat().into()
}

#[tokio::test]
async fn a_sound_chain_passes_and_names_its_sealers() {
    let dns = dns();
    let result = judge(&dns, &seal([one(), two(), three()])).await;
    assert_eq!((said(&result).as_str(), result.instances, result.oldest_pass), ("pass", 3, Some(0)));
    let sealers: Vec<String> = result
        .sealers
        .iter()
        .map(|sealer| format!("{} {:?} {:?}", sealer.instance, sealer.domain, sealer.selector))
        .collect();
    let named =
        |number: usize, domain: &str| format!("{number} Some(DomainName(\"{domain}\")) Some(DomainName(\"sel\"))");
    assert_eq!(sealers, [named(1, "one.example"), named(2, "two.example"), named(3, "three.example")]);

    let nothing = judge(&dns, MAIL.as_bytes()).await;
    assert_eq!((nothing.result, nothing.instances), (Word::None, 0));
    assert_eq!(nothing.method_result(None), None, "no ARC field, no word of ARC");
}

#[tokio::test]
async fn the_oldest_signature_that_passes_tells_where_the_message_changed() {
    let dns = dns();
    let mail = one().seal(MAIL.as_bytes());
    let mail = two().seal(&replaced(&mail, "Hello  there", "Hello, everybody"));
    let mail = three().seal(&mail);
    for (what, mail, want) in [
        ("changed after the first set", mail.clone(), Some(2)),
        (
            "changed after the second",
            three().seal(&replaced(&two().seal(&one().seal(MAIL.as_bytes())), "hello", "[list] hello")),
            Some(3),
        ),
        ("one set", seal([one()]), Some(0)),
        (
            "an older signature that nobody can read",
            seal([one().message(|signer| signer.set("a", "x")), two()]),
            Some(2),
        ),
        ("an older signature over part of the body", seal([one().message(|signer| signer.set("l", "3")), two()]), None),
        // Its key is asked for by no seal.
        (
            "an older signature by somebody else",
            seal([one().message(|signer| signer.set("d", "other.example")), two()]),
            None,
        ),
    ] {
        let result = judge(&dns, &mail).await;
        assert_eq!((said(&result).as_str(), result.oldest_pass), ("pass", want), "{what}");
    }
}

#[tokio::test]
async fn what_breaks_a_chain() {
    let dns = dns();
    let chain = seal([one(), two(), three()]);
    let as_ = |number: usize| format!("ARC-Seal: i={number};");
    let ams = |number: usize| {
        format!(
            "ARC-Message-Signature: a=ed25519-sha256; c=relaxed/relaxed; d=three.example; s=sel; h=from:to:subject:date; i={number};"
        )
    };
    let signed = |change: fn(Signer<'static>) -> Signer<'static>| seal([one(), two().message(change)]);
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "the body",
            replaced(&chain, "Hello", "Hallo"),
            "the ARC-Message-Signature of set 3: body hash did not verify",
        ),
        (
            "a signed field",
            replaced(&chain, "hello", "[x] hello"),
            "the ARC-Message-Signature of set 3: signature did not verify",
        ),
        ("a field added", [b"Subject: x\r\n", &chain[..]].concat(), ""),
        (
            "results of set 1",
            replaced(&chain, "i=1; one.example; none", "i=1; one.example; dkim=pass"),
            "the ARC-Seal of set 3: signature did not verify",
        ),
        (
            "results of set 3",
            replaced(&chain, "i=3; three.example; none", "i=3; three.example; dkim=pass"),
            "the ARC-Seal of set 3: signature did not verify",
        ),
        ("cv=fail in the newest", seal([one(), two().status("fail")]), "the chain had failed when set 2 was added"),
        (
            "cv=fail in the newest of a broken chain",
            without(&seal([one(), two().status("fail")]), &as_(1)),
            "the chain had failed when set 2 was added",
        ),
        ("cv=fail below", seal([one(), two().status("fail"), three()]), "cv=\"fail\" cannot stand in set 2"),
        ("cv=pass in the first", seal([one().status("pass")]), "cv=\"pass\" cannot stand in set 1"),
        ("cv=none later", seal([one(), two().status("none")]), "cv=\"none\" cannot stand in set 2"),
        ("cv=Pass", seal([one(), two().status("Pass")]), "cv=\"Pass\" cannot stand in set 2"),
        ("an empty cv=", seal([one().status("")]), "cv=\"\" cannot stand in set 1"),
        ("no cv=", replaced(&seal([one()]), "cv=none; ", ""), "the tag cv= is missing in set 1"),
        ("no seal 1", without(&chain, &as_(1)), "set 1 has no ARC-Seal"),
        ("no seal 3", without(&chain, &as_(3)), "set 3 has no ARC-Seal"),
        ("no results 2", without(&chain, "ARC-Authentication-Results: i=2"), "set 2 has no ARC-Authentication-Results"),
        ("no signature 3", without(&chain, &ams(3)), "set 3 has no ARC-Message-Signature"),
        ("no set 1", seal([two()]), "set 1 has no ARC-Authentication-Results"),
        ("a gap", seal([one(), three()]), "set 2 has no ARC-Authentication-Results"),
        ("two sets 1", seal([one(), one()]), "set 1 has more than one ARC-Authentication-Results"),
        ("a second seal", [b"ARC-Seal: i=2; a=b\r\n", &chain[..]].concat(), "set 2 has more than one ARC-Seal"),
        (
            "results alone",
            [b"ARC-Authentication-Results: i=1; a; none\r\n", MAIL.as_bytes()].concat(),
            "set 1 has no ARC-Message-Signature",
        ),
        ("i=0", seal([one().instance("0")]), "i= of an ARC-Authentication-Results is not a number from 1 to 50"),
        (
            "i=51",
            seal([one(), two().instance("51")]),
            "i= of an ARC-Authentication-Results is not a number from 1 to 50",
        ),
        ("i=", seal([one().instance("")]), "i= of an ARC-Authentication-Results is not a number from 1 to 50"),
        ("i=1 twice in a seal", seal([one().extra("i=1; ")]), "i= of an ARC-Seal is not a number from 1 to 50"),
        (
            "i= behind the results",
            seal([one().results("one.example; i=1; none")]),
            "i= of an ARC-Authentication-Results is not a number from 1 to 50",
        ),
        (
            "no semicolon behind i=",
            seal([one().results("i=1 one.example; none")]),
            "i= of an ARC-Authentication-Results is not a number from 1 to 50",
        ),
        ("i=01 and comments", seal([one().results(" (a (b)) i = 01 (c) ; one.example; none")]), ""),
        ("a seal with h=", seal([one(), two().extra("h=from:to; ")]), "the ARC-Seal of set 2 has h="),
        (
            "a seal with a tag twice",
            seal([one().extra("t=1; t=1; ")]),
            "the ARC-Seal of set 1: not a tag list: the tag t= stands twice",
        ),
        (
            "a seal from the future",
            seal([one().extra("t=1795406800; ")]),
            "the ARC-Seal of set 1: the signature is from the future",
        ),
        ("a seal with unknown tags", seal([one().extra("x=1; v=7; foo=bar; ")]), ""),
        (
            "a seal with rsa-sha1",
            seal([one().algorithm("rsa-sha1")]),
            "the ARC-Seal of set 1: rsa-sha1 is no longer accepted",
        ),
        (
            "a seal of unknown make",
            seal([one().algorithm("rsa-sha512")]),
            "the ARC-Seal of set 1: unknown algorithm \"rsa-sha512\"",
        ),
        (
            "a seal by another key",
            seal([Sealer::new(&OTHER_2048, "one.example", 1)]),
            "the ARC-Message-Signature of set 1: signature did not verify: another key made it",
        ),
        (
            "the seal alone by another key",
            seal([Sealer::new(&OTHER_2048, "one.example", 1).message(|_| {
                Signer::new(&RSA_2048, "one.example").named("ARC-Message-Signature").without("v").set("i", "1")
            })]),
            "the ARC-Seal of set 1: signature did not verify: another key made it",
        ),
        ("a key of 4096 bits", seal([Sealer::new(&RSA_4096, "large.example", 1)]), ""),
        (
            "a key of 512 bits",
            seal([Sealer::new(&RSA_512, "small.example", 1)]),
            "the ARC-Message-Signature of set 1: the key has 512 bits, fewer than 1024",
        ),
        (
            "no key",
            seal([Sealer::new(&RSA_2048, "gone.example", 1)]),
            "the ARC-Message-Signature of set 1: no key: the name does not exist",
        ),
        (
            "a revoked key",
            seal([Sealer::new(&RSA_2048, "revoked.example", 1)]),
            "the ARC-Message-Signature of set 1: the key was revoked",
        ),
        (
            "a key that is not for SHA-256",
            seal([Sealer::new(&RSA_2048, "sha1.example", 1)]),
            "the ARC-Message-Signature of set 1: the key record does not allow this hash",
        ),
        (
            "a key that is not for mail",
            seal([Sealer::new(&RSA_2048, "web.example", 1)]),
            "the ARC-Message-Signature of set 1: the key record is not for mail",
        ),
        ("a key for no identity below", seal([Sealer::new(&RSA_2048, "strict.example", 1)]), ""),
        (
            "a signature over ARC-Seal",
            signed(|signer| signer.set("h", "from:Arc-Seal")),
            "the ARC-Message-Signature of set 2 covers ARC-Seal",
        ),
        (
            "a signature over other ARC fields",
            signed(|signer| signer.set("h", "from:arc-message-signature:arc-authentication-results")),
            "",
        ),
        (
            "a signature without h=",
            signed(|signer| signer.without("h")),
            "the ARC-Message-Signature of set 2: the tag h= is missing",
        ),
        ("a signature with v=", signed(|signer| signer.set("v", "2")), ""),
        ("a signature without c=", signed(|signer| signer.without("c")), ""),
        (
            "a signature that expired",
            signed(|signer| signer.set("x", "1795406399")),
            "the ARC-Message-Signature of set 2: the signature expired at 2026-11-23T03:59:59Z",
        ),
        (
            "a signature over part of the body",
            signed(|signer| signer.set("l", "3")),
            "the ARC-Message-Signature of set 2: l= covers 3 of",
        ),
        (
            "a signature with a tag twice",
            signed(|signer| signer.add("d", "two.example")),
            "the ARC-Message-Signature of set 2: not a tag list: the tag d= stands twice",
        ),
        ("a broken signature below the newest", seal([one().message(|signer| signer.set("bh", "x")), two()]), ""),
    ];
    for (what, mail, want) in rows {
        let result = judge(&dns, &mail).await;
        let said = said(&result);
        match want {
            "" => assert_eq!(said, "pass", "{what}"),
            want => assert!(said.starts_with("fail: ") && said["fail: ".len()..].starts_with(want), "{what}: {said}"),
        }
    }
}

#[tokio::test]
async fn a_chain_has_at_most_fifty_sets() {
    let dns = dns();
    let mut mail: Vec<u8> = MAIL.into();
    for instance in 1..=50 {
        mail = Sealer::new(&ED25519, "three.example", instance).seal(&mail);
    }
    let result = judge(&dns, &mail).await;
    assert_eq!((said(&result).as_str(), result.instances, result.oldest_pass), ("pass", 50, None));

    // The oldest seal is judged as strictly as the newest.
    let forged = replaced(&mail, "i=1; three.example; none", "i=1; three.example; dkim=pass");
    assert_eq!(judge(&dns, &forged).await.reason.and_then(|reason| reason.instance()), Some(50));

    for sets in [51, 1000] {
        let mail: Vec<u8> = (1..=sets).rev().flat_map(|i| format!(
            "ARC-Seal: i={i}; a=rsa-sha256; cv=pass; d=d{i}.example; s=s; b=AA==\r\nARC-Message-Signature: i={i}; a=rsa-sha256; \
             d=d{i}.example; s=s; h=from; bh=; b=AA==\r\nARC-Authentication-Results: i={i}; a; none\r\n"
        ).into_bytes()).chain(MAIL.bytes()).collect();
        let message = Message::new(&mail);
        assert_eq!(
            Verifier::new(&message.header, NOW).questions(),
            Vec::<String>::new(),
            "{sets} sets ask for nothing"
        );
        let result = judge(&dns, &mail).await;
        assert_eq!((result.reason, result.instances), (Some(Reason::TooManySets(sets)), sets));
    }
}

/// Each seal covers all sets before it; hashing them again for each would cost fifty sets twenty-five times their octets.
#[tokio::test]
async fn fifty_fat_sets_cost_what_their_octets_cost() {
    let dns = dns();
    // The fat comes in after sealing, so the newest seal does not verify; but what all of them signed is hashed before.
    let fat = |sets: usize| {
        let sealers = (1..=sets).map(|instance| Sealer::new(&ED25519, "three.example", instance));
        let chain = String::from_utf8(seal(sealers)).expect("text");
        chain.replace("three.example; none", &format!("three.example; none; {}", "x".repeat(2_000_000 / sets)))
    };
    let mut fastest = Vec::new();
    for sets in [1, 50] {
        let mail = fat(sets);
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let start = Instant::now();
            let result = judge(&dns, mail.as_bytes()).await;
            best = best.min(start.elapsed());
            assert!(
                matches!(result.reason, Some(Reason::Seal { instance, .. }) if instance == sets),
                "{}",
                said(&result)
            );
        }
        fastest.push(best);
    }
    assert!(fastest[1] < fastest[0] * 8, "one set {:?}, fifty of the same size {:?}", fastest[0], fastest[1]);
}

/// What asks, and how often.
#[derive(Default)]
struct Silent {
    asked: Arc<AtomicUsize>,
    names: Arc<Mutex<Vec<String>>>,
}

impl Source for Silent {
    fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.names.lock().expect("no test panics with it").push(name.to_owned());
        let answer = Answer {
            name: name.to_owned(),
            kind,
            outcome: Outcome::Fault(Fault::Timeout),
            records: Vec::new(),
            repeated: Vec::new(),
            negative: None,
            server: None,
            authoritative: false,
            authenticated: false,
            took: Default::default(),
        };
        Box::pin(std::future::ready(Arc::new(answer)))
    }
}

/// RFC 8617 §5.2.1: all failures are permanent, those of DNS too; there is no temperror.
#[tokio::test]
async fn a_fault_of_dns_fails_the_chain() {
    let silent = Silent::default();
    let names = silent.names.clone();
    let result = judge(&Dns::new(silent), &seal([one(), two(), one().instance("3").status("pass")])).await;
    assert_eq!(result.result, Word::Fail);
    let reason = dkim::Reason::Dns(Fault::Timeout);
    assert_eq!(result.reason, Some(Reason::Message { instance: 3, reason }));
    // Each name once, the newest first.
    let names = names.lock().expect("no test panics with it").clone();
    assert_eq!(names, ["sel._domainkey.one.example", "sel._domainkey.two.example"]);
}

/// SECURITY: fields that made others crash, and chains of nothing but noise.
#[tokio::test]
async fn junk_fails_quietly() {
    let dns = dns();
    let long = format!("ARC-Seal: i=1; a=rsa-sha256; cv=none; d=one.example; s=sel; b={}", "A".repeat(5000));
    let complete = |seal: &str| {
        format!(
            "{seal}\r\nARC-Message-Signature: i=1; a=rsa-sha256; d=one.example; s=sel; h=from; \
        bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\nARC-Authentication-Results: i=1; a; none"
        )
    };
    for junk in [
        "ARC-Seal: x".to_owned(),
        "ARC-Seal:".into(),
        "ARC-Seal: i=1".into(),
        "ARC-Seal: i=99999999999999999999".into(),
        "ARC-Seal: \0\u{7f}=;;;=".into(),
        "ARC-Message-Signature: (((((((".into(),
        "ARC-Authentication-Results: ((((((((i=1;".into(),
        "ARC-Authentication-Results: i=1; (null)=pass; x=y; unknown=pass".into(),
        "ARC-Seal: i=1; i=1; i=1".into(),
        complete("ARC-Seal: x"),
        complete("ARC-Seal: i=1; cv=none; b"),
        complete("ARC-Seal: i=1; cv=none; a=; b=; d=; s="),
        complete(&long),
        complete("ARC-Seal: i=1; a=rsa-sha256; cv=none; d=example.net(.one.example; s=a\0b; b=AAAA"),
    ] {
        let result = judge(&dns, format!("{junk}\r\n{MAIL}").as_bytes()).await;
        assert_eq!((result.result, result.instances, result.reason.is_some()), (Word::Fail, 1, true), "{junk:?}");
    }
    // Names that are none are told before anything is asked.
    let message = format!("{}\r\n{MAIL}", complete("ARC-Seal: i=1; a=rsa-sha256; cv=none; d=a(b; s=sel; b=AAAA"));
    let message = Message::new(message.as_bytes());
    assert_eq!(Verifier::new(&message.header, NOW).questions(), Vec::<String>::new());
}

/// A chain with any octet changed is judged, and passes only if it says the same as before.
#[tokio::test]
async fn no_changed_octet_goes_unseen() {
    let dns = dns();
    let mail = seal([Sealer::new(&ED25519, "three.example", 1)]);
    let header = mail.len() - MAIL.len();
    for at in 0..header {
        for octet in [0, b'=', b';', b'(', 0xff] {
            let mut changed = mail.clone();
            changed[at] = octet;
            let passes = judge(&dns, &changed).await.result == Word::Pass;
            assert!(!passes || changed == mail, "{}", changed[..header].escape_ascii());
        }
    }
}

/// Through the real program: the JSON and Authentication-Results.
#[test]
fn the_program_tells_the_chain() {
    let desk = Desk::new(&zone_text());
    let chain = seal([one(), two()]);
    let (json, _) =
        desk.judge(&chain, &["--client-ip", "192.0.2.7", "--helo", "h.example", "--mail-from", "a@example.com"]);
    assert_eq!((json["arc"]["result"].as_str(), json["arc"]["instances"].as_u64()), (Some("pass"), Some(2)));
    assert_eq!(json["arc"]["sealers"][1]["domain"].as_str(), Some("two.example"));
    let results = json["authentication_results"].as_str().expect("text");
    assert!(
        results.contains("arc=pass (i=2 d=two.example) header.oldest-pass=0 smtp.remote-ip=192.0.2.7"),
        "{results}"
    );
    assert_eq!(json["dmarc"]["result"].as_str(), Some("none"), "a chain changes no other verdict");

    let (json, _) = desk.judge(&replaced(&chain, "Hello", "Hallo"), &[]);
    assert_eq!((json["arc"]["result"].as_str(), json["arc"]["instances"].as_u64()), (Some("fail"), Some(2)));
    let results = json["authentication_results"].as_str().expect("text");
    assert!(
        results.contains("arc=fail reason=\"the ARC-Message-Signature of set 2: body hash did not verify\""),
        "{results}"
    );

    let (json, _) = desk.judge(MAIL.as_bytes(), &[]);
    assert_eq!((json["arc"]["result"].as_str(), json["arc"]["instances"].as_u64()), (Some("none"), Some(0)));
    assert!(!json["authentication_results"].as_str().expect("text").contains(" arc="));
}
