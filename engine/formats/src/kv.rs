//! The engine's own file of keys and values: written by one job, read by the next at the speed of memory.

mod layout;
mod read;
mod write;

use std::ops::Range;
use std::sync::Arc;

use mr_model::StageTypes;

use crate::error::FormatError;
use crate::open::{Cuts, ReadOptions, RecordReader};
use crate::source::Source;

pub use write::KvWriter;

/// Opens a reader of the blocks that begin in `range`.
pub(crate) fn open(
    source: Arc<dyn Source>,
    range: Range<u64>,
    options: ReadOptions,
) -> Result<Box<dyn RecordReader>, FormatError> {
    Ok(Box::new(read::KvReader::open(source, range, &options)?))
}

/// Where blocks begin.
pub(crate) fn cuts(source: &dyn Source, split_bytes: u64) -> Result<Cuts, FormatError> {
    read::cuts(source, split_bytes)
}

/// What the reader of `range` reads of the file.
pub(crate) fn footprint(source: &dyn Source, range: &Range<u64>) -> Result<Vec<Range<u64>>, FormatError> {
    read::KvFile::open(source)?.footprint(source, range)
}

/// Types of keys and values.
pub(crate) fn types(source: &dyn Source) -> Result<StageTypes, FormatError> {
    Ok(read::KvFile::open(source)?.types)
}

#[cfg(test)]
mod tests;
