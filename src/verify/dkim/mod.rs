//! DKIM judged (§6, RFC 8301, RFC 8463): one result for every DKIM-Signature field, readable or not.
//!
//! Three steps, so that nothing waits and nothing is buffered: [`Verifier::new`] at the end of the header says which keys
//! to ask for; the body streams through the hashes that the signatures need; [`Verifier::finish`] takes the answers.
//! Body and header are both judged even where one of them already decides, because the diagnosis lives on the difference.

mod crypto;
mod judge;

pub use crypto::{Proof, prove};
pub use judge::{Reason, emptied};

use super::Word;
use crate::{
    dkim::{
        Canon,
        digest::{BodyHash, BodyHasher},
        signature::Signature,
        write::FIELD_NAME,
    },
    dns::Answer,
    message::Header,
    name::DomainName,
};
use std::{collections::HashMap, sync::Arc};

/// The most signatures of a message that are judged; the rest is `policy`.
pub const MAX_SIGNATURES: usize = 10;

/// The most items in h=; beyond, a signature is `policy`. A message of 20,000 fields then costs no more than its length.
pub const MAX_SIGNED_FIELDS: usize = 256;

/// How far in the future t= may lie, in seconds: clocks differ.
pub const CLOCK_SKEW: u64 = 300;

/// A message being verified.
#[derive(Debug)]
pub struct Verifier {
    signatures: Vec<Candidate>,
    hashers: Vec<(Needed, BodyHasher)>,
    now: u64,
}

#[derive(Debug)]
struct Candidate {
    signature: Signature,
    /// Which field of the header it is.
    field: usize,
    judged: bool,
}

/// A body hash that some signature needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needed {
    canon: Canon,
    limit: Option<u64>,
}

/// What a half of the message is, against what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As signed.
    Intact,
    /// Changed since it was signed.
    Changed,
    /// It cannot be told.
    Unknown,
}

/// What the published key is to the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It made the signature.
    Signer,
    /// Another key made it.
    Other,
    /// It cannot be told.
    Unknown,
    /// There is no usable key as published.
    Unavailable,
}

/// Something that passes here and will not pass everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Several complete keys stand at the selector; verifiers choose differently.
    SeveralKeys,
    /// The key is a bare RSAPublicKey.
    Pkcs1Key,
    /// A TXT record that is no key stands beside the key.
    ForeignTxt,
}

/// The fields whose text or whose rendering a reader takes for the author's, beside From, without which nothing passes.
const SEEN: [&str; 4] = ["Subject", "To", "Date", "Content-Type"];

/// The result for one signature.
#[derive(Clone, Debug)]
pub struct DkimResult {
    /// From 1, the top field first.
    pub index: usize,
    /// The signature as received.
    pub signature: Signature,
    /// The result.
    pub result: Word,
    /// Why; `None` for a plain pass.
    pub reason: Option<Reason>,
    /// The size of the key that was used, or that was refused.
    pub key_bits: Option<usize>,
    /// The body.
    pub body: State,
    /// The signed fields.
    pub header: State,
    /// The key.
    pub key: KeyState,
    /// Does the key record say t=y?
    pub testing: bool,
    /// What passes here by luck.
    pub warnings: Vec<Warning>,
    /// Fields that a reader sees and a signature that passes does not cover: unsigned, or one more than was signed.
    pub uncovered: Vec<&'static str>,
    /// The answer to the question for the key, if it was asked.
    pub answer: Option<Arc<Answer>>,
    /// Canonical octets of the whole body, where they were counted.
    pub body_length: Option<u64>,
    /// The SHA-256 of the canonical signed fields, the signature's own at their end, where it could be computed.
    pub digest: Option<[u8; 32]>,
    /// Which field of the header it is, from 0.
    pub field: usize,
}

impl DkimResult {
    /// What else is to be said of a signature that passes; empty if nothing.
    pub fn remark(&self) -> String {
        let testing = self.testing.then(|| "the domain is testing".to_owned());
        let uncovered = (!self.uncovered.is_empty()).then(|| format!("not covered: {}", self.uncovered.join(", ")));
        testing.into_iter().chain(uncovered).collect::<Vec<_>>().join("; ")
    }
}

impl Verifier {
    /// Reads the signatures of a header; `now` is in seconds since 1970.
    ///
    /// `preferred` are the domains whose signatures are judged first when there are more than [`MAX_SIGNATURES`]:
    /// the From domain's, and our own.
    pub fn new(header: &Header, preferred: &[DomainName], now: u64) -> Verifier {
        let mut signatures: Vec<Candidate> = header
            .fields()
            .enumerate()
            .filter(|(_, field)| field.is(FIELD_NAME))
            .map(|(at, field)| Candidate { signature: Signature::read(field.value()), field: at, judged: false })
            .collect();
        choose(&mut signatures, preferred);
        Verifier::of(signatures, now)
    }

    /// Takes signatures that were read already, each with the number of its field; all of them are judged.
    pub(super) fn of_read(signatures: Vec<(Signature, usize)>, now: u64) -> Verifier {
        let candidate = |(signature, field)| Candidate { signature, field, judged: true };
        Verifier::of(signatures.into_iter().map(candidate).collect(), now)
    }

    fn of(signatures: Vec<Candidate>, now: u64) -> Verifier {
        let mut hashers: Vec<(Needed, BodyHasher)> = Vec::new();
        for candidate in signatures.iter().filter(|candidate| candidate.judged) {
            if let Some(needed) = Needed::by(&candidate.signature)
                && !hashers.iter().any(|(other, _)| *other == needed)
            {
                hashers.push((needed, BodyHasher::new(needed.canon, needed.limit)));
            }
        }
        Verifier { signatures, hashers, now }
    }

    /// The names whose TXT records are needed, each once.
    pub fn questions(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for candidate in
            self.signatures.iter().filter(|candidate| candidate.judged && candidate.signature.is_readable())
        {
            match candidate.signature.key_name() {
                Some(name) if !names.contains(&name) => names.push(name),
                _ => {}
            }
        }
        names
    }

    /// Is there no signature at all?
    pub fn is_empty(&self) -> bool {
        self.signatures.is_empty()
    }

    /// Takes the next piece of the body, cut anywhere.
    pub fn body(&mut self, piece: &[u8]) {
        for (_, hasher) in &mut self.hashers {
            hasher.write(piece);
        }
    }

    /// Judges every signature, top first; `answers` are those to [`Verifier::questions`], by name.
    pub fn finish(self, header: &Header, answers: &HashMap<String, Arc<Answer>>) -> Vec<DkimResult> {
        let bodies: Vec<(Needed, BodyHash)> =
            self.hashers.into_iter().map(|(needed, hasher)| (needed, hasher.finish())).collect();
        let index = FieldIndex::new(header);
        self.signatures
            .into_iter()
            .zip(1..)
            .map(|(candidate, number)| {
                let body = Needed::by(&candidate.signature)
                    .and_then(|needed| bodies.iter().find(|(other, _)| *other == needed))
                    .map(|(_, hash)| hash);
                let answer = candidate.signature.key_name().and_then(|name| answers.get(&name));
                judge::Case { candidate, number, body, answer, digest: None, now: self.now }.judge(header, &index)
            })
            .collect()
    }
}

/// The fields that a signature covers: for each item of h=, in its order, the number of its field in the header, or `None`
/// where there is none. `own` is the number of the signature's own field.
pub fn signed_fields(header: &Header, signature: &Signature, own: usize) -> Vec<Option<usize>> {
    FieldIndex::new(header).places(&signature.fields, own)
}

/// Judges a signature over header fields that the caller hashed; the body has no part in it.
pub(super) fn judge_digest(
    signature: Signature,
    digest: [u8; 32],
    answer: Option<&Arc<Answer>>,
    now: u64,
) -> DkimResult {
    let candidate = Candidate { signature, field: 0, judged: true };
    let case = judge::Case { candidate, number: 1, body: None, answer, digest: Some(digest), now };
    let nothing = Header::new();
    case.judge(&nothing, &FieldIndex::new(&nothing))
}

/// Marks the signatures to be judged: those of preferred domains first, then of names above them, which may be aligned
/// with them and are few, then of names below, of which anybody can make up any number, then from the top. What cannot
/// be read has its result already, and takes no place from what can.
fn choose(signatures: &mut [Candidate], preferred: &[DomainName]) {
    let mut order: Vec<usize> = (0..signatures.len()).collect();
    order.sort_by_key(|&at| {
        let domain = signatures[at].signature.domain.as_ref();
        let far = domain.map_or(3, |domain| match preferred {
            own if own.contains(domain) => 0,
            own if own.iter().any(|own| own.is_within(domain)) => 1,
            own if own.iter().any(|own| domain.is_within(own)) => 2,
            _ => 3,
        });
        (!signatures[at].signature.is_readable(), far)
    });
    for at in order.into_iter().take(MAX_SIGNATURES) {
        signatures[at].judged = true;
    }
}

impl Needed {
    fn by(signature: &Signature) -> Option<Needed> {
        Some(Needed { canon: signature.canonicalization?.1, limit: signature.body_length })
    }
}

/// The fields of a header by name, so that finding the signed ones costs no walk through all of them.
struct FieldIndex {
    by_name: HashMap<Vec<u8>, Vec<usize>>,
}

impl FieldIndex {
    fn new(header: &Header) -> FieldIndex {
        let mut by_name: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (at, field) in header.fields().enumerate() {
            by_name.entry(field.name().to_ascii_lowercase()).or_default().push(at);
        }
        FieldIndex { by_name }
    }

    /// The fields that h= names, in its order: of each name the lowest first (§5.4.2), then nothing.
    /// The signature's own field is never one of them (§3.7).
    fn select(&self, names: &[String], own: usize) -> Vec<usize> {
        self.places(names, own).into_iter().flatten().collect()
    }

    /// Which of [`SEEN`] the header has more often than h= names them.
    fn uncovered(&self, names: &[String]) -> Vec<&'static str> {
        let more = |seen: &&str| {
            let present = self.by_name.get(seen.to_ascii_lowercase().as_bytes()).map_or(0, Vec::len);
            present > names.iter().filter(|name| name.eq_ignore_ascii_case(seen)).count()
        };
        SEEN.into_iter().filter(more).collect()
    }

    /// As [`FieldIndex::select`], with `None` for what is not there.
    fn places(&self, names: &[String], own: usize) -> Vec<Option<usize>> {
        let mut used: HashMap<Vec<u8>, usize> = HashMap::new();
        names
            .iter()
            .map(|name| {
                let name = name.to_ascii_lowercase().into_bytes();
                let places = self.by_name.get(&name)?;
                let used = used.entry(name).or_default();
                let place = places.iter().rev().filter(|&&at| at != own).nth(*used).copied();
                *used += 1;
                place
            })
            .collect()
    }
}
