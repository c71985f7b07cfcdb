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
    ///
    /// Nothing else of a name is changed. The mapping of UTS 46 would drop what nobody sees, such as U+200B, and take
    /// other letters and dots for ASCII ones: then what a person reads is not the name that was judged. Such a label is
    /// no U-label (RFC 5890 §2.3.2.1), and the name is refused.
    pub fn new(text: &str) -> Result<DomainName, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_ascii() {
            return DomainName::from_ascii(text.to_ascii_lowercase());
        }
        let ascii = idna::domain_to_ascii(text).map_err(|_| NameError::Idna)?;
        let labels = || text.split('.').zip(ascii.split('.'));
        if text.split('.').count() != ascii.split('.').count() || !labels().all(|(text, ascii)| is_as_seen(text, ascii))
        {
            return Err(NameError::Idna);
        }
        DomainName::from_ascii(ascii)
    }

    /// As [`DomainName::new`], for what a forgiving reader could make of a text: whatever UTS 46 maps to a name is one.
    /// To find what passes for a name; never to judge by.
    pub fn forgiving(text: &str) -> Result<DomainName, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        DomainName::from_ascii(idna::domain_to_ascii(text).map_err(|_| NameError::Idna)?)
    }

    /// Takes a name in ASCII and in lower case.
    fn from_ascii(ascii: String) -> Result<DomainName, NameError> {
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

/// Is this label the other one, but for upper case? Letters that are not ASCII and whose lower case is, such as the
/// Kelvin sign, are not seen as what they become.
fn is_as_seen(label: &str, ascii: &str) -> bool {
    if label.is_ascii() {
        return label.eq_ignore_ascii_case(ascii);
    }
    let turns_into_ascii = |c: char| !c.is_ascii() && c.to_lowercase().any(|lower| lower.is_ascii());
    let lower = label.chars().flat_map(char::to_lowercase);
    !label.chars().any(turns_into_ascii) && lower.eq(idna::domain_to_unicode(ascii).0.chars())
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
            ("MÜNCHEN.Example", "xn--mnchen-3ya.example"),
            ("straße.XN--3E0B707E.example", "xn--strae-oqa.xn--3e0b707e.example"),
            // A joiner is part of a name where its script needs it (RFC 5892 appendix A).
            ("نامه\u{200c}ای.example", "xn--mgba3gch31f060k.example"),
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

    /// A name that looks like another, or holds what nobody sees, is none.
    #[test]
    fn what_is_not_seen_as_it_is_read_is_refused() {
        const UNSEEN: &str = "\u{ad}\u{34f}\u{3164}\u{115f}\u{17b4}\u{180b}\u{180e}\u{200b}\u{200c}\u{200d}\u{200e}\u{202e}\
                              \u{2060}\u{2063}\u{2066}\u{fe0f}\u{feff}\u{ffa0}\u{1d173}\u{e0061}\u{e0100}";
        const BLANKS: &str = "\u{a0}\u{1680}\u{2000}\u{2003}\u{2009}\u{202f}\u{205f}\u{3000}";
        const ALIKE: &str = "\u{ff4d}\u{212a}\u{1d41a}\u{24d0}\u{3002}\u{ff0e}\u{ff61}\u{2024}\u{130}\u{17f}";
        for c in UNSEEN.chars().chain(BLANKS.chars()).chain(ALIKE.chars()) {
            for text in [
                format!("legit{c}imate.example"),
                format!("{c}legitimate.example"),
                format!("legitimate.example{c}"),
                format!("legitimate{c}.example"),
                format!("한{c}국.example"),
                format!("legitimate.{c}.example"),
            ] {
                assert!(DomainName::new(&text).is_err(), "U+{:04X}: {text}", c as u32);
            }
        }
        // Decomposed: the same to the eye, and no U-label.
        assert_eq!(DomainName::new("mu\u{308}nchen.example"), Err(NameError::Idna));
        let found = DomainName::forgiving("ｍｘ\u{200b}.example.").map(|name| name.to_string());
        assert_eq!(found.as_deref(), Ok("mx.example"));
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
