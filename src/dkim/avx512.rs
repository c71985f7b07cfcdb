//! The relaxed form of a body (RFC 6376 §3.4.4) with the vector instructions of newer x86-64 processors, which take a whole
//! block of 64 octets at a time and leave out of it what does not count, whatever lies in the block.
//!
//! The only file with `unsafe` code. [`super::blocks`] does the same in safe code, at half of the speed of the hash where
//! most blocks hold something to leave out; the tests and the fuzz target `canonicalization` compare the two.

/// Where reduced octets are gathered.
pub const ROOM: usize = 4096;

/// Leaves out of each run of blanks all but the last, which becomes a space, and that one too before CRLF.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod implementation {
    use super::{Avx512, ROOM};
    use crate::dkim::blocks::{BLOCK, block_at};
    use std::arch::x86_64::{
        _mm512_cmpeq_epi8_mask, _mm512_loadu_epi8, _mm512_mask_mov_epi8, _mm512_maskz_compress_epi8, _mm512_set1_epi8,
        _mm512_storeu_epi8,
    };

    impl Avx512 {
        /// Has this processor what it takes?
        pub fn detect() -> Option<Avx512> {
            let there = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vbmi2")
                && is_x86_feature_detected!("popcnt");
            there.then_some(Avx512(()))
        }

        /// Reduces whole blocks from this place on, while there are any and `room` has room. Gives the place behind them,
        /// and how many octets they became.
        pub fn reduce(self, piece: &[u8], at: usize, room: &mut [u8; ROOM]) -> (usize, usize) {
            // SAFETY: only `detect` makes an `Avx512`, where the processor has these instructions.
            unsafe { reduce(piece, at, room) }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
    fn reduce(piece: &[u8], mut at: usize, room: &mut [u8; ROOM]) -> (usize, usize) {
        let all = |octet: u8| _mm512_set1_epi8(octet.cast_signed());
        let (space, tab, cr, lf) = (all(b' '), all(b'\t'), all(b'\r'), all(b'\n'));
        let mut length = 0;
        while let Some(block) = block_at(piece, at)
            && let Some(target) = room.get_mut(length..).and_then(|room| room.first_chunk_mut::<BLOCK>())
        {
            let octets = block.as_ptr().cast::<i8>();
            // SAFETY: a block has two octets more than the 64 that are read from each of these places.
            let (here, next, after) = unsafe {
                (_mm512_loadu_epi8(octets), _mm512_loadu_epi8(octets.add(1)), _mm512_loadu_epi8(octets.add(2)))
            };
            let tabs = _mm512_cmpeq_epi8_mask(here, tab);
            let blanks = tabs | _mm512_cmpeq_epi8_mask(here, space);
            let before_blank = _mm512_cmpeq_epi8_mask(next, tab) | _mm512_cmpeq_epi8_mask(next, space);
            let before_end = _mm512_cmpeq_epi8_mask(next, cr) & _mm512_cmpeq_epi8_mask(after, lf);
            let kept = !(blanks & (before_blank | before_end));
            let text = _mm512_maskz_compress_epi8(kept, _mm512_mask_mov_epi8(here, tabs, space));
            // SAFETY: `target` has 64 octets.
            unsafe { _mm512_storeu_epi8(target.as_mut_ptr().cast(), text) };
            length += kept.count_ones() as usize;
            at += BLOCK;
        }
        (at, length)
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Avx512 {
    /// No other processor has it.
    pub fn detect() -> Option<Avx512> {
        None
    }

    /// Nothing.
    pub fn reduce(self, _: &[u8], at: usize, _: &mut [u8; ROOM]) -> (usize, usize) {
        (at, 0)
    }
}
