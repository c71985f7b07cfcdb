//! Addresses: the mailboxes of a From field (RFC 5322, RFC 6532) and the path of MAIL FROM (RFC 5321), read strictly.
//!
//! Whatever two readers could understand differently is malformed here: a verdict must never be about a domain that
//! the person at the mail client does not see. So routes, groups, empty list elements, domain literals and encoded-words
//! in an address are refused, although the obsolete grammar has some of them.
//! Octets above 127 are legal in names, comments and quoted strings, UTF-8 or not; in the address itself they must be UTF-8.
//! Nothing here allocates more than the field's own size, recurses, or reads an octet more than three times.

mod path;

pub use path::{ReversePath, reverse_path};

use crate::{
    message::Header,
    name::{DomainName, NameError},
};
use std::fmt;

/// One address: what stands left and right of the `@` that divides it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// The local part, without the quotes and backslashes of its quoted form.
    pub local_part: String,
    /// The domain, as A-labels.
    pub domain: DomainName,
}

/// Why an address or a list of them cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError {
    /// What is wrong.
    pub kind: AddressErrorKind,
    /// The octet of the value where it shows, counted from 0.
    pub at: usize,
}

/// Reading a From field fails in the same ways as reading any address.
pub type FromError = AddressError;

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressErrorKind {
    /// There is no address at all.
    Empty,
    /// An address without a domain.
    NoDomain,
    /// An address without a local part.
    NoLocalPart,
    /// A group, `name: a@b, c@d;`.
    Group,
    /// A source route inside the angle brackets of a header field.
    Route,
    /// An address literal, `[192.0.2.1]`, in place of a domain: there is no name to authenticate.
    DomainLiteral,
    /// An encoded-word (RFC 2047 §5) where an address belongs.
    EncodedWord,
    /// The domain is not one.
    Domain(NameError),
    /// A local part that is not UTF-8.
    NotUtf8,
    /// A comment, a quoted string or an angle bracket that is never closed.
    Unclosed,
    /// A control character, or a line end that is no fold.
    Control,
    /// Something that the grammar does not allow at this place.
    Unexpected,
}

/// Why a header does not name one domain that DMARC could judge or a signer could sign for (RFC 9989 §5.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorError {
    /// There is no From field.
    Missing,
    /// So many fields are, or could be taken for, From.
    SeveralFields(usize),
    /// The From field cannot be read.
    Malformed(FromError),
    /// The From field names several domains, in this order.
    SeveralDomains(Vec<DomainName>),
}

/// The domain of the author: the one domain of the one From field.
///
/// A field that some reader might take for From counts as one: `From :`, ` From:`, `From` with a control character in it,
/// or one behind a bare CR or LF within another field.
/// Alone, it is none, unless it is one (`From :` is).
/// Several mailboxes of the same domain are one domain.
pub fn author_domain(header: &Header) -> Result<DomainName, AuthorError> {
    let hidden: usize = header.fields().map(|field| hidden_from_fields(field.value())).sum();
    let mut fields = header.fields().filter(|field| looks_like_from(field.name()));
    let Some(field) = fields.next() else {
        return Err(AuthorError::Missing);
    };
    match hidden + fields.count() {
        0 => {}
        more => return Err(AuthorError::SeveralFields(1 + more)),
    }
    // One that some readers take for From and others do not. No signature over From covers it either.
    if !field.is("From") {
        return Err(AuthorError::Missing);
    }
    let mut domains = from_domains(field.value()).map_err(AuthorError::Malformed)?;
    let mut seen = std::collections::HashSet::new();
    domains.retain(|domain| seen.insert(domain.clone()));
    if domains.len() > 1 {
        return Err(AuthorError::SeveralDomains(domains));
    }
    domains.pop().ok_or(AuthorError::Malformed(FromError { kind: AddressErrorKind::Empty, at: 0 }))
}

fn looks_like_from(name: &[u8]) -> bool {
    name.iter().filter(|byte| byte.is_ascii_graphic()).map(u8::to_ascii_lowercase).eq(*b"from")
}

/// Lines within a value that a reader who ends lines at a bare CR or LF takes for From fields. A fold starts with a blank.
fn hidden_from_fields(value: &[u8]) -> usize {
    let lines = value.split(|byte| matches!(byte, b'\r' | b'\n')).skip(1);
    let fields = lines.filter(|line| line.first().is_some_and(|first| !matches!(first, b' ' | b'\t')));
    let names = fields.filter_map(|line| line.iter().position(|&byte| byte == b':').map(|colon| &line[..colon]));
    names.filter(|name| looks_like_from(name)).count()
}

/// The domain of each mailbox of a From field's value, in order; at least one.
pub fn from_domains(value: &[u8]) -> Result<Vec<DomainName>, FromError> {
    Ok(mailboxes(value)?.into_iter().map(|mailbox| mailbox.domain).collect())
}

/// The mailboxes of a From field's value (RFC 5322 §3.4, `mailbox-list`), in order; at least one.
///
/// `value` is what follows the colon, folds included (CRLF, or LF as Postfix hands them over).
pub fn mailboxes(value: &[u8]) -> Result<Vec<Mailbox>, FromError> {
    let mut reader = Reader { bytes: value, at: 0 };
    reader.cfws()?;
    if reader.peek().is_none() {
        return Err(reader.error(AddressErrorKind::Empty));
    }
    let mut list = vec![reader.mailbox()?];
    while let Some(byte) = reader.peek() {
        if byte != b',' {
            return Err(reader.error(AddressErrorKind::Unexpected));
        }
        reader.at += 1;
        list.push(reader.mailbox()?);
    }
    Ok(list)
}

/// A domain that stands at `at`, without blanks or comments.
fn domain(text: &[u8], at: usize) -> Result<DomainName, AddressError> {
    if text.is_empty() {
        return Err(AddressError { kind: AddressErrorKind::NoDomain, at });
    }
    if text[0] == b'[' {
        return Err(AddressError { kind: AddressErrorKind::DomainLiteral, at });
    }
    // A final dot is legal in DNS, not in mail (RFC 5321 §2.3.5).
    if text.ends_with(b".") {
        return Err(AddressError { kind: AddressErrorKind::Domain(NameError::EmptyLabel), at });
    }
    DomainName::from_bytes(text).map_err(|error| AddressError { kind: AddressErrorKind::Domain(error), at })
}

fn utf8(bytes: Vec<u8>, at: usize) -> Result<String, AddressError> {
    String::from_utf8(bytes).map_err(|_| AddressError { kind: AddressErrorKind::NotUtf8, at })
}

/// RFC 5322 §3.2.3 and RFC 6532 §3.2.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// Reads the grammar of RFC 5322 §3.4 from left to right.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn error(&self, kind: AddressErrorKind) -> AddressError {
        AddressError { kind, at: self.at }
    }

    /// What stands at this place and should not: the end, a control character, or anything else.
    fn unexpected(&self) -> AddressError {
        self.error(match self.peek() {
            None => AddressErrorKind::NoDomain,
            Some(byte) if byte.is_ascii_control() => AddressErrorKind::Control,
            Some(_) => AddressErrorKind::Unexpected,
        })
    }

    /// `mailbox`: an address, or a name and an address in angle brackets; ends before a comma or at the end.
    fn mailbox(&mut self) -> Result<Mailbox, AddressError> {
        self.cfws()?;
        let start = self.at;
        let mut words = 0;
        loop {
            match self.peek() {
                Some(b'<') => return self.angle_address(),
                // An address without angle brackets: what looked like a name was its local part.
                Some(b'@') if words > 0 => {
                    self.at = start;
                    return self.address();
                }
                Some(b'@') => return Err(self.error(AddressErrorKind::NoLocalPart)),
                Some(b':') if words > 0 => return Err(self.error(AddressErrorKind::Group)),
                Some(b'"') => self.quoted_string(None)?,
                // A dot within a name is obsolete grammar (`obs-phrase`), and common: `John Q. Public`.
                Some(b'.') if words > 0 => self.at += 1,
                Some(byte) if is_atext(byte) => self.atom(),
                None | Some(b',') if words > 0 => return Err(self.lone_words(start)),
                _ => return Err(self.unexpected()),
            }
            words += 1;
            self.cfws()?;
        }
    }

    /// Words without any address: an encoded-word that hides one, or a bare user name.
    fn lone_words(&self, start: usize) -> AddressError {
        let hidden = has_encoded_word(&self.bytes[start..self.at]);
        let kind = if hidden { AddressErrorKind::EncodedWord } else { AddressErrorKind::NoDomain };
        AddressError { kind, at: start }
    }

    /// `angle-addr`, without the routes of `obs-angle-addr`.
    fn angle_address(&mut self) -> Result<Mailbox, AddressError> {
        let open = self.at;
        self.at += 1;
        self.cfws()?;
        match self.peek() {
            Some(b'@' | b',') => return Err(self.error(AddressErrorKind::Route)),
            Some(b'>') => return Err(self.error(AddressErrorKind::Empty)),
            _ => {}
        }
        let mailbox = self.address()?;
        match self.peek() {
            Some(b'>') => self.at += 1,
            None => return Err(AddressError { kind: AddressErrorKind::Unclosed, at: open }),
            _ => return Err(self.unexpected()),
        }
        self.cfws()?;
        Ok(mailbox)
    }

    /// `addr-spec`, with the comments and blanks around it.
    fn address(&mut self) -> Result<Mailbox, AddressError> {
        self.cfws()?;
        let start = self.at;
        let mut local = Vec::new();
        if self.peek() == Some(b'"') {
            self.quoted_string(Some(&mut local))?;
        } else {
            // Dots may stand anywhere: Japanese carriers gave out such addresses, and the domain is the same.
            while self.peek().is_some_and(|byte| is_atext(byte) || byte == b'.') {
                self.at += 1;
            }
            local.extend_from_slice(&self.bytes[start..self.at]);
            if has_encoded_word(&local) {
                return Err(AddressError { kind: AddressErrorKind::EncodedWord, at: start });
            }
        }
        self.cfws()?;
        if self.peek() != Some(b'@') {
            return Err(self.unexpected());
        }
        if self.at == start {
            return Err(self.error(AddressErrorKind::NoLocalPart));
        }
        self.at += 1;
        self.cfws()?;
        let begin = self.at;
        while self.peek().is_some_and(|byte| is_atext(byte) || byte == b'.') {
            self.at += 1;
        }
        if begin == self.at && !matches!(self.peek(), None | Some(b'>' | b',' | b'[')) {
            return Err(self.unexpected());
        }
        let end = if self.peek() == Some(b'[') { self.at + 1 } else { self.at };
        let mailbox = Mailbox { local_part: utf8(local, start)?, domain: domain(&self.bytes[begin..end], begin)? };
        self.cfws()?;
        Ok(mailbox)
    }

    fn atom(&mut self) {
        while self.peek().is_some_and(is_atext) {
            self.at += 1;
        }
    }

    /// `quoted-string`; its content without quotes, backslashes and folds goes to `into`.
    fn quoted_string(&mut self, mut into: Option<&mut Vec<u8>>) -> Result<(), AddressError> {
        let open = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(AddressError { kind: AddressErrorKind::Unclosed, at: open }),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\r' | b'\n') => {
                    self.fold()?;
                    continue;
                }
                Some(b'\\') => self.at += 1,
                Some(_) => {}
            }
            let byte = self.peek().ok_or(AddressError { kind: AddressErrorKind::Unclosed, at: open })?;
            if byte.is_ascii_control() && byte != b'\t' {
                return Err(self.error(AddressErrorKind::Control));
            }
            if let Some(into) = into.as_deref_mut() {
                into.push(byte);
            }
            self.at += 1;
        }
    }

    /// `CFWS`: comments, blanks and folds, as many as there are; ends on any other octet.
    fn cfws(&mut self) -> Result<(), AddressError> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\r' | b'\n') => self.fold()?,
                Some(b'(') => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    /// The line end of a fold: CRLF or LF, and a blank must follow.
    fn fold(&mut self) -> Result<(), AddressError> {
        let rest = &self.bytes[self.at..];
        let line = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n"));
        match line {
            Some([b' ' | b'\t', ..]) => {
                self.at = self.bytes.len() - line.map_or(0, <[u8]>::len);
                Ok(())
            }
            _ => Err(self.error(AddressErrorKind::Control)),
        }
    }

    /// A comment and those inside it, counted instead of recursed into.
    fn comment(&mut self) -> Result<(), AddressError> {
        let open = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                None => return Err(AddressError { kind: AddressErrorKind::Unclosed, at: open }),
                Some(b'(') => depth += 1,
                Some(b')') => depth -= 1,
                Some(b'\r' | b'\n') => {
                    self.fold()?;
                    continue;
                }
                Some(b'\\') => {
                    self.at += 1;
                    if self.peek().is_none_or(|byte| byte.is_ascii_control() && byte != b'\t') {
                        return Err(self.error(AddressErrorKind::Control));
                    }
                }
                Some(byte) if byte.is_ascii_control() && byte != b'\t' => {
                    return Err(self.error(AddressErrorKind::Control));
                }
                Some(_) => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// Does the text hold `=?charset?encoding?text?=` (RFC 2047 §2), or enough of it for a client to decode?
fn has_encoded_word(text: &[u8]) -> bool {
    let Some(open) = text.windows(2).position(|pair| pair == b"=?") else {
        return false;
    };
    let inner = &text[open + 2..];
    inner.windows(2).any(|pair| pair == b"?=") && inner.iter().filter(|&&byte| byte == b'?').count() >= 3
}

impl fmt::Display for Mailbox {
    /// The address as SMTP writes it: quoted where it must be (RFC 5321 §4.1.2).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = &self.local_part;
        let dotted = !local.split('.').any(str::is_empty);
        if dotted && local.bytes().all(|byte| is_atext(byte) || byte == b'.') {
            return write!(f, "{local}@{}", self.domain);
        }
        f.write_str("\"")?;
        for c in local.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match &self.kind {
            AddressErrorKind::Empty => write!(f, "no address"),
            AddressErrorKind::NoDomain => write!(f, "an address without a domain"),
            AddressErrorKind::NoLocalPart => write!(f, "an address without a local part"),
            AddressErrorKind::Group => write!(f, "a group of addresses"),
            AddressErrorKind::Route => write!(f, "a source route in an address"),
            AddressErrorKind::DomainLiteral => write!(f, "an address literal in place of a domain"),
            AddressErrorKind::EncodedWord => write!(f, "an encoded-word in place of an address"),
            AddressErrorKind::Domain(error) => write!(f, "the domain of an address: {error}"),
            AddressErrorKind::NotUtf8 => write!(f, "a local part that is not UTF-8"),
            AddressErrorKind::Unclosed => write!(f, "a comment, quote or angle bracket at octet {at} is not closed"),
            AddressErrorKind::Control => write!(f, "a control character or stray line end at octet {at}"),
            AddressErrorKind::Unexpected => write!(f, "not an address: unexpected character at octet {at}"),
        }
    }
}

impl fmt::Display for AuthorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthorError::Missing => write!(f, "no From field"),
            AuthorError::SeveralFields(count) => write!(f, "{count} From fields"),
            AuthorError::Malformed(error) => write!(f, "From is malformed: {error}"),
            AuthorError::SeveralDomains(domains) => {
                write!(f, "From names {} domains:", domains.len())?;
                // Four are enough to recognise the message; a hostile one may name thousands.
                for domain in domains.iter().take(4) {
                    write!(f, " {domain}")?;
                }
                if domains.len() > 4 { write!(f, " ...") } else { Ok(()) }
            }
        }
    }
}

impl std::error::Error for AddressError {}
impl std::error::Error for AuthorError {}

#[cfg(test)]
mod tests {
    use super::{AddressErrorKind as Kind, *};

    fn texts(domains: &[DomainName]) -> Vec<&str> {
        domains.iter().map(DomainName::as_str).collect()
    }

    #[test]
    fn from_values_that_are_well_formed() {
        for (value, want) in [
            (&b" a@b.example"[..], &["b.example"][..]),
            (b"<a@b.example>", &["b.example"]),
            (b" Billing <a@B.Example>", &["b.example"]),
            (b" \"Last, First\" <a@b.example>", &["b.example"]),
            (b" \"x@victim.example\" <a@b.example>", &["b.example"]),
            (b" John Q. Public <a@b.example>", &["b.example"]),
            (b" =?utf-8?B?7J2067aI?= <a@b.example>", &["b.example"]),
            (b" =?utf-8?B?YWRtaW5AbGVnaXQuZXhhbXBsZQ==?=<a@b.example>", &["b.example"]),
            (b" \xb1\xe8\xc3\xb6\xbc\xf6 <a@b.example>", &["b.example"]),
            (b" \"\xb1\xe8\" <a@b.example>", &["b.example"]),
            (" 김 <사용자@한국.example>".as_bytes(), &["xn--3e0b707e.example"]),
            (b" (c (d) \\) e) a@b.example (f)", &["b.example"]),
            (b" a (x@y.example) @ (z) b.example (f)", &["b.example"]),
            (b" <admin@legit.example(.attack.example)>", &["legit.example"]),
            (b"\r\n\tBilling\r\n <a@b.example>\r\n ", &["b.example"]),
            (b"\n\tBilling\n <a@b.example>", &["b.example"]),
            (b" \"fold\r\n ed\" <a@b.example>", &["b.example"]),
            (b" \"a b@c\\\"d\"@b.example", &["b.example"]),
            (b" a..b.@b.example", &["b.example"]),
            (b" a@b.example,c@d.example , X <e@b.example>", &["b.example", "d.example", "b.example"]),
            (b" admin@legit.example,<second@attack.example>", &["legit.example", "attack.example"]),
            (b" x=?y@b.example", &["b.example"]),
        ] {
            let found = from_domains(value);
            let found = found.as_deref().map(texts);
            assert_eq!(found.as_deref(), Ok(want), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn from_values_that_are_malformed() {
        for (value, want) in [
            (&b""[..], Kind::Empty),
            (b" \r\n (only a comment)", Kind::Empty),
            (b" root", Kind::NoDomain),
            (b" Billing <root>", Kind::Unexpected),
            (b" Billing <>", Kind::Empty),
            (b" Billing <a@>", Kind::NoDomain),
            (b" a@", Kind::NoDomain),
            (b" @b.example", Kind::NoLocalPart),
            (b" undisclosed: ;", Kind::Group),
            (b" Team: a@b.example, c@b.example;", Kind::Group),
            (b" <@attack.example,@any.example:admin@legit.example>", Kind::Route),
            (b" <,@attack.example:admin@legit.example>", Kind::Route),
            (b" a@[192.0.2.1]", Kind::DomainLiteral),
            (b" <a@[legit.example]>", Kind::DomainLiteral),
            (b" =?utf-8?B?YWRtaW5AbGVnaXQuZXhhbXBsZQ==?=", Kind::EncodedWord),
            (b" =?utf-8?B?YWRtaW4=?=@legit.example", Kind::EncodedWord),
            (b" =?utf-8?B?YWRtaW4=?=, a@b.example", Kind::EncodedWord),
            (b" <=?utf-8?Q?admin=40legit.example?=@attack.example>", Kind::EncodedWord),
            (b" <admin@legit.example>\\,<second@attack.example>", Kind::Unexpected),
            (b" <any@attack.example>admin@legit.example", Kind::Unexpected),
            (b" <any@attack.example> <admin@legit.example>", Kind::Unexpected),
            (b" admin@legit.example <second@attack.example>", Kind::Unexpected),
            (b" admin@legit.example@attack.example", Kind::Unexpected),
            (b" ,admin@legit.example", Kind::Unexpected),
            (b" admin@legit.example,", Kind::NoDomain),
            (b" a@b.example,,c@d.example", Kind::Unexpected),
            (b" a@b.example; c@d.example", Kind::Unexpected),
            (b" admin@legit.example(.attack.example", Kind::Unclosed),
            (b" \"admin@legit.example", Kind::Unclosed),
            (b" <admin@legit.example", Kind::Unclosed),
            (b" a@legit . example", Kind::Unexpected),
            (b" a@legit.example.", Kind::Domain(NameError::EmptyLabel)),
            (b" a@legit..example", Kind::Domain(NameError::EmptyLabel)),
            (b" a@legit.example'a", Kind::Domain(NameError::Character('\''))),
            (" a@legit.example\u{2000}".as_bytes(), Kind::Domain(NameError::Idna)),
            (" a@legit\u{200b}.example".as_bytes(), Kind::Domain(NameError::Idna)),
            (" a@\u{feff}legit.example".as_bytes(), Kind::Domain(NameError::Idna)),
            (b" a@\xff.example", Kind::Domain(NameError::NotUtf8)),
            (b" \xff@b.example", Kind::NotUtf8),
            (b" a@legit.example\0.attack.example", Kind::Unexpected),
            (b" a\0@legit.example", Kind::Control),
            (b" a\r@legit.example", Kind::Control),
            (b" a@legit.example\r\nX: y", Kind::Control),
            (b" \"a\nb\" <a@b.example>", Kind::Control),
            (b" (a\0) a@b.example", Kind::Control),
            (b" .a b <a@b.example>", Kind::Unexpected),
        ] {
            let found = from_domains(value).map_err(|error| error.kind);
            assert_eq!(found, Err(want), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn a_mailbox_keeps_its_local_part() {
        for (value, local, written) in [
            (" <Anna.B@b.example>", "Anna.B", "Anna.B@b.example"),
            (r#" "a \"b\" c"@b.example"#, r#"a "b" c"#, r#""a \"b\" c"@b.example"#),
            (" \"fold\r\n ed\"@b.example", "fold ed", "\"fold ed\"@b.example"),
            (" a..b@b.example", "a..b", "\"a..b\"@b.example"),
        ] {
            let list = mailboxes(value.as_bytes()).expect(value);
            assert_eq!((list[0].local_part.as_str(), list[0].to_string().as_str()), (local, written), "{value}");
        }
    }

    #[test]
    fn one_from_field_names_the_author() {
        let author = |fields: &[(&str, &str)]| {
            let mut header = Header::new();
            for (name, value) in fields {
                header.push(name.as_bytes(), value.as_bytes());
            }
            author_domain(&header)
        };
        let name = |text| DomainName::new(text).expect("a name");
        let good = ("From", " a@legit.example");
        let bad = " x@attack.example";
        assert_eq!(author(&[("Subject", " x"), good]), Ok(name("legit.example")));
        assert_eq!(author(&[("FROM ", " a@legit.example, B <b@legit.example>")]), Ok(name("legit.example")));
        assert_eq!(author(&[("Sender", bad), ("Resent-From", bad)]), Err(AuthorError::Missing));
        for alone in [" From", "Fr\0om", "From\u{a0}", "\u{feff}From", "From\r\n ", "From\x0c"] {
            assert_eq!(author(&[(alone, " a@legit.example")]), Err(AuthorError::Missing), "{alone:?}");
        }
        for second in ["From", "from", " From", "From ", "From\r\n ", "Fr\0om", "From\u{a0}"] {
            assert_eq!(author(&[(second, bad), good]), Err(AuthorError::SeveralFields(2)), "{second:?}");
        }
        assert_eq!(
            author(&[("From", " a@b.example, c@d.example, e@b.example")]),
            Err(AuthorError::SeveralDomains(vec![name("b.example"), name("d.example")]))
        );
        // What some readers take for the end of a line hides a field from the others.
        for value in [" x\rFrom: x@attack.example", " x\nfrom :x@attack.example", " x\r\rFROM: x@attack.example"] {
            assert_eq!(author(&[("X", value), good]), Err(AuthorError::SeveralFields(2)), "{value:?}");
        }
        for value in [" x\r\n From: x@attack.example", " x\n\tFrom: x@attack.example", " From: x", " x\rNot-From: y"] {
            assert_eq!(author(&[("X", value), good]), Ok(name("legit.example")), "{value:?}");
        }
        assert!(matches!(author(&[("From", " broken"), ("Sender", bad)]), Err(AuthorError::Malformed(_))));
    }

    #[test]
    fn hostile_sizes_are_read_in_linear_time() {
        let deep = "(".repeat(200_000);
        let many = "a@b.example,".repeat(20_000) + "c@d.example";
        let dots = "a. ".repeat(100_000) + "<a@b.example>";
        let quotes = "\"\\\"".repeat(50_000);
        assert_eq!(from_domains(deep.as_bytes()).map_err(|e| e.kind), Err(Kind::Unclosed));
        assert_eq!(from_domains(many.as_bytes()).map(|list| list.len()), Ok(20_001));
        assert_eq!(from_domains(dots.as_bytes()).map(|list| list.len()), Ok(1));
        assert!(from_domains(quotes.as_bytes()).is_err());
    }
}
