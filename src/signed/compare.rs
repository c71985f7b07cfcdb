//! A copy against what was signed: which fields, words and lines were changed, added or removed.

use super::{
    Digest, Entry, SignedField, WordDigest,
    digests::{LocalKey, MessageKey, canonical_value, words},
};
use crate::{
    dkim::{Canon, canon::BodyCanon},
    message::{Field, Header},
};
use std::ops::Range;

/// Fields of a header and lines of a body are compared pair by pair while this many comparisons do; beyond, everything
/// between the first and the last difference counts as changed.
const MAX_CELLS: usize = 4 * 1024 * 1024;

/// How a copy differs from what was signed.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// When it was signed, in seconds since 1970.
    pub time: u64,
    /// Signed fields that differ, in the order of h=.
    pub fields: Vec<FieldChange>,
    /// Places where the body differs, in order; `None` where there is no copy of it.
    pub body: Option<BodyChange>,
}

/// A signed field that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name, in lower case.
    pub name: String,
    /// Which of the fields of this name it is, the lowest first, among those that were signed; `None` where it was not
    /// there.
    pub signed: Option<usize>,
    /// Which field of the header it is now; `None` where it is gone.
    pub field: Option<usize>,
    /// Its words in order, with what became of them; empty where the words are not known.
    pub words: Vec<Word>,
}

/// A word of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// It was there when the field was signed.
    Kept(String),
    /// It was not.
    Added(String),
    /// So many words that were there are gone.
    Gone(usize),
}

/// How a body differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyChange {
    /// How many lines were signed, as far as they are known.
    pub signed: usize,
    /// Are all of them known?
    pub complete: bool,
    /// The lines of the copy in their canonical form, without line ends.
    pub lines: Vec<Vec<u8>>,
    /// What differs.
    pub hunks: Vec<Hunk>,
}

/// Lines that were signed, and lines of the copy that stand in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// Lines as signed, from 0.
    pub signed: Range<usize>,
    /// Lines of the copy, from 0.
    pub copy: Range<usize>,
}

impl Comparison {
    /// Compares; `names` are the items of h= of the copy.
    pub fn new(entry: &Entry, local: &LocalKey, header: &Header, names: &[String], body: Option<&[u8]>) -> Comparison {
        let key = local.of_message(&entry.salt);
        Comparison {
            time: entry.time,
            fields: fields(entry, &key, header, names),
            body: body.map(|body| body_change(entry, &key, body)),
        }
    }

    /// Is everything as it was signed?
    pub fn is_equal(&self) -> bool {
        self.fields.is_empty() && self.body.as_ref().is_none_or(|body| body.hunks.is_empty())
    }
}

fn fields(entry: &Entry, key: &MessageKey, header: &Header, names: &[String]) -> Vec<FieldChange> {
    let canon = entry.canonicalization.0;
    let mut out = Vec::new();
    let mut done: Vec<String> = Vec::new();
    let all = entry.fields.iter().map(|field| field.name.clone()).chain(names.iter().map(|n| n.to_ascii_lowercase()));
    for name in all {
        if done.contains(&name) {
            continue;
        }
        let signed: Vec<&SignedField> = entry.fields.iter().filter(|field| field.name == name).collect();
        let asked = names.iter().filter(|item| item.eq_ignore_ascii_case(&name)).count();
        // The lowest first, as they are signed.
        let mut present: Vec<(usize, Field<'_>)> =
            header.fields().enumerate().filter(|(_, field)| field.is(&name)).collect();
        present.reverse();
        present.truncate(asked.max(signed.len()));
        out.extend(of_name(&name, key, canon, &signed, &present));
        done.push(name);
    }
    out
}

/// The fields of one name: those that are as they were are set aside, and what is left is paired from the bottom.
fn of_name(
    name: &str,
    key: &MessageKey,
    canon: Canon,
    signed: &[&SignedField],
    present: &[(usize, Field<'_>)],
) -> Vec<FieldChange> {
    let here: Vec<Digest> = present.iter().map(|(_, field)| key.field(canon, *field).whole).collect();
    let were: Vec<Digest> = signed.iter().map(|field| field.whole).collect();
    let mut out = Vec::new();
    for hunk in differences(&were, &here) {
        let (mut old, mut new) = (hunk.signed.clone(), hunk.copy.clone());
        loop {
            let (signed_at, place) = (old.next(), new.next().map(|at| present[at]));
            let words = match (signed_at, place) {
                (None, None) => break,
                (Some(at), Some((_, field))) => changed_words(key, canon, signed[at], field),
                _ => Vec::new(),
            };
            out.push(FieldChange { name: name.into(), signed: signed_at, field: place.map(|(at, _)| at), words });
        }
    }
    out
}

fn changed_words(key: &MessageKey, canon: Canon, signed: &SignedField, field: Field<'_>) -> Vec<Word> {
    let value = canonical_value(canon, field);
    let now = words(&value);
    let digests: Vec<WordDigest> = now.iter().map(|word| key.word(word)).collect();
    if signed.words.is_empty() || signed.words.len() * now.len() > MAX_CELLS / 16 {
        return Vec::new();
    }
    let text = |at: usize| String::from_utf8_lossy(now[at]).into_owned();
    let mut out = Vec::new();
    let mut at = 0;
    for hunk in differences(&signed.words, &digests) {
        out.extend((at..hunk.copy.start).map(|at| Word::Kept(text(at))));
        if !hunk.signed.is_empty() {
            out.push(Word::Gone(hunk.signed.len()));
        }
        out.extend(hunk.copy.clone().map(|at| Word::Added(text(at))));
        at = hunk.copy.end;
    }
    out.extend((at..now.len()).map(|at| Word::Kept(text(at))));
    out
}

fn body_change(entry: &Entry, key: &MessageKey, body: &[u8]) -> BodyChange {
    let lines = canonical_lines(entry.canonicalization.1, body);
    let mut here: Vec<Digest> = lines.iter().map(|line| key.line(line)).collect();
    if !entry.complete {
        // What stood behind the last line that is known cannot be told.
        here.truncate(entry.lines.len());
    }
    let hunks = differences(&entry.lines, &here);
    BodyChange { signed: entry.lines.len(), complete: entry.complete, lines, hunks }
}

/// The lines of a body in its canonical form.
fn canonical_lines(canon: Canon, body: &[u8]) -> Vec<Vec<u8>> {
    let mut octets = Vec::with_capacity(body.len());
    let mut state = BodyCanon::new(canon);
    state.write(body, &mut |piece| octets.extend_from_slice(piece));
    state.finish(&mut |piece| octets.extend_from_slice(piece));
    let mut lines = Vec::new();
    let mut start = 0;
    while let Some(found) = octets[start..].windows(2).position(|pair| pair == b"\r\n") {
        lines.push(octets[start..start + found].to_vec());
        start += found + 2;
    }
    lines
}

/// Where two lists differ: what both begin and end with is left out, and of what is between as much as they have in common
/// in the same order.
fn differences<T: PartialEq>(old: &[T], new: &[T]) -> Vec<Hunk> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let room = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(room).take_while(|(a, b)| a == b).count();
    let (a, b) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    if a.is_empty() && b.is_empty() {
        return Vec::new();
    }
    if a.is_empty() || b.is_empty() || a.len().saturating_mul(b.len()) > MAX_CELLS {
        return vec![Hunk { signed: head..old.len() - tail, copy: head..new.len() - tail }];
    }
    // longest[i][j]: how much a[i..] and b[j..] have in common.
    let width = b.len() + 1;
    let mut longest = vec![0u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i * width + j] = match a[i] == b[j] {
                true => longest[(i + 1) * width + j + 1] + 1,
                false => longest[(i + 1) * width + j].max(longest[i * width + j + 1]),
            };
        }
    }
    let mut hunks: Vec<Hunk> = Vec::new();
    let (mut i, mut j) = (0, 0);
    let mut open = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            if open != (i, j) {
                hunks.push(Hunk { signed: head + open.0..head + i, copy: head + open.1..head + j });
            }
            (i, j) = (i + 1, j + 1);
            open = (i, j);
        } else if j == b.len() || i < a.len() && longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    if open != (i, j) {
        hunks.push(Hunk { signed: head + open.0..head + i, copy: head + open.1..head + j });
    }
    hunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{message::Message, signed::digests::Room, signed::recorder::Recording};

    const SIGNED: &str =
        "From: a@example.com\r\nSubject: an  invoice\r\nTo: b@example.net\r\n\r\none\r\ntwo\r\nthree\r\n";

    fn compared(copy: &str) -> Comparison {
        let (local, canon) = (LocalKey::new(&[7; 32]), (Canon::Relaxed, Canon::Relaxed));
        let signed = Message::new(SIGNED.as_bytes());
        let mut recording = Recording::begin(local.clone(), canon, Room::default()).expect("random octets");
        recording.write(signed.body);
        let entry = recording.entry(&signed.header, signed.header.fields(), [&b"b="[..]].into_iter(), 5);
        let copy = Message::new(copy.as_bytes());
        let names = ["from", "subject", "to", "date", "from"].map(str::to_owned);
        Comparison::new(&entry, &local, &copy.header, &names, Some(copy.body))
    }

    #[test]
    fn what_is_as_it_was_is_equal() {
        assert!(compared(SIGNED).is_equal());
        assert!(compared(&SIGNED.replace("an  invoice", "an\r\n invoice ")).is_equal(), "relaxed");
    }

    #[test]
    fn words_and_lines_are_told() {
        let copy = SIGNED
            .replace("an  invoice", "[list] an bill")
            .replace("To: b@example.net\r\n", "Date: now\r\n")
            .replace("two\r\n", "zwei\r\n")
            + "footer\r\n";
        let said = compared(&copy);
        let fields: Vec<_> =
            said.fields.iter().map(|change| (&*change.name, change.signed.is_some(), change.field)).collect();
        assert_eq!(fields, [("subject", true, Some(1)), ("to", true, None), ("date", false, Some(2))]);
        let [list, an, bill] = ["[list]", "an", "bill"].map(str::to_owned);
        assert_eq!(said.fields[0].words, [Word::Added(list), Word::Kept(an), Word::Gone(1), Word::Added(bill)]);
        let body = said.body.expect("a body");
        assert_eq!(body.hunks, [Hunk { signed: 1..2, copy: 1..2 }, Hunk { signed: 3..3, copy: 3..4 }]);
    }

    #[test]
    fn differences_of_long_lists_are_bounded() {
        let old: Vec<u32> = (0..5000).collect();
        let new: Vec<u32> = (0..5000).map(|n| n + u32::from(n > 0 && n < 4999) * 10_000).collect();
        assert_eq!(differences(&old, &new), [Hunk { signed: 1..4999, copy: 1..4999 }]);
    }
}
