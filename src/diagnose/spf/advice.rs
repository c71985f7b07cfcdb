//! Records that work and could be better: what lets too many in, and what has no effect.
//!
//! Nothing here explains a failure; it informs, or warns where anybody may send.

use super::{
    Judged, Sight,
    show::caret,
    tree::{after_all, all_of},
};
use crate::{
    diagnose::{
        finding::{Confidence, Effect, Finding},
        register::{Cause, spf as causes},
    },
    dns::{Answer, Data},
    spf::{Mechanism, Qualifier, Record, Term, TermKind},
    verify::spf::{Outcome, SpfResult},
};
use std::net::Ipv4Addr;

/// The largest networks that no sender needs: the eighth part of a per cent of IPv4 is a /8, and no provider has an IPv6
/// block of a /16.
const BROAD: (u8, u8) = (8, 16);

/// The largest network that lets a client in without a word about it: larger ones are shared by many senders, some of
/// them strangers to the domain. Large providers have such blocks, so it is no danger by itself.
const SHARED: u8 = 16;

/// The answer that fits into UDP without EDNS (RFC 1035 §4.2.1, RFC 7208 §3.4).
const SMALL: usize = 512;

/// Advice on the records of a check that came to a result; `known` are the causes of its failure.
pub fn findings(judged: &Judged<'_>, outcome: &Outcome, known: &[Finding]) -> Vec<Finding> {
    if matches!(outcome.result, SpfResult::None | SpfResult::TempError | SpfResult::PermError) {
        return Vec::new();
    }
    let mut found: Vec<Finding> = Vec::new();
    for visit in &outcome.visits {
        let sight = Sight::from(visit);
        found.extend(broad(judged, sight));
        if sight.own {
            found.extend(of_record(judged, sight));
        }
    }
    if outcome.result == SpfResult::SoftFail {
        found.extend(softfail(judged, outcome));
    }
    if outcome.result == SpfResult::Pass && found.iter().all(|finding| finding.cause != &causes::TOO_BROAD) {
        found.extend(of_pass(judged, outcome));
    }
    // Beside a cause, only what is dangerous: how the record could end better would contradict the repair.
    let dangers = [&causes::PLUS_ALL, &causes::TOO_BROAD, &causes::PTR_USED, &causes::SOFTFAIL_POLICY];
    found.retain(|finding| known.is_empty() || dangers.contains(&finding.cause));
    found
}

/// Advice on one sound record of the domain's own.
pub fn of_record(judged: &Judged<'_>, sight: Sight<'_>) -> Vec<Finding> {
    let Some(record) = sight.record.filter(|record| record.is_valid()) else { return Vec::new() };
    let mut found = Vec::new();
    let say = |cause: &'static Cause, effect, term: &Term, claim: String| {
        judged
            .finding(cause, effect, Confidence::Certain, claim)
            .text(&format!("the record of {}", sight.domain), caret(record.as_bytes(), term.range.clone()))
    };
    for term in record.terms() {
        let word = record.text(term.range.clone());
        if let TermKind::Directive { mechanism: Mechanism::Ptr(_), .. } = term.kind {
            let claim =
                format!("{word} in the record of {} is slow and unreliable, and some receivers skip it", sight.domain);
            found.push(
                say(&causes::PTR_USED, Effect::Risk, term, claim)
                    .fix("replace ptr by ip4: and ip6: with the addresses of the hosts that send"),
            );
            break;
        }
    }
    found.extend(all_of(record).and_then(|all| of_all(judged, sight, record, all)));
    let all = all_of(record);
    if all.is_none() && record.redirect().is_none() {
        let claim =
            format!("the record of {} has no all: to clients that it does not name it says nothing", sight.domain);
        let ended = [record.as_bytes().trim_ascii_end(), b" ~all"].concat();
        found.push(
            judged
                .finding(&causes::NO_ALL, Effect::Risk, Confidence::Certain, claim)
                .text(
                    &format!("the record of {}", sight.domain),
                    caret(record.as_bytes(), record.as_bytes().len()..record.as_bytes().len()),
                )
                .fix("end the record with ~all or -all")
                .publish(sight.domain, String::from_utf8_lossy(&ended).into_owned()),
        );
    }
    if let (Some((at, _)), Some(_)) = (record.redirect(), all) {
        let term = &record.terms()[at];
        let claim = format!(
            "{} has no effect, because the record of {} has all",
            record.text(term.range.clone()),
            sight.domain
        );
        found.push(say(&causes::REDIRECT_IGNORED, Effect::Risk, term, claim).fix("remove all, or redirect="));
    }
    if let Some(term) = after_all(record).next() {
        // The client that is known did well without it; a record by itself says who should.
        let effect = if judged.outcome.is_some() { Effect::Note } else { Effect::Risk };
        let claim = format!(
            "{} stands after all in the record of {} and has no effect",
            record.text(term.range.clone()),
            sight.domain
        );
        found.push(say(&causes::TERMS_AFTER_ALL, effect, term, claim).fix("move all to the end of the record"));
    }
    let size = size(sight.answer);
    if size > SMALL {
        let claim = format!(
            "the TXT records of {} make an answer of {size} octets; where UDP carries {SMALL} and TCP is blocked, SPF has none",
            sight.domain
        );
        found.push(
            judged
                .finding(&causes::RECORD_TOO_LARGE, Effect::Note, Confidence::Possible, claim)
                .fix(format!("remove TXT records at {} that nobody needs any more", sight.domain)),
        );
    }
    found
}

/// What the record's `all` says to strangers.
fn of_all(judged: &Judged<'_>, sight: Sight<'_>, record: &Record, all: &Term) -> Option<Finding> {
    let TermKind::Directive { qualifier, .. } = &all.kind else { return None };
    let word = record.text(all.range.clone());
    let (cause, effect, what) = match qualifier {
        Qualifier::Pass => (&causes::PLUS_ALL, Effect::Risk, "lets everybody send for it"),
        Qualifier::Neutral => (&causes::NEUTRAL_ALL, Effect::Risk, "says nothing about clients that it does not name"),
        Qualifier::Fail | Qualifier::SoftFail => return None,
    };
    let softer = record.with_replaced(all.range.clone(), b"~all");
    Some(
        judged
            .finding(cause, effect, Confidence::Certain, format!("{word} in the record of {} {what}", sight.domain))
            .text(&format!("the record of {}", sight.domain), caret(record.as_bytes(), all.range.clone()))
            .fix(format!("replace {word} by ~all once every host that sends is named before it"))
            .publish(sight.domain, String::from_utf8_lossy(&softer).into_owned()),
    )
}

/// Networks so large, or includes so open, that strangers pass.
pub fn broad(judged: &Judged<'_>, sight: Sight<'_>) -> Option<Finding> {
    let record = sight.record.filter(|record| record.is_valid())?;
    let end = all_of(record).map_or(usize::MAX, |all| all.range.start);
    let term = record.terms().iter().take_while(|term| term.range.start <= end).find(|term| match &term.kind {
        TermKind::Directive { qualifier: Qualifier::Pass, mechanism } => match mechanism {
            Mechanism::Ip4(network, prefix) => *prefix <= BROAD.0 && !is_local(*network),
            Mechanism::Ip6(network, prefix) => *prefix <= BROAD.1 && network.segments()[0] & 0xfe00 != 0xfc00,
            Mechanism::A(_, prefix) | Mechanism::Mx(_, prefix) => prefix.ip4 <= BROAD.0 || prefix.ip6 <= BROAD.1,
            // At the domain itself this is `spf-plus-all`.
            Mechanism::All => !sight.own,
            _ => false,
        },
        _ => false,
    })?;
    let word = record.text(term.range.clone());
    let claim = format!("{word} in the record of {} lets millions of strangers send", sight.domain);
    let step = match sight.own {
        true => format!("replace {word} by the addresses of the hosts that send"),
        false => format!("remove the term that leads to {}, or tell its owner", sight.domain),
    };
    Some(
        judged
            .finding(&causes::TOO_BROAD, Effect::Risk, Confidence::Certain, claim)
            .text(&format!("the record of {}", sight.domain), caret(record.as_bytes(), term.range.clone()))
            .fix(step),
    )
}

/// The term that let this client in, if it lets in very many beside it.
fn of_pass(judged: &Judged<'_>, outcome: &Outcome) -> Option<Finding> {
    let (visit, term) = super::term_at(outcome, outcome.path.last()?)?;
    let record = visit.record.as_ref()?;
    let TermKind::Directive { mechanism, .. } = &term.kind else { return None };
    let (effect, what) = match mechanism {
        Mechanism::Ip4(network, prefix) if *prefix < SHARED && !is_local(*network) => (Effect::Note, shared(*prefix)),
        Mechanism::A(_, prefix) | Mechanism::Mx(_, prefix) if outcome.client_ip.is_ipv4() && prefix.ip4 < SHARED => {
            (Effect::Note, shared(prefix.ip4))
        }
        Mechanism::Exists(name) if name.macros().next().is_none() => (Effect::Risk, "every client".to_owned()),
        _ => return None,
    };
    let word = record.text(term.range.clone());
    let claim = format!("{word} in the record of {} let this client in, and lets in {what}", visit.domain);
    Some(
        judged
            .finding(&causes::TOO_BROAD, effect, Confidence::Certain, claim)
            .text(&format!("the record of {}", visit.domain), caret(record.as_bytes(), term.range.clone()))
            .fix(format!("see whether all of {word} are hosts that send for the domain, and name fewer if not")),
    )
}

fn shared(prefix: u8) -> String {
    format!("the {} addresses of its network", 1u64 << (32 - u32::from(prefix.min(32))))
}

/// Networks that nobody can send from across the Internet.
fn is_local(network: Ipv4Addr) -> bool {
    network.is_private() || network.is_loopback()
}

fn softfail(judged: &Judged<'_>, outcome: &Outcome) -> Option<Finding> {
    let place = outcome.path.last()?;
    let (visit, term) = super::term_at(outcome, place)?;
    matches!(term.kind, TermKind::Directive { mechanism: Mechanism::All, .. }).then_some(())?;
    let claim = format!("{} ends in ~all: it does not name the client and does not refuse it either", visit.domain);
    Some(
        judged
            .finding(&causes::SOFTFAIL_POLICY, Effect::Note, Confidence::Certain, claim)
            .fix("leave it so: with DMARC, ~all and -all mean the same, and ~all spares forwarded mail"),
    )
}

/// The size of the answer with these TXT records, without EDNS.
fn size(answer: &Answer) -> usize {
    let records = answer.records.iter().map(|record| match &record.data {
        // A pointer to the name, type, class, TTL, length; each string after its length.
        Data::Txt(strings) => 12 + strings.iter().map(|string| string.len() + 1).sum::<usize>(),
        _ => 12 + record.name.len() + 2,
    });
    // Header, question.
    12 + answer.name.len() + 2 + 4 + records.sum::<usize>()
}
