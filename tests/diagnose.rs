//! Findings of `waxseal verify` as a whole: their form, their order, and that healthy mail has none that alarms.

mod common;

use common::{
    forge::{RSA_2048, Signer, Zone},
    scene::{MAIL, verify},
};

#[test]
fn mail_that_authenticates_has_no_error() {
    let mail = Signer::new(&RSA_2048, "example.com").sign(MAIL.as_bytes());
    let zone = Zone::default().txt("sel._domainkey.example.com", &RSA_2048.record());
    verify(&mail, &zone, &[]).healthy();
}

#[test]
fn a_missing_key_is_said_with_the_answer_of_dns() {
    let mail = Signer::new(&RSA_2048, "example.com").sign(MAIL.as_bytes());
    let zone = Zone::default().txt("example.com", "v=spf1 -all");
    let said = verify(&mail, &zone, &[]);
    said.leads("dkim-record-not-found", "certain");
    assert_eq!(said.status, 1);
    let finding = said.finding("dkim-record-not-found");
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["subject"]["signature"], 1);
    let evidence = &finding["evidence"][0];
    assert_eq!(
        (evidence["kind"].as_str(), evidence["name"].as_str(), evidence["rcode"].as_str()),
        (Some("dns"), Some("sel._domainkey.example.com"), Some("NXDOMAIN"))
    );
    assert_eq!(finding["documented"][0]["title"], "Cloud Outbound Mailer troubleshooting");
}

#[test]
fn a_signature_whose_domain_cannot_be_read_explains_before_spf_does() {
    let mail = Signer::new(&RSA_2048, "example.com").without("d").sign(MAIL.as_bytes());
    let zone = Zone::default().txt("example.com", "v=spf1 -all");
    let client = ["--client-ip", "192.0.2.9", "--helo", "mx.example.com", "--mail-from", "b@example.com"];
    verify(&mail, &zone, &client).leads("dkim-signature-malformed", "certain");
    // The author's own signature comes first all the same.
    let both = Signer::new(&RSA_2048, "example.com").sign(MAIL.as_bytes());
    let both = Signer::new(&RSA_2048, "example.com").without("d").sign(&both);
    verify(&both, &zone, &client).leads("dkim-record-not-found", "certain");
}
