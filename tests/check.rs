//! `waxseal check` as people and scripts run it: the five steps of the document, their status, and the exit status.

mod common;

use common::forge::{ED25519, OTHER_2048, RSA_1024, RSA_2048, Zone};
use serde_json::{Value, json};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output},
};

/// A folder with a zone.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(zone: &Zone) -> Bench {
        let bench = Bench { folder: tempfile::tempdir().expect("a folder") };
        bench.put("zone", zone.text());
        bench
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("written");
        path
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_waxseal"))
            .args(["check", "--dns", "zone"])
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .expect("the program runs")
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> (Value, i32) {
        let output = self.run(&[arguments, &["--json"]].concat());
        let status = output.status.code().expect("an exit status");
        let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (value, status)
    }
}

/// A domain as the document wants it.
fn good() -> Zone {
    Zone::default()
        .txt("example.com", "v=spf1 include:email.ncloud.com ~all")
        .txt("example.com", "ncloud-verification-4711")
        .txt("email.ncloud.com", "v=spf1 ip4:192.0.2.0/24 ~all")
        .txt("_dmarc.example.com", "v=DMARC1; p=none")
        .txt("ncpcompubkr._domainkey.example.com", &format!("v=DKIM1;k=rsa;p={}", RSA_2048.public()))
}

const PLACE: [&str; 5] = ["example.com", "--environment", "private", "--region", "kr"];

fn statuses(report: &Value) -> Vec<&str> {
    let steps = report["steps"].as_array().expect("steps");
    steps.iter().map(|step| step["status"].as_str().expect("a status")).collect()
}

#[test]
fn a_domain_as_the_document_wants_it_is_ready() {
    let bench = Bench::new(&good());
    let (report, status) =
        bench.json(&[&PLACE[..], &["--token", "ncloud-verification-4711", "--client-ip", "192.0.2.9"]].concat());
    assert_eq!(report["schema"], "waxseal.check/1");
    assert_eq!((&report["domain"], &report["selector"]), (&"example.com".into(), &"ncpcompubkr".into()));
    assert_eq!(statuses(&report), ["ok", "ok", "ok", "ok", "skipped"], "{report:#}");
    assert_eq!(status, 0);
    let screen = String::from_utf8(bench.run(&PLACE).stdout).expect("text");
    assert!(screen.starts_with("example.com, selector ncpcompubkr: ready\n"), "{screen}");
    assert!(screen.contains("5. skipped") && screen.contains("[Enable]"), "{screen}");
}

#[test]
fn the_key_must_be_ours() {
    let bench = Bench::new(&good());
    for (content, ours) in [
        (RSA_2048.record(), true),
        (RSA_2048.public(), true),
        // Pasted over several lines.
        (format!("v=DKIM1;\n  k=rsa;\n  p={}\n  {}\n", &RSA_2048.public()[..200], &RSA_2048.public()[200..]), true),
        (OTHER_2048.record(), false),
        (
            format!("sel IN TXT ( \"v=DKIM1; p={}\" \"{}\" )", &RSA_2048.public()[..200], &RSA_2048.public()[200..]),
            true,
        ),
        // As dig shows it.
        (RSA_2048.record().replace(';', "\\;"), true),
    ] {
        bench.put("expected", &content);
        let (report, status) = bench.json(&[&PLACE[..], &["--expect", "expected"]].concat());
        assert_eq!(status, i32::from(!ours), "{report:#}");
        let first = report["findings"][0]["cause"].as_str();
        assert_eq!(first == Some("dkim-key-mismatch"), !ours, "{report:#}");
        assert_eq!(report["steps"][1]["status"], if ours { "ok" } else { "failed" });
    }
    // Somebody may sign with the key that is there: only when asked does it advise to replace it.
    bench.put("expected", &OTHER_2048.record());
    let (report, _) = bench.json(&[&PLACE[..], &["--expect", "expected"]].concat());
    let fix = "this name holds another signer's key: if anybody signs with it, use your own --selector";
    assert_eq!((&report["findings"][0]["fix"][0], &report["findings"][0]["publish"]), (&fix.into(), &Value::Null));
    let (report, status) = bench.json(&[&PLACE[..], &["--expect", "expected", "--replace"]].concat());
    assert_eq!((&report["findings"][0]["publish"]["value"], status), (&OTHER_2048.record().into(), 1), "{report:#}");
    bench.put("expected", "no key at all");
    let output = bench.run(&[&PLACE[..], &["--expect", "expected"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--expect: expected:"), "{output:?}");
}

#[test]
fn a_private_key_that_cannot_sign_is_compared_all_the_same() {
    let bench = Bench::new(&Zone::default().txt("old._domainkey.example.com", &RSA_1024.record()));
    let file = bench.put("key.pem", &RSA_1024.pem());
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("mode set");
    let arguments = ["example.com", "--selector", "old", "--key", "key.pem"];
    let (report, _) = bench.json(&arguments);
    assert_eq!((&report["steps"][1]["status"], &report["profile"]), (&json!("ok"), &Value::Null), "{report:#}");
    let (report, status) = bench.json(&[&arguments[..], &["--provider", "ncloud"]].concat());
    assert_eq!(status, 1, "{report:#}");
    assert_eq!(report["findings"][0]["cause"], "dkim-key-wrong-size", "{report:#}");
    assert_eq!(report["profile"], json!({ "name": "ncloud", "inferred": false }));
}

/// `mailer` was a selector of the default provider, and is a word that others use: alone it demands nothing.
#[test]
fn a_selector_that_is_a_common_word_makes_no_demands() {
    for key in [&*RSA_1024, &ED25519] {
        let zone = Zone::default()
            .txt("example.com", "v=spf1 ip4:192.0.2.1 -all")
            .txt("_dmarc.example.com", "v=DMARC1; p=none");
        let zone = zone.line(&format!("mailer._domainkey.example.com. 43200 IN TXT \"{}\"", key.record()));
        let bench = Bench::new(&zone);
        let (report, status) = bench.json(&["example.com", "--selector", "mailer"]);
        assert_eq!((status, statuses(&report)), (0, vec!["ok", "ok", "skipped", "ok", "skipped"]), "{report:#}");
        assert_eq!(report["findings"], json!([]), "{report:#}");
        let (report, status) = bench.json(&["example.com", "--selector", "mailer", "--provider", "ncloud"]);
        assert_eq!((status, &report["steps"][2]["status"]), (1, &json!("warning")), "{report:#}");
    }
}

/// Where a provider has one set of selectors for everybody, its name is enough: the one that is published is judged.
#[test]
fn the_name_of_a_provider_tells_its_selector() {
    let target = |number: u8| format!("selector{number}-example-com._domainkey.contoso.onmicrosoft.com");
    let zone = || {
        Zone::default()
            .txt("example.com", "v=spf1 ip4:192.0.2.1 -all")
            .txt("_dmarc.example.com", "v=DMARC1; p=none")
            .line(&format!("selector1._domainkey.example.com. CNAME {}.", target(1)))
            .line(&format!("selector2._domainkey.example.com. CNAME {}.", target(2)))
    };
    let microsoft = ["example.com", "--provider", "microsoft365"];
    // The first waits for its turn.
    let (report, status) = Bench::new(&zone().txt(&target(2), &RSA_2048.record())).json(&microsoft);
    assert_eq!((&report["selector"], status), (&json!("selector2"), 0), "{report:#}");
    assert_eq!(statuses(&report), ["ok", "ok", "ok", "ok", "skipped"], "{report:#}");
    assert_eq!(report["findings"], json!([]), "the include is not demanded of everybody: {report:#}");
    let (report, status) = Bench::new(&zone()).json(&microsoft);
    assert_eq!((&report["selector"], status), (&json!("selector1"), 1), "{report:#}");
    assert_eq!(report["findings"][0]["cause"], "dkim-cname-target-missing", "{report:#}");
    let (report, status) = Bench::new(&zone()).json(&["example.com", "--provider", "google"]);
    assert_eq!((&report["selector"], status), (&json!("google"), 1), "{report:#}");
    assert_eq!(report["findings"][0]["cause"], "dkim-record-not-found", "{report:#}");
    // Of a provider with environments and regions, only what is published tells which of them is meant.
    let (report, status) = Bench::new(&good()).json(&["example.com", "--provider", "ncloud"]);
    assert_eq!((&report["selector"], status), (&json!("ncpcompubkr"), 0), "{report:#}");
    let (report, _) = Bench::new(&zone()).json(&["example.com", "--provider", "ncloud"]);
    assert_eq!(report["selector"], Value::Null, "{report:#}");
}

/// The profiles of the operator count in a check too.
#[test]
fn a_profile_of_the_operator_is_known() {
    let bench = Bench::new(&good());
    let folder = bench.folder.path().join("providers");
    fs::create_dir(&folder).expect("a folder");
    fs::write(
        folder.join("post.toml"),
        "name = \"post\"\ntitle = \"The Post\"\nspf_include = \"spf.post.example\"\n\
         selectors = [{ environment = \"all\", region = \"all\", selector = \"post1\" }]\n",
    )
    .expect("written");
    bench.put("waxseal.toml", "provider_directory = \"providers\"\n");
    let place = ["--provider", "post", "--environment", "all", "--region", "all", "--config", "waxseal.toml"];
    let (report, status) = bench.json(&[&["example.com"], &place[..]].concat());
    assert_eq!((&report["selector"], status), (&json!("post1"), 1), "{report:#}");
    assert!(report.to_string().contains("spf.post.example"), "{report:#}");
}

#[test]
fn a_key_of_ours_under_a_sibling_fails_the_step_of_the_selector_and_that_of_the_record() {
    let moved = good().text().replace("ncpcompubkr._domainkey", "ncpcompubjpn._domainkey");
    let bench = Bench::new(&Zone::default().line(&moved));
    bench.put("expected", &RSA_2048.record());
    for (more, confidence) in [(&["--expect", "expected"][..], "certain"), (&[], "likely")] {
        let (report, status) = bench.json(&[&PLACE[..], more].concat());
        assert_eq!(report["findings"][0]["cause"], "dkim-selector-mismatch");
        assert_eq!(report["findings"][0]["confidence"], confidence);
        assert_eq!(status, 1);
        assert_eq!(statuses(&report), ["ok", "failed", "failed", "skipped", "skipped"], "{report:#}");
    }
}

#[test]
fn a_provider_of_rsa_keys_takes_no_other() {
    let (rsa, ed25519) = (format!("v=DKIM1;k=rsa;p={}", RSA_2048.public()), ED25519.record());
    let strings = |text: &str| Zone::default().txt("ncpcompubkr._domainkey.example.com", text).text().to_owned();
    let bench =
        Bench::new(&Zone::default().line(&good().text().replace(strings(&rsa).trim(), strings(&ed25519).trim())));
    let (report, status) = bench.json(&PLACE);
    assert_eq!((status, &report["findings"][0]["cause"]), (1, &"dkim-key-type-mismatch".into()), "{report:#}");
}

#[test]
fn a_token_must_stand_where_the_provider_looks() {
    let bench = Bench::new(&good().txt("www.example.com", "other-token"));
    for (token, status, claim) in [
        ("ncloud-verification-4711", 0, ""),
        ("ncloud-verification-0", 1, "not among the TXT records"),
        ("other-token", 1, "stands at www.example.com"),
    ] {
        let (report, seen) = bench.json(&[&PLACE[..], &["--token", token]].concat());
        assert_eq!(seen, status, "{report:#}");
        if status == 1 {
            let finding = &report["steps"][0]["findings"][0];
            assert_eq!(finding["cause"], "provider-domain-token-missing");
            assert!(finding["claim"].as_str().expect("a claim").contains(claim), "{finding:#}");
            assert_eq!(finding["publish"]["value"], token);
        }
    }
}

/// A profile that nobody named is said to be a guess where anything rests on it.
#[test]
fn a_profile_that_was_inferred_is_said_to_be() {
    let bench = Bench::new(&good());
    let screen = |arguments: &[&str]| String::from_utf8(bench.run(arguments).stdout).expect("text");
    let alone = screen(&["example.com", "--selector", "ncpcompubjpn"]);
    let told = "  as of       ncloud, inferred from the selector ncpcompubjpn; --provider names another\n";
    assert!(alone.contains(told), "{alone}");
    assert!(!screen(&["example.com", "--environment", "private", "--region", "jp"]).contains("as of"));
    assert!(!screen(&PLACE).contains("as of"));
}

#[test]
fn a_time_to_live_out_of_the_advice_is_a_warning() {
    let long = good()
        .text()
        .replace("ncpcompubkr._domainkey.example.com. 300 IN", "ncpcompubkr._domainkey.example.com. 7200 IN");
    let bench = Bench::new(&Zone::default().line(&long));
    let (report, status) = bench.json(&PLACE);
    assert_eq!((status, statuses(&report)[3]), (0, "warning"), "{report:#}");
    assert_eq!(report["findings"][0]["cause"], "dns-ttl-out-of-range");
    // Without a provider, two hours are nobody's advice.
    let (report, _) = bench.json(&["example.com", "--selector", "other"]);
    assert!(!report.to_string().contains("dns-ttl-out-of-range"), "{report:#}");
}

#[test]
fn what_cannot_be_known_is_skipped() {
    let bench = Bench::new(&good());
    let (report, status) = bench.json(&["example.com"]);
    assert_eq!((status, statuses(&report)), (0, vec!["ok", "skipped", "skipped", "skipped", "skipped"]), "{report:#}");
    assert_eq!(report["selector"], Value::Null);
}

#[test]
fn the_settings_say_what_is_not_given() {
    let bench = Bench::new(&good());
    let keys = bench.folder.path().join("keys");
    let keygen = Command::new(env!("CARGO_BIN_EXE_waxseal"))
        .args(["keygen", "--domain", "example.com", "--selector", "own", "--dns", "zone", "--out"])
        .arg(&keys)
        .args(["--format", "single"])
        .current_dir(bench.folder.path())
        .output()
        .expect("the program runs");
    assert!(keygen.status.success(), "{keygen:?}");
    let printed = String::from_utf8(keygen.stdout).expect("text");
    let record = printed.lines().find(|line| line.contains("v=DKIM1")).expect("a record");
    let record = &record[record.find("v=DKIM1").expect("it is there")..];
    bench.put("zone", good().txt("own._domainkey.example.com", record.trim().trim_matches('"')).text());
    bench.put(
        "waxseal.toml",
        &format!(
            "key_directory = {:?}\n[[listener]]\nsocket = \"inet:127.0.0.1:0\"\n[domains.\"example.com\"]\n\
             selector = \"own\"\n[domains.\"example.org\"]\nselector = \"none\"\n",
            keys.display().to_string()
        ),
    );
    let (report, status) = bench.json(&["example.com", "--config", "waxseal.toml"]);
    assert_eq!(report["selector"], "own");
    assert_eq!((status, statuses(&report)), (0, vec!["ok", "ok", "skipped", "ok", "ok"]), "{report:#}");
    let (report, status) = bench.json(&["--all", "--config", "waxseal.toml"]);
    let domains = report.as_array().expect("several domains");
    assert_eq!((status, domains.len()), (1, 2), "{report:#}");
    assert_eq!(domains[1]["domain"], "example.org");
    assert_eq!(domains[1]["steps"][4]["status"], "failed", "its key file is not there");
    let screen = String::from_utf8(bench.run(&["--all", "--config", "waxseal.toml"]).stdout).expect("text");
    assert!(screen.ends_with("1 of 2 domains are ready; not ready: example.org\n"), "{screen}");
}

#[test]
fn mistakes_in_arguments_name_what_exists() {
    let bench = Bench::new(&good());
    for (arguments, text) in [
        (&["example.com", "--environment", "financial", "--region", "jp"][..], "those that exist"),
        (&["example.com", "--provider", "nowhere"], "no provider \"nowhere\""),
        (&["--all", "--config", "missing.toml"], "missing.toml"),
        (&["not a name"], "not a name"),
    ] {
        let output = bench.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(text), "{text}: {output:?}");
    }
}
