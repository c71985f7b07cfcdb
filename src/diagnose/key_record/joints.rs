//! How the pieces of a key fit: strings in the wrong order, pieces that are missing, repeated or too many.
//!
//! A key declares its length in its first octets. From it follows how many characters p= should have, and from the last
//! characters of nearly every RSA key (the exponent 65537: `IDAQAB`, or what becomes of it beside the padding that other
//! sizes than 1024 and 2048 bits need) whether its end is there.

use super::{
    set::{Entry, Trial, Trials},
    shape::orders,
    text::named,
};
use crate::{
    diagnose::{
        case::Oracle,
        register::{Cause, dns_record as causes, key as key_causes},
        secret::LENIENT,
    },
    dkim::{
        der,
        record::{Key, KeyRecord},
        tag::{self, TagList},
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::ops::Range;

/// Strings that are tried in every order: 120 ways for five.
const MAX_STRINGS: usize = 5;

/// The exponent 65537 as it ends an RSA key.
const EXPONENT: [u8; 5] = [2, 3, 1, 0, 1];

/// p= as published, and what it declares of itself.
pub(super) struct Published {
    /// Its base64 without blanks and padding.
    pub(super) text: String,
    /// Where p= stands in the record.
    pub(super) range: Range<usize>,
    /// Octets that are there.
    pub(super) octets: Vec<u8>,
    /// Octets that it declares; unknown if not even its beginning can be read.
    pub(super) declared: Option<usize>,
}

impl Published {
    /// Reads p=, if it is base64 and nothing else.
    pub(super) fn of(entry: &Entry<'_>) -> Option<Published> {
        Published::read(&entry.text)
    }

    fn read(record: &[u8]) -> Option<Published> {
        let list = TagList::read(record);
        let tag = list.get("p")?;
        let text = tag::without_blanks(tag.value).trim_end_matches('=').to_owned();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b)) {
            return None;
        }
        let whole = text.len() - usize::from(text.len() % 4 == 1);
        let octets = LENIENT.decode(&text[..whole]).ok()?;
        Some(Published { declared: der::declared(&octets), range: tag.range.clone(), octets, text })
    }

    /// The characters that p= should have, padding left out.
    pub(super) fn wanted(&self) -> Option<usize> {
        Some((self.declared? * 8).div_ceil(6))
    }

    /// Is its end there, however many octets are missing before it?
    pub(super) fn has_end(&self) -> bool {
        // Where a number of characters is missing that four does not divide, only the text still tells.
        ["IDAQAB", "gMBAAE", "CAwEAAQ"].iter().any(|end| self.text.ends_with(end)) || self.octets.ends_with(&EXPONENT)
    }
}

/// Tries the ways in which the pieces of one record may be wrong.
pub(super) fn repairs(trials: &mut Trials<'_, '_>) {
    let set = trials.set;
    for entry in set.entries.iter().filter(|entry| entry.is_refuted()).chain(set.broken()) {
        let attempt = |trials: &mut Trials<'_, '_>, cause: &'static Cause, text: Vec<u8>, claim: String| {
            let claim = named(set.entries.len(), entry, &claim);
            trials.attempt(Trial { cause, text, claim, also: None });
        };
        for (text, claim) in reordered(entry) {
            attempt(trials, &causes::STRINGS_ORDER, text, claim);
        }
        for (text, claim) in without_a_string(entry) {
            attempt(trials, &causes::STRINGS_MISSING, text, claim);
        }
        let Some(published) = Published::of(entry) else { continue };
        let with =
            |p: &str| [&entry.text[..published.range.start], p.as_bytes(), &entry.text[published.range.end..]].concat();
        for (p, claim, cause) in overlong(&published) {
            attempt(trials, cause, with(&padded(&p)), claim);
        }
        if let Some((p, claim)) = foreign(trials, &published, with) {
            attempt(trials, &key_causes::CORRUPT, with(&p), claim);
        }
        if let Some((p, claim)) = without_exponent(&published) {
            attempt(trials, &key_causes::TRUNCATED, with(&p), claim);
        }
        if let Oracle::Key(Key::Rsa { der, .. }) = set.key.oracle
            && let Some((cause, claim)) = part_of(&published, der)
        {
            attempt(trials, cause, with(&STANDARD.encode(der)), claim);
        }
    }
}

/// The strings of one record in every other order.
fn reordered(entry: &Entry<'_>) -> Vec<(Vec<u8>, String)> {
    let count = entry.strings.len();
    if !(2..=MAX_STRINGS).contains(&count) {
        return Vec::new();
    }
    orders(count)
        .into_iter()
        .filter(|order| order.len() == count && !order.is_sorted())
        .map(|order| {
            let text: Vec<u8> = order.iter().flat_map(|&at| entry.strings[at].iter().copied()).collect();
            let numbers: Vec<String> = order.iter().map(|at| (at + 1).to_string()).collect();
            (text, format!("the strings of the record are in the wrong order; the right one is {}", numbers.join(", ")))
        })
        .collect()
}

/// A string that stands there twice.
fn without_a_string(entry: &Entry<'_>) -> Vec<(Vec<u8>, String)> {
    let strings = entry.strings;
    if strings.len() > 16 {
        return Vec::new();
    }
    let twice = (1..strings.len()).filter(|&at| strings[at].len() >= 4 && strings[..at].contains(&strings[at]));
    twice
        .map(|at| {
            let kept = strings.iter().enumerate().filter(|(other, _)| *other != at);
            let text = kept.flat_map(|(_, string)| string.iter().copied()).collect();
            (text, format!("string {} of the record repeats an earlier one of {} octets", at + 1, strings[at].len()))
        })
        .collect()
}

/// More characters than the key declares: a piece that is repeated, or something that follows the key.
fn overlong(published: &Published) -> Vec<(String, String, &'static Cause)> {
    let text = &published.text;
    let Some(wanted) = published.wanted().filter(|wanted| *wanted < text.len()) else { return Vec::new() };
    let more = text.len() - wanted;
    let mut found: Vec<(String, String, &'static Cause)> = Vec::new();
    // A run of equal pieces gives the same text wherever it is cut.
    for at in (0..text.len()).take_while(|at| at + 2 * more <= text.len()) {
        if found.len() < 16 && text[at..at + more] == text[at + more..at + 2 * more] {
            let shorter = [&text[..at], &text[at + more..]].concat();
            if !found.iter().any(|(known, _, _)| *known == shorter) {
                let claim = match more {
                    1 => format!("1 character of p= stands there twice, at character {at}"),
                    _ => format!("{more} characters of p= stand there twice, from character {at} on"),
                };
                found.push((shorter, claim, &causes::STRINGS_MISSING));
            }
        }
    }
    let cut = text[..wanted].to_owned();
    let claim = match more {
        1 => format!("1 character follows the {wanted} of the key in p="),
        _ => format!("{more} characters follow the {wanted} of the key in p="),
    };
    let follows = (cut, claim, &causes::TRAILING_GARBAGE);
    // Two equal characters in a row are chance, four are not.
    let place = if more >= 4 { found.len() } else { 0 };
    found.insert(place, follows);
    found
}

/// The most characters that somebody types into a key by mistake.
const MAX_FOREIGN: usize = 4;

/// Characters in the middle that make the key longer than it declares, if the key without them is the right one. There
/// are as many places as characters, and each costs an RSA operation.
fn foreign(trials: &Trials<'_, '_>, published: &Published, with: impl Fn(&str) -> Vec<u8>) -> Option<(String, String)> {
    let text = &published.text;
    let more = text.len().checked_sub(published.wanted()?).filter(|more| (1..=MAX_FOREIGN).contains(more))?;
    let oracle = &trials.set.key.oracle;
    if trials.is_proven() || matches!(oracle, Oracle::None) {
        return None;
    }
    let without = |at: usize| padded(&[&text[..at], &text[at + more..]].concat());
    let is_right = |p: &str| KeyRecord::read(&with(p)).key.is_some_and(|key| oracle.knows(&key).is_signer());
    let (at, p) = (0..text.len() - more).map(|at| (at, without(at))).find(|(_, p)| is_right(p))?;
    let what = if more == 1 { "1 character stands".to_owned() } else { format!("{more} characters stand") };
    Some((p, format!("{what} in p= that the key does not have, from character {at} on")))
}

/// A key whose missing end is known, because it lies within the exponent.
fn without_exponent(published: &Published) -> Option<(String, String)> {
    let declared = published.declared?;
    let missing =
        declared.checked_sub(published.octets.len()).filter(|missing| (1..=EXPONENT.len()).contains(missing))?;
    let whole = [&published.octets[..], &EXPONENT[EXPONENT.len() - missing..]].concat();
    Some((STANDARD.encode(whole), cut(published)?))
}

/// What is published against the key that is expected: its beginning, or all but a piece in the middle.
fn part_of(published: &Published, expected: &[u8]) -> Option<(&'static Cause, String)> {
    let expected = STANDARD.encode(expected).trim_end_matches('=').to_owned();
    let text = &published.text;
    if text.len() >= expected.len() {
        return None;
    }
    let equal = |(one, other): &(u8, u8)| one == other;
    let front = text.bytes().zip(expected.bytes()).take_while(equal).count();
    let back = text.bytes().rev().zip(expected.bytes().rev()).take_while(equal).count();
    match front {
        _ if front == text.len() => Some((&key_causes::TRUNCATED, cut(published)?)),
        _ if front + back >= text.len() => Some((
            &causes::STRINGS_MISSING,
            format!("{} characters of p= are missing from character {front} on", expected.len() - text.len()),
        )),
        _ => None,
    }
}

/// `the key is cut: 239 of 392 characters of p= are published`.
pub(super) fn cut(published: &Published) -> Option<String> {
    let wanted = published.declared?.div_ceil(3) * 4;
    Some(format!("the key is cut: {} of {wanted} characters of p= are published", published.text.len()))
}

/// With the padding that its length wants.
pub(super) fn padded(text: &str) -> String {
    format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4))
}
