//! SPF: what is wrong with the record, and what one repair would change.
//!
//! A failed check is tried again with one repair of the domain's record at a time ([`Judged::passes`]); a repair that makes
//! it pass is certain. Otherwise what RFC 7208 defines is certain (no record, several, a broken grammar, a limit), and
//! the rest is likely at most. Advice on records that work informs and never leads over a cause.
//! A record can be judged without a client too ([`domain_findings`]).

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

use super::{
    case::{Case, Facts, InUse},
    finding::{Confidence, Effect, Finding, Subject},
    register::{Cause, spf as causes},
};
use crate::{
    dns::Answer,
    name::DomainName,
    spf::{Problem, Record},
    verify::spf::{Outcome, Place, Reason, Scope, SpfResult, Visit},
};
use std::{net::IpAddr, sync::Arc};

/// Why SPF does not pass, and what passes by luck.
pub fn findings(case: &Case<'_>) -> Vec<Finding> {
    let Some(spf) = &case.verdicts.spf else { return Vec::new() };
    Judged::new(case, spf.main.domain.as_ref(), Some(&spf.main)).findings(&spf.main)
}

/// What the record of a domain tells: for the client, if one is known, and for everybody else.
pub fn domain_findings(case: &Case<'_>, domain: &DomainName) -> Vec<Finding> {
    let mut findings = findings(case);
    if findings.iter().any(|finding| finding.effect == Effect::Breaks) {
        return findings;
    }
    let Some(answer) = case.facts.txt(domain.as_str()) else { return findings };
    for mut finding in whole::findings(&Judged::new(case, Some(domain), None), domain, answer) {
        if findings.iter().any(|known| known.cause == finding.cause) {
            continue;
        }
        // The client passes; what the record lacks, and what others meet, remains.
        let demanded = finding.cause == &causes::PROVIDER_INCLUDE_MISSING;
        if case.verdicts.spf.is_some() && finding.effect == Effect::Breaks && !demanded {
            finding.effect = Effect::Risk;
        }
        findings.push(finding);
    }
    findings
}

/// A domain whose record is examined.
struct Judged<'a> {
    /// The domain; `None` where the sender has none.
    domain: Option<&'a DomainName>,
    /// What came out for a client; `None` where the record is judged without one.
    outcome: Option<&'a Outcome>,
    /// What the record must include, if that is known.
    demand: Option<Demand>,
    facts: &'a Facts,
    case: &'a Case<'a>,
}

/// An include that the record must have.
struct Demand {
    include: DomainName,
    /// Who wants it: the title of a provider.
    who: String,
    /// Of every domain, or only where its servers may not send?
    always: bool,
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
    fn new(case: &'a Case<'a>, domain: Option<&'a DomainName>, outcome: Option<&'a Outcome>) -> Judged<'a> {
        let in_use = case.expected.profile_in_use(&case.verdicts.dkim);
        let demand = match (&case.expected.spf_include, &in_use) {
            (Some(include), _) => Some(Demand { include: include.clone(), who: "your provider".into(), always: true }),
            (None, Some(InUse { profile, .. })) => {
                let always = profile.spf_demanded;
                profile.spf_include.clone().map(|include| Demand { include, who: profile.title.clone(), always })
            }
            (None, None) => None,
        };
        Judged { domain, outcome, demand, facts: case.facts, case }
    }

    /// The name that the record must include, unless the domain is the provider's own.
    fn demanded(&self) -> Option<&Demand> {
        let demand = self.demand.as_ref()?;
        let above = demand.include.parent().filter(|parent| parent.labels().count() >= 2);
        let house = above.unwrap_or_else(|| demand.include.clone());
        self.domain.is_none_or(|domain| !domain.is_within(&house)).then_some(demand)
    }

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
        findings.extend(outcome.visits.iter().filter_map(|visit| several::repeated(self, visit.into())));
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
        let text = String::from_utf8_lossy(record);
        let text = text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
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
