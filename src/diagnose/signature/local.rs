//! This side, before the sender is blamed: the resolver, and our own limits.

use super::{
    super::{
        case::Case,
        finding::{Confidence, Finding},
        register::local as causes,
    },
    clock::related,
};
use crate::{
    dns::{Answer, Fault, Outcome},
    verify::dkim::{DkimResult, Reason},
};
use std::sync::Arc;

/// What is no fault of the sender's.
pub(super) fn findings(case: &Case<'_>, result: &DkimResult) -> Vec<Finding> {
    [resolver(case, result), size(result)].into_iter().flatten().collect()
}

/// Domains that have nothing to do with each other, and the resolver answered for none of them.
fn resolver(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    if !matches!(result.reason, Some(Reason::Dns(_))) {
        return None;
    }
    let verdicts = case.verdicts;
    let keys = verdicts.dkim.iter().filter_map(|result| result.answer.as_ref());
    let spf = verdicts.spf.iter().flat_map(|spf| {
        let helo = spf.helo.iter().flat_map(|helo| helo.answers.iter());
        spf.main.answers.iter().chain(helo)
    });
    let answers: Vec<&Arc<Answer>> = keys.chain(spf).chain(verdicts.dmarc.answers.iter()).collect();
    let silent = |answer: &Arc<Answer>| {
        matches!(answer.outcome, Outcome::Fault(Fault::Timeout | Fault::Refused | Fault::ServFail | Fault::Other(_)))
    };
    let first = answers.first()?;
    let stranger = answers.iter().find(|answer| !related(&answer.name, &first.name))?;
    if !answers.iter().all(|answer| silent(answer)) {
        return None;
    }
    let claim =
        format!("the resolver answered none of {} questions, about domains unrelated to each other", answers.len());
    Some(
        Finding::breaks(&causes::RESOLVER_FAILURE, Confidence::Likely, claim)
            .dns("one question", first)
            .dns("another question", stranger)
            .fix("look at the resolver that this host uses; the sender can do nothing"),
    )
}

/// A cap of ours was reached.
fn size(result: &DkimResult) -> Option<Finding> {
    let reason = result.reason.as_ref()?;
    matches!(reason, Reason::TooManyFields(_) | Reason::Budget).then(|| {
        Finding::breaks(&causes::SIZE_LIMIT, Confidence::Certain, format!("the signature was not judged: {reason}"))
            .fix("look at the message: ordinary mail stays below every limit")
    })
}
