//! Key against signature: another key signed, or the wrong one of ours.

use super::{case::Case, finding::Finding};
use crate::verify::dkim::DkimResult;

/// Why a sound key does not verify a sound signature, where it is the key's fault.
pub fn findings(_case: &Case<'_>, _result: &DkimResult) -> Vec<Finding> {
    Vec::new()
}
