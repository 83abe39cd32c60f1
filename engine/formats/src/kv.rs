//! The engine's own file of keys and values.

use std::ops::Range;
use std::sync::Arc;

use mr_model::StageTypes;

use crate::error::FormatError;
use crate::open::{Cuts, ReadOptions, RecordReader};
use crate::source::Source;

/// Opens a reader of the blocks that begin in `range`.
pub(crate) fn open(
    _source: Arc<dyn Source>,
    _range: Range<u64>,
    _options: ReadOptions,
) -> Result<Box<dyn RecordReader>, FormatError> {
    Err(FormatError::bad(0, "kv files cannot be read yet"))
}

/// Where blocks begin.
pub(crate) fn cuts(_source: &dyn Source, _split_bytes: u64) -> Result<Cuts, FormatError> {
    Err(FormatError::bad(0, "kv files cannot be read yet"))
}

/// Types of keys and values.
pub(crate) fn types(_source: &dyn Source) -> Result<StageTypes, FormatError> {
    Err(FormatError::bad(0, "kv files cannot be read yet"))
}
