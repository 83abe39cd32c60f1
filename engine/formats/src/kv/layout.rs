//! The layout of the engine's own file of keys and values: what a job writes so that the next one reads
//! it without parsing. Blocks of packed columns, each with a checksum; a damaged, truncated or
//! rearranged file is noticed, and nothing is allocated because a file claims it.
//!
//! ```text
//! file    = head, block*, footer, trailer
//! head    = magic "MRKV\r\n\x1a", u8 version, u16 length of the key's type, u16 length of the value's type,
//!           both names, u64 checksum
//! block   = u64 first row, u32 rows, u32 codec (0 none, 1 LZ4), u32 raw bytes, u32 stored bytes,
//!           u64 checksum, stored bytes
//! raw     = column of keys, column of values
//! column  = u32 width, u32 bytes of ends, u32 bytes of data, ends, data   (as `types.column` of the WIT)
//! footer  = u64 offset for each block
//! trailer = u64 rows, u64 blocks, u64 checksum of footer and trailer, magic "MRKVEND\n"
//! ```
//!
//! Integers are little-endian. A type that nobody declared has an empty name. Checksums are XXH3-64 of
//! what lies ahead of them and behind them in the same piece; blocks and the footer are seeded with the
//! head's checksum and where they lie, so that a piece of another place does not pass.

use mr_model::{DataType, StageTypes};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// First bytes of a file; the version follows.
pub(crate) const MAGIC: &[u8; 7] = b"MRKV\r\n\x1a";
/// The version that is written, and the only one that is read.
pub(crate) const VERSION: u8 = 1;
/// Last bytes of a file.
pub(crate) const END_MAGIC: &[u8; 8] = b"MRKVEND\n";
/// Raw bytes that a block aims for: a batch of the engine, so that one is copied into the other.
pub(crate) const BLOCK_BYTES: usize = 256 * 1024;
/// Bytes of a block's header.
pub(crate) const BLOCK_HEADER_BYTES: usize = 32;
/// Bytes of a column's header.
pub(crate) const COLUMN_HEADER_BYTES: usize = 12;
/// Bytes of a footer's entry.
pub(crate) const ENTRY_BYTES: usize = 8;
/// Bytes of the trailer.
pub(crate) const TRAILER_BYTES: usize = 32;
/// Bytes of the head ahead of the names.
pub(crate) const HEAD_FIXED_BYTES: usize = 12;
/// Most bytes of a type's name: 64 elements, eight deep, would be longer and are nobody's.
pub(crate) const TYPE_NAME_BYTES_MAX: usize = 16 * 1024;

/// How the bytes of a block are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Lz4,
}

/// The head as bytes, and its checksum. None where a type's name is too long.
pub(crate) fn head(types: &StageTypes) -> Option<(Vec<u8>, u64)> {
    let name = |datatype: &Option<DataType>| datatype.as_ref().map(ToString::to_string).unwrap_or_default();
    let (key, value) = (name(&types.key), name(&types.value));
    if key.len().max(value.len()) > TYPE_NAME_BYTES_MAX {
        return None;
    }
    let mut head = Vec::with_capacity(HEAD_FIXED_BYTES + key.len() + value.len() + 8);
    head.extend_from_slice(MAGIC);
    head.push(VERSION);
    for name in [&key, &value] {
        head.extend_from_slice(&u16::try_from(name.len()).ok()?.to_le_bytes());
    }
    head.extend_from_slice(key.as_bytes());
    head.extend_from_slice(value.as_bytes());
    let checksum = xxh3_64(&head);
    head.extend_from_slice(&checksum.to_le_bytes());
    Some((head, checksum))
}

/// Header of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    /// Number of its first row in the file.
    pub first_row: u64,
    /// Its rows.
    pub rows: u32,
    /// How it is stored.
    pub codec: Codec,
    /// Bytes of its columns.
    pub raw_bytes: u32,
    /// Bytes behind the header.
    pub stored_bytes: u32,
}

impl BlockHeader {
    /// The header with the checksum of the block, which lies at `offset` of a file whose head has the
    /// checksum `head`.
    pub fn seal(self, head: u64, offset: u64, stored: &[u8]) -> [u8; BLOCK_HEADER_BYTES] {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        let codec = match self.codec {
            Codec::None => 0u32,
            Codec::Lz4 => 1,
        };
        bytes[..8].copy_from_slice(&self.first_row.to_le_bytes());
        for (i, word) in [self.rows, codec, self.raw_bytes, self.stored_bytes].into_iter().enumerate() {
            bytes[8 + 4 * i..12 + 4 * i].copy_from_slice(&word.to_le_bytes());
        }
        let checksum = block_checksum(head, offset, &bytes, stored);
        bytes[24..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a header, which may be anything; none where its codec is not known.
    pub fn parse(bytes: &[u8; BLOCK_HEADER_BYTES]) -> Option<Self> {
        let codec = match le_u32(bytes, 12) {
            0 => Codec::None,
            1 => Codec::Lz4,
            _ => return None,
        };
        Some(Self {
            first_row: le_u64(bytes, 0),
            rows: le_u32(bytes, 8),
            codec,
            raw_bytes: le_u32(bytes, 16),
            stored_bytes: le_u32(bytes, 20),
        })
    }
}

/// Checksum of a block: of its header without the checksum's own bytes, and of what is stored.
pub(crate) fn block_checksum(
    head: u64,
    offset: u64,
    header: &[u8; BLOCK_HEADER_BYTES],
    stored: &[u8],
) -> u64 {
    let mut hash = Xxh3::with_seed(head ^ offset);
    hash.update(&header[..24]);
    hash.update(stored);
    hash.digest()
}

/// Checksum of the footer, fed piece by piece.
pub(crate) fn footer_hash(head: u64, offset: u64) -> Xxh3 {
    Xxh3::with_seed(head ^ offset ^ u64::from_le_bytes(*END_MAGIC))
}

/// The little-endian number at `at`; 0 where the bytes end before.
pub(crate) fn le_u32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}

/// The little-endian number at `at`; 0 where the bytes end before.
pub(crate) fn le_u64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}
