//! The milter behind a real Postfix says why incoming mail failed: after the answer, in an event of its own, and without
//! holding anything up.

mod common;

use common::{
    eventually,
    forge::{RSA_2048, Signer, Zone},
    nsd::Nsd,
    receiver::{OUTSIDE, Receiver},
};
use serde_json::Value;
use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

const SOA: &str = "$ORIGIN example.\n@ 300 IN SOA ns.example. h.example. 1 3600 900 604800 60\n@ 300 IN NS ns.example.";
const LIMIT: Duration = Duration::from_secs(30);

fn mail(domain: &str, body: &str) -> String {
    format!(
        "From: a@{domain}\r\nTo: user@receiver.example\r\nSubject: hello\r\nDate: Mon, 23 Nov 2026 04:00:00 +0000\r\n\
         Message-ID: <1@{domain}>\r\n\r\n{body}\r\n"
    )
}

fn signed(domain: &str, body: &str) -> Vec<u8> {
    Signer::new(&RSA_2048, domain).sign(mail(domain, body).as_bytes())
}

/// The event that tells this cause first, once it is there.
#[track_caller]
fn diagnosis(receiver: &Receiver, cause: &str) -> Value {
    eventually(&format!("an event with {cause}"), LIMIT, || {
        receiver.waxseal.diagnoses().into_iter().find(|event| event["causes"][0]["cause"] == cause)
    })
}

#[test]
fn the_cause_of_a_failure_follows_in_the_log() {
    let record = RSA_2048.record();
    let (one, two) = record.split_at(255);
    let zone = Zone::default()
        .line(SOA)
        .txt("sound.example", "v=spf1 -all")
        .txt("sel._domainkey.sound.example", &record)
        .txt("split.example", "v=spf1 -all")
        .txt("sel._domainkey.split.example", one)
        .txt("sel._domainkey.split.example", two);
    let nsd = Nsd::start(&[("example", zone.text())]);
    let receiver = Receiver::start(nsd.address(), "");

    let split = signed("split.example", "body");
    let arrived = receiver.through(OUTSIDE, "", &split);
    assert!(String::from_utf8_lossy(&arrived.bytes).contains("dkim=permerror"), "the verdict stands");
    let event = diagnosis(&receiver, "dkim-key-split-across-records");
    let cause = &event["causes"][0];
    assert_eq!(cause["confidence"], "certain");
    let documented = cause["documented"].as_str().expect("the section of the document");
    assert!(documented.starts_with("Cloud Outbound Mailer troubleshooting, "), "{event:#}");
    assert!(cause["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{event:#}");

    let footer = [signed("sound.example", "body"), b"-- \r\nscanned by a filter\r\n".to_vec()].concat();
    receiver.through(OUTSIDE, "", &footer);
    assert_eq!(diagnosis(&receiver, "body-footer-appended")["causes"][0]["confidence"], "certain");

    // A body beyond what is kept: the change is seen, and nobody guesses which it was.
    let long = "a line of text that repeats\r\n".repeat(20_000);
    let footer = [signed("sound.example", &long), b"-- \r\nscanned\r\n".to_vec()].concat();
    receiver.through(OUTSIDE, "", &footer);
    diagnosis(&receiver, "body-changed-unattributed");
    assert_eq!(receiver.waxseal.diagnoses().len(), 3, "one event a message");
}

#[test]
fn mail_that_is_in_order_is_not_looked_into() {
    let zone = Zone::default()
        .line(SOA)
        .txt("sound.example", "v=spf1 ip4:192.0.2.0/24 -all")
        .txt("_dmarc.sound.example", "v=DMARC1; p=reject")
        .txt("sel._domainkey.sound.example", &RSA_2048.record())
        .txt("broken.example", "v=spf1 -all");
    let nsd = Nsd::start(&[("example", zone.text())]);
    let receiver = Receiver::start(nsd.address(), "");
    receiver.through(OUTSIDE, "a@sound.example", &signed("sound.example", "body"));
    // What comes later is diagnosed; so what came before would have been by now.
    receiver.through(OUTSIDE, "a@broken.example", &signed("broken.example", "body"));
    let event = diagnosis(&receiver, "dkim-record-not-found");
    assert_eq!(event["from_domain"], "broken.example");
    assert_eq!(receiver.waxseal.diagnoses().len(), 1);
}

#[test]
fn a_diagnosis_never_delays_mail() {
    // A name server that never answers.
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let receiver = Receiver::start(address, "verify.dns_timeout = \"1s\"");
    let mail = signed("silent.example", "body");
    let began = Instant::now();
    for _ in 0..3 {
        receiver.through(OUTSIDE, "a@silent.example", &mail);
    }
    // Each waits for the verdict alone. The questions of a diagnosis would take five seconds more.
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    let event = eventually("an event that tells why", LIMIT, || receiver.waxseal.diagnoses().into_iter().next());
    let causes = event["causes"].as_array().expect("causes");
    assert!(causes.iter().any(|cause| cause["cause"] == "dns-lookup-failed"), "{event:#}");
}
