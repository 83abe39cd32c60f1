//! Reads the engine's file of keys and values: finds the blocks that begin in a range, checks each one and
//! copies its columns into the batch. Nothing of the file is believed before its checksum fits, and no
//! length before it is compared with the file's own.

use std::ops::Range;
use std::sync::Arc;

use mr_model::{BatchBuf, Column, DataType, StageTypes};
use xxhash_rust::xxh3::xxh3_64;

use super::layout::{
    BLOCK_BYTES, BLOCK_HEADER_BYTES, BlockHeader, COLUMN_HEADER_BYTES, Codec, END_MAGIC, ENTRY_BYTES,
    HEAD_FIXED_BYTES, MAGIC, TRAILER_BYTES, TYPE_NAME_BYTES_MAX, VERSION, block_checksum, footer_hash,
    le_u32, le_u64,
};
use crate::error::{FormatError, OnBad};
use crate::open::{Cuts, ReadOptions, RecordReader};
use crate::source::{Source, read_exact_at};

/// Bytes of the footer that are looked at at a time: it may be long, and is never held as a whole.
const FOOTER_PIECE_BYTES: usize = 64 * 1024;
/// Places of cuts for each split of the size asked for: enough to fill splits evenly, and few.
const CUTS_PER_SPLIT: u64 = 8;

/// What head and trailer of a file say, checked.
#[derive(Debug)]
pub(crate) struct KvFile {
    pub types: StageTypes,
    /// Checksum of the head, the seed of all others.
    seed: u64,
    /// Where the first block begins.
    head_bytes: u64,
    /// Where the footer begins, behind the last block.
    footer: u64,
    /// Number of blocks.
    blocks: u64,
    /// Number of rows.
    rows: u64,
}

impl KvFile {
    /// Reads head and trailer.
    pub fn open(source: &dyn Source) -> Result<Self, FormatError> {
        let bytes = source.bytes();
        if bytes < (HEAD_FIXED_BYTES + 8 + TRAILER_BYTES) as u64 {
            return Err(FormatError::bad(
                0,
                format!("its {bytes} bytes are too few for a file of format kv"),
            ));
        }
        let (types, seed, head_bytes) = open_head(source)?;
        let mut trailer = [0; TRAILER_BYTES];
        let at = bytes - TRAILER_BYTES as u64;
        read_exact_at(source, at, &mut trailer)?;
        if trailer[24..] != END_MAGIC[..] {
            let reason =
                "it does not end as a file of format kv does: it was cut off, or is not complete yet";
            return Err(FormatError::bad(at, reason));
        }
        let (rows, blocks) = (le_u64(&trailer, 0), le_u64(&trailer, 8));
        let footer = blocks.checked_mul(ENTRY_BYTES as u64).and_then(|length| at.checked_sub(length));
        let Some(footer) = footer.filter(|footer| *footer >= head_bytes) else {
            return Err(FormatError::bad(
                at,
                format!("it claims {blocks} blocks, more than its {bytes} bytes can hold"),
            ));
        };
        Ok(Self { types, seed, head_bytes, footer, blocks, rows })
    }

    /// Visits the offset of every block, in order, and then checks that they are what was written.
    fn visit(&self, source: &dyn Source, mut visit: impl FnMut(u64)) -> Result<(), FormatError> {
        let mut hash = footer_hash(self.seed, self.footer);
        let mut piece = vec![0; FOOTER_PIECE_BYTES];
        let (mut at, end) = (self.footer, self.footer + self.blocks * ENTRY_BYTES as u64);
        let mut last = None;
        while at < end {
            let take = usize::try_from(end - at).map_or(piece.len(), |left| left.min(piece.len()));
            read_exact_at(source, at, &mut piece[..take])?;
            hash.update(&piece[..take]);
            for entry in piece[..take].as_chunks::<ENTRY_BYTES>().0 {
                let offset = u64::from_le_bytes(*entry);
                let least = last.map_or(self.head_bytes, |last| last + BLOCK_HEADER_BYTES as u64);
                let first = last.is_some() || offset == self.head_bytes;
                if offset < least || offset >= self.footer || !first {
                    return Err(FormatError::bad(at, FOOTER_DAMAGED));
                }
                last = Some(offset);
                visit(offset);
            }
            at += take as u64;
        }
        let mut trailer = [0; TRAILER_BYTES];
        read_exact_at(source, end, &mut trailer)?;
        hash.update(&trailer[..16]);
        if hash.digest() != le_u64(&trailer, 16) {
            return Err(FormatError::bad(self.footer, FOOTER_DAMAGED));
        }
        if self.blocks == 0 && self.footer != self.head_bytes {
            return Err(FormatError::bad(self.footer, FOOTER_DAMAGED));
        }
        Ok(())
    }
}

impl KvFile {
    /// Where the first block that begins in `range` begins, and where the last one ends.
    fn blocks(&self, source: &dyn Source, range: &Range<u64>) -> Result<Range<u64>, FormatError> {
        let (mut next, mut end) = (None, self.footer);
        self.visit(source, |offset| {
            if offset >= range.start && next.is_none() {
                next = Some(offset);
            }
            if offset >= range.end {
                end = end.min(offset);
            }
        })?;
        Ok(next.unwrap_or(end).min(end)..end)
    }

    /// What the reader of `range` reads of the file: head, blocks, footer.
    pub fn footprint(&self, source: &dyn Source, range: &Range<u64>) -> Result<Vec<Range<u64>>, FormatError> {
        let blocks = self.blocks(source, range)?;
        Ok(vec![0..self.head_bytes, blocks, self.footer..source.bytes()])
    }
}

/// What is wrong with a footer, wherever it shows.
const FOOTER_DAMAGED: &str = "the footer of the kv file is damaged: its checksum does not fit";

fn open_head(source: &dyn Source) -> Result<(StageTypes, u64, u64), FormatError> {
    let mut fixed = [0; HEAD_FIXED_BYTES];
    read_exact_at(source, 0, &mut fixed)?;
    if fixed[..7] != MAGIC[..] {
        return Err(FormatError::bad(0, "it does not begin as a file of format kv does"));
    }
    if fixed[7] != VERSION {
        let reason = format!("it is of version {} of the format kv; this engine reads {VERSION}", fixed[7]);
        return Err(FormatError::bad(7, reason));
    }
    let lengths = le_u32(&fixed, 8);
    let (key, value) = ((lengths & 0xffff) as usize, (lengths >> 16) as usize);
    let length = HEAD_FIXED_BYTES + key + value;
    let room = source.bytes() - TRAILER_BYTES as u64;
    if key.max(value) > TYPE_NAME_BYTES_MAX || (length + 8) as u64 > room {
        return Err(FormatError::bad(
            8,
            "the head of the kv file is damaged: names of types are longer than they can be",
        ));
    }
    let mut head = vec![0; length + 8];
    read_exact_at(source, 0, &mut head)?;
    let seed = xxh3_64(&head[..length]);
    if seed != le_u64(&head, length) {
        return Err(FormatError::bad(0, "the head of the kv file is damaged: its checksum does not fit"));
    }
    let parse = |name: &[u8]| -> Result<Option<DataType>, FormatError> {
        if name.is_empty() {
            return Ok(None);
        }
        let name = String::from_utf8_lossy(name);
        name.parse().map(Some).map_err(|error| FormatError::bad(HEAD_FIXED_BYTES as u64, format!("{error}")))
    };
    let (key, value) = head[HEAD_FIXED_BYTES..length].split_at(key);
    Ok((StageTypes { key: parse(key)?, value: parse(value)? }, seed, (length + 8) as u64))
}

/// Places at which ranges may begin: of blocks, some for each split of `split_bytes`.
pub(crate) fn cuts(source: &dyn Source, split_bytes: u64) -> Result<Cuts, FormatError> {
    let file = KvFile::open(source)?;
    let apart = (split_bytes / CUTS_PER_SPLIT).max(BLOCK_BYTES as u64);
    let mut places = Vec::new();
    let mut last = 0;
    file.visit(source, |offset| {
        if offset - last >= apart {
            places.push(offset);
            last = offset;
        }
    })?;
    Ok(Cuts::At(places))
}

/// Reads the blocks that begin in a range.
pub(crate) struct KvReader {
    source: Arc<dyn Source>,
    file: KvFile,
    range: Range<u64>,
    record_bytes_max: u64,
    /// Where the next block begins, and where the last one of the range ends.
    next: u64,
    end: u64,
    /// Number of the next block's first row, once a block was read.
    next_row: Option<u64>,
    /// The open block, and the header of the one behind it.
    stored: Vec<u8>,
    /// The open block's columns, where they were compressed.
    decoded: Vec<u8>,
    block: Block,
}

/// A block that is being handed out.
#[derive(Debug, Clone, Default)]
struct Block {
    offset: u64,
    rows: usize,
    /// Rows that were handed out.
    taken: usize,
    compressed: bool,
    keys: ColumnPlace,
    values: ColumnPlace,
}

/// Where a column lies in the bytes of a block.
#[derive(Debug, Clone, Default)]
struct ColumnPlace {
    width: u32,
    ends: Range<usize>,
    data: Range<usize>,
}

impl KvReader {
    /// A reader of the blocks that begin in `range`.
    pub fn open(
        source: Arc<dyn Source>,
        range: Range<u64>,
        options: &ReadOptions,
    ) -> Result<Self, FormatError> {
        let file = KvFile::open(&*source)?;
        let Range { start: next, end } = file.blocks(&*source, &range)?;
        let record_bytes_max = options.record_bytes_max;
        let (stored, decoded, block) = (Vec::new(), Vec::new(), Block::default());
        Ok(Self { source, file, range, record_bytes_max, next, end, next_row: None, stored, decoded, block })
    }

    /// Reads and checks the next block.
    fn open_block(&mut self) -> Result<(), FormatError> {
        let at = self.next;
        let header = self.read_block(at)?;
        self.next = at + (BLOCK_HEADER_BYTES + header.stored_bytes as usize) as u64;
        let compressed = header.codec == Codec::Lz4;
        let stored = &self.stored[BLOCK_HEADER_BYTES..BLOCK_HEADER_BYTES + header.stored_bytes as usize];
        let raw_bytes = header.raw_bytes as usize;
        let fits = if compressed {
            self.decoded.resize(raw_bytes, 0);
            lz4_flex::block::decompress_into(stored, &mut self.decoded).is_ok_and(|bytes| bytes == raw_bytes)
        } else {
            stored.len() == raw_bytes
        };
        let raw = if compressed { &self.decoded } else { stored };
        let columns = if fits { columns(raw, header.rows) } else { None };
        let Some((keys, values)) = columns else {
            return Err(FormatError::bad(
                at,
                "the block of the kv file that begins here does not hold what its header says",
            ));
        };
        let rows = header.rows as usize;
        let block = Block { offset: at, rows, taken: 0, compressed, keys, values };
        self.check_rows(&block, header.first_row)?;
        self.next_row = Some(header.first_row + u64::from(header.rows));
        self.block = block;
        Ok(())
    }

    /// Reads the block at `at`, and the header of the one behind it, in one go. Its checksum fits.
    fn read_block(&mut self, at: u64) -> Result<BlockHeader, FormatError> {
        let damaged = || {
            FormatError::bad(
                at,
                "the block of the kv file that begins here is damaged: its checksum does not fit",
            )
        };
        let mut header = [0; BLOCK_HEADER_BYTES];
        let ahead = self.stored.len().checked_sub(BLOCK_HEADER_BYTES);
        match ahead.filter(|_| self.next_row.is_some()) {
            Some(ahead) => header.copy_from_slice(&self.stored[ahead..]),
            None => read_exact_at(&*self.source, at, &mut header)?,
        }
        let parsed = BlockHeader::parse(&header).ok_or_else(damaged)?;
        let stored_bytes = parsed.stored_bytes as usize;
        let left = self.end - at - BLOCK_HEADER_BYTES as u64;
        // What the footer says of the next block, or of itself, is as trustworthy as a checksum.
        if stored_bytes as u64 > left {
            return Err(damaged());
        }
        let bytes_max = (BLOCK_BYTES as u64).max(self.record_bytes_max.saturating_add(8))
            + 2 * COLUMN_HEADER_BYTES as u64;
        if u64::from(parsed.raw_bytes.max(parsed.stored_bytes)) > bytes_max {
            return Err(self.too_long(at, u64::from(parsed.raw_bytes)));
        }
        let more = if stored_bytes as u64 == left { 0 } else { BLOCK_HEADER_BYTES };
        if (stored_bytes + more) as u64 > left {
            return Err(damaged());
        }
        self.stored.resize(BLOCK_HEADER_BYTES + stored_bytes + more, 0);
        let (front, rest) = self.stored.split_at_mut(BLOCK_HEADER_BYTES);
        front.copy_from_slice(&header);
        read_exact_at(&*self.source, at + BLOCK_HEADER_BYTES as u64, rest)?;
        let checksum = block_checksum(self.file.seed, at, &header, &rest[..stored_bytes]);
        if checksum != le_u64(&header, 24) {
            return Err(damaged());
        }
        Ok(parsed)
    }

    /// Checks that rows follow each other, and that none is longer than a record may be.
    fn check_rows(&self, block: &Block, first_row: u64) -> Result<(), FormatError> {
        let at = block.offset;
        let end = first_row.checked_add(block.rows as u64);
        let first = if at == self.file.head_bytes { Some(0) } else { self.next_row };
        let last = self.next == self.file.footer;
        let ordered = first.is_none_or(|row| row == first_row)
            && end.is_some_and(|end| if last { end == self.file.rows } else { end <= self.file.rows });
        if !ordered || (block.rows == 0) {
            return Err(FormatError::bad(
                at,
                "the block of the kv file that begins here is not the one that belongs here",
            ));
        }
        // One record alone makes a block longer than its size.
        let longest = block.keys.data.len() as u64 + block.values.data.len() as u64;
        if longest > self.record_bytes_max {
            let (keys, values) = self.views(block)?;
            let lengths = keys.iter().zip(values.iter()).map(|(key, value)| key.len() + value.len());
            let longest = lengths.max().unwrap_or(0) as u64;
            if longest > self.record_bytes_max {
                return Err(self.too_long(at, longest));
            }
        }
        Ok(())
    }

    fn too_long(&self, at: u64, bytes: u64) -> FormatError {
        let max = self.record_bytes_max;
        FormatError::bad(
            at,
            format!(
                "the block of the kv file that begins here has a record of about {bytes} bytes, and {max} is the \
                 limit for a record; raise it with --max-record"
            ),
        )
    }

    /// The columns of a block.
    fn views(&self, block: &Block) -> Result<(Column<'_>, Column<'_>), FormatError> {
        let raw = if block.compressed { &self.decoded } else { &self.stored[BLOCK_HEADER_BYTES..] };
        let rows = u32::try_from(block.rows).unwrap_or(u32::MAX);
        let view = |place: &ColumnPlace| {
            Column::new(rows, place.width, &raw[place.ends.clone()], &raw[place.data.clone()]).map_err(
                |error| {
                    FormatError::bad(
                        block.offset,
                        format!("a column of the kv file's block is damaged: {error}"),
                    )
                },
            )
        };
        Ok((view(&block.keys)?, view(&block.values)?))
    }

    /// Hands out rows of the open block, as many as fit.
    fn take(
        &mut self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        target: usize,
    ) -> Result<(), FormatError> {
        let (keys, values) = self.views(&self.block)?;
        let from = self.block.taken;
        let begin = keys.range(from).start + values.range(from).start;
        let size = |to: usize| keys.range(to - 1).end + values.range(to - 1).end - begin + 8 * (to - from);
        let room = target.saturating_sub(batch.size());
        // The largest `to` that fits; one row always does where there is none yet.
        let (mut to, mut over) = (from + usize::from(batch.rows() == 0), self.block.rows + 1);
        while to + 1 < over {
            let middle = to.midpoint(over);
            if size(middle) <= room {
                to = middle;
            } else {
                over = middle;
            }
        }
        batch.keys.append(keys, from..to);
        batch.values.append(values, from..to);
        offsets.resize(offsets.len() + (to - from), self.block.offset);
        self.block.taken = to;
        Ok(())
    }
}

impl RecordReader for KvReader {
    fn fill(
        &mut self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        target: usize,
        _bad: OnBad<'_>,
    ) -> Result<bool, FormatError> {
        loop {
            if self.block.taken == self.block.rows {
                if self.next >= self.end {
                    return Ok(false);
                }
                self.open_block()?;
            }
            let before = batch.rows();
            self.take(batch, offsets, target)?;
            if batch.rows() == before || batch.size() >= target {
                return Ok(true);
            }
        }
    }

    fn bytes_read(&self) -> u64 {
        if self.next >= self.end && self.block.taken == self.block.rows {
            return self.range.end - self.range.start;
        }
        self.next.clamp(self.range.start, self.range.end) - self.range.start
    }
}

/// Finds the two columns of a block and checks their layout.
fn columns(raw: &[u8], rows: u32) -> Option<(ColumnPlace, ColumnPlace)> {
    let mut at = 0;
    let keys = column(raw, &mut at, rows)?;
    let values = column(raw, &mut at, rows)?;
    (at == raw.len()).then_some((keys, values))
}

fn column(raw: &[u8], at: &mut usize, rows: u32) -> Option<ColumnPlace> {
    let header = raw.get(*at..)?.first_chunk::<COLUMN_HEADER_BYTES>()?;
    let (width, ends, data) = (le_u32(header, 0), le_u32(header, 4) as usize, le_u32(header, 8) as usize);
    let ends_at = *at + COLUMN_HEADER_BYTES;
    let (data_at, end) = (ends_at.checked_add(ends)?, ends_at.checked_add(ends)?.checked_add(data)?);
    let place = ColumnPlace { width, ends: ends_at..data_at, data: data_at..end };
    let fits = end <= raw.len() && (ends == 0 || width == 0);
    let view = if fits {
        Column::new(rows, width, &raw[place.ends.clone()], &raw[place.data.clone()])
    } else {
        return None;
    };
    *at = end;
    view.is_ok().then_some(place)
}
