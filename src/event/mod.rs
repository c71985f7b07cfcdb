//! One event per message: what was decided, done or refused, and how long it took.
//!
//! Events are written in one place, the [`Journal`], to the log and to the [`store`], so that the two agree.
//! Writing never fails and never waits: a reader that is gone or a full disk costs lines, not mail.

pub mod bound;
mod journal;
mod lines;
pub mod log;
pub mod metrics;
pub mod store;

pub use journal::Journal;

use crate::{
    clock,
    diagnose::{finding::Finding, register::SEED_TITLE},
    name::DomainName,
    verify::message::Verdicts,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What was done with a message, with the field names that operators' scripts rely on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// On which host.
    pub host: String,
    /// Postfix's queue id; empty if the MTA gave none.
    pub queue_id: String,
    /// sign, verify, pass, diagnose or watch.
    pub action: Action,
    /// in, out or unknown.
    pub direction: Direction,
    /// d= of the first signature.
    pub domain: Option<String>,
    /// s= of the first signature.
    pub selector: Option<String>,
    /// The result of the first signature: pass when signed.
    pub result: Option<String>,
    /// Why it was not signed, or why it failed.
    pub reason: Option<String>,
    /// Every signature made or judged.
    pub signatures: Vec<SignatureEvent>,
    /// The result of SPF.
    pub spf: Option<String>,
    /// The result of DMARC.
    pub dmarc: Option<String>,
    /// The client's address.
    pub client_ip: Option<String>,
    /// Who authenticated.
    pub auth_user: Option<String>,
    /// MAIL FROM as received.
    pub mail_from: String,
    /// RCPT TO as received, at most [`MAX_RECIPIENTS`].
    pub rcpt_to: Vec<String>,
    /// The domain of the From field.
    pub from_domain: Option<String>,
    /// The Message-ID field.
    pub message_id: Option<String>,
    /// Octets of header and body as far as they were seen.
    pub size: u64,
    /// Milliseconds from MAIL FROM to the decision.
    pub millis: u64,
    /// Why it failed, as far as that is known: of an event of action diagnose or watch, and of mail to be signed whose
    /// record is not ready; at most [`MAX_CAUSES`].
    pub causes: Vec<CauseEvent>,
    /// Was it only observed, and nothing changed?
    pub observed: bool,
}

/// More recipients than this are not kept: a list of ten thousand is Postfix's to remember.
pub const MAX_RECIPIENTS: usize = 100;

/// More signatures than this are not kept: what stands below was not judged either.
pub const MAX_SIGNATURES: usize = 20;

/// More causes than this are not kept: the first ones explain the failure.
pub const MAX_CAUSES: usize = 20;

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It was signed, or should have been.
    Sign,
    /// It was judged.
    Verify,
    /// Nothing was to be done.
    #[default]
    Pass,
    /// Why it failed was looked into; follows the event of the message itself.
    Diagnose,
    /// No message: the published record of a key that signs changed, or what is known of it.
    Watch,
}

/// Which way the message went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From outside.
    In,
    /// From our users or networks.
    Out,
    /// Not decided.
    #[default]
    Unknown,
}

/// One signature in an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SignatureEvent {
    /// d=.
    pub domain: String,
    /// s=.
    pub selector: String,
    /// a=.
    pub algorithm: String,
    /// A word of RFC 8601.
    pub result: String,
    /// Why, unless it passed.
    pub reason: Option<String>,
}

/// One cause of a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CauseEvent {
    /// Its name in the register of causes.
    pub cause: String,
    /// certain, likely or possible.
    pub confidence: String,
    /// What was found, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// Where it is documented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documented: Option<String>,
    /// What to do first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl CauseEvent {
    /// The cause of a finding.
    pub fn of(finding: &Finding) -> CauseEvent {
        let seed = finding.cause.seed_section().map(|section| format!("{SEED_TITLE}, {}", section.title));
        CauseEvent {
            cause: finding.cause.code.into(),
            confidence: finding.confidence.as_str().into(),
            claim: Some(finding.claim.clone()),
            documented: seed.or_else(|| finding.cause.see.first().map(ToString::to_string)),
            fix: finding.fix.first().cloned(),
        }
    }
}

impl Event {
    /// With the signatures made or judged; the first one names the domain, the selector and the result.
    pub fn with_signatures(mut self, signatures: Vec<SignatureEvent>) -> Event {
        if let Some(first) = signatures.first() {
            self.domain = Some(first.domain.clone());
            self.selector = Some(first.selector.clone());
            self.result = Some(first.result.clone());
            self.reason = first.reason.clone();
        }
        self.signatures = signatures;
        self
    }

    /// With what verification found.
    pub fn with_verdicts(self, verdicts: &Verdicts) -> Event {
        let name = |name: &Option<DomainName>| name.as_ref().map(|name| name.to_string()).unwrap_or_default();
        let judged = verdicts.dkim.iter().map(|result| SignatureEvent {
            domain: name(&result.signature.domain),
            selector: name(&result.signature.selector),
            algorithm: result.signature.algorithm_text.clone().unwrap_or_default(),
            result: result.result.to_string(),
            reason: result.reason.as_ref().map(|reason| reason.to_string()),
        });
        let mut event = self.with_signatures(judged.collect());
        event.result = event.result.or_else(|| Some("none".into()));
        event.spf = verdicts.spf.as_ref().map(|spf| spf.main.result.to_string());
        event.dmarc = Some(verdicts.dmarc.result.to_string());
        event
    }

    /// The second event of a message whose failure was looked into: the same message, and why.
    pub fn diagnosis(&self, causes: Vec<CauseEvent>) -> Event {
        Event { time: clock::timestamp(), action: Action::Diagnose, causes, ..self.clone() }
    }
}

impl Action {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Sign => "sign",
            Action::Verify => "verify",
            Action::Pass => "pass",
            Action::Diagnose => "diagnose",
            Action::Watch => "watch",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
