//! One signature judged: the checklist, top to bottom.
//!
//! Where several reasons apply: syntax, then key record, then policy, then digest.

use super::{
    CLOCK_SKEW, Candidate, DkimResult, FieldIndex, KeyState, MAX_SIGNATURES, MAX_SIGNED_FIELDS, State, Warning, Word,
    crypto::{self, Proof},
};
use crate::{
    dkim::{
        canon,
        digest::BodyHash,
        record::{Key, KeyFault, KeyRecord},
        signature::{Algorithm, Problem, Signature},
    },
    dns::{Answer, Fault, Outcome},
    message::{Field, Header},
};
use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc};

/// Complete keys at one selector that are tried; more is a mistake that no trial mends.
const MAX_KEYS: usize = 4;

/// Why a signature has its result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reason {
    // permerror
    Syntax(Problem),
    NoKey { exists: bool },
    KeyRecord(KeyFault),
    KeyTypeMismatch,
    HashNotAllowed,
    NotForMail,
    SubdomainForbidden,
    LengthBeyondBody { length: u64, body: u64 },
    Unaskable(String),
    // temperror
    Dns(Fault),
    // policy
    TooManySignatures,
    TooManyFields(usize),
    Budget,
    KeyTooSmall(usize),
    KeyTooLarge(usize),
    Sha1,
    Expired { at: u64 },
    FromFuture { at: u64 },
    LengthShorterThanBody { length: u64, body: u64 },
    // fail
    BodyChanged,
    HeaderChanged,
    OtherKey,
    NotVerified,
}

impl Reason {
    /// The word for it.
    pub fn word(&self) -> Word {
        use Reason::*;
        match self {
            Syntax(_)
            | NoKey { .. }
            | KeyRecord(_)
            | KeyTypeMismatch
            | HashNotAllowed
            | NotForMail
            | SubdomainForbidden
            | LengthBeyondBody { .. }
            | Unaskable(_) => Word::PermError,
            Dns(_) => Word::TempError,
            TooManySignatures
            | TooManyFields(_)
            | Budget
            | KeyTooSmall(_)
            | KeyTooLarge(_)
            | Sha1
            | Expired { .. }
            | FromFuture { .. }
            | LengthShorterThanBody { .. } => Word::Policy,
            BodyChanged | HeaderChanged | OtherKey | NotVerified => Word::Fail,
        }
    }
}

/// Everything that is known of one signature when it is judged.
pub(super) struct Case<'a> {
    pub(super) candidate: Candidate,
    pub(super) number: usize,
    pub(super) body: Option<&'a BodyHash>,
    pub(super) answer: Option<&'a Arc<Answer>>,
    /// The SHA-256 of what was signed, where it is not for h= to say (ARC-Seal).
    pub(super) digest: Option<[u8; 32]>,
    pub(super) now: u64,
}

/// What the published records gave.
#[derive(Default)]
struct Keys {
    usable: Vec<(KeyRecord, Key)>,
    warnings: Vec<Warning>,
}

impl Case<'_> {
    pub(super) fn judge(self, header: &Header, index: &FieldIndex) -> DkimResult {
        let signature = &self.candidate.signature;
        let mut result = DkimResult {
            index: self.number,
            signature: Signature::default(),
            result: Word::Pass,
            reason: None,
            key_bits: None,
            body: self.body_state(),
            header: State::Unknown,
            key: KeyState::Unavailable,
            testing: false,
            warnings: Vec::new(),
            uncovered: Vec::new(),
            answer: self.answer.cloned(),
            body_length: self.body.map(|body| body.length),
            digest: self.signed_digest(header, index),
            field: self.candidate.field,
        };
        let reason = match self.keys() {
            Err(reason) => Some(reason),
            Ok(keys) => {
                let digest = self.digests(&keys, &mut result);
                result.warnings = keys.warnings;
                self.policy(result.key_bits).or(digest)
            }
        };
        result.result = reason.as_ref().map_or(Word::Pass, Reason::word);
        if result.result == Word::Pass {
            result.uncovered = index.uncovered(&signature.fields);
        }
        result.reason = reason;
        result.signature = signature.clone();
        result
    }

    fn body_state(&self) -> State {
        match (&self.candidate.signature.body_hash, self.body, self.candidate.signature.algorithm) {
            // Only SHA-256 is computed: a bh= of SHA-1 cannot be compared.
            (_, _, Some(Algorithm::RsaSha1)) => State::Unknown,
            (Some(claimed), Some(body), _) if claimed[..] == body.sha256 => State::Intact,
            (Some(claimed), Some(_), _) if claimed.len() == 32 => State::Changed,
            _ => State::Unknown,
        }
    }

    /// Syntax, caps, and the key record.
    fn keys(&self) -> Result<Keys, Reason> {
        let signature = &self.candidate.signature;
        if let Some(problem) = signature.problems.first() {
            return Err(Reason::Syntax(problem.clone()));
        }
        if !self.candidate.judged {
            return Err(Reason::TooManySignatures);
        }
        if signature.fields.len() > MAX_SIGNED_FIELDS {
            return Err(Reason::TooManyFields(signature.fields.len()));
        }
        let Some(answer) = self.answer else { return Err(Reason::Budget) };
        match &answer.outcome {
            Outcome::Records => read_keys(signature, answer),
            Outcome::NoData => Err(Reason::NoKey { exists: true }),
            Outcome::NxDomain => Err(Reason::NoKey { exists: false }),
            Outcome::Fault(Fault::Budget) => Err(Reason::Budget),
            Outcome::Fault(Fault::Unaskable(why)) => Err(Reason::Unaskable(why.clone())),
            Outcome::Fault(fault) => Err(Reason::Dns(fault.clone())),
        }
    }

    /// Our own rules, which no key changes.
    fn policy(&self, key_bits: Option<usize>) -> Option<Reason> {
        let signature = &self.candidate.signature;
        if let (Some(length), Some(body)) = (signature.body_length, self.body)
            && length > body.length
        {
            return Some(Reason::LengthBeyondBody { length, body: body.length });
        }
        match key_bits {
            _ if signature.algorithm == Some(Algorithm::Ed25519Sha256) => {}
            Some(bits) if bits < 1024 => return Some(Reason::KeyTooSmall(bits)),
            Some(bits) if bits > 4096 => return Some(Reason::KeyTooLarge(bits)),
            _ => {}
        }
        if signature.algorithm == Some(Algorithm::RsaSha1) {
            return Some(Reason::Sha1);
        }
        if let Some(at) = signature.expiration.filter(|at| *at < self.now) {
            return Some(Reason::Expired { at });
        }
        if let Some(at) = signature.timestamp.filter(|at| *at > self.now.saturating_add(CLOCK_SKEW)) {
            return Some(Reason::FromFuture { at });
        }
        match (signature.body_length, self.body) {
            (Some(length), Some(body)) if length < body.length => {
                Some(Reason::LengthShorterThanBody { length, body: body.length })
            }
            _ => None,
        }
    }

    /// Both halves against the keys, and the reason if one does not fit.
    fn digests(&self, keys: &Keys, result: &mut DkimResult) -> Option<Reason> {
        let signature = &self.candidate.signature;
        let signed = result.digest;
        let mut proof = Proof::Failed;
        for (record, key) in &keys.usable {
            let this = match (&signed, &signature.signature, signature.algorithm) {
                (Some(signed), Some(octets), Some(algorithm)) if !is_outsized(key) => {
                    crypto::prove(key, algorithm, signed, octets)
                }
                _ => Proof::Failed,
            };
            // Of several keys the one that fits best speaks for the signature.
            if result.key_bits.is_none() || rank(&this) > rank(&proof) {
                proof = this;
                result.key_bits = Some(bits(key));
                result.testing = record.testing;
            }
        }
        (result.header, result.key) = match proof {
            Proof::Verified => (State::Intact, KeyState::Signer),
            Proof::SignedOther(_) => (State::Changed, KeyState::Signer),
            Proof::OtherKey => (State::Unknown, KeyState::Other),
            Proof::Failed => (State::Unknown, KeyState::Unknown),
        };
        match (result.body, proof) {
            (_, Proof::OtherKey) => Some(Reason::OtherKey),
            (State::Changed, _) => Some(Reason::BodyChanged),
            (_, Proof::SignedOther(_)) => Some(Reason::HeaderChanged),
            (_, Proof::Failed) => Some(Reason::NotVerified),
            (_, Proof::Verified) => None,
        }
    }

    /// The canonical header fields that h= names, and the signature's own field with an empty b= (§3.7).
    /// The digest of the signed fields; of what is not judged, none.
    fn signed_digest(&self, header: &Header, index: &FieldIndex) -> Option<[u8; 32]> {
        if !self.candidate.judged || self.candidate.signature.fields.len() > MAX_SIGNED_FIELDS {
            return None;
        }
        self.digest.or_else(|| self.signed_octets(header, index).map(|octets| Sha256::digest(octets).into()))
    }

    fn signed_octets(&self, header: &Header, index: &FieldIndex) -> Option<Vec<u8>> {
        let signature = &self.candidate.signature;
        let (canonicalization, _) = signature.canonicalization?;
        let fields: Vec<_> = header.fields().collect();
        let mut octets = Vec::with_capacity(2048);
        for at in index.select(&signature.fields, self.candidate.field) {
            canon::header_field(canonicalization, fields[at], &mut octets);
        }
        canon::header_field_open(canonicalization, &emptied(fields[self.candidate.field], signature)?, &mut octets);
        Some(octets)
    }
}

/// The field of a signature with an empty b=, in which it signed itself (§3.7).
pub fn emptied(field: Field<'_>, signature: &Signature) -> Option<Vec<u8>> {
    let own = field.raw();
    let value = own.len() - field.value().len();
    let range = signature.signature_range.clone()?;
    let mut emptied = own.get(..value + range.start)?.to_vec();
    emptied.extend_from_slice(own.get(value + range.end..)?);
    Some(emptied)
}

/// The keys at a selector that can be used for this signature, or why there are none.
fn read_keys(signature: &Signature, answer: &Answer) -> Result<Keys, Reason> {
    let texts = answer.joined_txt();
    let mut keys = Keys::default();
    let mut refused = None;
    for text in &texts {
        let record = KeyRecord::read(text);
        match fits(signature, &record) {
            Ok(key) => keys.usable.push((record, key)),
            Err(reason) => {
                // The record that looks most like a key record explains best why there is none.
                if refused.is_none() || matches!(refused, Some(Reason::KeyRecord(KeyFault::NoKey | KeyFault::Tags(_))))
                {
                    refused = Some(reason);
                }
            }
        }
    }
    // Copies of one record are one key.
    let mut seen: Vec<Key> = Vec::new();
    keys.usable.retain(|(_, key)| {
        !seen.contains(key) && {
            seen.push(key.clone());
            true
        }
    });
    if keys.usable.is_empty() {
        return Err(refused.unwrap_or(Reason::NoKey { exists: true }));
    }
    if keys.usable.len() > 1 {
        keys.warnings.push(Warning::SeveralKeys);
    } else if refused.is_some() {
        keys.warnings.push(Warning::ForeignTxt);
    }
    if keys.usable.iter().any(|(_, key)| matches!(key, Key::Rsa { pkcs1: true, .. })) {
        keys.warnings.push(Warning::Pkcs1Key);
    }
    keys.usable.truncate(MAX_KEYS);
    Ok(keys)
}

/// The key of a record, if the record lets this signature use it.
fn fits(signature: &Signature, record: &KeyRecord) -> Result<Key, Reason> {
    if let Some(fault) = &record.fault {
        return Err(Reason::KeyRecord(fault.clone()));
    }
    let Some(key) = record.key.clone() else { return Err(Reason::KeyRecord(KeyFault::NoKey)) };
    if signature.algorithm.map(Algorithm::key_type) != record.key_type {
        return Err(Reason::KeyTypeMismatch);
    }
    let allowed = match signature.algorithm {
        Some(Algorithm::RsaSha1) => {
            record.hashes.as_ref().is_none_or(|hashes| hashes.iter().any(|hash| hash == "sha1"))
        }
        _ => record.allows_sha256(),
    };
    if !allowed {
        return Err(Reason::HashNotAllowed);
    }
    if !record.serves_mail() {
        return Err(Reason::NotForMail);
    }
    if record.strict_identity && signature.identity_domain != signature.domain {
        return Err(Reason::SubdomainForbidden);
    }
    Ok(key)
}

fn rank(proof: &Proof) -> u8 {
    match proof {
        Proof::Failed => 0,
        Proof::OtherKey => 1,
        Proof::SignedOther(_) => 2,
        Proof::Verified => 3,
    }
}

fn bits(key: &Key) -> usize {
    match key {
        Key::Rsa { bits, .. } => *bits,
        Key::Ed25519(_) => 256,
    }
}

/// Keys that our rules refuse anyway are not worth their arithmetic: a 65,536-bit key costs others 119 ms.
fn is_outsized(key: &Key) -> bool {
    matches!(key, Key::Rsa { bits, .. } if !(1024..=4096).contains(bits))
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Reason::*;
        match self {
            Syntax(problem) => write!(f, "{problem}"),
            NoKey { exists: true } => write!(f, "no key: the name exists and has no TXT record"),
            NoKey { exists: false } => write!(f, "no key: the name does not exist"),
            KeyRecord(fault) => write!(f, "{fault}"),
            KeyTypeMismatch => write!(f, "the published key is of another type than the signature"),
            HashNotAllowed => write!(f, "the key record does not allow this hash"),
            NotForMail => write!(f, "the key record is not for mail"),
            SubdomainForbidden => write!(f, "the key record does not allow i= below d="),
            LengthBeyondBody { length, body } => write!(f, "l={length} is more than the {body} octets of the body"),
            Unaskable(why) => write!(f, "the key cannot be looked up: the name cannot be asked for: {why}"),
            Dns(fault) => write!(f, "the key could not be looked up: {fault}"),
            TooManySignatures => write!(f, "over the cap of {MAX_SIGNATURES} signatures"),
            TooManyFields(count) => write!(f, "h= has {count} items, over the cap of {MAX_SIGNED_FIELDS}"),
            Budget => write!(f, "over the cap of DNS questions"),
            KeyTooSmall(bits) => write!(f, "the key has {bits} bits, fewer than 1024"),
            KeyTooLarge(bits) => write!(f, "the key has {bits} bits, more than 4096"),
            Sha1 => write!(f, "rsa-sha1 is no longer accepted"),
            Expired { at } => write!(f, "the signature expired at {}", time(*at)),
            FromFuture { at } => write!(f, "the signature is from the future: {}", time(*at)),
            LengthShorterThanBody { length, body } => {
                // l= is less than the body here, so that 99 is the most.
                let percent = u128::from(*length) * 100 / u128::from((*body).max(1));
                write!(f, "l= covers {length} of {body} octets of the body ({percent} %)")
            }
            BodyChanged => write!(f, "body hash did not verify"),
            HeaderChanged => write!(f, "signature did not verify: a signed header field changed"),
            OtherKey => write!(f, "signature did not verify: another key made it"),
            NotVerified => write!(f, "signature did not verify"),
        }
    }
}

/// RFC 3339 in UTC, or the number where it is no time.
fn time(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| seconds.to_string(), |time| time.to_string())
}
