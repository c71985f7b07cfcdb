//! The records at the key's name: how many, their text, the key in them.
//!
//! The ladder: count the records ([`shape`]), repair their text in one way at a time and read again ([`text`],
//! [`joints`]), look at what is no key ([`decode`]), and at what a sound key does not allow ([`meaning`]). A repair whose
//! key made the signature is certain; one that only gives a key is likely; one that gives another key is said as such.
//! Records of strangers are bounded ([`MAX_RECORDS`], [`MAX_TEXT`]); what lies beyond is not examined and said.

mod decode;
mod joints;
mod meaning;
mod set;
mod shape;
mod text;

use super::{
    case::{KeyCase, Oracle},
    finding::{Effect, Finding},
    register::key::PRIVATE_KEY,
};
use crate::{dns::Outcome, verify::Word};
use set::Set;

/// Records at one name that are examined; a name has one.
const MAX_RECORDS: usize = 16;

/// Octets of a record whose text is repaired; the largest sensible key, RSA of 8192 bits, takes 1500.
const MAX_TEXT: usize = 4096;

/// What is wrong with what is published.
pub fn findings(key: &KeyCase<'_>) -> Vec<Finding> {
    if key.answer.outcome != Outcome::Records {
        return Vec::new();
    }
    let set = Set::of(key);
    let mut findings: Vec<Finding> = decode::private_key(&set).into_iter().collect();
    if !passes(key) && findings.iter().all(|finding| finding.effect != Effect::Breaks) {
        findings.extend(explanation(&set));
    }
    // Whatever stands beside a private key matters less.
    if findings.iter().all(|finding| finding.cause != &PRIVATE_KEY) {
        findings.extend(shape::risks(&set, &findings));
    }
    findings.extend(meaning::risks(&set, &findings));
    findings
        .into_iter()
        .map(|mut finding| {
            if passes(key) && finding.effect == Effect::Breaks {
                finding.effect = Effect::Risk;
            }
            finding.about(key.subject())
        })
        .collect()
}

/// Why no record at the name serves, the most specific cause alone.
fn explanation(set: &Set<'_>) -> Vec<Finding> {
    if set.complete().next().is_some() {
        // A sound key that may not be used, then a key that cannot be the right one.
        let found = meaning::forbidden(set);
        if !found.is_empty() || set.complete().any(|entry| !entry.is_refuted()) {
            return found;
        }
        let proven = repaired(set).filter(|finding| finding.proven).map(|finding| finding.finding);
        return proven.or_else(|| meaning::wrong_size(set)).into_iter().collect();
    }
    repaired(set)
        .map(|found| found.finding)
        .or_else(|| decode::by_definition(set))
        .or_else(|| shape::not_a_key(set))
        .or_else(|| decode::unreadable(set))
        .into_iter()
        .collect()
}

/// A finding of one repair, and whether its key made the signature.
struct Repaired {
    finding: Finding,
    proven: bool,
}

/// The repair that gives the right key; else the first that gives a key.
fn repaired(set: &Set<'_>) -> Option<Repaired> {
    let mut trials = set::Trials::new(set);
    shape::split(&mut trials);
    text::repairs(&mut trials);
    joints::repairs(&mut trials);
    decode::repairs(&mut trials);
    if trials.found_nothing() {
        text::pairs(&mut trials);
    }
    trials.best()
}

/// Does the signature pass as it is? A key that is checked alone has no such answer.
fn passes(key: &KeyCase<'_>) -> bool {
    matches!(key.oracle, Oracle::Signature(result) if result.result == Word::Pass)
}
