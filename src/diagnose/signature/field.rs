//! What the field itself shows: its grammar, its rules, and whether its values can be what they claim to be.

use super::{
    super::{
        case::Case,
        finding::{Confidence, Finding, Value},
        register::{Cause, clock, signer as causes},
    },
    own_field,
};
use crate::{
    dkim::{
        record::{Key, KeyRecord},
        signature::{Algorithm, Problem},
    },
    dns::{Fault, Outcome},
    verify::dkim::DkimResult,
};

/// One finding for each cause, in the order in which the field shows them.
pub(super) fn findings(case: &Case<'_>, result: &DkimResult) -> Vec<Finding> {
    let problems = &result.signature.problems;
    let mut findings: Vec<Finding> = Vec::new();
    let said = problems.iter().filter(|problem| !is_echo(problem, problems)).map(named);
    for (cause, claim, fix) in said.chain(forbidden(result)).chain(damaged(result)).chain(unaskable(result)) {
        if findings.iter().all(|finding| finding.cause != cause) {
            findings.push(
                Finding::breaks(cause, Confidence::Certain, claim)
                    .with("the signature as received", Value::Header(own_field(case, result)))
                    .fix(fix),
            );
        }
    }
    findings
}

type Said = (&'static Cause, String, &'static str);

/// Does another problem explain this one?
fn is_echo(problem: &Problem, all: &[Problem]) -> bool {
    match problem {
        // The length of a hash that nobody knows.
        Problem::BodyHashLength(_) => all.iter().any(|other| matches!(other, Problem::Algorithm(_))),
        // Reading ended at the name that is none.
        Problem::FromNotSigned => all.iter().any(|other| matches!(other, Problem::Fields(_))),
        _ => false,
    }
}

fn named(problem: &Problem) -> Said {
    let claim = problem.to_string();
    match problem {
        Problem::FromNotSigned => {
            (&causes::FROM_NOT_SIGNED, format!("{claim}: h= does not name it"), "let the signer sign From")
        }
        Problem::IdentityOutsideDomain => {
            (&causes::IDENTITY_OUTSIDE_DOMAIN, claim, "leave i= out, or set it to @ and the domain of d=")
        }
        Problem::Algorithm(named) if !named.is_empty() => {
            (&causes::ALGORITHM_UNSUPPORTED, claim, "set the signer to rsa-sha256")
        }
        Problem::BodyHashLength(_) => (&causes::BH_LENGTH_MISMATCH, claim, "set the signer to rsa-sha256"),
        Problem::Base64(_) => (
            &causes::SIGNATURE_CORRUPT,
            claim,
            "find the relay that cut or rewrote the field; compare it with the message as it left the signer",
        ),
        Problem::ExpiresBeforeSigned => {
            (&clock::X_BEFORE_T, claim, "let the signer set x= at least a week after t=, or leave it out")
        }
        Problem::Tags(_)
        | Problem::Missing(_)
        | Problem::Version(_)
        | Problem::Algorithm(_)
        | Problem::Canonicalization(_)
        | Problem::Name(..)
        | Problem::Identity(_)
        | Problem::Number(..)
        | Problem::Fields(_)
        | Problem::QueryMethod(_) => (
            &causes::SIGNATURE_MALFORMED,
            claim,
            "mend or replace the signer: the field must be as RFC 6376 §3.5 has it",
        ),
    }
}

/// rsa-sha1 can be read, and must not be accepted.
fn forbidden(result: &DkimResult) -> Option<Said> {
    (result.signature.algorithm == Some(Algorithm::RsaSha1)).then(|| {
        let claim = "the signature is made with rsa-sha1, which RFC 8301 forbids".to_owned();
        (&causes::ALGORITHM_UNSUPPORTED, claim, "set the signer to rsa-sha256")
    })
}

/// b= has a length that no key gives.
fn damaged(result: &DkimResult) -> Option<Said> {
    let signature = &result.signature;
    let length = signature.signature.as_ref()?.len();
    let claim = match signature.algorithm? {
        Algorithm::Ed25519Sha256 if length != 64 => format!("b= has {length} octets; an Ed25519 signature has 64"),
        Algorithm::RsaSha256 | Algorithm::RsaSha1 if is_odd(length, &key_lengths(result)) => {
            match key_lengths(result).first() {
                Some(key) => format!("b= has {length} octets, which no RSA key gives; the published key gives {key}"),
                None => format!("b= has {length} octets, which no RSA key gives"),
            }
        }
        _ => return None,
    };
    Some((
        &causes::SIGNATURE_CORRUPT,
        claim,
        "find the relay that cut or rewrote the field; compare it with the message as it left the signer",
    ))
}

/// Keys are made in steps of 64 bits at the finest, and the smallest that anybody used has 512.
fn is_odd(length: usize, keys: &[usize]) -> bool {
    !keys.contains(&length) && (length < 64 || !length.is_multiple_of(8))
}

/// How many octets a signature under each published RSA key has.
pub(in crate::diagnose) fn key_lengths(result: &DkimResult) -> Vec<usize> {
    let texts = result.answer.iter().flat_map(|answer| answer.joined_txt());
    let keys = texts.take(16).filter_map(|text| KeyRecord::read(&text).key);
    keys.filter_map(|key| match key {
        Key::Rsa { bits, .. } => Some(bits.div_ceil(8)),
        Key::Ed25519(_) => None,
    })
    .collect()
}

/// d= and s= together are no name that could be asked for.
fn unaskable(result: &DkimResult) -> Option<Said> {
    let Outcome::Fault(Fault::Unaskable(why)) = &result.answer.as_ref()?.outcome else { return None };
    let claim = format!("s= and d= make no name that could be asked for: {why}");
    Some((&causes::SIGNATURE_MALFORMED, claim, "use a shorter selector"))
}
