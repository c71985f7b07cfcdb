//! One look at the record of one key: a question, and where the record does not serve, why.

use super::pace::{A_SECOND, Pace};
use crate::{
    config::{Domain, KeyRef},
    diagnose::{
        case::{Facts, KeyCase, Match, Oracle},
        domain::record_findings,
        finding::{Effect, Finding},
        history::{self, Published},
    },
    dkim::record::{Key, KeyRecord},
    dns::{Answer, Dns, Fault, Outcome, RecordType},
    inquire::{self, Allowance, Inquiry},
    provider::Profile,
};
use std::{sync::Arc, time::Duration};

/// What a diagnosis may ask beyond the look: the name servers, and then as much as that of a message.
const DIAGNOSIS: Allowance = Allowance { questions: A_SECOND as usize, trials: 0, ..inquire::MILTER };

/// For how long an answer without any time to live holds.
const NO_TTL: Duration = Duration::from_secs(60);

/// What a look needs.
pub(super) struct Look {
    pub(super) domain: Arc<Domain>,
    pub(super) key: KeyRef,
    /// The public half of our key.
    pub(super) ours: Key,
    pub(super) profile: Option<Arc<Profile>>,
    pub(super) dns: Dns,
    pub(super) history: Vec<Published>,
    /// Seconds since 1970.
    pub(super) at: u64,
    /// What stood there at the last look, if it was diagnosed lately.
    pub(super) known: Option<String>,
    /// Diagnose in any case?
    pub(super) deep: bool,
    /// Was the record not ready before? One that is right again may not be so at every name server yet.
    pub(super) was_unready: bool,
}

/// What a look found.
pub(super) enum Seen {
    /// No usable answer; what a diagnosis says to it.
    Nothing { why: String, findings: Vec<Finding> },
    /// An answer.
    Record {
        /// What stands there, as the history keeps it.
        content: String,
        /// Is our key among it?
        ours: bool,
        /// For how long resolvers may keep it.
        ttl: Duration,
        /// Does nothing of it keep receivers from verifying?
        ready: bool,
        /// What is to be said of it; `None` if it is what was said before.
        findings: Option<Vec<Finding>>,
    },
}

impl Look {
    /// `{s}._domainkey.{d}`.
    pub(super) fn name(&self) -> String {
        format!("{}._domainkey.{}", self.key.selector, self.domain.name)
    }

    /// Looks.
    pub(super) async fn look(self, pace: &Pace) -> Seen {
        let answer = {
            let _turn = pace.turn(1).await;
            self.dns.query(&self.name(), RecordType::Txt).await
        };
        if let Outcome::Fault(fault) = &answer.outcome
            && *fault != Fault::CnameLoop
        {
            let findings = if self.deep { self.diagnose(&answer, pace).await } else { Vec::new() };
            return Seen::Nothing { why: fault.to_string(), findings };
        }
        let content = history::content(&answer.joined_txt());
        let mut findings = self.findings(&answer, &Facts::default());
        let known = self.known.as_ref() == Some(&content);
        let mut ready = is_ready(&findings);
        if self.deep || !ready && !known || ready && self.was_unready {
            findings = self.diagnose(&answer, pace).await;
            ready = is_ready(&findings);
        }
        Seen::Record {
            ours: answer.joined_txt().iter().any(|text| self.is_ours(text)),
            ttl: ttl(&answer),
            findings: (ready || self.deep || !known).then_some(findings),
            ready,
            content,
        }
    }

    /// What the record alone says, or with it what else is known.
    fn findings(&self, answer: &Arc<Answer>, facts: &Facts) -> Vec<Finding> {
        let case = KeyCase {
            domain: &self.domain.name,
            selector: &self.key.selector,
            answer,
            oracle: Oracle::Key(&self.ours),
            profile: self.profile.as_deref(),
            author: Some(&self.domain.name),
            facts,
            history: &self.history,
            at: self.at,
        };
        let mut findings = record_findings(&case);
        findings.retain(|finding| finding.effect != Effect::Note);
        findings.sort_by_key(|finding| (finding.effect, finding.cause.stage, finding.confidence));
        findings
    }

    /// With the questions that the findings want, name servers asked directly among them.
    async fn diagnose(&self, answer: &Arc<Answer>, pace: &Pace) -> Vec<Finding> {
        let _turn = pace.turn(A_SECOND).await;
        let mut inquiry = Inquiry::new(&self.dns, None, DIAGNOSIS);
        inquiry.take(answer.clone());
        inquiry.live(true);
        // Before names that it may have been published at by mistake: whether it is on its way decides whether to wait.
        inquiry.settle(|facts| facts.servers(&self.name(), RecordType::Txt).is_some()).await;
        inquiry.settle(|facts| self.findings(answer, facts)).await
    }

    fn is_ours(&self, text: &[u8]) -> bool {
        KeyRecord::read(text).key.is_some_and(|key| Oracle::Key(&self.ours).knows(&key) == Match::Proven)
    }
}

fn is_ready(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.effect != Effect::Breaks)
}

/// For how long resolvers may keep an answer.
fn ttl(answer: &Answer) -> Duration {
    let shortest = answer.records.iter().map(|record| record.ttl).min();
    let negative = answer.negative.as_ref().map(|(_, ttl)| *ttl);
    shortest.or(negative).map_or(NO_TTL, |ttl| Duration::from_secs(ttl.into()))
}
