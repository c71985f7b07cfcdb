//! What a diagnosis may look at: the message, its verdicts, what was expected, and what DNS said beyond that.
//!
//! A detector asks [`Facts`] as if everything were known. What is not known yet is noted as wanted, and the detector goes
//! on without it; whoever runs the diagnosis fetches what was wanted, within its budget, and diagnoses again
//! ([`crate::inquire`]). So each question stands where its answer is used, and nothing here waits.

use super::{finding::Subject, history::Published, undo::Memory};
use crate::{
    dkim::{
        record::{Key, KeyRecord},
        signature::Algorithm,
    },
    dns::{Answer, Outcome, RecordType},
    message::Header,
    name::DomainName,
    provider::Profile,
    signed::compare::Comparison,
    verify::{
        dkim::{DkimResult, Proof, prove},
        message::Verdicts,
        spf,
        standing::Standing,
    },
};
use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// A message that was judged, and everything known about it.
pub struct Case<'a> {
    /// Its header.
    pub header: &'a Header,
    /// Its body with CRLF line ends; `None` where no copy was kept.
    pub body: Option<&'a [u8]>,
    /// The verdicts.
    pub verdicts: &'a Verdicts,
    /// How it stands: what aligns with From, and whether it authenticates.
    pub standing: &'a Standing,
    /// When it was judged, in seconds since 1970.
    pub at: u64,
    /// What the sender should have.
    pub expected: &'a Expected,
    /// What DNS said.
    pub facts: &'a Facts,
}

/// What the sender (or the domain that is checked) should have.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The provider's profile, if one was named.
    pub profile: Option<Arc<Profile>>,
    /// The selector of the environment and region that were named.
    pub selector: Option<DomainName>,
    /// The token that should stand in DNS.
    pub token: Option<String>,
    /// The public key that should be published.
    pub key: Option<Key>,
    /// Shall it take the place of another signer's key?
    pub replace: bool,
    /// The name that SPF should include, where it is not the profile's.
    pub spf_include: Option<DomainName>,
    /// Who may seal: whose account of what they saw counts here.
    pub trusted_sealers: Vec<DomainName>,
    /// How the message differs from what the record says that we signed, by the number of the signature.
    pub signed: HashMap<usize, Arc<Comparison>>,
    /// What was published at the names of keys before.
    pub history: Vec<Published>,
    /// Profiles that a selector can be recognised by.
    pub known: Option<Arc<crate::provider::Profiles>>,
}

impl Expected {
    /// The profile for a selector: the one named, or the one that the selector belongs to. The second value says that it
    /// was inferred.
    pub fn profile_of(&self, selector: Option<&DomainName>) -> Option<(Arc<Profile>, bool)> {
        if let Some(profile) = &self.profile {
            return Some((profile.clone(), false));
        }
        Some((self.known.as_ref()?.inferred(selector?)?, true))
    }

    /// The profile whose demands are made of a message with these signatures, and the selector that it was inferred from.
    pub fn profile_in_use(&self, signatures: &[DkimResult]) -> Option<InUse> {
        let selectors = signatures.iter().filter_map(|result| result.signature.selector.as_ref());
        selectors.map(Some).chain([None]).find_map(|selector| {
            let (profile, inferred) = self.profile_of(selector)?;
            Some(InUse { profile, inferred_from: selector.filter(|_| inferred).cloned() })
        })
    }
}

/// The profile that is in use, and why.
#[derive(Clone, Debug)]
pub struct InUse {
    /// The profile.
    pub profile: Arc<Profile>,
    /// The selector that it was inferred from; `None` where it was named.
    pub inferred_from: Option<DomainName>,
}

/// Does a key belong to what is examined?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It verifies the signature, or is the key expected.
    Proven,
    /// It made the signature, but the signed fields changed since.
    Signer,
    /// It is another key.
    Refuted,
    /// It cannot be told.
    Open,
}

impl Match {
    /// Did this key make the signature (or: is it the key expected)?
    pub fn is_signer(self) -> bool {
        matches!(self, Match::Proven | Match::Signer)
    }
}

/// What knows the right key when it sees it: a signature, or a key at hand.
#[derive(Clone, Copy)]
pub enum Oracle<'a> {
    /// A signature in a message.
    Signature(&'a DkimResult),
    /// The public key that should stand there.
    Key(&'a Key),
    /// Nothing.
    None,
}

impl Oracle<'_> {
    /// Is this the right key?
    pub fn knows(&self, key: &Key) -> Match {
        match self {
            Oracle::None => Match::Open,
            Oracle::Key(expected) => match same(expected, key) {
                true => Match::Proven,
                false => Match::Refuted,
            },
            Oracle::Signature(result) => {
                let signature = &result.signature;
                let (Some(digest), Some(octets), Some(algorithm)) =
                    (&result.digest, &signature.signature, signature.algorithm)
                else {
                    return Match::Open;
                };
                // What RFC 8301 no longer accepts is not tried either.
                if matches!(key, Key::Rsa { bits, .. } if !(512..=8192).contains(bits)) {
                    return Match::Open;
                }
                match prove(key, algorithm, digest, octets) {
                    Proof::Verified => Match::Proven,
                    Proof::SignedOther(_) => Match::Signer,
                    Proof::OtherKey => Match::Refuted,
                    Proof::Failed => Match::Open,
                }
            }
        }
    }

    /// The algorithm of the signature.
    pub fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Oracle::Signature(result) => result.signature.algorithm,
            Oracle::Key(Key::Ed25519(_)) => Some(Algorithm::Ed25519Sha256),
            Oracle::Key(Key::Rsa { .. }) => Some(Algorithm::RsaSha256),
            Oracle::None => None,
        }
    }
}

/// Are these the same key, whatever its wrapping?
fn same(one: &Key, other: &Key) -> bool {
    use crate::dkim::der::{PublicKey, public_key};
    match (one, other) {
        (Key::Rsa { der: one, .. }, Key::Rsa { der: other, .. }) => match (public_key(one), public_key(other)) {
            (
                Ok(PublicKey::Spki(one) | PublicKey::Pkcs1(one)),
                Ok(PublicKey::Spki(other) | PublicKey::Pkcs1(other)),
            ) => one == other,
            _ => false,
        },
        _ => one == other,
    }
}

/// The key record of one selector, examined for a signature or for a check.
#[derive(Clone, Copy)]
pub struct KeyCase<'a> {
    /// d=.
    pub domain: &'a DomainName,
    /// s=.
    pub selector: &'a DomainName,
    /// The answer to the question for the key.
    pub answer: &'a Arc<Answer>,
    /// What knows the right key.
    pub oracle: Oracle<'a>,
    /// The provider's profile, if one applies.
    pub profile: Option<&'a Profile>,
    /// The From domain, where there is a message.
    pub author: Option<&'a DomainName>,
    /// What DNS said beyond that.
    pub facts: &'a Facts,
    /// What was published before.
    pub history: &'a [Published],
    /// When, in seconds since 1970.
    pub at: u64,
}

impl KeyCase<'_> {
    /// `{s}._domainkey.{d}`.
    pub fn name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// The subject of its findings.
    pub fn subject(&self) -> Subject {
        let index = match self.oracle {
            Oracle::Signature(result) => Some(result.index),
            _ => None,
        };
        Subject::Signature { index, domain: Some(self.domain.clone()), selector: Some(self.selector.clone()) }
    }

    /// The first of these TXT records that is a sound key: the record, the key, and whether it is the right one.
    pub fn sound(&self, answer: &Answer) -> Option<(KeyRecord, Key, Match)> {
        let mut best = None;
        for text in answer.joined_txt() {
            let record = KeyRecord::read(&text);
            if let Some(key) = record.key.clone() {
                let found = self.oracle.knows(&key);
                if found.is_signer() {
                    return Some((record, key, found));
                }
                best.get_or_insert((record, key, found));
            }
        }
        best
    }
}

/// A question for one server.
pub type Asked = (String, RecordType);

/// An SPF check with another record in place of the domain's own, or of another client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Trial {
    /// The domain judged.
    pub domain: String,
    /// The record that would stand at it.
    pub record: Vec<u8>,
    /// The client that would have sent the message; `None` for the one that did.
    pub client_ip: Option<IpAddr>,
}

/// What the authoritative servers of a zone say to one question.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    /// The zone, as the delegation names it.
    pub zone: String,
    /// Each server that was asked: its name, its address, its answer, and the serial of its SOA.
    pub answers: Vec<ServerAnswer>,
    /// Name servers of the delegation that have no address, or none that may be asked.
    pub without_address: Vec<String>,
    /// After a SERVFAIL, the resolver's answer with DNSSEC checking switched off (the CD bit).
    pub unchecked: Option<Arc<Answer>>,
    /// After a SERVFAIL, the resolver's answer to the same question once more.
    pub again: Option<Arc<Answer>>,
    /// The extended errors (RFC 8914) beside that: their numbers and texts.
    pub extended: Vec<(u16, String)>,
}

/// What one server says.
#[derive(Clone, Debug)]
pub struct ServerAnswer {
    /// Its name.
    pub name: String,
    /// Where it was asked.
    pub address: SocketAddr,
    /// What it said.
    pub answer: Arc<Answer>,
    /// The serial of its SOA.
    pub serial: Option<u32>,
    /// The primary name server that its SOA names.
    pub primary: Option<String>,
    /// Does the parent of the zone point to it? Otherwise only the zone itself names it.
    pub delegated: bool,
    /// Did it answer only when asked without EDNS?
    pub without_edns: bool,
    /// How it does its office.
    pub service: Service,
}

impl Servers {
    /// The servers of the delegation that answer with authority.
    pub fn serving(&self) -> impl Iterator<Item = &ServerAnswer> + Clone {
        self.answers.iter().filter(|server| server.delegated && server.service == Service::Serves)
    }
}

impl ServerAnswer {
    /// In one line: `ns1.example.com 192.0.2.1 serial 7: 1 TXT record, kept for 300 s`.
    pub fn line(&self) -> String {
        let serial = self.serial.map_or("without serial".to_owned(), |serial| format!("serial {serial}"));
        let ttl = self.answer.records.iter().map(|record| record.ttl).min().unwrap_or_default();
        let what = match (self.service, &self.answer.outcome) {
            (Service::Lame, Outcome::Records | Outcome::NoData | Outcome::NxDomain) => {
                "answers without authority".to_owned()
            }
            (_, Outcome::Records) => match (self.answer.txt().count(), self.answer.only_alias()) {
                (_, Some(target)) => format!("an alias of {target}, kept for {ttl} s"),
                (1, None) => format!("1 TXT record, kept for {ttl} s"),
                (count, None) => format!("{count} TXT records, kept for {ttl} s"),
            },
            (_, Outcome::NoData) => "no such record".to_owned(),
            (_, Outcome::NxDomain) => "no such name (NXDOMAIN)".to_owned(),
            (_, Outcome::Fault(fault)) => fault.to_string(),
        };
        let without = if self.without_edns { ", only without EDNS" } else { "" };
        format!("{} {} {serial}: {what}{without}", self.name, self.address.ip())
    }
}

/// How a name server serves its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// It answers with authority.
    Serves,
    /// It refuses, points elsewhere, or answers without authority.
    Lame,
    /// It says that it failed.
    Fails,
    /// No usable answer came: it may as well be the way to it.
    Silent,
}

/// What DNS said, and what is still wanted of it.
#[derive(Debug, Default)]
pub struct Facts {
    answers: HashMap<Asked, Arc<Answer>>,
    trials: HashMap<Trial, Arc<spf::Outcome>>,
    servers: HashMap<Asked, Arc<Servers>>,
    wanted: RefCell<Wanted>,
    memory: Memory,
    /// May authoritative servers be asked directly?
    pub live: bool,
}

/// What a diagnosis would like to know, in the order of the wish.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Questions to the resolver.
    pub answers: Vec<Asked>,
    /// SPF checks to repeat with another record.
    pub trials: Vec<Trial>,
    /// Questions to the authoritative servers of the name.
    pub servers: Vec<Asked>,
    seen: HashSet<Asked>,
}

impl Wanted {
    /// Is nothing wanted?
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.trials.is_empty() && self.servers.is_empty()
    }
}

impl Facts {
    /// The answer to a question; `None` if it was not asked yet, or not within the budget.
    pub fn answer(&self, name: &str, kind: RecordType) -> Option<&Arc<Answer>> {
        let asked = (name.to_ascii_lowercase(), kind);
        let known = self.answers.get(&asked);
        if known.is_none() {
            let wanted = &mut *self.wanted.borrow_mut();
            if wanted.seen.insert(asked.clone()) {
                wanted.answers.push(asked);
            }
        }
        known
    }

    /// The TXT records at a name.
    pub fn txt(&self, name: &str) -> Option<&Arc<Answer>> {
        self.answer(name, RecordType::Txt)
    }

    /// The result of an SPF check with another record in place of the domain's own.
    pub fn trial(&self, domain: &str, record: &[u8]) -> Option<&Arc<spf::Outcome>> {
        self.tried(Trial { domain: domain.to_ascii_lowercase(), record: record.to_vec(), client_ip: None })
    }

    /// The result of an SPF check with this record at the domain, had another client sent the message.
    pub fn trial_from(&self, domain: &str, record: &[u8], client_ip: IpAddr) -> Option<&Arc<spf::Outcome>> {
        let client_ip = Some(client_ip);
        self.tried(Trial { domain: domain.to_ascii_lowercase(), record: record.to_vec(), client_ip })
    }

    fn tried(&self, trial: Trial) -> Option<&Arc<spf::Outcome>> {
        let known = self.trials.get(&trial);
        if known.is_none() {
            let wanted = &mut *self.wanted.borrow_mut();
            if !wanted.trials.contains(&trial) {
                wanted.trials.push(trial);
            }
        }
        known
    }

    /// What the authoritative servers say, where they may be asked.
    pub fn servers(&self, name: &str, kind: RecordType) -> Option<&Arc<Servers>> {
        let asked = (name.to_ascii_lowercase(), kind);
        let known = self.servers.get(&asked);
        if known.is_none() && self.live {
            let wanted = &mut *self.wanted.borrow_mut();
            if !wanted.servers.contains(&asked) {
                wanted.servers.push(asked);
            }
        }
        known
    }

    /// The answer, if it is known; nothing is wanted.
    pub fn known(&self, asked: &Asked) -> Option<&Arc<Answer>> {
        self.answers.get(asked)
    }

    /// What the authoritative servers said, if they were asked; nothing is wanted.
    pub fn known_servers(&self, asked: &Asked) -> Option<&Arc<Servers>> {
        self.servers.get(asked)
    }

    /// Searches that were made and need not be made again.
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Takes an answer in.
    pub fn insert(&mut self, answer: Arc<Answer>, asked: Asked) {
        self.answers.insert(asked, answer);
    }

    /// Takes the result of an SPF check in.
    pub fn insert_trial(&mut self, trial: Trial, outcome: Arc<spf::Outcome>) {
        self.trials.insert(trial, outcome);
    }

    /// Takes in what authoritative servers said.
    pub fn insert_servers(&mut self, asked: Asked, servers: Arc<Servers>) {
        self.servers.insert(asked, servers);
    }

    /// What is wanted and not known, in the order of the wish; the list starts anew.
    pub fn take_wanted(&mut self) -> Wanted {
        std::mem::take(self.wanted.get_mut())
    }
}
