//! Authentication-Results (RFC 8601): our field written, forged ones found, any one read.
//!
//! What is written here parses back to the property list that was put in, whatever strangers put into the values:
//! a value is cleaned or refused when it is added ([`MethodResult::with_property`]), and never escaped, because readers
//! disagree about backslashes. Only ASCII is written, so that the field is legal in every message.
//! [`claims`] decides which fields pretend to be ours; [`read`] reads the field of somebody that the settings trust.
//! Nothing here fails: a value that cannot be told is left out.

mod claims;
mod read;

pub use claims::claims;
pub use read::{Problem, read};

use crate::{address::Mailbox, name::DomainName};
use std::fmt;

/// Longest value of one property, in octets: a line of a message holds 998 (RFC 5322 §2.1.1) and the name needs some of them.
const LONGEST_VALUE: usize = 800;
/// Longest reason or comment, in octets; what is longer is cut and ends in `...`.
const LONGEST_TEXT: usize = 200;
/// Lines are folded before this many characters (RFC 5322 §2.1.1).
const LINE: usize = 78;

/// The content of one Authentication-Results field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthResults {
    /// Who says so: the name of this mail system, not of this host (RFC 8601 §2.5).
    pub authserv_id: String,
    /// One per method and, for DKIM, per signature; empty is written as `none`.
    pub results: Vec<MethodResult>,
}

/// What one method said (`resinfo`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodResult {
    method: String,
    result: String,
    reason: Option<String>,
    comment: Option<String>,
    properties: Vec<Property>,
}

/// One thing that a result is about: `ptype.name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Where the value came from: `header`, `smtp`, `policy` or `body`.
    pub ptype: String,
    /// Which one of them: `d`, `mailfrom` ...
    pub name: String,
    /// The value without quotes.
    pub value: String,
}

impl MethodResult {
    /// A result by its words (RFC 8601 §2.7): `dkim` `pass`, without properties.
    pub fn new(method: &'static str, result: &'static str) -> MethodResult {
        MethodResult {
            method: method.into(),
            result: result.into(),
            reason: None,
            comment: None,
            properties: Vec::new(),
        }
    }

    /// Adds `reason="..."`; characters that cannot stand in it become `?`.
    pub fn with_reason(mut self, text: &str) -> MethodResult {
        self.reason = clean_text(text.as_bytes(), b"\"\\");
        self
    }

    /// Adds a comment behind the result; characters that cannot stand in it become `?`.
    pub fn with_comment(mut self, text: &str) -> MethodResult {
        self.comment = clean_text(text.as_bytes(), b"()\\");
        self
    }

    /// Adds `ptype.name=value`, if the value can be told.
    ///
    /// - A token (RFC 2045 §5.1) stands as it is.
    /// - `local@domain` stands as it is where the local part is a dot-atom; else only `@domain` does.
    /// - Anything else is quoted; a character that has no place in quotes, or would need a backslash, becomes `?`.
    ///   It goes to the end, and a second such value of one result is left out: authres 1.2.0 and readers
    ///   like it take a quoted value only there.
    /// - An empty value, or one over 800 octets, is left out: half a name could be another name.
    pub fn with_property(mut self, ptype: &'static str, name: &'static str, value: impl AsRef<[u8]>) -> MethodResult {
        self.add(ptype, name, value.as_ref());
        self
    }

    /// Adds an envelope address: whole where its local part is a dot-atom, else its domain alone, which is what SPF judged.
    pub fn with_address(self, ptype: &'static str, name: &'static str, mailbox: &Mailbox) -> MethodResult {
        match is_dot_atom(&mailbox.local_part) {
            true => self.with_property(ptype, name, format!("{}@{}", mailbox.local_part, mailbox.domain)),
            false => self.with_property(ptype, name, mailbox.domain.as_str()),
        }
    }

    /// The method: `dkim`, `spf`, `dmarc`, `arc` ...
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The result: `pass`, `fail` ...
    pub fn result(&self) -> &str {
        &self.result
    }

    /// The reason, without quotes.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The properties, in the order of the field.
    pub fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// The value of the first property of this name.
    pub fn property(&self, ptype: &str, name: &str) -> Option<&str> {
        let found = self.properties.iter().find(|property| property.ptype == ptype && property.name == name);
        found.map(|property| property.value.as_str())
    }

    fn add(&mut self, ptype: &str, name: &str, value: &[u8]) {
        let Some(value) = clean_value(value) else { return };
        let quoted_last = self.properties.last().is_some_and(|last| needs_quotes(&last.value));
        if quoted_last && needs_quotes(&value) {
            return;
        }
        let at = self.properties.len() - usize::from(quoted_last);
        self.properties.insert(at, Property { ptype: ptype.into(), name: name.into(), value });
    }

    /// The same, fit to be written: what was read from a stranger's field may hold anything.
    fn cleaned(&self) -> MethodResult {
        let mut clean = MethodResult { properties: Vec::new(), ..self.clone() };
        clean.reason = self.reason.as_ref().and_then(|text| clean_text(text.as_bytes(), b"\"\\"));
        for Property { ptype, name, value } in &self.properties {
            clean.add(ptype, name, value.as_bytes());
        }
        clean
    }
}

impl AuthResults {
    /// The value of the field, without a leading blank, folded with LF and TAB as Postfix takes it from a milter.
    pub fn value(&self) -> String {
        let mut folder = Folder::new("Authentication-Results: ".len());
        let id = match is_token(&self.authserv_id) && self.authserv_id.len() <= LONGEST_VALUE {
            true => self.authserv_id.clone(),
            // Cleaned before it is judged: blanks that go must not leave quotes behind that the next reader drops.
            false => clean_text(self.authserv_id.as_bytes(), b"\"\\").unwrap_or_default(),
        };
        let id = if is_token(&id) { id } else { format!("\"{id}\"") };
        folder.words(&id);
        if self.results.is_empty() {
            folder.text.push(';');
            folder.word("none", ' ');
        }
        for result in self.results.iter().map(MethodResult::cleaned) {
            folder.text.push(';');
            folder.line();
            folder.words(&format!("{}={}", result.method, result.result));
            if let Some(comment) = &result.comment {
                folder.word_and_words(&format!("({comment})"));
            }
            if let Some(reason) = &result.reason {
                folder.word_and_words(&format!("reason=\"{reason}\""));
            }
            for Property { ptype, name, value } in &result.properties {
                let quote = if needs_quotes(value) { "\"" } else { "" };
                folder.word_and_words(&format!("{ptype}.{name}={quote}{value}{quote}"));
            }
        }
        folder.text
    }

    /// The whole field with its name, folded with CRLF and TAB, without the final CRLF.
    pub fn field(&self) -> String {
        format!("Authentication-Results: {}", self.value()).replace('\n', "\r\n")
    }
}

impl fmt::Display for AuthResults {
    /// On one line, for people and for JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value().replace("\n\t", " ").replace('\n', ""))
    }
}

/// How much of each b= is needed to tell the signatures of one message apart: at least eight characters (RFC 6008 §4).
///
/// Takes the values of b= without blanks; equal ones stay equal.
pub fn signature_prefixes<'a>(signatures: &[&'a str]) -> Vec<&'a str> {
    let shared = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let needed = |one: &str| {
        let others = signatures.iter().filter(|other| **other != one);
        others.map(|other| shared(one, other) + 1).max().unwrap_or(0).max(8)
    };
    signatures.iter().map(|one| one.get(..needed(one)).unwrap_or(one)).collect()
}

/// Lays words out on lines.
struct Folder {
    text: String,
    column: usize,
}

impl Folder {
    fn new(column: usize) -> Folder {
        Folder { text: String::new(), column }
    }

    fn line(&mut self) {
        self.text.push_str("\n\t");
        self.column = 1;
    }

    /// Adds what must follow the last word directly; blanks inside it may become folds that unfold to the same blank.
    fn words(&mut self, text: &str) {
        for (index, word) in text.split(' ').enumerate() {
            match index {
                0 => self.push(word),
                _ => self.word(word, '\n'),
            }
        }
    }

    /// Adds a blank or a fold, then [`Folder::words`].
    fn word_and_words(&mut self, text: &str) {
        let first = text.split(' ').next().unwrap_or_default();
        self.word(first, ' ');
        self.words(&text[first.len()..]);
    }

    /// Adds a word behind a blank. Where the line ends, the blank between words of the field becomes LF and TAB, but the
    /// blank inside quotes or a comment stays behind an LF: unfolding only removes the line end (RFC 5322 §2.2.3).
    fn word(&mut self, word: &str, blank: char) {
        // A blank goes before the word, and a semicolon may follow it.
        if self.column + word.len() + 2 <= LINE {
            self.push(" ");
        } else if blank == ' ' {
            self.line();
        } else {
            self.text.push('\n');
            self.column = 0;
            self.push(" ");
        }
        self.push(word);
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.len();
    }
}

/// The value as it will be written, without its quotes; `None` if it cannot be told. Cleaning twice changes nothing more.
fn clean_value(value: &[u8]) -> Option<String> {
    if value.len() > LONGEST_VALUE {
        return None;
    }
    plain_value(value).or_else(|| {
        let text = clean_text(value, b"\"\\")?;
        plain_value(text.as_bytes()).or(Some(text))
    })
}

/// A value that stands without quotes: a token, or an address, its local part dropped if it would need quotes.
fn plain_value(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok();
    if let Some(token) = text.filter(|text| is_token(text)) {
        return Some(token.into());
    }
    let at = value.iter().rposition(|&byte| byte == b'@')?;
    let domain = DomainName::from_bytes(&value[at + 1..]).ok()?;
    let local = std::str::from_utf8(&value[..at]).ok().filter(|local| is_dot_atom(local));
    Some(format!("{}@{domain}", local.unwrap_or_default()))
}

/// Text for quotes or a comment: printable ASCII, runs of blanks made one, and nothing of `refused`.
fn clean_text(text: &[u8], refused: &[u8]) -> Option<String> {
    let mut clean = String::new();
    for &byte in text {
        // Enough to know that it will be cut.
        if clean.len() > LONGEST_TEXT + 1 {
            break;
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' if clean.is_empty() || clean.ends_with(' ') => {}
            b' ' | b'\t' | b'\r' | b'\n' => clean.push(' '),
            b'!'..=b'~' if byte != b'?' && !refused.contains(&byte) => clean.push(byte.into()),
            _ => {
                // `=?` would start an encoded-word, which some readers decode before they parse.
                let end = clean.trim_end_matches('=').len();
                clean.replace_range(end.., &"?".repeat(clean.len() - end + 1));
            }
        }
    }
    clean.truncate(clean.trim_end().len());
    if clean.len() > LONGEST_TEXT {
        clean.truncate(LONGEST_TEXT - 3);
        clean.truncate(clean.trim_end().len());
        clean.push_str("...");
    }
    Some(clean).filter(|clean| !clean.is_empty())
}

/// Must this clean value be written as a quoted string?
fn needs_quotes(value: &str) -> bool {
    let address = value.rsplit_once('@').is_some_and(|(local, domain)| {
        (local.is_empty() || is_dot_atom(local)) && DomainName::new(domain).is_ok_and(|name| name.as_str() == domain)
    });
    !(is_token(value) || address)
}

/// RFC 2045 §5.1.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}

/// RFC 5322 §3.2.3, without the start of an encoded-word.
fn is_dot_atom(text: &str) -> bool {
    let atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(atext)) && !text.contains("=?")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(results: Vec<MethodResult>) -> AuthResults {
        AuthResults { authserv_id: "mx.example.net".into(), results }
    }

    #[test]
    fn a_field_is_folded_before_78() {
        let results = vec![
            MethodResult::new("dkim", "fail")
                .with_reason("body hash did not verify: the body was changed after signing by somebody")
                .with_property("header", "d", "example.com")
                .with_property("header", "i", "@example.com")
                .with_property("header", "b", "ab/cdefg")
                .with_property("header", "s", "ncpcompubkr")
                .with_property("header", "a", "rsa-sha256"),
            MethodResult::new("arc", "pass").with_comment("i=1"),
        ];
        let want = "mx.example.net;\n\
            \tdkim=fail reason=\"body hash did not verify: the body was changed after\n\
            \x20signing by somebody\" header.d=example.com header.i=@example.com\n\
            \theader.s=ncpcompubkr header.a=rsa-sha256 header.b=\"ab/cdefg\";\n\
            \tarc=pass (i=1)";
        assert_eq!(field(results).value(), want);
        assert_eq!(field(vec![]).field(), "Authentication-Results: mx.example.net; none");
    }

    #[test]
    fn an_authserv_id_is_written_as_it_is_read_again() {
        for (id, want) in [
            ("mx.example.net", "mx.example.net; none"),
            ("mx.example.net ", "mx.example.net; none"),
            ("mx example", "\"mx example\"; none"),
            ("\t", "\"\"; none"),
        ] {
            let text = AuthResults { authserv_id: id.into(), results: Vec::new() }.value();
            assert_eq!(text, want, "{id:?}");
            assert_eq!(read(text.as_bytes()).0.value(), want, "{id:?}");
        }
    }

    #[test]
    fn strangers_values_cannot_leave_their_place() {
        for (value, want) in [
            (&b"example.com"[..], Some("example.com")),
            (b"bob@example.com", Some("bob@example.com")),
            (b"a=b/c?@example.com", Some("a=b/c?@example.com")),
            (b"@example.com", Some("@example.com")),
            (b"@Example.com.", Some("@example.com")),
            (b"@example.com.\n", Some("@example.com")),
            (b"a\xff@example.com", Some("@example.com")),
            (b"\"; dkim=pass \"@example.com", Some("@example.com")),
            (b"a\r\nX: y@example.com", Some("@example.com")),
            ("사용자@한국.example".as_bytes(), Some("@xn--3e0b707e.example")),
            (b"=?utf-8?q?x?=@example.com", Some("@example.com")),
            (b"; dkim=pass", Some("\"; dkim=pass\"")),
            (b"a\";\\ (b)\r\n\tc\0\xff", Some("\"a?;? (b) c??\"")),
            (b"=?utf-8?q?=22=3B_dkim=3Dpass?=", Some("\"??utf-8?q?=22=3B_dkim=3Dpass?=\"")),
            (b"x==?\"", Some("\"x????\"")),
            (b"[192.0.2.1]", Some("\"[192.0.2.1]\"")),
            (b"2001:db8::1", Some("\"2001:db8::1\"")),
            (b"", None),
            (b" \r\n ", None),
            (&[b'a'; 801], None),
            (&[b';'; 801], None),
            (&[b'"'; 300], Some(&format!("\"{}...\"", "?".repeat(197)))),
        ] {
            let text = field(vec![MethodResult::new("spf", "none").with_property("smtp", "helo", value)]).to_string();
            let want = want.map(|want| format!(" smtp.helo={want}")).unwrap_or_default();
            assert_eq!(text.replace('\n', " "), format!("mx.example.net; spf=none{want}"), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn an_address_without_a_plain_local_part_is_its_domain() {
        let mailbox = |local_part: &str| Mailbox {
            local_part: local_part.into(),
            domain: DomainName::new("example.com").expect("a name"),
        };
        for (local, want) in [
            ("bob", "bob@example.com"),
            ("a b", "example.com"),
            ("a@b", "example.com"),
            ("", "example.com"),
            ("a..b", "example.com"),
            ("사용자", "example.com"),
        ] {
            let result = MethodResult::new("spf", "pass").with_address("smtp", "mailfrom", &mailbox(local));
            assert_eq!(result.property("smtp", "mailfrom"), Some(want), "{local}");
        }
    }

    #[test]
    fn a_second_quoted_value_is_left_out() {
        let result = MethodResult::new("x", "pass")
            .with_property("smtp", "helo", "a b")
            .with_property("smtp", "mailfrom", "c d")
            .with_property("header", "from", "example.com");
        let names: Vec<&str> = result.properties().iter().map(|property| property.name.as_str()).collect();
        assert_eq!(names, ["from", "helo"]);
    }

    #[test]
    fn signatures_are_told_apart() {
        assert_eq!(signature_prefixes(&["abcdefghijkl"]), ["abcdefgh"]);
        assert_eq!(signature_prefixes(&["abc", ""]), ["abc", ""]);
        assert_eq!(
            signature_prefixes(&["abcdefghijXl", "abcdefghijYl", "zbcdefghijkl", "abcdefghij"]),
            ["abcdefghijX", "abcdefghijY", "zbcdefgh", "abcdefghij"]
        );
        assert_eq!(signature_prefixes(&["abcdefghij", "abcdefghij"]), ["abcdefgh", "abcdefgh"]);
    }
}
