//! The DNS Tree Walk (RFC 9989 §4.10): from a domain up to its top-level domain, in at most eight questions.
//!
//! Names are asked one after the other, because a `psd=` tag or a fault ends the walk; each name is asked once per
//! message. A name too long to be asked with `_dmarc.` before it has no record.

use super::record::{PublicSuffix, Record};
use crate::{
    dns::{Answer, Dns, Fault, Outcome, RecordType},
    name::DomainName,
};
use std::{collections::HashMap, sync::Arc};

/// Every name asked for one message.
#[derive(Default)]
pub(super) struct Tree {
    seen: HashMap<DomainName, Step>,
    /// The answers, in the order of the questions.
    pub answers: Vec<Arc<Answer>>,
    /// Names with several records.
    pub several: Vec<(DomainName, usize)>,
    /// Questions asked in walks that had a limit.
    limited: usize,
}

#[derive(Clone)]
enum Step {
    Record(Arc<Record>),
    Nothing,
    Fault,
}

/// One walk.
pub(super) struct Walk {
    /// The valid records, from the longest name to the shortest.
    pub found: Vec<(DomainName, Arc<Record>)>,
    /// The organizational domain of the start; where the walk ended too early to know it, why.
    pub organizational: Result<DomainName, Stop>,
}

/// Why a walk ended early without a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// DNS gave no answer for this name.
    Fault(DomainName),
    /// No questions left.
    Cap,
}

impl Tree {
    /// Walks from `start`; all walks with a `limit` together ask at most that many questions.
    pub async fn walk(&mut self, dns: &Dns, start: &DomainName, limit: Option<usize>) -> Walk {
        let mut found: Vec<(DomainName, Arc<Record>)> = Vec::new();
        for name in targets(start) {
            if let Some(limit) = limit
                && !self.seen.contains_key(&name)
            {
                if self.limited >= limit {
                    return Walk { found, organizational: Err(Stop::Cap) };
                }
                self.limited += 1;
            }
            match self.step(dns, &name).await {
                Step::Nothing => {}
                Step::Fault => return Walk { found, organizational: Err(Stop::Fault(name)) },
                Step::Record(record) => {
                    let decided = record.public_suffix != PublicSuffix::Unsaid;
                    found.push((name, record));
                    if decided {
                        break;
                    }
                }
            }
        }
        let organizational = Ok(organizational(start, &found));
        Walk { found, organizational }
    }

    /// Asks for the record of one name; several records count as none (§4.10 steps 2 and 6).
    async fn step(&mut self, dns: &Dns, name: &DomainName) -> Step {
        if let Some(step) = self.seen.get(name) {
            return step.clone();
        }
        let answer = dns.query(&format!("_dmarc.{name}"), RecordType::Txt).await;
        let step = match &answer.outcome {
            Outcome::NoData | Outcome::NxDomain | Outcome::Fault(Fault::Unaskable(_)) => Step::Nothing,
            Outcome::Fault(_) => Step::Fault,
            Outcome::Records => {
                let mut records: Vec<Record> =
                    answer.joined_txt().iter().filter_map(|text| Record::read(text)).collect();
                if records.len() > 1 {
                    self.several.push((name.clone(), records.len()));
                    records.clear();
                }
                records.pop().map_or(Step::Nothing, |record| Step::Record(Arc::new(record)))
            }
        };
        self.answers.push(answer);
        self.seen.insert(name.clone(), step.clone());
        step
    }
}

impl Walk {
    /// The record found at this name.
    pub fn record_of(&self, name: &DomainName) -> Option<Arc<Record>> {
        self.found.iter().find(|(found, _)| found == name).map(|(_, record)| Arc::clone(record))
    }
}

/// Selects the organizational domain from the records of a complete walk (§4.10.2, steps 1 to 3).
fn organizational(start: &DomainName, found: &[(DomainName, Arc<Record>)]) -> DomainName {
    for (name, record) in found {
        match record.public_suffix {
            PublicSuffix::No => return name.clone(),
            PublicSuffix::Yes if name != start => return one_label_below(name, start),
            _ => {}
        }
    }
    found.last().map_or(start, |(name, _)| name).clone()
}

/// The name on the way from `start` up to `suffix` that is one label longer than `suffix`.
fn one_label_below(suffix: &DomainName, start: &DomainName) -> DomainName {
    let mut below = start.clone();
    while let Some(parent) = below.parent()
        && parent != *suffix
    {
        below = parent;
    }
    below
}

/// The names to ask, the start first: all its parents, but from eight labels on the first step goes to seven (step 4).
fn targets(start: &DomainName) -> Vec<DomainName> {
    let labels = start.labels().count();
    let up = std::iter::successors(start.parent(), DomainName::parent);
    std::iter::once(start.clone()).chain(up.skip(labels.saturating_sub(8))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        DomainName::new(text).expect("a name")
    }

    #[test]
    fn a_walk_is_never_longer_than_eight_names() {
        for (start, want) in [
            ("com", "com"),
            ("example.com", "example.com com"),
            ("a.mail.example.com", "a.mail.example.com mail.example.com example.com com"),
            ("1.2.3.4.5.6.7.8", "1.2.3.4.5.6.7.8 2.3.4.5.6.7.8 3.4.5.6.7.8 4.5.6.7.8 5.6.7.8 6.7.8 7.8 8"),
            // The example of RFC 9989 §4.10.
            (
                "a.b.c.d.e.f.g.h.i.j.mail.example.com",
                "a.b.c.d.e.f.g.h.i.j.mail.example.com g.h.i.j.mail.example.com h.i.j.mail.example.com \
                 i.j.mail.example.com j.mail.example.com mail.example.com example.com com",
            ),
        ] {
            let names: Vec<String> = targets(&name(start)).iter().map(DomainName::to_string).collect();
            assert_eq!(names.join(" "), want);
        }
        assert_eq!(targets(&name(&("a.".repeat(126) + "a"))).len(), 8);
    }
}
