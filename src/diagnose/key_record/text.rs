//! What panels, editors and hands make of the text of a record: one repair at a time, each with the cause that it proves.

use super::set::{Entry, Trial, Trials};
use crate::{
    diagnose::{
        register::{Cause, dns_record as causes},
        secret::LENIENT,
    },
    dkim::{
        der,
        record::{KeyFault, KeyRecord},
        tag::{self, TagList},
    },
};
use base64::Engine;
use std::fmt::Write;

/// A text to be repaired, with the places where its strings end.
struct Source<'a> {
    text: &'a [u8],
    ends: Vec<usize>,
}

/// The texts that a repair may lead to, and what was wrong.
type Repairs = Option<(String, Vec<String>)>;

/// One way to mend a text.
struct Repair {
    cause: &'static Cause,
    mend: fn(&Source<'_>) -> Repairs,
}

/// The repairs, the more specific first: whoever mends a whole zone line mends its quotes too.
const REPAIRS: &[Repair] = &[
    Repair { cause: &causes::PEM_ARMOR, mend: pem_armor },
    Repair { cause: &causes::ZONE_LINE, mend: zone_line },
    Repair { cause: &causes::SMART_QUOTES, mend: not_ascii },
    Repair { cause: &causes::ESCAPED_SEMICOLON, mend: escaped_semicolon },
    Repair { cause: &causes::LITERAL_QUOTES, mend: quotes },
    Repair { cause: &causes::TRAILING_BACKSLASH, mend: trailing_backslash },
    Repair { cause: &causes::LITERAL_NEWLINE, mend: newlines },
    Repair { cause: &causes::MISSING_SEMICOLON, mend: missing_semicolon },
    Repair { cause: &causes::TAG_PREFIX, mend: prefix },
    Repair { cause: &causes::TAG_CASE, mend: case },
    Repair { cause: &causes::TRAILING_GARBAGE, mend: trailing },
];

/// Names of tags in a key record, g= of RFC 4871 included.
const NAMES: [&str; 8] = ["v", "k", "p", "h", "s", "t", "n", "g"];

/// Texts that one repair may lead to.
const MAX_TEXTS: usize = 8;

/// Tries each repair alone on each record that should be a key.
pub(super) fn repairs(trials: &mut Trials<'_, '_>) {
    let set = trials.set;
    for entry in set.broken() {
        let source = Source::of(entry);
        for repair in REPAIRS {
            let Some((claim, texts)) = (repair.mend)(&source) else { continue };
            for text in texts.into_iter().take(MAX_TEXTS) {
                let claim = named(set.entries.len(), entry, &claim);
                trials.attempt(Trial { cause: repair.cause, text: text.into_bytes(), claim, also: None });
            }
        }
    }
}

/// Tries two repairs together, where none alone gave a key; the first names the cause.
pub(super) fn pairs(trials: &mut Trials<'_, '_>) {
    let set = trials.set;
    for entry in set.broken() {
        let source = Source::of(entry);
        for first in REPAIRS {
            let Some((claim, texts)) = (first.mend)(&source) else { continue };
            for text in texts.into_iter().take(2) {
                let halfway = Source { text: text.as_bytes(), ends: Vec::new() };
                for second in REPAIRS.iter().filter(|second| second.cause != first.cause) {
                    let Some((more, texts)) = (second.mend)(&halfway) else { continue };
                    for text in texts.into_iter().take(MAX_TEXTS) {
                        let claim = named(set.entries.len(), entry, &format!("{claim}, and {more}"));
                        let also = Some(second.cause);
                        trials.attempt(Trial { cause: first.cause, text: text.into_bytes(), claim, also });
                    }
                }
            }
        }
    }
}

/// Which record, where there are several.
pub(super) fn named(count: usize, entry: &Entry<'_>, claim: &str) -> String {
    match count {
        1 => claim.to_owned(),
        _ => format!("record {}: {claim}", entry.number),
    }
}

impl Source<'_> {
    fn of<'e>(entry: &'e Entry<'_>) -> Source<'e> {
        let mut ends = Vec::new();
        let mut at = 0;
        for string in entry.strings {
            at += string.len();
            ends.push(at);
        }
        Source { text: &entry.text, ends }
    }

    /// The text, if it is UTF-8; what is not is mended by [`not_ascii`] first.
    fn utf8(&self) -> Option<&str> {
        std::str::from_utf8(self.text).ok()
    }
}

/// `octet 3`, `octets 3, 17 and 42`, `octets 3, 17, 42 and 5 more`.
fn places(at: &[usize]) -> String {
    let some: Vec<String> = at.iter().take(3).map(ToString::to_string).collect();
    match (at.len(), some.as_slice()) {
        (1, _) => format!("octet {}", some[0]),
        (2 | 3, [first @ .., last]) => format!("octets {} and {last}", first.join(", ")),
        (count, _) => format!("octets {} and {} more", some.join(", "), count - some.len()),
    }
}

/// The places of a text in another.
fn found(text: &str, what: &str) -> Vec<usize> {
    text.match_indices(what).map(|(at, _)| at).collect()
}

fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// `-----BEGIN PUBLIC KEY-----`, with or without its dashes and blanks.
fn pem_armor(source: &Source<'_>) -> Repairs {
    let text = source.utf8()?;
    let at = text.find("BEGIN").or_else(|| text.find("-----END"))?;
    let mut bare = text.to_owned();
    for word in ["BEGIN", "END"] {
        let Some(start) = bare.find(word) else { continue };
        let Some(length) = bare[start..].find("KEY").map(|length| length + 3) else { continue };
        if length > 32 {
            continue;
        }
        let before = bare[..start].trim_end_matches(['-', ' ']).len();
        let after = bare.len() - bare[start + length..].trim_start_matches(['-', ' ']).len();
        bare.replace_range(before..after, "");
    }
    let bare = without_newlines(&bare).replace(['"', '\\'], "");
    let tagged = if bare.contains("p=") { bare.clone() } else { format!("v=DKIM1;p={bare}") };
    Some((format!("the frame of a PEM file stands in the value (octet {at})"), vec![tagged]))
}

/// `selector._domainkey IN TXT ( "v=DKIM1; " "p=..." ) ; ----- DKIM key`.
fn zone_line(source: &Source<'_>) -> Repairs {
    let text = source.utf8()?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let typed = words.iter().position(|word| word.eq_ignore_ascii_case("TXT"));
    let line = typed.is_some_and(|at| {
        at > 0 && words[at - 1].eq_ignore_ascii_case("IN")
            || words.get(at + 1).is_some_and(|next| next.starts_with(['(', '"']))
    });
    let comment = text.find("; -----").or_else(|| text.find(";-----"));
    if !line && comment.is_none() && !text.trim_start().starts_with("( \"") {
        return None;
    }
    let upper = text.to_ascii_uppercase();
    let start = if line { upper.find("TXT").map_or(0, |at| at + 3) } else { 0 };
    let value = &text[start..comment.unwrap_or(text.len()).max(start)];
    let quoted: String = value.split('"').skip(1).step_by(2).collect();
    let bare = value.replace(['(', ')', '"'], " ");
    let texts = vec![quoted.replace("\\;", ";"), bare.replace("\\;", ";").trim().to_owned()];
    let head: String = text.chars().take(40).collect();
    Some((format!("the value holds a line of a zone file: it begins with {head:?}"), texts))
}

/// Whatever is not ASCII: full-width signs become narrow ones, odd blanks become blanks, the rest is dropped.
fn not_ascii(source: &Source<'_>) -> Repairs {
    if source.text.is_ascii() {
        return None;
    }
    let Some(text) = source.utf8() else {
        let at = source.text.iter().position(|b| !b.is_ascii())?;
        let ascii: Vec<u8> = source.text.iter().copied().filter(u8::is_ascii).collect();
        let claim = format!("octets that are no ASCII stand in the value, the first at octet {at}");
        return Some((claim, vec![String::from_utf8(ascii).ok()?]));
    };
    let strange: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| !c.is_ascii()).collect();
    let shown: Vec<String> =
        strange.iter().take(3).map(|(at, c)| format!("U+{:04X} at octet {at}", u32::from(*c))).collect();
    let what = count(strange.len(), "character that is not ASCII", "characters that are not ASCII");
    let claim = format!("the value holds {what}: {}", shown.join(", "));
    let narrow: String = text.chars().filter_map(narrow).collect();
    let dropped: String = text.chars().filter(char::is_ascii).collect();
    Some((claim, vec![narrow.clone(), narrow.replace(['"', '\''], ""), dropped]))
}

/// The ASCII character that a strange one stands for; invisible ones and quotes stand for nothing.
fn narrow(c: char) -> Option<char> {
    match c {
        c if c.is_ascii() => Some(c),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => Some(' '),
        '\u{37e}' => Some(';'),
        '\u{2010}'..='\u{2015}' => Some('-'),
        _ => None,
    }
}

fn escaped_semicolon(source: &Source<'_>) -> Repairs {
    let text = source.utf8()?;
    let at = found(text, "\\;");
    if at.is_empty() {
        return None;
    }
    let what = count(at.len(), "semicolon has a backslash", "semicolons have a backslash");
    let claim = format!("{what} before it ({})", places(&at));
    Some((claim, vec![text.replace("\\;", ";"), text.replace('\\', "")]))
}

/// Straight quotes, double or single, escaped or not.
fn quotes(source: &Source<'_>) -> Repairs {
    let text = source.utf8()?;
    let at: Vec<usize> = text.match_indices(['"', '\'', '`']).map(|(at, _)| at).collect();
    if at.is_empty() {
        return None;
    }
    let what = count(at.len(), "quotation mark stands", "quotation marks stand");
    let bare = text.replace("\\\"", "\"").replace(['"', '\'', '`'], "");
    let glued: String =
        text.replace("\\\"", "\"").split('"').map(|part| if part.trim().is_empty() { "" } else { part }).collect();
    Some((format!("{what} in the value ({})", places(&at)), vec![bare, glued.replace(['\'', '`'], "")]))
}

/// A backslash at the end of the value or of one of its strings.
fn trailing_backslash(source: &Source<'_>) -> Repairs {
    let text = source.utf8()?;
    let end = text.trim_end().len();
    let at: Vec<usize> = text
        .match_indices('\\')
        .map(|(at, _)| at)
        .filter(|at| source.ends.contains(&(at + 1)) || at + 1 == end || text[at + 1..].starts_with(['\r', '\n', ' ']))
        .collect();
    if at.is_empty() {
        return None;
    }
    let bare: String = text.char_indices().filter(|(place, _)| !at.contains(place)).map(|(_, c)| c).collect();
    let what = count(at.len(), "string or line ends", "strings or lines end");
    Some((format!("{what} in a backslash ({})", places(&at)), vec![bare]))
}

/// Line breaks and tabs, or the two characters that stand for one.
fn newlines(source: &Source<'_>) -> Repairs {
    let text = source.utf8()?;
    let mut at: Vec<usize> = text.match_indices(['\r', '\n', '\t']).map(|(at, _)| at).collect();
    let escaped = ["\\n", "\\r", "\\t"].iter().flat_map(|escape| found(text, escape)).collect::<Vec<_>>();
    at.extend(&escaped);
    at.sort_unstable();
    if at.is_empty() {
        return None;
    }
    let what = match escaped.is_empty() {
        true => "line breaks stand in the value",
        false => "the two characters of an escaped line break stand in the value",
    };
    let spaced = |by| {
        let plain = text.replace("\\r", "\r").replace("\\n", "\n").replace("\\t", "\t");
        plain.replace("\r\n", "\n").replace(['\r', '\n', '\t'], by)
    };
    Some((format!("{what} ({})", places(&at)), vec![without_newlines(text), spaced(" "), spaced(";")]))
}

fn without_newlines(text: &str) -> String {
    let plain = text.replace("\\r", "").replace("\\n", "").replace("\\t", "");
    plain.replace(['\r', '\n', '\t'], "")
}

/// `v=DKIM1 k=rsa p=`, `v=DKIM1, k=rsa`, `k=rsap=`.
fn missing_semicolon(source: &Source<'_>) -> Repairs {
    let text = source.utf8()?;
    let spaced = separated(text);
    let glued = unglued(text);
    let both = unglued(&spaced);
    if both == text && glued == text {
        return None;
    }
    let missing = both.matches(';').count().saturating_sub(text.matches(';').count());
    let what = count(missing.max(1), "semicolon is", "semicolons are");
    Some((format!("{what} missing between the tags"), vec![spaced, glued, both]))
}

/// A semicolon before each known tag that follows a blank, a comma or the like.
fn separated(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_whitespace() || ",|/&:".contains(c)) {
        let (head, tail) = rest.split_at(at);
        let next = tail.trim_start_matches(|c: char| c.is_whitespace() || ",|/&:".contains(c));
        let starts_tag = NAMES.iter().any(|name| {
            next.strip_prefix(name).is_some_and(|after| after.trim_start_matches([' ', '\t']).starts_with('='))
        });
        out.push_str(head);
        let before = out.trim_end();
        if starts_tag && !before.is_empty() && !before.ends_with(';') {
            out.push(';');
        } else {
            out.push_str(&tail[..tail.len() - next.len()]);
        }
        rest = next;
    }
    out + rest
}

/// A semicolon where the value of a tag and the name of the next touch.
fn unglued(text: &str) -> String {
    let mut out = text.to_owned();
    for value in ["DKIM1", "rsa", "ed25519", "sha256", "email"] {
        for name in NAMES {
            let (glued, apart) = (format!("={value}{name}="), format!("={value};{name}="));
            out = out.replace(&glued, &apart);
        }
    }
    out
}

/// Something before the tags or before their names, or nothing between two semicolons.
fn prefix(source: &Source<'_>) -> Repairs {
    let text = source.utf8()?;
    let mut texts = Vec::new();
    let mut what = Vec::new();
    if let Some(at) = text.find("v=DKIM1").filter(|at| *at > 0 && !text[..*at].contains(';')) {
        texts.push(text[at..].to_owned());
        what.push(&text[..at]);
    }
    // Too many semicolons at the end follow the key.
    let specs: Vec<&str> = text.trim_end_matches([';', ' ']).split(';').collect();
    let (first, others) = specs.split_first()?;
    if !first.contains('=') {
        texts.push(others.join(";"));
        what.push(first);
    }
    let trimmed = |spec: &str| match spec.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            let name = name.rsplit(char::is_whitespace).find(|word| !word.is_empty()).unwrap_or(name);
            // `p=p=`: the name was pasted with the value into a field that has it already.
            let value = value.trim_start().strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).unwrap_or(value);
            format!("{name}={value}")
        }
        _ => spec.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned(),
    };
    let bare: Vec<String> = specs.iter().map(|spec| trimmed(spec)).filter(|spec| !spec.trim().is_empty()).collect();
    if let Some(spec) = specs.iter().find(|spec| trimmed(spec).trim() != spec.trim()) {
        what.push(spec);
    }
    let bare = bare.join(";");
    if tag::without_blanks(&bare) != tag::without_blanks(&specs.join(";")) {
        texts.push(bare);
    }
    // What is no tag at all goes; behind the key it is another matter.
    let key = specs.iter().position(|spec| spec.split_once('=').is_some_and(|(name, _)| name.trim() == "p"));
    let (front, rest) = specs.split_at(key.unwrap_or(0));
    if let Some(spec) = front.iter().find(|spec| !is_tag(spec)) {
        what.push(spec);
        let kept: Vec<&str> = front.iter().filter(|spec| is_tag(spec)).chain(rest).copied().collect();
        texts.push(kept.join(";"));
    }
    let head: String = what.first().copied().unwrap_or_default().chars().take(20).collect();
    let claim = match head.trim().is_empty() {
        true => "the tag list has an empty place between semicolons".into(),
        false => format!("something stands where a tag should begin: {head:?}"),
    };
    (!texts.is_empty()).then_some((claim, texts))
}

/// Has it the form of a tag (RFC 6376 §3.2), known or not?
fn is_tag(spec: &str) -> bool {
    spec.split_once('=').is_some_and(|(name, _)| {
        let name = name.trim();
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

/// `P=` for `p=`.
fn case(source: &Source<'_>) -> Repairs {
    let text = source.utf8()?;
    let mut out = String::with_capacity(text.len());
    let mut wrong = Vec::new();
    for (spec, number) in text.split(';').zip(0..) {
        if number > 0 {
            out.push(';');
        }
        match spec.split_once('=') {
            Some((name, value)) if NAMES.contains(&name.trim().to_ascii_lowercase().as_str()) => {
                if name.bytes().any(|b| b.is_ascii_uppercase()) {
                    wrong.push(format!("{}=", name.trim()));
                }
                write!(out, "{}={value}", name.to_ascii_lowercase()).expect("writing to a String does not fail");
            }
            _ => out.push_str(spec),
        }
    }
    let claim = format!("names of tags are case-sensitive, and these are in capitals: {}", wrong.join(" "));
    (!wrong.is_empty()).then_some((claim, vec![out]))
}

/// Another record or a comment behind the key.
fn trailing(source: &Source<'_>) -> Repairs {
    let text = source.utf8()?;
    let p = TagList::read(source.text).get("p").map(|tag| tag.range.clone())?;
    let lead = text[p.clone()].len() - text[p.clone()].trim_start().len();
    let start = p.start + lead;
    let length = text[start..].find(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)));
    let end = start + length.unwrap_or(text.len() - start);
    let rest = tag::trim(&text[end..]);
    // A second key is a tag that stands twice, and a version behind the key is one in the wrong place.
    let misplaced = KeyRecord::read(source.text).fault == Some(KeyFault::Version("DKIM1".into()));
    if rest.is_empty() || rest.contains("p=") || misplaced {
        return None;
    }
    // Where the rest touches the key, only the length that the key declares tells them apart.
    let whole = characters(&text[start..end]).map_or(end, |length| start + length);
    let head: String = rest.chars().take(40).collect();
    // With blanks inside the key: everything in p= up to the first sign that is none of base64, and the tags that are tags.
    let good = TagList::read(source.text);
    let mut names: Vec<&str> = Vec::new();
    let mut tags = Vec::new();
    for tag in &good.tags {
        if NAMES.contains(&tag.name) && !names.contains(&tag.name) {
            names.push(tag.name);
            tags.push(format!("{}={}", tag.name, tag.value));
        }
    }
    let claim = format!("{} octets follow the key and do not belong to it: {head:?}", rest.len());
    let mut texts = vec![text[..end].to_owned(), tags.join(";")];
    if whole < end {
        texts.push(text[..whole].to_owned());
    }
    Some((claim, texts))
}

/// The characters, padding included, of the key that a base64 text begins with; `None` if it is not longer than that.
fn characters(text: &str) -> Option<usize> {
    let declared = der::declared(&LENIENT.decode(text.get(..8)?).ok()?)?;
    let wanted = declared.div_ceil(3) * 4;
    (wanted < text.len()).then_some(wanted)
}
