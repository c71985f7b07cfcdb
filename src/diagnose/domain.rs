//! A domain without a message: what stands in DNS, against what should. This is what `check` and `watch` are made of.

use super::{
    activation, arrange,
    case::{Case, KeyCase, Match, Oracle},
    finding::{Confidence, Effect, Finding, Subject, Value},
    history, key_findings,
    place::record_of,
    policy, propagation,
    register::{Cause, Family, Stage, changed, key::KEY_MISMATCH},
    report::time,
    servers, spf,
};
use crate::{diagnose::Placed, name::DomainName};

/// The five steps of the documented checklist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Token and SPF.
    Prerequisites = 1,
    /// The key record: host, one record, not cut.
    Registration = 2,
    /// The selector for environment and region.
    Selector = 3,
    /// What servers answer.
    Lookup = 4,
    /// Is signing enabled?
    Activation = 5,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Step; 5] =
        [Step::Prerequisites, Step::Registration, Step::Selector, Step::Lookup, Step::Activation];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Step::Prerequisites => "prerequisites: domain token and SPF",
            Step::Registration => "the key record: right host, one record, whole",
            Step::Selector => "the selector for environment and region",
            Step::Lookup => "look-up: every server gives the same answer",
            Step::Activation => "activation: signing is enabled",
        }
    }

    /// The step that a cause belongs to.
    pub fn of(cause: &Cause) -> Step {
        match (cause.family, cause.stage) {
            (Family::Selector, _) => Step::Selector,
            (Family::Dns | Family::Propagation, _) => Step::Lookup,
            (Family::Spf | Family::Policy | Family::Arc, _) => Step::Prerequisites,
            (Family::Activation, _) if cause.code.starts_with("provider-") => Step::Prerequisites,
            (Family::Activation, Stage::Activation) => Step::Activation,
            _ => Step::Registration,
        }
    }
}

/// The findings of a domain; `case` holds its verdicts without a message, `selector` is the one that should have the key.
pub fn findings(case: &Case<'_>, selector: Option<&DomainName>) -> Vec<Placed> {
    let Ok(domain) = &case.verdicts.author else { return Vec::new() };
    let mut findings = Vec::new();
    if let Some(selector) = selector {
        findings.extend(published_key(case, domain, selector));
    }
    if let Some(token) = &case.expected.token
        && let Some(answer) = case.facts.txt(domain.as_str())
    {
        // Here the record itself is the question, and its absence the failure.
        findings.extend(
            activation::token_missing(answer, domain, token, case.facts).map(|finding| {
                Finding { effect: Effect::Breaks, ..finding }.about(Subject::Dmarc(Some(domain.clone())))
            }),
        );
    }
    findings.extend(spf::domain_findings(case, domain));
    findings.extend(policy::domain_findings(case, domain));
    arrange(case.standing, servers::without_echoes(findings))
}

fn published_key(case: &Case<'_>, domain: &DomainName, selector: &DomainName) -> Vec<Finding> {
    let Some(answer) = case.facts.txt(&format!("{selector}._domainkey.{domain}")) else { return Vec::new() };
    let profile = case.expected.profile_of(Some(selector));
    let key = KeyCase {
        domain,
        selector,
        answer,
        oracle: case.expected.key.as_ref().map_or(Oracle::None, Oracle::Key),
        profile: profile.as_ref().map(|(profile, _)| &**profile),
        author: Some(domain),
        facts: case.facts,
        history: &case.expected.history,
        at: case.at,
    };
    let mut findings = record_findings(&key);
    if let (Oracle::Key(ours), true) = (key.oracle, case.expected.replace) {
        for finding in findings.iter_mut().filter(|finding| finding.cause.code == KEY_MISMATCH.code) {
            *finding = finding.clone().publish(&key.name(), record_of(ours));
        }
    }
    findings
}

/// The findings of a record that is looked at without a message.
pub fn record_findings(key: &KeyCase<'_>) -> Vec<Finding> {
    let mut findings = key_findings(key);
    if findings.iter().all(|finding| finding.effect != Effect::Breaks) {
        findings.extend(another_key(key));
    }
    findings.extend(propagation::time_to_live(key));
    findings.into_iter().map(|finding| finding.about(key.subject())).collect()
}

/// A sound key is published, and it is not ours. Whoever signs with it loses every signature when it goes, so our own
/// record is not offered in its place.
fn another_key(key: &KeyCase<'_>) -> Option<Finding> {
    let Oracle::Key(ours) = key.oracle else { return None };
    let (_, published, Match::Refuted) = key.sound(key.answer)? else { return None };
    let name = key.name();
    if let Some((before, _)) = history::last_good(key) {
        let last = time(before.last);
        let claim = format!("the key at hand stood at {name} until {last}, and another one stands there now");
        let finding = Finding::breaks(&changed::RECORD_MODIFIED, Confidence::Certain, claim)
            .dns("the key record", key.answer)
            .key("the published key", &published)
            .key("the key at hand", ours)
            .with("last seen", Value::Time(before.last))
            .fix(format!("publish the record again at {name}, as it was"))
            .fix("to change keys, publish the new one under a new selector first");
        return Some(history::restoring(finding, &name, before));
    }
    let claim = format!("the key at {name} is not the public half of the key at hand");
    let mut mismatch = Finding::breaks(&KEY_MISMATCH, Confidence::Certain, claim);
    if let Some(present) = history::present(key).filter(|present| present.first < key.at) {
        let since = format!("the record is the same since {}", time(present.first));
        mismatch = mismatch.not(&changed::RECORD_MODIFIED, since);
    }
    Some(
        mismatch
            .dns("the key record", key.answer)
            .key("the published key", &published)
            .key("the key at hand", ours)
            .fix("this name holds another signer's key: if anybody signs with it, use your own --selector")
            .fix("or let the signer here use the private key that belongs to the published one")
            .fix("if that key is yours and nobody signs with it any more, --replace shows the record to put in its place"),
    )
}
