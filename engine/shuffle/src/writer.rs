//! Writes run files: records in partition and key order, in blocks, the index last.

use std::fs::File;
use std::path::{Path, PathBuf};

use mr_model::Failure;
use xxhash_rust::xxh3::Xxh3;

use crate::full::FullDisk;
use crate::run::{
    BLOCK_BYTES, BlockHead, Codec, END_MAGIC, IndexEntry, RunId, block_checksum, encode_header, file_name,
    index_checksum, push_varint,
};
use crate::segment::StoredSegment;

/// A run file under construction; removed when dropped before [`RunWriter::finish`].
pub struct RunWriter {
    file: RunFile,
    out: File,
    codec: Codec,
    full: FullDisk,
    seed: u64,
    offset: u64,
    block: Vec<u8>,
    block_records: u32,
    stored: Vec<u8>,
    index: Vec<IndexEntry>,
    /// Over the blocks of the open partition.
    hasher: Xxh3,
}

/// A finished run file; removed when dropped.
#[derive(Debug)]
pub struct RunFile {
    path: PathBuf,
    id: RunId,
    index: Vec<IndexEntry>,
    codec: Codec,
    bytes: u64,
}

impl RunWriter {
    /// Creates the file of run `id` in `dir`.
    pub fn create(dir: &Path, id: RunId, codec: Codec, full: FullDisk) -> Result<Self, Failure> {
        let path = dir.join(file_name(&id));
        let (header, seed) = encode_header(&id, codec);
        let mut out = File::create_new(&path).map_err(|error| Failure::disk(&path, &error))?;
        let file = RunFile { path, id, codec, index: Vec::new(), bytes: 0 };
        full.write_all(&mut out, &header).map_err(|error| Failure::disk(&file.path, &error))?;
        Ok(Self {
            file,
            out,
            codec,
            full,
            seed,
            offset: header.len() as u64,
            block: Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 4),
            block_records: 0,
            stored: Vec::new(),
            index: Vec::new(),
            hasher: Xxh3::new(),
        })
    }

    /// Appends a record; partitions come in ascending order, keys sorted within them.
    #[inline]
    pub fn append(&mut self, partition: u32, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        if self.index.last().is_none_or(|open| open.partition != partition) {
            self.open_partition(partition)?;
        }
        push_varint(key.len(), &mut self.block);
        push_varint(value.len(), &mut self.block);
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(value);
        self.block_records += 1;
        if let Some(open) = self.index.last_mut() {
            open.records += 1;
            open.bytes += (key.len() + value.len()) as u64;
        }
        if self.block.len() >= BLOCK_BYTES { self.write_block() } else { Ok(()) }
    }

    /// Writes what is left and the index.
    pub fn finish(mut self) -> Result<RunFile, Failure> {
        self.close_partition()?;
        let mut index = Vec::new();
        for entry in &self.index {
            entry.encode(&mut index);
        }
        let entries = u32::try_from(self.index.len()).unwrap_or(u32::MAX);
        let checksum = index_checksum(self.seed, self.offset, entries, &index);
        index.extend_from_slice(&self.offset.to_le_bytes());
        index.extend_from_slice(&entries.to_le_bytes());
        index.extend_from_slice(&checksum.to_le_bytes());
        index.extend_from_slice(END_MAGIC);
        self.full.write_all(&mut self.out, &index).map_err(|error| Failure::disk(&self.file.path, &error))?;
        self.file.index = self.index;
        self.file.bytes = self.offset + index.len() as u64;
        Ok(self.file)
    }

    fn open_partition(&mut self, partition: u32) -> Result<(), Failure> {
        self.close_partition()?;
        if self.index.last().is_some_and(|open| open.partition > partition) {
            return Err(Failure::internal("a run's partitions are out of order"));
        }
        self.index.push(IndexEntry {
            partition,
            offset: self.offset,
            length: 0,
            records: 0,
            bytes: 0,
            cursor_bytes: 0,
            hash: 0,
        });
        Ok(())
    }

    fn close_partition(&mut self) -> Result<(), Failure> {
        self.write_block()?;
        if let Some(open) = self.index.last_mut() {
            open.hash = self.hasher.digest128();
            self.hasher.reset();
        }
        Ok(())
    }

    fn write_block(&mut self) -> Result<(), Failure> {
        let Some(open) = self.index.last_mut() else { return Ok(()) };
        if self.block.is_empty() {
            return Ok(());
        }
        let stored = match self.codec {
            Codec::None => &self.block,
            Codec::Lz4 => compress(&self.block, &mut self.stored),
        };
        let length = |bytes: &Vec<u8>| {
            u32::try_from(bytes.len()).map_err(|_| Failure::internal("a run's block is over 4 GiB"))
        };
        let mut head = BlockHead {
            partition: open.partition,
            records: self.block_records,
            raw_bytes: length(&self.block)?,
            stored_bytes: length(stored)?,
            checksum: 0,
        };
        head.checksum = block_checksum(self.seed, self.offset, &head, stored);
        open.cursor_bytes = open.cursor_bytes.max(head.cursor_bytes());
        let encoded = head.encode();
        self.hasher.update(&encoded);
        self.hasher.update(stored);
        let written = self.full.write_all(&mut self.out, &encoded);
        let written = written.and_then(|()| self.full.write_all(&mut self.out, stored));
        written.map_err(|error| Failure::disk(&self.file.path, &error))?;
        let bytes = encoded.len() as u64 + stored.len() as u64;
        open.length += bytes;
        self.offset += bytes;
        self.block.clear();
        self.block_records = 0;
        Ok(())
    }
}

/// The smaller of a block and its compressed form.
fn compress<'a>(block: &'a Vec<u8>, stored: &'a mut Vec<u8>) -> &'a Vec<u8> {
    stored.resize(lz4_flex::block::get_maximum_output_size(block.len()), 0);
    match lz4_flex::block::compress_into(block, stored) {
        Ok(bytes) if bytes < block.len() => {
            stored.truncate(bytes);
            stored
        }
        _ => block,
    }
}

impl RunFile {
    /// A file that was checked.
    pub(crate) fn at(path: PathBuf, id: RunId, codec: Codec, index: Vec<IndexEntry>, bytes: u64) -> Self {
        Self { path, id, index, codec, bytes }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Its partitions that have records, in order.
    pub fn index(&self) -> &[IndexEntry] {
        &self.index
    }

    /// The entry of a partition; none where it has no records.
    pub fn partition(&self, partition: u32) -> Option<&IndexEntry> {
        let at = self.index.binary_search_by_key(&partition, |entry| entry.partition).ok()?;
        self.index.get(at)
    }

    /// Size of the file, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How its blocks are stored.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Its segments, in partition order, where they lie now; they are there as long as this value.
    pub fn segments(&self) -> impl Iterator<Item = StoredSegment> {
        self.index.iter().map(|entry| StoredSegment {
            path: self.path.clone(),
            at: entry.offset,
            id: self.id.clone(),
            codec: self.codec,
            entry: *entry,
        })
    }
}

impl Drop for RunFile {
    fn drop(&mut self) {
        // The job's work folder is removed as a whole anyway.
        let _ = std::fs::remove_file(&self.path);
    }
}
