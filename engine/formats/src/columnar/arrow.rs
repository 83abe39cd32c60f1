//! Arrow IPC, the file format: record batches are what a file is cut at, and are read whole. What a batch
//! claims to be is checked before it is decoded.

use std::ops::Range;
use std::sync::Arc;

use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::{Block, Message, RecordBatch, root_as_footer, root_as_message};
use arrow_schema::SchemaRef;

use super::batches::{Batches, Rows, damaged};
use super::fields::Plan;
use super::file_bytes::read_bytes;
use crate::error::FormatError;
use crate::source::{Source, read_exact_at};

/// First and last bytes of a file.
const MAGIC: &[u8; 6] = b"ARROW1";
/// Bytes of the footer's length and the magic behind it.
const TAIL_BYTES: usize = 10;
/// Most bytes of a record batch (or dictionary), as it lies and decoded: it is in memory as a whole.
const BATCH_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Decoded bytes of a batch that nobody counts against its stored ones.
const EXPANSION_FREE_BYTES: u64 = 64 * 1024 * 1024;

/// What the footer of a file says.
pub(crate) struct ArrowFile {
    pub schema: SchemaRef,
    version: arrow_ipc::MetadataVersion,
    dictionaries: Vec<Block>,
    batches: Vec<Block>,
    /// Where the footer begins.
    footer: u64,
}

impl ArrowFile {
    /// Reads the footer.
    pub fn open(source: &dyn Source) -> Result<Self, FormatError> {
        let (footer, at) = read_footer(source)?;
        let parsed = root_as_footer(&footer).map_err(|error| damaged(at, &error))?;
        let schema = parsed.schema().ok_or_else(|| FormatError::bad(at, "its footer has no schema"))?;
        let schema = Arc::new(try_fb_to_schema(schema).map_err(|error| damaged(at, &error))?);
        let dictionaries = parsed.dictionaries().iter().flatten().copied().collect();
        let mut batches: Vec<Block> = parsed.recordBatches().iter().flatten().copied().collect();
        batches.sort_by_key(Block::offset);
        let file = Self { schema, version: parsed.version(), dictionaries, batches, footer: at };
        for block in file.dictionaries.iter().chain(&file.batches) {
            file.check(block)?;
        }
        Ok(file)
    }

    /// Where record batches begin, ascending.
    pub fn places(&self) -> impl Iterator<Item = u64> {
        self.batches.iter().map(|block| block.offset().cast_unsigned())
    }

    /// The rows of the record batches that begin in `range`.
    pub fn batches(
        self,
        source: Arc<dyn Source>,
        plan: &Plan,
        range: Range<u64>,
        expansion_max: u64,
    ) -> Result<ArrowBatches, FormatError> {
        let begins = |block: &Block| range.contains(&block.offset().cast_unsigned());
        let first = self.batches.iter().position(begins).unwrap_or(self.batches.len());
        let count = self.batches.iter().filter(|block| begins(block)).count();
        let mut reading = Reading { source, expansion_max, place: 0, decoder: None };
        // Files do not say how many rows are ahead of a batch, but batches do.
        let mut rows = 0_u64;
        if count > 0 {
            for block in &self.batches[..first] {
                rows = rows.saturating_add(reading.rows(block)?);
            }
            let mut decoder =
                FileDecoder::new(self.schema.clone(), self.version).with_projection(plan.indices());
            for block in &self.dictionaries {
                let bytes = reading.read(block)?;
                decoder.read_dictionary(block, &bytes).map_err(|error| damaged(reading.place, &error))?;
            }
            reading.decoder = Some(decoder);
        }
        let blocks = self.batches.into_iter().skip(first).take(count).collect::<Vec<_>>().into_iter();
        Ok(ArrowBatches { reading, blocks, rows, range, bytes: 0 })
    }

    /// Refuses a block that is not within the file, or larger than what is read at once.
    fn check(&self, block: &Block) -> Result<(), FormatError> {
        let offset = u64::try_from(block.offset()).ok();
        let length = length(block);
        let end = offset.zip(length).and_then(|(offset, length)| offset.checked_add(length));
        if end.is_none_or(|end| end > self.footer) {
            return Err(FormatError::bad(
                self.footer,
                "its footer names a record batch that is not within it",
            ));
        }
        match length.filter(|length| *length > BATCH_BYTES_MAX) {
            Some(bytes) => Err(too_large(offset.unwrap_or(0), bytes)),
            None => Ok(()),
        }
    }
}

/// Bytes of a block, header and body.
fn length(block: &Block) -> Option<u64> {
    let (metadata, body) =
        (u64::try_from(block.metaDataLength()).ok()?, u64::try_from(block.bodyLength()).ok()?);
    metadata.checked_add(body)
}

fn too_large(offset: u64, bytes: u64) -> FormatError {
    let reason = format!(
        "the record batch that begins here has {bytes} bytes, and {BATCH_BYTES_MAX} are the limit: write the file \
         with smaller batches"
    );
    FormatError::bad(offset, reason)
}

/// The footer, whose length lies within the file, and where it begins.
fn read_footer(source: &dyn Source) -> Result<(Vec<u8>, u64), FormatError> {
    let bytes = source.bytes();
    if bytes < (MAGIC.len() + TAIL_BYTES) as u64 {
        return Err(FormatError::bad(0, format!("its {bytes} bytes are too few for a file of Arrow IPC")));
    }
    let (mut front, mut tail) = ([0; 6], [0; TAIL_BYTES]);
    read_exact_at(source, 0, &mut front)?;
    read_exact_at(source, bytes - TAIL_BYTES as u64, &mut tail)?;
    if front != *MAGIC {
        let reason = "it does not begin as a file of Arrow IPC does (a stream of Arrow IPC is not one)";
        return Err(FormatError::bad(0, reason));
    }
    if tail[4..] != MAGIC[..] {
        let reason = "it does not end as a file of Arrow IPC does: it was cut off, or is not complete yet";
        return Err(FormatError::bad(bytes - 6, reason));
    }
    let [a, b, c, d, ..] = tail;
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    let room = bytes - (TAIL_BYTES + MAGIC.len()) as u64;
    if length > room {
        let reason =
            format!("it says that its footer has {length} bytes, and there are {room} ahead of this place");
        return Err(FormatError::bad(bytes - TAIL_BYTES as u64, reason));
    }
    let at = bytes - TAIL_BYTES as u64 - length;
    Ok((read_bytes(source, at, length)?, at))
}

/// Reads record batches one after another.
pub(crate) struct ArrowBatches {
    reading: Reading,
    blocks: std::vec::IntoIter<Block>,
    /// Rows ahead of the next batch.
    rows: u64,
    range: Range<u64>,
    bytes: u64,
}

impl Batches for ArrowBatches {
    fn next(&mut self) -> Result<Option<Rows>, FormatError> {
        loop {
            let Some(block) = self.blocks.next() else { return Ok(None) };
            let bytes = self.reading.read(&block)?;
            let offset = self.reading.place;
            let Some(decoder) = &self.reading.decoder else { return Ok(None) };
            let batch = decoder.read_record_batch(&block, &bytes).map_err(|error| damaged(offset, &error))?;
            let end = offset + length(&block).unwrap_or(0);
            self.bytes = end.saturating_sub(self.range.start);
            let Some(batch) = batch else { continue };
            let number = self.rows;
            self.rows += batch.num_rows() as u64;
            return Ok(Some(Rows { batch, place: number, number, within: "the file", offset }));
        }
    }

    fn bytes_read(&self) -> u64 {
        self.bytes
    }
}

/// Reads blocks, and looks at what they claim.
struct Reading {
    source: Arc<dyn Source>,
    expansion_max: u64,
    /// Where the block begins that was read last.
    place: u64,
    decoder: Option<FileDecoder>,
}

impl Reading {
    /// Rows of a batch, by its header alone.
    fn rows(&mut self, block: &Block) -> Result<u64, FormatError> {
        self.place = u64::try_from(block.offset()).unwrap_or(0);
        let metadata = u64::try_from(block.metaDataLength()).unwrap_or(0);
        let bytes = read_bytes(&*self.source, self.place, metadata)?;
        let rows = self.message(&bytes)?.header_as_record_batch().map_or(0, |batch| batch.length());
        Ok(u64::try_from(rows).unwrap_or(0))
    }

    /// A block as it lies in the file. It does not decode to more than it may.
    fn read(&mut self, block: &Block) -> Result<Buffer, FormatError> {
        self.place = u64::try_from(block.offset()).unwrap_or(0);
        // Its length is within the file, as was checked when the footer was read.
        let bytes = length(block).and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        let mut buffer = MutableBuffer::from_len_zeroed(bytes);
        read_exact_at(&*self.source, self.place, &mut buffer)?;
        let metadata = usize::try_from(block.metaDataLength()).unwrap_or(0).min(bytes);
        let (header, body) = buffer.split_at(metadata);
        let message = self.message(header)?;
        let dictionary = message.header_as_dictionary_batch().and_then(|batch| batch.data());
        if let Some(batch) = message.header_as_record_batch().or(dictionary) {
            self.check_expansion(&batch, body)?;
        }
        Ok(buffer.into())
    }

    /// The message of a block's header.
    fn message<'a>(&self, header: &'a [u8]) -> Result<Message<'a>, FormatError> {
        // A length is ahead of it, and since version 0.15 four bytes of ones ahead of that.
        let message = match header {
            [0xff, 0xff, 0xff, 0xff, _, _, _, _, message @ ..] => message,
            [_, _, _, _, message @ ..] => message,
            _ => &[],
        };
        root_as_message(message).map_err(|error| damaged(self.place, &error))
    }

    /// Refuses a batch whose buffers claim to decode to more than they may.
    fn check_expansion(&self, batch: &RecordBatch<'_>, body: &[u8]) -> Result<(), FormatError> {
        if batch.compression().is_none() {
            return Ok(());
        }
        let mut decoded = 0_u64;
        for buffer in batch.buffers().iter().flatten() {
            let at = usize::try_from(buffer.offset()).ok();
            let claim = at.and_then(|at| body.get(at..)).and_then(|rest| rest.first_chunk::<8>());
            // Minus one stands for a buffer that is not compressed.
            let claim = claim.map_or(0, |claim| i64::from_le_bytes(*claim).max(0));
            decoded = decoded.saturating_add(claim.cast_unsigned());
        }
        if decoded > BATCH_BYTES_MAX {
            return Err(too_large(self.place, decoded));
        }
        let most = (body.len() as u64).saturating_mul(self.expansion_max.max(1));
        if decoded.saturating_sub(EXPANSION_FREE_BYTES) > most {
            let reason = format!(
                "the record batch that begins here has {} bytes and says that they become {decoded}: more than {} \
                 for each is refused",
                body.len(),
                self.expansion_max
            );
            return Err(FormatError::bad(self.place, reason));
        }
        Ok(())
    }
}
