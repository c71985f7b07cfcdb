//! The ARC fields of a header as a chain (RFC 8617 §4.2, §4.3): sets numbered from 1, each complete, each with its `cv=`.
//!
//! Everything that needs no key is judged here, so that a chain which cannot pass costs neither a question nor a hash.

use super::{Kind, MAX_SETS, Reason, Sealer};
use crate::{
    dkim::{
        signature::{Form, Signature},
        tag::{TagList, TagProblemKind},
    },
    message::{Field, Header},
    verify::dkim,
};

/// One ARC set; the numbers are those of its fields in the header.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) instance: usize,
    pub(super) results: usize,
    pub(super) message: usize,
    pub(super) seal: usize,
    pub(super) message_signature: Signature,
    pub(super) seal_signature: Signature,
}

/// What a header holds.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// How many sets there are or seem to be: the count of the most frequent of the three fields.
    pub(super) instances: usize,
    /// Who sealed, where that can be read, the first set first.
    pub(super) sealers: Vec<Sealer>,
    /// The sets, the first one first, or why they are no chain.
    pub(super) chain: Result<Vec<Set>, Reason>,
}

/// Reads the chain of a header; `None` if there is no ARC field at all.
pub(super) fn read(header: &Header) -> Option<Found> {
    let mut fields: [Vec<(usize, Field<'_>)>; 3] = Default::default();
    for (at, field) in header.fields().enumerate() {
        if let Some(kind) = Kind::ALL.into_iter().find(|kind| field.is(kind.name())) {
            fields[kind as usize].push((at, field));
        }
    }
    let instances = fields.iter().map(Vec::len).max().unwrap_or(0);
    if instances == 0 {
        return None;
    }
    if instances > MAX_SETS {
        return Some(Found { instances, sealers: Vec::new(), chain: Err(Reason::TooManySets(instances)) });
    }
    let [results, messages, seals] = fields;
    let seals: Vec<_> = seals.into_iter().map(|(at, field)| (at, TagList::read(field.value()))).collect();
    let mut sealers: Vec<Sealer> = seals.iter().filter_map(|(_, list)| Sealer::read(list)).collect();
    sealers.sort_by_key(|sealer| sealer.instance);
    let chain = read_sets(&results, &messages, &seals);
    Some(Found { instances, sealers, chain })
}

impl Sealer {
    fn read(list: &TagList<'_>) -> Option<Sealer> {
        let signature = Signature::read_list(list, Form::ArcSeal);
        Some(Sealer { instance: instance(list)?, domain: signature.domain, selector: signature.selector })
    }
}

/// The structure, in the order of RFC 8617 §5.2.
fn read_sets(
    results: &[(usize, Field<'_>)],
    messages: &[(usize, Field<'_>)],
    seals: &[(usize, TagList<'_>)],
) -> Result<Vec<Set>, Reason> {
    let newest =
        seals.iter().filter_map(|(_, list)| Some((instance(list)?, list))).max_by_key(|(instance, _)| *instance);
    if let Some((instance, list)) = newest
        && list.value("cv") == Some("fail")
    {
        return Err(Reason::SealedAsFailed { instance });
    }
    let messages: Vec<_> = messages.iter().map(|(at, field)| (*at, TagList::read(field.value()))).collect();
    let results = numbered(
        Kind::Results,
        results.iter().map(|(at, field)| (*at, (), read_results(field.value()).map(|(instance, _)| instance))),
    )?;
    let messages = numbered(Kind::Message, messages.iter().map(|(at, list)| (*at, list, instance(list))))?;
    let seals = numbered(Kind::Seal, seals.iter().map(|(at, list)| (*at, list, instance(list))))?;
    let last = [&results.last, &messages.last, &seals.last].into_iter().copied().max().unwrap_or(0);
    let mut sets = Vec::with_capacity(last);
    for instance in 1..=last {
        let (results, ()) = results.get(instance)?;
        let (message, message_list) = messages.get(instance)?;
        let (seal, seal_list) = seals.get(instance)?;
        check_seal(instance, seal_list)?;
        sets.push(Set {
            instance,
            results,
            message,
            seal,
            message_signature: Signature::read_list(message_list, Form::ArcMessage),
            seal_signature: Signature::read_list(seal_list, Form::ArcSeal),
        });
    }
    check_syntax(&sets)?;
    Ok(sets)
}

/// What a seal says besides its signature.
fn check_seal(instance: usize, list: &TagList<'_>) -> Result<(), Reason> {
    if list.get("h").is_some() {
        return Err(Reason::FieldsInSeal { instance });
    }
    let wanted = if instance == 1 { "none" } else { "pass" };
    match list.value("cv") {
        Some(status) if status == wanted => Ok(()),
        status => Err(Reason::ChainStatus { instance, status: status.map(short) }),
    }
}

/// Whatever makes a signature that must verify unreadable.
fn check_syntax(sets: &[Set]) -> Result<(), Reason> {
    let syntax = |signature: &Signature| signature.problems.first().cloned().map(dkim::Reason::Syntax);
    if let Some(set) = sets.last() {
        let instance = set.instance;
        if let Some(reason) = syntax(&set.message_signature) {
            return Err(Reason::Message { instance, reason });
        }
        if signs_seals(&set.message_signature) {
            return Err(Reason::SealSigned { instance });
        }
    }
    for set in sets.iter().rev() {
        if let Some(reason) = syntax(&set.seal_signature) {
            return Err(Reason::Seal { instance: set.instance, reason });
        }
    }
    Ok(())
}

/// Does the signature of a message cover an ARC-Seal? It must not (RFC 8617 §4.1.2): the next sealer would break it.
pub(super) fn signs_seals(signature: &Signature) -> bool {
    signature.fields.iter().any(|name| name.eq_ignore_ascii_case(Kind::Seal.name()))
}

/// The fields of one kind, by instance.
struct Numbered<T> {
    kind: Kind,
    places: Vec<Option<(usize, T)>>,
    last: usize,
}

impl<T: Copy> Numbered<T> {
    fn get(&self, instance: usize) -> Result<(usize, T), Reason> {
        self.places[instance].ok_or(Reason::Missing { field: self.kind, instance })
    }
}

fn numbered<T: Copy>(
    kind: Kind,
    fields: impl Iterator<Item = (usize, T, Option<usize>)>,
) -> Result<Numbered<T>, Reason> {
    let mut numbered = Numbered { kind, places: vec![None; MAX_SETS + 1], last: 0 };
    for (at, content, instance) in fields {
        let instance = instance.ok_or(Reason::NoInstance { field: kind })?;
        if numbered.places[instance].replace((at, content)).is_some() {
            return Err(Reason::Duplicate { field: kind, instance });
        }
        numbered.last = numbered.last.max(instance);
    }
    Ok(numbered)
}

/// i= of a tag list: 1 to 50, and once.
fn instance(list: &TagList<'_>) -> Option<usize> {
    let twice = |kind: &TagProblemKind| matches!(kind, TagProblemKind::Duplicate(name) if name == "i");
    if list.problems.iter().any(|problem| twice(&problem.kind)) {
        return None;
    }
    number(list.value("i")?.as_bytes())
}

/// An ARC-Authentication-Results field: the instance at its front, `i=1;`, and what follows it, which reads as
/// Authentication-Results does (RFC 8617 §4.1.1).
pub(super) fn read_results(value: &[u8]) -> Option<(usize, &[u8])> {
    let rest = skip_cfws(value).strip_prefix(b"i")?;
    let rest = skip_cfws(skip_cfws(rest).strip_prefix(b"=")?);
    let (digits, rest) = rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
    Some((number(digits)?, skip_cfws(rest).strip_prefix(b";")?))
}

fn number(digits: &[u8]) -> Option<usize> {
    if !matches!(digits.len(), 1 | 2) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    (1..=MAX_SETS).contains(&number).then_some(number)
}

/// Without the blanks, folds and comments at the front (RFC 5322 §3.2.2).
fn skip_cfws(bytes: &[u8]) -> &[u8] {
    let (mut depth, mut escaped) = (0usize, false);
    let end = bytes.iter().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b'\\' if depth > 0 => escaped = true,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => return depth == 0,
        }
        false
    });
    &bytes[end.unwrap_or(bytes.len())..]
}

/// Enough of a stranger's text for a report.
fn short(text: &str) -> String {
    text.chars().take(20).collect()
}
