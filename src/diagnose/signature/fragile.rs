//! Signed as simple, and only what relaxed overlooks has changed.
//!
//! What was signed is gone; that it differed in blanks alone is shown by bh=, by another signature that verifies, or by the
//! copies in z=. None of them is a proof: a signer may also have done otherwise than it says.

use super::{
    super::{
        case::Case,
        finding::{Confidence, Effect, Finding},
        register::signer as causes,
    },
    hashes,
};
use crate::{
    dkim::{Canon, canon, signature::Signature, tag::TagList},
    message::Header,
    verify::{
        Word,
        dkim::{DkimResult, KeyState, State, signed_fields},
    },
};

/// The finding, where nothing that is known explains the failure.
pub(in crate::diagnose) fn only_blanks(case: &Case<'_>, result: &DkimResult, known: &[Finding]) -> Option<Finding> {
    let (header, body) = result.signature.canonicalization?;
    if known.iter().any(explains) || result.key == KeyState::Other {
        return None;
    }
    let header_failed = result.header != State::Intact && result.key != KeyState::Unavailable;
    let body_failed = result.body == State::Changed;
    let header_shown = match header {
        Canon::Simple if header_failed => Some(header_witness(case, result)?),
        _ if header_failed => return None,
        _ => None,
    };
    let body_shown = match body {
        Canon::Simple if body_failed => Some(body_witness(case, result)?),
        _ if body_failed => return None,
        _ => None,
    };
    let (what, witness) = match (header_shown, body_shown) {
        (None, None) => return None,
        (Some(header), None) => ("the header", header),
        (None, Some(body)) => ("the body", body),
        (Some(header), Some(_)) => ("header and body", header),
    };
    let claim = format!(
        "c={header}/{body} bears no change, and in {what} only blanks, folds or letter case changed: {witness}"
    );
    Some(
        Finding::breaks(&causes::SIMPLE_FRAGILE, Confidence::Likely, claim).fix("let the signer use c=relaxed/relaxed"),
    )
}

fn explains(finding: &Finding) -> bool {
    finding.effect == Effect::Breaks && finding.confidence != Confidence::Possible
}

fn body_witness(case: &Case<'_>, result: &DkimResult) -> Option<String> {
    if hashes::is_relaxed_body(case, result) {
        return Some("bh= is the hash of its relaxed form".into());
    }
    let other = witnesses(case, result).find(|other| {
        matches!(other.signature.canonicalization, Some((_, Canon::Relaxed))) && other.signature.body_length.is_none()
    })?;
    Some(format!("signature {}, which is relaxed, passes", other.index))
}

fn header_witness(case: &Case<'_>, result: &DkimResult) -> Option<String> {
    let covers = |other: &Signature| {
        result.signature.fields.iter().all(|name| other.fields.iter().any(|also| also.eq_ignore_ascii_case(name)))
    };
    let other = witnesses(case, result).find(|other| {
        matches!(other.signature.canonicalization, Some((Canon::Relaxed, _))) && covers(&other.signature)
    });
    match other {
        Some(other) => Some(format!("signature {}, which is relaxed, passes", other.index)),
        None => copies_agree(case, result).then(|| "the copies in z= are equal otherwise".into()),
    }
}

/// Signatures that pass and were made no later than this one: below it, or by the same domain.
fn witnesses<'a>(case: &Case<'a>, result: &'a DkimResult) -> impl Iterator<Item = &'a DkimResult> {
    case.verdicts.dkim.iter().filter(move |other| {
        let earlier = other.field > result.field || other.signature.domain == result.signature.domain;
        other.index != result.index && other.result == Word::Pass && earlier
    })
}

/// Is every signed field equal to its copy in z=, in the relaxed form?
fn copies_agree(case: &Case<'_>, result: &DkimResult) -> bool {
    let header = case.header;
    let Some(own) = header.fields().nth(result.field) else { return false };
    let list = TagList::read(own.value());
    let Some(copies) = list.value("z") else { return false };
    let copies: Vec<Vec<u8>> = copies.split('|').take(256).filter_map(copy).collect();
    let fields: Vec<_> = header.fields().collect();
    let mut signed = signed_fields(header, &result.signature, result.field).into_iter().flatten().peekable();
    signed.peek().is_some()
        && signed.all(|at| {
            let mut form = Vec::new();
            canon::header_field(Canon::Relaxed, fields[at], &mut form);
            copies.contains(&form)
        })
}

/// A copy in the relaxed form (§2.11, §3.5).
fn copy(text: &str) -> Option<Vec<u8>> {
    let text = crate::dkim::tag::without_blanks(text);
    let (name, value) = text.split_once(':')?;
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'=' {
            let (digits, after) = rest.split_at_checked(2)?;
            octets.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            octets.push(byte);
        }
    }
    let mut header = Header::new();
    header.push(name.as_bytes(), &octets);
    let mut form = Vec::new();
    canon::header_field(Canon::Relaxed, header.fields().next()?, &mut form);
    Some(form)
}
