//! Writes the engine's file of keys and values, block by block, into memory that its caller empties. Knows
//! no file; never looks into cells.

use mr_model::{BatchBuf, ColumnBuf, StageTypes};

use super::layout::{
    BLOCK_BYTES, BLOCK_HEADER_BYTES, BlockHeader, COLUMN_HEADER_BYTES, Codec, END_MAGIC, TRAILER_BYTES,
    footer_hash, head,
};

/// A compressed block has to save one byte in this many, or it is stored as it is: less does not pay for
/// decoding it.
const COMPRESSION_SAVES: usize = 8;

/// Writes one file, from its head to its trailer.
#[derive(Debug)]
pub struct KvWriter {
    /// The head, until it is written.
    head: Vec<u8>,
    seed: u64,
    codec: Codec,
    block: BatchBuf,
    raw: Vec<u8>,
    stored: Vec<u8>,
    rows: u64,
    /// Bytes of the file so far.
    bytes: u64,
    /// Offset of each block.
    blocks: Vec<u64>,
}

impl KvWriter {
    /// A writer of records of `types`, whose blocks are compressed with LZ4 where that pays, if asked to.
    ///
    /// # Errors
    /// A sentence: a type whose name is too long for the file's head.
    pub fn new(types: &StageTypes, lz4: bool) -> Result<Self, String> {
        let (head, seed) =
            head(types).ok_or("the type of keys or values is too long for a file of format kv")?;
        Ok(Self {
            head,
            seed,
            codec: if lz4 { Codec::Lz4 } else { Codec::None },
            block: BatchBuf::default(),
            raw: Vec::new(),
            stored: Vec::new(),
            rows: 0,
            bytes: 0,
            blocks: Vec::new(),
        })
    }

    /// Takes a record; appends to `out` what is ready.
    #[inline]
    pub fn push(&mut self, key: &[u8], value: &[u8], out: &mut Vec<u8>) {
        // A record that would make a block grow far beyond its size begins the next one.
        if self.block.rows() > 0 && self.block.size() + key.len() + value.len() + 8 > BLOCK_BYTES {
            self.write_block(out);
        }
        self.block.push(key, value);
    }

    /// Appends the rest of the file.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.block.rows() > 0 {
            self.write_block(out);
        }
        self.write_head(out);
        let from = out.len();
        for block in &self.blocks {
            out.extend_from_slice(&block.to_le_bytes());
        }
        out.extend_from_slice(&self.rows.to_le_bytes());
        out.extend_from_slice(&(self.blocks.len() as u64).to_le_bytes());
        let mut hash = footer_hash(self.seed, self.bytes);
        hash.update(&out[from..]);
        out.extend_from_slice(&hash.digest().to_le_bytes());
        out.extend_from_slice(END_MAGIC);
        debug_assert_eq!(out.len() - from, self.blocks.len() * 8 + TRAILER_BYTES, "as the layout says");
    }

    fn write_head(&mut self, out: &mut Vec<u8>) {
        self.bytes += self.head.len() as u64;
        out.append(&mut self.head);
    }

    fn write_block(&mut self, out: &mut Vec<u8>) {
        self.write_head(out);
        self.raw.clear();
        put_column(&self.block.keys, &mut self.raw);
        put_column(&self.block.values, &mut self.raw);
        let codec = self.compress();
        let stored = if codec == Codec::None { &self.raw } else { &self.stored };
        let header = BlockHeader {
            first_row: self.rows,
            rows: self.block.rows(),
            codec,
            raw_bytes: length(self.raw.len()),
            stored_bytes: length(stored.len()),
        };
        out.extend_from_slice(&header.seal(self.seed, self.bytes, stored));
        out.extend_from_slice(stored);
        self.blocks.push(self.bytes);
        self.bytes += (BLOCK_HEADER_BYTES + stored.len()) as u64;
        self.rows += u64::from(self.block.rows());
        self.block.clear();
    }

    /// Compresses the raw bytes, if asked to and worth it.
    fn compress(&mut self) -> Codec {
        if self.codec == Codec::None {
            return Codec::None;
        }
        self.stored.resize(lz4_flex::block::get_maximum_output_size(self.raw.len()), 0);
        match lz4_flex::block::compress_into(&self.raw, &mut self.stored) {
            Ok(bytes) if bytes + self.raw.len() / COMPRESSION_SAVES <= self.raw.len() => {
                self.stored.truncate(bytes);
                Codec::Lz4
            }
            _ => Codec::None,
        }
    }
}

/// Appends a column; one whose cells are all of one length goes without ends.
fn put_column(column: &ColumnBuf, out: &mut Vec<u8>) {
    let (_, ends, data) = column.view().parts();
    let width = common_width(ends, data.len());
    let ends = if width.is_some() { &[] } else { ends };
    out.reserve(COLUMN_HEADER_BYTES + ends.len() + data.len());
    for word in [width.unwrap_or(0), length(ends.len()), length(data.len())] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(ends);
    out.extend_from_slice(data);
}

/// Length of every cell, where it is the same.
fn common_width(ends: &[u8], bytes: usize) -> Option<u32> {
    let ends = ends.as_chunks::<4>().0;
    let width = u32::from_le_bytes(*ends.first()?);
    if u64::from(width) * ends.len() as u64 != bytes as u64 {
        return None;
    }
    let mut at = 0u32;
    ends.iter()
        .all(|end| {
            at = at.wrapping_add(width);
            u32::from_le_bytes(*end) == at
        })
        .then_some(width)
}

/// A length within a block: a block and one record, each far below what a u32 holds.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
