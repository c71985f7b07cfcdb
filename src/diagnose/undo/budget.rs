//! What a search may cost, counted in work and not in time, so that the same message always gives the same answer.

/// Octets that one message may cost in hashing and rewriting, bodies and headers each: a quarter of a second where SHA-256
/// runs at 1 GB/s (measured).
pub const OCTETS: u64 = 256 * 1024 * 1024;

/// What one hash costs beyond its octets: about two blocks of SHA-256.
pub const HASH: u64 = 128;

/// What is left to spend, and what was spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
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
        Budget { left: octets, tries_left: tries, spent: 0, tried: 0, exhausted: false }
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
        if octets > self.left {
            self.exhausted = true;
            return false;
        }
        self.left -= octets;
        self.spent += octets;
        true
    }

    /// How many octets are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// A part of what is left, to be given back with [`Budget::settle`]: no stage starves those behind it.
    pub fn allot(&mut self, share: u64) -> Budget {
        Budget::new(self.left / share.max(1), self.tries_left)
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
