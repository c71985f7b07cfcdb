//! Signing: choose the fields, hash the header, write one DKIM-Signature for each key of the domain.
//!
//! Pure but for the keys: the header and the hash of the body are given, time is an argument, and nothing here waits.
//! What cannot be signed is a [`Refusal`]; the caller refuses the message, for now or for good, and never lets it go unsigned.

pub mod keys;
pub mod selfcheck;

use crate::{
    config::{Domain, Signing},
    dkim::{
        Canon, canon,
        digest::{BodyHash, BodyHasher},
        write::{self, Unsigned},
    },
    key::PrivateKey,
    message::Header,
};
use std::{fmt, sync::Arc};

/// The most items that h= may have: our own verifier judges no more, and others draw lines not far above.
pub const MAX_SIGNED_FIELDS: usize = 256;

/// How the mail of one domain is signed: its own settings, and the general ones where it has none.
#[derive(Clone, Debug)]
pub struct Plan {
    domain: Arc<Domain>,
    canonicalization: (Canon, Canon),
    expire: Option<u64>,
    fields: Arc<[Box<str>]>,
    oversign: Arc<[Box<str>]>,
}

/// One signature, ready to be inserted.
#[derive(Clone, Debug)]
pub struct Signature {
    /// d=.
    pub domain: String,
    /// s=.
    pub selector: String,
    /// a=.
    pub algorithm: &'static str,
    /// The value of the field, from the blank after the colon, folds as CR LF TAB.
    pub value: String,
}

/// Why a message could not be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// More fields to sign than [`MAX_SIGNED_FIELDS`].
    TooManyFields(usize),
    /// The key could not make a signature.
    Key(String),
}

impl Plan {
    /// How `domain` is signed under these settings.
    pub fn new(signing: &Signing, domain: &Arc<Domain>) -> Plan {
        Plan {
            domain: domain.clone(),
            canonicalization: domain.canonicalization.unwrap_or(signing.canonicalization),
            expire: domain.expire.or(signing.expire).map(|time| time.as_secs()),
            fields: signing.fields.clone(),
            oversign: signing.oversign.clone(),
        }
    }

    /// The domain.
    pub fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }

    /// A hasher for the body, in the canonicalization of the plan.
    pub fn body_hasher(&self) -> BodyHasher {
        BodyHasher::new(self.canonicalization.1, None)
    }

    /// Signs with each key in turn; `now` is in seconds since 1970.
    pub fn sign(
        &self,
        header: &Header,
        body: &BodyHash,
        keys: &[Arc<PrivateKey>],
        now: u64,
    ) -> Result<Vec<Signature>, Refusal> {
        let (fields, mut hashed) = self.select(header);
        if fields.len() > MAX_SIGNED_FIELDS {
            return Err(Refusal::TooManyFields(fields.len()));
        }
        let shared = hashed.len();
        let mut signatures = Vec::with_capacity(keys.len());
        for (reference, key) in self.domain.keys.iter().zip(keys) {
            let value = Unsigned {
                key_type: key.algorithm(),
                canonicalization: self.canonicalization,
                domain: self.domain.name.as_str(),
                selector: reference.selector.as_str(),
                identity: self.domain.identity.as_deref(),
                timestamp: now,
                expiration: self.expire.map(|time| now.saturating_add(time)),
                fields: &fields,
                body_hash: &body.sha256,
            }
            .value();
            hashed.truncate(shared);
            let own = format!("{}:{value}", write::FIELD_NAME);
            canon::header_field_open(self.canonicalization.0, own.as_bytes(), &mut hashed);
            let signature = key.sign(&hashed).map_err(|mistake| Refusal::Key(mistake.to_string()))?;
            signatures.push(Signature {
                domain: self.domain.name.to_string(),
                selector: reference.selector.to_string(),
                algorithm: key.algorithm().algorithm(),
                value: write::signed(value, &signature),
            });
        }
        Ok(signatures)
    }

    /// The names for h= and the canonical fields behind them: every instance of a signed field, the lowest first (§5.4.2),
    /// and once more than present where it is oversigned.
    fn select(&self, header: &Header) -> (Vec<&str>, Vec<u8>) {
        let present: Vec<_> = header.fields().map(|field| (field.name(), field)).collect();
        let mut fields = Vec::with_capacity(48);
        let mut hashed = Vec::with_capacity(header.size() + 512);
        for name in self.fields.iter() {
            for (_, field) in present.iter().rev().filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes())) {
                fields.push(&**name);
                canon::header_field(self.canonicalization.0, *field, &mut hashed);
            }
            if self.oversign.contains(name) {
                fields.push(&**name);
            }
        }
        (fields, hashed)
    }
}

impl Refusal {
    /// Does it hold for the message as it is, however often it is tried?
    pub fn is_lasting(&self) -> bool {
        match self {
            Refusal::TooManyFields(_) => true,
            Refusal::Key(_) => false,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::TooManyFields(count) => {
                write!(f, "{count} header fields would have to be signed, and at most {MAX_SIGNED_FIELDS} can be")
            }
            Refusal::Key(reason) => write!(f, "the key made no signature: {reason}"),
        }
    }
}

impl std::error::Error for Refusal {}
