//! The evaluator against small zones; the suite of tests/spf_suite.rs holds the verdicts, these the rest.

use super::*;
use crate::dns::Record as Dnsrecord;
use std::{collections::HashMap, time::Instant};

/// A zone of lines `name TYPE value`; a value `!` is a time-out.
#[derive(Default)]
struct Zone(HashMap<(String, RecordType), Vec<Data>>);

fn zone(lines: &[&str]) -> Zone {
    let mut zone = Zone::default();
    for line in lines {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().expect("three words").to_owned();
        let (name, kind, value) = (word(), word(), word());
        let (kind, data) = match &*kind {
            "TXT" => (RecordType::Txt, Data::Txt(vec![value.clone().into_bytes().into()])),
            "A" => (RecordType::A, Data::A(value.parse().unwrap_or([0, 0, 0, 0].into()))),
            "AAAA" => (RecordType::Aaaa, Data::Aaaa(value.parse().expect("an address"))),
            "MX" => (RecordType::Mx, Data::Mx { preference: 10, exchange: value.clone() }),
            "PTR" => (RecordType::Ptr, Data::Ptr(value.clone())),
            other => panic!("{other}"),
        };
        let records = zone.0.entry((name, kind)).or_default();
        if value != "!" {
            records.push(data);
        }
    }
    zone
}

impl Source for Zone {
    fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        assert!(name.is_ascii() && name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len())));
        let (outcome, data) = match self.0.get(&(name.to_ascii_lowercase(), kind)) {
            None => (Answered::NxDomain, &[][..]),
            Some(data) if data.is_empty() => (Answered::Fault(Fault::Timeout), &[][..]),
            Some(data) => (Answered::Records, &data[..]),
        };
        let records = data.iter().map(|data| Dnsrecord { name: name.into(), ttl: 1, data: data.clone() }).collect();
        Box::pin(std::future::ready(Arc::new(Answer {
            name: name.into(),
            kind,
            outcome,
            records,
            repeated: Vec::new(),
            negative: None,
            server: None,
            authoritative: false,
            authenticated: false,
            took: Duration::ZERO,
        })))
    }
}

fn query(ip: &str, mail_from: &str) -> Query {
    Query {
        client_ip: ip.parse().expect("an address"),
        helo: b"mail.example.org".to_vec(),
        mail_from: mail_from.into(),
        receiver: "mx.example.net".into(),
        now: 1_800_000_000,
    }
}

async fn judged(lines: &[&str], ip: &str) -> Outcome {
    check(&Dns::new(zone(lines)), &query(ip, "<user@example.com>"), Limits::default()).await
}

#[tokio::test]
async fn the_outcome_says_why_and_where() {
    use SpfResult::*;
    for (lines, result, reason) in [
        (&["example.com TXT v=spf1 a:x.example ~all"][..], SoftFail, "matched ~all"),
        (&["example.com TXT v=spf1 ?a:x.example"], Neutral, "no term matched"),
        (&["example.com TXT v=spf1 ?ip4:192.0.2.1"], Neutral, "matched ?ip4:192.0.2.1"),
        (&["example.com TXT v=spf1mx"], None, "example.com has no SPF record"),
        (&["example.com TXT v=spf1 a", "example.com TXT v=spf1 -all"], PermError, "example.com has 2 SPF records"),
        (
            &["example.com TXT v=spf1 ip:192.0.2.1 -all"],
            PermError,
            "the SPF record of example.com has an error: unknown mechanism (octet 7: ip:192.0.2.1)",
        ),
        (
            &["example.com TXT v=spf1 include:b.example -all", "b.example TXT hello"],
            PermError,
            "include:b.example leads to b.example, which has no SPF record",
        ),
        (&["example.com TXT v=spf1 redirect=%{h1r}"], PermError, "redirect=%{h1r} leads to what is no domain name"),
        (&["example.com TXT !"], TempError, "example.com TXT: no answer in time"),
        (&["example.com TXT v=spf1 a:b.example +all", "b.example A !"], TempError, "b.example A: no answer in time"),
        (
            &["example.com TXT v=spf1 a:1.x.y a:2.x.y mx:3.x.y +all"],
            PermError,
            "more than 2 terms that find nothing in DNS",
        ),
        (&["example.com TXT v=spf1 include:example.com"], PermError, "more than 10 terms that need DNS"),
    ] {
        let outcome = judged(lines, "192.0.2.1").await;
        assert_eq!((outcome.result, &*outcome.reason.to_string()), (result, reason), "{lines:?}");
        assert_eq!((outcome.scope, outcome.domain.expect("a domain").as_str()), (Scope::MailFrom, "example.com"));
    }
}

#[tokio::test]
async fn the_path_leads_to_the_term_that_decided() {
    let outcome = judged(
        &[
            "example.com TXT v=spf1 a:none.example redirect=b.example",
            "b.example TXT v=spf1 exp=e.example -include:c.example",
            "c.example TXT v=spf1 -ip6:::/0 include:d.example +include:d.example",
            "d.example TXT v=spf1 ip4:198.51.100.0/24 ip4:192.0.2.0/24",
            "e.example TXT %{i} may not send for %{d}, says %{r} at %{t}",
        ],
        "::ffff:192.0.2.1",
    )
    .await;
    assert_eq!((outcome.result, outcome.reason.to_string()), (SpfResult::Fail, "matched -include:c.example".into()));
    assert_eq!(outcome.client_ip, IpAddr::from([192, 0, 2, 1]));
    let places: Vec<_> = outcome.path.iter().map(|place| (place.visit, place.term)).collect();
    assert_eq!(places, [(1, 1), (2, 1), (3, 1)]);
    let visits: Vec<_> = outcome.visits.iter().map(|visit| (&*visit.domain, visit.depth, visit.via)).collect();
    let via = |visit, term| Some(Place { visit, term });
    assert_eq!(
        visits,
        [
            ("example.com", 0, None),
            ("b.example", 0, via(0, 1)),
            ("c.example", 1, via(1, 1)),
            ("d.example", 2, via(2, 1))
        ]
    );
    assert_eq!((outcome.terms, outcome.voids, outcome.answers.len()), (4, 1, 6));
    let said = "192.0.2.1 may not send for b.example, says mx.example.net at 1800000000";
    assert_eq!(outcome.explanation.as_deref(), Some(said));
}

#[tokio::test]
async fn helo_is_judged_for_the_null_sender_and_when_asked() {
    let dns = Dns::new(zone(&[
        "mail.example.org TXT v=spf1 exists:%{l}.%{o} -all",
        "postmaster.mail.example.org A 127.0.0.2",
    ]));
    let null = check(&dns, &query("192.0.2.1", "<>"), Limits::default()).await;
    let asked = check_helo(&dns, &query("192.0.2.1", "user@example.com"), Limits::default()).await;
    for outcome in [null, asked] {
        assert_eq!((outcome.result, outcome.scope), (SpfResult::Pass, Scope::Helo));
        assert_eq!(outcome.domain.expect("a domain").as_str(), "mail.example.org");
    }
    // ES-01: a sender without record is `none`, whatever the HELO name would give.
    let sender = check(&dns, &query("192.0.2.1", "any@mailfrom.example.com"), Limits::default()).await;
    assert_eq!((sender.result, sender.scope), (SpfResult::None, Scope::MailFrom));
    let mut literal = query("192.0.2.1", "");
    literal.helo = b"[192.0.2.1]".to_vec();
    let outcome = check(&dns, &literal, Limits::default()).await;
    assert_eq!((outcome.result, outcome.answers.len()), (SpfResult::None, 0));
    assert_eq!(outcome.reason.to_string(), "no domain in HELO: an address literal has no SPF record");
}

#[tokio::test]
async fn a_replaced_record_is_judged_in_place_of_the_published_one() {
    let lines = ["example.com TXT v=spf1 a ~all", "p.example TXT v=spf1 ip4:192.0.2.1 -all", "example.com A 192.0.2.9"];
    let dns = Dns::new(zone(&lines));
    let query = query("192.0.2.1", "user@Example.com");
    let before = check(&dns, &query, Limits::default()).await;
    assert_eq!(before.result, SpfResult::SoftFail);
    let record = before.visits[0].record.as_ref().expect("a record");
    let repaired = [&record.with_added("include:p.example")[..], &b" ".repeat(300)].concat();
    let after = check(&with_record(&dns, "EXAMPLE.com.", &repaired), &query, Limits::default()).await;
    assert_eq!((after.result, after.reason.to_string()), (SpfResult::Pass, "matched include:p.example".into()));
    assert_eq!(after.visits[0].record.as_ref().expect("a record").as_bytes(), repaired);
}

#[tokio::test]
async fn voids_are_counted_by_term() {
    let mut lines = vec!["example.com TXT v=spf1 mx a:4.example ip6:2001:db8::/32 -all", "4.example A 192.0.2.1"];
    lines.extend(["example.com MX 1.example", "example.com MX 2.example", "example.com MX 3.example"]);
    let outcome = judged(&lines, "2001:db8::1").await;
    assert_eq!((outcome.result, outcome.voids, outcome.terms), (SpfResult::Pass, 2, 2));
    // Neither a name that cannot be asked for nor exp= is a void.
    let text = "example.com TXT v=spf1 a:x..example a:1.example a:2.example -all exp=3.example";
    assert_eq!(judged(&[text], "192.0.2.1").await.result, SpfResult::Fail);
}

#[tokio::test]
async fn limits_are_exact() {
    let host = |count: usize, kind: &str, owner: &str| -> Vec<String> {
        let names = (0..count).map(|n| format!("{owner} {kind} h{n}.example"));
        let addresses = (0..count).map(|n| format!("h{n}.example A 192.0.2.{}", 100 + n));
        names.chain(addresses).collect()
    };
    for (name, record, more, client, want) in [
        (
            "10 terms",
            "v=spf1 a a a a a a a a a a +all".into(),
            vec!["example.com A 198.51.100.9".into()],
            "192.0.2.1",
            "pass",
        ),
        (
            "11 terms",
            "v=spf1 a a a a a a a a a a a +all".into(),
            vec!["example.com A 198.51.100.9".into()],
            "192.0.2.1",
            "permerror",
        ),
        (
            "a match before the 11th",
            format!("v=spf1 {}all", "a ".repeat(11)),
            vec!["example.com A 192.0.2.1".into()],
            "192.0.2.1",
            "pass",
        ),
        (
            "redirect as 11th",
            format!("v=spf1 {}redirect=b.example", "a ".repeat(10)),
            vec!["example.com A 198.51.100.9".into(), "b.example TXT v=spf1 +all".into()],
            "192.0.2.1",
            "permerror",
        ),
        ("10 exchangers", "v=spf1 mx -all".into(), host(10, "MX", "example.com"), "192.0.2.109", "pass"),
        ("11 exchangers", "v=spf1 mx -all".into(), host(11, "MX", "example.com"), "192.0.2.100", "permerror"),
        (
            "10 names",
            "v=spf1 ptr:h9.example -all".into(),
            host(10, "PTR", "109.2.0.192.in-addr.arpa"),
            "192.0.2.109",
            "pass",
        ),
        (
            "11 names",
            "v=spf1 ptr:h10.example -all".into(),
            host(11, "PTR", "110.2.0.192.in-addr.arpa"),
            "192.0.2.110",
            "fail",
        ),
    ] {
        let record = format!("example.com TXT {record}");
        let lines: Vec<&str> = [record.as_str()].into_iter().chain(more.iter().map(String::as_str)).collect();
        let outcome = judged(&lines, client).await;
        assert_eq!(outcome.result.as_str(), want, "{name}: {}", outcome.reason);
    }
}

#[tokio::test]
async fn questions_are_capped() {
    let mut lines: Vec<String> = Vec::new();
    let mut record = String::from("example.com TXT v=spf1");
    for term in 0..10 {
        record += &format!(" mx:m{term}.example");
        for host in 0..10 {
            lines.push(format!("m{term}.example MX h{host}.example"));
        }
    }
    lines.push(record + " exp=e.example -all");
    lines.extend((0..10).map(|host| format!("h{host}.example A 198.51.100.{host}")));
    lines.extend((0..20).map(|n| format!("1.2.0.192.in-addr.arpa PTR h{}.example", n % 10)));
    lines.push("e.example TXT %{p}".into());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    // The most that the limits of the RFC allow is below our cap.
    let outcome = judged(&lines, "192.0.2.1").await;
    assert_eq!((outcome.result, outcome.answers.len()), (SpfResult::Fail, 1 + 110 + 1 + 11));
    assert_eq!(outcome.explanation.as_deref(), Some("unknown"));

    let limits = Limits { questions: 20, ..Limits::default() };
    let outcome = check(&Dns::new(zone(&lines)), &query("192.0.2.1", "a@example.com"), limits).await;
    assert_eq!((outcome.result, outcome.answers.len()), (SpfResult::PermError, 20));
    assert_eq!(outcome.reason, Reason::TooManyQuestions(20));
}

#[test]
fn chains_and_cycles_use_no_stack() {
    // Twenty thousand nested records on a stack of 128 KiB: a call that calls itself would not survive it.
    let worker = std::thread::Builder::new().stack_size(128 << 10).spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        for term in ["include:", "redirect="] {
            let chain: Vec<String> =
                (0..100).map(|n| format!("d{n}.example TXT v=spf1 {term}d{}.example", (n + 1) % 100)).collect();
            let chain: Vec<&str> = chain.iter().map(String::as_str).collect();
            let dns = Dns::new(zone(&chain));
            let query = query("192.0.2.1", "a@d0.example");
            let outcome = runtime.block_on(check(&dns, &query, Limits::default()));
            assert_eq!((outcome.result, outcome.reason), (SpfResult::PermError, Reason::TooManyTerms(10)));
            assert_eq!(outcome.answers.len(), 11);
            let limits = Limits { terms: 20_000, questions: 40_000, ..Limits::default() };
            let outcome = runtime.block_on(check(&dns, &query, limits));
            assert_eq!((outcome.result, outcome.terms), (SpfResult::PermError, 20_001));
        }
    });
    worker.expect("a thread").join().expect("no overflow");
}

#[tokio::test]
async fn hostile_input_costs_little_and_says_nothing() {
    // A local part that is no ASCII matches nothing (RFC 8616 §4), and no byte of it reaches DNS.
    let lines = ["example.com TXT v=spf1 exists:%{l}.x.example -exists:%{s} include:%{l1r+-}.example ~all"];
    let dns = Dns::new(zone(&lines));
    for local in [&b"\xff\xfe"[..], "ü".as_bytes()] {
        let mut query = query("192.0.2.1", "");
        query.mail_from = [local, b"@example.com"].concat();
        let outcome = check(&dns, &query, Limits::default()).await;
        assert_eq!((outcome.result, outcome.answers.len()), (SpfResult::SoftFail, 1));
    }

    // What the client writes must not come out of an explanation as a line of its own, nor fill memory.
    let huge = format!("big.example TXT {}", "%{h}".repeat(16_000));
    let lines = [
        "example.com TXT v=spf1 -all exp=e.example",
        "e.example TXT %{h}",
        &huge,
        "b.example TXT v=spf1 -all exp=big.example",
    ];
    let dns = Dns::new(zone(&lines));
    for (from, helo) in [("a@example.com", b"x\r\n250 ok".to_vec()), ("a@b.example", vec![b'a'; 60_000])] {
        let query = Query { helo, ..query("192.0.2.1", from) };
        let outcome = check(&dns, &query, Limits::default()).await;
        assert_eq!((outcome.result, outcome.explanation), (SpfResult::Fail, None), "{from}");
    }

    // Ten terms of 64 KB, each all macros of a long HELO name.
    let helo = [&b"a".repeat(2000)[..], b"."].concat();
    for macros in ["%{h}", "%{h1}", "%{h1r}", "%{H}", "%{hr.-+}", "%{p}"] {
        let record = format!("example.com TXT v=spf1{} -all", format!(" exists:{}", macros.repeat(16_000)).repeat(10));
        let query = Query { helo: helo.clone(), ..query("192.0.2.1", "a@example.com") };
        let start = Instant::now();
        let outcome = check(&Dns::new(zone(&[&record])), &query, Limits::default()).await;
        assert!(matches!(outcome.result, SpfResult::Fail | SpfResult::PermError), "{macros}: {}", outcome.reason);
        // 640 KB of record; without optimisation it takes a tenth of this.
        assert!(start.elapsed() < Duration::from_secs(5), "{macros}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn only_validated_names_count() {
    let lines = [
        "example.com TXT v=spf1 exists:%{p}.p.example -all",
        "1.2.0.192.in-addr.arpa PTR forged.example.com",
        "1.2.0.192.in-addr.arpa PTR slow.example.com",
        "1.2.0.192.in-addr.arpa PTR x\\.example.com",
        "x\\.example.com A 192.0.2.1",
        "1.2.0.192.in-addr.arpa PTR other.example",
        "forged.example.com A 192.0.2.99",
        "slow.example.com A !",
        "other.example A 192.0.2.1",
        "forged.example.com.p.example A 127.0.0.2",
        "other.example.p.example A 127.0.0.2",
    ];
    let outcome = judged(&lines, "192.0.2.1").await;
    assert_eq!(outcome.result, SpfResult::Pass);
    let last = outcome.answers.last().expect("a question");
    assert_eq!(last.name, "other.example.p.example");
}
