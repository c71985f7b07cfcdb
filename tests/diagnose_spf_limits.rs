//! SPF records that lead too far, in circles or nowhere, and records that let too many in.

mod common;

use common::{
    forge::{RSA_2048, Signer, Zone},
    scene::{MAIL, Said, verify},
};

const CLIENT: &str = "192.0.2.7";

#[track_caller]
fn judge(zone: &Zone) -> Said {
    let arguments = ["--client-ip", CLIENT, "--helo", "out.example.org", "--mail-from", "a@example.com"];
    verify(MAIL.as_bytes(), zone, &arguments)
}

/// `number` records `s1.b.example`..., each with these terms.
fn services(number: usize, terms: &str) -> Zone {
    (1..=number).fold(Zone::default(), |zone, n| zone.txt(&format!("s{n}.b.example"), &format!("v=spf1 {terms} -all")))
}

fn includes(number: usize) -> String {
    (1..=number).map(|n| format!("include:s{n}.b.example ")).collect()
}

#[test]
fn eleven_terms_that_ask_dns() {
    let wide =
        services(11, "ip4:203.0.113.1").txt("example.com", &format!("v=spf1 {}ip4:192.0.2.7 ~all", includes(11)));
    let deep = (1..=11).fold(Zone::default().txt("example.com", "v=spf1 include:s1.b.example ~all"), |zone, n| {
        zone.txt(&format!("s{n}.b.example"), &format!("v=spf1 include:s{}.b.example -all", n + 1))
    });
    let nested = services(5, "a:x.example mx:x.example -all")
        .line("x.example. 300 IN A 203.0.113.9")
        .line("x.example. 300 IN MX 10 x.example.")
        .txt("example.com", &format!("v=spf1 {}~all", includes(5)));
    for zone in [wide, deep, nested] {
        let said = judge(&zone);
        said.leads("spf-too-many-lookups", "certain").never(&[
            "spf-include-loop",
            "spf-ip-not-authorized",
            "spf-include-no-record",
        ]);
        let claim = said.finding("spf-too-many-lookups")["claim"].as_str().expect("a claim");
        assert!(claim.contains("10 are allowed"), "{claim}");
    }
    // Ten are allowed; and whoever is named before the eleventh passes.
    let ten = services(10, "ip4:203.0.113.1").txt("example.com", &format!("v=spf1 {}ip4:192.0.2.7 ~all", includes(10)));
    let early =
        services(11, "ip4:203.0.113.1").txt("example.com", &format!("v=spf1 ip4:192.0.2.7 {}~all", includes(11)));
    for zone in [ten, early] {
        judge(&zone).healthy().never(&["spf-too-many-lookups"]);
    }
}

#[test]
fn circles() {
    for (records, cause) in [
        (&[("example.com", "v=spf1 include:example.com ~all")][..], "spf-include-loop"),
        (
            &[("example.com", "v=spf1 include:s.b.example ~all"), ("s.b.example", "v=spf1 include:example.com -all")],
            "spf-include-loop",
        ),
        (&[("example.com", "v=spf1 redirect=example.com")], "spf-redirect-loop"),
        (
            &[("example.com", "v=spf1 redirect=s.b.example"), ("s.b.example", "v=spf1 redirect=example.com")],
            "spf-redirect-loop",
        ),
    ] {
        let zone = records.iter().fold(Zone::default(), |zone, (name, text)| zone.txt(name, text));
        judge(&zone).leads(cause, "certain").never(&["spf-too-many-lookups"]);
    }
    // The same record twice is no circle.
    let twice = Zone::default()
        .txt("example.com", "v=spf1 include:s.b.example include:t.b.example -all")
        .txt("s.b.example", "v=spf1 include:u.b.example -all")
        .txt("t.b.example", "v=spf1 include:u.b.example ip4:192.0.2.7 -all")
        .txt("u.b.example", "v=spf1 ip4:203.0.113.1 -all");
    judge(&twice).healthy().never(&["spf-include-loop", "spf-too-many-lookups"]);
}

#[test]
fn includes_that_lead_nowhere() {
    for (text, cause, publish) in [
        ("v=spf1 include:gone.b.example ip4:192.0.2.7 ~all", "spf-include-no-record", "v=spf1 ip4:192.0.2.7 ~all"),
        ("v=spf1 include:txt.b.example ip4:192.0.2.7 ~all", "spf-include-no-record", "v=spf1 ip4:192.0.2.7 ~all"),
        ("v=spf1 ip4:203.0.113.1 redirect=gone.b.example", "spf-redirect-no-record", "v=spf1 ip4:203.0.113.1 ~all"),
        ("v=spf1 redirect=gone.b.example", "spf-redirect-no-record", ""),
    ] {
        let zone = Zone::default().txt("txt.b.example", "hello").txt("example.com", text);
        let said = judge(&zone);
        said.leads(cause, "certain").never(&["spf-record-missing", "spf-missing-space"]);
        assert_eq!(said.finding(cause)["publish"]["value"].as_str().unwrap_or_default(), publish, "{text}");
    }
    // An include whose record is broken.
    let broken = Zone::default()
        .txt("example.com", "v=spf1 include:s.b.example ~all")
        .txt("s.b.example", "v=spf1 inlcude:x.example -all");
    let said = judge(&broken);
    said.leads("spf-unknown-mechanism", "certain");
    assert!(said.finding("spf-unknown-mechanism")["publish"].is_null());
}

#[test]
fn names_that_no_longer_exist() {
    let dead = "v=spf1 a:a.example.com a:b.example.com mx:c.example.com ip4:192.0.2.7 ~all";
    let said = judge(&Zone::default().txt("example.com", dead));
    said.leads("spf-too-many-void-lookups", "certain").never(&["spf-too-many-lookups", "spf-mx-limit"]);
    assert_eq!(said.finding("spf-too-many-void-lookups")["publish"]["value"], "v=spf1 ip4:192.0.2.7 ~all");
    let two = "v=spf1 a:a.example.com a:b.example.com ip4:192.0.2.7 ~all";
    judge(&Zone::default().txt("example.com", two)).healthy().never(&["spf-too-many-void-lookups"]);
    // A host without IPv6 finds nothing for this client, and stays in the record: it sends by IPv4.
    let mixed = Zone::default()
        .txt("example.com", "v=spf1 a:web.example.com a:a.example.com a:b.example.com ip6:2001:db8::7 ~all")
        .line("web.example.com. 300 IN A 192.0.2.8");
    let client = ["--client-ip", "2001:db8::7", "--helo", "out.example.org", "--mail-from", "a@example.com"];
    let said = verify(MAIL.as_bytes(), &mixed, &client);
    let finding = said.leads("spf-too-many-void-lookups", "certain").finding("spf-too-many-void-lookups");
    assert_eq!(finding["publish"]["value"], "v=spf1 a:web.example.com ip6:2001:db8::7 ~all");
    let steps = finding["fix"].as_array().expect("steps");
    assert!(steps.iter().any(|step| step.as_str().is_some_and(|step| step.contains("one family"))), "{steps:?}");
}

#[test]
fn too_many_exchangers() {
    let farm = |number: usize| {
        (1..=number).fold(Zone::default().txt("example.com", "v=spf1 mx ip4:192.0.2.7 ~all"), |zone, n| {
            zone.line(&format!("example.com. 300 IN MX {n} mx{n}.example.com."))
                .line(&format!("mx{n}.example.com. 300 IN A 203.0.113.{n}"))
        })
    };
    judge(&farm(11)).leads("spf-mx-limit", "certain").never(&["spf-too-many-lookups", "spf-too-many-void-lookups"]);
    judge(&farm(10)).healthy().never(&["spf-mx-limit"]);
}

/// CNAMEs that lead back to themselves give no answer.
#[test]
fn dns_without_an_answer() {
    let circle = |zone: Zone, name: &str| {
        zone.line(&format!("{name}. 300 IN CNAME loop.{name}.")).line(&format!("loop.{name}. 300 IN CNAME {name}."))
    };
    let own = circle(Zone::default(), "example.com");
    let said = judge(&own);
    said.leads("spf-dns-temperror", "certain").never(&["spf-record-missing", "spf-include-temperror"]);
    let included = circle(Zone::default().txt("example.com", "v=spf1 include:s.b.example ~all"), "s.b.example");
    judge(&included).leads("spf-include-temperror", "certain").never(&["spf-include-no-record", "spf-dns-temperror"]);
    let host = circle(Zone::default().txt("example.com", "v=spf1 a:h.b.example ~all"), "h.b.example");
    judge(&host).leads("spf-dns-temperror", "certain").never(&["spf-include-temperror"]);
}

/// Advice on records by which the message passes.
#[test]
fn advice() {
    for (text, cause, severity) in [
        ("v=spf1 +all", "spf-plus-all", "warning"),
        ("v=spf1 ip4:192.0.2.7 all", "spf-plus-all", "warning"),
        ("v=spf1 ip4:128.0.0.0/1 ip4:0.0.0.0/1 -all", "spf-too-broad", "warning"),
        ("v=spf1 ip4:192.0.0.0/8 -all", "spf-too-broad", "warning"),
        ("v=spf1 include:open.b.example -all", "spf-too-broad", "warning"),
        ("v=spf1 exists:open.b.example -all", "spf-too-broad", "warning"),
        ("v=spf1 ip4:192.0.0.0/15 -all", "spf-too-broad", "note"),
        ("v=spf1 mx:open.b.example/9 -all", "spf-too-broad", "note"),
        ("v=spf1 include:cloud.b.example -all", "spf-too-broad", "note"),
        ("v=spf1 redirect=cloud.b.example", "spf-too-broad", "note"),
        ("v=spf1 ptr:x.example ip4:192.0.2.7 -all", "spf-ptr-used", "warning"),
        ("v=spf1 ip4:192.0.2.7 ?all", "spf-neutral-all", "warning"),
        ("v=spf1 ip4:192.0.2.7", "spf-no-all", "warning"),
        ("v=spf1 ip4:192.0.2.7 -all redirect=s.b.example", "spf-redirect-ignored", "warning"),
        ("v=spf1 ip4:192.0.2.7 -all mx", "spf-terms-after-all", "note"),
    ] {
        let zone = Zone::default()
            .txt("open.b.example", "v=spf1 +all")
            .line("open.b.example. 300 IN A 192.7.0.1")
            .line("open.b.example. 300 IN MX 1 open.b.example.")
            .txt("cloud.b.example", "v=spf1 ip4:198.51.100.0/24 ip4:192.0.0.0/9 -all");
        let said = judge(&zone.txt("example.com", text));
        said.healthy();
        assert_eq!(said.finding(cause)["severity"], severity, "{text}");
    }
    // Sound, however odd.
    for text in [
        "v=spf1 ip4:192.0.2.7 -all",
        "V=SPF1 IP4:192.0.2.7 -ALL",
        "v=spf1  ip4:192.0.2.0/24   ~all ",
        "v=spf1 ip4:192.0.0.0/16 -all",
        "v=spf1 ip4:192.0.2.7 ip4:40.92.0.0/15 -all",
        "v=spf1 exists:%{i}.x.example ip4:192.0.0.0/16 -all",
        "v=spf1 ip4:10.0.0.0/8 ip6:fc00::/7 ip4:192.0.2.7 -all",
        "v=spf1 moo=1 ra=postmaster ip4:192.0.2.7 exp=e.example.com -all",
        "v=spf1 exists:%{i}.x.example ip4:192.0.2.7 ~all",
        "v=spf1 redirect=r.b.example",
    ] {
        let zone = Zone::default().txt("r.b.example", "v=spf1 ip4:192.0.2.7 -all").txt("example.com", text);
        let said = judge(&zone);
        let spf: Vec<&str> = said.healthy().causes().into_iter().filter(|cause| cause.starts_with("spf-")).collect();
        assert_eq!(spf, [""; 0], "{text}");
    }
    let many = (0..8).fold(Zone::default().txt("example.com", "v=spf1 ip4:192.0.2.7 -all"), |zone, n| {
        zone.txt("example.com", &format!("site-verification={n}{}", "x".repeat(60)))
    });
    let said = judge(&many);
    said.healthy();
    let large = said.finding("spf-record-too-large");
    assert_eq!((large["severity"].as_str(), large["confidence"].as_str()), (Some("note"), Some("possible")));
}

/// A signature that holds makes every failure of SPF a warning.
#[test]
fn a_message_that_authenticates_has_no_error() {
    let mail = Signer::new(&RSA_2048, "example.com").sign(MAIL.as_bytes());
    let arguments = ["--client-ip", CLIENT, "--helo", "out.example.org", "--mail-from", "a@example.com"];
    for text in ["v=spf1 -all", "v=spf1 moo -all", "v=spf1 include:gone.b.example -all", "v=DMARC1"] {
        let zone = Zone::default().txt("sel._domainkey.example.com", &RSA_2048.record()).txt("example.com", text);
        let said = verify(&mail, &zone, &arguments);
        said.healthy();
        assert_eq!(said.findings()[0]["severity"], "warning", "{text}");
    }
}
