//! Whom SPF judges: the domain of MAIL FROM, or the HELO name (RFC 7208 §2.3, §2.4, §4.3).
//!
//! Both come from the client and may hold anything. What is no domain name of two labels or more is refused here,
//! before any DNS question, and its result is `none`.

use super::{Query, Scope};
use crate::name::{DomainName, NameError};
use std::fmt;

/// The longest sender or HELO name that is looked at, in octets: Postfix takes command lines of 2,048 (line_length_limit).
const LONGEST: usize = 2048;

/// The identity that is judged.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// The domain, normalised.
    pub(super) domain: DomainName,
    /// The domain as spelled by the client, in A-labels: what %{o} and %{d} give.
    pub(super) spelled: String,
    /// The local part as received, `postmaster` where there is none.
    pub(super) local_part: Vec<u8>,
}

/// Why there is no domain to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoDomain {
    /// Nothing was given.
    Missing,
    /// Longer than any SMTP command.
    TooLong,
    /// MAIL FROM has no `@`.
    NoAt,
    /// The local part of MAIL FROM is none that RFC 5321 §4.1.2 allows.
    LocalPart,
    /// An address literal, `[192.0.2.1]`.
    Literal,
    /// A single label, as `localhost`.
    SingleLabel,
    /// Not a domain name.
    Name(NameError),
}

/// Whether MAIL FROM is the null sender, `<>` or nothing.
pub(super) fn is_null(mail_from: &[u8]) -> bool {
    matches!(mail_from.trim_ascii(), b"" | b"<>")
}

/// The identity of a scope.
pub(super) fn identity(query: &Query, scope: Scope) -> Result<Identity, NoDomain> {
    let (local_part, domain) = match scope {
        Scope::Helo => (&b""[..], &query.helo[..]),
        Scope::MailFrom => mailbox(&query.mail_from)?,
    };
    if domain.is_empty() {
        return Err(NoDomain::Missing);
    }
    if domain.len() > LONGEST {
        return Err(NoDomain::TooLong);
    }
    if domain.starts_with(b"[") {
        return Err(NoDomain::Literal);
    }
    let name = DomainName::from_bytes(domain).map_err(NoDomain::Name)?;
    if name.parent().is_none() {
        return Err(NoDomain::SingleLabel);
    }
    let local_part = if local_part.is_empty() { b"postmaster" } else { local_part };
    Ok(Identity { spelled: spelled(domain, &name), local_part: local_part.to_vec(), domain: name })
}

/// What %{h} gives: the HELO name as received, in A-labels if it is an internationalised name (RFC 8616 §4).
pub(super) fn helo_value(helo: &[u8]) -> Vec<u8> {
    match DomainName::from_bytes(helo) {
        Ok(name) if !helo.is_ascii() => name.as_str().into(),
        _ => helo[..helo.len().min(LONGEST)].to_vec(),
    }
}

fn spelled(domain: &[u8], name: &DomainName) -> String {
    match std::str::from_utf8(domain) {
        Ok(text) if text.is_ascii() => text.strip_suffix('.').unwrap_or(text).to_owned(),
        _ => name.to_string(),
    }
}

/// MAIL FROM without blanks around it and without its angle brackets.
fn bare(mail_from: &[u8]) -> &[u8] {
    let text = mail_from.trim_ascii();
    text.strip_prefix(b"<").and_then(|text| text.strip_suffix(b">")).unwrap_or(text).trim_ascii()
}

/// Splits MAIL FROM at its last `@`, a source route removed.
///
/// A domain can hold no quote, so the last `@` is also the last one outside quotes, or there is no domain.
fn mailbox(mail_from: &[u8]) -> Result<(&[u8], &[u8]), NoDomain> {
    let text = bare(mail_from);
    if text.len() > LONGEST {
        return Err(NoDomain::TooLong);
    }
    let text = without_route(text);
    let at = text.iter().rposition(|&b| b == b'@').ok_or(NoDomain::NoAt)?;
    let local_part = &text[..at];
    if !is_local_part(local_part) {
        return Err(NoDomain::LocalPart);
    }
    Ok((local_part, &text[at + 1..]))
}

/// Removes `@a.example,@b.example:` from the front (RFC 5321 §4.1.2; routes are to be ignored).
fn without_route(text: &[u8]) -> &[u8] {
    let Some(colon) = text.iter().position(|&b| b == b':') else { return text };
    let is_route = text[..colon].split(|&b| b == b',').all(|hop| {
        hop.strip_prefix(b"@").is_some_and(|name| {
            !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        })
    });
    if is_route { &text[colon + 1..] } else { text }
}

/// Is this a quoted string, or free of what only a quoted string may hold?
///
/// Blanks and `@` outside quotes are let through, as the openspf suite demands blanks and the last `@` splits; what
/// other parsers take for a comment, a route or a list is not: they would see another sender.
fn is_local_part(text: &[u8]) -> bool {
    if text.iter().any(u8::is_ascii_control) {
        return false;
    }
    match text.strip_prefix(b"\"") {
        None => !text.iter().any(|b| b"()<>[]:;,\\\"".contains(b)),
        Some(quoted) => {
            let mut escaped = false;
            for (at, &byte) in quoted.iter().enumerate() {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => return at + 1 == quoted.len(),
                    _ => {}
                }
            }
            false
        }
    }
}

impl fmt::Display for NoDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoDomain::Missing => write!(f, "no name was given"),
            NoDomain::TooLong => write!(f, "longer than {LONGEST} octets"),
            NoDomain::NoAt => write!(f, "there is no @"),
            NoDomain::LocalPart => write!(f, "the local part is malformed"),
            NoDomain::Literal => write!(f, "an address literal has no SPF record"),
            NoDomain::SingleLabel => write!(f, "the name has a single label"),
            NoDomain::Name(error) => write!(f, "{error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(mail_from: &[u8], helo: &[u8]) -> Query {
        Query {
            client_ip: [192, 0, 2, 1].into(),
            helo: helo.into(),
            mail_from: mail_from.into(),
            receiver: String::new(),
            now: 0,
        }
    }

    #[test]
    fn senders_give_the_domain_that_every_parser_must_see() {
        for (mail_from, local, domain) in [
            (&b"a@example.com"[..], &b"a"[..], "example.com"),
            (b" <a@Example.COM.> ", b"a", "example.com"),
            (b"@example.net", b"postmaster", "example.net"),
            (b"Macro Error@e8.example.com", b"Macro Error", "e8.example.com"),
            (b"\"a@b c\\\"\"@example.com", b"\"a@b c\\\"\"", "example.com"),
            // ES-06 and ES-07.
            (b"any@legitimate.com'@any.attack.com", b"any@legitimate.com'", "any.attack.com"),
            (b"@legitimate.com,@any.com:'any@attack.com", b"'any", "attack.com"),
            ("用户@例子.example".as_bytes(), "用户".as_bytes(), "xn--fsqu00a.example"),
            (b"\xff\xfe@example.com", b"\xff\xfe", "example.com"),
        ] {
            let found = identity(&query(mail_from, b"x"), Scope::MailFrom).expect("an identity");
            assert_eq!((&found.local_part[..], found.domain.as_str()), (local, domain));
        }
        let found = identity(&query(b"a@Example.COM.", b"x"), Scope::MailFrom).expect("an identity");
        assert_eq!(found.spelled, "Example.COM");
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        let long = [&b"a".repeat(3000)[..], b"@example.com"].concat();
        for (mail_from, want) in [
            (&b"postmaster"[..], NoDomain::NoAt),
            (b"a@", NoDomain::Missing),
            (b"a@localhost", NoDomain::SingleLabel),
            (b"foo@[192.0.2.5]", NoDomain::Literal),
            (b"a@b..example", NoDomain::Name(NameError::EmptyLabel)),
            // ES-02 and ES-05.
            (b"<(any@legitimate.com>", NoDomain::LocalPart),
            (b"any@legitimate.com(a.attack.com", NoDomain::Name(NameError::Character('('))),
            (b"any@legitimate.com\0.attack.com", NoDomain::Name(NameError::Character('\0'))),
            (b"<<a@b.example>>", NoDomain::LocalPart),
            (b"<a@b.example", NoDomain::LocalPart),
            (b"\"a\"b\"@example.com", NoDomain::LocalPart),
            (b"\"a\\\"@example.com", NoDomain::LocalPart),
            (b"\"a\r\nb\"@example.com", NoDomain::LocalPart),
            (b"x,y@example.com", NoDomain::LocalPart),
            (b"a@\xff.example", NoDomain::Name(NameError::NotUtf8)),
            (&long, NoDomain::TooLong),
        ] {
            let got = identity(&query(mail_from, b"x"), Scope::MailFrom).expect_err("no identity");
            assert_eq!(got, want, "{}", mail_from.escape_ascii());
        }
        for (helo, want) in [
            (&b""[..], NoDomain::Missing),
            (b"OEMCOMPUTER", NoDomain::SingleLabel),
            (b"[192.0.2.5]", NoDomain::Literal),
            (b"; dkim=pass", NoDomain::Name(NameError::Character(';'))),
        ] {
            assert_eq!(identity(&query(b"", helo), Scope::Helo).expect_err("no identity"), want);
        }
        assert!(
            is_null(b"") && is_null(b"<>") && is_null(b" <> ") && !is_null(b"< >") && !is_null(b"<(any@x.example>")
        );
    }
}
