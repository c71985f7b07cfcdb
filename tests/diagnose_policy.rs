//! Causes of alignment, policy and ARC, by `waxseal verify`: each with a scene that shows it and a neighbour that does not.

mod common;

use common::{
    forge::{OTHER_2048, RSA_2048, Signer, Zone},
    scene::{MAIL, verify},
};

/// A key for the signing domain, and a strict policy for example.com.
fn zone(domain: &str) -> Zone {
    Zone::default()
        .txt(&format!("sel._domainkey.{domain}"), &RSA_2048.record())
        .txt("example.com", "v=spf1 ip4:192.0.2.0/24 -all")
        .txt("_dmarc.example.com", "v=DMARC1; p=reject")
}

fn signed(domain: &str) -> Vec<u8> {
    Signer::new(&RSA_2048, domain).sign(MAIL.as_bytes())
}

fn from(author: &str) -> String {
    MAIL.replace("Billing <billing@example.com>", author)
}

const STRANGE_IP: [&str; 6] =
    ["--client-ip", "198.51.100.1", "--helo", "mx.example.com", "--mail-from", "b@example.com"];

#[test]
fn a_signature_of_another_organisation_does_not_count() {
    let said = verify(&signed("host.example"), &zone("host.example"), &[]);
    said.leads("dmarc-dkim-not-aligned", "certain").never(&["dmarc-third-party-signature-only", "dmarc-strict-dkim"]);
    verify(&signed("example.com"), &zone("example.com"), &[]).healthy().never(&["dmarc-dkim-not-aligned"]);
}

#[test]
fn a_sending_services_own_signature_is_told_apart() {
    let said = verify(&signed("contoso.onmicrosoft.com"), &zone("contoso.onmicrosoft.com"), &[]);
    said.leads("dmarc-third-party-signature-only", "certain").never(&["dmarc-dkim-not-aligned"]);
    // The customer's own signature beside it counts.
    let both = Signer::new(&OTHER_2048, "example.com").set("s", "own").sign(&signed("contoso.onmicrosoft.com"));
    let zone = zone("contoso.onmicrosoft.com").txt("own._domainkey.example.com", &OTHER_2048.record());
    verify(&both, &zone, &[]).healthy().never(&["dmarc-third-party-signature-only"]);
}

#[test]
fn strict_alignment_is_named_where_relaxed_would_do() {
    let strict = zone("mail.example.com").text().replace("p=reject", "p=reject; adkim=s; aspf=s");
    let zone = Zone::default().line(&strict);
    verify(&signed("mail.example.com"), &zone, &[]).leads("dmarc-strict-dkim", "certain");
    verify(&signed("host.example"), &zone.txt("sel._domainkey.host.example", &RSA_2048.record()), &[])
        .leads("dmarc-dkim-not-aligned", "certain")
        .never(&["dmarc-strict-dkim"]);
    let bounces = ["--client-ip", "192.0.2.9", "--helo", "mx.example.com", "--mail-from", "b@bounce.example.com"];
    let zone = Zone::default().line(&strict).txt("bounce.example.com", "v=spf1 ip4:192.0.2.0/24 -all");
    let said = verify(MAIL.as_bytes(), &zone, &bounces);
    said.leads("dmarc-strict-spf", "certain").never(&["dmarc-spf-not-aligned"]);
}

#[test]
fn spf_of_another_organisation_does_not_count() {
    let zone = zone("example.com").txt("bounce.host.example", "v=spf1 ip4:198.51.100.0/24 -all");
    let foreign = ["--client-ip", "198.51.100.1", "--helo", "h", "--mail-from", "b@bounce.host.example"];
    let said = verify(MAIL.as_bytes(), &zone, &foreign);
    said.leads("dmarc-spf-not-aligned", "certain");
    verify(&signed("example.com"), &zone, &foreign).healthy().never(&["dmarc-spf-not-aligned"]);
}

#[test]
fn both_causes_are_pointed_to() {
    let broken = String::from_utf8(signed("example.com")).expect("text").replace("an invoice", "a bill").into_bytes();
    let said = verify(&broken, &zone("example.com"), &STRANGE_IP);
    said.finding("dmarc-both-failed-cause");
    assert_ne!(said.causes()[0], "dmarc-both-failed-cause", "what broke DKIM leads");
    verify(&signed("example.com"), &zone("example.com"), &STRANGE_IP).never(&["dmarc-both-failed-cause"]);
}

#[test]
fn several_authors_are_no_author() {
    let two = from("Billing <billing@example.com>\r\nFrom: Other <o@example.org>");
    verify(two.as_bytes(), &zone("example.com"), &[]).leads("dmarc-multiple-from", "certain");
    let two = from("a@example.com, b@example.org");
    verify(two.as_bytes(), &zone("example.com"), &[]).leads("dmarc-multiple-from", "certain");
    let same = from("a@example.com, b@example.com");
    verify(same.as_bytes(), &zone("example.com"), &[]).never(&["dmarc-multiple-from"]);
    verify(from("nobody").as_bytes(), &zone("example.com"), &[])
        .leads("dmarc-from-unreadable", "certain")
        .never(&["dmarc-multiple-from"]);
}

#[test]
fn a_from_domain_must_exist() {
    let mail = from("x@gone.example");
    verify(mail.as_bytes(), &zone("example.com"), &[]).leads("from-domain-nonexistent", "certain");
    // A name without records of its own exists if there is something below it.
    let zone = zone("example.com").txt("below.gone.example", "something");
    verify(mail.as_bytes(), &zone, &[]).leads("dkim-no-signature", "certain").never(&["from-domain-nonexistent"]);
}

#[test]
fn a_portals_domain_cannot_be_used_from_elsewhere() {
    let mail = from("Shop <shop@naver.com>");
    let zone = zone("shop.example").txt("naver.com", "v=spf1 -all").txt("_dmarc.naver.com", "v=DMARC1; p=reject");
    let signed = Signer::new(&RSA_2048, "shop.example").sign(mail.as_bytes());
    verify(&signed, &zone, &[]).leads("from-domain-not-yours", "certain");
    // The portal's own signature, broken on the way, is another matter.
    let own = zone.txt("sel._domainkey.naver.com", &RSA_2048.record());
    let broken = Signer::new(&RSA_2048, "naver.com").sign(mail.as_bytes());
    let broken = String::from_utf8(broken).expect("text").replace("an invoice", "a bill");
    verify(broken.as_bytes(), &own, &[]).never(&["from-domain-not-yours"]);
    // With the portal's domain in the envelope too, its SPF record refuses the client: no repair of that record helps.
    let said = verify(
        mail.as_bytes(),
        &own,
        &["--client-ip", "192.0.2.7", "--helo", "web.shop.example", "--mail-from", "shop@naver.com"],
    );
    said.leads("from-domain-not-yours", "certain").finding("spf-ip-not-authorized");
    // The portal's own mail, judged behind a relay of ours.
    let received =
        "Received: from out.naver.com ([203.0.113.7]) by mx.example.net; Mon, 23 Nov 2026 03:59:00 +0000\r\n";
    let relayed = format!("{received}{mail}");
    let zone = Zone::default()
        .txt("naver.com", "v=spf1 ip4:203.0.113.0/24 -all")
        .txt("_dmarc.naver.com", "v=DMARC1; p=reject");
    let inside = ["--client-ip", "10.0.0.2", "--helo", "relay", "--mail-from", "shop@naver.com"];
    verify(relayed.as_bytes(), &zone, &inside)
        .leads("spf-checked-behind-relay", "certain")
        .never(&["from-domain-not-yours"]);
}

/// Without any DMARC record the tree walk finds no organization; what belongs together passes for the other all the same.
#[test]
fn without_a_dmarc_record_a_domain_signs_for_its_own() {
    let bounces = ["--client-ip", "192.0.2.7", "--helo", "mx.example.com", "--mail-from", "b@bounce.example.com"];
    let zone = |more: &str| {
        ["example.com", "mail.example.com", "host.example", "one.co.uk"]
            .iter()
            .fold(Zone::default(), |zone, name| zone.txt(&format!("sel._domainkey.{name}"), &RSA_2048.record()))
            .txt("shop.example.com", "v=spf1 -all")
            .txt("two.co.uk", "v=spf1 -all")
            .line(more)
    };
    for (author, signer) in [
        ("x@shop.example.com", "example.com"),
        ("x@shop.example.com", "mail.example.com"),
        ("x@example.com", "mail.example.com"),
    ] {
        let mail = Signer::new(&RSA_2048, signer).sign(from(author).as_bytes());
        let said = verify(&mail, &zone(""), &[]);
        said.healthy().never(&["dmarc-dkim-not-aligned", "dmarc-psl-vs-treewalk"]).finding("dmarc-record-missing");
        assert_eq!(said.report["dmarc"]["result"], "none");
    }
    for (author, signer) in [("x@shop.example.com", "host.example"), ("x@two.co.uk", "one.co.uk")] {
        let mail = Signer::new(&RSA_2048, signer).sign(from(author).as_bytes());
        verify(&mail, &zone(""), &[]).leads("dmarc-dkim-not-aligned", "certain");
    }
    let sent = r#"bounce.example.com. 300 IN TXT "v=spf1 ip4:192.0.2.7 -all""#;
    verify(MAIL.as_bytes(), &zone(sent), &bounces).healthy().never(&["dmarc-spf-not-aligned"]);
    // Where it fails, it is the sender's own SPF that does.
    let said = verify(MAIL.as_bytes(), &zone(r#"example.com. 300 IN TXT "v=spf1 ip4:192.0.2.7 -all""#), &bounces);
    assert_eq!(said.leads("spf-wrong-host", "certain").findings()[0]["severity"], "error");
    // A record that asks for strict alignment is heard.
    let strict = zone(r#"_dmarc.example.com. 300 IN TXT "v=DMARC1; p=none; adkim=s""#);
    verify(&Signer::new(&RSA_2048, "mail.example.com").sign(MAIL.as_bytes()), &strict, &[])
        .leads("dmarc-strict-dkim", "certain");
}

#[test]
fn the_dmarc_record_is_judged() {
    let key = || Zone::default().txt("sel._domainkey.example.com", &RSA_2048.record());
    let mail = signed("example.com");
    for (zone, cause) in [
        (key(), "dmarc-record-missing"),
        (
            key().txt("_dmarc.example.com", "v=DMARC1; p=none").txt("_dmarc.example.com", "v=DMARC1; p=reject"),
            "dmarc-record-multiple",
        ),
        (key().txt("_dmarc.example.com", "v=DMARC1; p=rejekt"), "dmarc-record-invalid"),
        (key().txt("_dmarc.example.com", "p=reject; v=DMARC1"), "dmarc-record-invalid"),
        (key().txt("_dmarc.example.com.example.com", "v=DMARC1; p=none"), "dmarc-record-wrong-host"),
        (key().txt("example.com", "v=DMARC1; p=none"), "dmarc-record-wrong-host"),
    ] {
        let said = verify(&mail, &zone, &[]);
        said.healthy().leads_or_notes(cause);
    }
    for sound in [
        "v=DMARC1; p=none",
        "v=DMARC1;p=reject;sp=none;adkim=s;pct=50;rua=mailto:a@example.com,mailto:b@example.org",
        "V=DMARC1 ; p = none ;",
    ] {
        verify(&mail, &key().txt("_dmarc.example.com", sound), &[]).healthy().never(&[
            "dmarc-record-missing",
            "dmarc-record-multiple",
            "dmarc-record-invalid",
            "dmarc-record-wrong-host",
        ]);
    }
}

/// A subdomain without a record of its own looks at the organisation: there the record may stand at the wrong name.
#[test]
fn a_misplaced_record_of_the_organisation_is_found() {
    let sent = ["--client-ip", "192.0.2.7", "--helo", "mx.example.com", "--mail-from", "x@shop.example.com"];
    let mail = from("x@shop.example.com");
    let zone = || Zone::default().txt("shop.example.com", "v=spf1 ip4:192.0.2.7 -all");
    for place in ["_dmarc.example.com.example.com", "example.com", "dmarc.example.com", "shop.example.com"] {
        let said = verify(mail.as_bytes(), &zone().txt(place, "v=DMARC1; p=none"), &sent);
        // The mail passes by SPF: that nobody signs it comes after what is wrong with the record.
        let finding = said.healthy().leads("dmarc-record-wrong-host", "certain").finding("dmarc-record-wrong-host");
        assert_eq!(finding["publish"]["name"], "_dmarc.example.com", "{place}");
        assert_eq!(said.finding("dkim-no-signature")["severity"], "warning");
    }
    let said = verify(mail.as_bytes(), &zone(), &sent);
    assert_eq!(said.finding("dmarc-record-missing")["publish"]["name"], "_dmarc.example.com");
    for record in ["v=DMARC1 p=none", "p=none; v=DMARC1"] {
        let said = verify(mail.as_bytes(), &zone().txt("_dmarc.example.com", record), &sent);
        said.healthy().leads("dmarc-record-invalid", "certain");
    }
    let two = zone().txt("_dmarc.example.com", "v=DMARC1; p=none").txt("_dmarc.example.com", "v=DMARC1; p=reject");
    verify(mail.as_bytes(), &two, &sent).healthy().leads("dmarc-record-multiple", "certain");
}

#[test]
fn the_policy_of_subdomains_is_said_to_apply() {
    let mail = from("x@shop.example.com");
    let zone = |policy: &str| Zone::default().txt("shop.example.com", "v=spf1 -all").txt("_dmarc.example.com", policy);
    let said = verify(mail.as_bytes(), &zone("v=DMARC1; p=none; sp=reject"), &[]);
    said.leads("dkim-no-signature", "certain").finding("dmarc-subdomain-policy");
    verify(mail.as_bytes(), &zone("v=DMARC1; p=reject"), &[]).never(&["dmarc-subdomain-policy"]);
}

#[test]
fn receivers_that_draw_the_boundary_elsewhere_are_named() {
    let mail = Signer::new(&RSA_2048, "example.com").sign(from("x@a.unit.example.com").as_bytes());
    let zone = |unit: &str| {
        Zone::default()
            .txt("sel._domainkey.example.com", &RSA_2048.record())
            .txt("a.unit.example.com", "v=spf1 -all")
            .txt("_dmarc.unit.example.com", unit)
    };
    verify(&mail, &zone("v=DMARC1; p=reject; psd=n"), &[]).finding("dmarc-psl-vs-treewalk");
    // With a record at the top, both find the same boundary.
    let whole = zone("v=DMARC1; p=reject").txt("_dmarc.example.com", "v=DMARC1; p=none");
    verify(&mail, &whole, &[]).healthy().never(&["dmarc-psl-vs-treewalk"]);
}

#[test]
fn a_mail_without_signature_is_told_from_one_that_the_provider_would_sign() {
    let ncloud = Zone::default()
        .txt("ncpcompubkr._domainkey.example.com", &RSA_2048.record())
        .txt("example.com", "v=spf1 include:email.ncloud.com ~all")
        .txt("email.ncloud.com", "v=spf1 ip4:192.0.2.0/24 ~all")
        .txt("_dmarc.example.com", "v=DMARC1; p=reject; aspf=s");
    let place = ["--provider", "ncloud", "--environment", "private", "--region", "kr"];
    // Bounces of a subdomain: SPF passes and does not count.
    let sent = ["--client-ip", "192.0.2.9", "--helo", "h.ncloud.com", "--mail-from", "b@example.com"];
    let all = [&place[..], &sent].concat();
    let said = verify(MAIL.as_bytes(), &ncloud, &all);
    said.leads("dkim-not-activated", "likely").never(&["provider-prerequisite-incomplete"]);
    let elsewhere = ["--client-ip", "203.0.113.1", "--helo", "h.ncloud.com", "--mail-from", "b@example.com"];
    verify(MAIL.as_bytes(), &ncloud, &[&place[..], &elsewhere].concat()).never(&["dkim-not-activated"]);
    verify(MAIL.as_bytes(), &ncloud, &[]).leads("dkim-no-signature", "certain").never(&["dkim-not-activated"]);
    verify(&Signer::new(&RSA_2048, "example.com").set("s", "ncpcompubkr").sign(MAIL.as_bytes()), &ncloud, &all)
        .healthy()
        .never(&["dkim-not-activated", "dkim-no-signature"]);
}

#[test]
fn what_the_provider_demands_first_is_named() {
    let zone = |apex: &str| {
        Zone::default()
            .txt("ncpcomgov._domainkey.example.com", &RSA_2048.record())
            .txt("example.com", apex)
            .txt("email.ncloud.com", "v=spf1 ip4:192.0.2.0/24 ~all")
    };
    let place = ["--provider", "ncloud", "--environment", "public", "--region", "kr"];
    let said = verify(MAIL.as_bytes(), &zone("v=spf1 mx -all"), &place);
    said.leads("provider-prerequisite-incomplete", "likely").never(&["dkim-not-activated"]);
    let good = "v=spf1 include:email.ncloud.com ~all";
    let token = [&place[..], &["--token", "ncloud-4711"]].concat();
    let said = verify(MAIL.as_bytes(), &zone(good), &token);
    said.leads("provider-prerequisite-incomplete", "likely").finding("provider-domain-token-missing");
    let said = verify(MAIL.as_bytes(), &zone(good).txt("example.com", "ncloud-4711"), &token);
    said.leads("dkim-not-activated", "possible")
        .never(&["provider-prerequisite-incomplete", "provider-domain-token-missing"]);
    // Receivers need no SPF to verify DKIM.
    let signed = Signer::new(&RSA_2048, "example.com").set("s", "ncpcomgov").sign(MAIL.as_bytes());
    verify(&signed, &zone("v=spf1 mx -all"), &place).healthy().never(&["provider-prerequisite-incomplete"]);
}
