//! Servers of a zone that do not do their office, and a resolver that does not get through to them: whose fault it is.

use super::{
    case::Service,
    finding::{Confidence, Effect, Finding},
    register::{delegation as causes, dns},
    servers::{Table, Worth, is_answer, names},
};
use crate::dns::{Fault, Outcome, RecordType};

/// The extended errors of a resolver that speak of DNSSEC (RFC 8914 §4): bogus, expired, not yet valid, keys, signatures
/// or denial missing, no zone key, and what their like is called when nothing more is known.
const DNSSEC_ERRORS: [u16; 8] = [1, 2, 6, 7, 8, 9, 10, 12];

/// Signatures that have run out.
const EXPIRED: u16 = 7;

/// What is wrong with the servers, or with the way to them.
pub fn findings(table: &Table<'_>) -> Vec<Finding> {
    let finding = match &table.resolver().outcome {
        Outcome::Fault(Fault::Timeout | Fault::ServFail | Fault::Refused | Fault::Other(_)) => bogus(table)
            .or_else(|| nobody_serves(table))
            .or_else(|| without_edns(table))
            .or_else(|| lame(table))
            .or_else(|| resolver_fails(table)),
        Outcome::Fault(_) => None,
        Outcome::NxDomain => expired(table).or_else(|| elsewhere(table)).or_else(|| lame(table)),
        Outcome::NoData => elsewhere(table).or_else(|| lame(table)),
        Outcome::Records => lame(table).or_else(|| without_edns(table)),
    };
    finding.into_iter().collect()
}

/// Does the resolver's fault make this the reason, or is it something that will bite?
fn effect(table: &Table<'_>) -> Effect {
    if is_answer(table.resolver()) { Effect::Risk } else { Effect::Breaks }
}

/// With checks the resolver fails, again and again; without, it answers.
fn bogus(table: &Table<'_>) -> Option<Finding> {
    let (unchecked, again) = (table.servers.unchecked.as_ref()?, table.servers.again.as_ref()?);
    if !is_answer(unchecked) || again.outcome != Outcome::Fault(Fault::ServFail) {
        return None;
    }
    let said = &table.servers.extended;
    let told = said.iter().find(|(code, _)| DNSSEC_ERRORS.contains(code));
    let why = match told {
        Some((EXPIRED, _)) => ": the signatures have expired".to_owned(),
        Some((code, text)) if text.is_empty() => format!(" (extended error {code})"),
        Some((code, text)) => format!(" (extended error {code}: {text})"),
        None => String::new(),
    };
    let claim = format!("the resolver answers for {} only with DNSSEC checks switched off{why}", table.key.name());
    let finding = Finding::breaks(&causes::DNSSEC_BOGUS, Confidence::Certain, claim)
        .dns("with DNSSEC checks", again)
        .dns("without DNSSEC checks", unchecked)
        .not(&dns::LOOKUP_FAILED, "the resolver answers the same question without DNSSEC checks");
    Some(match told {
        Some((EXPIRED, _)) => {
            finding.fix(format!("sign the zone {} again, and let it be done in time", table.servers.zone))
        }
        _ => finding
            .fix(format!("compare the DS record of {} at the registrar with the keys of the zone", table.servers.zone))
            .fix("have the DS record changed to the present key, or sign the zone again"),
    })
}

/// All servers that say anything fail or refuse, or none has the zone.
fn nobody_serves(table: &Table<'_>) -> Option<Finding> {
    let asked = || table.servers.answers.iter().filter(|server| server.delegated);
    let bad = || asked().filter(|server| matches!(server.service, Service::Lame | Service::Fails));
    if bad().next().is_none() || table.serving().next().is_some() {
        return None;
    }
    let silent = table.delegated(Service::Silent).count();
    let confidence = if silent == 0 { Confidence::Certain } else { Confidence::Likely };
    let zone = &table.servers.zone;
    let refuse = bad().all(|server| {
        matches!(server.answer.outcome, Outcome::Fault(Fault::ServFail) | Outcome::Fault(Fault::Refused))
    });
    let finding = match refuse {
        true => {
            let claim = format!("no name server of {zone} answers for it: {} fail or refuse", names(bad()));
            Finding::breaks(&causes::SERVFAIL_AUTHORITATIVE, confidence, claim)
                .fix(format!("load the zone {zone} at {}", names(bad())))
                .fix("if the zone has moved, have the delegation changed at the registrar")
        }
        false => {
            let claim = format!("no name server of {zone} has the zone: {} answer without authority", names(bad()));
            Finding::breaks(&causes::LAME_DELEGATION, confidence, claim)
                .fix(format!("load the zone {zone} at the servers of its delegation, or change the delegation"))
        }
    };
    Some(table.shown(finding).not(&dns::LOOKUP_FAILED, "the servers of the zone were asked directly, and fail too"))
}

/// Some servers serve the zone, and some of the delegation do not.
fn lame(table: &Table<'_>) -> Option<Finding> {
    let lame = || {
        let answers = table.servers.answers.iter().filter(|server| server.delegated);
        answers.filter(|server| matches!(server.service, Service::Lame | Service::Fails))
    };
    lame().next()?;
    table.serving().next()?;
    let (zone, names) = (&table.servers.zone, names(lame()));
    let claim = format!("{names} does not serve {zone}, although the delegation names it");
    let finding = Finding::new(&causes::LAME_DELEGATION, effect(table), Confidence::Certain, claim)
        .fix(format!("load the zone {zone} at {names}"))
        .fix(format!("or remove {names} from the delegation at the registrar"));
    Some(table.shown(finding))
}

/// Servers that answer only without EDNS.
fn without_edns(table: &Table<'_>) -> Option<Finding> {
    let plain = || table.serving().filter(|server| server.without_edns);
    plain().next()?;
    let claim = format!("{} answers only questions without EDNS", names(plain()));
    let finding = Finding::new(&causes::EDNS_BROKEN, effect(table), Confidence::Certain, claim)
        .fix(format!("update the name server software of {}", names(plain())))
        .fix("let the firewall in front of it pass DNS over UDP with EDNS");
    Some(table.shown(finding))
}

/// The servers answer, and the resolver does not.
fn resolver_fails(table: &Table<'_>) -> Option<Finding> {
    table.serving().next()?;
    let resolver = match (table.resolver().server, &table.resolver().outcome) {
        (Some(server), _) => format!("the resolver {server}"),
        (None, _) => "the resolver".to_owned(),
    };
    let Outcome::Fault(fault) = &table.resolver().outcome else { return None };
    let claim = format!("{resolver} gave no answer ({fault}); the name servers of {} answer", table.servers.zone);
    let finding = Finding::breaks(&dns::LOOKUP_FAILED, Confidence::Certain, claim)
        .fix("ask again; if it fails again, mend the resolver, or ask another one")
        .not(&causes::SERVFAIL_AUTHORITATIVE, format!("{} answered with authority", names(table.serving())));
    Some(table.shown(finding))
}

/// The registry's servers say that the domain does not exist.
fn expired(table: &Table<'_>) -> Option<Finding> {
    let registry = &table.servers.zone;
    if registry.is_empty() || registry.contains('.') {
        return None;
    }
    let gone = table.serving().all(|server| server.answer.outcome == Outcome::NxDomain);
    let first = table.serving().next().filter(|_| gone)?;
    let domain = table.key.domain.as_str();
    let above = domain.strip_suffix(registry.as_str())?.strip_suffix('.')?;
    let registered = format!("{}.{registry}", above.rsplit('.').next()?);
    let answer = table.key.facts.answer(&registered, RecordType::Ns)?;
    if answer.outcome != Outcome::NxDomain {
        return None;
    }
    let claim = format!("{registered} is not registered: {} says that it does not exist", first.name);
    Some(
        Finding::breaks(&causes::DOMAIN_EXPIRED, Confidence::Certain, claim)
            .dns("the domain", answer)
            .dns(&first.name, &first.answer)
            .fix(format!("renew {registered} at the registrar, or correct the name if it is misspelt")),
    )
}

/// The record stands only where nobody is sent to.
fn elsewhere(table: &Table<'_>) -> Option<Finding> {
    let lacking = table.serving().all(|server| server.answer.is_negative());
    table.serving().next().filter(|_| lacking)?;
    let strangers = table.servers.answers.iter().filter(|server| !server.delegated);
    let has = strangers
        .filter(|server| server.service == Service::Serves)
        .find(|server| table.worth(&server.answer) > Worth::Nothing)?;
    let claim = format!(
        "the record stands at {}, but {} is delegated to {}, which does not have it",
        has.name,
        table.servers.zone,
        names(table.serving())
    );
    let finding = Finding::breaks(&causes::ZONE_NOT_AUTHORITATIVE, Confidence::Certain, claim)
        .fix(format!("enter the record at the DNS provider of {}", names(table.serving())))
        .fix(format!("or have the domain delegated to {} at the registrar", has.name));
    Some(table.shown(finding))
}
