//! Causes of ARC, by `waxseal verify`: each with a scene that shows it and a neighbour that does not.

mod common;

use common::{
    forge::{OTHER_2048, RSA_2048, Signer, Zone},
    scene::{MAIL, Said, verify},
    seal::Sealer,
};

const ALL: [&str; 5] =
    ["arc-seal-invalid", "arc-chain-broken", "arc-ams-fail-newest", "arc-untrusted-sealer", "arc-original-pass"];

fn zone() -> Zone {
    Zone::default()
        .txt("sel._domainkey.example.com", &RSA_2048.record())
        .txt("sel._domainkey.list.example", &RSA_2048.record())
        .txt("_dmarc.example.com", "v=DMARC1; p=reject")
        .txt("example.com", "v=spf1 -all")
}

fn signed() -> Vec<u8> {
    Signer::new(&RSA_2048, "example.com").sign(MAIL.as_bytes())
}

/// What the list saw, with its seal on the message as it went out, its body changed by the list.
fn listed() -> Vec<u8> {
    let changed = [signed(), b"-- \r\nthe list\r\n".to_vec()].concat();
    Sealer::new(&RSA_2048, "list.example", 1)
        .results("i=1; list.example; dkim=pass header.d=example.com; spf=pass")
        .seal(&changed)
}

#[track_caller]
fn only(said: &Said, cause: &str) {
    said.finding(cause);
    let others: Vec<&str> = ALL.into_iter().filter(|other| *other != cause).collect();
    said.never(&others);
}

#[test]
fn a_chain_that_does_not_hold_says_where() {
    let forged = Sealer::new(&OTHER_2048, "list.example", 1).seal(&signed());
    only(&verify(&forged, &zone(), &[]), "arc-ams-fail-newest");
    let text = String::from_utf8(Sealer::new(&RSA_2048, "list.example", 1).seal(&signed())).expect("text");
    let seal = text.replacen("b=", "b=A", 1);
    only(&verify(seal.as_bytes(), &zone(), &[]), "arc-seal-invalid");
    let gap = Sealer::new(&RSA_2048, "list.example", 2).seal(&signed());
    only(&verify(&gap, &zone(), &[]), "arc-chain-broken");
    let later = text.replace("the end", "another end");
    only(&verify(later.as_bytes(), &zone(), &[]), "arc-ams-fail-newest");
}

#[test]
fn a_whole_chain_is_no_cause() {
    let sealed = Sealer::new(&RSA_2048, "list.example", 1).seal(&signed());
    verify(&sealed, &zone(), &[]).healthy().never(&ALL);
}

#[test]
fn a_whole_chain_over_a_broken_signature_tells_what_the_sealer_saw() {
    let said = verify(&listed(), &zone(), &[]);
    assert_eq!(said.status, 1);
    for note in ["arc-untrusted-sealer", "arc-original-pass"] {
        assert_eq!(said.finding(note)["severity"], "note");
    }
    let blind = Sealer::new(&RSA_2048, "list.example", 1)
        .results("i=1; list.example; dkim=fail header.d=example.com")
        .seal(&[signed(), b"-- \r\nthe list\r\n".to_vec()].concat());
    verify(&blind, &zone(), &[]).never(&["arc-original-pass"]);
}
