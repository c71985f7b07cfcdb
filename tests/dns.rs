//! The DNS seam against real servers on loopback: NSD for good answers, and a server of our own for every fault.

mod common;

use common::{
    faults::{DELAY, FaultServer},
    nsd::Nsd,
};
use std::time::{Duration, Instant};
use waxseal::dns::{
    Answer, Data, Dns, Fault, Outcome, RecordType,
    cache::{Cache, Limits},
    live,
    record::Recorder,
    zone,
};

/// Long enough for a busy machine, short enough to wait for silence a few times.
const DEADLINE: Duration = DELAY.saturating_mul(2);

fn faulty(fault: Fault) -> Outcome {
    Outcome::Fault(fault)
}

/// What one question says, in one line: outcome, and the first text or the chain.
fn told(answer: &Answer) -> String {
    let names = answer.records.iter().map(|record| match &record.data {
        Data::Txt(strings) => strings.iter().map(|s| String::from_utf8_lossy(s)).collect::<Vec<_>>().join("|"),
        Data::Cname(target) => format!(">{target}"),
        other => format!("{other:?}"),
    });
    names.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn every_fault_is_told_apart_and_within_the_deadline() {
    let faults = FaultServer::start([]);
    let server = faults.address();
    let dns = Dns::new(live::resolver(server).deadline(DEADLINE));
    let other = |text: &str| faulty(Fault::Other(text.into()));
    let cases = [
        ("good", Outcome::Records, "good"),
        ("silence", faulty(Fault::Timeout), ""),
        ("servfail", faulty(Fault::ServFail), ""),
        ("refused", faulty(Fault::Refused), ""),
        ("bare", faulty(Fault::Refused), ""),
        ("formerr", other("rcode 1 (form error)"), ""),
        ("notimp", other("rcode 4 (not implemented)"), ""),
        ("noedns", Outcome::Records, "good"),
        ("wrongid", faulty(Fault::Timeout), ""),
        ("wrongname", faulty(Fault::Timeout), ""),
        ("wrongtype", faulty(Fault::Timeout), ""),
        ("echo", faulty(Fault::Timeout), ""),
        ("noise", faulty(Fault::Timeout), ""),
        ("spoof", Outcome::Records, "good"),
        ("delay", Outcome::Records, "good"),
        ("lost", Outcome::Records, "good"),
        ("big", Outcome::Records, "good"),
        ("cut", faulty(Fault::Truncated), ""),
        ("cutshort", faulty(Fault::Truncated), ""),
        ("cuthang", faulty(Fault::Truncated), ""),
        ("loop", faulty(Fault::CnameLoop), ">pool.test >loop.test"),
        ("self", faulty(Fault::CnameLoop), ">self.test"),
        ("empty", Outcome::NoData, ""),
        ("nodata", Outcome::NoData, ""),
        ("nx", Outcome::NxDomain, ""),
        ("gone", Outcome::NxDomain, ">nx.test"),
        // The alias leads to a name that would have an answer, but the server has denied it already.
        ("void", Outcome::NoData, ">good.test"),
        ("step", Outcome::Records, ">good.test good"),
        ("both", Outcome::Records, ">good.test beside"),
        ("lame", other("a referral instead of an answer (a lame server)"), ""),
    ];
    for (label, want, records) in cases {
        let start = Instant::now();
        let answer = dns.query(&format!("{label}.test"), RecordType::Txt).await;
        assert_eq!((&answer.outcome, told(&answer).as_str()), (&want, records), "{label}");
        assert!(start.elapsed() < DEADLINE + Duration::from_millis(500), "{label} took {:?}", start.elapsed());
        assert_eq!((answer.name.as_str(), answer.kind), (format!("{label}.test").as_str(), RecordType::Txt));
        let answered = !matches!(want, Outcome::Fault(Fault::Timeout));
        assert_eq!(answer.server, answered.then_some(server), "{label}");
        assert_eq!(
            answer.negative,
            matches!(label, "nodata" | "nx" | "gone" | "void").then(|| ("test".to_owned(), 60)),
            "{label}"
        );
        // `step` is vouched for only halfway.
        assert_eq!(answer.authenticated, matches!(label, "gone" | "signed"), "{label}");
    }
    let garbage = dns.query("garbage.test", RecordType::Txt).await;
    assert!(
        matches!(&garbage.outcome, Outcome::Fault(Fault::Other(why)) if why.starts_with("an answer that cannot be read: ")),
        "{garbage:?}"
    );
    let signed = dns.query("signed.test", RecordType::Txt).await;
    assert!(signed.authenticated && signed.authoritative, "{signed:?}");
    let endless = dns.query("endless.test", RecordType::Txt).await;
    assert_eq!((&endless.outcome, endless.records.len()), (&faulty(Fault::CnameLoop), 17));
    let asked = faults.seen();
    assert_eq!(asked.iter().filter(|name| *name == "silence.test.").count(), 3, "tries before the deadline");
    assert_eq!(asked.iter().filter(|name| *name == "servfail.test.").count(), 1);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_said_at_once() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let server = socket.local_addr().expect("an address");
    drop(socket);
    let answer = Dns::new(live::resolver(server)).query("example.com", RecordType::Txt).await;
    let want = format!("{server} cannot be reached: ");
    assert!(matches!(&answer.outcome, Outcome::Fault(Fault::Other(why)) if why.starts_with(&want)), "{answer:?}");
    assert!(answer.took < Duration::from_secs(2), "{answer:?}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_sent_and_what_can_is_sent_as_it_is() {
    let faults = FaultServer::start([]);
    let server = faults.address();
    let dns = Dns::new(live::resolver(server).deadline(DEADLINE));
    for unaskable in ["", "a..test", "nul\0.test", &format!("{}.test", "x".repeat(64)), &"abc.".repeat(64)] {
        let answer = dns.query(unaskable, RecordType::Txt).await;
        assert!(matches!(answer.outcome, Outcome::Fault(Fault::Unaskable(_))), "{unaskable:?}: {answer:?}");
    }
    assert!(faults.seen().is_empty());
    for (odd, shown) in [
        ("_spf.Test.", "_spf.test"),
        ("a b.test", "a b.test"),
        ("*.test", "*.test"),
        ("back\\slash.test", "back\\\\slash.test"),
        ("tab\tbed.test", "tab\\009bed.test"),
        ("ümlaut.test", "ümlaut.test"),
        ("quote\"(;@.test", "quote\"(;@.test"),
    ] {
        let answer = dns.query(odd, RecordType::Txt).await;
        assert_eq!((&answer.outcome, answer.name.as_str()), (&Outcome::Records, shown), "{odd:?}");
        assert_eq!(answer.records[0].name, shown, "{odd:?}");
    }
}

const EXAMPLE: &str = r#"$ORIGIN example.com.
$TTL 1h30m
@       IN SOA ns hostmaster ( 2026112301 ; serial
                 3600 900 1w
                 300 )
        NS ns
        MX 10 mx.Other.example.
        TXT "v=spf1 -all"
        TXT "token"
ns      300 IN A 192.0.2.1
        IN 300 AAAA 2001:db8::1
sel._domainkey 60 TXT ( "v=DKIM1; k=rsa; "
        "p=AAAA" ) ; comment "not a string
odd     TXT one\;two "with \"quotes\" and \\ and \059" \255 "\000\195" ""
space\032label TXT "label with a blank"
dot\.label TXT "label with a dot"
esc\092label TXT "label with a backslash"
*.wild  TXT "star"
        MX 5 mx
host.sub.wild A 192.0.2.2
cname   CNAME target.other.example.
gone    CNAME nowhere
chain   CNAME chain2
chain2  CNAME cname
loop    CNAME pool
pool    CNAME loop
*.alias CNAME ns
old     SPF "v=spf1 ?all"
raw     TYPE16 \# 5 04 ( 00FF 22
        5c )
ptr     PTR Ptr.Example.NET.
key     DNSKEY 256 3 13 ( oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeqCYKD5ar0IRd8
        KqXXFJkqmVfRvMGPmM1x8fGAa2XhSA== )
"#;

const OTHER: &str = r#"$ORIGIN other.example.
@ 3600 IN SOA ns hostmaster 7 1h 15m 1w 2h
@ 3600 NS ns
ns 3600 A 192.0.2.9
target 120 TXT "other zone"
mx 120 A 192.0.2.3
"#;

#[tokio::test]
async fn nsd_and_the_zone_source_say_the_same() {
    // 20 kB and more, as SECURITY's DNS-20K: it comes over TCP alone.
    let big = format!("big TXT {}\n", format!("\"{}\" ", "x".repeat(250)).repeat(90));
    let example = format!("{EXAMPLE}{big}");
    let nsd = Nsd::start(&[("example.com", &example), ("other.example", OTHER)]);
    let cached = Dns::new(Cache::new(Dns::new(live::resolver(nsd.address())), Limits::default()));
    let recorder = Recorder::new(cached);
    let live = Dns::new(recorder.clone());
    let zone = zone::parse(format!("{example}{OTHER}"), "zones").expect("good zones");
    let names = [
        "example.com",
        "EXAMPLE.com.",
        "ns.example.com",
        "sel._domainkey.example.com",
        "_domainkey.example.com",
        "odd.example.com",
        "space label.example.com",
        "dot.label.example.com",
        "esc\\label.example.com",
        "nowhere.example.com",
        "a.wild.example.com",
        "a.b.wild.example.com",
        "*.wild.example.com",
        "wild.example.com",
        "sub.wild.example.com",
        "x.sub.wild.example.com",
        "host.sub.wild.example.com",
        "x.*.wild.example.com",
        "cname.example.com",
        "gone.example.com",
        "chain.example.com",
        "loop.example.com",
        "x.alias.example.com",
        "old.example.com",
        "raw.example.com",
        "ptr.example.com",
        "key.example.com",
        "big.example.com",
        "other.example",
        "target.other.example",
        "x.target.other.example",
    ];
    let plain = |answer: &Answer| {
        let mut records = answer.records.clone();
        records.sort_by_key(|record| format!("{record:?}"));
        (answer.name.clone(), answer.outcome.clone(), records, answer.negative.clone())
    };
    for name in names {
        for kind in RecordType::ALL {
            let (from_live, from_zone) = (live.query(name, kind).await, zone.query(name, kind).await);
            assert!(from_live.authoritative || matches!(from_live.outcome, Outcome::Fault(_)), "{name} {kind}");
            assert_eq!(plain(&from_live), plain(&from_zone), "{name} {kind}");
        }
    }
    let text = recorder.text().await;
    assert!(!text.contains("not in this file"), "{text}");
    let recorded = zone::parse(&text, "recording").expect("what is recorded can be read");
    for name in names {
        for kind in RecordType::ALL {
            let (from_record, from_zone) = (recorded.query(name, kind).await, zone.query(name, kind).await);
            assert_eq!(plain(&from_record), plain(&from_zone), "{name} {kind}, recorded");
        }
    }
}
