//! What we sign, we verify, and so does an independent implementation: every canonicalization, RSA and Ed25519.

mod common_verify;

use std::sync::Arc;
use waxseal::{
    config::{Domain, Settings},
    dkim::KeyType,
    key::generate,
    message::Message,
    sign::{Plan, keys::Keys, selfcheck},
    verify::{
        Word,
        dkim::{DkimResult, KeyState, Reason, State},
    },
};

const NOW: u64 = 1_795_000_000;

const MAIL: &str = "Received: from a by b; Mon, 23 Nov 2026 04:00:00 +0000\r\n\
From: \"Billing, the\" <billing@example.com>\r\n\
To: a@example.net,\r\n\tb@example.net\r\n\
Subject:  \u{acb0}\u{c81c}  two  blanks \r\n\
Date: Mon, 23 Nov 2026 04:00:00 +0000\r\n\
Message-ID:\r\n <1@example.com>\r\n\
X-Empty:\r\n\
List-Unsubscribe: <https://example.com/u>\r\n\
\r\n\
Hello  there \t\r\n\
\r\n\
.\r\n\
bare \r and \n here\r\n\
the end \r\n\
\r\n \r\n";

/// A domain with an RSA and an Ed25519 key, under the given `[signing]` lines.
struct Site {
    settings: Settings,
    zone: String,
    _folder: tempfile::TempDir,
}

fn site(signing: &str) -> Site {
    let folder = tempfile::tempdir().expect("a folder");
    let mut zone = String::from("$TTL 300\n");
    for (selector, key_type) in [("ncpcompubkr", KeyType::Rsa), ("ed", KeyType::Ed25519)] {
        let key = generate(key_type).expect("a key");
        key.write(&folder.path().join(format!("{selector}.pem"))).expect("written");
        let record = key.key.public_record();
        let strings: Vec<String> =
            record.as_bytes().chunks(255).map(|part| format!("\"{}\"", String::from_utf8_lossy(part))).collect();
        zone += &format!("{selector}._domainkey.example.com. IN TXT {}\n", strings.join(" "));
    }
    let text = format!(
        "key_directory = \".\"\n[signing]\n{signing}\n[domains.\"example.com\"]\nprovider = \"ncloud\"\nenvironment = \"private\"\n\
         region = \"kr\"\nkey = \"ncpcompubkr.pem\"\ned25519 = {{ selector = \"ed\", key = \"ed.pem\" }}\n"
    );
    let settings =
        Settings::parse(&text, &folder.path().join("waxseal.toml")).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    Site { settings, zone, _folder: folder }
}

impl Site {
    fn domain(&self) -> &Arc<Domain> {
        self.settings.domains.values().next().expect("a domain")
    }

    fn keys(&self) -> Vec<Arc<waxseal::key::PrivateKey>> {
        Keys::default().of(self.domain(), &self.settings.key_directory).expect("keys")
    }

    fn sign(&self, mail: &[u8]) -> Vec<u8> {
        let plan = Plan::new(&self.settings.signing, self.domain());
        let message = Message::new(mail);
        let mut hasher = plan.body_hasher();
        message.body.chunks(5).for_each(|piece| hasher.write(piece));
        let signatures = plan.sign(&message.header, &hasher.finish(), &self.keys(), NOW).expect("signed");
        let mut out = Vec::new();
        for signature in signatures {
            out.extend_from_slice(format!("DKIM-Signature:{}\r\n", signature.value).as_bytes());
        }
        out.extend_from_slice(mail);
        out
    }

    fn verify(&self, mail: &[u8]) -> Vec<DkimResult> {
        common_verify::verify(mail, &self.zone, NOW)
    }
}

fn replaced(mail: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(mail).into_owned();
    assert!(text.contains(from), "{from:?} is not in the message");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn every_canonicalization_verifies_and_every_change_is_told_apart() {
    for canonicalization in ["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"] {
        let site = site(&format!("canonicalization = \"{canonicalization}\"\nexpire = \"7d\""));
        let signed = site.sign(MAIL.as_bytes());
        let results = site.verify(&signed);
        assert_eq!(results.len(), 2);
        for result in &results {
            assert_eq!((result.result, &result.reason), (Word::Pass, &None), "{canonicalization}");
            assert_eq!((result.body, result.header, result.key), (State::Intact, State::Intact, KeyState::Signer));
        }

        let body = site.verify(&replaced(&signed, "Hello  there", "Hello, there"));
        assert_eq!((body[0].result, &body[0].reason), (Word::Fail, &Some(Reason::BodyChanged)));
        assert_eq!((body[0].body, body[0].header, body[0].key), (State::Changed, State::Intact, KeyState::Signer));

        let header = site.verify(&replaced(&signed, "two  blanks", "three blanks"));
        assert_eq!((header[0].result, &header[0].reason), (Word::Fail, &Some(Reason::HeaderChanged)));
        assert_eq!(
            (header[0].body, header[0].header, header[0].key),
            (State::Intact, State::Changed, KeyState::Signer)
        );

        let added = [b"Subject: another\r\n".as_slice(), &signed].concat();
        assert_eq!(site.verify(&added)[0].reason, Some(Reason::HeaderChanged), "a field that is oversigned was added");
    }
}

#[test]
fn another_key_is_told_from_a_changed_header() {
    let (ours, theirs) = (site(""), site(""));
    let results = ours.verify(&theirs.sign(MAIL.as_bytes()));
    assert_eq!(
        (results[0].result, &results[0].reason, results[0].key),
        (Word::Fail, &Some(Reason::OtherKey), KeyState::Other)
    );
    // Ed25519 cannot be opened: no more can be said.
    assert_eq!((&results[1].reason, results[1].key), (&Some(Reason::NotVerified), KeyState::Unknown));
}

#[test]
fn an_independent_verifier_agrees() {
    let site = site("");
    let plan = Plan::new(&site.settings.signing, site.domain());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let disagreements = runtime.block_on(selfcheck::disagreements(&plan, &site.keys(), NOW));
    assert_eq!(disagreements, Vec::<String>::new());
}

#[test]
fn the_signature_covers_what_must_be_covered() {
    let site = site("");
    let signed = String::from_utf8(site.sign(MAIL.as_bytes())).expect("text");
    let field =
        Message::new(signed.as_bytes()).header.fields().next().map(|field| field.raw().to_vec()).expect("a field");
    let flat = String::from_utf8(field).expect("text").replace("\r\n\t", "").replace(' ', "");
    let names = flat.split("h=").nth(1).and_then(|rest| rest.split(';').next()).expect("h=");
    let count = |name: &str| names.split(':').filter(|other| other.eq_ignore_ascii_case(name)).count();
    for (name, want) in [
        ("from", 2),
        ("subject", 2),
        ("to", 2),
        ("date", 2),
        ("message-id", 2),
        ("cc", 1),
        ("reply-to", 1),
        ("content-type", 1),
        ("list-unsubscribe", 1),
        ("list-id", 0),
        ("received", 0),
        ("x-empty", 0),
    ] {
        assert_eq!(count(name), want, "{name} in {names}");
    }
    assert!(flat.contains(";t=1795000000;") && !flat.contains(";l="), "{flat}");
}
