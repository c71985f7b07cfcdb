//! Who handed the message over: a relay of the receiver's own, a forwarder, or the sender by its other address.

use super::{Judged, Sight};
use crate::{
    diagnose::{
        finding::{Confidence, Effect, Finding},
        register::{local, spf as causes},
    },
    dns::{Data, RecordType},
    received::{self, Received},
    spf::Record,
    verify::{
        Word,
        spf::{Outcome, Scope},
        standing::Aligned,
    },
};
use std::net::IpAddr;

/// Received fields that are looked at: no mail takes more hops that matter.
const HOPS: usize = 20;

/// Earlier clients that are tried.
const CLIENTS: usize = 2;

/// The client is a relay of the receiver's own, and SPF of the one before it passes.
pub fn behind_relay(judged: &Judged<'_>, outcome: &Outcome, sight: Sight<'_>) -> Option<Finding> {
    let (entered, before) = trace(judged, outcome)?;
    let first = before.first()?;
    let inside = is_internal(outcome.client_ip);
    let relay = entered.as_ref().and_then(|entered| same_house(entered, first));
    if !inside && relay.is_none() {
        return None;
    }
    let record = sight.record?.as_bytes();
    let client = earlier(&before, outcome.client_ip).find(|client| judged.passes_from(record, *client))?;
    let whose = match relay {
        Some(name) if !inside => format!("{}, a relay of the same house ({name})", outcome.client_ip),
        _ => format!("{}, an internal address", outcome.client_ip),
    };
    let claim = format!("SPF was judged for {whose}; the message came in from {client}, for which it passes");
    Some(
        judged
            .breaks(&causes::CHECKED_BEHIND_RELAY, Confidence::Certain, claim)
            .text("tried", format!("for {client}, SPF of {} passes", sight.domain))
            .fix("check SPF where mail enters the house, or name the relay as trusted where it is checked")
            .fix("change nothing in the sender's record"),
    )
}

/// The client is a relay on this side, which nobody named as one; `found` is the cause so far.
pub fn untrusted_relay(judged: &Judged<'_>, outcome: &Outcome, found: &Finding) -> Option<Finding> {
    let proved = found.cause == &causes::CHECKED_BEHIND_RELAY;
    if !proved && !is_internal(outcome.client_ip) {
        return None;
    }
    let client = outcome.client_ip;
    let (confidence, claim) = match proved {
        true => {
            (Confidence::Likely, format!("{client} is a relay on this side, and was judged as if it were the sender"))
        }
        false => {
            (Confidence::Possible, format!("{client} is no address of the Internet: it may be a relay on this side"))
        }
    };
    Some(
        judged
            .finding(&local::TRUSTED_RELAY_MISSING, Effect::Note, confidence, claim)
            .fix(format!("if {client} is a relay of yours that verifies, name it in verify.trusted_relays"))
            .fix("otherwise verify there, where mail enters the house"),
    )
}

/// The message was forwarded: DKIM of From holds, and the client is not the sender's.
pub fn forwarded(judged: &Judged<'_>, outcome: &Outcome, sight: Sight<'_>) -> Option<Finding> {
    let case = judged.case;
    if outcome.scope == Scope::Helo {
        return None;
    }
    let holds = |result: &&crate::verify::dkim::DkimResult| {
        result.result == Word::Pass && case.standing.of_signature(result.index) == Aligned::Yes
    };
    let signer = case.verdicts.dkim.iter().find(holds)?.signature.domain.as_ref()?;
    let sign = sign_of_forwarding(judged, outcome, sight)?;
    let claim = format!(
        "the message was forwarded: the signature of {signer} holds, {} is not a host of {}, and {sign}",
        outcome.client_ip, sight.domain
    );
    Some(
        judged
            .breaks(&causes::FORWARDED, Confidence::Likely, claim)
            .dns("the SPF record", sight.answer)
            .fix("nothing at the sender: SPF cannot survive forwarding, DKIM does")
            .fix("at the forwarder: rewrite the envelope sender (SRS), or seal with ARC"),
    )
}

/// What shows that somebody passed the message on.
fn sign_of_forwarding(judged: &Judged<'_>, outcome: &Outcome, sight: Sight<'_>) -> Option<String> {
    let case = judged.case;
    let envelope = &case.verdicts.spf.as_ref()?.envelope;
    let sender = envelope.mail_from.to_ascii_uppercase();
    let sender = sender.strip_prefix(b"<").unwrap_or(&sender);
    if sender.starts_with(b"SRS0") || sender.starts_with(b"SRS1") {
        return Some("its envelope sender was rewritten (SRS)".to_owned());
    }
    for name in ["List-Id", "List-Post", "Resent-From", "X-Forwarded-To", "X-Forwarded-For", "ARC-Seal"] {
        if case.header.named(name).next().is_some() {
            return Some(format!("a forwarder or list left {name}"));
        }
    }
    let (_, before) = trace(judged, outcome)?;
    let record = sight.record?.as_bytes();
    let client = earlier(&before, outcome.client_ip).find(|client| judged.passes_from(record, *client))?;
    Some(format!("SPF passes for {client}, which had it before"))
}

/// The client speaks IPv6, and the same host may send by IPv4.
pub fn other_family(judged: &Judged<'_>, outcome: &Outcome, sight: Sight<'_>, record: &Record) -> Option<Finding> {
    let IpAddr::V6(client) = outcome.client_ip else { return None };
    let nibbles: Vec<String> = format!("{:032x}", client.to_bits()).chars().rev().map(String::from).collect();
    let pointers = judged.facts.answer(&format!("{}.ip6.arpa", nibbles.join(".")), RecordType::Ptr);
    let mut names: Vec<String> = Vec::new();
    for record in pointers.iter().flat_map(|answer| &answer.records).take(CLIENTS) {
        if let Data::Ptr(name) = &record.data {
            names.push(name.clone());
        }
    }
    // What the host calls itself, if that name has the client's address.
    let helo = judged.case.verdicts.spf.as_ref().map(|spf| &spf.envelope.helo);
    if names.is_empty()
        && let Some(helo) = helo.and_then(|helo| crate::name::DomainName::from_bytes(helo).ok())
        && let Some(answer) = judged.facts.answer(helo.as_str(), RecordType::Aaaa)
        && answer.addresses().any(|address| address == outcome.client_ip)
    {
        names.push(helo.to_string());
    }
    for name in names {
        let Some(answer) = judged.facts.answer(&name, RecordType::A) else { continue };
        for address in answer.addresses().take(CLIENTS) {
            if judged.passes_from(record.as_bytes(), address) {
                let added = record.with_added(&format!("ip6:{client}"));
                let claim = format!(
                    "{name} sent by IPv6 as {client}, which the record of {} does not name; its IPv4 address {address} passes",
                    sight.domain
                );
                let finding = judged
                    .breaks(&causes::IPV6_EGRESS_UNLISTED, Confidence::Likely, claim)
                    .dns("the SPF record", sight.answer)
                    .dns("the IPv4 addresses of the host", answer);
                return Some(
                    finding.repaired(sight, &added).fix("or send by IPv4 alone (smtp_address_preference in Postfix)"),
                );
            }
        }
    }
    None
}

/// The Received field of the client that was judged, if it is there, and those before it, newest first.
fn trace(judged: &Judged<'_>, outcome: &Outcome) -> Option<(Option<Received>, Vec<Received>)> {
    let header = judged.case.header;
    let mut hops: Vec<Received> =
        header.named("Received").take(HOPS).map(|field| received::read(field.value())).collect();
    let entered = hops.iter().position(|hop| hop.client_ip == Some(outcome.client_ip));
    Some(match entered {
        Some(at) => {
            let before = hops.split_off(at + 1);
            (hops.pop(), before)
        }
        None => (None, hops),
    })
}

/// The clients of these hops that are hosts of the Internet.
fn earlier(hops: &[Received], client: IpAddr) -> impl Iterator<Item = IpAddr> {
    let public = move |ip: &IpAddr| *ip != client && !is_internal(*ip);
    hops.iter().filter_map(|hop| hop.client_ip).filter(public).take(CLIENTS)
}

/// Were both fields written by hosts of one house? Gives its domain.
fn same_house(entered: &Received, before: &Received) -> Option<String> {
    let above = |hop: &Received| {
        let by = crate::name::DomainName::new(hop.by.as_deref()?).ok()?;
        by.parent().filter(|parent| parent.labels().count() >= 2)
    };
    let house = above(entered)?;
    (above(before)? == house).then(|| house.to_string())
}

/// An address that no host of the Internet sends from.
fn is_internal(ip: IpAddr) -> bool {
    match ip {
        // RFC 6598: 100.64.0.0/10.
        IpAddr::V4(ip) => {
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.to_bits() >> 22 == 0x6440_0000 >> 22
        }
        IpAddr::V6(ip) => {
            ip.is_loopback() || ip.segments()[0] & 0xfe00 == 0xfc00 || ip.segments()[0] & 0xffc0 == 0xfe80
        }
    }
}
