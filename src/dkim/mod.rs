//! DKIM as bytes (RFC 6376, 8301, 8463): tag lists, signatures, key records, canonicalization, digests.

mod avx512;
mod blocks;
pub mod canon;
pub mod der;
pub mod digest;
pub mod record;
pub mod secret;
pub mod signature;
pub mod tag;
pub mod write;

use std::{fmt, str::FromStr};

/// A canonicalization (§3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Canon {
    /// Nearly as is.
    Simple,
    /// Blanks and case of names may change.
    Relaxed,
}

/// The type of a key, k=.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// RSA, PKCS#1 v1.5 (§3.3).
    Rsa,
    /// Ed25519 (RFC 8463).
    Ed25519,
}

impl Canon {
    /// The word in c=.
    pub fn as_str(self) -> &'static str {
        match self {
            Canon::Simple => "simple",
            Canon::Relaxed => "relaxed",
        }
    }
}

impl fmt::Display for Canon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Canon {
    type Err = ();

    fn from_str(text: &str) -> Result<Canon, ()> {
        match text {
            "simple" => Ok(Canon::Simple),
            "relaxed" => Ok(Canon::Relaxed),
            _ => Err(()),
        }
    }
}

impl KeyType {
    /// The word in k=.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyType::Rsa => "rsa",
            KeyType::Ed25519 => "ed25519",
        }
    }

    /// The word in a=, with the one hash that is still allowed (RFC 8301).
    pub fn algorithm(self) -> &'static str {
        match self {
            KeyType::Rsa => "rsa-sha256",
            KeyType::Ed25519 => "ed25519-sha256",
        }
    }
}
