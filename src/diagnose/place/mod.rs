//! Nothing at the name, or not there: near-miss names, siblings of the profile, wildcards, aliases.
//!
//! Whatever is found elsewhere is held against the signature: only a key that made it turns a likeness into a certainty.
//! Where every name answers, a name that answers proves nothing ([`Ground`]), and nothing is looked for.

mod alias;
mod host;
mod sibling;

use super::{
    case::{KeyCase, Match, Oracle},
    finding::{Confidence, Effect, Finding, Value, hexadecimal},
    history,
    register::{changed, place as causes},
    report::time,
};
use crate::{
    dkim::record::{Key, KeyFault, KeyRecord},
    dns::{Answer, Outcome},
};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Why there is no key at the name, or not the right one because of where it stands.
pub fn findings(key: &KeyCase<'_>) -> Vec<Finding> {
    let mut findings = match &key.answer.outcome {
        _ if alias::holds_a_record(key.answer) => vec![alias::mixed_up(key)],
        Outcome::NxDomain | Outcome::NoData if alias::chain(key.answer).is_empty() => absent(key),
        Outcome::NxDomain | Outcome::NoData => alias::dead_end(key),
        Outcome::Records => present(key),
        Outcome::Fault(_) => alias::endless(key).into_iter().collect(),
    };
    for finding in &mut findings {
        finding.subject = key.subject();
    }
    findings
}

/// Nothing at the name, and no alias: where is the record instead?
fn absent(key: &KeyCase<'_>) -> Vec<Finding> {
    let ground = Ground::survey(key);
    let mismatch = sibling::instead(key, ground);
    let proxied = alias::proxied(key);
    let search = host::search(key, ground);
    let mut findings: Vec<Finding> = [search.finding, mismatch, proxied].into_iter().flatten().collect();
    findings.sort_by_key(|finding| finding.confidence);
    if findings.first().is_some_and(|first| first.confidence == Confidence::Certain) {
        findings.truncate(1);
        return findings;
    }
    let explained = findings.iter().any(|finding| finding.confidence == Confidence::Likely);
    let mut missing = not_found(key);
    missing.ruled_out.extend(search.excluded);
    // What is only possible follows the fact.
    let at = findings.iter().filter(|finding| finding.confidence == Confidence::Likely).count();
    findings.insert(at, missing);
    match removed(key) {
        Some(removed) => findings.insert(0, removed),
        None if !explained => findings.extend(deleted(key)),
        None => {}
    }
    findings
}

/// The right key was seen at the name, and now there is nothing.
fn removed(key: &KeyCase<'_>) -> Option<Finding> {
    let (published, found) = history::last_good(key)?;
    let name = key.name();
    let claim = format!("the right key stood at {name} until {}, and nothing stands there now", time(published.last));
    let finding = Finding::breaks(&changed::RECORD_DELETED, Confidence::Certain, claim)
        .dns("the question for the key", key.answer)
        .key("the key that stood there", &found)
        .with("first seen", Value::Time(published.first))
        .with("last seen", Value::Time(published.last))
        .fix(format!("publish the record again at {name}, as it was"));
    Some(history::restoring(finding, &name, published))
}

/// The fact itself, with how far the name exists.
fn not_found(key: &KeyCase<'_>) -> Finding {
    let name = key.name();
    let claim = match key.answer.outcome {
        Outcome::NoData => format!("{name} exists and has no TXT record"),
        _ => match closest(key) {
            Some(closest) => format!("{name} does not exist; {closest}"),
            None => format!("{name} does not exist"),
        },
    };
    let mut finding = Finding::breaks(&causes::RECORD_NOT_FOUND, Confidence::Certain, claim)
        .dns("the question for the key", key.answer);
    if let Some((zone, seconds)) = &key.answer.negative {
        let kept = format!("resolvers may keep this answer for {seconds} seconds (SOA of {zone})");
        finding = finding.text("how long the absence is remembered", kept);
    }
    finding = finding.fix(format!("publish the TXT record of the signer at {name}{}", entry_hint(key)));
    match key.oracle {
        Oracle::Key(expected) => finding.publish(&name, record_of(expected)),
        _ => finding,
    }
}

/// The closest name above that exists, in words.
fn closest(key: &KeyCase<'_>) -> Option<String> {
    let above = format!("_domainkey.{}", key.domain);
    match key.facts.txt(&above)?.outcome {
        Outcome::Records | Outcome::NoData => Some(format!("{above} exists, so that other selectors are published")),
        Outcome::NxDomain => match key.facts.txt(key.domain.as_str())?.outcome {
            Outcome::Records | Outcome::NoData => {
                Some(format!("{above} does not exist either, so that no selector is published"))
            }
            Outcome::NxDomain => Some(format!("nor does {}", key.domain)),
            Outcome::Fault(_) => None,
        },
        Outcome::Fault(_) => None,
    }
}

/// A provider that signs only after it has seen the record has seen it once.
fn deleted(key: &KeyCase<'_>) -> Option<Finding> {
    let (Some(profile), Oracle::Signature(_)) = (key.profile, key.oracle) else { return None };
    let entry = profile.entry(key.selector).filter(|_| profile.signs_only_when_verified)?;
    // A selector of former times bears an ordinary word, which others use too.
    let confidence = if entry.legacy { Confidence::Possible } else { Confidence::Likely };
    let claim = format!(
        "the record was published once and was removed: {} signs only after it has seen {}",
        profile.title,
        key.name()
    );
    Some(
        Finding::breaks(&changed::RECORD_DELETED, confidence, claim)
            .dns("the question for the key", key.answer)
            .fix(format!("publish the record again at {}, with the value that the console shows", key.name())),
    )
}

/// There is an answer: is it one for this selector?
fn present(key: &KeyCase<'_>) -> Vec<Finding> {
    let here = found(key, &key.name(), key.answer);
    let right = here.as_ref().is_some_and(|found| found.knows.is_signer());
    let mut findings: Vec<Finding> = Vec::new();
    // A sound key of which nothing more can be told is not suspected.
    let suspect = !right && here.as_ref().is_none_or(|found| found.knows == Match::Refuted);
    if here.is_some() && matches!(key.oracle, Oracle::None) {
        // The key may be the right one, and still stands where every selector seems to have it.
        findings.extend(wildcard(key).map(|finding| Finding { effect: Effect::Risk, ..finding }));
    }
    if suspect {
        findings.extend(wildcard(key));
        if findings.is_empty() {
            findings.extend(alias::wrong_target(key).or_else(|| alias::strange(key)));
        }
        // A record that only needs mending is no sign of another selector, even where both hold the same key.
        let damaged = key.answer.joined_txt().iter().any(|text| is_damaged_record(text));
        if findings.is_empty() && here.is_none() && !damaged {
            let proven = sibling::instead(key, Ground::survey(key));
            findings.extend(proven.filter(|finding| finding.confidence == Confidence::Certain));
        }
    }
    if findings.is_empty() {
        findings.extend(alias::beside_txt(key, here.as_ref()));
    }
    findings.extend(alias::long(key));
    findings
}

/// The selector has what any other name has.
fn wildcard(key: &KeyCase<'_>) -> Option<Finding> {
    let stranger = stranger(key, "_domainkey.");
    let answer = key.facts.txt(&stranger).filter(|answer| answer.outcome == Outcome::Records)?;
    let texts = |answer: &Answer| {
        let mut texts = answer.joined_txt();
        texts.sort();
        texts
    };
    if texts(answer) != texts(key.answer) {
        return None;
    }
    let name = key.name();
    let claim = format!("{name} has no record of its own: a wildcard answers for it, as it does for {stranger}");
    let finding = Finding::breaks(&causes::WILDCARD_ANSWER, Confidence::Certain, claim)
        .dns("the question for the key", key.answer)
        .dns("the question for a name that nobody published", answer)
        .fix(format!("publish the key record of the signer at {name}{}", entry_hint(key)));
    Some(match key.oracle {
        Oracle::Key(expected) => finding.publish(&name, record_of(expected)),
        _ => finding,
    })
}

/// Do names that nobody published answer?
#[derive(Clone, Copy, Debug, Default)]
struct Ground {
    /// Below `_domainkey`.
    keys: bool,
    /// Right below the domain.
    domain: bool,
}

impl Ground {
    fn survey(key: &KeyCase<'_>) -> Ground {
        let answers =
            |below: &str| key.facts.txt(&stranger(key, below)).is_some_and(|answer| answer.outcome == Outcome::Records);
        Ground { keys: answers("_domainkey."), domain: answers("") }
    }
}

/// A name that nobody published; the same in every run, so that a run can be repeated.
fn stranger(key: &KeyCase<'_>, below: &str) -> String {
    let label = hexadecimal(&Sha256::digest(key.name())[..6]);
    format!("waxseal-{label}.{below}{}", key.domain)
}

/// A key record, wherever it was found.
struct Found {
    name: String,
    answer: Arc<Answer>,
    text: String,
    key: Key,
    knows: Match,
}

/// The best key record at a name: the right one if it is there, else the first sound one of the right type.
fn found(case: &KeyCase<'_>, name: &str, answer: &Arc<Answer>) -> Option<Found> {
    let wanted = case.oracle.algorithm().map(|algorithm| algorithm.key_type());
    let mut best: Option<Found> = None;
    for text in answer.joined_txt().into_iter().take(MAX_RECORDS) {
        let record = KeyRecord::read(&text);
        let Some(key) = record.key.filter(|_| wanted.is_none() || record.key_type == wanted) else { continue };
        let knows = case.oracle.knows(&key);
        if best.is_none() || knows.is_signer() {
            let text = String::from_utf8_lossy(&text).into_owned();
            best = Some(Found { name: name.to_owned(), answer: answer.clone(), text, key, knows });
        }
        if knows.is_signer() {
            break;
        }
    }
    best
}

/// Records of one name that are tried; an answer with more is no key's.
const MAX_RECORDS: usize = 16;

/// The best key record at a name that may have to be asked for.
fn found_at(case: &KeyCase<'_>, name: &str) -> Option<Found> {
    let answer = case.facts.txt(name)?;
    found(case, name, answer)
}

/// Is this the text of a key record that cannot be used, and not one of a key that was withdrawn?
fn is_damaged_record(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    let looks = lower.starts_with(b"v=dkim1") || lower.windows(4).any(|window| window == b"p=mi");
    looks && !matches!(KeyRecord::read(text).fault, None | Some(KeyFault::Revoked))
}

/// The record of a key that is at hand.
pub(super) fn record_of(key: &Key) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    match key {
        Key::Rsa { der, .. } => format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(der)),
        Key::Ed25519(octets) => format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(octets)),
    }
}

/// What to type where the panel adds the zone by itself.
fn entry_hint(key: &KeyCase<'_>) -> String {
    format!(" (in a panel that adds the domain by itself, enter {})", relative(key))
}

/// The name of the key within its zone, as far as the zone is known.
fn relative(key: &KeyCase<'_>) -> String {
    let name = key.name();
    let zone = zone(key);
    match name.strip_suffix(zone).and_then(|front| front.strip_suffix('.')) {
        Some(front) => front.to_owned(),
        None => name,
    }
}

/// The zone of the domain: a negative answer names it; else the domain itself is taken for it.
fn zone<'a>(key: &'a KeyCase<'_>) -> &'a str {
    let named = key.answer.negative.as_ref().map(|(zone, _)| zone.as_str());
    let within = |zone: &&str| {
        zone.contains('.') && key.domain.as_str().strip_suffix(*zone).is_some_and(|front| front.ends_with('.'))
    };
    named.filter(within).unwrap_or(key.domain.as_str())
}

/// What a panel or a master file may append: the zone, which is the domain or a name above it.
fn zones<'a>(key: &'a KeyCase<'_>) -> Vec<&'a str> {
    let domain = key.domain.as_str();
    let above = domain.match_indices('.').map(|(at, _)| &domain[at + 1..]).filter(|name| name.contains('.'));
    let mut zones = vec![zone(key)];
    zones.extend(std::iter::once(domain).chain(above).filter(|name| *name != zone(key)));
    zones
}
