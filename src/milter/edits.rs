//! Changes to a message, and the fields of it that may have to go.
//!
//! Fields are noted as they pass, by their number among those of their name: so a header that outgrows what we keep can
//! hide none of them, and none is confused with another.

use super::{state::Active, verifying};
use crate::authres;

/// A change to the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Insert a field on top.
    Insert {
        /// Its name.
        name: &'static str,
        /// What follows the colon, leading blank included, folds as CR LF TAB or LF TAB.
        value: String,
    },
    /// Delete one instance of a field.
    Delete {
        /// Its name.
        name: String,
        /// Which one, from 1 at the top.
        instance: i32,
    },
    /// Have Postfix hold the message.
    Quarantine(String),
}

/// The fields of one message that may have to go.
#[derive(Debug, Default)]
pub struct Removable {
    results: Instances,
    marks: Instances,
}

/// Fields of one name.
#[derive(Debug, Default)]
struct Instances {
    seen: i32,
    noted: Vec<i32>,
}

impl Removable {
    /// Takes note of a field.
    pub fn note(&mut self, active: &Active, name: &[u8], value: &[u8]) {
        let name = name.trim_ascii_end();
        if name.eq_ignore_ascii_case(verifying::FIELD_NAME.as_bytes()) {
            self.results.note(authres::claims(value, &active.authserv_id));
        }
        if let Some((mark, secret)) = &active.settings.signing.outbound_mark
            && name.eq_ignore_ascii_case(mark.as_bytes())
        {
            self.marks.note(value.trim_ascii() == secret.as_bytes());
        }
    }

    /// Without Authentication-Results in our name.
    pub fn without_results(&self) -> Vec<Edit> {
        self.results.deleted(verifying::FIELD_NAME)
    }

    /// Without the secret mark of our users.
    pub fn without_mark(&self, active: &Active) -> Vec<Edit> {
        let mark = active.settings.signing.outbound_mark.as_ref();
        mark.map(|(name, _)| self.marks.deleted(name)).unwrap_or_default()
    }
}

impl Instances {
    fn note(&mut self, unwanted: bool) {
        self.seen = self.seen.saturating_add(1);
        if unwanted {
            self.noted.push(self.seen);
        }
    }

    /// From the bottom up, so that no deletion shifts the number of another.
    fn deleted(&self, name: &str) -> Vec<Edit> {
        self.noted.iter().rev().map(|&instance| Edit::Delete { name: name.into(), instance }).collect()
    }
}
