//! Canonicalization against the plainest version of it that can be written from RFC 6376 §3.4, however the body is cut.
//!
//! The first octet seeds the cuts, the second is the limit of l=; the rest is a header field up to the first empty line,
//! and a body.

use waxseal::{
    dkim::{
        Canon,
        canon::{self, BodyCanon},
        digest::BodyHasher,
    },
    message::Message,
};

/// Canonicalizes the input both ways and compares.
pub fn run(data: &[u8]) {
    let [seed, limit, rest @ ..] = data else { return };
    for canon in [Canon::Simple, Canon::Relaxed] {
        for body in [rest, Message::new(rest).body] {
            let want = plain_body(canon, body);
            let (found, digest) = streamed(canon, body, *seed, u64::from(*limit));
            assert_eq!(found.escape_ascii().to_string(), want.escape_ascii().to_string(), "{canon} body");
            let hashed = &want[..want.len().min(usize::from(*limit))];
            let mut whole = BodyHasher::new(canon, None);
            whole.write(body);
            let whole = whole.finish();
            assert_eq!(whole.length, want.len() as u64);
            assert_eq!(digest.length, whole.length);
            assert!(hashed.len() < want.len() || digest.sha256 == whole.sha256, "a limit beyond the end is none");
        }
        for field in Message::new(rest).header.fields() {
            let mut found = Vec::new();
            canon::header_field(canon, field, &mut found);
            let want = plain_field(canon, field.value(), field.raw());
            assert_eq!(found.escape_ascii().to_string(), want.escape_ascii().to_string(), "{canon} header");
        }
    }
}

/// The body through the stream, in pieces of odd sizes, with the instructions of this processor and without; and its
/// digest, likewise.
fn streamed(canon: Canon, body: &[u8], seed: u8, limit: u64) -> (Vec<u8>, waxseal::dkim::digest::BodyHash) {
    let mut found = Vec::new();
    let (mut stream, mut hasher) = (BodyCanon::new(canon), BodyHasher::new(canon, Some(limit)));
    let (mut portable, mut without_vectors) = (Vec::new(), BodyCanon::portable(canon));
    let (mut rest, mut state) = (body, u32::from(seed) + 1);
    while !rest.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = match seed {
            0 => rest.len(),
            1 => 1,
            _ => (state >> 24) as usize % (usize::from(seed) + 1),
        };
        let (piece, next) = rest.split_at(size.min(rest.len()));
        stream.write(piece, &mut |octets| found.extend_from_slice(octets));
        without_vectors.write(piece, &mut |octets| portable.extend_from_slice(octets));
        hasher.write(piece);
        rest = next;
    }
    stream.finish(&mut |octets| found.extend_from_slice(octets));
    without_vectors.finish(&mut |octets| portable.extend_from_slice(octets));
    assert!(found == portable, "the instructions of this processor make a difference: {}", body.escape_ascii());
    (found, hasher.finish())
}

/// §3.4.3 and §3.4.4, word by word, on the whole body.
fn plain_body(canon: Canon, body: &[u8]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|pair| pair == b"\r\n");
        lines.push(rest[..end.unwrap_or(rest.len())].to_vec());
        rest = end.map_or(&[], |end| &rest[end + 2..]);
    }
    if canon == Canon::Relaxed {
        for line in &mut lines {
            *line = one_space(line);
            if line.last() == Some(&b' ') {
                line.pop();
            }
        }
    }
    while lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    let mut out: Vec<u8> = lines.iter().flat_map(|line| [&line[..], b"\r\n"].concat()).collect();
    if out.is_empty() && canon == Canon::Simple {
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// §3.4.1 and §3.4.2, word by word.
fn plain_field(canon: Canon, value: &[u8], raw: &[u8]) -> Vec<u8> {
    if canon == Canon::Simple {
        return raw.strip_suffix(b"\r\n").unwrap_or(raw).iter().chain(b"\r\n").copied().collect();
    }
    let value = value.strip_suffix(b"\r\n").unwrap_or(value);
    let mut unfolded = Vec::new();
    for (at, &byte) in value.iter().enumerate() {
        let fold = value[at..].starts_with(b"\r\n") || at > 0 && value[at - 1..].starts_with(b"\r\n");
        if !fold {
            unfolded.push(byte);
        }
    }
    let trimmed = one_space(&unfolded);
    let trimmed = trimmed.strip_prefix(b" ").unwrap_or(&trimmed);
    let trimmed = trimmed.strip_suffix(b" ").unwrap_or(trimmed);
    let name = raw.split(|&byte| byte == b':').next().unwrap_or_default().to_ascii_lowercase();
    let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let end = name.len() - name.iter().rev().take_while(is_blank).count();
    let start = name[..end].iter().take_while(is_blank).count();
    [&name[start..end], b":", trimmed, b"\r\n"].concat()
}

/// Each run of blanks as one space.
fn one_space(text: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut before = b'x';
    for &byte in text {
        let blank = matches!(byte, b' ' | b'\t');
        match blank {
            true if before == b' ' => {}
            true => out.push(b' '),
            false => out.push(byte),
        }
        before = if blank { b' ' } else { byte };
    }
    out
}
