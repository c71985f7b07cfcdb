//! What changed the message: each guess undone until the digest matches.
//!
//! A signature that fails although the right key made it says only that something differs. It says more to whoever asks
//! backwards. bh= is the digest of the body that was signed; and under RSA the signature itself, opened with the public
//! key, holds the digest of the fields that were signed. So a guess about the change can be *undone* and hashed: if the
//! digest comes out, the guess is true, because nothing else hashes to it. There is no likelihood in it and no score; a
//! cause found here is `certain`, and what is not found here is said to be not found.
//!
//! **Body and header are two questions.** Each has its own digest and its own search; a list that tags the subject and
//! appends a footer is found twice, by two searches that do not know each other.
//!
//! **The body** (`body`) is large and a guess must not cost a hash of all of it. A footer is what stands behind the
//! original, so one pass that looks at the state of the hash at every end of a line tries every footer there can be. In a
//! part of a MIME body the state before each possible start is kept, and only what stands behind the possible end is
//! hashed again. Swapped encodings, broken lines, escapes and the like cost one pass each (`oneshot`, `recode`). Single
//! changes come before two of them, likely ones before rare ones.
//!
//! **The header** (`header`) is small, and there are many ways to rewrite a field. The hash before each signed field is
//! kept, so that a guess costs the octets from its field on; three hundred single guesses, twenty thousand pairs and
//! what a mailing list does at once come to a tenth of a second. Under Ed25519 nothing can be opened: each guess is a verification, and fewer are tried.
//! `z=`, where the signer put it, is asked first: it says what there was.
//!
//! **What it may cost** (`budget`) is counted in octets hashed and guesses tried, never in seconds: the same message gives
//! the same findings on every machine and every day. All signatures of a message share the budget.
//!
//! **What it must not say.** A guess that does not fit is no finding, however much the text looks like a footer. Two kinds of
//! change cannot be undone and have signs of their own, a part that was taken out and a body that was cut off; they are
//! `likely`. Everything else is `body-changed-unattributed` or `header-changed-unattributed`, with what was tried.
//! Where the signer was wrong and not the way (another canonicalization than it says, a body it never read), the detectors
//! of the signature itself have said so, and nothing is searched.

mod body;
mod budget;
mod coded;
mod companion;
mod diff;
mod encode;
mod header;
mod hop;
mod links;
mod mime;
mod oneshot;
mod places;
mod points;
mod recode;
mod search;
mod sign;
mod signed;

use super::{
    case::Case,
    finding::{Confidence, Effect, Finding},
    register::{self, Family, Stage, modified, modified_header},
};
use crate::{
    dkim::{
        Canon,
        record::{Key, KeyRecord},
        signature::Algorithm,
    },
    message::Header,
    verify::dkim::{DkimResult, KeyState, Proof, State, prove},
};
use body::Step;
use budget::Budget;
use header::{Signed, Wanted};
use search::Target;
use std::{cell::RefCell, collections::HashMap, sync::Arc};

/// A text of more octets is no footer by its first line alone.
const MAX_FOOTER: usize = 4096;
/// Keys at one selector that are tried.
const MAX_KEYS: usize = 4;
/// Guesses about a body; the octets end most searches long before.
const MAX_BODY_TRIES: u64 = 1_000_000;
/// Guesses about the fields of one signature.
const MAX_HEADER_TRIES: u64 = 30_000;
/// Guesses where each is a verification of Ed25519, of a tenth of a millisecond.
const MAX_VERIFIED_TRIES: u64 = 2_500;
/// Octets for the fields of a message: their hypotheses are many and small, and cost twice what they hash.
const HEADER_OCTETS: u64 = budget::OCTETS / 3;

/// What a search came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The changes, if they were found.
    steps: Option<Vec<Step>>,
    tried: u64,
    spent: u64,
    exhausted: bool,
}

/// Searches that were made for a message: a diagnosis is repeated as answers of DNS come in, and a search does not depend
/// on them.
#[derive(Debug, Default)]
pub struct Memory {
    bodies: RefCell<HashMap<Target, Arc<Outcome>>>,
    headers: RefCell<HashMap<usize, Arc<Outcome>>>,
}

/// The changes that were made after signing, as far as they can be undone; `known` are the findings of this signature so
/// far.
pub fn findings(case: &Case<'_>, result: &DkimResult, known: &[Finding]) -> Vec<Finding> {
    // What the signer did explains both digests.
    let signer = known.iter().any(|finding| {
        finding.effect == Effect::Breaks
            && finding.cause.stage == Stage::Signature
            && finding.cause.family != Family::Clock
    });
    if signer {
        return Vec::new();
    }
    let header = header_findings(case, result);
    let header_fits = result.header == State::Intact
        || header.iter().any(|finding| finding.confidence == Confidence::Certain && !is_general(finding));
    let body = body_findings(case, result, header_fits);
    let mut findings = body;
    let concrete = findings.iter().any(|finding| !is_general(finding));
    for mut finding in header {
        // A concrete cause leads over "something in the header".
        if is_general(&finding) && concrete || follows(&finding, &findings) {
            finding.effect = Effect::Note;
        }
        findings.push(finding);
    }
    if !findings.is_empty() {
        findings.extend(companion::findings(case, result));
    }
    findings
}

/// The search for what changed a body, relaxed and without l=, under a whole budget: how many hypotheses it tried and what
/// they cost, in octets. For measuring; a diagnosis uses [`findings`].
pub fn search_body(header: &Header, body: &[u8], hash: [u8; 32]) -> (u64, u64) {
    let mut budget = Budget::new(budget::OCTETS, MAX_BODY_TRIES);
    let target = Target { canon: Canon::Relaxed, limit: None, hash };
    body::search(header, body, &target, &mut budget);
    (budget.tried, budget.spent)
}

/// Does a text begin with the line that separates a footer from what stands before it?
pub fn is_footer(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    let rule = |byte: u8| first.len() >= 3 && first.iter().all(|other| *other == byte);
    text.len() <= MAX_FOOTER && (first == b"--" || rule(b'_') || rule(b'-') || rule(b'='))
}

/// Is it a MIME field that says what was done to the body? Who converts or wraps a body must write Content-Type and
/// Content-Transfer-Encoding anew: one change, with the field as its echo, although fields stand before the body in the order
/// of blame.
fn follows(finding: &Finding, body: &[Finding]) -> bool {
    let conversions = [&modified::MIME_WRAPPED, &modified::TRANSFER_ENCODING_CONVERTED, &modified::CHARSET_CONVERTED];
    let echo = finding.cause == &modified_header::MIME_REWRITTEN
        || [&modified_header::REMOVED, &modified_header::ADDED_AFTER_SIGNING].contains(&finding.cause)
            && ["content-", "mime-version"].iter().any(|name| finding.claim.to_ascii_lowercase().starts_with(name));
    echo && body.iter().any(|other| other.confidence == Confidence::Certain && conversions.contains(&other.cause))
}

/// Does it say no more than that something changed?
pub(super) fn is_general(finding: &Finding) -> bool {
    finding.cause == &modified::CHANGED_UNATTRIBUTED || finding.cause == &modified_header::UNATTRIBUTED
}

fn body_findings(case: &Case<'_>, result: &DkimResult, header_fits: bool) -> Vec<Finding> {
    let (State::Changed, Some(target)) = (result.body, target(result)) else { return Vec::new() };
    let general = |claim: String| {
        // The signer vouches for bh= only where b= holds.
        let confidence = match (header_fits, result.key) {
            (true, _) => Confidence::Certain,
            (false, KeyState::Signer) => Confidence::Likely,
            (false, _) => Confidence::Possible,
        };
        Finding::breaks(&modified::CHANGED_UNATTRIBUTED, confidence, claim)
    };
    let Some(body) = case.body else {
        let claim = "the body changed after signing; no copy of it was kept, so that no change could be undone";
        return vec![excluded(general(claim.into()), result)];
    };
    let outcome = body_outcome(case, body, &target);
    let recorded = signed::of(case, result);
    let mut findings: Vec<Finding> = match &outcome.steps {
        Some(steps) => steps.iter().map(|step| told(step, &outcome)).collect(),
        None if recorded.is_some_and(|recorded| recorded.body.as_ref().is_some_and(|body| !body.hunks.is_empty())) => {
            let undone = recorded.and_then(|recorded| signed::undone(case, recorded, &target));
            match undone {
                Some(steps) => steps.iter().map(|step| told(step, &outcome)).collect(),
                None => recorded.and_then(signed::body).map(|found| searched(found, &outcome)).into_iter().collect(),
            }
        }
        None => {
            let mut findings = sign::findings(case.header, body);
            let claim = "the body changed after signing, and none of the changes that can be undone explains it";
            let general = general(claim.into()).fix("compare the body with the copy that the sender kept, and look for a filter between signer and here that rewrites text");
            match findings.is_empty() {
                true => findings.push(searched(general, &outcome)),
                false => findings[0] = searched(findings[0].clone(), &outcome),
            }
            findings
        }
    };
    if let Some(first) = findings.first_mut() {
        let with_digest = first.clone().with(
            "bh= of the signature",
            crate::diagnose::finding::Value::Digest(super::finding::hexadecimal(&target.hash)),
        );
        let with_digest = match recorded.filter(|_| !first.evidence.iter().any(|item| item.label == signed::LABEL)) {
            Some(recorded) => signed::with_body(with_digest, recorded),
            None => with_digest,
        };
        *first = excluded(hop::bracket(case, result, &target, with_digest), result);
    }
    findings
}

/// A finding for a change that was undone.
fn told(step: &Step, outcome: &Outcome) -> Finding {
    let mut finding = Finding::breaks(step.cause, Confidence::Certain, step.claim.clone());
    for (label, text) in &step.shown {
        finding = finding.text(label, text.clone());
    }
    for fix in companion::fix(step.cause) {
        finding = finding.fix(*fix);
    }
    finding.text(
        "undone",
        format!("with it undone the digest is the signed one; it was hypothesis {} of the search", outcome.tried),
    )
}

fn searched(finding: Finding, outcome: &Outcome) -> Finding {
    let end = if outcome.exhausted { "; the budget ended the search" } else { "" };
    finding
        .text("searched", format!("{} hypotheses, {} octets of work, and none fits{end}", outcome.tried, outcome.spent))
}

fn excluded(finding: Finding, result: &DkimResult) -> Finding {
    let key = register::find("dkim-key-mismatch").filter(|_| result.key == KeyState::Signer);
    match key {
        Some(cause) => finding.not(cause, "the published key opens the signature"),
        None => finding,
    }
}

fn target(result: &DkimResult) -> Option<Target> {
    let signature = &result.signature;
    let (_, canon) = signature.canonicalization?;
    let hash = signature.body_hash.as_deref()?.try_into().ok()?;
    Some(Target { canon, limit: signature.body_length, hash })
}

fn body_outcome(case: &Case<'_>, body: &[u8], target: &Target) -> Arc<Outcome> {
    let memory = case.facts.memory();
    if let Some(known) = memory.bodies.borrow().get(target) {
        return known.clone();
    }
    let mut targets: Vec<Target> =
        case.verdicts.dkim.iter().filter(|result| result.body == State::Changed).filter_map(self::target).collect();
    targets.sort_by_key(|target| (target.hash, target.limit));
    targets.dedup();
    let mut budget = Budget::new(budget::OCTETS / targets.len().max(1) as u64, MAX_BODY_TRIES);
    let steps = body::search(case.header, body, target, &mut budget);
    let outcome = Arc::new(outcome(steps, &budget));
    memory.bodies.borrow_mut().insert(target.clone(), outcome.clone());
    outcome
}

fn outcome(steps: Option<Vec<Step>>, budget: &Budget) -> Outcome {
    Outcome { steps, tried: budget.tried, spent: budget.spent, exhausted: budget.exhausted }
}

fn header_findings(case: &Case<'_>, result: &DkimResult) -> Vec<Finding> {
    if result.header == State::Intact || result.key == KeyState::Unavailable {
        return Vec::new();
    }
    let recorded = signed::of(case, result);
    let against = || recorded.map(|recorded| signed::fields(case, recorded)).unwrap_or_default();
    let Some(outcome) = header_outcome(case, result) else { return Vec::new() };
    match &outcome.steps {
        Some(steps) => {
            let mut findings: Vec<Finding> = steps.iter().map(|step| told(step, &outcome)).collect();
            // Another author is what a reader sees first, and what was added beside him the last.
            findings.sort_by_key(|finding| {
                (
                    finding.cause != &modified_header::FROM_REWRITTEN,
                    finding.cause == &modified_header::ADDED_AFTER_SIGNING,
                )
            });
            findings[0] = excluded(findings[0].clone(), result);
            findings
        }
        // Without a proof that this key signed, nothing says that the header changed.
        None if result.header != State::Changed => {
            let mut findings = against();
            // An Ed25519 key that does not verify says nothing of the fields; a sign that is specific to one of them does.
            if findings.is_empty() && result.body == State::Intact {
                findings = sign::header_findings(case, result);
                for finding in findings.iter_mut().filter(|finding| finding.cause == &modified_header::REMOVED) {
                    finding.confidence = Confidence::Possible;
                }
            }
            findings
        }
        None => {
            let mut findings = against();
            if findings.is_empty() {
                findings = sign::header_findings(case, result);
            }
            if findings.is_empty() {
                let claim = "a signed header field changed after signing, and none of the changes that can be undone explains it";
                let general = Finding::breaks(&modified_header::UNATTRIBUTED, Confidence::Certain, claim);
                findings.push(general.fix("sign with z= for a test message (DKIM diagnostics), and compare the copies with the fields as received"));
            }
            findings[0] = excluded(searched(findings[0].clone(), &outcome), result);
            findings
        }
    }
}

/// The search for what changed in the signed fields; `None` where no key at the selector could have made the signature.
fn header_outcome(case: &Case<'_>, result: &DkimResult) -> Option<Arc<Outcome>> {
    let memory = case.facts.memory();
    if let Some(known) = memory.headers.borrow().get(&result.index) {
        return Some(known.clone());
    }
    let signature = &result.signature;
    let (digest, octets, algorithm) = (result.digest?, signature.signature.as_deref()?, signature.algorithm?);
    let keys: Vec<Key> = result
        .answer
        .as_ref()?
        .joined_txt()
        .iter()
        .filter_map(|text| KeyRecord::read(text).key)
        .take(MAX_KEYS)
        .collect();
    let usable = |key: &&Key| !matches!(key, Key::Rsa { bits, .. } if !(1024..=4096).contains(bits));
    let wanted =
        keys.iter().filter(usable).find_map(|key| match (prove(key, algorithm, &digest, octets), algorithm) {
            (Proof::SignedOther(signed), _) => Some(Wanted::Digest(signed)),
            (Proof::Failed, Algorithm::Ed25519Sha256) if matches!(key, Key::Ed25519(_)) => {
                Some(Wanted::Verified(key, algorithm, octets))
            }
            _ => None,
        })?;
    let fields = Signed::new(case, result)?;
    let open =
        case.verdicts.dkim.iter().filter(|other| other.header != State::Intact && other.digest.is_some()).count();
    let tries = match wanted {
        Wanted::Digest(_) => MAX_HEADER_TRIES,
        Wanted::Verified(..) => MAX_VERIFIED_TRIES,
    };
    let open = open.max(1) as u64;
    let mut budget = Budget::new(HEADER_OCTETS / open, tries / open);
    let steps = fields.search(&wanted, signed::of(case, result), &mut budget);
    let outcome = Arc::new(outcome(steps, &budget));
    memory.headers.borrow_mut().insert(result.index, outcome.clone());
    Some(outcome)
}
