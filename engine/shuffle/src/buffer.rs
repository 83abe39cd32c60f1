//! Records of a map task until they are sorted: an arena of bytes and an index of 16-byte entries.
//! Grows only as far as its reservation, then says that it is full.

use std::io;
use std::ops::Range;

use mr_model::Failure;

use crate::pages::PageVec;
use crate::pool::Reservation;
use crate::sort::{Entry, Keys, sort_entries};

/// Bytes that precede a record in the arena: the value's length, little-endian u32. The key's
/// length is in the entry.
const VALUE_LENGTH_BYTES: usize = 4;
/// What one record costs beyond its bytes: its length, two entries (the second while sorting) and a
/// partition number.
const RECORD_COST_BYTES: u64 = (VALUE_LENGTH_BYTES + 2 * size_of::<Entry>() + size_of::<u32>()) as u64;
/// Step in which a buffer asks the pool for more, in bytes: seldom enough to cost nothing, small
/// enough to share the pool evenly.
const RESERVE_STEP_BYTES: u64 = 4 << 20;
/// What a run takes to keep beside its records and index, at most: ends of pages, its own structures.
const KEPT_SLACK_BYTES: u64 = 10 << 10;
/// Largest arena, in bytes: entries hold offsets of 32 bits.
const ARENA_BYTES_MAX: u64 = u32::MAX as u64;

/// What became of a record offered to a full or not yet full buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It was taken.
    Taken,
    /// It was not: spill first.
    Full,
}

/// An unsorted buffer that becomes a [`MemoryRun`].
#[derive(Debug)]
pub struct SortBuffer {
    arena: PageVec<u8>,
    entries: PageVec<Entry>,
    /// Partition of each entry; unused with one partition.
    placed: PageVec<u32>,
    counts: Vec<u64>,
    bytes: Vec<u64>,
    /// Memory that is the buffer's own, in bytes; the reservation comes on top.
    base_bytes: u64,
    reservation: Reservation,
    used: u64,
}

impl SortBuffer {
    /// An empty buffer for `partitions` partitions. It may use `base_bytes` beside what it gets from
    /// the pool.
    pub fn new(partitions: u32, base_bytes: u64, reservation: Reservation) -> Self {
        Self {
            arena: PageVec::default(),
            entries: PageVec::default(),
            placed: PageVec::default(),
            counts: vec![0; partitions as usize],
            bytes: vec![0; partitions as usize],
            base_bytes,
            reservation,
            used: 0,
        }
    }

    /// True without records.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that the buffer may use now.
    pub fn capacity(&self) -> u64 {
        self.base_bytes + self.reservation.bytes()
    }

    /// Takes a record of `partition`, which must be below the number of partitions.
    #[inline]
    pub fn push(&mut self, partition: u32, key: &[u8], value: &[u8]) -> io::Result<Pushed> {
        let record_bytes = (key.len() + value.len()) as u64;
        let used = self.used + record_bytes + RECORD_COST_BYTES;
        if used > self.capacity() && !self.grow(used) {
            return Ok(Pushed::Full);
        }
        let Ok(offset) = u32::try_from(self.arena.len() + VALUE_LENGTH_BYTES) else {
            return Ok(Pushed::Full);
        };
        let value_bytes = u32::try_from(value.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.arena.extend_all([&value_bytes.to_le_bytes(), key, value])?;
        self.entries.push(Entry::new(key, offset))?;
        if self.counts.len() > 1 {
            self.placed.push(partition)?;
        }
        self.counts[partition as usize] += 1;
        self.bytes[partition as usize] += record_bytes;
        self.used = used;
        Ok(Pushed::Taken)
    }

    /// Sorts by partition and key into a run, and leaves an empty buffer.
    pub fn sort(&mut self) -> io::Result<MemoryRun> {
        let mut run = self.group_partitions()?;
        let arena = Arena(&run.arena);
        for partition in 0..run.bytes.len() {
            let range = run.starts[partition]..run.starts[partition + 1];
            sort_entries(&mut run.entries[range], &arena);
        }
        Ok(run)
    }

    /// As [`SortBuffer::sort`], where each partition's records were pushed in key order already.
    pub fn group_partitions(&mut self) -> io::Result<MemoryRun> {
        let partitions = self.counts.len();
        let empty = self.reservation.pool().reserve();
        let fresh = Self::new(u32::try_from(partitions).unwrap_or(u32::MAX), self.base_bytes, empty);
        let full = std::mem::replace(self, fresh);
        let mut starts = Vec::with_capacity(partitions + 1);
        let mut start = 0usize;
        for count in &full.counts {
            starts.push(start);
            start += usize::try_from(*count).unwrap_or(usize::MAX);
        }
        starts.push(start);
        let entries =
            if partitions == 1 { full.entries } else { scatter(&full.entries, &full.placed, &starts)? };
        Ok(MemoryRun {
            arena: full.arena,
            entries,
            starts,
            bytes: full.bytes,
            reservation: full.reservation,
            retained: None,
        })
    }

    /// Asks the pool for more; false where there is none or offsets would not reach.
    #[cold]
    fn grow(&mut self, used: u64) -> bool {
        if used > ARENA_BYTES_MAX {
            return false;
        }
        let more = used - self.base_bytes;
        self.reservation.grow_to(more.next_multiple_of(RESERVE_STEP_BYTES)) || self.reservation.grow_to(more)
    }
}

/// Entries in partition order, within a partition in the order of emission.
fn scatter(entries: &[Entry], placed: &[u32], starts: &[usize]) -> io::Result<PageVec<Entry>> {
    let mut sorted = PageVec::default();
    sorted.resize_zeroed(entries.len())?;
    let mut next = starts.to_vec();
    let target: &mut [Entry] = &mut sorted;
    for (entry, partition) in entries.iter().zip(placed) {
        let at = &mut next[*partition as usize];
        target[*at] = *entry;
        *at += 1;
    }
    Ok(sorted)
}

struct Arena<'a>(&'a [u8]);

impl Keys for Arena<'_> {
    #[inline]
    fn key(&self, entry: Entry) -> &[u8] {
        let start = entry.offset();
        &self.0[start..start + entry.key_bytes()]
    }
}

/// A sorted run that stays in memory.
#[derive(Debug)]
pub struct MemoryRun {
    arena: PageVec<u8>,
    entries: PageVec<Entry>,
    /// First entry of each partition, and the number of entries.
    starts: Vec<usize>,
    bytes: Vec<u64>,
    reservation: Reservation,
    /// Held by runs that stay until the job's end, on top of the reservation.
    retained: Option<Reservation>,
}

impl MemoryRun {
    /// Number of partitions.
    pub fn partitions(&self) -> usize {
        self.bytes.len()
    }

    /// Number of records of all partitions.
    pub fn records(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Records of a partition.
    pub fn partition_records(&self, partition: usize) -> u64 {
        (self.starts[partition + 1] - self.starts[partition]) as u64
    }

    /// Bytes of keys and values of a partition.
    pub fn partition_bytes(&self, partition: usize) -> u64 {
        self.bytes[partition]
    }

    /// The sorted entries of a partition.
    pub fn entries(&self, partition: usize) -> &[Entry] {
        &self.entries[self.starts[partition]..self.starts[partition + 1]]
    }

    /// Entry number `at` of all.
    #[inline]
    pub(crate) fn entry(&self, at: usize) -> Entry {
        self.entries[at]
    }

    /// Range of a partition's entries among all.
    pub(crate) fn range(&self, partition: usize) -> Range<usize> {
        self.starts[partition]..self.starts[partition + 1]
    }

    /// Key of an entry.
    #[inline]
    pub fn key(&self, entry: Entry) -> &[u8] {
        let start = entry.offset();
        &self.arena[start..start + entry.key_bytes()]
    }

    /// Value of an entry.
    #[inline]
    pub fn value(&self, entry: Entry) -> &[u8] {
        let start = entry.offset() + entry.key_bytes();
        let mut length = [0u8; VALUE_LENGTH_BYTES];
        length.copy_from_slice(&self.arena[entry.offset() - VALUE_LENGTH_BYTES..entry.offset()]);
        &self.arena[start..start + u32::from_le_bytes(length) as usize]
    }

    /// Brings the record of a coming entry nearer, so that reading it does not wait.
    #[inline]
    pub(crate) fn prefetch(&self, at: usize) {
        #[cfg(target_arch = "x86_64")]
        if let Some(entry) = self.entries.get(at) {
            let record = self.arena.as_ptr().wrapping_add(entry.offset() - VALUE_LENGTH_BYTES);
            // SAFETY: a prefetch reads nothing that the program could see, whatever the address.
            unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(record.cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = at;
    }

    /// Share of distinct keys among the records, from 0 to 1, estimated from neighbours in a sample.
    pub fn distinct_share(&self) -> f64 {
        /// Neighbours looked at.
        const SAMPLE: usize = 2048;
        let pairs = self.entries.len().saturating_sub(1);
        if pairs == 0 {
            return 1.0;
        }
        let step = pairs.div_ceil(SAMPLE);
        let (mut looked, mut equal) = (0u32, 0u32);
        for at in (0..pairs).step_by(step) {
            let (a, b) = (self.entries[at], self.entries[at + 1]);
            looked += 1;
            equal += u32::from(self.key(a) == self.key(b));
        }
        1.0 - f64::from(equal) / f64::from(looked)
    }

    /// The entries of each key of a partition that has one of `shares` parts of the run's records, and `least` of
    /// them; some keys of half as many may be among them. A few looks are enough: what lies between two equal
    /// keys of a sorted run is equal, too.
    pub fn hot_ranges(&self, partition: usize, shares: usize, least: usize) -> Vec<Range<usize>> {
        let range = self.range(partition);
        // So many records in a row hold two of those that are looked at.
        let step = ((self.entries.len() / shares.max(1)).max(least) / 2).max(1);
        let mut hot: Vec<Range<usize>> = Vec::new();
        for at in range.clone().step_by(step) {
            let next = at + step;
            if next >= range.end || hot.last().is_some_and(|hot| hot.contains(&next)) {
                continue;
            }
            let key = self.key(self.entries[at]);
            if self.key(self.entries[next]) == key {
                let is_before = |entry: &Entry| self.key(*entry) < key;
                let is_within = |entry: &Entry| self.key(*entry) == key;
                let begin = range.start + self.entries[range.start..at].partition_point(is_before);
                let end = next + self.entries[next..range.end].partition_point(is_within);
                hot.push(begin..end);
            }
        }
        hot
    }

    /// Bytes of memory that the run takes to keep.
    pub fn kept_bytes(&self) -> u64 {
        let index = self.starts.len() * (size_of::<usize>() + size_of::<u64>());
        (self.arena.len() + self.entries.len() * size_of::<Entry>() + index) as u64 + KEPT_SLACK_BYTES
    }

    /// Turns the run into one that stays, counted in `retained` and wholly in the pool; false where
    /// the pool has not so much.
    pub fn retain(&mut self, retained: Reservation) -> Result<bool, Failure> {
        if !self.reservation.grow_to(self.kept_bytes()) {
            return Ok(false);
        }
        let shrunk = self.arena.shrink().and_then(|()| self.entries.shrink());
        shrunk.map_err(|error| Failure::internal(format!("memory cannot be given back: {error}")))?;
        self.reservation.shrink_to(self.kept_bytes());
        self.retained = Some(retained);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::MemoryPool;

    #[test]
    fn a_buffer_sorts_by_partition_and_key_and_stops_at_its_budget() {
        let pool = MemoryPool::new(1 << 20);
        let mut buffer = SortBuffer::new(3, 1000, pool.reserve());
        let mut naive: Vec<Vec<(Vec<u8>, Vec<u8>)>> = vec![Vec::new(); 3];
        for i in 0u32.. {
            let key = format!("{:x}", i.wrapping_mul(0x9e37_79b9) >> 20).into_bytes();
            let value = i.to_string().into_bytes();
            if buffer.push(i % 3, &key, &value).unwrap() == Pushed::Full {
                break;
            }
            naive[(i % 3) as usize].push((key, value));
        }
        assert!(pool.taken() <= 1 << 20 && naive[0].len() > 1000);
        let run = buffer.sort().unwrap();
        for (partition, records) in naive.iter_mut().enumerate() {
            records.sort_by(|a, b| a.0.cmp(&b.0));
            let sorted: Vec<_> = run
                .entries(partition)
                .iter()
                .map(|entry| (run.key(*entry).to_vec(), run.value(*entry).to_vec()))
                .collect();
            assert_eq!(&sorted, records);
            let bytes: usize = records.iter().map(|(key, value)| key.len() + value.len()).sum();
            assert_eq!(run.partition_bytes(partition), bytes as u64);
        }
    }

    #[test]
    fn hot_keys_are_found_and_no_others() {
        for (others, hot) in [(0, 100), (900, 100), (900, 200), (900, 40), (100, 0), (10, 60), (10, 20)] {
            let pool = MemoryPool::new(1 << 20);
            let mut buffer = SortBuffer::new(2, 1000, pool.reserve());
            for i in 0u32..others {
                buffer.push(i % 2, &i.wrapping_mul(0x9e37_79b9).to_be_bytes(), b"").unwrap();
            }
            for _ in 0..hot {
                buffer.push(1, b"8ot!", b"").unwrap();
            }
            let run = buffer.sort().unwrap();
            assert_eq!(run.hot_ranges(0, 10, 50), []);
            let found = run.hot_ranges(1, 10, 50);
            let records: Vec<usize> = found.iter().map(ExactSizeIterator::len).collect();
            let is_hot = hot >= 50 && hot >= (others + hot) / 10;
            assert_eq!(records, if is_hot { vec![hot as usize] } else { vec![] }, "{hot} of {others}");
            assert!(found.into_iter().flatten().all(|at| run.key(run.entry(at)) == b"8ot!"));
        }
    }
}
