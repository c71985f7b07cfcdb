//! The signature's own field, its signer, and the clocks.

use super::{case::Case, finding::Finding};
use crate::verify::dkim::DkimResult;

/// What is wrong with the field, and what its signer did.
pub fn findings(_case: &Case<'_>, _result: &DkimResult) -> Vec<Finding> {
    Vec::new()
}
