//! The chain of seals: where it broke, and what it tells about the original.

use super::{
    case::Case,
    finding::{Confidence, Finding, Subject},
    register::arc as causes,
};
use crate::{
    authres,
    verify::{Word, arc::Reason},
};

/// What is wrong with the chain, or what a whole one says about a message that fails.
pub fn findings(case: &Case<'_>) -> Vec<Finding> {
    let chain = &case.verdicts.arc;
    let found = match (&chain.result, &chain.reason) {
        (Word::Fail, Some(reason)) => vec![broken(reason)],
        (Word::Pass, _) if !case.standing.authenticates => whole(case),
        _ => Vec::new(),
    };
    found.into_iter().map(|finding| finding.about(Subject::Arc)).collect()
}

fn broken(reason: &Reason) -> Finding {
    let cause = match reason {
        Reason::Seal { .. } => &causes::SEAL_INVALID,
        Reason::Message { .. } => &causes::AMS_FAIL_NEWEST,
        _ => &causes::CHAIN_BROKEN,
    };
    Finding::breaks(cause, Confidence::Certain, format!("the ARC chain does not hold: {reason}"))
        .fix("look at the relay that wrote the newest set: ARC fields must pass untouched, and sealing comes last")
}

fn whole(case: &Case<'_>) -> Vec<Finding> {
    let chain = &case.verdicts.arc;
    let Some(newest) = chain.sealers.last().and_then(|sealer| sealer.domain.as_ref()) else { return Vec::new() };
    let trusted = chain
        .sealers
        .iter()
        .all(|sealer| sealer.domain.as_ref().is_some_and(|domain| case.expected.trusted_sealers.contains(domain)));
    let mut findings = Vec::new();
    if !trusted {
        let claim = format!("the ARC chain of {newest} is whole, but not all who sealed it are trusted here");
        findings.push(
            Finding::note(&causes::UNTRUSTED_SEALER, Confidence::Certain, claim)
                .fix(format!("if you trust what {newest} verifies, name it in trusted_sealers")),
        );
    }
    findings.extend(original(case, trusted));
    findings
}

/// The first sealer's own account says that DKIM passed.
fn original(case: &Case<'_>, trusted: bool) -> Option<Finding> {
    let first = case.verdicts.arc.sealers.first()?.domain.as_ref()?;
    let field = case.header.named("ARC-Authentication-Results").find(|field| {
        let value = String::from_utf8_lossy(field.value()).replace([' ', '\t', '\r', '\n'], "");
        value.starts_with("i=1;")
    })?;
    let text = field.value();
    let rest = &text[text.iter().position(|&byte| byte == b';')? + 1..];
    let (results, _) = authres::read(rest);
    let passed = results.results.iter().find(|result| result.method() == "dkim" && result.result() == "pass")?;
    let domain = passed.property("header", "d").unwrap_or("the author");
    let claim = format!("{first} saw the signature of {domain} pass: what broke it came after that hop");
    let confidence = if trusted { Confidence::Likely } else { Confidence::Possible };
    Some(Finding::note(&causes::ORIGINAL_PASS, confidence, claim).with(
        "what the first sealer saw",
        super::finding::Value::Header(String::from_utf8_lossy(field.raw()).into_owned()),
    ))
}
