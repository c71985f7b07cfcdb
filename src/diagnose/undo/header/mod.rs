//! The signed fields undone: each guess is one hash from the state of the hash before the field that it changes.
//!
//! With RSA the digest that the signer hashed is known; with Ed25519 each guess is one verification, and fewer are tried.

mod address;
mod copies;
mod date;
mod mime;
mod order;
mod shape;
mod subject;
mod words;

use super::{body::Step, budget::Budget, signed};
use crate::{
    diagnose::{
        case::Case,
        register::{Cause, modified_header as causes},
    },
    dkim::{Canon, canon, record::Key, signature::Algorithm},
    message::{Field, Header},
    signed::compare::Comparison,
    verify::dkim::{DkimResult, Proof, emptied, prove, signed_fields},
};
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// Single changes that are tried.
const MAX_SINGLES: usize = 300;
/// Pairs of them, where the digest is known.
const MAX_PAIRS: u64 = 20_000;
/// Pairs of guesses about single fields, tried before.
const MAX_PAIRS_OF_FIELDS: u64 = 4_000;
/// Pairs of both kinds, where each costs a verification.
const MAX_VERIFIED_PAIRS: u64 = 1_400;
/// Forms of a subject that is cut into encoded-words, where each costs a verification.
const MAX_VERIFIED_WORDS: usize = 150;
/// Sets of added fields that other changes are tried beside, where each costs a verification.
const MAX_VERIFIED_BESIDE: usize = 12;
/// Sets of added fields that are tried where each costs a verification.
const MAX_VERIFIED_SETS: usize = 100;
/// Sets of added fields that other changes are tried beside.
const MAX_SETS: usize = 16;
/// Likely changes of other fields that are tried beside them, and in pairs.
const MAX_BESIDE: usize = 70;
/// Single changes of one field, so that a strange field leaves room for the others.
const MAX_OF_FIELD: usize = 110;
/// Fields that are shown of a change that is about many.
const MAX_SHOWN: usize = 8;
/// A longer field is not guessed at, but for its folds.
const MAX_FIELD: usize = 4 * 1024;
/// Of a longer one not even these.
const MAX_FOLDED: usize = 16 * 1024;
/// Fields of one name that are guessed at: the lowest ones.
const MAX_ALIKE: usize = 8;
/// Octets of guesses that are made; what is not a guess about these costs no more.
const MAX_MADE: usize = 4 * 1024 * 1024;
/// Changes of one guess times those of another, beyond which they are not put together.
const MAX_CROSSED: usize = 1024;

/// What the signed fields must come to.
pub enum Wanted<'k> {
    /// This digest, which the signature holds.
    Digest([u8; 32]),
    /// A digest that this key verifies.
    Verified(&'k Key, Algorithm, &'k [u8]),
}

/// A position among the signed fields, and its canonical octets before; nothing where there was no field.
pub type Change = (usize, Vec<u8>);

/// A guess: what stood in place of some of the signed fields.
#[derive(Clone, Debug)]
pub struct Edit {
    changes: Vec<Change>,
    cause: &'static Cause,
    claim: String,
    before: String,
    after: String,
    /// What is likelier stands first.
    rank: u8,
}

/// The signed fields of a message.
pub struct Signed<'a> {
    header: &'a Header,
    body: Option<&'a [u8]>,
    /// The signature.
    pub result: &'a DkimResult,
    /// The header's half of c=.
    pub canon: Canon,
    /// All fields of the message.
    pub fields: Vec<Field<'a>>,
    /// Which field each item of h= covers.
    places: Vec<Option<usize>>,
    /// Their canonical octets, and at the end those of the signature's own field.
    octets: Vec<Vec<u8>>,
}

impl<'a> Signed<'a> {
    /// The fields that a signature covers; `None` where its own field cannot be read.
    pub fn new(case: &Case<'a>, result: &'a DkimResult) -> Option<Signed<'a>> {
        let signature = &result.signature;
        let (canon, _) = signature.canonicalization?;
        let fields: Vec<Field<'a>> = case.header.fields().collect();
        let places = signed_fields(case.header, signature, result.field);
        let mut octets: Vec<Vec<u8>> =
            places.iter().map(|place| place.map_or_else(Vec::new, |at| closed(canon, fields[at].raw()))).collect();
        let mut own = Vec::new();
        canon::header_field_open(canon, &emptied(*fields.get(result.field)?, signature)?, &mut own);
        octets.push(own);
        Some(Signed { header: case.header, body: case.body, result, canon, fields, places, octets })
    }

    /// The changes without which the fields are those that were signed.
    pub fn search(&self, wanted: &Wanted<'_>, recorded: Option<&Comparison>, budget: &mut Budget) -> Option<Vec<Step>> {
        let mut hunt = Hunt::new(self, wanted, budget);
        if let Some(steps) = copies::search(self, |changes| hunt.fits(changes)) {
            return Some(steps);
        }
        if let Some(steps) = recorded.and_then(|recorded| signed::header(self, recorded, |changes| hunt.fits(changes)))
        {
            return Some(steps);
        }
        let edits = self.edits();
        for edit in &edits {
            if hunt.fits(&edit.changes) {
                return Some(vec![edit.step(self)]);
            }
        }
        let added = order::added_sets(self);
        added
            .iter()
            .filter(|set| set.len() > 1)
            .take(if matches!(wanted, Wanted::Digest(_)) { usize::MAX } else { MAX_VERIFIED_SETS })
            .find_map(|set| hunt.all_of(&set.iter().collect::<Vec<_>>()))
            .or_else(|| hunt.words_of_subject())
            .or_else(|| hunt.pair_of_fields(&edits))
            .or_else(|| hunt.beside_added(&added, &edits))
            .or_else(|| hunt.pair(&edits))
    }

    /// Every guess, the likeliest first.
    fn edits(&self) -> Vec<Edit> {
        let mut edits = order::edits(self);
        edits.extend(shape::whole(self));
        let mut made = 0;
        for (at, place) in self.places.iter().enumerate() {
            let Some(field) = place.map(|place| self.fields[place]).filter(|field| field.raw().len() <= MAX_FOLDED)
            else {
                continue;
            };
            if made > MAX_MADE || !self.is_looked_at(at) {
                continue;
            }
            let name = String::from_utf8_lossy(field.name()).to_ascii_lowercase();
            let mut of_field = match name.as_str() {
                _ if field.raw().len() > MAX_FIELD => Vec::new(),
                "subject" => subject::edits(self, at, field),
                "from" | "to" | "cc" | "reply-to" | "sender" | "resent-from" | "resent-to" => {
                    address::edits(self, at, field)
                }
                "date" | "resent-date" => date::edits(self, at, field),
                "content-type" | "content-transfer-encoding" | "mime-version" | "content-disposition" => {
                    mime::edits(self, at, field, &name)
                }
                _ => Vec::new(),
            };
            of_field.extend(shape::edits(self, at, field));
            of_field.truncate(MAX_OF_FIELD);
            made += of_field.iter().map(|edit| edit.before.len() + edit.after.len() + edit.octets()).sum::<usize>();
            edits.extend(of_field);
        }
        edits.extend(mime::lost(self));
        edits.extend(mime::as_in_parts(self));
        edits.extend(shape::own(self));
        edits.retain(|edit| edit.changes.iter().any(|(at, new)| self.octets[*at] != *new));
        edits.sort_by_key(|edit| edit.rank);
        let mut seen = HashSet::new();
        let new: Vec<bool> = edits.iter().map(|edit| seen.insert(&edit.changes)).collect();
        let mut new = new.into_iter();
        edits.retain(|_| new.next().unwrap_or(false));
        edits.truncate(MAX_SINGLES);
        edits
    }

    /// Is the field at this position among those of its name that are guessed at?
    fn is_looked_at(&self, at: usize) -> bool {
        let names = &self.result.signature.fields;
        names[..at].iter().filter(|other| other.eq_ignore_ascii_case(&names[at])).count() < MAX_ALIKE
    }

    /// The field of these canonical octets as it stands in the message, if there is one.
    fn as_written(&self, octets: &[u8]) -> String {
        let place = self.octets.iter().position(|known| known == octets).and_then(|at| *self.places.get(at)?);
        match place {
            Some(place) => shown(self.fields[place].raw()) + "\r\n",
            None => shown(octets),
        }
    }

    /// How many octets are signed.
    fn size(&self) -> usize {
        self.octets.iter().map(Vec::len).sum()
    }

    /// The guess that this field had another value.
    fn value(
        &self,
        at: usize,
        field: Field<'_>,
        value: &[u8],
        cause: &'static Cause,
        claim: impl Into<String>,
        rank: u8,
    ) -> Edit {
        let raw = [&field.raw()[..field.raw().len() - field.value().len()], value].concat();
        self.raw(at, field, &raw, cause, claim, rank)
    }

    /// The guess that this field was another.
    fn raw(
        &self,
        at: usize,
        field: Field<'_>,
        raw: &[u8],
        cause: &'static Cause,
        claim: impl Into<String>,
        rank: u8,
    ) -> Edit {
        let mut claim = claim.into();
        let mut cause = cause;
        // The same words with other blanks are no other address, date or subject.
        let blanks = [&causes::REFOLDED, &causes::LONG_FOLDED, &causes::LEADING_SPACE_LOST];
        if self.canon == Canon::Simple
            && !blanks.contains(&cause)
            && closed(Canon::Relaxed, raw) == closed(Canon::Relaxed, field.raw())
        {
            cause = &causes::REFOLDED;
            let name = String::from_utf8_lossy(field.name()).into_owned();
            claim = format!("{name} was folded or spaced in another way when it was signed, and c=simple counts it");
        }
        Edit {
            changes: vec![(at, closed(self.canon, raw))],
            cause,
            claim,
            before: shown(raw),
            after: shown(field.raw()),
            rank,
        }
    }

    /// The first field of this name.
    fn first(&self, name: &str) -> Option<Field<'a>> {
        self.fields.iter().copied().find(|field| field.is(name))
    }
}

impl Edit {
    fn octets(&self) -> usize {
        self.changes.iter().map(|(_, new)| new.len()).sum()
    }

    fn step(&self, signed: &Signed<'_>) -> Step {
        let (mut before, mut after) = (self.before.clone(), self.after.clone());
        if before.is_empty() && after.is_empty() {
            // A guess about many fields: those that differ.
            for (at, new) in self.changes.iter().filter(|(at, _)| *at < signed.places.len()).take(MAX_SHOWN) {
                before += &signed.as_written(new);
                after += &signed.as_written(&signed.octets[*at]);
            }
        }
        let mut shown = Vec::new();
        for (label, text) in [("before", before), ("after", after)] {
            if !text.is_empty() {
                shown.push((label.to_owned(), text));
            }
        }
        Step { cause: self.cause, claim: self.claim.clone(), shown }
    }
}

/// Tries guesses.
struct Hunt<'a, 's, 'b> {
    signed: &'s Signed<'a>,
    wanted: &'s Wanted<'s>,
    budget: &'b mut Budget,
    /// The hash before each position.
    states: Vec<Sha256>,
}

impl<'a, 's, 'b> Hunt<'a, 's, 'b> {
    fn new(signed: &'s Signed<'a>, wanted: &'s Wanted<'s>, budget: &'b mut Budget) -> Self {
        let mut states = vec![Sha256::new()];
        for octets in &signed.octets {
            let mut state = states[states.len() - 1].clone();
            state.update(octets);
            states.push(state);
        }
        Hunt { signed, wanted, budget, states }
    }

    /// Are the fields with these changes the ones that were signed?
    fn fits(&mut self, changes: &[Change]) -> bool {
        let Some(first) = changes.iter().map(|(at, _)| *at).min() else { return false };
        let octets = &self.signed.octets;
        let pieces = octets.iter().enumerate().skip(first).map(|(at, old)| {
            match changes.iter().find(|(changed, _)| *changed == at) {
                Some((_, new)) => &new[..],
                None => &old[..],
            }
        });
        if !self.budget.hypothesis(pieces.clone().map(<[u8]>::len).sum()) {
            return false;
        }
        let mut state = self.states[first].clone();
        pieces.for_each(|piece| state.update(piece));
        let digest: [u8; 32] = state.finalize().into();
        match self.wanted {
            Wanted::Digest(wanted) => digest == *wanted,
            Wanted::Verified(key, algorithm, signature) => {
                prove(key, *algorithm, &digest, signature) == Proof::Verified
            }
        }
    }

    /// All of these guesses at once; they are about different fields.
    fn all_of(&mut self, edits: &[&Edit]) -> Option<Vec<Step>> {
        let apart = |one: &Edit, two: &Edit| one.changes.iter().all(|(at, _)| two.changes.iter().all(|(o, _)| o != at));
        if edits.iter().enumerate().any(|(at, one)| edits[..at].iter().any(|two| !apart(one, two))) {
            return None;
        }
        let changes: Vec<Change> = edits.iter().flat_map(|edit| edit.changes.iter().cloned()).collect();
        self.fits(&changes).then(|| edits.iter().map(|edit| edit.step(self.signed)).collect())
    }

    /// Fields that were added, and one or two likely changes of others: what a mailing list does.
    fn beside_added(&mut self, added: &[Vec<Edit>], edits: &[Edit]) -> Option<Vec<Step>> {
        let (sets, singles, paired) = match self.wanted {
            Wanted::Digest(_) => (MAX_SETS, edits.len(), MAX_BESIDE),
            // One that was added alone comes late among the guesses about its field.
            Wanted::Verified(..) => (MAX_VERIFIED_BESIDE, MAX_BESIDE / 2, 0),
        };
        let likely = &edits[..edits.len().min(singles)];
        let least = if paired == 0 { 1 } else { 2 };
        for set in added.iter().filter(|set| set.len() >= least).take(sets) {
            for edit in likely {
                let all: Vec<&Edit> = [edit].into_iter().chain(set).collect();
                if let Some(steps) = self.all_of(&all) {
                    return Some(steps);
                }
            }
        }
        let likely = &edits[..edits.len().min(paired)];
        for set in added.iter().take(if paired == 0 { 0 } else { sets / 4 }) {
            for (number, one) in likely.iter().enumerate() {
                for two in &likely[..number] {
                    let all: Vec<&Edit> = [one, two].into_iter().chain(set).collect();
                    if let Some(steps) = self.all_of(&all) {
                        return Some(steps);
                    }
                }
            }
        }
        None
    }

    /// The likely guesses about one field with the likely ones about another: one rank for each field, so that a field of
    /// many guesses does not stand between two others.
    fn pair_of_fields(&mut self, edits: &[Edit]) -> Option<Vec<Step>> {
        let mut left = match self.wanted {
            Wanted::Digest(_) => MAX_PAIRS_OF_FIELDS,
            Wanted::Verified(..) => MAX_VERIFIED_PAIRS / 2,
        };
        let mut by_field: Vec<(usize, Vec<&Edit>)> = Vec::new();
        for edit in edits.iter().filter(|edit| edit.changes.len() == 1 && edit.cause != &causes::REMOVED) {
            let at = edit.changes[0].0;
            match by_field.iter_mut().find(|(field, _)| *field == at) {
                Some((_, of_field)) => of_field.push(edit),
                None => by_field.push((at, vec![edit])),
            }
        }
        for sum in 0..MAX_OF_FIELD {
            for (number, (_, one)) in by_field.iter().enumerate() {
                for (_, two) in &by_field[..number] {
                    for (one, two) in
                        one.iter().take(sum + 1).enumerate().filter_map(|(at, one)| Some((one, two.get(sum - at)?)))
                    {
                        left = left.checked_sub(1)?;
                        let changes = [one.changes[0].clone(), two.changes[0].clone()];
                        if self.fits(&changes) {
                            return Some(vec![one.step(self.signed), two.step(self.signed)]);
                        }
                    }
                }
            }
        }
        None
    }

    /// The subject in words of every length: where encoders cut a long text they do not agree.
    fn words_of_subject(&mut self) -> Option<Vec<Step>> {
        let most = match self.wanted {
            Wanted::Digest(_) => usize::MAX,
            Wanted::Verified(..) => MAX_VERIFIED_WORDS,
        };
        let places = self.signed.places.iter().enumerate();
        let (at, field) = places
            .filter_map(|(at, place)| Some((at, self.signed.fields[(*place)?])))
            .find(|(_, field)| field.is("Subject") && field.raw().len() <= MAX_FIELD)?;
        for (form, tagged) in subject::rewritten(field).take(most) {
            if !self.budget.work(form.len() as u64 * 4) {
                return None;
            }
            let edit = subject::edit(self.signed, at, field, &form, tagged);
            if self.fits(&edit.changes) {
                return Some(vec![edit.step(self.signed)]);
            }
        }
        None
    }

    /// Two guesses at once, about different fields; the likeliest pairs first.
    fn pair(&mut self, edits: &[Edit]) -> Option<Vec<Step>> {
        let mut left = match self.wanted {
            Wanted::Digest(_) => MAX_PAIRS,
            Wanted::Verified(..) => MAX_VERIFIED_PAIRS / 2,
        };
        for sum in 1..edits.len() * 2 {
            for one in sum.saturating_sub(edits.len() - 1)..sum.div_ceil(2) {
                let (one, two) = (&edits[one], &edits[sum - one]);
                if one.changes.len() * two.changes.len() > MAX_CROSSED
                    || one.changes.iter().any(|(at, _)| two.changes.iter().any(|(other, _)| other == at))
                {
                    continue;
                }
                left = left.checked_sub(1)?;
                let changes: Vec<_> = one.changes.iter().chain(&two.changes).cloned().collect();
                if self.fits(&changes) {
                    return Some(vec![one.step(self.signed), two.step(self.signed)]);
                }
            }
        }
        None
    }
}

/// The canonical form of a field, its line end included.
pub fn closed(canon: Canon, raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + 2);
    canon::header_field_open(canon, raw, &mut out);
    out.extend_from_slice(b"\r\n");
    out
}

/// A field as it is shown.
fn shown(raw: &[u8]) -> String {
    super::diff::text(raw)
}

/// A value without folds and without blanks at its ends, as text.
fn unfolded(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    text.trim_matches([' ', '\t']).to_owned()
}

/// A value with one space before it.
fn spaced(value: &str) -> Vec<u8> {
    format!(" {value}").into_bytes()
}
