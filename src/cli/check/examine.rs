//! One domain examined: its records asked for, diagnosed, and laid out in the five steps.

use super::expect::{Configured, Place};
use crate::{
    cli::Exit,
    diagnose::{
        Placed,
        case::{Case, Facts, ServerAnswer},
        domain::{self, Step},
        finding::{Effect, Severity},
        register::Cause,
    },
    dns::{
        Answer, Data, Dns, Fault, Outcome, RecordType,
        budget::{self, Budget},
    },
    inquire::{Allowance, Inquiry, Reach},
    message::Header,
    name::DomainName,
    verify::{
        message::{Envelope, Questions, Verdicts, Verifier, ask_spf},
        standing::{Aligned, Standing},
    },
};
use std::{net::IpAddr, sync::Arc};

/// The most selectors of a profile that are looked for.
const MAX_SELECTORS: usize = 12;

/// What all domains of a run have in common.
pub struct Examiner {
    pub dns: Dns,
    pub allowance: Allowance,
    /// May authoritative servers be asked?
    pub live: bool,
    pub client_ip: Option<IpAddr>,
    /// Seconds since 1970.
    pub at: u64,
}

/// A domain that was checked.
pub struct Checked {
    pub domain: DomainName,
    pub selector: Option<DomainName>,
    /// The name of the profile in use, and whether it was inferred from the selector.
    pub profile: Option<(String, bool)>,
    pub steps: Vec<Judgement>,
    /// How far the rotations of its keys are.
    pub rotations: Vec<String>,
    pub findings: Vec<Placed>,
}

/// What came of one step.
pub struct Judgement {
    pub step: Step,
    pub status: Status,
    /// One clause.
    pub detail: String,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    Failed,
    Warning,
    Skipped,
}

impl Status {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Failed => "failed",
            Status::Warning => "warning",
            Status::Skipped => "skipped",
        }
    }
}

impl Examiner {
    /// Examines one domain.
    pub async fn examine(&self, domain: DomainName, place: Place) -> Checked {
        let place = self.chosen(&domain, place).await;
        let mut header = Header::new();
        header.push(b"From", format!(" postmaster@{domain}").as_bytes());
        let verdicts = self.verdicts(&domain, &header).await;
        let envelope = self.envelope(&domain);
        let mut inquiry = Inquiry::new(&self.dns, envelope.query("localhost", self.at), self.allowance);
        inquiry.know(&verdicts);
        inquiry.live(if self.live { Reach::Everybody } else { Reach::Nobody });
        // As of mail of the domain that nobody signed yet.
        let standing = Standing { aligned: Vec::new(), spf_aligned: Aligned::Yes, authenticates: false };
        let findings = inquiry
            .settle(|facts| {
                let case = Case {
                    header: &header,
                    body: None,
                    verdicts: &verdicts,
                    standing: &standing,
                    at: self.at,
                    expected: &place.expected,
                    facts,
                };
                domain::findings(&case, place.selector.as_ref())
            })
            .await;
        let steps = Steps { domain: &domain, place: &place, findings: &findings, facts: inquiry.facts() };
        let profile = place.expected.profile.as_ref().map(|profile| (profile.name.clone(), place.inferred));
        let rotations = place.rotations.clone();
        Checked { steps: steps.judge(), selector: place.selector.clone(), profile, rotations, domain, findings }
    }

    /// Where a provider was named and no selector: the one of its selectors that is published. A provider without
    /// environments and regions has one set of them for everybody, and the first of it is missed where none is there.
    async fn chosen(&self, domain: &DomainName, mut place: Place) -> Place {
        let (None, Some(profile)) = (&place.selector, &place.expected.profile) else { return place };
        let mut alias = None;
        let mut published = None;
        let candidates = profile.selectors.iter().filter(|entry| !entry.legacy);
        for entry in candidates.clone().take(MAX_SELECTORS) {
            let answer = self.dns.query(&format!("{}._domainkey.{domain}", entry.selector), RecordType::Txt).await;
            if answer.outcome == Outcome::Records {
                published = Some(&entry.selector);
                break;
            }
            if answer.records.iter().any(|record| matches!(record.data, Data::Cname(_))) {
                alias.get_or_insert(&entry.selector);
            }
        }
        let first = candidates.filter(|entry| entry.common).map(|entry| &entry.selector).next();
        let selector = published.or(alias).or(first).cloned();
        place.expected.selector.clone_from(&selector);
        place.selector = selector;
        place
    }

    /// The verdicts on a message of the domain that nobody signed.
    async fn verdicts(&self, domain: &DomainName, header: &Header) -> Verdicts {
        let dns = Dns::new(Budget::new(self.dns.clone(), budget::QUESTIONS, budget::PATIENCE));
        let verifier = Verifier::new(header, std::slice::from_ref(domain), self.at);
        let questions = Questions::new(header, &verifier);
        let spf = ask_spf(&dns, &self.envelope(domain), "localhost", self.at).await;
        let answers = questions.ask(&dns).await;
        Verdicts::conclude(&dns, header, verifier, answers, spf).await
    }

    fn envelope(&self, domain: &DomainName) -> Envelope {
        Envelope {
            client_ip: self.client_ip,
            helo: domain.as_str().as_bytes().to_vec(),
            mail_from: format!("postmaster@{domain}").into_bytes(),
        }
    }
}

impl Checked {
    /// 1 if a step failed; 75 if nothing but DNS without an answer kept one from being decided.
    pub fn exit(&self) -> Exit {
        let errors: Vec<&Cause> = self
            .findings
            .iter()
            .filter(|placed| placed.severity == Severity::Error)
            .map(|placed| placed.finding.cause)
            .collect();
        match self.steps.iter().any(|judgement| judgement.status == Status::Failed) {
            false => Exit::Good,
            true if !errors.is_empty() && errors.iter().all(|cause| is_temporary(cause)) => Exit::Temporary,
            true => Exit::Failed,
        }
    }

    /// The findings of a step.
    pub fn findings_of(&self, step: Step) -> impl Iterator<Item = &Placed> {
        self.findings.iter().filter(move |placed| Step::of(placed.finding.cause) == step)
    }
}

/// Does the cause go away by itself, or is it DNS that gave no answer?
fn is_temporary(cause: &Cause) -> bool {
    matches!(
        cause.code,
        "dns-lookup-failed" | "dns-servfail-authoritative" | "spf-dns-temperror" | "spf-include-temperror"
    )
}

struct Steps<'a> {
    domain: &'a DomainName,
    place: &'a Place,
    findings: &'a [Placed],
    facts: &'a Facts,
}

impl Steps<'_> {
    fn judge(&self) -> Vec<Judgement> {
        Step::ALL
            .into_iter()
            .map(|step| {
                let (status, detail) = self.of(step);
                Judgement { step, status, detail }
            })
            .collect()
    }

    fn of(&self, step: Step) -> (Status, String) {
        let mut own = self
            .findings
            .iter()
            .filter(|placed| Step::of(placed.finding.cause) == step && placed.finding.effect != Effect::Note);
        if let Some(first) = own.clone().find(|placed| placed.severity == Severity::Error) {
            return (Status::Failed, first.finding.claim.clone());
        }
        if let Some(first) = own.next() {
            return (Status::Warning, first.finding.claim.clone());
        }
        match step {
            Step::Prerequisites => (Status::Ok, self.prerequisites()),
            Step::Registration => self.registration(),
            Step::Selector => self.selector(),
            Step::Lookup => self.lookup(),
            Step::Activation => self.activation(),
        }
    }

    fn prerequisites(&self) -> String {
        let token = match &self.place.expected.token {
            Some(_) => "the token stands at the domain; ",
            None => "",
        };
        format!("{token}the SPF record is sound")
    }

    fn key_answer(&self) -> Option<&Arc<Answer>> {
        let selector = self.place.selector.as_ref()?;
        self.facts.txt(&format!("{selector}._domainkey.{}", self.domain))
    }

    /// Has a step an error of its own?
    fn failed(&self, step: Step) -> bool {
        let mut errors = self.findings.iter().filter(|placed| placed.severity == Severity::Error);
        errors.any(|placed| Step::of(placed.finding.cause) == step)
    }

    fn registration(&self) -> (Status, String) {
        let Some(selector) = &self.place.selector else {
            return (Status::Skipped, "no selector is known: give --environment and --region, or --selector".into());
        };
        let Some(answer) = self.key_answer() else { return (Status::Skipped, "the key was not asked for".into()) };
        if let Outcome::Fault(fault) = &answer.outcome {
            return (Status::Skipped, format!("the key could not be looked up: {fault}"));
        }
        if answer.is_negative() {
            return match self.failed(Step::Selector) {
                true => (Status::Failed, format!("nothing is published at {}: see step 3", answer.name)),
                false => (Status::Skipped, "the resolver does not give the record: see step 4".into()),
            };
        }
        let strings = answer.txt().next().map_or(0, <[Box<[u8]>]>::len);
        let ours = if self.place.expected.key.is_some() { ", and its key is the one at hand" } else { "" };
        let pieces = if strings == 1 { "1 string".into() } else { format!("{strings} strings") };
        (Status::Ok, format!("{selector}._domainkey.{}: one record of {pieces}{ours}", self.domain))
    }

    fn selector(&self) -> (Status, String) {
        let Some(selector) = &self.place.selector else {
            return (Status::Skipped, "no selector is known: give --environment and --region, or --selector".into());
        };
        let Some(profile) = &self.place.expected.profile else {
            return (Status::Skipped, format!("{selector} belongs to no provider's profile"));
        };
        let Some(entry) = profile.entry(selector) else {
            if profile.selectors.iter().all(|entry| entry.common) {
                return (Status::Skipped, format!("{} lets each domain have selectors of its own", profile.name));
            }
            return (Status::Warning, format!("{selector} is none of the selectors of {}", profile.name));
        };
        match (&entry.environment, &entry.region) {
            (Some(environment), Some(region)) => {
                let place = format!("{selector} is the selector of {environment} {region} at {}", profile.name);
                (Status::Ok, if self.place.inferred { format!("{place}, inferred from its name") } else { place })
            }
            _ if entry.common => (Status::Ok, format!("{selector} is a selector of {}", profile.name)),
            _ if self.place.inferred => (
                Status::Skipped,
                format!("{selector} was a selector of {}, and is a word that others use too", profile.name),
            ),
            _ => (Status::Warning, format!("{selector} is a legacy selector of {}", profile.name)),
        }
    }

    fn lookup(&self) -> (Status, String) {
        let Some(answer) = self.key_answer() else {
            return (Status::Skipped, "no selector is known, so that no key can be looked up".into());
        };
        if let Outcome::Fault(Fault::Budget) = answer.outcome {
            return (Status::Skipped, "over the cap of questions or time".into());
        }
        let ttl = answer.records.iter().map(|record| record.ttl).min();
        let kept = ttl.map(|ttl| format!(", kept for {ttl} s")).unwrap_or_default();
        let name = &answer.name;
        let who = match (answer.server, self.facts.servers(name, RecordType::Txt)) {
            (_, Some(servers)) if servers.serving().next().is_some() => {
                let count = servers.serving().count();
                let each: Vec<String> = servers.serving().map(ServerAnswer::line).collect();
                let noun = if count == 1 { "server agrees" } else { "servers agree" };
                format!("the resolver and {count} name {noun}{kept}: {}", each.join("; "))
            }
            (Some(server), _) => format!("answered by {server}{kept}"),
            (None, _) => format!("answered from the zone file{kept}"),
        };
        if answer.is_negative() && (self.failed(Step::Registration) || self.failed(Step::Selector)) {
            return (Status::Skipped, format!("there is no record to look up; {who}"));
        }
        (Status::Ok, who)
    }

    /// How the provider is told to sign, if it must be.
    fn activate(&self) -> Option<&str> {
        let profile = self.place.expected.profile.as_ref().filter(|profile| profile.signs_only_when_verified)?;
        Some(profile.activate.as_deref().unwrap_or("see that it is turned on for the domain"))
    }

    fn activation(&self) -> (Status, String) {
        match &self.place.configured {
            Some(Configured { key_file, loaded: Ok(()) }) => {
                (Status::Ok, format!("{} is configured here, and {key_file} is loaded", self.domain))
            }
            Some(Configured { key_file, loaded: Err(why) }) => {
                (Status::Failed, format!("{key_file} cannot be loaded: {why}"))
            }
            None if self.activate().is_some() => (
                Status::Skipped,
                format!(
                    "whether signing is enabled shows only in the provider's console: {}",
                    self.activate().unwrap_or_default()
                ),
            ),
            None => (Status::Skipped, "no settings at hand that configure this domain".into()),
        }
    }
}
