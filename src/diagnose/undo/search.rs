//! Bodies against bh=: each hypothesis one hash, and what hypotheses have in common hashed once.

use super::budget::{Budget, HASH};
use crate::dkim::{Canon, digest::BodyHasher};
use std::ops::Range;

/// Lines at whose ends a body is cut; a longer one is not searched beyond them.
const MAX_LINES: usize = 200_000;

/// What a body must hash to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The body's half of c=.
    pub canon: Canon,
    /// l=.
    pub limit: Option<u64>,
    /// bh=.
    pub hash: [u8; 32],
}

/// Tries bodies.
pub struct Search<'b> {
    /// What is wanted.
    pub target: Target,
    /// What it may cost.
    pub budget: &'b mut Budget,
}

/// Octets put in place of a range of the body.
pub type Splice = (Range<usize>, Vec<u8>);

impl Search<'_> {
    /// The hash of nothing yet.
    pub fn hasher(&self) -> BodyHasher {
        BodyHasher::new(self.target.canon, self.target.limit)
    }

    /// Is it the hash that is wanted?
    pub fn is_hash(&self, hasher: BodyHasher) -> bool {
        hasher.finish().sha256 == self.target.hash
    }

    /// Is the body made of these pieces the one that was signed?
    pub fn fits(&mut self, pieces: &[&[u8]]) -> bool {
        if !self.budget.hypothesis(pieces.iter().map(|piece| piece.len()).sum()) {
            return false;
        }
        let mut hasher = self.hasher();
        pieces.iter().for_each(|piece| hasher.write(piece));
        self.is_hash(hasher)
    }

    /// Is it the body with these ranges replaced? They stand in order and do not overlap.
    pub fn fits_spliced(&mut self, body: &[u8], splices: &[Splice]) -> bool {
        let mut pieces: Vec<&[u8]> = Vec::with_capacity(splices.len() * 2 + 1);
        let mut at = 0;
        for (range, new) in splices {
            let Some(kept) = body.get(at..range.start) else { return false };
            pieces.extend([kept, new]);
            at = range.end;
        }
        pieces.push(body.get(at..).unwrap_or_default());
        self.fits(&pieces)
    }

    /// The first of the body's lines that were added at its end: every end of a line is tried in one pass.
    pub fn prefix(&mut self, body: &[u8]) -> Option<usize> {
        let mut hasher = self.hasher();
        let mut at = 0;
        for _ in 0..MAX_LINES {
            let end = line_end(body, at);
            let line = &body[at..end];
            if line.is_empty() || !self.budget.work(line.len() as u64) {
                return None;
            }
            hasher.write(line);
            at = end;
            // A blank line changes nothing that a canonical form would show, and the whole body is known not to fit.
            if line == b"\r\n" || at == body.len() {
                continue;
            }
            if !self.budget.hypothesis(HASH as usize) {
                return None;
            }
            if self.is_hash(hasher.clone()) {
                return Some(at);
            }
        }
        None
    }

    /// The block without which the body fits, from one of `starts` to one of `ends`; small blocks are tried first.
    pub fn cut(&mut self, body: &[u8], starts: &[usize], ends: &[usize]) -> Option<Range<usize>> {
        let states = self.states(body, 0, self.hasher(), starts)?;
        let mut blocks: Vec<(usize, usize)> = Vec::new();
        for (number, (start, _)) in states.iter().enumerate() {
            blocks.extend(ends.iter().filter(|&end| end > start).map(|&end| (number, end)));
        }
        blocks.sort_by_key(|&(number, end)| (end - states[number].0, end));
        for (number, end) in blocks {
            let (start, state) = &states[number];
            if !self.budget.hypothesis(body.len() - end) {
                return None;
            }
            let mut hasher = state.clone();
            hasher.write(&body[end..]);
            if self.is_hash(hasher) {
                return Some(*start..end);
            }
        }
        None
    }

    /// Two blocks at once, the second behind the first; pairs of small blocks are tried first.
    pub fn cut_two(&mut self, body: &[u8], first: &Points, second: &Points) -> Option<[Range<usize>; 2]> {
        let (one, two) = (first.blocks(), second.blocks());
        let starts: Vec<usize> = one.iter().map(|block| block.start).collect();
        let states = self.states(body, 0, self.hasher(), &starts)?;
        let mut done = 0;
        for level in [8, 32, 128, usize::MAX] {
            for (number, block) in one.iter().enumerate().take(level) {
                let later: Vec<&Range<usize>> = two
                    .iter()
                    .take(level)
                    .skip(if number < done { done } else { 0 })
                    .filter(|later| later.start >= block.end)
                    .collect();
                let (_, state) = states.iter().find(|(at, _)| *at == block.start)?;
                let starts: Vec<usize> = later.iter().map(|later| later.start).collect();
                let inner = self.states(body, block.end, state.clone(), &starts)?;
                for later in later {
                    let (_, state) = inner.iter().find(|(at, _)| *at == later.start)?;
                    if !self.budget.hypothesis(body.len() - later.end) {
                        return None;
                    }
                    let mut hasher = state.clone();
                    hasher.write(&body[later.end..]);
                    if self.is_hash(hasher) {
                        return Some([block.clone(), later.clone()]);
                    }
                }
            }
            done = level;
        }
        None
    }

    /// The state of the hash at each of these places, the body read from `from` on.
    fn states(
        &mut self,
        body: &[u8],
        from: usize,
        mut hasher: BodyHasher,
        places: &[usize],
    ) -> Option<Vec<(usize, BodyHasher)>> {
        let mut places: Vec<usize> = places.iter().copied().filter(|at| (from..=body.len()).contains(at)).collect();
        places.sort_unstable();
        places.dedup();
        let last = places.last().copied().unwrap_or(from);
        if !self.budget.work((last - from) as u64) {
            return None;
        }
        let mut at = from;
        let mut states = Vec::with_capacity(places.len());
        for place in places {
            hasher.write(&body[at..place]);
            at = place;
            states.push((place, hasher.clone()));
        }
        Some(states)
    }
}

/// Where a block may start and end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Points {
    /// Where it may start.
    pub starts: Vec<usize>,
    /// Where it may end.
    pub ends: Vec<usize>,
}

impl Points {
    /// Every block between them, small ones first.
    fn blocks(&self) -> Vec<Range<usize>> {
        let of = |&start: &usize| self.ends.iter().filter(move |&&end| end > start).map(move |&end| start..end);
        let mut blocks: Vec<Range<usize>> = self.starts.iter().flat_map(of).collect();
        blocks.sort_by_key(|block| (block.len(), block.end));
        blocks
    }
}

/// The body with these ranges replaced.
pub fn spliced(body: &[u8], splices: &[Splice]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    for (range, new) in splices {
        out.extend_from_slice(body.get(at..range.start).unwrap_or_default());
        out.extend_from_slice(new);
        at = range.end;
    }
    out.extend_from_slice(body.get(at..).unwrap_or_default());
    out
}

/// Where the line that starts at `at` ends, its CRLF included.
pub fn line_end(body: &[u8], at: usize) -> usize {
    let mut from = at;
    while let Some(found) = body.get(from..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        from += found + 1;
        if body[..from].ends_with(b"\r\n") && from - at >= 2 {
            return from;
        }
    }
    body.len()
}

/// The lines of a text with their CRLF.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let end = line_end(text, at);
        let line = text.get(at..end).filter(|line| !line.is_empty())?;
        at = end;
        Some(line)
    })
}
