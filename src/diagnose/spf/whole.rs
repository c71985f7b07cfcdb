//! A record judged without a message or a client: what is wrong with it for every sender, or for the last that it names.
//!
//! What it leads to is asked for; while that is not known, it is passed over. Where a client is known, its check says
//! more.

use super::{
    Demand, Judged, Sight, advice, fault, limits, mend, missing, several, show,
    strings::{misjoined, split},
    syntax,
    tree::{Node, Tree},
};
use crate::{
    diagnose::{
        finding::{Confidence, Finding},
        register::spf as causes,
    },
    dns::{Answer, Fault, Outcome as Answered},
    name::DomainName,
    spf::{Mechanism, Record, Selection, TermKind, select},
};
use std::sync::Arc;

/// What the SPF record of a domain tells by itself; `answer` is to the question for the TXT records at the domain.
pub fn findings(judged: &Judged<'_>, domain: &DomainName, answer: &Arc<Answer>) -> Vec<Finding> {
    let texts = answer.joined_txt();
    let mut sight = Sight { domain: domain.as_str(), answer, record: None, problems: &[], own: true };
    if let Answered::Fault(fault) = &answer.outcome
        && !matches!(fault, Fault::Unaskable(_))
    {
        return vec![unanswered(judged, sight, fault)];
    }
    let (record, problems) = match select(texts.iter().map(Vec::as_slice)) {
        Selection::None => return missing::findings(judged, sight),
        Selection::Several(_) => return several::findings(judged, sight),
        Selection::One(text) => Record::read(text),
    };
    sight.record = Some(&record);
    sight.problems = &problems;
    if !problems.is_empty() {
        return syntax::findings(judged, sight);
    }
    let odd = || syntax::mended(judged, sight, &record, mend::odd(&record));
    if let Some(finding) = misjoined(judged, sight).or_else(|| split(judged, sight)).or_else(odd) {
        return vec![finding];
    }
    let tree = Tree::walk(judged.facts, domain.as_str(), answer, true);
    let mut findings: Vec<Finding> = of_tree(judged, sight, &tree).into_iter().collect();
    findings.extend(include_missing(judged, sight, &record, &tree));
    let own = tree.nodes.iter().filter(|node| node.depth == 0).filter_map(Node::sight);
    findings.extend(own.flat_map(|sight| advice::of_record(judged, sight)));
    findings.extend(tree.nodes.iter().filter_map(Node::sight).filter_map(|sight| advice::broad(judged, sight)));
    findings
}

/// What is wrong in the records that this one leads to.
fn of_tree(judged: &Judged<'_>, own: Sight<'_>, tree: &Tree) -> Option<Finding> {
    let up = |node: &Node| {
        let (at, term) = node.via?;
        let from = &tree.nodes[at];
        Some((from.sight()?, from.record.as_ref()?, from.record.as_ref()?.terms().get(term)?))
    };
    if let Some(node) = tree.cycle.map(|at| &tree.nodes[at]) {
        let (sight, record, term) = up(node)?;
        return Some(fault::back(judged, sight, record, term, &format!("back to {}", node.domain)));
    }
    for node in tree.nodes.iter().skip(1) {
        let (Some(sight), Some((from, record, term))) = (node.sight(), up(node)) else { continue };
        let found = match (&sight.answer.outcome, node.count) {
            (Answered::Fault(fault), _) if !matches!(fault, Fault::Unaskable(_)) => {
                Some(unanswered(judged, sight, fault))
            }
            (_, 0) => fault::stuck(judged, from).or_else(|| {
                let word = record.text(term.range.clone());
                let claim = format!(
                    "{word} in the record of {} leads to {}, which has no SPF record",
                    from.domain, node.domain
                );
                Some(fault::without_record(judged, from, record, term, Some(sight.answer), claim))
            }),
            (_, 1) if !sight.problems.is_empty() => syntax::findings(judged, sight).into_iter().next(),
            (_, 1) => None,
            _ => several::findings(judged, sight).into_iter().next(),
        };
        if found.is_some() {
            return found;
        }
    }
    if tree.terms > 10 {
        return Some(limits::too_many_terms(judged, own.domain, tree));
    }
    if let Some((_, answer, _)) = &tree.exchangers {
        return Some(limits::too_many_exchangers(judged, answer, 10));
    }
    if tree.voids.len() > 2 {
        let voids: Vec<&Arc<Answer>> = tree.voids.iter().collect();
        return Some(limits::too_many_voids(judged, own, &voids));
    }
    None
}

/// DNS gave no answer for a record.
fn unanswered(judged: &Judged<'_>, sight: Sight<'_>, fault: &Fault) -> Finding {
    let cause = if sight.own { &causes::DNS_TEMPERROR } else { &causes::INCLUDE_TEMPERROR };
    judged
        .breaks(cause, Confidence::Certain, format!("DNS gave no answer for {} TXT: {fault}", sight.domain))
        .dns("the question without an answer", sight.answer)
        .fix(format!("ask the name servers of {} yourself, and try again", sight.domain))
}

/// The provider's include is demanded and is nowhere in the tree.
fn include_missing(judged: &Judged<'_>, sight: Sight<'_>, record: &Record, tree: &Tree) -> Option<Finding> {
    let Demand { include, who, .. } = judged.demanded().filter(|demand| demand.always)?;
    let included = tree.nodes.iter().any(|node| node.domain.eq_ignore_ascii_case(include.as_str()));
    if included || flattened(judged, include, record) {
        return None;
    }
    let merged = record.with_added(&format!("include:{include}"));
    let claim = format!("the SPF record of {} does not include {include}, which {who} demands", sight.domain);
    let mut finding = judged
        .breaks(&causes::PROVIDER_INCLUDE_MISSING, Confidence::Certain, claim)
        .dns("the TXT records", sight.answer)
        .text("terms that need DNS", format!("{} now, of 10", show::count(tree.terms, "term")));
    finding = finding.repaired(sight, &merged);
    Some(finding)
}

/// Does the record name every network of the include itself?
fn flattened(judged: &Judged<'_>, include: &DomainName, record: &Record) -> bool {
    let Some(answer) = judged.facts.txt(include.as_str()) else { return false };
    let texts = answer.joined_txt();
    let Selection::One(text) = select(texts.iter().map(Vec::as_slice)) else { return false };
    let networks = |record: &Record| -> Vec<Mechanism> {
        let mechanisms = record.terms().iter().take(200).filter_map(|term| match &term.kind {
            TermKind::Directive { mechanism, .. } if !matches!(mechanism, Mechanism::All) => Some(mechanism.clone()),
            _ => None,
        });
        mechanisms.collect()
    };
    let (wanted, had) = (networks(&Record::read(text).0), networks(record));
    let address = |mechanism: &Mechanism| matches!(mechanism, Mechanism::Ip4(..) | Mechanism::Ip6(..));
    !wanted.is_empty() && wanted.iter().all(|mechanism| address(mechanism) && had.contains(mechanism))
}
