//! SPF records that are missing, misplaced, in pieces or misspelled: which cause leads, and what is to be published.

mod common;

use common::{
    forge::Zone,
    scene::{MAIL, Said, verify},
};

/// A host of the provider, and the record that names it.
const CLIENT: &str = "192.0.2.7";

fn zone() -> Zone {
    Zone::default()
        .txt("_dmarc.example.com", "v=DMARC1; p=none")
        .txt("email.ncloud.com", "v=spf1 ip4:192.0.2.0/24 -all")
        .txt("spf.b.example", "v=spf1 ip4:203.0.113.0/24 -all")
}

#[track_caller]
fn judge(zone: &Zone, further: &[&str]) -> Said {
    let mut arguments = vec!["--client-ip", CLIENT, "--helo", "out.example.org", "--mail-from", "a@example.com"];
    arguments.extend(further);
    verify(MAIL.as_bytes(), zone, &arguments)
}

/// The record to publish, as the finding has it.
fn published<'s>(said: &'s Said, cause: &str) -> &'s str {
    said.finding(cause)["publish"]["value"].as_str().unwrap_or_default()
}

/// Each text alone at the domain: the cause, how sure, and the record to publish.
#[test]
fn one_mistake_in_the_text() {
    for (text, cause, confidence, publish) in [
        // The version.
        (
            "v=spf1; include:email.ncloud.com ~all",
            "spf-version-malformed",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        (
            "spf1 include:email.ncloud.com ~all",
            "spf-version-malformed",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        (
            "v = spf1 include:email.ncloud.com ~all",
            "spf-version-malformed",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        (
            "v=SPF2.0 include:email.ncloud.com ~all",
            "spf-version-malformed",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        (
            "\"v=spf1 include:email.ncloud.com ~all\"",
            "spf-version-malformed",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        (
            " v=spf1 include:email.ncloud.com ~all",
            "spf-version-malformed",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        (
            "v=spf1, include:email.ncloud.com, ~all",
            "spf-version-malformed",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        (
            "v=spf1\tinclude:email.ncloud.com ~all",
            "spf-version-malformed",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        ("include:email.ncloud.com ~all", "spf-version-malformed", "certain", "v=spf1 include:email.ncloud.com ~all"),
        (
            "example.com. IN TXT \"v=spf1 include:email.ncloud.com ~all\"",
            "spf-version-malformed",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        // Blanks and separators.
        ("v=spf1include:email.ncloud.com ~all", "spf-missing-space", "certain", "v=spf1 include:email.ncloud.com ~all"),
        ("v=spf1 include:email.ncloud.com~all", "spf-missing-space", "certain", "v=spf1 include:email.ncloud.com ~all"),
        ("v=spf1 include:email.ncloud.com-all", "spf-missing-space", "certain", "v=spf1 include:email.ncloud.com -all"),
        (
            "v=spf1 ip4:192.0.2.7ip4:192.0.2.8 -all",
            "spf-missing-space",
            "certain",
            "v=spf1 ip4:192.0.2.7 ip4:192.0.2.8 -all",
        ),
        (
            "v=spf1 ip4:203.0.113.7ip4:203.0.113.8 -all",
            "spf-missing-space",
            "likely",
            "v=spf1 ip4:203.0.113.7 ip4:203.0.113.8 -all",
        ),
        (
            "v=spf1 include:spf.b.example, include:email.ncloud.com, ~all",
            "spf-comma-or-semicolon",
            "certain",
            "v=spf1 include:spf.b.example include:email.ncloud.com ~all",
        ),
        ("v=spf1 ip4:192.0.2.7; -all", "spf-comma-or-semicolon", "certain", "v=spf1 ip4:192.0.2.7 -all"),
        (
            "v=spf1 include:email.ncloud.com,include:spf.b.example ~all",
            "spf-comma-or-semicolon",
            "certain",
            "v=spf1 include:email.ncloud.com include:spf.b.example ~all",
        ),
        // Addresses.
        ("v=spf1 ip:192.0.2.7 ~all", "spf-ip-mechanism-wrong", "certain", "v=spf1 ip4:192.0.2.7 ~all"),
        ("v=spf1 ipv4:192.0.2.0/24 ~all", "spf-ip-mechanism-wrong", "certain", "v=spf1 ip4:192.0.2.0/24 ~all"),
        ("v=spf1 a:192.0.2.7 ~all", "spf-ip-mechanism-wrong", "certain", "v=spf1 ip4:192.0.2.7 ~all"),
        ("v=spf1 ip4: 192.0.2.7 ~all", "spf-ip-mechanism-wrong", "certain", "v=spf1 ip4:192.0.2.7 ~all"),
        ("v=spf1 ip4:192.0.2.7/33 ~all", "spf-ip-mechanism-wrong", "certain", "v=spf1 ip4:192.0.2.7 ~all"),
        ("v=spf1 ip4=192.0.2.7 ~all", "spf-ip-mechanism-wrong", "certain", "v=spf1 ip4:192.0.2.7 ~all"),
        (
            "v=spf1 ip4:2001:db8::1 ip4:192.0.2.7 ~all",
            "spf-ip-mechanism-wrong",
            "certain",
            "v=spf1 ip6:2001:db8::1 ip4:192.0.2.7 ~all",
        ),
        // Names, macros, modifiers.
        (
            "v=spf1 inlcude:email.ncloud.com ~all",
            "spf-unknown-mechanism",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        ("v=spf1 h.b.example ~all", "spf-unknown-mechanism", "certain", "v=spf1 a:h.b.example ~all"),
        ("v=spf1 email.ncloud.com ~all", "spf-unknown-mechanism", "certain", "v=spf1 include:email.ncloud.com ~all"),
        ("v=spf1 ip4.192.0.2.7 ~all", "spf-ip-mechanism-wrong", "certain", "v=spf1 ip4:192.0.2.7 ~all"),
        // Nobody means to let everybody send.
        (
            "v=spf1 include:email.ncloud.com al",
            "spf-unknown-mechanism",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        (
            "v=spf1 include:email.ncloud.com !all",
            "spf-unknown-mechanism",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        (
            "v=spf1 include:email.ncloud.com,all",
            "spf-comma-or-semicolon",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        ("v=spf1 moo ~all", "spf-unknown-mechanism", "certain", ""),
        ("v=spf1 include:email.ncloud.com exists:%i.x.example ~all", "spf-macro-invalid", "certain", ""),
        ("v=spf1 include:%{d.x.example ~all", "spf-macro-invalid", "certain", ""),
        (
            "v=spf1 redirect=email.ncloud.com redirect=spf.b.example",
            "spf-duplicate-modifier",
            "certain",
            "v=spf1 redirect=email.ncloud.com",
        ),
        (
            "v=spf1 include:email.ncloud.com ~all\"",
            "spf-syntax-error",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        (
            "v=spf1 include: email.ncloud.com ~all",
            "spf-syntax-error",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        ("v=spf1 redirect:email.ncloud.com", "spf-syntax-error", "certain", "v=spf1 redirect=email.ncloud.com"),
        ("v=spf1 include=email.ncloud.com ~all", "spf-syntax-error", "certain", "v=spf1 include:email.ncloud.com ~all"),
        ("v=spf1 a/33 ~all", "spf-syntax-error", "certain", ""),
        // Order.
        (
            "v=spf1 ~all include:email.ncloud.com",
            "spf-terms-after-all",
            "certain",
            "v=spf1 include:email.ncloud.com ~all",
        ),
        (
            "v=spf1 -all redirect=email.ncloud.com",
            "spf-redirect-ignored",
            "certain",
            "v=spf1 redirect=email.ncloud.com",
        ),
    ] {
        let said = judge(&zone().txt("example.com", text), &[]);
        said.leads(cause, confidence);
        assert_eq!(published(&said, cause), publish, "{text}");
        assert_eq!(said.status, 1, "{text}");
    }
}

#[test]
fn characters_beyond_ascii_are_named() {
    for text in [
        "v=spf1 include:email.ncloud.com \u{2013}all",
        "v=spf1\u{a0}include:email.ncloud.com \u{ff5e}all",
        "\u{201c}v=spf1 include:email.ncloud.com ~all\u{201d}",
        "\u{feff}v=spf1 include:email.ncloud.com ~all",
    ] {
        let said = judge(&zone().txt("example.com", text), &[]);
        said.leads("spf-non-ascii", "certain").never(&["spf-version-malformed", "spf-syntax-error"]);
        let record = published(&said, "spf-non-ascii");
        assert!(record.starts_with("v=spf1 include:email.ncloud.com ") && record.is_ascii(), "{record}");
    }
}

/// The place of the mistake stands under the record.
#[test]
fn the_caret_stands_under_the_term() {
    let said = judge(&zone().txt("example.com", "v=spf1 mx inlcude:email.ncloud.com ~all"), &[]);
    let evidence = said.finding("spf-unknown-mechanism")["evidence"].as_array().expect("a list").clone();
    let shown = "v=spf1 mx inlcude:email.ncloud.com ~all\n          ^^^^^^^^^^^^^^^^^^^^^^^^";
    assert!(evidence.iter().any(|item| item["value"] == shown), "{evidence:#?}");
}

/// The seed's correct example, and its strings apart in every way that people find.
#[test]
fn strings_that_touch() {
    for (strings, publish) in [
        (r#""v=spf1 include:email.ncloud.com" "~all""#, "v=spf1 include:email.ncloud.com ~all"),
        (r#""v=spf1" "include:email.ncloud.com" "~all""#, "v=spf1 include:email.ncloud.com ~all"),
        (r#""v=spf1" "include:email.ncloud.com ~all""#, "v=spf1 include:email.ncloud.com ~all"),
        (
            r#""v=spf1 a:x.exam" "ple include:email.ncloud.com" "-all""#,
            "v=spf1 a:x.example include:email.ncloud.com -all",
        ),
        // A string for every word; the client passes by the first include, whatever becomes of the second.
        (
            r#""v=spf1" "include:email.ncloud.com" "include:spf.b.example" "-all""#,
            "v=spf1 include:email.ncloud.com include:spf.b.example -all",
        ),
        (r#""v=spf1 include:email.ncloud.com" "-all""#, "v=spf1 include:email.ncloud.com -all"),
    ] {
        let said = judge(&zone().line(&format!("example.com. 300 IN TXT {strings}")), &[]);
        said.leads("spf-strings-misjoined", "certain").never(&["spf-missing-space", "spf-record-missing"]);
        assert_eq!(published(&said, "spf-strings-misjoined"), publish, "{strings}");
    }
    // Legal: the blank is there, or a term goes on.
    for strings in [
        r#""v=spf1 include:email.ncloud.com " "~all""#,
        r#""v=spf1 include:email.ncloud.com" " ~all""#,
        r#""v=spf1 include:email.nc" "loud.com ~all""#,
        r#""v=spf1 include:email.ncloud.com ~all""#,
    ] {
        let said = judge(&zone().line(&format!("example.com. 300 IN TXT {strings}")), &[]);
        said.healthy().never(&["spf-strings-misjoined", "spf-syntax-error", "spf-missing-space"]);
    }
}

#[test]
fn terms_in_records_of_their_own() {
    for (one, other, publish) in [
        (
            "v=spf1 include:spf.b.example",
            "include:email.ncloud.com ~all",
            "v=spf1 include:spf.b.example include:email.ncloud.com ~all",
        ),
        ("v=spf1 include:email.nc", "loud.com ~all", "v=spf1 include:email.ncloud.com ~all"),
        ("v=spf1", "include:email.ncloud.com ~all", "v=spf1 include:email.ncloud.com ~all"),
        (
            "v=spf1 include:spf.b.example ~all",
            "include:email.ncloud.com",
            "v=spf1 include:spf.b.example include:email.ncloud.com ~all",
        ),
    ] {
        let said = judge(&zone().txt("example.com", one).txt("example.com", other), &[]);
        said.leads("spf-split-across-records", "certain").never(&["spf-multiple-records", "spf-include-no-record"]);
        assert_eq!(published(&said, "spf-split-across-records"), publish);
    }
    // Foreign TXT records are no parts.
    let foreign = zone()
        .txt("example.com", "v=spf1 include:email.ncloud.com ~all")
        .txt("example.com", "google-site-verification=abc")
        .txt("example.com", "MS=ms12345678");
    judge(&foreign, &[]).healthy().never(&["spf-split-across-records", "spf-multiple-records"]);
}

#[test]
fn several_records() {
    let said = judge(
        &zone()
            .txt("example.com", "v=spf1 include:spf.b.example -all")
            .txt("example.com", "v=spf1 include:email.ncloud.com ~all"),
        &[],
    );
    said.leads("spf-multiple-records", "certain").never(&["spf-split-across-records"]);
    let merged = published(&said, "spf-multiple-records");
    assert!(
        merged.starts_with("v=spf1 ") && merged.ends_with(" ~all") && merged.contains("include:spf.b.example"),
        "{merged}"
    );
    // One in a record that is included.
    let said = judge(
        &zone()
            .txt("example.com", "v=spf1 include:spf.c.example include:email.ncloud.com ~all")
            .txt("spf.c.example", "v=spf1 -all")
            .txt("spf.c.example", "v=spf1 a -all"),
        &[],
    );
    said.leads("spf-multiple-records", "certain");
    assert!(said.finding("spf-multiple-records")["publish"].is_null());
}

/// A name server makes one record of them; a recording of the run says so again.
#[test]
fn one_record_twice_in_a_zone_file() {
    let record = "v=spf1 include:spf.b.example include:email.ncloud.com ~all";
    let verification = "a-verification=1";
    let twice = zone().txt("example.com", record).txt("example.com", record);
    let said = judge(&twice, &[]);
    said.healthy();
    let finding = said.finding("spf-multiple-records");
    assert_eq!((&finding["severity"], &finding["confidence"]), (&"warning".into(), &"certain".into()));
    let other = zone().txt("example.com", record).txt("example.com", verification).txt("example.com", verification);
    judge(&other, &[]).healthy().never(&["spf-multiple-records"]);
}

#[test]
fn nothing_there() {
    let said = judge(&zone(), &[]);
    said.leads("spf-record-missing", "certain");
    assert!(said.finding("spf-record-missing")["publish"].is_null());
    let said = judge(
        &zone().txt("example.com", "MS=ms1").txt("example.com", "spf2.0/pra include:x.example -all"),
        &["--provider", "ncloud"],
    );
    said.leads("spf-record-missing", "certain").never(&["spf-version-malformed", "spf-provider-include-missing"]);
    assert_eq!(published(&said, "spf-record-missing"), "v=spf1 include:email.ncloud.com ~all");
}

#[test]
fn a_record_of_the_old_type() {
    let said = judge(&zone().line(r#"example.com. 300 IN SPF "v=spf1 include:email.ncloud.com ~all""#), &[]);
    said.leads("spf-record-type-99", "certain").never(&["spf-record-missing"]);
    let both = zone()
        .line(r#"example.com. 300 IN SPF "v=spf1 -all""#)
        .txt("example.com", "v=spf1 include:email.ncloud.com ~all");
    judge(&both, &[]).healthy().never(&["spf-record-type-99"]);
}

#[test]
fn at_another_name() {
    for host in ["_spf", "spf", "www", "example.com"] {
        let said = judge(&zone().txt(&format!("{host}.example.com"), "v=spf1 include:email.ncloud.com ~all"), &[]);
        said.leads("spf-wrong-host", "certain").never(&["spf-record-missing"]);
        assert_eq!(said.finding("spf-wrong-host")["publish"]["name"], "example.com");
    }
    // The sender is of a subdomain.
    let from = ["--client-ip", CLIENT, "--helo", "out.example.org", "--mail-from", "a@bounce.example.com"];
    let parent = zone().txt("example.com", "v=spf1 include:email.ncloud.com ~all");
    verify(MAIL.as_bytes(), &parent, &from).leads("spf-wrong-host", "certain");
    let alias = parent.clone().line("bounce.example.com. 300 IN CNAME bounce.b.example.");
    let said = verify(MAIL.as_bytes(), &alias, &from);
    let steps = said.leads("spf-wrong-host", "certain").finding("spf-wrong-host")["fix"].to_string();
    assert!(steps.contains("is an alias of bounce.b.example"), "{steps}");
    // The record above does not help this client.
    let parent = zone().txt("example.com", "v=spf1 include:spf.b.example ~all");
    verify(MAIL.as_bytes(), &parent, &from).leads("spf-record-missing", "certain").never(&["spf-wrong-host"]);
    // What answers any name is at no other name, and a host that sends nothing says so.
    for zone in [
        zone().txt("*.example.com", "v=spf1 include:email.ncloud.com ~all"),
        zone().txt("www.example.com", "v=spf1 -all"),
    ] {
        judge(&zone, &[]).leads("spf-record-missing", "certain").never(&["spf-wrong-host"]);
    }
}

#[test]
fn the_providers_include() {
    for (text, publish) in [
        ("v=spf1 -all", "v=spf1 include:email.ncloud.com -all"),
        (
            "v=spf1 ip4:198.51.100.1 include:spf.b.example ~all",
            "v=spf1 ip4:198.51.100.1 include:spf.b.example include:email.ncloud.com ~all",
        ),
        ("v=spf1 redirect=spf.b.example", "v=spf1 include:email.ncloud.com redirect=spf.b.example"),
        ("v=spf1 mx", "v=spf1 mx include:email.ncloud.com"),
    ] {
        let zone = zone().txt("example.com", text);
        let said = judge(&zone, &["--environment", "private", "--region", "kr"]);
        said.leads("spf-provider-include-missing", "certain").never(&["spf-ip-not-authorized"]);
        assert_eq!(published(&said, "spf-provider-include-missing"), publish);
        // Nobody said that the provider sends.
        judge(&zone, &[]).never(&["spf-provider-include-missing"]);
    }
    // Ten terms are there already: before them all, the include works.
    let full: String = (1..=10).map(|n| format!("a:h{n}.b.example ")).collect();
    let hosts = (1..=10).fold(zone(), |zone, n| zone.line(&format!("h{n}.b.example. 300 IN A 203.0.113.{n}")));
    let said = judge(&hosts.txt("example.com", &format!("v=spf1 {full}-all")), &["--provider", "ncloud"]);
    said.leads("spf-provider-include-missing", "certain");
    assert!(published(&said, "spf-provider-include-missing").starts_with("v=spf1 include:email.ncloud.com a:h1"));
    let first = &said.finding("spf-provider-include-missing")["fix"][0];
    assert!(first.as_str().is_some_and(|step| step.starts_with("make room first")), "{first}");
    // An include that leads nowhere stands in its place.
    let said = judge(&zone().txt("example.com", "v=spf1 include:ncloud.example ~all"), &["--provider", "ncloud"]);
    said.leads("spf-include-no-record", "certain");
    assert_eq!(published(&said, "spf-include-no-record"), "v=spf1 include:email.ncloud.com ~all");
    // The include is there, or would not help.
    for text in ["v=spf1 include:email.ncloud.com -all", "v=spf1 -all"] {
        let zone = Zone::default().txt("email.ncloud.com", "v=spf1 ip4:203.0.113.0/24 -all").txt("example.com", text);
        judge(&zone, &["--provider", "ncloud"])
            .leads("spf-ip-not-authorized", "certain")
            .never(&["spf-provider-include-missing"]);
    }
}
