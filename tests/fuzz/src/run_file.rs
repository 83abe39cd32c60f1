//! Run files, segments of them and their blocks, as a broken disk or another machine may hand them over:
//! they are refused, or they hold exactly the records that were counted. The checksums are no secret, so
//! inputs are also dressed up with good ones to get behind them.

use mr_model::{AttemptId, Failure, JobId, TaskId};
use mr_shuffle::reader::{RunCursor, RunReader};
use mr_shuffle::run::{
    BLOCK_HEAD_BYTES, BlockHead, END_MAGIC, block_checksum, encode_header, index_checksum,
};
use mr_shuffle::writer::RunWriter;
use mr_shuffle::{Codec, IndexEntry, ReduceInput, RunId, StoredSegment};

use crate::file::MemoryFile;
use crate::take::Supply;

/// Records that are looked at one by one.
const RECORDS_SEEN_MAX: u64 = 1 << 16;

fn id() -> RunId {
    let attempt = AttemptId { task: TaskId::map(3), attempt: 1 };
    RunId { job: JobId::new("job-1").unwrap(), attempt, sequence: 2 }
}

fn codec(byte: u8) -> Codec {
    if byte.is_multiple_of(2) { Codec::None } else { Codec::Lz4 }
}

/// Target: first byte 0 and a whole file, or the codec, blocks, and index entries, from which a file with
/// good checksums is made.
pub fn run_file(data: &[u8]) {
    let mut supply = Supply(data);
    let kind = supply.below(3);
    let content = if kind == 0 { supply.rest().to_vec() } else { dressed(codec(kind), &mut supply) };
    let file = MemoryFile::new(&content);
    let Ok(reader) = RunReader::open(&file.path(), &id()) else { return };
    let index = reader.index();
    assert!(index.is_sorted_by(|a, b| a.partition < b.partition), "{index:?}");
    for entry in index {
        match reader.partition(entry.partition) {
            Ok(cursor) => drop(read(&mut cursor.unwrap(), (entry.records, entry.bytes))),
            Err(failure) => assert!(matches!(failure, Failure::Corrupt { .. }), "{failure}"),
        }
    }
    assert!(reader.partition(u32::MAX).is_ok_and(|cursor| cursor.is_none()) || !index.is_empty());
}

/// Reads to the end, or to where it is corrupt.
fn read(cursor: &mut RunCursor, expected: (u64, u64)) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    while !cursor.is_exhausted() {
        assert!((records.len() as u64) < RECORDS_SEEN_MAX, "no input has so many records");
        bytes += (cursor.key().len() + cursor.value().len()) as u64;
        let _ = cursor.rank();
        records.push((cursor.key().to_vec(), cursor.value().to_vec()));
        if let Err(failure) = cursor.advance() {
            assert!(matches!(failure, Failure::Corrupt { .. }), "{failure}");
            return None;
        }
    }
    assert_eq!((records.len() as u64, bytes), expected, "it holds what was counted");
    Some(records)
}

/// A file with good checksums and any content: blocks until a byte is 0, then index entries.
fn dressed(codec: Codec, supply: &mut Supply<'_>) -> Vec<u8> {
    let (mut content, seed) = encode_header(&id(), codec);
    while supply.below(8) != 0 {
        let offset = content.len() as u64;
        push_block(supply, seed, offset, &mut content);
    }
    let offset = content.len() as u64;
    let mut index = Vec::new();
    let mut entries = 0;
    while !supply.is_empty() {
        entry(supply).encode(&mut index);
        entries += 1;
    }
    let checksum = index_checksum(seed, offset, entries, &index);
    content.extend_from_slice(&index);
    content.extend_from_slice(&offset.to_le_bytes());
    content.extend_from_slice(&entries.to_le_bytes());
    content.extend_from_slice(&checksum.to_le_bytes());
    content.extend_from_slice(END_MAGIC);
    content
}

/// Appends a block that claims anything and has a good checksum for where it lies.
fn push_block(supply: &mut Supply<'_>, seed: u64, offset: u64, content: &mut Vec<u8>) {
    let (partition, records) = (u32::from(supply.byte()), length(supply));
    let stored = supply.string();
    let stored_bytes = u32::try_from(stored.len()).unwrap();
    // Mostly as long as it says, decoded or not.
    let raw_bytes = if supply.below(2) == 0 { stored_bytes } else { length(supply) };
    let mut head = BlockHead { partition, records, raw_bytes, stored_bytes, checksum: 0 };
    head.checksum = block_checksum(seed, offset, &head, stored);
    content.extend_from_slice(&head.encode());
    content.extend_from_slice(stored);
}

fn length(supply: &mut Supply<'_>) -> u32 {
    u32::try_from(supply.number()).unwrap_or(u32::MAX)
}

fn entry(supply: &mut Supply<'_>) -> IndexEntry {
    IndexEntry {
        partition: u32::from(supply.byte()),
        offset: supply.number(),
        length: supply.number(),
        records: supply.number(),
        bytes: supply.number(),
        cursor_bytes: length(supply),
        hash: u128::from(supply.byte()),
    }
}

/// Target: what another worker says of its segments, and one file in which they are supposed to lie.
pub fn segment(data: &[u8]) {
    let mut supply = Supply(data);
    let codec = codec(supply.byte());
    let (_, seed) = encode_header(&id(), codec);
    let mut told = Vec::new();
    for _ in 0..supply.below(4) {
        let (at, sequence, attempt) = (supply.number(), u32::from(supply.byte()), u32::from(supply.below(2)));
        told.push((at, sequence, attempt, entry(&mut supply)));
    }
    // Bound to where the first segment says that they lay first.
    let first = told.first().map_or(0, |(_, _, _, entry)| entry.offset);
    let mut content = vec![0; usize::from(supply.below(16))];
    let skipped = content.len() as u64;
    while !supply.is_empty() {
        let offset = first.wrapping_add(content.len() as u64).wrapping_sub(skipped);
        push_block(&mut supply, seed, offset, &mut content);
    }
    let file = MemoryFile::new(&content);
    let segments: Vec<StoredSegment> = told
        .into_iter()
        .map(|(at, sequence, attempt, entry)| {
            let attempt = AttemptId { attempt, ..id().attempt };
            StoredSegment { path: file.path(), at, id: RunId { attempt, sequence, ..id() }, codec, entry }
        })
        .collect();
    for segment in &segments {
        let expected = (segment.entry.records, segment.entry.bytes);
        match segment.cursor() {
            Ok(mut cursor) => drop(read(&mut cursor, expected)),
            Err(failure) => assert!(matches!(failure, Failure::Corrupt { .. }), "{failure}"),
        }
    }
    let partition = segments.first().map_or(0, |segment| segment.entry.partition);
    let _ = ReduceInput::from_segments(segments, partition).map(|input| input.expected());
}

/// Target: one compressed block, with the length that it claims to have. Its bytes are those that a
/// naive decoder finds, or it is refused; either way it takes no more memory than it claims.
pub fn block(data: &[u8]) {
    let mut supply = Supply(data);
    let (raw_bytes, records) = (u32::from(supply.short()), u32::from(supply.byte()));
    let stored = supply.rest();
    let stored_bytes = u32::try_from(stored.len()).unwrap();
    let (mut content, seed) = encode_header(&id(), Codec::Lz4);
    let at = content.len() as u64;
    let mut head = BlockHead { partition: 0, records, raw_bytes, stored_bytes, checksum: 0 };
    head.checksum = block_checksum(seed, at, &head, stored);
    content.extend_from_slice(&head.encode());
    content.extend_from_slice(stored);
    let raw = if raw_bytes == stored_bytes {
        Some(stored.to_vec())
    } else {
        decompress(stored, raw_bytes as usize)
    };
    let expected = raw.as_deref().and_then(|raw| split_records(raw, records));
    let counted = expected.as_deref().unwrap_or_default();
    let entry = IndexEntry {
        partition: 0,
        offset: at,
        length: (BLOCK_HEAD_BYTES + stored.len()) as u64,
        records: counted.len() as u64,
        bytes: counted.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum(),
        cursor_bytes: head.cursor_bytes(),
        hash: 0,
    };
    let file = MemoryFile::new(&content);
    let segment = StoredSegment { path: file.path(), at, id: id(), codec: Codec::Lz4, entry };
    let found = segment.cursor().ok().and_then(|mut cursor| read(&mut cursor, (entry.records, entry.bytes)));
    // Another decoder may be stricter at the end of a block, never laxer.
    if let Some(found) = found {
        assert_eq!(Some(found), expected);
    }
    assert!(raw_bytes != stored_bytes || expected.is_none() || segment.cursor().is_ok());
}

/// LZ4's block format as its description has it; none if it is malformed or not of this length.
fn decompress(mut stored: &[u8], raw_bytes: usize) -> Option<Vec<u8>> {
    fn number(nibble: u8, stored: &mut &[u8]) -> Option<usize> {
        let mut number = usize::from(nibble);
        if nibble == 15 {
            loop {
                let (byte, rest) = stored.split_first()?;
                *stored = rest;
                number += usize::from(*byte);
                if *byte != 255 {
                    break;
                }
            }
        }
        Some(number)
    }
    let mut raw = Vec::new();
    loop {
        let (token, rest) = stored.split_first()?;
        stored = rest;
        let literals = number(token >> 4, &mut stored)?;
        let (literal, rest) = stored.split_at_checked(literals)?;
        stored = rest;
        raw.extend_from_slice(literal);
        if stored.is_empty() {
            return (raw.len() == raw_bytes).then_some(raw);
        }
        let (distance, rest) = stored.split_first_chunk::<2>()?;
        stored = rest;
        let from = raw.len().checked_sub(usize::from(u16::from_le_bytes(*distance)))?;
        let length = number(token & 15, &mut stored)? + 4;
        if from == raw.len() || raw.len() + length > raw_bytes {
            return None;
        }
        (from..from + length).for_each(|at| raw.push(raw[at]));
    }
}

/// The records of a block; none if they are not as many or do not fill it.
fn split_records(mut raw: &[u8], records: u32) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    fn length(raw: &mut &[u8]) -> Option<usize> {
        let mut length = 0;
        for shift in [0, 7, 14, 21, 28] {
            let (byte, rest) = raw.split_first()?;
            *raw = rest;
            length |= usize::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Some(length);
            }
        }
        None
    }
    let mut found = Vec::new();
    for _ in 0..records {
        let (key, value) = (length(&mut raw)?, length(&mut raw)?);
        let (key, rest) = raw.split_at_checked(key)?;
        let (value, rest) = rest.split_at_checked(value)?;
        raw = rest;
        found.push((key.to_vec(), value.to_vec()));
    }
    (raw.is_empty() && records > 0).then_some(found)
}

/// Files that were written by the writer, and one that is dressed up.
pub fn file_seeds() -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let written = [Codec::None, Codec::Lz4].map(|codec| {
        let mut writer = RunWriter::create(dir.path(), id(), codec, Default::default()).unwrap();
        for i in 0..12u32 {
            writer.append(i / 5 * 3, format!("key-{i:05}").as_bytes(), &b"v".repeat(40)).unwrap();
        }
        let file = writer.finish().unwrap();
        [vec![0], std::fs::read(file.path()).unwrap()].concat()
    });
    let header = u8::try_from(encode_header(&id(), Codec::None).0.len()).unwrap();
    // One block with the records (a, xyz) and (b, ""), and its entry.
    let dressed = [1, 1, 0, 2, 8, 1, 3, b'a', b'x', b'y', b'z', 1, 0, b'b', 0, 0];
    let entry = [0, header, 33, 2, 5, 9, 0];
    let dressed = [&dressed[..4], &[9], &dressed[5..14], &[0, 0], &entry].concat();
    written.into_iter().chain([dressed]).collect()
}

/// A segment that is whole, in its run file's place and elsewhere.
pub fn segment_seeds() -> Vec<Vec<u8>> {
    let block = [0, 2, 9, 1, 3, b'a', b'x', b'y', b'z', 1, 0, b'b', 0];
    let told = |codec, at| [codec, 1, at, 2, 1, 0, 50, 33, 2, 5, 9, 0, at];
    vec![[told(0, 0).as_slice(), &block].concat(), [told(1, 3).as_slice(), &block].concat()]
}

/// Blocks with and without compression, and one that claims to be much longer than it is.
pub fn block_seeds() -> Vec<Vec<u8>> {
    let raw = [[2, 60, b'k', b'1'].as_slice(), &b"v".repeat(60), &[2, 0, b'k', b'2']].concat();
    let compressed = lz4_flex::block::compress(&raw);
    let with = |raw_bytes: usize, records: u8, stored: &[u8]| {
        [u16::try_from(raw_bytes).unwrap().to_le_bytes().as_slice(), &[records], stored].concat()
    };
    let zeros = lz4_flex::block::compress(&[0; 40_000]);
    vec![with(raw.len(), 2, &compressed), with(raw.len(), 2, &raw), with(40_000, 200, &zeros)]
}
