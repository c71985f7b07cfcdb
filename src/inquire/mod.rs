//! After a failure: what a diagnosis wants to know beyond the verdicts, fetched within a budget.
//!
//! [`diagnose`] is run, what it wanted is asked, and it is run again, until nothing is wanted or the
//! budget is used up. In the milter this happens after the answer to the MTA; it changes no verdict and delays nothing.
//! A question without an answer leaves its detector without it, and the finding says less.

mod authoritative;
pub mod everywhere;

use crate::{
    diagnose::{
        self, Placed,
        case::{Asked, Case, Expected, Facts, Servers, Trial, Wanted},
    },
    dns::{Answer, Dns, Fault, Outcome},
    message::Header,
    verify::{
        message::Verdicts,
        spf::{self, Limits, Query},
        standing::Standing,
    },
};
pub use authoritative::{Bounds, Reach};
use authoritative::{Inquirer, PLENTY, Purse};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::Instant};

/// What may be asked for one message, beyond what its verdicts needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Questions to the resolver and to name servers.
    pub questions: usize,
    /// SPF checks with another record; each may ask questions of its own, which the verdict mostly asked already.
    pub trials: usize,
    /// All of it together.
    pub time: Duration,
}

/// After an answer of the milter: 12 questions in 5 s.
pub const MILTER: Allowance = Allowance { questions: 12, trials: 16, time: Duration::from_secs(5) };

/// For a command with a live resolver: 64 questions in 15 s.
pub const LIVE: Allowance = Allowance { questions: 64, trials: 64, time: Duration::from_secs(15) };

/// For a command with master files, where a question costs nothing.
pub const OFFLINE: Allowance = Allowance { questions: 4096, trials: 512, time: Duration::from_secs(3600) };

/// The most names whose servers are asked in one round.
const NAMES: usize = 4;

/// What is left for the servers of a name before others are asked: its zone's NS, two addresses, and the two servers.
const FOR_SERVERS: usize = 5;

/// Rounds of asking: names found lead to further names, no more than this often. SPF allows ten records behind one
/// another; a round finds one of them.
const ROUNDS: usize = 12;

/// A message that was judged, and is to be diagnosed.
#[derive(Clone, Copy)]
pub struct Judged<'a> {
    /// Its header.
    pub header: &'a Header,
    /// Its body with CRLF line ends; `None` where no copy was kept.
    pub body: Option<&'a [u8]>,
    /// The verdicts.
    pub verdicts: &'a Verdicts,
    /// How it stands.
    pub standing: &'a Standing,
    /// When it was judged, in seconds since 1970.
    pub at: u64,
    /// What the sender should have.
    pub expected: &'a Expected,
}

/// What DNS said beyond a message's verdicts.
pub struct Inquiry {
    dns: Dns,
    /// What SPF was asked, to be asked again with another record.
    query: Option<Query>,
    facts: Facts,
    left: Allowance,
    until: Instant,
    bounds: Arc<Bounds>,
}

impl Inquiry {
    /// Starts one; `query` is what SPF was judged for, `verdicts` fill in what was asked already.
    pub fn new(dns: &Dns, query: Option<Query>, allowance: Allowance) -> Inquiry {
        Inquiry {
            dns: dns.clone(),
            query,
            facts: Facts::default(),
            left: allowance,
            until: Instant::now() + allowance.time,
            bounds: Arc::new(Bounds { reach: Reach::Nobody, pace: None }),
        }
    }

    /// Takes in every answer that the verdicts rest on.
    pub fn know(&mut self, verdicts: &Verdicts) {
        let dkim = verdicts.dkim.iter().filter_map(|result| result.answer.as_ref());
        let spf = verdicts.spf.iter().flat_map(|spf| {
            let helo = spf.helo.iter().flat_map(|helo| helo.answers.iter());
            spf.main.answers.iter().chain(helo)
        });
        for answer in dkim.chain(spf).chain(verdicts.dmarc.answers.iter()) {
            self.facts.insert(answer.clone(), (answer.name.clone(), answer.kind));
        }
    }

    /// Takes in an answer that is known already.
    pub fn take(&mut self, answer: Arc<Answer>) {
        let asked = (answer.name.clone(), answer.kind);
        self.facts.insert(answer, asked);
    }

    /// Takes in what the authoritative servers of a name said a moment ago.
    pub fn take_servers(&mut self, asked: Asked, servers: Arc<Servers>) {
        self.facts.insert_servers(asked, servers);
    }

    /// May authoritative servers be asked, and which? Never where the answers come from files; at nobody's pace but that
    /// of DNS itself.
    pub fn live(&mut self, reach: Reach) {
        let pace = self.dns.pace();
        self.live_at(Bounds { reach, pace });
    }

    /// As [`Inquiry::live`], at this pace.
    pub fn live_at(&mut self, bounds: Bounds) {
        self.facts.live = bounds.reach != Reach::Nobody && !self.dns.resolvers().is_empty();
        self.bounds = Arc::new(bounds);
    }

    /// What is known now.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Why a message fails, or will: the message's own cause first.
    pub async fn message(&mut self, judged: Judged<'_>) -> Vec<Placed> {
        let Judged { header, body, verdicts, standing, at, expected } = judged;
        self.know(verdicts);
        self.settle(|facts| diagnose::diagnose(&Case { header, body, verdicts, standing, at, expected, facts })).await
    }

    /// Runs `diagnose` until it wants nothing more; its last answer counts.
    pub async fn settle<T>(&mut self, mut diagnose: impl FnMut(&Facts) -> T) -> T {
        let mut found = diagnose(&self.facts);
        for _ in 0..ROUNDS {
            let wanted = self.facts.take_wanted();
            if wanted.is_empty() || !self.fetch(wanted).await {
                break;
            }
            found = diagnose(&self.facts);
        }
        found
    }

    /// Fetches what is wanted; `false` if nothing could be.
    async fn fetch(&mut self, mut wanted: Wanted) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        let few = self.left.questions < PLENTY;
        // The servers decide between causes: what is wanted first (the siblings of a profile) and they come before the rest.
        let kept = if few && !wanted.servers.is_empty() { FOR_SERVERS } else { 0 };
        wanted.answers.truncate(self.left.questions.saturating_sub(kept));
        wanted.trials.truncate(self.left.trials);
        self.left.questions -= wanted.answers.len();
        self.left.trials -= wanted.trials.len();
        let mut asked: JoinSet<Fetched> = JoinSet::new();
        for (name, kind) in wanted.answers {
            let dns = self.dns.clone();
            asked.spawn(async move { Fetched::Answer(dns.query(&name, kind).await, (name, kind)) });
        }
        if let Some(query) = &self.query {
            for trial in wanted.trials {
                let dns = spf::with_record(&self.dns, &trial.domain, &trial.record);
                let client_ip = trial.client_ip.unwrap_or(query.client_ip);
                let query = Query { client_ip, ..query.clone() };
                asked.spawn(async move {
                    let outcome = spf::check(&dns, &query, Limits::default()).await;
                    Fetched::Trial(Arc::new(outcome), trial)
                });
            }
        }
        // Last, so that they get what the others leave over.
        let purse = Arc::new(Purse::new(self.left.questions));
        // Several names would each use up what another one needs.
        for question in wanted.servers.into_iter().take(if few { 1 } else { NAMES }) {
            let told = self.facts.known(&question).cloned();
            let inquirer = Inquirer::new(self.dns.clone(), purse.clone(), self.bounds.clone());
            asked.spawn(async move {
                let servers = inquirer.servers(question.clone(), told).await;
                Fetched::Servers(Arc::new(servers), question)
            });
        }
        let mut any = false;
        while let Ok(Some(fetched)) = tokio::time::timeout_at(self.until, asked.join_next()).await {
            match fetched {
                // What was not asked for want of budget is as good as not known.
                Ok(Fetched::Answer(answer, _)) if answer.outcome == Outcome::Fault(Fault::Budget) => {}
                Ok(Fetched::Answer(answer, asked)) => {
                    self.facts.insert(answer, asked);
                    any = true;
                }
                Ok(Fetched::Trial(outcome, trial)) => {
                    self.facts.insert_trial(trial, outcome);
                    any = true;
                }
                Ok(Fetched::Servers(servers, asked)) => {
                    self.facts.insert_servers(asked, servers);
                    any = true;
                }
                // A task that died leaves its question without an answer.
                Err(_) => {}
            }
        }
        self.left.questions = purse.left();
        any
    }
}

enum Fetched {
    Answer(Arc<Answer>, Asked),
    Trial(Arc<spf::Outcome>, Trial),
    Servers(Arc<Servers>, Asked),
}
