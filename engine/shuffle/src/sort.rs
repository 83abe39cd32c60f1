//! Order of records: 16-byte entries that sort as plain integers and touch the record itself only
//! where the first 8 bytes of the key do not decide.
//!
//! An entry holds, from the highest bit: the key's first 8 bytes (zero-padded), how many bytes the key
//! has of these ("class": 0 to 8, 9 for more), the record's place in the arena, the key's length. Keys
//! of at most 8 bytes are ordered by the integer alone; longer ones with an equal prefix are sorted
//! again by their next 8 bytes (multikey sorting with cached prefixes: Ng and Kakehi, "Cache
//! Efficient Radix Sort for String Sorting", 2007). The arena grows in emission order, so equal keys
//! stay in the order of emission without a stable sort.

use mr_model::limit::RECORD_BYTES_MAX;

/// Bits of an entry below its class: 32 of offset, 28 of key length.
const CLASS_SHIFT: u32 = 60;
const PREFIX_SHIFT: u32 = 64;
const LENGTH_BITS: u32 = 28;
const _: () = assert!(RECORD_BYTES_MAX < 1 << LENGTH_BITS);

/// Class of a key with more bytes than the prefix holds.
pub const CLASS_LONG: u8 = 9;
/// Ranges of equal prefixes up to this many entries are sorted by comparing whole keys.
const SMALL_RANGE: usize = 12;
/// From this depth on, in bytes, whole keys are compared: bounds the recursion.
const DEPTH_MAX: usize = 64;

/// The 8 bytes of `key` from `depth` on as a big-endian number, zero-padded.
#[inline]
pub fn prefix_at(key: &[u8], depth: usize) -> u64 {
    let Some(tail) = key.get(depth..) else { return 0 };
    if let Some(word) = tail.first_chunk::<8>() {
        return u64::from_be_bytes(*word);
    }
    let mut word = [0u8; 8];
    word[..tail.len()].copy_from_slice(tail);
    u64::from_be_bytes(word)
}

/// Class of a key with `length` bytes left.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the minimum with 9 fits")]
pub fn class_of(length: usize) -> u8 {
    length.min(CLASS_LONG as usize) as u8
}

/// An entry of the sort index; its order is that of keys as far as prefix and class tell, then that
/// of emission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Entry(pub u128);

impl Entry {
    /// Entry of the record at `offset` of the arena. `key` is shorter than 2^28 bytes.
    #[inline]
    pub fn new(key: &[u8], offset: u32) -> Self {
        Self(
            u128::from(prefix_at(key, 0)) << PREFIX_SHIFT
                | u128::from(class_of(key.len())) << CLASS_SHIFT
                | u128::from(offset) << LENGTH_BITS
                | key.len() as u128,
        )
    }

    /// First 8 bytes of the key.
    #[inline]
    pub fn prefix(self) -> u64 {
        (self.0 >> PREFIX_SHIFT) as u64
    }

    /// See [`class_of`].
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the field has 4 bits")]
    pub fn class(self) -> u8 {
        (self.0 >> CLASS_SHIFT) as u8 & 0xf
    }

    /// Where the record lies in the arena.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the field has 32 bits")]
    pub fn offset(self) -> usize {
        (self.0 >> LENGTH_BITS) as u32 as usize
    }

    /// Length of the key, in bytes.
    #[inline]
    pub fn key_bytes(self) -> usize {
        (self.0 & ((1 << LENGTH_BITS) - 1)) as usize
    }

    /// Prefix and class: equal for two entries that the integer alone cannot order.
    #[inline]
    fn rank(self) -> u128 {
        self.0 >> CLASS_SHIFT
    }

    fn with_rank(self, rank: u128) -> Self {
        Self(self.0 & ((1 << CLASS_SHIFT) - 1) | rank << CLASS_SHIFT)
    }

    fn at_depth(self, key: &[u8], depth: usize) -> Self {
        let rank = u128::from(prefix_at(key, depth)) << 4 | u128::from(class_of(key.len() - depth));
        self.with_rank(rank)
    }
}

/// Where the keys of entries are.
pub trait Keys {
    /// The key of an entry.
    fn key(&self, entry: Entry) -> &[u8];
}

/// Sorts entries by key, equal keys by offset.
pub fn sort_entries(entries: &mut [Entry], keys: &impl Keys) {
    entries.sort_unstable();
    resolve_ties(entries, keys, 0);
}

/// Orders the ranges whose prefix at `depth` does not tell them apart.
fn resolve_ties(entries: &mut [Entry], keys: &impl Keys, depth: usize) {
    let mut rest = entries;
    while let Some(first) = rest.first().copied() {
        let rank = first.rank();
        let length = rest.iter().position(|entry| entry.rank() != rank).unwrap_or(rest.len());
        let (range, tail) = rest.split_at_mut(length);
        rest = tail;
        if length > 1 && first.class() == CLASS_LONG {
            sort_range(range, keys, depth + 8);
        }
    }
}

/// Sorts entries whose keys agree in the first `depth` bytes and go on.
fn sort_range(range: &mut [Entry], keys: &impl Keys, depth: usize) {
    if range.len() <= SMALL_RANGE || depth >= DEPTH_MAX {
        range.sort_unstable_by(|a, b| {
            keys.key(*a)[depth..].cmp(&keys.key(*b)[depth..]).then(a.offset().cmp(&b.offset()))
        });
        return;
    }
    let rank = range[0].rank();
    for entry in range.iter_mut() {
        *entry = entry.at_depth(keys.key(*entry), depth);
    }
    range.sort_unstable();
    resolve_ties(range, keys, depth);
    for entry in range.iter_mut() {
        *entry = entry.with_rank(rank);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Slice<'a>(&'a [Vec<u8>]);
    impl Keys for Slice<'_> {
        fn key(&self, entry: Entry) -> &[u8] {
            &self.0[entry.offset()]
        }
    }

    fn keys() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let byte = prop_oneof![Just(0u8), Just(1), Just(b'a'), Just(255)];
        prop::collection::vec(prop::collection::vec(byte, 0..80), 0..200)
    }

    proptest! {
        #[test]
        fn entries_sort_like_keys_and_keep_emission_order(mut keys in keys(), shared in 0usize..70) {
            for key in keys.iter_mut().skip(20) {
                key.splice(0..0, std::iter::repeat_n(b'p', shared));
            }
            let mut entries: Vec<Entry> = keys.iter().zip(0u32..).map(|(key, i)| Entry::new(key, i)).collect();
            sort_entries(&mut entries, &Slice(&keys));
            let mut naive: Vec<usize> = (0..keys.len()).collect();
            naive.sort_by_key(|i| &keys[*i]);
            prop_assert_eq!(entries.iter().map(|e| e.offset()).collect::<Vec<_>>(), naive);
            for entry in entries {
                let key = &keys[entry.offset()];
                prop_assert_eq!(entry, Entry::new(key, u32::try_from(entry.offset()).unwrap()));
            }
        }
    }
}
