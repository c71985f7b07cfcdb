//! What was published before is evidence: a record that was changed or removed, a key that was replaced too soon, contents
//! that come in turns. `waxseal check` reads it from the store of its settings, the milter from its own.

mod common;

use common::{
    eventually,
    forge::{OTHER_2048, RSA_2048, Signer, Zone},
    nsd::Nsd,
    receiver::{OUTSIDE, Receiver},
    scene::Said,
    waxseal::Home,
};
use serde_json::Value;
use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};
use waxseal::{
    clock,
    config::{self, Place},
    diagnose::history::Published,
    dkim::KeyType,
    event::store::{Note, Store},
};

const SOA: &str = "$ORIGIN example.com.\n@ 300 IN SOA ns h 1 3600 900 604800 60\n@ 300 IN NS ns\n\
                   @ 300 IN TXT \"v=spf1 -all\"\n_dmarc 300 IN TXT \"v=DMARC1; p=none\"";

const NAME: &str = "first._domainkey.example.com";

/// Puts contents of a name into a store, as the watch does.
fn remember(file: &Path, contents: &[Published]) {
    let place = Some(Place::Sqlite(file.to_owned()));
    let store = Store::start(config::Store { place, ..config::Store::default() }, Arc::default());
    contents.iter().for_each(|published| store.note(Note::Published(published.clone())));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(store.close());
}

/// A content that was seen for an hour, until so many seconds ago.
fn seen(record: &str, ours: bool, ago: u64, times: u64) -> Published {
    let last = clock::unix_seconds() - ago;
    Published { name: NAME.into(), record: record.into(), ours, first: last - 3600, last, times }
}

/// Checks example.com, which signs with the key whose record is handed to both: what stands in DNS now, and what stood
/// there before.
#[track_caller]
fn check(now: impl Fn(&str) -> Option<String>, before: impl Fn(&str) -> Vec<Published>) -> (Said, String) {
    let home = Home::new();
    let ours = home.key(KeyType::Rsa, "first").record;
    home.settings("[domains.\"example.com\"]\nselector = \"first\"\nkey = \"keys/first.pem\"\n");
    let zone = Zone::default().line(SOA);
    let zone = now(&ours).iter().fold(zone, |zone, record| zone.txt(NAME, record));
    fs::write(home.path("zone"), zone.text()).expect("a zone");
    remember(&home.path("events.db"), &before(&ours));
    let output = Command::new(env!("CARGO_BIN_EXE_waxseal"))
        .args(["check", "--json", "example.com", "--config"])
        .arg(home.path("waxseal.toml"))
        .arg("--dns")
        .arg(home.path("zone"))
        .output()
        .expect("the program runs");
    let status = output.status.code().expect("a status");
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (Said { report, status }, ours)
}

#[test]
fn a_record_that_was_there_and_is_gone_was_deleted() {
    let (said, ours) = check(|_| None, |ours| vec![seen(ours, true, 7200, 1), seen("", false, 60, 1)]);
    said.leads("dkim-record-deleted", "certain").never(&["dkim-results-alternate"]);
    let publish = &said.finding("dkim-record-deleted")["publish"];
    assert_eq!((&publish["name"], &publish["value"]), (&NAME.into(), &ours.into()));
    said.finding("dkim-record-not-found");

    // What was never there was not deleted, and neither was a record of somebody else.
    for before in [Vec::new(), vec![seen(&OTHER_2048.record(), false, 7200, 1)]] {
        let (said, _) = check(|_| None, |_| before.clone());
        said.leads("dkim-record-not-found", "certain").never(&["dkim-record-deleted", "dkim-record-modified"]);
    }
}

#[test]
fn a_record_that_was_right_and_holds_another_key_was_modified() {
    let other = OTHER_2048.record();
    let (said, ours) = check(|_| Some(other.clone()), |ours| vec![seen(ours, true, 7200, 1)]);
    said.leads("dkim-record-modified", "certain").never(&["dkim-key-mismatch", "dkim-record-deleted"]);
    assert_eq!(said.finding("dkim-record-modified")["publish"]["value"], ours);

    // The record is what it always was: the key here is new.
    let (said, _) = check(|_| Some(other.clone()), |_| vec![seen(&other, true, 60, 1)]);
    said.leads("dkim-key-mismatch", "certain").never(&["dkim-record-modified"]);

    // How it was spoilt leads; that it was right before stands beside it, with the record.
    let cut = |ours: &str| Some(ours[..255].to_owned());
    let (said, ours) = check(cut, |ours| vec![seen(ours, true, 7200, 1)]);
    assert_eq!(said.causes()[0], "dkim-key-truncated", "{:#}", said.report);
    let noted = said.finding("dkim-record-modified");
    assert_eq!((&noted["severity"], &noted["publish"]["value"]), (&"note".into(), &ours.into()));
}

#[test]
fn a_record_that_is_right_stays_right_whatever_was_before() {
    let other = OTHER_2048.record();
    let (said, _) =
        check(|ours| Some(ours.to_owned()), |ours| vec![seen(&other, true, 86_400, 1), seen(ours, true, 60, 1)]);
    assert_eq!(said.status, 0, "{:#}", said.report);
    said.never(&["dkim-record-modified", "dkim-record-deleted", "dkim-results-alternate", "dkim-key-mismatch"]);
}

#[test]
fn contents_that_come_in_turns_alternate_and_one_change_back_does_not() {
    let right = |ours: &str| Some(ours.to_owned());
    let (said, _) = check(right, |ours| vec![seen(ours, true, 60, 3), seen("", false, 400, 2)]);
    said.finding("dkim-results-alternate");
    assert!(said.finding("dkim-results-alternate")["claim"].as_str().is_some_and(|claim| claim.contains("to and fro")));
    // A mistake that was mended, and turns of long ago.
    for (times, ago) in [(1, 400), (2, 40 * 86_400)] {
        let (said, _) = check(right, |ours| vec![seen(ours, true, 60, 2), seen("", false, ago, times)]);
        said.never(&["dkim-results-alternate"]);
    }
}

/// The event that tells this cause first, once it is there.
#[track_caller]
fn diagnosis(receiver: &Receiver, cause: &str) -> Value {
    eventually(&format!("an event with {cause}"), Duration::from_secs(30), || {
        receiver.waxseal.diagnoses().into_iter().find(|event| event["causes"][0]["cause"] == cause)
    })
}

#[test]
fn mail_that_was_under_way_while_its_key_was_replaced_is_told_from_a_record_that_was_changed() {
    let domain = "rotated.example";
    let name = format!("sel._domainkey.{domain}");
    let zone = Zone::default()
        .line("$ORIGIN example.\n@ 300 IN SOA ns.example. h.example. 1 3600 900 604800 60\n@ 300 IN NS ns.example.")
        .txt(domain, "v=spf1 -all")
        .txt(&name, &OTHER_2048.record());
    let nsd = Nsd::start(&[("example", zone.text())]);
    let receiver = Receiver::start(nsd.address(), "");
    let key = receiver.waxseal.home().key(KeyType::Rsa, "new");
    receiver.set(&format!("[domains.\"{domain}\"]\nselector = \"new\"\nkey = \"keys/{}\"", key.file));
    let at = |record: String, ours, ago, times| Published { name: name.clone(), ..seen(&record, ours, ago, times) };
    let file = receiver.waxseal.home().path("events.db");
    // The old key until two hours ago, the new one from an hour ago until now.
    remember(&file, &[at(RSA_2048.record(), true, 7200, 1), at(OTHER_2048.record(), true, 0, 1)]);

    let send = |signed: u64| {
        let mail = format!(
            "From: a@{domain}\r\nTo: user@receiver.example\r\nSubject: hello\r\nDate: Mon, 23 Nov 2026 04:00:00 +0000\r\n\
             Message-ID: <{signed}@{domain}>\r\n\r\nbody\r\n"
        );
        let signer = Signer::new(&RSA_2048, domain).set("t", signed.to_string());
        receiver.through(OUTSIDE, "", &signer.sign(mail.as_bytes()));
    };
    let now = clock::unix_seconds();
    send(now - 8000);
    assert_eq!(diagnosis(&receiver, "dkim-key-rotated-too-soon")["causes"][0]["confidence"], "certain");
    send(now - 60);
    assert_eq!(diagnosis(&receiver, "dkim-record-modified")["causes"][0]["confidence"], "certain");
}
