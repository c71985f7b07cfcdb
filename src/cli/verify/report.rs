//! The JSON of one message, `waxseal.verify/1`. Names here are a contract: fields may be added, never renamed.

use super::judge::Judged;
use crate::diagnose::report::{Entry, entries, time};
use crate::verify::{
    Word,
    arc::ArcResult,
    dkim::{DkimResult, KeyState, State, Warning},
    dmarc, spf,
    standing::Aligned,
};
use serde::Serialize;

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    file: String,
    at: String,
    from: Option<&'a str>,
    authenticates: bool,
    dkim: Vec<Dkim<'a>>,
    spf: Spf<'a>,
    dmarc: Dmarc<'a>,
    arc: Arc<'a>,
    /// The provider's profile whose demands were made.
    profile: Option<Profile<'a>>,
    findings: Vec<Entry<'a>>,
    notes: Vec<String>,
    authentication_results: &'a str,
}

#[derive(Serialize)]
struct Profile<'a> {
    name: &'a str,
    inferred: bool,
}

#[derive(Serialize)]
struct Dkim<'a> {
    index: usize,
    domain: Option<&'a str>,
    selector: Option<&'a str>,
    identity: Option<&'a str>,
    algorithm: Option<&'a str>,
    canonicalization: Option<String>,
    key_bits: Option<usize>,
    result: Word,
    reason: Option<String>,
    aligned: bool,
    body: &'static str,
    header: &'static str,
    key: &'static str,
    testing: bool,
    warnings: Vec<&'static str>,
    uncovered: Vec<&'static str>,
}

#[derive(Serialize)]
struct Spf<'a> {
    result: &'a str,
    scope: Option<&'a str>,
    domain: Option<&'a str>,
    client_ip: Option<String>,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<&'a str>,
    /// HELO beside a sender; nothing rests on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    helo: Option<Box<Spf<'a>>>,
}

#[derive(Serialize)]
struct Dmarc<'a> {
    result: &'a str,
    domain: Option<&'a str>,
    policy: &'a str,
    dkim_aligned: bool,
    spf_aligned: bool,
    reason: &'a str,
    /// Where the record stands: `_dmarc` at this domain.
    record: Option<&'a str>,
    organizational_domain: Option<&'a str>,
}

#[derive(Serialize)]
struct Arc<'a> {
    result: Word,
    instances: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Of a chain that passed: the oldest set whose message signature still verifies; 0 if all do.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_pass: Option<usize>,
    /// Who sealed, the first set first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sealers: Vec<Sealer<'a>>,
}

#[derive(Serialize)]
struct Sealer<'a> {
    instance: usize,
    domain: Option<&'a str>,
    selector: Option<&'a str>,
}

/// The object of one message, without a line end behind it.
pub fn json(judged: &Judged) -> String {
    let verdicts = &judged.verdicts;
    let report = Report {
        schema: "waxseal.verify/1",
        file: judged.file.to_string_lossy().into_owned(),
        at: time(judged.at),
        from: judged.from.as_deref(),
        authenticates: judged.standing.authenticates,
        dkim: verdicts
            .dkim
            .iter()
            .zip(&judged.standing.aligned)
            .map(|(result, &aligned)| dkim(result, aligned))
            .collect(),
        spf: spf(judged),
        dmarc: dmarc(&verdicts.dmarc),
        arc: arc(&verdicts.arc),
        profile: judged
            .profile
            .as_ref()
            .map(|in_use| Profile { name: &in_use.profile.name, inferred: in_use.inferred_from.is_some() }),
        findings: entries(&judged.findings),
        notes: judged.notes.iter().map(ToString::to_string).chain(judged.record_note.clone()).collect(),
        authentication_results: &judged.authentication_results,
    };
    serde_json::to_string_pretty(&report).expect("strings and numbers always have a JSON form")
}

fn dkim(result: &DkimResult, aligned: Aligned) -> Dkim<'_> {
    let signature = &result.signature;
    Dkim {
        index: result.index,
        domain: signature.domain.as_ref().map(|domain| domain.as_str()),
        selector: signature.selector.as_ref().map(|selector| selector.as_str()),
        identity: signature.identity.as_deref(),
        algorithm: signature.algorithm_text.as_deref(),
        canonicalization: signature.canonicalization.map(|(header, body)| format!("{header}/{body}")),
        key_bits: result.key_bits,
        result: result.result,
        reason: result.reason.as_ref().map(ToString::to_string),
        aligned: aligned == Aligned::Yes,
        body: state(result.body),
        header: state(result.header),
        key: key(result.key),
        testing: result.testing,
        warnings: result.warnings.iter().copied().map(warning).collect(),
        uncovered: result.uncovered.clone(),
    }
}

/// The word of a half of the message.
pub fn state(state: State) -> &'static str {
    match state {
        State::Intact => "intact",
        State::Changed => "changed",
        State::Unknown => "unknown",
    }
}

fn key(key: KeyState) -> &'static str {
    match key {
        KeyState::Signer => "signer",
        KeyState::Other => "other",
        KeyState::Unknown => "unknown",
        KeyState::Unavailable => "unavailable",
    }
}

/// What passes here by luck, as a sentence.
pub fn warning(warning: Warning) -> &'static str {
    match warning {
        Warning::SeveralKeys => "several keys stand at the selector: other receivers try only one, or none",
        Warning::Pkcs1Key => "the key is published as a bare RSAPublicKey: some receivers refuse it",
        Warning::ForeignTxt => "a TXT record that is no key stands beside the key: some receivers take it for the key",
    }
}

fn spf(judged: &Judged) -> Spf<'_> {
    match &judged.verdicts.spf {
        Some(verdict) => {
            Spf { helo: verdict.helo.as_ref().map(|helo| Box::new(identity(helo))), ..identity(&verdict.main) }
        }
        None => Spf {
            result: "none",
            scope: None,
            domain: None,
            client_ip: None,
            reason: judged.spf_missing.unwrap_or("the client is not known").into(),
            explanation: None,
            helo: None,
        },
    }
}

fn identity(outcome: &spf::Outcome) -> Spf<'_> {
    Spf {
        result: outcome.result.as_str(),
        scope: Some(outcome.scope.as_str()),
        domain: outcome.domain.as_ref().map(|domain| domain.as_str()),
        client_ip: Some(outcome.client_ip.to_string()),
        reason: outcome.reason.to_string(),
        explanation: outcome.explanation.as_deref(),
        helo: None,
    }
}

fn arc(result: &ArcResult) -> Arc<'_> {
    let sealers = result.sealers.iter().map(|sealer| Sealer {
        instance: sealer.instance,
        domain: sealer.domain.as_ref().map(|domain| domain.as_str()),
        selector: sealer.selector.as_ref().map(|selector| selector.as_str()),
    });
    Arc {
        result: result.result,
        instances: result.instances,
        reason: result.reason.as_ref().map(ToString::to_string),
        oldest_pass: result.oldest_pass,
        sealers: sealers.collect(),
    }
}

fn dmarc(verdict: &dmarc::Verdict) -> Dmarc<'_> {
    Dmarc {
        result: verdict.result.as_str(),
        domain: verdict.author.as_ref().map(|author| author.as_str()),
        policy: verdict.policy().as_str(),
        dkim_aligned: verdict.dkim_aligned,
        spf_aligned: verdict.spf_aligned,
        reason: &verdict.reason,
        record: verdict.applied.as_ref().map(|applied| applied.domain.as_str()),
        organizational_domain: verdict.organizational.as_ref().map(|domain| domain.as_str()),
    }
}
