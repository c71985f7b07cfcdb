//! The key's name as an alias: targets that are missing, wrong, hidden, too far away, or no names at all.

use super::{
    super::{
        case::{KeyCase, Match},
        finding::{Confidence, Effect, Finding, Publish},
        register::place as causes,
    },
    Found, found_at, stranger, zones,
};
use crate::dns::{Answer, Data, Fault, Outcome, RecordType};
use std::sync::Arc;

/// Aliases that every resolver follows.
const MAX_HOPS: usize = 8;

/// The aliases of an answer, in order: each name and its target.
pub(super) fn chain(answer: &Answer) -> Vec<(&str, &str)> {
    answer
        .records
        .iter()
        .filter_map(|record| match &record.data {
            Data::Cname(target) => Some((record.name.as_str(), target.as_str())),
            _ => None,
        })
        .collect()
}

/// Is the target of the alias the text of a key record?
pub(super) fn holds_a_record(answer: &Answer) -> bool {
    chain(answer).first().is_some_and(|(_, target)| target.replace(['\\', ' '], "").starts_with("v=dkim1"))
}

/// The text of a key record was entered as an alias.
pub(super) fn mixed_up(key: &KeyCase<'_>) -> Finding {
    let name = key.name();
    Finding::breaks(
        &causes::RECORD_TYPE_MIXED_UP,
        Confidence::Certain,
        format!("the record at {name} is a CNAME whose target is the text of a key record"),
    )
    .dns("the question for the key", key.answer)
    .fix(format!("delete the CNAME at {name} and create a TXT record there with the signer's value"))
}

/// The aliases end at a name without TXT records.
pub(super) fn dead_end(key: &KeyCase<'_>) -> Vec<Finding> {
    let chain = chain(key.answer);
    let Some((_, end)) = chain.last() else { return Vec::new() };
    let mut findings: Vec<Finding> = wrong_target(key).into_iter().collect();
    if findings.first().is_some_and(|finding| finding.confidence == Confidence::Certain) {
        return findings;
    }
    if findings.is_empty() {
        findings.extend(zone_appended(key, end).or_else(|| strange(key)));
    }
    let what = match key.answer.outcome {
        Outcome::NoData => "exists and has no TXT record",
        _ => "does not exist",
    };
    findings.push(
        Finding::breaks(
            &causes::CNAME_TARGET_MISSING,
            Confidence::Certain,
            format!("{} is an alias of {end}, which {what}", key.name()),
        )
        .dns("the question for the key", key.answer)
        .fix(format!("copy the target of the CNAME at {} from the provider's console again", key.name()))
        .fix("if it is right, let the provider publish the key there"),
    );
    findings
}

/// A target close to the present one that holds the right key; without a proof, any key.
pub(super) fn wrong_target(key: &KeyCase<'_>) -> Option<Finding> {
    let chain = chain(key.answer);
    let (_, target) = chain.first()?;
    let found: Vec<Found> = targets(key, target).iter().filter_map(|name| found_at(key, name)).collect();
    let negative = key.answer.is_negative();
    let proven = found.iter().find(|found| found.knows.is_signer());
    let (found, confidence) = match proven {
        Some(found) => (found, Confidence::Certain),
        None => (found.iter().find(|found| negative && found.knows == Match::Open)?, Confidence::Likely),
    };
    let does = if confidence == Confidence::Certain { ", whose key made this signature" } else { ", which has a key" };
    let claim = format!("{} is an alias of {target}, not of {}{does}", key.name(), found.name);
    Some(corrected(
        Finding::breaks(&causes::CNAME_WRONG_TARGET, confidence, claim)
            .dns("the question for the key", key.answer)
            .dns("the question for the other target", &found.answer),
        key,
        &found.name,
    ))
}

/// The zone was appended to a target that ends like a name of its own: the final dot is missing.
fn zone_appended(key: &KeyCase<'_>, target: &str) -> Option<Finding> {
    let front = zones(key).into_iter().find_map(|zone| target.strip_suffix(&format!(".{zone}")))?;
    let (_, last) = front.rsplit_once('.')?;
    let is_top = COMMON_TOPS.contains(&last) || last.len() == 2 && last.bytes().all(|b| b.is_ascii_lowercase());
    if !is_top {
        return None;
    }
    let claim = format!("{} is an alias of {target}: the zone was appended to {front}", key.name());
    let finding = Finding::breaks(&causes::CNAME_WRONG_TARGET, Confidence::Likely, claim)
        .dns("the question for the key", key.answer);
    Some(corrected(finding, key, front))
}

/// The target is none of those that the provider's keys have.
pub(super) fn strange(key: &KeyCase<'_>) -> Option<Finding> {
    let profile = key.profile?;
    let chain = chain(key.answer);
    let (_, target) = chain.first().filter(|(_, target)| !profile.leads_right(target))?;
    let claim = format!("{} is an alias of {target}, and the keys of {} are elsewhere", key.name(), profile.title);
    Some(
        Finding::breaks(&causes::CNAME_WRONG_TARGET, Confidence::Likely, claim)
            .dns("the question for the key", key.answer)
            .text("where they are", profile.cname_targets.join(" or "))
            .fix(format!("copy the target of the CNAME at {} from the provider's console again", key.name())),
    )
}

/// Last labels of the names that providers let aliases lead to; with any of two letters.
const COMMON_TOPS: &[&str] =
    &["com", "net", "org", "email", "cloud", "info", "biz", "app", "dev", "microsoft", "example", "test", "invalid"];

fn corrected(finding: Finding, key: &KeyCase<'_>, target: &str) -> Finding {
    let mut finding = finding
        .fix(format!("let the CNAME at {} lead to {target}. (in a master file with the dot at its end)", key.name()));
    finding.publish = Some(Publish {
        name: key.name(),
        kind: RecordType::Cname,
        value: format!("{}.", target.trim_end_matches('.')),
    });
    finding
}

/// Targets that the present one may have been meant to be.
fn targets(key: &KeyCase<'_>, target: &str) -> Vec<String> {
    let mut targets: Vec<String> = Vec::new();
    targets.extend(zones(key).iter().filter_map(|zone| target.strip_suffix(&format!(".{zone}"))).map(str::to_owned));
    // Of several aliases to one provider, each leads to the key of its own selector.
    let selector = key.selector.as_str();
    if let Some((first, rest)) = target.split_once('.') {
        targets.push(format!("{selector}.{rest}"));
        let stem = selector.trim_end_matches(|c: char| c.is_ascii_digit());
        if let Some(after) = first.strip_prefix(stem).filter(|_| stem.len() < selector.len()) {
            let tail = after.trim_start_matches(|c: char| c.is_ascii_digit());
            targets.push(format!("{selector}{tail}.{rest}"));
        }
    }
    targets.retain(|name| name != target && *name != key.name() && name.contains('.'));
    targets.dedup();
    targets
}

/// An alias and a TXT record at the name itself.
pub(super) fn beside_txt(key: &KeyCase<'_>, here: Option<&Found>) -> Option<Finding> {
    let name = key.name();
    let own = |data: fn(&Data) -> bool| key.answer.records.iter().any(|r| r.name == name && data(&r.data));
    if !own(|data| matches!(data, Data::Txt(_))) || !own(|data| matches!(data, Data::Cname(_))) {
        return None;
    }
    let chain = chain(key.answer);
    let (_, target) = chain.first()?;
    let right = |found: Option<&Found>| found.is_some_and(|found| found.knows.is_signer());
    let beyond = if right(here) { None } else { found_at(key, target) };
    let (effect, what, fix) = match (right(here), right(beyond.as_ref()), here) {
        (true, ..) => (Effect::Risk, "; receivers that follow the alias do not see the record", "CNAME"),
        (_, true, _) => (Effect::Breaks, "; the key that made this signature is behind the alias", "TXT record"),
        (_, _, None) => (Effect::Breaks, "; the TXT record holds no key", "one that the provider does not document"),
        _ => (Effect::Risk, "", "one that the provider does not document"),
    };
    let claim = format!("{name} has a TXT record and is an alias of {target}, which may not be{what}");
    Some(
        Finding::new(&causes::CNAME_AND_TXT, effect, Confidence::Certain, claim)
            .dns("the question for the key", key.answer)
            .fix(format!("keep one of the two records at {name}: delete the {fix}")),
    )
}

/// The name has addresses and nothing else, and other names have none.
pub(super) fn proxied(key: &KeyCase<'_>) -> Option<Finding> {
    if key.answer.outcome != Outcome::NoData {
        return None;
    }
    let name = key.name();
    let addresses = |name: &str| -> Vec<&Arc<Answer>> {
        [RecordType::A, RecordType::Aaaa]
            .into_iter()
            .filter_map(|kind| key.facts.answer(name, kind).filter(|answer| answer.outcome == Outcome::Records))
            .collect()
    };
    let found = addresses(&name);
    let first = *found.first()?;
    // A wildcard gives every name an address.
    let other = key.facts.answer(&stranger(key, "_domainkey."), first.kind)?;
    if !other.is_negative() {
        return None;
    }
    Some(
        Finding::breaks(
            &causes::CNAME_PROXIED,
            Confidence::Likely,
            format!("{name} has an address and no TXT record: a proxy answers in place of its alias"),
        )
        .dns("the question for the key", key.answer)
        .dns("the question for an address", first)
        .fix(format!("set the record at {name} to \"DNS only\", without proxy or flattening")),
    )
}

/// The aliases lead back to themselves, or are too many.
pub(super) fn endless(key: &KeyCase<'_>) -> Option<Finding> {
    if key.answer.outcome != Outcome::Fault(Fault::CnameLoop) {
        return None;
    }
    let claim = format!("the aliases at {} lead back to themselves or are too many", key.name());
    Some(too_long(Effect::Breaks, claim, key))
}

/// More aliases than every resolver follows.
pub(super) fn long(key: &KeyCase<'_>) -> Option<Finding> {
    let hops = chain(key.answer).len();
    let claim = format!("{} leads to its key through {hops} aliases; some resolvers follow {MAX_HOPS}", key.name());
    (hops > MAX_HOPS).then(|| too_long(Effect::Risk, claim, key))
}

fn too_long(effect: Effect, claim: String, key: &KeyCase<'_>) -> Finding {
    Finding::new(&causes::CNAME_CHAIN_TOO_LONG, effect, Confidence::Certain, claim)
        .dns("the question for the key", key.answer)
        .fix(format!("let the CNAME at {} lead to the provider's name in one step", key.name()))
}
