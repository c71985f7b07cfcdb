//! Canonicalization of header fields and bodies (§3.4), exact to the octet and independent of how the input is cut.
//!
//! Only CR LF ends a line; a bare CR or LF is content, hashed as received.
//! The body is canonicalised while it streams: what is already canonical goes to the output as it lies in the input,
//! so that plain text costs one vectorised scan and no copy.

use super::{
    Canon,
    avx512::{self, Avx512},
    blocks::{BLOCK, FAR, Gathered, add_changed, block_at, is_suspicious},
};
use crate::message::Field;

/// The canonical form of one header field, with its final CRLF, appended to `out` (§3.4.1, §3.4.2).
pub fn header_field(canon: Canon, field: Field<'_>, out: &mut Vec<u8>) {
    header_field_open(canon, field.raw(), out);
    out.extend_from_slice(b"\r\n");
}

/// As [`header_field`] without the final CRLF: the form in which a DKIM-Signature field hashes itself (§3.7).
///
/// `raw` is the whole field, name and colon included.
pub fn header_field_open(canon: Canon, raw: &[u8], out: &mut Vec<u8>) {
    match canon {
        Canon::Simple => out.extend_from_slice(raw),
        Canon::Relaxed => {
            let colon = raw.iter().position(|&b| b == b':').unwrap_or(raw.len());
            let name = trim_blanks(&raw[..colon]);
            out.extend(name.iter().map(u8::to_ascii_lowercase));
            out.push(b':');
            relaxed_value(raw.get(colon + 1..).unwrap_or_default(), out);
        }
    }
}

/// Unfolds, reduces runs of blanks to one space, and drops them at both ends.
fn relaxed_value(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut blank = false;
    let mut at = 0;
    while at < value.len() {
        match value[at] {
            b' ' | b'\t' => blank = true,
            b'\r' if value[at..].starts_with(b"\r\n") => at += 1,
            byte => {
                if blank && out.len() > start {
                    out.push(b' ');
                }
                blank = false;
                out.push(byte);
            }
        }
        at += 1;
    }
}

fn trim_blanks(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|b| !is_blank(*b)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|b| !is_blank(*b)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

pub(super) fn is_blank(byte: u8) -> bool {
    (byte == b' ') | (byte == b'\t')
}

/// A body on its way into canonical form (§3.4.3, §3.4.4).
///
/// Feed the body in pieces to [`BodyCanon::write`], then call [`BodyCanon::finish`]; both hand canonical octets to `out`.
#[derive(Clone, Debug)]
pub struct BodyCanon {
    canon: Canon,
    /// Line ends held back, because they count only if something follows.
    line_ends: u64,
    /// Relaxed: blanks were seen after them, and count as one space if the line goes on.
    blank: bool,
    /// A CR was seen after those; whether it ends a line depends on the next octet.
    cr: bool,
    /// Was no content seen yet?
    empty: bool,
    wide: Option<Avx512>,
}

impl BodyCanon {
    /// At the start of a body.
    pub fn new(canon: Canon) -> BodyCanon {
        BodyCanon { wide: Avx512::detect(), ..BodyCanon::portable(canon) }
    }

    /// The same without the instructions that only some processors have, so that the two can be compared.
    pub fn portable(canon: Canon) -> BodyCanon {
        BodyCanon { canon, line_ends: 0, blank: false, cr: false, empty: true, wide: None }
    }

    /// Takes the next piece of the body, cut anywhere.
    pub fn write(&mut self, piece: &[u8], out: &mut impl FnMut(&[u8])) {
        let piece = self.settle_cr(piece, out);
        match self.canon {
            Canon::Simple => self.run(piece, out),
            Canon::Relaxed => self.relaxed(piece, out),
        }
    }

    /// The body has ended: settles what was held back and completes the last line.
    pub fn finish(mut self, out: &mut impl FnMut(&[u8])) {
        if self.cr {
            self.content(b"\r", out);
        }
        // Blanks still held back stand at the end of the last line: relaxed drops them.
        if !self.empty || self.canon == Canon::Simple {
            out(b"\r\n");
        }
    }

    /// Decides what a CR at the end of the last piece was, now that more is known, and gives what is left of this one.
    fn settle_cr<'a>(&mut self, piece: &'a [u8], out: &mut impl FnMut(&[u8])) -> &'a [u8] {
        let Some((&next, rest)) = piece.split_first().filter(|_| self.cr) else { return piece };
        self.cr = false;
        if next == b'\n' {
            self.end_line();
            return rest;
        }
        self.content(b"\r", out);
        piece
    }

    /// The relaxed form: whole blocks while the piece has enough of them, octet by octet at its ends.
    fn relaxed(&mut self, piece: &[u8], out: &mut impl FnMut(&[u8])) {
        let at = self.by_octets(piece, 0, 0, out);
        let at = match self.wide {
            Some(wide) => self.by_wide_blocks(wide, piece, at, out),
            None => self.by_blocks(piece, at, out),
        };
        self.by_octets(piece, at, piece.len(), out);
    }

    /// From this place on, one run after the other, until the place `enough` is reached with no blank held back, or the
    /// piece ends; gives the place that was reached.
    fn by_octets(&mut self, piece: &[u8], mut at: usize, enough: usize, out: &mut impl FnMut(&[u8])) -> usize {
        while at < piece.len() && (at < enough || self.blank) {
            if !self.blank {
                let end = at + memchr::memchr2(b' ', b'\t', &piece[at..]).unwrap_or(piece.len() - at);
                self.pass(&piece[at..end], out);
                at = end;
                if at == piece.len() {
                    break;
                }
                // A CR that ended the run is followed by a blank here, so it ends no line.
                if std::mem::take(&mut self.cr) {
                    self.content(b"\r", out);
                }
            }
            at += piece[at..].iter().position(|b| !is_blank(*b)).unwrap_or(piece.len() - at);
            self.blank = true;
            match piece[at..] {
                [] => break,
                [b'\r'] => {
                    self.cr = true;
                    return piece.len();
                }
                [b'\r', b'\n', ..] => {
                    self.end_line();
                    at += 2;
                }
                _ => self.content(b"", out),
            }
        }
        at
    }

    /// From this place on, as many whole blocks as there are; gives the place behind them. A long stretch without a change
    /// passes as it lies; what lies between changes is gathered.
    fn by_blocks(&mut self, piece: &[u8], mut at: usize, out: &mut impl FnMut(&[u8])) -> usize {
        let mut gathered = Gathered::new();
        // What lies before has passed or is gathered; what lies from here to `at` needs no change.
        let mut start = at;
        while let Some(block) = block_at(piece, at) {
            if is_suspicious(block) {
                if at - start > FAR {
                    self.pass(gathered.take(), out);
                    self.pass(&piece[start..at], out);
                } else {
                    piece[start..at].as_chunks().0.iter().for_each(|block| gathered.add(block, BLOCK));
                }
                add_changed(block, &mut gathered);
                start = at + BLOCK;
                if gathered.is_full() {
                    self.pass(gathered.take(), out);
                }
            }
            at += BLOCK;
        }
        self.pass(gathered.take(), out);
        self.pass(&piece[start..at], out);
        at
    }

    /// As [`BodyCanon::by_blocks`], for processors that reduce a block faster than they can tell whether it has to be.
    fn by_wide_blocks(&mut self, wide: Avx512, piece: &[u8], mut at: usize, out: &mut impl FnMut(&[u8])) -> usize {
        let mut room = [0; avx512::ROOM];
        loop {
            let (end, length) = wide.reduce(piece, at, &mut room);
            if end == at {
                return at;
            }
            at = end;
            self.pass(&room[..length], out);
        }
    }

    /// Octets that need no change, wherever those before them ended.
    fn pass(&mut self, run: &[u8], out: &mut impl FnMut(&[u8])) {
        let run = self.settle_cr(run, out);
        self.run(run, out);
    }

    /// Octets that need no change but for the line ends behind them, which are held back.
    fn run(&mut self, run: &[u8], out: &mut impl FnMut(&[u8])) {
        if run.is_empty() {
            return;
        }
        let mut end = run.len();
        let cr = run.last() == Some(&b'\r');
        if cr {
            end -= 1;
        }
        let mut line_ends = 0;
        while run[..end].ends_with(b"\r\n") {
            line_ends += 1;
            end -= 2;
        }
        if end > 0 {
            self.content(&run[..end], out);
        }
        self.line_ends += line_ends;
        self.cr = cr;
    }

    /// A line has ended; blanks before its end do not count.
    fn end_line(&mut self) {
        self.line_ends += 1;
        self.blank = false;
    }

    /// Content follows: what was held back counts now.
    fn content(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) {
        for _ in 0..std::mem::take(&mut self.line_ends) {
            out(b"\r\n");
        }
        if std::mem::take(&mut self.blank) {
            out(b" ");
        }
        if !bytes.is_empty() {
            out(bytes);
        }
        self.empty = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    /// With the instructions of this processor and without, which must make no difference.
    fn body(canon: Canon, pieces: &[&[u8]]) -> Vec<u8> {
        let [out, portable] = [BodyCanon::new(canon), BodyCanon::portable(canon)].map(|mut state| {
            let mut out = Vec::new();
            let mut sink = |bytes: &[u8]| out.extend_from_slice(bytes);
            for piece in pieces {
                state.write(piece, &mut sink);
            }
            state.finish(&mut sink);
            out
        });
        assert!(out == portable, "{canon} {}", pieces.concat().escape_ascii());
        out
    }

    /// The relaxed and simple forms straight from the words of §3.4.3 and §3.4.4, without any cleverness.
    fn plain(canon: Canon, body: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
        let mut rest = body;
        while let Some((&byte, after)) = rest.split_first() {
            if rest.starts_with(b"\r\n") {
                lines.push(Vec::new());
                rest = &rest[2..];
            } else {
                lines.last_mut().unwrap().push(byte);
                rest = after;
            }
        }
        if canon == Canon::Relaxed {
            for line in &mut lines {
                let mut reduced: Vec<u8> = Vec::new();
                for &byte in line.iter() {
                    let byte = if byte == b'\t' { b' ' } else { byte };
                    if !(byte == b' ' && reduced.last() == Some(&b' ')) {
                        reduced.push(byte);
                    }
                }
                if reduced.last() == Some(&b' ') {
                    reduced.pop();
                }
                *line = reduced;
            }
        }
        while lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        if lines.is_empty() {
            return if canon == Canon::Simple { b"\r\n".to_vec() } else { Vec::new() };
        }
        lines
            .into_iter()
            .flat_map(|mut line| {
                line.extend_from_slice(b"\r\n");
                line
            })
            .collect()
    }

    #[test]
    fn bodies() {
        use Canon::*;
        for (canon, input, want) in [
            (Simple, &b""[..], &b"\r\n"[..]),
            (Relaxed, b"", b""),
            (Relaxed, b"\r\n\r\n", b""),
            (Relaxed, b" \t\r\n \r\n", b""),
            (Simple, b" \r\n\r\n", b" \r\n"),
            (Relaxed, b"a\r\n \r\n", b"a\r\n"),
            (Relaxed, b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),
            (Simple, b" C \r\nD \t E\r\n\r\n\r\n", b" C \r\nD \t E\r\n"),
            (Relaxed, b"no end", b"no end\r\n"),
            (Relaxed, b"blank at the end ", b"blank at the end\r\n"),
            (Simple, b"no end ", b"no end \r\n"),
            (Relaxed, b"a\n \r b\r\n", b"a\n \r b\r\n"),
            (Relaxed, b"a\r\r\n", b"a\r\r\n"),
            (Simple, b"\r", b"\r\r\n"),
            (Relaxed, b"\r", b"\r\r\n"),
            (Relaxed, b"a \r", b"a \r\r\n"),
            (Relaxed, b"\x0b\x0c \xa0\r\n", b"\x0b\x0c \xa0\r\n"),
        ] {
            assert_eq!(
                body(canon, &[input]).escape_ascii().to_string(),
                want.escape_ascii().to_string(),
                "{canon} {}",
                input.escape_ascii()
            );
        }
    }

    /// Long bodies, in which blanks lie densely enough for whole blocks, then sparsely, then densely again.
    #[test]
    fn bodies_of_several_blocks() {
        let mut state = 1u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        for round in 0..400 {
            let mut input = Vec::new();
            while input.len() < 30 * BLOCK {
                let dense = random(2) == 0;
                for _ in 0..random(300) {
                    let word: &[u8] = match random(if dense { 8 } else { 90 }) {
                        0 => b"  ",
                        1 => b"\t",
                        2 => b" \r\n",
                        3 => b"\r",
                        4 => b"\n",
                        5 => b" ",
                        6 => b"\r\n",
                        _ => b"x",
                    };
                    input.extend_from_slice(word);
                }
            }
            let want = plain(Canon::Relaxed, &input);
            let (a, b) = input.split_at(random(input.len() as u64) as usize);
            for pieces in [&[&input[..]][..], &[a, b]] {
                assert!(body(Canon::Relaxed, pieces) == want, "round {round}: {}", input.escape_ascii());
            }
        }
    }

    /// Every body over a small alphabet, cut at every place, has the form that the words of the RFC give.
    #[test]
    fn every_short_body_cut_anywhere() {
        let alphabet = b"a \t\r\n";
        for length in 0..=6u32 {
            for number in 0..alphabet.len().pow(length) {
                let input: Vec<u8> =
                    (0..length).map(|i| alphabet[number / alphabet.len().pow(i) % alphabet.len()]).collect();
                for canon in [Canon::Simple, Canon::Relaxed] {
                    let want = plain(canon, &input);
                    for cut in 0..=input.len() {
                        let (a, b) = input.split_at(cut);
                        assert_eq!(body(canon, &[a, b]), want, "{canon} {} | {}", a.escape_ascii(), b.escape_ascii());
                    }
                    let octets: Vec<&[u8]> = input.chunks(1).collect();
                    assert_eq!(body(canon, &octets), want, "{canon} {} by octets", input.escape_ascii());
                }
            }
        }
    }

    /// The block test must not lose a change, wherever it lies in a block.
    #[test]
    fn long_bodies_with_a_change_at_every_place() {
        for length in [60usize, 64, 65, 127, 128, 129, 200] {
            for at in 0..length {
                for insert in [&b"\t"[..], b"  ", b" \r\n", b"\r\n", b" \n", b" \r", b"\r\n\r\n"] {
                    let mut input = vec![b'x'; length];
                    input.splice(at..at, insert.iter().copied());
                    for canon in [Canon::Simple, Canon::Relaxed] {
                        assert_eq!(
                            body(canon, &[&input]),
                            plain(canon, &input),
                            "{canon} {} at {at}",
                            insert.escape_ascii()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn header_fields() {
        use Canon::*;
        for (canon, input, want) in [
            (Relaxed, &b"A: X\r\n"[..], &b"a:X\r\n"[..]),
            (Relaxed, b"B : Y\t\r\n\tZ  \r\n", b"b:Y Z\r\n"),
            (Simple, b"B : Y\t\r\n\tZ  \r\n", b"B : Y\t\r\n\tZ  \r\n"),
            (Relaxed, b"Empty:\r\n", b"empty:\r\n"),
            (Relaxed, b"Empty:   \r\n \t\r\n", b"empty:\r\n"),
            (Relaxed, b"X:a\r\n\r\n", b"x:a\r\n"),
            (Relaxed, b"X:a\x0cb\rc\r\n", b"x:a\x0cb\rc\r\n"),
        ] {
            let message = Message::new(input);
            let field = message.header.fields().next().expect("a field");
            let mut out = Vec::new();
            header_field(canon, field, &mut out);
            assert_eq!(out.escape_ascii().to_string(), want.escape_ascii().to_string());
        }
    }
}
