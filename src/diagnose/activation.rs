//! Nobody signs: because the provider is not told to, because something it demands is missing, or for another reason.

use super::{
    case::{Case, Facts},
    finding::{Confidence, Effect, Finding, Subject},
    register::activation as causes,
};
use crate::{
    dkim::record::{Key, KeyRecord},
    dns::{Answer, Outcome as Answered},
    name::DomainName,
    provider::Profile,
    verify::spf::{Outcome, SpfResult},
};
use std::sync::Arc;

/// What the absence of a signature means; `known` are the findings so far.
pub fn findings(case: &Case<'_>, known: &[Finding]) -> Vec<Finding> {
    let Ok(author) = &case.verdicts.author else { return Vec::new() };
    let signed = case.standing.may_be_signed_by_author();
    let mut findings = Vec::new();
    if !signed {
        findings.extend(unsigned(case, author, known));
    }
    let is_prerequisite = findings.iter().any(|finding: &Finding| finding.cause == &causes::PREREQUISITE_INCOMPLETE);
    findings.extend(case.expected.token.as_deref().and_then(|token| {
        let finding = token_missing(case.facts.txt(author.as_str())?, author, token, case.facts)?;
        // Receivers ask for no token: where mail is signed, it breaks nothing yet.
        Some(match signed {
            false if is_prerequisite => Finding { effect: Effect::Breaks, confidence: Confidence::Possible, ..finding },
            _ => finding,
        })
    }));
    // Where another method carries the message, nothing failed yet.
    let softer = |finding: Finding| match (case.standing.authenticates, finding.effect) {
        (true, Effect::Breaks) => Finding { effect: Effect::Risk, ..finding },
        _ => finding,
    };
    findings.into_iter().map(|finding| softer(finding).about(Subject::Dmarc(Some(author.clone())))).collect()
}

/// No signature of the author's domain: the most specific reason that fits.
fn unsigned(case: &Case<'_>, author: &DomainName, _known: &[Finding]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(profile) = case.expected.profile.as_deref()
        && profile.signs_only_when_verified
        && let Some(finding) = not_activated(case, author, profile)
    {
        findings.push(finding);
    }
    if case.verdicts.dkim.is_empty() {
        let claim = "the message has no DKIM-Signature";
        let finding = match findings.is_empty() {
            true => Finding::breaks(&causes::NO_SIGNATURE, Confidence::Certain, claim),
            // The reason leads; the fact stays beside it.
            false => Finding::note(&causes::NO_SIGNATURE, Confidence::Certain, claim),
        };
        findings.push(
            finding
                .fix(format!("sign where the mail leaves, with a key of {author}"))
                .fix("in Postfix, mail of local programs needs non_smtpd_milters, and bounces internal_mail_filter_classes = bounce"),
        );
    }
    findings
}

/// The provider sent it and did not sign. The console's state cannot be seen, only its consequence.
fn not_activated(case: &Case<'_>, author: &DomainName, profile: &Profile) -> Option<Finding> {
    let spf = case.verdicts.spf.as_ref().map(|spf| &spf.main);
    let sent = spf.map(|outcome| sent_by(outcome, profile));
    // Mail that SPF refuses, or passes for another reason, was not sent by the provider.
    if sent == Some(Sent::Elsewhere) {
        return None;
    }
    let key = published(case, author, profile);
    let wanting = wanting(case, author, profile);
    if let (Some((name, answer, key)), Some(wanting)) = (&key, &wanting) {
        let claim = format!("the key at {name} is right, but {} does not sign: {wanting}", profile.title);
        return Some(
            Finding::breaks(&causes::PREREQUISITE_INCOMPLETE, Confidence::Likely, claim)
                .dns("the key record", answer)
                .key("the published key", key)
                .fix(format!("put it right: {wanting}"))
                .fix("then press [Authenticate] for token and SPF, then for DKIM, and [Enable] after that")
                .fix(consoles(profile)),
        );
    }
    let fix = profile.activate.as_deref().unwrap_or("turn signing on for the domain");
    let (confidence, claim) = match (&key, sent) {
        (Some((name, ..)), Some(Sent::ByProvider)) => {
            (Confidence::Likely, format!("{} sent the mail unsigned, although the key stands at {name}", profile.title))
        }
        (Some((name, ..)), _) => (
            Confidence::Possible,
            format!("the mail is unsigned, although the key of {} stands at {name}", profile.title),
        ),
        (None, Some(Sent::ByProvider)) if !profile.selectors.is_empty() => (
            Confidence::Possible,
            format!("{} sent the mail unsigned, and no key of its selectors is published", profile.title),
        ),
        (None, _) => return None,
    };
    let mut finding = Finding::breaks(&causes::NOT_ACTIVATED, confidence, claim);
    if let Some((_, answer, key)) = &key {
        finding = finding.dns("the key record", answer).key("the published key", key);
    }
    if let Some(outcome) = spf {
        finding = finding.text("SPF", format!("{}: {}", outcome.result, outcome.reason));
    }
    Some(finding.fix(fix).fix(consoles(profile)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    ByProvider,
    Elsewhere,
    Unknown,
}

/// Did the include of the profile authorise the client?
fn sent_by(outcome: &Outcome, profile: &Profile) -> Sent {
    let Some(include) = &profile.spf_include else { return Sent::Unknown };
    if outcome.domain.as_ref().is_some_and(|domain| domain.is_within(include)) && outcome.result == SpfResult::Pass {
        return Sent::ByProvider;
    }
    let through = outcome.visits.iter().position(|visit| visit.domain.eq_ignore_ascii_case(include.as_str()));
    let last = through.is_some_and(|at| outcome.path.iter().any(|place| place.visit == at));
    match outcome.result {
        SpfResult::Pass if last => Sent::ByProvider,
        SpfResult::Pass => Sent::Elsewhere,
        // The include was asked and did not list the client.
        SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral if through.is_some() => Sent::Elsewhere,
        _ => Sent::Unknown,
    }
}

/// A sound key at the selector that is expected, or at any of the profile.
fn published(case: &Case<'_>, author: &DomainName, profile: &Profile) -> Option<(String, Arc<Answer>, Key)> {
    let selectors: Vec<&DomainName> = match &case.expected.selector {
        Some(selector) => vec![selector],
        None => profile.selectors.iter().map(|entry| &entry.selector).collect(),
    };
    let mut found = None;
    for selector in selectors {
        let name = format!("{selector}._domainkey.{author}");
        let Some(answer) = case.facts.txt(&name) else { continue };
        let key = answer.joined_txt().iter().find_map(|text| KeyRecord::read(text).key);
        if let (None, Some(key)) = (&found, key) {
            found = Some((name, answer.clone(), key));
        }
    }
    found
}

/// What the provider demands before it signs, and does not find.
fn wanting(case: &Case<'_>, author: &DomainName, profile: &Profile) -> Option<String> {
    let answer = case.facts.txt(author.as_str())?;
    if let Some(token) = &case.expected.token
        && !holds(answer, token)
    {
        return Some(format!("the token of the domain is not among the TXT records of {author}"));
    }
    let include = profile.spf_include.as_ref().filter(|_| profile.spf_demanded)?;
    let includes = answer.joined_txt().iter().any(|text| {
        let text = String::from_utf8_lossy(text).to_ascii_lowercase();
        text.starts_with("v=spf1")
            && text.split_ascii_whitespace().any(|term| term.ends_with(&format!("include:{include}")))
    });
    (!includes).then(|| format!("the SPF record of {author} does not include {include}"))
}

/// Is the token a TXT record of its own, quotes and blanks around it apart?
fn holds(answer: &Answer, token: &str) -> bool {
    answer.joined_txt().iter().any(|text| {
        let text = String::from_utf8_lossy(text);
        text.trim().trim_matches('"').trim() == token.trim()
    })
}

/// The provider's token does not stand at the domain: nowhere, changed, elsewhere, or glued to SPF.
pub fn token_missing(answer: &Arc<Answer>, domain: &DomainName, token: &str, facts: &Facts) -> Option<Finding> {
    if holds(answer, token) || matches!(answer.outcome, Answered::Fault(_)) {
        return None;
    }
    let glued = answer.joined_txt().iter().any(|text| {
        let text = String::from_utf8_lossy(text);
        text.contains(token.trim()) && text.to_ascii_lowercase().contains("v=spf1")
    });
    let elsewhere = [format!("_domainkey.{domain}"), format!("www.{domain}"), format!("{domain}.{domain}")]
        .into_iter()
        .find(|name| facts.txt(name).is_some_and(|answer| holds(answer, token)));
    let claim = match (glued, &elsewhere) {
        (true, _) => format!("the token stands inside the SPF record of {domain}, not in a record of its own"),
        (_, Some(name)) => format!("the token stands at {name}, not at {domain}"),
        _ => format!("the token is not among the TXT records of {domain}"),
    };
    let mut finding = Finding::risk(&causes::TOKEN_MISSING, Confidence::Certain, claim).dns("the TXT records", answer);
    if let Some(found) = elsewhere.as_deref().and_then(|name| facts.txt(name)) {
        finding = finding.dns("where it was found", found);
    }
    Some(
        finding
            .fix(format!("publish the token at {domain} as a TXT record of its own, exactly as the console shows it"))
            .publish(domain.as_str(), token.trim()),
    )
}

fn consoles(profile: &Profile) -> String {
    match profile.console.as_slice() {
        [] => format!("in the console of {}", profile.title),
        paths => format!("in the console: {}", paths.join("; or ")),
    }
}
