//! Records as rows of a Parquet file. Columns are gathered in Arrow arrays, pages and row groups are the
//! parquet crate's. Nothing of the machine or the clock goes into the file.

use std::fmt;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType as ArrowType, Field, Schema, SchemaRef};
use mr_model::{DataType, StageTypes};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::columns::{Cell, Columns, Kind, OutColumn, Row};
use super::error::EncodeError;

/// Encoded bytes of a row group: it is held in memory until it is full, and is what a reader's splits are
/// made of. Files that are written at once share them.
pub(crate) const ROW_GROUP_BYTES: usize = 16 * 1024 * 1024;
/// Least bytes of a row group: below, what the footer says of it weighs more than it is worth.
const ROW_GROUP_BYTES_MIN: usize = 1024 * 1024;
/// Bytes of keys and values that are handed to the writer at a time, and rows.
const BATCH_BYTES: usize = 1024 * 1024;
const BATCH_ROWS: usize = 8 * 1024;
/// Most bytes of an unfinished page, and of a dictionary, of one column: the crate's own default.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of the unfinished pages of all columns of all files together: with many of them, pages are smaller.
const PAGES_BYTES: usize = 8 * 1024 * 1024;
/// Least bytes of a page: below, headers weigh more than they are worth.
const PAGE_BYTES_MIN: usize = 64 * 1024;
/// What a column takes for compressing, in bytes: tables of Zstandard, with room.
const COMPRESSOR_BYTES: usize = 768 * 1024;

/// Writes one Parquet file.
pub(crate) struct ParquetWriter {
    columns: Columns,
    schema: SchemaRef,
    builders: Vec<Builder>,
    row: Row,
    rows: usize,
    bytes: usize,
    /// Bytes with which a row group is full, and those of a page.
    group_bytes: usize,
    page_bytes: usize,
    /// None once the file is finished, or after an error.
    writer: Option<ArrowWriter<Vec<u8>>>,
}

/// Gathers the values of a column.
enum Builder {
    U64(UInt64Builder),
    S64(Int64Builder),
    F64(Float64Builder),
    Bool(BooleanBuilder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
}

impl fmt::Debug for ParquetWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetWriter").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl ParquetWriter {
    /// A writer of one of `files` that are written at once.
    pub fn new(types: &StageTypes, names: Option<&[String]>, files: usize) -> Result<Self, String> {
        let columns = Columns::new(types, names, &DataType::Bytes, Some("Parquet"))?;
        if columns.all.is_empty() {
            return Err("a Parquet file needs a column, and keys and values are of type unit".into());
        }
        let schema = Arc::new(Schema::new(columns.all.iter().map(field).collect::<Vec<_>>()));
        let files = files.max(1);
        let page_bytes = PAGES_BYTES / files / columns.all.len();
        let page_bytes = page_bytes.clamp(PAGE_BYTES_MIN, PAGE_BYTES_MAX);
        let group_bytes = (ROW_GROUP_BYTES / files).max(ROW_GROUP_BYTES_MIN);
        let properties = WriterProperties::builder()
            .set_created_by("mr-engine".into())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_data_page_size_limit(page_bytes)
            .set_dictionary_page_size_limit(page_bytes)
            // Rows would end a row group ahead of its bytes.
            .set_max_row_group_row_count(None)
            .build();
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options)
            .map_err(|error| format!("a Parquet file cannot hold the types of the output: {error}"))?;
        let builders = columns.all.iter().map(Builder::new).collect();
        Ok(Self {
            columns,
            schema,
            builders,
            row: Row::default(),
            rows: 0,
            bytes: 0,
            group_bytes,
            page_bytes,
            writer: Some(writer),
        })
    }

    /// Most memory that it takes, in bytes, beside a long record: a row group in pages and, once it is full, put
    /// together; for each column what finds the words of its dictionary, and compresses; what is gathered.
    pub fn memory_bytes(&self) -> usize {
        let columns = self.columns.all.len() * (2 * self.page_bytes + COMPRESSOR_BYTES);
        2 * self.group_bytes + columns + 3 * BATCH_BYTES
    }

    #[inline]
    pub fn encode(&mut self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.columns.read(key, value, &mut self.row)?;
        for (i, builder) in self.builders.iter_mut().enumerate() {
            builder.push(self.row.cell(i, key, value));
        }
        self.rows += 1;
        self.bytes += key.len() + value.len();
        if self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES { self.write(out) } else { Ok(()) }
    }

    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.write(out)?;
        let writer = self.writer.take().ok_or_else(finished)?;
        out.append(&mut writer.into_inner().map_err(|error| failed(&error))?);
        Ok(())
    }

    /// Hands what was gathered to the writer, and to `out` what that has ready.
    fn write(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut writer = self.writer.take().ok_or_else(finished)?;
        if self.rows > 0 {
            let arrays = self.builders.iter_mut().map(Builder::finish).collect();
            let batch = RecordBatch::try_new(self.schema.clone(), arrays);
            let written = batch.map_err(ParquetError::from).and_then(|batch| writer.write(&batch));
            written.map_err(|error| failed(&error))?;
            if writer.in_progress_size() >= self.group_bytes {
                writer.flush().map_err(|error| failed(&error))?;
            }
        }
        if out.is_empty() {
            // A row group is not copied.
            *out = std::mem::take(writer.inner_mut());
        } else {
            out.append(writer.inner_mut());
        }
        (self.rows, self.bytes, self.writer) = (0, 0, Some(writer));
        Ok(())
    }
}

impl Builder {
    fn new(column: &OutColumn) -> Self {
        match column.kind {
            Kind::U64 => Builder::U64(UInt64Builder::new()),
            Kind::S64 => Builder::S64(Int64Builder::new()),
            Kind::F64 => Builder::F64(Float64Builder::new()),
            Kind::Bool => Builder::Bool(BooleanBuilder::new()),
            Kind::Text => Builder::Text(StringBuilder::new()),
            Kind::Bytes => Builder::Bytes(BinaryBuilder::new()),
        }
    }

    /// Takes a cell, which is of the column's kind or null.
    #[inline]
    fn push(&mut self, cell: Cell<'_>) {
        match self {
            Builder::U64(builder) => builder.append_option(match cell {
                Cell::U64(number) => Some(number),
                _ => None,
            }),
            Builder::S64(builder) => builder.append_option(match cell {
                Cell::S64(number) => Some(number),
                _ => None,
            }),
            Builder::F64(builder) => builder.append_option(match cell {
                Cell::F64(number) => Some(number),
                _ => None,
            }),
            Builder::Bool(builder) => builder.append_option(match cell {
                Cell::Bool(truth) => Some(truth),
                _ => None,
            }),
            Builder::Text(builder) => builder.append_option(match cell {
                // The columns refuse what is not UTF-8.
                Cell::Bytes(text) => std::str::from_utf8(text).ok(),
                _ => None,
            }),
            Builder::Bytes(builder) => builder.append_option(match cell {
                Cell::Bytes(bytes) => Some(bytes),
                _ => None,
            }),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::U64(builder) => Arc::new(builder.finish()),
            Builder::S64(builder) => Arc::new(builder.finish()),
            Builder::F64(builder) => Arc::new(builder.finish()),
            Builder::Bool(builder) => Arc::new(builder.finish()),
            Builder::Text(builder) => Arc::new(builder.finish()),
            Builder::Bytes(builder) => Arc::new(builder.finish()),
        }
    }
}

fn field(column: &OutColumn) -> Field {
    let datatype = match column.kind {
        Kind::U64 => ArrowType::UInt64,
        Kind::S64 => ArrowType::Int64,
        Kind::F64 => ArrowType::Float64,
        Kind::Bool => ArrowType::Boolean,
        Kind::Text => ArrowType::Utf8,
        Kind::Bytes => ArrowType::Binary,
    };
    Field::new(&column.name, datatype, column.nullable)
}

fn failed(error: &ParquetError) -> EncodeError {
    EncodeError::Writer { format: "Parquet", reason: error.to_string() }
}

fn finished() -> EncodeError {
    EncodeError::Writer { format: "Parquet", reason: "it was finished, or failed, before".into() }
}
