//! Macro strings (RFC 7208 §7): read once, expanded as often as wanted.
//!
//! Expansion is pure: whoever expands supplies the values, %{p} among them. It is bounded: a domain is built from its
//! right end and no further than a name can be long, an explanation stops at the cap that the caller gives.

use super::{MacroFault, Problem, ProblemKind};
use std::{borrow::Cow, ops::Range};

/// The longest name in text form (RFC 7208 §7.3; RFC 1035 §2.3.4 has 255 octets on the wire).
const LONGEST_NAME: usize = 253;

/// What a macro stands for (RFC 7208 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Letter {
    /// `s`: the sender.
    Sender,
    /// `l`: the local part of the sender.
    LocalPart,
    /// `o`: the domain of the sender.
    SenderDomain,
    /// `d`: the domain whose record is evaluated.
    Domain,
    /// `i`: the client's address, in dotted form.
    Address,
    /// `p`: the validated name of the client.
    ValidatedName,
    /// `v`: `in-addr` or `ip6`.
    Family,
    /// `h`: the HELO name.
    Helo,
    /// `c`: the client's address as people write it; in explanations alone.
    ReadableAddress,
    /// `r`: the host that checks; in explanations alone.
    Receiver,
    /// `t`: the time in seconds since 1970; in explanations alone.
    Time,
}

/// One `%{...}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Macro {
    /// What it stands for.
    pub letter: Letter,
    /// Written in upper case: the value is escaped as in a URL.
    pub escaped: bool,
    /// How many parts from the right are kept; `None` for all. Never zero.
    pub keep: Option<usize>,
    /// Are the parts reversed?
    pub reversed: bool,
    /// The characters that part the value; `.` where none is written.
    pub delimiters: Box<[u8]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<[u8]>),
    Macro(Macro),
}

/// A macro string, with its place in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacroString {
    range: Range<usize>,
    parts: Vec<Part>,
}

/// The values that macros stand for.
pub trait Values {
    /// The value of one letter, before any transformation.
    fn value(&self, letter: Letter) -> Cow<'_, [u8]>;
}

/// Where a macro string stands, which decides what it may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// In a record.
    Record,
    /// In the text that exp= points to: c, r, t and blanks are allowed.
    Explanation,
}

impl MacroString {
    /// Reads the text that exp= points to (RFC 7208 §6.2).
    pub fn read_explanation(text: &[u8]) -> Result<MacroString, Problem> {
        read(text, 0..text.len(), Context::Explanation).map(|(string, _)| string)
    }

    /// Its place in the record, in octets.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The macros in it, in order.
    pub fn macros(&self) -> impl Iterator<Item = &Macro> {
        self.parts.iter().filter_map(|part| match part {
            Part::Macro(found) => Some(found),
            Part::Text(_) => None,
        })
    }

    /// Does it hold a macro of this letter?
    pub fn uses(&self, letter: Letter) -> bool {
        self.macros().any(|found| found.letter == letter)
    }

    /// Expands to a domain: without a final dot, and cut at the left, label by label, to 253 octets (RFC 7208 §7.3).
    ///
    /// The result may be no valid name: values come from the client.
    pub fn expand_domain(&self, values: &impl Values) -> Vec<u8> {
        // Only the right end can count, so a record of thousands of macros costs no more than one name.
        let mut pieces: Vec<Cow<[u8]>> = Vec::new();
        let mut length = 0;
        for part in self.parts.iter().rev() {
            let piece = part.expand(values);
            length += piece.len();
            pieces.push(piece);
            if length > LONGEST_NAME + 1 {
                break;
            }
        }
        let mut name = Vec::with_capacity(length);
        for piece in pieces.iter().rev() {
            name.extend_from_slice(piece);
        }
        if name.last() == Some(&b'.') {
            name.pop();
        }
        if name.len() > LONGEST_NAME {
            let tail = &name[name.len() - LONGEST_NAME - 1..];
            let cut = tail.iter().position(|&b| b == b'.').map_or(tail.len(), |dot| dot + 1);
            name = tail[cut..].to_vec();
        }
        name
    }

    /// Expands to text; `None` where it would be longer than `max` octets.
    pub fn expand_text(&self, values: &impl Values, max: usize) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        for part in &self.parts {
            text.extend_from_slice(&part.expand(values));
            if text.len() > max {
                return None;
            }
        }
        Some(text)
    }
}

impl Part {
    fn expand<'a>(&'a self, values: &'a impl Values) -> Cow<'a, [u8]> {
        match self {
            Part::Text(text) => Cow::Borrowed(text),
            Part::Macro(found) => found.transform(values.value(found.letter)),
        }
    }
}

impl Macro {
    /// Parts, reverses, keeps, joins and escapes a value (RFC 7208 §7.3).
    fn transform<'a>(&self, value: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
        let plain = self.keep.is_none() && !self.reversed && *self.delimiters == *b".";
        let value = if plain {
            value
        } else {
            // Only the parts that are kept are looked at, so the work is in proportion to what comes out.
            let keep = self.keep.unwrap_or(usize::MAX);
            let delimiter = |b: &u8| self.delimiters.contains(b);
            let mut parts: Vec<&[u8]> = if self.reversed {
                value.split(delimiter).take(keep).collect()
            } else {
                value.rsplit(delimiter).take(keep).collect()
            };
            parts.reverse();
            Cow::Owned(parts.join(&b'.'))
        };
        if self.escaped { Cow::Owned(url_escape(&value)) } else { value }
    }
}

/// Escapes what is not unreserved in a URL (RFC 3986 §2.3).
fn url_escape(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for &byte in value {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

/// Reads the macro string at `range`; also gives where the last `%...` ends, the start of the range if there is none.
pub(super) fn read(bytes: &[u8], range: Range<usize>, context: Context) -> Result<(MacroString, usize), Problem> {
    let mut parts = Vec::new();
    let mut text = Vec::new();
    let mut last_macro = range.start;
    let mut at = range.start;
    while at < range.end {
        let byte = bytes[at];
        if byte != b'%' {
            let allowed = byte.is_ascii_graphic() || (byte == b' ' && context == Context::Explanation);
            if !allowed {
                return Err(Problem::new(bytes, at..at + 1, ProblemKind::Character(byte)));
            }
            text.push(byte);
            at += 1;
            continue;
        }
        let next = bytes[..range.end].get(at + 1).copied();
        match next {
            Some(b'%') => text.push(b'%'),
            Some(b'_') => text.push(b' '),
            Some(b'-') => text.extend_from_slice(b"%20"),
            Some(b'{') => {
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text).into()));
                }
                let (found, end) = read_macro(bytes, at, range.end, context)?;
                parts.push(Part::Macro(found));
                at = end;
                last_macro = end;
                continue;
            }
            _ => return Err(fault(bytes, at..(at + 2).min(range.end), MacroFault::Percent)),
        }
        at += 2;
        last_macro = at;
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.into()));
    }
    Ok((MacroString { range, parts }, last_macro))
}

/// Reads the `%{` at `start`; gives the macro and where it ends.
fn read_macro(bytes: &[u8], start: usize, limit: usize, context: Context) -> Result<(Macro, usize), Problem> {
    let body = &bytes[start + 2..limit];
    let Some(length) = body.iter().position(|&b| b == b'}') else {
        return Err(fault(bytes, start..limit, MacroFault::Unclosed));
    };
    let body = &body[..length];
    let end = start + 2 + length + 1;
    let wrong = |what| fault(bytes, start..end, what);

    let Some((&first, rest)) = body.split_first() else {
        return Err(wrong(MacroFault::Letter));
    };
    let letter = match first.to_ascii_lowercase() {
        b's' => Letter::Sender,
        b'l' => Letter::LocalPart,
        b'o' => Letter::SenderDomain,
        b'd' => Letter::Domain,
        b'i' => Letter::Address,
        b'p' => Letter::ValidatedName,
        b'v' => Letter::Family,
        b'h' => Letter::Helo,
        b'c' => Letter::ReadableAddress,
        b'r' => Letter::Receiver,
        b't' => Letter::Time,
        _ => return Err(wrong(MacroFault::Letter)),
    };
    let only_explained = matches!(letter, Letter::ReadableAddress | Letter::Receiver | Letter::Time);
    if only_explained && context != Context::Explanation {
        return Err(wrong(MacroFault::ExplanationOnly));
    }
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let keep = rest[..digits]
        .iter()
        .fold(0usize, |number, digit| number.saturating_mul(10).saturating_add(usize::from(digit - b'0')));
    if digits > 0 && keep == 0 {
        return Err(wrong(MacroFault::Zero));
    }
    let rest = &rest[digits..];
    let reversed = rest.first().is_some_and(|b| b.eq_ignore_ascii_case(&b'r'));
    let delimiters = &rest[usize::from(reversed)..];
    if !delimiters.iter().all(|b| b".-+,/_=".contains(b)) {
        return Err(wrong(MacroFault::Transformer));
    }
    let delimiters: &[u8] = if delimiters.is_empty() { b"." } else { delimiters };
    let found = Macro {
        letter,
        escaped: first.is_ascii_uppercase(),
        keep: (digits > 0).then_some(keep),
        reversed,
        delimiters: delimiters.into(),
    };
    Ok((found, end))
}

fn fault(bytes: &[u8], range: Range<usize>, what: MacroFault) -> Problem {
    Problem::new(bytes, range, ProblemKind::Macro(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of the examples in RFC 7208 §7.4.
    struct Example;

    impl Values for Example {
        fn value(&self, letter: Letter) -> Cow<'_, [u8]> {
            Cow::Borrowed(match letter {
                Letter::Sender => b"strong-bad@email.example.com",
                Letter::LocalPart => b"strong-bad",
                Letter::SenderDomain | Letter::Domain => b"email.example.com",
                Letter::Address | Letter::ReadableAddress => b"192.0.2.3",
                Letter::ValidatedName => b"mx.example.org",
                Letter::Family => b"in-addr",
                Letter::Helo => b"mail.example.org",
                Letter::Receiver => b"mx.example.net",
                Letter::Time => b"1",
            })
        }
    }

    fn record(text: &str) -> Result<MacroString, Problem> {
        read(text.as_bytes(), 0..text.len(), Context::Record).map(|(string, _)| string)
    }

    #[test]
    fn macros_expand_as_the_rfc_prints() {
        for (text, want) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{l1r+-}", "strong"),
            ("%{l1R+-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
            ("%{d2}.trusted-domains.example.net.", "example.com.trusted-domains.example.net"),
            ("%{S}", "strong-bad%40email.example.com"),
            ("a%%b%_c%-d", "a%b c%20d"),
            ("%{d99999999999999999999999}", "email.example.com"),
        ] {
            let got = record(text).expect("valid").expand_domain(&Example);
            assert_eq!(String::from_utf8_lossy(&got), want, "{text}");
        }
        let text = MacroString::read_explanation(b"See %{c} at %{r}.").expect("valid");
        assert_eq!(text.expand_text(&Example, 100).as_deref(), Some(&b"See 192.0.2.3 at mx.example.net."[..]));
        assert_eq!(text.expand_text(&Example, 10), None);
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        use MacroFault::*;
        for (text, want, range) in [
            ("a%", Percent, 1..2),
            ("%(ir).x", Percent, 0..2),
            ("x.%{d", Unclosed, 2..5),
            ("x.%{", Unclosed, 2..4),
            ("%{}", Letter, 0..3),
            ("%{a}", Letter, 0..4),
            ("%{r}.x", ExplanationOnly, 0..4),
            ("%{d0}", Zero, 0..5),
            ("%{d2x}", Transformer, 0..6),
            ("%{drr}", Transformer, 0..6),
            ("%{d-2}", Transformer, 0..6),
        ] {
            let problem = record(text).expect_err(text);
            assert_eq!((problem.kind, problem.range), (ProblemKind::Macro(want), range), "{text}");
        }
        assert!(record("a b").is_err(), "a blank stands in explanations alone");
        assert!(MacroString::read_explanation("caf\u{e9}".as_bytes()).is_err());
    }

    #[test]
    fn long_names_lose_whole_labels_at_the_left() {
        let long = "%{d}.".repeat(50_000) + "tail.example.com";
        let got = record(&long).expect("valid").expand_domain(&Example);
        let text = String::from_utf8(got).expect("ASCII");
        assert!(text.len() <= 253 && text.len() > 253 - 18, "{}", text.len());
        assert!(text.ends_with(".email.example.com.tail.example.com"));
        assert!(["email.", "example.", "com."].iter().any(|label| text.starts_with(label)), "{text}");

        // A name that just fits stays whole, one octet more costs its first label, one endless label costs all.
        let fits = format!("{}.{}", "a".repeat(200), "b".repeat(52));
        assert_eq!(record(&fits).expect("valid").expand_domain(&Example), fits.as_bytes());
        assert_eq!(record(&format!("{fits}.")).expect("valid").expand_domain(&Example), fits.as_bytes());
        let over = format!("x{fits}");
        assert_eq!(record(&over).expect("valid").expand_domain(&Example), "b".repeat(52).as_bytes());
        assert_eq!(record(&"a".repeat(300)).expect("valid").expand_domain(&Example), b"");
    }
}
