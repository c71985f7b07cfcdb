//! The selectors of the same provider: is the key published for another environment or region?

use super::{
    super::{
        case::{KeyCase, Match, Oracle},
        finding::{Confidence, Finding},
        register::selector as causes,
    },
    Found, Ground, entry_hint, found_at,
};
use crate::provider::{Profile, ProfileSelector};

/// The most selectors of a profile that are asked for.
const MAX_SIBLINGS: usize = 12;

/// The key under another selector: certain if it made this signature, likely if it is merely published.
pub(super) fn instead(key: &KeyCase<'_>, ground: Ground) -> Option<Finding> {
    let profile = key.profile?;
    let siblings = profile.selectors.iter().filter(|entry| entry.selector != *key.selector).take(MAX_SIBLINGS);
    let found: Vec<(&ProfileSelector, Found)> = siblings
        .filter_map(|entry| Some((entry, found_at(key, &format!("{}._domainkey.{}", entry.selector, key.domain))?)))
        .collect();
    if ground.keys {
        return None;
    }
    match found.iter().find(|(_, found)| found.knows.is_signer()) {
        Some((entry, found)) => Some(proven(key, profile, entry, found)),
        None => published(key, profile, &found),
    }
}

/// The key under another selector made this signature.
fn proven(key: &KeyCase<'_>, profile: &Profile, entry: &ProfileSelector, found: &Found) -> Finding {
    let (whose, own, other) = (variant(profile, key, entry), place(profile, key), described(entry));
    let claim = match (key.oracle, found.knows) {
        (Oracle::Signature(_), Match::Proven) => format!(
            "the message is signed under {own}, but the key that verifies its signature is published under {other}"
        ),
        (Oracle::Signature(_), _) => {
            format!("the message is signed under {own}, but the key that made its signature is published under {other}")
        }
        _ => format!("nothing is published under {own}, but the key expected is under {other}"),
    };
    Finding::breaks(&causes::SELECTOR_MISMATCH, Confidence::Certain, claim)
        .text("variant", whose)
        .dns("the question for the key", key.answer)
        .dns("what stands under the other selector", &found.answer)
        .key("the key there", &found.key)
        .fix(format!("publish the record that stands at {} at {} too{}", found.name, key.name(), entry_hint(key)))
        .fix(format!("or let the signer sign under s={}", entry.selector))
        .publish(&key.name(), found.text.clone())
}

/// Other selectors are published, this one is not.
fn published(key: &KeyCase<'_>, profile: &Profile, found: &[(&ProfileSelector, Found)]) -> Option<Finding> {
    // Where one selector is in use and the other waits, the other's key says nothing.
    let found: Vec<&(&ProfileSelector, Found)> = found.iter().filter(|(entry, _)| !entry.common).collect();
    let (entry, first) = found.first()?;
    let names: Vec<String> = found.iter().map(|(entry, _)| described(entry)).collect();
    let claim = format!("nothing is published under {}, but a key is under {}", place(profile, key), names.join(", "));
    let mut finding = Finding::breaks(&causes::SELECTOR_MISMATCH, Confidence::Likely, claim)
        .text("variant", variant(profile, key, entry))
        .dns("the question for the key", key.answer);
    for (_, found) in &found {
        finding = finding.dns("what stands under another selector", &found.answer);
    }
    let value = match first.knows {
        Match::Refuted => "; the key of the other selector is another one, so do not copy it",
        _ => "",
    };
    Some(
        finding
            .fix(format!(
                "publish at {} the value that the console shows for {}{value}{}",
                key.name(),
                place(profile, key),
                entry_hint(key)
            ))
            .fix(format!("keep {} only if that environment and region send too", names.join(", "))),
    )
}

/// How the selectors differ, in a word of the register.
fn variant(profile: &Profile, key: &KeyCase<'_>, other: &ProfileSelector) -> &'static str {
    match profile.entry(key.selector) {
        None => "not a selector of the provider",
        Some(own) if own.legacy || other.legacy => "legacy",
        Some(own) if own.common && other.common => "another of the provider",
        Some(own) if own.environment != other.environment => "environment",
        Some(_) => "region",
    }
}

/// The selector of the case and its place.
fn place(profile: &Profile, key: &KeyCase<'_>) -> String {
    match profile.entry(key.selector) {
        Some(entry) => described(entry),
        None => format!("{} (no selector of {})", key.selector, profile.title),
    }
}

/// A selector and its place.
fn described(entry: &ProfileSelector) -> String {
    match (&entry.environment, &entry.region) {
        (Some(environment), Some(region)) => format!("{} ({environment} {region})", entry.selector),
        _ if entry.legacy => format!("{} (given out in former times)", entry.selector),
        _ => entry.selector.to_string(),
    }
}
