//! Whole-body inverses: each guess about a gateway gives one body that can be tried.

use super::{
    links::{self, Ampersands},
    search::lines,
};
use crate::{
    diagnose::register::{Cause, modified as causes},
    dkim::Canon,
};
use std::borrow::Cow;

/// A way in which a body may have been changed, and how to undo it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inverse {
    /// Long lines were broken at this width; what stands at the break.
    Wrapped(usize, Break),
    /// `From ` became `>From `, or back.
    FromEscaped,
    FromUnescaped,
    /// `From ` became `=46rom `.
    FromQuoted,
    /// Dots at the start of a line were doubled.
    DotsDoubled,
    /// So many empty lines were added at the start, or one was lost.
    BlankAdded(usize),
    BlankLost(usize),
    /// Line ends.
    Ends(Ends),
    /// Blanks were added at the ends of lines.
    TrailingBlanks,
    /// The blank behind `--` was lost.
    SignatureBlank,
    /// Links were wrapped.
    Links(Ampersands),
    /// A picture of one pixel was added.
    Pixel,
}

/// What stands where a long line was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// A line end and a space, which counts to the next line (Postfix).
    Space,
    /// A line end and a space, which does not count.
    Extra,
    /// A line end.
    Bare,
    /// An exclamation mark, a line end and a space (Sendmail).
    Mark,
}

/// How line ends were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// CRLF became LF in places.
    LfForCrlf,
    /// CRLF became CR in places.
    CrForCrlf,
    /// CRLF became CR LF and an empty line.
    Doubled,
    /// CRLF became CR CR LF.
    CrDoubled,
    /// Bare LF or CR became CRLF: all line ends but the last were LF or CR.
    CrlfForCr,
    /// LF vanished from within lines, or CR did: not to be undone, so this is LF read back for CR.
    LfForCr,
}

/// Every inverse, the likeliest first.
pub const ALL: [Inverse; 32] = [
    Inverse::Wrapped(998, Break::Space),
    Inverse::FromEscaped,
    Inverse::DotsDoubled,
    Inverse::FromQuoted,
    Inverse::BlankAdded(1),
    Inverse::BlankLost(1),
    Inverse::Ends(Ends::LfForCrlf),
    Inverse::Ends(Ends::CrForCrlf),
    Inverse::Ends(Ends::CrDoubled),
    Inverse::Ends(Ends::Doubled),
    Inverse::Links(Ampersands::Bare),
    Inverse::Links(Ampersands::ByPlace),
    Inverse::Pixel,
    Inverse::Wrapped(990, Break::Space),
    Inverse::Wrapped(2048, Break::Space),
    Inverse::Wrapped(998, Break::Extra),
    Inverse::Wrapped(990, Break::Extra),
    Inverse::Wrapped(2048, Break::Extra),
    Inverse::Wrapped(998, Break::Bare),
    Inverse::Wrapped(990, Break::Bare),
    Inverse::Wrapped(2048, Break::Bare),
    Inverse::Wrapped(990, Break::Mark),
    Inverse::Wrapped(0, Break::Space),
    Inverse::Wrapped(0, Break::Bare),
    Inverse::Wrapped(0, Break::Mark),
    Inverse::TrailingBlanks,
    Inverse::SignatureBlank,
    Inverse::FromUnescaped,
    Inverse::BlankAdded(2),
    Inverse::BlankLost(2),
    Inverse::Ends(Ends::CrlfForCr),
    Inverse::Ends(Ends::LfForCr),
];

/// A line shorter than this was not broken for its length.
const LONG: usize = 500;

impl Inverse {
    /// May it have been done to a text before that was encoded?
    pub fn is_of_texts(self) -> bool {
        matches!(self, Inverse::Links(_) | Inverse::Pixel | Inverse::FromEscaped | Inverse::DotsDoubled)
    }

    /// The cause that it undoes.
    pub fn cause(self) -> &'static Cause {
        match self {
            Inverse::Wrapped(..) => &causes::LONG_LINES_WRAPPED,
            Inverse::FromEscaped | Inverse::FromUnescaped | Inverse::FromQuoted => &causes::FROM_ESCAPED,
            Inverse::DotsDoubled => &causes::DOT_CHANGED,
            Inverse::BlankAdded(_) | Inverse::BlankLost(_) => &causes::LEADING_BLANK_LINE,
            Inverse::Ends(_) => &causes::LINE_ENDINGS_CHANGED,
            Inverse::TrailingBlanks | Inverse::SignatureBlank => &causes::TRAILING_WHITESPACE,
            Inverse::Links(_) => &causes::URLS_REWRITTEN,
            Inverse::Pixel => &causes::TRACKING_INSERTED,
        }
    }

    /// The body before the change, and the change in words; `None` where nothing in the body could come from it.
    pub fn apply(self, body: &[u8], canon: Canon) -> Option<(Vec<u8>, String)> {
        match self {
            Inverse::Wrapped(width, at) => {
                let width = if width == 0 { longest_break(body)? } else { width };
                let (out, count) = unwrapped(body, width, at);
                changed(out, count, |n| {
                    format!("{n} broken at {width} octets after signing", n = some(n, "line was", "lines were"))
                })
            }
            Inverse::FromEscaped => {
                let (out, count) = by_line(body, |line| {
                    let rest = line.trim_ascii_start_matches(b'>');
                    (rest.len() < line.len() && rest.starts_with(b"From ")).then(|| Cow::Borrowed(&line[1..]))
                });
                changed(out, count, |n| {
                    format!(
                        "{} written as >From after signing, as mbox files do",
                        some(n, "line that starts with From was", "lines that start with From were")
                    )
                })
            }
            Inverse::FromUnescaped => {
                let (out, count) =
                    by_line(body, |line| line.starts_with(b"From ").then(|| Cow::Owned([b">", line].concat())));
                changed(out, count, |n| {
                    format!(
                        "{} its > after signing, as readers of mbox files do",
                        some(n, "line that started with >From lost", "lines that started with >From lost")
                    )
                })
            }
            Inverse::FromQuoted => {
                let (out, count) = by_line(body, |line| {
                    line.strip_prefix(b"=46rom ").map(|rest| Cow::Owned([b"From ", rest].concat()))
                });
                changed(out, count, |n| {
                    format!(
                        "{} written as =46rom after signing",
                        some(n, "line that starts with From was", "lines that start with From were")
                    )
                })
            }
            Inverse::DotsDoubled => {
                let (out, count) = by_line(body, |line| line.starts_with(b"..").then(|| Cow::Borrowed(&line[1..])));
                changed(out, count, |n| {
                    format!(
                        "the dot at the start of {} doubled after signing and not taken back",
                        some(n, "line was", "lines was")
                    )
                })
            }
            Inverse::BlankAdded(n) => {
                let blanks = b"\r\n".repeat(n);
                let rest = body.strip_prefix(&blanks[..])?;
                Some((
                    rest.to_vec(),
                    format!(
                        "{} added at the start of the body after signing",
                        some(n, "empty line was", "empty lines were")
                    ),
                ))
            }
            Inverse::BlankLost(n) => Some((
                [&b"\r\n".repeat(n), body].concat(),
                format!(
                    "{} lost at the start of the body after signing",
                    some(n, "empty line was", "empty lines were")
                ),
            )),
            Inverse::Ends(ends) => ends.apply(body),
            Inverse::TrailingBlanks if canon == Canon::Simple => {
                let (out, count) = by_line(body, |line| {
                    let content = line.strip_suffix(b"\r\n").unwrap_or(line);
                    let kept = content.trim_ascii_end();
                    (kept.len() < content.len()).then(|| Cow::Owned([kept, &line[content.len()..]].concat()))
                });
                changed(out, count, |n| {
                    format!("blanks were added at the end of {} after signing", some(n, "line", "lines"))
                })
            }
            Inverse::SignatureBlank if canon == Canon::Simple => {
                let (out, count) = by_line(body, |line| (line == b"--\r\n").then_some(Cow::Borrowed(&b"-- \r\n"[..])));
                changed(out, count, |n| {
                    format!("the blank behind -- was removed from {} after signing", some(n, "line", "lines"))
                })
            }
            Inverse::TrailingBlanks | Inverse::SignatureBlank => None,
            Inverse::Links(ampersands) => links::unwrapped(body, ampersands),
            Inverse::Pixel => links::without_pixels(body),
        }
    }
}

impl Ends {
    fn apply(self, body: &[u8]) -> Option<(Vec<u8>, String)> {
        let mut out = Vec::with_capacity(body.len() + body.len() / 32);
        let mut count = 0;
        let mut at = 0;
        while let Some(&byte) = body.get(at) {
            let rest = &body[at..];
            at += 1;
            match (self, byte) {
                (Ends::CrDoubled, b'\r') if rest.starts_with(b"\r\r\n") => count += 1,
                (Ends::Doubled, b'\r') if rest.starts_with(b"\r\n\r\n") => {
                    out.extend_from_slice(b"\r\n");
                    at += 3;
                    count += 1;
                }
                (_, b'\r') if rest.starts_with(b"\r\n") => {
                    at += 1;
                    if self == Ends::CrlfForCr && at < body.len() {
                        out.push(b'\r');
                        count += 1;
                    } else {
                        out.extend_from_slice(b"\r\n");
                    }
                }
                (Ends::LfForCrlf, b'\n') | (Ends::CrForCrlf, b'\r') => {
                    out.extend_from_slice(b"\r\n");
                    count += 1;
                }
                (Ends::LfForCr, b'\n') => {
                    out.push(b'\r');
                    count += 1;
                }
                _ => out.push(byte),
            }
        }
        let what = match self {
            Ends::LfForCrlf => "CRLF became a bare LF",
            Ends::CrForCrlf => "CRLF became a bare CR",
            Ends::Doubled => "line ends were doubled",
            Ends::CrDoubled => "CRLF became CR CR LF",
            Ends::CrlfForCr => "a bare CR became CRLF",
            Ends::LfForCr => "a bare CR became LF",
        };
        changed(out, count, |n| format!("{what} in {} after signing", some(n, "place", "places")))
    }
}

trait TrimMatches {
    fn trim_ascii_start_matches(&self, byte: u8) -> &[u8];
}

impl TrimMatches for [u8] {
    fn trim_ascii_start_matches(&self, byte: u8) -> &[u8] {
        let start = self.iter().position(|&b| b != byte).unwrap_or(self.len());
        &self[start..]
    }
}

fn changed(out: Vec<u8>, count: usize, say: impl Fn(usize) -> String) -> Option<(Vec<u8>, String)> {
    (count > 0).then(|| (out, say(count)))
}

/// `1 line was` or `3 lines were`.
pub fn some(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

fn by_line<'a>(body: &'a [u8], change: impl Fn(&'a [u8]) -> Option<Cow<'a, [u8]>>) -> (Vec<u8>, usize) {
    let mut out = Vec::with_capacity(body.len() + 16);
    let mut count = 0;
    for line in lines(body) {
        match change(line) {
            Some(new) => {
                out.extend_from_slice(&new);
                count += 1;
            }
            None => out.extend_from_slice(line),
        }
    }
    (out, count)
}

/// The length of the longest line, if it is long and another follows that could be its rest.
fn longest_break(body: &[u8]) -> Option<usize> {
    let width = lines(body).map(|line| line.len().saturating_sub(2)).max().filter(|&width| width >= LONG)?;
    (![998, 990, 2048].contains(&width)).then_some(width)
}

/// Lines of exactly this width joined with the line behind them.
fn unwrapped(body: &[u8], width: usize, at: Break) -> (Vec<u8>, usize) {
    let mut out = Vec::with_capacity(body.len());
    let mut count = 0;
    let mut joined = false;
    for line in lines(body) {
        let line = match at {
            Break::Space | Break::Extra | Break::Mark if joined => line.strip_prefix(b" ").unwrap_or(line),
            _ => line,
        };
        let removed = usize::from(joined && matches!(at, Break::Space | Break::Mark));
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        joined = content.len() + removed == width
            && line.len() > content.len()
            && (at != Break::Mark || content.ends_with(b"!"));
        if joined {
            count += 1;
            out.extend_from_slice(if at == Break::Mark { &content[..content.len() - 1] } else { content });
        } else {
            out.extend_from_slice(line);
        }
    }
    (out, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses() {
        for (inverse, body, want) in [
            (Inverse::FromEscaped, &b">From a\r\n>>From b\r\n>no\r\n"[..], Some(&b"From a\r\n>From b\r\n>no\r\n"[..])),
            (Inverse::FromQuoted, b"=46rom a\r\n", Some(b"From a\r\n")),
            (Inverse::DotsDoubled, b"..a\r\n.b\r\n", Some(b".a\r\n.b\r\n")),
            (Inverse::DotsDoubled, b".b\r\n", None),
            (Inverse::BlankAdded(1), b"\r\na\r\n", Some(b"a\r\n")),
            (Inverse::BlankAdded(1), b"a\r\n", None),
            (Inverse::BlankLost(1), b"a\r\n", Some(b"\r\na\r\n")),
            (Inverse::Ends(Ends::LfForCrlf), b"a\nb\r\n", Some(b"a\r\nb\r\n")),
            (Inverse::Ends(Ends::CrForCrlf), b"a\rb\r\n", Some(b"a\r\nb\r\n")),
            (Inverse::Ends(Ends::CrDoubled), b"a\r\r\nb\r\n", Some(b"a\r\nb\r\n")),
            (Inverse::Ends(Ends::Doubled), b"a\r\n\r\nb\r\n", Some(b"a\r\nb\r\n")),
            (Inverse::TrailingBlanks, b"a \r\nb\t\r\n", Some(b"a\r\nb\r\n")),
            (Inverse::SignatureBlank, b"a\r\n--\r\nme\r\n", Some(b"a\r\n-- \r\nme\r\n")),
        ] {
            let undone = inverse.apply(body, Canon::Simple).map(|(body, _)| body);
            assert_eq!(undone.as_deref(), want, "{inverse:?}");
        }
    }

    #[test]
    fn long_lines_are_joined_as_postfix_broke_them() {
        let line = "x".repeat(2500);
        let broken = format!("short\r\n{}\r\n {}\r\n {}\r\nend\r\n", &line[..998], &line[998..1995], &line[1995..]);
        let (undone, claim) =
            Inverse::Wrapped(998, Break::Space).apply(broken.as_bytes(), Canon::Simple).expect("breaks");
        assert_eq!(undone, format!("short\r\n{line}\r\nend\r\n").into_bytes());
        assert!(claim.starts_with("2 lines"), "{claim}");
        let broken = format!("{}\r\n {}\r\n {}\r\n", &line[..998], &line[998..1996], &line[1996..]);
        let (undone, _) = Inverse::Wrapped(998, Break::Extra).apply(broken.as_bytes(), Canon::Simple).expect("breaks");
        assert_eq!(undone, format!("{line}\r\n").into_bytes());
    }
}
