//! The parts of a MIME body, with the exact octets where each stands.
//!
//! A library gives parts decoded; a search that must rebuild the body to the octet needs to know where they lie. One pass,
//! whatever the nesting; beyond the caps parts are simply text of the part around them.

use super::search::line_end;
use crate::message::Header;
use std::ops::Range;

/// Parts that are looked at.
const MAX_PARTS: usize = 64;
/// Multiparts within multiparts that are looked into.
const MAX_DEPTH: usize = 8;

/// A part; the first one is the body as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Where its header stands in the body; empty for the body as a whole.
    pub header: Range<usize>,
    /// Where its content stands, without the line end that belongs to the delimiter behind it.
    pub content: Range<usize>,
    /// Its delimiter line before it.
    pub delimiter: usize,
    /// `text/plain` and so on, in lower case.
    pub kind: String,
    /// charset=, in lower case.
    pub charset: Option<String>,
    /// Content-Transfer-Encoding, in lower case.
    pub encoding: String,
    /// The part that it stands in.
    pub parent: Option<usize>,
    /// Its own parts.
    pub children: Vec<usize>,
    /// The delimiter line that closes it, of a multipart.
    pub closing: Option<usize>,
    boundary: Option<Vec<u8>>,
}

impl Part {
    /// A text that stands for itself, of this type and so many octets.
    pub fn alone(kind: &str, length: usize) -> Part {
        Part { content: 0..length, kind: kind.into(), ..Part::default() }
    }

    /// Is it text, and no multipart?
    pub fn is_text(&self) -> bool {
        self.kind.starts_with("text/") && self.children.is_empty()
    }

    /// Is it HTML?
    pub fn is_html(&self) -> bool {
        self.kind == "text/html"
    }

    /// Is it a multipart that names its boundary?
    pub fn is_multipart(&self) -> bool {
        self.boundary.is_some()
    }

    /// Its boundary, of a multipart.
    pub fn boundary(&self) -> Option<&[u8]> {
        self.boundary.as_deref()
    }

    fn describe(&mut self, header: &Header, default: &str) {
        let value = |name: &'static str| {
            header.named(name).next().map(|field| String::from_utf8_lossy(field.value()).into_owned())
        };
        let content_type = value("Content-Type").unwrap_or_default();
        let (kind, parameters) = parameters(&content_type);
        self.kind = if kind.is_empty() { default.into() } else { kind };
        let of = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        self.charset = of("charset").map(|charset| charset.to_ascii_lowercase());
        if self.kind.starts_with("multipart/") {
            self.boundary = of("boundary").filter(|boundary| !boundary.is_empty()).map(String::into_bytes);
        }
        let encoding = value("Content-Transfer-Encoding").unwrap_or_default();
        self.encoding = encoding.split([';', '(']).next().unwrap_or_default().trim().to_ascii_lowercase();
    }
}

/// The value of a Content-Type and its parameters, names in lower case.
pub fn parameters(value: &str) -> (String, Vec<(String, String)>) {
    let mut pieces = Vec::new();
    let (mut piece, mut quoted, mut escaped) = (String::new(), false, false);
    for c in value.chars().filter(|c| !matches!(c, '\r' | '\n')) {
        match c {
            _ if escaped => {
                piece.push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => pieces.push(std::mem::take(&mut piece)),
            _ => piece.push(c),
        }
    }
    pieces.push(piece);
    let mut pieces = pieces.into_iter();
    let kind = pieces.next().unwrap_or_default().trim().to_ascii_lowercase();
    let parameters = pieces
        .filter_map(|piece| {
            let (name, value) = piece.split_once('=')?;
            Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect();
    (kind, parameters)
}

/// Reads the parts of a body.
pub fn read(header: &Header, body: &[u8]) -> Vec<Part> {
    let mut reader = Reader {
        body,
        parts: vec![Part { content: 0..body.len(), ..Part::default() }],
        open: Vec::new(),
        current: 0,
        in_header: None,
    };
    reader.parts[0].describe(header, "text/plain");
    reader.opened(0);
    // Without a boundary there is nothing to look for.
    if reader.open.is_empty() {
        return reader.parts;
    }
    let mut at = 0;
    while at < body.len() {
        let end = line_end(body, at);
        reader.line(at, end);
        at = end;
    }
    reader.end(body.len(), 0);
    reader.parts
}

struct Reader<'a> {
    body: &'a [u8],
    parts: Vec<Part>,
    /// The multiparts that a delimiter line may belong to, outermost first.
    open: Vec<usize>,
    current: usize,
    /// The header being read started here.
    in_header: Option<usize>,
}

impl Reader<'_> {
    fn opened(&mut self, part: usize) {
        if self.parts[part].boundary.is_some() && self.open.len() < MAX_DEPTH {
            self.open.push(part);
        } else {
            self.parts[part].boundary = None;
        }
    }

    fn line(&mut self, at: usize, end: usize) {
        let line = &self.body[at..end];
        if line.starts_with(b"--")
            && let Some((level, closes)) = self.delimiter(line)
        {
            self.end(at, level + 1);
            let parent = self.open[level];
            self.open.truncate(level + 1);
            if closes {
                self.parts[parent].closing = Some(at);
                self.open.truncate(level);
                self.current = parent;
            } else if self.parts.len() < MAX_PARTS {
                self.start(parent, at, end);
            }
            return;
        }
        if self.in_header.is_some() && line == b"\r\n" {
            self.header_ends(at, end);
        }
    }

    /// Whose delimiter line this is, and whether it closes.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        self.open.iter().enumerate().rev().find_map(|(level, &part)| {
            let rest = line[2..].strip_prefix(self.parts[part].boundary.as_deref()?)?;
            match rest.trim_ascii_end() {
                b"" => Some((level, false)),
                b"--" => Some((level, true)),
                _ => None,
            }
        })
    }

    fn start(&mut self, parent: usize, at: usize, end: usize) {
        let number = self.parts.len();
        self.parts.push(Part {
            header: end..end,
            content: end..end,
            delimiter: at,
            parent: Some(parent),
            ..Part::default()
        });
        self.parts[parent].children.push(number);
        self.current = number;
        self.in_header = Some(end);
    }

    fn header_ends(&mut self, at: usize, end: usize) {
        let Some(start) = self.in_header.take() else { return };
        let current = self.current;
        let text = [&self.body[start..at], b"\r\n"].concat();
        let header = crate::message::Message::new(&text).header;
        let default = match self.parts[current].parent.map(|parent| self.parts[parent].kind.as_str()) {
            Some("multipart/digest") => "message/rfc822",
            _ => "text/plain",
        };
        self.parts[current].header = start..at;
        self.parts[current].content = end..end;
        self.parts[current].describe(&header, default);
        self.opened(current);
        if self.parts[current].kind == "message/rfc822" && self.parts.len() < MAX_PARTS {
            self.start(current, end, end);
        }
    }

    /// Ends the current part and all multiparts from this level on, before the delimiter line at `at`.
    fn end(&mut self, at: usize, level: usize) {
        if let Some(start) = self.in_header.take() {
            // A header without an empty line: no content.
            self.parts[self.current].header = start..at;
            self.parts[self.current].content = at..at;
        }
        let stop = if self.body[..at].ends_with(b"\r\n") && at < self.body.len() { at - 2 } else { at };
        let keep = level.checked_sub(1).and_then(|level| self.open.get(level)).copied();
        let mut part = Some(self.current);
        while let Some(number) = part
            && Some(number) != keep
        {
            let content = &mut self.parts[number].content;
            content.end = stop.max(content.start);
            part = self.parts[number].parent;
        }
        self.parts[0].content.end = self.body.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn shown(mail: &[u8]) -> Vec<(String, String)> {
        let message = Message::new(mail);
        let parts = read(&message.header, message.body);
        parts
            .iter()
            .map(|part| (part.kind.clone(), message.body[part.content.clone()].escape_ascii().to_string()))
            .collect()
    }

    #[test]
    fn parts_lie_where_they_are_said_to() {
        let mail = b"Content-Type: multipart/mixed;\r\n boundary=\"a b\"\r\n\r\npre\r\n--a b\r\n\r\none\r\n--a b\r\n\
                     Content-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\nContent-Type: text/html\r\n\r\n<p>\r\n\
                     --in--\r\n\r\n--a b--\r\npost\r\n";
        let parts = shown(mail);
        assert_eq!(parts[1], ("text/plain".into(), "one".into()));
        assert_eq!(parts[2].0, "multipart/alternative");
        assert!(parts[2].1.starts_with("--in") && parts[2].1.ends_with("--in--\\r\\n"), "{parts:?}");
        assert_eq!(parts[3], ("text/html".into(), "<p>".into()));
    }

    #[test]
    fn broken_structure_is_read_as_far_as_it_goes() {
        assert_eq!(shown(b"\r\nplain\r\n")[0], ("text/plain".into(), "plain\\r\\n".into()));
        let open =
            shown(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\nno end");
        assert_eq!(open[1], ("text/html".into(), "no end".into()));
        let headless = shown(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nA: b\r\n--x--\r\n");
        assert_eq!(headless[1].1, "");
        let rfc822 = shown(b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ninner");
        assert_eq!(rfc822.len(), 1);
    }

    #[test]
    fn hostile_nesting_is_capped() {
        let mut mail = b"Content-Type: multipart/mixed; boundary=b0\r\n\r\n".to_vec();
        for level in 0..2000 {
            mail.extend(
                format!("--b{level}\r\nContent-Type: multipart/mixed; boundary=b{}\r\n\r\n", level + 1).bytes(),
            );
        }
        let message = Message::new(&mail);
        let parts = read(&message.header, message.body);
        assert!(parts.len() <= MAX_PARTS);
        assert!(
            parts.iter().all(|part| part.content.start <= part.content.end && part.content.end <= message.body.len())
        );
    }
}
