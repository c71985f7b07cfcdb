//! The records at one name as the ladder sees them, and the trials of repairs on them.

use super::{MAX_RECORDS, MAX_TEXT, Repaired, shape::receivers_of_pieces};
use crate::{
    diagnose::{
        case::{KeyCase, Match, Oracle},
        finding::{Confidence, Finding},
        register::{Cause, dns_record as causes, key as key_causes},
        secret,
    },
    dkim::{
        der,
        record::{Key, KeyRecord},
        tag::{self, TagList},
    },
    dns::{Data, RecordType},
};
use base64::{Engine, engine::general_purpose::STANDARD};

/// What a record at the name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A key record that can be read.
    Key,
    /// A key record that cannot.
    Broken,
    /// Nothing but base64: a piece of a key.
    Fragment,
    /// The name of a host.
    Host,
    /// Something else.
    Foreign,
}

/// One record; copies of it are left out.
pub(super) struct Entry<'a> {
    /// Its place among the records received, from 1.
    pub(super) number: usize,
    pub(super) strings: &'a [Box<[u8]>],
    /// The strings joined.
    pub(super) text: Vec<u8>,
    pub(super) record: KeyRecord,
    pub(super) kind: Kind,
    /// What the key is, if there is one.
    pub(super) found: Option<Match>,
}

/// The records at the name.
pub(super) struct Set<'a> {
    pub(super) key: &'a KeyCase<'a>,
    pub(super) entries: Vec<Entry<'a>>,
    /// Where they stand: at the key's name, or at the end of its aliases.
    pub(super) owner: String,
}

impl<'a> Set<'a> {
    pub(super) fn of(key: &'a KeyCase<'a>) -> Set<'a> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        for (strings, number) in key.answer.txt().zip(1..).take(MAX_RECORDS) {
            let text = strings.concat();
            if !entries.iter().any(|entry| entry.text == text) {
                let record = KeyRecord::read(&text);
                let found = record.key.as_ref().map(|key_of| key.oracle.knows(key_of));
                let kind = kind(&text, &record);
                entries.push(Entry { number, strings, text, record, kind, found });
            }
        }
        let owner = key.answer.records.iter().find(|record| matches!(record.data, Data::Txt(_)));
        let owner = owner.map_or_else(|| key.name(), |record| record.name.clone());
        Set { key, entries, owner }
    }

    /// The records that hold a whole key.
    pub(super) fn complete(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.entries.iter().filter(|entry| entry.kind == Kind::Key)
    }

    /// The whole key that speaks for the selector: the one that signed, or the first.
    pub(super) fn best(&self) -> Option<&Entry<'a>> {
        self.complete().find(|entry| entry.found.is_some_and(Match::is_signer)).or_else(|| self.complete().next())
    }

    /// The records that are, or should be, a key or a part of it, but cannot be read; those too long are left out.
    pub(super) fn broken(&self) -> impl Iterator<Item = &Entry<'a>> {
        let wanted = |entry: &&Entry<'a>| matches!(entry.kind, Kind::Broken | Kind::Fragment);
        self.entries.iter().filter(wanted).filter(|entry| entry.text.len() <= MAX_TEXT)
    }

    /// A finding with the records as evidence: the answer, and the lengths of the strings.
    pub(super) fn shown(&self, finding: Finding) -> Finding {
        let finding = finding.dns("the records at the name", self.key.answer);
        let lines = self.entries.iter().map(|entry| format!("record {}: {}", entry.number, entry.lengths()));
        let mut lines: Vec<String> = lines.collect();
        let all = self.key.answer.txt().count();
        if all > MAX_RECORDS {
            lines.push(format!("{} more records were not examined", all - MAX_RECORDS));
        }
        finding.text("strings of the records", lines.join("; "))
    }

    /// With the record to publish, and how to enter it. A key that is known beats one that was repaired, and another
    /// signer's key, however sound, mends nothing.
    pub(super) fn publishing(&self, finding: Finding, repaired: Option<(&Key, &[u8])>) -> Finding {
        let expected = match self.key.oracle {
            Oracle::Key(key) => Some((key, &b""[..])),
            _ => None,
        };
        let Some((key, text)) = expected.or(repaired) else { return finding };
        if self.key.oracle.knows(key) == Match::Refuted {
            return finding;
        }
        let value = written(key, text);
        let long = value.len() > 255;
        let finding = finding.fix(format!("leave exactly one TXT record at {}, with the value given here", self.owner));
        let finding = match long {
            true => finding.fix(self.how_to_enter()),
            false => finding,
        };
        finding.publish(&self.owner, value)
    }

    /// How a value of more than 255 characters is entered.
    fn how_to_enter(&self) -> String {
        let strings = "publish it as one record with two quoted strings: one record, two strings, never two records";
        let Some(profile) = self.key.profile.filter(|profile| !profile.name_servers.is_empty()) else {
            return format!("{strings}; where the panel splits long values itself, paste it whole and without quotes");
        };
        let servers = profile.name_servers.join(", ");
        let whole = "paste the value whole, unsplit and without quotes: they split it themselves";
        match self.is_served_by_provider() {
            Some(true) => format!("the zone lies at the name servers of {servers}: {whole}"),
            _ => format!("{strings}; at name servers of {servers} (Global DNS) {whole}"),
        }
    }

    /// Does the zone lie at the name servers of the profile? `None` where it is not known.
    fn is_served_by_provider(&self) -> Option<bool> {
        let profile = self.key.profile?;
        let answer = self.key.facts.answer(self.key.domain.as_str(), RecordType::Ns)?;
        let names = answer.records.iter().filter_map(|record| match &record.data {
            Data::Ns(name) => Some(name),
            _ => None,
        });
        Some(names.into_iter().any(|name| {
            profile.name_servers.iter().any(|suffix| name == suffix || name.ends_with(&format!(".{suffix}")))
        }))
    }
}

impl Entry<'_> {
    /// Is its key known to be another one than the signer's?
    pub(super) fn is_refuted(&self) -> bool {
        self.found == Some(Match::Refuted)
    }

    /// The text, if it is UTF-8.
    pub(super) fn utf8(&self) -> Option<&str> {
        std::str::from_utf8(&self.text).ok()
    }

    /// The value of p= as published, with the blanks in it.
    pub(super) fn p(&self) -> Option<&str> {
        TagList::read(&self.text).value("p")
    }

    /// `2 strings of 255 and 153 octets`.
    fn lengths(&self) -> String {
        let lengths: Vec<String> = self.strings.iter().take(8).map(|string| string.len().to_string()).collect();
        match self.strings.len() {
            1 => format!("1 string of {} octets", self.text.len()),
            count => format!("{count} strings of {} octets", lengths.join(" + ")),
        }
    }
}

/// A repair that was tried: the record as it would be then.
pub(super) struct Trial {
    pub(super) cause: &'static Cause,
    /// The joined text of the repaired record.
    pub(super) text: Vec<u8>,
    pub(super) claim: String,
    /// A second cause, where one repair was not enough.
    pub(super) also: Option<&'static Cause>,
}

/// The repairs tried so far, and what became of them.
pub(super) struct Trials<'s, 'a> {
    pub(super) set: &'s Set<'a>,
    /// Keys met, with what they are: many repairs lead to the same key.
    known: Vec<(Key, Match)>,
    hits: Vec<(Trial, Key, Match)>,
    /// How many more texts may be read.
    left: usize,
}

/// Texts that are read as a record for one signature: some 30 µs each for 4 KB.
const MAX_READS: usize = 2000;

/// Different keys that are tried against one signature: each costs an RSA operation.
const MAX_KEYS: usize = 48;

impl<'s, 'a> Trials<'s, 'a> {
    pub(super) fn new(set: &'s Set<'a>) -> Trials<'s, 'a> {
        Trials { set, known: Vec::new(), hits: Vec::new(), left: MAX_READS }
    }

    /// Has no repair given a key yet?
    pub(super) fn found_nothing(&self) -> bool {
        self.hits.iter().all(|(_, _, found)| *found == Match::Refuted)
    }

    /// Has a repair given the right key?
    pub(super) fn is_proven(&self) -> bool {
        self.hits.iter().any(|(_, _, found)| found.is_signer())
    }

    /// Tries a repair: reads the record again, and asks whether its key is the right one.
    pub(super) fn attempt(&mut self, trial: Trial) {
        if self.is_proven() || self.left == 0 {
            return;
        }
        self.left -= 1;
        let Some(key) = KeyRecord::read(&trial.text).key else { return };
        let known = self.known.iter().find(|(other, _)| *other == key).map(|(_, found)| *found);
        let found = match known {
            Some(found) => found,
            None if self.known.len() >= MAX_KEYS => return,
            None => self.set.key.oracle.knows(&key),
        };
        if known.is_none() {
            self.known.push((key.clone(), found));
        }
        self.hits.push((trial, key, found));
    }

    /// The repair that gives the right key, else one that gives a key that may be right, else any.
    pub(super) fn best(self) -> Option<Repaired> {
        let rank = |found: Match| match found {
            Match::Proven | Match::Signer => 0,
            Match::Open => 1,
            Match::Refuted => 2,
        };
        let (trial, key, found) = self.hits.into_iter().min_by_key(|(_, _, found)| rank(*found))?;
        let what = match found {
            Match::Proven => match self.set.key.oracle {
                Oracle::Key(_) => "it is the key expected",
                _ => "it verifies the signature",
            },
            Match::Signer => "it made this signature, though signed fields changed since",
            Match::Open => "whether it is the right one could not be tried",
            Match::Refuted => "it is not the key that signed, which is a second fault",
        };
        let confidence = if found.is_signer() { Confidence::Certain } else { Confidence::Likely };
        let bits = bits(&key);
        let claim = format!("{}; so repaired it is a key of {bits} bits, and {what}", trial.claim);
        let mut finding =
            self.set.shown(Finding::breaks(trial.cause, confidence, claim)).key("the key as repaired", &key);
        if found.is_signer() {
            finding = finding.not(&key_causes::KEY_MISMATCH, "the key, once the record is mended, is the right one");
        }
        if trial.cause == &causes::KEY_SPLIT {
            finding = finding.not(&key_causes::TRUNCATED, "the rest of the key stands in another record");
            let records = self.set.broken().count();
            finding = receivers_of_pieces(finding)
                .fix(format!("delete the {records} records at {}: DNS does not keep them in order", self.set.owner));
        }
        if let Some(also) = trial.also {
            finding = finding.text("two faults at once", format!("{} as well: {}", also.code, also.title));
        }
        if found == Match::Refuted {
            let step = match self.set.key.oracle {
                Oracle::Key(_) => "publish the key that is expected, not this one",
                _ => "enter the value that the signer shows: this signature was made with another key",
            };
            finding = finding.fix(step);
        }
        let finding = self.set.publishing(finding, Some((&key, &trial.text)));
        Some(Repaired { finding, proven: found.is_signer() })
    }
}

/// The record to publish: in the form of the seed document, with the other legal tags that its owner wanted.
pub(super) fn written(key: &Key, text: &[u8]) -> String {
    let (kind, octets) = match key {
        Key::Rsa { der, pkcs1: true, .. } => ("rsa", der::wrapped(der)),
        Key::Rsa { der, .. } => ("rsa", der.clone()),
        Key::Ed25519(key) => ("ed25519", key.to_vec()),
    };
    let list = TagList::read(text);
    let mut value = format!("v=DKIM1;k={kind};");
    for name in ["h", "s", "t", "n"] {
        let plain = |value: &&str| value.len() <= 100 && value.bytes().all(|b| matches!(b, b' '..=b'~'));
        if let Some(kept) = list.value(name).filter(plain) {
            value += &format!("{name}={kept};");
        }
    }
    value + "p=" + &STANDARD.encode(octets)
}

/// The size of a key.
pub(super) fn bits(key: &Key) -> usize {
    match key {
        Key::Rsa { bits, .. } => *bits,
        Key::Ed25519(_) => 256,
    }
}

/// What a record is, by its text.
fn kind(text: &[u8], record: &KeyRecord) -> Kind {
    if record.key.is_some() {
        return Kind::Key;
    }
    let secret = secret::fingerprint(text).is_some();
    let text = String::from_utf8_lossy(&text[..text.len().min(MAX_TEXT)]).to_ascii_lowercase();
    let start = text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let other = ["v=spf", "spf2.0", "v=dmarc", "v=sts", "v=tlsrpt", "v=bimi"];
    if other.iter().any(|start_of| start.starts_with(start_of)) {
        return Kind::Foreign;
    }
    let tagged = text.contains("dkim1") || text.contains("k=rsa") || text.contains("k=ed25519") || has_p(&text);
    let armoured = text.contains("begin") && (text.contains("key") || text.contains("certificate"));
    match text.as_str() {
        _ if tagged || secret || armoured => Kind::Broken,
        text if is_host(text) => Kind::Host,
        text if is_fragment(text) => Kind::Fragment,
        _ => Kind::Foreign,
    }
}

/// Does `p=` stand at the start of a tag?
fn has_p(text: &str) -> bool {
    text.match_indices('p').any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + 1..].trim_start();
        after.starts_with('=') && !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}

/// Nothing but base64, quotes and blanks, and not what a short token looks like.
fn is_fragment(text: &str) -> bool {
    let plain = text.chars().filter(|c| !c.is_whitespace() && !"\"\\'".contains(*c)).count();
    let base64 = text.trim_end_matches(['=', '"', ' ']).chars();
    let odd = base64.filter(|c| !(c.is_ascii_alphanumeric() || c.is_whitespace() || "+/\"\\'".contains(*c))).count();
    let hexadecimal = text.chars().all(|c| c.is_ascii_hexdigit());
    odd == 0 && plain >= 4 && !(hexadecimal && plain >= 16)
}

/// The name of a host, as a CNAME would have it.
fn is_host(text: &str) -> bool {
    let name = host(text);
    let labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
    let label = |label: &&str| {
        !label.is_empty() && label.len() <= 63 && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    labels.len() >= 2
        && labels.iter().all(label)
        && labels.last().is_some_and(|last| last.len() >= 2 && last.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// The name in the text of a [`Kind::Host`].
pub(super) fn host(text: &str) -> &str {
    let text = tag::trim(text).trim_matches('"');
    match text.split_once(char::is_whitespace) {
        Some((word, name)) if word.eq_ignore_ascii_case("cname") => name.trim(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_told_apart() {
        let key =
            "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx";
        for (text, want) in [
            ("v=DKIM1; p=", Kind::Broken),
            ("k=rsa", Kind::Broken),
            (" P = abc", Kind::Broken),
            ("\"v=dkim1", Kind::Broken),
            ("-----BEGIN PUBLIC KEY-----", Kind::Broken),
            (key, Kind::Fragment),
            ("IDAQAB", Kind::Fragment),
            ("abc.dkim.amazonses.com.", Kind::Host),
            ("CNAME s1.example.net", Kind::Host),
            ("v=spf1 include:a.example -all", Kind::Foreign),
            ("v=DMARC1; p=none", Kind::Foreign),
            ("google-site-verification=abc", Kind::Foreign),
            ("adobe-idp=1", Kind::Foreign),
            ("0123456789abcdef0123456789abcdef", Kind::Foreign),
            ("...", Kind::Foreign),
            ("1.2.3.4", Kind::Foreign),
            ("", Kind::Foreign),
        ] {
            assert_eq!(kind(text.as_bytes(), &KeyRecord::read(text.as_bytes())), want, "{text}");
        }
    }
}
