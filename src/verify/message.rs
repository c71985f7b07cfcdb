//! One message judged by every method, and the results as one Authentication-Results field.
//!
//! The questions are asked in three bundles, so that waiting overlaps the transfer: SPF at MAIL FROM ([`ask_spf`]), keys and
//! the DMARC record at the end of the header ([`Questions`]), and alignment, which needs the results, at the end
//! ([`Verdicts::conclude`]).

use super::{
    Word,
    arc::{self, ArcResult},
    dkim::{self, DkimResult},
    dmarc::{self, Authenticated, Discovery, DmarcResult, SpfIdentity},
    early::Early,
    spf::{self, Limits, Query, Scope, SpfResult},
};
use crate::{
    address::{self, AuthorError, ReversePath},
    authres::{self, AuthResults, MethodResult},
    dns::{Answer, Dns, RecordType},
    message::Header,
    name::DomainName,
};
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// The SMTP side of a message, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    /// The client; `None` where nobody knows, and then there is no SPF.
    pub client_ip: Option<IpAddr>,
    /// HELO as received.
    pub helo: Vec<u8>,
    /// MAIL FROM as received, with or without angle brackets.
    pub mail_from: Vec<u8>,
}

/// SPF for both identities.
#[derive(Clone, Debug)]
pub struct SpfVerdict {
    /// MAIL FROM, or HELO where the sender is null: what DMARC counts.
    pub main: spf::Outcome,
    /// HELO beside a sender; reported, and counted by nobody.
    pub helo: Option<spf::Outcome>,
    /// What was judged.
    pub envelope: Envelope,
}

/// A message whose signatures and seals are being verified.
#[derive(Debug)]
pub struct Verifier {
    dkim: dkim::Verifier,
    arc: arc::Verifier,
}

/// What the header needs of DNS.
pub struct Questions {
    keys: Vec<String>,
    /// Those for ARC alone.
    seals: Vec<String>,
    author: Result<DomainName, AuthorError>,
}

/// What DNS said to [`Questions`].
pub struct Answers {
    keys: HashMap<String, Arc<Answer>>,
    discovery: Discovery,
}

/// Everything judged.
#[derive(Clone, Debug)]
pub struct Verdicts {
    /// The domain of the author, or why there is none.
    pub author: Result<DomainName, AuthorError>,
    /// One per signature, top first.
    pub dkim: Vec<DkimResult>,
    /// The chain of seals and who sealed; it changes no other verdict.
    pub arc: ArcResult,
    /// Who of trusted sealers saw the author authenticate, where DMARC fails now ([`Verdicts::believe`]).
    pub vouched: Option<arc::Vouched>,
    /// `None` where the client is not known.
    pub spf: Option<SpfVerdict>,
    /// DMARC.
    pub dmarc: dmarc::Verdict,
}

impl Envelope {
    /// What SPF is asked; `None` without a client's address.
    pub fn query(&self, receiver: &str, now: u64) -> Option<Query> {
        Some(Query {
            client_ip: self.client_ip?,
            helo: self.helo.clone(),
            mail_from: self.mail_from.clone(),
            receiver: receiver.into(),
            now,
        })
    }
}

/// Judges SPF for MAIL FROM and HELO together; `None` without a client's address.
pub async fn ask_spf(dns: &Dns, envelope: &Envelope, receiver: &str, now: u64) -> Option<SpfVerdict> {
    let query = envelope.query(receiver, now)?;
    let null = matches!(address::reverse_path(&envelope.mail_from), Ok(ReversePath::Null));
    let (main, helo) = tokio::join!(spf::check(dns, &query, Limits::default()), async {
        match null {
            true => None,
            false => Some(spf::check_helo(dns, &query, Limits::default()).await),
        }
    });
    Some(SpfVerdict { main, helo, envelope: envelope.clone() })
}

impl Verifier {
    /// Reads the signatures and the seals of a header; `preferred` and `now` as in [`dkim::Verifier::new`].
    pub fn new(header: &Header, preferred: &[DomainName], now: u64) -> Verifier {
        Verifier { dkim: dkim::Verifier::new(header, preferred, now), arc: arc::Verifier::new(header, now) }
    }

    /// Is there a signature?
    pub fn is_signed(&self) -> bool {
        !self.dkim.is_empty()
    }

    /// Takes the next piece of the body, cut anywhere.
    pub fn body(&mut self, piece: &[u8]) {
        self.dkim.body(piece);
        self.arc.body(piece);
    }
}

impl Questions {
    /// What a header, its signatures and its seals need.
    pub fn new(header: &Header, verifier: &Verifier) -> Questions {
        let keys = verifier.dkim.questions();
        let seals = verifier.arc.questions().into_iter().filter(|name| !keys.contains(name)).collect();
        Questions { keys, seals, author: address::author_domain(header) }
    }

    /// Asks for everything at once, but for the seals: there can be fifty, they decide nothing, and so they get what
    /// the signatures and the policy leave of the message's budget.
    pub async fn ask(self, dns: &Dns) -> Answers {
        let mut asked = ask(dns, self.keys);
        let discovery = dmarc::discover(dns, self.author).await;
        asked.extend(ask(dns, self.seals));
        let mut keys = HashMap::new();
        for (name, answer) in asked {
            // A question whose task died has no answer, which is judged as one that was never asked.
            if let Some(answer) = answer.finish().await {
                keys.insert(name, answer);
            }
        }
        Answers { keys, discovery }
    }
}

fn ask(dns: &Dns, names: Vec<String>) -> Vec<(String, Early<Arc<Answer>>)> {
    let begin = |name: String| {
        let (dns, question) = (dns.clone(), name.clone());
        (name, Early::begin(async move { dns.query(&question, RecordType::Txt).await }))
    };
    names.into_iter().map(begin).collect()
}

impl Verdicts {
    /// Judges, once the body is through and the answers are there.
    pub async fn conclude(
        dns: &Dns,
        header: &Header,
        verifier: Verifier,
        answers: Answers,
        spf: Option<SpfVerdict>,
    ) -> Verdicts {
        let dkim = verifier.dkim.finish(header, &answers.keys);
        let arc = verifier.arc.finish(header, &answers.keys);
        let signed: Vec<(Authenticated, &DomainName)> = dkim
            .iter()
            .filter_map(|result| Some((authenticated(result.result), result.signature.domain.as_ref()?)))
            .collect();
        let sent = spf.as_ref().and_then(|spf| {
            let identity = match spf.main.scope {
                Scope::MailFrom => SpfIdentity::MailFrom,
                Scope::Helo => SpfIdentity::NullSender,
            };
            let state = match spf.main.result {
                SpfResult::Pass => Authenticated::Yes,
                SpfResult::TempError => Authenticated::Unknown,
                _ => Authenticated::No,
            };
            Some((state, spf.main.domain.as_ref()?, identity))
        });
        let dmarc = answers.discovery.judge(dns, &signed, sent).await;
        Verdicts { author: address::author_domain(header), dkim, arc, vouched: None, spf, dmarc }
    }

    /// Reads what the chain says where DMARC fails, if all its sealers are `trusted`. No result changes.
    pub fn believe(&mut self, header: &Header, trusted: &[DomainName]) {
        if self.dmarc.result == DmarcResult::Fail
            && let Ok(author) = &self.author
        {
            let aligned = |domain: &DomainName| self.dmarc.aligns(domain);
            self.vouched = arc::vouched(header, &self.arc, trusted, author, aligned);
        }
    }

    /// Our Authentication-Results. Where SPF could not be asked, `spf_missing` says why: the result is then `none`, as if
    /// the session had held no domain to judge (RFC 8601 §2.7.2). Without a reason there is no word of SPF.
    pub fn results(&self, authserv_id: &str, spf_missing: Option<&str>) -> AuthResults {
        let prefixes: Vec<&str> = self.dkim.iter().map(|result| result.signature.signature_text.as_str()).collect();
        let prefixes = authres::signature_prefixes(&prefixes);
        let mut results: Vec<MethodResult> =
            self.dkim.iter().zip(prefixes).map(|(result, prefix)| dkim_result(result, prefix)).collect();
        if results.is_empty() {
            // Said, because silence would look as if nobody had looked (RFC 8601 §2.7.1).
            results.push(MethodResult::new("dkim", "none"));
        }
        if let Some(spf) = &self.spf {
            results.push(spf.main_result());
            results.extend(spf.helo.as_ref().map(helo_result));
        } else if let Some(why) = spf_missing {
            results.push(MethodResult::new("spf", "none").with_reason(why));
        }
        results.push(match &self.vouched {
            Some(vouched) => self.dmarc.method_result().with_comment(&format!("but {vouched}")),
            None => self.dmarc.method_result(),
        });
        results.extend(self.arc.method_result(self.spf.as_ref().and_then(|spf| spf.envelope.client_ip)));
        AuthResults { authserv_id: authserv_id.into(), results }
    }
}

impl SpfVerdict {
    /// The value of a Received-SPF field for it.
    pub fn field_value(&self, receiver: &str) -> String {
        self.main.field_value(receiver, &self.envelope.helo, &self.envelope.mail_from)
    }

    fn main_result(&self) -> MethodResult {
        if self.main.scope == Scope::Helo {
            return helo_result(&self.main);
        }
        let result = with_spf_reason(MethodResult::new("spf", self.main.result.as_str()), &self.main);
        match address::reverse_path(&self.envelope.mail_from) {
            Ok(ReversePath::Mailbox(mailbox)) => result.with_address("smtp", "mailfrom", &mailbox),
            // What is no address has no domain that could be judged, and no property that could be misread.
            _ => result,
        }
    }
}

fn helo_result(outcome: &spf::Outcome) -> MethodResult {
    let result = with_spf_reason(MethodResult::new("spf", outcome.result.as_str()), outcome);
    match &outcome.domain {
        Some(domain) => result.with_property("smtp", "helo", domain.as_str()),
        None => result,
    }
}

fn with_spf_reason(result: MethodResult, outcome: &spf::Outcome) -> MethodResult {
    match outcome.result {
        SpfResult::Pass => result,
        _ => result.with_reason(&outcome.reason.to_string()),
    }
}

fn dkim_result(result: &DkimResult, prefix: &str) -> MethodResult {
    let signature = &result.signature;
    let mut out = MethodResult::new("dkim", result.result.as_str());
    if let Some(reason) = &result.reason {
        out = out.with_reason(&reason.to_string());
    } else {
        out = out.with_comment(&result.remark());
    }
    if let Some(domain) = &signature.domain {
        out = out.with_property("header", "d", domain.as_str());
    }
    if let Some(selector) = &signature.selector {
        out = out.with_property("header", "s", selector.as_str());
    }
    if let Some(algorithm) = &signature.algorithm_text {
        out = out.with_property("header", "a", algorithm);
    }
    if !prefix.is_empty() {
        out = out.with_property("header", "b", prefix);
    }
    match &signature.identity {
        Some(identity) if signature.identity_given => out.with_property("header", "i", identity),
        _ => out,
    }
}

fn authenticated(word: Word) -> Authenticated {
    match word {
        Word::Pass => Authenticated::Yes,
        Word::TempError => Authenticated::Unknown,
        _ => Authenticated::No,
    }
}
