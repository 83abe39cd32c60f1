//! Word count as a native program: the mapper and reducer of the `wordcount` plugin, without any
//! sandbox, in as many threads as the engine has.
//!
//! Written as one would write it by hand: each thread reads and maps ranges of the file and puts
//! the records into partitions, sorts them, and then partitions are merged, reduced and written.
//! It shares nothing with the engine: no shuffle, no spilling, no checksums, no recovery.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use anyhow::{Context, Result, anyhow};
use guest_sdk::native::{MapDriver, ReduceDriver};
use guest_sdk::{Column, DataType, GroupedBatch};
use xxhash_rust::xxh3::xxh3_64;

/// Number of partitions, thus of output files: as many as the engine makes of 256 MiB.
const PARTITIONS: usize = 4;
/// Bytes of the file that a thread takes at a time.
const RANGE_BYTES: u64 = 8 << 20;
/// Bytes of text that the mapper is given at a time, and of groups that the reducer is.
const BATCH_BYTES: usize = 256 << 10;
/// Bytes of output that are written at a time.
const WRITE_BYTES: usize = 1 << 20;
/// Bytes of a value, an encoded `u64`.
const VALUE_BYTES: usize = 8;

/// Counts the words of `input` into files in the folder `output`.
pub fn run(input: &Path, output: &Path, threads: usize) -> Result<()> {
    fs::create_dir_all(output)?;
    let file = File::open(input).with_context(|| format!("no text {}", input.display()))?;
    let bytes = file.metadata()?.len();
    let ranges = AtomicUsize::new(0);
    let runs = in_threads(threads, || map(&file, bytes, &ranges))?;
    let partitions = AtomicUsize::new(0);
    in_threads(threads, || {
        loop {
            let partition = partitions.fetch_add(1, Relaxed);
            if partition >= PARTITIONS {
                return Ok(());
            }
            let runs: Vec<&Run> = runs.iter().map(|runs| &runs[partition]).collect();
            reduce(&runs, &output.join(format!("part-{partition:05}")))?;
        }
    })?;
    Ok(())
}

/// Runs the same in so many threads.
pub fn in_threads<T: Send>(threads: usize, work: impl Fn() -> Result<T> + Sync) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?).collect()
    })
}

/// Records of one thread and partition.
#[derive(Default)]
struct Run {
    /// Keys and values end to end.
    arena: Vec<u8>,
    entries: Vec<Entry>,
}

/// Where a record is, and the first bytes of its key.
#[derive(Clone, Copy)]
struct Entry {
    prefix: u64,
    start: u32,
    key_bytes: u32,
}

impl Run {
    #[inline]
    fn push(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let start = u32::try_from(self.arena.len()).context("a thread has more than 4 GiB of records")?;
        self.arena.extend_from_slice(key);
        self.arena.extend_from_slice(value);
        let prefix = match key.first_chunk::<8>() {
            Some(prefix) => u64::from_be_bytes(*prefix),
            None => key.iter().rev().fold(0, |prefix, byte| prefix >> 8 | u64::from(*byte) << 56),
        };
        self.entries.push(Entry { prefix, start, key_bytes: u32::try_from(key.len())? });
        Ok(())
    }

    #[inline]
    fn key(&self, entry: Entry) -> &[u8] {
        &self.arena[entry.start as usize..(entry.start + entry.key_bytes) as usize]
    }

    #[inline]
    fn value(&self, entry: Entry) -> &[u8] {
        let start = (entry.start + entry.key_bytes) as usize;
        &self.arena[start..start + VALUE_BYTES]
    }

    fn sort(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_unstable_by(|a, b| self.compare(*a, self, *b));
        self.entries = entries;
    }

    #[inline]
    fn compare(&self, entry: Entry, other: &Run, other_entry: Entry) -> Ordering {
        let prefixes = entry.prefix.cmp(&other_entry.prefix);
        prefixes.then_with(|| self.key(entry).cmp(other.key(other_entry)))
    }
}

/// Maps ranges of the file until there are none left; a sorted run for each partition.
fn map(file: &File, bytes: u64, ranges: &AtomicUsize) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = (0..PARTITIONS).map(|_| Run::default()).collect();
    let mut full = Ok(());
    let mut sink = |batch: &guest_sdk::Batch| {
        for (key, value) in batch.iter() {
            let pushed = runs[partition(key)].push(key, value);
            if pushed.is_err() {
                full = pushed;
            }
        }
    };
    let batch_bytes = u32::try_from(BATCH_BYTES)?;
    let mut mapper = MapDriver::<wordcount::Words>::open(&[], batch_bytes).map_err(failed)?;
    let mut text = Vec::new();
    loop {
        let start = ranges.fetch_add(1, Relaxed) as u64 * RANGE_BYTES;
        if start >= bytes {
            break;
        }
        let lines = read_lines(file, bytes, start, &mut text)?;
        let mut rest = lines;
        while !rest.is_empty() {
            let goal = rest.len().min(BATCH_BYTES);
            let end = memchr::memchr(b'\n', &rest[goal..]).map_or(rest.len(), |newline| goal + newline + 1);
            let (chunk, after) = rest.split_at(end);
            mapper.map_chunk(start, chunk, &mut sink).map_err(failed)?;
            rest = after;
        }
    }
    mapper.close(&mut sink).map_err(failed)?;
    full?;
    runs.iter_mut().for_each(Run::sort);
    Ok(runs)
}

/// The lines that begin in the range at `start`.
fn read_lines<'a>(file: &File, bytes: u64, start: u64, text: &'a mut Vec<u8>) -> Result<&'a [u8]> {
    /// What is read at a time to find the end of the last line.
    const MORE_BYTES: u64 = 64 << 10;
    // From the byte ahead: a newline there means that a line begins at `start`.
    let from = start.saturating_sub(1);
    let mut to = (start + RANGE_BYTES).min(bytes);
    text.resize(usize::try_from(to - from)?, 0);
    file.read_exact_at(text, from)?;
    let first = match start {
        0 => Some(0),
        _ => memchr::memchr(b'\n', text).map(|newline| newline + 1),
    };
    let mut searched = text.len() - 1;
    let end = loop {
        if let Some(newline) = memchr::memchr(b'\n', &text[searched..]) {
            break searched + newline + 1;
        }
        if to == bytes {
            break text.len();
        }
        searched = text.len();
        let more = (bytes - to).min(MORE_BYTES);
        text.resize(searched + usize::try_from(more)?, 0);
        file.read_exact_at(&mut text[searched..], to)?;
        to += more;
    };
    Ok(first.and_then(|first| text.get(first..end)).unwrap_or_default())
}

fn partition(key: &[u8]) -> usize {
    usize::try_from(xxh3_64(key) >> 32).unwrap_or_default() % PARTITIONS
}

/// Merges sorted runs, reduces their groups and writes the counts.
fn reduce(runs: &[&Run], path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    let mut out = Vec::with_capacity(2 * WRITE_BYTES);
    let mut written = Ok(());
    let mut sink = |batch: &guest_sdk::Batch| {
        for (key, value) in batch.iter() {
            out.extend_from_slice(key);
            out.push(b'\t');
            match u64::decode(value) {
                Ok(count) => u64::render(&count, &mut out),
                Err(malformed) => written = Err(anyhow!("the reducer emitted no number: {malformed}")),
            }
            out.push(b'\n');
        }
        if out.len() >= WRITE_BYTES {
            if let Err(error) = file.write_all(&out) {
                written = Err(error.into());
            }
            out.clear();
        }
    };
    let batch_bytes = u32::try_from(BATCH_BYTES)?;
    let mut reducer = ReduceDriver::<wordcount::Total>::open(&[], batch_bytes).map_err(failed)?;
    let mut groups = Groups::new();
    let mut heads = vec![0; runs.len()];
    let mut last: Option<(usize, Entry)> = None;
    while let Some((run, entry)) = smallest(runs, &heads) {
        heads[run] += 1;
        let key = runs[run].key(entry);
        if last.is_none_or(|(run, entry)| runs[run].key(entry) != key) {
            groups.close();
            if groups.is_full() {
                reducer.reduce_batch(&groups.0, Vec::new(), &mut sink).map_err(failed)?;
                groups = Groups::new();
            }
            groups.open(key)?;
        }
        groups.add(runs[run].value(entry));
        last = Some((run, entry));
    }
    groups.close();
    reducer.reduce_batch(&groups.0, Vec::new(), &mut sink).map_err(failed)?;
    reducer.close(&mut sink).map_err(failed)?;
    written?;
    Ok(file.write_all(&out)?)
}

/// The run with the smallest record, and that record. There are as many runs as threads: few.
#[inline]
fn smallest(runs: &[&Run], heads: &[usize]) -> Option<(usize, Entry)> {
    let mut smallest: Option<(usize, Entry)> = None;
    for (at, (run, head)) in runs.iter().zip(heads).enumerate() {
        let Some(entry) = run.entries.get(*head) else { continue };
        if smallest.is_none_or(|(other, least)| run.compare(*entry, runs[other], least).is_lt()) {
            smallest = Some((at, *entry));
        }
    }
    smallest
}

/// A batch of groups under construction.
struct Groups(GroupedBatch);

impl Groups {
    fn new() -> Self {
        let values = Column { width: 8, ..Column::default() };
        Self(GroupedBatch { values, ..GroupedBatch::default() })
    }

    fn is_full(&self) -> bool {
        self.0.keys.data.len() + self.0.values.data.len() >= BATCH_BYTES
    }

    fn open(&mut self, key: &[u8]) -> Result<()> {
        let keys = &mut self.0.keys;
        keys.data.extend_from_slice(key);
        let end = u32::try_from(keys.data.len())?;
        keys.ends.extend_from_slice(&end.to_le_bytes());
        self.0.groups += 1;
        Ok(())
    }

    fn add(&mut self, value: &[u8]) {
        self.0.values.data.extend_from_slice(value);
        self.0.rows += 1;
    }

    /// Ends the open group, if there is one.
    fn close(&mut self) {
        if self.0.groups > 0 {
            self.0.ends.extend_from_slice(&self.0.rows.to_le_bytes());
        }
    }
}

fn failed(error: impl std::fmt::Debug) -> anyhow::Error {
    anyhow!("the native plugin failed: {error:?}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::digest::{Digest, Form, digest};

    /// What a naive loop says.
    fn naive(text: &str, dir: &Path) -> Digest {
        let mut counts = BTreeMap::<&str, u64>::new();
        text.split_ascii_whitespace().for_each(|word| *counts.entry(word).or_default() += 1);
        let lines: String = counts.iter().map(|(word, count)| format!("{word}\t{count}\n")).collect();
        let path = dir.join("naive");
        fs::write(&path, lines).unwrap();
        digest(&path, Form::Counts).unwrap()
    }

    #[test]
    fn both_native_programs_count_as_a_naive_loop_does() {
        let dir = tempfile::tempdir().unwrap();
        // More than one range, and a line that reaches over the edge of one.
        let line = |i: u32| format!("word{} the  {:x}\t-\n", i % 5000, i.wrapping_mul(2_654_435_761) >> 12);
        let mut text: String = (0..400_000).map(line).collect();
        text.insert_str(8 << 20, &"long ".repeat(50_000));
        text.push_str("no newline");
        let input = dir.path().join("text");
        fs::write(&input, &text).unwrap();
        let expected = naive(&text, dir.path());
        for (threads, program) in
            [(1, run as fn(&Path, &Path, usize) -> Result<()>), (3, run), (2, crate::native_tuned::run)]
        {
            let output = dir.path().join(format!("out-{threads}"));
            program(&input, &output, threads).unwrap();
            assert_eq!(digest(&output, Form::Counts).unwrap(), expected, "{threads} threads");
        }
    }
}
