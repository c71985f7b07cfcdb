//! The DNS seam against real servers on loopback: NSD for good answers, and a server of our own for every fault.

mod common;

use common::nsd::Nsd;
use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record as Wire, RecordType as WireType,
        rdata::{CNAME, NS, SOA, TXT},
    },
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
};
use waxseal::dns::{
    Answer, Data, Dns, Fault, Outcome, RecordType,
    cache::{Cache, Limits},
    live,
    record::Recorder,
    zone,
};

/// Long enough for a busy machine, short enough to wait for silence a few times.
const DEADLINE: Duration = Duration::from_millis(900);

/// Questions that reached the server, by name.
type Seen = Arc<Mutex<Vec<String>>>;

/// What the fault server does with a question, by the first label of its name.
enum Deed {
    Say(Vec<Vec<u8>>),
    Nothing,
    Later(Duration, Vec<u8>),
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

fn txt(owner: &Name, text: &str) -> Wire {
    Wire::from_rdata(owner.clone(), 300, RData::TXT(TXT::new(vec![text.to_owned()])))
}

fn alias(owner: &Name, target: &str) -> Wire {
    Wire::from_rdata(owner.clone(), 300, RData::CNAME(CNAME(name(target))))
}

fn soa() -> Wire {
    Wire::from_rdata(name("test."), 600, RData::SOA(SOA::new(name("ns.test."), name("h.test."), 1, 2, 3, 4, 60)))
}

/// The reply to a question; `earlier` questions for the same name came before, `tcp` says how it came.
fn deed(query: &Message, earlier: usize, tcp: bool) -> Deed {
    let asked = query.queries[0].name.clone();
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.recursion_available = true;
    reply.add_query(query.queries[0].clone());
    let first = asked.iter().next().map(|label| String::from_utf8_lossy(label).into_owned()).unwrap_or_default();
    let octets = |reply: &Message| reply.to_vec().expect("a message");
    let good = || {
        let mut good = reply.clone();
        good.add_answer(txt(&asked, "good"));
        good
    };
    let code = |code| {
        let mut reply = reply.clone();
        reply.metadata.response_code = code;
        reply
    };
    match first.as_str() {
        "silence" => return Deed::Nothing,
        "delay" => return Deed::Later(DEADLINE / 2, octets(&good())),
        "lost" if earlier == 0 => return Deed::Nothing,
        "servfail" => reply = code(ResponseCode::ServFail),
        "refused" => reply = code(ResponseCode::Refused),
        "formerr" => reply = code(ResponseCode::FormErr),
        "notimp" => reply = code(ResponseCode::NotImp),
        "bare" => {
            return Deed::Say(vec![octets(&Message::error_msg(
                query.metadata.id,
                query.metadata.op_code,
                ResponseCode::Refused,
            ))]);
        }
        "noedns" if query.edns.is_some() => reply = code(ResponseCode::FormErr),
        "wrongid" => {
            reply = good();
            reply.metadata.id ^= 1;
        }
        "wrongname" => {
            reply = good();
            reply.queries[0].name = name("other.test.");
        }
        "wrongtype" => {
            reply = good();
            reply.queries[0].query_type = WireType::A;
        }
        "echo" => return Deed::Say(vec![octets(query)]),
        "spoof" => {
            let mut forged = good();
            forged.metadata.id ^= 0x5555;
            return Deed::Say(vec![vec![0xff; 40], octets(&forged), vec![1], octets(&good())]);
        }
        "garbage" => {
            let mut garbage = octets(&good());
            garbage.truncate(garbage.len() - 3);
            return Deed::Say(vec![garbage]);
        }
        "noise" => return Deed::Say(vec![vec![0x55; 700]]),
        "big" | "cut" | "cutshort" | "cuthang" if !tcp => reply.metadata.truncation = true,
        "cut" => return Deed::Say(vec![]),
        "cutshort" => return Deed::Say(vec![octets(&good())[..20].to_vec()]),
        "cuthang" => return Deed::Nothing,
        "loop" => {
            reply.add_answer(alias(&asked, "pool.test.")).add_answer(alias(&name("pool.test."), "loop.test."));
        }
        "self" => {
            reply.add_answer(alias(&asked, "self.test."));
        }
        "endless" => {
            let next =
                asked.iter().nth(1).and_then(|n| String::from_utf8_lossy(n).parse::<u32>().ok()).unwrap_or(0) + 1;
            reply.add_answer(alias(&asked, &format!("endless.{next}.test.")));
        }
        "empty" => {}
        "nodata" => {
            reply.add_authority(soa());
        }
        "nx" => {
            reply = code(ResponseCode::NXDomain);
            reply.add_authority(soa());
        }
        "gone" => {
            reply = code(ResponseCode::NXDomain);
            reply.metadata.authentic_data = true;
            reply.add_answer(alias(&asked, "nx.test.")).add_authority(soa());
        }
        "void" => {
            reply.add_answer(alias(&asked, "good.test.")).add_authority(soa());
        }
        "step" => {
            reply.metadata.authentic_data = true;
            reply.add_answer(alias(&asked, "good.test."));
        }
        "both" => {
            reply.add_answer(alias(&asked, "good.test.")).add_answer(txt(&asked, "beside"));
        }
        "lame" => {
            reply.metadata.recursion_available = false;
            reply.add_authority(Wire::from_rdata(name("test."), 300, RData::NS(NS(name("ns.elsewhere.")))));
        }
        "signed" => {
            reply = good();
            reply.metadata.authentic_data = true;
            reply.metadata.authoritative = true;
        }
        _ => reply = good(),
    }
    Deed::Say(vec![octets(&reply)])
}

/// Starts the fault server; UDP and TCP have the same port.
async fn fault_server() -> (SocketAddr, Seen) {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("an address")).await {
            break (Arc::new(udp), tcp);
        }
    };
    let address = udp.local_addr().expect("an address");
    let seen = Seen::default();
    let note = |seen: &Seen, query: &Message| {
        let mut seen = seen.lock().expect("no test panics with the lock");
        let name = query.queries[0].name.to_string();
        let earlier = seen.iter().filter(|other| **other == name).count();
        seen.push(name);
        earlier
    };
    let udp_seen = seen.clone();
    tokio::spawn(async move {
        let mut packet = [0; 4096];
        while let Ok((length, from)) = udp.recv_from(&mut packet).await {
            let query = Message::from_vec(&packet[..length]).expect("what we send can be read");
            let earlier = note(&udp_seen, &query);
            match deed(&query, earlier, false) {
                Deed::Nothing => {}
                Deed::Say(packets) => {
                    for packet in packets {
                        // A client that is gone is no fault of the server.
                        udp.send_to(&packet, from).await.ok();
                    }
                }
                Deed::Later(after, packet) => {
                    let udp = udp.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(after).await;
                        udp.send_to(&packet, from).await.ok();
                    });
                }
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            tokio::spawn(async move {
                let mut packet = vec![0; stream.read_u16().await.expect("a length").into()];
                stream.read_exact(&mut packet).await.expect("a query");
                let query = Message::from_vec(&packet).expect("what we send can be read");
                match deed(&query, 0, true) {
                    Deed::Say(packets) => {
                        for packet in packets {
                            // The short one announces more than it has.
                            let length = if packet.len() == 20 { 500 } else { packet.len() as u16 };
                            stream.write_all(&[&length.to_be_bytes(), packet.as_slice()].concat()).await.ok();
                        }
                    }
                    Deed::Nothing | Deed::Later(..) => std::future::pending().await,
                }
            });
        }
    });
    (address, seen)
}

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
    let (server, seen) = fault_server().await;
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
    let asked = seen.lock().expect("no test panics with the lock").clone();
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
    let (server, seen) = fault_server().await;
    let dns = Dns::new(live::resolver(server).deadline(DEADLINE));
    for unaskable in ["", "a..test", "nul\0.test", &format!("{}.test", "x".repeat(64)), &"abc.".repeat(64)] {
        let answer = dns.query(unaskable, RecordType::Txt).await;
        assert!(matches!(answer.outcome, Outcome::Fault(Fault::Unaskable(_))), "{unaskable:?}: {answer:?}");
    }
    assert!(seen.lock().expect("no test panics with the lock").is_empty());
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
