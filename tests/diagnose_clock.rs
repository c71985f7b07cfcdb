//! Findings about times: signatures that ran out or are not due yet, and whose clock it is.

mod common;

use common::{
    forge::{OTHER_2048, RSA_2048, Signer, Zone},
    scene::{MAIL, verify},
};

/// 2026-11-23T04:00:00Z.
const AT: u64 = 1_795_406_400;

fn zone() -> Zone {
    Zone::default()
        .txt("sel._domainkey.example.com", &RSA_2048.record())
        .txt("sel._domainkey.relay.test", &OTHER_2048.record())
}

fn signed(tags: &[(&str, u64)]) -> Vec<u8> {
    let signer = Signer::new(&RSA_2048, "example.com");
    tags.iter().fold(signer, |signer, (name, value)| signer.add(name, value.to_string())).sign(MAIL.as_bytes())
}

/// A message as a server took it at some time.
fn received(mail: &[u8], date: &str) -> Vec<u8> {
    let field = format!(
        "Received: from mx.example.com (mx.example.com [192.0.2.1]) by mx.example.net with ESMTP id 1;\r\n\t{date}\r\n"
    );
    [field.as_bytes(), mail].concat()
}

#[test]
fn a_signature_that_ran_out() {
    let mail = signed(&[("t", AT - 7200), ("x", AT - 3600)]);
    for (mail, claim) in [
        (mail.clone(), "the signature had expired 60 min before it was judged"),
        (
            received(&mail, "Mon, 23 Nov 2026 12:59:00 +0900"),
            "the signature expired on the way: 59 min before the message arrived",
        ),
        (
            received(&mail, "Mon, 23 Nov 2026 02:30:00 +0000"),
            "the signature was good when the message arrived and had expired when it was judged, 60 min ago",
        ),
    ] {
        let said = verify(&mail, &zone(), &[]);
        said.leads("dkim-signature-expired", "certain");
        assert_eq!(said.finding("dkim-signature-expired")["claim"], claim);
    }
    verify(&signed(&[("t", AT - 7200), ("x", AT)]), &zone(), &[]).healthy().never(&["dkim-signature-expired"]);
}

#[test]
fn an_expiry_before_the_signing() {
    for expiration in [AT - 100, AT - 101] {
        let said = verify(&signed(&[("t", AT - 100), ("x", expiration)]), &zone(), &[]);
        said.leads("dkim-signature-x-before-t", "certain").never(&["dkim-signature-expired"]);
    }
}

#[test]
fn a_signature_from_the_future() {
    let mail = signed(&[("t", AT + 3600)]);
    verify(&mail, &zone(), &[])
        .leads("dkim-signature-from-future", "likely")
        .never(&["clock-signer-skew", "clock-verifier-skew"]);
    // Clocks differ a little.
    verify(&signed(&[("t", AT + 300)]), &zone(), &[]).healthy().never(&["dkim-signature-from-future"]);
}

#[test]
fn the_trace_says_whose_clock_it_is() {
    let mail = signed(&[("t", AT + 3600)]);
    verify(&received(&mail, "Mon, 23 Nov 2026 03:59:58 +0000"), &zone(), &[])
        .leads("clock-signer-skew", "likely")
        .never(&["clock-verifier-skew"]);
    let said = verify(&received(&mail, "Mon, 23 Nov 2026 05:00:02 +0000"), &zone(), &[]);
    said.leads("clock-verifier-skew", "likely").never(&["clock-signer-skew"]);
    assert_eq!(said.finding("verifier-clock-skew")["severity"], "note");
}

#[test]
fn signers_that_agree_with_each_other_are_not_both_wrong() {
    let inner = signed(&[("t", AT + 3600)]);
    let outer = |domain, t: u64| Signer::new(&OTHER_2048, domain).add("t", t.to_string()).sign(&inner);
    verify(&outer("relay.test", AT + 3605), &zone(), &[])
        .leads("clock-verifier-skew", "likely")
        .never(&["clock-signer-skew"]);
    // Of one house, or one of them right: nothing follows.
    for mail in [outer("mail.example.com", AT + 3605), outer("relay.test", AT)] {
        let zone = zone().txt("sel._domainkey.mail.example.com", &OTHER_2048.record());
        verify(&mail, &zone, &[]).leads("dkim-signature-from-future", "likely").never(&["clock-verifier-skew"]);
    }
}
