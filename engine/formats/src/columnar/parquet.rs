//! Parquet: row groups are what a file is cut at, columns that nobody asked for are not read. Text and bytes
//! are taken as views of their pages, so that a page of a dictionary does not become as much memory as its
//! rows say.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{DataType as Arrow, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression as Codec;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::batches::{BATCH_ROWS, Batches, Rows, damaged};
use super::fields::Plan;
use super::file_bytes::{FileBytes, read_bytes};
use super::pages;
use crate::error::FormatError;
use crate::source::{Source, read_exact_at};

/// First and last bytes of a file.
const MAGIC: &[u8; 4] = b"PAR1";
/// Last bytes of a file with an encrypted footer.
const ENCRYPTED_MAGIC: &[u8; 4] = b"PARE";
/// Bytes of the footer's length and the magic behind it.
const TAIL_BYTES: usize = 8;
/// Decoded bytes of a row group that nobody counts against its stored ones.
const EXPANSION_FREE_BYTES: u64 = 64 * 1024 * 1024;

/// What the footer of a file says.
pub(crate) struct ParquetFile {
    metadata: ArrowReaderMetadata,
    groups: Vec<Group>,
    /// Where the footer begins.
    footer: u64,
}

/// A row group.
#[derive(Debug, Clone, Copy)]
struct Group {
    index: usize,
    /// Where its first byte is, and how many bytes follow.
    offset: u64,
    bytes: u64,
    first_row: u64,
    rows: u64,
}

impl ParquetFile {
    /// Reads the footer.
    pub fn open(source: &dyn Source) -> Result<Self, FormatError> {
        let footer = read_footer(source)?;
        let at = source.bytes() - (TAIL_BYTES + footer.len()) as u64;
        let bad = |error: &dyn std::fmt::Display| damaged(at, error);
        let metadata = ParquetMetaDataReader::decode_metadata(&footer).map_err(|error| bad(&error))?;
        let groups = groups(&metadata, at)?;
        let metadata = Arc::new(metadata);
        // What a writer says of Arrow's types would be another schema than the file's own.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let plain = ArrowReaderMetadata::try_new(metadata.clone(), options.clone());
        let schema = with_views(plain.map_err(|error| bad(&error))?.schema());
        let metadata = ArrowReaderMetadata::try_new(metadata, options.with_schema(Arc::new(schema)));
        Ok(Self { metadata: metadata.map_err(|error| bad(&error))?, groups, footer: at })
    }

    pub fn schema(&self) -> &Schema {
        self.metadata.schema()
    }

    /// Where row groups begin, ascending.
    pub fn places(&self) -> impl Iterator<Item = u64> {
        self.groups.iter().map(|group| group.offset)
    }

    /// What the reader of `range` reads of a file of `bytes` bytes: magic, groups, footer.
    pub fn footprint(&self, bytes: u64, range: &Range<u64>) -> Vec<Range<u64>> {
        let groups = self.groups.iter().filter(|group| range.contains(&group.offset));
        let groups = groups.map(|group| group.offset..group.offset + group.bytes);
        groups.chain([0..MAGIC.len() as u64, self.footer..bytes]).collect()
    }

    /// The rows of the groups that begin in `range`.
    pub fn batches(
        self,
        source: Arc<dyn Source>,
        plan: &Plan,
        range: Range<u64>,
        expansion_max: u64,
    ) -> Result<ParquetBatches, FormatError> {
        let groups: Vec<Group> =
            self.groups.into_iter().filter(|group| range.contains(&group.offset)).collect();
        for group in &groups {
            let decoded = self.metadata.metadata().row_group(group.index).total_byte_size();
            check_expansion(u64::try_from(decoded).unwrap_or(u64::MAX), group, expansion_max)?;
        }
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), plan.indices());
        let groups = groups.into_iter();
        let metadata = self.metadata;
        Ok(ParquetBatches { source, metadata, mask, groups, range, expansion_max, open: None, bytes: 0 })
    }
}

/// The footer, whose length lies within the file.
fn read_footer(source: &dyn Source) -> Result<Vec<u8>, FormatError> {
    let bytes = source.bytes();
    if bytes < (MAGIC.len() + TAIL_BYTES) as u64 {
        return Err(FormatError::bad(0, format!("its {bytes} bytes are too few for a Parquet file")));
    }
    let (mut front, mut tail) = ([0; 4], [0; TAIL_BYTES]);
    read_exact_at(source, 0, &mut front)?;
    read_exact_at(source, bytes - TAIL_BYTES as u64, &mut tail)?;
    let ([a, b, c, d, ..], magic) = (tail, &tail[4..]);
    if magic == ENCRYPTED_MAGIC || front == *ENCRYPTED_MAGIC {
        return Err(FormatError::bad(0, "it is an encrypted Parquet file, which cannot be read"));
    }
    if front != *MAGIC {
        return Err(FormatError::bad(0, "it does not begin as a Parquet file does"));
    }
    if magic != MAGIC {
        let reason = "it does not end as a Parquet file does: it was cut off, or is not complete yet";
        return Err(FormatError::bad(bytes - 4, reason));
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    let room = bytes - (TAIL_BYTES + MAGIC.len()) as u64;
    if length > room {
        let reason =
            format!("it says that its footer has {length} bytes, and there are {room} ahead of this place");
        return Err(FormatError::bad(bytes - TAIL_BYTES as u64, reason));
    }
    read_bytes(source, bytes - TAIL_BYTES as u64 - length, length)
}

/// The row groups with their places, in order of these, each within the bytes ahead of the footer.
fn groups(metadata: &ParquetMetaData, footer: u64) -> Result<Vec<Group>, FormatError> {
    let mut groups = Vec::new();
    let (mut first_row, mut last) = (0_u64, MAGIC.len() as u64);
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let claims =
            || FormatError::bad(footer, format!("its footer says of row group {index} what cannot be"));
        let rows = u64::try_from(group.num_rows()).map_err(|_| claims())?;
        let (mut begin, mut end) = (None, last);
        for column in group.columns() {
            check_codec(column.compression(), footer)?;
            let dictionary = column.dictionary_page_offset().filter(|offset| *offset > 0);
            let offset =
                u64::try_from(dictionary.unwrap_or(column.data_page_offset())).map_err(|_| claims())?;
            let bytes = u64::try_from(column.compressed_size()).map_err(|_| claims())?;
            let behind = offset.checked_add(bytes).filter(|end| *end <= footer).ok_or_else(claims)?;
            begin = Some(begin.map_or(offset, |begin: u64| begin.min(offset)));
            end = end.max(behind);
        }
        // A group of nothing is where the one ahead of it ends.
        let offset = begin.unwrap_or(last);
        groups.push(Group { index, offset, bytes: end.saturating_sub(offset), first_row, rows });
        first_row = first_row.checked_add(rows).ok_or_else(claims)?;
        last = end;
    }
    groups.sort_by_key(|group| group.offset);
    Ok(groups)
}

/// Refuses what no reader here decompresses.
fn check_codec(codec: Codec, footer: u64) -> Result<(), FormatError> {
    use Codec::{GZIP, LZ4, LZ4_RAW, SNAPPY, UNCOMPRESSED, ZSTD};
    if matches!(codec, UNCOMPRESSED | SNAPPY | GZIP(_) | ZSTD(_) | LZ4 | LZ4_RAW) {
        return Ok(());
    }
    let codec = codec.to_string();
    let codec = codec.split('(').next().unwrap_or_default().to_ascii_lowercase();
    let reason =
        format!("its pages are compressed with {codec}; none, snappy, gzip, zstd and lz4 can be read");
    Err(FormatError::bad(footer, reason))
}

/// Refuses a row group that says, in the footer or in its pages, that it becomes more than it may.
fn check_expansion(decoded: u64, group: &Group, expansion_max: u64) -> Result<(), FormatError> {
    if decoded.saturating_sub(EXPANSION_FREE_BYTES) > group.bytes.saturating_mul(expansion_max.max(1)) {
        let reason = format!(
            "the row group that begins here has {} bytes and says that they become {decoded}: more than \
             {expansion_max} for each is refused",
            group.bytes
        );
        return Err(FormatError::bad(group.offset, reason));
    }
    Ok(())
}

/// The schema with views for text and bytes.
fn with_views(schema: &Schema) -> Schema {
    let view = |field: &Arc<Field>| {
        let view = match field.data_type() {
            Arrow::Utf8 | Arrow::LargeUtf8 => Arrow::Utf8View,
            Arrow::Binary | Arrow::LargeBinary => Arrow::BinaryView,
            _ => return field.clone(),
        };
        Arc::new(field.as_ref().clone().with_data_type(view))
    };
    Schema::new(schema.fields().iter().map(view).collect::<Vec<_>>())
}

/// Reads row groups one after another.
pub(crate) struct ParquetBatches {
    source: Arc<dyn Source>,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    groups: std::vec::IntoIter<Group>,
    range: Range<u64>,
    /// Most that each stored byte may become.
    expansion_max: u64,
    /// The open group, its rows that were read, its reader.
    open: Option<(Group, u64, ParquetRecordBatchReader)>,
    bytes: u64,
}

impl Batches for ParquetBatches {
    fn next(&mut self) -> Result<Option<Rows>, FormatError> {
        loop {
            let Some((group, read, reader)) = &mut self.open else {
                let Some(group) = self.groups.next() else { return Ok(None) };
                let decoded = pages::decoded_bytes(
                    &*self.source,
                    self.metadata.metadata().row_group(group.index),
                    &self.mask,
                )?;
                check_expansion(decoded, &group, self.expansion_max)?;
                let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
                    FileBytes::new(self.source.clone()),
                    self.metadata.clone(),
                );
                let reader = builder
                    .with_row_groups(vec![group.index])
                    .with_projection(self.mask.clone())
                    .with_batch_size(BATCH_ROWS)
                    .build()
                    .map_err(|error| damaged(group.offset, &error))?;
                self.bytes = group.offset.saturating_sub(self.range.start);
                self.open = Some((group, 0, reader));
                continue;
            };
            let (group, before) = (*group, *read);
            let Some(batch) = reader.next() else {
                if before != group.rows {
                    let reason =
                        format!("the row group that begins here has {before} rows, not {}", group.rows);
                    return Err(FormatError::bad(group.offset, reason));
                }
                self.open = None;
                continue;
            };
            let batch = batch.map_err(|error| damaged(group.offset, &error))?;
            *read += batch.num_rows() as u64;
            let share = u128::from(group.bytes) * u128::from(*read) / u128::from(group.rows.max(1));
            let share = u64::try_from(share).unwrap_or(u64::MAX).min(group.bytes);
            self.bytes = (group.offset + share).saturating_sub(self.range.start);
            let number = group.first_row + before;
            return Ok(Some(Rows { batch, place: number, number, within: "the file", offset: group.offset }));
        }
    }

    fn bytes_read(&self) -> u64 {
        self.bytes
    }
}
