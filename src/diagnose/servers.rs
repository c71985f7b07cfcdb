//! What the name servers of a zone say to the question for a key, and what each of them is: the table that the detectors
//! of propagation and of DNS itself read.
//!
//! The servers are asked only where something is wrong with the key as the resolver gave it, or where a domain is checked.
//! A server that was silent counts neither way: it may as well be the way to it.

use super::{
    case::{KeyCase, Match, Oracle, ServerAnswer, Servers, Service},
    delegation,
    finding::{Effect, Finding, Subject},
    propagation,
    register::{self, Family},
    report::rcode,
};
use crate::{
    dns::{Answer, Outcome, RecordType},
    verify::Word,
};
use std::{net::SocketAddr, sync::Arc};

/// The most aliases that are followed from zone to zone.
const ALIASES: usize = 2;

/// The findings that rest on more than one server.
pub fn findings(key: &KeyCase<'_>) -> Vec<Finding> {
    if !is_in_question(key) {
        return Vec::new();
    }
    let (mut findings, mut name) = (Vec::new(), key.name());
    for _ in 0..=ALIASES {
        let Some(servers) = key.facts.servers(&name, RecordType::Txt) else { break };
        let table = Table::new(key, servers);
        let own = delegation::findings(&table);
        // What the servers of the delegation lack is no change on its way then.
        let explained = own.iter().any(|finding| {
            finding.effect == Effect::Breaks || finding.cause == &register::delegation::ZONE_NOT_AUTHORITATIVE
        });
        findings.extend(own);
        if !explained {
            findings.extend(propagation::findings(&table));
        }
        match table.alias() {
            Some(target) if findings.iter().all(|finding| finding.effect != Effect::Breaks) => name = target,
            _ => break,
        }
    }
    findings
}

/// Those who hold the record in the end, behind the aliases that everybody gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holders {
    /// The name that they are asked for.
    pub name: String,
    /// Those that answer with authority.
    pub addresses: Vec<SocketAddr>,
    /// Does each of them give the right key?
    pub right: bool,
}

/// Whom to ask past all caches, as far as they are known.
pub fn holders(key: &KeyCase<'_>) -> Option<Holders> {
    let mut name = key.name();
    for _ in 0..=ALIASES {
        let table = Table::new(key, key.facts.servers(&name, RecordType::Txt)?);
        match table.alias() {
            Some(target) => name = target,
            None => {
                let addresses: Vec<SocketAddr> = table.serving().map(|server| server.address).collect();
                let right = table.serving().all(|server| table.worth(&server.answer) == Worth::Right);
                return (!addresses.is_empty()).then_some(Holders { name, addresses, right });
            }
        }
    }
    None
}

/// What the servers themselves say where a record is missing: that nobody has it, so that waiting does not help.
pub fn confirm(key: &KeyCase<'_>, findings: Vec<Finding>) -> Vec<Finding> {
    let missing = |finding: &Finding| finding.cause == &register::place::RECORD_NOT_FOUND;
    if !findings.iter().any(missing) || !is_in_question(key) {
        return findings;
    }
    let Some(servers) = key.facts.servers(&key.name(), RecordType::Txt) else { return findings };
    let table = Table::new(key, servers);
    let mut serving = table.serving();
    let Some(first) = serving.clone().next().filter(|_| serving.all(|server| server.answer.is_negative())) else {
        return findings;
    };
    let because = match table.serving().count() {
        1 => format!("{} does not have the record: waiting does not help", first.name),
        count => format!("none of the {count} name servers has the record: waiting does not help"),
    };
    let confirmed = |finding: Finding| match missing(&finding) {
        true => finding
            .dns(&first.name, &first.answer)
            .text(&format!("the name servers of {}", servers.zone), table.lines())
            .not(&register::propagation::PROPAGATION_PENDING, because.clone()),
        false => finding,
    };
    findings.into_iter().map(confirmed).collect()
}

/// Leaves out that DNS gave no answer at the From domain where the reason was found at the key of the same domain.
pub fn without_echoes(findings: Vec<Finding>) -> Vec<Finding> {
    let echoes: Vec<bool> = findings.iter().map(|finding| is_echo(finding, &findings)).collect();
    findings.into_iter().zip(echoes).filter(|(_, echo)| !echo).map(|(finding, _)| finding).collect()
}

fn is_echo(finding: &Finding, found: &[Finding]) -> bool {
    let Subject::Dmarc(Some(author)) = &finding.subject else { return false };
    let same = |subject: &Subject| match subject {
        Subject::Signature { domain: Some(domain), .. } => domain.is_within(author) || author.is_within(domain),
        _ => false,
    };
    finding.cause == &register::dns::LOOKUP_FAILED
        && found
            .iter()
            .any(|other| other.effect == Effect::Breaks && other.cause.family == Family::Dns && same(&other.subject))
}

/// Is it open whether the right key was found? A signature whose key is at hand failed for other reasons.
fn is_in_question(key: &KeyCase<'_>) -> bool {
    match key.oracle {
        Oracle::Signature(result) => {
            result.result != Word::Pass && !key.sound(key.answer).is_some_and(|(_, _, found)| found.is_signer())
        }
        Oracle::Key(_) | Oracle::None => true,
    }
}

/// What an answer is worth for the key in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// No key can be read from it.
    Nothing,
    /// A key, and not the right one.
    Wrong,
    /// A key of which nobody knows whether it is the right one.
    Sound,
    /// The right key.
    Right,
}

/// The servers of a zone against the resolver.
pub struct Table<'a> {
    /// The key in question.
    pub key: &'a KeyCase<'a>,
    /// All that was asked.
    pub servers: &'a Servers,
}

impl<'a> Table<'a> {
    fn new(key: &'a KeyCase<'a>, servers: &'a Servers) -> Table<'a> {
        Table { key, servers }
    }

    /// The resolver's answer.
    pub fn resolver(&self) -> &'a Arc<Answer> {
        self.key.answer
    }

    /// Delegated servers in this condition.
    pub fn delegated(&self, service: Service) -> impl Iterator<Item = &'a ServerAnswer> + Clone + use<'a> {
        self.servers.answers.iter().filter(move |server| server.delegated && server.service == service)
    }

    /// Delegated servers that answer with authority.
    pub fn serving(&self) -> impl Iterator<Item = &'a ServerAnswer> + Clone + use<'a> {
        self.delegated(Service::Serves)
    }

    /// What an answer is worth.
    pub fn worth(&self, answer: &Answer) -> Worth {
        match self.key.sound(answer) {
            None => Worth::Nothing,
            Some((_, _, Match::Proven | Match::Signer)) => Worth::Right,
            Some((_, _, Match::Open)) => Worth::Sound,
            Some((_, _, Match::Refuted)) => Worth::Wrong,
        }
    }

    /// Does the resolver give what this server gives, TTL and order aside? An alias counts for what it leads to.
    pub fn agrees(&self, server: &ServerAnswer) -> bool {
        let (resolver, server) = (self.resolver(), &server.answer);
        match server.only_alias() {
            Some(_) => server.records.iter().all(|record| {
                resolver.records.iter().any(|other| other.name == record.name && other.data == record.data)
            }),
            None => content(resolver) == content(server),
        }
    }

    /// Where the name leads, if every server says so and the resolver went there.
    fn alias(&self) -> Option<String> {
        let mut serving = self.serving();
        let target = serving.next()?.answer.only_alias()?;
        let all =
            self.serving().all(|server| server.answer.only_alias().as_ref() == Some(&target) && self.agrees(server));
        all.then_some(target)
    }

    /// A finding with the table as its evidence: the resolver's answer, each different answer of a server, and all servers
    /// in lines.
    pub fn shown(&self, finding: Finding) -> Finding {
        let mut finding = finding.dns("the resolver", self.resolver());
        let mut contents = Vec::new();
        for server in &self.servers.answers {
            let content = (content(&server.answer), rcode(&server.answer.outcome));
            if !contents.contains(&content) {
                finding = finding.dns(&server.name, &server.answer);
                contents.push(content);
            }
        }
        match self.servers.answers.is_empty() {
            true => finding,
            false => finding.text(&format!("the name servers of {}", self.servers.zone), self.lines()),
        }
    }

    /// All servers, each in a line.
    fn lines(&self) -> String {
        let lines: Vec<String> = self.servers.answers.iter().map(ServerAnswer::line).collect();
        lines.join("\n")
    }
}

/// Names in a row: `a`, `a and b`, `a, b and c`.
pub fn names<'a>(servers: impl Iterator<Item = &'a ServerAnswer>) -> String {
    let mut names: Vec<&str> = servers.map(|server| server.name.as_str()).collect();
    names.dedup();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// The TXT records of an answer, each joined, in no order.
pub fn content(answer: &Answer) -> Vec<Vec<u8>> {
    let mut content = answer.joined_txt();
    content.sort();
    content
}

/// Is this an answer at all?
pub fn is_answer(answer: &Answer) -> bool {
    !matches!(answer.outcome, Outcome::Fault(_))
}

/// The end of a clause that says how long a copy lives on.
pub fn wait(seconds: u32) -> String {
    match seconds {
        0..=120 => format!("{seconds} s"),
        121..=7200 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3600)),
    }
}
