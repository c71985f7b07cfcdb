//! The path of MAIL FROM (RFC 5321 §4.1.2).
//!
//! More is read here than in a header field, because Postfix has judged the command already and SPF needs the domain; but
//! what could hide a second domain is malformed here too. Reading allocates no more than the path's own size.

use super::{AddressError, AddressErrorKind, Mailbox, domain, is_atext, utf8};

/// What MAIL FROM named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReversePath {
    /// `<>`: a bounce or another notification.
    Null,
    /// An address, its source route dropped (RFC 5321 appendix C).
    Mailbox(Mailbox),
}

/// Reads the path of MAIL FROM, with or without its angle brackets; an empty value is the null sender.
///
/// The last `@` outside quotes divides, as RFC 5321 §4.1.2 has it for every valid address. An unquoted local part may hold
/// further `@` and any dots, which some clients send and which cannot change the domain; any other character that needs
/// quotes makes the path malformed, so that `<(x@example.com>` is nobody's address.
pub fn reverse_path(bytes: &[u8]) -> Result<ReversePath, AddressError> {
    let lead = bytes.len() - bytes.trim_ascii_start().len();
    let trimmed = bytes.trim_ascii();
    let (path, offset) = match trimmed.strip_prefix(b"<") {
        None => (trimmed, lead),
        Some(rest) => match rest.strip_suffix(b">") {
            Some(path) => (path, lead + 1),
            None => return Err(AddressError { kind: AddressErrorKind::Unclosed, at: bytes.len() }),
        },
    };
    if path.is_empty() {
        return Ok(ReversePath::Null);
    }
    let place = |error: AddressError| AddressError { at: error.at + offset, ..error };
    let route = route_length(path).map_err(place)?;
    path_mailbox(path, route).map_err(place).map(ReversePath::Mailbox)
}

/// How long the source route at the front of a path is, its colon included: `@a,@b:`.
fn route_length(path: &[u8]) -> Result<usize, AddressError> {
    let mut at = 0;
    while path.get(at) == Some(&b'@') {
        let end = path[at..].iter().position(|b| matches!(b, b',' | b':')).map(|found| at + found);
        let Some(end) = end else {
            return Err(AddressError { kind: AddressErrorKind::NoLocalPart, at });
        };
        domain(&path[at + 1..end], at + 1)?;
        at = end + 1;
        match (path[end], path.get(at)) {
            (b':', _) => return Ok(at),
            (_, Some(b'@')) => {}
            _ => return Err(AddressError { kind: AddressErrorKind::Unexpected, at }),
        }
    }
    Ok(0)
}

/// Reads `local@domain` from `start` to the end of the path.
fn path_mailbox(path: &[u8], start: usize) -> Result<Mailbox, AddressError> {
    let fail = |kind, at| Err(AddressError { kind, at });
    let mut local = Vec::new();
    let mut divider = None;
    let mut at = start;
    while let Some(&byte) = path.get(at) {
        match byte {
            // A domain literal may hold what a local part may not.
            b'[' if divider.is_some_and(|(found, _)| found + 1 == at) => break,
            b'"' if at == start || path[at - 1] == b'.' => {
                at = quoted_path(path, at, &mut local)?;
                if !matches!(path.get(at), Some(b'@' | b'.')) {
                    return fail(AddressErrorKind::Unexpected, at);
                }
                continue;
            }
            b'@' => divider = Some((at, local.len())),
            b'.' => {}
            _ if is_atext(byte) => {}
            _ if byte.is_ascii_control() => return fail(AddressErrorKind::Control, at),
            _ => return fail(AddressErrorKind::Unexpected, at),
        }
        local.push(byte);
        at += 1;
    }
    let Some((divider, length)) = divider else {
        return fail(AddressErrorKind::NoDomain, path.len());
    };
    if divider == start {
        return fail(AddressErrorKind::NoLocalPart, start);
    }
    local.truncate(length);
    Ok(Mailbox { local_part: utf8(local, start)?, domain: domain(&path[divider + 1..], divider + 1)? })
}

/// Reads a quoted string of SMTP (RFC 5321 §4.1.2) into `into`, and says where it ends.
fn quoted_path(path: &[u8], start: usize, into: &mut Vec<u8>) -> Result<usize, AddressError> {
    let mut at = start + 1;
    loop {
        let mut byte = *path.get(at).ok_or(AddressError { kind: AddressErrorKind::Unclosed, at: start })?;
        if byte == b'"' {
            return Ok(at + 1);
        }
        if byte == b'\\' {
            at += 1;
            byte = *path.get(at).ok_or(AddressError { kind: AddressErrorKind::Unclosed, at: start })?;
        }
        if byte.is_ascii_control() {
            return Err(AddressError { kind: AddressErrorKind::Control, at });
        }
        into.push(byte);
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressErrorKind as Kind, *};
    use crate::name::NameError;

    #[test]
    fn reverse_paths_that_are_well_formed() {
        assert_eq!(reverse_path(b"<>"), Ok(ReversePath::Null));
        assert_eq!(reverse_path(b""), Ok(ReversePath::Null));
        for (path, local, domain) in [
            (&b"<a@b.example>"[..], "a", "b.example"),
            (b" a@B.example ", "a", "b.example"),
            (b"<any@legit.example'@any.attack.example>", "any@legit.example'", "any.attack.example"),
            (b"<@legit.example,@any.example:'any@attack.example>", "'any", "attack.example"),
            (b"<@relay.example:a@b.example>", "a", "b.example"),
            (b"<\"a@legit.example\"@b.example>", "a@legit.example", "b.example"),
            (b"<\"a b\\\"c>\"@b.example>", "a b\"c>", "b.example"),
            (b"<\"a\".b@b.example>", "a.b", "b.example"),
            (b"<\"\"@b.example>", "", "b.example"),
            (b"<a..b.@b.example>", "a..b.", "b.example"),
            ("<사용자@한국.example>".as_bytes(), "사용자", "xn--3e0b707e.example"),
            (b"<bounces+1=2@b.example>", "bounces+1=2", "b.example"),
        ] {
            let Ok(ReversePath::Mailbox(mailbox)) = reverse_path(path) else {
                panic!("{}: {:?}", path.escape_ascii(), reverse_path(path));
            };
            assert_eq!(
                (mailbox.local_part.as_str(), mailbox.domain.as_str()),
                (local, domain),
                "{}",
                path.escape_ascii()
            );
        }
    }

    #[test]
    fn reverse_paths_that_are_malformed() {
        for (path, want) in [
            (&b"<(any@legit.example>"[..], Kind::Unexpected),
            (b"any@legit.example(a.attack.example", Kind::Unexpected),
            (b"<any@legit.example(a.attack.example>", Kind::Unexpected),
            (b"< >", Kind::Unexpected),
            (b"<a@b.example", Kind::Unclosed),
            (b"<\"a@b.example>", Kind::Unclosed),
            (b"<root>", Kind::NoDomain),
            (b"<a@>", Kind::NoDomain),
            (b"<@b.example>", Kind::NoLocalPart),
            (b"<@a.example:@b.example>", Kind::NoLocalPart),
            (b"<@a.example,b@c.example>", Kind::Unexpected),
            (b"<@a b:c@d.example>", Kind::Domain(NameError::Character(' '))),
            (b"<a@[192.0.2.1]>", Kind::DomainLiteral),
            (b"<a@b.example.>", Kind::Domain(NameError::EmptyLabel)),
            (b"<a b@c.example>", Kind::Unexpected),
            (b"<\"a\r\nX: y\"@b.example>", Kind::Control),
            (b"<\"a\\\0\"@b.example>", Kind::Control),
            (b"<a\0@b.example>", Kind::Control),
            (b"<a@b.example> <c@d.example>", Kind::Unexpected),
            (b"<\xff@b.example>", Kind::NotUtf8),
            (b"<a\"b\"@c.example>", Kind::Unexpected),
        ] {
            let found = reverse_path(path).map_err(|error| error.kind);
            assert_eq!(found, Err(want), "{}", path.escape_ascii());
        }
    }

    #[test]
    fn a_hostile_path_is_read_in_linear_time() {
        let quotes = "\"\\\"".repeat(50_000);
        assert!(reverse_path(quotes.as_bytes()).is_err());
    }
}
