//! The signature's own field, its signer, the clocks, and the limits of this side.
//!
//! What is recomputed here is what signers get wrong ([`hashes`]); what happens to a message on its way is undone
//! elsewhere.

mod beside;
mod clock;
mod field;
mod fragile;
mod hashes;
mod local;

pub(super) use field::key_lengths;
pub(super) use fragile::only_blanks;

use super::{case::Case, finding::Finding};
use crate::verify::{Word, dkim::DkimResult};

/// What is wrong with the field, and what its signer did.
pub fn findings(case: &Case<'_>, result: &DkimResult) -> Vec<Finding> {
    if result.result == Word::Pass {
        return Vec::new();
    }
    let mut findings = local::findings(case, result);
    findings.extend(field::findings(case, result));
    findings.extend(clock::findings(case, result));
    findings.extend(hashes::findings(case, result));
    findings.extend(beside::findings(case, result));
    findings
}

/// The field of the signature, for evidence.
fn own_field(case: &Case<'_>, result: &DkimResult) -> String {
    let field = case.header.fields().nth(result.field).map(|field| field.raw()).unwrap_or_default();
    String::from_utf8_lossy(field).into_owned()
}
