//! Avro object container files. Blocks are found by the file's sync marker from anywhere, so that ranges need
//! no index. Decoded here and not by a crate: the ones there are go on without end where a block's count and
//! its bytes disagree, or lose rows without a word.

mod codec;
mod schema;
mod values;

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use memchr::memmem::Finder;

use super::batches::{BATCH_ROWS, Batches, Rows};
use super::fields::Plan;
use super::file_bytes::read_bytes;
use crate::error::FormatError;
use crate::source::{Source, read_exact_at};
use codec::Codec;
use schema::Types;
use values::{Decoder, Input};

/// First bytes of a file.
const MAGIC: &[u8; 4] = b"Obj\x01";
/// Bytes of a sync marker.
const SYNC_BYTES: usize = 16;
/// Most bytes of a file's header: the schema is all there should be.
const HEADER_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most bytes of a block, as it lies and decoded: it is in memory as a whole.
const BLOCK_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most bytes of a block's two numbers.
const BLOCK_HEAD_BYTES_MAX: u64 = 20;
/// Bytes that are searched for a sync marker at a time.
const SEARCH_BYTES: u64 = 64 * 1024;

/// What the header of a file says.
pub(crate) struct AvroFile {
    pub schema: SchemaRef,
    types: Arc<Types>,
    codec: Codec,
    sync: [u8; SYNC_BYTES],
    /// Where the first block begins.
    header_bytes: u64,
}

impl AvroFile {
    /// Reads the header.
    pub fn open(source: &dyn Source) -> Result<Self, FormatError> {
        let length = source.bytes().min(HEADER_BYTES_MAX);
        // A header is small, mostly; only one that is not is read as far as it may be.
        let short = length.min(SEARCH_BYTES);
        let bytes = read_bytes(source, 0, short)?;
        if !bytes.starts_with(MAGIC) {
            return Err(FormatError::bad(0, "it does not begin as an Avro file does"));
        }
        let header = parse_header(&bytes);
        let header = match header {
            None if short < length => parse_header(&read_bytes(source, 0, length)?),
            header => header,
        };
        let Some(Header { schema, codec, sync, bytes }) = header else {
            return Err(FormatError::bad(0, "its header is damaged, or cut off"));
        };
        let types = Types::parse(&schema).map_err(|reason| FormatError::bad(0, reason))?;
        let codec = Codec::of_name(&codec).map_err(|reason| FormatError::bad(0, reason))?;
        let field = |(name, index): &(String, usize)| {
            let (datatype, nullable) = types.arrow(*index);
            Field::new(name, datatype, nullable)
        };
        let schema = Arc::new(Schema::new(types.fields.iter().map(field).collect::<Vec<_>>()));
        Ok(Self { schema, types: Arc::new(types), codec, sync, header_bytes: bytes })
    }

    /// The rows of the blocks that begin in `range`.
    pub fn batches(
        self,
        source: Arc<dyn Source>,
        plan: &Plan,
        range: Range<u64>,
        expansion_max: u64,
    ) -> Result<AvroBatches, FormatError> {
        let next = self.first_block(&*source, &range)?;
        let decoder = Decoder::new(self.types.clone(), &self.schema, &plan.indices());
        let (codec, sync) = (self.codec, self.sync);
        Ok(AvroBatches { source, codec, sync, decoder, range, expansion_max, next, open: None })
    }

    /// Where the first block of a range begins; the end of the range if none does.
    fn first_block(&self, source: &dyn Source, range: &Range<u64>) -> Result<u64, FormatError> {
        if range.start <= self.header_bytes {
            return Ok(self.header_bytes);
        }
        let finder = Finder::new(&self.sync);
        let mut at = range.start - SYNC_BYTES as u64;
        while at < range.end {
            let length = (SEARCH_BYTES + SYNC_BYTES as u64).min(source.bytes() - at);
            let bytes = read_bytes(source, at, length)?;
            if let Some(found) = finder.find(&bytes) {
                return Ok(at + (found + SYNC_BYTES) as u64);
            }
            at += SEARCH_BYTES;
        }
        Ok(range.end)
    }
}

/// What is in a header.
struct Header {
    schema: Vec<u8>,
    codec: Vec<u8>,
    sync: [u8; SYNC_BYTES],
    bytes: u64,
}

/// Reads a header; none where it is not whole.
fn parse_header(bytes: &[u8]) -> Option<Header> {
    let mut input = Input::new(bytes.get(MAGIC.len()..)?);
    let (mut schema, mut codec) = (None, b"null".to_vec());
    loop {
        let count = input.block_count()?;
        if count == 0 {
            break;
        }
        for _ in 0..count {
            let (name, value) = (input.bytes()?, input.bytes()?);
            match name {
                b"avro.schema" => schema = Some(value.to_vec()),
                b"avro.codec" => codec = value.to_vec(),
                _ => {}
            }
        }
    }
    let sync = *input.take(SYNC_BYTES)?.first_chunk()?;
    let bytes = (MAGIC.len() + input.position()) as u64;
    Some(Header { schema: schema?, codec, sync, bytes })
}

/// Reads blocks one after another.
pub(crate) struct AvroBatches {
    source: Arc<dyn Source>,
    codec: Codec,
    sync: [u8; SYNC_BYTES],
    decoder: Decoder,
    range: Range<u64>,
    expansion_max: u64,
    /// Where the next block begins.
    next: u64,
    open: Option<Block>,
}

/// A block that is being read.
struct Block {
    offset: u64,
    data: Vec<u8>,
    /// Bytes and rows of it that were read, and all of its rows.
    at: usize,
    row: u64,
    rows: u64,
}

impl AvroBatches {
    fn read_block(&self, offset: u64) -> Result<(Block, u64), FormatError> {
        let damaged =
            |reason: &str| FormatError::bad(offset, format!("the Avro block that begins here {reason}"));
        let left = self.source.bytes() - offset;
        let head = read_bytes(&*self.source, offset, left.min(BLOCK_HEAD_BYTES_MAX))?;
        let mut input = Input::new(&head);
        let numbers = input.long().zip(input.long());
        let numbers =
            numbers.and_then(|(rows, bytes)| Some((u64::try_from(rows).ok()?, u64::try_from(bytes).ok()?)));
        let Some((rows, bytes)) = numbers else { return Err(damaged("is damaged, or cut off")) };
        let from = offset + input.position() as u64;
        let end = from.checked_add(bytes).and_then(|end| end.checked_add(SYNC_BYTES as u64));
        let Some(end) = end.filter(|end| *end <= self.source.bytes()) else {
            return Err(damaged("says that more follows than the file has: it is damaged, or cut off"));
        };
        if bytes > BLOCK_BYTES_MAX {
            return Err(damaged("is too large to be read: write the file with smaller blocks"));
        }
        let mut sync = [0; SYNC_BYTES];
        read_exact_at(&*self.source, end - SYNC_BYTES as u64, &mut sync)?;
        if sync != self.sync {
            return Err(damaged("does not end with the marker of the file: it is damaged"));
        }
        let stored = read_bytes(&*self.source, from, bytes)?;
        let data = self
            .codec
            .decode(stored, BLOCK_BYTES_MAX, self.expansion_max)
            .map_err(|reason| damaged(&reason))?;
        // Rows without a byte have no values, either.
        if rows > data.len() as u64 {
            return Err(damaged("says that it has more rows than bytes"));
        }
        Ok((Block { offset, data, at: 0, row: 0, rows }, end))
    }
}

impl Batches for AvroBatches {
    fn next(&mut self) -> Result<Option<Rows>, FormatError> {
        loop {
            let Some(mut block) = self.open.take() else {
                if self.next >= self.range.end.min(self.source.bytes()) {
                    return Ok(None);
                }
                let (block, end) = self.read_block(self.next)?;
                (self.open, self.next) = (Some(block), end);
                continue;
            };
            let offset = block.offset;
            if block.row == block.rows {
                if block.at != block.data.len() {
                    let reason =
                        "the Avro block that begins here has bytes behind its last row: it is damaged";
                    return Err(FormatError::bad(offset, reason));
                }
                continue;
            }
            let rows =
                usize::try_from(block.rows - block.row).map_or(BATCH_ROWS, |rows| rows.min(BATCH_ROWS));
            let (batch, read) = self.decoder.decode(&block.data[block.at..], rows).map_err(|reason| {
                let number = block.row;
                FormatError::bad(
                    offset,
                    format!("the Avro block that begins here is damaged in or behind row {number}: {reason}"),
                )
            })?;
            let number = block.row;
            block.at += read;
            block.row += rows as u64;
            self.open = Some(block);
            return Ok(Some(Rows {
                batch,
                place: offset + number,
                number,
                within: "its Avro block",
                offset,
            }));
        }
    }

    fn bytes_read(&self) -> u64 {
        self.next.saturating_sub(self.range.start)
    }
}
