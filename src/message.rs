//! A message as bytes: header fields exactly as received, and where the body starts.
//!
//! Nothing is decoded and nothing is repaired; reading never fails.
//! Folds are CRLF; whoever reads from a source with other line ends converts at the rim and says so.

/// The header of a message: every field as raw bytes, in one buffer, top first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    bytes: Vec<u8>,
    fields: Vec<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: usize,
    colon: usize,
    end: usize,
}

/// One header field, borrowed from its [`Header`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    raw: &'a [u8],
    colon: usize,
}

impl Header {
    /// A header without fields.
    pub fn new() -> Header {
        Header::default()
    }

    /// Appends a field by name and by the value after the colon, leading blank included, folds as CRLF.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        let colon = self.bytes.len();
        self.bytes.push(b':');
        self.bytes.extend_from_slice(value);
        self.fields.push(Span { start, colon, end: self.bytes.len() });
    }

    /// As [`Header::push`], for a value whose folds are bare LF, as Postfix hands them over: each becomes CRLF.
    pub fn push_lf(&mut self, name: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        let colon = self.bytes.len();
        self.bytes.push(b':');
        let mut last = b':';
        for &byte in value {
            if byte == b'\n' && last != b'\r' {
                self.bytes.push(b'\r');
            }
            self.bytes.push(byte);
            last = byte;
        }
        self.fields.push(Span { start, colon, end: self.bytes.len() });
    }

    /// The fields, top first.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = Field<'_>> + ExactSizeIterator {
        self.fields.iter().map(|span| Field { raw: &self.bytes[span.start..span.end], colon: span.colon - span.start })
    }

    /// The fields of this name (any case), top first.
    pub fn named<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = Field<'a>> {
        self.fields().filter(move |field| field.is(name))
    }

    /// How many fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Are there no fields?
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// How many octets the fields have, without their ends.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

impl<'a> Field<'a> {
    /// The whole field, folds included, without the final CRLF.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The name as received, without blanks before the colon (RFC 5322 §4.5). A line end is no blank there.
    pub fn name(&self) -> &'a [u8] {
        let name = &self.raw[..self.colon];
        let end = name.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |last| last + 1);
        &name[..end]
    }

    /// What follows the colon, leading blank included.
    pub fn value(&self) -> &'a [u8] {
        self.raw.get(self.colon + 1..).unwrap_or_default()
    }

    /// Has the field this name, in any case?
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }
}

/// A whole message in memory: for the commands that read files; the milter never needs one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The header.
    pub header: Header,
    /// The body, empty if there is none.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Splits a message with CRLF line ends at its first empty line.
    ///
    /// A line without a colon that is no continuation becomes a field with an empty value, so that no octet is lost.
    pub fn new(bytes: &'a [u8]) -> Message<'a> {
        let mut header = Header::new();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at..].starts_with(b"\r\n") {
                return Message { header, body: &bytes[at + 2..] };
            }
            let end = field_end(bytes, at);
            let field = bytes[at..end].strip_suffix(b"\r\n").unwrap_or(&bytes[at..end]);
            match field.iter().position(|&b| b == b':') {
                Some(colon) => header.push(&field[..colon], &field[colon + 1..]),
                None => {
                    let start = header.bytes.len();
                    header.bytes.extend_from_slice(field);
                    let end = header.bytes.len();
                    header.fields.push(Span { start, colon: end, end });
                }
            }
            at = end;
        }
        Message { header, body: &[] }
    }
}

/// Where the field that starts at `at` ends: after the first CRLF that no blank follows.
fn field_end(bytes: &[u8], at: usize) -> usize {
    let mut from = at;
    loop {
        match bytes[from..].windows(2).position(|pair| pair == b"\r\n") {
            None => return bytes.len(),
            Some(found) => {
                from += found + 2;
                if !matches!(bytes.get(from), Some(b' ' | b'\t')) {
                    return from;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_split_at_the_first_empty_line() {
        let message = Message::new(b"A: 1\r\nB:2\r\n\tmore\r\nSubject :x\r\n\r\nbody\r\n\r\nend");
        let fields: Vec<(&[u8], &[u8])> = message.header.fields().map(|f| (f.name(), f.value())).collect();
        assert_eq!(fields, [(&b"A"[..], &b" 1"[..]), (b"B", b"2\r\n\tmore"), (b"Subject", b"x")]);
        assert_eq!(message.body, b"body\r\n\r\nend");
        assert_eq!(message.header.fields().next_back().map(|f| f.raw()), Some(&b"Subject :x"[..]));
    }

    #[test]
    fn odd_messages_lose_nothing() {
        assert_eq!(Message::new(b"").header.len(), 0);
        assert_eq!(Message::new(b"\r\nbody").body, b"body");
        let message = Message::new(b"no colon here\r\nA: 1");
        assert_eq!(message.header.fields().map(|f| f.raw()).collect::<Vec<_>>(), [&b"no colon here"[..], b"A: 1"]);
        assert_eq!(message.header.fields().next().map(|f| f.value()), Some(&b""[..]));
    }

    #[test]
    fn a_name_ends_before_blanks_and_nothing_else() {
        let message = Message::new(b"A \t: 1\r\nB\r\n : 2\r\nC\x0c: 3\r\n:4\r\n\r\n");
        let names: Vec<_> = message.header.fields().map(|field| field.name()).collect();
        assert_eq!(names, [&b"A"[..], b"B\r\n", b"C\x0c", b""]);
    }

    #[test]
    fn folds_from_postfix_become_crlf() {
        let mut header = Header::new();
        header.push_lf(b"Subject", b" a\n\tb\r\n c");
        assert_eq!(header.fields().next().map(|f| f.raw()), Some(&b"Subject: a\r\n\tb\r\n c"[..]));
    }
}
