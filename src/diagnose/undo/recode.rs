//! Parts whose encoding or charset was swapped, and texts changed inside an encoding.
//!
//! Each variation is what the part looked like before: other content, and in a multipart another line in its header, which
//! is part of the signed body.

use super::{
    encode::{self, CHARSETS, QUOTINGS, Quoting, WIDTHS},
    mime::Part,
    search::{Splice, lines},
};
use crate::diagnose::register::{Cause, modified as causes};

/// Leaves that are looked at one by one.
const MAX_LEAVES: usize = 5;
/// Octets of parts that are encoded again whole; more would cost too much memory.
const MAX_CODED: usize = 4 * 1024 * 1024;
/// Octets of a text that is changed while it is decoded, and of the guesses that are held at once.
pub const MAX_TEXT: usize = 1024 * 1024;

/// How often a text is written where changes of it are tried in every form of its encoding.
const TEXT_FORMS: usize = 8;

/// A guess: the ranges that were different, and what became of them.
#[derive(Clone, Debug)]
pub struct Variation {
    /// The cause that it undoes.
    pub cause: &'static Cause,
    /// The change in words.
    pub claim: String,
    /// What stood there before.
    pub splices: Vec<Splice>,
}

/// Who tries guesses, and pays for making them.
pub trait Trial {
    /// May so many octets be written?
    fn may_write(&mut self, octets: usize) -> bool;
    /// Tries a guess; `true` ends the search.
    fn ends_with(&mut self, variation: Variation) -> bool;
}

/// An encoding that a part may have had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Eight,
    Quoted(Quoting),
    Base64 { width: usize, lf: bool },
}

impl Coding {
    fn name(self) -> &'static str {
        match self {
            Coding::Eight => "8bit",
            Coding::Quoted(_) => "quoted-printable",
            Coding::Base64 { .. } => "base64",
        }
    }
}

/// The likeliest first.
fn codings() -> Vec<Coding> {
    let mut all = vec![Coding::Eight];
    for (width, quoting) in WIDTHS.into_iter().zip(QUOTINGS) {
        all.extend([Coding::Base64 { width, lf: false }, Coding::Base64 { width, lf: true }, Coding::Quoted(quoting)]);
    }
    all
}

/// Tries every swap of transfer encodings: the parts together, then one by one, then some. `true` ends the search.
pub fn transfers(body: &[u8], parts: &[Part], trial: &mut dyn Trial) -> bool {
    let texts: Vec<&Part> = leaves(parts).filter(|part| part.is_text()).collect();
    let coded_texts: Vec<&Part> = texts.iter().copied().filter(|part| is_coded(part)).collect();
    let coded: Vec<&Part> = leaves(parts).filter(|part| is_coded(part)).collect();
    let mut sets: Vec<Vec<&Part>> = Vec::new();
    let several = [coded_texts.clone(), texts.clone(), coded.clone()].into_iter().filter(|set| set.len() > 1);
    let alone =
        coded.iter().chain(texts.iter().filter(|part| !is_coded(part))).take(MAX_LEAVES).map(|part| vec![*part]);
    let some = &coded[..coded.len().min(MAX_LEAVES)];
    let subsets = (1u32..(1 << some.len())).map(|set| {
        some.iter().enumerate().filter(|(at, _)| set & (1 << at) != 0).map(|(_, part)| *part).collect::<Vec<_>>()
    });
    for set in several.chain(alone).chain(subsets) {
        let known = sets
            .iter()
            .any(|other| other.len() == set.len() && other.iter().zip(&set).all(|(a, b)| a.content == b.content));
        if !known {
            sets.push(set);
        }
    }
    sets.iter().any(|set| together(body, set, trial))
}

/// These parts in every other encoding, all in the same way.
fn together(body: &[u8], set: &[&Part], trial: &mut dyn Trial) -> bool {
    if set.iter().map(|part| part.content.len()).sum::<usize>() > MAX_CODED {
        return false;
    }
    let Some(octets) = set.iter().map(|part| octets(body, part)).collect::<Option<Vec<_>>>() else { return false };
    let within = set.iter().all(|part| part.parent.is_some());
    for coding in codings() {
        // Text that is not encoded and stays so has not changed.
        if coding == Coding::Eight && !set.iter().any(|part| is_coded(part)) {
            continue;
        }
        for tail in 0..if within { 4 } else { 2 } {
            if !trial.may_write(octets.iter().map(Vec::len).sum()) {
                return true;
            }
            let contents: Vec<Vec<u8>> = octets.iter().map(|octets| content(octets, coding, tail)).collect();
            for (way, charset) in ways(set, coding, within) {
                let mut splices = Vec::new();
                for (part, content) in set.iter().zip(&contents) {
                    let Some(header) = header(body, part, coding.name(), way, charset) else { continue };
                    splices.extend(header);
                    if body[part.content.clone()] != content[..] {
                        splices.push((part.content.clone(), content.clone()));
                    }
                }
                let claim = match set {
                    [part] => claim(part, coding.name()),
                    _ => format!("{} parts were converted from {} after signing", set.len(), coding.name()),
                };
                let variation = Variation { cause: &causes::TRANSFER_ENCODING_CONVERTED, claim, splices };
                if !variation.splices.is_empty() && trial.ends_with(variation) {
                    return true;
                }
            }
        }
    }
    false
}

/// The text of a part in an encoding; `tail` says how the line ends before the delimiter are counted.
fn content(octets: &[u8], coding: Coding, tail: usize) -> Vec<u8> {
    let text = match coding {
        Coding::Base64 { lf: true, .. } => encode::to_lf(octets),
        _ => encode::to_crlf(octets),
    };
    match coding {
        Coding::Eight => tailed(text, tail),
        Coding::Quoted(quoting) => encode::quoted(&tailed(text, tail), quoting),
        Coding::Base64 { width, lf } => {
            let end: &[u8] = if lf { b"\n" } else { b"\r\n" };
            let whole = if tail % 2 == 1 && !text.ends_with(end) { [&text, end].concat() } else { text };
            let mut out = encode::base64(&whole, width);
            if tail >= 2 {
                out.extend_from_slice(b"\r\n");
            }
            out
        }
    }
}

fn tailed(mut text: Vec<u8>, tail: usize) -> Vec<u8> {
    match tail {
        1 if text.ends_with(b"\r\n") => text.truncate(text.len() - 2),
        2 => text.extend_from_slice(b"\r\n"),
        _ => {}
    }
    text
}

/// The ways in which the headers of parts may have named encoding and charset before.
fn ways(set: &[&Part], coding: Coding, within: bool) -> Vec<(Way, Quotes)> {
    if !within {
        return vec![(Way::InPlace(Word::Lower), Quotes::AsIs)];
    }
    let same = set.iter().all(|part| part.encoding == coding.name());
    let names: &[Way] = match coding {
        _ if same => &[Way::Kept],
        Coding::Eight => &WAYS,
        _ => &WAYS[..6],
    };
    let quotes: &[Quotes] = if coding == Coding::Eight {
        &[Quotes::AsIs, Quotes::Without, Quotes::With, Quotes::Upper]
    } else {
        &[Quotes::AsIs]
    };
    quotes.iter().flat_map(|quotes| names.iter().map(|way| (*way, *quotes))).collect()
}

/// Tries other charsets of the text parts, together and one by one.
pub fn charsets(body: &[u8], parts: &[Part], trial: &mut dyn Trial) -> bool {
    let texts: Vec<(&Part, String)> = leaves(parts)
        .filter(|part| part.is_text() && part.content.len() <= MAX_CODED)
        .take(MAX_LEAVES)
        .filter_map(|part| {
            let octets = octets(body, part)?;
            // What is ASCII is the same in every charset.
            if octets.iter().all(|b| *b < 0x80 && *b != 0x1b) {
                return None;
            }
            let declared = part.charset.as_deref().unwrap_or("utf-8");
            Some((part, encode::decoded(&octets, declared).or_else(|| encode::decoded(&octets, "utf-8"))?))
        })
        .collect();
    let alone = texts.chunks(1);
    let all = std::iter::once(&texts[..]).filter(|set| set.len() > 1);
    all.chain(alone).any(|set| CHARSETS.iter().any(|charset| in_charset(body, set, charset, trial)))
}

/// These texts in this charset, in the encoding that they have and without one.
fn in_charset(body: &[u8], set: &[(&Part, String)], charset: &str, trial: &mut dyn Trial) -> bool {
    if !trial.may_write(set.iter().map(|(_, text)| text.len()).sum()) {
        return true;
    }
    let Some(octets) = set.iter().map(|(_, text)| encode::encoded(text, charset)).collect::<Option<Vec<_>>>() else {
        return false;
    };
    if in_octets(body, set, charset, &octets, trial) {
        return true;
    }
    let inline: Option<Vec<Vec<u8>>> = octets.iter().map(|octets| encode::announced_inline(octets)).collect();
    inline.is_some_and(|octets| in_octets(body, set, charset, &octets, trial))
}

/// As [`in_charset`], the texts being these octets.
fn in_octets(body: &[u8], set: &[(&Part, String)], charset: &str, octets: &[Vec<u8>], trial: &mut dyn Trial) -> bool {
    let declared = set[0].0.charset.clone().unwrap_or_else(|| "utf-8".into());
    if declared == charset {
        return false;
    }
    let claim = format!("the {} part was converted from {charset} to {declared} after signing", set[0].0.kind);
    let coded = set.iter().any(|(part, _)| is_coded(part));
    for plain in [false, true].into_iter().take(1 + usize::from(coded)) {
        for name in [charset.to_owned(), charset.to_ascii_uppercase()] {
            for way in [Way::InPlace(Word::Lower), Way::InPlace(Word::SevenBit), Way::Line(1)] {
                if !trial.may_write(octets.iter().map(Vec::len).sum()) {
                    return true;
                }
                let mut splices = Vec::new();
                for ((part, _), octets) in set.iter().zip(octets) {
                    let content = match plain {
                        true => encode::to_crlf(octets),
                        false => recoded(octets, part, body).swap_remove(0),
                    };
                    if part.parent.is_some() {
                        splices.extend(charset_splice(body, part, &name));
                        if plain {
                            splices.extend(header(body, part, "8bit", way, Quotes::AsIs).unwrap_or_default());
                        }
                    }
                    splices.push((part.content.clone(), content));
                }
                splices.sort_by_key(|(range, _)| (range.start, range.end));
                if trial.ends_with(Variation { cause: &causes::CHARSET_CONVERTED, claim: claim.clone(), splices }) {
                    return true;
                }
                if !plain {
                    break;
                }
            }
        }
    }
    false
}

/// Tries a change of the decoded text of every encoded text part.
pub fn texts(
    body: &[u8],
    parts: &[Part],
    change: impl Fn(&[u8], &Part) -> Vec<(Vec<u8>, &'static Cause, String)>,
    trial: &mut dyn Trial,
) -> bool {
    for (part, octets) in decoded_texts(body, parts).into_iter().filter(|(part, _)| is_coded(part)) {
        if !trial.may_write(octets.len() * TEXT_FORMS) {
            return true;
        }
        for (other, cause, claim) in change(&octets, part) {
            for form in recoded(&other, part, body) {
                let splices = vec![(part.content.clone(), form)];
                if trial.ends_with(Variation { cause, claim: claim.clone(), splices }) {
                    return true;
                }
            }
        }
    }
    false
}

/// The text parts, decoded.
pub fn decoded_texts<'p>(body: &[u8], parts: &'p [Part]) -> Vec<(&'p Part, Vec<u8>)> {
    let texts = leaves(parts).filter(|part| part.is_text() && part.content.len() <= MAX_TEXT);
    texts.take(MAX_LEAVES).filter_map(|part| Some((part, octets(body, part)?))).collect()
}

/// A text in the encoding that its part has, in the ways of several encoders, the likeliest first.
pub fn recoded(octets: &[u8], part: &Part, body: &[u8]) -> Vec<Vec<u8>> {
    match part.encoding.as_str() {
        "quoted-printable" => QUOTINGS.map(|quoting| encode::quoted(octets, quoting)).into(),
        "base64" => {
            let end: &[u8] = if body[part.content.clone()].ends_with(b"\r\n") { b"\r\n" } else { b"" };
            WIDTHS.map(|width| [&encode::base64(octets, width), end].concat()).into()
        }
        _ => vec![octets.to_vec()],
    }
}

/// A text in every other encoding, with the header of its part as it was then.
pub fn transferred(octets: &[u8], part: &Part, body: &[u8]) -> Vec<Vec<Splice>> {
    let mut out: Vec<Vec<Splice>> = Vec::new();
    for coding in codings().into_iter().filter(|coding| coding.name() != part.encoding) {
        if coding == Coding::Eight && !is_coded(part) {
            continue;
        }
        for tail in if part.parent.is_some() { 0..4 } else { 0..1 } {
            let content = content(octets, coding, tail);
            for way in
                [Way::InPlace(Word::Lower), Way::Line(1)].into_iter().take(if part.parent.is_some() { 2 } else { 1 })
            {
                let Some(mut splices) = header(body, part, coding.name(), way, Quotes::AsIs) else { continue };
                splices.push((part.content.clone(), content.clone()));
                out.push(splices);
            }
        }
    }
    out
}

/// What stands behind the end of base64, in a part that is encoded so.
pub fn behind_base64(body: &[u8], parts: &[Part]) -> Option<std::ops::Range<usize>> {
    leaves(parts).filter(|part| part.encoding == "base64").find_map(|part| {
        let mut end = part.content.start;
        for line in lines(&body[part.content.clone()]) {
            let digits = line.trim_ascii_end();
            let good = digits.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(b)) && !digits.is_empty();
            if !good {
                break;
            }
            end += line.len();
            if digits.ends_with(b"=") {
                break;
            }
        }
        let rest = body.get(end..part.content.end)?;
        (end > part.content.start && !rest.trim_ascii().is_empty()).then_some(end..part.content.end)
    })
}

fn leaves(parts: &[Part]) -> impl Iterator<Item = &Part> {
    parts.iter().filter(|part| part.children.is_empty() && !part.is_multipart())
}

fn is_coded(part: &Part) -> bool {
    matches!(part.encoding.as_str(), "quoted-printable" | "base64")
}

fn claim(part: &Part, from: &str) -> String {
    let to = if part.encoding.is_empty() { "7bit" } else { &part.encoding };
    match part.parent {
        None => format!("the body was converted from {from} to {to} after signing"),
        Some(_) => format!("the {} part was converted from {from} to {to} after signing", part.kind),
    }
}

/// The octets that a part stands for.
fn octets(body: &[u8], part: &Part) -> Option<Vec<u8>> {
    let raw = &body[part.content.clone()];
    match part.encoding.as_str() {
        "quoted-printable" => Some(encode::unquoted(raw)),
        "base64" => encode::unbase64(raw),
        _ => Some(raw.to_vec()),
    }
}

/// How the header of a part may have named its encoding.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// As it does.
    Kept,
    /// In the same place, in this word.
    InPlace(Word),
    /// As line number so many.
    Line(usize),
    /// Not at all.
    Absent,
}

/// How charset= may have been written in the header of a part.
#[derive(Clone, Copy, Debug)]
enum Quotes {
    AsIs,
    Without,
    With,
    Upper,
}

#[derive(Clone, Copy, Debug)]
enum Word {
    Lower,
    Upper,
    SevenBit,
    Binary,
}

/// Postfix takes the line away and writes its own at the end of the header, so that the place must be guessed.
const WAYS: [Way; 9] = [
    Way::InPlace(Word::Lower),
    Way::Line(1),
    Way::Line(0),
    Way::Line(2),
    Way::Line(3),
    Way::InPlace(Word::Upper),
    Way::InPlace(Word::SevenBit),
    Way::Absent,
    Way::InPlace(Word::Binary),
];

/// The header of a part as it may have been; of the body as a whole, whose header is not in the body, nothing.
fn header(body: &[u8], part: &Part, encoding: &str, way: Way, quotes: Quotes) -> Option<Vec<Splice>> {
    if part.parent.is_none() {
        return Some(Vec::new());
    }
    let unchanged = encoding == part.encoding || encoding == "8bit" && !is_coded(part);
    let mut splices = if unchanged { Vec::new() } else { header_way(body, part, encoding, way)? };
    let charset = part.charset.as_deref().unwrap_or_default();
    let written = match quotes {
        Quotes::AsIs => None,
        Quotes::Without => Some(charset.to_owned()),
        Quotes::With => Some(format!("\"{charset}\"")),
        Quotes::Upper => Some(charset.to_ascii_uppercase()),
    };
    if let Some(written) = written {
        let (range, _) = charset_place(body, part)?;
        splices.push((range, written.into_bytes()));
    }
    splices.sort_by_key(|(range, _)| (range.start, range.end));
    Some(splices)
}

const CTE: &str = "Content-Transfer-Encoding";

fn header_way(body: &[u8], part: &Part, encoding: &str, way: Way) -> Option<Vec<Splice>> {
    let fields = fields(body, part);
    let own = fields.iter().position(|range| named(body, range, CTE));
    match way {
        Way::Kept => Some(Vec::new()),
        Way::InPlace(word) => {
            let range = fields.get(own?)?;
            let colon = body[range.clone()].iter().position(|&b| b == b':')?;
            let word = match word {
                Word::Lower => encoding.to_owned(),
                Word::Upper => encoding.to_ascii_uppercase(),
                Word::SevenBit => "7bit".into(),
                Word::Binary => "binary".into(),
            };
            Some(vec![(range.start + colon + 1..range.end, format!(" {word}\r\n").into_bytes())])
        }
        Way::Absent => Some(vec![(fields.get(own?)?.clone(), Vec::new())]),
        Way::Line(number) => {
            let others: Vec<_> =
                fields.iter().enumerate().filter(|(at, _)| Some(*at) != own).map(|(_, range)| range).collect();
            let line = format!("{CTE}: {encoding}\r\n").into_bytes();
            let at = match others.get(number) {
                Some(range) => range.start,
                None if number == others.len() => others.last().map_or(part.header.end, |range| range.end),
                None => return None,
            };
            let mut splices: Vec<Splice> = own.map(|own| (fields[own].clone(), Vec::new())).into_iter().collect();
            splices.push((at..at, line));
            splices.sort_by_key(|(range, _)| (range.start, range.end));
            Some(splices)
        }
    }
}

/// Another charset in the header of a part, quotes kept.
fn charset_splice(body: &[u8], part: &Part, charset: &str) -> Option<Splice> {
    let (range, quoted) = charset_place(body, part)?;
    let text = if quoted { format!("\"{charset}\"") } else { charset.to_owned() };
    Some((range, text.into_bytes()))
}

/// Where the value of charset= stands in the header of a part, and whether it is quoted; quotes are part of the range.
fn charset_place(body: &[u8], part: &Part) -> Option<(std::ops::Range<usize>, bool)> {
    let range = fields(body, part).into_iter().find(|range| named(body, range, "Content-Type"))?;
    let text = body[range.clone()].to_ascii_lowercase();
    let old = part.charset.as_ref()?;
    let at = text.windows(8).position(|word| word == b"charset=")? + 8;
    let quoted = text.get(at) == Some(&b'"');
    let value = at + usize::from(quoted);
    let end = value + old.len() + usize::from(quoted);
    text.get(value..)?.starts_with(old.as_bytes()).then(|| (range.start + at..range.start + end, quoted))
}

/// The header fields of a part, each with its line end.
fn fields(body: &[u8], part: &Part) -> Vec<std::ops::Range<usize>> {
    let mut out: Vec<std::ops::Range<usize>> = Vec::new();
    let mut at = part.header.start;
    for line in lines(&body[part.header.clone()]).take(100) {
        let end = at + line.len();
        match out.last_mut() {
            Some(last) if line.starts_with(b" ") || line.starts_with(b"\t") => last.end = end,
            _ => out.push(at..end),
        }
        at = end;
    }
    out
}

fn named(body: &[u8], range: &std::ops::Range<usize>, name: &str) -> bool {
    let field = &body[range.clone()];
    field.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
        && field.get(name.len()) == Some(&b':')
}
