//! Groups of a sorted stream, packed into batches. A group larger than a batch goes on through
//! [`GroupReader::next_values`]. The largest are noted on the way.

use mr_model::{ColumnBuf, Failure, GroupedBatchBuf};

use crate::merge::Merge;
use crate::prefix::KeyPrefix;

/// Most groups that are noted as large: where those count that have more than a tenth of all records, there
/// cannot be more of them.
pub const LARGE_GROUPS_MAX: usize = 9;
/// Bytes kept of the key of a large group.
const LARGE_KEY_BYTES_MAX: usize = 4096;

/// A group of many records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LargeGroup {
    /// Its key, or where that is long the beginning of it.
    pub key: Vec<u8>,
    /// Its records.
    pub records: u64,
    /// Their bytes of keys and values.
    pub bytes: u64,
}

/// Reads a merged stream group by group.
#[derive(Debug)]
pub struct GroupReader {
    merge: Merge,
    batch_bytes: usize,
    /// What of a key makes a group; none for all of it.
    prefix: Option<KeyPrefix>,
    /// Key of the group that went on past its batch.
    open_key: Vec<u8>,
    open: Option<Bound>,
    /// Records and bytes passed where the group begins that is read.
    begun: (u64, u64),
    /// Records from which on a group is noted.
    large_min: u64,
    large: Vec<LargeGroup>,
}

/// How the end of a group is seen.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// Its records have one key, of this rank.
    Key(u128),
    /// Their keys begin alike.
    Prefix,
}

impl Bound {
    /// True where the merge is at a record of the group with this key.
    #[inline]
    fn holds(self, merge: &Merge, key: &[u8]) -> bool {
        match self {
            Bound::Key(rank) => merge.key_is(rank, key),
            Bound::Prefix => merge.key_begins(key),
        }
    }
}

impl GroupReader {
    /// Groups of `merge`, in batches of about `batch_bytes` bytes. With a `prefix` the key of a group is
    /// that prefix of its records' keys, and its values come in the order of what is behind it.
    pub fn new(merge: Merge, batch_bytes: usize, prefix: Option<KeyPrefix>) -> Self {
        Self {
            merge,
            batch_bytes: batch_bytes.max(1),
            prefix,
            open_key: Vec::new(),
            open: None,
            begun: (0, 0),
            large_min: u64::MAX,
            large: Vec::new(),
        }
    }

    /// Notes groups of `records` records and more, the first [`LARGE_GROUPS_MAX`] of them.
    #[must_use]
    pub fn noting(self, records: u64) -> Self {
        Self { large_min: records, ..self }
    }

    /// The groups noted so far.
    pub fn large(&self) -> &[LargeGroup] {
        &self.large
    }

    /// Fills `batch` with the next groups; false at the end. What is left of a group that went on is
    /// passed over, since its reducer has returned.
    ///
    /// # Errors
    /// A source of the merge that cannot be read, or a key without the prefix.
    pub fn next_batch(&mut self, batch: &mut GroupedBatchBuf) -> Result<bool, Failure> {
        self.skip_open()?;
        batch.clear();
        while let Some(rank) = self.merge.rank() {
            if batch.size() >= self.batch_bytes {
                return Ok(true);
            }
            let key_start = batch.keys.bytes();
            self.begun = self.merge.passed();
            let bound = match &self.prefix {
                None => {
                    batch.keys.push(self.merge.key());
                    Bound::Key(rank)
                }
                Some(prefix) => {
                    batch.keys.push(prefix.of(self.merge.key()).ok_or_else(|| without(prefix))?);
                    Bound::Prefix
                }
            };
            if self.fill_group(batch, key_start, bound)? {
                return Ok(true);
            }
            batch.close_group();
        }
        Ok(batch.groups() > 0)
    }

    /// Passes over the next group; false at the end.
    ///
    /// # Errors
    /// As [`GroupReader::next_batch`].
    pub fn pass_group(&mut self) -> Result<bool, Failure> {
        self.skip_open()?;
        let Some(rank) = self.merge.rank() else { return Ok(false) };
        self.begun = self.merge.passed();
        self.open_key.clear();
        let (key, bound) = match &self.prefix {
            None => (self.merge.key(), Bound::Key(rank)),
            Some(prefix) => (prefix.of(self.merge.key()).ok_or_else(|| without(prefix))?, Bound::Prefix),
        };
        self.open_key.extend_from_slice(key);
        self.open = Some(bound);
        self.skip_open()?;
        Ok(true)
    }

    /// Adds the values of the group whose key was pushed; true where the batch is full before its end.
    #[inline]
    fn fill_group(
        &mut self,
        batch: &mut GroupedBatchBuf,
        key_start: usize,
        bound: Bound,
    ) -> Result<bool, Failure> {
        loop {
            batch.values.push(self.merge.value());
            self.merge.advance()?;
            if !bound.holds(&self.merge, &batch.keys.view().data()[key_start..]) {
                if self.is_large() {
                    self.note(&batch.keys.view().data()[key_start..]);
                }
                return Ok(false);
            }
            if batch.size() >= self.batch_bytes {
                batch.close_group();
                batch.more = true;
                self.open_key.clear();
                self.open_key.extend_from_slice(&batch.keys.view().data()[key_start..]);
                self.open = Some(bound);
                return Ok(true);
            }
        }
    }

    /// Fills `values` with the next ones of the group that goes on; false at its end.
    pub fn next_values(&mut self, values: &mut ColumnBuf) -> Result<bool, Failure> {
        values.clear();
        let Some(bound) = self.open else { return Ok(false) };
        while bound.holds(&self.merge, &self.open_key) {
            if values.size() >= self.batch_bytes {
                return Ok(true);
            }
            values.push(self.merge.value());
            self.merge.advance()?;
        }
        self.end_open();
        Ok(values.rows() > 0)
    }

    /// Whether the group that was passed is to be noted.
    #[inline]
    fn is_large(&self) -> bool {
        self.merge.passed().0 - self.begun.0 >= self.large_min
    }

    #[cold]
    fn note(&mut self, key: &[u8]) {
        if self.large.len() < LARGE_GROUPS_MAX {
            let (passed, begun) = (self.merge.passed(), self.begun);
            let key = key[..key.len().min(LARGE_KEY_BYTES_MAX)].to_vec();
            self.large.push(LargeGroup { key, records: passed.0 - begun.0, bytes: passed.1 - begun.1 });
        }
    }

    fn end_open(&mut self) {
        self.open = None;
        if self.is_large() {
            let key = std::mem::take(&mut self.open_key);
            self.note(&key);
        }
    }

    /// Records and bytes read from the merged stream.
    pub fn passed(&self) -> (u64, u64) {
        self.merge.passed()
    }

    fn skip_open(&mut self) -> Result<(), Failure> {
        if let Some(bound) = self.open {
            while bound.holds(&self.merge, &self.open_key) {
                self.merge.advance()?;
            }
            self.end_open();
        }
        Ok(())
    }
}

/// Map tasks do not let such a key pass.
#[cold]
fn without(prefix: &KeyPrefix) -> Failure {
    Failure::internal(format!("a key of the shuffle does not begin with a {}", prefix.datatype()))
}
