//! One look at the record of one key: a question, and where the record does not serve, why.

use super::{State, kept::remember};
use crate::{
    config::{Domain, KeyRef},
    diagnose::{
        case::{Facts, KeyCase, Match, Oracle},
        domain::record_findings,
        finding::{Effect, Finding},
        history::{self, Published},
        register::Family,
        servers::{self, Holders},
    },
    dkim::record::{Key, KeyRecord},
    dns::{
        Answer, Dns, Fault, Outcome, RecordType,
        live::{self, Role},
    },
    inquire::{Allowance, Inquiry, Reach},
    provider::Profile,
};
use std::{sync::Arc, time::Duration};

/// What a diagnosis may ask beyond the look: the name servers, and then as much as that of a message. Its time is mostly
/// spent in waiting for its turns.
const DIAGNOSIS: Allowance = Allowance { questions: 20, trials: 0, time: Duration::from_secs(60) };

/// How long a name server that is asked alone may take.
const PATIENCE: Duration = Duration::from_secs(2);

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
    /// What is known from the looks before.
    pub(super) before: Before,
}

/// What is known from the looks before.
#[derive(Clone)]
pub(super) struct Before {
    /// What stood there at the last look.
    pub(super) content: Option<String>,
    /// Is that diagnosed, and not too long ago?
    pub(super) settled: bool,
    /// Diagnose in any case?
    pub(super) deep: bool,
    /// The public half of our key then.
    pub(super) ours: Option<Key>,
    /// How it stood.
    pub(super) state: State,
    /// Is something known of the name servers that an answer of the resolver cannot take back?
    pub(super) doubts: bool,
    /// Who holds the record, and whether each has the right one.
    pub(super) holders: Option<Holders>,
    /// Whose turn among them it is.
    pub(super) turn: usize,
}

/// What a look found.
pub(super) enum Seen {
    /// No usable answer; what a diagnosis says to it.
    Nothing { why: String, findings: Vec<Finding> },
    /// An answer.
    Record {
        /// What stands there, as the history keeps it.
        content: String,
        /// The public half of our key.
        key: Key,
        /// Is our key among it?
        ours: bool,
        /// For how long resolvers may keep it.
        ttl: Duration,
        /// Does nothing of it keep receivers from verifying?
        ready: bool,
        /// Does the resolver say so, too?
        found: bool,
        /// What is to be said of it; `None` if it is what was said before.
        findings: Option<Vec<Finding>>,
        /// Was it diagnosed, and who holds the record then?
        deep: Option<Option<Holders>>,
    },
}

impl Look {
    /// `{s}._domainkey.{d}`.
    pub(super) fn name(&self) -> String {
        format!("{}._domainkey.{}", self.key.selector, self.domain.name)
    }

    /// Looks: at the record as it is now, past what we keep of it ourselves.
    ///
    /// Ready is a record that every name server of the zone gives, even while the resolver remembers another answer: what
    /// it remembers says nothing about the resolvers of those who receive mail.
    pub(super) async fn look(mut self) -> Seen {
        let answer = self.dns.renew(&self.name(), RecordType::Txt).await;
        if let Outcome::Fault(fault) = &answer.outcome
            && *fault != Fault::CnameLoop
        {
            let findings = if self.before.deep { self.diagnose(&answer).await.0 } else { Vec::new() };
            return Seen::Nothing { why: fault.to_string(), findings };
        }
        let content = history::content(&answer.joined_txt());
        let ours = answer.joined_txt().iter().any(|text| self.is_ours(text));
        let (last, name) = (self.before.content.as_deref(), self.name());
        remember(&mut self.history, last, &name, (&content, ours), self.at);
        let before = &self.before;
        let findings = self.findings(&answer, &Facts::default());
        let found = is_ready(&findings);
        let same = before.content.as_ref() == Some(&content) && before.ours.as_ref() == Some(&self.ours);
        // What was found out about the servers holds on while the resolver says what it said.
        let holds = match found {
            true => before.state != State::NotReady && (same || !before.doubts),
            false => same && before.settled && !self.has_turned().await,
        };
        let (ready, findings, deep) = if before.deep || !holds {
            let (findings, holders) = self.diagnose(&answer).await;
            (is_ready(&findings), Some(findings), Some(holders))
        } else if found && !before.doubts {
            (true, Some(findings), None)
        } else {
            (before.state == State::Ready, None, None)
        };
        Seen::Record { content, key: self.ours, ours, ttl: ttl(&answer), ready, found, findings, deep }
    }

    /// Has a name server another opinion than at the last diagnosis? The resolver may go on for long to say what it
    /// remembers.
    async fn has_turned(&self) -> bool {
        let Some(holders) = &self.before.holders else { return false };
        let Some(server) = holders.addresses.get(self.before.turn % holders.addresses.len()) else { return false };
        let role = Role::Authoritative;
        let direct = live::ask(*server, &holders.name, RecordType::Txt, role, PATIENCE, self.dns.pace()).await;
        let answered = !matches!(direct.answer.outcome, Outcome::Fault(_));
        answered && direct.answer.joined_txt().iter().any(|text| self.is_ours(text)) != holders.right
    }

    /// What the record alone says, or with it what else is known.
    fn findings(&self, answer: &Arc<Answer>, facts: &Facts) -> Vec<Finding> {
        let mut findings = record_findings(&self.case(answer, facts));
        findings.retain(|finding| finding.effect != Effect::Note);
        findings.sort_by_key(|finding| (finding.effect, finding.cause.stage, finding.confidence));
        findings
    }

    /// With the questions that the findings want, name servers asked directly among them; and who holds the record.
    async fn diagnose(&self, answer: &Arc<Answer>) -> (Vec<Finding>, Option<Holders>) {
        let mut inquiry = Inquiry::new(&self.dns, None, DIAGNOSIS);
        inquiry.take(answer.clone());
        // The domain is our own, and so are its servers: wherever they stand.
        inquiry.live(Reach::Everybody);
        // Before names that it may have been published at by mistake: whether it is on its way decides whether to wait.
        inquiry.settle(|facts| facts.servers(&self.name(), RecordType::Txt).is_some()).await;
        let mut findings = inquiry.settle(|facts| self.findings(answer, facts)).await;
        let holders = servers::holders(&self.case(answer, inquiry.facts()));
        if holders.as_ref().is_some_and(|holders| holders.right) {
            let remembered = |finding: &&mut Finding| matches!(finding.cause.family, Family::Dns | Family::Propagation);
            findings.iter_mut().filter(remembered).for_each(|finding| finding.effect = Effect::Risk);
        }
        (findings, holders)
    }

    fn case<'a>(&'a self, answer: &'a Arc<Answer>, facts: &'a Facts) -> KeyCase<'a> {
        KeyCase {
            domain: &self.domain.name,
            selector: &self.key.selector,
            answer,
            oracle: Oracle::Key(&self.ours),
            profile: self.profile.as_deref(),
            author: Some(&self.domain.name),
            facts,
            history: &self.history,
            at: self.at,
        }
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
