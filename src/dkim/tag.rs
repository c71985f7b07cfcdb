//! Tag lists (§3.2): `name=value` pairs with their places, readable or not.
//!
//! Reading never fails: what is wrong comes back as problems, each with the octet where it shows.

use std::{collections::HashSet, fmt, ops::Range};

/// A tag list as received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagList<'a> {
    /// The tags in order, duplicates included.
    pub tags: Vec<Tag<'a>>,
    /// What is wrong with it; none if it is a tag list by the grammar.
    pub problems: Vec<TagProblem>,
}

/// One tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Its name, case as received: names are case-sensitive.
    pub name: &'a str,
    /// Its value, without blanks and folds at the ends, but with those inside.
    pub value: &'a str,
    /// Where the value stands in the list, blanks at its ends included.
    pub range: Range<usize>,
}

/// Something in a tag list that the grammar does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagProblem {
    /// The octet where it shows.
    pub at: usize,
    /// What it is.
    pub kind: TagProblemKind,
}

/// What is wrong with a tag list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagProblemKind {
    /// Text without `=` between semicolons.
    NoEquals,
    /// A name that is none.
    BadName(String),
    /// The same name twice.
    Duplicate(String),
    /// A character that a value cannot hold.
    BadCharacter(char),
    /// Octets that are no UTF-8.
    NotUtf8,
}

impl<'a> TagList<'a> {
    /// Reads a tag list.
    pub fn read(bytes: &'a [u8]) -> TagList<'a> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let at = error.valid_up_to();
                let mut list = TagList::read_text(std::str::from_utf8(&bytes[..at]).unwrap_or_default());
                list.problems.push(TagProblem { at, kind: TagProblemKind::NotUtf8 });
                return list;
            }
        };
        TagList::read_text(text)
    }

    fn read_text(text: &'a str) -> TagList<'a> {
        let mut list = TagList::default();
        let mut names = HashSet::new();
        let mut at = 0;
        for spec in text.split(';') {
            // A semicolon after the last tag is allowed, and so is nothing behind it.
            let last = at + spec.len() == text.len();
            if !(last && trim(spec).is_empty()) {
                list.read_tag(spec, at, &mut names);
            }
            at += spec.len() + 1;
        }
        list
    }

    fn read_tag(&mut self, spec: &'a str, at: usize, names: &mut HashSet<&'a str>) {
        let Some((name, value)) = spec.split_once('=') else {
            return self.problem(at, TagProblemKind::NoEquals);
        };
        let start = at + name.len() + 1;
        let (name, range) = (trim(name), start..at + spec.len());
        let good = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !good {
            self.problem(at, TagProblemKind::BadName(name.chars().take(40).collect()));
        } else if !names.insert(name) {
            self.problem(at, TagProblemKind::Duplicate(name.into()));
        }
        if let Some((bad_at, bad)) = bad_character(value) {
            self.problem(start + bad_at, TagProblemKind::BadCharacter(bad));
        }
        self.tags.push(Tag { name, value: trim(value), range });
    }

    fn problem(&mut self, at: usize, kind: TagProblemKind) {
        // A hostile list could have a problem at every octet; the first ones tell the story.
        if self.problems.len() < 16 {
            self.problems.push(TagProblem { at, kind });
        }
    }

    /// The first tag of this name.
    pub fn get(&self, name: &str) -> Option<&Tag<'a>> {
        self.tags.iter().find(|tag| tag.name == name)
    }

    /// The value of the first tag of this name.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.get(name).map(|tag| tag.value)
    }
}

/// Without blanks and folds at the ends.
pub fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// Without any blank or fold: for base64 and lists, where they may stand anywhere (§2.10, §3.5).
pub fn without_blanks(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n')).collect()
}

/// The first character that is neither a VALCHAR, nor beyond ASCII (RFC 8616), nor a blank, nor part of a fold.
fn bad_character(value: &str) -> Option<(usize, char)> {
    let bytes = value.as_bytes();
    value.char_indices().find(|&(at, c)| match c {
        '\r' => !(bytes.get(at + 1) == Some(&b'\n') && matches!(bytes.get(at + 2), Some(b' ' | b'\t'))),
        '\n' => !(at > 0 && bytes[at - 1] == b'\r'),
        ' ' | '\t' => false,
        c => c.is_control(),
    })
}

impl fmt::Display for TagProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            TagProblemKind::NoEquals => write!(f, "no \"=\" in the tag at octet {}", self.at),
            TagProblemKind::BadName(name) => write!(f, "{name:?} is no tag name (octet {})", self.at),
            TagProblemKind::Duplicate(name) => write!(f, "the tag {name}= stands twice (octet {})", self.at),
            TagProblemKind::BadCharacter(c) => write!(f, "the character {c:?} at octet {}", self.at),
            TagProblemKind::NotUtf8 => write!(f, "an octet that is not UTF-8 at octet {}", self.at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_with_their_places() {
        let list = TagList::read(b" v=1; a = rsa-sha256;\r\n\tb=ab\r\n\t cd ;x=;");
        let tags: Vec<_> = list.tags.iter().map(|tag| (tag.name, tag.value, tag.range.clone())).collect();
        assert_eq!(
            tags,
            [("v", "1", 3..4), ("a", "rsa-sha256", 9..20), ("b", "ab\r\n\t cd", 26..35), ("x", "", 38..38)]
        );
        assert!(list.problems.is_empty(), "{:?}", list.problems);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, want) in [
            (&b"v=1; oops; a=b"[..], "no \"=\" in the tag at octet 4"),
            (b"v=1;; a=b", "no \"=\" in the tag at octet 4"),
            (b"1v=1", "\"1v\" is no tag name (octet 0)"),
            (b"d=a; d=b", "the tag d= stands twice (octet 4)"),
            (b"d=a\0b", "the character '\\0' at octet 3"),
            (b"d=a\r\nb", "the character '\\r' at octet 3"),
            (b"d=a\xffb; s=x", "an octet that is not UTF-8 at octet 3"),
            (b"", "nothing"),
        ] {
            let list = TagList::read(text);
            let problem = list.problems.first().map_or("nothing".into(), |problem| problem.to_string());
            assert_eq!(problem, want, "{}", text.escape_ascii());
        }
    }
}
