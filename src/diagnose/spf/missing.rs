//! No SPF record: a text that was meant to be one, a record of another type or at another name, or truly nothing.

use super::{
    Demand, Judged, Sight, mend,
    show::{caret, short},
    strings,
};
use crate::{
    diagnose::{
        finding::{Confidence, Finding},
        register::{Cause, spf as causes},
    },
    dns::{Answer, Data, Outcome as Answered, RecordType},
    spf::{Mechanism, Qualifier, Record, Selection, TermKind, has_version, select},
};
use std::sync::Arc;

/// TXT records of one name that are examined; names with more are rare, hostile answers may have thousands.
const MOST: usize = 64;

/// The longest text that is taken for a record gone wrong, in octets.
const LONGEST: usize = 4096;

/// A label that nobody has: what answers it answers anything.
const RANDOM: &str = "waxseal-4f9c1d07";

/// Why the domain has no record.
pub fn findings(judged: &Judged<'_>, sight: Sight<'_>) -> Vec<Finding> {
    if let Some(finding) = near_miss(judged, sight) {
        return vec![finding];
    }
    let elsewhere = type_99(judged, sight).or_else(|| wrong_host(judged, sight));
    let finding = elsewhere.unwrap_or_else(|| missing(judged, sight));
    let alias = sight.answer.records.iter().find_map(|record| match &record.data {
        Data::Cname(target) => Some(target),
        _ => None,
    });
    vec![match alias {
        Some(target) => finding.fix(format!(
            "{} is an alias of {target} (CNAME), beside which no TXT record can stand: replace the alias by records of \
             its own first, or publish at {target}",
            sight.domain
        )),
        None => finding,
    }]
}

/// A TXT record at the name that was meant to be the SPF record.
pub fn near_miss(judged: &Judged<'_>, sight: Sight<'_>) -> Option<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for strings in sight.answer.txt().take(MOST) {
        let text = strings.concat();
        if text.len() > LONGEST {
            continue;
        }
        let spaced = strings::spaced(strings);
        let repair = match spaced.first() {
            Some(record) => Some(Meant {
                cause: &causes::STRINGS_MISJOINED,
                record: spaced.iter().find(|text| judged.passes(sight.domain, text)).unwrap_or(record).clone(),
                what: "the strings of the record are joined without a blank",
            }),
            None => meant(&text),
        };
        let Some(repair) = repair else { continue };
        let by_definition = [&causes::VERSION_MALFORMED, &causes::NON_ASCII].contains(&repair.cause);
        let confidence = match by_definition {
            true => Confidence::Certain,
            false => judged.tried(sight.domain, &repair.record),
        };
        let claim = format!(
            "{} has a TXT record that is meant to be SPF and is none, because it does not begin with v=spf1 and a blank: {}",
            sight.domain, repair.what
        );
        let end = text.iter().position(|&byte| byte == b' ').unwrap_or(text.len());
        let mut finding = judged
            .breaks(repair.cause, confidence, claim)
            .dns("the TXT records", sight.answer)
            .text("what should be the version", caret(&text, 0..end.max(1)));
        if judged.passes(sight.domain, &repair.record) {
            finding = finding.text("tried", "with the repaired record, SPF passes");
        }
        found.push(finding.repaired(sight, &repair.record));
    }
    found.sort_by_key(|finding| !finding.evidence.iter().any(|item| item.label == "tried"));
    (!found.is_empty()).then(|| found.remove(0))
}

/// What a text was meant to be.
struct Meant {
    cause: &'static Cause,
    record: Vec<u8>,
    what: &'static str,
}

/// Reads a text as the record it was meant to be.
fn meant(text: &[u8]) -> Option<Meant> {
    if !text.is_ascii() {
        let folded = mend::folded(text)?;
        let record = match has_version(&folded) {
            true => folded,
            false => meant(&folded)?.record,
        };
        return begins_like_spf(&record).then_some(Meant {
            cause: &causes::NON_ASCII,
            record,
            what: "characters beyond ASCII stand in it",
        });
    }
    // A blank as web addresses write it.
    if text.windows(3).any(|part| part == b"%20") {
        let spaced = String::from_utf8_lossy(text).replace("%20", " ").into_bytes();
        let record = if has_version(&spaced) { spaced } else { meant(&spaced)?.record };
        let what = "%20 stands for a blank";
        return begins_like_spf(&record).then_some(Meant { cause: &causes::VERSION_MALFORMED, record, what });
    }
    let version = |record, what| Some(Meant { cause: &causes::VERSION_MALFORMED, record, what });
    let bare = unwrapped(text);
    if bare != text && has_version(&bare) {
        return version(bare, "something stands before the version");
    }
    let lower = bare.to_ascii_lowercase();
    if lower.starts_with(b"spf2.0") {
        // Sender ID (RFC 4406): a record of its own kind.
        return None;
    }
    let (word, rest) = first_word(&bare);
    if let Some(tail) = lower.strip_prefix(b"v=spf1").map(|_| &bare[6..])
        && mend::without_qualifier(tail).first().is_some_and(u8::is_ascii_alphabetic)
        && let Some(terms) = terms(tail)
    {
        let record = [b"v=spf1 ", &terms[..]].concat();
        return Some(Meant { cause: &causes::MISSING_SPACE, record, what: "the blank after v=spf1 is missing" });
    }
    if let Some(tail) = lower.strip_prefix(b"v=spf1").map(|_| &bare[6..])
        && tail.first().is_some_and(|byte| b",;:.=\t\r\n\\/|".contains(byte))
    {
        let tail: Vec<u8> = tail.iter().copied().skip_while(|byte| b",;:.=\t\r\n\\/| ".contains(byte)).collect();
        if tail.is_empty() || terms(&tail).is_some() {
            let record = [&b"v=spf1 "[..], &terms(&tail).unwrap_or_default()].concat();
            return version(record, "another sign than a blank follows v=spf1");
        }
    }
    if is_like_version(&word)
        && let Some(terms) = terms(rest)
    {
        return version([b"v=spf1 ", &terms[..]].concat(), "the version is misspelled");
    }
    // No version at all: only what can be nothing but SPF.
    let sure = bare
        .split(|&byte| byte == b' ')
        .any(|word| mend::is_term(word) && (word.contains(&b':') || strings::is_all(word) && word.len() == 4));
    let all_terms = bare.split(|&byte| byte == b' ').all(|word| word.is_empty() || mend::is_term(word));
    (sure && all_terms).then(|| Meant {
        cause: &causes::VERSION_MALFORMED,
        record: [b"v=spf1 ", &bare[..]].concat(),
        what: "the version is missing",
    })
}

fn begins_like_spf(text: &[u8]) -> bool {
    has_version(text) && Record::read(text).0.terms().iter().any(|term| matches!(term.kind, TermKind::Directive { .. }))
}

/// The text without blanks, quotes, and the rest of a zone file line around it.
fn unwrapped(text: &[u8]) -> Vec<u8> {
    let find = |text: &[u8]| text.windows(6).position(|part| part.eq_ignore_ascii_case(b"v=spf1"));
    let mut text = text.trim_ascii();
    if let Some(at) = find(text).filter(|at| *at > 0) {
        let before = String::from_utf8_lossy(&text[..at]).to_ascii_lowercase();
        let words = before.split(|c: char| c.is_ascii_whitespace() || "\"'()=:".contains(c));
        let about = |word: &str| {
            ["", "in", "txt", "spf", "@", "value", "record", "content", "\\"].contains(&word)
                || word.bytes().all(|byte| byte.is_ascii_digit())
                || word.ends_with('.')
        };
        if words.clone().all(about) {
            text = &text[at..];
        }
    }
    let quotes = |byte: &u8| b"\"'\\()".contains(byte) || byte.is_ascii_whitespace();
    let start = text.iter().position(|byte| !quotes(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !quotes(byte)).map_or(start, |at| at + 1);
    text[start..end].iter().copied().filter(|byte| !b"\"\\".contains(byte)).collect()
}

/// The first word and what follows it; blanks around `=` do not end it.
fn first_word(text: &[u8]) -> (String, &[u8]) {
    let mut word = String::new();
    let mut at = 0;
    while at < text.len() && word.len() < 16 {
        let byte = text[at];
        let next = text[at..].iter().find(|byte| **byte != b' ');
        let joins = byte != b' ' || next == Some(&b'=') || word.ends_with('=') || word.is_empty();
        if !joins {
            break;
        }
        if byte != b' ' {
            word.push(char::from(byte).to_ascii_lowercase());
        }
        at += 1;
    }
    // `v=spf 1`: the number may stand apart.
    let rest = &text[at..];
    match rest.trim_ascii_start() {
        [b'1', rest @ ..] if word.ends_with("spf") && !rest.first().is_some_and(u8::is_ascii_alphanumeric) => {
            (word + "1", rest)
        }
        _ => (word, rest),
    }
}

/// Is this word a version of SPF gone wrong?
fn is_like_version(word: &str) -> bool {
    let word = word.trim_end_matches([';', ',', ':', '.']);
    let numbered =
        word.strip_prefix("v=spf").is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    let spelled =
        word.len() >= 4 && mend::distance(word, "v=spf1") <= 2 && ["s", "p", "f"].iter().all(|c| word.contains(c));
    numbered || spelled || ["spf", "spf1", "spf=1", "spf=v1", "version=spf1", "spf=spf1"].contains(&word)
}

/// The words as terms of a record, separators and glue mended; `None` if they are something else.
fn terms(text: &[u8]) -> Option<Vec<u8>> {
    let text = [b"v=spf1 ", text.trim_ascii()].concat();
    let (record, problems) = Record::read(&text);
    let repaired = mend::apply(&text, &mend::broken(&record, &problems));
    let (record, _) = Record::read(&repaired);
    let says = |term: &crate::spf::Term| matches!(term.kind, TermKind::Directive { .. } | TermKind::Redirect(_));
    (record.is_valid() && record.terms().iter().any(says)).then(|| repaired[7..].to_vec())
}

/// A record of the abolished type SPF (RFC 7208 §3.1).
fn type_99(judged: &Judged<'_>, sight: Sight<'_>) -> Option<Finding> {
    let answer = judged.facts.answer(sight.domain, RecordType::Spf)?;
    let texts = answer.joined_txt();
    let Selection::One(record) = select(texts.iter().map(Vec::as_slice)) else { return None };
    let claim = format!("the SPF record of {} is of type SPF (99), which receivers no longer ask for", sight.domain);
    let finding = judged
        .breaks(&causes::RECORD_TYPE_99, Confidence::Certain, claim)
        .dns("the question for TXT", sight.answer)
        .dns("the question for type SPF", answer);
    let text = String::from_utf8_lossy(record).into_owned();
    Some(finding.fix(format!("publish the same text as a TXT record at {}", sight.domain)).publish(sight.domain, text))
}

/// A record at a name near the right one.
fn wrong_host(judged: &Judged<'_>, sight: Sight<'_>) -> Option<Finding> {
    let domain = sight.domain;
    let mut above: Vec<String> = Vec::new();
    let author = judged.case.verdicts.author.as_ref().ok();
    if let (Some(author), Some(judged)) = (author, judged.domain)
        && judged != author
        && judged.is_within(author)
    {
        above.push(author.to_string());
    }
    let parent = judged.domain.and_then(|domain| domain.parent()).filter(|parent| parent.labels().count() >= 2);
    above.extend(parent.map(|parent| parent.to_string()).filter(|parent| !above.contains(parent)));
    // Where the name does not exist, nothing exists below it (RFC 8020).
    let below: &[String] = match sight.answer.outcome {
        Answered::NxDomain => &[],
        _ => &["_spf", "spf", "www", "@", domain].map(|label| format!("{label}.{domain}")),
    };
    let places = above.into_iter().map(|name| (name, false)).chain(below.iter().map(|name| (name.clone(), true)));
    let mut likely = None;
    for (name, is_below) in places {
        let Some(answer) = judged.facts.txt(&name) else { continue };
        let texts = answer.joined_txt();
        let Selection::One(record) = select(texts.iter().map(Vec::as_slice)) else { continue };
        let passes = judged.passes(domain, record);
        if is_below && is_wildcard(judged, domain, answer) {
            continue;
        }
        // A record above is its own domain's; one below that lets nobody send is no record of this domain.
        if passes || (is_below && authorises(record)) {
            let found = Found { name, answer, record, is_below };
            let finding = found.finding(judged, sight, passes);
            if passes {
                return Some(finding);
            }
            likely.get_or_insert(finding);
        }
    }
    likely
}

/// A record at another name.
struct Found<'a> {
    name: String,
    answer: &'a Arc<Answer>,
    record: &'a [u8],
    is_below: bool,
}

impl Found<'_> {
    fn finding(&self, judged: &Judged<'_>, sight: Sight<'_>, passes: bool) -> Finding {
        let domain = sight.domain;
        let confidence = if passes { Confidence::Certain } else { Confidence::Likely };
        let claim = match self.is_below {
            true => format!("the SPF record stands at {}; receivers look for it at {domain}", self.name),
            false => format!("{} has an SPF record, but the sender is of {domain}, which has none", self.name),
        };
        let finding = judged
            .breaks(&causes::WRONG_HOST, confidence, claim)
            .dns("the question for SPF", sight.answer)
            .dns("the record found", self.answer);
        let finding = match passes {
            true => finding.text("tried", format!("with this record at {domain}, SPF passes")),
            false => finding,
        };
        finding
            .fix(format!(
                "publish the record at {domain} itself; in a panel that adds the domain, the name is @ or empty"
            ))
            .publish(domain, String::from_utf8_lossy(self.record).into_owned())
    }
}

/// Does the domain give the same answer for any name below it?
fn is_wildcard(judged: &Judged<'_>, domain: &str, answer: &Arc<Answer>) -> bool {
    // Not known yet is as good as yes: better no finding than a wrong one.
    let random = judged.facts.txt(&format!("{RANDOM}.{domain}"));
    random.is_none_or(|random| !random.is_negative() && random.joined_txt() == answer.joined_txt())
}

/// Does the record let anybody send?
fn authorises(record: &[u8]) -> bool {
    Record::read(record).0.terms().iter().any(|term| match &term.kind {
        TermKind::Directive { qualifier, mechanism } => *qualifier == Qualifier::Pass && *mechanism != Mechanism::All,
        TermKind::Redirect(_) => true,
        _ => false,
    })
}

fn missing(judged: &Judged<'_>, sight: Sight<'_>) -> Finding {
    let what = match sight.answer.outcome {
        Answered::NxDomain => "does not exist",
        Answered::NoData => "has no TXT record, and so no SPF record",
        _ => "has TXT records, none of which is SPF",
    };
    let claim = match judged.case.verdicts.author.as_ref().ok() {
        Some(author) if author.as_str() != sight.domain => {
            format!(
                "{} {what}; SPF is judged there, because the sender is of that domain and not of {author}",
                sight.domain
            )
        }
        _ => format!("{} {what}", sight.domain),
    };
    let finding = judged
        .breaks(&causes::RECORD_MISSING, Confidence::Certain, claim)
        .dns("the question for SPF", sight.answer)
        .not(&causes::WRONG_HOST, "no record that would let this client send was found at the names near it");
    match judged.demanded() {
        Some(Demand { include, who, .. }) => finding
            .fix(format!(
                "publish the TXT record below at {}, with every other host that sends added before ~all",
                short(sight.domain)
            ))
            .text("demanded", format!("{who} wants include:{include}"))
            .publish(sight.domain, format!("v=spf1 include:{include} ~all")),
        None => finding.fix(format!(
            "publish one TXT record at {}: v=spf1, a term for every host and service that sends for it, and ~all",
            sight.domain
        )),
    }
}
