//! Key against signature: another key signed, or the wrong one of ours.
//!
//! Under RSA a key says for certain that it did not sign, and so a wrong key is told apart from changed fields. An Ed25519
//! key only says that the signature does not verify. What damaged b= itself was excluded before.

use super::{
    case::{Case, KeyCase, Match, Oracle},
    finding::{Confidence, Finding, Value},
    history,
    register::{changed, key as key_causes, signer as causes},
    report::time,
    signature::key_lengths,
};
use crate::{
    dkim::{
        record::{Key, KeyRecord},
        signature::Algorithm,
    },
    dns::Answer,
    verify::dkim::{DkimResult, KeyState, Reason, State},
};
use std::sync::Arc;

/// Why a sound key does not verify a sound signature, where it is the key's fault.
pub fn findings(case: &Case<'_>, result: &DkimResult) -> Vec<Finding> {
    let other = result.key == KeyState::Other;
    let open =
        result.reason == Some(Reason::NotVerified) && result.signature.algorithm == Some(Algorithm::Ed25519Sha256);
    if !other && !open {
        return Vec::new();
    }
    if let Some(finding) = known_elsewhere(case, result) {
        return vec![finding];
    }
    if let Some(finding) = formerly(case, result) {
        return vec![finding];
    }
    mismatch(case, result).into_iter().chain(modified(case, result)).collect()
}

/// The key that made the signature is published under another name that we know.
fn known_elsewhere(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let oracle = Oracle::Signature(result);
    let own = result.signature.key_name()?;
    let (answer, key) = elsewhere(case, result, &own).into_iter().find_map(|answer| {
        let keys = answer.joined_txt().into_iter().take(4).filter_map(|text| KeyRecord::read(&text).key);
        let mut right = keys.filter(|key| oracle.knows(key).is_signer());
        right.next().map(|key| (answer, key))
    })?;
    let claim = format!("the signature names {own}, and was made with the key that is published at {}", answer.name);
    let mut finding = Finding::breaks(&causes::USED_WRONG_KEY, Confidence::Certain, claim)
        .dns("what stands at the other name", &answer)
        .key("the key that made the signature", &key)
        .fix(format!("let the signer use the key file of {own} for this selector"))
        .fix(format!("or let it sign under the name of the key that it uses, {}", answer.name));
    if let Some(published) = published(result) {
        finding = finding.key("the key that the signature names", &published);
    }
    Some(finding)
}

/// The key that made the signature stood at its name before: the message is older than the change, or the record was
/// changed under a signer that goes on.
fn formerly(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let signature = &result.signature;
    let (domain, selector, answer) =
        (signature.domain.as_ref()?, signature.selector.as_ref()?, result.answer.as_ref()?);
    let key = KeyCase {
        domain,
        selector,
        answer,
        oracle: Oracle::Signature(result),
        profile: None,
        author: None,
        facts: case.facts,
        history: &case.expected.history,
        at: case.at,
    };
    let (before, old) = history::last_good(&key)?;
    let now = history::present(&key);
    let name = key.name();
    let changed_at = now.map_or(before.last, |now| now.first.max(before.last));
    let is_ours = now.is_none_or(|now| now.ours);
    let shown = |finding: Finding| {
        let finding = finding.dns("the question for the key", answer).key("the key that made the signature", &old);
        let finding = match published(result) {
            Some(key) => finding.key("the published key", &key),
            None => finding,
        };
        finding.with("the key that made the signature was last seen", Value::Time(before.last))
    };
    if let Some(signed) = signature.timestamp.filter(|signed| is_ours && *signed <= changed_at) {
        let claim = format!(
            "the message was signed at {}, and the key that signed it stood at {name} until {}: it was replaced while the \
             message was under way",
            time(signed),
            time(before.last)
        );
        return Some(
            shown(Finding::breaks(&key_causes::ROTATED_TOO_SOON, Confidence::Certain, claim))
                .with("t=", Value::Time(signed))
                .fix("leave the record of an old key in DNS for a week after the last mail was signed with it")
                .fix("give each new key a selector of its own, so that both records can stand"),
        );
    }
    let claim =
        format!("the key that made the signature stood at {name} until {}, and another one now", time(before.last));
    let finding = shown(Finding::breaks(&changed::RECORD_MODIFIED, Confidence::Certain, claim))
        .fix(format!("publish the record again at {name}, as it was"))
        .fix("or, if the new one is meant, let every signer use its key");
    Some(history::restoring(finding, &name, before))
}

/// Answers with other keys: those of the other signatures, and of the provider's other selectors.
fn elsewhere(case: &Case<'_>, result: &DkimResult, own: &str) -> Vec<Arc<Answer>> {
    let mut answers: Vec<Arc<Answer>> = case
        .verdicts
        .dkim
        .iter()
        .filter_map(|other| other.answer.clone())
        .filter(|answer| answer.name != own)
        .collect();
    let signature = &result.signature;
    if let (Some((profile, _)), Some(domain)) =
        (case.expected.profile_of(signature.selector.as_ref()), &signature.domain)
    {
        let siblings = profile.selectors.iter().filter(|entry| Some(&entry.selector) != signature.selector.as_ref());
        let names = siblings.take(12).map(|entry| format!("{}._domainkey.{domain}", entry.selector));
        answers.extend(names.filter_map(|name| case.facts.txt(&name).cloned()));
    }
    answers
}

/// The first sound key at the name of the signature.
fn published(result: &DkimResult) -> Option<Key> {
    let texts = result.answer.as_ref()?.joined_txt();
    texts.iter().take(16).find_map(|text| KeyRecord::read(text).key)
}

/// Nobody knows the key that made the signature.
fn mismatch(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let name = result.signature.key_name()?;
    let length = result.signature.signature.as_ref()?.len();
    let lengths = key_lengths(result);
    let same_length = lengths.contains(&length);
    let (confidence, claim) = match (result.key, same_length) {
        (KeyState::Other, true) => (
            // With the body unchanged nothing suggests that the message suffered on its way, b= included.
            if result.body == State::Intact { Confidence::Certain } else { Confidence::Likely },
            format!("the key at {name} is sound, and another key made the signature"),
        ),
        (KeyState::Other, false) => (
            // Base64 without a remainder may also be what is left of a longer one that the published key made.
            match length.is_multiple_of(3) && lengths.iter().any(|whole| *whole > length) {
                true => Confidence::Likely,
                false => Confidence::Certain,
            },
            format!(
                "the signature was made with a key of {} bits, and the one at {name} has {}",
                length * 8,
                result.key_bits.unwrap_or_default()
            ),
        ),
        _ => (
            Confidence::Possible,
            format!("the signature does not verify under the key at {name}: another key, or a changed header"),
        ),
    };
    let mut finding = Finding::breaks(&key_causes::KEY_MISMATCH, confidence, claim);
    if let Some(answer) = &result.answer {
        finding = finding.dns("the question for the key", answer);
    }
    if let Some(key) = published(result) {
        finding = finding.key("the published key", &key);
    }
    if let Some(expected) = &case.expected.key {
        finding = finding.key("the key expected", expected);
        if Oracle::Signature(result).knows(expected) == Match::Proven {
            finding = finding.text("the key expected", "it verifies this signature");
        }
    }
    Some(
        finding
            .fix(format!("compare p= at {name} with the value that the signer shows, and publish the signer's"))
            .fix("or let the signer load the private key that belongs to the published record"),
    )
}

/// A provider that signs only after it has seen its record has seen another one.
fn modified(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let selector = result.signature.selector.as_ref()?;
    let (profile, _) = case.expected.profile_of(Some(selector))?;
    let entry = profile.entry(selector).filter(|entry| profile.signs_only_when_verified && !entry.legacy)?;
    // Behind a CNAME the provider changes the key itself.
    if !profile.cname_targets.is_empty() {
        return None;
    }
    if result.key != KeyState::Other {
        return None;
    }
    let name = result.signature.key_name()?;
    let claim = format!(
        "the record at {name} was changed after {} verified it: it signs under {} only after it has seen its own key there",
        profile.title, entry.selector
    );
    let mut finding = Finding::breaks(&changed::RECORD_MODIFIED, Confidence::Likely, claim);
    if let Some(answer) = &result.answer {
        finding = finding.dns("the key record", answer);
    }
    Some(finding.fix(format!("publish at {name} the value that the console shows")))
}
