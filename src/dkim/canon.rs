//! Canonicalization of header fields and bodies (§3.4), exact to the octet and independent of how the input is cut.
//!
//! Only CR LF ends a line; a bare CR or LF is content, hashed as received.
//! The body is canonicalised while it streams: what is already canonical goes to the output as it lies in the input,
//! so that plain text costs one vectorised scan and no copy.

use super::Canon;
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

fn is_blank(byte: u8) -> bool {
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
}

impl BodyCanon {
    /// At the start of a body.
    pub fn new(canon: Canon) -> BodyCanon {
        BodyCanon { canon, line_ends: 0, blank: false, cr: false, empty: true }
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

    /// The relaxed form: runs without a blank to be changed pass as they are; where such blanks lie close together, what
    /// follows is changed a block at a time.
    fn relaxed(&mut self, piece: &[u8], out: &mut impl FnMut(&[u8])) {
        let mut at = 0;
        while at < piece.len() {
            if !self.blank {
                let end = at + first_change(&piece[at..]);
                let dense = end - at < SPARSE;
                self.run(&piece[at..end], out);
                at = if dense { self.blocks(piece, end, out) } else { end };
                if at == piece.len() {
                    return;
                }
                if self.cr || !is_changed(piece, at) {
                    let rest = self.settle_cr(&piece[at..], out);
                    at = piece.len() - rest.len();
                    continue;
                }
            }
            at += piece[at..].iter().position(|b| !is_blank(*b)).unwrap_or(piece.len() - at);
            self.blank = true;
            match piece[at..] {
                [] => return,
                [b'\r'] => {
                    self.cr = true;
                    return;
                }
                [b'\r', b'\n', ..] => {
                    self.end_line();
                    at += 2;
                }
                _ => self.content(b"", out),
            }
        }
    }

    /// Whole blocks from this place on, until one loses little; gives the place behind them.
    fn blocks(&mut self, piece: &[u8], mut at: usize, out: &mut impl FnMut(&[u8])) -> usize {
        while let Some((block, ahead)) = block_at(piece, at) {
            let mut buffer = [0; BLOCK];
            let reduced = reduce(block, ahead, &mut buffer);
            let left = self.settle_cr(&buffer[..reduced], out);
            self.run(left, out);
            at += BLOCK;
            if reduced > BLOCK - BLOCK / SPARSE {
                break;
            }
        }
        at
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

/// Blanks are reduced in blocks of this size: large enough that a block is worth a round of hashing.
const BLOCK: usize = 512;

/// A change every so many octets costs as much one at a time as by blocks (measured).
const SPARSE: usize = 32;

/// The block at this place, and the two octets behind it, if the piece holds all of them.
fn block_at(piece: &[u8], at: usize) -> Option<(&[u8; BLOCK], [u8; 2])> {
    let (block, rest) = piece.get(at..)?.split_first_chunk()?;
    Some((block, *rest.first_chunk()?))
}

/// Reduces the blanks of a block, given the two octets that follow it, and gives the length of what is left. Of each run
/// of blanks the last is kept, as a space, and none before CRLF: so each octet is judged by the two behind it alone,
/// which compiles to vector instructions; putting the kept ones together is the one loop that goes by octets.
fn reduce(block: &[u8; BLOCK], ahead: [u8; 2], out: &mut [u8; BLOCK]) -> usize {
    let mut text = [0; BLOCK + 2];
    text[..BLOCK].copy_from_slice(block);
    text[BLOCK..].copy_from_slice(&ahead);
    let mut kept = [0; BLOCK];
    for at in 0..BLOCK {
        let (octet, next, after) = (text[at], text[at + 1], text[at + 2]);
        let goes = is_blank(octet) & (is_blank(next) | ((next == b'\r') & (after == b'\n')));
        kept[at] = u8::from(!goes);
    }
    let mut length = 0;
    for (octet, kept) in text.iter().zip(kept) {
        // The remainder changes nothing, and spares the test whether the index is in bounds.
        out[length % BLOCK] = if *octet == b'\t' { b' ' } else { *octet };
        length += usize::from(kept);
    }
    length
}

/// The index of the first blank that the relaxed form changes: a tab, or a space before another blank or a CR,
/// or before the end of the piece, where the next octet is not known. The length of the piece if there is none.
fn first_change(piece: &[u8]) -> usize {
    // Blocks are tested as a whole, with a test that may cry wolf (a space before any control character) but compiles
    // to a few vector instructions; only a block that may hold a change is searched octet by octet.
    const AT_ONCE: usize = 64;
    let mut at = 0;
    while at + AT_ONCE < piece.len() {
        let here = &piece[at..at + AT_ONCE];
        let next = &piece[at + 1..at + AT_ONCE + 1];
        let mut suspect = 0u8;
        for (a, b) in here.iter().zip(next) {
            suspect |= u8::from(*a == b'\t') | (u8::from(*a == b' ') & u8::from(*b <= b' '));
        }
        if suspect != 0
            && let Some(found) = (at..at + AT_ONCE).find(|&i| is_changed(piece, i))
        {
            return found;
        }
        at += AT_ONCE;
    }
    (at..piece.len()).find(|&i| is_changed(piece, i)).unwrap_or(piece.len())
}

fn is_changed(piece: &[u8], at: usize) -> bool {
    match piece[at] {
        b'\t' => true,
        b' ' => matches!(piece.get(at + 1), None | Some(b' ' | b'\t' | b'\r')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn body(canon: Canon, pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut sink = |bytes: &[u8]| out.extend_from_slice(bytes);
        let mut state = BodyCanon::new(canon);
        for piece in pieces {
            state.write(piece, &mut sink);
        }
        state.finish(&mut sink);
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
            while input.len() < 3 * BLOCK {
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
