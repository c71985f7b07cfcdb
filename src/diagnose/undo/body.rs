//! The body undone: the search from the likeliest change to the rarest, single changes before two of them.

use super::{
    budget::Budget,
    coded, diff, links,
    mime::{self, Part},
    oneshot::{self, Inverse, some},
    places,
    points::{edge, head_points, tail_points},
    recode::{self, Trial, Variation},
    search::{Points, Search, Target, line_end, lines, spliced},
};
use crate::{
    diagnose::register::{Cause, modified as causes},
    message::Header,
};
use std::ops::Range;

/// First steps that a second step is tried behind.
const MAX_FIRST: usize = 40;

/// Charsets among them.
const MAX_CHARSETS: usize = 16;

/// Octets of bodies that are held at once.
const MAX_HELD: usize = 64 * 1024 * 1024;

/// One change, undone.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it is.
    pub cause: &'static Cause,
    /// In one sentence.
    pub claim: String,
    /// The change as people want to see it: a label, and a text.
    pub shown: Vec<(String, String)>,
}

/// The changes without which the body is the one that was signed; `None` if none were found within the budget.
pub fn search(header: &Header, body: &[u8], target: &Target, budget: &mut Budget) -> Option<Vec<Step>> {
    budget.price(target.canon, body);
    let mut hunt = Hunt { header, body, target, budget };
    hunt.blocks(body, 3)
        .or_else(|| hunt.one_shots())
        .or_else(|| hunt.variations())
        .or_else(|| coded::blocks(&mut hunt))
        .or_else(|| hunt.two_steps())
        .or_else(|| hunt.banner_and_footer())
        .or_else(|| places::some_places(&mut hunt))
}

/// A search under way.
pub struct Hunt<'a, 'b> {
    header: &'a Header,
    pub body: &'a [u8],
    target: &'a Target,
    budget: &'b mut Budget,
}

/// A body before a change, and the change.
struct Undone {
    cause: &'static Cause,
    claim: String,
    earlier: Vec<u8>,
}

impl Undone {
    fn step(&self, body: &[u8]) -> Step {
        let shown = vec![("before and after".into(), diff::lines(&self.earlier, body))];
        Step { cause: self.cause, claim: self.claim.clone(), shown }
    }
}

impl Hunt<'_, '_> {
    /// How many octets may still be hashed.
    pub fn left(&self) -> u64 {
        self.budget.left()
    }

    /// The parts of the body.
    pub fn parts(&self) -> Vec<Part> {
        mime::read(self.header, self.body)
    }

    /// A stage of the search that may spend one part in `share` of what is left.
    pub fn stage<T>(&mut self, share: u64, tried: impl FnOnce(&mut Search<'_>) -> Option<T>) -> Option<T> {
        let mut part = self.budget.allot(share);
        let found = tried(&mut Search { target: self.target.clone(), budget: &mut part });
        self.budget.settle(&part);
        found
    }

    /// One added block: at the end, at the start, in a part; a part that was added; or a part that was wrapped.
    fn blocks(&mut self, body: &[u8], share: u64) -> Option<Vec<Step>> {
        if let Some(end) = self.stage(share, |search| search.prefix(body)) {
            return Some(vec![removed(body, end..body.len(), "the end of the body")]);
        }
        // Nothing stood before a footer that is all there is.
        if super::is_footer(body) && self.stage(1, |search| search.fits(&[]).then_some(())).is_some() {
            return Some(vec![removed(body, 0..body.len(), "the end of the body")]);
        }
        let parts = mime::read(self.header, body);
        self.wrapped(body, &parts)
            .or_else(|| self.added_part(body, &parts))
            .or_else(|| self.in_parts(body, &parts, share))
            .or_else(|| self.twin_parts(body, &parts, share))
            .or_else(|| self.closing(body, &parts))
    }

    /// The content of one part was the whole body.
    fn wrapped(&mut self, body: &[u8], parts: &[Part]) -> Option<Vec<Step>> {
        for part in parts.iter().skip(1) {
            let content = &body[part.content.clone()];
            if self.stage(1, |search| search.fits(&[content]).then_some(())).is_some() {
                let around = parts[0].children.len().saturating_sub(1);
                let claim = match around {
                    0 => format!("the body was wrapped in a {} after signing", parts[0].kind),
                    n => format!(
                        "the body was wrapped in a {} after signing, with {}",
                        parts[0].kind,
                        some(n, "part beside it", "parts beside it")
                    ),
                };
                let mut shown = vec![("the part that was the body".into(), diff::head(content))];
                for other in parts[0]
                    .children
                    .iter()
                    .map(|&child| &parts[child])
                    .filter(|other| other.content != part.content)
                    .take(3)
                {
                    shown.push(("added beside it".into(), diff::text(&body[other.content.clone()])));
                }
                return Some(vec![Step { cause: &causes::MIME_WRAPPED, claim, shown }]);
            }
        }
        None
    }

    /// One part of a multipart was added.
    fn added_part(&mut self, body: &[u8], parts: &[Part]) -> Option<Vec<Step>> {
        for part in parts.iter().filter(|part| part.children.len() > 1) {
            for (place, &child) in part.children.iter().enumerate().rev() {
                let start = parts[child].delimiter;
                let next = part.children.get(place + 1).map(|&next| parts[next].delimiter);
                let Some(end) = next.or(part.closing) else { continue };
                if self.stage(1, |search| search.fits(&[&body[..start], &body[end..]]).then_some(())).is_some() {
                    let cause = if place == 0 { &causes::BANNER_INSERTED } else { &causes::FOOTER_APPENDED };
                    let kind = &parts[child].kind;
                    let claim = format!("a {kind} part was added to the {} after signing", part.kind);
                    return Some(vec![step(cause, claim, &body[start..end])]);
                }
            }
        }
        None
    }

    /// A block at the end or at the start of a text part.
    fn in_parts(&mut self, body: &[u8], parts: &[Part], share: u64) -> Option<Vec<Step>> {
        let texts = || parts.iter().filter(|part| part.is_text());
        for part in texts() {
            let points = tail_points(body, part);
            if let Some(block) = self.stage(share, |search| search.cut(body, &points.starts, &points.ends)) {
                return Some(vec![removed(body, block, &format!("the end of {}", called(part)))]);
            }
        }
        for part in texts() {
            let points = head_points(body, part);
            if let Some(block) = self.stage(share, |search| search.cut(body, &points.starts, &points.ends)) {
                return Some(vec![inserted(body, block, &format!("the start of {}", called(part)))]);
            }
        }
        if parts[0].is_multipart() {
            let mut points = edge(body, 0..body.len(), true);
            points.starts = vec![0];
            if let Some(block) = self.stage(share, |search| search.cut(body, &points.starts, &points.ends)) {
                return Some(vec![inserted(body, block, "the start of the body")]);
            }
        }
        None
    }

    /// The same block in the plain and in the HTML text.
    fn twin_parts(&mut self, body: &[u8], parts: &[Part], share: u64) -> Option<Vec<Step>> {
        let texts: Vec<&Part> = parts.iter().filter(|part| part.is_text()).take(4).collect();
        for pair in texts.windows(2) {
            for (points, say) in [(tail_points as fn(&[u8], &Part) -> Points, true), (head_points, false)] {
                let (first, second) = (points(body, pair[0]), points(body, pair[1]));
                if let Some([one, two]) = self.stage(share * 3, |search| search.cut_two(body, &first, &second)) {
                    let (mut step, other) = match say {
                        true => (removed(body, one, "the end of two parts"), removed(body, two, "")),
                        false => (inserted(body, one, "the start of two parts"), inserted(body, two, "")),
                    };
                    step.shown.extend(other.shown);
                    return Some(vec![step]);
                }
            }
        }
        None
    }

    /// The last delimiter line was lost.
    fn closing(&mut self, body: &[u8], parts: &[Part]) -> Option<Vec<Step>> {
        let boundary = parts[0].boundary().filter(|_| parts[0].closing.is_none())?;
        for before in ["", "\r\n", "\r\n\r\n"] {
            let line = [before.as_bytes(), b"--", boundary, b"--\r\n"].concat();
            if self.stage(1, |search| search.fits(&[body, &line]).then_some(())).is_some() {
                let claim = "the last delimiter line of the body was lost after signing".to_owned();
                return Some(vec![step(&causes::TRUNCATED, claim, &line)]);
            }
        }
        None
    }

    fn one_shots(&mut self) -> Option<Vec<Step>> {
        let body = self.body;
        for inverse in oneshot::ALL {
            if let Some(undone) = self.undo(inverse, body)
                && self.stage(1, |search| search.fits(&[&undone.earlier]).then_some(())).is_some()
            {
                return Some(vec![undone.step(body)]);
            }
        }
        self.some_from_lines()
    }

    /// The body without a change; what differs is shown only of a change that was found ([`Undone::step`]).
    fn undo(&mut self, inverse: Inverse, body: &[u8]) -> Option<Undone> {
        if !self.budget.writing(body.len()) {
            return None;
        }
        let (earlier, claim) = inverse.apply(body, self.target.canon).filter(|(earlier, _)| earlier != body)?;
        Some(Undone { cause: inverse.cause(), claim, earlier })
    }

    /// Some of the lines that start with `>From ` were so before.
    fn some_from_lines(&mut self) -> Option<Vec<Step>> {
        let body = self.body;
        let mut at = 0;
        let mut marks = Vec::new();
        for line in lines(body) {
            if line.starts_with(b">From ") {
                marks.push(at);
            }
            at += line.len();
        }
        if !(2..=6).contains(&marks.len()) {
            return None;
        }
        for set in 1u32..(1 << marks.len()) - 1 {
            let splices: Vec<_> = marks
                .iter()
                .enumerate()
                .filter(|(bit, _)| set & (1 << bit) != 0)
                .map(|(_, &at)| (at..at + 1, Vec::new()))
                .collect();
            if self.stage(1, |search| search.fits_spliced(body, &splices).then_some(())).is_some() {
                let earlier = spliced(body, &splices);
                let claim = format!(
                    "{} written as >From after signing, as mbox files do",
                    some(splices.len(), "line that starts with From was", "lines that start with From were")
                );
                let shown = vec![("before and after".into(), diff::lines(&earlier, body))];
                return Some(vec![Step { cause: &causes::FROM_ESCAPED, claim, shown }]);
            }
        }
        None
    }

    /// Encodings and charsets swapped, and texts changed inside an encoding.
    fn variations(&mut self) -> Option<Vec<Step>> {
        let body = self.body;
        let parts = mime::read(self.header, body);
        let canon = self.target.canon;
        self.stage(3, |search| {
            let mut trial = Variations { search, body, found: None };
            let inside = |text: &[u8], _: &Part| {
                let of_texts = oneshot::ALL.into_iter().filter(|inverse| inverse.is_of_texts());
                of_texts
                    .filter_map(|inverse| {
                        inverse.apply(text, canon).map(|(earlier, claim)| (earlier, inverse.cause(), claim))
                    })
                    .collect()
            };
            let _ = recode::transfers(body, &parts, &mut trial)
                || recode::charsets(body, &parts, &mut trial)
                || recode::texts(body, &parts, inside, &mut trial);
            trial.found
        })
        .map(|variation| vec![told(body, variation)])
    }

    /// A change of the whole body, and behind it another, or an added block.
    fn two_steps(&mut self) -> Option<Vec<Step>> {
        let body = self.body;
        let parts = mime::read(self.header, body);
        if let Some(found) = self.behind_the_end(body, &parts) {
            return Some(found);
        }
        let first = self.first_steps(&parts);
        let share = first.len() as u64 + 1;
        for undone in &first {
            if let Some(mut steps) = self.blocks(&undone.earlier, share) {
                steps.push(undone.step(body));
                return Some(steps);
            }
        }
        for undone in &first {
            for inverse in oneshot::ALL.into_iter().filter(|inverse| inverse.cause() != undone.cause) {
                if let Some(second) = self.undo(inverse, &undone.earlier)
                    && self.stage(1, |search| search.fits(&[&second.earlier]).then_some(())).is_some()
                {
                    return Some(vec![undone.step(body), second.step(&undone.earlier)]);
                }
            }
        }
        None
    }

    /// Bodies before one change of the whole body, as many as may be held at once.
    fn first_steps(&mut self, parts: &[Part]) -> Vec<Undone> {
        let body = self.body;
        let most = (MAX_HELD / body.len().max(1)).min(oneshot::ALL.len() + MAX_FIRST);
        let rare = |inverse: &Inverse| matches!(inverse, Inverse::BlankLost(_) | Inverse::FromUnescaped);
        let mut first: Vec<Undone> = Vec::new();
        for inverse in oneshot::ALL.into_iter().filter(|inverse| !rare(inverse)) {
            if first.len() < most {
                first.extend(self.undo(inverse, body));
            }
        }
        let room = most.saturating_sub(first.len()).min(MAX_FIRST);
        let mut collected = Collected { budget: &mut *self.budget, room, variations: Vec::new() };
        let _ = room == 0 || recode::transfers(body, parts, &mut collected);
        collected.room += MAX_CHARSETS.min(room);
        let _ = room == 0 || recode::charsets(body, parts, &mut collected);
        let variations = collected.variations;
        for variation in variations {
            if self.budget.work(body.len() as u64) {
                let earlier = spliced(body, &variation.splices);
                first.push(Undone { cause: variation.cause, claim: variation.claim, earlier });
            }
        }
        first
    }

    /// A footer where no reader looks, behind base64 or behind the last delimiter, and what stands before it was
    /// something else.
    fn behind_the_end(&mut self, body: &[u8], parts: &[Part]) -> Option<Vec<Step>> {
        let base64 = recode::behind_base64(body, parts).map(|rest| (rest, "the end of a base64 part"));
        let last = parts[0].closing.map(|at| (line_end(body, at)..body.len(), "the end of the body"));
        let last = last.filter(|(rest, _)| !body[rest.clone()].trim_ascii().is_empty());
        for (rest, place) in base64.into_iter().chain(last) {
            let footer = removed(body, rest.clone(), place);
            let earlier = spliced(body, &[(rest, Vec::new())]);
            let mut hunt = Hunt { header: self.header, body: &earlier, target: self.target, budget: &mut *self.budget };
            if let Some(mut steps) = hunt.variations() {
                steps.insert(0, footer);
                return Some(steps);
            }
        }
        None
    }

    /// A banner at the start and a footer at the end.
    fn banner_and_footer(&mut self) -> Option<Vec<Step>> {
        let body = self.body;
        let parts = mime::read(self.header, body);
        for part in parts.iter().filter(|part| part.is_text()).take(2) {
            let (head, tail) = (head_points(body, part), tail_points(body, part));
            if let Some([banner, footer]) = self.stage(3, |search| search.cut_two(body, &head, &tail)) {
                let place = called(part);
                return Some(vec![
                    removed(body, footer, &format!("the end of {place}")),
                    inserted(body, banner, &format!("the start of {place}")),
                ]);
            }
        }
        None
    }
}

/// Tries variations until one fits or the octets are spent.
struct Variations<'s, 'b, 'a> {
    search: &'s mut Search<'b>,
    body: &'a [u8],
    found: Option<Variation>,
}

impl Trial for Variations<'_, '_, '_> {
    fn may_write(&mut self, octets: usize) -> bool {
        self.search.budget.writing(octets)
    }

    fn ends_with(&mut self, variation: Variation) -> bool {
        if self.search.budget.left() < self.body.len() as u64 {
            return true;
        }
        if !self.search.fits_spliced(self.body, &variation.splices) {
            return false;
        }
        self.found = Some(variation);
        true
    }
}

/// Gathers variations for a second step.
struct Collected<'b> {
    budget: &'b mut Budget,
    room: usize,
    variations: Vec<Variation>,
}

impl Trial for Collected<'_> {
    fn may_write(&mut self, octets: usize) -> bool {
        self.budget.writing(octets)
    }

    fn ends_with(&mut self, variation: Variation) -> bool {
        if self.variations.len() < self.room {
            self.variations.push(variation);
        }
        self.variations.len() >= self.room
    }
}

fn told(body: &[u8], variation: Variation) -> Step {
    let shown = variation
        .splices
        .iter()
        .filter(|(range, new)| body[range.clone()] != new[..])
        .take(4)
        .map(|(range, new)| ("before and after".to_owned(), diff::lines(new, &body[range.clone()])))
        .collect();
    Step { cause: variation.cause, claim: variation.claim, shown }
}

/// What a part is called in a claim.
pub fn called(part: &Part) -> String {
    match part.parent {
        None => "the body".into(),
        Some(_) => format!("the {} part", part.kind),
    }
}

fn step(cause: &'static Cause, claim: String, text: &[u8]) -> Step {
    Step { cause, claim, shown: vec![("removed to verify".into(), diff::text(text))] }
}

/// A block that was added at an end.
pub fn removed(body: &[u8], block: Range<usize>, place: &str) -> Step {
    block_step(&causes::FOOTER_APPENDED, &body[block], place)
}

/// A block that was added at a start.
pub fn inserted(body: &[u8], block: Range<usize>, place: &str) -> Step {
    block_step(&causes::BANNER_INSERTED, &body[block], place)
}

fn block_step(cause: &'static Cause, text: &[u8], place: &str) -> Step {
    if links::is_pixel(text) && text.len() < 2000 {
        return step(
            &causes::TRACKING_INSERTED,
            format!("a picture of one pixel was added near {place} after signing"),
            text,
        );
    }
    if cause == &causes::BANNER_INSERTED && place.ends_with(" the body") && text.trim_ascii().is_empty() {
        let claim = format!(
            "{} added at the start of the body after signing",
            some(lines(text).count(), "empty line was", "empty lines were")
        );
        return step(&causes::LEADING_BLANK_LINE, claim, text);
    }
    let count = lines(text).filter(|line| !line.trim_ascii().is_empty()).count().max(1);
    step(cause, format!("{} added at {place} after signing", some(count, "line was", "lines were")), text)
}
