//! Domain names as mail uses them: ASCII, lower case, without a final dot.
//!
//! Internationalised names are kept as A-labels (RFC 5890), so that two spellings of one name compare equal.
//! Anything else (control characters, quotes, parentheses, a NUL) is refused here, before any DNS question
//! and before it can reach a header field of ours.

use std::fmt;

/// A name of at least one label: letters, digits, `-` and `_`; labels of 1 to 63 octets, 253 in all (RFC 1035 §2.3.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(Box<str>);

/// Why a text is not a domain name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Nothing, or an empty label (two dots in a row, a dot at the front).
    EmptyLabel,
    /// A label of more than 63 octets.
    LongLabel,
    /// More than 253 octets.
    TooLong,
    /// A character that a mail domain cannot hold.
    Character(char),
    /// Octets that are not UTF-8.
    NotUtf8,
    /// A label that is no valid internationalised label (RFC 5891).
    Idna,
    /// One label, where mail wants two; [`DomainName::new`] takes it, as a selector or a host may have no more.
    SingleLabel,
}

impl DomainName {
    /// Reads a name; U-labels (RFC 8616) become A-labels, upper case becomes lower, one final dot is dropped.
    pub fn new(text: &str) -> Result<DomainName, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(text).map_err(|_| NameError::Idna)?
        };
        if ascii.len() > 253 {
            return Err(NameError::TooLong);
        }
        for label in ascii.split('.') {
            match label.len() {
                0 => return Err(NameError::EmptyLabel),
                1..=63 => {}
                _ => return Err(NameError::LongLabel),
            }
            if let Some(bad) = label.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
                return Err(NameError::Character(bad));
            }
        }
        Ok(DomainName(ascii.into()))
    }

    /// Reads a name from octets off the wire.
    pub fn from_bytes(bytes: &[u8]) -> Result<DomainName, NameError> {
        DomainName::new(std::str::from_utf8(bytes).map_err(|_| NameError::NotUtf8)?)
    }

    /// The name as text, lower case, without a final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Is this name `other`, or below it?
    pub fn is_within(&self, other: &DomainName) -> bool {
        match self.0.strip_suffix(other.as_str()) {
            Some(front) => front.is_empty() || front.ends_with('.'),
            None => false,
        }
    }

    /// The name without its first label; `None` for a single label.
    pub fn parent(&self) -> Option<DomainName> {
        self.0.split_once('.').map(|(_, rest)| DomainName(rest.into()))
    }

    /// The labels, leftmost first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::EmptyLabel => write!(f, "empty label"),
            NameError::LongLabel => write!(f, "a label is longer than 63 octets"),
            NameError::TooLong => write!(f, "longer than 253 octets"),
            NameError::Character(c) => write!(f, "the character {c:?} cannot stand in a domain name"),
            NameError::NotUtf8 => write!(f, "not UTF-8"),
            NameError::Idna => write!(f, "not a valid internationalised name"),
            NameError::SingleLabel => write!(f, "a single label"),
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        for (text, want) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("münchen.example", "xn--mnchen-3ya.example"),
            ("한국.example", "xn--3e0b707e.example"),
            ("_spf.example.com", "_spf.example.com"),
        ] {
            assert_eq!(DomainName::new(text).map(|n| n.to_string()).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(64);
        let many = "a.".repeat(127) + "ab";
        for (text, want) in [
            ("", NameError::EmptyLabel),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("legitimate.com'a.attack.com", NameError::Character('\'')),
            ("example.net(.example.com", NameError::Character('(')),
            ("a\0.example", NameError::Character('\0')),
            (&long, NameError::LongLabel),
            (&many, NameError::TooLong),
        ] {
            assert_eq!(DomainName::new(text), Err(want), "{text:?}");
        }
    }

    #[test]
    fn within_needs_a_whole_label() {
        let org = DomainName::new("example.com").expect("a name");
        for (text, want) in [("example.com", true), ("a.example.com", true), ("notexample.com", false), ("com", false)]
        {
            assert_eq!(DomainName::new(text).expect("a name").is_within(&org), want, "{text}");
        }
    }
}
