//! Word count the other obvious way: the whole text in memory, a hash table for each thread and
//! partition whose keys point into it, tables merged, and only the distinct words sorted. It has no
//! mapper and no reducer, and could not count a text larger than memory. Told for comparison: with
//! few distinct words it wins, with many it waits for memory where the small table of
//! `native_count`, which lets go of what does not fit, stays in the cache.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{BuildHasherDefault, Hasher};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anyhow::{Context, Result, anyhow};
use xxhash_rust::xxh3::xxh3_64;

use crate::native_count::in_threads;

/// Number of partitions, thus of output files.
const PARTITIONS: usize = 4;
/// Bytes of text that a thread takes at a time.
const RANGE_BYTES: usize = 4 << 20;

/// Distinct words and how often they are there.
type Counts<'a> = HashMap<&'a [u8], u64, BuildHasherDefault<WordHasher>>;

/// Counts the words of `input` into files in the folder `output`.
pub fn run(input: &Path, output: &Path, threads: usize) -> Result<()> {
    fs::create_dir_all(output)?;
    let text = read(input, threads)?;
    let ranges = AtomicUsize::new(0);
    let tables = in_threads(threads, || Ok(count(&text, &ranges)))?;
    let partitions = AtomicUsize::new(0);
    in_threads(threads, || {
        loop {
            let partition = partitions.fetch_add(1, Relaxed);
            if partition >= PARTITIONS {
                return Ok(());
            }
            let tables = tables.iter().map(|tables| &tables[partition]);
            fs::write(output.join(format!("part-{partition:05}")), render(merge(tables)))?;
        }
    })?;
    Ok(())
}

/// Reads a file into memory.
pub fn read(path: &Path, threads: usize) -> Result<Vec<u8>> {
    let file = File::open(path).with_context(|| format!("no input {}", path.display()))?;
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len())?];
    let share = bytes.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let shares = bytes.chunks_mut(share).enumerate();
        let file = &file;
        let threads: Vec<_> = shares
            .map(|(at, share_bytes)| {
                scope.spawn(move || file.read_exact_at(share_bytes, (at * share) as u64))
            })
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| anyhow!("a thread panicked"))?.context("the input cannot be read")
        })
    })?;
    Ok(bytes)
}

/// Counts ranges of the text until there are none left; a table for each partition.
fn count<'a>(text: &'a [u8], ranges: &AtomicUsize) -> Vec<Counts<'a>> {
    let mut tables = vec![Counts::default(); PARTITIONS];
    loop {
        let start = ranges.fetch_add(1, Relaxed) * RANGE_BYTES;
        if start >= text.len() {
            return tables;
        }
        let range = &text[line_start(text, start)..line_start(text, start + RANGE_BYTES)];
        for word in guest_sdk::words(range) {
            let word = word.as_bytes();
            *tables[partition(word)].entry(word).or_default() += 1;
        }
    }
}

/// Where the first line begins that begins at `at` or later.
fn line_start(text: &[u8], at: usize) -> usize {
    if at == 0 {
        return 0;
    }
    let newline = text.get(at - 1..).and_then(|rest| memchr::memchr(b'\n', rest));
    newline.map_or(text.len(), |newline| at + newline)
}

/// By a few bytes and the length: the tables hash all of the word anyway.
#[inline]
fn partition(word: &[u8]) -> usize {
    let first = word.first().copied().unwrap_or_default();
    let last = word.last().copied().unwrap_or_default();
    (usize::from(first) * 31 + usize::from(last) * 7 + word.len()) % PARTITIONS
}

fn merge<'a, 'b: 'a>(tables: impl Iterator<Item = &'a Counts<'b>>) -> Vec<(&'b [u8], u64)> {
    let mut merged = Counts::default();
    for table in tables {
        merged.reserve(table.len() / 2);
        for (word, count) in table {
            *merged.entry(*word).or_default() += count;
        }
    }
    merged.into_iter().collect()
}

fn render(words: Vec<(&[u8], u64)>) -> Vec<u8> {
    let prefixed = words.into_iter().map(|(word, count)| (prefix(word), word, count));
    let mut sorted: Vec<_> = prefixed.collect();
    sorted.sort_unstable();
    let mut out = Vec::with_capacity(sorted.len() * 24);
    for (_, word, count) in sorted {
        out.extend_from_slice(word);
        out.push(b'\t');
        out.extend_from_slice(count.to_string().as_bytes());
        out.push(b'\n');
    }
    out
}

fn prefix(word: &[u8]) -> u64 {
    let mut first = [0; 8];
    let len = word.len().min(8);
    first[..len].copy_from_slice(&word[..len]);
    u64::from_be_bytes(first)
}

/// XXH3 of the word.
#[derive(Default)]
struct WordHasher(u64);

impl Hasher for WordHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= xxh3_64(bytes);
    }

    // The length of the word, which the hash of the word knows.
    #[inline]
    fn write_usize(&mut self, _: usize) {}

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
