//! Signing: choose the fields, hash the header, write one DKIM-Signature for each key of the domain.
//!
//! Pure but for the keys: the header and the hash of the body are given, time is an argument, and nothing here waits.
//! What cannot be signed is a [`Refusal`]; the caller refuses the message, for now or for good, and never lets it go unsigned.

pub mod keys;
pub mod selfcheck;

use crate::{
    config::{Diagnostics, Domain, Signing},
    dkim::{
        Canon, canon,
        digest::{BodyHash, BodyHasher},
        write::{self, Unsigned},
    },
    key::PrivateKey,
    message::{Field, Header},
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
    diagnostics: Diagnostics,
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
    /// b=, decoded.
    pub octets: Vec<u8>,
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
            diagnostics: domain.diagnostics.unwrap_or(signing.diagnostics),
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
        let selected = self.select(header);
        let fields: Vec<&str> = selected.iter().map(|(name, _)| *name).collect();
        let present: Vec<Field<'_>> = selected.iter().filter_map(|(_, field)| *field).collect();
        let mut hashed = Vec::with_capacity(header.size() + 512);
        present.iter().for_each(|field| canon::header_field(self.canonicalization.0, *field, &mut hashed));
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
                copies: if self.diagnostics.copies { &present } else { &[] },
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
                octets: signature,
            });
        }
        Ok(signatures)
    }

    /// What a signature leaves behind.
    pub fn diagnostics(&self) -> Diagnostics {
        self.diagnostics
    }

    /// Canonicalization of header and body.
    pub fn canonicalization(&self) -> (Canon, Canon) {
        self.canonicalization
    }

    /// The names for h= and the fields behind them: every instance of a signed field, the lowest first (§5.4.2), and once
    /// more than present, with nothing behind it, where it is oversigned.
    pub fn select<'h>(&self, header: &'h Header) -> Vec<(&str, Option<Field<'h>>)> {
        let present: Vec<_> = header.fields().map(|field| (field.name(), field)).collect();
        let mut selected = Vec::with_capacity(48);
        for name in self.fields.iter() {
            let of_name = present.iter().rev().filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
            selected.extend(of_name.map(|(_, field)| (&**name, Some(*field))));
            if self.oversign.contains(name) {
                selected.push((&**name, None));
            }
        }
        selected
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
