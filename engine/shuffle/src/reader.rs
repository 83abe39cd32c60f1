//! Reads one partition of a run file, block by block, and trusts nothing that it reads.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mr_model::Failure;
use mr_model::limit::RECORD_BYTES_MAX;

use crate::run::{
    BLOCK_BYTES, BLOCK_HEAD_BYTES, BlockHead, Codec, END_MAGIC, Fields, INDEX_ENTRY_BYTES, IndexEntry, RunId,
    TRAILER_BYTES, block_checksum, corrupt, encode_header, index_checksum, read_varint,
};
use crate::segment::StoredSegment;
use crate::sort::{class_of, prefix_at};
use crate::writer::RunFile;

/// Largest block, in bytes: the largest record on top of an almost full block.
const BLOCK_BYTES_MAX: u64 = BLOCK_BYTES as u64 + RECORD_BYTES_MAX + 64;

/// A run file whose header and index were checked.
#[derive(Debug)]
pub struct RunReader {
    file: Arc<File>,
    path: PathBuf,
    id: RunId,
    seed: u64,
    index: Vec<IndexEntry>,
}

impl RunReader {
    /// Opens the file of run `id` and checks header, trailer and index.
    pub fn open(path: &Path, id: &RunId) -> Result<Self, Failure> {
        let lost = |error: std::io::Error| corrupt(path, id, error.to_string());
        let file = File::open(path).map_err(lost)?;
        let length = file.metadata().map_err(lost)?.len();
        let (_, seed, header_bytes) = check_header(&file, path, id)?;
        let index = read_index(&file, length, seed, header_bytes, u32::MAX)
            .map_err(|reason| corrupt(path, id, reason))?;
        Ok(Self { file: Arc::new(file), path: path.to_owned(), id: id.clone(), seed, index })
    }

    /// The index, in partition order.
    pub fn index(&self) -> &[IndexEntry] {
        &self.index
    }

    /// A cursor over a partition, at its first record; none where it has no records.
    pub fn partition(&self, partition: u32) -> Result<Option<RunCursor>, Failure> {
        let Ok(at) = self.index.binary_search_by_key(&partition, |entry| entry.partition) else {
            return Ok(None);
        };
        let entry = self.index[at];
        RunCursor::open(
            &self.path,
            &self.id,
            Source { file: self.file.clone(), seed: self.seed },
            entry.offset,
            entry,
        )
        .map(Some)
    }
}

impl RunFile {
    /// A cursor over a partition of this file; none where it has no records.
    pub fn cursor(&self, partition: u32) -> Result<Option<RunCursor>, Failure> {
        if self.partition(partition).is_none() {
            return Ok(None);
        }
        let reader = RunReader::open(self.path(), self.id())?;
        if reader.index() != self.index() {
            return Err(corrupt(self.path(), self.id(), "its index is not the one that was written"));
        }
        reader.partition(partition)
    }
}

impl StoredSegment {
    /// A cursor over the segment, at its first record. Header and index of its run file may be
    /// elsewhere: every block is bound to them by its checksum.
    pub fn cursor(&self) -> Result<RunCursor, Failure> {
        self.check_place()?;
        let file =
            File::open(&self.path).map_err(|error| corrupt(&self.path, &self.id, error.to_string()))?;
        let (_, seed) = encode_header(&self.id, self.codec);
        RunCursor::open(&self.path, &self.id, Source { file: Arc::new(file), seed }, self.at, self.entry)
    }
}

/// Codec of the blocks, seed of the checksums, and length of the header.
pub(crate) fn check_header(file: &File, path: &Path, id: &RunId) -> Result<(Codec, u64, u64), Failure> {
    let mut stored = Vec::new();
    for codec in [Codec::None, Codec::Lz4] {
        let (expected, seed) = encode_header(id, codec);
        stored.resize(expected.len(), 0);
        file.read_exact_at(&mut stored, 0).map_err(|error| corrupt(path, id, error.to_string()))?;
        if stored == expected {
            return Ok((codec, seed, expected.len() as u64));
        }
    }
    Err(corrupt(path, id, "its header does not name this job, task and attempt"))
}

/// The index of a file of `length` bytes, which has at most `entries_max` entries.
pub(crate) fn read_index(
    file: &File,
    length: u64,
    seed: u64,
    header_bytes: u64,
    entries_max: u32,
) -> Result<Vec<IndexEntry>, String> {
    let mut trailer = [0u8; TRAILER_BYTES];
    let trailer_at = length.checked_sub(TRAILER_BYTES as u64).ok_or("it is too short")?;
    file.read_exact_at(&mut trailer, trailer_at).map_err(|error| error.to_string())?;
    let mut fields = Fields(&trailer);
    let (offset, entries, checksum) = (fields.u64(), fields.u32(), fields.u64());
    let index_bytes = u64::from(entries) * INDEX_ENTRY_BYTES as u64;
    if fields.0 != END_MAGIC || offset < header_bytes || offset.checked_add(index_bytes) != Some(trailer_at) {
        return Err("its trailer is damaged".into());
    }
    if entries > entries_max {
        return Err(format!("its index has {entries} entries, and {entries_max} are possible"));
    }
    let mut index = vec![0u8; usize::try_from(index_bytes).map_err(|error| error.to_string())?];
    file.read_exact_at(&mut index, offset).map_err(|error| error.to_string())?;
    if index_checksum(seed, offset, entries, &index) != checksum {
        return Err("its index is damaged".into());
    }
    let index: Vec<_> = index.as_chunks::<INDEX_ENTRY_BYTES>().0.iter().map(IndexEntry::decode).collect();
    if !is_orderly(&index, header_bytes..offset) {
        return Err("its index is out of order".into());
    }
    Ok(index)
}

/// Whether every partition is there once, in order, and lies within `blocks`. The checksum does not tell:
/// anybody can make one.
fn is_orderly(index: &[IndexEntry], blocks: Range<u64>) -> bool {
    let lies_within = |entry: &IndexEntry| {
        entry.offset >= blocks.start
            && entry.offset.checked_add(entry.length).is_some_and(|end| end <= blocks.end)
    };
    index.is_sorted_by(|former, next| former.partition < next.partition) && index.iter().all(lies_within)
}

/// An open file, and the seed of the checksums in it.
struct Source {
    file: Arc<File>,
    seed: u64,
}

/// A place in one partition of a run file, always at a record until it is exhausted.
#[derive(Debug)]
pub struct RunCursor {
    file: Arc<File>,
    path: PathBuf,
    id: RunId,
    seed: u64,
    segment: IndexEntry,
    /// Where the segment begins in the file.
    start: u64,
    /// Where the next block lay in the run file, to which its checksum is bound.
    next: u64,
    block: Vec<u8>,
    stored: Vec<u8>,
    /// Records of the block not yet passed, with the current one.
    block_left: u32,
    at: usize,
    key_start: usize,
    value_start: usize,
    records_read: u64,
    bytes_read: u64,
    exhausted: bool,
}

impl RunCursor {
    /// A cursor over `segment`, which begins at byte `start` of the file now. Neither end overflows.
    fn open(
        path: &Path,
        id: &RunId,
        source: Source,
        start: u64,
        segment: IndexEntry,
    ) -> Result<Self, Failure> {
        let mut cursor = Self {
            file: source.file,
            path: path.to_owned(),
            id: id.clone(),
            seed: source.seed,
            segment,
            start,
            next: segment.offset,
            block: Vec::new(),
            stored: Vec::new(),
            block_left: 0,
            at: 0,
            key_start: 0,
            value_start: 0,
            records_read: 0,
            bytes_read: 0,
            exhausted: false,
        };
        cursor.advance()?;
        Ok(cursor)
    }

    /// True behind the last record.
    #[inline]
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Key of the record.
    #[inline]
    pub fn key(&self) -> &[u8] {
        &self.block[self.key_start..self.value_start]
    }

    /// Value of the record.
    #[inline]
    pub fn value(&self) -> &[u8] {
        &self.block[self.value_start..self.at]
    }

    /// Prefix and class of the key, as in [`crate::sort`].
    #[inline]
    pub fn rank(&self) -> (u64, u8) {
        let key = self.key();
        (prefix_at(key, 0), class_of(key.len()))
    }

    /// Goes to the next record.
    #[inline]
    pub fn advance(&mut self) -> Result<(), Failure> {
        if self.block_left <= 1 {
            if self.at != self.block.len() {
                return Err(self.corrupt("a block has more bytes than records"));
            }
            if !self.next_block()? {
                return Ok(());
            }
        } else {
            self.block_left -= 1;
        }
        self.parse()
    }

    fn parse(&mut self) -> Result<(), Failure> {
        let mut at = self.at;
        let lengths = read_varint(&self.block, &mut at).zip(read_varint(&self.block, &mut at));
        let Some((key_bytes, value_bytes)) = lengths else { return Err(self.corrupt("a record is cut")) };
        self.key_start = at;
        self.value_start = at + key_bytes;
        self.at = self.value_start + value_bytes;
        if self.at > self.block.len() {
            return Err(self.corrupt("a record is cut"));
        }
        self.records_read += 1;
        self.bytes_read += (key_bytes + value_bytes) as u64;
        Ok(())
    }

    /// Reads the next block; false, and exhausted, behind the last one.
    fn next_block(&mut self) -> Result<bool, Failure> {
        let end = self.segment.offset + self.segment.length;
        if self.next >= end {
            let counted = (self.records_read, self.bytes_read);
            if counted != (self.segment.records, self.segment.bytes) {
                return Err(self.corrupt("it has not as many records as its index says"));
            }
            self.exhausted = true;
            self.key_start = 0;
            self.value_start = 0;
            self.at = 0;
            self.block.clear();
            return Ok(false);
        }
        let head_at = self.start + (self.next - self.segment.offset);
        let head = self.read_head(head_at, end - self.next)?;
        // A place that could be read is far below the greatest number.
        let payload_at = head_at + BLOCK_HEAD_BYTES as u64;
        let is_raw = head.stored_bytes == head.raw_bytes;
        let payload = if is_raw { &mut self.block } else { &mut self.stored };
        payload.resize(head.stored_bytes as usize, 0);
        let read = self.file.read_exact_at(payload, payload_at);
        let checksum = block_checksum(self.seed, self.next, &head, payload);
        read.map_err(|error| self.corrupt(error.to_string()))?;
        if checksum != head.checksum {
            return Err(self.corrupt(format!("the block at byte {} is damaged", self.next)));
        }
        if !is_raw {
            self.block.resize(head.raw_bytes as usize, 0);
            let decoded = lz4_flex::block::decompress_into(&self.stored, &mut self.block);
            if decoded.ok() != Some(self.block.len()) {
                return Err(self.corrupt(format!("the block at byte {} cannot be decompressed", self.next)));
            }
        }
        self.next += BLOCK_HEAD_BYTES as u64 + u64::from(head.stored_bytes);
        self.block_left = head.records;
        self.at = 0;
        Ok(true)
    }

    /// Reads the head of a block, which with the block has at most `bytes_max` bytes.
    fn read_head(&self, head_at: u64, bytes_max: u64) -> Result<BlockHead, Failure> {
        let mut head = [0u8; BLOCK_HEAD_BYTES];
        let read = self.file.read_exact_at(&mut head, head_at);
        read.map_err(|error| self.corrupt(error.to_string()))?;
        let head = BlockHead::decode(&head);
        let fits = u64::from(head.raw_bytes.max(head.stored_bytes)) <= BLOCK_BYTES_MAX
            && head.cursor_bytes() <= self.segment.cursor_bytes
            && BLOCK_HEAD_BYTES as u64 + u64::from(head.stored_bytes) <= bytes_max
            && head.partition == self.segment.partition
            && head.records > 0;
        if fits { Ok(head) } else { Err(self.corrupt(format!("the block at byte {} is damaged", self.next))) }
    }

    #[cold]
    fn corrupt(&self, reason: impl Into<String>) -> Failure {
        corrupt(&self.path, &self.id, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::RunWriter;
    use mr_model::{AttemptId, JobId, TaskId};

    fn id(sequence: u32) -> RunId {
        let attempt = AttemptId { task: TaskId::map(3), attempt: 1 };
        RunId { job: JobId::new("job-1").unwrap(), attempt, sequence }
    }

    type Records = Vec<(u32, Vec<u8>, Vec<u8>)>;

    fn records() -> Records {
        let record = |i: u32| (i / 12 * 3, format!("key-{i:05}").into_bytes(), vec![b'v'; (i % 20) as usize]);
        (0..30).map(record).collect()
    }

    fn read(path: &Path, id: &RunId) -> Result<Records, Failure> {
        let reader = RunReader::open(path, id)?;
        let mut records = Vec::new();
        for entry in reader.index() {
            let Some(mut cursor) = reader.partition(entry.partition)? else { continue };
            while !cursor.is_exhausted() {
                records.push((entry.partition, cursor.key().to_vec(), cursor.value().to_vec()));
                cursor.advance()?;
            }
        }
        Ok(records)
    }

    fn write(dir: &Path, codec: Codec, sequence: u32) -> RunFile {
        let mut writer = RunWriter::create(dir, id(sequence), codec, Default::default()).unwrap();
        for (partition, key, value) in records() {
            writer.append(partition, &key, &value).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn a_run_reads_back_and_any_flipped_bit_is_detected() {
        let dir = tempfile::tempdir().unwrap();
        for (codec, sequence) in [(Codec::None, 0), (Codec::Lz4, 1)] {
            let file = write(dir.path(), codec, sequence);
            assert_eq!(read(file.path(), &id(sequence)).unwrap(), records());
            let bytes = std::fs::read(file.path()).unwrap();
            let damaged = dir.path().join("damaged");
            for at in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << (at % 8);
                std::fs::write(&damaged, &flipped).unwrap();
                let outcome = read(&damaged, &id(sequence));
                assert!(matches!(outcome, Err(Failure::Corrupt { .. })), "byte {at}: {outcome:?}");
            }
            for length in 0..bytes.len() {
                std::fs::write(&damaged, &bytes[..length]).unwrap();
                assert!(read(&damaged, &id(sequence)).is_err(), "cut to {length} bytes");
            }
        }
    }

    #[test]
    fn a_run_of_another_attempt_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = write(dir.path(), Codec::None, 0);
        assert!(read(file.path(), &id(1)).is_err());
    }

    /// The format is fixed: other versions of the engine read these bytes.
    #[test]
    fn the_format_is_pinned() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = RunWriter::create(dir.path(), id(2), Codec::None, Default::default()).unwrap();
        writer.append(1, b"a", b"xyz").unwrap();
        writer.append(4, b"", b"").unwrap();
        let file = writer.finish().unwrap();
        let hex: String =
            std::fs::read(file.path()).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../tests/run_v2.hex").trim(), "{hex}");
    }
}
