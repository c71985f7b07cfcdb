//! DNS gave no answer, or not everybody the same.
//!
//! What a single resolver shows is told here; what the servers of the zone say for themselves is compared where they may
//! be asked.

use super::{
    case::{KeyCase, Oracle},
    finding::{Confidence, Finding},
    register::dns as causes,
};
use crate::dns::{Fault, Outcome, RecordType};

/// Why the key could not be looked up; what servers say differently.
pub fn findings(key: &KeyCase<'_>) -> Vec<Finding> {
    let finding = match &key.answer.outcome {
        Outcome::Fault(fault) => unanswered(key, fault),
        Outcome::Records => denied_above(key),
        Outcome::NoData | Outcome::NxDomain => None,
    };
    finding.map(|finding| finding.about(key.subject())).into_iter().collect()
}

/// The question for the key has no answer. What is no fault of DNS (our own cap, a name that is none) is told elsewhere,
/// as are aliases without an end.
fn unanswered(key: &KeyCase<'_>, fault: &Fault) -> Option<Finding> {
    let name = key.name();
    let finding = match fault {
        Fault::Budget | Fault::Unaskable(_) | Fault::CnameLoop => return None,
        Fault::Truncated => Finding::breaks(
            &causes::TRUNCATED_NO_TCP,
            Confidence::Certain,
            format!("the answer for {name} is too large for UDP and could not be had over TCP"),
        )
        .fix("open 53/TCP between the resolver and the name servers of the zone")
        .fix(format!("remove TXT records that do not belong at {name}")),
        Fault::Timeout | Fault::ServFail | Fault::Refused | Fault::Other(_) => Finding::breaks(
            &causes::LOOKUP_FAILED,
            Confidence::Certain,
            format!("the question for the key at {name} had no answer: {fault}"),
        )
        .fix(format!("ask again: dig TXT {name}"))
        .fix("if another resolver answers, mend this one; if none does, mend the name servers of the zone"),
    };
    Some(finding.dns("the question for the key", key.answer))
}

/// The name above the key does not exist, says the server, and yet the key does. Only a check asks for it: mail that
/// passes costs no question. A resolver may remember it from before the key was published, so it takes somebody who knows.
fn denied_above(key: &KeyCase<'_>) -> Option<Finding> {
    if matches!(key.oracle, Oracle::Signature(_)) {
        return None;
    }
    let above = format!("_domainkey.{}", key.domain);
    let answer = key.facts.txt(&above).filter(|answer| answer.outcome == Outcome::NxDomain)?;
    let may_be_old = answer.server.is_some() && !answer.authoritative && answer.negative.is_some();
    let (answer, confidence) = match may_be_old {
        true if key.facts.live => {
            let servers = key.facts.servers(&above, RecordType::Txt)?;
            let denies = servers.serving().find(|server| server.answer.outcome == Outcome::NxDomain)?;
            (&denies.answer, Confidence::Certain)
        }
        true => (answer, Confidence::Likely),
        false => (answer, Confidence::Certain),
    };
    let claim = format!("the name server says that {above} does not exist, and answers for {}", key.name());
    Some(
        Finding::risk(&causes::ENT_NXDOMAIN, confidence, claim)
            .dns("the question for the name above", answer)
            .dns("the question for the key", key.answer)
            .fix("mend or replace the name server: a name with names below it exists")
            .fix(format!("until then publish a TXT record with any text at {above}")),
    )
}
