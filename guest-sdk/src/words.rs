//! Splits text at white space, 64 bytes at a time.
//!
//! Most jobs over text begin here, so the loop looks at blocks and not at bytes: a mask tells for
//! each byte of a block whether it is white space, and words begin and end where the mask changes.
//! White space is what C calls so in ASCII: space, tab, newline, vertical tab, form feed, carriage
//! return.

use std::fmt;
use std::ops::Deref;

/// Bytes that are looked at together: the bits of a mask.
const BLOCK: usize = 64;

/// A word: bytes between white space. Derefs to its bytes.
#[derive(Clone, Copy)]
pub struct Word<'a> {
    /// From the word's first byte as far as the chunk goes: what lies behind a word may be loaded
    /// together with it, which is faster than stopping at its end.
    tail: &'a [u8],
    len: usize,
}

impl<'a> Word<'a> {
    /// The bytes of the word.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        &self.tail[..self.len]
    }

    /// The word as text, if it is UTF-8.
    pub fn to_str(self) -> Result<&'a str, std::str::Utf8Error> {
        std::str::from_utf8(self.as_bytes())
    }

    /// Length in bytes.
    #[inline]
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// The word and what follows it.
    #[inline]
    pub(crate) fn tail(self) -> &'a [u8] {
        self.tail
    }
}

impl Deref for Word<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

/// Words of `text`.
pub fn words(text: &[u8]) -> Words<'_> {
    words_of_front(text, text.len())
}

/// Words of the first `len` bytes of `tail`.
#[inline]
pub(crate) fn words_of_front(tail: &[u8], len: usize) -> Words<'_> {
    let mut words = Words { tail, len, block: 0, edges: 0, in_word: 0 };
    if len > 0 {
        words.load_block();
    }
    words
}

/// Iterator over words.
#[derive(Debug, Clone)]
pub struct Words<'a> {
    tail: &'a [u8],
    len: usize,
    /// Where the current block begins.
    block: usize,
    /// Places in the block, not yet passed, where words begin and end in turn.
    edges: u64,
    /// 1 if the last byte of the block belongs to a word.
    in_word: u64,
}

impl Words<'_> {
    /// Goes on to the next block that has edges; false at the end of the text. Once for 64 bytes, so
    /// it may be a call: what is done for every word may not (see [`Words::edge`]).
    #[inline(never)]
    fn next_block(&mut self) -> bool {
        while self.len - self.block > BLOCK {
            self.block += BLOCK;
            self.load_block();
            if self.edges != 0 {
                return true;
            }
        }
        false
    }

    #[inline(always)]
    fn load_block(&mut self) {
        let letters = !space_mask(self.tail, self.block);
        let left = self.len - self.block;
        // What is behind the end counts as white space, so that the last word ends.
        let letters = if left < BLOCK { letters & ((1 << left) - 1) } else { letters };
        self.edges = letters ^ (letters << 1 | self.in_word);
        self.in_word = letters >> (BLOCK - 1);
    }

    /// Next place where a word begins or ends.
    #[inline(always)]
    fn edge(&mut self) -> Option<usize> {
        if self.edges == 0 && !self.next_block() {
            return None;
        }
        let edge = self.block + self.edges.trailing_zeros() as usize;
        self.edges &= self.edges - 1;
        Some(edge)
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Word<'a>> {
        let start = self.edge()?;
        let end = self.edge().unwrap_or(self.len);
        Some(Word { tail: &self.tail[start..], len: end - start })
    }
}

/// One bit for each of the 64 bytes at `start`: is it white space? Bytes past the end are.
#[inline]
fn space_mask(text: &[u8], start: usize) -> u64 {
    let text = &text[start..];
    match text.first_chunk::<BLOCK>() {
        Some(block) => block_mask(block),
        None => {
            let mut block = [b' '; BLOCK];
            block[..text.len()].copy_from_slice(text);
            block_mask(&block)
        }
    }
}

/// First of the control characters that are white space; the other four follow it.
const TAB: u8 = 9;
/// How many follow.
const TAB_TO_RETURN: u8 = 4;

#[cfg(target_arch = "x86_64")]
#[inline]
fn block_mask(block: &[u8; BLOCK]) -> u64 {
    use core::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8, _mm_sub_epi8,
    };
    let mut mask = 0;
    for (i, lane) in block.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: SSE2 is part of x86_64; the unaligned load reads the 16 bytes of `lane`.
        let bits = unsafe {
            let bytes = _mm_loadu_si128(lane.as_ptr().cast::<__m128i>());
            let shifted = _mm_sub_epi8(bytes, _mm_set1_epi8(TAB.cast_signed()));
            let control =
                _mm_cmpeq_epi8(_mm_min_epu8(shifted, _mm_set1_epi8(TAB_TO_RETURN.cast_signed())), shifted);
            let space = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b' '.cast_signed()));
            _mm_movemask_epi8(_mm_or_si128(control, space))
        };
        mask |= u64::from(bits.cast_unsigned()) << (i * 16);
    }
    mask
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
fn block_mask(block: &[u8; BLOCK]) -> u64 {
    use core::arch::wasm32::{
        u8x16_bitmask, u8x16_eq, u8x16_le, u8x16_splat, u8x16_sub, v128, v128_load, v128_or,
    };
    let mut mask = 0;
    for (i, lane) in block.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: reads the 16 bytes of `lane`; WebAssembly loads need no alignment.
        let bytes = unsafe { v128_load(lane.as_ptr().cast::<v128>()) };
        let control = u8x16_le(u8x16_sub(bytes, u8x16_splat(TAB)), u8x16_splat(TAB_TO_RETURN));
        let space = u8x16_eq(bytes, u8x16_splat(b' '));
        mask |= u64::from(u8x16_bitmask(v128_or(control, space))) << (i * 16);
    }
    mask
}

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
#[inline]
fn block_mask(block: &[u8; BLOCK]) -> u64 {
    block_mask_portable(block)
}

/// The mask without vector instructions: eight bytes of a word at once.
#[cfg(any(test, not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))))]
fn block_mask_portable(block: &[u8; BLOCK]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    let mut mask = 0;
    for (i, lane) in block.as_chunks::<8>().0.iter().enumerate() {
        let bytes = u64::from_le_bytes(*lane);
        let low = bytes & !HIGHS;
        // High bit of each byte: not a space; at least a tab; beyond a carriage return. Only
        // bytes below 128 can be white space.
        let not_space = (low ^ (ONES * u64::from(b' '))) + !HIGHS;
        let from_tab = low + ONES * u64::from(128 - TAB);
        let beyond = low + ONES * u64::from(128 - TAB - TAB_TO_RETURN - 1);
        let space = (!not_space | (from_tab & !beyond)) & !bytes & HIGHS;
        // Gathers the eight high bits into one byte.
        mask |= ((space >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (i * 8);
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(text: &[u8]) -> Vec<&[u8]> {
        text.split(|b| matches!(b, 9..=13 | b' ')).filter(|word| !word.is_empty()).collect()
    }

    /// Bytes in which every other one is white space or near it, from a fixed sequence.
    fn sample(len: usize, mut seed: u64) -> Vec<u8> {
        let near = [8u8, 9, 10, 11, 12, 13, 14, 31, 32, 33, 128 + 9, 128 + 32, b'a', b'z', 0, 255];
        let mut next = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize
        };
        (0..len).map(|_| if next() % 3 == 0 { near[next() % near.len()] } else { b'w' }).collect()
    }

    #[test]
    fn words_are_those_of_a_split() {
        for len in (0..200).chain([1000, 4096]) {
            for seed in 0..20 {
                let text = sample(len, seed);
                let found: Vec<_> = words(&text).map(Word::as_bytes).collect();
                assert_eq!(found, naive(&text), "{len} {seed}");
                for front in [0, len / 2, len.saturating_sub(1)] {
                    let found: Vec<_> = words_of_front(&text, front).map(Word::as_bytes).collect();
                    assert_eq!(found, naive(&text[..front]), "{front} of {len}, {seed}");
                }
            }
        }
    }

    #[test]
    fn all_masks_agree_on_every_byte() {
        for byte in 0..=255 {
            for place in [0, 7, 8, 15, 16, 63] {
                let mut block = [b'x'; BLOCK];
                block[place] = byte;
                let expected = u64::from(matches!(byte, 9..=13 | 32)) << place;
                assert_eq!(block_mask(&block), expected, "{byte}");
                assert_eq!(block_mask_portable(&block), expected, "{byte}");
            }
        }
    }
}
