//! Our DKIM verdicts against dkimpy's, on signed messages that something befell.
//!
//! Both see the same octets and the same key records. A disagreement must have a reason, told from our reason or from
//! the input, and each reason names the words of the RFC that decide it; what has none is unexplained.

use super::{
    forge::Zone,
    mail::Random,
    mutate::{self, DOMAIN},
    verifiers::{self, Judge},
};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::SystemTime,
};
use waxseal::{
    dkim::{Canon, record::KeyFault, signature::Problem, tag::TagProblemKind},
    dns::{Answer, Dns, RecordType, zone},
    message::Message,
    verify::{
        Word,
        dkim::{DkimResult, Reason, Verifier},
    },
};

/// Signing is dear: each signed message befalls something so many times.
const MISHAPS: usize = 8;

/// How a comparison ended.
#[derive(Debug, Default)]
pub struct Report {
    pub messages: usize,
    /// Signatures compared.
    pub compared: usize,
    /// Both pass.
    pub passed: usize,
    /// Disagreements, by the words that decide them: how often we pass, and how often dkimpy does.
    pub explained: BTreeMap<&'static str, (usize, usize)>,
    pub unexplained: Vec<String>,
}

/// Compares the verdicts on `count` messages.
pub fn compare(seed: u64, count: usize) -> Report {
    let mut random = Random::new(seed);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let selectors = mutate::selectors();
    let name = |selector: &mutate::Selector| format!("{}._domainkey.{DOMAIN}", selector.name);
    let records: Vec<(String, String)> =
        selectors.iter().map(|selector| (name(selector), selector.record.clone())).collect();
    let zone = records.iter().fold(Zone::default(), |zone, (name, text)| zone.txt(name, text));
    let ours = Ours {
        dns: zone::parse(zone.text(), "records").expect("a good zone"),
        runtime: tokio::runtime::Builder::new_current_thread().build().expect("a runtime"),
        now,
    };
    let mut dkimpy = Judge::start(verifiers::Verifier::Dkimpy, &records);
    let mut report = Report::default();
    let mut base = Vec::new();
    for number in 0..count {
        if number % MISHAPS == 0 {
            base = mutate::signed(&mut random, &selectors, now);
        }
        let mut mail = base.clone();
        for _ in 0..[0, 1, 1, 1, 2, 3][random.below(6)] {
            mail = mutate::mishap(&mut random, &mail);
        }
        report.add(&mail, &ours.judge(&mail), &dkimpy.judge(&mail));
    }
    report
}

struct Ours {
    dns: Dns,
    runtime: tokio::runtime::Runtime,
    now: u64,
}

impl Ours {
    fn judge(&self, mail: &[u8]) -> Vec<DkimResult> {
        let message = Message::new(mail);
        let mut verifier = Verifier::new(&message.header, &[], self.now);
        verifier.body(message.body);
        let asked = verifier.questions().into_iter().map(|name| {
            let answer = self.runtime.block_on(self.dns.query(&name, RecordType::Txt));
            (name, answer)
        });
        let answers: HashMap<String, Arc<Answer>> = asked.collect();
        verifier.finish(&message.header, &answers)
    }
}

impl Report {
    fn add(&mut self, mail: &[u8], ours: &[DkimResult], theirs: &[verifiers::Verdict]) {
        self.messages += 1;
        // An answer without a domain is for the whole message: dkimpy could not read it.
        let unread = theirs.iter().find(|verdict| verdict.result == "error");
        for (at, result) in ours.iter().enumerate() {
            let verdict = unread.or(theirs.get(at));
            let (passed, why) = verdict.map_or((false, "no such signature"), |one| (one.passed(), &one.reason));
            self.compared += 1;
            match (result.result == Word::Pass, passed) {
                (true, true) => self.passed += 1,
                (false, false) => {}
                (we, _) => match explain(mail, result, why) {
                    Some(words) => {
                        let (ours, theirs) = self.explained.entry(words).or_default();
                        *if we { ours } else { theirs } += 1;
                    }
                    None => self.unexplained.push(format!(
                        "ours: {} ({}), dkimpy: {} ({why})\n\"{}\"",
                        result.result,
                        result.reason.as_ref().map(ToString::to_string).unwrap_or_default(),
                        if passed { "pass" } else { "fail" },
                        mail.escape_ascii()
                    )),
                },
            }
        }
        if ours.is_empty() && theirs.iter().any(verifiers::Verdict::passed) {
            match octets(mail) {
                Some(words) => self.explained.entry(words).or_default().1 += 1,
                None => self.unexplained.push(format!("dkimpy finds a signature\n\"{}\"", mail.escape_ascii())),
            }
        }
    }
}

/// The words of the RFC that decide a disagreement.
fn explain(mail: &[u8], ours: &DkimResult, theirs: &str) -> Option<&'static str> {
    match &ours.reason {
        None => lenient(mail, ours, theirs),
        Some(reason) => strict(reason).or_else(|| octets(mail)),
    }
}

/// We refuse, dkimpy passes.
fn strict(reason: &Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::Sha1 => "RFC 8301 3.1: rsa-sha1 must not be used",
        Reason::LengthShorterThanBody { .. } => "RFC 6376 8.2: what l= does not cover could be anything",
        Reason::LengthBeyondBody { .. } => "RFC 6376 3.5, l=: must not be more than the body has",
        Reason::Expired { .. } => "RFC 6376 3.5, x=: dkimpy adds ten hours",
        Reason::FromFuture { .. } => "RFC 6376 3.5, t=: dkimpy allows ten hours",
        Reason::KeyTypeMismatch => "RFC 6376 6.1.2: the type of the key must be that of the algorithm",
        Reason::HashNotAllowed => "RFC 6376 3.6.1, h=: the record does not allow the hash",
        Reason::SubdomainForbidden => "RFC 6376 3.6.1, t=s: i= must have the domain of d=",
        Reason::NotForMail => "RFC 6376 3.6.1, s=: the record is not for mail",
        Reason::KeyRecord(KeyFault::Tags(problem)) => tags(&problem.kind),
        Reason::KeyRecord(KeyFault::Version(_)) => "RFC 6376 3.6.1, v=: must be DKIM1 and the first tag",
        Reason::KeyRecord(KeyFault::Base64) => "RFC 6376 2.10: p= is no base64",
        Reason::KeyRecord(KeyFault::Der(_)) => "RFC 6376 3.6.1, p=: no key and nothing else",
        Reason::Syntax(Problem::FromNotSigned) => "RFC 6376 5.4: From must be signed",
        Reason::Syntax(Problem::Tags(problem)) => tags(&problem.kind),
        Reason::Syntax(Problem::Name(..)) => "RFC 6376 3.5, d= and s=: no domain name",
        Reason::Syntax(Problem::Identity(_) | Problem::IdentityOutsideDomain) => {
            "RFC 6376 3.5, i=: an address within d="
        }
        Reason::Syntax(Problem::Fields(_)) => "RFC 6376 3.5, h=: names of fields between colons",
        Reason::Syntax(Problem::Number(..)) => "RFC 6376 3.5, t= and x=: at most 12 digits",
        Reason::Syntax(Problem::ExpiresBeforeSigned) => "RFC 6376 3.5, x=: must be greater than t=",
        Reason::Syntax(Problem::Base64(_)) => "RFC 6376 2.10: no base64",
        _ => return None,
    })
}

fn tags(kind: &TagProblemKind) -> &'static str {
    match kind {
        TagProblemKind::NoEquals => "RFC 6376 3.2: a tag has an equals sign",
        TagProblemKind::BadName(_) => "RFC 6376 3.2: a name of a tag holds letters, digits and underscores",
        TagProblemKind::Duplicate(_) => "RFC 6376 3.2: no tag stands twice",
        TagProblemKind::BadCharacter(_) => "RFC 6376 3.2: no control character stands in a value",
        TagProblemKind::NotUtf8 => "RFC 6376 3.2, RFC 8616: a value is ASCII or UTF-8",
    }
}

/// We pass, dkimpy refuses.
fn lenient(mail: &[u8], ours: &DkimResult, theirs: &str) -> Option<&'static str> {
    let froms = fields(mail).filter(|name| name.eq_ignore_ascii_case(b"from")).count();
    Some(match theirs {
        _ if theirs.contains("q= value") => "RFC 6376 3.5, q=: a list, of which one method must be known",
        _ if theirs.contains("UnknownKeyTypeError: None") => {
            "RFC 6376 3.6.1, s=: a list, of which one service must be mail"
        }
        // A continuation of no field ends dkimpy with an IndexError.
        _ if theirs.contains("Unexpected characters in RFC822 header") || theirs.contains("IndexError") => {
            "RFC 6376 3.7: a line that is no field is no part of what was signed"
        }
        _ if theirs.contains("d= subdomain") || theirs.contains("i= domain") => "RFC 6376 2.11: i= is quoted-printable",
        _ if theirs.contains("body hash mismatch")
            && relaxed(ours)
            && (mail.ends_with(b" ") || mail.ends_with(b"\t")) =>
        {
            "RFC 6376 3.4.4: blanks at the end of a line, here of the last, are ignored"
        }
        _ if froms > 1 => "RFC 6376 5.4.2: h= says how many From fields are signed",
        _ => return octets(mail),
    })
}

fn relaxed(ours: &DkimResult) -> bool {
    matches!(ours.signature.canonicalization, Some((_, Canon::Relaxed)))
}

/// Octets that both read as they like.
fn octets(mail: &[u8]) -> Option<&'static str> {
    let bare = mail.iter().enumerate().any(|(at, &byte)| match byte {
        b'\r' => mail.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || mail[at - 1] != b'\r',
        _ => false,
    });
    if bare {
        return Some("RFC 6376 3.4: only CRLF ends a line; dkimpy takes LF too");
    }
    if mail.iter().any(|byte| b"\x0b\x0c".contains(byte)) {
        return Some("RFC 6376 2.8: only SP and HTAB are white space");
    }
    if fields(mail).any(|name| name.ends_with(b" ") || name.ends_with(b"\t")) {
        return Some("RFC 5322 4.5: blanks may stand before the colon; dkimpy reads no such field");
    }
    None
}

/// The names of the fields, up to their colons.
fn fields(mail: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = mail.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(mail.len());
    mail[..end].split(|&byte| byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        (!line.starts_with(b" ") && !line.starts_with(b"\t")).then_some(&line[..colon])
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { messages, compared, passed, explained, unexplained } = self;
        let disagreements: usize = explained.values().map(|(ours, theirs)| ours + theirs).sum();
        writeln!(f, "{messages} messages, {compared} signatures: {passed} pass for both")?;
        writeln!(f, "{disagreements} disagreements explained, {} unexplained", unexplained.len())?;
        writeln!(f, "  we pass  dkimpy passes")?;
        for (words, (ours, theirs)) in explained {
            writeln!(f, "  {ours:7}  {theirs:7}        {words}")?;
        }
        for one in unexplained.iter().take(20) {
            writeln!(f, "unexplained: {one}")?;
        }
        Ok(())
    }
}
