//! A signature among others: too many of them, the same twice, another one that passes.

use super::super::{
    case::Case,
    finding::{Confidence, Finding},
    register::signer as causes,
};
use crate::verify::{
    Word,
    dkim::{DkimResult, MAX_SIGNATURES, Reason},
    standing::Aligned,
};

/// What the other signatures make of this one's failure.
pub(super) fn findings(case: &Case<'_>, result: &DkimResult) -> Vec<Finding> {
    [limit(case, result), double(case, result), elsewhere(case, result)].into_iter().flatten().collect()
}

fn limit(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    (result.reason == Some(Reason::TooManySignatures)).then(|| {
        let count = case.verdicts.dkim.len();
        let claim = format!("the message has {count} signatures, of which {MAX_SIGNATURES} are judged");
        Finding::breaks(&causes::SIGNATURE_LIMIT, Confidence::Certain, claim)
            .fix("remove signatures that no longer verify where messages are changed")
    })
}

fn double(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let own = &result.signature;
    let twin = case.verdicts.dkim.iter().find(|other| {
        let signature = &other.signature;
        other.index != result.index
            && other.result == Word::Pass
            && own.domain.is_some()
            && (&own.domain, &own.selector, own.algorithm)
                == (&signature.domain, &signature.selector, signature.algorithm)
    })?;
    let claim = format!(
        "signatures {} and {} are of the same selector, and only {} passes",
        result.index, twin.index, twin.index
    );
    Some(
        Finding::breaks(&causes::DOUBLE_SIGNED, Confidence::Certain, claim)
            .fix("sign only once, after everything that changes messages"),
    )
}

fn elsewhere(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let passing = case.verdicts.dkim.iter().find(|other| {
        let aligned = case.standing.of_signature(other.index) == Aligned::Yes;
        other.index != result.index && other.result == Word::Pass && aligned
    })?;
    let claim = format!("signature {} passes and aligns with From, so this failure does no harm", passing.index);
    Some(Finding::note(&causes::PASSING_ELSEWHERE, Confidence::Certain, claim))
}
