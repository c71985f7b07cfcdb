//! Hostile signatures and key records, and what DNS may do to them: every one gets the result that the RFCs want.

mod common;

use base64::{Engine, engine::general_purpose::STANDARD};
use common::{
    forge::{ED25519, Key, OTHER_2048, RSA_1024, RSA_2048, Signer, Zone, giant},
    table::{NOW, Row, run},
};
use std::sync::LazyLock;

const MAIL: &str = "From: <a@example.com>\r\nTo: <b@example.net>\r\nSubject: hello\r\n\
                    Date: Mon, 23 Nov 2026 03:59:00 +0000\r\n\r\nThe body.\r\n";

static RSA_512: LazyLock<Key> = LazyLock::new(|| Key::rsa(512));

fn dmarc() -> Zone {
    Zone::default().txt("_dmarc.example.com", "v=DMARC1; p=reject")
}

/// example.com with this key record.
fn zone(record: &str) -> Zone {
    dmarc().txt("sel._domainkey.example.com", record)
}

fn signer() -> Signer<'static> {
    Signer::new(&RSA_2048, "example.com")
}

/// A row whose only signature has this result.
fn row(id: &str, mail: Vec<u8>, zone: &Zone, result: &str) -> Row {
    let authenticates = if result == "pass" { "true" } else { "false" };
    let row = Row::new(id, mail, zone).want("/dkim/0/result", result).want("/authenticates", authenticates);
    match result {
        "pass" => row.want("/dkim/0/reason", "null").want("status", "0"),
        _ => row.want("/dkim/0/reason", "!null").want("/dmarc/dkim_aligned", "false"),
    }
}

/// A row of a message signed so, with the right key published.
fn signed(id: &str, signer: Signer, result: &str) -> Row {
    row(id, signer.sign(MAIL.as_bytes()), &zone(&RSA_2048.record()), result)
}

#[test]
fn what_breaks_the_syntax_is_permerror_and_asks_nothing() {
    let broken = |id: &str, signer: Signer| signed(id, signer, "permerror").keys(0);
    let long = "a".repeat(3000);
    let labels = "a.".repeat(1500);
    run(vec![
        broken("D-INJ-P", signer().set("d", "example.com(a.attack.com")),
        broken("D-INJ-S", signer().set("d", "example.com'a.attack.com")),
        broken("D-INJ-D", signer().set("d", "example.com\"a.attack.com")),
        broken("CVE-2020-12272", signer().set("d", "example.net(.example.com")),
        broken("D-NUL", signer().set("s", b"sel\0.x")),
        broken("D-ESCNUL", signer().set("s", "sel\\000")),
        broken("H-NOFROM", signer().set("h", "to:subject:date")),
        broken("G-DUP d=", signer().add("d", "example.com")),
        broken("G-DUP d= another", signer().add("d", "attack.com")),
        broken("G-DUP first wins", Signer::new(&RSA_2048, "attack.com").add("d", "example.com")),
        broken("G-DUP bh=", signer().add("bh", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")),
        broken("G-DUP unknown", signer().add("foo", "1").add("foo", "2")),
        broken("G-I elsewhere", signer().set("i", "@legitimate.com")),
        broken("G-I a longer name", signer().set("i", "a@notexample.com")),
        broken("G-I above", Signer::new(&RSA_2048, "sub.example.com").set("i", "@example.com")),
        broken("G-I none", signer().set("i", "example.com")),
        broken("G-I empty", signer().set("i", "")),
        broken("G-LONGSEL", signer().set("s", &long)),
        broken("G-LONGSEL many labels", signer().set("s", labels.trim_end_matches('.'))),
        broken("d= of one long label", signer().set("d", format!("{long}.com"))),
        broken("T-X<T", signer().set("t", format!("{NOW}")).set("x", format!("{}", NOW - 1))),
        broken("T-X=T", signer().set("t", format!("{NOW}")).set("x", format!("{NOW}"))),
        broken("x= is no number", signer().set("x", "never")),
        broken("x= is negative", signer().set("x", "-1")),
        broken("t= is empty", signer().set("t", "")),
        broken("t= too long", signer().set("t", "1234567890123")),
        broken("l= is negative", signer().set("l", "-1")),
        broken("BH-LEN 3", signer().set("bh", "AAAA")),
        broken("BH-LEN 4000", signer().set("bh", "A".repeat(4000))),
        broken("BH-LEN none", signer().set("bh", " ")),
        broken("BH-LEN 20", signer().set("bh", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=")),
        broken("bh= is no base64", signer().set("bh", "!!!!")),
        broken("b= is no base64", signer().set("b", "not base64?")),
        broken("b= is empty", signer().set("b", " ")),
        broken("q= unknown", signer().set("q", "http/well-known")),
        broken("c= unknown", signer().set("c", "nofws/simple")),
        broken("a= unknown", signer().set("a", "rsa-md5")),
        broken("v=2", signer().set("v", "2")),
        broken("v= empty", signer().set("v", "")),
        broken("no v=", signer().without("v")),
        broken("no a=", signer().without("a")),
        broken("no d=", signer().without("d")),
        broken("no s=", signer().without("s")),
        broken("no h=", signer().without("h")),
        broken("no bh=", signer().without("bh")),
        broken("no b=", signer().without("b")),
        broken("h= empty", signer().set("h", "")),
        broken("h= of colons", signer().set("h", "from::to")),
        broken("d= empty", signer().set("d", "")),
        broken("d= with a final dot", signer().set("d", "example.com.")),
        broken("s= with a final dot", signer().set("s", "sel.")),
        broken("i= with a final dot", signer().set("i", "@example.com.")),
        broken("a tag without a name", signer().set("_x", "2")),
        broken("d= of one label", signer().set("d", "com")),
        broken("d= of one label, above From", signer().set("d", "com").set("i", "@example.com")),
        broken("d= not UTF-8", signer().set("d", b"\xffexample.com")),
        row("no tag list", [b"DKIM-Signature: junk\r\n", MAIL.as_bytes()].concat(), &dmarc(), "permerror").keys(0),
        row("empty field", [b"DKIM-Signature:\r\n", MAIL.as_bytes()].concat(), &dmarc(), "permerror").keys(0),
        row("H-30K", endless_h(":".repeat(30_000)), &dmarc(), "permerror").keys(0),
    ]);
}

fn endless_h(names: String) -> Vec<u8> {
    signer()
        .set("h", names)
        .set("bh", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
        .set("b", "AAAA")
        .sign(MAIL.as_bytes())
}

#[test]
fn what_is_legal_passes() {
    let good = |id: &str, signer: Signer| signed(id, signer, "pass").keys(1);
    let ed25519 = Signer::new(&ED25519, "example.com").set("s", "ed").sign(MAIL.as_bytes());
    run(vec![
        good("plain", signer()),
        good("simple/simple", signer().set("c", "simple/simple")),
        good("simple/relaxed", signer().set("c", "simple/relaxed")),
        good("relaxed/simple", signer().set("c", "relaxed/simple")),
        good("c=relaxed", signer().set("c", "relaxed")),
        good("no c=", signer().without("c")),
        good("q=", signer().set("q", "dns/txt")),
        good("q= with one unknown", signer().set("q", "http/well-known : dns/txt")),
        good("i= below d=", signer().set("i", "a@mail.example.com")),
        good("i= encoded", signer().set("i", "a=40b@example.com")),
        good("unknown tags", signer().set("zz", "1").set("x_y9", "2")),
        good("h= with blanks", signer().set("h", "From : To :\r\n\t Subject : Date")),
        good("h= oversigned", signer().set("h", "from:from:to:to:subject:subject:date:date:cc:x-none")),
        good("h= names twice what is there once", signer().set("h", "from:from:from")),
        good("x= in the future", signer().set("t", format!("{NOW}")).set("x", format!("{}", NOW + 1))),
        good("t= within the skew", signer().set("t", format!("{}", NOW + 300))),
        good("x= beyond all dates", signer().set("x", "999999999999")),
        good("l= of all", signer().set("l", "11")),
        good("Z-64K", signer().set("z", vec![b'z'; 60_000])),
        good("Z-64K encoded", signer().set("z", "From:=3Ca=40b=3E|".repeat(4000).trim_end_matches('|'))),
        row("Ed25519", ed25519, &dmarc().txt("ed._domainkey.example.com", &ED25519.record()), "pass"),
        row(
            "1024 bits",
            Signer::new(&RSA_1024, "example.com").sign(MAIL.as_bytes()),
            &zone(&RSA_1024.record()),
            "pass",
        ),
        signed("d= in upper case", signer().set("d", "EXAMPLE.com").set("s", "SEL"), "pass"),
    ]);
}

#[test]
fn an_internationalised_domain_is_one_name_in_two_spellings() {
    let mail = MAIL.replace("a@example.com", "a@xn--mnchen-3ya.example");
    let records = Zone::default()
        .txt("sel._domainkey.xn--mnchen-3ya.example", &RSA_2048.record())
        .txt("_dmarc.xn--mnchen-3ya.example", "v=DMARC1; p=reject");
    run(vec![
        row("U-label", Signer::new(&RSA_2048, "münchen.example").sign(mail.as_bytes()), &records, "pass")
            .want("/dkim/0/domain", "xn--mnchen-3ya.example"),
        row("A-label", Signer::new(&RSA_2048, "xn--mnchen-3ya.example").sign(mail.as_bytes()), &records, "pass"),
    ]);
}

#[test]
fn our_policy_refuses_what_the_rfcs_allow_or_forbid() {
    let refused = |id: &str, signer: Signer| signed(id, signer, "policy").want("/dmarc/result", "fail");
    let appended = |signer: Signer| [signer.sign(MAIL.as_bytes()), b"<h1>Pay here</h1>\r\n".to_vec()].concat();
    let good = zone(&RSA_2048.record());
    run(vec![
        row("L-APPEND", appended(signer().set("l", "11")), &good, "policy")
            .want("/dkim/0/reason", "~11 of 30 octets of the body (36 %)"),
        row("L-ZERO", signer().set("l", "0").sign(MAIL.as_bytes()), &good, "policy"),
        row("L-OVER", signer().set("l", "100000000000000000000000000").sign(MAIL.as_bytes()), &good, "permerror"),
        row("L-OVER by one", signer().set("l", "12").sign(MAIL.as_bytes()), &good, "permerror"),
        refused("T-EXP", signer().set("t", "1000").set("x", "2000")),
        refused("T-EXP by a second", signer().set("x", format!("{}", NOW - 1))),
        refused("T-FUT", signer().set("t", "99999999999")),
        refused("T-FUT just beyond the skew", signer().set("t", format!("{}", NOW + 301))),
        signed("G-SHA1", signer().set("a", "rsa-sha1"), "policy"),
        row(
            "G-SHA1 that the key allows",
            signer().set("a", "rsa-sha1").sign(MAIL.as_bytes()),
            &zone(&format!("v=DKIM1; h=sha1; p={}", RSA_2048.public())),
            "policy",
        ),
        row("H-10K", endless_h(format!("from{}", ":x".repeat(10_000))), &good, "policy|permerror"),
    ]);
}

#[test]
fn keys_of_the_wrong_size_are_refused() {
    let mut rows = Vec::new();
    for bits in [768, 1016, 1023] {
        let key = Key::rsa(bits);
        let mail = Signer::new(&key, "example.com").sign(MAIL.as_bytes());
        rows.push(row(&format!("K-{bits}"), mail, &zone(&key.record()), "policy"));
    }
    let mail = Signer::new(&RSA_512, "example.com").sign(MAIL.as_bytes());
    rows.push(row("K-512", mail, &zone(&RSA_512.record()), "policy"));
    for bits in [4097, 8192, 16_384, 65_536] {
        // Nobody can sign with it; a verifier that would try spends its time.
        let mail = signer().set("b", "A".repeat(bits / 6 / 4 * 4)).sign(MAIL.as_bytes());
        rows.push(row(&format!("K-{bits}"), mail, &zone(&format!("v=DKIM1; p={}", giant(bits))), "policy"));
    }
    run(rows);
}

#[test]
fn key_records_say_what_they_are_for() {
    let public = RSA_2048.public();
    let mail = signer().sign(MAIL.as_bytes());
    let below = signer().set("i", "a@mail.example.com").sign(MAIL.as_bytes());
    let case = |id: &str, record: String, result: &str| row(id, mail.clone(), &zone(&record), result);
    let ed = Signer::new(&ED25519, "example.com").sign(MAIL.as_bytes());
    run(vec![
        case("bare p=", format!("p={public}"), "pass"),
        case("a final semicolon", format!("v=DKIM1; k=rsa; p={public};"), "pass"),
        case("unknown tags", format!("v=DKIM1; foo=bar; n=a note; p={public}"), "pass"),
        case("t=s and the domain itself", format!("v=DKIM1; t=s; p={public}"), "pass"),
        case("s=email", format!("v=DKIM1; s=email; p={public}"), "pass"),
        case("s=* among others", format!("v=DKIM1; s=other:*; p={public}"), "pass"),
        case("h= with both", format!("v=DKIM1; h=sha1:sha256; p={public}"), "pass"),
        case("PKCS#1", format!("v=DKIM1; p={}", RSA_2048.public_pkcs1()), "pass")
            .want("/dkim/0/warnings/0", "~RSAPublicKey"),
        case("G-TESTKEY", format!("v=DKIM1; t=y; p={public}"), "pass").want("/dkim/0/testing", "true"),
        row(
            "G-TESTKEY that fails",
            [&mail[..], b"more\r\n"].concat(),
            &zone(&format!("v=DKIM1; t=y; p={public}")),
            "fail",
        )
        .want("/dkim/0/testing", "true"),
        case("G-SVC", format!("v=DKIM1; s=tlsrpt; p={public}"), "permerror"),
        case("G-HASH", format!("v=DKIM1; h=sha1; p={public}"), "permerror"),
        row("t=s and i= below", below, &zone(&format!("v=DKIM1; t=y:s; p={public}")), "permerror"),
        case("revoked", "v=DKIM1; p=".into(), "permerror"),
        case("no p=", "v=DKIM1; k=rsa".into(), "permerror"),
        case("v=DKIM2", format!("v=DKIM2; p={public}"), "permerror"),
        case("v= not first", format!("k=rsa; v=DKIM1; p={public}"), "permerror"),
        case("k= unknown", format!("v=DKIM1; k=dsa; p={public}"), "permerror"),
        case("k=ed25519 with an RSA key", format!("v=DKIM1; k=ed25519; p={public}"), "permerror"),
        case("an Ed25519 key for RSA", ED25519.record(), "permerror"),
        case("no base64", "v=DKIM1; p=!!!".into(), "permerror"),
        case("half a key", format!("v=DKIM1; p={}", &public[..200]), "permerror"),
        case("p= twice", format!("v=DKIM1; p={public}; p={public}"), "permerror"),
        case("something else", "google-site-verification=abc".into(), "permerror"),
        row("RSA key for Ed25519", ed.clone(), &zone(&RSA_2048.record()), "permerror"),
        row(
            "Ed25519 as SPKI",
            ed.clone(),
            &zone(&format!("v=DKIM1; k=ed25519; p=MCowBQYDK2VwAyEA{}", &ED25519.public())),
            "permerror",
        ),
        row("no record", mail.clone(), &dmarc(), "permerror"),
        row(
            "no record at a name that exists",
            mail.clone(),
            &dmarc().line("sel._domainkey.example.com. 60 IN A 192.0.2.1"),
            "permerror",
        ),
        row("another's key", mail.clone(), &zone(&OTHER_2048.record()), "fail").want("/dkim/0/key", "other"),
    ]);
}

/// The neutral point as R and 0 as S: to a verifier that takes any point for a key, it is everybody's signature.
#[test]
fn a_point_of_small_order_is_no_key() {
    let neutral = [&[1][..], &[0; 31]].concat();
    let beyond = [&[0xee][..], &[0xff; 30], &[0x7f]].concat();
    let forged = STANDARD.encode([&neutral[..], &[0; 32]].concat());
    let mail = Signer::new(&ED25519, "example.com").set("b", forged).sign(MAIL.as_bytes());
    let negative = |y: &[u8]| [&y[..31], &[y[31] | 0x80]].concat();
    let points = [negative(&neutral), negative(&beyond), neutral, beyond];
    let record = |point: &Vec<u8>| zone(&format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(point)));
    let case = |point| {
        row(&format!("the point {point:02x?}"), mail.clone(), &record(point), "permerror")
            .want("/dkim/0/reason", "~small order")
            .want("/findings/0/cause", "dkim-key-corrupt")
            .want("/findings/0/confidence", "certain")
    };
    run(points.iter().map(case).collect());
}

#[test]
fn several_records_at_a_selector() {
    let mail = signer().sign(MAIL.as_bytes());
    let name = "sel._domainkey.example.com";
    let two = |one: &str, two: &str| dmarc().txt(name, one).txt(name, two);
    let (right, wrong) = (RSA_2048.record(), OTHER_2048.record());
    let half = &right[..right.len() / 2];
    let rest = &right[right.len() / 2..];
    let note = "google-site-verification=abc";
    run(vec![
        row("DNS-2TXT right first", mail.clone(), &two(&right, &wrong), "pass")
            .want("/dkim/0/warnings/0", "~several keys"),
        row("DNS-2TXT wrong first", mail.clone(), &two(&wrong, &right), "pass")
            .want("/dkim/0/warnings/0", "~several keys"),
        row("DNS-2TXT neither", mail.clone(), &two(&wrong, &RSA_1024.record()), "fail|permerror"),
        row("the same twice", mail.clone(), &two(&right, &right.replace("; ", ";")), "pass"),
        row("a note first", mail.clone(), &two(note, &right), "pass").want("/dkim/0/warnings/0", "~no key"),
        row("a note behind", mail.clone(), &two(&right, note), "pass").want("/dkim/0/warnings/0", "~no key"),
        row("revoked beside it", mail.clone(), &two("v=DKIM1; p=", &right), "pass"),
        row("two halves are not joined", mail.clone(), &two(half, rest), "permerror"),
        row("two halves the other way", mail.clone(), &two(rest, half), "permerror"),
    ]);
}

/// mail-auth 0.13.2 took the fault for a failure.
#[test]
fn a_key_that_cannot_be_had_leaves_dmarc_open() {
    let mail = signer().sign(MAIL.as_bytes());
    let looped = dmarc()
        .line("sel._domainkey.example.com. 60 IN CNAME loop.example.com.")
        .line("loop.example.com. 60 IN CNAME sel._domainkey.example.com.");
    let alias = |target: &str| dmarc().line(&format!("sel._domainkey.example.com. 60 IN CNAME {target}."));
    run(vec![
        row("a CNAME loop", mail.clone(), &looped, "temperror").want("/dmarc/result", "temperror").want("status", "1"),
        row("a CNAME to nothing", mail.clone(), &alias("nothing.example"), "permerror").want("status", "1"),
        row(
            "a CNAME to the key",
            mail.clone(),
            &alias("key.example.net").txt("key.example.net", &RSA_2048.record()),
            "pass",
        ),
        Row::new("SPF helps out", mail, &looped.txt("example.com", "v=spf1 ip4:192.0.2.1 -all"))
            .from("192.0.2.1", "mx.example.com", "a@example.com")
            .want("/dkim/0/result", "temperror")
            .want("/dmarc/result", "pass")
            .want("status", "0"),
    ]);
}

#[test]
fn large_records_are_bounded() {
    let mail = signer().sign(MAIL.as_bytes());
    let junk = format!("v=DKIM1; p={}", "A".repeat(20_000));
    let padded = format!("v=DKIM1; n={}; p={}", "x".repeat(20_000), RSA_2048.public());
    let tags = format!("v=DKIM1; p={}{}", RSA_2048.public(), "; a=".repeat(5_000));
    let blanks = format!("v=DKIM1; p={}{}", " ".repeat(20_000), RSA_2048.public());
    run(vec![
        row("DNS-20K", mail.clone(), &zone(&junk), "permerror"),
        row("DNS-20K well-formed", mail.clone(), &zone(&padded), "pass"),
        row("DNS-20K of tags", mail.clone(), &zone(&tags), "permerror"),
        row("DNS-20K of blanks", mail, &zone(&blanks), "pass"),
    ]);
}

#[test]
fn many_signatures_are_capped_and_the_authors_come_first() {
    let many = |count: usize| {
        let other = Signer::new(&OTHER_2048, "bulk.example").field(MAIL.as_bytes());
        [other.repeat(count), signer().sign(MAIL.as_bytes())].concat()
    };
    let records = zone(&RSA_2048.record()).txt("sel._domainkey.bulk.example", &OTHER_2048.record());
    let distinct: Vec<u8> = (0..100)
        .flat_map(|number| Signer::new(&OTHER_2048, &format!("d{number}.example")).field(MAIL.as_bytes()))
        .collect();
    let mut rows = Vec::new();
    for count in [99, 199] {
        let id = format!("S-{}", count + 1);
        let mut row = Row::new(id, many(count), &records)
            .want(&format!("/dkim/{count}/result"), "pass")
            .want(&format!("/dkim/{count}/domain"), "example.com")
            .want("/dkim/0/result", "pass")
            .want("/dkim/8/result", "pass")
            .want("/dmarc/result", "pass")
            .keys(2);
        for capped in 9..count {
            row = row.want(&format!("/dkim/{capped}/result"), "policy");
        }
        rows.push(row);
    }
    let own = [&distinct[..], &signer().sign(MAIL.as_bytes())].concat();
    // What cannot be read costs nothing and takes no place from what can.
    let junk = Signer::new(&OTHER_2048, "example.com").without("a").field(MAIL.as_bytes()).repeat(20);
    rows.push(
        Row::new("S-JUNK", [junk, signer().sign(MAIL.as_bytes())].concat(), &records)
            .want("/dkim/0/result", "permerror")
            .want("/dkim/20/result", "pass")
            .want("/dmarc/result", "pass"),
    );
    // Names below the author's are his too, and come after his own.
    let below: Vec<u8> = (0..20)
        .flat_map(|number| Signer::new(&OTHER_2048, &format!("d{number}.example.com")).field(MAIL.as_bytes()))
        .collect();
    rows.push(
        Row::new("S-BELOW", [below, signer().sign(MAIL.as_bytes())].concat(), &records)
            .want("/dkim/20/result", "pass")
            .want("/dmarc/result", "pass"),
    );
    // His organisation, above him, has one name, and comes before the many below him.
    let mail = MAIL.replace("From: <a@example.com>", "From: <a@mail.example.com>");
    let below: Vec<u8> = (0..20)
        .flat_map(|number| Signer::new(&OTHER_2048, &format!("d{number}.mail.example.com")).field(mail.as_bytes()))
        .collect();
    rows.push(
        Row::new("S-ABOVE", [below, signer().sign(mail.as_bytes())].concat(), &records)
            .want("/dkim/20/result", "pass")
            .want("/dmarc/result", "pass"),
    );
    rows.push(
        Row::new("S-DISTINCT", own, &records)
            .want("/dkim/100/result", "pass")
            .want("/dmarc/result", "pass")
            .questions(40),
    );
    run(rows);
}

#[test]
fn whose_signature_it_is_decides() {
    let theirs = Signer::new(&OTHER_2048, "other.example");
    let records = zone(&RSA_2048.record()).txt("sel._domainkey.other.example", &OTHER_2048.record());
    let changed = |mail: &[u8]| [mail, b"changed\r\n"].concat();
    let ours_broken = |id: &str, mail: Vec<u8>| {
        Row::new(id, mail, &records).want("/dmarc/result", "fail").want("/authenticates", "false")
    };
    // Ours was made for another body; theirs for this one.
    let body = changed(MAIL.as_bytes());
    let ours = signer().field(MAIL.as_bytes());
    let both = [ours.clone(), theirs.field(&body), body.clone()].concat();
    let swapped = [theirs.field(&body), ours, body].concat();
    run(vec![
        ours_broken("OpenDMARC #70", both).want("/dkim/0/result", "fail").want("/dkim/1/result", "pass"),
        ours_broken("OpenDMARC #70 swapped", swapped).want("/dkim/0/result", "pass").want("/dkim/1/result", "fail"),
        Row::new("F-SPCOLON", signer().sign(["From : <x@attack.com>\r\n", MAIL].concat().as_bytes()), &records)
            .want("/dmarc/result", "permerror")
            .want("/authenticates", "false"),
        Row::new("F-DUP-TOP", [b"From: <x@attack.com>\r\n", &signer().sign(MAIL.as_bytes())[..]].concat(), &records)
            .want("/dkim/0/result", "pass")
            .want("/dmarc/result", "permerror")
            .want("/authentication_results", "~dmarc=permerror reason=")
            .want("/authenticates", "false"),
    ]);
}

#[test]
fn bodies_and_headers_of_any_form_and_size() {
    let header = MAIL.split("\r\n\r\n").next().expect("a header");
    let with_body = |body: &[u8]| [header.as_bytes(), b"\r\n\r\n", body].concat();
    let good = zone(&RSA_2048.record());
    let mut rows = Vec::new();
    let spaces = vec![b' '; 10_000_000];
    let wide = b" a".repeat(5_000_000);
    for (name, body) in [
        ("B-WSP", &spaces[..]),
        ("B-LONGLINE", &wide),
        ("CR alone", b"\r"),
        ("LF alone", b"a\r\nb\nc\r\n"),
        ("CRLF alone", b"\r\n"),
        ("nothing", b""),
        ("no line end", b"the end"),
        ("empty lines", b"\r\n\r\n\r\n"),
        ("blank lines", b"a\r\n \t\r\n \r\n"),
        ("SMUG-1 a dot between LF", b"one\r\ntwo\n.\r\nMAIL FROM:<x@y>\r\n"),
        ("SMUG-1 a dot between CR", b"one\r\ntwo\r.\rthree\r\n"),
        ("8 bit", "결제 é\u{7f}\r\n".as_bytes()),
        ("NUL", b"a\0b\r\n"),
    ] {
        for canonicalization in ["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"] {
            if body.len() > 1_000_000 && !canonicalization.ends_with("relaxed") {
                continue;
            }
            let mail = signer().set("c", canonicalization).sign(&with_body(body));
            rows.push(row(&format!("{name} {canonicalization}"), mail, &good, "pass"));
        }
    }
    let fields = |mail: &str| [mail, MAIL].concat().into_bytes();
    for (name, mail) in [
        ("an empty field", fields("X:\r\n")),
        ("a value on the next line", fields("Message-ID:\r\n <1@example.com>\r\n")),
        ("no blank behind the colon", fields("Message-ID:<1@example.com>\r\n")),
        ("HD-20000", fields(&"X-Many: one of them\r\n".repeat(20_000))),
        ("HD-1MB", fields(&format!("X-Long: {}\r\n", "x".repeat(1 << 20)))),
    ] {
        for canonicalization in ["relaxed/relaxed", "simple/simple"] {
            let signer = signer().set("c", canonicalization).set("h", "from:x:message-id:x-many:x-long");
            rows.push(row(&format!("{name} {canonicalization}"), signer.sign(&mail), &good, "pass"));
        }
    }
    run(rows);
}

/// rspamd #3566: the same canonicalization with another l= is another hash.
#[test]
fn two_signatures_that_differ_in_length() {
    let short = signer().set("l", "11");
    let mail = [MAIL.as_bytes(), b"more\r\n"].concat();
    let both = [short.field(MAIL.as_bytes()), signer().sign(&mail)].concat();
    let swapped = [signer().field(&mail), short.field(MAIL.as_bytes()), mail.clone()].concat();
    let good = zone(&RSA_2048.record());
    run(vec![
        Row::new("short first", both, &good).want("/dkim/0/result", "policy").want("/dkim/1/result", "pass"),
        Row::new("short last", swapped, &good).want("/dkim/1/result", "policy").want("/dkim/0/result", "pass"),
    ]);
}

/// What strangers wrote cannot become a result of ours: every row is read back from the field.
#[test]
fn strangers_texts_stay_texts() {
    let mut rows = Vec::new();
    let plain = MAIL.as_bytes().to_vec();
    for (number, text) in [
        "; dkim=pass header.d=bank.example",
        "a\r\nX: dkim=pass",
        "\" dkim=pass \"",
        "(a",
        "a\\",
        "\u{202e}",
        "a b",
        "",
    ]
    .into_iter()
    .enumerate()
    {
        for (helo, mail_from) in [
            (text.to_owned(), "x@example.com".to_owned()),
            ("mx.example.com".into(), format!("\"{text}\"@example.com")),
            ("mx.example.com".into(), format!("{text}@example.com")),
            ("mx.example.com".into(), format!("x@{text}")),
            (text.to_owned(), String::new()),
        ] {
            rows.push(
                Row::new(format!("E-HELO and E-MF {number} {helo:?} {mail_from:?}"), plain.clone(), &dmarc())
                    .from("192.0.2.1", &helo, &mail_from)
                    .want("/authenticates", "false")
                    .want("/authentication_results", "!dkim=pass header.d=bank.example"),
            );
        }
        for tag in ["d", "s", "i", "a", "b", "c", "h"] {
            let mail = signer().set(tag, text).sign(MAIL.as_bytes());
            rows.push(
                Row::new(format!("tag {tag}={text:?}"), mail, &dmarc()).want("/dmarc/result", "fail|none|permerror"),
            );
        }
    }
    run(rows);
}
