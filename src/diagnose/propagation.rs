//! Changes of DNS on their way: resolver against authoritative servers, and times to live.

use super::{
    case::KeyCase,
    finding::{Confidence, Finding},
    register::propagation as causes,
};

/// Beyond a day a change takes too long for everybody, whatever the provider advises.
const LONGEST: u32 = 86_400;

/// Below a minute every message asks again.
const SHORTEST: u32 = 60;

/// The time to live of the key record, against the provider's advice where there is a provider.
pub fn time_to_live(key: &KeyCase<'_>) -> Option<Finding> {
    let answer = key.answer;
    let ttl = answer.records.iter().map(|record| record.ttl).max()?;
    // A resolver's answer counts down: only the zone itself shows how low it was set.
    let whole = answer.authoritative || answer.server.is_none();
    let (shortest, longest, whose) = match key.profile.and_then(|profile| Some((profile.ttl?, profile))) {
        Some((bounds, profile)) => (bounds.min, bounds.max, format!("{} advises", profile.title)),
        None => (SHORTEST, LONGEST, "is usual".to_owned()),
    };
    if ttl <= longest && (ttl >= shortest || !whole) {
        return None;
    }
    let claim = format!("the key record may be kept for {ttl} s; {whose} {shortest} to {longest}");
    Some(
        Finding::risk(&causes::TTL_OUT_OF_RANGE, Confidence::Certain, claim)
            .dns("the key record", answer)
            .fix(format!("set the time to live of {} to between {shortest} and {longest} s", key.name())),
    )
}
