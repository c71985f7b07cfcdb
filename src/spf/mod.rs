//! SPF records (RFC 7208) as published: terms with their places, readable or not.
//!
//! Reading never fails: a term that cannot be read keeps its place and becomes a [`Problem`]. A record with a problem
//! anywhere is a permerror (§4.6), which [`Record::is_valid`] says; the judging itself is in `verify::spf`.
//! The bytes are kept as received, so a record can be shown, pointed into and edited exactly. `§` here means RFC 7208.

mod macros;
mod terms;

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    ops::Range,
};

pub use macros::{Letter, Macro, MacroString, Values};

/// An SPF record: its bytes, and the terms in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    bytes: Box<[u8]>,
    terms: Vec<Term>,
    valid: bool,
}

/// One term, with its place in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Where it stands, in octets; qualifier included, blanks not.
    pub range: Range<usize>,
    /// What it says.
    pub kind: TermKind,
}

/// What a term says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TermKind {
    /// A mechanism, and the result if it matches.
    Directive {
        /// The result if it matches.
        qualifier: Qualifier,
        /// What must match.
        mechanism: Mechanism,
    },
    /// `redirect=` (§6.1).
    Redirect(MacroString),
    /// `exp=` (§6.2).
    Exp(MacroString),
    /// A modifier that this version of SPF does not know; it has no effect.
    OtherModifier {
        /// Where its name stands.
        name: Range<usize>,
        /// Its value.
        value: MacroString,
    },
    /// It cannot be read; a [`Problem`] says why.
    Unreadable,
}

/// The result of a directive that matches (§4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Qualifier {
    /// `+`, or none.
    Pass,
    /// `-`
    Fail,
    /// `~`
    SoftFail,
    /// `?`
    Neutral,
}

/// A mechanism (§5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// `all`: always matches.
    All,
    /// `include`: matches if the other domain's record passes.
    Include(MacroString),
    /// `a`: an address of the name; without a name, of the domain judged.
    A(Option<MacroString>, DualPrefix),
    /// `mx`: an address of a mail exchanger of the name.
    Mx(Option<MacroString>, DualPrefix),
    /// `ptr`: a validated name of the client is within the name.
    Ptr(Option<MacroString>),
    /// `ip4`: the network and its prefix length, 0 to 32.
    Ip4(Ipv4Addr, u8),
    /// `ip6`: the network and its prefix length, 0 to 128.
    Ip6(Ipv6Addr, u8),
    /// `exists`: the name has an A record.
    Exists(MacroString),
}

/// The prefix lengths of `a` and `mx`, 32 and 128 where none is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DualPrefix {
    /// For IPv4, 0 to 32.
    pub ip4: u8,
    /// For IPv6, 0 to 128.
    pub ip6: u8,
}

/// Something in a record that the grammar does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands, in octets.
    pub range: Range<usize>,
    /// What is wrong.
    pub kind: ProblemKind,
    /// The text it stands for, escaped, at most 80 characters.
    pub text: Box<str>,
}

/// What is wrong in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// The record does not begin with `v=spf1` and a blank or its end (§4.5).
    Version,
    /// An octet that is no visible ASCII character: a control character, a tab, anything beyond ASCII (§3.1, §4.6.1).
    Character(u8),
    /// No mechanism has this name.
    UnknownMechanism,
    /// A modifier written as a mechanism: `redirect:`, `-exp=`.
    ModifierAsMechanism,
    /// The name before `=` is empty or does not begin with a letter.
    ModifierName,
    /// A mechanism or modifier that needs a value has none: `include`, `ip4:`, `a:`.
    MissingArgument,
    /// Something follows what can have no value: `all:x`, `all/8`, `ptr/24`, `a/24/64`.
    UnexpectedArgument,
    /// Not an address of the family that the mechanism wants.
    Address,
    /// An address of the other family: `ip4:2001:db8::1`.
    AddressFamily,
    /// A prefix length that is no number, has leading zeros or is too large.
    Prefix,
    /// An address where a name must stand: `a:192.0.2.1`.
    AddressAsName,
    /// The last label of the name is no top-level label: all digits, or `-` at an end, or empty (§7.1).
    TopLabel,
    /// A name of a single label.
    SingleLabel,
    /// A macro that cannot be read (§7.1).
    Macro(MacroFault),
    /// `redirect=` or `exp=` a second time (§6).
    DuplicateModifier,
}

/// What is wrong with a macro.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MacroFault {
    /// `%` that none of `{`, `%`, `_`, `-` follows.
    Percent,
    /// `%{` without `}`.
    Unclosed,
    /// No such macro letter.
    Letter,
    /// `c`, `r` and `t` are allowed in explanations alone.
    ExplanationOnly,
    /// Zero parts to keep.
    Zero,
    /// What follows the letter is no number, `r` and delimiters.
    Transformer,
}

/// The SPF record among the TXT records of a domain (§4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection<'a> {
    /// None begins with `v=spf1`.
    None,
    /// Exactly one.
    One(&'a [u8]),
    /// More than one, which is a permerror; they stand in the order received.
    Several(Vec<&'a [u8]>),
}

/// Chooses the SPF record among TXT records, each one's strings joined; the others are none of our business.
pub fn select<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Selection<'a> {
    let mut found: Vec<&[u8]> = records.into_iter().filter(|record| has_version(record)).collect();
    match found.len() {
        0 => Selection::None,
        1 => Selection::One(found.remove(0)),
        _ => Selection::Several(found),
    }
}

/// Does the text begin with `v=spf1`, in any case, and then end or have a blank (§4.5)?
pub fn has_version(text: &[u8]) -> bool {
    let version = text.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"v=spf1"));
    version && matches!(text.get(6), None | Some(b' '))
}

impl Record {
    /// Reads a record; every term keeps its place, and what is wrong comes beside it.
    ///
    /// A text without `v=spf1` is read too, so that a near miss can be examined: its first word is taken for the
    /// version if it has `spf` in it, else for a term.
    pub fn read(bytes: &[u8]) -> (Record, Vec<Problem>) {
        let (terms, problems) = terms::read(bytes);
        (Record { bytes: bytes.into(), terms, valid: problems.is_empty() }, problems)
    }

    /// Has it no problem at all? Anything else is a permerror.
    pub fn is_valid(&self) -> bool {
        self.valid
    }

    /// The record as received.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The terms, in order.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The text at a place in this record, at most 80 characters, with what is not visible ASCII escaped.
    pub fn text(&self, range: Range<usize>) -> String {
        shown(self.bytes.get(range).unwrap_or_default())
    }

    /// The first `redirect=`, with its place among the terms.
    pub fn redirect(&self) -> Option<(usize, &MacroString)> {
        self.terms.iter().enumerate().find_map(|(at, term)| match &term.kind {
            TermKind::Redirect(target) => Some((at, target)),
            _ => None,
        })
    }

    /// The first `exp=`.
    pub fn exp(&self) -> Option<&MacroString> {
        self.terms.iter().find_map(|term| match &term.kind {
            TermKind::Exp(target) => Some(target),
            _ => None,
        })
    }

    /// The record with the octets of a place replaced; nothing else changes.
    ///
    /// A place outside the record is cut to it.
    pub fn with_replaced(&self, range: Range<usize>, with: &[u8]) -> Vec<u8> {
        let end = range.end.min(self.bytes.len());
        let start = range.start.min(end);
        [&self.bytes[..start], with, &self.bytes[end..]].concat()
    }

    /// The record with a term added where it takes effect: before the first `all`, else before `redirect=`, else at the
    /// end.
    pub fn with_added(&self, term: &str) -> Vec<u8> {
        let all = self
            .terms
            .iter()
            .find(|term| matches!(term.kind, TermKind::Directive { mechanism: Mechanism::All, .. }))
            .or_else(|| self.redirect().map(|(at, _)| &self.terms[at]));
        match all {
            Some(all) => self.with_replaced(all.range.start..all.range.start, format!("{term} ").as_bytes()),
            None => {
                let blank = if self.bytes.ends_with(b" ") { "" } else { " " };
                self.with_replaced(self.bytes.len()..self.bytes.len(), format!("{blank}{term}").as_bytes())
            }
        }
    }
}

/// The record as received; octets beyond UTF-8 are shown as U+FFFD, [`Record::as_bytes`] has them exactly.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

impl Term {
    /// Does it need DNS, so that it counts against the limit of 10 (§4.6.4)?
    pub fn needs_dns(&self) -> bool {
        match &self.kind {
            TermKind::Directive { mechanism, .. } => {
                !matches!(mechanism, Mechanism::All | Mechanism::Ip4(..) | Mechanism::Ip6(..))
            }
            TermKind::Redirect(_) => true,
            _ => false,
        }
    }
}

impl Problem {
    fn new(record: &[u8], range: Range<usize>, kind: ProblemKind) -> Problem {
        let text = shown(record.get(range.clone()).unwrap_or_default());
        Problem { range, kind, text: text.into() }
    }
}

/// Bytes for people: visible ASCII as it is, the rest as `\xNN`. 80 characters are enough to recognise a term; a hostile
/// one may have 64 KB.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        if text.len() > 80 {
            break;
        }
        match byte {
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    if text.len() > 80 {
        text.truncate(77);
        text.push_str("...");
    }
    text
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (octet {}: {})", self.kind, self.range.start, self.text)
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProblemKind::Version => "does not begin with v=spf1 and a blank",
            ProblemKind::Character(b'\t') => "a tab; terms are separated by blanks only",
            ProblemKind::Character(byte) if byte.is_ascii() => "a control character",
            ProblemKind::Character(_) => "a character beyond ASCII",
            ProblemKind::UnknownMechanism => "unknown mechanism",
            ProblemKind::ModifierAsMechanism => "a modifier takes '=' and no qualifier",
            ProblemKind::ModifierName => "the name of a modifier must begin with a letter",
            ProblemKind::MissingArgument => "the value is missing",
            ProblemKind::UnexpectedArgument => "this can have no such value",
            ProblemKind::Address => "not an address",
            ProblemKind::AddressFamily => "an address of the other family",
            ProblemKind::Prefix => "not a valid prefix length",
            ProblemKind::AddressAsName => "an address where a name must stand; ip4: or ip6: takes addresses",
            ProblemKind::TopLabel => "the last label is no top-level label",
            ProblemKind::SingleLabel => "the name has a single label",
            ProblemKind::Macro(MacroFault::Percent) => "a '%' that is no macro",
            ProblemKind::Macro(MacroFault::Unclosed) => "a macro without '}'",
            ProblemKind::Macro(MacroFault::Letter) => "unknown macro letter",
            ProblemKind::Macro(MacroFault::ExplanationOnly) => "this macro is allowed in explanations alone",
            ProblemKind::Macro(MacroFault::Zero) => "a macro that keeps zero parts",
            ProblemKind::Macro(MacroFault::Transformer) => "a macro transformer that cannot be read",
            ProblemKind::DuplicateModifier => "a modifier that may stand only once",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_record_is_chosen() {
        let chosen = |records: &[&'static [u8]]| match select(records.iter().copied()) {
            Selection::None => 0,
            Selection::One(_) => 1,
            Selection::Several(found) => found.len(),
        };
        assert_eq!(chosen(&[]), 0);
        assert_eq!(chosen(&[b"v=spf1"]), 1);
        assert_eq!(chosen(&[b"V=sPf1 -all", b"v=spf10 -all", b"\xff", b"", b"v=spf1mx"]), 1);
        assert_eq!(chosen(&[b"v=spf1 -all", b"v=spf1 -all"]), 2);
        assert_eq!(chosen(&[b" v=spf1 -all", b"v=spf1\t-all", b"v=spf1;-all"]), 0);
    }

    #[test]
    fn a_record_is_written_back_and_edited_exactly() {
        for text in [&b"v=spf1  a   -ALL  "[..], b"v=spf1", b"", b"  ", b"v=spf1 \xff\x00 x", b"spf1 -all"] {
            let (record, _) = Record::read(text);
            assert_eq!(record.as_bytes(), text);
            assert_eq!(record.to_string(), String::from_utf8_lossy(text));
            for term in record.terms() {
                assert_eq!(record.with_replaced(term.range.clone(), &text[term.range.clone()]), text);
            }
        }
        for (text, want) in [
            ("v=spf1  a  ~all", "v=spf1  a  include:x.example ~all"),
            ("v=spf1 a redirect=b.example", "v=spf1 a include:x.example redirect=b.example"),
            ("v=spf1 mx", "v=spf1 mx include:x.example"),
            ("v=spf1 ", "v=spf1 include:x.example"),
        ] {
            let (record, _) = Record::read(text.as_bytes());
            assert_eq!(record.with_added("include:x.example"), want.as_bytes());
        }
    }
}
