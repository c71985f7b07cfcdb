//! A record whose parts were put together wrongly: character-strings that touch, and terms in a TXT record of their own.
//!
//! The strings of one TXT record are joined as they are (RFC 7208 §3.3), and separate TXT records are never joined. Both
//! go wrong where a panel splits a value by itself or asks for its lines.

use super::{
    Judged, Sight,
    mend::is_term,
    show::{caret, count},
};
use crate::{
    diagnose::{
        finding::{Confidence, Finding},
        register::spf as causes,
    },
    spf::{Mechanism, Record, TermKind, has_version},
};

/// Joints that are tried in every combination; beyond that, all of them and each alone.
const JOINTS: usize = 4;

/// TXT records without a version that are taken for parts of the record.
const PARTS: usize = 3;

/// Repairs of one kind that are tried on the client.
const TRIALS: usize = 8;

/// One record, several strings, and a blank missing where they touch.
pub fn misjoined(judged: &Judged<'_>, sight: Sight<'_>) -> Option<Finding> {
    let strings = sight.answer.txt().find(|strings| {
        let text = strings.concat();
        strings.len() > 1 && sight.record.is_none_or(|record| record.as_bytes() == text) && begins(&text)
    })?;
    let repairs: Vec<Vec<u8>> = spaced(strings).into_iter().take(TRIALS).collect();
    let is_valid = sight.record.is_some_and(Record::is_valid);
    let passing = repairs.iter().find(|repair| judged.passes(sight.domain, repair));
    // A record that is sound as it stands is misjoined only if another reading is proved.
    let repair = passing.or(repairs.first().filter(|_| !is_valid))?;
    let confidence = if passing.is_some() { Confidence::Certain } else { Confidence::Likely };
    let text = strings.concat();
    let joint = joints(strings).first().copied().unwrap_or(strings[0].len());
    let word = |byte: &u8| *byte == b' ';
    let start = text[..joint].iter().rposition(word).map_or(0, |at| at + 1);
    let end = text[joint..].iter().position(word).map_or(text.len(), |at| at + joint);
    let claim = format!(
        "the {} of the record are joined without a blank, which makes {} one word",
        count(strings.len(), "string"),
        super::show::short(&String::from_utf8_lossy(&text[start..end])),
    );
    let finding = judged
        .breaks(&causes::STRINGS_MISJOINED, confidence, claim)
        .dns("the TXT records", sight.answer)
        .text("the record as it is joined", caret(&text, start..end))
        .trial(judged)
        .repaired(sight, repair)
        .fix("enter the value as one string, or end each string but the last with a blank");
    Some(finding)
}

/// One record begins with the version, and its terms go on in another TXT record.
pub fn split(judged: &Judged<'_>, sight: Sight<'_>) -> Option<Finding> {
    let record = sight.record?;
    let texts = sight.answer.joined_txt();
    let parts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).filter(|text| is_part(text)).collect();
    if parts.is_empty() || parts.len() > PARTS {
        return None;
    }
    let repairs: Vec<Vec<u8>> = joined(record, &parts).into_iter().take(TRIALS).collect();
    let passing = repairs.iter().find(|repair| judged.passes(sight.domain, repair));
    // Without proof: only where the record is visibly not whole.
    let whole = record.is_valid() && (has_all(record) || record.redirect().is_some());
    let repair = passing.or(repairs.first().filter(|_| !whole))?;
    let confidence = if passing.is_some() { Confidence::Certain } else { Confidence::Likely };
    let claim = format!(
        "the SPF record of {} goes on in {}, which no receiver joins to it",
        sight.domain,
        if parts.len() == 1 { "another TXT record".to_owned() } else { format!("{} other TXT records", parts.len()) },
    );
    let finding = judged
        .breaks(&causes::SPLIT_ACROSS_RECORDS, confidence, claim)
        .dns("the TXT records", sight.answer)
        .trial(judged)
        .fix(format!("delete the TXT records of {} that hold parts", sight.domain))
        .repaired(sight, repair);
    Some(finding)
}

/// The record with blanks at its joints, as many ways as make a sound record: first with a blank wherever two terms touch,
/// for that is where people split, and a client that an earlier term names passes however the rest is glued.
pub fn spaced(strings: &[Box<[u8]>]) -> Vec<Vec<u8>> {
    let text = strings.concat();
    let joints = joints(strings);
    let all = (1u32 << joints.len().min(16)) - 1;
    let between = between_terms(&text, &joints);
    let mut choices: Vec<u32> = match joints.len() {
        0 => Vec::new(),
        1..=JOINTS => (1..=all).collect(),
        more => [between].into_iter().chain((0..more.min(16)).map(|at| 1 << at)).chain([u32::MAX]).collect(),
    };
    choices.sort_by_key(|choice| ((choice ^ between).count_ones(), choice.count_ones()));
    let with_blanks = |choice: u32| {
        let mut out = Vec::with_capacity(text.len() + joints.len());
        let mut from = 0;
        for (at, &joint) in joints.iter().enumerate() {
            out.extend(&text[from..joint]);
            if choice == u32::MAX || at < 16 && choice >> at & 1 == 1 {
                out.push(b' ');
            }
            from = joint;
        }
        out.extend(&text[from..]);
        out
    };
    choices.into_iter().map(with_blanks).filter(|text| has_version(text) && Record::read(text).0.is_valid()).collect()
}

/// At which joints two terms touch, as a set of bits; beyond the 16th there is none.
fn between_terms(text: &[u8], joints: &[usize]) -> u32 {
    let word_end = |from: usize, to: usize| text[from..to].iter().position(|&byte| byte == b' ').map(|at| from + at);
    joints.iter().take(16).enumerate().fold(0, |found, (at, &joint)| {
        let from = if at == 0 { 0 } else { joints[at - 1] };
        let to = joints.get(at + 1).copied().unwrap_or(text.len());
        let start = text[from..joint].iter().rposition(|&byte| byte == b' ').map_or(from, |blank| from + blank + 1);
        let (left, right) = (&text[start..joint], &text[joint..word_end(joint, to).unwrap_or(to)]);
        let is_whole = |word: &[u8]| is_term(word) || word.eq_ignore_ascii_case(b"v=spf1");
        if is_whole(left) && is_term(right) { found | 1 << at } else { found }
    })
}

/// Where strings touch without a blank, in octets of the whole.
fn joints(strings: &[Box<[u8]>]) -> Vec<usize> {
    let mut at = 0;
    let mut joints = Vec::new();
    for pair in strings.windows(2) {
        at += pair[0].len();
        let touch = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b' ');
        if touch(pair[0].last()) && touch(pair[1].first()) {
            joints.push(at);
        }
    }
    joints
}

fn begins(text: &[u8]) -> bool {
    text.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"v=spf1"))
}

fn has_all(record: &Record) -> bool {
    record.terms().iter().any(|term| matches!(term.kind, TermKind::Directive { mechanism: Mechanism::All, .. }))
}

/// Is this text the rest of an SPF record: terms and nothing else, but for the end of a term that was cut?
fn is_part(text: &[u8]) -> bool {
    if text.len() > 4096 || !text.is_ascii() || begins(text) {
        return false;
    }
    let words: Vec<&[u8]> = text.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect();
    let terms = words.iter().filter(|word| is_term(word)).count();
    let says_much = words.iter().any(|word| is_term(word) && (word.contains(&b':') || word.ends_with(b"all")));
    says_much && (terms == words.len() || (terms + 1 == words.len() && !is_term(words[0])))
}

/// The record with its parts, in every order and joined with and without blanks, as far as that makes a sound record.
fn joined(record: &Record, parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for order in orders(parts) {
        for choice in 0..1u32 << order.len() {
            let mut text = record.as_bytes().to_vec();
            for (at, part) in order.iter().enumerate() {
                let blank = choice >> at & 1 == 0 && !text.ends_with(b" ") && !part.starts_with(b" ");
                text.extend(blank.then_some(b' '));
                text.extend(*part);
            }
            found.push(text);
        }
    }
    // Parts that come after `all` have no effect: put before it, they do.
    if has_all(record) {
        let words = parts.iter().flat_map(|part| part.split(|&byte| byte == b' '));
        let terms: Vec<&[u8]> = words.filter(|word| is_term(word) && !is_all(word)).collect();
        if !terms.is_empty() {
            found.push(record.with_added(&String::from_utf8_lossy(&terms.join(&b' '))));
        }
    }
    found.retain(|text| Record::read(text).0.is_valid());
    found
}

pub fn is_all(word: &[u8]) -> bool {
    super::mend::without_qualifier(word).eq_ignore_ascii_case(b"all")
}

/// Every order of at most three parts.
fn orders<'p>(parts: &[&'p [u8]]) -> Vec<Vec<&'p [u8]>> {
    let Some((first, rest)) = parts.split_first() else { return vec![Vec::new()] };
    let mut found = Vec::new();
    for order in orders(rest) {
        for at in 0..=order.len() {
            let mut longer = order.clone();
            longer.insert(at, first);
            found.push(longer);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::spaced;

    #[test]
    fn joints_without_a_blank_get_one() {
        let strings = |words: &[&str]| words.iter().map(|word| word.as_bytes().into()).collect::<Vec<Box<[u8]>>>();
        for (words, want) in [
            (&["v=spf1", "include:x.example", "~all"][..], "v=spf1 include:x.example ~all"),
            (&["v=spf1 include:x.exam", "ple", "~all"], "v=spf1 include:x.example ~all"),
            (
                &["v=spf1", "include:x.example", "include:y.example", "-all"],
                "v=spf1 include:x.example include:y.example -all",
            ),
            (
                &["v=spf1", "mx", "a:x.example", "include:y.example", "ip4:192.0.2.1", "ip4:192.0.2.2", "~all"],
                "v=spf1 mx a:x.example include:y.example ip4:192.0.2.1 ip4:192.0.2.2 ~all",
            ),
            (&["v=spf1 mx ", "~all"], ""),
            (&["hello", "world"], ""),
        ] {
            let found = spaced(&strings(words)).into_iter().next().unwrap_or_default();
            assert_eq!(String::from_utf8_lossy(&found), want);
        }
        // However many there are.
        let many = strings(&["v=spf1"].into_iter().chain(["ip4:192.0.2.1"; 200]).collect::<Vec<_>>());
        assert_eq!(spaced(&many).len(), 1);
    }
}
