//! The openspf test suite for RFC 7208, all of it: every verdict and every explanation.
//!
//! The suite is no part of this project: it is fetched once into the build folder, from the source package of pyspf.
//! Without `pip`, `tar` and the package registry that pip knows, this test fails and says so.

mod common;

use serde_yaml_ng::Value;
use std::{collections::HashMap, sync::Arc, time::Duration};
use waxseal::{
    dns::{Answer, Data, Dns, Fault, Outcome, Pending, Record, RecordType, Source},
    verify::spf::{self, Limits, Query},
};

const PACKAGE: &str = "pyspf";
const VERSION: &str = "2.0.14";

/// The package that was read before it was trusted: pip runs its set-up.
const SHA256: &str = "57a7ef01bda090173aafb6af0106251686ed73f03db4e911fcd34c57fc347186";

/// How many tests the suite has; fewer would mean that some were not read.
const TESTS: usize = 203;

#[tokio::test]
async fn every_verdict_of_the_openspf_suite_is_right() {
    let file = common::suite::source(PACKAGE, VERSION, SHA256).join("test/rfc7208-tests.yml");
    let text = std::fs::read_to_string(&file).expect("the suite is a readable text file");
    let (mut run, mut wrong) = (0, Vec::new());
    for document in serde_yaml_ng::Deserializer::from_str(&text) {
        let scenario: Value = serde::Deserialize::deserialize(document).expect("the suite is YAML");
        let dns = Dns::new(Zone::new(&scenario["zonedata"]));
        for (name, test) in scenario["tests"].as_mapping().expect("each scenario has tests") {
            run += 1;
            if let Err(why) = judge(&dns, test).await {
                let [name, spec] = [name, &test["spec"]].map(text_of);
                wrong.push(format!("{name} (RFC 7208 section {spec}): {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {run} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(run, TESTS, "tests in {}", file.display());
}

/// Runs one test of the suite.
async fn judge(dns: &Dns, test: &Value) -> Result<(), String> {
    let query = Query {
        client_ip: text_of(&test["host"]).parse().map_err(|_| "the client address cannot be read")?,
        helo: text_of(&test["helo"]).into(),
        mail_from: text_of(&test["mailfrom"]).into(),
        receiver: "receiver.example".into(),
        now: 1_400_000_000,
    };
    let outcome = spf::check(dns, &query, Limits::default()).await;
    let got = outcome.result.as_str();
    let allowed: Vec<String> = match &test["result"] {
        Value::Sequence(several) => several.iter().map(text_of).collect(),
        one => vec![text_of(one)],
    };
    if !allowed.iter().any(|result| result == got) {
        return Err(format!("{got} ({}) instead of {}", outcome.reason, allowed.join(" or ")));
    }
    if let Some(want) = test.get("explanation").map(text_of) {
        let got = outcome.explanation.unwrap_or_else(|| "DEFAULT".into());
        if got != want {
            return Err(format!("explanation {got:?} instead of {want:?}"));
        }
    }
    Ok(())
}

/// A scalar as text, however YAML took it.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => serde_yaml_ng::to_string(other).expect("a scalar").trim().to_owned(),
    }
}

/// The zone of one scenario.
struct Zone {
    names: HashMap<String, Name>,
}

#[derive(Default)]
struct Name {
    records: Vec<(RecordType, Data)>,
    /// Questions without a record here time out.
    silent: bool,
}

impl Zone {
    fn new(data: &Value) -> Zone {
        let names = data.as_mapping().expect("each scenario has zone data");
        Zone { names: names.iter().map(|(name, entries)| (text_of(name).to_lowercase(), Name::new(entries))).collect() }
    }

    /// The records at a name, at the end of its CNAMEs.
    fn find(&self, name: &str, kind: RecordType) -> (Outcome, Vec<Record>) {
        let mut at = name.to_ascii_lowercase();
        for _ in 0..10 {
            let Some(found) = self.names.get(&at) else { return (Outcome::NxDomain, Vec::new()) };
            let records: Vec<Record> = found
                .records
                .iter()
                .filter(|(of, _)| *of == kind)
                .map(|(_, data)| Record { name: at.clone(), ttl: 300, data: data.clone() })
                .collect();
            let alias = found.records.iter().find_map(|(_, data)| match data {
                Data::Cname(target) => Some(target.clone()),
                _ => None,
            });
            match alias {
                _ if !records.is_empty() => return (Outcome::Records, records),
                _ if found.silent => return (Outcome::Fault(Fault::Timeout), Vec::new()),
                Some(target) => at = target,
                None => return (Outcome::NoData, Vec::new()),
            }
        }
        (Outcome::Fault(Fault::CnameLoop), Vec::new())
    }
}

impl Name {
    fn new(entries: &Value) -> Name {
        let mut name = Name::default();
        let mut from_spf = Vec::new();
        let mut own_txt = false;
        for entry in entries.as_sequence().expect("a name has a list of records") {
            let Some(entry) = entry.as_mapping() else {
                assert_eq!(text_of(entry), "TIMEOUT");
                name.silent = true;
                continue;
            };
            for (kind, value) in entry {
                match &*text_of(kind) {
                    "TXT" => {
                        own_txt = true;
                        if text_of(value) != "NONE" {
                            name.records.push((RecordType::Txt, Data::Txt(strings(value))));
                        }
                    }
                    "SPF" => {
                        name.records.push((RecordType::Spf, Data::Txt(strings(value))));
                        from_spf.push((RecordType::Txt, Data::Txt(strings(value))));
                    }
                    kind => name.records.push(record(kind, value)),
                }
            }
        }
        // The suite says: records of type SPF serve as TXT where no TXT is given.
        if !own_txt {
            name.records.append(&mut from_spf);
        }
        name
    }
}

fn record(kind: &str, value: &Value) -> (RecordType, Data) {
    let host = |value: &Value| text_of(value).trim_end_matches('.').to_lowercase();
    match kind {
        "A" => (RecordType::A, Data::A(text_of(value).parse().expect("an IPv4 address"))),
        "AAAA" => (RecordType::Aaaa, Data::Aaaa(text_of(value).parse().expect("an IPv6 address"))),
        "CNAME" => (RecordType::Cname, Data::Cname(host(value))),
        "PTR" => (RecordType::Ptr, Data::Ptr(host(value))),
        "MX" => {
            let preference = text_of(&value[0]).parse().expect("a preference");
            (RecordType::Mx, Data::Mx { preference, exchange: host(&value[1]) })
        }
        other => panic!("a record of type {other}"),
    }
}

fn strings(value: &Value) -> Vec<Box<[u8]>> {
    let bytes = |value: &Value| text_of(value).into_bytes().into();
    match value {
        Value::Sequence(several) => several.iter().map(bytes).collect(),
        one => vec![bytes(one)],
    }
}

impl Source for Zone {
    fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        let (outcome, records) = self.find(name, kind);
        let answer = Answer {
            name: name.to_owned(),
            kind,
            outcome,
            records,
            repeated: Vec::new(),
            negative: None,
            server: None,
            authoritative: false,
            authenticated: false,
            took: Duration::ZERO,
        };
        Box::pin(std::future::ready(Arc::new(answer)))
    }
}
