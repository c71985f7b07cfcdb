//! check_host() of RFC 7208 §4: the records are walked term by term.
//!
//! An `include` puts the present record on a list and goes on with the other, `redirect=` replaces it: nothing calls
//! itself, so no record can exhaust the stack. Every `include` and `redirect=` is one of the terms that are counted.

use super::{
    Limits, Outcome, Place, Query, Reason, Scope, SpfResult, Visit,
    expand::{Expansion, askable, dotted, is_within, received},
    identity,
};
use crate::{
    dns::{Answer, Data, Dns, Fault, Outcome as Answered, RecordType},
    spf::{DualPrefix, Letter, MacroString, Mechanism, Qualifier, Record, Selection, Term, TermKind, select},
};
use std::{net::IpAddr, sync::Arc};

/// The longest explanation, in octets. Two lines of an SMTP reply (512 octets each, RFC 5321 §4.5.3.1.5) hold what
/// people read; macros could make gigabytes.
const LONGEST_EXPLANATION: usize = 1024;

/// One check on its way.
pub(super) struct Check<'a> {
    dns: &'a Dns,
    query: &'a Query,
    client_ip: IpAddr,
    identity: identity::Identity,
    helo: Vec<u8>,
    limits: Limits,
    visits: Vec<Visit>,
    answers: Vec<Arc<Answer>>,
    terms: usize,
    voids: usize,
    /// Has the present term been counted among the voids?
    void_counted: bool,
    /// The validated names of the client, once they were asked for.
    client_names: Option<ClientNames>,
}

#[derive(Clone, Default)]
struct ClientNames {
    names: Vec<String>,
    void: bool,
}

/// A record, and how far it is read.
struct Frame {
    visit: usize,
    domain: String,
    record: Arc<Record>,
    /// The next term; the present one is before it.
    next: usize,
    /// The qualifier of the `include` that is being followed.
    pending: Qualifier,
}

enum Step {
    Next,
    Include(Frame),
    Redirect(Frame),
    /// The record gives this result by the present term.
    Matched(SpfResult),
    /// No term matched.
    Exhausted,
}

/// What a domain-spec expanded to.
enum Target {
    Name(String),
    /// No name that could be asked for.
    Malformed,
    /// Made of a local part that no name can hold: the term does not match (RFC 8616 §4).
    Unmatchable,
}

impl<'a> Check<'a> {
    pub(super) fn new(dns: &'a Dns, query: &'a Query, identity: identity::Identity, limits: Limits) -> Check<'a> {
        Check {
            dns,
            query,
            client_ip: query.client_ip.to_canonical(),
            identity,
            helo: identity::helo_value(&query.helo),
            limits,
            visits: Vec::new(),
            answers: Vec::new(),
            terms: 0,
            voids: 0,
            void_counted: false,
            client_names: None,
        }
    }

    pub(super) async fn run(mut self, scope: Scope) -> Outcome {
        let (result, reason, path) = match self.evaluate().await {
            Ok((SpfResult::Neutral, path)) if path.is_empty() => (SpfResult::Neutral, Reason::NoMatch, path),
            Ok((result, path)) => (result, Reason::Matched(self.text(path.first())), path),
            Err((reason, path)) => (reason.result(), reason, path),
        };
        let explanation = match path.first() {
            Some(place) if result == SpfResult::Fail => self.explain(place.visit).await,
            _ => None,
        };
        Outcome {
            result,
            scope,
            domain: Some(self.identity.domain),
            client_ip: self.client_ip,
            reason,
            path,
            explanation,
            visits: self.visits,
            terms: self.terms,
            voids: self.voids,
            answers: self.answers,
        }
    }

    /// Walks the records; gives the result and the way to the term that decided.
    async fn evaluate(&mut self) -> Result<(SpfResult, Vec<Place>), (Reason, Vec<Place>)> {
        let domain = self.identity.spelled.clone();
        let mut frame = self.visit(domain, 0, None).await.map_err(|reason| (reason, Vec::new()))?;
        let mut parents: Vec<Frame> = Vec::new();
        loop {
            let step = self.advance(&mut frame, parents.len()).await;
            let places = || parents.iter().chain([&frame]).map(Frame::place).collect();
            let (mut result, path) = match step {
                Ok(Step::Next) => continue,
                Ok(Step::Include(included)) => {
                    parents.push(std::mem::replace(&mut frame, included));
                    continue;
                }
                Ok(Step::Redirect(target)) => {
                    frame = target;
                    continue;
                }
                Ok(Step::Matched(result)) => (result, places()),
                Ok(Step::Exhausted) => (SpfResult::Neutral, Vec::new()),
                Err(reason) => return Err((reason, places())),
            };
            // A record that passes makes the `include` that led to it match; any other result does not (§5.2).
            loop {
                let Some(parent) = parents.pop() else { return Ok((result, path)) };
                frame = parent;
                if result != SpfResult::Pass {
                    break;
                }
                result = frame.pending.into();
            }
        }
    }

    /// Evaluates one term, or what follows the last.
    async fn advance(&mut self, frame: &mut Frame, depth: usize) -> Result<Step, Reason> {
        let record = Arc::clone(&frame.record);
        let Some(term) = record.terms().get(frame.next) else { return self.redirect(frame, depth).await };
        frame.next += 1;
        let TermKind::Directive { qualifier, mechanism } = &term.kind else { return Ok(Step::Next) };
        self.count(term)?;
        if let Mechanism::Include(target) = mechanism {
            frame.pending = *qualifier;
            return match self.target(target, &frame.domain).await? {
                Target::Unmatchable => Ok(Step::Next),
                target => self.follow(target, frame, depth + 1).await.map(Step::Include),
            };
        }
        let matched = self.matches(mechanism, &frame.domain).await?;
        Ok(if matched { Step::Matched((*qualifier).into()) } else { Step::Next })
    }

    /// `redirect=`, which counts where no directive matched (§6.1).
    async fn redirect(&mut self, frame: &mut Frame, depth: usize) -> Result<Step, Reason> {
        let record = Arc::clone(&frame.record);
        let Some((at, target)) = record.redirect() else { return Ok(Step::Exhausted) };
        frame.next = at + 1;
        self.count(&record.terms()[at])?;
        let target = self.target(target, &frame.domain).await?;
        self.follow(target, frame, depth).await.map(Step::Redirect)
    }

    /// Goes to the record that the present term of `from` leads to; there must be one (§5.2, §6.1).
    async fn follow(&mut self, target: Target, from: &Frame, depth: usize) -> Result<Frame, Reason> {
        let place = from.place();
        let term = self.text(Some(&place));
        match target {
            Target::Name(name) if name.contains('.') => match self.visit(name, depth, Some(place)).await {
                Err(Reason::NoRecord { domain }) => Err(Reason::TargetWithoutRecord { term, domain }),
                other => other,
            },
            _ => Err(Reason::TargetMalformed { term }),
        }
    }

    /// Asks for the record of a domain and reads it (§4.4, §4.5, §4.6).
    async fn visit(&mut self, domain: String, depth: usize, via: Option<Place>) -> Result<Frame, Reason> {
        let answer = self.ask(&domain, RecordType::Txt).await?;
        let texts = answer.joined_txt();
        let mut visit = Visit {
            domain: domain.clone(),
            depth,
            via,
            answer: Arc::clone(&answer),
            record: None,
            problems: Vec::new(),
        };
        let found = match (&answer.outcome, select(texts.iter().map(Vec::as_slice))) {
            (Answered::Fault(Fault::Unaskable(_)), _) => Err(Reason::NoRecord { domain }),
            (Answered::Fault(fault), _) => Err(fault_of(&answer, fault)),
            (_, Selection::None) => Err(Reason::NoRecord { domain }),
            (_, Selection::Several(found)) => Err(Reason::SeveralRecords { domain, count: found.len() }),
            (_, Selection::One(text)) => {
                let (record, problems) = Record::read(text);
                let record = Arc::new(record);
                visit.record = Some(Arc::clone(&record));
                visit.problems = problems;
                match visit.problems.first() {
                    Some(problem) => Err(Reason::Syntax { domain, problem: problem.clone() }),
                    None => {
                        Ok(Frame { visit: self.visits.len(), domain, record, next: 0, pending: Qualifier::Neutral })
                    }
                }
            }
        };
        self.visits.push(visit);
        found
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Reason> {
        match (mechanism, self.client_ip) {
            (Mechanism::All, _) => Ok(true),
            (Mechanism::Ip4(network, prefix), IpAddr::V4(_)) => Ok(self.client_in((*network).into(), *prefix)),
            (Mechanism::Ip6(network, prefix), IpAddr::V6(_)) => Ok(self.client_in((*network).into(), *prefix)),
            (Mechanism::Ip4(..) | Mechanism::Ip6(..) | Mechanism::Include(_), _) => Ok(false),
            (Mechanism::A(target, prefix), _) => match self.name(target.as_ref(), domain).await? {
                Some(name) => self.address_matches(&name, *prefix).await,
                None => Ok(false),
            },
            (Mechanism::Mx(target, prefix), _) => match self.name(target.as_ref(), domain).await? {
                Some(name) => self.exchanger_matches(&name, *prefix).await,
                None => Ok(false),
            },
            (Mechanism::Exists(target), _) => match self.name(Some(target), domain).await? {
                Some(name) => Ok(self.look_up(&name, RecordType::A).await?.addresses().next().is_some()),
                None => Ok(false),
            },
            (Mechanism::Ptr(target), _) => match self.name(target.as_ref(), domain).await? {
                Some(name) => Ok(self.client_names().await?.iter().any(|found| is_within(found, &name))),
                None => Ok(false),
            },
        }
    }

    /// Is the client at an address of this name (§5.3)?
    async fn address_matches(&mut self, name: &str, prefix: DualPrefix) -> Result<bool, Reason> {
        let (kind, prefix) = match self.client_ip {
            IpAddr::V4(_) => (RecordType::A, prefix.ip4),
            IpAddr::V6(_) => (RecordType::Aaaa, prefix.ip6),
        };
        let answer = self.look_up(name, kind).await?;
        Ok(answer.addresses().any(|address| self.client_in(address, prefix)))
    }

    /// Is the client a mail exchanger of this name (§5.4)?
    ///
    /// Too many MX records are an error before any is looked at: DNS gives them in no order, and the result must not
    /// depend on it.
    async fn exchanger_matches(&mut self, name: &str, prefix: DualPrefix) -> Result<bool, Reason> {
        let answer = self.look_up(name, RecordType::Mx).await?;
        let mut exchangers: Vec<(u16, &str)> = answer
            .records
            .iter()
            .filter_map(|record| match &record.data {
                Data::Mx { preference, exchange } => Some((*preference, exchange.as_str())),
                _ => None,
            })
            .collect();
        if exchangers.len() > self.limits.names {
            return Err(Reason::TooManyExchangers { domain: name.to_owned(), limit: self.limits.names });
        }
        exchangers.sort_by_key(|(preference, _)| *preference);
        for (_, exchange) in exchangers {
            let Some(exchange) = received(exchange) else { continue };
            if self.address_matches(&exchange, prefix).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The names of the client that lead back to its address (§5.5), asked for once in a check.
    ///
    /// Only the first PTR records count, and a fault means that the name is not validated: both are in the hand of the
    /// client, not of the domain.
    async fn client_names(&mut self) -> Result<Vec<String>, Reason> {
        let found = match &self.client_names {
            Some(found) => found.clone(),
            None => {
                let found = self.find_client_names().await?;
                self.client_names = Some(found.clone());
                found
            }
        };
        if found.void {
            self.count_void()?;
        }
        Ok(found.names)
    }

    async fn find_client_names(&mut self) -> Result<ClientNames, Reason> {
        let (zone, kind) = match self.client_ip {
            IpAddr::V4(_) => ("in-addr.arpa", RecordType::A),
            IpAddr::V6(_) => ("ip6.arpa", RecordType::Aaaa),
        };
        let labels: Vec<String> = dotted(self.client_ip).rsplit('.').map(str::to_owned).collect();
        let answer = self.ask(&format!("{}.{zone}", labels.join(".")), RecordType::Ptr).await?;
        let mut found = ClientNames { names: Vec::new(), void: answer.is_negative() };
        let pointers = answer.records.iter().filter_map(|record| match &record.data {
            Data::Ptr(name) => Some(name.as_str()),
            _ => None,
        });
        for pointer in pointers.take(self.limits.names) {
            let Some(name) = received(pointer) else { continue };
            let answer = self.ask(&name, kind).await?;
            found.void |= answer.is_negative();
            if answer.addresses().any(|address| address == self.client_ip) {
                found.names.push(name);
            }
        }
        Ok(found)
    }

    /// The name that a mechanism asks for; `None` where it is none, so that the mechanism does not match (§4.8).
    async fn name(&mut self, target: Option<&MacroString>, domain: &str) -> Result<Option<String>, Reason> {
        let Some(target) = target else { return Ok(Some(domain.to_owned())) };
        Ok(match self.target(target, domain).await? {
            Target::Name(name) => Some(name),
            Target::Malformed | Target::Unmatchable => None,
        })
    }

    /// Expands a domain-spec (§7.3).
    async fn target(&mut self, target: &MacroString, domain: &str) -> Result<Target, Reason> {
        let local = target.uses(Letter::LocalPart) || target.uses(Letter::Sender);
        if local && !self.identity.local_part.is_ascii() {
            return Ok(Target::Unmatchable);
        }
        let values = self.values(target, domain).await?;
        Ok(askable(&target.expand_domain(&values)).map_or(Target::Malformed, Target::Name))
    }

    /// The values for a macro string; the client's names are asked for if it needs them.
    async fn values<'v>(&'v mut self, target: &MacroString, domain: &'v str) -> Result<Expansion<'v>, Reason> {
        let validated = if target.uses(Letter::ValidatedName) {
            let names = self.client_names().await?;
            // §7.3: the domain itself, else a name within it, else any.
            let best = names
                .iter()
                .find(|name| name.eq_ignore_ascii_case(domain))
                .or_else(|| names.iter().find(|name| is_within(name, domain)))
                .or_else(|| names.first());
            best.cloned()
        } else {
            None
        };
        let validated = validated.unwrap_or_else(|| "unknown".to_owned());
        Ok(Expansion {
            identity: &self.identity,
            query: self.query,
            helo: &self.helo,
            ip: self.client_ip,
            domain,
            validated,
        })
    }

    /// What exp= of a record gives; any trouble on the way means none (§6.2). It counts against no limit but ours.
    async fn explain(&mut self, visit: usize) -> Option<String> {
        // Voids are counted once a term; this one counts as counted.
        self.void_counted = true;
        let domain = self.visits.get(visit)?.domain.clone();
        let record = Arc::clone(self.visits[visit].record.as_ref()?);
        let Target::Name(name) = self.target(record.exp()?, &domain).await.ok()? else { return None };
        let answer = self.ask(&name, RecordType::Txt).await.ok()?;
        let [text] = &answer.joined_txt()[..] else { return None };
        let text = MacroString::read_explanation(text).ok()?;
        let values = self.values(&text, &domain).await.ok()?;
        let text = text.expand_text(&values, LONGEST_EXPLANATION)?;
        let printable = text.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
        String::from_utf8(text).ok().filter(|_| printable)
    }

    /// Asks, and counts an empty answer; a fault ends the check (§4.6.4, §5).
    async fn look_up(&mut self, name: &str, kind: RecordType) -> Result<Arc<Answer>, Reason> {
        let answer = self.ask(name, kind).await?;
        match &answer.outcome {
            Answered::NoData | Answered::NxDomain => self.count_void()?,
            Answered::Fault(Fault::Unaskable(_)) | Answered::Records => {}
            Answered::Fault(fault) => return Err(fault_of(&answer, fault)),
        }
        Ok(answer)
    }

    async fn ask(&mut self, name: &str, kind: RecordType) -> Result<Arc<Answer>, Reason> {
        if self.answers.len() >= self.limits.questions {
            return Err(Reason::TooManyQuestions(self.limits.questions));
        }
        let answer = self.dns.query(name, kind).await;
        self.answers.push(Arc::clone(&answer));
        Ok(answer)
    }

    /// Counts a term that is about to be evaluated.
    fn count(&mut self, term: &Term) -> Result<(), Reason> {
        self.void_counted = false;
        if term.needs_dns() {
            self.terms += 1;
            if self.terms > self.limits.terms {
                return Err(Reason::TooManyTerms(self.limits.terms));
            }
        }
        Ok(())
    }

    /// Counts the present term among those that find nothing in DNS.
    ///
    /// §4.6.4 limits "the number of terms" whose queries come back empty, so a term counts once, however many names an
    /// `mx` leads to: else three exchangers without AAAA record would break the record for every IPv6 client.
    fn count_void(&mut self) -> Result<(), Reason> {
        if std::mem::replace(&mut self.void_counted, true) {
            return Ok(());
        }
        self.voids += 1;
        if self.voids > self.limits.voids {
            return Err(Reason::TooManyVoids(self.limits.voids));
        }
        Ok(())
    }

    fn client_in(&self, network: IpAddr, prefix: u8) -> bool {
        match (self.client_ip, network) {
            (IpAddr::V4(client), IpAddr::V4(network)) => {
                let shift = 32 - u32::from(prefix.min(32));
                (client.to_bits() ^ network.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(client), IpAddr::V6(network)) => {
                let shift = 128 - u32::from(prefix.min(128));
                (client.to_bits() ^ network.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The text of a term visited, at most 80 characters.
    fn text(&self, place: Option<&Place>) -> String {
        let text = place.and_then(|place| {
            let record = self.visits.get(place.visit)?.record.as_ref()?;
            Some(record.text(record.terms().get(place.term)?.range.clone()))
        });
        text.unwrap_or_default()
    }
}

impl Frame {
    /// The present term.
    fn place(&self) -> Place {
        Place { visit: self.visit, term: self.next.saturating_sub(1) }
    }
}

impl From<Qualifier> for SpfResult {
    fn from(qualifier: Qualifier) -> SpfResult {
        match qualifier {
            Qualifier::Pass => SpfResult::Pass,
            Qualifier::Fail => SpfResult::Fail,
            Qualifier::SoftFail => SpfResult::SoftFail,
            Qualifier::Neutral => SpfResult::Neutral,
        }
    }
}

impl Reason {
    /// The result where this is why no term could decide.
    fn result(&self) -> SpfResult {
        match self {
            Reason::NoDomain(..) | Reason::NoRecord { .. } => SpfResult::None,
            Reason::Fault { .. } => SpfResult::TempError,
            _ => SpfResult::PermError,
        }
    }
}

fn fault_of(answer: &Answer, fault: &Fault) -> Reason {
    Reason::Fault { name: answer.name.clone(), kind: answer.kind, fault: fault.clone() }
}
