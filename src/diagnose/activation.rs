//! Nobody signs, or not with what the provider asks for.

use super::{case::Case, finding::Finding};

/// What the absence of a signature means; `known` are the findings so far.
pub fn findings(_case: &Case<'_>, _known: &[Finding]) -> Vec<Finding> {
    Vec::new()
}
