//! Findings about the place of a key record: nothing there, elsewhere, a wildcard, an alias.

mod common;

use common::{
    forge::{ED25519, OTHER_2048, RSA_2048, Signer, Zone},
    scene::{MAIL, check, verify},
};

/// Every cause that stands for a key that is not where it should be.
const PLACES: &[&str] = &[
    "dkim-record-wrong-host",
    "dkim-wildcard-answer",
    "dkim-selector-mismatch",
    "dkim-cname-target-missing",
    "dkim-cname-wrong-target",
    "dkim-cname-and-txt",
    "dkim-cname-proxied",
    "dkim-cname-chain-too-long",
    "dkim-record-type-mixed-up",
];

fn mail() -> Vec<u8> {
    Signer::new(&RSA_2048, "example.com").sign(MAIL.as_bytes())
}

/// A zone of example.com with an SOA.
fn zone() -> Zone {
    Zone::default().line("example.com. 3600 IN SOA ns.example.com. hostmaster.example.com. 1 7200 900 1209600 300")
}

#[test]
fn a_key_under_another_name_is_found_and_proven() {
    for (name, variant) in [
        ("sel._domainkey.example.com.example.com", "domain-doubled"),
        ("sel.example.com", "label-missing"),
        ("sel.domainkey.example.com", "underscore-lost"),
        ("sel-domainkey.example.com", "underscore-lost"),
        ("sel_domainkey.example.com", "underscore-lost"),
        ("example.com", "at-apex"),
        ("_domainkey.example.com", "at-domainkey"),
        ("{selector}._domainkey.example.com", "literal-template"),
        ("selector._domainkey.example.com", "literal-template"),
    ] {
        let said = verify(&mail(), &zone().txt(name, &RSA_2048.record()), &[]);
        said.leads("dkim-record-wrong-host", "certain").never(&["dkim-record-not-found"]);
        let finding = said.finding("dkim-record-wrong-host");
        assert_eq!(finding["evidence"][0]["value"], variant, "{name}");
        assert_eq!(finding["publish"]["name"], "sel._domainkey.example.com");
        assert_eq!(finding["publish"]["value"], RSA_2048.record());
        assert_eq!(finding["publish"]["strings"].as_array().map(Vec::len), Some(2));
        assert!(finding["fix"][0].as_str().expect("a step").contains("enter sel._domainkey)"), "{finding:#}");
    }
}

#[test]
fn a_key_at_a_parent_or_child_domain_is_found_and_proven() {
    for (domain, from, name) in [
        ("mail.example.com", "example.com", "sel._domainkey.example.com"),
        ("mail.example.com", "mail.example.com", "sel._domainkey.example.com"),
        ("example.com", "news.example.com", "sel._domainkey.news.example.com"),
    ] {
        let mail = MAIL.replace("billing@example.com", &format!("billing@{from}"));
        let mail = Signer::new(&RSA_2048, domain).sign(mail.as_bytes());
        let zone = zone().line(&format!("{domain}. A 192.0.2.1")).line(&format!("{from}. MX 0 ."));
        let said = verify(&mail, &zone.clone().txt(name, &RSA_2048.record()), &[]);
        said.leads("dkim-record-wrong-host", "certain");
        assert_eq!(said.finding("dkim-record-wrong-host")["evidence"][0]["value"], "parent-or-child-domain");
        // Another key of the parent is nobody's mistake.
        let said = verify(&mail, &zone.txt(name, &OTHER_2048.record()), &[]);
        said.leads("dkim-record-not-found", "certain").never(PLACES);
    }
}

#[test]
fn a_doubled_name_ends_in_the_zone() {
    let mail = Signer::new(&RSA_2048, "mail.example.com").sign(MAIL.as_bytes());
    let zone = zone().txt("sel._domainkey.mail.example.com.example.com", &RSA_2048.record());
    let said = verify(&mail, &zone, &[]);
    said.leads("dkim-record-wrong-host", "certain");
    let step = said.finding("dkim-record-wrong-host")["fix"][0].to_string();
    assert!(step.contains("enter sel._domainkey.mail)"), "{step}");
}

#[test]
fn a_key_elsewhere_that_did_not_sign_is_ruled_out() {
    for name in ["sel._domainkey.example.com.example.com", "sel.example.com", "example.com", "_domainkey.example.com"] {
        let said = verify(&mail(), &zone().txt(name, &OTHER_2048.record()), &[]);
        said.leads("dkim-record-not-found", "certain").never(PLACES);
        let out = &said.finding("dkim-record-not-found")["ruled_out"][0];
        assert_eq!(out["cause"], "dkim-record-wrong-host", "{name}");
    }
}

#[test]
fn an_ed25519_key_elsewhere_is_proven_and_a_damaged_one_is_likely() {
    let mail = Signer::new(&ED25519, "example.com").sign(MAIL.as_bytes());
    let doubled = "sel._domainkey.example.com.example.com";
    verify(&mail, &zone().txt(doubled, &ED25519.record()), &[]).leads("dkim-record-wrong-host", "certain");
    let cut = &RSA_2048.record()[..255];
    verify(&self::mail(), &zone().txt(doubled, cut), &[]).leads("dkim-record-wrong-host", "likely");
}

#[test]
fn what_does_not_exist_is_told_apart_from_what_holds_nothing() {
    for (line, claim) in [
        (
            "other._domainkey.example.com. TXT x",
            "sel._domainkey.example.com does not exist; _domainkey.example.com exists, so that other selectors are published",
        ),
        (
            "www.example.com. A 192.0.2.1",
            "sel._domainkey.example.com does not exist; _domainkey.example.com does not exist either, so that no selector \
             is published",
        ),
        ("sel._domainkey.example.com. MX 0 .", "sel._domainkey.example.com exists and has no TXT record"),
        ("x.sel._domainkey.example.com. TXT x", "sel._domainkey.example.com exists and has no TXT record"),
    ] {
        let said = verify(&mail(), &zone().line(line), &[]);
        said.leads("dkim-record-not-found", "certain").never(PLACES).never(&["dkim-record-deleted"]);
        let finding = said.finding("dkim-record-not-found");
        assert_eq!(finding["claim"], claim);
        assert!(finding["evidence"][1].to_string().contains("300 seconds (SOA of example.com)"), "{finding:#}");
    }
}

#[test]
fn a_wildcard_that_answers_the_selector_is_named_whatever_it_holds() {
    let cut = &RSA_2048.record()[..255];
    for text in ["v=spf1 -all", "site-verification=1", "v=DKIM1; p=", &OTHER_2048.record(), cut] {
        for name in ["*.example.com", "*._domainkey.example.com"] {
            let said = verify(&mail(), &zone().txt(name, text), &[]);
            said.leads("dkim-wildcard-answer", "certain").never(&["dkim-record-not-found", "dkim-key-mismatch"]);
        }
    }
    // One that holds the right key serves.
    verify(&mail(), &zone().txt("*._domainkey.example.com", &RSA_2048.record()), &[]).healthy().never(PLACES);
}

#[test]
fn a_wildcard_drowns_the_search_and_is_not_blamed_for_it() {
    // The selector is shadowed by its neighbour, every other name has the wildcard's key.
    let zone = zone().txt("*.example.com", &RSA_2048.record()).line("other._domainkey.example.com. TXT x");
    verify(&mail(), &zone, &[]).leads("dkim-record-not-found", "certain").never(PLACES);
    // The selector has a record of its own.
    let zone = self::zone()
        .txt("*._domainkey.example.com", "v=spf1 -all")
        .txt("sel._domainkey.example.com", &OTHER_2048.record());
    verify(&mail(), &zone, &[]).never(&["dkim-wildcard-answer"]);
}

#[test]
fn aliases_that_lead_to_nothing() {
    for target in ["sel.dkim.provider.test.", "www.provider.test.", "key.example.com."] {
        let zone =
            zone().line(&format!("sel._domainkey.example.com. CNAME {target}")).line("www.provider.test. A 192.0.2.1");
        let said = verify(&mail(), &zone, &[]);
        said.leads("dkim-cname-target-missing", "certain").never(&["dkim-record-not-found", "dkim-cname-wrong-target"]);
    }
}

#[test]
fn aliases_that_lead_to_the_wrong_name() {
    let key = RSA_2048.record();
    for (target, right) in [
        ("sel.dkim.provider.test.example.com.", "sel.dkim.provider.test"),
        ("sel2.dkim.provider.test.", "sel.dkim.provider.test"),
    ] {
        let zone = zone().line(&format!("sel._domainkey.example.com. CNAME {target}"));
        let said = verify(&mail(), &zone.clone().txt(right, &key), &[]);
        said.leads("dkim-cname-wrong-target", "certain").never(&["dkim-cname-target-missing"]);
        let publish = &said.finding("dkim-cname-wrong-target")["publish"];
        assert_eq!((publish["type"].as_str(), publish["value"].as_str()), (Some("CNAME"), Some(&*format!("{right}."))));
        // The other alias has a key of its own.
        let both = zone.txt(right, &key).txt(target.trim_end_matches('.'), &OTHER_2048.record());
        verify(&mail(), &both, &[]).leads("dkim-cname-wrong-target", "certain").never(&["dkim-key-mismatch"]);
    }
    let numbered = Signer::new(&RSA_2048, "example.com").set("s", "selector1").sign(MAIL.as_bytes());
    let zone = zone()
        .line("selector1._domainkey.example.com. CNAME selector2-example-com._domainkey.tenant.test.")
        .txt("selector2-example-com._domainkey.tenant.test", &OTHER_2048.record())
        .txt("selector1-example-com._domainkey.tenant.test", &key);
    verify(&numbered, &zone, &[]).leads("dkim-cname-wrong-target", "certain");
    // The zone appended to a name that exists nowhere.
    let zone = self::zone().line("sel._domainkey.example.com. CNAME sel.dkim.provider.test.example.com.");
    let said = verify(&mail(), &zone, &[]);
    said.leads("dkim-cname-wrong-target", "likely").finding("dkim-cname-target-missing");
}

/// A provider that is named says where its keys are; what it does not say alarms nobody.
#[test]
fn aliases_that_lead_past_the_provider() {
    let alias = |target: &str| zone().line(&format!("sel._domainkey.example.com. CNAME {target}."));
    let ses = ["--provider", "ses"];
    let (right, wrong) = ("sel.dkim.amazonses.com", "sel.dkim.elsewhere.invalid");
    verify(&mail(), &alias(wrong), &ses).leads("dkim-cname-wrong-target", "likely");
    verify(&mail(), &alias(wrong), &[]).leads("dkim-cname-target-missing", "certain");
    verify(&mail(), &alias(right), &ses)
        .leads("dkim-cname-target-missing", "certain")
        .never(&["dkim-cname-wrong-target"]);
    let other = alias(wrong).txt(wrong, &OTHER_2048.record());
    verify(&mail(), &other, &ses).leads("dkim-cname-wrong-target", "likely");
    verify(&mail(), &other, &[]).leads("dkim-key-mismatch", "certain").never(&["dkim-cname-wrong-target"]);
    // The right key is right, wherever it is.
    verify(&mail(), &alias(wrong).txt(wrong, &RSA_2048.record()), &ses).healthy().never(PLACES);
    // Behind its alias the provider changes the key itself.
    let said = verify(&mail(), &alias(right).txt(right, &OTHER_2048.record()), &ses);
    said.leads("dkim-key-mismatch", "certain").never(&["dkim-record-modified", "dkim-cname-wrong-target"]);
}

#[test]
fn an_alias_beside_a_txt_record() {
    let zone = zone().line("sel._domainkey.example.com. CNAME sel.dkim.provider.test.");
    let key = RSA_2048.record();
    let name = "sel._domainkey.example.com";
    let said = verify(&mail(), &zone.clone().txt(name, &key), &[]);
    said.healthy().leads("dkim-cname-and-txt", "certain");
    let old = zone.clone().txt(name, &OTHER_2048.record()).txt("sel.dkim.provider.test", &key);
    verify(&mail(), &old, &[]).leads("dkim-cname-and-txt", "certain").never(&["dkim-key-mismatch"]);
    verify(&mail(), &zone.clone().txt(name, "x"), &[]).leads("dkim-cname-and-txt", "certain");
    // An alias alone is right.
    verify(&mail(), &zone.txt("sel.dkim.provider.test", &key), &[]).healthy().never(PLACES);
}

#[test]
fn addresses_in_place_of_an_alias() {
    for address in ["A 192.0.2.1", "AAAA 2001:db8::1"] {
        let zone = zone().line(&format!("sel._domainkey.example.com. {address}"));
        verify(&mail(), &zone, &[]).leads("dkim-cname-proxied", "likely").finding("dkim-record-not-found");
    }
    // Where every name has an address, this one says nothing.
    let zone = zone().line("*.example.com. A 192.0.2.1");
    verify(&mail(), &zone, &[]).leads("dkim-record-not-found", "certain").never(PLACES);
}

#[test]
fn aliases_without_an_end() {
    let circle = zone()
        .line("sel._domainkey.example.com. CNAME a.example.com.")
        .line("a.example.com. CNAME sel._domainkey.example.com.");
    let said = verify(&mail(), &circle, &[]);
    said.leads("dkim-cname-chain-too-long", "certain").never(&["dns-lookup-failed"]);
    // Waiting does not end it, so it is no temporary fault.
    assert_eq!(said.status, 1, "{:#}", said.report);
    let chain = |hops: usize| {
        let mut zone = zone().line("sel._domainkey.example.com. CNAME hop1.example.com.");
        for hop in 1..hops {
            zone = zone.line(&format!("hop{hop}.example.com. CNAME hop{}.example.com.", hop + 1));
        }
        zone.txt(&format!("hop{hops}.example.com"), &RSA_2048.record())
    };
    verify(&mail(), &chain(9), &[]).healthy().leads("dkim-cname-chain-too-long", "certain");
    verify(&mail(), &chain(8), &[]).healthy().never(PLACES);
    verify(&mail(), &chain(17), &[]).leads("dkim-cname-chain-too-long", "certain");
}

#[test]
fn the_text_of_a_key_as_an_alias() {
    for target in [r"v=DKIM1\;\032k=rsa\;\032p=MIIB.", r"v=DKIM1\;k=rsa.example.com."] {
        let zone = zone().line(&format!("sel._domainkey.example.com. CNAME {target}"));
        verify(&mail(), &zone, &[])
            .leads("dkim-record-type-mixed-up", "certain")
            .never(&["dkim-cname-target-missing", "dkim-record-not-found"]);
    }
}

#[test]
fn a_check_tells_what_stands_elsewhere_without_a_key_to_prove_it() {
    let domain = zone().txt("example.com", "v=spf1 -all").txt("_dmarc.example.com", "v=DMARC1; p=none");
    for name in ["sel._domainkey.example.com.example.com", "selector._domainkey.example.com"] {
        let said = check(&domain.clone().txt(name, &RSA_2048.record()), &["--selector", "sel"]);
        said.leads("dkim-record-wrong-host", "likely");
        assert_eq!((said.status, &said.report["steps"][3]["status"]), (1, &"skipped".into()), "{:#}", said.report);
    }
    // A wildcard may hold the right key: that is told, and is no failure.
    let wild = domain.txt("*._domainkey.example.com", &RSA_2048.record());
    let said = check(&wild, &["--selector", "sel"]);
    said.leads("dkim-wildcard-answer", "certain");
    assert_eq!((said.status, &said.report["steps"][1]["status"]), (0, &"warning".into()), "{:#}", said.report);
}
