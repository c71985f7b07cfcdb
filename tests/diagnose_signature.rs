//! Findings about the signature's field and what its signer did.

mod common;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use common::{
    forge::{ED25519, OTHER_2048, RSA_2048, Signer, Zone},
    scene::{MAIL, verify},
};

fn zone() -> Zone {
    Zone::default()
        .txt("sel._domainkey.example.com", &RSA_2048.record())
        .txt("sel._domainkey.relay.test", &OTHER_2048.record())
        .txt("ed._domainkey.example.com", &ED25519.record())
}

/// What a body that the signer hashed otherwise must not be called besides.
const ECHOES: &[&str] =
    &["body-line-endings-changed", "body-dot-changed", "body-changed-unattributed", "body-trailing-whitespace"];

fn signer() -> Signer<'static> {
    Signer::new(&RSA_2048, "example.com")
}

/// The message with another body.
fn with_body(body: &str) -> String {
    let (header, _) = MAIL.split_once("\r\n\r\n").expect("a header");
    format!("{header}\r\n\r\n{body}")
}

fn replaced(mail: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(mail.to_vec()).expect("plain text");
    assert!(text.contains(from), "{from:?} is not in {text}");
    text.replace(from, to).into_bytes()
}

fn sha256(octets: &[u8]) -> String {
    STANDARD.encode(digest(&SHA256, octets))
}

#[test]
fn fields_that_cannot_be_read_or_not_be_accepted() {
    let long = "a.".repeat(120) + "b";
    for (mail, cause) in [
        (signer().set("v", "2"), "dkim-signature-malformed"),
        (signer().without("h"), "dkim-signature-malformed"),
        (signer().without("bh"), "dkim-signature-malformed"),
        (signer().add("a", "rsa-sha256"), "dkim-signature-malformed"),
        (signer().set("c", "nowsp"), "dkim-signature-malformed"),
        (signer().set("a", ""), "dkim-signature-malformed"),
        (signer().set("d", "example..com"), "dkim-signature-malformed"),
        (signer().set("l", "ten"), "dkim-signature-malformed"),
        (signer().set("q", "http"), "dkim-signature-malformed"),
        (signer().set("h", "from::to"), "dkim-signature-malformed"),
        (signer().set("i", "nobody"), "dkim-signature-malformed"),
        (signer().set("s", &long), "dkim-signature-malformed"),
        (signer().set("h", "to:subject:date"), "dkim-from-not-signed"),
        (signer().set("i", "@example.net"), "dkim-identity-outside-domain"),
        (signer().set("i", "a@notexample.com"), "dkim-identity-outside-domain"),
        (signer().set("a", "rsa-sha512").set("bh", STANDARD.encode([7; 64])), "dkim-algorithm-unsupported"),
        (signer().set("a", "rsa-sha1"), "dkim-algorithm-unsupported"),
        (signer().set("bh", STANDARD.encode([7; 20])), "dkim-bh-length-mismatch"),
        (signer().set("a", "rsa-sha1").set("bh", STANDARD.encode([7; 32])), "dkim-bh-length-mismatch"),
        (signer().set("b", "not base64!"), "dkim-signature-corrupt"),
        (signer().set("b", STANDARD.encode([7; 250])), "dkim-signature-corrupt"),
        (signer().set("bh", "47DE=Qpj8HBSa+"), "dkim-signature-corrupt"),
        (
            Signer::new(&ED25519, "example.com").set("s", "ed").set("b", STANDARD.encode([7; 63])),
            "dkim-signature-corrupt",
        ),
    ] {
        let said = verify(&mail.sign(MAIL.as_bytes()), &zone(), &[]);
        said.leads(cause, "certain").never(&["dkim-key-mismatch", "dkim-record-not-found"]);
        let field = &said.finding(cause)["evidence"][0];
        assert_eq!(field["kind"], "header");
        assert!(field["value"].as_str().expect("a field").starts_with("DKIM-Signature: v="), "{field}");
    }
}

#[test]
fn odd_fields_that_are_right() {
    let folded = replaced(&signer().sign(MAIL.as_bytes()), "; h=", ";\r\n\th=");
    for mail in [
        signer().add("xunknown", "anything").sign(MAIL.as_bytes()),
        signer().set("q", "other:dns/txt").sign(MAIL.as_bytes()),
        signer().set("i", "a=40b@sub.example.com").sign(MAIL.as_bytes()),
        signer().set("h", "FROM : to:subject:date:from:x-absent").sign(MAIL.as_bytes()),
        signer().without("c").sign(MAIL.as_bytes()),
        folded,
    ] {
        let said = verify(&mail, &zone(), &[]);
        said.healthy();
        let named = |cause: &&str| ["dkim-", "signer-", "verifier-"].iter().any(|family| cause.starts_with(family));
        assert_eq!(said.causes().iter().find(|cause| named(cause)), None, "{:#}", said.report);
    }
}

#[test]
fn lengths_of_the_signed_body() {
    let whole = signer().set("l", "17").sign(MAIL.as_bytes());
    verify(&whole, &zone(), &[]).healthy();
    verify(&signer().set("l", "99").sign(MAIL.as_bytes()), &zone(), &[]).leads("dkim-body-length-exceeds", "certain");
    let appended = [whole.clone(), b"Buy   now\r\n".to_vec()].concat();
    let said = verify(&appended, &zone(), &[]);
    said.leads("dkim-body-length-appended", "certain").never(&["dkim-body-length-exceeds"]);
    let finding = said.finding("dkim-body-length-appended");
    assert_eq!((&finding["severity"], &finding["evidence"][0]["value"]), (&"error".into(), &"Buy now\r\n".into()));
    // Where the signed part changed, what follows is not the point.
    verify(&replaced(&appended, "Hello", "Hallo"), &zone(), &[]).never(&["dkim-body-length-appended"]);
}

#[test]
fn bodies_that_the_signer_hashed_in_another_shape() {
    let dots = with_body("one\r\n.two\r\n..three\r\n");
    let sha1 = |octets: &[u8]| STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, octets));
    for (mail, bh, cause) in [
        (MAIL, sha256(b""), "signer-hashed-empty-body"),
        (MAIL, sha256(b"\r\n"), "signer-hashed-empty-body"),
        (MAIL, sha256(b"Hello,\nthe end\n"), "signer-hashed-bare-lf"),
        (&with_body("a  b\r\n\r\n\r\n"), sha256(b"a b\n"), "signer-hashed-bare-lf"),
        (&dots, sha256(b"one\r\n..two\r\n...three\r\n"), "signer-hashed-dot-stuffed"),
    ] {
        let said = verify(&signer().set("bh", bh).sign(mail.as_bytes()), &zone(), &[]);
        said.leads(cause, "certain").never(&["dkim-canonicalization-mislabelled", "dkim-simple-fragile"]).never(ECHOES);
    }
    let old = signer().set("a", "rsa-sha1").set("bh", sha1(b""));
    let said = verify(&old.sign(MAIL.as_bytes()), &zone(), &[]);
    said.leads("dkim-algorithm-unsupported", "certain").finding("signer-hashed-empty-body");
    // An empty body, and one that is open on purpose, are right.
    verify(&signer().sign(with_body("").as_bytes()), &zone(), &[]).healthy();
    verify(&signer().set("l", "0").sign(MAIL.as_bytes()), &zone(), &[])
        .leads("dkim-body-length-appended", "certain")
        .never(&["signer-hashed-empty-body"]);
    // A changed body is nobody's hash.
    let changed = replaced(&signer().sign(dots.as_bytes()), "three", "four");
    verify(&changed, &zone(), &[]).never(&["signer-hashed-dot-stuffed", "signer-hashed-bare-lf"]);
}

#[test]
fn a_canonicalization_that_was_not_used() {
    let spaced = with_body("a  b\tc \r\n\r\n");
    for (stated, used) in [
        ("simple/simple", "relaxed/relaxed"),
        ("relaxed/relaxed", "simple/simple"),
        ("simple/relaxed", "relaxed/relaxed"),
        ("relaxed/relaxed", "simple/relaxed"),
        ("relaxed/relaxed", "relaxed/simple"),
        ("relaxed", "relaxed/relaxed"),
    ] {
        let mail = signer().set("c", stated).prepared_as(used).sign(spaced.as_bytes());
        let said = verify(&mail, &zone(), &[]);
        said.leads("dkim-canonicalization-mislabelled", "certain").never(&["dkim-simple-fragile", "dkim-key-mismatch"]);
        let claim = said.finding("dkim-canonicalization-mislabelled")["claim"].to_string();
        assert!(claim.contains(&format!("under {used}")), "{claim}");
    }
    let ed25519 = Signer::new(&ED25519, "example.com").set("s", "ed").set("c", "simple/simple");
    let mail = ed25519.prepared_as("relaxed/relaxed").sign(spaced.as_bytes());
    verify(&mail, &zone(), &[]).leads("dkim-canonicalization-mislabelled", "certain").never(&["dkim-key-mismatch"]);
}

#[test]
fn blanks_that_simple_does_not_bear() {
    let simple = signer().set("c", "simple/simple").sign(MAIL.as_bytes());
    for to in ["the  end\r\n", "the\tend\r\n"] {
        let said = verify(&replaced(&simple, "the end\r\n", to), &zone(), &[]);
        said.leads("dkim-simple-fragile", "likely").never(&["dkim-canonicalization-mislabelled"]).never(ECHOES);
    }
    // What can be undone leads.
    for form in ["simple/simple", "relaxed/simple"] {
        let mail = signer().set("c", form).sign(MAIL.as_bytes());
        let said = verify(&replaced(&mail, "the end\r\n", "the end \r\n"), &zone(), &[]);
        said.leads("body-trailing-whitespace", "certain").never(&["dkim-canonicalization-mislabelled"]);
        assert_eq!(said.finding("dkim-simple-fragile")["confidence"], "likely");
    }
    // A word is no blank.
    verify(&replaced(&simple, "the end\r\n", "an end\r\n"), &zone(), &[]).never(&["dkim-simple-fragile"]);
}

#[test]
fn witnesses_that_only_blanks_changed_in_the_header() {
    // The same signer signs both ways.
    let both = signer()
        .set("c", "simple/simple")
        .sign(&Signer::new(&ED25519, "example.com").set("s", "ed").sign(MAIL.as_bytes()));
    let said = verify(&replaced(&both, "Subject: an invoice", "Subject:  an invoice"), &zone(), &[]);
    said.healthy();
    assert_eq!(said.finding("dkim-simple-fragile")["confidence"], "likely");
    // Copies of the signed fields.
    let z = "From:=20Billing=20<billing@example.com>|To:=20a@example.net|Subject:=20an=20invoice|\
             Date:=20Mon,=2023=20Nov=202026=2004:00:00=20+0000";
    let copied = signer().set("c", "simple/simple").add("z", z).sign(MAIL.as_bytes());
    verify(&replaced(&copied, "\r\nSubject: an invoice", "\r\nSubject: an\r\n\tinvoice"), &zone(), &[])
        .finding("dkim-simple-fragile");
    verify(&replaced(&copied, "\r\nSubject: an invoice", "\r\nSubject: no invoice"), &zone(), &[])
        .never(&["dkim-simple-fragile"]);
    // A list that signed after its change is no witness.
    let inner =
        replaced(&signer().set("c", "simple/simple").sign(MAIL.as_bytes()), "\r\nSubject: ", "\r\nSubject: [list] ");
    let outer = Signer::new(&OTHER_2048, "relay.test").sign(&inner);
    verify(&outer, &zone(), &[]).never(&["dkim-simple-fragile"]);
}

#[test]
fn one_of_several_signatures() {
    // Signed before and after a filter.
    let filtered = [signer().sign(MAIL.as_bytes()), b"-- \r\nscanned\r\n".to_vec()].concat();
    let said = verify(&signer().sign(&filtered), &zone(), &[]);
    said.healthy().leads("dkim-double-signed", "certain");
    assert_eq!(said.finding("dkim-double-signed")["severity"], "warning");
    assert_eq!(said.finding("dkim-passing-signature-elsewhere")["severity"], "note");
    // A relay's signature fails, ours passes.
    let relay = Signer::new(&OTHER_2048, "relay.test").set("b", STANDARD.encode([7; 256])).sign(MAIL.as_bytes());
    let said = verify(&signer().sign(&relay), &zone(), &[]);
    said.healthy().never(&["dkim-double-signed"]).finding("dkim-passing-signature-elsewhere");
    // A list that signs as well is usual.
    let list = Signer::new(&OTHER_2048, "relay.test").sign(&signer().sign(MAIL.as_bytes()));
    verify(&list, &zone(), &[]).healthy().never(&["dkim-double-signed", "dkim-passing-signature-elsewhere"]);
    // Both pass.
    verify(&signer().sign(&signer().sign(MAIL.as_bytes())), &zone(), &[]).healthy().never(&["dkim-double-signed"]);
}

#[test]
fn limits_of_this_side() {
    let many = (0..12).fold(MAIL.as_bytes().to_vec(), |mail, _| Signer::new(&OTHER_2048, "relay.test").sign(&mail));
    let said = verify(&signer().sign(&many), &zone(), &[]);
    said.healthy().leads("dkim-signature-limit", "certain");
    assert_eq!(said.causes().iter().filter(|cause| **cause == "dkim-signature-limit").count(), 3);
    let names = "from".to_owned() + &":x-absent".repeat(256);
    let said = verify(&signer().set("h", names).sign(MAIL.as_bytes()), &zone(), &[]);
    said.leads("verifier-size-limit", "certain").never(&["dkim-signature-limit"]);
}

#[test]
fn folds_that_lost_their_carriage_return() {
    let folded = MAIL.replace("an invoice", "an\r\n\tinvoice");
    for form in ["relaxed/relaxed", "simple/simple"] {
        let mail = signer().set("c", form).sign(folded.as_bytes());
        verify(&mail, &zone(), &[]).healthy();
        let said = verify(&replaced(&mail, "an\r\n\tinvoice", "an\n\tinvoice"), &zone(), &[]);
        said.leads("verifier-lf-normalisation", "certain").never(&["dkim-canonicalization-mislabelled"]);
        let said = verify(&replaced(&mail, "an\r\n\tinvoice", "no\n\tinvoice"), &zone(), &[]);
        said.never(&["verifier-lf-normalisation"]);
        // In its own field too, which is no tag list then.
        let every = |from: &str| {
            let (header, body) = from.split_once("\r\n\r\n").expect("a body");
            format!("{}\r\n\r\n{body}", header.replace("\r\n\t", "\n\t").replace("\r\n ", "\n "))
        };
        let text = String::from_utf8(signer().set("c", form).set("t", "1795406000\r\n\t").sign(folded.as_bytes()));
        let text = text.expect("text");
        verify(text.as_bytes(), &zone(), &[]).healthy();
        let said = verify(every(&text).as_bytes(), &zone(), &[]);
        said.leads("verifier-lf-normalisation", "certain").finding("dkim-signature-malformed");
        let said = verify(every(&text).replace("invoice", "bill").as_bytes(), &zone(), &[]);
        said.leads("dkim-signature-malformed", "certain").never(&["verifier-lf-normalisation"]);
    }
}

#[test]
fn a_filter_of_the_receiving_host() {
    let came = "Received: from mx.example.com (mx.example.com [192.0.2.1]) by mx.example.net with ESMTP id 1;\r\n\t\
                Mon, 23 Nov 2026 03:59:00 +0000\r\n";
    let again = |by: &str| {
        format!(
            "Received: from localhost (localhost [127.0.0.1]) by {by} with ESMTP id 2;\r\n\t\
             Mon, 23 Nov 2026 03:59:02 +0000\r\n"
        )
    };
    let changed = replaced(&signer().sign(MAIL.as_bytes()), "the end", "the very end");
    let through = |by: &str, mail: &[u8]| [again(by).as_bytes(), came.as_bytes(), mail].concat();
    let said = verify(&through("mx.example.net", &changed), &zone(), &[]);
    assert_eq!(said.finding("verifier-after-modification")["severity"], "note");
    // A program on another host, and a message that nothing changed.
    verify(&through("list.example.net", &changed), &zone(), &[]).never(&["verifier-after-modification"]);
    verify(&through("mx.example.net", &signer().sign(MAIL.as_bytes())), &zone(), &[])
        .healthy()
        .never(&["verifier-after-modification"]);
}
