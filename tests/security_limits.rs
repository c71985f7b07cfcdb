//! The limits of SPF and DMARC, reached and passed: the right word, a bounded number of questions, and an end.

mod common;

use common::{
    forge::Zone,
    table::{Row, run},
};
use std::fmt::Write;

const MAIL: &str = "From: <a@example.com>\r\nSubject: hello\r\n\r\nThe body.\r\n";

/// 10 terms with 10 names each, and the records themselves; DMARC asks 9 more.
const MOST: usize = 128;

/// A row judged for a client of no special network, with this SPF record and further records.
fn spf(id: &str, record: &str, more: Zone, result: &str) -> Row {
    let zone = more.txt("example.com", record).txt("_dmarc.example.com", "v=DMARC1; p=reject");
    let authenticates = if result == "pass" { "true" } else { "false" };
    Row::new(id, MAIL, &zone)
        .from("192.0.2.1", "mx.example.com", "local.part+ext@example.com")
        .want("/spf/result", result)
        .want("/authenticates", authenticates)
        .questions(MOST)
}

/// Records `i0 … i{count-1}.example.com`, each of this text.
fn many(count: usize, text: impl Fn(usize) -> String) -> Zone {
    (0..count).fold(Zone::default(), |zone, number| zone.txt(&format!("i{number}.example.com"), &text(number)))
}

fn includes(count: usize) -> String {
    (0..count).fold(String::from("v=spf1"), |mut record, number| {
        write!(record, " include:i{number}.example.com").expect("a String takes it");
        record
    })
}

#[test]
fn terms_and_voids_are_counted() {
    let none = |_| "v=spf1 -all".to_owned();
    let hosts = |count: usize| (0..count).map(|n| format!(" a:h{n}.example.com")).collect::<String>();
    let addresses = |count: usize| {
        (0..count).fold(Zone::default(), |zone, n| zone.line(&format!("h{n}.example.com. 300 IN A 198.51.100.{n}")))
    };
    let exchangers = |count: usize| {
        (0..count).fold(addresses(count), |zone, n| zone.line(&format!("example.com. 300 IN MX {n} h{n}.example.com.")))
    };
    let fanout = many(10, |_| "v=spf1 mx:wide.example.com -all".to_owned());
    let fanout = (0..10).fold(fanout, |zone, n| zone.line(&format!("wide.example.com. 300 IN MX 1 w{n}.example.com.")));
    let deep = many(100, |n| format!("v=spf1 include:i{}.example.com -all", n + 1));
    let redirected = many(100, |n| format!("v=spf1 redirect=i{}.example.com", n + 1));
    run(vec![
        spf("SPF-10 ten", &format!("{} ip4:192.0.2.1 -all", includes(10)), many(10, none), "pass"),
        spf("SPF-10 eleven", &format!("{} ip4:192.0.2.1 -all", includes(11)), many(11, none), "permerror"),
        spf("SPF-10 ten a:", &format!("v=spf1{} ip4:192.0.2.1 -all", hosts(10)), addresses(10), "pass"),
        spf("SPF-10 eleven a:", &format!("v=spf1{} ip4:192.0.2.1 -all", hosts(11)), addresses(11), "permerror"),
        spf(
            "SPF-10 a match before the limit",
            &format!("v=spf1 ip4:192.0.2.1{} -all", hosts(11)),
            addresses(11),
            "pass",
        ),
        spf("two voids", &format!("v=spf1{} ip4:192.0.2.1 -all", hosts(2)), Zone::default(), "pass"),
        spf("three voids", &format!("v=spf1{} ip4:192.0.2.1 -all", hosts(3)), Zone::default(), "permerror"),
        spf("ten exchangers", "v=spf1 mx ip4:192.0.2.1 -all", exchangers(10), "pass"),
        spf("eleven exchangers", "v=spf1 mx ip4:192.0.2.1 -all", exchangers(11), "permerror"),
        spf("exchangers of includes", &format!("{} ip4:192.0.2.1 -all", includes(10)), fanout, "permerror"),
        spf("SPF-LOOP include of itself", "v=spf1 include:example.com -all", Zone::default(), "permerror"),
        spf("SPF-LOOP redirect to itself", "v=spf1 redirect=example.com", Zone::default(), "permerror"),
        spf(
            "SPF-LOOP of two",
            "v=spf1 include:i0.example.com -all",
            Zone::default().txt("i0.example.com", "v=spf1 redirect=example.com"),
            "permerror",
        ),
        spf("SPF-LOOP 100 deep", "v=spf1 include:i0.example.com ip4:192.0.2.1 -all", deep, "permerror"),
        spf("SPF-LOOP 100 redirects", "v=spf1 redirect=i0.example.com", redirected, "permerror"),
        spf("SPF-2REC", "v=spf1 ip4:192.0.2.1 -all", Zone::default().txt("example.com", "v=spf1 +all"), "permerror"),
        spf(
            "SPF-2REC twice the same in another spelling",
            "v=spf1 +all",
            Zone::default().txt("example.com", "V=spf1 +all"),
            "permerror",
        ),
        spf("another record beside it", "v=spf1 +all", Zone::default().txt("example.com", "v=spf10 -all"), "pass"),
    ]);
}

/// An answer of a hundred names must not become a hundred questions.
#[test]
fn reverse_names_are_bounded() {
    let names = (0..100).fold(Zone::default(), |zone, n| {
        zone.line(&format!("1.2.0.192.in-addr.arpa. 300 IN PTR r{n}.example.com."))
            .line(&format!("r{n}.example.com. 300 IN A 192.0.2.{}", if n == 99 { 1 } else { 77 }))
    });
    let macro_names = names.clone().txt("local.part+ext.example.com", "x");
    run(vec![
        spf("ptr", "v=spf1 ptr -all", names, "fail").questions(40),
        spf("%{p}", "v=spf1 exists:%{p}.example.com -all", macro_names, "fail").questions(40),
    ]);
}

#[test]
fn macros_never_break_out() {
    let host = "h".repeat(63);
    let long = format!(
        "v=spf1 exists:{}.%{{l}}.%{{o}}.%{{d}}.{host}.{host}.{host}.{host}.example.com -all",
        "%{s}".repeat(20)
    );
    let explain = |text: &str| Zone::default().txt("why.example.com", text);
    let with_why = "v=spf1 -all exp=why.example.com";
    run(vec![
        spf("SPF-MACRO split", "v=spf1 exists:%{l1r+-}.example.com -all", Zone::default(), "fail"),
        spf(
            "SPF-MACRO found",
            "v=spf1 exists:%{l1r+-}.example.com -all",
            Zone::default()
                .line("part.example.com. 60 IN A 127.0.0.2")
                .line("local.part.example.com. 60 IN A 127.0.0.2"),
            "pass",
        ),
        spf("SPF-MACRO all delimiters", "v=spf1 exists:%{l99r.-+,/_=}.example.com -all", Zone::default(), "fail"),
        spf(
            "SPF-MACRO huge number",
            "v=spf1 exists:%{l99999999999999999999r}.example.com -all",
            Zone::default(),
            "fail|permerror",
        ),
        spf("SPF-MACRO zero", "v=spf1 exists:%{l0}.example.com -all", Zone::default(), "permerror"),
        spf("SPF-MACRO unknown", "v=spf1 exists:%{x}.example.com -all", Zone::default(), "permerror"),
        spf("SPF-MACRO open", "v=spf1 exists:%{l.example.com -all", Zone::default(), "permerror"),
        spf("SPF-MACRO percent", "v=spf1 exists:%l.example.com -all", Zone::default(), "permerror"),
        spf("SPF-MACRO long", &long, Zone::default(), "fail|permerror"),
        spf("SPF-MACRO exp= alone", "v=spf1 exists:%{t}.example.com -all", Zone::default(), "permerror"),
        spf("exp=", with_why, explain("%{l} may not send as %{d}, by %{r}"), "fail")
            .want("/spf/explanation", "local.part+ext may not send as example.com, by localhost"),
        spf("exp= huge", with_why, explain(&"%{S}%{L}%{O}".repeat(2000)), "fail"),
        spf("exp= with control characters", with_why, explain("a\r\nX: dkim=pass\u{1b}[2J"), "fail")
            .want("/authentication_results", "!X: dkim"),
        spf("exp= broken", with_why, explain("%{z}"), "fail").want("/spf/explanation", "nothing"),
        spf("exp= twice", "v=spf1 -all exp=a.example.com exp=b.example.com", Zone::default(), "permerror"),
        spf("redirect= twice", "v=spf1 redirect=a.example.com redirect=b.example.com", Zone::default(), "permerror"),
    ]);
    // A local part that is not ASCII, and one that is very long.
    let zone = Zone::default().txt("example.com", "v=spf1 exists:%{l}.%{s}.example.com -all");
    let sender = |id: &str, mail_from: &str| {
        Row::new(id, MAIL, &zone)
            .from("192.0.2.1", "mx.example.com", mail_from)
            .want("/spf/result", "fail|none|permerror")
    };
    run(vec![
        sender("not ASCII", "\u{acb0}\u{202e}@example.com"),
        sender("long", &format!("{}@example.com", "l".repeat(1500))),
        sender("labels", &format!("{}@example.com", "l.".repeat(500))),
        sender("longer than a command", &format!("{}@example.com", "l".repeat(4000))),
    ]);
}

#[test]
fn wide_records_are_judged_as_they_stand() {
    let plain = Zone::default;
    run(vec![
        spf("SPF-BREAK +all", "v=spf1 +all", plain(), "pass"),
        spf("SPF-BREAK ip4:0.0.0.0/0", "v=spf1 ip4:0.0.0.0/0 -all", plain(), "pass"),
        spf("SPF-BREAK ip4:/8", "v=spf1 ip4:192.0.0.0/8 -all", plain(), "pass"),
        spf(
            "SPF-BREAK shared include",
            "v=spf1 include:cdn.example -all",
            plain().txt("cdn.example", "v=spf1 ip4:192.0.0.0/9 -all"),
            "pass",
        ),
        spf("/33", "v=spf1 ip4:192.0.2.1/33 -all", plain(), "permerror"),
        spf("/032", "v=spf1 ip4:192.0.2.1/032 -all", plain(), "permerror"),
        spf("IPv6 of IPv4", "v=spf1 ip6:::ffff:192.0.2.1 -all", plain(), "fail|permerror"),
        spf("no record", "something else", plain(), "none"),
        spf("not ASCII", "v=spf1 \u{e9} -all", plain(), "permerror"),
    ]);
    let mapped = plain().txt("example.com", "v=spf1 ip4:192.0.2.1 -all");
    run(vec![
        Row::new("an IPv4-mapped client", MAIL, &mapped)
            .from("::ffff:192.0.2.1", "mx.example.com", "a@example.com")
            .want("/spf/result", "pass")
            .want("/spf/client_ip", "192.0.2.1"),
    ]);
}

#[test]
fn the_tree_walk_of_dmarc_is_short() {
    let labels = |count: usize| (0..count).map(|_| "a.").collect::<String>();
    let from = |domain: &str| format!("From: <x@{domain}>\r\n\r\n");
    // 126 labels of one letter are as many as a name can hold.
    let deepest = format!("{}com", labels(125));
    let policy = Zone::default()
        .txt("_dmarc.com", "v=DMARC1; p=reject; psd=y")
        .txt("_dmarc.a.com", "v=DMARC1; p=reject; np=quarantine");
    let walk = |id: &str, domain: &str, zone: &Zone| Row::new(id, from(domain), zone).want("/authenticates", "false");
    let fifty: String = (0..50).map(|n| format!("<a@d{n}.example>, ")).collect();
    run(vec![
        walk("DMARC-WALK", &deepest, &Zone::default()).questions(8),
        walk("DMARC-WALK to a record", &deepest, &policy).questions(9).want("/dmarc/result", "fail"),
        walk("too many labels", &format!("{}com", labels(140)), &Zone::default())
            .questions(0)
            .want("/dmarc/result", "permerror"),
        walk("a label that is too long", &format!("{}.com", "a".repeat(64)), &Zone::default())
            .questions(0)
            .want("/dmarc/result", "permerror"),
        Row::new("DMARC-50FROM", format!("From: {}<b@x.example>\r\n\r\n", fifty), &Zone::default())
            .questions(0)
            .want("/dmarc/result", "permerror"),
    ]);
}

#[test]
fn records_of_dmarc_in_any_form() {
    let mail = "From: <x@example.com>\r\n\r\n";
    let with = |id: &str, record: &str, result: &str| {
        Row::new(id, mail, &Zone::default().txt("_dmarc.example.com", record)).want("/dmarc/result", result)
    };
    let twice =
        Zone::default().txt("_dmarc.example.com", "v=DMARC1; p=reject").txt("_dmarc.example.com", "v=DMARC1; p=none");
    run(vec![
        // CVE-2021-34555 and CVE-2024-25768: a report address that is missing or empty.
        with("no ruf=", "v=DMARC1; p=reject; rua=mailto:a@example.com", "fail"),
        with("ruf= empty", "v=DMARC1; p=reject; ruf=", "fail"),
        with("rua= empty", "v=DMARC1; p=reject; rua=; ruf=mailto:", "fail"),
        with("rua= junk", "v=DMARC1; p=reject; rua=,,,!!!", "fail"),
        with("p= unknown", "v=DMARC1; p=maybe; rua=mailto:a@example.com", "fail").want("/dmarc/policy", "none"),
        with("p= unknown and no rua=", "v=DMARC1; p=maybe", "none"),
        with("not first", "p=reject; v=DMARC1", "none"),
        with("another version", "v=DMARC2; p=reject", "none"),
        with("huge", &format!("v=DMARC1; p=reject; rua={}", "mailto:a@example.com,".repeat(900)), "fail"),
        with("control characters", "v=DMARC1; p=reject\u{1b}[2J", "none|fail"),
        with("without semicolons", "v=DMARC1 p=reject", "none"),
        with("t=y", "v=DMARC1; p=reject; t=y", "fail").want("/dmarc/policy", "quarantine"),
        Row::new("two records", mail, &twice).want("/dmarc/result", "none"),
    ]);
}
