//! What a hostile message costs: the CPU time of its verification, against that of a plain message, and how it grows.
//!
//! The clock is that of the thread, so that other work on the machine does not count. Each limit is that of a release
//! build, times [`SLACK`] for a build without optimisation on a slow machine; growth needs no such factor. And how long a
//! message waits for name servers that are far away.

mod common;

use common::{
    forge::{ED25519, RSA_2048, Signer, Zone, giant},
    seal::{NOW, Sealer},
};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use tokio::{
    runtime::Runtime,
    time::{Instant, sleep},
};
use waxseal::{
    address, authres,
    dns::{Dns, Pending, RecordType, Source, cache, zone},
    message::Message,
    verify::message::{Envelope, Questions, Verdicts, Verifier, ask_spf},
};

const SLACK: u32 = 5;

/// Twice the input may take 2.2 times as long; the rest is for the noise of short times, and less than the four times
/// of a square.
const TWICE: u32 = 3;
const NOISE: Duration = Duration::from_millis(2);

const MAIL: &str = "From: <a@example.com>\r\nTo: <b@example.net>\r\nSubject: hello\r\n\
                    Date: Mon, 23 Nov 2026 03:59:00 +0000\r\n\r\nThe body.\r\n";

/// The records and the message.
type Case = (Zone, Vec<u8>);

/// Makes a message with so many of something.
type Input<'a> = dyn Fn(usize) -> Vec<u8> + 'a;

/// Judges whole messages under one zone.
struct Desk {
    runtime: Runtime,
    dns: Dns,
}

impl Desk {
    fn new(zone: &Zone) -> Desk {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Desk { runtime, dns: zone::parse(zone.text(), "zone").unwrap_or_else(|mistakes| panic!("{mistakes}")) }
    }

    /// The CPU time to judge a message, from its octets to our field; the least of three runs.
    fn cost(&self, mail: &[u8]) -> Duration {
        let once = || {
            let start = cpu();
            self.runtime.block_on(self.judge(mail));
            cpu() - start
        };
        (0..3).map(|_| once()).min().expect("three")
    }

    async fn judge(&self, mail: &[u8]) {
        let message = Message::new(mail);
        let preferred: Vec<_> = address::author_domain(&message.header).into_iter().collect();
        let mut verifier = Verifier::new(&message.header, &preferred, NOW);
        let questions = Questions::new(&message.header, &verifier);
        let envelope = Envelope {
            client_ip: Some([192, 0, 2, 1].into()),
            helo: b"mx.example.com".to_vec(),
            mail_from: b"a@example.com".to_vec(),
        };
        let spf = ask_spf(&self.dns, &envelope, "mx.example.net", NOW).await;
        let answers = questions.ask(&self.dns).await;
        for piece in message.body.chunks(65_535) {
            verifier.body(piece);
        }
        let verdicts = Verdicts::conclude(&self.dns, &message.header, verifier, answers, spf).await;
        for field in message.header.named("Authentication-Results") {
            authres::claims(field.value(), "mx.example.net");
        }
        assert!(verdicts.results("mx.example.net", None).value().contains("dkim="));
    }
}

/// What is wrong each time that it is measured: a machine that is busy with others for a tenth of a second is not our
/// cost, and a square stays one.
fn steadily(measure: impl Fn() -> Result<(), String>) -> Result<(), String> {
    (0..5).try_fold(String::new(), |_, _| measure().err().ok_or(())).map_or(Ok(()), Err)
}

fn cpu() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("CPU time is never negative")
}

fn signer() -> Signer<'static> {
    Signer::new(&RSA_2048, "example.com")
}

fn zone(record: &str) -> Zone {
    Zone::default()
        .txt("sel._domainkey.example.com", record)
        .txt("_dmarc.example.com", "v=DMARC1; p=reject")
        .txt("example.com", "v=spf1 -all")
}

fn signed() -> Vec<u8> {
    signer().sign(MAIL.as_bytes())
}

/// The fields above the plain signed message.
fn with(fields: &str) -> Vec<u8> {
    [fields.as_bytes(), &signed()].concat()
}

/// A signature with this tag; its digests do not matter.
fn tagged(tag: &str, value: &str) -> Vec<u8> {
    let bh = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    signer().set("bh", bh).set("b", "AAAA").set(tag, value).sign(MAIL.as_bytes())
}

fn chain(sets: usize) -> Vec<u8> {
    (1..=sets).fold(MAIL.into(), |mail, instance| Sealer::new(&ED25519, "three.example", instance).seal(&mail))
}

/// SECURITY's time bounds: so many milliseconds more than a plain message.
#[test]
fn a_hostile_message_costs_little_more_than_a_plain_one() {
    let good = zone(&RSA_2048.record()).txt("sel._domainkey.three.example", &ED25519.record());
    let giant =
        |bits: usize| (zone(&format!("v=DKIM1; p={}", giant(bits))), tagged("b", &"A".repeat(bits / 6 / 4 * 4)));
    let key = |record: String| (zone(&record), signed());
    let here = |mail: Vec<u8>| (good.clone(), mail);
    let spf = |record: String| (Zone::default().txt("example.com", &record), signed());
    let results =
        format!("Authentication-Results: mx.example.net{}\r\n", "; dkim=pass header.d=a.example".repeat(10_000));
    let bulk = Signer::new(&ED25519, "three.example").field(MAIL.as_bytes());
    let plain = Desk::new(&good).cost(&signed());
    let rows: Vec<(&str, u32, Case)> = vec![
        ("K-16384", 5, giant(16_384)),
        ("K-65536", 5, giant(65_536)),
        ("H-10K", 5, here(tagged("h", &format!("from{}", ":x-name".repeat(10_000))))),
        ("H-30K", 5, here(tagged("h", &":".repeat(30_000)))),
        ("DNS-20K of digits", 50, key(format!("v=DKIM1; p={}", "A".repeat(20_000)))),
        ("DNS-20K that looks like a private key everywhere", 50, key(format!("v=DKIM1; p={}", "MIIE".repeat(5_000)))),
        ("DNS-20K of tags", 50, key(format!("v=DKIM1; p={}{}", RSA_2048.public(), "; a=".repeat(5_000)))),
        ("DNS-20K of blanks", 50, key(format!("v=DKIM1; p={}{}", " ".repeat(20_000), RSA_2048.public()))),
        ("Z-64K", 50, here(tagged("z", &"From:a=40b|".repeat(5_500)))),
        ("BH-LEN", 50, here(tagged("bh", &"A".repeat(4_000)))),
        ("b= of 64 KB", 50, here(tagged("b", &"A".repeat(65_536)))),
        ("d= of 64 KB", 50, here(tagged("d", &"a.".repeat(32_768)))),
        ("i= of 64 KB", 50, here(tagged("i", &format!("{}@example.com", "=41".repeat(21_000))))),
        ("S-100", 50, here([bulk.repeat(99), signed()].concat())),
        ("S-200", 50, here([bulk.repeat(199), signed()].concat())),
        ("ARC-50", 50, here(chain(50))),
        ("ARC-51", 50, here(chain(51))),
        ("AR-40RES and more", 50, here(with(&results))),
        (
            "A-R of comments",
            50,
            here(with(&format!("Authentication-Results: {}mx.example.net\r\n", "(".repeat(100_000)))),
        ),
        ("From of comments", 50, here(format!("From: {}a@example.com\r\n\r\n", "(".repeat(100_000)).into_bytes())),
        ("From of quotes", 50, here(format!("From: {}a@example.com\r\n\r\n", "\"\\\"".repeat(30_000)).into_bytes())),
        (
            "DMARC-50FROM and more",
            50,
            here(format!("From: {}b@x.example\r\n\r\n", "<a@d.example>, ".repeat(5_000)).into_bytes()),
        ),
        ("SPF of macros", 50, spf(format!("v=spf1 exists:{}.example.com -all", "%{l1r+-}".repeat(2_000)))),
        ("SPF of addresses", 50, spf(format!("v=spf1{} -all", " ip4:198.51.100.0/24".repeat(1_000)))),
    ];
    let mut wrong = Vec::new();
    for (id, limit, (zone, mail)) in rows {
        let more = Desk::new(&zone).cost(&mail).saturating_sub(plain);
        println!("{id}: {more:?} more than {plain:?}");
        if more > Duration::from_millis(limit.into()) * SLACK {
            wrong.push(format!("{id}: {more:?}, limit {limit} ms"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Twice as much of anything takes about twice as long.
#[test]
fn cost_grows_with_the_size_and_no_faster() {
    let desk = Desk::new(&zone(&RSA_2048.record()));
    let body =
        |piece: &str, size: usize| [MAIL.as_bytes(), piece.repeat(size / piece.len()).as_bytes(), b"\r\n"].concat();
    // Digests that are wrong cost as much as right ones, and are made at once.
    let relaxed = tagged("c", "relaxed/relaxed");
    let signature = &relaxed[..relaxed.len() - MAIL.len()];
    let under = |mail: Vec<u8>| [signature, &mail].concat();
    let inputs: [(&str, usize, &Input<'_>); 9] = [
        ("HD-20000", 10_000, &|size| with(&"X-Many: one of them\r\n".repeat(size))),
        ("HD-20000, all signed", 10_000, &|size| under([&"To: x@y.example\r\n".repeat(size), MAIL].concat().into())),
        ("HD-1MB", 1 << 19, &|size| with(&format!("X-Long: {}\r\n", "x".repeat(size)))),
        ("HD-1MB, signed", 1 << 19, &|size| under(MAIL.replace("hello", &"x ".repeat(size / 2)).into())),
        ("B-WSP", 2 << 20, &|size| under(body(" ", size))),
        ("B-LONGLINE", 2 << 20, &|size| under(body(" a a a", size))),
        ("lines of blanks", 2 << 20, &|size| under(body(" \t \r\n", size))),
        ("A-R", 5_000, &|size| with(&format!("Authentication-Results: x{}\r\n", "; dkim=pass".repeat(size)))),
        ("h=", 100_000, &|size| tagged("h", &"x:".repeat(size))),
    ];
    let mut wrong = Vec::new();
    for (id, size, input) in inputs {
        let measure = || {
            let (one, two) = (desk.cost(&input(size)), desk.cost(&input(2 * size)));
            let said = format!("{id}: {one:?}, twice {two:?}");
            println!("{said}");
            if two > one * TWICE + NOISE { Err(said) } else { Ok(()) }
        };
        wrong.extend(steadily(measure).err());
    }
    // B-LONGLINE and B-WSP take at most twice as long as a usual body of their size.
    let people = under(body("Some words of a line, as they are written by people.\r\n", 4 << 20));
    for piece in [" a a a", " "] {
        let measure = || {
            let (odd, usual) = (desk.cost(&under(body(piece, 4 << 20))), desk.cost(&people));
            let said = format!("a body of {piece:?}: {odd:?}, usual {usual:?}");
            println!("{said}");
            if odd > usual * 2 * SLACK { Err(said) } else { Ok(()) }
        };
        wrong.extend(steadily(measure).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Name servers 50 ms away.
struct FarAway(Dns);

const ROUND_TRIP: Duration = Duration::from_millis(50);

impl Source for FarAway {
    fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        Box::pin(async move {
            sleep(ROUND_TRIP).await;
            self.0.query(name, kind).await
        })
    }
}

/// Two signatures, SPF with an include in an include, and DMARC, when the header comes at once and nothing is cached: each
/// waits for no other, so the longest of them counts.
#[tokio::test(start_paused = true)]
async fn nothing_cached_costs_three_round_trips() {
    let zone = Zone::default()
        .txt("sel._domainkey.example.com", &RSA_2048.record())
        .txt("sel._domainkey.list.example", &ED25519.record())
        .txt("_dmarc.example.com", "v=DMARC1; p=reject")
        .txt("example.com", "v=spf1 include:one.example -all")
        .txt("one.example", "v=spf1 include:two.example -all")
        .txt("two.example", "v=spf1 ip4:192.0.2.1 -all");
    let zone = zone::parse(zone.text(), "zone").unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let dns = Dns::new(cache::Cache::new(Dns::new(FarAway(zone)), cache::Limits::default()));
    let mail = Signer::new(&ED25519, "list.example").sign(&signed());
    let message = Message::new(&mail);
    let envelope = Envelope {
        client_ip: Some([192, 0, 2, 1].into()),
        helo: b"mx.example.com".to_vec(),
        mail_from: b"a@example.com".to_vec(),
    };
    for trips in [3, 0] {
        let asked = Instant::now();
        let mut verifier = Verifier::new(&message.header, &[], NOW);
        let questions = Questions::new(&message.header, &verifier);
        let spf = ask_spf(&dns, &envelope, "mx.example.net", NOW);
        let (spf, answers) = tokio::join!(spf, questions.ask(&dns));
        verifier.body(message.body);
        let verdicts = Verdicts::conclude(&dns, &message.header, verifier, answers, spf).await;
        let results = verdicts.results("mx.example.net", None).value();
        assert_eq!(results.matches("=pass").count(), 4, "{results}");
        assert!(asked.elapsed() < ROUND_TRIP * (trips + 1), "{:?} is more than {trips} round trips", asked.elapsed());
    }
}
