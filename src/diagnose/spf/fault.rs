//! What DNS did not answer, and what `include` and `redirect=` lead to in vain.

use super::{
    Judged, Sight, mend,
    show::{caret, count},
    strings::{misjoined, split},
    syntax, term_at,
};
use crate::{
    diagnose::{
        finding::{Confidence, Effect, Finding},
        register::spf as causes,
    },
    dns::{Answer, Fault},
    spf::{Mechanism, Record, Term, TermKind},
    verify::spf::{Outcome, Place, Reason},
};
use std::sync::Arc;

/// A question without an answer: a temporary error.
pub fn dns(judged: &Judged<'_>, outcome: &Outcome) -> Vec<Finding> {
    let Reason::Fault { name, kind, fault } = &outcome.reason else { return Vec::new() };
    let via = outcome.visits.last().filter(|visit| visit.depth > 0);
    let (cause, claim) = match via {
        Some(visit) => (
            &causes::INCLUDE_TEMPERROR,
            format!(
                "DNS gave no answer for {name} {kind}, which the included record of {} needs: {fault}",
                visit.domain
            ),
        ),
        None => (&causes::DNS_TEMPERROR, format!("DNS gave no answer for {name} {kind}: {fault}")),
    };
    let mut finding = judged.breaks(cause, Confidence::Certain, claim);
    let answer =
        outcome.answers.iter().rev().find(|answer| answer.name.eq_ignore_ascii_case(name) && answer.kind == *kind);
    if let Some(answer) = answer {
        finding = finding.dns("the question without an answer", answer);
    }
    finding = match fault {
        Fault::CnameLoop => finding.fix(format!("correct the CNAME records at {name}: they lead nowhere")),
        _ => finding
            .fix(format!(
                "let the message be delivered again; if that fails too, ask the name servers of {name} yourself"
            ))
            .fix("where only this receiver fails, look at its resolver"),
    };
    let mut findings = vec![finding];
    if *fault == Fault::Truncated {
        let claim = format!("the answer for {name} {kind} does not fit into UDP and could not be had over TCP");
        findings.push(
            judged
                .finding(&causes::RECORD_TOO_LARGE, Effect::Breaks, Confidence::Possible, claim)
                .fix("open port 53 for TCP at the name servers, and remove TXT records that nobody needs"),
        );
    }
    findings
}

/// `include` or `redirect=` leads to a domain without SPF record: a permanent error.
pub fn target(judged: &Judged<'_>, outcome: &Outcome) -> Vec<Finding> {
    let Some((visit, term)) = outcome.path.last().and_then(|place| term_at(outcome, place)) else { return Vec::new() };
    let sight = Sight::from(visit);
    // The name may be wrong because the record is: terms stuck together, a record in pieces.
    let text = [misjoined(judged, sight), split(judged, sight)];
    if let Some(found) = text.into_iter().flatten().next().or_else(|| stuck(judged, sight)) {
        return vec![found];
    }
    let Some(record) = visit.record.as_deref() else { return Vec::new() };
    let word = record.text(term.range.clone());
    let what = match &outcome.reason {
        Reason::TargetWithoutRecord { domain, .. } => format!("{domain}, which has no SPF record"),
        _ => "what is no domain name".to_owned(),
    };
    let claim = format!("{word} in the record of {} leads to {what}", visit.domain);
    vec![without_record(judged, sight, record, term, outcome.answers.last(), claim)]
}

/// A term that leads to a domain without SPF record.
pub fn without_record(
    judged: &Judged<'_>,
    sight: Sight<'_>,
    record: &Record,
    term: &Term,
    answer: Option<&Arc<Answer>>,
    claim: String,
) -> Finding {
    let word = record.text(term.range.clone());
    let redirect = matches!(term.kind, TermKind::Redirect(_));
    let cause = if redirect { &causes::REDIRECT_NO_RECORD } else { &causes::INCLUDE_NO_RECORD };
    let mut finding = judged
        .breaks(cause, Confidence::Certain, claim)
        .text(&format!("the record of {}", sight.domain), caret(record.as_bytes(), term.range.clone()));
    if let Some(answer) = answer {
        finding = finding.dns("what it leads to", answer);
    }
    finding = finding.fix(format!("correct the name in {word}, or remove the term if the service is no longer used"));
    if !sight.own {
        return finding;
    }
    // The provider's include may have been meant.
    let demand = judged.demanded().filter(|_| !redirect);
    let meant =
        demand.map(|demand| record.with_replaced(term.range.clone(), format!("include:{}", demand.include).as_bytes()));
    if let Some(meant) = meant.filter(|meant| judged.passes(sight.domain, meant)) {
        let text = "with the provider's include in its place, SPF passes";
        return finding.text("tried", text).publish(sight.domain, String::from_utf8_lossy(&meant).into_owned());
    }
    let mut without = without_term(record, term);
    if redirect {
        // What follows a record without all is silence.
        without.extend(b" ~all");
    }
    if judged.passes(sight.domain, &without) {
        finding = finding.text("tried", format!("without {word}, SPF passes"));
    }
    match authorises(&without) {
        true => finding.publish(sight.domain, String::from_utf8_lossy(&without).into_owned()),
        false => finding,
    }
}

/// Terms that are stuck together in a name: certain if SPF passes with them apart, likely where no name can end so.
pub fn stuck(judged: &Judged<'_>, sight: Sight<'_>) -> Option<Finding> {
    let record = sight.record?;
    let mends = mend::odd(record);
    let specific = [&causes::MISSING_SPACE, &causes::COMMA_OR_SEMICOLON];
    mends.iter().any(|mend| specific.contains(&mend.cause)).then_some(())?;
    syntax::mended(judged, sight, record, mends)
}

/// The record without a term and the blank before it.
pub fn without_term(record: &Record, term: &Term) -> Vec<u8> {
    let blank = record.as_bytes()[..term.range.start].iter().rev().take_while(|byte| **byte == b' ').count();
    record.with_replaced(term.range.start - blank..term.range.end, b"")
}

/// Does the record name anybody?
pub fn authorises(text: &[u8]) -> bool {
    Record::read(text).0.terms().iter().any(|term| match &term.kind {
        TermKind::Directive { mechanism, .. } => *mechanism != Mechanism::All,
        _ => false,
    })
}

/// A record that leads back to one on its way: it can only end at the limit of terms.
pub fn cycle(judged: &Judged<'_>, outcome: &Outcome) -> Option<Finding> {
    for (at, visit) in outcome.visits.iter().enumerate() {
        let mut way = vec![visit.domain.as_str()];
        let mut up = visit.via;
        while let Some(place) = up {
            let from = outcome.visits.get(place.visit).filter(|_| place.visit < at)?;
            way.push(&from.domain);
            if from.domain.eq_ignore_ascii_case(&visit.domain) {
                return looped(judged, outcome, visit.via.as_ref()?, way);
            }
            up = from.via;
        }
    }
    None
}

fn looped(judged: &Judged<'_>, outcome: &Outcome, via: &Place, mut way: Vec<&str>) -> Option<Finding> {
    let (visit, term) = term_at(outcome, via)?;
    way.reverse();
    let circle = match way.len() {
        2 => "back to itself".to_owned(),
        _ => format!("back in a circle: {}", way.join(" > ")),
    };
    let finding = back(judged, visit.into(), visit.record.as_deref()?, term, &circle);
    Some(
        finding
            .text("counted", format!("{} needed DNS before the limit ended the check", count(outcome.terms, "term"))),
    )
}

/// A term that leads back to a record on the way to it.
pub fn back(judged: &Judged<'_>, sight: Sight<'_>, record: &Record, term: &Term, circle: &str) -> Finding {
    let redirect = matches!(term.kind, TermKind::Redirect(_));
    let cause = if redirect { &causes::REDIRECT_LOOP } else { &causes::INCLUDE_LOOP };
    let word = record.text(term.range.clone());
    let without = without_term(record, term);
    let claim = format!("{word} in the record of {} leads {circle}", sight.domain);
    let mut finding = judged
        .breaks(cause, Confidence::Certain, claim)
        .text(&format!("the record of {}", sight.domain), caret(record.as_bytes(), term.range.clone()));
    if judged.passes(sight.domain, &without) {
        finding = finding.text("tried", format!("without {word}, SPF passes"));
    }
    finding.fix(format!("remove {word}")).repaired(sight, &without)
}
