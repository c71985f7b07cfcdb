//! Reading an Authentication-Results field (RFC 8601 §2.2), ours or of a relay that the settings trust.
//!
//! Each result is read by itself: one that is malformed is left out and named, and the others stand.
//! What a trusted relay wrote may still hold strangers' text, so nothing is taken from a malformed result.

use super::{AuthResults, LONGEST_VALUE, MethodResult, Property, is_token_byte};
use std::fmt;

/// What could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The field does not start with an authserv-id and a semicolon: nothing of it was read.
    NoAuthservId,
    /// The version is not 1: nothing of it was read.
    Version,
    /// The result that starts at this octet of the value is malformed.
    Result(usize),
    /// There are no results, and no `none` either.
    NoResults,
}

/// Reads a field's value; comments are skipped, names become lower case.
///
/// An address with a quoted local part keeps its quotes; any other quoted value loses them.
pub fn read(value: &[u8]) -> (AuthResults, Vec<Problem>) {
    let mut reader = Reader { bytes: value, at: 0 };
    let mut field = AuthResults::default();
    match reader.head() {
        Ok(id) => field.authserv_id = id,
        Err(problem) => return (field, vec![problem]),
    }
    let mut problems = Vec::new();
    let mut said_none = false;
    while reader.take(b';') {
        let start = reader.at;
        match reader.resinfo() {
            Some(Some(result)) => field.results.push(result),
            Some(None) => said_none = true,
            None => {
                problems.push(Problem::Result(start));
                reader.at = start;
                reader.skip_result();
            }
        }
    }
    if field.results.is_empty() && !said_none && problems.is_empty() {
        problems.push(Problem::NoResults);
    }
    (field, problems)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// authserv-id and version; ends at the first semicolon or at the end.
    fn head(&mut self) -> Result<String, Problem> {
        let id = self.blanks().and_then(|()| self.value()).filter(|id| id.len() <= LONGEST_VALUE);
        let id = id.ok_or(Problem::NoAuthservId)?;
        self.blanks().ok_or(Problem::NoAuthservId)?;
        let version = self.run(|byte| byte.is_ascii_digit());
        if !version.is_empty() && version.trim_start_matches('0') != "1" {
            return Err(Problem::Version);
        }
        self.blanks().ok_or(Problem::NoAuthservId)?;
        match self.peek() {
            None | Some(b';') => Ok(id),
            Some(_) => Err(Problem::NoAuthservId),
        }
    }

    /// One result, up to its semicolon or the end: `Some(None)` is the word `none`, `None` is malformed.
    fn resinfo(&mut self) -> Option<Option<MethodResult>> {
        self.blanks()?;
        let method = self.keyword()?;
        self.blanks()?;
        if method == "none" && matches!(self.peek(), None | Some(b';')) {
            return Some(None);
        }
        if self.take(b'/') {
            self.blanks()?;
            if self.run(|byte| byte.is_ascii_digit()).is_empty() {
                return None;
            }
            self.blanks()?;
        }
        self.expect(b'=')?;
        let result = self.keyword()?;
        let mut found = MethodResult { method, result, reason: None, comment: None, properties: Vec::new() };
        loop {
            let before = self.at;
            self.blanks()?;
            if matches!(self.peek(), None | Some(b';')) {
                return Some(Some(found));
            }
            // Words need something between them.
            if before == self.at {
                return None;
            }
            let word = self.keyword()?;
            self.blanks()?;
            if word == "reason" && self.peek() == Some(b'=') {
                if found.reason.is_some() || !found.properties.is_empty() {
                    return None;
                }
                self.expect(b'=')?;
                found.reason = Some(self.value()?);
                continue;
            }
            self.expect(b'.')?;
            let name = self.keyword()?;
            self.blanks()?;
            self.expect(b'=')?;
            found.properties.push(Property { ptype: word, name, value: self.pvalue()? });
        }
    }

    /// Goes to the semicolon that ends a malformed result: outside quotes and comments, where they can be told.
    fn skip_result(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b';' => return,
                b'"' => {
                    if self.quoted().is_none() {
                        self.at = self.bytes.len();
                    }
                }
                b'(' => {
                    if self.blanks().is_none() {
                        self.at = self.bytes.len();
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// This octet, and the blanks behind it.
    fn expect(&mut self, byte: u8) -> Option<()> {
        if self.take(byte) { self.blanks() } else { None }
    }

    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&belongs) {
            self.at += 1;
        }
        String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned()
    }

    /// `Keyword` of RFC 5321 §4.1.2, and the underscore, which some write; no registered one is half as long as 64.
    fn keyword(&mut self) -> Option<String> {
        let word = self.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        Some(word.to_ascii_lowercase()).filter(|word| (1..=64).contains(&word.len()))
    }

    /// `value`: a token or a quoted string.
    fn value(&mut self) -> Option<String> {
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        Some(self.run(|byte| is_token_byte(byte) || byte >= 0x80)).filter(|text| !text.is_empty())
    }

    /// `pvalue`: a value or an address. Read generously: many write `/`, `=` or `<>` without quotes.
    fn pvalue(&mut self) -> Option<String> {
        if self.peek() != Some(b'"') {
            return Some(self.run(|byte| byte > b' ' && byte != 0x7f && !b";()\"\\".contains(&byte)));
        }
        let start = self.at;
        let text = self.quoted()?;
        if self.peek() != Some(b'@') {
            return Some(text);
        }
        let local = String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned();
        let domain = self.run(|byte| byte.is_ascii_alphanumeric() || byte >= 0x80 || b"@.-_".contains(&byte));
        Some(local + &domain).filter(|_| domain.len() > 1)
    }

    /// `quoted-string`, without its quotes, backslashes and line ends.
    fn quoted(&mut self) -> Option<String> {
        let mut text = Vec::new();
        self.at += 1;
        loop {
            let mut byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(String::from_utf8_lossy(&text).into_owned()),
                b'\r' | b'\n' => continue,
                b'\\' => {
                    byte = self.peek()?;
                    self.at += 1;
                }
                _ => {}
            }
            text.push(byte);
        }
    }

    /// `CFWS`; `None` if a comment is not closed.
    fn blanks(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b'\\' if depth > 0 => self.at += 1,
                _ if depth > 0 => {}
                _ => return Some(()),
            }
            self.at += 1;
        }
        if depth == 0 { Some(()) } else { None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NoAuthservId => write!(f, "no authserv-id at the start"),
            Problem::Version => write!(f, "unknown version"),
            Problem::Result(at) => write!(f, "the result at octet {at} is malformed"),
            Problem::NoResults => write!(f, "no results"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `method=result[reason] ptype.name=value`, joined by ` | `.
    fn flat(field: &AuthResults) -> String {
        let results = field.results.iter().map(|result| {
            let mut text = format!("{}={}", result.method(), result.result());
            if let Some(reason) = result.reason() {
                text += &format!("[{reason}]");
            }
            for Property { ptype, name, value } in result.properties() {
                text += &format!(" {ptype}.{name}={value}");
            }
            text
        });
        format!("{}: {}", field.authserv_id, results.collect::<Vec<_>>().join(" | "))
    }

    #[test]
    fn fields_are_read() {
        for (value, want) in [
            (" mx.example; none", "mx.example: "),
            (" mx.example 1; NONE", "mx.example: "),
            (" \"mx example\"; spf=pass", "mx example: spf=pass"),
            (
                " mx.example;\r\n\tdkim=pass (2048-bit; \\) (x)) header.d=a.example header.i=@a.example;\r\n\tspf = Fail",
                "mx.example: dkim=pass header.d=a.example header.i=@a.example | spf=fail",
            ),
            (
                "mx.example;dkim/1=fail reason=\"no; \\\"key\\\"\" header . d = a.example(c)header.b=\"a/b=\"",
                "mx.example: dkim=fail[no; \"key\"] header.d=a.example header.b=a/b=",
            ),
            (" mx; spf=pass smtp.mailfrom=\"a b\"@c.example", "mx: spf=pass smtp.mailfrom=\"a b\"@c.example"),
            (" mx; spf=none smtp.mailfrom=<>", "mx: spf=none smtp.mailfrom=<>"),
            (" mx; reason=pass reason.reason=x", "mx: reason=pass reason.reason=x"),
        ] {
            let (field, problems) = read(value.as_bytes());
            assert_eq!((flat(&field).as_str(), problems), (want, vec![]), "{value}");
        }
    }

    #[test]
    fn what_is_malformed_is_left_out_and_named() {
        for (value, want, problem) in [
            ("", ": ", Problem::NoAuthservId),
            ("; dkim=pass", ": ", Problem::NoAuthservId),
            (" spf=pass smtp.mailfrom=x; dkim=pass", ": ", Problem::NoAuthservId),
            (" mx 2; dkim=pass", ": ", Problem::Version),
            (" mx", "mx: ", Problem::NoResults),
            (" mx;", "mx: ", Problem::Result(4)),
            (" mx; dkim; spf=pass", "mx: spf=pass", Problem::Result(4)),
            (" mx; dkim=pass header.d; spf=pass", "mx: spf=pass", Problem::Result(4)),
            (" mx; dkim=pass x.y=\"; spf=fail\" z; spf=pass", "mx: spf=pass", Problem::Result(4)),
            (" mx; dkim=pass (spf=fail; spf=pass", "mx: ", Problem::Result(4)),
            (" mx; dkim=pass x.y=a reason=b; spf=pass", "mx: spf=pass", Problem::Result(4)),
        ] {
            let (field, problems) = read(value.as_bytes());
            assert_eq!((flat(&field).as_str(), problems), (want, vec![problem]), "{value}");
        }
    }
}
