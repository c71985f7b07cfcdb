//! Changes that cannot be undone, and the signs that they leave: likely at most.

use super::{body::Step, links, mime};
use crate::{
    diagnose::{
        case::Case,
        finding::{Confidence, Finding, Value},
        register::{modified as causes, modified_header},
    },
    message::Header,
    received,
    verify::dkim::DkimResult,
};

/// A notice that stands in place of a part is not longer than this.
const MAX_NOTICE: usize = 4096;

/// Signs in the body.
pub fn findings(header: &Header, body: &[u8]) -> Vec<Finding> {
    let parts = mime::read(header, body);
    let found = notice(body, &parts).or_else(|| cut_off(body, &parts)).or_else(|| links_wrapped(body));
    found
        .map(|step| {
            let mut finding = Finding::breaks(step.cause, Confidence::Likely, step.claim);
            for (label, text) in step.shown {
                finding = finding.text(&label, text);
            }
            for fix in super::companion::fix(step.cause) {
                finding = finding.fix(*fix);
            }
            finding
        })
        .into_iter()
        .collect()
}

/// A short text that says that an attachment was taken out.
fn notice(body: &[u8], parts: &[mime::Part]) -> Option<Step> {
    parts.iter().skip(1).filter(|part| part.is_text() && part.content.len() <= MAX_NOTICE).find_map(|part| {
        let raw = &body[part.content.clone()];
        let text = match part.encoding.as_str() {
            "base64" => super::encode::unbase64(raw)?,
            "quoted-printable" => super::encode::unquoted(raw),
            _ => raw.to_vec(),
        };
        let words = String::from_utf8_lossy(&text).to_ascii_lowercase();
        let thing =
            ["attachment", "attached file", "this file", "anhang", "첨부"].iter().any(|word| words.contains(word));
        let gone = ["removed", "quarantined", "deleted", "stripped", "blocked", "replaced", "entfernt", "삭제", "차단"]
            .iter()
            .any(|word| words.contains(word));
        (thing && gone).then(|| Step {
            cause: &causes::ATTACHMENT_REMOVED,
            claim: "a part of the body is a notice that an attachment was taken out".into(),
            shown: vec![("the notice".into(), super::diff::text(&text))],
        })
    })
}

/// A multipart that does not end.
fn cut_off(body: &[u8], parts: &[mime::Part]) -> Option<Step> {
    let open = parts.iter().find(|part| part.is_multipart() && part.closing.is_none() && !part.children.is_empty());
    let claim = match open {
        Some(part) => format!("the {} has no last delimiter line: the body ends before its end", part.kind),
        None if !body.is_empty() && !body.ends_with(b"\n") => {
            "the last line of the body has no line end: the body ends in the middle of a line".into()
        }
        None => return None,
    };
    let tail = &body[body.len().saturating_sub(300)..];
    Some(Step { cause: &causes::TRUNCATED, claim, shown: vec![("the last octets".into(), super::diff::text(tail))] })
}

/// Every link goes through a filter: a sender would not have written them so.
fn links_wrapped(body: &[u8]) -> Option<Step> {
    let (all, wrapped) = links::wrapped(body);
    (all > 0 && all == wrapped).then(|| Step {
        cause: &causes::URLS_REWRITTEN,
        claim: format!("every link of the body ({all}) goes through a link filter, but the links inside them do not make the signed body"),
        shown: Vec::new(),
    })
}

/// Signs in the header.
pub fn header_findings(case: &Case<'_>, result: &DkimResult) -> Vec<Finding> {
    from_rewritten(case, result)
        .or_else(|| message_id(case, result))
        .or_else(|| removed(case, result))
        .or_else(|| absent(case, result))
        .into_iter()
        .collect()
}

fn signs(result: &DkimResult, name: &str) -> bool {
    result.signature.fields.iter().any(|field| field.eq_ignore_ascii_case(name))
}

/// A list's author in place of the writer.
fn from_rewritten(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let from = case.header.named("From").next()?;
    let signer = result.signature.domain.as_ref()?;
    let text = String::from_utf8_lossy(from.value()).into_owned();
    let domain = case.verdicts.author.as_ref().ok()?;
    if domain.is_within(signer) {
        return None;
    }
    let within = |name: &str| {
        case.header.named(name).any(|field| {
            let value = String::from_utf8_lossy(field.value()).to_ascii_lowercase();
            value.contains(&format!("@{signer}")) || value.contains(&format!(".{signer}"))
        })
    };
    let original = case.header.named("X-Original-From").next().is_some();
    let via = text.contains(" via ") || text.contains(" on behalf of ");
    (original || via && within("Reply-To")).then(|| {
        let claim = format!(
            "From names {domain}, while the signature is of {signer} and the message says who wrote it elsewhere"
        );
        let finding = Finding::breaks(&modified_header::FROM_REWRITTEN, Confidence::Likely, claim)
            .with("From", Value::Header(super::diff::text(from.raw())));
        with_fixes(finding)
    })
}

/// A Message-ID of a relay.
fn message_id(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let field = case.header.named("Message-ID").next().filter(|_| signs(result, "message-id"))?;
    let value = String::from_utf8_lossy(field.value()).trim().trim_end_matches('>').to_ascii_lowercase();
    let (_, host) = value.rsplit_once('@')?;
    let signer = result.signature.domain.as_ref()?;
    let own = case.verdicts.author.as_ref().is_ok_and(|author| of(host, author.as_str()) || of(author.as_str(), host));
    let relay = case
        .header
        .named("Received")
        .take(20)
        .filter_map(|field| received::read(field.value()).by)
        .any(|by| of(&by.to_ascii_lowercase(), host) || of(host, &by.to_ascii_lowercase()));
    let known = ["amazonses.com", "ovh.net", "smtp-relay.sendinblue.com"].iter().any(|name| of(host, name));
    (!own && !of(host, signer.as_str()) && (relay || known)).then(|| {
        let claim = format!("the Message-ID is of {host}, a relay on the way, while {signer} signed one of its own");
        let finding = Finding::breaks(&modified_header::MESSAGE_ID_REPLACED, Confidence::Likely, claim)
            .with("Message-ID", Value::Header(super::diff::text(field.raw())));
        with_fixes(finding)
    })
}

fn of(name: &str, domain: &str) -> bool {
    name == domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// A field that z= has and the message has not.
fn removed(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let own = case.header.fields().nth(result.field)?;
    let list = crate::dkim::tag::TagList::read(own.value());
    let copied = list.value("z")?.split('|').filter_map(|copy| Some(copy.split_once(':')?.0.trim().to_owned()));
    let gone = copied.take(200).find(|name| signs(result, name) && case.header.named(name).next().is_none())?;
    let claim = format!("z= has a copy of {gone}, h= names it, and the message has none");
    Some(with_fixes(Finding::breaks(&modified_header::REMOVED, Confidence::Likely, claim)))
}

/// A field that h= names, that messages of this kind have, and that this one has not.
///
/// A signer may name fields that are absent, so that nobody adds them. One that does so names several, or names present
/// ones once more than they are there; then absence says nothing, unless every message has such a field.
fn absent(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let names = &result.signature.fields;
    let present = |name: &str| case.header.fields().filter(|field| field.is(name)).count();
    let named = |name: &str| names.iter().filter(|other| other.eq_ignore_ascii_case(name)).count();
    let mime = |name: &str| {
        name.eq_ignore_ascii_case("MIME-Version")
            || name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"))
    };
    let missing: Vec<&str> =
        names.iter().map(|name| &**name).filter(|name| present(name) == 0 && named(name) == 1 && !mime(name)).collect();
    let expected =
        |name: &&str| ["Date", "Message-ID", "Subject", "To"].iter().any(|all| all.eq_ignore_ascii_case(name));
    let beyond = names.iter().any(|name| present(name) > 0 && named(name) > present(name));
    // A signer that names present fields once more than they are there named this one when it was there.
    let counts = |name: &&str| present(name) + 2 <= named(name) && !mime(name);
    let lacking = beyond.then(|| names.iter().map(|name| &**name).find(counts)).flatten();
    if let Some(name) = lacking {
        let claim = format!(
            "h= names {name} {} times and the message has {}, while other fields are named once more than they are there",
            named(name),
            present(name)
        );
        return Some(with_fixes(Finding::breaks(&modified_header::REMOVED, Confidence::Likely, claim)));
    }
    let gone = match missing.iter().copied().find(expected) {
        Some(name) => name,
        None if beyond || missing.len() != 1 => return None,
        None => missing[0],
    };
    let claim =
        format!("h= names {gone}, the message has none, and no change of the other signed fields explains the failure");
    Some(with_fixes(Finding::breaks(&modified_header::REMOVED, Confidence::Likely, claim)))
}

fn with_fixes(finding: Finding) -> Finding {
    super::companion::fix(finding.cause).iter().fold(finding, |finding, fix| finding.fix(*fix))
}
