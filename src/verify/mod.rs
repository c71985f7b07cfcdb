//! Verifying: one result per method, in the words of RFC 8601.
//!
//! Every input is judged, readable or not. Nothing here changes a message or decides what becomes of it.

pub mod arc;
pub mod dkim;
pub mod dmarc;
pub mod early;
pub mod message;
pub mod spf;
pub mod standing;

use serde::Serialize;
use std::fmt;

/// The result words of RFC 8601 §2.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Word {
    None,
    Pass,
    Fail,
    Policy,
    Neutral,
    SoftFail,
    TempError,
    PermError,
}

impl Word {
    /// The word as it stands in Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Word::None => "none",
            Word::Pass => "pass",
            Word::Fail => "fail",
            Word::Policy => "policy",
            Word::Neutral => "neutral",
            Word::SoftFail => "softfail",
            Word::TempError => "temperror",
            Word::PermError => "permerror",
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
