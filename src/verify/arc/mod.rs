//! ARC judged (RFC 8617): is the chain of seals unbroken, and who sealed.
//!
//! Three steps as in [`super::dkim`]: [`Verifier::new`] at the end of the header, the body while it streams,
//! [`Verifier::finish`] with the answers. A chain says what others saw; whether to believe them is for the settings.
//! Every fault, of DNS too, makes the chain `fail`: all failures are permanent (RFC 8617 §5.2.1).

mod chain;
mod trust;

pub use trust::{Vouched, vouched};

use super::{
    Word,
    dkim::{self, DkimResult, MAX_SIGNATURES},
};
use crate::{
    authres::MethodResult,
    dkim::{Canon, canon, signature::Signature},
    dns::Answer,
    message::{Field, Header},
    name::DomainName,
};
use chain::{Found, Set};
use sha2::{Digest, Sha256};
use std::{collections::HashMap, fmt, net::IpAddr, sync::Arc};

/// The most ARC sets of a message (RFC 8617 §4.2.1).
pub const MAX_SETS: usize = 50;

/// The three fields of an ARC set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ARC-Authentication-Results: what the sealer saw.
    Results,
    /// ARC-Message-Signature: the message as it left the sealer.
    Message,
    /// ARC-Seal: the chain as it left the sealer.
    Seal,
}

/// A message whose chain is being judged.
#[derive(Debug)]
pub struct Verifier {
    found: Option<Found>,
    messages: dkim::Verifier,
    /// Do the signatures in `messages` reach down to the first set, or to one that cannot be read?
    reaches: Reach,
    now: u64,
}

/// How far down the message signatures are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// To the first set.
    All,
    /// To a signature that cannot verify.
    Broken,
    /// To one that is not worth a further question or hash.
    Unknown,
}

/// Who sealed a set, by its own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealer {
    /// i=.
    pub instance: usize,
    /// d= of the seal, if it is a name.
    pub domain: Option<DomainName>,
    /// s= of the seal, if it is a name.
    pub selector: Option<DomainName>,
}

/// What the chain is.
#[derive(Clone, Debug)]
pub struct ArcResult {
    /// `none`, `pass` or `fail`, and nothing else (RFC 8617 §4.4).
    pub result: Word,
    /// Why it failed.
    pub reason: Option<Reason>,
    /// How many sets there are; of a broken chain, how often the most frequent of its fields stands.
    pub instances: usize,
    /// Who sealed, the first set first; where a chain failed, nobody vouches for these names.
    pub sealers: Vec<Sealer>,
    /// Of a chain that passed: the oldest set whose message signature still verifies, with all newer ones; 0 if all do.
    /// `None` where the older signatures were too many or too dear to be judged.
    pub oldest_pass: Option<usize>,
    /// Of a chain that passed: does the newest message signature cover From? It should, and need not.
    pub covers_author: bool,
}

/// Why a chain failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reason {
    TooManySets(usize),
    /// The newest seal says `cv=fail`: a sealer before us found the chain broken.
    SealedAsFailed {
        instance: usize,
    },
    /// A field whose i= is missing, stands twice, or is not 1 to 50.
    NoInstance {
        field: Kind,
    },
    Missing {
        field: Kind,
        instance: usize,
    },
    Duplicate {
        field: Kind,
        instance: usize,
    },
    /// cv= is not `none` in the first seal, or not `pass` in a later one.
    ChainStatus {
        instance: usize,
        status: Option<String>,
    },
    /// An ARC-Seal with h=.
    FieldsInSeal {
        instance: usize,
    },
    /// An ARC-Message-Signature that covers ARC-Seal.
    SealSigned {
        instance: usize,
    },
    /// The newest ARC-Message-Signature does not verify.
    Message {
        instance: usize,
        reason: dkim::Reason,
    },
    /// An ARC-Seal does not verify.
    Seal {
        instance: usize,
        reason: dkim::Reason,
    },
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Results, Kind::Message, Kind::Seal];

    /// The name of the field.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Results => "ARC-Authentication-Results",
            Kind::Message => "ARC-Message-Signature",
            Kind::Seal => "ARC-Seal",
        }
    }
}

impl Verifier {
    /// Reads the chain of a header; `now` is in seconds since 1970.
    pub fn new(header: &Header, now: u64) -> Verifier {
        let found = chain::read(header);
        let sets = found.as_ref().and_then(|found| found.chain.as_deref().ok()).unwrap_or_default();
        let (signatures, reaches) = message_signatures(sets);
        Verifier { messages: dkim::Verifier::of_read(signatures, now), reaches, found, now }
    }

    /// The names whose TXT records are needed, each once; none where the chain has failed already.
    pub fn questions(&self) -> Vec<String> {
        asked(self.sets())
    }

    /// Is there no ARC field at all?
    pub fn is_empty(&self) -> bool {
        self.found.is_none()
    }

    /// Takes the next piece of the body, cut anywhere.
    pub fn body(&mut self, piece: &[u8]) {
        self.messages.body(piece);
    }

    /// Judges the chain; `answers` are those to [`Verifier::questions`], by name.
    pub fn finish(self, header: &Header, answers: &HashMap<String, Arc<Answer>>) -> ArcResult {
        let Some(Found { instances, sealers, chain }) = self.found else {
            return ArcResult {
                result: Word::None,
                reason: None,
                instances: 0,
                sealers: Vec::new(),
                oldest_pass: None,
                covers_author: false,
            };
        };
        let judged = chain.and_then(|sets| {
            let covered = sets.last().into_iter().flat_map(|set| &set.message_signature.fields);
            let covers_author = covered.into_iter().any(|name| name.eq_ignore_ascii_case("from"));
            let oldest_pass = judge_messages(self.messages.finish(header, answers), sets.len(), self.reaches)?;
            judge_seals(header, sets, answers, self.now)?;
            Ok((oldest_pass, covers_author))
        });
        let (result, reason, (oldest_pass, covers_author)) = match judged {
            Ok(found) => (Word::Pass, None, found),
            Err(reason) => (Word::Fail, Some(reason), (None, false)),
        };
        ArcResult { result, reason, instances, sealers, oldest_pass, covers_author }
    }

    fn sets(&self) -> &[Set] {
        self.found.as_ref().and_then(|found| found.chain.as_deref().ok()).unwrap_or_default()
    }
}

/// The names of the keys that the chain stands or falls with.
fn asked(sets: &[Set]) -> Vec<String> {
    let seals = sets.iter().rev().map(|set| &set.seal_signature);
    let newest = sets.last().map(|set| &set.message_signature);
    let mut names: Vec<String> = Vec::new();
    for name in newest.into_iter().chain(seals).filter_map(Signature::key_name) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The message signatures to judge, the newest first, and how far down that is.
///
/// The newest must verify. Those below it only tell where the message changed, so they are judged as long as that costs
/// no question of their own and no hash of a part of the body, and no more of them than DKIM signatures.
fn message_signatures(sets: &[Set]) -> (Vec<(Signature, usize)>, Reach) {
    let names = asked(sets);
    let mut signatures = Vec::new();
    for set in sets.iter().rev() {
        let signature = &set.message_signature;
        if !signature.is_readable() || chain::signs_seals(signature) {
            return (signatures, Reach::Broken);
        }
        let older = !signatures.is_empty();
        let dear = signature.body_length.is_some() || !signature.key_name().is_some_and(|name| names.contains(&name));
        if older && (dear || signatures.len() == MAX_SIGNATURES) {
            return (signatures, Reach::Unknown);
        }
        signatures.push((signature.clone(), set.message));
    }
    (signatures, Reach::All)
}

/// Judges the newest message signature, and tells the oldest that passes.
fn judge_messages(results: Vec<DkimResult>, sets: usize, reaches: Reach) -> Result<Option<usize>, Reason> {
    let passed = results.iter().take_while(|result| result.reason.is_none()).count();
    if passed == 0 {
        // A chain has a set, and its newest message signature is always judged.
        let reason = results.into_iter().next().and_then(|result| result.reason).unwrap_or(dkim::Reason::NotVerified);
        return Err(Reason::Message { instance: sets, reason });
    }
    Ok(match reaches {
        _ if passed < results.len() => Some(sets - passed + 1),
        Reach::All => Some(0),
        Reach::Broken => Some(sets - passed + 1),
        Reach::Unknown => None,
    })
}

/// Judges the seals, the newest first, up to one that fails (RFC 8617 §5.2, step 6).
fn judge_seals(
    header: &Header,
    sets: Vec<Set>,
    answers: &HashMap<String, Arc<Answer>>,
    now: u64,
) -> Result<(), Reason> {
    let digests = seal_digests(header, &sets);
    for (set, digest) in sets.into_iter().zip(digests).rev() {
        let answer = set.seal_signature.key_name().and_then(|name| answers.get(&name));
        if let Some(reason) = dkim::judge_digest(set.seal_signature, digest, answer, now).reason {
            return Err(Reason::Seal { instance: set.instance, reason });
        }
    }
    Ok(())
}

/// What each seal signed: all sets up to its own, in the order results, message, seal, and itself last with an empty b=
/// (RFC 8617 §5.1.1).
///
/// Each seal hashes what the one before it hashed, so the hash goes on from there: fifty seals cost no more than the
/// length of the header.
fn seal_digests(header: &Header, sets: &[Set]) -> Vec<[u8; 32]> {
    let fields: Vec<Field<'_>> = header.fields().collect();
    let mut chain = Sha256::new();
    let mut octets = Vec::new();
    sets.iter()
        .map(|set| {
            octets.clear();
            canon::header_field(Canon::Relaxed, fields[set.results], &mut octets);
            canon::header_field(Canon::Relaxed, fields[set.message], &mut octets);
            chain.update(&octets);
            octets.clear();
            // A seal without b= has failed before it comes to this.
            let own = dkim::emptied(fields[set.seal], &set.seal_signature).unwrap_or_default();
            canon::header_field_open(Canon::Relaxed, &own, &mut octets);
            let digest = chain.clone().chain_update(&octets).finalize().into();
            octets.clear();
            canon::header_field(Canon::Relaxed, fields[set.seal], &mut octets);
            chain.update(&octets);
            digest
        })
        .collect()
}

impl ArcResult {
    /// The result for Authentication-Results (RFC 8617 §6); `None` where there is no ARC field.
    pub fn method_result(&self, client_ip: Option<IpAddr>) -> Option<MethodResult> {
        if self.result == Word::None {
            return None;
        }
        let mut out = MethodResult::new("arc", self.result.as_str());
        let sealer = self.sealers.last().and_then(|sealer| sealer.domain.as_ref());
        out = match (&self.reason, sealer) {
            (Some(reason), _) => out.with_reason(&reason.to_string()),
            (None, Some(sealer)) => out.with_comment(&format!("i={} d={sealer}", self.instances)),
            (None, None) => out,
        };
        if let Some(oldest) = self.oldest_pass {
            out = out.with_property("header", "oldest-pass", oldest.to_string());
        }
        Some(match client_ip {
            Some(client_ip) => out.with_property("smtp", "remote-ip", client_ip.to_string()),
            None => out,
        })
    }
}

impl Reason {
    /// The set that failed, where it is one.
    pub fn instance(&self) -> Option<usize> {
        use Reason::*;
        match self {
            TooManySets(_) | NoInstance { .. } => None,
            SealedAsFailed { instance }
            | Missing { instance, .. }
            | Duplicate { instance, .. }
            | ChainStatus { instance, .. }
            | FieldsInSeal { instance }
            | SealSigned { instance }
            | Message { instance, .. }
            | Seal { instance, .. } => Some(*instance),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Reason::*;
        match self {
            TooManySets(sets) => write!(f, "{sets} sets, more than {MAX_SETS}"),
            SealedAsFailed { instance } => write!(f, "the chain had failed when set {instance} was added"),
            NoInstance { field } => write!(f, "i= of an {field} is not a number from 1 to {MAX_SETS}"),
            Missing { field, instance } => write!(f, "set {instance} has no {field}"),
            Duplicate { field, instance } => write!(f, "set {instance} has more than one {field}"),
            ChainStatus { instance, status: None } => write!(f, "the tag cv= is missing in set {instance}"),
            ChainStatus { instance, status: Some(status) } => {
                write!(f, "cv={status:?} cannot stand in set {instance}")
            }
            FieldsInSeal { instance } => write!(f, "the ARC-Seal of set {instance} has h="),
            SealSigned { instance } => write!(f, "the ARC-Message-Signature of set {instance} covers ARC-Seal"),
            Message { instance, reason } => write!(f, "the ARC-Message-Signature of set {instance}: {reason}"),
            Seal { instance, reason } => write!(f, "the ARC-Seal of set {instance}: {reason}"),
        }
    }
}
