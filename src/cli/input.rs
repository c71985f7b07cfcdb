//! Messages from files: read, given the line ends of SMTP, and otherwise left alone.
//!
//! What shows that a file is not the message as it went over the wire (mbox lines, dot-stuffing, other line ends) is
//! noticed and said: a repair would hide the change that broke a signature.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Read},
    path::Path,
};

/// Something about a file that is no part of the message, or may not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// There is no CRLF in it: each LF was read as one.
    LfRead,
    /// So many line ends are bare LF among CRLF; they were left as they are.
    BareLf(usize),
    /// So many CR stand without LF; they were left as they are.
    BareCr(usize),
    /// It starts with the `From ` line of an mbox file, and has so many such lines.
    Mbox(usize),
    /// Every line of the body that starts with a dot starts with two; so many do.
    DotStuffed(usize),
    /// It ends in the line of a single dot that ends DATA.
    FinalDot,
    /// It starts with a byte order mark, which is now part of the first field's name.
    ByteOrderMark,
    /// It starts with an empty line, so that everything is body.
    NoHeader,
    /// It holds nothing.
    Empty,
}

/// Reads a file; "-" is standard input.
pub fn read(file: &Path) -> io::Result<Vec<u8>> {
    if file.as_os_str() != "-" {
        return std::fs::read(file);
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// How a file is called in what people read.
pub fn shown(file: &Path) -> Cow<'_, str> {
    if file.as_os_str() == "-" { "standard input".into() } else { file.to_string_lossy() }
}

/// Line ends as SMTP has them; a message that has any CRLF is taken as it is.
pub fn with_crlf(bytes: Vec<u8>) -> Vec<u8> {
    if !is_lf(&bytes) {
        return bytes;
    }
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    for byte in bytes {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

fn is_lf(bytes: &[u8]) -> bool {
    bytes.contains(&b'\n') && !bytes.windows(2).any(|pair| pair == b"\r\n")
}

/// What there is to say about a file as it was read.
pub fn notes(bytes: &[u8]) -> Vec<Note> {
    let mut notes = Vec::new();
    if bytes.is_empty() {
        return vec![Note::Empty];
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        notes.push(Note::ByteOrderMark);
    }
    if bytes.starts_with(b"\n") || bytes.starts_with(b"\r\n") {
        notes.push(Note::NoHeader);
    }
    let lines = Lines::of(bytes);
    if is_lf(bytes) {
        notes.push(Note::LfRead);
    } else if lines.bare_lf > 0 {
        notes.push(Note::BareLf(lines.bare_lf));
    }
    if lines.bare_cr > 0 {
        notes.push(Note::BareCr(lines.bare_cr));
    }
    if bytes.starts_with(b"From ") {
        notes.push(Note::Mbox(lines.from));
    }
    if lines.double_dots > 0 && lines.single_dots == 0 {
        notes.push(Note::DotStuffed(lines.double_dots));
    }
    if lines.ends_in_dot {
        notes.push(Note::FinalDot);
    }
    notes
}

/// Lines counted by what they start with.
#[derive(Default)]
struct Lines {
    /// `From ` at the start of the file, or behind an empty line.
    from: usize,
    /// In the body: one dot at the start, and no more.
    single_dots: usize,
    /// In the body: two dots at the start.
    double_dots: usize,
    /// Is the last line a dot alone?
    ends_in_dot: bool,
    bare_lf: usize,
    bare_cr: usize,
}

impl Lines {
    fn of(bytes: &[u8]) -> Lines {
        let mut lines = Lines::default();
        let (mut after_empty, mut in_body) = (true, false);
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let ended = line.strip_suffix(b"\n");
            let text = ended.map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
            lines.bare_lf += usize::from(ended.is_some() && text.len() + 1 == line.len());
            lines.bare_cr += text.iter().filter(|&&byte| byte == b'\r').count();
            lines.from += usize::from(after_empty && text.starts_with(b"From "));
            lines.ends_in_dot = in_body && text == b".";
            // The dot that ends DATA is the one that is never doubled.
            let counts = in_body && !lines.ends_in_dot && text.starts_with(b".");
            lines.double_dots += usize::from(counts && text.starts_with(b".."));
            lines.single_dots += usize::from(counts && !text.starts_with(b".."));
            after_empty = text.is_empty();
            in_body |= after_empty;
        }
        lines
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::LfRead => write!(f, "line ends are LF: read as CRLF"),
            Note::BareLf(1) => write!(f, "1 line ends in LF among others that end in CRLF: judged as it is"),
            Note::BareLf(many) => write!(f, "{many} lines end in LF among others that end in CRLF: judged as they are"),
            Note::BareCr(1) => write!(f, "1 CR stands without LF: judged as it is"),
            Note::BareCr(many) => write!(f, "{many} CR stand without LF: judged as they are"),
            Note::Mbox(0 | 1) => {
                write!(f, "the first line is the \"From \" line of an mbox file: not removed, and no header field")
            }
            Note::Mbox(many) => {
                write!(f, "an mbox file with {many} \"From \" lines: judged as one message, nothing removed")
            }
            Note::DotStuffed(1) => {
                write!(f, "1 line of the body starts with two dots: dot-stuffed, as on the wire? not removed")
            }
            Note::DotStuffed(many) => {
                write!(f, "{many} lines of the body start with two dots: dot-stuffed, as on the wire? not removed")
            }
            Note::FinalDot => write!(f, "the last line is the dot that ends DATA in SMTP: not removed"),
            Note::ByteOrderMark => write!(f, "the file starts with a byte order mark: not removed"),
            Note::NoHeader => write!(f, "the file starts with an empty line: there is no header"),
            Note::Empty => write!(f, "the file is empty"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_without_any_crlf_is_given_line_ends() {
        for (bytes, want) in [
            (&b"a\nb\n"[..], &b"a\r\nb\r\n"[..]),
            (b"a\r\nb\n", b"a\r\nb\n"),
            (b"a\rb\n", b"a\rb\r\n"),
            (b"", b""),
            (b"a", b"a"),
        ] {
            assert_eq!(with_crlf(bytes.to_vec()).escape_ascii().to_string(), want.escape_ascii().to_string());
        }
    }

    #[test]
    fn what_is_odd_is_noticed() {
        use Note::*;
        for (bytes, want) in [
            (&b"A: 1\r\n\r\nbody\r\n"[..], vec![]),
            (b"", vec![Empty]),
            (b"A: 1\n\nbody\n", vec![LfRead]),
            (b"A: 1\r\n\r\nbody\nmore\r\n", vec![BareLf(1)]),
            (b"A: 1\r\n\r\nb\ro\rdy\r\r\n", vec![BareCr(3)]),
            (b"From a@b Mon Nov 23 04:00:00 2026\r\nA: 1\r\n\r\nFrom here\r\n", vec![Mbox(2)]),
            (b"From a@b Mon Nov 23 04:00:00 2026\r\nA: 1\r\n\r\nbody\r\nFrom here\r\n", vec![Mbox(1)]),
            (b"A: 1\r\n\r\n..a\r\n...\r\n", vec![DotStuffed(2)]),
            (b"A: 1\r\n\r\n..a\r\n.b\r\n", vec![]),
            (b"A: 1\r\n\r\n..a\r\n.\r\n", vec![DotStuffed(1), FinalDot]),
            (b"..A: 1\r\n", vec![]),
            (b"\xef\xbb\xbfA: 1\r\n", vec![ByteOrderMark]),
            (b"\r\nA: 1\r\n", vec![NoHeader]),
        ] {
            assert_eq!(notes(bytes), want, "{}", bytes.escape_ascii());
        }
    }
}
