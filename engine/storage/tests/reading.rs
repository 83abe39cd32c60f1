//! Splits and batches against a naive reading of the whole files: whatever the split size, the batch
//! size and the bytes, all splits together are the input, each record once and in order.

#![expect(
    clippy::unwrap_used,
    reason = "what a test prepares has to work, also in functions that tests share"
)]

use std::fs;
use std::path::{Path, PathBuf};

use mr_model::{BatchBuf, Failure, InputFormat, InputKey, InputSpec, Place};
use mr_storage::{LocalInputs, ReaderOptions, Split, SplitReader, list_inputs, plan_splits};
use proptest::collection::vec;
use proptest::prelude::*;

type Record = (Vec<u8>, Vec<u8>);

/// An input of a format.
fn of(format: InputFormat, key: InputKey, chunks: bool) -> InputSpec {
    InputSpec { key, chunks, ..InputSpec::of(format) }
}

/// A format in small batches.
fn options(format: InputFormat) -> ReaderOptions {
    ReaderOptions { input: InputSpec::of(format), record_bytes_max: 1 << 20, bad_max: 0, batch_bytes: 64 }
}

/// Lines in small batches.
fn lines(chunks: bool) -> ReaderOptions {
    ReaderOptions { input: of(InputFormat::Lines, InputKey::Offset, chunks), ..options(InputFormat::Lines) }
}

/// Files on disk and what is in them.
struct Input {
    dir: tempfile::TempDir,
    contents: Vec<Vec<u8>>,
}

impl Input {
    fn new(contents: &[Vec<u8>]) -> Self {
        let input = Self { dir: tempfile::tempdir().unwrap(), contents: contents.to_vec() };
        for (i, content) in contents.iter().enumerate() {
            fs::write(input.path(i), content).unwrap();
        }
        input
    }

    fn path(&self, file: usize) -> PathBuf {
        self.dir.path().join(format!("{file:03}"))
    }

    fn splits(&self, format: InputFormat, split_bytes: u64) -> Vec<Split> {
        let files = list_inputs(&[self.dir.path().to_str().unwrap().to_owned()], &[], None).unwrap();
        plan_splits(&[(&InputSpec::of(format), &files)], split_bytes, &LocalInputs).unwrap().splits
    }

    /// Every line with its newline, where it has one, and its place.
    fn lines(&self) -> Vec<(Place, &[u8])> {
        let mut lines = Vec::new();
        for (i, content) in self.contents.iter().enumerate() {
            let mut offset = 0;
            for line in content.split_inclusive(|byte| *byte == b'\n') {
                lines.push((Place { path: self.path(i), offset }, line));
                offset += line.len() as u64;
            }
        }
        lines
    }
}

/// Reads all splits; checks batches, places and progress on the way.
fn read(splits: &[Split], options: &ReaderOptions) -> Result<Vec<(Place, Record)>, Failure> {
    let mut records = Vec::new();
    for split in splits {
        let mut reader = SplitReader::open(split, options.clone())?;
        let mut batch = BatchBuf::default();
        while reader.next_batch(&mut batch)? {
            assert!(batch.rows() > 0);
            for (row, (key, value)) in (0u32..).zip(batch.view().iter()) {
                records.push((reader.place(row).unwrap(), (key.to_vec(), value.to_vec())));
            }
            assert_eq!(reader.place(batch.rows()), None);
        }
        assert_eq!(batch.rows(), 0);
        assert!(!reader.next_batch(&mut batch)?, "the end stays the end");
    }
    Ok(records)
}

fn trimmed(line: &[u8]) -> Vec<u8> {
    line.strip_suffix(b"\n").unwrap_or(line).to_vec()
}

fn path_offset_key(place: &Place) -> Vec<u8> {
    [place.path.to_str().unwrap().as_bytes(), b"\0\0", &place.offset.to_be_bytes()].concat()
}

/// Text with many newlines, none at all, empty lines, with and without a last newline.
fn contents() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let byte = prop_oneof![4 => Just(b'\n'), 12 => prop_oneof![Just(b'a'), Just(b'\r'), Just(0u8)], 1 => any::<u8>()];
    let letter = prop_oneof![1 => Just(b'\n'), 60 => Just(b'x')];
    vec(prop_oneof![vec(byte, 0..80), vec(letter, 0..200)], 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_are_those_of_the_files(contents in contents(), split_bytes in 1u64..150, batch_bytes in 0u32..200) {
        let input = Input::new(&contents);
        let splits = input.splits(InputFormat::Lines, split_bytes);
        for key in [InputKey::Offset, InputKey::PathOffset] {
            let records = read(&splits, &ReaderOptions { input: of(InputFormat::Lines, key, false), batch_bytes, ..lines(false) }).unwrap();
            let expected: Vec<_> = input.lines().into_iter().map(|(place, line)| {
                let key = match key {
                    InputKey::Unit => Vec::new(),
                    InputKey::Offset => place.offset.to_be_bytes().to_vec(),
                    InputKey::PathOffset => path_offset_key(&place),
                };
                (place, (key, trimmed(line)))
            }).collect();
            prop_assert_eq!(records, expected);
        }
    }

    #[test]
    fn line_keys_are_the_lines(contents in contents(), split_bytes in 1u64..150, batch_bytes in 0u32..200) {
        let input = Input::new(&contents);
        let splits = input.splits(InputFormat::LineKeys, split_bytes);
        let options = ReaderOptions { input: of(InputFormat::LineKeys, InputKey::Offset, false), batch_bytes, ..lines(false) };
        let expected: Vec<_> =
            input.lines().into_iter().map(|(place, line)| (place, (trimmed(line), Vec::new()))).collect();
        prop_assert_eq!(read(&splits, &options).unwrap(), expected);
    }

    #[test]
    fn chunks_are_runs_of_whole_lines(contents in contents(), split_bytes in 1u64..150, batch_bytes in 0u32..200) {
        let input = Input::new(&contents);
        let splits = input.splits(InputFormat::Lines, split_bytes);
        let chunks = read(&splits, &ReaderOptions { input: of(InputFormat::Lines, InputKey::Offset, true), batch_bytes, ..lines(false) }).unwrap();
        let mut lines = Vec::new();
        for (place, (key, chunk)) in &chunks {
            prop_assert_eq!(&place.offset.to_be_bytes()[..], &key[..]);
            let mut offset = place.offset;
            for line in chunk.split_inclusive(|byte| *byte == b'\n') {
                lines.push((Place { path: place.path.clone(), offset }, line));
                offset += line.len() as u64;
            }
        }
        prop_assert_eq!(lines, input.lines());
    }

    #[test]
    fn fixed_records_are_cut_by_length(
        counts in vec(0usize..40, 0..5), bytes in 1u32..9, key in 0u32..9, split_bytes in 1u64..100, batch_bytes in 0u32..90,
    ) {
        let (record, key) = (bytes as usize, key.min(bytes));
        let mut byte = 0u8;
        let mut fill = |count: usize| (0..count * record).map(|_| { byte = byte.wrapping_add(1); byte }).collect();
        let input = Input::new(&counts.iter().map(|count| fill(*count)).collect::<Vec<_>>());
        let format = InputFormat::Fixed { bytes, key };
        let records = read(&input.splits(format, split_bytes), &ReaderOptions { input: of(format, InputKey::Offset, false), batch_bytes, ..lines(false) }).unwrap();
        let mut expected = Vec::new();
        for (i, content) in input.contents.iter().enumerate() {
            for (n, bytes) in content.chunks(record).enumerate() {
                let (key, value) = bytes.split_at(key as usize);
                let place = Place { path: input.path(i), offset: (n * record) as u64 };
                expected.push((place, (key.to_vec(), value.to_vec())));
            }
        }
        prop_assert_eq!(records, expected);
    }

    #[test]
    fn the_first_line_over_the_limit_is_named(
        contents in contents(), split_bytes in 1u64..150, batch_bytes in 0u32..200, max in 0u64..60, chunks: bool,
    ) {
        let input = Input::new(&contents);
        let options = ReaderOptions { input: of(InputFormat::Lines, InputKey::Offset, chunks), record_bytes_max: max, bad_max: 0, batch_bytes };
        let result = read(&input.splits(InputFormat::Lines, split_bytes), &options);
        let over = input.lines().into_iter().find(|(_, line)| trimmed(line).len() as u64 > max);
        match over {
            None => prop_assert!(result.is_ok()),
            Some((place, _)) => {
                let reason = format!(
                    "the line is longer than {max} bytes, the limit for a record; raise it with --max-record if this is text"
                );
                prop_assert_eq!(result, Err(Failure::InputRecord { place, reason }));
            }
        }
    }

    #[test]
    fn progress_adds_up_to_the_input(contents in contents(), split_bytes in 1u64..150, chunks: bool) {
        let input = Input::new(&contents);
        let mut total = 0;
        for split in input.splits(InputFormat::Lines, split_bytes) {
            let mut reader = SplitReader::open(&split, ReaderOptions { input: of(InputFormat::Lines, InputKey::Offset, chunks), ..lines(false) }).unwrap();
            while reader.next_batch(&mut BatchBuf::default()).unwrap() {}
            total += reader.bytes_read();
        }
        prop_assert_eq!(total, contents.iter().map(|content| content.len() as u64).sum::<u64>());
    }
}

#[test]
fn batches_keep_to_their_size() {
    let input = Input::new(&[b"some words\n".repeat(50_000), Vec::new(), b"\n".repeat(100_000)]);
    for (format, chunks) in
        [(InputFormat::Lines, true), (InputFormat::Lines, false), (InputFormat::LineKeys, false)]
    {
        let options = ReaderOptions {
            input: of(format, InputKey::Offset, chunks),
            batch_bytes: 16 * 1024,
            ..lines(false)
        };
        for split in input.splits(format, 1 << 20) {
            let mut reader = SplitReader::open(&split, options.clone()).unwrap();
            let mut batch = BatchBuf::default();
            while reader.next_batch(&mut batch).unwrap() {
                assert!(batch.bytes() <= 17 * 1024 && batch.rows() <= 2 * 1024, "{}", batch.bytes());
            }
        }
    }
}

/// A split of one small file, planned before `change` is made to it, and what reading it says.
fn read_after(change: impl FnOnce(&Path)) -> Failure {
    let input = Input::new(&[b"one\ntwo\n".to_vec()]);
    let splits = input.splits(InputFormat::Lines, 100);
    change(&input.path(0));
    read(&splits, &lines(false)).unwrap_err()
}

#[test]
fn a_file_that_changed_is_named() {
    let sentence = |failure: Failure| {
        let text = failure.to_string();
        let (head, tail) = text.split_once("/000 ").unwrap();
        assert!(head.starts_with("input /"), "{text}");
        tail.to_owned()
    };
    assert_eq!(
        sentence(read_after(|path| fs::write(path, "one\n").unwrap())),
        "changed while the job ran: it had 8 bytes and has 4"
    );
    let touch = |path: &Path| {
        let file = fs::File::options().append(true).open(path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    };
    assert_eq!(sentence(read_after(touch)), "changed while the job ran: it was written to");
    let replace = |path: &Path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    };
    assert_eq!(sentence(read_after(replace)), "changed while the job ran: it is no regular file any more");
    let gone = read_after(|path| fs::remove_file(path).unwrap());
    assert!(matches!(gone, Failure::InputLost { .. }), "{gone}");
}

#[test]
fn a_file_that_shrinks_under_the_reader_is_noticed() {
    let input = Input::new(&[b"line\n".repeat(1000)]);
    let splits = input.splits(InputFormat::Lines, 1 << 20);
    let mut reader = SplitReader::open(&splits[0], lines(false)).unwrap();
    let mut batch = BatchBuf::default();
    assert!(reader.next_batch(&mut batch).unwrap());
    fs::File::options().write(true).open(input.path(0)).unwrap().set_len(100).unwrap();
    let failure = loop {
        match reader.next_batch(&mut batch) {
            Ok(true) => {}
            Ok(false) => panic!("the loss went unnoticed"),
            Err(failure) => break failure,
        }
    };
    assert_eq!(
        failure,
        Failure::InputChanged {
            path: input.path(0),
            reason: "it ends at byte 100 and had 5000 bytes".to_owned()
        }
    );
}

#[test]
fn a_malformed_split_is_refused() {
    let input = Input::new(&[b"12345678".to_vec()]);
    let mut split = input.splits(InputFormat::Lines, 100).remove(0);
    split.pieces[0].end = 9;
    assert!(matches!(SplitReader::open(&split, lines(false)), Err(Failure::Internal { .. })));
    split.pieces[0].end = 7;
    let options = ReaderOptions {
        input: of(InputFormat::Fixed { bytes: 4, key: 1 }, InputKey::Offset, false),
        ..lines(false)
    };
    assert!(matches!(SplitReader::open(&split, options), Err(Failure::Internal { .. })));
}

#[test]
fn fixed_records_over_the_limit_are_refused() {
    let input = Input::new(&[vec![0; 40]]);
    let format = InputFormat::Fixed { bytes: 20, key: 10 };
    let options =
        ReaderOptions { input: of(format, InputKey::Offset, false), record_bytes_max: 19, ..lines(false) };
    let failure = read(&input.splits(format, 100), &options).unwrap_err();
    assert!(matches!(&failure, Failure::InputRecord { place, .. } if place.offset == 0), "{failure}");
    assert!(
        failure.to_string().ends_with("records have 20 bytes and 19 are allowed; raise it with --max-record")
    );
}
