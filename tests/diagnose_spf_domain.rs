//! `waxseal check` on SPF records: judged without a client, for a client, and against what the provider demands.

mod common;

use common::{desk::Desk, forge::Zone};
use serde_json::Value;
use std::process::Command;

/// What `waxseal check --json` says of example.com, and its exit status.
#[track_caller]
fn check(zone: &Zone, further: &[&str]) -> (Value, i32) {
    let desk = Desk::new(zone);
    let output = Command::new(env!("CARGO_BIN_EXE_waxseal"))
        .args(["check", "example.com", "--dns", "zone", "--json"])
        .args(further)
        .current_dir(desk.path("."))
        .output()
        .expect("the program runs");
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (report, output.status.code().expect("an exit status"))
}

fn zone() -> Zone {
    Zone::default()
        .txt("_dmarc.example.com", "v=DMARC1; p=none")
        .txt("email.ncloud.com", "v=spf1 ip4:192.0.2.0/24 -all")
        .txt("spf.b.example", "v=spf1 ip4:203.0.113.0/24 -all")
}

/// The codes of all findings, in order.
fn causes(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().filter_map(|finding| finding["cause"].as_str()).collect()
}

#[track_caller]
fn leads(zone: &Zone, further: &[&str], cause: &str, confidence: &str) -> Value {
    let (report, status) = check(zone, further);
    let first = &report["findings"][0];
    let seen = (first["cause"].as_str(), first["confidence"].as_str());
    assert_eq!(seen, (Some(cause), Some(confidence)), "{report:#}");
    assert_eq!(status, i32::from(first["severity"] == "error"), "{report:#}");
    first.clone()
}

#[test]
fn a_record_without_a_client() {
    for (text, cause, confidence) in [
        ("v=spf1; include:spf.b.example ~all", "spf-version-malformed", "certain"),
        ("v=spf1include:spf.b.example ~all", "spf-missing-space", "likely"),
        ("v=spf1 include:spf.b.example~all", "spf-missing-space", "likely"),
        ("v=spf1 include:spf.b.example-all", "spf-missing-space", "likely"),
        ("v=spf1 a, mx, ~all", "spf-comma-or-semicolon", "likely"),
        ("v=spf1 inlcude:spf.b.example ~all", "spf-unknown-mechanism", "certain"),
        ("v=spf1 include:gone.b.example ~all", "spf-include-no-record", "certain"),
        ("v=spf1 redirect=gone.b.example", "spf-redirect-no-record", "certain"),
        ("v=spf1 include:example.com ~all", "spf-include-loop", "certain"),
        ("v=spf1 redirect=example.com", "spf-redirect-loop", "certain"),
        ("v=spf1 a:a.x.example a:b.x.example mx:c.x.example ~all", "spf-too-many-void-lookups", "certain"),
        ("v=spf1 +all", "spf-plus-all", "certain"),
        ("v=spf1 ip4:203.0.0.0/8 -all", "spf-too-broad", "certain"),
        ("v=spf1 ptr -all", "spf-ptr-used", "certain"),
        ("v=spf1 -all include:spf.b.example", "spf-terms-after-all", "certain"),
        ("hello", "spf-record-missing", "certain"),
    ] {
        leads(&zone().txt("example.com", text), &[], cause, confidence);
    }
    let split =
        zone().txt("example.com", "v=spf1 include:spf.b.example").txt("example.com", "include:email.ncloud.com ~all");
    leads(&split, &[], "spf-split-across-records", "likely");
    let touching = zone().line(r#"example.com. 300 IN TXT "v=spf1 include:spf.b.example" "~all""#);
    leads(&touching, &[], "spf-strings-misjoined", "likely");
    leads(&touching, &["--client-ip", "203.0.113.1"], "spf-strings-misjoined", "certain");
    let two = zone().txt("example.com", "v=spf1 -all").txt("example.com", "v=spf1 mx -all");
    leads(&two, &[], "spf-multiple-records", "certain");
}

#[test]
fn sound_records_are_sound() {
    for text in [
        "v=spf1 -all",
        "v=spf1 include:spf.b.example include:email.ncloud.com ~all",
        "v=spf1 redirect=spf.b.example",
        "v=spf1 exists:%{i}.x.example include:%{d}.x.example moo=1 -all",
        "v=spf1 a:gone.x.example mx:gone.x.example -all",
    ] {
        let (report, status) = check(&zone().txt("example.com", text), &[]);
        assert_eq!((status, report["steps"][0]["status"].as_str()), (0, Some("ok")), "{report:#}");
        assert!(!causes(&report).iter().any(|cause| cause.starts_with("spf-")), "{report:#}");
    }
}

/// Terms are counted over the whole tree, however deep; the client that matches early passes all the same.
#[test]
fn the_tree_is_counted() {
    let chain = |length: usize| {
        (1..=length).fold(zone().txt("example.com", "v=spf1 ip4:192.0.2.7 include:s1.b.example ~all"), |zone, n| {
            let terms = if n < length { format!("include:s{}.b.example", n + 1) } else { "ip4:203.0.113.1".to_owned() };
            zone.txt(&format!("s{n}.b.example"), &format!("v=spf1 {terms} -all"))
        })
    };
    let finding = leads(&chain(11), &[], "spf-too-many-lookups", "certain");
    assert!(finding["claim"].as_str().is_some_and(|claim| claim.contains("needs 11 terms")), "{finding:#}");
    let tree = finding["evidence"][0]["value"].as_str().expect("a tree");
    assert!(tree.starts_with("example.com: 1 term\n  s1.b.example: 1 term\n") && tree.ends_with("together: 11 terms"));
    let (report, status) = check(&chain(11), &["--client-ip", "192.0.2.7"]);
    assert_eq!((status, &report["findings"][0]["severity"]), (0, &"warning".into()), "{report:#}");
    let (report, _) = check(&chain(10), &[]);
    assert!(!causes(&report).contains(&"spf-too-many-lookups"), "{report:#}");
}

#[test]
fn what_the_provider_demands() {
    let other = zone().txt("example.com", "v=spf1 include:spf.b.example ~all");
    let place = ["--environment", "private", "--region", "kr"];
    for arguments in [
        &["--provider", "ncloud"][..],
        &["--spf-include", "email.ncloud.com"],
        &["--spf-include", "email.ncloud.com", "--client-ip", "203.0.113.1"],
    ] {
        let finding = leads(&other, arguments, "spf-provider-include-missing", "certain");
        assert_eq!(finding["publish"]["value"], "v=spf1 include:spf.b.example include:email.ncloud.com ~all");
    }
    let (report, _) = check(&other, &place);
    assert_eq!(report["steps"][0]["status"], "failed", "{report:#}");
    // Included by another record, flattened, or not demanded.
    for text in ["v=spf1 include:own.b.example ~all", "v=spf1 ip4:192.0.2.0/24 ~all"] {
        let zone = zone().txt("own.b.example", "v=spf1 include:email.ncloud.com -all").txt("example.com", text);
        let (report, _) = check(&zone, &["--provider", "ncloud"]);
        assert!(!causes(&report).contains(&"spf-provider-include-missing"), "{report:#}");
    }
    let (report, _) = check(&other, &[]);
    assert!(!causes(&report).contains(&"spf-provider-include-missing"), "{report:#}");
}
