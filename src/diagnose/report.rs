//! Findings as JSON: `findings[]` of `waxseal.verify/1` and `waxseal.check/1`. Names here are a contract.
//!
//! Every text of strangers goes through [`secret`]: a private key is never shown.

use super::{
    finding::{Finding, Item, Publish, Subject, Value},
    order::Placed,
    register::{Cause, SEED_TITLE, SEED_URL},
    secret,
};
use crate::dns::{Answer, Data, Outcome};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::borrow::Cow;

/// A finding as it is shown to machines.
#[derive(Serialize)]
pub struct Entry<'a> {
    cause: &'a str,
    family: &'a str,
    severity: &'a str,
    confidence: &'a str,
    primary: bool,
    subject: Json,
    title: &'a str,
    claim: Cow<'a, str>,
    evidence: Vec<Json>,
    ruled_out: Vec<Json>,
    fix: Vec<Cow<'a, str>>,
    publish: Option<Json>,
    documented: Vec<Json>,
}

/// The entries of a list of findings.
pub fn entries(placed: &[Placed]) -> Vec<Entry<'_>> {
    placed.iter().map(entry).collect()
}

/// The entry of one finding.
pub fn entry(placed: &Placed) -> Entry<'_> {
    let finding = &placed.finding;
    Entry {
        cause: finding.cause.code,
        family: finding.cause.family.as_str(),
        severity: placed.severity.as_str(),
        confidence: finding.confidence.as_str(),
        primary: placed.primary,
        subject: subject(finding),
        title: finding.cause.title,
        claim: secret::text(&finding.claim),
        evidence: finding.evidence.iter().map(item).collect(),
        ruled_out: finding
            .ruled_out
            .iter()
            .map(|out| json!({ "cause": out.cause.code, "because": secret::text(&out.because) }))
            .collect(),
        fix: finding.fix.iter().map(|step| secret::text(step)).collect(),
        publish: finding.publish.as_ref().map(publish),
        documented: documented(finding.cause),
    }
}

fn subject(finding: &Finding) -> Json {
    match &finding.subject {
        Subject::Signature { index, domain, selector } => json!({
            "method": "dkim",
            "signature": index,
            "domain": domain.as_ref().map(|name| name.as_str()),
            "selector": selector.as_ref().map(|name| name.as_str()),
        }),
        Subject::Spf(domain) => json!({ "method": "spf", "domain": domain.as_ref().map(|name| name.as_str()) }),
        Subject::Dmarc(domain) => json!({ "method": "dmarc", "domain": domain.as_ref().map(|name| name.as_str()) }),
        Subject::Arc => json!({ "method": "arc" }),
        Subject::Mta => json!({ "method": "postfix" }),
    }
}

fn item(item: &Item) -> Json {
    let label = &item.label;
    match &item.value {
        Value::Dns(answer) => dns(label, answer),
        Value::Text(text) => json!({ "kind": "text", "label": label, "value": secret::text(text) }),
        Value::Digest(digest) => json!({ "kind": "digest", "label": label, "value": digest }),
        Value::Key { fingerprint, bits } => {
            json!({ "kind": "key", "label": label, "fingerprint": fingerprint, "bits": bits })
        }
        Value::Header(field) => json!({ "kind": "header", "label": label, "value": secret::text(field) }),
        Value::Time(seconds) => json!({ "kind": "time", "label": label, "value": time(*seconds) }),
    }
}

fn dns(label: &str, answer: &Answer) -> Json {
    json!({
        "kind": "dns",
        "label": label,
        "name": answer.name,
        "type": answer.kind.to_string(),
        "server": answer.server.map(|server| server.to_string()),
        "rcode": rcode(&answer.outcome),
        "authoritative": answer.authoritative,
        "ttl": answer.records.iter().map(|record| record.ttl).min().or(answer.negative.as_ref().map(|soa| soa.1)),
        "records": records(answer),
    })
}

/// The rcode, or what stands for it where none came.
pub fn rcode(outcome: &Outcome) -> String {
    use crate::dns::Fault;
    match outcome {
        Outcome::Records | Outcome::NoData => "NOERROR".into(),
        Outcome::NxDomain => "NXDOMAIN".into(),
        Outcome::Fault(Fault::ServFail) => "SERVFAIL".into(),
        Outcome::Fault(Fault::Refused) => "REFUSED".into(),
        Outcome::Fault(fault) => fault.to_string(),
    }
}

/// Every record: the character-strings of a TXT record, one by one; other records as one text.
fn records(answer: &Answer) -> Vec<Vec<String>> {
    let text = |string: &Cow<'_, [u8]>| String::from_utf8_lossy(string).into_owned();
    secret::records(answer).iter().map(|(_, strings)| strings.iter().map(text).collect()).collect()
}

/// The data of a record in one piece, as in a master file.
pub fn shown(data: &Data) -> String {
    match data {
        Data::A(ip) => ip.to_string(),
        Data::Aaaa(ip) => ip.to_string(),
        Data::Cname(name) | Data::Ns(name) | Data::Ptr(name) => format!("{name}."),
        Data::Mx { preference, exchange } => format!("{preference} {exchange}."),
        Data::Soa { mname, serial, minimum } => format!("{mname}. {serial} {minimum}"),
        Data::Txt(strings) => secret::text(&String::from_utf8_lossy(&strings.concat())).into_owned(),
    }
}

fn publish(publish: &Publish) -> Json {
    json!({
        "name": publish.name,
        "type": publish.kind.to_string(),
        "value": publish.value,
        "strings": publish.strings(),
    })
}

/// Where a cause is documented: the section of the seed document, and the standards.
fn documented(cause: &Cause) -> Vec<Json> {
    let seed = cause.seed_section().map(|section| {
        json!({ "title": SEED_TITLE, "section": section.title, "lines": cause.seed_lines(), "url": SEED_URL })
    });
    let standards = cause.see.iter().map(|see| match see.split_once(" §") {
        Some((title, section)) => json!({ "title": title, "section": section }),
        None => json!({ "title": see, "section": null }),
    });
    seed.into_iter().chain(standards).collect()
}

/// RFC 3339; a time beyond jiff's, in the year 9999, cannot be given.
pub fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.unwrap_or(jiff::Timestamp::MAX).to_string()
}
