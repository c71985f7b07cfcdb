//! Findings about selectors and keys that are sound and not the right ones.

mod common;

use common::{
    forge::{ED25519, Key, OTHER_2048, RSA_1024, RSA_2048, Signer, Zone},
    scene::{MAIL, verify},
};
use serde_json::{Value, json};

fn signed(key: &Key, selector: &str) -> Vec<u8> {
    Signer::new(key, "example.com").set("s", selector).sign(MAIL.as_bytes())
}

fn zone(selector: &str, key: &Key) -> Zone {
    Zone::default().txt(&format!("{selector}._domainkey.example.com"), &key.record())
}

#[test]
fn a_key_of_another_region_is_proven_by_the_signature() {
    for (selector, published, variant) in [
        ("ncpcompubkr", "ncpcompubjpn", "region"),
        ("ncpcompubsgn", "ncpcompubkr", "region"),
        ("ncpcomfin", "ncpcompubkr", "environment"),
        ("ncpcompubkr", "ncpcomgov", "environment"),
        ("ncpcompubkr", "mailer", "legacy"),
        ("mailer", "ncpcompubkr", "legacy"),
    ] {
        let mail = signed(&RSA_2048, selector);
        let said = verify(&mail, &zone(published, &RSA_2048), &[]);
        said.leads("dkim-selector-mismatch", "certain").never(&["dkim-record-not-found", "dkim-record-deleted"]);
        let finding = said.finding("dkim-selector-mismatch");
        assert_eq!(finding["evidence"][0]["value"], variant, "{selector} {published}");
        assert_eq!(finding["publish"]["name"], format!("{selector}._domainkey.example.com"));
        assert_eq!(finding["publish"]["value"], RSA_2048.record());
        // Another key under it licenses no copy.
        let said = verify(&mail, &zone(published, &OTHER_2048), &[]);
        said.leads("dkim-selector-mismatch", "likely").finding("dkim-record-not-found");
        assert!(said.finding("dkim-selector-mismatch")["publish"].is_null());
    }
}

#[test]
fn a_profile_that_a_selector_stands_for_is_said_to_be_inferred() {
    for (selector, arguments, profile) in [
        ("ncpcompubkr", &[][..], json!({ "name": "ncloud", "inferred": true })),
        ("ncpcompubkr", &["--provider", "ncloud"], json!({ "name": "ncloud", "inferred": false })),
        ("sel", &["--provider", "ncloud"], json!({ "name": "ncloud", "inferred": false })),
        ("sel", &[], Value::Null),
    ] {
        let said = verify(&signed(&RSA_2048, selector), &zone("other", &RSA_2048), arguments);
        assert_eq!(said.report["profile"], profile, "{selector} {arguments:?}");
    }
}

#[test]
fn a_selector_that_is_none_of_the_provider_needs_it_to_be_named() {
    let mail = signed(&RSA_2048, "default");
    let zone = zone("ncpcompubkr", &RSA_2048);
    verify(&mail, &zone, &[]).leads("dkim-record-not-found", "certain").never(&["dkim-selector-mismatch"]);
    verify(&mail, &zone, &["--provider", "ncloud"]).leads("dkim-selector-mismatch", "certain");
}

#[test]
fn several_regions_side_by_side_are_right() {
    let mail = signed(&RSA_2048, "ncpcompubkr");
    let zone = zone("ncpcompubkr", &RSA_2048)
        .txt("ncpcompubjpn._domainkey.example.com", &OTHER_2048.record())
        .txt("mailer._domainkey.example.com", &OTHER_2048.record());
    verify(&mail, &zone, &["--provider", "ncloud"]).healthy().never(&["dkim-selector-mismatch"]);
}

#[test]
fn a_record_that_is_gone_was_there_once_where_the_provider_looks_first() {
    let elsewhere = Zone::default().line("www.example.com. A 192.0.2.1");
    let said = verify(&signed(&RSA_2048, "ncpcompubkr"), &elsewhere, &[]);
    said.leads("dkim-record-not-found", "certain");
    assert_eq!(said.finding("dkim-record-deleted")["confidence"], "likely");
    assert_eq!(said.finding("dkim-record-deleted")["primary"], false);
    let said = verify(&signed(&RSA_2048, "mailer"), &elsewhere, &[]);
    assert_eq!(said.finding("dkim-record-deleted")["confidence"], "possible");
    verify(&signed(&RSA_2048, "default"), &elsewhere, &[]).never(&["dkim-record-deleted"]);
}

#[test]
fn another_key_of_the_same_size_is_certain_while_the_body_is_intact() {
    let mail = signed(&RSA_2048, "sel");
    let said = verify(&mail, &zone("sel", &OTHER_2048), &[]);
    said.leads("dkim-key-mismatch", "certain").never(&["dkim-record-modified", "signer-used-wrong-key"]);
    let finding = said.finding("dkim-key-mismatch");
    assert_eq!((&finding["evidence"][1]["kind"], &finding["evidence"][1]["bits"]), (&"key".into(), &2048.into()));
    let changed = String::from_utf8_lossy(&mail).replace("the end", "an end");
    verify(changed.as_bytes(), &zone("sel", &OTHER_2048), &[]).leads("dkim-key-mismatch", "likely");
    // The right key over a changed header is no wrong key.
    let changed = String::from_utf8_lossy(&mail).replace("an invoice", "no invoice");
    verify(changed.as_bytes(), &zone("sel", &RSA_2048), &[]).never(&["dkim-key-mismatch"]);
}

#[test]
fn another_key_of_another_size_is_certain() {
    // The base64 of 384 octets has no remainder; what is longer than the key's own is no rest of it.
    let long = Key::rsa(3072);
    for (key, published) in [(&*RSA_1024, &*RSA_2048), (&*RSA_2048, &*RSA_1024), (&long, &*RSA_2048)] {
        let said = verify(&signed(key, "sel"), &zone("sel", published), &[]);
        said.leads("dkim-key-mismatch", "certain").never(&["dkim-signature-corrupt"]);
    }
}

#[test]
fn an_ed25519_key_never_says_more_than_possible() {
    let other = Key::Ed25519(Box::new(aws_lc_rs::signature::Ed25519KeyPair::generate().expect("a key")));
    let said = verify(&signed(&ED25519, "sel"), &zone("sel", &other), &[]);
    assert_eq!(said.finding("dkim-key-mismatch")["confidence"], "possible");
    verify(&signed(&ED25519, "sel"), &zone("sel", &ED25519), &[]).healthy().never(&["dkim-key-mismatch"]);
}

#[test]
fn a_provider_that_looks_first_saw_another_record() {
    let said = verify(&signed(&RSA_2048, "ncpcompubkr"), &zone("ncpcompubkr", &OTHER_2048), &[]);
    said.leads("dkim-key-mismatch", "certain");
    assert_eq!(said.finding("dkim-record-modified")["confidence"], "likely");
}

#[test]
fn keys_that_were_swapped_are_known_by_their_other_name() {
    // Two signatures, each made with the other's key.
    let inner = Signer::new(&RSA_2048, "example.com").set("s", "two").sign(MAIL.as_bytes());
    let mail = Signer::new(&OTHER_2048, "example.com").set("s", "one").sign(&inner);
    let swapped = zone("one", &RSA_2048).txt("two._domainkey.example.com", &OTHER_2048.record());
    verify(&mail, &swapped, &[]).leads("signer-used-wrong-key", "certain").never(&["dkim-key-mismatch"]);
    // A sibling of the provider's, with both published.
    let both = zone("ncpcompubkr", &OTHER_2048).txt("ncpcompubjpn._domainkey.example.com", &RSA_2048.record());
    let said = verify(&signed(&RSA_2048, "ncpcompubkr"), &both, &[]);
    said.leads("signer-used-wrong-key", "certain").never(&["dkim-key-mismatch", "dkim-selector-mismatch"]);
}

/// A service signs under its own domain until it is told to sign under the sender's.
#[test]
fn a_service_that_signs_under_its_own_domain() {
    for (provider, service, include) in [
        ("microsoft365", "contoso.onmicrosoft.com", "spf.protection.outlook.com"),
        ("google", "example-com.20230601.gappssmtp.com", "_spf.google.com"),
        ("sendgrid", "sendgrid.net", "sendgrid.net"),
    ] {
        let selector = match provider {
            "microsoft365" => "selector1",
            "google" => "google",
            _ => "s1",
        };
        let mail = Signer::new(&OTHER_2048, service).sign(MAIL.as_bytes());
        let zone = Zone::default()
            .txt("_dmarc.example.com", "v=DMARC1; p=none")
            .txt(include, "v=spf1 ip4:192.0.2.0/24 -all")
            .txt("example.com", &format!("v=spf1 include:{include} -all"))
            .txt(&format!("sel._domainkey.{service}"), &OTHER_2048.record())
            .txt(&format!("{selector}._domainkey.example.com"), &RSA_2048.record());
        verify(&mail, &zone, &[]).leads("dmarc-third-party-signature-only", "certain");
        let sent = ["--provider", provider, "--client-ip", "192.0.2.7", "--helo", "mx.example.com", "--mail-from"];
        let said = verify(&mail, &zone, &[&sent[..], &["a@example.com"]].concat());
        said.healthy().leads("dkim-not-activated", "likely");
        // Its selectors are common words: where it is not named, nothing is inferred from them.
        let own = Signer::new(&RSA_2048, "example.com").set("s", selector).sign(MAIL.as_bytes());
        let said = verify(&own, &zone, &[]);
        said.healthy();
        assert!(said.report["profile"].is_null(), "{:#}", said.report);
        // Its servers may not send for the domain: the include is what lacks.
        let without = Zone::default()
            .txt("_dmarc.example.com", "v=DMARC1; p=none")
            .txt(include, "v=spf1 ip4:192.0.2.0/24 -all")
            .txt("example.com", "v=spf1 ip4:203.0.113.1 -all");
        let said = verify(MAIL.as_bytes(), &without, &[&sent[..], &["a@example.com"]].concat());
        said.leads("spf-provider-include-missing", "certain");
    }
}
