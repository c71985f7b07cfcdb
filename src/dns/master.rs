//! Master files (RFC 1035 §5) as text: entries in, records with their octets exactly as written out.
//!
//! Read here rather than by hickory's parser, which turns character-strings into text, knows neither TYPE SPF nor
//! RFC 3597, and does not say in which line it failed. What is wrong is a [`Mistake`] with its line; reading goes on
//! with the next line, so that all mistakes of a file show at once. Time and memory are linear in the text.
//!
//! One kind of comment has a meaning: a line `;waxseal-outcome NAME TYPE OUTCOME` says what a question came to where no
//! records can say it ([`Stated`]). Other readers of master files pass over it.

use super::labels::Labels;
use super::{Data, Fault, Outcome, RecordType};
use std::{fmt, net::Ipv4Addr, net::Ipv6Addr};

/// What is wrong in a master file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 if the file as a whole is meant.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// All that is wrong in the master files of one run; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ten show the pattern; a file of another kind has one in every line.
        for (index, mistake) in self.0.iter().take(10).enumerate() {
            write!(f, "{}{mistake}", if index > 0 { "\n" } else { "" })?;
        }
        match self.0.len() {
            0..=10 => Ok(()),
            many => write!(f, "\nand {} more", many - 10),
        }
    }
}

impl std::error::Error for Mistakes {}

/// One record of a master file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) owner: Labels,
    pub(crate) ttl: u32,
    /// `None`: a type that nobody asks for here, which only makes the name exist.
    pub(crate) data: Option<(RecordType, Data)>,
    /// Where a CNAME leads.
    pub(crate) target: Option<Labels>,
}

/// What a question came to, as a comment states it.
#[derive(Clone, Debug)]
pub(crate) struct Stated {
    pub(crate) name: Labels,
    pub(crate) kind: RecordType,
    pub(crate) outcome: Outcome,
}

/// How the comment begins that states an outcome.
pub(crate) const OUTCOME: &str = ";waxseal-outcome";

/// The outcome as the comment words it; `None` for what it cannot state.
pub(crate) fn outcome_text(outcome: &Outcome) -> Option<String> {
    let fault = match outcome {
        Outcome::NxDomain => return Some("nxdomain".into()),
        Outcome::NoData => return Some("nodata".into()),
        Outcome::Records => return None,
        Outcome::Fault(fault) => fault,
    };
    Some(match fault {
        Fault::Timeout => "timeout".into(),
        Fault::ServFail => "servfail".into(),
        Fault::Refused => "refused".into(),
        Fault::Truncated => "truncated".into(),
        Fault::CnameLoop => "cname-loop".into(),
        Fault::Other(what) => format!("other {}", super::record::quoted(what.as_bytes())),
        // What nobody asked for has no answer to be given again.
        Fault::Unaskable(_) | Fault::Budget => return None,
    })
}

/// Reads one master file; `mistakes` receives what is wrong.
pub(crate) fn read(text: &[u8], file: &str, mistakes: &mut Vec<Mistake>) -> (Vec<Entry>, Vec<Stated>) {
    let mut reader = Reader::default();
    let (mut entries, mut stated) = (Vec::new(), Vec::new());
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut lexer = Lexer { text, at: 0, line: 1, outcomes: Vec::new() };
    while let Some((line, found)) = lexer.entry() {
        let read = found.and_then(|words| reader.entry(&words));
        match read {
            Ok(entry) => entries.extend(entry),
            Err(what) => mistakes.push(Mistake { file: file.into(), line, what }),
        }
    }
    for (line, text) in lexer.outcomes {
        let mut lexer = Lexer { text, at: 0, line, outcomes: Vec::new() };
        let words = lexer.words().map_err(|(_, what)| what);
        match words.and_then(|words| reader.stated(&words.words)) {
            Ok(outcome) => stated.push(outcome),
            Err(what) => mistakes.push(Mistake { file: file.into(), line, what: format!("{OUTCOME}: {what}") }),
        }
    }
    (entries, stated)
}

/// A token as written: escapes still in it, quotes taken off.
#[derive(Clone, Copy)]
struct Word<'a> {
    raw: &'a [u8],
    quoted: bool,
}

/// One entry: its tokens, and whether it began with a blank (the owner is then the last one).
struct Words<'a> {
    blank_owner: bool,
    words: Vec<Word<'a>>,
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    /// The comments that state an outcome, each with its line, without what they begin with.
    outcomes: Vec<(usize, &'a [u8])>,
}

impl<'a> Lexer<'a> {
    /// The next entry that is not empty, with the line where it begins, or the line of the mistake in it.
    fn entry(&mut self) -> Option<(usize, Result<Words<'a>, String>)> {
        while self.at < self.text.len() {
            let line = self.line;
            match self.words() {
                Ok(words) if words.words.is_empty() => {}
                Ok(words) => return Some((line, Ok(words))),
                Err((line, what)) => {
                    self.skip_comment();
                    return Some((line, Err(what)));
                }
            }
        }
        None
    }

    /// Reads up to the end of the line, or of the line in which the last parenthesis closes.
    fn words(&mut self) -> Result<Words<'a>, (usize, String)> {
        let blank_owner = matches!(self.text.get(self.at), Some(b' ' | b'\t'));
        let mut entry = Words { blank_owner, words: Vec::new() };
        if let Some(outcome) = self.text[self.at..].strip_prefix(OUTCOME.as_bytes()) {
            let end = outcome.iter().position(|octet| *octet == b'\n').unwrap_or(outcome.len());
            self.outcomes.push((self.line, &outcome[..end]));
        }
        let mut opened = Vec::new();
        while let Some(octet) = self.text.get(self.at).copied() {
            match octet {
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    if opened.is_empty() {
                        return Ok(entry);
                    }
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b';' => self.skip_comment(),
                b'(' => {
                    opened.push(self.line);
                    self.at += 1;
                }
                b')' => {
                    opened.pop().ok_or((self.line, "a closing parenthesis without an opening one".to_owned()))?;
                    self.at += 1;
                }
                b'"' => entry.words.push(self.quoted()?),
                _ => entry.words.push(self.bare()),
            }
        }
        match opened.first() {
            Some(line) => Err((*line, "a parenthesis is opened here and never closed".to_owned())),
            None => Ok(entry),
        }
    }

    fn skip_comment(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().position(|octet| *octet == b'\n').unwrap_or(rest.len());
    }

    fn quoted(&mut self) -> Result<Word<'a>, (usize, String)> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Word { raw, quoted: true });
                }
                Some(b'\\') if self.text.get(self.at + 1).is_some_and(|next| *next != b'\n') => self.at += 2,
                Some(b'\n') | None => return Err((self.line, "a quote is not closed in its line".to_owned())),
                Some(_) => self.at += 1,
            }
        }
    }

    fn bare(&mut self) -> Word<'a> {
        let start = self.at;
        while let Some(octet) = self.text.get(self.at) {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' => break,
                b'\\' if self.text.get(self.at + 1).is_some_and(|next| *next != b'\n') => self.at += 2,
                _ => self.at += 1,
            }
        }
        Word { raw: &self.text[start..self.at], quoted: false }
    }
}

/// What earlier entries of the file mean for the next one.
#[derive(Default)]
struct Reader {
    origin: Option<Labels>,
    /// The owner of the last SOA: the origin as long as no $ORIGIN states one.
    apex: Option<Labels>,
    owner: Option<Labels>,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
}

impl Reader {
    fn entry(&mut self, entry: &Words) -> Result<Option<Entry>, String> {
        let words = entry.words.as_slice();
        let [first, rest @ ..] = words else { return Ok(None) };
        if !entry.blank_owner && !first.quoted && first.raw.starts_with(b"$") {
            return self.directive(first, rest).map(|()| None);
        }
        if entry.blank_owner {
            let owner = self.owner.clone().ok_or("a line that begins with a blank, but no owner name before it")?;
            return self.record(owner, words).map(Some);
        }
        let owner = self.name(first);
        // Lines with a blank owner belong to this name even if the rest of the line is wrong.
        self.owner = owner.clone().ok();
        self.record(owner?, rest).map(Some)
    }

    /// `NAME TYPE OUTCOME`, where a comment states it.
    fn stated(&self, words: &[Word]) -> Result<Stated, String> {
        let [name, kind, outcome, more @ ..] = words else { return Err("needs a name, a type and an outcome".into()) };
        let Kind::Known(kind) = Kind::read(kind)? else {
            return Err(format!("records of type {} are not asked for", quote(kind)));
        };
        let outcome = match (show(outcome).as_str(), more) {
            ("nxdomain", []) => Outcome::NxDomain,
            ("nodata", []) => Outcome::NoData,
            ("timeout", []) => Outcome::Fault(Fault::Timeout),
            ("servfail", []) => Outcome::Fault(Fault::ServFail),
            ("refused", []) => Outcome::Fault(Fault::Refused),
            ("truncated", []) => Outcome::Fault(Fault::Truncated),
            ("cname-loop", []) => Outcome::Fault(Fault::CnameLoop),
            ("other", [what]) => Outcome::Fault(Fault::Other(String::from_utf8_lossy(&unescaped(what)?).into_owned())),
            _ => return Err(format!("{} is no outcome", quote(outcome))),
        };
        Ok(Stated { name: self.name(name)?, kind, outcome })
    }

    fn directive(&mut self, directive: &Word, rest: &[Word]) -> Result<(), String> {
        let name = show(directive).to_ascii_uppercase();
        let [value] = rest else {
            return Err(match name.as_str() {
                "$ORIGIN" | "$TTL" => format!("{name} needs one value, but has {}", rest.len()),
                _ => unknown_directive(&name),
            });
        };
        match name.as_str() {
            "$ORIGIN" => self.origin = Some(self.name(value)?),
            "$TTL" => self.default_ttl = Some(ttl(value).ok_or_else(|| format!("{} is no TTL", quote(value)))?),
            _ => return Err(unknown_directive(&name)),
        }
        Ok(())
    }

    /// `[TTL] [class] type RDATA`, TTL and class in either order.
    fn record(&mut self, owner: Labels, words: &[Word]) -> Result<Entry, String> {
        let mut words = words.iter();
        let (mut stated, mut class) = (None, false);
        let kind = loop {
            let word = words.next().ok_or("a record without a type")?;
            if let (None, Some(ttl)) = (stated, ttl(word)) {
                stated = Some(ttl);
            } else if !class && ["IN", "CLASS1"].iter().any(|name| word.raw.eq_ignore_ascii_case(name.as_bytes())) {
                class = true;
            } else if ["CH", "HS", "CS"].iter().any(|other| word.raw.eq_ignore_ascii_case(other.as_bytes())) {
                return Err(format!("class {} is not of the Internet", show(word)));
            } else {
                break Kind::read(word)?;
            }
        };
        self.last_ttl = stated.or(self.last_ttl);
        // RFC 2308 §4 prefers $TTL to the last TTL stated (RFC 1035 §5.1); an hour is what servers assume without both.
        let ttl = stated.or(self.default_ttl).or(self.last_ttl).unwrap_or(3600).min(i32::MAX as u32);
        if let Kind::Known(RecordType::Soa) = kind {
            self.apex = Some(owner.clone());
        }
        let (data, target) = self.rdata(kind, words.as_slice())?;
        Ok(Entry { owner, ttl, data, target })
    }

    /// The data, and where a CNAME leads.
    #[allow(clippy::type_complexity)]
    fn rdata(&self, kind: Kind, words: &[Word]) -> Result<(Option<(RecordType, Data)>, Option<Labels>), String> {
        let Kind::Known(kind) = kind else { return Ok((None, None)) };
        if let Some((Word { raw: b"\\#", quoted: false }, generic)) = words.split_first() {
            let (data, target) = super::generic::read(kind, &generic_octets(generic)?)?;
            return Ok((Some((kind, data)), target));
        }
        let data = match (kind, words) {
            (RecordType::A, [ip]) => Data::A(parse::<Ipv4Addr>(ip, "IPv4 address")?),
            (RecordType::Aaaa, [ip]) => Data::Aaaa(parse::<Ipv6Addr>(ip, "IPv6 address")?),
            (RecordType::Cname, [name]) => {
                let target = self.name(name)?;
                return Ok((Some((kind, Data::Cname(target.text()))), Some(target)));
            }
            (RecordType::Ns, [name]) => Data::Ns(self.name(name)?.text()),
            (RecordType::Ptr, [name]) => Data::Ptr(self.name(name)?.text()),
            (RecordType::Mx, [preference, name]) => {
                Data::Mx { preference: parse(preference, "preference")?, exchange: self.name(name)?.text() }
            }
            (RecordType::Soa, [mname, rname, serial, times @ ..]) if times.len() == 4 => {
                self.name(rname)?;
                let mut minimum = 0;
                for time in times {
                    minimum = ttl(time).ok_or_else(|| format!("{} is no time", quote(time)))?;
                }
                Data::Soa { mname: self.name(mname)?.text(), serial: parse(serial, "serial number")?, minimum }
            }
            (RecordType::Txt | RecordType::Spf, [_, ..]) => Data::Txt(strings(words)?),
            (kind, words) => return Err(format!("a record of type {kind} cannot hold {} values", words.len())),
        };
        Ok((Some((kind, data)), None))
    }

    /// A name, completed by the origin unless it ends with a dot.
    fn name(&self, word: &Word) -> Result<Labels, String> {
        let wrong = |what: String| format!("{} is no name: {what}", quote(word));
        let origin = || {
            self.origin.as_ref().or(self.apex.as_ref()).ok_or_else(|| {
                format!(
                    "{} is relative, but no $ORIGIN is before it: state one, or end the name with a dot",
                    quote(word)
                )
            })
        };
        match word.raw {
            b"@" if !word.quoted => return origin().cloned(),
            b"." => return Ok(Labels::default()),
            _ => {}
        }
        let (mut name, mut label) = (Labels::default(), Vec::new());
        let mut octets = Unescaped(word.raw);
        while let Some(octet) = octets.next() {
            match octet.map_err(wrong)? {
                (b'.', false) => {
                    name.push(&label).map_err(wrong)?;
                    label.clear();
                    if octets.0.is_empty() {
                        return Ok(name);
                    }
                }
                (octet, _) => label.push(octet),
            }
        }
        name.push(&label).map_err(wrong)?;
        name.append(origin()?).map_err(wrong)?;
        Ok(name)
    }
}

fn unknown_directive(name: &str) -> String {
    match name {
        "$INCLUDE" => "$INCLUDE is not followed: name the other file as a file of its own".to_owned(),
        name => format!("the directive {name:?} is not known here"),
    }
}

enum Kind {
    Known(RecordType),
    Other,
}

/// Types that exist but that mail authentication does not ask for (IANA's registry).
const OTHER_TYPES: &str = "MD MF MB MG MR NULL WKS HINFO MINFO RP AFSDB X25 ISDN RT NSAP NSAP-PTR SIG KEY PX GPOS LOC \
    NXT EID NIMLOC SRV ATMA NAPTR KX CERT A6 DNAME SINK OPT APL DS SSHFP IPSECKEY RRSIG NSEC DNSKEY DHCID NSEC3 \
    NSEC3PARAM TLSA SMIMEA HIP NINFO RKEY TALINK CDS CDNSKEY OPENPGPKEY CSYNC ZONEMD SVCB HTTPS DSYNC HHIT BRID UINFO \
    UID GID UNSPEC NID L32 L64 LP EUI48 EUI64 NXNAME TKEY TSIG URI CAA AVC DOA AMTRELAY RESINFO WALLET CLA IPN TA DLV";

impl Kind {
    fn read(word: &Word) -> Result<Kind, String> {
        let name = show(word).to_ascii_uppercase();
        if let Some(number) = name.strip_prefix("TYPE").and_then(|number| number.parse::<u16>().ok()) {
            return Ok(super::generic::kind(number).map_or(Kind::Other, Kind::Known));
        }
        match RecordType::ALL.iter().find(|kind| kind.to_string() == name) {
            Some(kind) => Ok(Kind::Known(*kind)),
            None if OTHER_TYPES.split(' ').any(|other| other == name) => Ok(Kind::Other),
            None => Err(format!("{} is no record type", quote(word))),
        }
    }
}

/// A TTL in seconds, or with units as BIND and NSD read them (`1h30m`).
fn ttl(word: &Word) -> Option<u32> {
    let (mut total, mut number) = (0_u32, None::<u32>);
    for octet in word.raw {
        let unit = match octet.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => {
                number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u32::from(digit - b'0'))?);
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    match (word.raw, number) {
        ([], _) => None,
        (_, Some(seconds)) => total.checked_add(seconds),
        (_, None) => Some(total),
    }
}

fn parse<T: std::str::FromStr>(word: &Word, what: &str) -> Result<T, String> {
    show(word).parse().map_err(|_| format!("{} is no {what}", quote(word)))
}

/// Each token is one character-string.
fn strings(words: &[Word]) -> Result<Vec<Box<[u8]>>, String> {
    let mut strings = Vec::with_capacity(words.len());
    let mut total = 0;
    for word in words {
        let string = unescaped(word)?;
        if string.len() > 255 {
            let length = string.len();
            return Err(format!("a character-string of {length} octets, more than 255 (RFC 1035 §3.3): split it"));
        }
        total += 1 + string.len();
        strings.push(string.into_boxed_slice());
    }
    if total > 65_535 { Err(format!("a record of {total} octets, more than 65535")) } else { Ok(strings) }
}

fn unescaped(word: &Word) -> Result<Vec<u8>, String> {
    Unescaped(word.raw).map(|octet| Ok(octet?.0)).collect()
}

/// `\# LENGTH HEX...` (RFC 3597 §5), after the `\#`.
fn generic_octets(words: &[Word]) -> Result<Vec<u8>, String> {
    let [length, hex @ ..] = words else { return Err("\\# without a length".into()) };
    let length: u16 = parse(length, "length")?;
    let digits = hex
        .iter()
        .flat_map(|word| word.raw)
        .map(|octet| char::from(*octet).to_digit(16).map(|digit| digit as u8))
        .collect::<Option<Vec<u8>>>()
        .ok_or("data after \\# that is not hexadecimal")?;
    if digits.len() != 2 * usize::from(length) {
        return Err(format!("\\# announces {length} octets, but {} hexadecimal digits follow", digits.len()));
    }
    Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// The octets of a token; beside each one, whether it was escaped.
struct Unescaped<'a>(&'a [u8]);

impl Iterator for Unescaped<'_> {
    type Item = Result<(u8, bool), String>;

    fn next(&mut self) -> Option<Self::Item> {
        match *self.0 {
            [] => None,
            [b'\\', a @ b'0'..=b'9', ref rest @ ..] => Some(match *rest {
                [b @ b'0'..=b'9', c @ b'0'..=b'9', ref after @ ..] => {
                    self.0 = after;
                    let value = [a, b, c].iter().fold(0_u16, |value, digit| value * 10 + u16::from(digit - b'0'));
                    u8::try_from(value).map(|octet| (octet, true)).map_err(|_| format!("\\{value} is no octet"))
                }
                _ => {
                    self.0 = &[];
                    Err("a backslash before a digit needs three digits".into())
                }
            }),
            [b'\\', octet, ref rest @ ..] => {
                self.0 = rest;
                Some(Ok((octet, true)))
            }
            [b'\\'] => {
                self.0 = &[];
                Some(Err("a backslash at the end of a line".into()))
            }
            [octet, ref rest @ ..] => {
                self.0 = rest;
                Some(Ok((octet, false)))
            }
        }
    }
}

fn show(word: &Word) -> String {
    String::from_utf8_lossy(word.raw).into_owned()
}

/// A token for a mistake: quoted, and cut where it gets long.
fn quote(word: &Word) -> String {
    let text = show(word);
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
