//! The records of interface `types` in `wit/engine.wit`, field by field, for both kinds of build.
//!
//! The WebAssembly bindings use these very types, so that what runs in a native test is what runs
//! in the sandbox. Must stay in step with the interface: the bindings do not compile otherwise.

use std::ops::Range;

/// Bytes of one entry of `ends`: a little-endian u32.
pub(crate) const END_BYTES: usize = 4;

/// Byte strings laid end to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Column {
    /// Bytes of every cell where `ends` is empty.
    pub width: u32,
    /// End of each cell in `data`, as little-endian u32; empty for a fixed width.
    pub ends: Vec<u8>,
    /// The cells.
    pub data: Vec<u8>,
}

impl Column {
    /// The column for reading.
    pub fn cells(&self) -> Cells<'_> {
        Cells { width: self.width as usize, ends: &self.ends, data: &self.data }
    }

    /// Ends a cell of a column of variable width at the end of the data.
    #[inline]
    pub(crate) fn end_cell(&mut self) {
        // A batch is sent on long before it has 4 GiB; a cell that big traps in the host.
        let end = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
        self.ends.extend_from_slice(&end.to_le_bytes());
    }

    /// Forgets the cells, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.ends.clear();
        self.data.clear();
    }
}

/// A column for reading, wherever its bytes lie.
#[derive(Debug, Clone, Copy)]
pub struct Cells<'a> {
    width: usize,
    ends: &'a [u8],
    data: &'a [u8],
}

impl<'a> Cells<'a> {
    /// A column of one cell.
    pub fn one(cell: &'a [u8]) -> Self {
        Self { width: cell.len(), ends: &[], data: cell }
    }

    /// Where cell `row` lies. Panics past the last row of a column of variable width.
    #[inline]
    fn range(&self, row: usize) -> Range<usize> {
        if self.ends.is_empty() {
            return row * self.width..(row + 1) * self.width;
        }
        let start = if row == 0 { 0 } else { self.end(row - 1) };
        start..self.end(row)
    }

    /// Cell `row`. Panics past the last row, as a malformed batch from the host must.
    #[inline]
    pub fn cell(&self, row: usize) -> &'a [u8] {
        &self.data[self.range(row)]
    }

    #[inline]
    fn end(&self, row: usize) -> usize {
        read_end(self.ends, row)
    }
}

/// Entry `row` of a packed list of little-endian u32.
#[inline]
pub(crate) fn read_end(ends: &[u8], row: usize) -> usize {
    u32::from_le_bytes(ends.as_chunks::<END_BYTES>().0[row]) as usize
}

/// Ungrouped records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Number of records.
    pub rows: u32,
    /// Key of each record.
    pub keys: Column,
    /// Value of each record.
    pub values: Column,
}

impl Batch {
    /// All records in order, encoded.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (keys, values) = (self.keys.cells(), self.values.cells());
        (0..self.rows as usize).map(move |row| (keys.cell(row), values.cell(row)))
    }

    /// Forgets the records, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.rows = 0;
        self.keys.clear();
        self.values.clear();
    }
}

/// Records grouped by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupedBatch {
    /// Number of groups.
    pub groups: u32,
    /// Key of each group.
    pub keys: Column,
    /// End of each group in `values`, in rows, as little-endian u32.
    pub ends: Vec<u8>,
    /// Number of values.
    pub rows: u32,
    /// Values of all groups.
    pub values: Column,
    /// The last group goes on.
    pub more: bool,
}

/// What a task is told about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskContext {
    /// The job.
    pub job_id: String,
    /// Stage number in the job, from 0.
    pub stage: u32,
    /// Task number in the stage.
    pub task: u32,
    /// Number of the attempt, from 0.
    pub attempt: u32,
    /// Number of partitions of the output, 0 for none.
    pub partitions: u32,
    /// Equal for all attempts of a task.
    pub seed: u64,
    /// Size that output batches aim for, in bytes.
    pub batch_bytes: u32,
    /// Names of the outputs.
    pub outputs: Vec<String>,
}

/// How an error is answered by the engine.
#[repr(u8)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Another attempt would fail the same way.
    InvalidInput,
    /// Worth another attempt.
    Transient,
    /// Fails the job at once.
    Fatal,
}

/// An error as it crosses the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What to do about it.
    pub kind: ErrorKind,
    /// For people.
    pub message: String,
    /// Row or group of the input batch that is to blame.
    pub row: Option<u32>,
}
