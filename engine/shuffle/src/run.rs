//! The run file's format: sorted records of one map attempt (or of one merge pass), partition by
//! partition, in checksummed blocks. A flipped bit, a truncated or a swapped file is detected.
//!
//! ```text
//! file    = header, block*, index entry*, trailer
//! header  = magic "MRRUN002", u32 length of the body, body, u64 checksum of the body
//! body    = u8 codec, u8 stage, u32 task, u32 attempt, u32 sequence, job id
//! block   = u32 partition, u32 records, u32 raw bytes, u32 stored bytes, u64 checksum, stored bytes
//! record  = varint key length, varint value length, key, value   (raw bytes of a block)
//! index   = u32 partition, u64 offset, u64 length, u64 records, u64 bytes of keys and values,
//!           u32 memory for its largest block, u128 hash
//! trailer = u64 offset of the index, u32 entries, u64 checksum, magic "MRRUNEND"
//! ```
//!
//! Integers are little-endian. Checksums are XXH3-64 seeded with the checksum of the header's body
//! (its own seed is 0), blocks and the trailer also mix in where they lie: a block of another file,
//! of another place or of another attempt does not pass. The hash of an index entry is the XXH3-128
//! (seed 0) of the partition's blocks with their heads, as they lie in the file: it tells whether a
//! copy of them is whole.

use std::path::{Path, PathBuf};

use mr_model::{AttemptId, Failure, JobId, Stage, TaskId};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// First bytes of a run file; the last three are the version.
pub const MAGIC: &[u8; 8] = b"MRRUN002";
/// Last bytes of a run file.
pub const END_MAGIC: &[u8; 8] = b"MRRUNEND";
/// Raw bytes that a block aims for: one read, and a cursor's memory.
pub const BLOCK_BYTES: usize = 128 * 1024;
/// Bytes of a block's head.
pub const BLOCK_HEAD_BYTES: usize = 24;
/// Bytes of an index entry.
pub const INDEX_ENTRY_BYTES: usize = 56;
/// Bytes of the trailer.
pub const TRAILER_BYTES: usize = 28;
/// Largest header body, in bytes.
const HEADER_BODY_BYTES_MAX: usize = 14 + JobId::BYTES_MAX;

/// How blocks are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Codec {
    /// As they are.
    None,
    /// LZ4 block format; a block that does not shrink is stored as it is.
    Lz4,
}

/// What a run file holds the output of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunId {
    /// The job.
    pub job: JobId,
    /// The attempt that wrote it.
    pub attempt: AttemptId,
    /// Number of the run within the attempt, from 0.
    pub sequence: u32,
}

/// Part of a run file that belongs to one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// The partition.
    pub partition: u32,
    /// Where its blocks begin.
    pub offset: u64,
    /// Bytes of its blocks with their heads.
    pub length: u64,
    /// Number of records.
    pub records: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Memory that reading its largest block takes, in bytes: decoded, and as stored where that
    /// differs.
    pub cursor_bytes: u32,
    /// XXH3-128 of its blocks with their heads.
    pub hash: u128,
}

/// The head of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHead {
    /// The partition.
    pub partition: u32,
    /// Number of records.
    pub records: u32,
    /// Bytes when decoded.
    pub raw_bytes: u32,
    /// Bytes as stored; equal to `raw_bytes` where stored as they are.
    pub stored_bytes: u32,
    /// Over the fields above, the place in the file, and the stored bytes.
    pub checksum: u64,
}

/// A file that does not hold what was written to it.
pub fn corrupt(path: &Path, id: &RunId, reason: impl Into<String>) -> Failure {
    let map_task = (id.attempt.task.stage == Stage::Map).then_some(id.attempt.task);
    Failure::Corrupt { path: path.to_owned(), reason: reason.into(), map_task }
}

/// Name of a run's file.
pub fn file_name(id: &RunId) -> PathBuf {
    let TaskId { stage, index } = id.attempt.task;
    format!("run-{stage}-{index:06}-{}-{:05}", id.attempt.attempt, id.sequence).into()
}

/// The header of a file and the seed of its checksums.
pub fn encode_header(id: &RunId, codec: Codec) -> (Vec<u8>, u64) {
    let mut body = vec![
        match codec {
            Codec::None => 0,
            Codec::Lz4 => 1,
        },
        match id.attempt.task.stage {
            Stage::Map => 0,
            Stage::Reduce => 1,
        },
    ];
    for number in [id.attempt.task.index, id.attempt.attempt, id.sequence] {
        body.extend_from_slice(&number.to_le_bytes());
    }
    body.extend_from_slice(id.job.as_str().as_bytes());
    let seed = xxh3_64(&body);
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    header.extend_from_slice(&body);
    header.extend_from_slice(&seed.to_le_bytes());
    (header, seed)
}

/// Checksum of a block that lies at `offset` of a file with this seed.
pub fn block_checksum(seed: u64, offset: u64, head: &BlockHead, stored: &[u8]) -> u64 {
    let mut fields = [0u8; 24];
    let numbers = [head.partition, head.records, head.raw_bytes, head.stored_bytes];
    for (field, number) in fields.as_chunks_mut::<4>().0.iter_mut().zip(numbers) {
        *field = number.to_le_bytes();
    }
    fields[16..].copy_from_slice(&offset.to_le_bytes());
    xxh3_64_with_seed(stored, xxh3_64_with_seed(&fields, seed))
}

/// Checksum of an index that lies at `offset` of a file with this seed.
pub fn index_checksum(seed: u64, offset: u64, entries: u32, index: &[u8]) -> u64 {
    let mut place = [0u8; 12];
    place[..8].copy_from_slice(&offset.to_le_bytes());
    place[8..].copy_from_slice(&entries.to_le_bytes());
    xxh3_64_with_seed(index, xxh3_64_with_seed(&place, seed))
}

impl BlockHead {
    /// The head as it is stored.
    pub fn encode(&self) -> [u8; BLOCK_HEAD_BYTES] {
        let mut head = [0u8; BLOCK_HEAD_BYTES];
        let numbers = [self.partition, self.records, self.raw_bytes, self.stored_bytes];
        for (field, number) in head.as_chunks_mut::<4>().0.iter_mut().zip(numbers) {
            *field = number.to_le_bytes();
        }
        head[16..].copy_from_slice(&self.checksum.to_le_bytes());
        head
    }

    /// Memory that reading the block takes, in bytes.
    pub fn cursor_bytes(&self) -> u32 {
        let decoding = if self.stored_bytes == self.raw_bytes { 0 } else { self.stored_bytes };
        self.raw_bytes.saturating_add(decoding)
    }

    /// A head from its stored form.
    pub fn decode(head: &[u8; BLOCK_HEAD_BYTES]) -> Self {
        let mut fields = Fields(head);
        Self {
            partition: fields.u32(),
            records: fields.u32(),
            raw_bytes: fields.u32(),
            stored_bytes: fields.u32(),
            checksum: fields.u64(),
        }
    }
}

impl IndexEntry {
    /// Appends the entry as it is stored.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.partition.to_le_bytes());
        for number in [self.offset, self.length, self.records, self.bytes] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.cursor_bytes.to_le_bytes());
        out.extend_from_slice(&self.hash.to_le_bytes());
    }

    /// An entry from its stored form.
    pub fn decode(entry: &[u8; INDEX_ENTRY_BYTES]) -> Self {
        let mut fields = Fields(entry);
        Self {
            partition: fields.u32(),
            offset: fields.u64(),
            length: fields.u64(),
            records: fields.u64(),
            bytes: fields.u64(),
            cursor_bytes: fields.u32(),
            hash: fields.u128(),
        }
    }
}

/// Largest header, in bytes.
pub const HEADER_BYTES_MAX: usize = MAGIC.len() + 4 + HEADER_BODY_BYTES_MAX + 8;

/// Little-endian numbers from the front of a slice that is known to be long enough; zero past it.
pub(crate) struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    pub(crate) fn u32(&mut self) -> u32 {
        let Some((word, rest)) = self.0.split_first_chunk::<4>() else { return 0 };
        self.0 = rest;
        u32::from_le_bytes(*word)
    }

    pub(crate) fn u64(&mut self) -> u64 {
        let Some((word, rest)) = self.0.split_first_chunk::<8>() else { return 0 };
        self.0 = rest;
        u64::from_le_bytes(*word)
    }

    pub(crate) fn u128(&mut self) -> u128 {
        let Some((word, rest)) = self.0.split_first_chunk::<16>() else { return 0 };
        self.0 = rest;
        u128::from_le_bytes(*word)
    }
}

/// Appends a length as LEB128.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "seven bits fit a byte")]
pub(crate) fn push_varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// Reads a length; none where it is cut or longer than a u32.
#[inline]
pub(crate) fn read_varint(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let first = *bytes.get(*at)?;
    *at += 1;
    if first < 0x80 {
        return Some(first as usize);
    }
    let mut number = usize::from(first & 0x7f);
    for shift in [7, 14, 21, 28] {
        let byte = *bytes.get(*at)?;
        *at += 1;
        number |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
