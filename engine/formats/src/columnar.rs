//! Formats with a schema and rows in groups: Parquet, Arrow IPC, Avro. Their crates make columns of what is in
//! a file; here columns become rows, and their places.
//!
//! A row's place, which its key tells unless fields are its key, is its number in the file for Parquet and
//! Arrow; for Avro, whose files do not count rows, it is the offset of its block plus its number therein,
//! which ascends and comes once as well. The offset of all of a group's rows is that of the group.

mod arrow;
mod avro;
mod batches;
mod fields;
mod file_bytes;
mod lanes;
mod pages;
mod parquet;
mod rows;
mod show;
mod views;

use std::ops::Range;
use std::sync::Arc;

use mr_model::{Fields, InputFormat, Row};

use crate::error::FormatError;
use crate::open::{Cuts, ReadOptions, RecordReader};
use crate::source::Source;
pub use batches::panics_are_caught;
use batches::{Batches, ColumnarReader, guarded};
use fields::Plan;

/// Opens a reader of the row groups that begin in `range`.
pub(crate) fn open(
    source: Arc<dyn Source>,
    format: InputFormat,
    range: Range<u64>,
    options: ReadOptions,
) -> Result<Box<dyn RecordReader>, FormatError> {
    guarded(0, || {
        let row = options.row.clone().unwrap_or_default();
        let (batches, plan): (Box<dyn Batches>, Plan) = match format {
            InputFormat::Arrow => {
                let file = arrow::ArrowFile::open(&*source)?;
                let plan = Plan::new(&file.schema, &row)?;
                (Box::new(file.batches(source, &plan, range.clone(), options.expansion_max)?), plan)
            }
            InputFormat::Avro => {
                let file = avro::AvroFile::open(&*source)?;
                let plan = Plan::new(&file.schema, &row)?;
                (Box::new(file.batches(source, &plan, range.clone(), options.expansion_max)?), plan)
            }
            _ => {
                let file = parquet::ParquetFile::open(&*source)?;
                let plan = Plan::new(file.schema(), &row)?;
                (Box::new(file.batches(source, &plan, range.clone(), options.expansion_max)?), plan)
            }
        };
        let reader: Box<dyn RecordReader> = Box::new(ColumnarReader::new(batches, plan, range, options));
        Ok(reader)
    })
}

/// Where row groups begin.
pub(crate) fn cuts(source: &dyn Source, format: InputFormat, split_bytes: u64) -> Result<Cuts, FormatError> {
    guarded(0, || match format {
        // Sync markers are found from anywhere.
        InputFormat::Avro => avro::AvroFile::open(source).map(|_| Cuts::Anywhere),
        InputFormat::Arrow => Ok(Cuts::At(thinned(arrow::ArrowFile::open(source)?.places(), split_bytes))),
        _ => Ok(Cuts::At(thinned(parquet::ParquetFile::open(source)?.places(), split_bytes))),
    })
}

/// What the reader of `range` reads of the file, ascending and apart.
pub(crate) fn footprint(
    source: &dyn Source,
    format: InputFormat,
    range: &Range<u64>,
) -> Result<Vec<Range<u64>>, FormatError> {
    let parts = guarded(0, || match format {
        InputFormat::Arrow => Ok(arrow::ArrowFile::open(source)?.footprint(source.bytes(), range)),
        InputFormat::Avro => avro::AvroFile::open(source)?.footprint(source, range),
        _ => Ok(parquet::ParquetFile::open(source)?.footprint(source.bytes(), range)),
    })?;
    Ok(joined(parts))
}

/// Ranges in order, those that meet as one.
fn joined(mut parts: Vec<Range<u64>>) -> Vec<Range<u64>> {
    parts.retain(|part| part.start < part.end);
    parts.sort_by_key(|part| part.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
            _ => joined.push(part),
        }
    }
    joined
}

/// Fields by the schema of the file.
pub(crate) fn describe(
    source: &dyn Source,
    format: InputFormat,
    asked: Option<&Fields>,
    key: Option<&Fields>,
) -> Result<Row, FormatError> {
    guarded(0, || match format {
        InputFormat::Arrow => fields::describe(&arrow::ArrowFile::open(source)?.schema, asked, key),
        InputFormat::Avro => fields::describe(&avro::AvroFile::open(source)?.schema, asked, key),
        _ => fields::describe(parquet::ParquetFile::open(source)?.schema(), asked, key),
    })
}

/// Of ascending places those that cut a file into ranges of about `split_bytes`: groups that are a little
/// smaller than that are ranges of their own.
fn thinned(places: impl Iterator<Item = u64>, split_bytes: u64) -> Vec<u64> {
    let apart = split_bytes - split_bytes / 4;
    let mut last = 0;
    let far = |place: &u64| {
        let far = *place - last >= apart.max(1);
        if far {
            last = *place;
        }
        far
    };
    places.filter(far).collect()
}

#[cfg(test)]
mod tests;
