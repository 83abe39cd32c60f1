//! Short byte strings without calls: nearly every key is a word of a few bytes, and in WebAssembly
//! a copy of a length known only at run time is a call into the host's `memcpy`.

/// Longest key that is kept in registers, in bytes: with its length it fills three words.
pub(crate) const INLINE_BYTES_MAX: usize = 23;

/// Longest byte string that is appended word by word, in bytes; beyond, a call pays.
const APPEND_BYTES_MAX: usize = 64;

/// A key of up to 23 bytes as three words: its bytes in memory order, zeros, and in the topmost
/// byte its length plus one, so that no key is all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub struct InlineKey(pub(crate) [u64; 3]);

impl InlineKey {
    /// What no key is: marks a vacant slot.
    pub(crate) const VACANT: Self = Self([0; 3]);

    /// The key, if it is short enough.
    #[inline]
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        if key.len() > INLINE_BYTES_MAX {
            return None;
        }
        let (words, rest) = key.as_chunks::<8>();
        let last = load(rest);
        let [a, b, c] = match words {
            [] => [last, 0, 0],
            [a] => [u64::from_le_bytes(*a), last, 0],
            [a, b, ..] => [u64::from_le_bytes(*a), u64::from_le_bytes(*b), last],
        };
        Some(Self([a, b, c | tag(key.len())]))
    }

    /// The key that is the first `len` bytes of `bytes`. Faster than [`InlineKey::new`] where more
    /// bytes follow: whole words are loaded, and what is behind the key is masked out.
    #[inline]
    pub(crate) fn front(bytes: &[u8], len: usize) -> Option<Self> {
        if len > INLINE_BYTES_MAX {
            return None;
        }
        let Some(chunk) = bytes.first_chunk::<24>() else {
            return Self::new(&bytes[..len]);
        };
        let (words, _) = chunk.as_chunks::<8>();
        let mask = &MASKS[len];
        Some(Self([
            u64::from_le_bytes(words[0]) & mask[0],
            u64::from_le_bytes(words[1]) & mask[1],
            u64::from_le_bytes(words[2]) & mask[2] | tag(len),
        ]))
    }

    /// Length of the key in bytes.
    #[inline]
    pub(crate) fn len(self) -> usize {
        (self.0[2] >> 56).wrapping_sub(1) as usize
    }

    #[inline]
    pub(crate) fn is_vacant(self) -> bool {
        self.0[2] == 0
    }

    /// Same key. Compares words at once; the derived comparison calls `memcmp`.
    #[inline]
    pub(crate) fn is(self, other: Self) -> bool {
        let ([a, b, c], [x, y, z]) = (self.0, other.0);
        (a ^ x) | (b ^ y) | (c ^ z) == 0
    }

    /// Spreads keys over `1 << bits` places. Three multiplications that do not wait for each other;
    /// their top bits depend on all the key's bits.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "no more than `bits` bits are left")]
    pub(crate) fn hash(self, bits: u32) -> usize {
        let [a, b, c] = self.0;
        let mixed = a.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ b.wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
            ^ c.wrapping_mul(0x1656_67b1_9e37_79f9);
        let mixed = mixed ^ (mixed >> 32);
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - bits)) as usize
    }

    /// Appends the key's bytes.
    #[inline]
    pub(crate) fn append_to(self, out: &mut Vec<u8>) {
        let end = out.len() + self.len();
        out.reserve(24);
        for word in self.0 {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.truncate(end);
    }
}

/// Which bits of three words belong to a key, by its length.
static MASKS: [[u64; 3]; INLINE_BYTES_MAX + 1] = masks();

const fn masks() -> [[u64; 3]; INLINE_BYTES_MAX + 1] {
    let mut masks = [[0; 3]; INLINE_BYTES_MAX + 1];
    let mut len = 0;
    while len <= INLINE_BYTES_MAX {
        let mut byte = 0;
        while byte < len {
            masks[len][byte / 8] |= 0xff << (byte % 8 * 8);
            byte += 1;
        }
        len += 1;
    }
    masks
}

#[inline]
fn tag(len: usize) -> u64 {
    (len as u64 + 1) << 56
}

/// Up to 7 bytes as a little-endian word, with two loads that overlap.
#[inline]
fn load(bytes: &[u8]) -> u64 {
    match bytes {
        [] => 0,
        [a, ..] if bytes.len() < 4 => {
            let (middle, last) = (bytes[bytes.len() / 2], bytes[bytes.len() - 1]);
            let at = |byte: u8, place: usize| u64::from(byte) << (place * 8);
            at(*a, 0) | at(middle, bytes.len() / 2) | at(last, bytes.len() - 1)
        }
        _ => {
            let (Some(front), Some(back)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) else {
                return 0;
            };
            let back = u64::from(u32::from_le_bytes(*back)) << ((bytes.len() - 4) * 8);
            u64::from(u32::from_le_bytes(*front)) | back
        }
    }
}

/// Appends bytes: as words where they are few.
#[inline]
pub(crate) fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() > APPEND_BYTES_MAX {
        out.extend_from_slice(bytes);
        return;
    }
    let (words, rest) = bytes.as_chunks::<8>();
    let end = out.len() + bytes.len();
    out.reserve(APPEND_BYTES_MAX + 8);
    for word in words {
        out.extend_from_slice(word);
    }
    out.extend_from_slice(&load(rest).to_le_bytes());
    out.truncate(end);
}

/// Appends the first `len` bytes of `tail`. Faster than [`append`] where more bytes follow: whole
/// blocks are copied, and what is behind the end is forgotten again.
#[inline]
pub(crate) fn append_front(out: &mut Vec<u8>, tail: &[u8], len: usize) {
    const BLOCK: usize = 16;
    let Some(front) = tail.first_chunk::<{ 2 * BLOCK }>().filter(|_| len <= 2 * BLOCK) else {
        return append(out, &tail[..len]);
    };
    let end = out.len() + len;
    out.reserve(2 * BLOCK);
    out.extend_from_slice(&front[..BLOCK]);
    if len > BLOCK {
        out.extend_from_slice(&front[BLOCK..]);
    }
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        b"the quick brown fox jumps over the lazy dog and runs away from all the other animals";

    #[test]
    fn keys_survive_registers_at_every_length() {
        for len in 0..=INLINE_BYTES_MAX {
            for start in [0, 3, TEXT.len() - INLINE_BYTES_MAX] {
                let key = &TEXT[start..start + len];
                let inline = InlineKey::new(key).unwrap();
                assert_eq!(InlineKey::front(&TEXT[start..], len), Some(inline), "{len}");
                assert!(!inline.is_vacant() && inline.is(inline) && inline.len() == len);
                let mut out = b"x".to_vec();
                inline.append_to(&mut out);
                assert_eq!(out[1..], *key);
            }
        }
        assert_eq!(InlineKey::new(&TEXT[..24]), None);
        assert_eq!(InlineKey::front(TEXT, 24), None);
    }

    #[test]
    fn zeros_do_not_make_keys_equal() {
        assert_ne!(InlineKey::new(b"a"), InlineKey::new(b"a\0"));
        assert_ne!(InlineKey::new(b""), InlineKey::new(b"\0"));
    }

    #[test]
    fn appending_copies_every_length() {
        for len in 0..=TEXT.len() {
            let mut out = b"x".to_vec();
            append(&mut out, &TEXT[..len]);
            assert_eq!(out[1..], TEXT[..len]);
        }
    }
}
