//! The combining emitter: folds values of the same key before they leave the plugin.
//!
//! A table of fixed size, made for the cache and not for the data, catches most repetitions: a
//! key that finds its slot taken by another one sends that one on and takes the slot. A table that
//! holds every key would lose more to cache misses than it saves; what slips through is folded
//! again by the host. This is the hottest loop of a counting job: change it only with a benchmark.

use std::fmt;
use std::marker::PhantomData;

use crate::datatype::{DataType, Fixed};
use crate::emitter::{Emitter, Output};
use crate::encode::Encode;
use crate::fold::Fold;
use crate::short::InlineKey;

/// Slots of the table, as a power of two: with counters one MiB, about a core's second-level cache.
/// Half of it was no faster and passed 12 % more records on; twice as much gained 9 % and thrashes
/// caches that are smaller or shared.
const SLOTS_LOG2: u32 = 15;
/// Slots of the table.
const SLOTS: usize = 1 << SLOTS_LOG2;

#[derive(Clone, Copy)]
struct Slot<V> {
    key: InlineKey,
    value: V,
}

/// Emits records, folded with `F` as far as a small table allows. Which records come out folded is
/// up to it; their total is not.
pub struct Combining<K, V, F> {
    /// Made at the first record, which has the value to fill it with.
    table: Option<Box<[Slot<V>; SLOTS]>>,
    emitter: Emitter<K, V>,
    /// A key that has to be encoded first.
    scratch: Vec<u8>,
    fold: PhantomData<fn(F)>,
}

impl<K: DataType, V: Fixed, F: Fold<V>> Combining<K, V, F> {
    /// Emits a record.
    #[inline]
    pub fn emit(&mut self, key: impl Encode<K>, value: V) {
        let Some(key) = key.inline_key(&mut self.scratch) else {
            // A long key is a rare one.
            self.emitter.emit_cell(&self.scratch, value);
            return;
        };
        let table = match &mut self.table {
            Some(table) => table,
            table => table.insert(vacant(value)),
        };
        let slot = &mut table[key.hash(SLOTS_LOG2) & (SLOTS - 1)];
        if slot.key.is(key) {
            slot.value = F::fold(slot.value, value);
            return;
        }
        let evicted = std::mem::replace(slot, Slot { key, value });
        if !evicted.key.is_vacant() {
            self.emitter.emit_inline(evicted.key, evicted.value);
        }
    }
}

#[cold]
fn vacant<V: Copy>(value: V) -> Box<[Slot<V>; SLOTS]> {
    let slots = vec![Slot { key: InlineKey::VACANT, value }; SLOTS];
    match slots.into_boxed_slice().try_into() {
        Ok(table) => table,
        Err(_) => unreachable!("the vector has this length"),
    }
}

impl<K: DataType, V: Fixed, F: Fold<V>> Output for Combining<K, V, F> {
    type Key = K;
    type Value = V;

    fn open(batch_bytes: usize) -> Self {
        Self { table: None, emitter: Emitter::open(batch_bytes), scratch: Vec::new(), fold: PhantomData }
    }

    fn flush(&mut self) {
        for slot in self.table.iter_mut().flat_map(|table| table.iter_mut()) {
            if !slot.key.is_vacant() {
                self.emitter.emit_inline(slot.key, slot.value);
                slot.key = InlineKey::VACANT;
            }
        }
        self.emitter.flush();
    }
}

impl<K, V, F> fmt::Debug for Combining<K, V, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Combining")
    }
}

/// Where a combiner emits: values only, since the key is the one it was given.
#[derive(Debug)]
pub struct Combined<'a, K, V> {
    pub(crate) key: &'a [u8],
    pub(crate) emitter: &'a mut Emitter<K, V>,
}

impl<K: DataType, V: DataType> Combined<'_, K, V> {
    /// Emits a value for the key in hand.
    #[inline]
    pub fn emit(&mut self, value: impl Encode<V>) {
        self.emitter.emit_cell(self.key, value);
    }
}
