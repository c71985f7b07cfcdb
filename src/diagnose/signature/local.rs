//! This side, before the sender is blamed: the resolver, and our own limits.

use super::{
    super::{
        case::Case,
        finding::{Confidence, Finding},
        register::local as causes,
    },
    clock::related,
    hashes::{body_matches, verifies, verifies_under},
};
use crate::{
    dkim::signature::Signature,
    dns::{Answer, Fault, Outcome},
    message::Header,
    received::{self, Received},
    verify::dkim::{DkimResult, MAX_SIGNED_FIELDS, Reason, State},
};
use std::sync::Arc;

/// What is no fault of the sender's.
pub(super) fn findings(case: &Case<'_>, result: &DkimResult) -> Vec<Finding> {
    let findings = [resolver(case, result), size(result), bare_folds(case, result), handed_back(case, result)];
    findings.into_iter().flatten().collect()
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

/// The signature verifies once each bare line feed in the header is CR LF again.
fn bare_folds(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let bare =
        |raw: &[u8]| raw.iter().enumerate().any(|(at, &byte)| byte == b'\n' && (at == 0 || raw[at - 1] != b'\r'));
    if result.header == State::Intact || !case.header.fields().any(|field| bare(field.raw())) {
        return None;
    }
    let mut mended = Header::new();
    for field in case.header.fields() {
        mended.push_lf(field.name(), field.value());
    }
    // What stands for the place of b= moves with the line ends before it.
    let own = mended.fields().nth(result.field)?;
    let signature = Signature::read(own.value());
    // With a bare line feed in it the field of the signature is no tag list, and nobody asked for its key.
    let holds = match result.signature.problems.is_empty() {
        true => verifies(&mended, &signature, result),
        false => {
            signature.problems.is_empty()
                && signature.fields.len() <= MAX_SIGNED_FIELDS
                && body_matches(&signature, case.body?)
                && verifies_under(&mended, &signature, result.field, case.facts.txt(&signature.key_name()?)?)
        }
    };
    holds.then(|| {
        let claim = "the signature verifies once the bare line feeds in the header are CR LF again";
        Finding::breaks(&causes::LF_NORMALISATION, Confidence::Certain, claim)
            .fix("hand the message to the verifier with CR LF at the end of each line")
    })
}

/// The host took the message from the network, handed it to a filter of its own, and took it back before verification.
fn handed_back(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    if result.body != State::Changed && result.header != State::Changed {
        return None;
    }
    let trace: Vec<Received> =
        case.header.named("Received").take(4).map(|field| received::read(field.value())).collect();
    let (top, below) = trace.split_first()?;
    let host = top.by.as_ref()?;
    let is_local = |received: &Received| received.client_ip.is_some_and(|ip| ip.is_loopback());
    let before = below.iter().find(|received| {
        !is_local(received)
            && received.client_ip.is_some()
            && received.by.as_ref().is_some_and(|by| by.eq_ignore_ascii_case(host))
    })?;
    let from = before.client_ip?;
    is_local(top).then(|| {
        let claim = format!(
            "{host} took the message from {from} and once more from itself: a content filter had it in between"
        );
        Finding::note(&causes::AFTER_MODIFICATION, Confidence::Likely, claim)
            .fix("verify where the message comes in, before the filter")
    })
}

/// A cap of ours was reached.
fn size(result: &DkimResult) -> Option<Finding> {
    let reason = result.reason.as_ref()?;
    matches!(reason, Reason::TooManyFields(_) | Reason::Budget).then(|| {
        Finding::breaks(&causes::SIZE_LIMIT, Confidence::Certain, format!("the signature was not judged: {reason}"))
            .fix("look at the message: ordinary mail stays below every limit")
    })
}
