//! Notices a partitioner that is no function of the key: where it puts a key somewhere else than before,
//! the reducers would each see a part of its group, and the output would be wrong without a word.
//!
//! Remembers the keys seen last, a bounded number of them, within one attempt: common keys come again soon.
//! Must not remember them all: that costs what the shuffle costs. So a partitioner that changes its mind
//! about a rare key, or from task to task, is not noticed.

use mr_model::Column;
use xxhash_rust::xxh3::xxh3_128;

/// Keys remembered at once: with 32 bytes each they stay in a core's first cache.
const KEYS: usize = 512;

/// Where keys were placed.
pub(crate) struct PlacedKeys {
    /// The hash of a key and its partition, at the place that its hash says.
    seen: Vec<(u128, u32)>,
}

/// A key that was placed twice, and not at the same place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Its row.
    pub row: u32,
    /// Where it was placed before.
    pub before: u32,
    /// Where it is placed now.
    pub now: u32,
}

impl PlacedKeys {
    pub fn new() -> Self {
        // No key has this hash where it lies: the lower bits say another place.
        Self { seen: (0..KEYS as u128).map(|slot| (!slot, 0)).collect() }
    }

    /// Looks for a key that was placed elsewhere before, and remembers all of them.
    pub fn check(&mut self, keys: Column<'_>, placed: &[u32]) -> Result<(), Moved> {
        for ((row, key), now) in (0..).zip(keys.iter()).zip(placed) {
            let hash = xxh3_128(key);
            let slot = &mut self.seen[(hash % KEYS as u128) as usize];
            if slot.0 == hash && slot.1 != *now {
                return Err(Moved { row, before: slot.1, now: *now });
            }
            *slot = (hash, *now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mr_model::ColumnBuf;

    use super::*;

    fn keys(count: u32) -> ColumnBuf {
        let mut keys = ColumnBuf::default();
        (0..count).for_each(|number| keys.push(format!("key-{}", number % 100).as_bytes()));
        keys
    }

    #[test]
    fn a_function_of_the_key_passes() {
        let mut placed = PlacedKeys::new();
        let (many, places): (_, Vec<u32>) =
            (keys(10_000), (0..10_000).map(|number| number % 100 % 7).collect());
        assert_eq!(placed.check(many.view(), &places), Ok(()));
        assert_eq!(placed.check(many.view(), &places), Ok(()));
    }

    #[test]
    fn a_key_that_moves_is_named() {
        let mut placed = PlacedKeys::new();
        assert_eq!(placed.check(keys(100).view(), &[3; 100]), Ok(()));
        let mut places = [3; 100];
        places[42] = 4;
        assert_eq!(placed.check(keys(100).view(), &places), Err(Moved { row: 42, before: 3, now: 4 }));
    }
}
