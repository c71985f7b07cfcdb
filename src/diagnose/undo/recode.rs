//! Parts whose encoding or charset was swapped, and texts changed inside an encoding.
//!
//! Each variation is what the part looked like before: other content, and in a multipart another line in its header, which
//! is part of the signed body.

use super::{
    encode::{self, CHARSETS, QUOTINGS, WIDTHS},
    mime::Part,
    search::{Splice, lines},
};
use crate::diagnose::register::{Cause, modified as causes};

/// Leaves that are looked at one by one.
const MAX_LEAVES: usize = 5;

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

/// A leaf as it may have been: what it was called, and its octets.
struct Form {
    encoding: &'static str,
    content: Vec<u8>,
}

/// Tries every swap of transfer encodings: all parts at once, then one by one. `true` ends the search.
pub fn transfers(body: &[u8], parts: &[Part], tried: &mut dyn FnMut(Variation) -> bool) -> bool {
    let coded: Vec<&Part> = leaves(parts).filter(|part| is_coded(part)).collect();
    let open: Vec<&Part> = leaves(parts).filter(|part| !is_coded(part) && part.is_text()).collect();
    if coded.len() > 1 && together(body, parts, &coded, tried) {
        return true;
    }
    for part in coded.iter().chain(&open).take(MAX_LEAVES) {
        for form in forms(body, part) {
            for header in headers(body, part, form.encoding) {
                let claim = claim(part, form.encoding);
                let splices = header.into_iter().chain([(part.content.clone(), form.content.clone())]).collect();
                if tried(Variation { cause: &causes::TRANSFER_ENCODING_CONVERTED, claim, splices }) {
                    return true;
                }
            }
        }
    }
    // Each set of encoded parts but one part and all.
    let some = &coded[..coded.len().min(MAX_LEAVES)];
    for set in 1u32..(1 << some.len()) {
        let chosen: Vec<&Part> =
            some.iter().enumerate().filter(|(at, _)| set & (1 << at) != 0).map(|(_, part)| *part).collect();
        if chosen.len() > 1 && chosen.len() < coded.len() && together(body, parts, &chosen, tried) {
            return true;
        }
    }
    false
}

/// All of these parts back to eight bits, the headers of each in the same way.
fn together(body: &[u8], parts: &[Part], chosen: &[&Part], tried: &mut dyn FnMut(Variation) -> bool) -> bool {
    for tail in 0..3 {
        for way in WAYS {
            let mut splices = Vec::new();
            for part in parts.iter().filter(|part| !part.header.is_empty()) {
                let Some(chosen) = chosen.iter().find(|other| other.content == part.content) else { continue };
                let Some(content) = plain(body, chosen, tail) else { return false };
                if let Some(header) = header_way(body, part, "8bit", way) {
                    splices.extend(header);
                }
                splices.push((part.content.clone(), content));
            }
            let claim = format!("{} parts were converted from 8bit after signing", chosen.len());
            if tried(Variation { cause: &causes::TRANSFER_ENCODING_CONVERTED, claim, splices }) {
                return true;
            }
        }
    }
    false
}

/// Tries other charsets of every text part.
pub fn charsets(body: &[u8], parts: &[Part], tried: &mut dyn FnMut(Variation) -> bool) -> bool {
    for part in leaves(parts).filter(|part| part.is_text()).take(MAX_LEAVES) {
        let Some(octets) = octets(body, part) else { continue };
        let declared = part.charset.clone().unwrap_or_else(|| "utf-8".into());
        // What is ASCII in both is the same in both.
        let seven_bit = octets.iter().all(|b| *b < 0x80 && *b != 0x1b);
        let Some(text) = encode::decoded(&octets, &declared).or_else(|| encode::decoded(&octets, "utf-8")) else {
            continue;
        };
        if seven_bit {
            continue;
        }
        for charset in CHARSETS.iter().filter(|charset| **charset != declared) {
            let Some(other) = encode::encoded(&text, charset).filter(|other| *other != octets) else { continue };
            let claim = format!("the {} part was converted from {charset} to {declared} after signing", part.kind);
            for form in coded_forms(&other, part).into_iter().chain([
                Form { encoding: "8bit", content: other.clone() },
                Form { encoding: "7bit", content: other.clone() },
            ]) {
                for header in charset_headers(body, part, charset, form.encoding) {
                    let splices = header.into_iter().chain([(part.content.clone(), form.content.clone())]).collect();
                    if tried(Variation { cause: &causes::CHARSET_CONVERTED, claim: claim.clone(), splices }) {
                        return true;
                    }
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
    tried: &mut dyn FnMut(Variation) -> bool,
) -> bool {
    for part in leaves(parts).filter(|part| part.is_text() && is_coded(part)).take(MAX_LEAVES) {
        let Some(octets) = octets(body, part) else { continue };
        for (other, cause, claim) in change(&octets, part) {
            for form in coded_forms(&other, part) {
                let splices = vec![(part.content.clone(), form.content)];
                if tried(Variation { cause, claim: claim.clone(), splices }) {
                    return true;
                }
            }
        }
    }
    false
}

/// The texts of encoded text parts, each in the forms that it may have had.
pub fn coded_texts<'p>(body: &[u8], parts: &'p [Part]) -> Vec<(&'p Part, Vec<u8>)> {
    leaves(parts)
        .filter(|part| part.is_text() && is_coded(part))
        .take(MAX_LEAVES)
        .filter_map(|part| Some((part, octets(body, part)?)))
        .collect()
}

/// A text in the encoding that its part has, in the ways of several encoders.
pub fn recoded(octets: &[u8], part: &Part) -> Vec<Vec<u8>> {
    coded_forms(octets, part).into_iter().map(|form| form.content).collect()
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

/// An encoded part in eight bits; `tail` says how the line end before the delimiter is counted.
fn plain(body: &[u8], part: &Part, tail: usize) -> Option<Vec<u8>> {
    let mut text = encode::to_crlf(&octets(body, part)?);
    match tail {
        0 => {}
        1 if text.ends_with(b"\r\n") => text.truncate(text.len() - 2),
        _ => text.extend_from_slice(b"\r\n"),
    }
    Some(text)
}

/// Every form that a leaf may have had before.
fn forms(body: &[u8], part: &Part) -> Vec<Form> {
    let Some(octets) = octets(body, part) else { return Vec::new() };
    let mut forms = Vec::new();
    if is_coded(part) {
        let tails = if part.parent.is_some() { 3 } else { 1 };
        forms.extend((0..tails).filter_map(|tail| Some(Form { encoding: "8bit", content: plain(body, part, tail)? })));
    }
    let complete = match octets.ends_with(b"\r\n") || part.encoding == "base64" {
        true => octets.clone(),
        false => [&octets[..], b"\r\n"].concat(),
    };
    if part.encoding != "quoted-printable" {
        let text = encode::to_crlf(&octets);
        forms.extend(
            QUOTINGS.map(|quoting| Form { encoding: "quoted-printable", content: encode::quoted(&text, quoting) }),
        );
    } else {
        forms.extend(
            QUOTINGS.map(|quoting| Form { encoding: "quoted-printable", content: encode::quoted(&octets, quoting) }),
        );
    }
    for octets in [&octets, &complete, &encode::to_lf(&octets), &encode::to_lf(&complete), &encode::to_crlf(&octets)] {
        forms.extend(WIDTHS.map(|width| Form { encoding: "base64", content: encode::base64(octets, width) }));
    }
    let now = &body[part.content.clone()];
    let mut seen: Vec<Vec<u8>> = Vec::new();
    forms.retain(|form| {
        let new = form.content != now && !seen.contains(&form.content);
        if new && form.content.len() < 1 << 20 {
            seen.push(form.content.clone());
        }
        new
    });
    forms
}

fn coded_forms(octets: &[u8], part: &Part) -> Vec<Form> {
    match part.encoding.as_str() {
        "quoted-printable" => QUOTINGS
            .map(|quoting| Form { encoding: "quoted-printable", content: encode::quoted(octets, quoting) })
            .into(),
        "base64" => WIDTHS.map(|width| Form { encoding: "base64", content: encode::base64(octets, width) }).into(),
        _ => vec![Form { encoding: "8bit", content: octets.to_vec() }],
    }
}

/// How the header of a part may have named its encoding.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// In the same place, in this word.
    InPlace(Word),
    /// As line number so many.
    Line(usize),
    /// Not at all.
    Absent,
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
fn headers(body: &[u8], part: &Part, encoding: &str) -> Vec<Vec<Splice>> {
    if part.parent.is_none() {
        return vec![Vec::new()];
    }
    if encoding == part.encoding || encoding == "8bit" && !is_coded(part) {
        return vec![Vec::new()];
    }
    let ways = if encoding == "8bit" { &WAYS[..] } else { &WAYS[..6] };
    ways.iter().filter_map(|way| header_way(body, part, encoding, *way)).collect()
}

const CTE: &str = "Content-Transfer-Encoding";

fn header_way(body: &[u8], part: &Part, encoding: &str, way: Way) -> Option<Vec<Splice>> {
    let fields = fields(body, part);
    let own = fields.iter().position(|range| named(body, range, CTE));
    match way {
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

/// The header of a text part with another charset, and where the encoding changed too, with another encoding.
fn charset_headers(body: &[u8], part: &Part, charset: &str, encoding: &str) -> Vec<Vec<Splice>> {
    if part.parent.is_none() {
        return vec![Vec::new()];
    }
    let content_type = fields(body, part).into_iter().find(|range| named(body, range, "Content-Type"));
    let mut out = Vec::new();
    let encodings = headers(body, part, if encoding == "7bit" { "8bit" } else { encoding });
    for name in [charset.to_owned(), charset.to_ascii_uppercase()] {
        let value = content_type.clone().and_then(|range| {
            let text = body[range.clone()].to_ascii_lowercase();
            let old = part.charset.as_ref()?;
            let at = text.windows(8).position(|word| word == b"charset=")? + 8;
            let at = at + usize::from(text.get(at) == Some(&b'"'));
            text[at..]
                .starts_with(old.as_bytes())
                .then(|| (range.start + at..range.start + at + old.len(), name.clone().into_bytes()))
        });
        let Some(value) = value else { continue };
        for encoding in &encodings {
            let mut splices = encoding.clone();
            splices.push(value.clone());
            splices.sort_by_key(|(range, _)| (range.start, range.end));
            out.push(splices);
        }
    }
    out
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
