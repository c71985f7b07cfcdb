//! One message judged, without a wire: two thousand, fifty thousand or five million octets, with every answer of DNS at hand;
//! and the parts of that: SPF, the field that is written, and why a message fails.

mod material;

use divan::Bencher;
use material::{Kind, PIECE, body, header, settings};
use std::fmt::Write;
use tokio::runtime::Runtime;
use waxseal::{
    diagnose::case::Expected,
    dns::{Dns, zone},
    inquire::{Inquiry, Judged, OFFLINE},
    message::Header,
    name::DomainName,
    sign::{Plan, keys::Keys},
    verify::message::{Envelope, Questions, SpfVerdict, Verdicts, Verifier, ask_spf},
};

/// 2 KiB, 50 KiB, 5 MiB.
const SIZES: [usize; 3] = [2 * 1024, 50 * 1024, 5 * 1024 * 1024];
const NOW: u64 = 1_795_406_400;
const RECEIVER: &str = "mx.example.net";

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn verify(bencher: Bencher<'_, '_>, size: usize) {
    let mail = Mail::new(size);
    bencher.bench_local(|| mail.judge(divan::black_box(&mail.body)));
}

#[divan::bench]
fn spf(bencher: Bencher<'_, '_>) {
    let mail = Mail::new(0);
    bencher.bench_local(|| mail.spf());
}

#[divan::bench]
fn results_written(bencher: Bencher<'_, '_>) {
    let mail = Mail::new(0);
    let verdicts = mail.judge(&mail.body);
    bencher.bench_local(|| divan::black_box(&verdicts).results(RECEIVER, None).value());
}

/// A line was added on the way, which is found.
#[divan::bench(args = [SIZES[0], SIZES[1]])]
fn diagnosis(bencher: Bencher<'_, '_>, size: usize) {
    let mail = Mail::new(size);
    let changed: Vec<u8> = [&mail.body[..], b"added\r\n"].concat();
    let verdicts = mail.judge(&changed);
    let expected = Expected::default();
    bencher.bench_local(|| {
        let standing = mail.runtime.block_on(verdicts.standing(&mail.dns));
        let mut inquiry = Inquiry::new(&mail.dns, mail.envelope.query(RECEIVER, NOW), OFFLINE);
        let (header, body) = (&mail.header, Some(&changed[..]));
        let judged = Judged { header, body, verdicts: &verdicts, standing: &standing, at: NOW, expected: &expected };
        mail.runtime.block_on(inquiry.message(judged))
    });
}

/// A signed message and the records that it needs.
struct Mail {
    runtime: Runtime,
    dns: Dns,
    envelope: Envelope,
    header: Header,
    body: Vec<u8>,
}

impl Mail {
    fn new(size: usize) -> Mail {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path(), "inet:127.0.0.1:0");
        let name = DomainName::new("example.com").expect("a name");
        let domain = settings.domain_for(&name).expect("configured");
        let keys = Keys::default().of(domain, &settings.key_directory).expect("keys");
        let (unsigned, body) = (header(), body(Kind::Plain, size));
        let plan = Plan::new(&settings.signing, domain);
        let mut hasher = plan.body_hasher();
        hasher.write(&body);
        let made = plan.sign(&unsigned, &hasher.finish(), &keys, NOW).expect("signed");
        let mut header = Header::new();
        header.push(b"DKIM-Signature", made[0].value.as_bytes());
        unsigned.fields().for_each(|field| header.push(field.name(), field.value()));
        let mut zone = String::from(
            "$ORIGIN example.com.\n@ SOA ns h 1 2 3 4 60\n_dmarc TXT \"v=DMARC1; p=reject\"\n\
             @ TXT \"v=spf1 include:spf.example.com -all\"\nspf TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\n\
             bench._domainkey TXT",
        );
        for part in keys[0].public_record().as_bytes().chunks(200) {
            let _ = write!(zone, " \"{}\"", str::from_utf8(part).expect("ASCII"));
        }
        zone.push('\n');
        Mail {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            dns: zone::parse(&zone, "zone").unwrap_or_else(|mistakes| panic!("{mistakes}")),
            envelope: Envelope {
                client_ip: Some([192, 0, 2, 1].into()),
                helo: b"mx.example.com".to_vec(),
                mail_from: b"billing@example.com".to_vec(),
            },
            header,
            body,
        }
    }

    fn spf(&self) -> Option<SpfVerdict> {
        self.runtime.block_on(ask_spf(&self.dns, &self.envelope, RECEIVER, NOW))
    }

    fn judge(&self, body: &[u8]) -> Verdicts {
        let mut verifier = Verifier::new(&self.header, &[], NOW);
        let questions = Questions::new(&self.header, &verifier);
        let answers = self.runtime.block_on(questions.ask(&self.dns));
        body.chunks(PIECE).for_each(|piece| verifier.body(piece));
        let judged = Verdicts::conclude(&self.dns, &self.header, verifier, answers, self.spf());
        self.runtime.block_on(judged)
    }
}
