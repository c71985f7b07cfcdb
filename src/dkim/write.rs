//! Writing a DKIM-Signature field (§3.5): folded at 78 characters, with b= last and empty until the hash is signed.

use super::{Canon, KeyType};
use crate::message::Field;
use base64::{Engine, engine::general_purpose::STANDARD};

/// The name of the field.
pub const FIELD_NAME: &str = "DKIM-Signature";

/// Lines of a header field should not be longer (RFC 5322 §2.1.1).
const LINE: usize = 78;

/// The most that z= may take, in octets: with it the field stays far below what MTAs take for a header line too many
/// (Postfix keeps 100 kB).
const COPIES: usize = 16 * 1024;

/// What a signature says, before it is signed.
#[derive(Clone, Debug)]
pub struct Unsigned<'a> {
    /// a=, by the type of the key.
    pub key_type: KeyType,
    /// c=, header and body.
    pub canonicalization: (Canon, Canon),
    /// d=, an A-label name.
    pub domain: &'a str,
    /// s=.
    pub selector: &'a str,
    /// i=, if any; encoded here where it must be (§2.11).
    pub identity: Option<&'a str>,
    /// t=, seconds since 1970.
    pub timestamp: u64,
    /// x=, seconds since 1970.
    pub expiration: Option<u64>,
    /// h=, in the order in which the fields are hashed.
    pub fields: &'a [&'a str],
    /// bh=.
    pub body_hash: &'a [u8],
    /// Fields that are copied into z=, as far as they fit; none for no z=.
    pub copies: &'a [Field<'a>],
}

impl Unsigned<'_> {
    /// The value of the field, from the blank after the colon to an empty b=, folds as CR LF TAB.
    pub fn value(&self) -> String {
        let mut text = Folded::after(FIELD_NAME);
        text.tag("v=1;");
        text.tag(&format!("a={};", self.key_type.algorithm()));
        text.tag(&format!("c={}/{};", self.canonicalization.0, self.canonicalization.1));
        text.tag(&format!("d={};", self.domain));
        text.tag(&format!("s={};", self.selector));
        if let Some(identity) = self.identity {
            text.tag(&format!("i={};", quoted_printable(identity)));
        }
        text.tag(&format!("t={};", self.timestamp));
        if let Some(expiration) = self.expiration {
            text.tag(&format!("x={expiration};"));
        }
        self.write_fields(&mut text);
        text.tag(&format!("bh={};", STANDARD.encode(self.body_hash)));
        self.write_copies(&mut text);
        text.tag("b=");
        text.out
    }

    fn write_fields(&self, text: &mut Folded) {
        let last = self.fields.len().saturating_sub(1);
        for (at, name) in self.fields.iter().enumerate() {
            let end = if at == last { ";" } else { ":" };
            match at {
                0 => text.tag(&format!("h={name}{end}")),
                _ => text.piece(&format!("{name}{end}")),
            }
        }
    }
}

impl Unsigned<'_> {
    /// z= (§3.5): whole fields, the first ones that fit into [`COPIES`]; one that does not is left out, and the others
    /// still tell.
    fn write_copies(&self, text: &mut Folded) {
        let mut room = COPIES;
        let mut first = true;
        for field in self.copies {
            let copy = copied(field);
            let length: usize = copy.iter().map(String::len).sum::<usize>() + 1;
            if length > room {
                continue;
            }
            room -= length;
            if first {
                text.tag("z=");
            } else {
                text.piece("|");
            }
            first = false;
            copy.iter().for_each(|piece| text.piece(piece));
        }
        if !first {
            text.push(";");
        }
    }
}

/// A field as z= has it, in pieces between which it may be folded: the name, and its value in DKIM-Quoted-Printable with
/// `|` encoded too. Canonical blanks or not, the value is copied as it stands.
fn copied(field: &Field<'_>) -> Vec<String> {
    let name = String::from_utf8_lossy(field.name()).into_owned();
    let mut pieces = vec![format!("{name}:")];
    for octet in field.value() {
        let coded = match octet {
            b'=' | b';' | b'|' => format!("={octet:02X}"),
            0x21..=0x7e => char::from(*octet).to_string(),
            _ => format!("={octet:02X}"),
        };
        match pieces.last_mut() {
            // A fold may stand between any two characters, but never within an escape.
            Some(piece) if piece.len() < 24 && !piece.ends_with(':') => piece.push_str(&coded),
            _ => pieces.push(coded),
        }
    }
    pieces
}

/// The value with its signature: `value` is what [`Unsigned::value`] gave.
pub fn signed(value: String, signature: &[u8]) -> String {
    let column = LINE.min(value.len() - value.rfind('\n').map_or(0, |at| at + 1));
    let mut text = Folded { out: value, column };
    let encoded = STANDARD.encode(signature);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        if text.column >= LINE {
            text.fold();
        }
        let (now, later) = rest.split_at(rest.len().min(LINE - text.column));
        text.push(now);
        rest = later;
    }
    text.out
}

/// A value that folds itself before it grows past the line.
struct Folded {
    out: String,
    column: usize,
}

impl Folded {
    fn after(name: &str) -> Folded {
        Folded { out: String::with_capacity(512), column: name.len() + 1 }
    }

    /// A tag, set off by a blank or a fold.
    fn tag(&mut self, text: &str) {
        if self.column + 1 + text.len() > LINE && self.column > 1 {
            self.fold();
        } else {
            self.push(" ");
        }
        self.push(text);
    }

    /// A piece that needs nothing before it, but may be folded there.
    fn piece(&mut self, text: &str) {
        if self.column + text.len() > LINE {
            self.fold();
        }
        self.push(text);
    }

    fn fold(&mut self) {
        self.out.push_str("\r\n\t");
        self.column = 1;
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.len();
    }
}

/// DKIM-Quoted-Printable (§2.11): what a tag value cannot hold becomes `=XX`.
fn quoted_printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'=' | b';' => out.push_str(&format!("={byte:02X}")),
            0x21..=0x7e => out.push(byte as char),
            _ => out.push_str(&format!("={byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [&str; 12] = [
        "from",
        "from",
        "to",
        "to",
        "subject",
        "subject",
        "date",
        "date",
        "message-id",
        "mime-version",
        "content-type",
        "list-unsubscribe-post",
    ];

    fn unsigned<'a>() -> Unsigned<'a> {
        Unsigned {
            key_type: KeyType::Rsa,
            canonicalization: (Canon::Relaxed, Canon::Simple),
            domain: "example.com",
            selector: "ncpcompubkr",
            identity: Some("user;=x@example.com"),
            timestamp: 1_795_000_000,
            expiration: Some(1_795_604_800),
            fields: &FIELDS,
            body_hash: &[7; 32],
            copies: &[],
        }
    }

    #[test]
    fn every_line_fits_and_nothing_is_lost() {
        let value = signed(unsigned().value(), &[0xab; 256]);
        let field = format!("{FIELD_NAME}:{value}");
        for line in field.split("\r\n\t") {
            assert!(line.len() < LINE, "{} octets: {line}", line.len());
        }
        assert!(!field.replace("\r\n\t", "").contains(['\r', '\n', '\t']));
        let flat = value.replace("\r\n\t", "").replace(' ', "");
        let want = format!(
            "v=1;a=rsa-sha256;c=relaxed/simple;d=example.com;s=ncpcompubkr;i=user=3B=3Dx@example.com;t=1795000000;x=1795604800;h={};bh={};b={}",
            FIELDS.join(":"),
            STANDARD.encode([7; 32]),
            STANDARD.encode([0xab; 256])
        );
        assert_eq!(flat, want);
    }

    #[test]
    fn long_names_stand_on_lines_of_their_own() {
        let domain = format!("{}.example", "a".repeat(60));
        let selector = "s".repeat(63);
        let value = Unsigned { domain: &domain, selector: &selector, ..unsigned() }.value();
        assert!(value.contains(&format!("\r\n\td={domain};\r\n\ts={selector};")), "{value}");
        assert!(value.ends_with("b="));
    }
}
