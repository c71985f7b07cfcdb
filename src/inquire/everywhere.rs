//! Is the record of a key seen everywhere: by the resolver, and by every name server of the zone, each asked by itself?
//!
//! This is stricter than a diagnosis, which takes a silent server for neither: before a new key signs there is no hurry,
//! and a server that does not answer now may come back with the zone of yesterday.

use super::{Allowance, Inquiry, Reach};
use crate::{
    diagnose::{
        case::{Facts, KeyCase, Match, Oracle, Service},
        domain::record_findings,
        finding::{Effect, Finding},
        register::{Family, propagation},
    },
    dkim::record::{Key, KeyRecord},
    dns::{Answer, Dns, Outcome, RecordType},
    key::Record,
    name::DomainName,
};
use std::time::Duration;

/// What one look may cost: enough for eight servers whose addresses are not known yet, at the pace of the watch, so that
/// none is left out.
const LOOK: Allowance = Allowance { questions: 64, trials: 0, time: Duration::from_secs(30) };

/// Aliases that are followed to the servers of another zone.
const ALIASES: usize = 2;

/// A key, and the name that its record is expected at.
pub struct Expected<'a> {
    /// d=.
    pub domain: &'a DomainName,
    /// s=.
    pub selector: &'a DomainName,
    /// The public half.
    pub key: &'a Key,
}

/// The names of the servers that have the record, as the resolver has it; or what stands in the way.
pub async fn seen(dns: &Dns, expected: &Expected<'_>, at: u64) -> Result<Vec<String>, String> {
    let name = Record::dkim_name(expected.selector, expected.domain).map_err(|error| error.to_string())?.to_string();
    let answer = dns.renew(&name, RecordType::Txt).await;
    if let Outcome::Fault(fault) = &answer.outcome {
        return Err(format!("the resolver gives no answer for {name}: {fault}"));
    }
    let oracle = Oracle::Key(expected.key);
    let findings = |facts: &Facts| {
        let case = KeyCase {
            domain: expected.domain,
            selector: expected.selector,
            answer: &answer,
            oracle,
            profile: None,
            author: Some(expected.domain),
            facts,
            history: &[],
            at,
        };
        record_findings(&case)
    };
    hindrance(&findings(&Facts::default()))?;
    let mut inquiry = Inquiry::new(dns, None, LOOK);
    inquiry.take(answer.clone());
    inquiry.live(Reach::Everybody);
    // Names that it may have been published at by mistake can wait.
    inquiry.settle(|facts| facts.servers(&name, RecordType::Txt).is_some()).await;
    hindrance(&inquiry.settle(findings).await)?;
    let is_ours = |answer: &Answer| {
        let key = |text: &Vec<u8>| KeyRecord::read(text).key;
        answer.joined_txt().iter().filter_map(key).any(|key| oracle.knows(&key) == Match::Proven)
    };
    let (mut names, mut name) = (Vec::new(), name);
    for _ in 0..=ALIASES {
        match servers(inquiry.facts(), &name, &is_ours)? {
            (seen, None) => {
                names.extend(seen);
                return Ok(names);
            }
            (seen, Some(target)) => {
                names.extend(seen);
                name = target;
                inquiry.settle(|facts| facts.servers(&name, RecordType::Txt).is_some()).await;
            }
        }
    }
    Err(format!("too many aliases lead to {name}"))
}

/// What a finding says against it.
fn hindrance(findings: &[Finding]) -> Result<(), String> {
    let differs = |finding: &&Finding| {
        let of_servers = matches!(finding.cause.family, Family::Dns | Family::Propagation);
        match finding.effect {
            Effect::Breaks => true,
            Effect::Risk => of_servers && finding.cause != &propagation::TTL_OUT_OF_RANGE,
            _ => false,
        }
    };
    match findings.iter().find(differs) {
        Some(finding) => Err(finding.claim.clone()),
        None => Ok(()),
    }
}

/// The servers of the zone of a name, if each of them has the key, or the same alias, whose target comes with them.
fn servers(
    facts: &Facts,
    name: &str,
    is_ours: &impl Fn(&Answer) -> bool,
) -> Result<(Vec<String>, Option<String>), String> {
    let servers = facts.servers(name, RecordType::Txt).filter(|servers| servers.serving().next().is_some());
    let Some(servers) = servers else {
        return Err(format!(
            "no name server of the zone of {name} could be asked, and the resolver alone proves nothing"
        ));
    };
    if let Some(unknown) = servers.without_address.first() {
        return Err(format!("the name server {unknown} has no address that can be asked"));
    }
    let mut target: Option<String> = None;
    for server in &servers.answers {
        let said = |what: &str| Err(format!("the name server {} ({}) {what}", server.name, server.address.ip()));
        if server.service != Service::Serves {
            return said(&format!("does not serve the zone now: {}", server.line()));
        }
        match server.answer.only_alias() {
            Some(alias) if target.as_ref().is_none_or(|known| *known == alias) => target = Some(alias),
            Some(_) => return said("has another alias than the others"),
            None if target.is_none() && is_ours(&server.answer) => {}
            None => return said("does not have the record of the new key"),
        }
    }
    let names: Vec<String> = servers.answers.iter().map(|server| server.name.clone()).collect();
    Ok((names, target))
}

/// Is there nothing (any more) that a signature could be verified with?
pub fn is_gone(answer: &Answer) -> bool {
    let has_key = |text: &Vec<u8>| KeyRecord::read(text).key.is_some();
    answer.is_negative() || answer.outcome == Outcome::Records && !answer.joined_txt().iter().any(has_key)
}
