//! Splits of every input format against a reading of the whole files: whatever the bytes, the split size
//! and the batch size, all splits together are the input, each record once and in order.

use std::os::unix::ffi::OsStrExt;

use mr_model::{BatchBuf, Failure, InputFormat, InputKey, InputSpec, Place};
use mr_storage::{InputFile, LocalInputs, ReaderOptions, SplitReader, list_inputs, plan_splits};

use crate::file::MemoryFile;
use crate::take::Supply;

/// Files of one input.
const FILES_MAX: u8 = 4;
/// Memory of a batch beside its bytes, in bytes: keys, and what a row costs.
const BATCH_SLACK: usize = 4 << 10;

type Record = (Place, Vec<u8>, Vec<u8>);

/// Target: lines, also as chunks and with paths.
pub fn lines(data: &[u8]) {
    run(data, |_| InputFormat::Lines);
}

/// Target: lines as keys.
pub fn line_keys(data: &[u8]) {
    run(data, |_| InputFormat::LineKeys);
}

/// Target: records of one length.
pub fn fixed(data: &[u8]) {
    run(data, |supply| {
        let bytes = 1 + u32::from(supply.byte());
        InputFormat::Fixed { bytes, key: u32::from(supply.byte()) % (bytes + 1) }
    });
}

fn run(data: &[u8], format: impl Fn(&mut Supply<'_>) -> InputFormat) {
    let mut supply = Supply(data);
    let format = format(&mut supply);
    let flags = supply.byte();
    let key = if flags & 1 == 0 { InputKey::Offset } else { InputKey::PathOffset };
    let chunks = flags & 2 != 0 && format == InputFormat::Lines;
    let (split_bytes, batch_bytes) = (1 + u64::from(supply.short()), u32::from(supply.short()));
    let record_bytes_max = u64::from(supply.byte()) * if flags & 4 == 0 { 1 } else { 64 };
    let input = InputSpec { key, chunks, ..InputSpec::of(format) };
    let options = ReaderOptions { input, record_bytes_max, bad_max: 0, batch_bytes };
    let mut contents = Vec::new();
    for _ in 0..supply.below(FILES_MAX) {
        let length = usize::from(supply.byte());
        contents.push(supply.bytes(length).to_vec());
    }
    contents.push(supply.rest().to_vec());
    if let InputFormat::Fixed { bytes, .. } = format {
        contents
            .iter_mut()
            .for_each(|content| content.truncate(content.len() / bytes as usize * bytes as usize));
    }
    let files: Vec<MemoryFile> = contents.iter().map(|content| MemoryFile::new(content)).collect();
    let paths: Vec<String> = files.iter().map(|file| file.path().to_str().unwrap().to_owned()).collect();
    let listed = list_inputs(&paths, &[], None).unwrap();
    let read = read(&listed, split_bytes, &options);
    match naive(&listed, &contents, &options) {
        Some(expected) => assert_eq!(records(read.unwrap(), chunks), expected),
        None => assert!(matches!(read, Err(Failure::InputRecord { .. })), "{read:?}"),
    }
}

fn read(files: &[InputFile], split_bytes: u64, options: &ReaderOptions) -> Result<Vec<Record>, Failure> {
    let mut records = Vec::new();
    let mut bytes = 0;
    let target = usize::try_from(options.batch_bytes.max(1)).unwrap();
    let record = usize::try_from(options.record_bytes_max).unwrap();
    for split in plan_splits(&[(&options.input, files)], split_bytes, &LocalInputs).unwrap().splits {
        let mut reader = SplitReader::open(&split, options.clone())?;
        let mut batch = BatchBuf::default();
        while reader.next_batch(&mut batch)? {
            assert!(batch.values.bytes() <= target + record + BATCH_SLACK, "a batch is too large");
            for (row, (key, value)) in (0u32..).zip(batch.view().iter()) {
                records.push((reader.place(row).unwrap(), key.to_vec(), value.to_vec()));
            }
            assert_eq!(reader.place(batch.rows()), None);
        }
        assert!(!reader.next_batch(&mut batch)?, "the end stays the end");
        bytes += reader.bytes_read();
    }
    assert_eq!(bytes, files.iter().map(|file| file.bytes).sum::<u64>());
    Ok(records)
}

/// Chunks taken apart into lines.
fn records(read: Vec<Record>, chunks: bool) -> Vec<Record> {
    if !chunks {
        return read;
    }
    let mut lines = Vec::new();
    for (place, key, chunk) in read {
        let prefix = &key[..key.len() - 8];
        let mut offset = place.offset;
        assert_eq!(key[key.len() - 8..], offset.to_be_bytes());
        for line in chunk.split_inclusive(|byte| *byte == b'\n') {
            let key = [prefix, &offset.to_be_bytes()].concat();
            lines.push((Place { offset, ..place.clone() }, key, trimmed(line).to_vec()));
            offset += line.len() as u64;
        }
    }
    lines
}

/// What the files hold; none where a record is too long.
fn naive(files: &[InputFile], contents: &[Vec<u8>], options: &ReaderOptions) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    for (file, content) in files.iter().zip(contents) {
        let mut offset = 0u64;
        let place = |offset| Place { path: file.path.clone(), offset };
        let mut add = |record: &[u8]| {
            let at = place(offset);
            offset += record.len() as u64;
            let (key, value) = match options.input.format {
                InputFormat::Fixed { key, .. } => {
                    let (key, value) = record.split_at(key as usize);
                    (key.to_vec(), value.to_vec())
                }
                InputFormat::LineKeys => (trimmed(record).to_vec(), Vec::new()),
                _ => (line_key(&at, options.input.key), trimmed(record).to_vec()),
            };
            records.push((at, key, value));
        };
        match options.input.format {
            InputFormat::Fixed { bytes, .. } => content.chunks(bytes as usize).for_each(&mut add),
            _ => content.split_inclusive(|byte| *byte == b'\n').for_each(&mut add),
        }
    }
    let length = |(_, key, value): &Record| match options.input.format {
        InputFormat::Lines => value.len(),
        _ => key.len() + value.len(),
    };
    let too_long = |record: &Record| length(record) as u64 > options.record_bytes_max;
    (!records.iter().any(too_long)).then_some(records)
}

fn line_key(place: &Place, key: InputKey) -> Vec<u8> {
    let offset = place.offset.to_be_bytes();
    match key {
        InputKey::Unit => Vec::new(),
        InputKey::Offset => offset.to_vec(),
        InputKey::PathOffset => [place.path.as_os_str().as_bytes(), b"\0\0", &offset].concat(),
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// Inputs that begin with the choices of [`fixed`], which are text to the others.
pub fn seeds() -> Vec<Vec<u8>> {
    let text = b"a line\n\nanother one that is longer\r\nand the last".as_slice();
    let choices = |flags: u8, split: u8, batch: u8, record: u8| {
        [flags, split, 0, batch, 0, record, 2, 9, b'1', b'\n', b'2', b'2', b'\n', b'\n', b'3', b'3', b'3', 0]
    };
    let mut seeds = Vec::new();
    for (flags, split, batch, record) in
        [(0, 10, 16, 40), (1, 3, 1, 60), (2, 200, 30, 50), (7, 7, 0, 9), (2, 5, 8, 5)]
    {
        let choices = choices(flags, split, batch, record);
        seeds.push([choices.as_slice(), text].concat());
        seeds.push([&[3, 1], choices.as_slice(), text].concat());
    }
    seeds
}
