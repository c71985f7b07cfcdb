//! The encodings that gateways swap: quoted-printable, base64, encoded-words, charsets.
//!
//! Decoding is exact; encoding imitates the signers seen most, because the octets of the original are wanted and an
//! encoder has many ways.

use crate::dkim::signature::BASE64;
use base64::{Engine, engine::general_purpose::STANDARD};
use encoding_rs::Encoding;

/// How a quoted-printable encoder breaks lines and what it encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// Lines of at most 76 characters, the soft break among them: libraries in C, PHP, Java and Go.
    Full,
    /// As [`Quoting::Full`], but a line is broken at 76 characters without its soft break.
    Wide,
    /// Lines broken behind a blank where there is one, as Apple's mail programs do.
    Words,
    /// As [`Quoting::Full`], with what EBCDIC lacks encoded too.
    Careful,
}

/// The ways that are tried.
pub const QUOTINGS: [Quoting; 4] = [Quoting::Full, Quoting::Wide, Quoting::Words, Quoting::Careful];

/// Widths of base64 lines: MIME's, PEM's, and those of some old encoders.
pub const WIDTHS: [usize; 4] = [76, 72, 64, 60];

/// Quoted-printable decoded (RFC 2045 §6.7); what is no escape stands for itself.
pub fn unquoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'=' => match after {
                [b'\r', b'\n', ..] => rest = &after[2..],
                [high, low, ..] => match (digit(*high), digit(*low)) {
                    (Some(high), Some(low)) => {
                        out.push(high << 4 | low);
                        rest = &after[2..];
                    }
                    _ => out.push(byte),
                },
                [] => {}
                _ => out.push(byte),
            },
            // Blanks at the end of a line were added on the way.
            b' ' | b'\t' => {
                let blanks = after.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
                let behind = &after[blanks..];
                if !(behind.is_empty() || behind.starts_with(b"\r\n")) {
                    out.push(byte);
                    out.extend_from_slice(&after[..blanks]);
                }
                rest = behind;
            }
            _ => out.push(byte),
        }
    }
    out
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// A text with CRLF line ends in quoted-printable.
pub fn quoted(text: &[u8], quoting: Quoting) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 2);
    for line in super::search::lines(text) {
        let (content, end) = match line.strip_suffix(b"\r\n") {
            Some(content) => (content, &b"\r\n"[..]),
            None => (line, &b""[..]),
        };
        quoted_line(content, quoting, &mut out);
        out.extend_from_slice(end);
    }
    out
}

/// One line. Each octet takes one place or three; a piece ends where the next one would not fit.
fn quoted_line(line: &[u8], quoting: Quoting, out: &mut Vec<u8>) {
    let width = |at: usize| if is_plain(line, at, quoting) { 1 } else { 3 };
    let room = if quoting == Quoting::Wide { 76 } else { 75 };
    let mut start = 0;
    while start < line.len() {
        let (mut taken, mut end) = (0, start);
        while end < line.len() && taken + width(end) <= room {
            taken += width(end);
            end += 1;
        }
        // The last octet may fill the place of the soft break.
        if end + 1 == line.len() && taken + width(end) <= 76 {
            end += 1;
        }
        if end < line.len()
            && quoting == Quoting::Words
            && let Some(blank) = line[start..end].iter().rposition(|octet| *octet == b' ')
        {
            end = start + blank + 1;
        }
        for (at, &octet) in line.iter().enumerate().take(end).skip(start) {
            match is_plain(line, at, quoting) {
                true => out.push(octet),
                false => out.extend_from_slice(&[b'=', HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]]),
            }
        }
        if end < line.len() {
            out.extend_from_slice(b"=\r\n");
        }
        start = end;
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Does this octet of a line stand for itself? A blank at the end of the line does not.
fn is_plain(line: &[u8], at: usize, quoting: Quoting) -> bool {
    match line[at] {
        b'=' => false,
        b' ' | b'\t' => at + 1 < line.len(),
        octet @ b'!'..=b'~' => !(quoting == Quoting::Careful && b"!\"#$@[\\]^`{|}~".contains(&octet)),
        _ => false,
    }
}

/// Base64 decoded, line ends and blanks ignored; `None` if anything else stands in it.
pub fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    BASE64.decode(digits).ok()
}

/// Octets in base64 lines of this width, the last one without its CRLF.
pub fn base64(octets: &[u8], width: usize) -> Vec<u8> {
    let text = STANDARD.encode(octets).into_bytes();
    text.chunks(width.max(4)).collect::<Vec<_>>().join(&b"\r\n"[..])
}

/// Each LF without CR before it becomes CRLF.
pub fn to_crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    let mut last = 0;
    for &byte in text {
        if byte == b'\n' && last != b'\r' {
            out.push(b'\r');
        }
        out.push(byte);
        last = byte;
    }
    out
}

/// Each CRLF becomes LF.
pub fn to_lf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        if byte != b'\r' || text.get(at + 1) != Some(&b'\n') {
            out.push(byte);
        }
    }
    out
}

/// Charsets that gateways convert from and to; `iso-2022-kr` is read and written here, the others by the library.
pub const CHARSETS: [&str; 17] = [
    "utf-8",
    "iso-8859-1",
    "windows-1252",
    "euc-kr",
    "iso-2022-kr",
    "iso-2022-jp",
    "shift_jis",
    "euc-jp",
    "iso-8859-15",
    "iso-8859-2",
    "windows-1250",
    "windows-1251",
    "koi8-r",
    "gb2312",
    "gb18030",
    "big5",
    "windows-1254",
];

/// A text in this charset as Unicode; `None` if it is not a text in it.
pub fn decoded(text: &[u8], charset: &str) -> Option<String> {
    if charset.eq_ignore_ascii_case("iso-2022-kr") {
        return decoded(&from_iso_2022_kr(text)?, "euc-kr");
    }
    let encoding = Encoding::for_label(label(charset))?;
    encoding.decode_without_bom_handling_and_without_replacement(text).map(|text| text.into_owned())
}

/// A text in this charset; `None` if it cannot say it.
pub fn encoded(text: &str, charset: &str) -> Option<Vec<u8>> {
    if charset.eq_ignore_ascii_case("iso-2022-kr") {
        return to_iso_2022_kr(&encoded(text, "euc-kr")?);
    }
    let encoding = Encoding::for_label(label(charset))?;
    let (octets, used, lossy) = encoding.encode(text);
    (used == encoding && !lossy).then(|| octets.into_owned())
}

/// The name by which the library knows a charset.
fn label(charset: &str) -> &[u8] {
    match charset.to_ascii_lowercase().as_str() {
        "cp949" | "uhc" | "ms949" => b"euc-kr",
        "cp936" => b"gbk",
        "cp932" => b"shift_jis",
        _ => charset.as_bytes(),
    }
}

const KR_HEAD: &[u8] = b"\x1b$)C";

/// ISO-2022-KR (RFC 1557): KS X 1001 in seven bits between SO and SI, announced once.
fn to_iso_2022_kr(euc: &[u8]) -> Option<Vec<u8>> {
    let mut out = KR_HEAD.to_vec();
    out.extend_from_slice(b"\r\n");
    let mut shifted = false;
    for &byte in euc {
        if (byte >= 0x80) != shifted {
            shifted = !shifted;
            out.push(if shifted { 0x0e } else { 0x0f });
        }
        out.push(byte & 0x7f);
    }
    if shifted {
        out.push(0x0f);
    }
    Some(out)
}

/// ISO-2022-KR as programs write it that do not give the announcement a line of its own; `None` for another charset.
pub fn announced_inline(octets: &[u8]) -> Option<Vec<u8>> {
    let text = octets.strip_prefix(KR_HEAD)?.strip_prefix(b"\r\n")?;
    Some([KR_HEAD, text].concat())
}

fn from_iso_2022_kr(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_prefix(KR_HEAD)?;
    let text = text.strip_prefix(b"\r\n").unwrap_or(text);
    let mut shifted = false;
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            0x0e => shifted = true,
            0x0f => shifted = false,
            b'\r' | b'\n' => {
                shifted = false;
                out.push(byte);
            }
            0x21..=0x7e if shifted => out.push(byte | 0x80),
            0x80.. => return None,
            _ => out.push(byte),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_printable_there_and_back() {
        let text = "Grüße = ein sehr langer Satz, der nicht in eine Zeile von sechsundsiebzig Zeichen passt, und endet \r\n안녕하세요\r\nend".as_bytes();
        for quoting in QUOTINGS {
            let quoted = quoted(text, quoting);
            assert!(super::super::search::lines(&quoted).all(|line| line.trim_ascii_end().len() <= 77), "{quoting:?}");
            assert_eq!(unquoted(&quoted), text, "{quoting:?}");
        }
        assert_eq!(unquoted(b"a=3D b  \r\nc=\r\nd=zz="), b"a= b\r\ncd=zz");
    }

    #[test]
    fn base64_there_and_back() {
        let octets: Vec<u8> = (0..200).collect();
        for width in WIDTHS {
            assert_eq!(unbase64(&base64(&octets, width)).as_deref(), Some(&octets[..]));
        }
        assert_eq!(unbase64(b"YWI=\r\n-- \r\nfooter"), None);
        assert_eq!(unbase64(b"not base64!"), None);
    }

    #[test]
    fn charsets_there_and_back() {
        for (text, charset) in [
            ("Grüße", "iso-8859-1"),
            ("안녕 hello 하세요\r\n둘\r\n", "iso-2022-kr"),
            ("안녕", "euc-kr"),
            ("こんにちは", "iso-2022-jp"),
            ("привет", "koi8-r"),
        ] {
            let octets = encoded(text, charset).expect(charset);
            assert_eq!(decoded(&octets, charset).as_deref(), Some(text), "{charset}");
        }
        assert_eq!(encoded("안", "iso-8859-1"), None);
    }
}
