//! z=: the copies of the fields that some signers put into the signature say at once what changed.

use super::{Change, Signed, closed, shown, unfolded, words};
use crate::{
    diagnose::{
        register::{Cause, modified_header as causes},
        undo::body::Step,
    },
    dkim::tag::TagList,
};

/// Copies that are looked at.
const MAX_COPIES: usize = 200;

/// The fields that differ from their copies, if with the copies the signature fits.
pub fn search(signed: &Signed<'_>, mut fits: impl FnMut(&[Change]) -> bool) -> Option<Vec<Step>> {
    let list = signed.fields[signed.result.field].value();
    let copies = read(TagList::read(list).value("z")?);
    let turned: Vec<(String, Vec<u8>)> = copies.iter().rev().cloned().collect();
    // A signer may copy some of the fields only; then what has no copy is as it was. Fields of one name are copied in the
    // order in which they are signed, or in that of the header, which is the reverse.
    [(&copies, false), (&copies, true), (&turned, false), (&turned, true)].into_iter().find_map(|(copies, complete)| {
        let (changes, steps): (Vec<Change>, Vec<Step>) = differences(signed, copies, complete).into_iter().unzip();
        (!changes.is_empty() && fits(&changes)).then_some(steps)
    })
}

/// Where the fields differ from their copies; `complete` says that a field without a copy was not there.
fn differences(signed: &Signed<'_>, copies: &[(String, Vec<u8>)], complete: bool) -> Vec<(Change, Step)> {
    let mut out = Vec::new();
    for (at, place) in signed.places.iter().enumerate() {
        let name = &signed.result.signature.fields[at];
        let is = |other: &str| other.eq_ignore_ascii_case(name);
        let number = signed.result.signature.fields[..at].iter().filter(|other| is(other)).count();
        let of_name: Vec<_> = copies.iter().filter(|(copied, _)| is(copied)).collect();
        let copy = of_name.get(number).copied();
        // Where some of a name were copied, all of them were.
        let complete = complete || !of_name.is_empty();
        let field = place.map(|place| signed.fields[place]);
        let raw = match (copy, field) {
            (Some((_, value)), Some(field)) => {
                [&field.raw()[..field.raw().len() - field.value().len()], value].concat()
            }
            (Some((name, value)), None) => [name.as_bytes(), b":", value].concat(),
            (None, _) if complete => Vec::new(),
            (None, _) => continue,
        };
        let octets = if raw.is_empty() { Vec::new() } else { closed(signed.canon, &raw) };
        if octets != signed.octets[at] {
            out.push(((at, octets), step(name, &raw, field.map(|field| field.raw()))));
        }
    }
    out
}

fn step(name: &str, before: &[u8], after: Option<&[u8]>) -> Step {
    let cause = cause(name, before, after);
    let what = match (before.is_empty(), after) {
        (true, _) => "was added after signing",
        (_, None) => "was removed after signing",
        _ => "was changed after signing",
    };
    let mut evidence = Vec::new();
    if !before.is_empty() {
        evidence.push(("before".to_owned(), shown(before)));
    }
    if let Some(after) = after {
        evidence.push(("after".to_owned(), shown(after)));
    }
    Step { cause, claim: format!("{name} {what}, as the copy in z= shows"), shown: evidence }
}

/// What kind of change this is.
fn cause(name: &str, before: &[u8], after: Option<&[u8]>) -> &'static Cause {
    let Some(after) = after else { return &causes::REMOVED };
    if before.is_empty() {
        return &causes::ADDED_AFTER_SIGNING;
    }
    let flat = |raw: &[u8]| unfolded(raw).split_whitespace().collect::<Vec<_>>().join(" ");
    let (before, after) = (flat(before), flat(after));
    if before == after {
        return &causes::REFOLDED;
    }
    let same_text = words::decoded(&before).0 == words::decoded(&after).0;
    match name.to_ascii_lowercase().as_str() {
        _ if same_text && !before.is_ascii() => &causes::RAW_8BIT_ENCODED,
        "subject" if same_text => &causes::SUBJECT_REENCODED,
        "subject" if after.ends_with(value(&before)) => &causes::SUBJECT_TAGGED,
        "from" if domain(&before) != domain(&after) => &causes::FROM_REWRITTEN,
        "from" | "to" | "cc" | "reply-to" | "sender" => &causes::ADDRESS_REWRITTEN,
        "date" => &causes::DATE_REWRITTEN,
        "message-id" => &causes::MESSAGE_ID_REPLACED,
        "mime-version" => &causes::MIME_REWRITTEN,
        other if other.starts_with("content-") => &causes::MIME_REWRITTEN,
        _ => &causes::UNATTRIBUTED,
    }
}

fn value(field: &str) -> &str {
    field.split_once(':').map_or(field, |(_, value)| value).trim()
}

fn domain(text: &str) -> Option<String> {
    let (_, domain) = text.rsplit_once('@')?;
    Some(domain.trim_end_matches('>').to_ascii_lowercase())
}

/// The copies: names, and values as they were.
fn read(value: &str) -> Vec<(String, Vec<u8>)> {
    value
        .split('|')
        .take(MAX_COPIES)
        .filter_map(|copy| {
            let (name, value) = copy.split_once(':')?;
            let text: Vec<u8> = value.bytes().filter(|b| !b" \t\r\n".contains(b)).collect();
            Some((name.trim().to_owned(), crate::diagnose::undo::encode::unquoted(&text)))
        })
        .collect()
}
