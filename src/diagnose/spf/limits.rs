//! The limits of RFC 7208 §4.6.4: terms that need DNS, terms that find nothing, mail exchangers.

use super::{
    Judged, Sight,
    fault::{authorises, cycle},
    show::count,
    tree::{Tree, plain},
};
use crate::{
    diagnose::{
        finding::{Confidence, Finding},
        register::spf as causes,
    },
    dns::{Answer, RecordType},
    spf::{Mechanism, Record, TermKind},
    verify::spf::Outcome,
};
use std::sync::Arc;

/// Names that are shown.
const SHOWN: usize = 6;

/// More than ten terms that need DNS.
pub fn terms(judged: &Judged<'_>, outcome: &Outcome) -> Vec<Finding> {
    if let Some(finding) = cycle(judged, outcome) {
        return vec![finding];
    }
    let Some(own) = outcome.visits.first() else { return Vec::new() };
    let tree = Tree::walk(judged.facts, &own.domain, &own.answer, false);
    vec![too_many_terms(judged, &own.domain, &tree)]
}

/// The finding on a tree with too many terms.
pub fn too_many_terms(judged: &Judged<'_>, domain: &str, tree: &Tree) -> Finding {
    let claim = format!(
        "the SPF record of {domain} needs {} that ask DNS, with those of the records that it leads to; 10 are allowed",
        count(tree.terms.max(11), "term")
    );
    judged
        .breaks(&causes::TOO_MANY_LOOKUPS, Confidence::Certain, claim)
        .text("terms that need DNS", tree.text())
        .fix("remove includes of services that no longer send for you")
        .fix("replace a and mx by ip4: and ip6: with the addresses, where these are yours and seldom change")
        .fix("give services with many includes a subdomain of their own as envelope sender")
}

/// More than two terms that find nothing.
pub fn voids(judged: &Judged<'_>, outcome: &Outcome) -> Vec<Finding> {
    let Some(own) = outcome.visits.first() else { return Vec::new() };
    let empty: Vec<&Arc<Answer>> = outcome.answers.iter().filter(|answer| answer.is_negative()).collect();
    vec![too_many_voids(judged, own.into(), &empty)]
}

/// The finding on names that hold nothing.
pub fn too_many_voids(judged: &Judged<'_>, sight: Sight<'_>, empty: &[&Arc<Answer>]) -> Finding {
    let names: Vec<&str> = empty.iter().take(SHOWN).map(|answer| answer.name.as_str()).collect();
    let claim = format!(
        "{} in the SPF record of {} find nothing in DNS; receivers stop after 2: {}",
        count(empty.len(), "term"),
        sight.domain,
        names.join(", ")
    );
    let mut finding = judged.breaks(&causes::TOO_MANY_VOID_LOOKUPS, Confidence::Certain, claim);
    for answer in empty.iter().take(SHOWN) {
        finding = finding.dns("finds nothing", answer);
    }
    finding = finding.fix("remove the terms whose names no longer exist");
    if empty.iter().any(|answer| other_family(judged, answer) == Some(true)) {
        finding =
            finding.fix("where a name has addresses of one family alone, write ip4: or ip6: in place of the name");
    }
    let Some(record) = sight.record else { return finding };
    let without = without_names(judged, record, sight.domain, empty);
    if without == record.as_bytes() || !authorises(&without) {
        return finding;
    }
    if judged.passes(sight.domain, &without) {
        finding = finding.text("tried", "without these terms, SPF passes");
    }
    finding.publish(sight.domain, String::from_utf8_lossy(&without).into_owned())
}

/// Where a name has no address of one family: has it one of the other? `None` where that is not known, or not the question.
fn other_family(judged: &Judged<'_>, empty: &Answer) -> Option<bool> {
    let other = match empty.kind {
        RecordType::A => RecordType::Aaaa,
        RecordType::Aaaa => RecordType::A,
        _ => return None,
    };
    Some(!judged.facts.answer(&empty.name, other)?.is_negative())
}

/// The record without the terms that ask for these names; a term that names hosts of the other family stays.
fn without_names(judged: &Judged<'_>, record: &Record, domain: &str, empty: &[&Arc<Answer>]) -> Vec<u8> {
    let (bytes, mut out, mut at) = (record.as_bytes(), Vec::new(), 0);
    for term in record.terms() {
        let TermKind::Directive { mechanism, .. } = &term.kind else { continue };
        let name = match mechanism {
            Mechanism::A(target, _) | Mechanism::Mx(target, _) => match target {
                Some(target) => plain(record, target),
                None => Some(domain.to_ascii_lowercase()),
            },
            Mechanism::Exists(target) => plain(record, target),
            _ => None,
        };
        let is_mx = matches!(mechanism, Mechanism::Mx(..));
        let is_address = matches!(mechanism, Mechanism::A(..));
        let asked = |answer: &&&Arc<Answer>| {
            Some(&answer.name) == name.as_ref()
                && is_mx == (answer.kind == RecordType::Mx)
                && (!is_address || other_family(judged, answer) == Some(false))
        };
        if empty.iter().find(asked).is_some() {
            out.extend(bytes[at..term.range.start].trim_ascii_end());
            at = term.range.end;
        }
    }
    out.extend(&bytes[at..]);
    out
}

/// More mail exchangers than `mx` may lead to.
pub fn exchangers(judged: &Judged<'_>, outcome: &Outcome, domain: &str, limit: usize) -> Vec<Finding> {
    let answer =
        outcome.answers.iter().find(|answer| answer.kind == RecordType::Mx && answer.name.eq_ignore_ascii_case(domain));
    answer.map(|answer| too_many_exchangers(judged, answer, limit)).into_iter().collect()
}

/// The finding on a name with too many mail exchangers.
pub fn too_many_exchangers(judged: &Judged<'_>, answer: &Arc<Answer>, limit: usize) -> Finding {
    let found = answer.records.iter().filter(|record| matches!(record.data, crate::dns::Data::Mx { .. })).count();
    let claim = format!("{} has {found} MX records; the mechanism mx may lead to {limit}", answer.name);
    judged
        .breaks(&causes::MX_LIMIT, Confidence::Certain, claim)
        .dns("the MX records", answer)
        .fix("replace mx by ip4: and ip6: with the addresses of the hosts that send")
}
