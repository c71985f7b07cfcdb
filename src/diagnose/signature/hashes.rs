//! What a signer may have hashed instead: nothing, bare line feeds, doubled dots, another canonicalization.
//!
//! Each is one hash of the body. Only a hash that is equal is believed, and what has no copy of the body is not tried.

use super::super::{
    case::Case,
    finding::{Confidence, Finding, Value, hexadecimal},
    register::signer as causes,
    undo,
};
use crate::{
    dkim::{
        Canon,
        canon::{self, BodyCanon},
        digest::BodyHasher,
        record::KeyRecord,
        signature::Signature,
    },
    dns::Answer,
    message::Header,
    verify::dkim::{DkimResult, KeyState, Proof, Reason, State, emptied, prove, signed_fields},
};
use sha2::{Digest, Sha256};

/// Bodies beyond this are not hashed again; a copy of that size is not kept either.
const MAX_BODY: usize = 64 << 20;

/// Appended text that is shown.
const SHOWN: usize = 2000;

/// What the signer hashed, where that can be found out.
pub(super) fn findings(case: &Case<'_>, result: &DkimResult) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(length(case, result));
    if findings.is_empty() {
        findings.extend(empty_body(case, result));
    }
    if findings.is_empty() {
        findings.extend(mislabelled(case, result));
        findings.extend(bare_lf(case, result).or_else(|| dot_stuffed(case, result)));
    }
    findings
}

/// l= is more, or less, than there is.
fn length(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    match result.reason {
        Some(Reason::LengthBeyondBody { length, body }) => {
            let claim = format!("l={length} octets of the body are signed, and it has {body}");
            Some(
                Finding::breaks(&causes::BODY_LENGTH_EXCEEDS, Confidence::Certain, claim)
                    .fix("leave l= out at the signer")
                    .fix("find the relay that cuts messages"),
            )
        }
        Some(Reason::LengthShorterThanBody { length, body }) if result.body == State::Intact => {
            let more = body - length;
            let claim =
                format!("{more} octets follow the {length} of the body that l= says are signed, which are intact");
            let finding = Finding::breaks(&causes::BODY_LENGTH_APPENDED, Confidence::Certain, claim);
            let finding = match appended(case, result, length) {
                Some(text) => finding.text("the appended text", text),
                None => finding,
            };
            Some(finding.fix("leave l= out at the signer, so that nothing can be appended"))
        }
        _ => None,
    }
}

/// The start of what follows the signed part, in canonical form.
fn appended(case: &Case<'_>, result: &DkimResult, length: u64) -> Option<String> {
    let (_, canon) = result.signature.canonicalization?;
    let canonical = canonical(canon, copy(case)?);
    let tail = canonical.get(usize::try_from(length).ok()?..)?;
    Some(String::from_utf8_lossy(&tail[..tail.len().min(SHOWN)]).into_owned())
}

/// bh= is that of no body at all, and there is one.
///
/// A message that was sent without a text and got a footer looks the same. Where all of the body is what stands behind the
/// line that separates a footer, it is one; then the search takes it away.
fn empty_body(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let claimed = result.signature.body_hash.as_deref()?;
    let is_empty = EMPTY.iter().any(|hash| *hash == hexadecimal(claimed));
    // An empty body has one line end at most.
    if !is_empty || result.body == State::Intact || result.body_length? <= 2 {
        return None;
    }
    if copy(case).is_some_and(undo::is_footer) {
        return None;
    }
    let claim = format!("bh= is the hash of an empty body, and the body has {} octets", result.body_length?);
    Some(
        Finding::breaks(&causes::HASHED_EMPTY_BODY, Confidence::Certain, claim)
            .with("bh=", Value::Digest(hexadecimal(claimed)))
            .fix("let the signer wait for the whole body before it hashes"),
    )
}

/// SHA-256 and SHA-1 of nothing, and of one CR LF.
const EMPTY: &[&str] = &[
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "7eb70257593da06f682a3ddda54a9d260d4fc514f645237f5ca74b08f8da61a6",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "ba8ab5a0280b953aa97435ff8946cbcbb2755a27",
];

/// Only with the line ends of Unix does the body give bh=.
fn bare_lf(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let (claimed, canon, body) = changed(case, result)?;
    let canonical = canonical(canon, body);
    let mut bare = Vec::with_capacity(canonical.len());
    for (at, &byte) in canonical.iter().enumerate() {
        if byte != b'\r' || canonical.get(at + 1) != Some(&b'\n') {
            bare.push(byte);
        }
    }
    bare.truncate(limit(result));
    // What still has CR LF had CR CR LF before, which no signer sees and some relays make.
    if bare.windows(2).any(|pair| pair == b"\r\n") {
        return None;
    }
    (Sha256::digest(&bare)[..] == *claimed).then(|| {
        let claim = "bh= is the hash of the body with bare line feeds in place of CR LF";
        hashed(Finding::breaks(&causes::HASHED_BARE_LF, Confidence::Certain, claim), result)
            .fix("turn line ends into CR LF before signing")
    })
}

/// Only with the dots doubled as for the transfer does the body give bh=.
fn dot_stuffed(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let (claimed, canon, body) = changed(case, result)?;
    let mut stuffed = Vec::with_capacity(body.len() + 64);
    let mut lines = 0;
    let mut start = true;
    for &byte in body {
        if start && byte == b'.' {
            stuffed.push(b'.');
            lines += 1;
        }
        stuffed.push(byte);
        start = stuffed.ends_with(b"\r\n");
    }
    (lines > 0 && body_hash(canon, result, &stuffed)[..] == *claimed).then(|| {
        let claim = format!(
            "bh= is the hash of the body with the dot at the start of {} doubled",
            if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") }
        );
        hashed(Finding::breaks(&causes::HASHED_DOT_STUFFED, Confidence::Certain, claim), result)
            .fix("sign the message before dots are doubled for SMTP")
    })
}

/// The signature verifies under another canonicalization than it states.
fn mislabelled(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let (header, body) = result.signature.canonicalization?;
    let used_header = match result.header {
        State::Intact => header,
        _ if header_verifies(case, result, other(header)) => other(header),
        _ => header,
    };
    let used_body = match changed(case, result) {
        Some((claimed, _, copy)) if body_hash(other(body), result, copy)[..] == *claimed => other(body),
        _ => body,
    };
    let confidence = match (used_header != header, used_body != body) {
        (false, false) => return None,
        (true, _) => Confidence::Certain,
        // Blanks that were added on the way leave the same trace: see `fragile`.
        (false, true) if used_body == Canon::Relaxed && may_be_added(case, header) => return None,
        (false, true) if result.header == State::Intact => Confidence::Certain,
        (false, true) => Confidence::Likely,
    };
    let claim = format!("c={header}/{body} is stated, and the signature verifies under {used_header}/{used_body}");
    Some(
        hashed(Finding::breaks(&causes::CANONICALIZATION_MISLABELLED, confidence, claim), result)
            .fix(format!("let the signer state c={used_header}/{used_body}, or do what it states")),
    )
}

/// May the blanks that relaxed removes have been added on the way? A signer that proved to prepare its header as simple
/// will have done the same with the body; and relays add blanks at the ends of lines, not between words.
fn may_be_added(case: &Case<'_>, header: Canon) -> bool {
    let Some(body) = copy(case) else { return true };
    header == Canon::Simple || !has_inner_blanks(body)
}

/// Are there tabs, or several blanks in a row, before the end of a line?
fn has_inner_blanks(body: &[u8]) -> bool {
    body.split(|&byte| byte == b'\n').any(|line| {
        let line = line.trim_ascii_end();
        line.contains(&b'\t') || line.windows(2).any(|pair| pair == b"  ")
    })
}

/// Does only the relaxed form of the body give bh=, where the simple one is stated?
pub(super) fn is_relaxed_body(case: &Case<'_>, result: &DkimResult) -> bool {
    matches!(changed(case, result), Some((claimed, Canon::Simple, body))
        if body_hash(Canon::Relaxed, result, body)[..] == *claimed)
}

/// Is bh= the hash of the body?
pub(super) fn body_matches(signature: &Signature, body: &[u8]) -> bool {
    let Some((_, canon)) = signature.canonicalization.filter(|_| body.len() <= MAX_BODY) else { return false };
    let mut hasher = BodyHasher::new(canon, signature.body_length);
    hasher.write(body);
    signature.body_hash.as_deref() == Some(&hasher.finish().sha256[..])
}

/// Does b= verify under a published key over the header in this form?
fn header_verifies(case: &Case<'_>, result: &DkimResult, form: Canon) -> bool {
    let signature = &result.signature;
    let body = signature.canonicalization.map_or(form, |(_, body)| body);
    let stated = Signature { canonicalization: Some((form, body)), ..signature.clone() };
    verifies(case.header, &stated, result)
}

/// Does b= verify under a published key over another header or in another form?
pub(super) fn verifies(header: &Header, signature: &Signature, result: &DkimResult) -> bool {
    // What was too much to hash before is too much now.
    if result.key == KeyState::Other || result.digest.is_none() {
        return false;
    }
    result.answer.as_ref().is_some_and(|answer| verifies_under(header, signature, result.field, answer))
}

/// Does b= of the signature in this field verify under a key of this answer?
pub(super) fn verifies_under(header: &Header, signature: &Signature, own: usize, answer: &Answer) -> bool {
    let (Some(algorithm), Some(octets)) = (signature.algorithm, &signature.signature) else { return false };
    let Some(digest) = header_digest(header, signature, own) else { return false };
    let texts = answer.joined_txt();
    let mut keys = texts.iter().take(4).filter_map(|text| KeyRecord::read(text).key);
    keys.any(|key| prove(&key, algorithm, &digest, octets) == Proof::Verified)
}

/// The digest of the signed fields, the signature's own at their end.
fn header_digest(header: &Header, signature: &Signature, own: usize) -> Option<[u8; 32]> {
    let (form, _) = signature.canonicalization?;
    let fields: Vec<_> = header.fields().collect();
    let mut octets = Vec::with_capacity(2048);
    for at in signed_fields(header, signature, own).into_iter().flatten() {
        canon::header_field(form, *fields.get(at)?, &mut octets);
    }
    canon::header_field_open(form, &emptied(*fields.get(own)?, signature)?, &mut octets);
    Some(Sha256::digest(octets).into())
}

fn other(canon: Canon) -> Canon {
    match canon {
        Canon::Simple => Canon::Relaxed,
        Canon::Relaxed => Canon::Simple,
    }
}

fn hashed(finding: Finding, result: &DkimResult) -> Finding {
    match &result.signature.body_hash {
        Some(hash) => finding.with("bh=", Value::Digest(hexadecimal(hash))),
        None => finding,
    }
}

/// The copy of the body, if one was kept and is not too large.
fn copy<'a>(case: &Case<'a>) -> Option<&'a [u8]> {
    case.body.filter(|body| body.len() <= MAX_BODY)
}

/// Where the body does not give bh=: what it should give, how it is prepared, and the copy of it.
fn changed<'a>(case: &Case<'a>, result: &'a DkimResult) -> Option<(&'a [u8], Canon, &'a [u8])> {
    if result.body != State::Changed {
        return None;
    }
    Some((result.signature.body_hash.as_deref()?, result.signature.canonicalization?.1, copy(case)?))
}

/// l=, for octets in memory.
fn limit(result: &DkimResult) -> usize {
    result.signature.body_length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX)
}

fn body_hash(canon: Canon, result: &DkimResult, body: &[u8]) -> [u8; 32] {
    let mut hasher = BodyHasher::new(canon, result.signature.body_length);
    hasher.write(body);
    hasher.finish().sha256
}

fn canonical(canon: Canon, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 2);
    let mut state = BodyCanon::new(canon);
    state.write(body, &mut |piece| out.extend_from_slice(piece));
    state.finish(&mut |piece| out.extend_from_slice(piece));
    out
}
