//! SPF: what is wrong with the record, and what one repair would change.

use super::{case::Case, finding::Finding};

/// Why SPF does not pass, and what passes by luck.
pub fn findings(_case: &Case<'_>) -> Vec<Finding> {
    Vec::new()
}

/// What the record of a domain tells without a client.
pub fn domain_findings(_case: &Case<'_>, _domain: &crate::name::DomainName) -> Vec<Finding> {
    Vec::new()
}
