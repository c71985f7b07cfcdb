//! What a search may cost, counted in work and not in time, so that the same message always gives the same answer.

use crate::dkim::Canon;

/// Octets that one message may cost in hashing and rewriting, bodies and headers each: a quarter of a second where SHA-256
/// runs at 1 GB/s (measured).
pub const OCTETS: u64 = 256 * 1024 * 1024;

/// What one hash costs beyond its octets: about two blocks of SHA-256.
pub const HASH: u64 = 128;

/// What writing an octet anew costs, in octets hashed (measured, short lines and quoted-printable).
const WRITING: u64 = 5;

/// What reducing one run of blanks costs, in octets hashed (measured).
const BLANK: u64 = 12;

/// What is left to spend, and what was spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What an octet of this body costs, in sixteenths of one that is hashed as it lies.
    price: u64,
    left: u64,
    tries_left: u64,
    /// Octets spent.
    pub spent: u64,
    /// Hypotheses tried.
    pub tried: u64,
    /// Was something not tried because it was too dear?
    pub exhausted: bool,
}

impl Budget {
    /// So many octets, in so many hypotheses.
    pub fn new(octets: u64, tries: u64) -> Budget {
        Budget { price: 16, left: octets, tries_left: tries, spent: 0, tried: 0, exhausted: false }
    }

    /// From now on it is this body that is hashed: where blanks must be reduced, its canonical form costs more than its hash
    /// ([`BLANK`]).
    pub fn price(&mut self, canon: Canon, body: &[u8]) {
        let blank = |pair: &[u8]| pair[0] == b'\t' || pair[0] == b' ' && pair[1] <= b' ';
        let dear = match canon {
            Canon::Relaxed => body.windows(2).filter(|pair| blank(pair)).count() as u64,
            Canon::Simple => 0,
        };
        self.price = 16 + (dear * BLANK * 16).checked_div(body.len() as u64).unwrap_or(0);
    }

    /// One hypothesis that hashes so many octets: may it be tried?
    pub fn hypothesis(&mut self, octets: usize) -> bool {
        if self.tries_left == 0 {
            self.exhausted = true;
            return false;
        }
        if !self.work(octets as u64 + HASH) {
            return false;
        }
        self.tries_left -= 1;
        self.tried += 1;
        true
    }

    /// Work on so many octets that tries nothing by itself.
    pub fn work(&mut self, octets: u64) -> bool {
        let octets = octets * self.price / 16;
        if octets > self.left {
            self.exhausted = true;
            return false;
        }
        self.left -= octets;
        self.spent += octets;
        true
    }

    /// A text of so many octets is written anew: escapes, line ends and encodings cost [`WRITING`] times what a hash does.
    pub fn writing(&mut self, octets: usize) -> bool {
        self.work(octets as u64 * WRITING)
    }

    /// How many octets are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// A part of what is left, to be given back with [`Budget::settle`]: no stage starves those behind it.
    pub fn allot(&mut self, share: u64) -> Budget {
        Budget { price: self.price, ..Budget::new(self.left / share.max(1), self.tries_left) }
    }

    /// Takes back what an allotment did not spend.
    pub fn settle(&mut self, part: &Budget) {
        self.left = self.left.saturating_sub(part.spent);
        self.tries_left = self.tries_left.saturating_sub(part.tried);
        self.spent += part.spent;
        self.tried += part.tried;
        self.exhausted |= part.exhausted;
    }
}
