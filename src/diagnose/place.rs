//! Nothing at the name, or not there: near-miss names, siblings of the profile, aliases.

use super::{
    case::KeyCase,
    finding::{Confidence, Finding},
    register::place as causes,
};
use crate::dns::Outcome;

/// Why there is no record at the key's name.
pub fn findings(key: &KeyCase<'_>) -> Vec<Finding> {
    let what = match key.answer.outcome {
        Outcome::NxDomain => "does not exist",
        Outcome::NoData => "exists and has no TXT record",
        _ => return Vec::new(),
    };
    vec![
        Finding::breaks(&causes::RECORD_NOT_FOUND, Confidence::Certain, format!("{} {what}", key.name()))
            .about(key.subject())
            .dns("the question for the key", key.answer)
            .fix(format!("publish the TXT record of the signer at {}", key.name())),
    ]
}
