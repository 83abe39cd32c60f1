//! What an output holds, in a few numbers: whether two outputs are equal, byte for byte or up to
//! the order of their lines.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Buffer for reading an output, in bytes.
const READ_BYTES: usize = 256 * 1024;

/// How an output is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Bytes, in order.
    Bytes,
    /// Lines `word TAB count`, each file in ascending order of words, files in any order.
    Counts,
    /// Lines, in any order.
    Lines,
    /// Lines `count word`, as `uniq -c` writes them.
    UniqCounts,
}

/// Numbers that two equal outputs share, and different ones do not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest {
    /// Lines.
    pub rows: u64,
    /// Bytes of all lines with their newlines.
    pub bytes: u64,
    /// Hash of the bytes, or sum of the hashes of the lines.
    pub hash: u128,
}

/// Looks at a file, or at all parts in a folder.
pub fn digest(path: &Path, form: Form) -> Result<Digest> {
    let mut digest = Digest::default();
    let mut ordered = Xxh3::new();
    for file in files(path)? {
        let mut reader = BufReader::with_capacity(
            READ_BYTES,
            File::open(&file).with_context(|| format!("no output {}", file.display()))?,
        );
        match form {
            Form::Bytes => bytes(&mut reader, &mut digest, &mut ordered)?,
            Form::Counts => counts(&mut reader, &mut digest)
                .with_context(|| format!("{} is no list of counts", file.display()))?,
            Form::Lines => lines(&mut reader, &mut digest)?,
            Form::UniqCounts => uniq_counts(&mut reader, &mut digest)?,
        }
    }
    if form == Form::Bytes {
        digest.hash = ordered.digest128();
    }
    Ok(digest)
}

/// The parts of an output folder in order, or the file itself.
pub fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("part-") {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn bytes(reader: &mut impl BufRead, digest: &mut Digest, hash: &mut Xxh3) -> Result<()> {
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        hash.update(chunk);
        digest.rows += memchr::memchr_iter(b'\n', chunk).count() as u64;
        digest.bytes += chunk.len() as u64;
        let len = chunk.len();
        reader.consume(len);
    }
}

fn counts(reader: &mut impl BufRead, digest: &mut Digest) -> Result<()> {
    let (mut line, mut last) = (Vec::new(), Vec::<u8>::new());
    while next_line(reader, &mut line)? {
        let tab = memchr::memrchr(b'\t', &line).context("a line has no tab")?;
        if line[..tab] <= last[..] {
            bail!("\"{}\" is not above the word ahead of it", line[..tab].escape_ascii());
        }
        digest.add(&line);
        last.clear();
        last.extend_from_slice(&line[..tab]);
    }
    Ok(())
}

fn lines(reader: &mut impl BufRead, digest: &mut Digest) -> Result<()> {
    let mut line = Vec::new();
    while next_line(reader, &mut line)? {
        digest.add(&line);
    }
    Ok(())
}

fn uniq_counts(reader: &mut impl BufRead, digest: &mut Digest) -> Result<()> {
    let (mut line, mut turned) = (Vec::new(), Vec::new());
    while next_line(reader, &mut line)? {
        let (count, word) = split_uniq(&line).context("a line is not as uniq -c writes it")?;
        // Text that begins with white space makes an empty word.
        if !word.is_empty() {
            turned.clear();
            turned.extend_from_slice(word);
            turned.push(b'\t');
            turned.extend_from_slice(count);
            digest.add(&turned);
        }
    }
    Ok(())
}

/// Count and word of a line.
fn split_uniq(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = line.iter().position(|byte| *byte != b' ')?;
    let len = line[start..].iter().position(|byte| !byte.is_ascii_digit())?;
    Some((&line[start..start + len], &line[start + len + 1..]))
}

fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool> {
    line.clear();
    if reader.read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.pop_if(|byte| *byte == b'\n').is_none() {
        bail!("the last line has no newline");
    }
    Ok(true)
}

impl Digest {
    fn add(&mut self, line: &[u8]) {
        self.rows += 1;
        self.bytes += line.len() as u64 + 1;
        self.hash = self.hash.wrapping_add(u128::from(xxh3_64(line)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(form: Form, parts: &[&str]) -> Result<Digest> {
        let dir = tempfile::tempdir().unwrap();
        for (index, part) in parts.iter().enumerate() {
            fs::write(dir.path().join(format!("part-{index}")), part).unwrap();
        }
        fs::write(dir.path().join("_SUCCESS"), "x").unwrap();
        digest(dir.path(), form)
    }

    #[test]
    fn counts_are_equal_in_any_order_of_parts_and_as_uniq_writes_them() {
        let counts = of(Form::Counts, &["a\t1\nc\t30\n", "b\t2\n"]).unwrap();
        assert_eq!(counts.rows, 3);
        assert_eq!(of(Form::Counts, &["b\t2\n", "a\t1\nc\t30\n"]).unwrap(), counts);
        assert_eq!(of(Form::UniqCounts, &["      9 \n      1 a\n      2 b\n     30 c\n"]).unwrap(), counts);
        assert_ne!(of(Form::Counts, &["a\t1\nc\t30\n", "b\t3\n"]).unwrap(), counts);
        assert_ne!(of(Form::Counts, &["a\t1\nc\t30\n"]).unwrap(), counts);
    }

    #[test]
    fn disorder_repetition_and_torn_lines_are_refused() {
        for bad in ["b\t1\na\t1\n", "a\t1\na\t1\n", "a\t1", "a\n"] {
            assert!(of(Form::Counts, &[bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lines_are_equal_in_any_order() {
        let lines = of(Form::Lines, &["b\na\n", "a\n"]).unwrap();
        assert_eq!((lines.rows, lines.bytes), (3, 6));
        assert_eq!(of(Form::Lines, &["a\na\nb\n"]).unwrap(), lines);
        assert_ne!(of(Form::Lines, &["a\nb\nb\n"]).unwrap(), lines);
    }

    #[test]
    fn bytes_are_equal_only_in_order() {
        let whole = of(Form::Bytes, &["a\nb\n"]).unwrap();
        assert_eq!((whole.rows, whole.bytes), (2, 4));
        assert_eq!(of(Form::Bytes, &["a\n", "b\n"]).unwrap(), whole);
        assert_ne!(of(Form::Bytes, &["b\n", "a\n"]).unwrap(), whole);
    }
}
