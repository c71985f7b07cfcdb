//! What a diagnosis says: one cause, how sure, for whom, on what evidence, what to do.
//!
//! A detector builds findings and knows nothing of the rest; `super::order` decides which of them leads and how grave it
//! is for the message. Texts hold words of strangers: whoever shows them escapes them.

use super::register::Cause;
use crate::{
    dkim::record::Key,
    dns::{Answer, RecordType},
    name::DomainName,
};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// How the claim was established, not how plausible it sounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// One repair was tried and made this signature verify or this SPF check pass; or the fact is itself the definition.
    Certain,
    /// The sign is specific to this cause, but nothing was verified again.
    Likely,
    /// What is seen is consistent with it.
    Possible,
}

/// What a finding means for its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It explains why the subject failed.
    Breaks,
    /// The subject passed by luck, or this will bite some receivers, or soon.
    Risk,
    /// It informs.
    Note,
}

/// How grave it is for the message (or the domain that is checked).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It explains why the message does not authenticate.
    Error,
    /// Something failed or passed by luck although the message authenticates, or will bite.
    Warning,
    /// It informs.
    Note,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A signature, by its number from the top; a key that is checked without a message has none.
    Signature {
        /// From 1.
        index: Option<usize>,
        /// d=.
        domain: Option<DomainName>,
        /// s=.
        selector: Option<DomainName>,
    },
    /// SPF, of this domain.
    Spf(Option<DomainName>),
    /// DMARC and everything about the From domain as a whole, an absent signature among it.
    Dmarc(Option<DomainName>),
    /// The chain of seals.
    Arc,
    /// The MTA's own settings.
    Mta,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What it shows.
    pub label: String,
    /// The thing itself.
    pub value: Value,
}

/// The thing that a piece of evidence shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An answer of DNS exactly as received.
    Dns(Arc<Answer>),
    /// A text.
    Text(String),
    /// A digest, in hexadecimal.
    Digest(String),
    /// A public key, by the SHA-256 of its octets, and its size.
    Key {
        /// In hexadecimal.
        fingerprint: String,
        /// Bits of an RSA modulus; 256 for Ed25519.
        bits: usize,
    },
    /// A header field.
    Header(String),
    /// A time, in seconds since 1970.
    Time(u64),
}

/// A cause that was considered and excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuledOut {
    /// Which.
    pub cause: &'static Cause,
    /// The test that excluded it.
    pub because: String,
}

/// A record exactly as it is to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The full name.
    pub name: String,
    /// TXT or CNAME.
    pub kind: RecordType,
    /// The value in one piece.
    pub value: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The cause, as registered.
    pub cause: &'static Cause,
    /// What it means for its subject.
    pub effect: Effect,
    /// How sure.
    pub confidence: Confidence,
    /// What it is about.
    pub subject: Subject,
    /// One sentence without a full stop.
    pub claim: String,
    /// What it rests on.
    pub evidence: Vec<Item>,
    /// What was excluded, and how.
    pub ruled_out: Vec<RuledOut>,
    /// What to do, in steps.
    pub fix: Vec<String>,
    /// The record to publish, where one is the fix.
    pub publish: Option<Publish>,
}

impl Finding {
    /// A finding without evidence yet; its subject is set by the one who knows it ([`Finding::about`]).
    pub fn new(cause: &'static Cause, effect: Effect, confidence: Confidence, claim: impl Into<String>) -> Finding {
        Finding {
            cause,
            effect,
            confidence,
            subject: Subject::Arc,
            claim: claim.into(),
            evidence: Vec::new(),
            ruled_out: Vec::new(),
            fix: Vec::new(),
            publish: None,
        }
    }

    /// A cause of the subject's failure.
    pub fn breaks(cause: &'static Cause, confidence: Confidence, claim: impl Into<String>) -> Finding {
        Finding::new(cause, Effect::Breaks, confidence, claim)
    }

    /// Luck, or something that will bite.
    pub fn risk(cause: &'static Cause, confidence: Confidence, claim: impl Into<String>) -> Finding {
        Finding::new(cause, Effect::Risk, confidence, claim)
    }

    /// Something worth knowing.
    pub fn note(cause: &'static Cause, confidence: Confidence, claim: impl Into<String>) -> Finding {
        Finding::new(cause, Effect::Note, confidence, claim)
    }

    /// About this subject.
    pub fn about(mut self, subject: Subject) -> Finding {
        self.subject = subject;
        self
    }

    /// With an answer of DNS as evidence.
    pub fn dns(self, label: &str, answer: &Arc<Answer>) -> Finding {
        self.with(label, Value::Dns(answer.clone()))
    }

    /// With a text as evidence.
    pub fn text(self, label: &str, text: impl Into<String>) -> Finding {
        self.with(label, Value::Text(text.into()))
    }

    /// With a key as evidence.
    pub fn key(self, label: &str, key: &Key) -> Finding {
        let (octets, bits) = match key {
            Key::Rsa { der, bits, .. } => (&der[..], *bits),
            Key::Ed25519(key) => (&key[..], 256),
        };
        self.with(label, Value::Key { fingerprint: hexadecimal(&Sha256::digest(octets)), bits })
    }

    /// With a piece of evidence.
    pub fn with(mut self, label: &str, value: Value) -> Finding {
        self.evidence.push(Item { label: label.into(), value });
        self
    }

    /// With a step of the fix.
    pub fn fix(mut self, step: impl Into<String>) -> Finding {
        self.fix.push(step.into());
        self
    }

    /// With a TXT record to publish.
    pub fn publish(mut self, name: &str, value: impl Into<String>) -> Finding {
        self.publish = Some(Publish { name: name.into(), kind: RecordType::Txt, value: value.into() });
        self
    }

    /// With a cause that was excluded.
    pub fn not(mut self, cause: &'static Cause, because: impl Into<String>) -> Finding {
        self.ruled_out.push(RuledOut { cause, because: because.into() });
        self
    }
}

impl Publish {
    /// The character-strings of a TXT record: of at most 255 octets each.
    pub fn strings(&self) -> Vec<String> {
        let mut strings = vec![String::new()];
        for c in self.value.chars() {
            let last = strings.len() - 1;
            if strings[last].len() + c.len_utf8() > 255 {
                strings.push(c.into());
            } else {
                strings[last].push(c);
            }
        }
        strings
    }
}

impl Severity {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

impl Confidence {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Confidence::Certain => "certain",
            Confidence::Likely => "likely",
            Confidence::Possible => "possible",
        }
    }
}

/// Octets as hexadecimal digits.
pub fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
