//! t= and x= against our clock, and against what the servers wrote that handled the message.

use super::super::{
    case::Case,
    finding::{Confidence, Finding, Value},
    register::{clock as causes, local},
};
use crate::{
    received,
    verify::dkim::{CLOCK_SKEW, DkimResult},
};

/// Received fields that are read; mail with more is looping.
const MAX_HOPS: usize = 50;

/// Expired, or from the future.
pub(super) fn findings(case: &Case<'_>, result: &DkimResult) -> Vec<Finding> {
    let signature = &result.signature;
    if !signature.is_readable() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if let Some(expiration) = signature.expiration.filter(|expiration| *expiration < case.at) {
        findings.push(expired(case, result, expiration));
    }
    if let Some(signed) = signature.timestamp.filter(|signed| *signed > latest(case.at)) {
        findings.extend(from_future(case, result, signed));
    }
    findings
}

fn latest(at: u64) -> u64 {
    at.saturating_add(CLOCK_SKEW)
}

/// Did it run out on the way, or only here?
fn expired(case: &Case<'_>, result: &DkimResult, expiration: u64) -> Finding {
    let late = span(case.at - expiration);
    let arrival = hops(case).first().copied();
    let claim = match arrival {
        Some(arrival) if arrival > expiration && arrival <= latest(case.at) => {
            format!("the signature expired on the way: {} before the message arrived", span(arrival - expiration))
        }
        Some(arrival) if arrival <= expiration => {
            format!("the signature was good when the message arrived and had expired when it was judged, {late} ago")
        }
        _ => format!("the signature had expired {late} before it was judged"),
    };
    let mut finding = Finding::breaks(&causes::SIGNATURE_EXPIRED, Confidence::Certain, claim)
        .with("x=", Value::Time(expiration))
        .with("judged at", Value::Time(case.at));
    if let Some(signed) = result.signature.timestamp {
        finding = finding.with("t=", Value::Time(signed));
    }
    if let Some(arrival) = arrival {
        finding = finding.with("the topmost Received", Value::Time(arrival));
    }
    match arrival {
        Some(arrival) if arrival <= expiration => {
            finding.fix("judge the message as of its arrival, with --at").fix("or let the signer set a later x=")
        }
        _ => finding.fix("let the signer set x= to at least a week after t=, or leave it out"),
    }
}

/// Whose clock is it? The servers on the way say; so do signers that have nothing to do with each other.
fn from_future(case: &Case<'_>, result: &DkimResult, signed: u64) -> Vec<Finding> {
    let ahead = signed - case.at;
    let hops = hops(case);
    let mut findings = Vec::new();
    let late_hop = hops.first().copied().filter(|newest| *newest > latest(case.at));
    let strangers = unrelated_signers_ahead(case);
    if late_hop.is_some() || strangers >= 2 {
        let claim = match late_hop {
            Some(newest) => format!(
                "t= is {} ahead of this clock, and so is the newest Received, by {}",
                span(ahead),
                span(newest - case.at)
            ),
            None => format!("{strangers} signers that have nothing to do with each other are ahead of this clock"),
        };
        let finding = Finding::breaks(&causes::VERIFIER_SKEW, Confidence::Likely, claim);
        findings.push(timed(finding, case, signed).fix("let this host follow a time server"));
        if let Some(newest) = late_hop {
            let claim = format!("the newest Received is {} ahead of this clock", span(newest - case.at));
            findings.push(
                Finding::note(&local::CLOCK_SKEW, Confidence::Likely, claim)
                    .with("the topmost Received", Value::Time(newest))
                    .with("judged at", Value::Time(case.at)),
            );
        }
    } else if let Some(newest) = hops.first() {
        let claim = format!(
            "t= is {} ahead of this clock; the servers on the way agree with this clock, so the signer's is ahead",
            span(ahead)
        );
        let finding = Finding::breaks(&causes::SIGNER_SKEW, Confidence::Likely, claim)
            .with("the topmost Received", Value::Time(*newest));
        findings.push(timed(finding, case, signed).fix("let the signing host follow a time server"));
    }
    let claim = format!("t= of signature {} is {} ahead of this clock", result.index, span(ahead));
    let finding = Finding::breaks(&causes::SIGNATURE_FROM_FUTURE, Confidence::Likely, claim);
    findings.push(timed(finding, case, signed).fix("compare the signer's clock and this one with a time server"));
    findings
}

fn timed(finding: Finding, case: &Case<'_>, signed: u64) -> Finding {
    finding.with("t=", Value::Time(signed)).with("judged at", Value::Time(case.at))
}

/// Signers ahead of our clock, if there are several and none of them is right.
fn unrelated_signers_ahead(case: &Case<'_>) -> usize {
    let mut ahead: Vec<&crate::name::DomainName> = Vec::new();
    for result in &case.verdicts.dkim {
        let signature = &result.signature;
        let (Some(domain), Some(signed)) = (&signature.domain, signature.timestamp) else { continue };
        if signed <= latest(case.at) {
            return 0;
        }
        if !ahead.iter().any(|other| related(other.as_str(), domain.as_str())) {
            ahead.push(domain);
        }
    }
    ahead.len()
}

/// Have two domains their last two labels in common?
pub(super) fn related(one: &str, other: &str) -> bool {
    let tail = |name: &str| name.rsplit('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    tail(one) == tail(other)
}

/// When each server took the message, the newest first.
fn hops(case: &Case<'_>) -> Vec<u64> {
    let fields = case.header.named("Received").take(MAX_HOPS);
    fields.filter_map(|field| u64::try_from(received::read(field.value()).date?).ok()).collect()
}

/// A span of time for people.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
