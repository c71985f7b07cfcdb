//! Copies of our own mail that come back, against the record of what was signed, and the copies in z=.

mod common;

use common::forge::{ED25519, Key, RSA_2048, Zone};
use indymilter_test::{EomAction, TestConnection};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output},
};
use waxseal::{config::Settings, milter::Server};

const MAIL: &str = "From: Billing <billing@example.com>\r\nTo: a@example.net\r\nSubject: an invoice\r\n\
                    Date: Mon, 23 Nov 2026 04:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\
                    \r\nHello,\r\nthe sum is 10.\r\nBye\r\n";

/// A host that signs for example.com, and its record.
struct Host {
    folder: tempfile::TempDir,
    zone: Zone,
}

impl Host {
    fn new(key: &Key, diagnostics: &str) -> Host {
        let folder = tempfile::tempdir().expect("a folder");
        let host = Host { folder, zone: Zone::default().txt("s._domainkey.example.com", &key.record()) };
        let (table, pem) = match key.record().contains("ed25519") {
            // The first key of a domain is RSA; only the second signature is looked at.
            true => ("ed25519 = { selector = \"s\", key = \"key.pem\" }\n", RSA_2048.pem()),
            false => ("", String::new()),
        };
        let own = if pem.is_empty() { "s" } else { "rsa" };
        host.put("key.pem", key.pem());
        host.put("rsa.pem", if pem.is_empty() { key.pem() } else { pem });
        host.put(
            "waxseal.toml",
            format!(
                "key_directory = \".\"\n[signed]\npath = \"signed\"\n[[listener]]\nsocket = \"inet:127.0.0.1:0\"\n\
                 [domains.\"example.com\"]\nselector = \"{own}\"\nkey = \"rsa.pem\"\ndiagnostics = \"{diagnostics}\"\n{table}"
            ),
        );
        host.put("zone", host.zone.text());
        host
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("written");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).expect("a mode");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let command = env!("CARGO_BIN_EXE_waxseal");
        Command::new(command).args(arguments).current_dir(self.folder.path()).output().expect("the program runs")
    }

    fn sign(&self, mail: &str) -> String {
        self.put("mail", mail);
        let output = self.run(&["sign", "--config", "waxseal.toml", "mail"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What `verify --against-signed` says of a copy.
    fn compare(&self, copy: &str) -> Value {
        self.put("copy", copy);
        let output = self.run(&["verify", "--json", "--dns", "zone", "--against-signed", "signed", "copy"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

fn finding<'r>(report: &'r Value, cause: &str) -> &'r Value {
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().find(|finding| finding["cause"] == cause).unwrap_or_else(|| panic!("no {cause}: {report:#}"))
}

/// The piece of evidence of a finding that shows the difference from what was signed.
fn shown(report: &Value, cause: &str) -> String {
    let evidence = finding(report, cause)["evidence"].as_array().expect("evidence").iter();
    let mut text = evidence.filter(|item| item["label"] == "against what was signed");
    text.next().unwrap_or_else(|| panic!("no difference: {report:#}"))["value"].as_str().expect("text").to_owned()
}

#[test]
fn a_copy_shows_exactly_what_changed() {
    let host = Host::new(&RSA_2048, "record");
    let signed = host.sign(MAIL);
    // No search finds a rewritten line or a new Message-ID.
    let copy = signed
        .replace("the sum is 10.", "the sum is 1000.")
        .replace("<1@example.com>", "<7@relay.example>")
        .replace("Bye\r\n", "Bye\r\n-- \r\nscanned\r\n");
    let report = host.compare(&copy);
    assert_eq!(finding(&report, "body-changed-unattributed")["confidence"], "certain");
    assert_eq!(
        shown(&report, "body-changed-unattributed"),
        "@@ line 2 changed @@\n-(1 line, of which no text is kept)\n+the sum is 1000.\n\
         @@ lines 4 to 5 added behind line 3 @@\n+--\n+scanned\n"
    );
    assert_eq!(finding(&report, "header-message-id-replaced")["confidence"], "likely");
    assert_eq!(
        shown(&report, "header-message-id-replaced"),
        "-Message-ID: (1 word, not kept)\n+Message-ID: <7@relay.example>\n"
    );
}

#[test]
fn what_was_only_added_is_proved_by_the_record() {
    let host = Host::new(&RSA_2048, "record");
    let signed = host.sign(MAIL);
    // A line in the middle and words within a subject are no guesses of the search.
    let copy = signed.replace("Bye\r\n", "scanned\r\nBye\r\n").replace("an invoice", "an (checked by us) invoice");
    let report = host.compare(&copy);
    let body = finding(&report, "body-changed-unattributed");
    assert_eq!(body["claim"], "1 line was added within the body after signing, behind line 2");
    assert_eq!(shown(&report, "header-subject-tagged"), "-Subject: an invoice\n+Subject: an (checked by us) invoice\n");
    assert_eq!(finding(&report, "header-subject-tagged")["confidence"], "certain");
    // What the search finds by itself has the record beside it.
    let report = host.compare(&signed.replace("Bye\r\n", "Bye\r\nscanned\r\n"));
    assert_eq!(finding(&report, "body-footer-appended")["confidence"], "certain");
    assert_eq!(shown(&report, "body-footer-appended"), "@@ line 4 added behind line 3 @@\n+scanned\n");
}

#[test]
fn fields_that_were_removed_or_added_are_named() {
    let host = Host::new(&RSA_2048, "record");
    let copy = host.sign(MAIL).replace("To: a@example.net\r\n", "Reply-To: x@example.org\r\n");
    let report = host.compare(&copy);
    assert_eq!(shown(&report, "header-removed"), "-to: (no text is kept)\n");
    assert_eq!(shown(&report, "header-added-after-signing"), "+Reply-To: x@example.org\n");
    let report = host.compare(&host.sign(MAIL).replace("Bye\r\n", ""));
    assert_eq!(finding(&report, "body-truncated")["claim"], "the last 1 lines of 3 that were signed are missing");
}

#[test]
fn under_ed25519_the_record_says_what_no_key_can() {
    let host = Host::new(&ED25519, "record");
    let copy = host.sign(MAIL).replace("<1@example.com>", "<7@relay.example>");
    let report = host.compare(&copy);
    finding(&report, "header-message-id-replaced");
}

#[test]
fn messages_that_are_not_in_it_or_as_they_were_are_said_to_be() {
    let host = Host::new(&RSA_2048, "record");
    let signed = host.sign(MAIL);
    let report = host.compare(&signed);
    assert!(report["notes"].to_string().contains("as it was signed here"), "{report:#}");
    let stranger = Host::new(&RSA_2048, "none").sign(&MAIL.replace("<1@", "<2@"));
    assert!(host.compare(&stranger)["notes"].to_string().contains("has none of these signatures"));
    assert!(host.compare(MAIL)["notes"].to_string().contains("has a message of this Message-ID"));
    // Without a folder behind the option the message is still a message, and the place is the default one.
    let output = host.run(&["verify", "--dns", "zone", "--against-signed", "copy"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("/var/lib/waxseal/signed"), "{said}");
}

#[test]
fn the_record_says_nothing_of_the_content() {
    let host = Host::new(&RSA_2048, "record");
    host.sign(MAIL);
    host.sign(MAIL);
    let files: Vec<_> =
        fs::read_dir(host.path("signed")).expect("the record").map(|entry| entry.expect("a file")).collect();
    assert!(files.len() >= 2, "a key and what was signed");
    for file in files {
        let octets = fs::read(file.path()).expect("it can be read");
        for word in ["Hello", "invoice", "billing", "10.", "example"] {
            assert!(!octets.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
        }
        assert_eq!(file.metadata().expect("facts").permissions().mode() & 0o077, 0);
    }
}

#[test]
fn copies_in_the_signature_are_read_by_whoever_receives_it() {
    let host = Host::new(&RSA_2048, "copies");
    let signed = host.sign(&MAIL.replace("an invoice", "a=b; c|d \u{acb0}\u{c81c}"));
    assert!(signed.contains("z=") && !host.path("signed").exists());
    for line in signed.lines() {
        assert!(line.len() < 80, "{line}");
    }
    let verify = |mail: &str| {
        host.put("copy", mail);
        let output = host.run(&["verify", "--json", "--dns", "zone", "copy"]);
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    };
    let report = verify(&signed);
    assert_eq!(report["dkim"][0]["result"], "pass", "{report:#}");
    let report = verify(&signed.replace("Message-ID: <1@", "Message-ID: <7@").replace("a=b; c|d", "e"));
    assert_eq!(finding(&report, "header-message-id-replaced")["confidence"], "certain");
    finding(&report, "header-changed-unattributed");
}

#[tokio::test]
async fn the_milter_records_off_the_mail_path() {
    let host = Host::new(&RSA_2048, "record");
    let settings = Settings::load(&host.path("waxseal.toml")).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let server = Server::start(settings).expect("a server");
    let address = server.addresses()[0].strip_prefix("inet:").expect("inet").to_owned();
    let mut connection =
        TestConnection::configure().exact_leading_space(true).open_tcp(address).await.expect("a connection");
    connection.connect("client.example", [127, 0, 0, 1]).await.expect("connect");
    connection.mail(["<billing@example.com>"]).await.expect("mail");
    connection.rcpt(["<a@example.net>"]).await.expect("rcpt");
    let (header, body) = MAIL.split_once("\r\n\r\n").expect("a header");
    for field in header.split("\r\n") {
        let (name, value) = field.split_once(':').expect("a field");
        connection.header(name, value).await.expect("header");
    }
    connection.eoh().await.expect("end of header");
    for piece in body.as_bytes().chunks(5) {
        connection.body(piece.to_vec()).await.expect("body");
    }
    let (actions, _) = connection.eom().await.expect("end of message");
    let [EomAction::InsertHeader { value, .. }] = &actions.actions[..] else { panic!("{actions:?}") };
    let value = value.to_string_lossy().replace('\n', "\r\n");
    connection.close().await.expect("close");
    // The end of the service waits for what was recorded last.
    server.drain().await;
    let copy = format!("DKIM-Signature:{value}\r\n{MAIL}").replace("the sum is 10.", "the sum is 1000.");
    let report = host.compare(&copy);
    assert!(shown(&report, "body-changed-unattributed").contains("line 2 changed"), "{report:#}");
}
