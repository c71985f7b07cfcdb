//! Digests: bodies while they stream, headers once they are complete.

use super::{Canon, canon::BodyCanon};
use sha2::{Digest, Sha256};

/// Small pieces of canonical text are gathered on the stack up to this size before they are hashed: SHA-256 in updates of
/// eight octets runs at half the speed of updates of 256 (measured).
const GATHER: usize = 2048;

/// The SHA-256 of a canonical body, computed while the body streams; a few hundred octets, whatever the body's size.
#[derive(Clone, Debug)]
pub struct BodyHasher {
    canon: BodyCanon,
    counter: Counter,
}

/// The hash of a body, and how many canonical octets it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyHash {
    /// bh= (§3.7).
    pub sha256: [u8; 32],
    /// Canonical octets of the whole body, hashed or not.
    pub length: u64,
}

#[derive(Clone, Debug)]
struct Counter {
    sha: Sha256,
    seen: u64,
    limit: u64,
}

impl BodyHasher {
    /// At the start of a body; `limit` is l=, in canonical octets (§3.5).
    pub fn new(canon: Canon, limit: Option<u64>) -> BodyHasher {
        BodyHasher {
            canon: BodyCanon::new(canon),
            counter: Counter { sha: Sha256::new(), seen: 0, limit: limit.unwrap_or(u64::MAX) },
        }
    }

    /// Takes the next piece of the body, cut anywhere.
    pub fn write(&mut self, piece: &[u8]) {
        let mut gather = Gather { buffer: [0; GATHER], filled: 0, counter: &mut self.counter };
        self.canon.write(piece, &mut |bytes| gather.push(bytes));
        gather.flush();
    }

    /// The body has ended.
    pub fn finish(self) -> BodyHash {
        let BodyHasher { canon, mut counter } = self;
        canon.finish(&mut |bytes| counter.update(bytes));
        BodyHash { sha256: counter.sha.finalize().into(), length: counter.seen }
    }
}

impl Counter {
    fn update(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.seen).min(bytes.len() as u64) as usize;
        self.sha.update(&bytes[..room]);
        self.seen += bytes.len() as u64;
    }
}

struct Gather<'a> {
    buffer: [u8; GATHER],
    filled: usize,
    counter: &'a mut Counter,
}

impl Gather<'_> {
    fn push(&mut self, bytes: &[u8]) {
        if bytes.len() > GATHER / 4 {
            self.flush();
            self.counter.update(bytes);
            return;
        }
        if self.filled + bytes.len() > GATHER {
            self.flush();
        }
        self.buffer[self.filled..self.filled + bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
    }

    fn flush(&mut self) {
        self.counter.update(&self.buffer[..self.filled]);
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(canon: Canon, limit: Option<u64>, body: &[u8]) -> BodyHash {
        let mut hasher = BodyHasher::new(canon, limit);
        for piece in body.chunks(7) {
            hasher.write(piece);
        }
        hasher.finish()
    }

    fn sha256(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    #[test]
    fn the_hash_is_of_the_canonical_body() {
        let hashed = hash(Canon::Relaxed, None, b"a  b \r\n\r\n");
        assert_eq!(hashed, BodyHash { sha256: sha256(b"a b\r\n"), length: 5 });
        assert_eq!(hash(Canon::Simple, None, b""), BodyHash { sha256: sha256(b"\r\n"), length: 2 });
    }

    #[test]
    fn a_limit_counts_canonical_octets() {
        let body = b"a \t b\r\nmore\r\n";
        assert_eq!(hash(Canon::Relaxed, Some(3), body), BodyHash { sha256: sha256(b"a b"), length: 11 });
        assert_eq!(hash(Canon::Relaxed, Some(0), body).sha256, sha256(b""));
        assert_eq!(hash(Canon::Relaxed, Some(99), body).sha256, sha256(b"a b\r\nmore\r\n"));
    }

    #[test]
    fn pieces_of_every_size_give_one_hash() {
        let body: Vec<u8> = (0..20_000u32)
            .flat_map(|i| format!("line {i} {}\t  x\r\n", "y".repeat(i as usize % 90)).into_bytes())
            .collect();
        let mut whole = BodyHasher::new(Canon::Relaxed, None);
        whole.write(&body);
        let whole = whole.finish();
        for size in [1usize, 63, 64, 65, 513, 4096, 65535] {
            let mut cut = BodyHasher::new(Canon::Relaxed, None);
            body.chunks(size).for_each(|piece| cut.write(piece));
            assert_eq!(cut.finish(), whole, "pieces of {size}");
        }
    }
}
