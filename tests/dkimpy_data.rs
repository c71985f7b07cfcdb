//! dkimpy's own test messages, as they come signed and as dkimpy signs them with its test keys: our verdict and dkimpy's.
//!
//! The data are no part of this project: they are fetched once into the build folder, from the source archive of dkimpy.
//! Where the verdicts differ, the difference is one of a few, each with the words of the RFC that decide it.

mod common;

use base64::{Engine, engine::general_purpose::STANDARD};
use common::{desk::Desk, forge::Zone, suite};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
};

const VERSION: &str = "1.1.8";

/// The archive that was read before it was trusted.
const SHA256: &str = "b5f60fb47bbf5d8d762f134bcea0c388eba6b498342a682a21f1686545094b77";

/// Fewer would mean that some were not read.
const CASES: usize = 5_000;

/// One message and what dkimpy says.
#[derive(Deserialize)]
struct Case {
    id: String,
    message: String,
    records: BTreeMap<String, String>,
    passed: bool,
    why: String,
}

/// Why the verdicts may differ: the result is ours, with a part of our reason.
fn difference(result: &str, reason: &str) -> Option<&'static str> {
    match result {
        "policy" if reason.starts_with("l= covers") => {
            Some("RFC 6376 section 8.2: what l= does not cover could be anything")
        }
        _ => None,
    }
}

#[test]
fn every_verdict_is_dkimpys_or_says_why_not() {
    let cases = cases();
    let mut groups: BTreeMap<&BTreeMap<String, String>, Vec<&Case>> = BTreeMap::new();
    for case in &cases {
        groups.entry(&case.records).or_default().push(case);
    }
    let (mut differences, mut wrong) = (BTreeMap::<&str, usize>::new(), Vec::new());
    let (mut passed, mut compared) = (0, 0);
    for (records, cases) in groups {
        for (case, report) in cases.iter().zip(judge(records, &cases)) {
            let ours = report["dkim"][0]["result"].as_str().unwrap_or("none");
            let reason = report["dkim"][0]["reason"].as_str().unwrap_or_default();
            compared += 1;
            passed += usize::from(case.passed);
            if (ours == "pass") == case.passed {
                continue;
            }
            match difference(ours, reason) {
                Some(why) => *differences.entry(why).or_default() += 1,
                None => wrong.push(format!("{}: {ours} ({reason}), dkimpy {} ({})", case.id, case.passed, case.why)),
            }
        }
    }
    println!("{compared} verdicts, {passed} of them pass for dkimpy; differences: {differences:#?}");
    assert!(wrong.is_empty(), "{} of {compared} unexplained:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= CASES, "only {compared} cases");
}

/// Our reports, in the order of the cases: one run of the program on many files.
fn judge(records: &BTreeMap<String, String>, cases: &[&Case]) -> Vec<Value> {
    let zone = records.iter().filter_map(|(name, text)| Some((ascii_name(name)?, text)));
    let desk = Desk::new(&zone.fold(Zone::default(), |zone, (name, text)| zone.txt(name, text.trim())));
    let names: Vec<String> = (0..cases.len()).map(|number| number.to_string()).collect();
    for (name, case) in names.iter().zip(cases) {
        desk.put(name, STANDARD.decode(&case.message).expect("base64"));
    }
    // The last name stands twice, so that there is an array even of one message.
    let last = names.last().expect("a group is not empty");
    let files = names.iter().chain([last]).map(String::as_str);
    let output = desk.verify(["--dns", "zone", "--json"].into_iter().chain(files));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Names that no master file can hold are never asked for either.
fn ascii_name(name: &str) -> Option<&str> {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)).then_some(name)
}

fn cases() -> Vec<Case> {
    let source = suite::source("dkimpy", VERSION, SHA256);
    let output = Command::new(common::parts().join("venv/bin/python"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/dkimpy_data.py"))
        .arg(source)
        .stderr(Stdio::inherit())
        .output()
        .expect("tests/run installs Python's environment");
    assert!(output.status.success(), "dkimpy does not run: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}
