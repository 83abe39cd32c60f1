//! Which partition a key belongs to. The hash is fixed for ever: map outputs of different versions
//! of the engine must agree, and so must a rerun.

use xxhash_rust::xxh3::xxh3_64;

use crate::sort::prefix_at;

/// The engine's stable hash of a key: XXH3-64 with seed 0, as the xxHash specification defines it.
#[inline]
pub fn partition_hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// Spreads keys over partitions by [`partition_hash`]: the upper 32 bits of the hash, scaled to the
/// number of partitions (Lemire's multiply-shift, "Fast Random Integer Generation in an Interval").
#[derive(Debug, Clone, Copy)]
pub struct HashPartitioner {
    partitions: u32,
}

impl HashPartitioner {
    /// A partitioner into `partitions` parts, at least 1.
    pub fn new(partitions: u32) -> Self {
        Self { partitions: partitions.max(1) }
    }

    /// Partition of `key`.
    #[inline]
    pub fn partition(&self, key: &[u8]) -> u32 {
        if self.partitions == 1 {
            return 0;
        }
        (((partition_hash(key) >> 32) * u64::from(self.partitions)) >> 32) as u32
    }
}

/// Spreads keys by ranges: partition `i` holds the keys from boundary `i-1` (inclusive) to boundary
/// `i` (exclusive), so that the parts in order are sorted as a whole.
#[derive(Debug, Clone)]
pub struct RangePartitioner {
    boundaries: Vec<Vec<u8>>,
    prefixes: Vec<u64>,
}

impl RangePartitioner {
    /// A partitioner with these boundaries, in order.
    pub fn new(boundaries: Vec<Vec<u8>>) -> Self {
        let prefixes = boundaries.iter().map(|key| prefix_at(key, 0)).collect();
        Self { boundaries, prefixes }
    }

    /// Partition of `key`: the number of boundaries at or below it.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "there are fewer boundaries than partitions, a u32")]
    pub fn partition(&self, key: &[u8]) -> u32 {
        let prefix = prefix_at(key, 0);
        let mut at = self.prefixes.partition_point(|boundary| *boundary < prefix);
        while at < self.prefixes.len() && self.prefixes[at] == prefix && self.boundaries[at].as_slice() <= key
        {
            at += 1;
        }
        at as u32
    }
}

/// Boundaries that divide the sampled keys into `partitions` ranges of about the same number of
/// samples. A key that fills several ranges gives one boundary, so there may be fewer.
pub fn range_boundaries(mut sample: Vec<Vec<u8>>, partitions: u32) -> Vec<Vec<u8>> {
    sample.sort_unstable();
    let count = sample.len();
    let mut boundaries: Vec<Vec<u8>> = Vec::new();
    for partition in 1..partitions as usize {
        let Some(key) = sample.get(partition * count / partitions as usize) else { break };
        if boundaries.last() != Some(key) {
            boundaries.push(key.clone());
        }
    }
    boundaries
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These values may never change: see the file's header.
    #[test]
    fn the_partition_hash_is_pinned() {
        let pinned = [
            ("", 0x2d06_8005_38d3_94c2_u64),
            ("a", 0xe6c6_32b6_1e96_4e1f),
            ("the", 0xcb12_8363_1cf3_3d7d),
            ("abcdefghijklmnopqrstuvwxyz", 0x810f_9ca0_67fb_b90c),
        ];
        for (key, hash) in pinned {
            assert_eq!(
                partition_hash(key.as_bytes()),
                hash,
                "{key:?}: {:#x}",
                partition_hash(key.as_bytes())
            );
        }
        let placed = ["", "a", "the", "abcdefghijklmnopqrstuvwxyz"]
            .map(|key| HashPartitioner::new(1000).partition(key.as_bytes()));
        assert_eq!(placed, [175, 901, 793, 504]);
    }

    #[test]
    fn ranges_agree_with_counting_boundaries() {
        let boundaries: Vec<Vec<u8>> =
            ["b", "common-prefix-1", "common-prefix-2", "x"].map(|b| b.as_bytes().to_vec()).to_vec();
        let ranges = RangePartitioner::new(boundaries.clone());
        for key in ["", "a", "b", "ba", "common-prefix-", "common-prefix-1", "common-prefix-11", "x", "y"] {
            let naive = boundaries.iter().filter(|boundary| boundary.as_slice() <= key.as_bytes()).count();
            assert_eq!(ranges.partition(key.as_bytes()) as usize, naive, "{key}");
        }
    }

    #[test]
    fn boundaries_divide_the_sample_evenly_and_never_repeat() {
        let sample: Vec<Vec<u8>> = (0..100u8).map(|i| vec![i]).collect();
        assert_eq!(range_boundaries(sample, 4), [[25], [50], [75]]);
        assert_eq!(range_boundaries(vec![vec![1]; 50], 8), [[1]]);
        assert!(range_boundaries(Vec::new(), 8).is_empty());
    }
}
