//! SPF (RFC 7208): may this client send for this domain?
//!
//! [`check`] judges MAIL FROM, or the HELO name where the sender is null; [`check_helo`] always the HELO name. The
//! outcome keeps what the diagnosis needs: every record visited as received, the term that decided, what was counted.
//! Nothing here fails with an error: DNS faults are `temperror`, a wrong record is `permerror`, no record is `none`.
//! How long it may take is up to the [`Dns`] given. `§` here means RFC 7208.

mod evaluate;
mod expand;
pub mod field;
mod identity;
#[cfg(test)]
mod tests;

use crate::{
    dns::{Answer, Data, Dns, Fault, Outcome as Answered, Pending, RecordType, Source},
    name::DomainName,
    spf::{Problem, Record},
};
use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

pub use identity::NoDomain;

/// Who sends, and who asks. Nothing in it is trusted but `client_ip`, `receiver` and `now`.
#[derive(Clone, Debug)]
pub struct Query {
    /// The address of the SMTP client; an IPv4-mapped IPv6 address is IPv4 (§5).
    pub client_ip: IpAddr,
    /// The HELO name as received.
    pub helo: Vec<u8>,
    /// MAIL FROM as received, with or without angle brackets; empty or `<>` is the null sender.
    pub mail_from: Vec<u8>,
    /// The host that checks, for %{r}.
    pub receiver: String,
    /// Seconds since 1970, for %{t}.
    pub now: u64,
}

/// The limits of §4.6.4, and one of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Terms that need DNS, in all records together; 10.
    pub terms: usize,
    /// Terms that find nothing in DNS; 2.
    pub voids: usize,
    /// MX records of one `mx`, and PTR records of the client that are looked at; 10.
    pub names: usize,
    /// DNS questions of one check; 128, more than the other limits can lead to.
    pub questions: usize,
}

/// The result, in the words of RFC 8601 §2.7.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpfResult {
    /// There is no domain or no record.
    None,
    /// The domain says nothing about this client.
    Neutral,
    /// The client may send for the domain.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    SoftFail,
    /// DNS gave no answer.
    TempError,
    /// The record, or one that it leads to, is wrong.
    PermError,
}

/// Which identity was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The domain of MAIL FROM.
    MailFrom,
    /// The HELO name.
    Helo,
}

/// What came out, and how.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The result.
    pub result: SpfResult,
    /// Which identity was judged.
    pub scope: Scope,
    /// The domain judged; `None` where there is none.
    pub domain: Option<DomainName>,
    /// The client's address, IPv4 if it was IPv4-mapped.
    pub client_ip: IpAddr,
    /// Why.
    pub reason: Reason,
    /// The term that decided, by its way from the first record: each but the last is an `include`. Empty where no term
    /// did. A term that led to an error counts as deciding.
    pub path: Vec<Place>,
    /// What the domain says to those it fails (§6.2): visible ASCII and blanks, at most 1,024 octets, written by the
    /// domain's owner and not to be trusted.
    pub explanation: Option<String>,
    /// The records visited, in order; the first is the domain's own.
    pub visits: Vec<Visit>,
    /// How many terms needed DNS.
    pub terms: usize,
    /// How many terms found nothing in DNS.
    pub voids: usize,
    /// Every question asked, and what came back.
    pub answers: Vec<Arc<Answer>>,
}

/// One record on the way.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Whose record.
    pub domain: String,
    /// How many `include`s deep.
    pub depth: usize,
    /// The term that led here; `None` for the first.
    pub via: Option<Place>,
    /// The answer to the question for TXT records.
    pub answer: Arc<Answer>,
    /// The record, if there was exactly one.
    pub record: Option<Arc<Record>>,
    /// What is wrong in it.
    pub problems: Vec<Problem>,
}

/// A term of a record visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which of [`Outcome::visits`].
    pub visit: usize,
    /// Which of the terms of its record.
    pub term: usize,
}

/// Why the result is what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// This term of the domain's record (or of the one it redirects to) matched.
    Matched(String),
    /// No term matched.
    NoMatch,
    /// There is no domain to judge.
    NoDomain(Scope, NoDomain),
    /// The domain has no SPF record.
    NoRecord {
        /// Whose.
        domain: String,
    },
    /// The domain has several SPF records.
    SeveralRecords {
        /// Whose.
        domain: String,
        /// How many.
        count: usize,
    },
    /// A record breaks the grammar.
    Syntax {
        /// Whose record.
        domain: String,
        /// The first problem in it.
        problem: Problem,
    },
    /// `include` or `redirect=` leads to a domain without SPF record.
    TargetWithoutRecord {
        /// The term.
        term: String,
        /// The domain.
        domain: String,
    },
    /// `include` or `redirect=` leads to what is no domain name.
    TargetMalformed {
        /// The term.
        term: String,
    },
    /// More terms that need DNS than the limit.
    TooManyTerms(usize),
    /// More terms that find nothing in DNS than the limit.
    TooManyVoids(usize),
    /// More MX records than the limit.
    TooManyExchangers {
        /// Whose.
        domain: String,
        /// The limit.
        limit: usize,
    },
    /// More DNS questions than the limit.
    TooManyQuestions(usize),
    /// DNS gave no usable answer.
    Fault {
        /// The name asked for.
        name: String,
        /// The type asked for.
        kind: RecordType,
        /// What happened.
        fault: Fault,
    },
}

/// Judges MAIL FROM; where it is the null sender, the HELO name with `postmaster` as local part (§2.4).
pub async fn check(dns: &Dns, query: &Query, limits: Limits) -> Outcome {
    let scope = if identity::is_null(&query.mail_from) { Scope::Helo } else { Scope::MailFrom };
    judge(dns, query, scope, limits).await
}

/// Judges the HELO name (§2.3).
pub async fn check_helo(dns: &Dns, query: &Query, limits: Limits) -> Outcome {
    judge(dns, query, Scope::Helo, limits).await
}

async fn judge(dns: &Dns, query: &Query, scope: Scope, limits: Limits) -> Outcome {
    match identity::identity(query, scope) {
        Ok(identity) => evaluate::Check::new(dns, query, identity, limits).run(scope).await,
        Err(why) => Outcome {
            result: SpfResult::None,
            scope,
            domain: None,
            client_ip: query.client_ip.to_canonical(),
            reason: Reason::NoDomain(scope, why),
            path: Vec::new(),
            explanation: None,
            visits: Vec::new(),
            terms: 0,
            voids: 0,
            answers: Vec::new(),
        },
    }
}

/// The same DNS, but with this as the only TXT record of a domain: what would the result be if it were published?
pub fn with_record(dns: &Dns, domain: &str, record: &[u8]) -> Dns {
    let name = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
    let strings = record.chunks(255).map(Box::from).collect();
    let answer = Answer {
        name: name.clone(),
        kind: RecordType::Txt,
        outcome: Answered::Records,
        records: vec![crate::dns::Record { name: name.clone(), ttl: 0, data: Data::Txt(strings) }],
        repeated: Vec::new(),
        negative: None,
        server: None,
        authoritative: false,
        authenticated: false,
        took: Duration::ZERO,
    };
    Dns::new(Replaced { dns: dns.clone(), name, answer: Arc::new(answer) })
}

struct Replaced {
    dns: Dns,
    name: String,
    answer: Arc<Answer>,
}

impl Source for Replaced {
    fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        if kind == RecordType::Txt && name.eq_ignore_ascii_case(&self.name) {
            return Box::pin(std::future::ready(Arc::clone(&self.answer)));
        }
        Box::pin(self.dns.query(name, kind))
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { terms: 10, voids: 2, names: 10, questions: 128 }
    }
}

impl SpfResult {
    /// The word of RFC 8601.
    pub fn as_str(self) -> &'static str {
        match self {
            SpfResult::None => "none",
            SpfResult::Neutral => "neutral",
            SpfResult::Pass => "pass",
            SpfResult::Fail => "fail",
            SpfResult::SoftFail => "softfail",
            SpfResult::TempError => "temperror",
            SpfResult::PermError => "permerror",
        }
    }
}

impl Scope {
    /// The word for reports: `mfrom` or `helo`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::MailFrom => "mfrom",
            Scope::Helo => "helo",
        }
    }
}

impl fmt::Display for SpfResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Matched(term) => write!(f, "matched {term}"),
            Reason::NoMatch => write!(f, "no term matched"),
            Reason::NoDomain(Scope::MailFrom, why) => write!(f, "no domain in MAIL FROM: {why}"),
            Reason::NoDomain(Scope::Helo, why) => write!(f, "no domain in HELO: {why}"),
            Reason::NoRecord { domain } => write!(f, "{domain} has no SPF record"),
            Reason::SeveralRecords { domain, count } => write!(f, "{domain} has {count} SPF records"),
            Reason::Syntax { domain, problem } => write!(f, "the SPF record of {domain} has an error: {problem}"),
            Reason::TargetWithoutRecord { term, domain } => {
                write!(f, "{term} leads to {domain}, which has no SPF record")
            }
            Reason::TargetMalformed { term } => write!(f, "{term} leads to what is no domain name"),
            Reason::TooManyTerms(limit) => write!(f, "more than {limit} terms that need DNS"),
            Reason::TooManyVoids(limit) => write!(f, "more than {limit} terms that find nothing in DNS"),
            Reason::TooManyExchangers { domain, limit } => write!(f, "{domain} has more than {limit} MX records"),
            Reason::TooManyQuestions(limit) => write!(f, "more than {limit} DNS questions"),
            Reason::Fault { name, kind, fault } => write!(f, "{name} {kind}: {fault}"),
        }
    }
}
