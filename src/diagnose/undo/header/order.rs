//! Which fields there were, and in which order the signer took them.

use super::{Edit, Signed, closed, shown};
use crate::diagnose::register::modified_header as causes;
use std::collections::HashMap;

/// Fields of one name in h= beyond which none of them is taken out.
const MAX_ASKED: usize = 32;
/// Fields of one name of which every order is tried.
const MAX_ORDERED: usize = 4;
/// Fields of which every set is tried.
const MAX_ADDED: usize = 8;

/// Guesses about whole fields: added since, another of the same name, another order.
pub fn edits(signed: &Signed<'_>) -> Vec<Edit> {
    let mut edits = added(signed);
    edits.extend(instances(signed));
    edits.extend(reordered(signed));
    edits
}

/// A field that was not there.
fn added(signed: &Signed<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    let places = signed.places.iter().enumerate().filter(|(at, _)| signed.is_looked_at(*at));
    for place in places.filter_map(|(_, place)| place.as_ref()) {
        let field = signed.fields[*place];
        let name = String::from_utf8_lossy(field.name()).into_owned();
        let asked = signed.result.signature.fields.iter().filter(|other| other.eq_ignore_ascii_case(&name)).count();
        if asked > MAX_ASKED {
            continue;
        }
        let there = signed
            .fields
            .iter()
            .enumerate()
            .filter(|(at, other)| *at != signed.result.field && other.is(&name))
            .count();
        let without: Vec<(usize, Vec<u8>)> = places_without(signed, *place);
        let (cause, claim, rank) = if there > asked {
            (&causes::DUPLICATED, format!("{name} stands {there} times, and another one of them was signed"), 12)
        } else if there > 1 {
            (&causes::ADDED_AFTER_SIGNING, format!("a second {name} was added after signing"), 10)
        } else {
            let rank = match name.to_ascii_lowercase().as_str() {
                "from" | "subject" => 60,
                "date" | "message-id" | "to" | "cc" | "reply-to" | "sender" | "mime-version" => 10,
                _ => 14,
            };
            (
                &causes::ADDED_AFTER_SIGNING,
                format!("{name} was added after signing: h= names it, and there was none"),
                rank,
            )
        };
        edits.push(Edit { changes: without, cause, claim, before: String::new(), after: shown(field.raw()), rank });
    }
    edits
}

/// Sets of fields that were not there, as [`added`] guesses each, small ones first: a relay that completes a message adds
/// what it misses, and a list adds where to reply.
pub fn added_sets(signed: &Signed<'_>) -> Vec<Vec<Edit>> {
    let mut alone: Vec<Edit> = Vec::new();
    let mut singles = added(signed);
    singles.sort_by_key(|edit| edit.rank);
    for edit in singles.into_iter().filter(|edit| edit.cause == &causes::ADDED_AFTER_SIGNING && edit.rank < 60) {
        let apart = |other: &Edit| !other.changes.iter().any(|(at, _)| edit.changes.iter().any(|(own, _)| own == at));
        if alone.len() < MAX_ADDED && alone.iter().all(apart) {
            alone.push(edit);
        }
    }
    let mut sets: Vec<u32> = (1u32..1 << alone.len()).collect();
    sets.sort_by_key(|set| (set.count_ones(), *set));
    let of =
        |set: u32| alone.iter().enumerate().filter(move |(at, _)| set & (1 << at) != 0).map(|(_, edit)| edit.clone());
    sets.into_iter().map(|set| of(set).collect()).collect()
}

/// What the items of h= cover if this field is not there.
fn places_without(signed: &Signed<'_>, dropped: usize) -> Vec<(usize, Vec<u8>)> {
    let name = signed.fields[dropped].name();
    let mut left: Vec<usize> = (0..signed.fields.len())
        .filter(|&at| at != dropped && at != signed.result.field && signed.fields[at].name().eq_ignore_ascii_case(name))
        .collect();
    let items = signed.result.signature.fields.iter().enumerate();
    items
        .filter(|(_, item)| item.as_bytes().eq_ignore_ascii_case(name))
        .map(|(at, _)| (at, left.pop().map_or_else(Vec::new, |place| closed(signed.canon, signed.fields[place].raw()))))
        .collect()
}

/// Another field of the same name than the lowest.
fn instances(signed: &Signed<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (at, place) in signed.places.iter().enumerate() {
        let Some(place) = place.filter(|_| signed.is_looked_at(at)) else { continue };
        let field = signed.fields[place];
        let name = String::from_utf8_lossy(field.name()).into_owned();
        let others = signed
            .fields
            .iter()
            .enumerate()
            .filter(|(other, field)| *other != place && *other != signed.result.field && field.is(&name));
        for (other, _) in others.take(4).filter(|(other, _)| !signed.places.contains(&Some(*other))) {
            let claim = format!("{name} stands more than once, and another one than the lowest was signed");
            edits.push(signed.raw(at, field, signed.fields[other].raw(), &causes::DUPLICATED, claim, 12));
        }
    }
    edits
}

/// Fields of one name taken from the top down, each name alone and all together; the list of names read backwards.
fn reordered(signed: &Signed<'_>) -> Vec<Edit> {
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, place) in signed.places.iter().enumerate() {
        if place.is_some() {
            by_name.entry(signed.result.signature.fields[at].to_ascii_lowercase()).or_default().push(at);
        }
    }
    let mut all = Vec::new();
    let mut edits = Vec::new();
    let mut names: Vec<_> = by_name.into_iter().filter(|(_, items)| items.len() > 1).collect();
    names.sort();
    for (name, items) in names {
        let turned: Vec<(usize, Vec<u8>)> =
            items.iter().zip(items.iter().rev()).map(|(&at, &other)| (at, signed.octets[other].clone())).collect();
        all.extend(turned.iter().cloned());
        let claim = format!("the {} fields called {name} are in another order than when they were signed", items.len());
        edits.push(reorder(turned, claim.clone()));
        if (3..=MAX_ORDERED).contains(&items.len()) {
            edits.extend(orders(&items).into_iter().map(|order| {
                let placed = items.iter().zip(&order).map(|(&at, &other)| (at, signed.octets[other].clone()));
                reorder(placed.collect(), claim.clone())
            }));
        }
    }
    if edits.len() > 1 {
        edits.push(reorder(all, "fields of the same name are in another order than when they were signed".into()));
    }
    let count = signed.places.len();
    let backwards = (0..count).map(|at| (at, signed.octets[count - 1 - at].clone())).collect();
    edits.push(reorder(backwards, "the signer took the fields in the reverse order of h=".into()));
    edits
}

/// Every order of these.
fn orders(items: &[usize]) -> Vec<Vec<usize>> {
    let Some((first, rest)) = items.split_first() else { return vec![Vec::new()] };
    let inserted = |order: &Vec<usize>, at: usize| [&order[..at], &[*first], &order[at..]].concat();
    let of_rest = orders(rest);
    of_rest.iter().flat_map(|order| (0..=order.len()).map(move |at| inserted(order, at))).collect()
}

fn reorder(changes: Vec<(usize, Vec<u8>)>, claim: String) -> Edit {
    Edit { changes, cause: &causes::REORDERED, claim, before: String::new(), after: String::new(), rank: 13 }
}
