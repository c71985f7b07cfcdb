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
};
use std::{fs, process::Command, time::Duration};

/// The blanks of RFC 6376 are space and tab; both use their language's idea of white space in relaxed header fields.
const KNOWN: [Known; 2] = [
    Known { kind: "form-feed", verifier: Verifier::Dkimpy, because: "takes form feed and vertical tab for blanks" },
    Known { kind: "form-feed", verifier: Verifier::MailDkim, because: "takes form feed and vertical tab for blanks" },
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
    let records = [("control._domainkey.example.com".to_string(), record)];
    delivery::all_verify(&messages, &delivered, &records, 1, &KNOWN);
    let log = postfix.log();
    let odd: Vec<&str> = log.lines().filter(|line| line.contains("warning:") || line.contains("fatal:")).collect();
    assert!(odd.is_empty(), "Postfix warns: {odd:#?}");
}
