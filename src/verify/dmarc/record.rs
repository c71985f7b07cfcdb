//! One DMARC Policy Record as published (RFC 9989 §4.7, §4.8): every tag read, every error kept beside it.
//!
//! Own code, although mail-auth 0.13.3 has a parser: there one unknown value (`adkim=x`) discards the whole record where
//! §4.8 discards the tag, the last of two equal tags wins in silence, an invalid sp= cannot be told from a missing one,
//! which §4.10.1 needs, and nothing says what was wrong.
//! A tag that occurs twice counts as not there: which one was meant cannot be known (RFC 6376 §3.2 forbids it).

use crate::name::DomainName;
use std::fmt;

/// What a domain's owner asks receivers to do with mail that fails; ordered from mild to strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// Nothing.
    None,
    /// To treat it as suspicious.
    Quarantine,
    /// To refuse it.
    Reject,
}

/// How near an authenticated domain must be to the author's (RFC 9989 §3.2.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alignment {
    /// The same organizational domain.
    Relaxed,
    /// The same domain.
    Strict,
}

/// Is the domain one under which others register (`psd=`)?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublicSuffix {
    /// `y`: a public suffix.
    Yes,
    /// `n`: an organizational domain.
    No,
    /// `u`, or nothing said: the tree walk decides.
    Unsaid,
}

/// A record whose first tag is `v=DMARC1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `p=`: for the domain itself; `None` if missing or invalid.
    pub policy: Option<Policy>,
    /// `sp=`: for its subdomains.
    pub subdomain_policy: Option<Policy>,
    /// `np=`: for subdomains that do not exist.
    pub nonexistent_policy: Option<Policy>,
    /// `adkim=`.
    pub dkim_alignment: Alignment,
    /// `aspf=`.
    pub spf_alignment: Alignment,
    /// `t=y`: each policy counts one step milder.
    pub testing: bool,
    /// `psd=`.
    pub public_suffix: PublicSuffix,
    /// `rua=`: where aggregate reports go; valid URIs without their obsolete size.
    pub aggregate_reports: Vec<String>,
    /// `ruf=`: where failure reports go.
    pub failure_reports: Vec<String>,
    /// What is wrong with it, in the order of the record.
    pub problems: Vec<Problem>,
}

/// What is wrong with a record. Texts are as published, and may hold anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Blanks before `v=`: other receivers may not find the record.
    LeadingBlank,
    /// Something between two semicolons that is no `tag=value`.
    NotATag(String),
    /// A tag that occurs more than once, and so does not count.
    Duplicate(String),
    /// A value that its tag cannot have: the tag does not count.
    Value(String, String),
    /// A tag that RFC 9989 does not know; ignored.
    Unknown(String),
    /// `pct`, `rf` or `ri`, which RFC 9989 took out of the standard; ignored.
    Removed(String),
    /// There is no `p=`.
    NoPolicy,
}

/// May the record be applied (RFC 9989 §4.10.1)?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it is.
    Good,
    /// p= is missing or invalid, or sp= or np= is invalid, but rua= names somebody: as if it said `p=none`.
    AsNone,
    /// The same, and nobody to report to: DMARC is not applied.
    Unusable,
}

impl Record {
    /// Reads a TXT record, its strings joined; `None` if it is no DMARC record, whatever it looks like (§4.7, `v`).
    pub fn read(text: &[u8]) -> Option<Record> {
        let trimmed = text.trim_ascii_start();
        let mut parts = trimmed.split(|&byte| byte == b';');
        let (name, value) = tag(parts.next()?)?;
        if !name.eq_ignore_ascii_case("v") || value != b"DMARC1" {
            return None;
        }
        let mut record = Record::empty();
        if trimmed.len() < text.len() {
            record.problems.push(Problem::LeadingBlank);
        }
        let mut tags: Vec<(String, &[u8])> = Vec::new();
        for part in parts.filter(|part| !part.trim_ascii().is_empty()) {
            match tag(part) {
                Some((name, value)) => tags.push((name.to_ascii_lowercase(), value)),
                None => record.problems.push(Problem::NotATag(shown(part))),
            }
        }
        // Equal names are counted once, so that a record of 64 KiB costs no more than its size.
        let mut counts = std::collections::HashMap::new();
        for (name, _) in &tags {
            *counts.entry(name.clone()).or_insert(0_usize) += 1;
        }
        for (name, value) in &tags {
            match counts.get(name) {
                Some(1) => record.set(name, value),
                Some(0) => {}
                _ => {
                    record.problems.push(Problem::Duplicate(name.clone()));
                    counts.insert(name.clone(), 0);
                }
            }
        }
        if !counts.contains_key("p") {
            record.problems.push(Problem::NoPolicy);
        }
        Some(record)
    }

    /// May it be applied?
    pub fn standing(&self) -> Standing {
        let broken = |tag: &str| {
            self.problems.iter().any(|problem| match problem {
                Problem::Value(name, _) | Problem::Duplicate(name) => name == tag,
                _ => false,
            })
        };
        match self.policy {
            Some(_) if !broken("sp") && !broken("np") => Standing::Good,
            _ if self.aggregate_reports.is_empty() => Standing::Unusable,
            _ => Standing::AsNone,
        }
    }

    fn empty() -> Record {
        Record {
            policy: None,
            subdomain_policy: None,
            nonexistent_policy: None,
            dkim_alignment: Alignment::Relaxed,
            spf_alignment: Alignment::Relaxed,
            testing: false,
            public_suffix: PublicSuffix::Unsaid,
            aggregate_reports: Vec::new(),
            failure_reports: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Takes one tag; what it cannot take becomes a problem.
    fn set(&mut self, name: &str, value: &[u8]) {
        // RFC 9989 §4.8: printable ASCII only.
        let text = Some(value).filter(|value| value.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t')));
        let text = text.map(|value| String::from_utf8_lossy(value).to_ascii_lowercase());
        let word = text.as_deref().unwrap_or_default();
        let valid = match name {
            "p" => fill(&mut self.policy, Policy::read(word)),
            "sp" => fill(&mut self.subdomain_policy, Policy::read(word)),
            "np" => fill(&mut self.nonexistent_policy, Policy::read(word)),
            "adkim" => keep(&mut self.dkim_alignment, Alignment::read(word)),
            "aspf" => keep(&mut self.spf_alignment, Alignment::read(word)),
            "t" => keep(&mut self.testing, one_of(word, &[("y", true), ("n", false)])),
            "psd" => {
                use PublicSuffix::*;
                keep(&mut self.public_suffix, one_of(word, &[("y", Yes), ("n", No), ("u", Unsaid)]))
            }
            "rua" => uris(value, &mut self.aggregate_reports),
            "ruf" => uris(value, &mut self.failure_reports),
            // Only reports use it, and we send none: its value is checked for the owner's sake.
            "fo" => word.split(':').all(|option| matches!(option.trim(), "0" | "1" | "d" | "s")),
            "pct" | "rf" | "ri" => return self.problems.push(Problem::Removed(name.into())),
            _ => return self.problems.push(Problem::Unknown(name.into())),
        };
        if !valid {
            self.problems.push(Problem::Value(name.into(), shown(value)));
        }
    }
}

/// Splits `name = value`; a name is letters (§4.8).
fn tag(part: &[u8]) -> Option<(&str, &[u8])> {
    let equals = part.iter().position(|&byte| byte == b'=')?;
    let name = std::str::from_utf8(part[..equals].trim_ascii()).ok()?;
    let good = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    good.then(|| (name, part[equals + 1..].trim_ascii()))
}

fn fill<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    *place = value;
    place.is_some()
}

fn keep<T>(place: &mut T, value: Option<T>) -> bool {
    let found = value.is_some();
    if let Some(value) = value {
        *place = value;
    }
    found
}

fn one_of<T: Copy>(word: &str, choices: &[(&str, T)]) -> Option<T> {
    choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
}

/// Reads a comma-separated list of URIs; are they all valid?
fn uris(value: &[u8], into: &mut Vec<String>) -> bool {
    let mut good = true;
    for item in value.split(|&byte| byte == b',') {
        match std::str::from_utf8(item.trim_ascii()).ok().and_then(uri) {
            Some(uri) => into.push(uri),
            None => good = false,
        }
    }
    good
}

/// A URI (RFC 3986 §3.1) without its obsolete size; that of a mailbox must name one.
fn uri(text: &str) -> Option<String> {
    let text = match text.split_once('!') {
        Some((uri, size)) => {
            let digits = size.trim_end_matches(['k', 'm', 'g', 't', 'K', 'M', 'G', 'T']);
            let good = size.len() - digits.len() <= 1 && !digits.is_empty();
            Some(uri).filter(|_| good && digits.bytes().all(|byte| byte.is_ascii_digit()))?
        }
        None => text,
    };
    let (scheme, rest) = text.split_once(':')?;
    let scheme_good = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let rest_good = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic());
    let mailbox_good = !scheme.eq_ignore_ascii_case("mailto") || {
        let address = rest.split('?').next().unwrap_or_default();
        address.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && DomainName::new(domain).is_ok())
    };
    (scheme_good && rest_good && mailbox_good).then(|| text.to_owned())
}

/// For people: at most 60 octets, what is not printable escaped.
fn shown(text: &[u8]) -> String {
    let text = text.trim_ascii();
    let mut shown = text[..text.len().min(60)].escape_ascii().to_string();
    if text.len() > 60 {
        shown.push_str("...");
    }
    shown
}

impl Policy {
    fn read(word: &str) -> Option<Policy> {
        use Policy::*;
        one_of(word, &[("none", None), ("quarantine", Quarantine), ("reject", Reject)])
    }

    /// The word in a record.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::None => "none",
            Policy::Quarantine => "quarantine",
            Policy::Reject => "reject",
        }
    }

    /// One step milder, as `t=y` asks (§4.7).
    pub fn milder(self) -> Policy {
        match self {
            Policy::Reject => Policy::Quarantine,
            Policy::Quarantine | Policy::None => Policy::None,
        }
    }
}

impl Alignment {
    fn read(word: &str) -> Option<Alignment> {
        one_of(word, &[("r", Alignment::Relaxed), ("s", Alignment::Strict)])
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::LeadingBlank => write!(f, "blanks before v="),
            Problem::NotATag(text) => write!(f, "\"{text}\" is no tag"),
            Problem::Duplicate(name) => write!(f, "{name}= occurs more than once"),
            Problem::Value(name, value) => write!(f, "{name}= cannot be \"{value}\""),
            Problem::Unknown(name) => write!(f, "{name}= is unknown"),
            Problem::Removed(name) => write!(f, "{name}= is no longer part of DMARC (RFC 9989)"),
            Problem::NoPolicy => write!(f, "there is no p="),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Record {
        Record::read(text.as_bytes()).expect(text)
    }

    #[test]
    fn only_v_dmarc1_makes_a_record() {
        for text in ["v=DMARC1", "v=DMARC1;", "V = DMARC1 ; p=none", " v=DMARC1; p=none", "v=DMARC1;;p=none"] {
            assert!(Record::read(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "",
            "v=dmarc1; p=none",
            "v=DMARC1 p=none",
            "p=none; v=DMARC1",
            "v=DMARC2; p=none",
            "v=spf1 -all",
            "v",
            ";v=DMARC1",
        ] {
            assert_eq!(Record::read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn every_tag_is_read() {
        let record = read(
            "v=DMARC1; p=Reject; sp=quarantine;np=none ;adkim=s;aspf=S; t=y; psd=n; fo=1:d; \
             rua=mailto:a@b.example!10m, https://r.example/x; ruf=mailto:f@b.example",
        );
        assert_eq!(
            (record.policy, record.subdomain_policy, record.nonexistent_policy),
            (Some(Policy::Reject), Some(Policy::Quarantine), Some(Policy::None))
        );
        assert_eq!((record.dkim_alignment, record.spf_alignment), (Alignment::Strict, Alignment::Strict));
        assert_eq!((record.testing, record.public_suffix), (true, PublicSuffix::No));
        assert_eq!(record.aggregate_reports, ["mailto:a@b.example", "https://r.example/x"]);
        assert_eq!((record.failure_reports.len(), record.problems), (1, vec![]));
    }

    #[test]
    fn what_is_wrong_is_discarded_and_named() {
        let value = |tag: &str, value: &str| Problem::Value(tag.into(), value.into());
        for (text, problems) in [
            ("v=DMARC1; p=none; adkim=x; aspf=", vec![value("adkim", "x"), value("aspf", "")]),
            ("v=DMARC1; p=none; p=reject; p=none", vec![Problem::Duplicate("p".into())]),
            (
                "v=DMARC1; p=none; pct=50; policy=x",
                vec![Problem::Removed("pct".into()), Problem::Unknown("policy".into())],
            ),
            ("v=DMARC1; p=none, rua", vec![value("p", "none, rua")]),
            ("v=DMARC1; reject; p=none", vec![Problem::NotATag("reject".into())]),
            ("v=DMARC1", vec![Problem::NoPolicy]),
            ("v=DMARC1; p=none; rua=a@b.example", vec![value("rua", "a@b.example")]),
            ("v=DMARC1; p=n\u{f6}ne", vec![value("p", "n\\xc3\\xb6ne")]),
            ("v=DMARC1; p=none; psd=maybe; t=1", vec![value("psd", "maybe"), value("t", "1")]),
        ] {
            assert_eq!(read(text).problems, problems, "{text}");
        }
    }

    #[test]
    fn a_record_without_a_valid_policy_needs_rua() {
        for (text, standing) in [
            ("v=DMARC1; p=none", Standing::Good),
            ("v=DMARC1; p=reject; adkim=x", Standing::Good),
            ("v=DMARC1", Standing::Unusable),
            ("v=DMARC1; p=rejct", Standing::Unusable),
            ("v=DMARC1; p=none; p=reject", Standing::Unusable),
            ("v=DMARC1; p=rejct; rua=nobody", Standing::Unusable),
            ("v=DMARC1; rua=mailto:a@b.example", Standing::AsNone),
            ("v=DMARC1; p=reject; sp=x; rua=mailto:a@b.example", Standing::AsNone),
            ("v=DMARC1; p=reject; np=x", Standing::Unusable),
        ] {
            assert_eq!(read(text).standing(), standing, "{text}");
        }
    }

    #[test]
    fn one_wrong_octet_costs_no_more_than_its_tag() {
        let good = b"v=DMARC1; p=reject; sp=quarantine; adkim=s; rua=mailto:a@b.example";
        let tag_of = |at: usize| good[..at].iter().filter(|&&byte| byte == b';').count();
        for at in 10..good.len() {
            for byte in 0..=255 {
                let mut text = good.to_vec();
                text[at] = byte;
                let record = Record::read(&text).expect("v= is whole");
                // A changed `;` joins two tags, and another `;` or an `=` can make a new one.
                if good[at] == b';' || b";=".contains(&byte) {
                    continue;
                }
                let shown = text.escape_ascii().to_string();
                // A blank in place of the s of sp= makes a second p=.
                let twice = record.problems.contains(&Problem::Duplicate("p".into()));
                assert!(tag_of(at) == 1 || twice || record.policy == Some(Policy::Reject), "{shown}");
                assert!(tag_of(at) == 3 || record.dkim_alignment == Alignment::Strict, "{shown}");
                assert!(tag_of(at) == 4 || record.aggregate_reports.len() == 1, "{shown}");
            }
        }
    }
}
