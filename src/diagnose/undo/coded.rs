//! Footers and banners inside encoded texts: the block is taken out of the decoded text, and the rest encoded again.

use super::{
    body::{Hunt, Step, called, inserted, removed},
    encode,
    mime::Part,
    points::{head_points, tail_points},
    recode,
    search::Search,
};
use crate::diagnose::register::modified as causes;
use std::ops::Range;

/// A block that may have been added to a text.
struct Block {
    range: Range<usize>,
    at_end: bool,
}

impl Block {
    fn without(&self, text: &[u8]) -> Vec<u8> {
        [&text[..self.range.start], &text[self.range.end..]].concat()
    }

    fn step(&self, part: &Part, text: &[u8]) -> Step {
        let place = format!("the {} of {}", if self.at_end { "end" } else { "start" }, called(part));
        match self.at_end {
            true => removed(text, self.range.clone(), &place),
            false => inserted(text, self.range.clone(), &place),
        }
    }
}

/// A text part, decoded, and what may have been added to it.
struct Text<'p> {
    part: &'p Part,
    /// With CRLF line ends.
    text: Vec<u8>,
    /// Are they LF behind base64?
    lf: bool,
    blocks: Vec<Block>,
}

impl Text<'_> {
    fn is_coded(&self) -> bool {
        matches!(self.part.encoding.as_str(), "quoted-printable" | "base64")
    }

    /// An earlier text in the encoding of its part. Behind base64 there may be either line end, and who adds a footer writes
    /// all of them anew: first as they are now.
    fn forms(&self, earlier: &[u8], body: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        let ends: &[bool] = match self.part.encoding.as_str() {
            "base64" if self.lf => &[true, false],
            "base64" => &[false, true],
            _ => &[false],
        };
        ends.iter().flat_map(move |&lf| {
            let text = if lf { encode::to_lf(earlier) } else { earlier.to_vec() };
            recode::recoded(&text, self.part, body)
        })
    }
}

/// A block that was added to the decoded text of a part, and the part encoded again, as it was or in another way.
pub fn blocks(hunt: &mut Hunt<'_, '_>) -> Option<Vec<Step>> {
    let body = hunt.body;
    let parts = hunt.parts();
    let texts: Vec<Text<'_>> = recode::decoded_texts(body, &parts)
        .into_iter()
        .map(|(part, octets)| {
            let lf = part.encoding == "base64" && !octets.windows(2).any(|pair| pair == b"\r\n");
            let text = if lf { encode::to_crlf(&octets) } else { octets };
            Text { part, blocks: of_text(part, &text), text, lf }
        })
        .collect();
    for text in texts.iter().filter(|text| text.is_coded()) {
        if let Some(step) = hunt.stage(4, |search| as_it_was(search, body, text)) {
            return Some(vec![step]);
        }
    }
    if let [first, second, ..] = &texts[..]
        && first.is_coded()
        && second.is_coded()
        && let Some(step) = hunt.stage(4, |search| twins(search, body, [first, second]))
    {
        return Some(vec![step]);
    }
    for text in &texts {
        if let Some(step) = hunt.stage(3, |search| in_another_way(search, body, text)) {
            let claim = format!("{} was encoded in another way after signing", called(text.part));
            return Some(vec![step, Step { cause: &causes::TRANSFER_ENCODING_CONVERTED, claim, shown: Vec::new() }]);
        }
    }
    None
}

/// Every block at the end and at the start of a decoded text.
fn of_text(part: &Part, text: &[u8]) -> Vec<Block> {
    let whole = Part::alone(&part.kind, text.len());
    let mut blocks = Vec::new();
    for (points, at_end) in [(tail_points(text, &whole), true), (head_points(text, &whole), false)] {
        for &start in points.starts.iter().rev() {
            let ends = points.ends.iter().filter(|&&end| end > start);
            blocks.extend(ends.map(|&end| Block { range: start..end, at_end }));
        }
    }
    blocks
}

fn as_it_was(search: &mut Search<'_>, body: &[u8], text: &Text<'_>) -> Option<Step> {
    let (before, behind) = (&body[..text.part.content.start], &body[text.part.content.end..]);
    for block in &text.blocks {
        let earlier = block.without(&text.text);
        if !search.budget.work(earlier.len() as u64 * 4) {
            return None;
        }
        if text.forms(&earlier, body).any(|form| search.fits(&[before, &form, behind])) {
            return Some(block.step(text.part, &text.text));
        }
    }
    None
}

fn in_another_way(search: &mut Search<'_>, body: &[u8], text: &Text<'_>) -> Option<Step> {
    for block in &text.blocks {
        let earlier = block.without(&text.text);
        if !search.budget.work(earlier.len() as u64 * 13) {
            return None;
        }
        let forms = recode::transferred(&earlier, text.part, body);
        if forms.iter().any(|splices| search.fits_spliced(body, splices)) {
            return Some(block.step(text.part, &text.text));
        }
    }
    None
}

/// The same kind of block in two encoded parts, each encoded in its likeliest way; pairs of small blocks first.
fn twins(search: &mut Search<'_>, body: &[u8], texts: [&Text<'_>; 2]) -> Option<Step> {
    let [first, second] = texts;
    let middle = body.get(first.part.content.end..second.part.content.start)?;
    let (before, behind) = (&body[..first.part.content.start], &body[second.part.content.end..]);
    let [one, two] = texts.map(|text| {
        let mut small: Vec<&Block> = text.blocks.iter().collect();
        small.sort_by_key(|block| block.range.len());
        // As many as may be held at once.
        small.truncate(16 * recode::MAX_TEXT / (2 * text.text.len()).max(1));
        let coded = |block: &'_ &Block| text.forms(&block.without(&text.text), body).next();
        let forms: Vec<Vec<u8>> = small.iter().filter_map(coded).collect();
        small.into_iter().zip(forms).collect::<Vec<_>>()
    });
    for sum in 0..one.len() + two.len() {
        let pairs = one.iter().enumerate().take(sum + 1).filter_map(|(at, first)| Some((first, two.get(sum - at)?)));
        for ((block, form), (other, form2)) in pairs.filter(|(one, two)| one.0.at_end == two.0.at_end) {
            if search.fits(&[before, form, middle, form2, behind]) {
                let mut step = block.step(first.part, &first.text);
                step.shown.extend(other.step(second.part, &second.text).shown);
                return Some(step);
            }
            if search.budget.exhausted {
                return None;
            }
        }
    }
    None
}
