//! Alignment and policy: what passes and does not count.

use super::{case::Case, finding::Finding};

/// Why DMARC does not pass; `known` are the findings on signatures and SPF.
pub fn findings(_case: &Case<'_>, _known: &[Finding]) -> Vec<Finding> {
    Vec::new()
}
