//! How many records there are: a key in pieces, several keys, records that are no key.

use super::set::{Entry, Kind, Set, Trial, Trials, host};
use crate::{
    diagnose::{
        case::Oracle,
        finding::{Confidence, Effect, Finding, Publish},
        register::{dns_record as causes, key as key_causes, place::RECORD_TYPE_MIXED_UP, propagation},
    },
    dkim::record::KeyRecord,
    dns::RecordType,
};

/// Pieces that are joined in every order: 60 ways for four of them.
const MAX_PIECES: usize = 4;

/// What verifiers make of pieces, as read in their sources.
const RECEIVERS_OF_PIECES: &str = "OpenDKIM up to 2.11 and go-msgauth refuse several records; dkimpy, Mail::DKIM, \
    mailauth, Thunderbird's verifier and OpenDKIM since 2026 read the first alone; rspamd and Stalwart the first that can \
    be read; Exim the first without a foreign v=; KumoMTA each by itself: none joins them, so this fails at all";

/// What verifiers make of several keys.
const RECEIVERS_OF_KEYS: &str = "fails at OpenDKIM up to 2.11 and go-msgauth, which refuse several records; depends on \
    the order of the answer at dkimpy, Mail::DKIM, mailauth, Thunderbird's verifier, Exim and OpenDKIM since 2026, which \
    take the first, and at rspamd and Stalwart, which take the first that can be read; KumoMTA tries each";

/// Pieces of one key in several records: joined in every order, with or without tags of their own.
pub(super) fn split(trials: &mut Trials<'_, '_>) {
    let set = trials.set;
    let mut pieces: Vec<&Entry<'_>> = set.broken().collect();
    // Short ones are more likely the tokens of others.
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.text.len()));
    pieces.truncate(MAX_PIECES);
    for order in orders(pieces.len()) {
        let chosen: Vec<&Entry<'_>> = order.iter().map(|&at| pieces[at]).collect();
        let numbers: Vec<String> = chosen.iter().map(|piece| piece.number.to_string()).collect();
        let claim = format!(
            "the key is split across {} TXT records, none of which is a key; joined in the order {}",
            chosen.len(),
            numbers.join(", ")
        );
        let trial = |text| Trial { cause: &causes::KEY_SPLIT, text, claim: claim.clone(), also: None };
        let whole: Vec<&[u8]> = chosen.iter().map(|piece| &piece.text[..]).collect();
        trials.attempt(trial(whole.concat()));
        // Each piece with tags of its own: only the first ones count.
        let bare: Vec<&[u8]> = chosen
            .iter()
            .enumerate()
            .map(|(at, piece)| match piece.p() {
                Some(p) if at > 0 => p.as_bytes(),
                _ => &piece.text,
            })
            .collect();
        trials.attempt(trial(bare.concat()));
        let clean: Vec<u8> = bare.concat().into_iter().filter(|b| !b"\"\\\r\n".contains(b)).collect();
        trials.attempt(trial(clean));
    }
}

/// Every order of two and more of `count` things, those of all first.
pub(super) fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = Vec::new();
    let mut last: Vec<Vec<usize>> = vec![Vec::new()];
    for length in 1..=count {
        let longer = |order: &Vec<usize>| {
            let order = order.clone();
            (0..count).filter(|at| !order.contains(at)).map(|at| [&order[..], &[at]].concat()).collect::<Vec<_>>()
        };
        last = last.iter().flat_map(longer).collect();
        if length > 1 {
            all.extend(last.iter().cloned());
        }
    }
    all.sort_by_key(|order| std::cmp::Reverse(order.len()));
    all
}

/// Several records where one belongs, though one of them is a key; and what follows for the results.
pub(super) fn risks(set: &Set<'_>, found: &[Finding]) -> Vec<Finding> {
    let mut findings = Vec::new();
    // The same key, written in two ways, with the same restrictions: whichever is taken, the result is one.
    let mut alike = false;
    let split = found.iter().any(|finding| finding.cause == &causes::KEY_SPLIT);
    if let Some(best) = set.best() {
        let (keys, foreign): (Vec<&Entry<'_>>, Vec<&Entry<'_>>) =
            set.entries.iter().filter(|entry| entry.number != best.number).partition(|entry| belongs(entry));
        if !keys.is_empty() {
            findings.push(several(set, best, &keys));
            alike = keys.iter().all(|entry| entry.record == best.record);
        }
        if !foreign.is_empty() {
            findings.push(foreign_beside(set, best, &foreign));
        }
    } else if let Some(foreign) = set.entries.iter().find(|entry| matches!(entry.kind, Kind::Foreign | Kind::Host))
        && set.broken().next().is_some()
    {
        let claim = format!("record {} at {} has nothing to do with DKIM", foreign.number, set.owner);
        let finding = Finding::risk(&causes::FOREIGN_TXT, Confidence::Certain, claim);
        findings.push(set.shown(finding).fix("move it to the name where it belongs"));
    }
    let several = findings.iter().any(|finding| finding.cause == &causes::MULTIPLE_KEYS);
    if split || several && !alike {
        let (confidence, root) = match several {
            true => (Confidence::Likely, causes::MULTIPLE_KEYS.code),
            false => (Confidence::Possible, causes::KEY_SPLIT.code),
        };
        let claim =
            format!("mail of this selector may pass and fail in turn: DNS gives the records of {root} in any order");
        findings.push(
            Finding::note(&propagation::RESULTS_ALTERNATE, confidence, claim).fix(format!("see {root}: one record")),
        );
    }
    findings
}

/// Is it a key, or a piece of one, and no token of somebody else?
fn belongs(entry: &Entry<'_>) -> bool {
    match entry.kind {
        Kind::Key | Kind::Broken => true,
        Kind::Fragment => entry.text.len() >= 64 || entry.text.ends_with(b"QAB"),
        Kind::Host | Kind::Foreign => false,
    }
}

/// A whole key among several key records.
fn several(set: &Set<'_>, best: &Entry<'_>, others: &[&Entry<'_>]) -> Finding {
    let whole = 1 + others.iter().filter(|entry| entry.kind == Kind::Key).count();
    let count = others.len() + 1;
    let alike = others.iter().all(|entry| entry.record == best.record);
    let what = match best.found {
        _ if alike => "they say the same in different spellings".into(),
        Some(found) if found.is_signer() => format!("the key of record {} is the right one", best.number),
        _ if best.is_refuted() => "no key among them is the right one".into(),
        _ => "which of them is the right one is not known".into(),
    };
    let hold = if whole == 1 { "holds" } else { "hold" };
    let claim = format!("{count} key records stand at {}, {whole} of them {hold} a whole key; {what}", set.owner);
    // A key that is checked has no signature that passes all the same.
    let effect = match set.key.oracle {
        Oracle::Signature(_) => Effect::Risk,
        Oracle::Key(_) | Oracle::None => Effect::Breaks,
    };
    let mut finding = set.shown(Finding::new(&causes::MULTIPLE_KEYS, effect, Confidence::Certain, claim));
    for entry in std::iter::once(best).chain(others.iter().copied()) {
        let label = format!("record {}", entry.number);
        finding = match (&entry.record.key, &entry.record.fault) {
            (Some(key), _) => finding.key(&label, key),
            (None, Some(fault)) => finding.text(&label, fault.to_string()),
            (None, None) => finding,
        };
    }
    let finding = finding
        .text("at other receivers", RECEIVERS_OF_KEYS)
        .fix(format!("keep exactly the record whose key signs, and delete the others at {}", set.owner))
        .fix("for a new key use a new selector instead of a second record")
        .not(&causes::KEY_SPLIT, format!("record {} is a whole key by itself", best.number));
    match (&best.record.key, best.found.is_some_and(|found| found.is_signer())) {
        (Some(key), true) => set.publishing(finding, Some((key, &best.text))),
        _ => finding,
    }
}

/// A key, and something else beside it.
fn foreign_beside(set: &Set<'_>, best: &Entry<'_>, foreign: &[&Entry<'_>]) -> Finding {
    let claim = format!(
        "{} TXT record{} that {} no key stand{} beside the key at {}: other receivers may take the first record",
        foreign.len(),
        if foreign.len() == 1 { "" } else { "s" },
        if foreign.len() == 1 { "is" } else { "are" },
        if foreign.len() == 1 { "s" } else { "" },
        set.owner
    );
    let finding = set
        .shown(Finding::risk(&causes::FOREIGN_TXT, Confidence::Certain, claim))
        .text("at other receivers", RECEIVERS_OF_KEYS)
        .fix("move it to the name where it belongs, and leave only the key record here");
    match &best.record.key {
        Some(key) => set.publishing(finding, Some((key, &best.text))),
        None => finding,
    }
}

/// Records of which none is a key, not even a broken one.
pub(super) fn not_a_key(set: &Set<'_>) -> Option<Finding> {
    if set.entries.iter().any(|entry| entry.kind == Kind::Broken) {
        return None;
    }
    if let Some(entry) = set.entries.iter().find(|entry| entry.kind == Kind::Host) {
        return Some(mixed_up(set, entry));
    }
    if let Some(entry) = set.entries.iter().find(|entry| entry.kind == Kind::Fragment && entry.text.len() >= 40) {
        let claim = format!("record {} at {} is base64 without any tag: there is no p=", entry.number, set.owner);
        let finding = Finding::breaks(&key_causes::MISSING_P, Confidence::Certain, claim);
        let finding = set.shown(finding).fix("begin the value with v=DKIM1; k=rsa; p=");
        let tagged = [b"v=DKIM1;p=", &entry.text[..]].concat();
        let key = KeyRecord::read(&tagged).key;
        return Some(set.publishing(finding, key.as_ref().map(|key| (key, &tagged[..]))));
    }
    let entry = set.entries.first()?;
    let what: String = String::from_utf8_lossy(&entry.text).chars().take(40).collect();
    let claim = format!("the TXT record at {} is no key record: it begins with {what:?}", set.owner);
    let finding = Finding::breaks(&causes::FOREIGN_TXT, Confidence::Certain, claim);
    let finding = set
        .shown(finding)
        .fix("move this record to the name where it belongs")
        .fix(format!("publish the key record of the signer at {}", set.owner));
    Some(set.publishing(finding, None))
}

/// The name of a host in a TXT record.
fn mixed_up(set: &Set<'_>, entry: &Entry<'_>) -> Finding {
    let text = String::from_utf8_lossy(&entry.text).into_owned();
    let target = host(&text).trim_end_matches('.').to_owned();
    let claim = format!("the TXT record at {} holds the name {target}, which belongs in a CNAME record", set.owner);
    let mut finding = set
        .shown(Finding::breaks(&RECORD_TYPE_MIXED_UP, Confidence::Certain, claim))
        .fix(format!("delete the TXT record, and publish a CNAME record at {} that points to {target}", set.owner));
    if let Some(answer) = set.key.facts.txt(&target)
        && let Some((_, key, found)) = set.key.sound(answer)
    {
        let label = match found.is_signer() {
            true => "the key at that name, which made this signature",
            false => "the key at that name",
        };
        finding = finding.key(label, &key);
    }
    finding.publish = Some(Publish { name: set.owner.clone(), kind: RecordType::Cname, value: target + "." });
    finding
}

/// What other receivers make of a key in pieces.
pub(super) fn receivers_of_pieces(finding: Finding) -> Finding {
    finding.text("at other receivers", RECEIVERS_OF_PIECES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_of_two_and_more_once() {
        assert_eq!(orders(2), [vec![0, 1], vec![1, 0]]);
        let four = orders(4);
        assert_eq!(four.len(), 24 + 24 + 12);
        assert_eq!(four[0], [0, 1, 2, 3]);
        assert!(four.iter().all(|order| (0..4).all(|at| order.iter().filter(|other| **other == at).count() <= 1)));
        assert!(orders(1).is_empty() && orders(0).is_empty());
    }
}
