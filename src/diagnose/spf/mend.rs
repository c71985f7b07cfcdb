//! The terms of an SPF record that cannot be right, and what each was meant to be.
//!
//! Every mend is one guess at one term, by the mistakes that people make: a blank that is missing, another separator, an
//! address under the wrong name, a misspelled mechanism. Whether the guess is right is not known here; the record is
//! judged again with it. Nothing here fails: a term that nobody can mend keeps its place, with a cause and without a repair.

use super::address;
use crate::{
    diagnose::register::{Cause, spf as causes},
    spf::{Problem, ProblemKind, Record, TermKind},
};
use std::ops::Range;

/// Problems of one record that are looked at; nobody makes more, and a hostile record may hold thousands.
const MOST: usize = 64;

/// The longest term that is mended, in octets: a name has at most 253.
const LONGEST: usize = 512;

/// A term, and what it was meant to be.
pub struct Mend {
    /// Which mistake it is.
    pub cause: &'static Cause,
    /// Where it stands.
    pub place: Range<usize>,
    /// What it was meant to be, if that can be told.
    pub with: Option<Vec<u8>>,
    /// What else it may have been meant to be.
    pub or: Option<Vec<u8>>,
    /// What is wrong, for people.
    pub what: String,
}

impl Mend {
    /// The other guess, where there is one.
    pub fn other(&self) -> Mend {
        let with = self.or.clone().or_else(|| self.with.clone());
        Mend { cause: self.cause, place: self.place.clone(), with, or: None, what: self.what.clone() }
    }
}

/// The mends of everything that breaks the grammar.
pub fn broken(record: &Record, problems: &[Problem]) -> Vec<Mend> {
    let (bytes, terms) = (record.as_bytes(), record.terms());
    let mut mends: Vec<Mend> = Vec::new();
    for problem in problems.iter().filter(|problem| problem.kind != ProblemKind::Version).take(MOST) {
        let at = terms.partition_point(|term| term.range.end < problem.range.end);
        let Some(term) = terms.get(at) else { continue };
        // The next word may have been taken in by the mend before.
        if mends.last().is_some_and(|mend| mend.place.end > term.range.start) {
            continue;
        }
        let next = terms.get(at + 1).map(|next| next.range.clone());
        mends.push(mend(bytes, term.range.clone(), next, problem));
    }
    mends
}

/// The mends of terms that obey the grammar and cannot be meant so: `ip4=192.0.2.1`, `a:x.example,mx`,
/// `include:x.example-all`.
pub fn odd(record: &Record) -> Vec<Mend> {
    let bytes = record.as_bytes();
    let mends = record.terms().iter().take(MOST).filter(|term| term.range.len() <= LONGEST).filter_map(|term| {
        let word = &bytes[term.range.clone()];
        let mend = |cause, with, what: &str| {
            Some(Mend { cause, place: term.range.clone(), with: Some(with), or: None, what: what.into() })
        };
        if let TermKind::OtherModifier { name, .. } = &term.kind {
            let (name, rest) = (&bytes[name.clone()], &bytes[name.end + 1..term.range.end]);
            let meant = [name, b":", rest].concat();
            let meant = if is_term(&meant) { meant } else { address::meant(&meant)? };
            let cause = if address::is_name(name) { &causes::IP_MECHANISM_WRONG } else { &causes::SYNTAX_ERROR };
            return mend(cause, meant, "'=' makes it a modifier that nobody knows; a mechanism takes ':'");
        }
        if let Some(with) = separated(word) {
            return mend(&causes::COMMA_OR_SEMICOLON, with, "terms are separated by blanks alone");
        }
        let with = cut(word, false)?;
        mend(&causes::MISSING_SPACE, with, "a blank is missing between two terms")
    });
    mends.collect()
}

/// The record with every mend made; what has none stays as it is.
pub fn apply(bytes: &[u8], mends: &[Mend]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for mend in mends {
        if let Some(with) = &mend.with {
            out.extend(&bytes[at..mend.place.start]);
            out.extend(with);
            at = mend.place.end;
        }
    }
    out.extend(&bytes[at..]);
    out
}

/// The mend that names the record's mistake: the first that is more than "the grammar is broken".
pub fn leading(mends: &[Mend]) -> Option<&Mend> {
    mends.iter().find(|mend| mend.cause != &causes::SYNTAX_ERROR).or(mends.first())
}

/// Is this one term that authorises or ends, and nothing stuck to it?
pub fn is_term(word: &[u8]) -> bool {
    let (record, problems) = Record::read(&[b"v=spf1 ", word].concat());
    let [term] = record.terms() else { return false };
    let known = !matches!(term.kind, TermKind::OtherModifier { .. } | TermKind::Unreadable);
    let colons = word.iter().filter(|&&byte| byte == b':').count();
    let alone = colons <= 1 || starts_with(without_qualifier(word), b"ip6:");
    problems.is_empty() && known && alone && !word.contains(&b',') && !word.contains(&b';')
}

/// A text of words, folded to ASCII: look-alikes of blanks, hyphens and full-width letters become what they look like,
/// quotes and invisible marks go. `None` where something else stands in it.
pub fn folded(bytes: &[u8]) -> Option<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        // What an editor of another time writes: windows-1252.
        let fold = |byte: &u8| match byte {
            0xa0 => Some(Some(b' ')),
            0x91..=0x94 => Some(None),
            0x96 | 0x97 => Some(Some(b'-')),
            byte if byte.is_ascii() => Some(Some(*byte)),
            _ => None,
        };
        return bytes.iter().map(fold).collect::<Option<Vec<_>>>().map(|bytes| bytes.into_iter().flatten().collect());
    };
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => out.push(' '),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => out.push('-'),
            '\u{ff01}'..='\u{ff5e}' => out.extend(char::from_u32(c as u32 - 0xfee0)),
            '\u{223c}' | '\u{301c}' | '\u{2dc}' => out.push('~'),
            '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{ad}' => {}
            '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' => {}
            c if c.is_ascii() => out.push(c),
            _ => return None,
        }
    }
    Some(out.into_bytes())
}

fn mend(bytes: &[u8], place: Range<usize>, next: Option<Range<usize>>, problem: &Problem) -> Mend {
    let word = &bytes[place.clone()];
    let kind = problem.kind;
    let found = |cause, with, what: &str| Mend { cause, place: place.clone(), with, or: None, what: what.to_owned() };
    let general = |with| found(&causes::SYNTAX_ERROR, with, &kind.to_string());
    if word.len() > LONGEST {
        return general(None);
    }
    if !word.is_ascii() {
        let with = folded(word).and_then(|text| words(&text));
        return found(&causes::NON_ASCII, with, "only ASCII may stand in a record");
    }
    if kind == ProblemKind::DuplicateModifier {
        return found(&causes::DUPLICATE_MODIFIER, Some(Vec::new()), "redirect= and exp= may stand once");
    }
    if let Some(with) = separated(word) {
        return found(&causes::COMMA_OR_SEMICOLON, Some(with), "terms are separated by blanks alone");
    }
    if let ProblemKind::Macro(_) = kind {
        return found(&causes::MACRO_INVALID, None, &kind.to_string());
    }
    if word.iter().any(|byte| byte.is_ascii_control() || b"\"'\\<>".contains(byte)) {
        return general(words(&plain(word)));
    }
    if let Some(with) = cut(word, true) {
        return found(&causes::MISSING_SPACE, Some(with), "a blank is missing between two terms");
    }
    // `ip4: 192.0.2.1`, `include x.example`, `- all`: the word and the next are one.
    let joined = next.as_ref().and_then(|next| {
        let joints: [&[u8]; 2] = [b"", b":"];
        let mut ways = joints.iter().map(|joint| [word, joint, &bytes[next.clone()]].concat());
        Some((next, ways.find(|joined| is_term(joined) && !is_term(&bytes[next.clone()]) || is_sign(word))?))
    });
    if let Some((next, joined)) = joined.filter(|(_, joined)| is_term(joined)) {
        let is_address = address::is_name(address::name(word));
        let cause = if is_address { &causes::IP_MECHANISM_WRONG } else { &causes::SYNTAX_ERROR };
        let what = "no blank may stand inside a term".to_owned();
        return Mend { cause, place: place.start..next.end, with: Some(joined), or: None, what };
    }
    if address::is_about(word, kind) {
        let mend = found(&causes::IP_MECHANISM_WRONG, address::meant(word), address::what(word, kind));
        return Mend { or: address::also_meant(word, kind), ..mend };
    }
    match kind {
        ProblemKind::ModifierAsMechanism => {
            let text = String::from_utf8_lossy(without_qualifier(word)).replacen(':', "=", 1).into_bytes();
            general(is_term(&text).then_some(text))
        }
        ProblemKind::UnknownMechanism => {
            let mend = found(&causes::UNKNOWN_MECHANISM, nearest(word), "there is no mechanism of this name");
            // A bare name may be a host's or a service's.
            let included = [b"include:", word].concat();
            let or = (word.contains(&b'.') && is_term(&included)).then_some(included);
            Mend { or, ..mend }
        }
        ProblemKind::TopLabel | ProblemKind::UnexpectedArgument => {
            let text = word.trim_ascii_end();
            let end = text.iter().rposition(u8::is_ascii_alphanumeric).map_or(0, |at| at + 1);
            general(is_term(&text[..end]).then(|| text[..end].to_vec()))
        }
        _ => general(None),
    }
}

fn is_sign(word: &[u8]) -> bool {
    matches!(word, [b'+' | b'-' | b'~' | b'?'])
}

/// Words without control characters, quotes and backslashes.
fn plain(word: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(word).replace("\\032", " ");
    text.as_bytes()
        .iter()
        .filter(|byte| !b"\"'\\<>".contains(byte))
        .map(|&byte| if byte.is_ascii_control() { b' ' } else { byte })
        .collect()
}

/// These words as terms, each mended if it must be; `None` if one cannot be.
fn words(text: &[u8]) -> Option<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    for word in text.split(|&byte| byte == b' ').filter(|word| !word.is_empty()) {
        let mended = match is_term(word) {
            true => softened(word).to_vec(),
            false => cut(word, true).or_else(|| address::meant(word)).or_else(|| nearest(word))?,
        };
        out.push(mended);
    }
    Some(out.join(&b' '))
}

/// The word with blanks for the commas and semicolons in it, if it has some and terms come out.
fn separated(word: &[u8]) -> Option<Vec<u8>> {
    let is_separator = |byte: &u8| b",;".contains(byte);
    // Inside a macro a comma may be a delimiter.
    if !word.iter().any(is_separator) || word.windows(2).any(|pair| pair == b"%{") {
        return None;
    }
    let spaced: Vec<u8> = word.iter().map(|byte| if is_separator(byte) { b' ' } else { *byte }).collect();
    words(&spaced)
}

/// The word cut into the terms that were stuck together.
///
/// In a `broken` word, a bare `all`, `mx`, `a` or `ptr` at the end is taken for a term too.
fn cut(word: &[u8], broken: bool) -> Option<Vec<u8>> {
    const STARTS: [&[u8]; 9] =
        [b"include:", b"ip4:", b"ip6:", b"a:", b"mx:", b"ptr:", b"exists:", b"redirect=", b"exp="];
    if word.len() > LONGEST {
        return None;
    }
    let mut rest = word;
    let mut parts: Vec<&[u8]> = Vec::new();
    'parts: while !is_term(rest) || !parts.is_empty() || !broken {
        for at in 1..rest.len() {
            let (left, right) = rest.split_at(at);
            let bare = without_qualifier(right);
            let ends = bare.eq_ignore_ascii_case(b"all")
                || ([&b"mx"[..], b"a", b"ptr"].iter().any(|name| bare.eq_ignore_ascii_case(name))
                    && (broken || bare.len() < right.len()));
            let starts = ends || STARTS.iter().any(|start| starts_with(bare, start));
            if starts && is_term(left) {
                parts.push(left);
                rest = right;
                continue 'parts;
            }
        }
        break;
    }
    parts.push(rest);
    (parts.len() > 1 && is_term(rest)).then(|| parts.into_iter().map(softened).collect::<Vec<_>>().join(&b' '))
}

/// A term that is put into somebody's record; a bare `all` would let everybody send, which nobody means.
fn softened(term: &[u8]) -> &[u8] {
    if term.eq_ignore_ascii_case(b"all") { b"~all" } else { term }
}

/// The word with the mechanism that its name is nearest to.
fn nearest(word: &[u8]) -> Option<Vec<u8>> {
    const NAMES: [&str; 8] = ["all", "include", "exists", "ptr", "mx", "a", "redirect", "exp"];
    let sign = word.len() - without_qualifier(word).len();
    let bare: &[u8] = &word[word.iter().position(|byte| !b"+-~?!".contains(byte))?..];
    let end = bare.iter().position(|byte| b":/=".contains(byte)).unwrap_or(bare.len());
    let (name, rest) = (String::from_utf8_lossy(&bare[..end]).to_ascii_lowercase(), &bare[end..]);
    let with = |name: &str, rest: &[u8]| [&word[..sign], name.as_bytes(), rest].concat();
    let mut best: Option<(usize, Vec<u8>)> = None;
    for known in NAMES {
        let far = distance(&name, known);
        let near = far <= if known.len() >= 6 { 2 } else { usize::from(known.len() >= 2) };
        let meant = with(known, rest);
        if near && is_term(&meant) && best.as_ref().is_none_or(|(least, _)| far < *least) {
            best = Some((far, meant));
        }
    }
    // `include.x.example`: another sign for the colon; `x.example`: no mechanism at all.
    let punctuated = NAMES.iter().find_map(|known| {
        let after = name.strip_prefix(known)?.strip_prefix(['.', '_', '-'])?;
        Some(with(known, &[b":", after.as_bytes(), rest].concat())).filter(|meant| is_term(meant))
    });
    let named = || Some(with("a", &[b":", bare].concat())).filter(|meant| name.contains('.') && is_term(meant));
    best.map(|(_, meant)| softened(&meant).to_vec()).or(punctuated).or_else(named)
}

/// How many octets must be changed, added, left out or swapped with their neighbour.
pub fn distance(one: &str, other: &str) -> usize {
    if one.len() > 32 || other.len() > 32 {
        return usize::MAX;
    }
    let octets = |text: &str| text.bytes().map(char::from).collect::<String>();
    strsim::osa_distance(&octets(one), &octets(other))
}

fn starts_with(word: &[u8], start: &[u8]) -> bool {
    word.get(..start.len()).is_some_and(|front| front.eq_ignore_ascii_case(start))
}

pub fn without_qualifier(word: &[u8]) -> &[u8] {
    match word {
        [b'+' | b'-' | b'~' | b'?', rest @ ..] => rest,
        word => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The leading cause of a record, and the record with all mends made.
    fn mended(terms: &str) -> (&'static str, String) {
        let text = format!("v=spf1 {terms}");
        let (record, problems) = Record::read(text.as_bytes());
        let mends = if problems.is_empty() { odd(&record) } else { broken(&record, &problems) };
        let cause = leading(&mends).map_or("", |mend| mend.cause.code);
        let text = String::from_utf8_lossy(&apply(record.as_bytes(), &mends)).into_owned();
        (cause, text.strip_prefix("v=spf1 ").expect("the version stays").to_owned())
    }

    #[test]
    fn each_mistake_has_its_cause_and_its_repair() {
        for (terms, cause, want) in [
            ("include:x.example~all", "spf-missing-space", "include:x.example ~all"),
            ("include:x.example-all", "spf-missing-space", "include:x.example -all"),
            (
                "ip4:192.0.2.1ip4:192.0.2.2include:x.example -all",
                "spf-missing-space",
                "ip4:192.0.2.1 ip4:192.0.2.2 include:x.example -all",
            ),
            (
                "include:a.exampleinclude:b.example ~all",
                "spf-missing-space",
                "include:a.example include:b.example ~all",
            ),
            ("mx-all", "spf-missing-space", "mx -all"),
            ("a mxip4:192.0.2.1 ~all", "spf-missing-space", "a mx ip4:192.0.2.1 ~all"),
            ("include:x.example, ~all", "spf-comma-or-semicolon", "include:x.example ~all"),
            (
                "include:a.example,include:b.example;~all",
                "spf-comma-or-semicolon",
                "include:a.example include:b.example ~all",
            ),
            ("a;mx;~all;", "spf-comma-or-semicolon", "a mx ~all"),
            ("ip:192.0.2.1 ~all", "spf-ip-mechanism-wrong", "ip4:192.0.2.1 ~all"),
            ("ipv4:192.0.2.0/24 ~all", "spf-ip-mechanism-wrong", "ip4:192.0.2.0/24 ~all"),
            ("ipv6:2001:db8::/32 ~all", "spf-ip-mechanism-wrong", "ip6:2001:db8::/32 ~all"),
            ("ip4:2001:db8::1 ~all", "spf-ip-mechanism-wrong", "ip6:2001:db8::1 ~all"),
            ("ip4:mail.example.com ~all", "spf-ip-mechanism-wrong", "a:mail.example.com ~all"),
            ("ip4:192.0.2.7/33 ~all", "spf-ip-mechanism-wrong", "ip4:192.0.2.7 ~all"),
            ("ip4:192.0.2.0/255.255.255.0 ~all", "spf-ip-mechanism-wrong", "ip4:192.0.2.0/24 ~all"),
            ("a:192.0.2.1 ~all", "spf-ip-mechanism-wrong", "ip4:192.0.2.1 ~all"),
            ("ip4: 192.0.2.1 ~all", "spf-ip-mechanism-wrong", "ip4:192.0.2.1 ~all"),
            ("ip4=192.0.2.1 ~all", "spf-ip-mechanism-wrong", "ip4:192.0.2.1 ~all"),
            ("192.0.2.0/24 ~all", "spf-ip-mechanism-wrong", "ip4:192.0.2.0/24 ~all"),
            ("inlcude:x.example ~all", "spf-unknown-mechanism", "include:x.example ~all"),
            ("includ:x.example -al", "spf-unknown-mechanism", "include:x.example -all"),
            ("x.example ~all", "spf-unknown-mechanism", "a:x.example ~all"),
            ("include:x.example ~~all", "spf-unknown-mechanism", "include:x.example ~all"),
            ("ip4:192.0.2.* ~all", "spf-ip-mechanism-wrong", "ip4:192.0.2.0/24 ~all"),
            (
                "ip4:192.0.2.1-192.0.2.4 ~all",
                "spf-ip-mechanism-wrong",
                "ip4:192.0.2.1 ip4:192.0.2.2/31 ip4:192.0.2.4 ~all",
            ),
            ("ip4:192.0.2.0-255 ~all", "spf-ip-mechanism-wrong", "ip4:192.0.2.0/24 ~all"),
            ("ip4 192.0.2.1 ~all", "spf-ip-mechanism-wrong", "ip4:192.0.2.1 ~all"),
            ("include: x.example ~all", "spf-syntax-error", "include:x.example ~all"),
            ("include x.example ~all", "spf-syntax-error", "include:x.example ~all"),
            ("include:<x.example> ~all", "spf-syntax-error", "include:x.example ~all"),
            ("include=x.example ~all", "spf-syntax-error", "include:x.example ~all"),
            ("redirect:x.example", "spf-syntax-error", "redirect=x.example"),
            ("include:x.example ~all\"", "spf-syntax-error", "include:x.example ~all"),
            ("include:x.example - all", "spf-syntax-error", "include:x.example -all"),
            ("exists:%{i.x.example ~all", "spf-macro-invalid", "exists:%{i.x.example ~all"),
            ("redirect=a.example redirect=b.example", "spf-duplicate-modifier", "redirect=a.example "),
            ("include:x.example \u{2013}all", "spf-non-ascii", "include:x.example -all"),
            ("include:x.example\u{a0}~all", "spf-non-ascii", "include:x.example ~all"),
            // Nothing odd here.
            (
                "include:x.example a:mail-all.example exists:%{l1r,}.x.example moo=ip4:1 ~all",
                "",
                "include:x.example a:mail-all.example exists:%{l1r,}.x.example moo=ip4:1 ~all",
            ),
        ] {
            assert_eq!(mended(terms), (cause, want.to_owned()), "{terms}");
        }
    }

    #[test]
    fn hostile_records_take_little_time() {
        for unit in ["ip4:1.2.3.4ip4:", ",", "a:", "-", "\u{2013}", "moo "] {
            let text = format!("v=spf1 {}", unit.repeat(65_000 / unit.len()));
            let (record, problems) = Record::read(text.as_bytes());
            let start = std::time::Instant::now();
            assert!(broken(&record, &problems).len() + odd(&record).len() <= 2 * MOST);
            assert!(start.elapsed() < std::time::Duration::from_secs(5), "{unit}: {:?}", start.elapsed());
        }
    }
}
