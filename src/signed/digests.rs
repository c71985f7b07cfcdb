//! Keyed digests (HMAC-SHA-256) of fields, words and lines; bodies while they stream.

use super::{Digest, Id, SignedField, WordDigest};
use crate::{
    dkim::{
        Canon,
        canon::{self, BodyCanon},
    },
    message::Field,
};
use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key, sign};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Words of one field that are kept; a field of more is known as a whole only.
const MAX_WORDS: usize = 200;

/// Lines of one body that are kept, 128 KiB of digests; of a longer one the beginning is known.
const MAX_LINES: usize = 16 * 1024;

/// Lines of all bodies under way together, 8 MiB of digests.
const ALL_LINES: usize = 1024 * 1024;

/// Lines for which room is taken at once.
const STEP: usize = 256;

/// The key of this host.
#[derive(Clone, Debug)]
pub struct LocalKey(Key);

/// The key of one message: what two messages have in common cannot be seen in their digests.
#[derive(Clone, Debug)]
pub struct MessageKey(Key);

impl LocalKey {
    /// A key of 32 random octets.
    pub fn new(octets: &[u8; 32]) -> LocalKey {
        LocalKey(Key::new(HMAC_SHA256, octets))
    }

    /// By which a message with this b= (decoded) is found.
    pub fn of_signature(&self, signature: &[u8]) -> Id {
        first(&tagged(&self.0, b"signature", signature))
    }

    /// By which a message with this Message-ID is found.
    pub fn of_message_id(&self, value: &[u8]) -> Id {
        first(&tagged(&self.0, b"message-id", value.trim_ascii()))
    }

    /// The key for the message of this salt.
    pub fn of_message(&self, salt: &[u8; 16]) -> MessageKey {
        MessageKey(Key::new(HMAC_SHA256, &tagged(&self.0, b"message", salt)))
    }
}

impl MessageKey {
    /// A line of a canonical body, without its line end.
    pub fn line(&self, line: &[u8]) -> Digest {
        first(sign(&self.0, line).as_ref())
    }

    /// A signed field in its canonical form.
    pub fn field(&self, canon: Canon, field: Field<'_>) -> SignedField {
        let name = String::from_utf8_lossy(field.name()).to_ascii_lowercase();
        let value = canonical_value(canon, field);
        let words = words(&value);
        let kept = if words.len() > MAX_WORDS { Vec::new() } else { words };
        SignedField {
            whole: first(&tagged(&self.0, name.as_bytes(), &value)),
            words: kept.into_iter().map(|word| self.word(word)).collect(),
            name,
        }
    }

    /// A word of a field.
    pub fn word(&self, word: &[u8]) -> WordDigest {
        first(&tagged(&self.0, b"", word))
    }
}

/// The HMAC of octets, apart from that of the same octets as another thing.
fn tagged(key: &Key, what: &[u8], octets: &[u8]) -> [u8; 32] {
    let mut context = Context::with_key(key);
    context.update(what);
    context.update(b"\0");
    context.update(octets);
    first(context.sign().as_ref())
}

/// What follows the colon in the canonical form of a field.
pub fn canonical_value(canon: Canon, field: Field<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.raw().len());
    canon::header_field_open(canon, field.raw(), &mut out);
    let colon = out.iter().position(|&b| b == b':').map_or(out.len(), |at| at + 1);
    out.split_off(colon)
}

/// What stands between blanks.
pub fn words(value: &[u8]) -> Vec<&[u8]> {
    value.split(|octet| octet.is_ascii_whitespace()).filter(|word| !word.is_empty()).collect()
}

fn first<const N: usize>(digest: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(digest) {
        *to = *from;
    }
    out
}

/// What is left for the lines of all bodies together.
#[derive(Clone, Debug)]
pub struct Room(Arc<AtomicUsize>);

impl Default for Room {
    fn default() -> Room {
        Room(Arc::new(AtomicUsize::new(ALL_LINES)))
    }
}

impl Room {
    fn take(&self) -> bool {
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(STEP)).is_ok()
    }
}

/// The digests of the lines of a body, made while it streams.
pub struct Lines {
    canon: BodyCanon,
    open: Open,
}

/// The line that is being read, and those before it.
struct Open {
    key: MessageKey,
    line: Option<Context>,
    /// A CR was the last octet; whether it ends the line depends on the next.
    cr: bool,
    lines: Vec<Digest>,
    room: Room,
    taken: usize,
    complete: bool,
}

impl Lines {
    /// At the start of a body.
    pub fn new(key: MessageKey, canon: Canon, room: Room) -> Lines {
        let open = Open { key, line: None, cr: false, lines: Vec::new(), room, taken: 0, complete: true };
        Lines { canon: BodyCanon::new(canon), open }
    }

    /// Takes the next piece, cut anywhere.
    pub fn write(&mut self, piece: &[u8]) {
        let open = &mut self.open;
        if open.complete {
            self.canon.write(piece, &mut |octets| open.take(octets));
        }
    }

    /// The body has ended: its lines, and whether they are all.
    pub fn finish(mut self) -> (Vec<Digest>, bool) {
        let open = &mut self.open;
        if open.complete {
            self.canon.finish(&mut |octets| open.take(octets));
        }
        (std::mem::take(&mut self.open.lines), self.open.complete)
    }
}

impl Open {
    /// Canonical octets, cut anywhere; they end in a line end at last.
    fn take(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let Some(&next) = rest.first() {
            if std::mem::take(&mut self.cr) {
                if next == b'\n' {
                    self.end_line();
                    rest = &rest[1..];
                    continue;
                }
                self.content(b"\r");
            }
            match rest.iter().position(|&octet| octet == b'\r') {
                Some(at) => {
                    self.content(&rest[..at]);
                    self.cr = true;
                    rest = &rest[at + 1..];
                }
                None => {
                    self.content(rest);
                    rest = &[];
                }
            }
        }
    }

    fn content(&mut self, octets: &[u8]) {
        if !octets.is_empty() {
            let key = &self.key.0;
            self.line.get_or_insert_with(|| Context::with_key(key)).update(octets);
        }
    }

    fn end_line(&mut self) {
        if self.lines.len() == self.taken {
            if self.taken >= MAX_LINES || !self.room.take() {
                self.complete = false;
                return;
            }
            self.taken += STEP;
        }
        let line = self.line.take().unwrap_or_else(|| Context::with_key(&self.key.0));
        self.lines.push(first(line.sign().as_ref()));
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.room.0.fetch_add(self.taken, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> MessageKey {
        LocalKey::new(&[7; 32]).of_message(&[1; 16])
    }

    fn lines(canon: Canon, body: &[u8], size: usize) -> (Vec<Digest>, bool) {
        let mut lines = Lines::new(key(), canon, Room::default());
        body.chunks(size).for_each(|piece| lines.write(piece));
        lines.finish()
    }

    #[test]
    fn lines_are_those_of_the_canonical_body_however_it_is_cut() {
        let body = b"a  b \r\n\r\nbare \r cr\r\n. \r\n\r\n\r\n";
        for (canon, want) in [
            (Canon::Relaxed, [&b"a b"[..], b"", b"bare \r cr", b"."]),
            (Canon::Simple, [b"a  b ", b"", b"bare \r cr", b". "]),
        ] {
            let want = want.map(|line| key().line(line)).to_vec();
            for size in [1, 2, 3, 7, 100] {
                assert_eq!(lines(canon, body, size), (want.clone(), true), "{canon} {size}");
            }
        }
    }

    #[test]
    fn memory_is_bounded_for_one_body_and_for_all() {
        let (kept, complete) = lines(Canon::Simple, &b"x\r\n".repeat(MAX_LINES + 10), 4096);
        assert_eq!((kept.len(), complete), (MAX_LINES, false));
        let room = Room(Arc::new(AtomicUsize::new(STEP)));
        let mut one = Lines::new(key(), Canon::Simple, room.clone());
        one.write(b"a\r\nb\r\n");
        let mut two = Lines::new(key(), Canon::Simple, room.clone());
        two.write(b"a\r\nb\r\n");
        assert_eq!(two.finish(), (Vec::new(), false), "no room beside the first");
        assert_eq!(one.finish().0.len(), 2);
        assert_eq!(room.0.load(Ordering::Acquire), STEP, "everything is given back");
    }

    #[test]
    fn two_messages_have_nothing_in_common() {
        let local = LocalKey::new(&[7; 32]);
        assert_ne!(local.of_message(&[1; 16]).line(b"x"), local.of_message(&[2; 16]).line(b"x"));
        assert_ne!(local.of_message(&[1; 16]).line(b"x"), LocalKey::new(&[8; 32]).of_message(&[1; 16]).line(b"x"));
    }
}
