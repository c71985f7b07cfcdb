//! A sound record that does not let the client send: what would, and whose the client is.
//!
//! First what one repair of the record proves, then who handed the message over, and last the plain fact. An address is
//! never advised to be authorised as if it were known to be the sender's: it may be anybody's.

use super::{
    Demand, Judged, Sight,
    relay::{behind_relay, forwarded, other_family, untrusted_relay},
    show::{caret, count},
    strings::{misjoined, split},
    syntax::odd,
    term_at,
    tree::{after_all, all_of},
};
use crate::{
    diagnose::{
        finding::{Confidence, Finding},
        register::spf as causes,
    },
    spf::{Mechanism, Record, TermKind},
    verify::spf::{NoDomain, Outcome, Reason, Scope, SpfResult},
};

/// Why the client may not send.
pub fn findings(judged: &Judged<'_>, outcome: &Outcome) -> Vec<Finding> {
    let Some(own) = outcome.visits.first().map(Sight::from) else { return Vec::new() };
    let Some(record) = own.record else { return Vec::new() };
    let chain = || outcome.visits.iter().filter(|visit| visit.depth == 0).map(Sight::from);
    let found = behind_relay(judged, outcome, own)
        .or_else(|| chain().find_map(|sight| misjoined(judged, sight)))
        .or_else(|| chain().find_map(|sight| split(judged, sight)))
        .or_else(|| chain().find_map(|sight| odd(judged, sight)))
        .or_else(|| chain().find_map(|sight| terms_after_all(judged, sight)))
        .or_else(|| redirect_ignored(judged, own, record))
        .or_else(|| include_missing(judged, outcome, own, record))
        .or_else(|| helo(judged, outcome, own))
        .or_else(|| other_family(judged, outcome, own, record))
        .or_else(|| forwarded(judged, outcome, own));
    let found = found.unwrap_or_else(|| not_authorized(judged, outcome, own));
    let relay = untrusted_relay(judged, outcome, &found);
    [found].into_iter().chain(relay).collect()
}

/// There is no domain to judge: only the null sender makes that a matter of SPF.
pub fn nobody(judged: &Judged<'_>, outcome: &Outcome) -> Vec<Finding> {
    let Reason::NoDomain(Scope::Helo, why) = &outcome.reason else { return Vec::new() };
    let claim = match why {
        NoDomain::Missing => "the sender is null, so SPF is judged by the HELO name, and none is known".to_owned(),
        why => format!("the sender is null, so SPF is judged by the HELO name, which is no domain: {why}"),
    };
    let confidence = if *why == NoDomain::Missing { Confidence::Possible } else { Confidence::Certain };
    vec![
        judged
            .breaks(&causes::HELO_ONLY, confidence, claim)
            .fix("let the sending host say its full name at HELO (smtp_helo_name in Postfix)")
            .fix("publish an SPF record at that name, for example v=spf1 a -all"),
    ]
}

/// The null sender, and no record at the HELO name.
pub fn helo_missing(judged: &Judged<'_>, sight: Sight<'_>) -> Vec<Finding> {
    if let Some(finding) = super::missing::near_miss(judged, sight) {
        return vec![finding];
    }
    let claim =
        format!("the sender is null, so SPF is judged by the HELO name, and {} has no SPF record", sight.domain);
    vec![helo_finding(judged, sight, claim)]
}

/// The null sender, and a record at the HELO name that does not name the client.
fn helo(judged: &Judged<'_>, outcome: &Outcome, sight: Sight<'_>) -> Option<Finding> {
    (outcome.scope == Scope::Helo).then_some(())?;
    let claim = format!(
        "the sender is null, so SPF is judged by the HELO name, and the record of {} does not name {}",
        sight.domain, outcome.client_ip
    );
    Some(helo_finding(judged, sight, claim))
}

fn helo_finding(judged: &Judged<'_>, sight: Sight<'_>, claim: String) -> Finding {
    judged
        .breaks(&causes::HELO_ONLY, Confidence::Certain, claim)
        .dns("the question for the HELO name", sight.answer)
        .fix(format!(
            "publish an SPF record at {}, for example v=spf1 a -all, if it is the name of the sending host",
            sight.domain
        ))
        .fix("or let the sending host say another name at HELO, one that has a record (smtp_helo_name in Postfix)")
}

/// Mechanisms after `all`: proved if SPF passes with `all` at the end.
fn terms_after_all(judged: &Judged<'_>, sight: Sight<'_>) -> Option<Finding> {
    let record = sight.record?;
    let first = after_all(record).next()?;
    let moved = all_last(record);
    judged.passes(sight.domain, &moved).then_some(())?;
    let bytes = record.as_bytes();
    let claim = format!(
        "{} stands after all in the record of {}, where nothing has an effect",
        record.text(first.range.clone()),
        sight.domain
    );
    let finding = judged
        .breaks(&causes::TERMS_AFTER_ALL, Confidence::Certain, claim)
        .text(&format!("the record of {}", sight.domain), caret(bytes, first.range.clone()))
        .trial(judged);
    Some(finding.repaired(sight, &moved))
}

/// The record with its first `all` at the end, and no other.
fn all_last(record: &Record) -> Vec<u8> {
    let bytes = record.as_bytes();
    let mut words: Vec<&[u8]> = vec![b"v=spf1"];
    let mut all = None;
    for term in record.terms() {
        let word = &bytes[term.range.clone()];
        match term.kind {
            TermKind::Directive { mechanism: Mechanism::All, .. } => all = all.or(Some(word)),
            _ => words.push(word),
        }
    }
    words.extend(all);
    words.join(&b' ')
}

/// `redirect=` beside `all`: proved if SPF passes without `all`.
fn redirect_ignored(judged: &Judged<'_>, sight: Sight<'_>, record: &Record) -> Option<Finding> {
    let (at, _) = record.redirect()?;
    let all = all_of(record)?;
    let redirect = record.terms().get(at)?;
    let without = super::fault::without_term(record, all);
    judged.passes(sight.domain, &without).then_some(())?;
    let word = record.text(redirect.range.clone());
    let claim = format!("{word} has no effect, because the record of {} has all", sight.domain);
    let finding = judged
        .breaks(&causes::REDIRECT_IGNORED, Confidence::Certain, claim)
        .text(&format!("the record of {}", sight.domain), caret(record.as_bytes(), redirect.range.clone()))
        .trial(judged);
    Some(finding.repaired(sight, &without))
}

/// The provider's include, if the record lacks it: proved if SPF passes with it.
fn include_missing(judged: &Judged<'_>, outcome: &Outcome, sight: Sight<'_>, record: &Record) -> Option<Finding> {
    let Demand { include, who, .. } = judged.demanded()?;
    let visited = outcome.visits.iter().any(|visit| visit.domain.eq_ignore_ascii_case(include.as_str()));
    if visited || outcome.scope == Scope::Helo {
        return None;
    }
    let merged = record.with_added(&format!("include:{include}"));
    let trial = judged.facts.trial(sight.domain, &merged)?;
    // Before everything else, it is reached before any limit.
    let first = record.with_replaced(6..6, format!(" include:{include}").as_bytes());
    let too_many = matches!(trial.reason, Reason::TooManyTerms(_)) && judged.passes(sight.domain, &first);
    let merged = if too_many { first } else { merged };
    let (confidence, shown) = match &trial.reason {
        _ if trial.result == SpfResult::Pass => {
            let terms = count(trial.terms, "term");
            let client = outcome.client_ip;
            (Confidence::Certain, format!("with include:{include}, SPF passes for {client}; {terms} of 10 ask DNS"))
        }
        _ if too_many => (
            Confidence::Certain,
            format!(
                "with include:{include} as the first term, SPF passes; the record then has more than 10 that ask DNS"
            ),
        ),
        // Nobody knows whom it lets send.
        Reason::Fault { name, .. } if name.eq_ignore_ascii_case(include.as_str()) => {
            (Confidence::Likely, format!("{include} could not be looked up"))
        }
        Reason::TargetWithoutRecord { domain, .. } if domain.eq_ignore_ascii_case(include.as_str()) => {
            (Confidence::Likely, format!("{include} could not be looked up"))
        }
        _ => return None,
    };
    let claim =
        format!("the SPF record of {} does not include {include}, by which {who} lets its hosts send", sight.domain);
    let finding = judged
        .breaks(&causes::PROVIDER_INCLUDE_MISSING, confidence, claim)
        .dns("the TXT records", sight.answer)
        .text("tried", shown);
    let finding = match too_many {
        true => finding.fix(
            "make room first: take out a term that asks DNS and whose hosts no longer send, or name their addresses",
        ),
        false => finding,
    };
    Some(finding.repaired(sight, &merged))
}

/// No repair helped: the record does not let this client send.
fn not_authorized(judged: &Judged<'_>, outcome: &Outcome, own: Sight<'_>) -> Finding {
    let client = outcome.client_ip;
    let decided = outcome.path.last().and_then(|place| term_at(outcome, place));
    let by_all =
        decided.is_some_and(|(_, term)| matches!(term.kind, TermKind::Directive { mechanism: Mechanism::All, .. }));
    let said = match decided {
        Some((visit, term)) => visit.record.as_ref().map(|record| record.text(term.range.clone())).unwrap_or_default(),
        None => String::new(),
    };
    let domain = own.domain;
    let (cause, claim) = match (outcome.result, decided) {
        (SpfResult::Neutral, None) => (
            &causes::NO_ALL,
            format!("the record of {domain} does not name {client} and has no all: it says nothing about it"),
        ),
        (SpfResult::Neutral, Some(_)) if by_all => (
            &causes::NEUTRAL_ALL,
            format!("the record of {domain} does not name {client} and ends in {said}: it says nothing about it"),
        ),
        (_, Some((visit, _))) if !by_all => (
            &causes::IP_NOT_AUTHORIZED,
            match outcome.result {
                SpfResult::Neutral => {
                    format!("{said} in the record of {} names {client}, to say nothing about it", visit.domain)
                }
                _ => format!("{said} in the record of {} refuses {client} to send for {domain}", visit.domain),
            },
        ),
        _ => {
            (&causes::IP_NOT_AUTHORIZED, format!("{client} may not send for {domain}: no term before {said} names it"))
        }
    };
    let mut finding = judged.breaks(cause, Confidence::Certain, claim).dns("the SPF record", own.answer);
    if let Some((visit, term)) = decided
        && let Some(record) = &visit.record
    {
        finding =
            finding.text(&format!("the record of {}", visit.domain), caret(record.as_bytes(), term.range.clone()));
    }
    if let Some(include) = judged.demand.as_ref().map(|demand| &demand.include)
        && outcome.visits.iter().any(|visit| visit.domain.eq_ignore_ascii_case(include.as_str()))
    {
        finding = finding
            .not(&causes::PROVIDER_INCLUDE_MISSING, format!("include:{include} is there and does not name {client}"));
    }
    let family = if client.is_ipv4() { "ip4" } else { "ip6" };
    finding
        .fix(format!("if {client} is a host of yours or of a service that you use, add {family}:{client} or the include of the service before all"))
        .fix("if you do not know it, change nothing: somebody else used your domain")
}
