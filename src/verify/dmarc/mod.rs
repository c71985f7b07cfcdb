//! DMARC (RFC 9989): is the domain in From authenticated, and what does its owner ask for if not?
//!
//! [`discover`] asks DNS as soon as From is known, while the body still arrives; [`Discovery::judge`] compares with what
//! DKIM and SPF found. Section numbers are those of RFC 9989.
//! A From field that does not name exactly one domain is `permerror`, without a question to DNS: such mail must never
//! pass, and silence about it would hide an attack (§11.5). DNS without an answer is `temperror`, never a verdict (§5.3.6).
//! Nothing here judges signatures or SPF, and nothing fails: every message has a [`Verdict`].

mod record;
mod tree;

pub use record::{Alignment, Policy, Problem, PublicSuffix, Record, Standing};

use crate::{
    address::AuthorError,
    authres::MethodResult,
    dns::{Answer, Dns, Outcome, RecordType},
    name::DomainName,
};
use std::{fmt, sync::Arc};
use tree::{Stop, Tree, Walk};

/// Questions for the organizational domains of what DKIM and SPF authenticated, over those for the author's domain
/// (8, §4.10, and 1 for np=). One or two is usual; with ten signatures an owner of the domain could ask for 80.
const IDENTIFIER_QUESTIONS: usize = 16;

/// The result, in the words of RFC 8601 (§9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum DmarcResult {
    Pass,
    Fail,
    /// No record applies.
    None,
    TempError,
    PermError,
}

/// What DKIM or SPF said about one domain, as far as DMARC needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Authenticated {
    /// It passed.
    Yes,
    /// DNS gave no answer: it might have passed.
    Unknown,
    /// Anything else.
    No,
}

/// The identity that SPF judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpfIdentity {
    /// The domain of MAIL FROM.
    MailFrom,
    /// The HELO name in place of a null sender, which counts as MAIL FROM (§3.2.4, RFC 7208 §2.4).
    NullSender,
    /// The HELO name beside another sender: never counts (§4.4.2).
    Helo,
}

/// Which tag the policy came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum PolicyTag {
    P,
    Sp,
    Np,
}

/// The record that applies to a message.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Where it was found: the author's domain, its organizational domain or its public suffix.
    pub domain: DomainName,
    /// The record.
    pub record: Arc<Record>,
    /// What it asks for, for this author's domain, with `t=y` taken into account.
    pub policy: Policy,
    /// The tag that says so; sp= and np= fall back to the next.
    pub tag: PolicyTag,
    /// Does the author's domain exist? `None` where it made no difference or DNS did not say.
    pub author_exists: Option<bool>,
}

/// What came out, and why.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The result.
    pub result: DmarcResult,
    /// The author's domain, if From names exactly one.
    pub author: Option<DomainName>,
    /// Its organizational domain, if DNS said (§4.10.2).
    pub organizational: Option<DomainName>,
    /// The record that applies, if any.
    pub applied: Option<Applied>,
    /// Did a passing signature align? Known even where no record applies.
    pub dkim_aligned: bool,
    /// Did a passing SPF check align?
    pub spf_aligned: bool,
    /// Why: one clause, for people.
    pub reason: String,
    /// Names that had several records, all discarded (§4.10), and how many.
    pub several: Vec<(DomainName, usize)>,
    /// Every question that was asked, in order.
    pub answers: Vec<Arc<Answer>>,
}

/// What is known of the author's domain before DKIM and SPF are done.
pub struct Discovery {
    author: Result<Author, AuthorError>,
    tree: Tree,
}

struct Author {
    domain: DomainName,
    walk: Walk,
    applied: Option<Applied>,
}

/// Discovers the policy for a From domain (§4.10.1), as [`author_domain`](crate::address::author_domain) read it.
pub async fn discover(dns: &Dns, author: Result<DomainName, AuthorError>) -> Discovery {
    let mut tree = Tree::default();
    let author = match author {
        Err(error) => Err(error),
        Ok(domain) => {
            let walk = tree.walk(dns, &domain, None).await;
            let applied = choose(dns, &mut tree, &domain, &walk).await;
            Ok(Author { domain, walk, applied })
        }
    };
    Discovery { author, tree }
}

/// [`discover`] and [`Discovery::judge`] in one.
pub async fn verify(
    dns: &Dns,
    author: Result<DomainName, AuthorError>,
    dkim: &[(Authenticated, &DomainName)],
    spf: Option<(Authenticated, &DomainName, SpfIdentity)>,
) -> Verdict {
    discover(dns, author).await.judge(dns, dkim, spf).await
}

/// Does an authenticated domain align?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aligned {
    Yes,
    No,
    /// DNS did not say.
    Unknown,
}

/// Whether anything of one method aligned.
#[derive(Default)]
struct Method<'a> {
    aligned: Option<&'a DomainName>,
    /// An aligned identity that might have passed, or a passing one that might be aligned.
    open: Option<&'a DomainName>,
    stranger: Option<&'a DomainName>,
}

/// Which record applies: the author's own, else its organizational domain's, else its public suffix's (§4.10.1).
async fn choose(dns: &Dns, tree: &mut Tree, author: &DomainName, walk: &Walk) -> Option<Applied> {
    let (domain, record) = match (walk.record_of(author), &walk.organizational) {
        (Some(record), _) => (author.clone(), record),
        (None, Err(_)) => return None,
        (None, Ok(organizational)) => match walk.record_of(organizational) {
            Some(record) => (organizational.clone(), record),
            // An organizational domain without a record is known from the public suffix above it.
            None => walk.found.last().cloned()?,
        },
    };
    let is_own = domain == *author;
    let general = (record.policy.unwrap_or(Policy::None), PolicyTag::P);
    let existing = match record.subdomain_policy {
        Some(policy) if !is_own => (policy, PolicyTag::Sp),
        _ => general,
    };
    let missing = match record.nonexistent_policy {
        Some(policy) if !is_own => (policy, PolicyTag::Np),
        _ => existing,
    };
    let author_exists = if missing.0 == existing.0 { None } else { exists(dns, tree, author).await };
    let (policy, tag) = match author_exists {
        Some(true) => existing,
        Some(false) => missing,
        // DNS did not say, or it makes no difference: the milder one, so that a fault of DNS never costs a message.
        None if missing.0 < existing.0 => missing,
        None => existing,
    };
    let policy = match record.standing() {
        Standing::Good if record.testing => policy.milder(),
        Standing::Good => policy,
        Standing::AsNone | Standing::Unusable => Policy::None,
    };
    Some(Applied { domain, record, policy, tag, author_exists })
}

impl Discovery {
    /// Compares the author's domain with what passed (§4.10.2, §5.3.5). One aligned pass is enough.
    ///
    /// `dkim` holds one entry per signature that has a domain, `spf` the check of one identity.
    pub async fn judge(
        self,
        dns: &Dns,
        dkim: &[(Authenticated, &DomainName)],
        spf: Option<(Authenticated, &DomainName, SpfIdentity)>,
    ) -> Verdict {
        let Discovery { author, mut tree } = self;
        let author = match author {
            Ok(author) => author,
            Err(error) => return Verdict::permerror(error.to_string()),
        };
        let modes = match &author.applied {
            Some(applied) => (applied.record.dkim_alignment, applied.record.spf_alignment),
            None => (Alignment::Relaxed, Alignment::Relaxed),
        };
        let spf =
            spf.filter(|(_, _, identity)| *identity != SpfIdentity::Helo).map(|(state, domain, _)| (state, domain));
        let dkim = author.method(dns, &mut tree, modes.0, dkim).await;
        let spf = author.method(dns, &mut tree, modes.1, spf.as_slice()).await;
        let (result, reason) = author.result(&tree, &dkim, &spf);
        Verdict {
            result,
            author: Some(author.domain),
            organizational: author.walk.organizational.ok(),
            applied: author.applied,
            dkim_aligned: dkim.aligned.is_some(),
            spf_aligned: spf.aligned.is_some(),
            reason,
            several: tree.several,
            answers: tree.answers,
        }
    }
}

impl Author {
    /// Looks for an aligned pass among the identities of one method: the author's own domain first, so that the others
    /// cost no questions; those that passed before those that might have.
    async fn method<'a>(
        &self,
        dns: &Dns,
        tree: &mut Tree,
        mode: Alignment,
        identities: &[(Authenticated, &'a DomainName)],
    ) -> Method<'a> {
        let mut order: Vec<_> = identities.iter().filter(|(state, _)| *state != Authenticated::No).collect();
        order.sort_by_key(|(state, domain)| (*state != Authenticated::Yes, **domain != self.domain));
        let mut method = Method::default();
        for &&(state, domain) in &order {
            match (self.aligned(dns, tree, mode, domain).await, state) {
                (Aligned::Yes, Authenticated::Yes) => {
                    method.aligned = Some(domain);
                    break;
                }
                (Aligned::Yes | Aligned::Unknown, _) => method.open = method.open.or(Some(domain)),
                (Aligned::No, Authenticated::Yes) => method.stranger = method.stranger.or(Some(domain)),
                (Aligned::No, _) => {}
            }
        }
        method
    }

    /// The same domain, or with relaxed alignment the same organizational domain (§4.10.2).
    async fn aligned(&self, dns: &Dns, tree: &mut Tree, mode: Alignment, domain: &DomainName) -> Aligned {
        if *domain == self.domain {
            return Aligned::Yes;
        }
        if mode == Alignment::Strict {
            return Aligned::No;
        }
        let organizational = match &self.walk.organizational {
            Ok(organizational) => organizational,
            // The walk ended at a fault. Above it anything may be published, but never beyond the top-level domain.
            Err(_) if self.domain.labels().next_back() == domain.labels().next_back() => return Aligned::Unknown,
            Err(_) => return Aligned::No,
        };
        if !domain.is_within(organizational) {
            return Aligned::No;
        }
        match tree.walk(dns, domain, Some(IDENTIFIER_QUESTIONS)).await.organizational {
            Ok(other) if other == *organizational => Aligned::Yes,
            Ok(_) | Err(Stop::Cap) => Aligned::No,
            Err(Stop::Fault(_)) => Aligned::Unknown,
        }
    }

    fn result(&self, tree: &Tree, dkim: &Method, spf: &Method) -> (DmarcResult, String) {
        let author = &self.domain;
        let Some(applied) = &self.applied else {
            if let Err(Stop::Fault(name)) = &self.walk.organizational {
                return (DmarcResult::TempError, format!("no answer from DNS for _dmarc.{name}"));
            }
            let reason = match tree.several.first() {
                Some((name, count)) => format!("{count} records at _dmarc.{name}"),
                None => format!("no record for {author}"),
            };
            return (DmarcResult::None, reason);
        };
        if applied.record.standing() == Standing::Unusable {
            let reason = format!("the record at _dmarc.{} has no valid policy and no valid rua=", applied.domain);
            return (DmarcResult::None, reason);
        }
        match (dkim, spf) {
            (Method { aligned: Some(d), .. }, Method { aligned: Some(s), .. }) => {
                (DmarcResult::Pass, format!("dkim for {d} and spf for {s} are aligned"))
            }
            (Method { aligned: Some(d), .. }, _) => (DmarcResult::Pass, format!("dkim for {d} is aligned")),
            (_, Method { aligned: Some(s), .. }) => (DmarcResult::Pass, format!("spf for {s} is aligned")),
            (Method { open: Some(d), .. }, _) => {
                (DmarcResult::TempError, format!("dkim for {d} could not be decided: no answer from DNS"))
            }
            (_, Method { open: Some(s), .. }) => {
                (DmarcResult::TempError, format!("spf for {s} could not be decided: no answer from DNS"))
            }
            (Method { stranger: Some(d), .. }, Method { stranger: Some(s), .. }) => {
                (DmarcResult::Fail, format!("dkim passed for {d} and spf for {s}, neither aligned with {author}"))
            }
            (Method { stranger: Some(d), .. }, _) => {
                (DmarcResult::Fail, format!("dkim passed for {d}, not aligned with {author}"))
            }
            (_, Method { stranger: Some(s), .. }) => {
                (DmarcResult::Fail, format!("spf passed for {s}, not aligned with {author}"))
            }
            _ => (DmarcResult::Fail, "neither dkim nor spf passed".to_owned()),
        }
    }
}

/// Does the domain exist (§3.2.13, RFC 8020)? Asks only where the question for its record has not shown it already.
async fn exists(dns: &Dns, tree: &mut Tree, domain: &DomainName) -> Option<bool> {
    let name = format!("_dmarc.{domain}");
    if tree
        .answers
        .iter()
        .any(|answer| answer.name == name && matches!(answer.outcome, Outcome::Records | Outcome::NoData))
    {
        return Some(true);
    }
    let answer = dns.query(domain.as_str(), RecordType::A).await;
    let exists = match answer.outcome {
        Outcome::Records | Outcome::NoData => Some(true),
        // A CNAME to nowhere: the target does not exist, but this name does.
        Outcome::NxDomain => Some(!answer.records.is_empty()),
        Outcome::Fault(_) => None,
    };
    tree.answers.push(answer);
    exists
}

impl Verdict {
    /// Without exactly one domain in From there is nothing to judge, and nothing was asked.
    fn permerror(reason: String) -> Verdict {
        Verdict {
            result: DmarcResult::PermError,
            author: None,
            organizational: None,
            applied: None,
            dkim_aligned: false,
            spf_aligned: false,
            reason,
            several: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// What the owner asks for; `none` where no record applies.
    pub fn policy(&self) -> Policy {
        self.applied.as_ref().map_or(Policy::None, |applied| applied.policy)
    }

    /// Would a signature of this domain align, as far as is known without a further question?
    pub fn aligns(&self, domain: &DomainName) -> bool {
        let relaxed = self.applied.as_ref().is_none_or(|applied| applied.record.dkim_alignment == Alignment::Relaxed);
        self.author.as_ref() == Some(domain) || relaxed && self.organizational.as_ref() == Some(domain)
    }

    /// For Authentication-Results: `dmarc=fail reason="..." header.from=example.com policy.dmarc=reject`.
    pub fn method_result(&self) -> MethodResult {
        let mut result = MethodResult::new("dmarc", self.result.as_str());
        if self.result != DmarcResult::Pass {
            result = result.with_reason(&self.reason);
        }
        if let Some(author) = &self.author {
            result = result.with_property("header", "from", author.as_str());
        }
        if self.applied.is_some() {
            result = result.with_property("policy", "dmarc", self.policy().as_str());
        }
        result
    }
}

impl DmarcResult {
    /// The word of RFC 8601.
    pub fn as_str(self) -> &'static str {
        match self {
            DmarcResult::Pass => "pass",
            DmarcResult::Fail => "fail",
            DmarcResult::None => "none",
            DmarcResult::TempError => "temperror",
            DmarcResult::PermError => "permerror",
        }
    }
}

impl fmt::Display for DmarcResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
