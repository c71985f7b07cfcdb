//! Encoded-words (RFC 2047): decoded, and written in the ways of many programs.

use crate::diagnose::undo::encode;
use base64::{Engine, engine::general_purpose::STANDARD};

/// Encoded-words beyond which a value is not decoded.
const MAX_WORDS: usize = 200;

/// A value with its encoded-words decoded, and the charset of the first one; raw octets beyond ASCII are UTF-8, or the
/// value cannot be read.
pub fn decoded(value: &str) -> (String, Option<String>) {
    let mut out = String::new();
    let mut charset = None;
    let mut rest = value;
    let mut behind_word = false;
    for _ in 0..MAX_WORDS {
        let Some(start) = rest.find("=?") else { break };
        let (before, from) = rest.split_at(start);
        let Some((text, of, length)) = word(from) else {
            out.push_str(&rest[..start + 2]);
            rest = &rest[start + 2..];
            behind_word = false;
            continue;
        };
        // Blanks between two encoded-words are no part of the text.
        if !(behind_word && before.trim().is_empty()) {
            out.push_str(before);
        }
        out.push_str(&text);
        charset.get_or_insert(of);
        rest = &from[length..];
        behind_word = true;
    }
    out.push_str(rest);
    (out, charset)
}

/// The encoded-word at the start of a text: what it says, its charset, and its length.
fn word(text: &str) -> Option<(String, String, usize)> {
    let mut pieces = text.strip_prefix("=?")?.splitn(3, '?');
    let (charset, encoding, rest) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let end = rest.find("?=")?;
    let payload = &rest[..end];
    let octets = match encoding {
        "B" | "b" => encode::unbase64(payload.as_bytes())?,
        "Q" | "q" => encode::unquoted(payload.replace('_', "=20").as_bytes()),
        _ => return None,
    };
    let name = charset.split('*').next().unwrap_or_default();
    let length = text.len() - rest.len() + end + 2;
    Some((encode::decoded(&octets, name)?, charset.into(), length))
}

/// How an encoded-word is written.
#[derive(Clone, Copy, Debug)]
struct Style<'c> {
    charset: &'c str,
    /// `B`, `Q`, `b` or `q`.
    encoding: char,
    /// Is everything but letters and digits escaped in Q?
    strict: bool,
    /// Is a long text cut into words of at most 75 characters, the first with room for so many characters before it?
    room: Option<usize>,
}

/// A text as one program or another writes it, the likeliest first.
pub fn encoded(text: &str, charset: Option<&str>, name: usize) -> Vec<String> {
    let mut charsets: Vec<&str> = vec!["UTF-8", "utf-8"];
    if let Some(charset) = charset.filter(|charset| !charsets.contains(charset)) {
        charsets.insert(0, charset);
    }
    let mut out = Vec::new();
    for span in spans(text) {
        for charset in &charsets {
            for (encoding, strict) in [('B', false), ('Q', false), ('b', false), ('q', false), ('Q', true)] {
                for room in [None, Some(0), Some(name + 2)] {
                    out.extend(in_style(&span, Style { charset, encoding, strict, room }));
                }
            }
        }
    }
    for charset in [
        "iso-8859-1",
        "ISO-8859-1",
        "euc-kr",
        "EUC-KR",
        "ks_c_5601-1987",
        "iso-2022-jp",
        "ISO-2022-JP",
        "windows-1252",
        "Windows-1252",
        "iso-2022-kr",
        "gb2312",
        "shift_jis",
    ] {
        for encoding in ['B', 'Q'] {
            let whole = Span { before: "", text, behind: "" };
            out.extend(in_style(&whole, Style { charset, encoding, strict: false, room: None }));
        }
    }
    let mut seen = std::collections::HashSet::new();
    out.retain(|form| seen.insert(form.clone()));
    out
}

/// How long the first of several encoded-words may be, its line with the name of the field being of 76 to 78 characters, and
/// the others: RFC 2047 says 75, Python writes 78 or 76 for the line.
const FIRST: std::ops::RangeInclusive<usize> = 60..=78;
const OTHERS: [usize; 6] = [75, 76, 77, 74, 73, 72];

/// A text in encoded-words that are as long as one program or another makes them.
pub fn in_every_length(text: &str, charset: Option<&str>, name: usize) -> Vec<String> {
    let mut charsets = vec!["UTF-8", "utf-8"];
    if let Some(charset) = charset.filter(|charset| !charsets.contains(charset)) {
        charsets.push(charset);
    }
    let mut seen = std::collections::HashSet::new();
    let mut out = Vec::new();
    // Where all is ASCII, somebody encoded what need not be.
    if text.is_ascii() {
        out = encoded(text, charset, name);
        return out;
    }
    for charset in charsets {
        for encoding in ['b', 'B', 'q', 'Q'] {
            for others in OTHERS {
                for first in FIRST.rev() {
                    for strict in
                        [false, true].into_iter().take(if encoding.eq_ignore_ascii_case(&'q') { 2 } else { 1 })
                    {
                        let style = Style { charset, encoding, strict, room: None };
                        let form = cut(text, style, first, others).map(|words| words.join("\r\n "));
                        out.extend(form.filter(|form| seen.insert(form.clone())));
                    }
                }
            }
        }
    }
    out
}

/// Encoded-words of at most so many characters, the first and the others.
fn cut(text: &str, style: Style<'_>, first: usize, others: usize) -> Option<Vec<String>> {
    let frame = style.charset.len() + "=????=".len() + 1;
    let mut words = Vec::new();
    let (mut start, mut octets, mut room) = (0, 0, first.checked_sub(frame)?);
    for (at, c) in text.char_indices() {
        let own = encode::encoded(c.encode_utf8(&mut [0; 4]), style.charset)?;
        let own = match style.encoding {
            'B' | 'b' => own.len(),
            _ => quoted(&own, style.strict).len(),
        };
        let taken = match style.encoding {
            'B' | 'b' => (octets + own).div_ceil(3) * 4,
            _ => octets + own,
        };
        if taken > room && at > start {
            words.push(written(&text[start..at], style)?);
            (start, octets, room) = (at, 0, others.checked_sub(frame)?);
        }
        octets += own;
    }
    words.push(written(&text[start..], style)?);
    Some(words)
}

/// A text, a part of which is to be encoded.
#[derive(Debug, PartialEq, Eq)]
struct Span<'t> {
    before: &'t str,
    text: &'t str,
    behind: &'t str,
}

/// The whole text, and from its first to its last word that is not ASCII.
fn spans(text: &str) -> Vec<Span<'_>> {
    let mut out = vec![Span { before: "", text, behind: "" }];
    let first = text.find(|c: char| !c.is_ascii());
    let last = text.rfind(|c: char| !c.is_ascii());
    if let (Some(first), Some(last)) = (first, last) {
        let start = text[..first].rfind(' ').map_or(0, |at| at + 1);
        let end = text[last..].find(' ').map_or(text.len(), |at| last + at);
        let span = Span { before: &text[..start], text: &text[start..end], behind: &text[end..] };
        if span != out[0] {
            out.push(span);
        }
    }
    out
}

fn in_style(span: &Span<'_>, style: Style<'_>) -> Option<String> {
    let mut words = Vec::new();
    let mut rest = span.text;
    let mut room = style.room.map(|taken| 75usize.saturating_sub(taken));
    while !rest.is_empty() {
        let mut end = rest.len();
        if let Some(room) = room {
            // The longest piece whose encoded-word fits.
            let ends = rest.char_indices().map(|(at, _)| at).skip(1).chain([rest.len()]);
            end = ends.take_while(|&end| written(&rest[..end], style).is_none_or(|word| word.len() <= room)).last()?;
        }
        words.push(written(&rest[..end], style)?);
        rest = &rest[end..];
        room = style.room.map(|_| 75);
        if words.len() > 50 {
            return None;
        }
    }
    Some(format!("{}{}{}", span.before, words.join("\r\n "), span.behind))
}

fn written(text: &str, style: Style<'_>) -> Option<String> {
    let octets = encode::encoded(text, style.charset)?;
    let payload = match style.encoding {
        'B' | 'b' => STANDARD.encode(&octets),
        _ => quoted(&octets, style.strict),
    };
    Some(format!("=?{}?{}?{payload}?=", style.charset, style.encoding))
}

fn quoted(octets: &[u8], strict: bool) -> String {
    let mut out = String::with_capacity(octets.len() * 2);
    for &byte in octets {
        match byte {
            b' ' => out.push('_'),
            b'=' | b'?' | b'_' | 0x7f.. | ..=0x1f => out.push_str(&format!("={byte:02X}")),
            _ if strict && !(byte.is_ascii_alphanumeric() || b"!*+-/".contains(&byte)) => {
                out.push_str(&format!("={byte:02X}"))
            }
            _ => out.push(byte.into()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_read() {
        for (value, want) in [
            ("=?UTF-8?B?7JWI64WV?= =?utf-8?q?_a=C3=BC?=", "안녕 aü"),
            ("plain =?iso-8859-1?Q?f=FCr?= end", "plain für end"),
            ("=?broken", "=?broken"),
            ("=?x?y?z?=", "=?x?y?z?="),
        ] {
            assert_eq!(decoded(value).0, want, "{value}");
        }
    }

    #[test]
    fn every_form_says_the_same() {
        let text = "Rechnung für Jürgen über einen ziemlich langen Zeitraum, der in kein einzelnes Wort passt";
        let forms = encoded(text, Some("iso-8859-1"), 9);
        assert!(forms.len() > 20);
        for form in forms {
            assert_eq!(decoded(&form.replace("\r\n", "")).0, text, "{form}");
        }
    }
}
