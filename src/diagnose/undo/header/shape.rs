//! Folds and blanks: of one field, of all of them, and of the signature's own.

use super::{Edit, Signed, closed};
use crate::{
    diagnose::register::{Cause, modified_header as causes},
    dkim::{Canon, canon},
    message::Field,
    verify::dkim::emptied,
};

/// A line shorter than this was not folded for its length.
const LONG: usize = 900;

/// Octets of signed fields beyond which they are not all written anew.
const MAX_WHOLE: usize = 64 * 1024;

/// Places of one field at which a fold is tried.
const MAX_FOLDS: usize = 30;

/// Guesses about the folds of one field.
pub fn edits(signed: &Signed<'_>, at: usize, field: Field<'_>) -> Vec<Edit> {
    let raw = field.raw();
    let name = String::from_utf8_lossy(field.name()).into_owned();
    let mut edits = Vec::new();
    if let Some(joined) = joined(raw, |line| line >= LONG, true) {
        let claim = format!("a line of {name} of more than {LONG} characters was folded within a word after signing");
        edits.push(signed.raw(at, field, &joined, &causes::LONG_FOLDED, claim, 8));
    }
    if let Some(joined) = joined(raw, |_| true, true) {
        let claim = format!("{name} was folded within a word after signing");
        edits.push(signed.raw(at, field, &joined, &causes::LONG_FOLDED, claim, 24));
    }
    if signed.canon == Canon::Simple {
        for (number, form) in refolded(raw).into_iter().enumerate() {
            let claim = format!("{name} was folded in another way when it was signed, and c=simple counts folds");
            edits.push(signed.raw(at, field, &form, &causes::REFOLDED, claim, 16 + number as u8));
        }
        for form in folded_once(raw) {
            let claim = format!("{name} had another fold when it was signed, and c=simple counts folds");
            edits.push(signed.raw(at, field, &form, &causes::REFOLDED, claim, 40));
        }
        for (form, cause, claim) in spaced(field) {
            edits.push(signed.raw(at, field, &form, cause, format!("{name}: {claim}"), 18));
        }
    }
    edits
}

/// The field with folds taken out, where the line before is long enough; with the blank behind the fold, or without.
fn joined(raw: &[u8], long: impl Fn(usize) -> bool, blank: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(raw.len());
    let (mut line, mut at, mut count) = (0, 0, 0);
    while at < raw.len() {
        if raw[at..].starts_with(b"\r\n") {
            let length = at - line;
            at += 2;
            line = at;
            if long(length) {
                count += 1;
                at += usize::from(blank);
            } else {
                out.extend_from_slice(b"\r\n");
            }
        } else {
            out.push(raw[at]);
            at += 1;
        }
    }
    (count > 0).then_some(out)
}

/// Other folds of the same words: none, tabs for spaces and back, and lines of 78.
fn refolded(raw: &[u8]) -> Vec<Vec<u8>> {
    let flat: Vec<u8> = joined(raw, |_| true, false).unwrap_or_else(|| raw.to_vec());
    let mut forms = vec![flat.clone()];
    for (from, to) in [
        (&b"\r\n\t"[..], &b"\r\n "[..]),
        (b"\r\n ", b"\r\n\t"),
        (b"\r\n ", b"\r\n        "),
        (b"\r\n        ", b"\r\n "),
        (b"\r\n    ", b"\r\n "),
        (b"\r\n ", b"\r\n  "),
    ] {
        forms.push(replaced(raw, from, to));
    }
    for tab in [b' ', b'\t'] {
        for width in [78, 76, 72] {
            forms.push(folded(&flat, width, tab));
        }
    }
    let single = replaced(&flat, b"\t", b" ");
    forms.push(single);
    let colon = flat.iter().position(|&b| b == b':').map_or(flat.len(), |at| at + 1);
    let value = colon + flat[colon..].iter().take_while(|b| **b == b' ').count();
    for (from, to) in [
        (&b", "[..], &b",\r\n "[..]),
        (b", ", b",\r\n\t"),
        (b"; ", b";\r\n "),
        (b"; ", b";\r\n\t"),
        (b" ", b"\r\n "),
        (b" ", b"\r\n\t"),
    ] {
        forms.push([&flat[..value], &replaced(&flat[value..], from, to)].concat());
    }
    forms.push(runs_reduced(raw));
    forms.retain(|form| form != raw);
    forms
}

/// The field as one line, folded before one of its words.
fn folded_once(raw: &[u8]) -> Vec<Vec<u8>> {
    let flat = joined(raw, |_| true, false).unwrap_or_else(|| raw.to_vec());
    let blanks = flat.iter().enumerate().filter(|(_, octet)| matches!(octet, b' ' | b'\t'));
    let places: Vec<usize> = blanks.map(|(at, _)| at).take(MAX_FOLDS).collect();
    let fold = |at: usize, fold: &[u8], kept: usize| [&flat[..at], fold, &flat[at + kept..]].concat();
    let kept = places.iter().map(|&at| fold(at, b"\r\n", 0));
    kept.chain(places.iter().map(|&at| fold(at, b"\r\n\t", 1))).filter(|form| form != raw).collect()
}

/// One blank for each run of them within a line; what stands at the start of a line is a fold.
fn runs_reduced(raw: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(raw.len());
    for &byte in raw {
        let is_blank = |byte: u8| matches!(byte, b' ' | b'\t');
        if !(is_blank(byte) && out.last().is_some_and(|last| is_blank(*last))) {
            out.push(byte);
        }
    }
    out
}

fn replaced(raw: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        if raw[at..].starts_with(from) {
            out.extend_from_slice(to);
            at += from.len();
        } else {
            out.push(raw[at]);
            at += 1;
        }
    }
    out
}

/// Folded before a blank, so that no line is longer than `width`; the blank becomes `blank`.
fn folded(flat: &[u8], width: usize, blank: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(flat.len() + 16);
    let mut line = 0;
    for word in flat.split_inclusive(|&b| b == b' ') {
        let length = word.trim_ascii_end().len();
        if line > 0 && line + length > width && out.ends_with(b" ") {
            out.pop();
            out.extend_from_slice(b"\r\n");
            out.push(blank);
            line = 1;
        }
        out.extend_from_slice(word);
        line += word.len();
    }
    out
}

/// Blanks at the ends of the value, and the case of the name: simple counts them.
fn spaced(field: Field<'_>) -> Vec<(Vec<u8>, &'static Cause, String)> {
    let (name, value) = (field.name(), field.value());
    let of = |value: &[u8]| [name, b":", value].concat();
    let mut forms = Vec::new();
    match value.strip_prefix(b" ") {
        Some(rest) => forms.push((
            of(rest),
            &causes::LEADING_SPACE_LOST,
            "a space behind the colon was added after signing".into(),
        )),
        None => forms.push((
            of(&[b" ", value].concat()),
            &causes::LEADING_SPACE_LOST,
            "the space behind the colon was lost after signing".into(),
        )),
    }
    let trimmed = value.trim_ascii_end();
    if trimmed.len() < value.len() {
        forms.push((
            of(trimmed),
            &causes::REFOLDED,
            "blanks were added at the end after signing, and c=simple counts them".into(),
        ));
    } else {
        forms.push((
            of(&[value, b" "].concat()),
            &causes::REFOLDED,
            "the blank at the end was lost after signing, and c=simple counts it".into(),
        ));
    }
    let lower = name.to_ascii_lowercase();
    for other in [lower.clone(), name.to_ascii_uppercase(), capitalized(&lower), usual(&lower)] {
        if other != name {
            forms.push((
                [&other[..], b":", value].concat(),
                &causes::REFOLDED,
                "the case of its name was changed after signing, and c=simple counts it".into(),
            ));
        }
    }
    forms
}

fn capitalized(lower: &[u8]) -> Vec<u8> {
    let mut start = true;
    lower
        .iter()
        .map(|&byte| {
            let out = if start { byte.to_ascii_uppercase() } else { byte };
            start = byte == b'-';
            out
        })
        .collect()
}

/// The usual case of a name that is in small letters.
pub fn usual(lower: &[u8]) -> Vec<u8> {
    match lower {
        b"message-id" => b"Message-ID".to_vec(),
        b"mime-version" => b"MIME-Version".to_vec(),
        _ => capitalized(lower),
    }
}

/// Guesses about all signed fields at once, under c=simple.
pub fn whole(signed: &Signed<'_>) -> Vec<Edit> {
    if signed.canon != Canon::Simple || signed.size() > MAX_WHOLE {
        return Vec::new();
    }
    let mut edits = Vec::new();
    let own = emptied(signed.fields[signed.result.field], &signed.result.signature);
    let every = |change: &dyn Fn(&[u8]) -> Vec<u8>| -> Vec<(usize, Vec<u8>)> {
        let fields = signed
            .places
            .iter()
            .enumerate()
            .filter_map(|(at, place)| Some((at, closed(Canon::Simple, &change(signed.fields[(*place)?].raw())))));
        let own = own.iter().map(|own| {
            let mut out = Vec::new();
            canon::header_field_open(Canon::Simple, &change(own), &mut out);
            (signed.places.len(), out)
        });
        fields.chain(own).collect()
    };
    let value = |raw: &[u8], change: &dyn Fn(&[u8]) -> Vec<u8>| {
        let colon = raw.iter().position(|&b| b == b':').map_or(raw.len(), |at| at + 1);
        [&raw[..colon], &change(&raw[colon..])[..]].concat()
    };
    let name = |raw: &[u8], change: &dyn Fn(&[u8]) -> Vec<u8>| {
        let colon = raw.iter().position(|&b| b == b':').unwrap_or(raw.len());
        [&change(&raw[..colon].to_ascii_lowercase()), &raw[colon..]].concat()
    };
    let flat = |raw: &[u8]| joined(raw, |_| true, false).unwrap_or_else(|| raw.to_vec());
    let (lost, added) = (&causes::LEADING_SPACE_LOST, &causes::REFOLDED);
    let (names, folds) = (
        "the names of fields were written in another case after signing, and c=simple counts it",
        "fields were folded in another way after signing, and c=simple counts folds",
    );
    type Change<'c> = &'c dyn Fn(&[u8]) -> Vec<u8>;
    let guesses: [(Change<'_>, &'static Cause, &str); 14] = [
        (
            &|raw| value(raw, &|value| if value.starts_with(b" ") { value.to_vec() } else { [b" ", value].concat() }),
            lost,
            "the space behind the colon of every field was lost after signing",
        ),
        (
            &|raw| value(raw, &|value| value.strip_prefix(b" ").unwrap_or(value).to_vec()),
            lost,
            "a space behind the colon of every field was added after signing",
        ),
        (
            &|raw| raw.trim_ascii_end().to_vec(),
            added,
            "blanks were added at the ends of fields after signing, and c=simple counts them",
        ),
        (
            &|raw| runs_reduced(raw).trim_ascii_end().to_vec(),
            added,
            "blanks were added to fields after signing, and c=simple counts them",
        ),
        (&|raw| flat(raw), added, "fields were folded after signing, and c=simple counts folds"),
        (
            &|raw| replaced(raw, b"\r\n ", b"\r\n\t"),
            added,
            "the tabs of folds became spaces after signing, and c=simple counts them",
        ),
        (
            &|raw| replaced(raw, b"\r\n\t", b"\r\n "),
            added,
            "the spaces of folds became tabs after signing, and c=simple counts them",
        ),
        (&|raw| name(raw, &usual), added, names),
        (&|raw| name(raw, &capitalized), added, names),
        (&|raw| name(raw, &<[u8]>::to_vec), added, names),
        (&|raw| folded(&flat(raw), 78, b' '), added, folds),
        (&|raw| folded(&flat(raw), 76, b' '), added, folds),
        (&|raw| folded(&flat(raw), 78, b'\t'), added, folds),
        (&|raw| folded(&flat(raw), 76, b'\t'), added, folds),
    ];
    for (change, cause, claim) in guesses {
        // Only what differs counts as changed; and the signature's own field was written last, so that the change may have
        // passed it by.
        let changes: Vec<_> = every(change).into_iter().filter(|(at, new)| signed.octets[*at] != *new).collect();
        let without = changes.iter().filter(|(at, _)| *at < signed.places.len()).cloned().collect();
        for changes in [changes, without] {
            let shown = (String::new(), String::new());
            edits.push(Edit { changes, cause, claim: claim.into(), before: shown.0, after: shown.1, rank: 7 });
        }
    }
    edits
}

/// Guesses about the signature's own field.
pub fn own(signed: &Signed<'_>) -> Vec<Edit> {
    let at = signed.places.len();
    let Some(raw) = emptied(signed.fields[signed.result.field], &signed.result.signature) else { return Vec::new() };
    let mut forms = Vec::new();
    if signed.canon == Canon::Simple {
        forms.extend(refolded(&raw));
    }
    forms.extend(joined(&raw, |_| true, true));
    // Blanks that a fold brought into the values of tags.
    forms.push(raw.iter().copied().filter(|b| !b" \t\r\n".contains(b)).collect());
    forms.push(tags_spaced(&raw));
    forms
        .into_iter()
        .map(|form| {
            let mut octets = Vec::new();
            canon::header_field_open(signed.canon, &form, &mut octets);
            Edit {
                changes: vec![(at, octets)],
                cause: &causes::REFOLDED,
                claim: "the signature's own field was folded or spaced in another way when it was signed".into(),
                before: super::shown(&form),
                after: super::shown(&raw),
                rank: 20,
            }
        })
        .collect()
}

/// One space behind each semicolon, and none elsewhere.
fn tags_spaced(raw: &[u8]) -> Vec<u8> {
    let colon = raw.iter().position(|&b| b == b':').map_or(raw.len(), |at| at + 1);
    let mut out = raw[..colon].to_vec();
    out.push(b' ');
    for byte in raw[colon..].iter().copied().filter(|b| !b" \t\r\n".contains(b)) {
        out.push(byte);
        if byte == b';' {
            out.push(b' ');
        }
    }
    if out.ends_with(b" ") {
        out.pop();
    }
    out
}
