//! Why a message fails: evidence in, findings out. No I/O, no clock, nothing that waits.
//!
//! Each detector looks at one kind of evidence and gives the findings it can prove, or nothing. `certain` is said only
//! where one repair made this signature verify or this SPF check pass, or where the fact is itself the definition.
//! A detector emits its most specific finding first; the order of blame among detectors is the [`register::Stage`] of
//! their causes; `order` makes one finding of each subject the primary one.
//!
//! What a detector would like to know and does not is wanted of [`case::Facts`], and fetched by `inquire`, which then
//! diagnoses again. A diagnosis never changes a verdict.

pub mod case;
pub mod finding;
pub mod history;
mod order;
pub mod register;
pub mod report;
pub mod secret;

mod activation;
mod arc;
mod delegation;
pub mod domain;
mod key_record;
mod matching;
mod place;
mod policy;
pub mod postfix;
mod propagation;
pub mod servers;
mod signature;
mod spf;
mod transport;
pub mod undo;

pub use order::{Placed, arrange};

use crate::verify::{Word, dkim::DkimResult};
use case::{Case, KeyCase, Oracle};
use finding::{Confidence, Effect, Finding, Subject};

/// Diagnoses a message: its findings, the message's own first.
pub fn diagnose(case: &Case<'_>) -> Vec<Placed> {
    let mut findings = Vec::new();
    for result in &case.verdicts.dkim {
        findings.extend(signature_findings(case, result));
    }
    findings.extend(spf::findings(case));
    let policy = policy::findings(case, &findings);
    findings.extend(policy);
    let activation = activation::findings(case, &findings);
    findings.extend(activation);
    findings.extend(arc::findings(case));
    arrange(case.standing, servers::without_echoes(findings))
}

/// Was a change of the fields of this signature undone? Then they changed, and the published key made the signature: an
/// Ed25519 key cannot say either by itself.
pub fn header_was_undone(findings: &[Placed], signature: usize) -> bool {
    findings.iter().map(|placed| &placed.finding).any(|finding| {
        matches!(finding.subject, Subject::Signature { index: Some(index), .. } if index == signature)
            && finding.cause.family == register::Family::MessageModified
            && finding.cause.stage == register::Stage::Header
            && finding.confidence == Confidence::Certain
    })
}

/// The findings of one signature, in the order of blame; what a certain cause explains is not looked for downstream.
fn signature_findings(case: &Case<'_>, result: &DkimResult) -> Vec<Finding> {
    let signature = &result.signature;
    let subject = Subject::Signature {
        index: Some(result.index),
        domain: signature.domain.clone(),
        selector: signature.selector.clone(),
    };
    let mut findings = Vec::new();
    if let (Some(domain), Some(selector), Some(answer)) = (&signature.domain, &signature.selector, &result.answer) {
        let profile = case.expected.profile_of(Some(selector));
        let key = KeyCase {
            domain,
            selector,
            answer,
            oracle: Oracle::Signature(result),
            profile: profile.as_ref().map(|(profile, _)| &**profile),
            author: case.verdicts.author.as_ref().ok(),
            facts: case.facts,
            history: &case.expected.history,
            at: case.at,
        };
        findings.extend(key_findings(&key));
    }
    findings.extend(signature::findings(case, result));
    if result.result != Word::Pass {
        // What is wrong with the body says nothing about the key.
        let explained = findings
            .iter()
            .any(|finding| finding.effect == Effect::Breaks && finding.cause.stage <= register::Stage::Match);
        if !explained {
            findings.extend(matching::findings(case, result));
        }
        let changes = changes(case, result, &findings);
        findings.extend(changes);
    }
    findings.into_iter().map(|finding| finding.about(subject.clone())).collect()
}

/// What became of the message on its way, beside what is `known`: a change that was undone leads, and blanks alone lead
/// over a change that nothing explains.
fn changes(case: &Case<'_>, result: &DkimResult, known: &[Finding]) -> Vec<Finding> {
    let mut changes = undo::findings(case, result, known);
    let is_certain = |finding: &Finding| finding.effect == Effect::Breaks && finding.confidence == Confidence::Certain;
    // A body that the signer hashed otherwise did not change.
    if known.iter().any(|finding| is_certain(finding) && finding.cause.stage == register::Stage::Body) {
        changes.retain(|finding| finding.cause.stage != register::Stage::Body);
    }
    let Some(blanks) = signature::only_blanks(case, result, known) else { return changes };
    if changes.iter().any(|finding| is_certain(finding) && !undo::is_general(finding)) {
        changes.push(blanks);
    } else {
        changes.retain(|finding| !undo::is_general(finding));
        changes.insert(0, blanks);
    }
    changes
}

/// The findings of a key record: for a signature, or for a domain that is checked.
pub fn key_findings(key: &KeyCase<'_>) -> Vec<Finding> {
    let mut findings = servers::findings(key);
    if findings.iter().all(|finding| finding.effect != Effect::Breaks) {
        findings.extend(transport::findings(key));
    }
    if findings.iter().all(|finding| finding.effect != Effect::Breaks) {
        let placed = place::findings(key);
        let explained =
            placed.iter().any(|finding| finding.effect == Effect::Breaks && finding.confidence == Confidence::Certain);
        findings.extend(placed);
        if !explained {
            findings.extend(key_record::findings(key));
        }
    }
    let mut findings = servers::confirm(key, findings);
    findings.extend(history::findings(key, &findings));
    findings
}
