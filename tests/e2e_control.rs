//! The control: OpenDKIM signs, through the same Postfix, messages and verifiers with which our signatures are judged.
//!
//! What fails here is the doing of Postfix or of a verifier; what fails only in e2e_sign.rs is ours.

mod common;

use common::{
    delivery::{self, Known},
    mail,
    opendkim::OpenDkim,
    postfix::{Options, Postfix},
    process::run,
    sink::Sink,
    verifiers::Verifier,
    waxseal::Key,
};
use std::{fs, process::Command, time::Duration};
use waxseal::dkim::KeyType;

/// OpenDKIM signs form feed and vertical tab as blanks in relaxed header fields; WSP is space and tab alone (RFC 5234).
const KNOWN: [Known; 2] = [
    Known { kind: "form-feed", verifier: Verifier::Dkimpy, because: "OpenDKIM signed the wrong octets" },
    Known { kind: "form-feed", verifier: Verifier::MailDkim, because: "OpenDKIM signed the wrong octets" },
];

#[test]
fn mail_signed_by_opendkim_verifies_everywhere() {
    let folder = common::open_folder();
    let made = ["-b", "2048", "-d", "example.com", "-s", "control", "-D"];
    run(Command::new(common::program("/usr/sbin/opendkim-genkey")).args(made).arg(folder.path()));
    let text = fs::read_to_string(folder.path().join("control.txt")).expect("the record that goes with the key");
    let record: String = text.split('"').skip(1).step_by(2).collect();

    let signer = OpenDkim::start("example.com", "control", &folder.path().join("control.private"), "relaxed/relaxed");
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address(), signer.socket()));
    let messages = mail::messages(1, 100, "example.com");
    delivery::send(&postfix, &messages);
    let delivered = delivery::collect(&sink, &messages, Duration::from_secs(120));
    let key = Key { algorithm: KeyType::Rsa, selector: "control".into(), file: "control.private".into(), record };
    delivery::all_verify(&messages, &delivered, "example.com", &[key], &KNOWN);
    let log = postfix.log();
    let odd: Vec<&str> = log.lines().filter(|line| line.contains("warning:") || line.contains("fatal:")).collect();
    assert!(odd.is_empty(), "Postfix warns: {odd:#?}");
}
