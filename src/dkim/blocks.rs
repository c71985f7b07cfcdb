//! The relaxed form of a body, §3.4.4, by blocks of [`BLOCK`] octets: for [`super::canon`], which knows what lies before and
//! behind them.
//!
//! The loops over a block have no branches, so that they compile to vector instructions; a benchmark (`benches/body.rs`)
//! tells whether they still do.

use super::canon::is_blank;

/// Blocks of this size are judged as a whole, with the two octets behind them: in loops that compile to a few vector
/// instructions.
pub const BLOCK: usize = 64;

/// A block that loses more octets than this is put together octet by octet; with fewer, what lies between them is copied.
const MANY: usize = 6;

/// What lies between changes that are farther apart than this is not copied.
pub const FAR: usize = 512;

/// A block and what must be known of what follows.
pub type Block = [u8; BLOCK + 2];

/// The block at this place, if the piece holds all of it.
pub fn block_at(piece: &[u8], at: usize) -> Option<&Block> {
    piece.get(at..)?.first_chunk()
}

/// May the block hold a change? The test may cry wolf: at a space before any control character.
pub fn is_suspicious(block: &Block) -> bool {
    let mut suspect = 0u8;
    for at in 0..BLOCK {
        suspect |= u8::from(block[at] == b'\t') | (u8::from(block[at] == b' ') & u8::from(block[at + 1] <= b' '));
    }
    suspect != 0
}

/// Adds a block in its relaxed form. Of each run of blanks the last is kept, as a space, and none before CRLF: so each
/// octet is judged by the two behind it alone.
#[inline(always)]
pub fn add_changed(block: &Block, gathered: &mut Gathered) {
    // So long that a whole block can be copied from any place in the first half: that takes no longer than one octet.
    let mut text = [0; 2 * BLOCK];
    let mut kept = [0; BLOCK];
    for at in 0..BLOCK {
        let (octet, next, after) = (block[at], block[at + 1], block[at + 2]);
        let goes = is_blank(octet) & (is_blank(next) | ((next == b'\r') & (after == b'\n')));
        kept[at] = u8::from(!goes);
        text[at] = if octet == b'\t' { b' ' } else { octet };
    }
    let left: u8 = kept.iter().sum();
    if usize::from(left) < BLOCK - MANY {
        return gathered.add_kept(&text, &kept);
    }
    let mut goes = !bits(&kept);
    let mut start = 0;
    while goes != 0 {
        let place = goes.trailing_zeros() as usize;
        gathered.add_from(&text, start, place - start);
        goes &= goes - 1;
        start = place + 1;
    }
    gathered.add_from(&text, start, BLOCK - start);
}

/// The lowest bits of octets that are 0 or 1, the first octet's lowest.
fn bits(octets: &[u8; BLOCK]) -> u64 {
    let mut bits = 0;
    for (at, eight) in octets.as_chunks::<8>().0.iter().enumerate() {
        // Bit 8k of the word goes to bit 56 + k of the product, and nothing else does.
        bits |= (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * at);
    }
    bits
}

/// Canonical octets that do not lie together in the input.
pub struct Gathered {
    octets: [u8; Gathered::ROOM],
    length: usize,
}

impl Gathered {
    const ROOM: usize = 2048;

    pub fn new() -> Gathered {
        Gathered { octets: [0; Gathered::ROOM], length: 0 }
    }

    /// Is there too little room for a stretch of [`FAR`] and the two blocks around it?
    pub fn is_full(&self) -> bool {
        self.length > Gathered::ROOM - FAR - 2 * BLOCK
    }

    /// Adds the first octets of a block. There is room: see [`Gathered::is_full`].
    pub fn add(&mut self, block: &[u8; BLOCK], length: usize) {
        if let Some(room) = self.octets.get_mut(self.length..).and_then(|room| room.first_chunk_mut()) {
            *room = *block;
            self.length += length;
        }
    }

    /// Adds octets of a text from this place on, which lies in its first half.
    fn add_from(&mut self, text: &[u8; 2 * BLOCK], start: usize, length: usize) {
        if let Some(block) = text[start..].first_chunk() {
            self.add(block, length);
        }
    }

    /// Adds those of the first octets of a text that are kept.
    fn add_kept(&mut self, text: &[u8; 2 * BLOCK], kept: &[u8; BLOCK]) {
        let Some(room) = self.octets.get_mut(self.length..).and_then(|room| room.first_chunk_mut::<BLOCK>()) else {
            return;
        };
        let mut length = 0;
        for (octet, kept) in text.iter().zip(kept) {
            // The remainder changes nothing, and spares the test whether the index is in bounds.
            room[length % BLOCK] = *octet;
            length += usize::from(*kept);
        }
        self.length += length;
    }

    /// Everything gathered, and nothing is.
    pub fn take(&mut self) -> &[u8] {
        let length = std::mem::take(&mut self.length);
        &self.octets[..length]
    }
}
