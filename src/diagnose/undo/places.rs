//! Changes in one place of a body that could be any place: each is tried, where the body is small enough for it.

use super::{
    body::{Hunt, Step},
    diff,
    search::{Search, Splice, lines, spliced},
};
use crate::diagnose::register::{Cause, modified as causes};

/// Places of one kind that are tried.
const MAX_PLACES: usize = 500;

/// A guess: what stood where, and the change in words.
type Guess = (Splice, &'static Cause, String);

/// Places of one kind of which two, and then three, are changed at once.
const MAX_TOGETHER: [(usize, usize); 2] = [(2, 120), (3, 40)];

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
    for (number, guesses) in kinds.iter().enumerate() {
        let share = (kinds.len() - number) as u64;
        if let Some(places) = hunt.stage(share, |search| together(search, body, guesses)) {
            let (_, cause, claim) = &guesses[0];
            let claim = format!("in {} places {claim}", places.len());
            return Some(vec![step(body, places, cause, claim)]);
        }
    }
    None
}

fn step(body: &[u8], places: Vec<Splice>, cause: &'static Cause, claim: String) -> Step {
    let shown = vec![("before and after".into(), diff::lines(&spliced(body, &places), body))];
    Step { cause, claim, shown }
}

/// Some places of one kind: all of few, two or three of more.
fn together(search: &mut Search<'_>, body: &[u8], guesses: &[Guess]) -> Option<Vec<Splice>> {
    let mut fits = |places: &[usize]| {
        let splices: Vec<Splice> = places.iter().map(|&at| guesses[at].0.clone()).collect();
        search.fits_spliced(body, &splices).then_some(splices)
    };
    if guesses.len() <= MAX_EVERY {
        return (1u32..1 << guesses.len()).filter(|set| set.count_ones() > 1).find_map(|set| {
            let places: Vec<usize> = (0..guesses.len()).filter(|at| set & (1 << at) != 0).collect();
            fits(&places)
        });
    }
    for (count, most) in MAX_TOGETHER {
        let places = guesses.len().min(most);
        for one in 0..places {
            for two in one + 1..places {
                let found = match count {
                    2 => fits(&[one, two]),
                    _ => (two + 1..places).find_map(|three| fits(&[one, two, three])),
                };
                if found.is_some() {
                    return found;
                }
            }
        }
    }
    None
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
