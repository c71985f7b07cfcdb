//! What we signed ourselves, where a record of it was kept: the copy against it, line by line and word by word.
//!
//! The record holds digests and no text. So what was added is shown, of what was changed or removed its place is, and a
//! change that only added something can be undone and hashed like every other guess.

use super::{
    body::{Step, inserted, removed},
    header::{Change, Signed, closed},
    mime,
    oneshot::some,
    search::{Target, lines},
};
use crate::{
    diagnose::{
        case::Case,
        finding::{Confidence, Finding, Value},
        register::{Cause, modified as causes, modified_header as header_causes},
    },
    message::Field,
    signed::compare::{BodyChange, Comparison, FieldChange, Hunk, Word},
    verify::dkim::DkimResult,
};
use sha2::{Digest, Sha256};
use std::ops::Range;

/// What the difference is called among the evidence.
pub const LABEL: &str = "against what was signed";

/// Lines of a difference that are shown of each kind and place.
const MAX_LINES: usize = 12;
/// Places that are shown.
const MAX_HUNKS: usize = 8;
/// Characters of a line that are shown.
const MAX_LINE: usize = 200;

/// What the record says of this signature, if it was asked and has it.
pub fn of<'c>(case: &Case<'c>, result: &DkimResult) -> Option<&'c Comparison> {
    case.expected.signed.get(&result.index).map(|comparison| &**comparison)
}

/// The changes of a body that only added lines, if without them it is the one that was signed.
pub fn undone(case: &Case<'_>, comparison: &Comparison, target: &Target) -> Option<Vec<Step>> {
    let (body, change) = (case.body?, comparison.body.as_ref()?);
    if change.hunks.is_empty() || !change.complete || change.hunks.iter().any(|hunk| !hunk.signed.is_empty()) {
        return None;
    }
    let mut hash = Sha256::new();
    let added = |number: usize| change.hunks.iter().any(|hunk| hunk.copy.contains(&number));
    for (_, line) in change.lines.iter().enumerate().filter(|(number, _)| !added(*number)) {
        hash.update(line);
        hash.update(b"\r\n");
    }
    (<[u8; 32]>::from(hash.finalize()) == target.hash).then_some(())?;
    let mut ends = vec![0];
    ends.extend(lines(body).scan(0, |at, line| {
        *at += line.len();
        Some(*at)
    }));
    let place = |number: usize| ends.get(number).copied().unwrap_or(body.len());
    let parts = mime::read(case.header, body);
    Some(change.hunks.iter().map(|hunk| added_block(body, &parts, change, hunk, place)).collect())
}

/// Lines that were added, at the start or at the end of the body or of one of its parts, or between.
fn added_block(
    body: &[u8],
    parts: &[mime::Part],
    change: &BodyChange,
    hunk: &Hunk,
    place: impl Fn(usize) -> usize,
) -> Step {
    let block = place(hunk.copy.start)..place(hunk.copy.end);
    let (first, last) = (hunk.copy.start == 0, hunk.copy.end >= change.lines.len());
    if last {
        return removed(body, block, "the end of the body");
    }
    if first {
        return inserted(body, block, "the start of the body");
    }
    let near = |at: usize, edge: usize| at.abs_diff(edge) <= 4;
    let texts = || parts.iter().skip(1).filter(|part| part.is_text());
    if let Some(part) = texts().find(|part| near(block.end, part.content.end)) {
        return removed(body, block, &format!("the end of {}", super::body::called(part)));
    }
    if let Some(part) = texts().find(|part| near(block.start, part.content.start)) {
        return inserted(body, block, &format!("the start of {}", super::body::called(part)));
    }
    let claim = format!(
        "{} added within the body after signing, behind line {}",
        some(hunk.copy.len(), "line was", "lines were"),
        hunk.copy.start
    );
    let shown = vec![("removed to verify".into(), super::diff::text(&body[block]))];
    Step { cause: &causes::CHANGED_UNATTRIBUTED, claim, shown }
}

/// A body that differs from the record in a way that could not be undone.
pub fn body(comparison: &Comparison) -> Option<Finding> {
    let change = comparison.body.as_ref().filter(|change| !change.hunks.is_empty())?;
    let (signed, copy) = (change.signed, change.lines.len());
    let cut = match &change.hunks[..] {
        [only] => only.copy.is_empty() && only.signed.end == signed && change.complete,
        _ => false,
    };
    let finding = if cut {
        let claim = format!("the last {} lines of {signed} that were signed are missing", signed - copy);
        Finding::breaks(&causes::TRUNCATED, Confidence::Likely, claim)
    } else {
        let claim = format!("the body is not the one that was signed: {}", places(&change.hunks));
        Finding::breaks(&causes::CHANGED_UNATTRIBUTED, Confidence::Certain, claim)
    };
    let finding = with_body(finding, comparison);
    Some(super::companion::fix(finding.cause).iter().fold(finding, |finding, step| finding.fix(*step)))
}

/// The finding with the lines that differ from the record, as a diff.
pub fn with_body(finding: Finding, comparison: &Comparison) -> Finding {
    let Some(change) = comparison.body.as_ref().filter(|change| !change.hunks.is_empty()) else {
        return finding;
    };
    let mut text = String::new();
    for hunk in change.hunks.iter().take(MAX_HUNKS) {
        text.push_str(&format!("@@ {} @@\n", place(hunk)));
        if !hunk.signed.is_empty() {
            text.push_str(&format!("-({}, of which no text is kept)\n", some(hunk.signed.len(), "line", "lines")));
        }
        for line in change.lines[hunk.copy.clone()].iter().take(MAX_LINES) {
            let line = String::from_utf8_lossy(line).replace(['\r', '\n'], "\u{fffd}");
            text.push_str(&format!("+{}\n", line.chars().take(MAX_LINE).collect::<String>()));
        }
        if hunk.copy.len() > MAX_LINES {
            text.push_str(&format!("+… {} more lines\n", hunk.copy.len() - MAX_LINES));
        }
    }
    if change.hunks.len() > MAX_HUNKS {
        text.push_str(&format!("… {} more places\n", change.hunks.len() - MAX_HUNKS));
    }
    if !change.complete {
        text.push_str(&format!("(of the body as signed only the first {} lines are known)\n", change.signed));
    }
    finding.with("signed here", Value::Time(comparison.time)).text(LABEL, text)
}

fn places(hunks: &[Hunk]) -> String {
    let mut said: Vec<String> = hunks.iter().take(3).map(place).collect();
    if hunks.len() > 3 {
        said.push(format!("{} more places", hunks.len() - 3));
    }
    said.join("; ")
}

fn place(hunk: &Hunk) -> String {
    let range = |range: &Range<usize>| match range.len() {
        1 => format!("line {}", range.start + 1),
        _ => format!("lines {} to {}", range.start + 1, range.end),
    };
    match (hunk.signed.is_empty(), hunk.copy.is_empty()) {
        (true, _) => format!("{} added behind line {}", range(&hunk.copy), hunk.signed.start),
        (_, true) => format!("{} removed", range(&hunk.signed)),
        _ => format!("{} changed", range(&hunk.signed)),
    }
}

/// The changes of the signed fields that only added something, if without them the signature fits.
pub fn header(
    signed: &Signed<'_>,
    comparison: &Comparison,
    mut fits: impl FnMut(&[Change]) -> bool,
) -> Option<Vec<Step>> {
    let mut changes: Vec<Change> = Vec::new();
    let mut names: Vec<&str> = comparison.fields.iter().map(|change| &*change.name).collect();
    names.dedup();
    for name in names {
        changes.extend(repaired(signed, name, comparison)?);
    }
    (!changes.is_empty() && fits(&changes))
        .then(|| comparison.fields.iter().map(|change| step(&signed.fields, change)).collect())
}

/// What the items of h= of one name covered when they were signed; `None` where something is gone that is not known.
fn repaired(signed: &Signed<'_>, name: &str, comparison: &Comparison) -> Option<Vec<Change>> {
    let of_name: Vec<&FieldChange> = comparison.fields.iter().filter(|change| change.name == name).collect();
    if of_name.iter().any(|change| change.field.is_none()) {
        return None;
    }
    let present = (0..signed.fields.len()).rev().filter(|&at| at != signed.result.field && signed.fields[at].is(name));
    let mut before: Vec<Vec<u8>> = Vec::new();
    for at in present {
        let field = signed.fields[at];
        match of_name.iter().find(|change| change.field == Some(at)) {
            None => before.push(closed(signed.canon, field.raw())),
            Some(change) if change.signed.is_none() => {}
            Some(change) => before.push(closed(signed.canon, &kept(field, &change.words)?)),
        }
    }
    let mut before = before.into_iter();
    let items = signed.result.signature.fields.iter().enumerate();
    Some(
        items
            .filter(|(_, item)| item.eq_ignore_ascii_case(name))
            .map(|(at, _)| (at, before.next().unwrap_or_default()))
            .collect(),
    )
}

/// A field without the words that were added to it; `None` where words are gone.
fn kept(field: Field<'_>, words: &[Word]) -> Option<Vec<u8>> {
    let mut out = [field.name(), b":"].concat();
    for word in words {
        match word {
            Word::Kept(word) => {
                out.push(b' ');
                out.extend_from_slice(word.as_bytes());
            }
            Word::Added(_) => {}
            Word::Gone(_) => return None,
        }
    }
    (!words.is_empty()).then_some(out)
}

/// The fields that differ from the record, where that could not be undone.
pub fn fields(case: &Case<'_>, comparison: &Comparison) -> Vec<Finding> {
    let fields: Vec<Field<'_>> = case.header.fields().collect();
    let mut findings = Vec::new();
    for change in comparison.fields.iter().take(MAX_HUNKS) {
        let step = step(&fields, change);
        let mut finding = Finding::breaks(step.cause, Confidence::Likely, step.claim)
            .with("signed here", Value::Time(comparison.time));
        for (label, text) in step.shown {
            finding = finding.text(&label, text);
        }
        findings.push(super::companion::fix(step.cause).iter().fold(finding, |finding, fix| finding.fix(*fix)));
    }
    findings.sort_by_key(super::is_general);
    findings
}

fn step(fields: &[Field<'_>], change: &FieldChange) -> Step {
    let field = change.field.and_then(|at| fields.get(at));
    let name = field.map_or_else(|| change.name.clone(), |field| String::from_utf8_lossy(field.name()).into_owned());
    let what = match (change.signed, field) {
        (None, _) => "was added after signing",
        (_, None) => "was removed after signing",
        _ => "was changed after signing",
    };
    let shown = vec![(LABEL.to_owned(), shown(&name, field, change))];
    Step {
        cause: cause(field, change),
        claim: format!("{name} {what}, as the record of what was signed here shows"),
        shown,
    }
}

/// A field as a diff.
fn shown(name: &str, field: Option<&Field<'_>>, change: &FieldChange) -> String {
    let mut text = String::new();
    if change.signed.is_some() {
        let words: Vec<String> = change
            .words
            .iter()
            .filter_map(|word| match word {
                Word::Kept(word) => Some(word.clone()),
                Word::Gone(count) => Some(format!("({}, not kept)", some(*count, "word", "words"))),
                Word::Added(_) => None,
            })
            .collect();
        let words = if change.words.is_empty() { "(no text is kept)".to_owned() } else { words.join(" ") };
        text.push_str(&format!("-{name}: {words}\n"));
    }
    if let Some(field) = field {
        text.push_str(&format!("+{}\n", super::diff::text(field.raw())));
    }
    text
}

/// What kind of change this is.
fn cause(field: Option<&Field<'_>>, change: &FieldChange) -> &'static Cause {
    if field.is_none() {
        return &header_causes::REMOVED;
    }
    if change.signed.is_none() {
        return &header_causes::ADDED_AFTER_SIGNING;
    }
    let gone = change.words.iter().any(|word| matches!(word, Word::Gone(_)));
    let mut added = change.words.iter().filter_map(|word| match word {
        Word::Added(word) => Some(word.as_str()),
        _ => None,
    });
    match change.name.as_str() {
        "subject" if !change.words.is_empty() && !gone => &header_causes::SUBJECT_TAGGED,
        "subject" if added.any(|word| word.starts_with("=?")) => &header_causes::SUBJECT_REENCODED,
        "from" if added.any(|word| word.contains('@')) => &header_causes::FROM_REWRITTEN,
        "from" | "to" | "cc" | "reply-to" | "sender" => &header_causes::ADDRESS_REWRITTEN,
        "date" => &header_causes::DATE_REWRITTEN,
        "message-id" => &header_causes::MESSAGE_ID_REPLACED,
        "mime-version" => &header_causes::MIME_REWRITTEN,
        other if other.starts_with("content-") => &header_causes::MIME_REWRITTEN,
        _ => &header_causes::UNATTRIBUTED,
    }
}
