//! Which of 64 bytes are ends of values or quotes, as bits of a word. What rows are taken apart with: all bytes of a
//! file go through here.

use super::rows::Dialect;

/// Bytes that are looked at together.
pub(super) const BLOCK_BYTES: usize = 64;

/// Bits of a block, the lowest for its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    /// Delimiters and newlines.
    pub(super) ends: u64,
    pub(super) quotes: u64,
}

impl Marks {
    /// Those of the bytes at the front of `rest`, up to 64 of them. No delimiter or quote is a zero byte.
    #[inline(always)]
    pub(super) fn of(dialect: Dialect, rest: &[u8]) -> Self {
        match rest.first_chunk::<BLOCK_BYTES>() {
            Some(block) => look(dialect, block),
            None => {
                let mut block = [0; BLOCK_BYTES];
                block[..rest.len()].copy_from_slice(rest);
                look(dialect, &block)
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn look(dialect: Dialect, block: &[u8; BLOCK_BYTES]) -> Marks {
    // SAFETY: every processor of this kind has SSE2.
    unsafe { vectors(dialect, block) }
}

/// With vectors of 16 bytes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn vectors(dialect: Dialect, block: &[u8; BLOCK_BYTES]) -> Marks {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };
    let all = |byte: u8| _mm_set1_epi8(byte.cast_signed());
    let bits = |found: __m128i| u64::from(_mm_movemask_epi8(found).cast_unsigned());
    let (delimiters, quotes) = (all(dialect.delimiter), all(dialect.quote.unwrap_or(b'\n')));
    let (feeds, returns) = (all(b'\n'), all(b'\r'));
    let mut marks = Marks { ends: 0, quotes: 0 };
    for (index, chunk) in block.as_chunks::<16>().0.iter().enumerate() {
        let [low, high] = [0, 8].map(|at| i64::from_le_bytes(*chunk[at..].first_chunk().unwrap_or(&[0; 8])));
        let bytes = _mm_set_epi64x(high, low);
        let newlines = _mm_or_si128(_mm_cmpeq_epi8(bytes, feeds), _mm_cmpeq_epi8(bytes, returns));
        let ends = _mm_or_si128(newlines, _mm_cmpeq_epi8(bytes, delimiters));
        marks.ends |= bits(ends) << (16 * index);
        marks.quotes |= bits(_mm_cmpeq_epi8(bytes, quotes)) << (16 * index);
    }
    marks
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn look(dialect: Dialect, block: &[u8; BLOCK_BYTES]) -> Marks {
    words(dialect, block)
}

/// The same with words of eight bytes.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn words(dialect: Dialect, block: &[u8; BLOCK_BYTES]) -> Marks {
    /// Ones in every byte of a word.
    const ONES: u64 = u64::MAX / 0xff;
    /// All bits but the uppermost of every byte of a word.
    const LOWER: u64 = ONES * 0x7f;
    /// Brings the lowest bits of eight bytes together in the uppermost byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let others = |word: u64, byte: u8| {
        let word = word ^ (ONES * u64::from(byte));
        ((word & LOWER) + LOWER) | word
    };
    let bits = |others: u64| (((!others & !LOWER) >> 7).wrapping_mul(GATHER)) >> 56;
    let mut marks = Marks { ends: 0, quotes: 0 };
    for (index, chunk) in block.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let ends = others(word, dialect.delimiter) & others(word, b'\n') & others(word, b'\r');
        marks.ends |= bits(ends) << (8 * index);
        marks.quotes |= bits(others(word, dialect.quote.unwrap_or(b'\n'))) << (8 * index);
    }
    marks
}

#[cfg(test)]
mod tests {
    use mr_model::Delimited;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn marks_are_where_the_bytes_are(
            bytes in prop::collection::vec(prop::sample::select(b",\"\n\r\0\xffa-".to_vec()), 0..80),
        ) {
            let dialect = Dialect::new(Delimited::CSV);
            let front = &bytes[..bytes.len().min(BLOCK_BYTES)];
            let bits = |wanted: &[u8]| {
                front.iter().enumerate().filter(|(_, byte)| wanted.contains(byte)).map(|(at, _)| 1 << at).sum::<u64>()
            };
            let expected = Marks { ends: bits(b",\n\r"), quotes: bits(b"\"") };
            prop_assert_eq!(Marks::of(dialect, &bytes), expected);
            let mut block = [0; BLOCK_BYTES];
            block[..front.len()].copy_from_slice(front);
            prop_assert_eq!(words(dialect, &block), expected);
        }
    }
}
