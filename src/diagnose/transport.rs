//! DNS gave no answer, or not everybody the same.

use super::{case::KeyCase, finding::Finding};

/// Why the key could not be looked up; what servers say differently.
pub fn findings(_key: &KeyCase<'_>) -> Vec<Finding> {
    Vec::new()
}
