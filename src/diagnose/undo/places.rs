//! Changes in places of a body that could be any place: each is tried, then two at once, then more, as far as the budget
//! goes. What stands before the places is hashed once for all guesses that share it.

use super::{
    body::{Hunt, Step},
    budget::HASH,
    diff,
    search::{Search, Splice, lines, spliced},
};
use crate::{
    diagnose::register::{Cause, modified as causes},
    dkim::digest::BodyHasher,
};

/// Places of one kind that are tried.
const MAX_PLACES: usize = 500;

/// A guess: what stood where, and the change in words.
type Guess = (Splice, &'static Cause, String);

/// Places of one kind that are changed at once.
const MAX_TOGETHER: usize = 12;

/// Stray line ends that are changed at once, where there are many places: dots are lost by a relay that loses all of them,
/// and a line end strays once.
const MAX_STRAY: usize = 3;

/// Places of one kind of which every set is tried.
const MAX_EVERY: usize = 12;

/// The first guess that fits, one place alone or some of one kind. A body so large that not all of them can be tried is
/// left alone.
pub fn some_places(hunt: &mut Hunt<'_, '_>) -> Option<Vec<Step>> {
    let body = hunt.body;
    let kinds: Vec<Vec<Guess>> = stray_ends(body).into_iter().chain([lost_dots(body)]).collect();
    let count: usize = kinds.iter().map(Vec::len).sum();
    if count.saturating_mul(body.len()) as u64 > hunt.left() / 4 {
        return None;
    }
    let alone = hunt.stage(1, |search| {
        let mut guesses = kinds.iter().flatten();
        guesses.find(|(splice, ..)| search.fits_spliced(body, std::slice::from_ref(splice)))
    });
    if let Some((splice, cause, claim)) = alone {
        return Some(vec![step(body, vec![splice.clone()], cause, claim.clone())]);
    }
    let mut sets: Vec<(u64, usize, &Vec<Guess>)> = kinds
        .iter()
        .flat_map(|guesses| {
            (2..=most_together(guesses)).map(move |count| (price(body, guesses.len(), count), count, guesses))
        })
        .collect();
    sets.sort_by_key(|&(price, count, _)| (price, count));
    for (price, count, guesses) in sets {
        if price > hunt.left() {
            return None;
        }
        let found = hunt.stage(1, |search| {
            let mut places = Places { search, body, guesses, chosen: Vec::new() };
            let start = places.search.hasher();
            places.choose(count, 0, 0, &start).then_some(places.chosen)
        });
        if let Some(chosen) = found {
            let (_, cause, claim) = &guesses[0];
            let claim = format!("in {count} places {claim}");
            let splices = chosen.iter().map(|&at| guesses[at].0.clone()).collect();
            return Some(vec![step(body, splices, cause, claim)]);
        }
    }
    None
}

/// How many places of this kind are changed at once.
fn most_together(guesses: &[Guess]) -> usize {
    let dots = guesses.first().is_some_and(|(_, cause, _)| *cause == &causes::DOT_CHANGED);
    match dots || guesses.len() <= MAX_EVERY {
        true => guesses.len().min(MAX_TOGETHER),
        false => MAX_STRAY,
    }
}

/// What every set of so many of these places costs: the last one chosen leaves a part of the body to be hashed.
fn price(body: &[u8], places: usize, count: usize) -> u64 {
    let sets = (0..count).fold(1u64, |sets, taken| sets.saturating_mul((places - taken) as u64) / (taken as u64 + 1));
    sets.saturating_mul(body.len() as u64 / (count as u64 + 1) + HASH)
}

/// Sets of places, tried one by one.
struct Places<'s, 'b, 'a> {
    search: &'s mut Search<'b>,
    body: &'a [u8],
    guesses: &'a [Guess],
    chosen: Vec<usize>,
}

impl Places<'_, '_, '_> {
    /// Tries every set of `left` more places from number `from` on; `state` is the hash of what stands before `at`.
    fn choose(&mut self, left: usize, from: usize, at: usize, state: &BodyHasher) -> bool {
        let (mut state, mut at) = (state.clone(), at);
        for number in from..(self.guesses.len() + 1).saturating_sub(left) {
            let (range, new) = &self.guesses[number].0;
            let Some(kept) = self.body.get(at..range.start) else { continue };
            state.write(kept);
            at = range.start;
            let mut changed = state.clone();
            changed.write(new);
            self.chosen.push(number);
            let found = if left == 1 {
                let rest = &self.body[range.end..];
                if !self.search.budget.hypothesis(rest.len()) {
                    return false;
                }
                changed.write(rest);
                self.search.is_hash(changed)
            } else {
                self.choose(left - 1, number + 1, range.end, &changed)
            };
            if found {
                return true;
            }
            if self.search.budget.exhausted {
                return false;
            }
            self.chosen.pop();
        }
        false
    }
}

fn step(body: &[u8], places: Vec<Splice>, cause: &'static Cause, claim: String) -> Step {
    let shown = vec![("before and after".into(), diff::lines(&spliced(body, &places), body))];
    Step { cause, claim, shown }
}

/// A bare CR or LF that became a line end or, as Postfix writes it, a blank; one kind for each pair of them.
fn stray_ends(body: &[u8]) -> Vec<Vec<Guess>> {
    let ends: Vec<_> =
        body.windows(2).enumerate().filter(|(_, pair)| pair == b"\r\n").map(|(at, _)| at..at + 2).collect();
    let blanks: Vec<_> =
        body.iter().enumerate().filter(|(_, octet)| **octet == b' ').map(|(at, _)| at..at + 1).collect();
    let mut kinds = Vec::new();
    for (places, now) in [(ends, "CRLF"), (blanks, "a blank")] {
        for (octet, name) in [("\r", "CR"), ("\n", "LF")] {
            let claim = format!("a bare {name} became {now} after signing");
            let guess = |place: &std::ops::Range<usize>| {
                ((place.clone(), octet.into()), &causes::LINE_ENDINGS_CHANGED, claim.clone())
            };
            kinds.push(places.iter().take(MAX_PLACES).map(guess).collect());
        }
    }
    kinds
}

/// A line that started with a dot and lost it.
fn lost_dots(body: &[u8]) -> Vec<Guess> {
    let mut at = 0;
    let guesses = lines(body).take(MAX_PLACES).map(|line| {
        let start = at;
        at += line.len();
        let claim = "a dot at the start of a line was lost after signing".to_owned();
        ((start..start, b".".to_vec()), &causes::DOT_CHANGED, claim)
    });
    guesses.collect()
}
