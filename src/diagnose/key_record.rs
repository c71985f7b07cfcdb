//! The records at the key's name: how many, their text, the key in them.

use super::{case::KeyCase, finding::Finding};

/// What is wrong with what is published.
pub fn findings(_key: &KeyCase<'_>) -> Vec<Finding> {
    Vec::new()
}
