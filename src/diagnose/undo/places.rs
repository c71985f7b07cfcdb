//! Changes in one place of a body that could be any place: each is tried, where the body is small enough for it.

use super::{
    body::{Hunt, Step},
    diff,
    search::{Splice, lines, spliced},
};
use crate::diagnose::register::{Cause, modified as causes};

/// Places of one kind that are tried.
const MAX_PLACES: usize = 500;

/// A guess: what stood where, and the change in words.
type Guess = (Splice, &'static Cause, String);

/// The first guess that fits. A body so large that not all of them can be tried is left alone.
pub fn one_place(hunt: &mut Hunt<'_, '_>) -> Option<Vec<Step>> {
    let body = hunt.body;
    let guesses: Vec<Guess> = stray_ends(body).into_iter().chain(lost_dots(body)).collect();
    if guesses.len().saturating_mul(body.len()) as u64 > hunt.left() / 4 {
        return None;
    }
    let (splice, cause, claim) = hunt.stage(1, |search| {
        guesses.into_iter().find(|(splice, ..)| search.fits_spliced(body, std::slice::from_ref(splice)))
    })?;
    let shown = vec![("before and after".into(), diff::lines(&spliced(body, &[splice]), body))];
    Some(vec![Step { cause, claim, shown }])
}

/// A bare CR or LF that became a line end or, as Postfix writes it, a blank.
fn stray_ends(body: &[u8]) -> Vec<Guess> {
    let ends = body.windows(2).enumerate().filter(|(_, pair)| pair == b"\r\n").map(|(at, _)| (at..at + 2, "CRLF"));
    let blanks = body.iter().enumerate().filter(|(_, octet)| **octet == b' ').map(|(at, _)| (at..at + 1, "a blank"));
    let places = ends.take(MAX_PLACES).chain(blanks.take(MAX_PLACES));
    let guesses = places.flat_map(|(place, now)| {
        [("\r", "CR"), ("\n", "LF")].map(|(octet, name)| {
            let claim = format!("a bare {name} became {now} after signing");
            ((place.clone(), octet.into()), &causes::LINE_ENDINGS_CHANGED, claim)
        })
    });
    guesses.collect()
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
