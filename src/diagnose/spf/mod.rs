//! SPF: what is wrong with the record, and what one repair would change.
//!
//! A failed check is tried again with one repair of the domain's record at a time ([`Judged::passes`]); a repair that makes
//! it pass is certain. Otherwise what RFC 7208 defines is certain (no record, several, a broken grammar, a limit), and
//! the rest is likely at most. Advice on records that work informs and never leads over a cause.
//! [`record_findings`] judges a record without a message.

mod address;
mod advice;
mod client;
mod fault;
mod limits;
mod mend;
mod missing;
mod relay;
mod several;
mod show;
mod strings;
mod syntax;
mod tree;
mod whole;

pub use whole::record_findings;

use super::{
    case::{Case, Facts},
    finding::{Confidence, Effect, Finding, Subject},
    register::Cause,
};
use crate::{
    dns::Answer,
    name::DomainName,
    provider::Profile,
    spf::{Problem, Record},
    verify::spf::{Outcome, Place, Reason, Scope, SpfResult, Visit},
};
use std::{net::IpAddr, sync::Arc};

/// Why SPF does not pass, and what passes by luck.
pub fn findings(case: &Case<'_>) -> Vec<Finding> {
    let Some(spf) = &case.verdicts.spf else { return Vec::new() };
    let selectors = case.verdicts.dkim.iter().map(|result| result.signature.selector.as_ref());
    let profile = selectors.chain([None]).find_map(|selector| case.expected.profile_of(selector));
    let judged = Judged {
        domain: spf.main.domain.as_ref(),
        outcome: Some(&spf.main),
        profile: profile.as_ref().map(|(profile, _)| &**profile),
        facts: case.facts,
        message: Some(case),
    };
    judged.findings(&spf.main)
}

/// Why a check of a domain came out as it did, without a message: `waxseal check --client-ip`.
///
/// The trials of `facts` must be run with what `outcome` was judged for.
pub fn outcome_findings(outcome: &Outcome, profile: Option<&Profile>, facts: &Facts) -> Vec<Finding> {
    let domain = outcome.domain.as_ref();
    Judged { domain, outcome: Some(outcome), profile, facts, message: None }.findings(outcome)
}

/// A domain whose record is examined.
struct Judged<'a> {
    /// The domain; `None` where the sender has none.
    domain: Option<&'a DomainName>,
    /// What came out for a client; `None` where the record is judged without one.
    outcome: Option<&'a Outcome>,
    /// The provider's profile, if one applies.
    profile: Option<&'a Profile>,
    facts: &'a Facts,
    /// The message, where there is one.
    message: Option<&'a Case<'a>>,
}

/// One record on the way.
#[derive(Clone, Copy)]
struct Sight<'a> {
    /// Whose record.
    domain: &'a str,
    /// The TXT records there.
    answer: &'a Arc<Answer>,
    /// The record, if there is exactly one.
    record: Option<&'a Record>,
    /// What breaks the grammar in it.
    problems: &'a [Problem],
    /// Is it the domain's own, or what that redirects to?
    own: bool,
}

impl<'a> From<&'a Visit> for Sight<'a> {
    fn from(visit: &'a Visit) -> Sight<'a> {
        Sight {
            domain: &visit.domain,
            answer: &visit.answer,
            record: visit.record.as_deref(),
            problems: &visit.problems,
            own: visit.depth == 0,
        }
    }
}

impl<'a> Judged<'a> {
    fn findings(&self, outcome: &'a Outcome) -> Vec<Finding> {
        let Some(own) = outcome.visits.first().map(Sight::from) else { return client::nobody(self, outcome) };
        let last = outcome.visits.last().map_or(own, Sight::from);
        let mut findings = match (&outcome.reason, outcome.result) {
            (_, SpfResult::Pass) => Vec::new(),
            (Reason::NoDomain(..), _) => client::nobody(self, outcome),
            (Reason::NoRecord { .. }, _) if outcome.scope == Scope::Helo => client::helo_missing(self, own),
            (Reason::NoRecord { .. }, _) => missing::findings(self, own),
            (Reason::SeveralRecords { .. }, _) => several::findings(self, last),
            (Reason::Syntax { .. }, _) => syntax::findings(self, last),
            (Reason::TargetWithoutRecord { .. } | Reason::TargetMalformed { .. }, _) => fault::target(self, outcome),
            (Reason::TooManyTerms(_) | Reason::TooManyQuestions(_), _) => limits::terms(self, outcome),
            (Reason::TooManyVoids(_), _) => limits::voids(self, outcome),
            (Reason::TooManyExchangers { domain, limit }, _) => limits::exchangers(self, outcome, domain, *limit),
            (Reason::Fault { .. }, _) => fault::dns(self, outcome),
            (Reason::Matched(_) | Reason::NoMatch, _) => client::findings(self, outcome),
        };
        findings.extend(advice::findings(self, outcome, &findings));
        findings
    }

    /// A finding on this domain's SPF.
    fn finding(
        &self,
        cause: &'static Cause,
        effect: Effect,
        confidence: Confidence,
        claim: impl Into<String>,
    ) -> Finding {
        Finding::new(cause, effect, confidence, claim).about(Subject::Spf(self.domain.cloned()))
    }

    /// A cause of the failure.
    fn breaks(&self, cause: &'static Cause, confidence: Confidence, claim: impl Into<String>) -> Finding {
        self.finding(cause, Effect::Breaks, confidence, claim)
    }

    /// Would the check pass with this record at a domain? `false` where it is not known, or there is no client.
    fn passes(&self, domain: &str, record: &[u8]) -> bool {
        self.outcome.is_some() && self.facts.trial(domain, record).is_some_and(|trial| trial.result == SpfResult::Pass)
    }

    /// Would it pass from another client?
    fn passes_from(&self, record: &[u8], client: IpAddr) -> bool {
        let domain = self.domain.map_or("", |domain| domain.as_str());
        self.outcome.is_some()
            && self.facts.trial_from(domain, record, client).is_some_and(|trial| trial.result == SpfResult::Pass)
    }

    /// Certain if the check passes with this record, else likely.
    fn tried(&self, domain: &str, record: &[u8]) -> Confidence {
        if self.passes(domain, record) { Confidence::Certain } else { Confidence::Likely }
    }
}

impl Finding {
    /// With a repaired record: to publish where it is the domain's own, to tell its owner where it is not.
    fn repaired(self, sight: Sight<'_>, record: &[u8]) -> Finding {
        let text = String::from_utf8_lossy(record).trim_end().to_owned();
        if !sight.own {
            return self
                .fix(format!("tell the owner of {} that the record should be: {}", sight.domain, show::short(&text)))
                .fix(format!("until then, take the term that leads to {} out of your record", sight.domain));
        }
        self.fix(format!("replace the SPF record of {} by the one below", sight.domain)).publish(sight.domain, text)
    }

    /// With what a trial showed.
    fn trial(self, judged: &Judged<'_>) -> Finding {
        let Some(outcome) = judged.outcome else { return self };
        match self.confidence {
            Confidence::Certain => {
                let text = format!("with the repaired record, SPF passes for {}", outcome.client_ip);
                self.text("tried", text)
            }
            _ => self,
        }
    }
}

/// The record and the term at a place of an outcome.
fn term_at<'o>(outcome: &'o Outcome, place: &Place) -> Option<(&'o Visit, &'o crate::spf::Term)> {
    let visit = outcome.visits.get(place.visit)?;
    Some((visit, visit.record.as_ref()?.terms().get(place.term)?))
}
