//! What a sound key does not allow, and what passes here and not everywhere.

use super::set::{Entry, Set, bits};
use crate::{
    diagnose::{
        case::Oracle,
        finding::{Confidence, Effect, Finding},
        register::{Cause, dns_record as record_causes, key as causes},
    },
    dkim::{
        der::{self, PublicKey},
        record::Key,
        signature::Algorithm,
        tag::{self, TagList},
    },
};

/// RFC 8301 §3.2: fewer bits must not be accepted.
const LEAST_BITS: usize = 1024;
/// RFC 8301 §3.2: verifiers must be able to check up to here.
const MOST_BITS: usize = 4096;
/// Longer exponents are refused by most libraries.
const EXPONENT_OCTETS: usize = 4;

/// Why the sound keys at the name may not be used for this signature.
pub(super) fn forbidden(set: &Set<'_>) -> Vec<Finding> {
    let possible: Vec<&Entry<'_>> = match set.complete().any(|entry| !entry.is_refuted()) {
        true => set.complete().filter(|entry| !entry.is_refuted()).collect(),
        false => set.complete().collect(),
    };
    if possible.iter().any(|entry| restriction(set, entry).is_none()) {
        return Vec::new();
    }
    let best = set.best().filter(|best| possible.iter().any(|entry| entry.number == best.number));
    let Some(entry) = best.or(possible.first().copied()) else { return Vec::new() };
    let Some((cause, confidence, claim, fix)) = restriction(set, entry) else { return Vec::new() };
    let finding = set.shown(Finding::breaks(cause, confidence, claim)).fix(fix);
    let finding = match &entry.record.key {
        Some(key) => finding.key("the key", key),
        None => finding,
    };
    let without: &[&str] = match cause.code {
        "dkim-hash-not-allowed" => &["h"],
        "dkim-service-type-mismatch" => &["s"],
        "dkim-subdomain-forbidden" => &["t"],
        _ => return vec![finding],
    };
    vec![match &entry.record.key {
        Some(key) => set.publishing(finding, Some((key, &without_tags(entry, without)))),
        None => finding,
    }]
}

type Restriction = (&'static Cause, Confidence, String, &'static str);

/// What in the record forbids its use; in the order in which a verifier looks.
fn restriction(set: &Set<'_>, entry: &Entry<'_>) -> Option<Restriction> {
    let (record, key) = (&entry.record, entry.record.key.as_ref()?);
    let algorithm = set.key.oracle.algorithm();
    let certain = |cause, claim: String, fix| Some((cause, Confidence::Certain, claim, fix));
    if let (Some(algorithm), Some(kind)) = (algorithm, record.key_type)
        && algorithm.key_type() != kind
    {
        let wanted = algorithm.key_type().as_str();
        let claim = format!("the published key is of type {}, and the signer's of type {wanted}", kind.as_str());
        return certain(
            &causes::TYPE_MISMATCH,
            claim,
            "give each key a selector of its own, and sign with the right one",
        );
    }
    let hash = if algorithm == Some(Algorithm::RsaSha1) { "sha1" } else { "sha256" };
    if let Some(hashes) = record.hashes.as_ref().filter(|hashes| !hashes.iter().any(|item| item == hash)) {
        let claim = format!("h={} of the key record does not allow {hash}", hashes.join(":"));
        return certain(&causes::HASH_NOT_ALLOWED, claim, "remove h= from the key record");
    }
    if !record.serves_mail() {
        let services = record.services.clone().unwrap_or_default().join(":");
        let claim = format!("s={services} of the key record names neither email nor *: the key is not for mail");
        return certain(&causes::SERVICE_MISMATCH, claim, "remove s= from the key record");
    }
    if let Oracle::Signature(result) = set.key.oracle
        && record.strict_identity
        && result.signature.identity_domain != result.signature.domain
    {
        let identity = result.signature.identity.as_deref().unwrap_or_default();
        let claim = format!("t=s of the key record forbids i={identity}, whose domain is not d={}", set.key.domain);
        return certain(&causes::SUBDOMAIN_FORBIDDEN, claim, "remove s from t=, or let the signer leave i= out");
    }
    let Key::Rsa { der, bits, .. } = key else {
        // Only a provider of RSA keys demands a number of bits.
        let profile = set.key.profile.filter(|_| algorithm.is_none())?;
        let bits = profile.key_bits?;
        let claim = format!("the published key is of type ed25519, and {} demands RSA of {bits} bits", profile.name);
        return certain(&causes::TYPE_MISMATCH, claim, SIZE);
    };
    if *bits < LEAST_BITS {
        let claim = format!("the key has {bits} bits: fewer than {LEAST_BITS} must not be accepted");
        return certain(&causes::TOO_SMALL, claim, "make a key of 2048 bits, and publish it under a new selector");
    }
    let exponent = match der::public_key(der) {
        Ok(PublicKey::Spki(numbers) | PublicKey::Pkcs1(numbers)) => numbers.exponent.len(),
        _ => 0,
    };
    if *bits > MOST_BITS || exponent > EXPONENT_OCTETS {
        let claim = match *bits > MOST_BITS {
            true => format!("the key has {bits} bits: many verifiers, this one too, refuse more than {MOST_BITS}"),
            false => format!("the exponent of the key has {exponent} octets: many verifiers refuse more than 4"),
        };
        let fix = "make a key of 2048 bits with the exponent 65537, and publish it under a new selector";
        return Some((&causes::TOO_LARGE, Confidence::Likely, claim, fix));
    }
    match set.key.oracle {
        Oracle::Signature(_) => None,
        _ => demanded(set, entry).map(|claim| (&causes::WRONG_SIZE, Confidence::Certain, claim, SIZE)),
    }
}

const SIZE: &str =
    "publish the value that the console of the provider gives, or make a key of the size that it demands";

/// A key of another size than the profile demands.
fn demanded(set: &Set<'_>, entry: &Entry<'_>) -> Option<String> {
    let profile = set.key.profile?;
    let (wanted, Key::Rsa { bits, .. }) = (profile.key_bits?, entry.record.key.as_ref()?) else { return None };
    (*bits != wanted).then(|| {
        let whose = match profile.entry(set.key.selector) {
            Some(_) => format!(", whose selector {} is", set.key.selector),
            None => String::new(),
        };
        format!("the key has {bits} bits, and {}{whose}, demands {wanted}", profile.name)
    })
}

/// A key that cannot have made the signature because of its size, where a profile demands another.
pub(super) fn wrong_size(set: &Set<'_>) -> Option<Finding> {
    let Oracle::Signature(result) = set.key.oracle else { return None };
    let entry = set.best()?;
    let claim = demanded(set, entry)?;
    let made = result.signature.signature.as_ref()?.len() * 8;
    let key = entry.record.key.as_ref()?;
    if bits(key).div_ceil(8) * 8 == made {
        return None;
    }
    let claim = format!("{claim}; the signature has {made} bits, so this key did not make it");
    let finding = Finding::breaks(&causes::WRONG_SIZE, Confidence::Certain, claim);
    Some(set.shown(finding).key("the published key", key).fix(SIZE))
}

/// What a sound key will bite somebody with, or says by the way.
pub(super) fn risks(set: &Set<'_>, found: &[Finding]) -> Vec<Finding> {
    let Some(entry) = set.best() else { return Vec::new() };
    let Some(key) = &entry.record.key else { return Vec::new() };
    let mut findings = Vec::new();
    if let Key::Rsa { pkcs1: true, bits, .. } = key {
        let claim =
            format!("the key of {bits} bits is a bare RSAPublicKey: it works at some receivers and not at others");
        let finding = set
            .shown(Finding::risk(&causes::PKCS1, Confidence::Certain, claim))
            .text(
                "at other receivers",
                "accepted by go-msgauth, mail-auth and KumoMTA; refused by OpenDKIM, rspamd, dkimpy, mailauth and Exim",
            )
            .fix("publish the key as SubjectPublicKeyInfo: openssl rsa -in private.pem -pubout");
        findings.push(set.publishing(finding, Some((key, &entry.text))));
    }
    findings.extend(blanks(set, entry, key));
    let sized = found.iter().any(|finding| finding.cause == &causes::WRONG_SIZE || finding.cause == &causes::TOO_SMALL);
    if !sized && let Some(claim) = demanded(set, entry) {
        let finding = Finding::risk(&causes::WRONG_SIZE, Confidence::Certain, claim);
        findings.push(set.shown(finding).key("the published key", key).fix(SIZE));
    }
    findings.extend(granularity(set, entry, key));
    if entry.record.testing {
        let claim = "t=y of the key record says that the domain is testing: some receivers then ignore the result";
        let finding = Finding::risk(&causes::TESTING, Confidence::Possible, claim);
        findings.push(set.shown(finding).fix("remove y from t= once mail verifies"));
    }
    findings
}

/// Blanks or line breaks inside p=, which are legal and not understood everywhere.
fn blanks(set: &Set<'_>, entry: &Entry<'_>, key: &Key) -> Option<Finding> {
    let list = TagList::read(&entry.text);
    let value = tag::trim(list.value("p")?);
    let blanks = value.chars().filter(|c| c.is_whitespace()).count();
    if blanks == 0 {
        return None;
    }
    let (cause, what) = match value {
        value if value.contains(['\r', '\n']) => (&record_causes::LITERAL_NEWLINE, "line breaks stand"),
        value if value.contains('\t') => (&record_causes::LITERAL_NEWLINE, "tabs stand"),
        _ => (&record_causes::KEY_WHITESPACE, "blanks stand"),
    };
    let count = if blanks == 1 { "1 character".to_owned() } else { format!("{blanks} characters") };
    let claim = format!("{what} inside p=, {count} in all: legal, but some verifiers refuse them");
    let finding =
        set.shown(Finding::risk(cause, Confidence::Likely, claim)).fix("enter the key in one piece, without blanks");
    Some(set.publishing(finding, Some((key, &entry.text))))
}

/// g= of RFC 4871.
fn granularity(set: &Set<'_>, entry: &Entry<'_>, key: &Key) -> Option<Finding> {
    let list = TagList::read(&entry.text);
    let value = list.value("g")?;
    let (effect, what) = match value {
        "*" => (Effect::Note, "which has no meaning any more"),
        "" => (Effect::Risk, "and old verifiers let an empty one match nobody"),
        _ => (Effect::Risk, "and old verifiers accept only this local part"),
    };
    let shown: String = value.chars().take(40).collect();
    let claim = format!("the key record has g={shown} of RFC 4871, {what}");
    let finding = set.shown(Finding::new(&causes::GRANULARITY, effect, Confidence::Likely, claim)).fix("remove g=");
    Some(match effect {
        Effect::Note => finding,
        _ => set.publishing(finding, Some((key, &entry.text))),
    })
}

/// The text of a record without some of its tags.
fn without_tags(entry: &Entry<'_>, names: &[&str]) -> Vec<u8> {
    let list = TagList::read(&entry.text);
    let kept = list.tags.iter().filter(|tag| !names.contains(&tag.name));
    kept.map(|tag| format!("{}={}", tag.name, tag.value)).collect::<Vec<_>>().join(";").into_bytes()
}
