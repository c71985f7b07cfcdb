//! What is no key, or not the key that it says: by definition, by the octets in p=, or for no better reason.

use super::{
    MAX_TEXT,
    joints::{Published, cut, padded},
    set::{Entry, Kind, Set, Trial, Trials, bits},
    shape::receivers_of_pieces,
    text::named,
};
use crate::{
    diagnose::{
        finding::{Confidence, Effect, Finding, Value},
        register::{Cause, dns_record as record_causes, key as causes},
        secret,
    },
    dkim::{
        KeyType, der,
        record::{Key, KeyFault, KeyRecord},
        tag::{self, TagList, TagProblemKind},
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};

/// The private key in DNS, before anything else is said about the record.
pub(super) fn private_key(set: &Set<'_>) -> Option<Finding> {
    let (entry, fingerprint) = set.entries.iter().find_map(|entry| Some((entry, secret::fingerprint(&entry.text)?)))?;
    // Beside a sound key it is not what the signature fails by.
    let effect = if set.complete().next().is_none() { Effect::Breaks } else { Effect::Risk };
    let claim = format!("record {} at {} holds a private key: whoever reads it can sign mail", entry.number, set.owner);
    let finding = Finding::new(&causes::PRIVATE_KEY, effect, Confidence::Certain, claim);
    // How it was cut into strings is of no matter here, and a recording does not keep it.
    let finding = finding
        .dns("the records at the name", set.key.answer)
        .with("SHA-256 of the record with the private key", Value::Digest(fingerprint))
        .fix(format!("delete the TXT record at {} now", set.owner))
        .fix("make a new key pair, publish its public key under a new selector, and sign with it")
        .fix("never use this key again: it must count as known to everybody");
    Some(finding)
}

/// Tries what can be wrong with the octets themselves.
pub(super) fn repairs(trials: &mut Trials<'_, '_>) {
    let set = trials.set;
    for entry in set.broken() {
        let mut attempt = |cause, text: String, claim: &str| {
            let claim = named(set.entries.len(), entry, claim);
            trials.attempt(Trial { cause, text: text.into_bytes(), claim, also: None });
        };
        if let Some(KeyFault::Ed25519Spki) = entry.record.fault
            && let Some(published) = Published::of(entry)
            && let Some(start) = published.octets.len().checked_sub(32)
        {
            let text = format!("v=DKIM1;k=ed25519;p={}", STANDARD.encode(&published.octets[start..]));
            attempt(
                &causes::ED25519_SPKI,
                text,
                "the Ed25519 key stands in a SubjectPublicKeyInfo of 44 octets, not alone",
            );
        }
        for (text, claim) in mechanical(entry) {
            attempt(&causes::CORRUPT, text, &claim);
        }
    }
}

/// Damage that one rule mends: another alphabet, an encoding of the panel, lost padding, stray characters.
fn mechanical(entry: &Entry<'_>) -> Vec<(String, String)> {
    let Some(text) = entry.utf8() else { return Vec::new() };
    let mut all: Vec<(String, &str)> = Vec::new();
    let decoded = [
        ("%2B", "+"),
        ("%2b", "+"),
        ("%2F", "/"),
        ("%2f", "/"),
        ("%3D", "="),
        ("%3d", "="),
        ("%3B", ";"),
        ("%20", " "),
    ];
    let undo = |pairs: &[(&str, &str)]| pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    all.push((undo(&decoded), "the value is percent-encoded, as in a URL"));
    let entities = [
        ("&#43;", "+"),
        ("&#x2B;", "+"),
        ("&#47;", "/"),
        ("&#61;", "="),
        ("&quot;", ""),
        ("&#34;", ""),
        ("&amp;", "&"),
    ];
    all.push((undo(&entities), "the value holds HTML entities"));
    all.push((text.replace("=3D", "="), "the value is quoted-printable"));
    all.push((text.replace('\\', ""), "backslashes stand in the value"));
    all.push((text.replace(':', "="), "colons stand where equals signs belong"));
    if let Some(range) = TagList::read(&entry.text).get("p").map(|tag| tag.range.clone()) {
        let p = &text[range.clone()];
        let with = |p: String| format!("{}{p}{}", &text[..range.start], &text[range.end..]);
        let inner = tag::trim(p);
        all.push((with(inner.replace('-', "+").replace('_', "/")), "p= is in the URL-safe alphabet of base64"));
        all.push((with(inner.replace(' ', "+")), "blanks stand where p= has plus signs"));
        let plain = tag::without_blanks(inner);
        all.push((with(padded(plain.trim_end_matches('='))), "the padding at the end of p= is wrong"));
        let bare: String = plain.chars().filter(|c| c.is_ascii_alphanumeric() || "+/".contains(*c)).collect();
        all.push((with(padded(&bare)), "characters that are none of base64 stand in p="));
        // A semicolon inside the key makes its rest a tag without a name.
        let rest: String =
            text[range.start..].chars().filter(|c| c.is_ascii_alphanumeric() || "+/".contains(*c)).collect();
        all.push((format!("{}{}", &text[..range.start], padded(&rest)), "a semicolon or another sign cuts p= in two"));
        all.extend(
            with_known_head(&plain).map(|p| {
                (with(p), "the first or last octets of the key, which are the same in every key, are damaged")
            }),
        );
    }
    let at = bad_character(text);
    all.into_iter()
        .filter(|(repaired, _)| repaired != text)
        .map(|(repaired, what)| match &at {
            Some(at) => (repaired, format!("{what} ({at})")),
            None => (repaired, what.to_owned()),
        })
        .collect()
}

/// The octets around the modulus are the same in every RSA key of one size: few of them damaged can be told and mended.
fn with_known_head(p: &str) -> Option<String> {
    /// Octets that may differ before it is another structure altogether.
    const DAMAGED: usize = 4;
    let octets = STANDARD.decode(padded(p.trim_end_matches('='))).ok()?;
    let (modulus, model) = [128, 256, 384, 512]
        .into_iter()
        .map(|modulus| (modulus, model(modulus)))
        .find(|(_, model)| model.len() == octets.len())?;
    let head = model.len() - modulus - 5;
    let damaged = |at: &usize| octets[*at] != model[*at];
    let places = (0..head).chain(octets.len() - 5..octets.len());
    let count = places.clone().filter(damaged).count();
    if !(1..=DAMAGED).contains(&count) {
        return None;
    }
    let mut mended = octets.clone();
    for at in places {
        mended[at] = model[at];
    }
    Some(STANDARD.encode(mended))
}

/// An RSA key of a modulus of so many octets, all of them 0xff, with the exponent 65537.
fn model(modulus: usize) -> Vec<u8> {
    let number = [&[0][..], &vec![0xff; modulus]].concat();
    let length = |length: usize| match length {
        0x80..=0xff => vec![0x81, length as u8],
        _ => vec![0x82, (length >> 8) as u8, length as u8],
    };
    let numbers = [&[2][..], &length(number.len()), &number, &[2, 3, 1, 0, 1]].concat();
    der::wrapped(&[&[0x30][..], &length(numbers.len()), &numbers].concat())
}

/// The first character of p= that is none of base64, and what kind it is.
fn bad_character(text: &str) -> Option<String> {
    let list = TagList::read(text.as_bytes());
    let tag = list.get("p")?;
    let value = &text[tag.range.clone()];
    let (at, c) = value.char_indices().find(|(_, c)| !(c.is_ascii_alphanumeric() || "+/= \t\r\n".contains(*c)))?;
    Some(format!("{c:?} at octet {}", tag.range.start + at))
}

/// What a record says by definition: nothing has to be tried.
pub(super) fn by_definition(set: &Set<'_>) -> Option<Finding> {
    let entries = || set.entries.iter().filter(|entry| entry.kind == Kind::Broken && entry.text.len() <= MAX_TEXT);
    let (entry, (cause, confidence, claim, repaired)) =
        entries().find_map(|entry| Some((entry, defined(set, entry)?)))?;
    let claim = named(set.entries.len(), entry, &claim);
    let mut finding = set.shown(Finding::breaks(cause, confidence, claim));
    let key = repaired.as_ref().and_then(|text| KeyRecord::read(text).key);
    if let Some(key) = &key {
        let label = match set.key.oracle.knows(key) {
            found if found.is_signer() => "the key in it, which is the right one",
            _ => "the key in it",
        };
        finding = finding.key(label, key);
    }
    for step in steps(cause) {
        finding = finding.fix(*step);
    }
    // A sound key of another type than the signature's belongs to another selector.
    let fits = |key: &Key| set.key.oracle.algorithm().is_none_or(|algorithm| algorithm.key_type() == kind(key));
    Some(match (&key, &repaired) {
        (Some(key), Some(text)) if fits(key) => set.publishing(finding, Some((key, text))),
        _ => set.publishing(finding, None),
    })
}

/// The type of a key.
fn kind(key: &Key) -> KeyType {
    match key {
        Key::Rsa { .. } => KeyType::Rsa,
        Key::Ed25519(_) => KeyType::Ed25519,
    }
}

/// What to do about a definition.
fn steps(cause: &Cause) -> &'static [&'static str] {
    match cause.code {
        "dkim-key-revoked" => &[
            "sign with the selector that is published now",
            "or publish the key of this selector again until its last signer has moved",
        ],
        "dkim-placeholder-value" => &["enter the value that the console of the signer gives, not that of the example"],
        "dkim-key-corrupt" => &[
            "make a new key pair, publish its public key under a new selector, and sign with it",
            "delete this record: mail signed by others passes where receivers do not check for it",
        ],
        "dkim-key-missing-p" => &["enter the whole value as the signer gives it: p= with the key is missing"],
        "dkim-key-type-unknown" => &["write k=rsa or k=ed25519, or leave k= out for RSA"],
        "dkim-key-type-mismatch" => &["let k= say the type of the key, and give each key a selector of its own"],
        "dkim-key-is-certificate" => {
            &["publish the public key in the certificate: openssl x509 -in cert.pem -noout -pubkey"]
        }
        "dkim-version-invalid" => &["begin the record with v=DKIM1;"],
        "dkim-duplicate-tag" => &["keep one of each tag; of two keys the one that signs"],
        "dkim-missing-semicolon" => &["put a semicolon between the tags"],
        _ => &[],
    }
}

type Defined = (&'static Cause, Confidence, String, Option<Vec<u8>>);

fn defined(set: &Set<'_>, entry: &Entry<'_>) -> Option<Defined> {
    let certain = |cause, claim: String, repaired| Some((cause, Confidence::Certain, claim, repaired));
    let list = TagList::read(&entry.text);
    if let Some(p) = list.value("p").filter(|p| is_placeholder(p)) {
        let shown: String = p.chars().take(40).collect();
        return certain(
            &record_causes::PLACEHOLDER,
            format!("p={shown} is the placeholder of an example, not a key"),
            None,
        );
    }
    if let Some(found) = certificate(entry) {
        return Some(found);
    }
    let twice = list.problems.iter().find_map(|problem| match &problem.kind {
        TagProblemKind::Duplicate(name) => Some((name.clone(), problem.at)),
        _ => None,
    });
    if let Some((name, at)) = twice {
        let claim = format!("the tag {name}= stands twice in the record, the second time at octet {at}");
        return certain(&record_causes::DUPLICATE_TAG, claim, once(set, &list));
    }
    match entry.record.fault.as_ref()? {
        KeyFault::Version(value) if is_run_together(value) => missing_semicolon("v", value),
        KeyFault::KeyType(value) if is_run_together(value) => missing_semicolon("k", value),
        KeyFault::Version(value) => {
            let claim = match value.as_str() {
                "DKIM1" => "v=DKIM1 is not the first tag of the record, which must then be discarded".into(),
                value => format!("the version of the record is {value:?} and not DKIM1: it must be discarded"),
            };
            let others: Vec<String> = list
                .tags
                .iter()
                .filter(|tag| tag.name != "v")
                .map(|tag| format!("{}={}", tag.name, tag.value))
                .collect();
            certain(&record_causes::VERSION_INVALID, claim, Some(format!("v=DKIM1;{}", others.join(";")).into_bytes()))
        }
        KeyFault::KeyType(value) => {
            let claim = format!("k={value} is no type of key: it is rsa or ed25519, in small letters");
            certain(&causes::TYPE_UNKNOWN, claim, typed(entry))
        }
        KeyFault::NoKey => certain(&causes::MISSING_P, format!("the record at {} has no p=", set.owner), None),
        KeyFault::Revoked => {
            certain(&causes::REVOKED, format!("p= of the record at {} is empty: the key was revoked", set.owner), None)
        }
        KeyFault::Base64 | KeyFault::Der(_) => another_type(entry),
        KeyFault::SmallOrder => certain(
            &causes::CORRUPT,
            "the Ed25519 key in p= is a point of small order: anybody can sign for it without a private key".into(),
            None,
        ),
        // A private key has been told of before.
        KeyFault::Tags(_) | KeyFault::Ed25519Spki | KeyFault::PrivateKey => None,
    }
}

/// A value that holds the next tag, in a record that cannot be mended by a semicolon alone.
fn is_run_together(value: &str) -> bool {
    ["k=", "p=", "h=", "t=", "s="].iter().any(|tag| value.contains(tag))
}

fn missing_semicolon(name: &str, value: &str) -> Option<Defined> {
    let value: String = value.chars().take(30).collect();
    let claim = format!("a semicolon is missing in {name}={value}, and the key behind it cannot be read either");
    Some((&record_causes::MISSING_SEMICOLON, Confidence::Likely, claim, None))
}

/// The record with each tag once: with the key that is the right one, or the first.
fn once(set: &Set<'_>, list: &TagList<'_>) -> Option<Vec<u8>> {
    let keys = || {
        list.tags.iter().filter(|tag| tag.name == "p").map(|tag| tag.value.split("v=DKIM1").next().unwrap_or_default())
    };
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for kind in ["rsa", "ed25519"] {
        texts.extend(keys().take(4).map(|p| format!("v=DKIM1;k={kind};p={p}").into_bytes()));
    }
    let read = |text: &&Vec<u8>| KeyRecord::read(text).key;
    let right = texts.iter().find(|text| read(text).is_some_and(|key| set.key.oracle.knows(&key).is_signer()));
    right.or_else(|| texts.iter().find(|text| read(text).is_some())).cloned()
}

/// A record with the k= that its key has.
fn typed(entry: &Entry<'_>) -> Option<Vec<u8>> {
    let p = tag::without_blanks(entry.p()?);
    ["rsa", "ed25519"]
        .into_iter()
        .map(|kind| format!("v=DKIM1;k={kind};p={p}").into_bytes())
        .find(|text| KeyRecord::read(text).key.is_some())
}

/// A sound key of another type than k= says.
fn another_type(entry: &Entry<'_>) -> Option<Defined> {
    let repaired = typed(entry).or_else(|| {
        let published = Published::of(entry)?;
        let der::PublicKey::Ed25519Spki(key) = der::public_key(&published.octets).ok()? else { return None };
        Some(format!("v=DKIM1;k=ed25519;p={}", STANDARD.encode(key)).into_bytes())
    })?;
    let key = KeyRecord::read(&repaired).key?;
    let kind = entry.record.key_type.map_or("", KeyType::as_str);
    let what = match key {
        Key::Rsa { .. } => format!("an RSA key of {} bits", bits(&key)),
        Key::Ed25519(_) => "an Ed25519 key".into(),
    };
    let said = match TagList::read(&entry.text).get("k") {
        Some(_) => format!("k={kind}"),
        None => "no k=, which means rsa".into(),
    };
    Some((
        &causes::TYPE_MISMATCH,
        Confidence::Certain,
        format!("the record says {said}, and p= is {what}"),
        Some(repaired),
    ))
}

fn certificate(entry: &Entry<'_>) -> Option<Defined> {
    let text = entry.utf8()?;
    let bare =
        text.replace("-----BEGIN CERTIFICATE-----", "").replace("-----END CERTIFICATE-----", "").replace("\\n", "");
    let plain: String = bare.chars().filter(|c| !c.is_whitespace() && !"\"\\".contains(*c)).collect();
    let start = plain.find("MI")?;
    let run = plain[start..].find(|c: char| !(c.is_ascii_alphanumeric() || "+/".contains(c)));
    let run = &plain[start..run.map_or(plain.len(), |end| start + end)];
    let octets = secret::LENIENT.decode(&run[..run.len() - usize::from(run.len() % 4 == 1)]).ok()?;
    if !der::is_certificate(&octets) {
        return None;
    }
    let repaired =
        der::certified_key(&octets).map(|key| format!("v=DKIM1;k=rsa;p={}", STANDARD.encode(key)).into_bytes());
    let claim = "p= holds an X.509 certificate instead of a public key".into();
    Some((&causes::CERTIFICATE, Confidence::Certain, claim, repaired))
}

/// Words that stand for a key in examples.
fn is_placeholder(p: &str) -> bool {
    let lower = p.to_ascii_lowercase();
    let plain: String = lower.chars().filter(|c| !c.is_whitespace() && !"\"'".contains(*c)).collect();
    if plain.is_empty() || plain.len() > 120 {
        return false;
    }
    let words = [
        "your",
        "publickey",
        "public_key",
        "public-key",
        "placeholder",
        "example",
        "insert",
        "replace",
        "paste",
        "changeme",
        "key_here",
        "keyhere",
        "dkimkey",
        "dkim_key",
        "base64",
        "xxxx",
        "todo",
        "sample",
    ];
    let open = plain.starts_with(['<', '{', '[', '$', '%', '(']);
    let dots = plain.ends_with("...") || plain.ends_with('\u{2026}') || plain.contains("...");
    // A sentence in another script; full-width letters are those of a key, typed with the wrong keyboard.
    let sentence = plain.chars().any(|c| c.is_alphabetic() && !c.is_ascii() && !('\u{ff00}'..='\u{ffef}').contains(&c));
    let word = sentence || words.iter().any(|word| plain.contains(word)) || plain == "key";
    // A real key that somebody wrapped or cut decodes to the beginning of one.
    let real = plain.len() > 60 && !dots && !open;
    (open || dots || word) && !real
}

/// The key cannot be read, and nothing says why but its length.
pub(super) fn unreadable(set: &Set<'_>) -> Option<Finding> {
    let entry = set.entries.iter().find(|entry| entry.kind == Kind::Broken)?;
    let Some(published) = Published::of(entry).filter(|_| entry.text.len() <= MAX_TEXT) else {
        return Some(corrupt(set, entry));
    };
    let there = published.octets.len();
    let beside = set.broken().any(|other| other.kind == Kind::Fragment);
    match published.declared {
        Some(declared) if declared > there && published.has_end() => Some(hole(set, entry, &published, declared)),
        Some(declared) if declared > there && beside => Some(pieces(set, entry, &published)),
        Some(declared) if declared > there => Some(truncated(set, entry, &published)),
        Some(declared) if declared < there && published.has_end() => Some(hole(set, entry, &published, declared)),
        None if SPKI_2048.starts_with(&published.text) => Some(truncated(set, entry, &published)),
        _ => Some(corrupt(set, entry)),
    }
}

/// How every 2048-bit key begins.
const SPKI_2048: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA";

fn truncated(set: &Set<'_>, entry: &Entry<'_>, published: &Published) -> Finding {
    let claim = cut(published)
        .unwrap_or_else(|| format!("the key is cut: only {} characters of p= are published", published.text.len()));
    let finding = Finding::breaks(&causes::TRUNCATED, Confidence::Likely, named(set.entries.len(), entry, &claim));
    let finding = set
        .shown(finding)
        .text("where it ends", format!("the record ends at octet {}", entry.text.len()))
        .not(&record_causes::KEY_SPLIT, "no other record at the name continues it")
        .fix("publish the whole value as the signer gives it: one TXT record with two quoted strings of at most 255 characters")
        .fix("where the DNS provider takes no more than 255 characters, ask for it, or use a CNAME if the signer offers one, or move the zone");
    set.publishing(finding, None)
}

fn pieces(set: &Set<'_>, entry: &Entry<'_>, published: &Published) -> Finding {
    let records = set.broken().count();
    let claim = format!(
        "the key is split across {records} TXT records, and even joined they are not all of it: {} in record {}",
        cut(published).unwrap_or_default(),
        entry.number
    );
    let finding = Finding::breaks(&record_causes::KEY_SPLIT, Confidence::Likely, claim);
    let finding = receivers_of_pieces(set.shown(finding))
        .fix(format!("delete the {records} records at {}", set.owner))
        .fix("publish the whole value as the signer gives it: one record, two strings");
    set.publishing(finding, None)
}

fn hole(set: &Set<'_>, entry: &Entry<'_>, published: &Published, declared: usize) -> Finding {
    let wanted = declared.div_ceil(3) * 4;
    let there = published.text.len();
    let what = if there < wanted { "a piece in its middle is missing" } else { "a piece of it is repeated or foreign" };
    let claim = format!("p= begins and ends like a key and has {there} characters where it declares {wanted}: {what}");
    let claim = named(set.entries.len(), entry, &claim);
    let finding = Finding::breaks(&record_causes::STRINGS_MISSING, Confidence::Likely, claim);
    let finding = set
        .shown(finding)
        .not(&causes::TRUNCATED, "the end of the key is there")
        .fix("enter the whole value again as the signer gives it");
    set.publishing(finding, None)
}

fn corrupt(set: &Set<'_>, entry: &Entry<'_>) -> Finding {
    let fault = entry.record.fault.as_ref().map(ToString::to_string).unwrap_or_default();
    let place = entry.utf8().and_then(bad_character).map(|at| format!(": {at}")).unwrap_or_default();
    let claim = named(set.entries.len(), entry, &format!("{fault}{place}"));
    let mut finding = set.shown(Finding::breaks(&causes::CORRUPT, Confidence::Likely, claim));
    if entry.text.len() > MAX_TEXT {
        finding =
            finding.text("not examined", format!("the record has {} octets, more than {MAX_TEXT}", entry.text.len()));
    }
    let finding = finding.fix(format!("enter the value at {} again, as the signer gives it", set.owner));
    set.publishing(finding, None)
}
