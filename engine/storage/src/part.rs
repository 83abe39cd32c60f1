//! A part file while it is written: bytes are gathered, hashed and counted on their way to the disk. Must not
//! know what it is called, nor what else its attempt writes: that is [`crate::parts`].

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use mr_model::Failure;
use serde::{Deserialize, Serialize};

/// A committed part of an output: one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Path in the output, for example `part-r-00000` or `errors/part-r-00000`.
    pub name: String,
    /// Records in it.
    pub rows: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// BLAKE3 of its bytes, in hex.
    pub blake3: String,
}

/// Writes one file of an attempt.
#[derive(Debug)]
pub struct PartWriter {
    file: File,
    path: PathBuf,
    /// Its number among the files of its attempt.
    pub(crate) place: usize,
    rows: u64,
    /// Bytes that went to the file.
    bytes: u64,
    buffer: Vec<u8>,
    buffer_bytes: usize,
    hasher: blake3::Hasher,
    /// Bytes that may be on their way to the disk, and those that are.
    unwritten_max: u64,
    unwritten: u64,
}

/// What came of a file.
#[derive(Debug)]
pub(crate) struct Written {
    pub rows: u64,
    pub bytes: u64,
    pub blake3: String,
    /// Bytes that the disk may not have taken yet.
    pub unwritten: u64,
}

impl PartWriter {
    /// Makes the file, which must not be there, and writes it in pieces of `buffer_bytes`.
    ///
    /// # Errors
    /// [`Failure::Disk`].
    pub(crate) fn create(
        path: PathBuf,
        place: usize,
        buffer_bytes: usize,
        unwritten_max: u64,
    ) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o666).open(&path);
        let file = file.map_err(|error| Failure::disk(&path, &error))?;
        Ok(Self::to(file, path, place, buffer_bytes, unwritten_max))
    }

    fn to(file: File, path: PathBuf, place: usize, buffer_bytes: usize, unwritten_max: u64) -> Self {
        let (buffer, hasher) = (Vec::with_capacity(buffer_bytes), blake3::Hasher::new());
        Self {
            file,
            path,
            place,
            rows: 0,
            bytes: 0,
            buffer,
            buffer_bytes,
            hasher,
            unwritten_max,
            unwritten: 0,
        }
    }

    /// Bytes that it was given.
    pub fn bytes(&self) -> u64 {
        self.bytes + self.buffer.len() as u64
    }

    /// Appends `rows` encoded records.
    ///
    /// # Errors
    /// [`Failure::Disk`]; the attempt is lost then.
    pub fn write(&mut self, encoded: &[u8], rows: u64) -> Result<(), Failure> {
        self.rows += rows;
        if self.buffer.len() + encoded.len() > self.buffer_bytes {
            self.flush()?;
        }
        if encoded.len() >= self.buffer_bytes {
            return self.put(encoded);
        }
        self.buffer.extend_from_slice(encoded);
        Ok(())
    }

    /// Ends the file; forced to disk where more than `unwritten_max` bytes would be on their way. Else its bytes
    /// are with the operating system then, not yet safe from a power cut.
    pub(crate) fn finish(mut self, unwritten_max: u64) -> Result<Written, Failure> {
        self.flush()?;
        if self.unwritten > unwritten_max {
            self.file.sync_data().map_err(|error| Failure::disk(&self.path, &error))?;
            self.unwritten = 0;
        }
        let blake3 = self.hasher.finalize().to_hex().to_string();
        Ok(Written { rows: self.rows, bytes: self.bytes, blake3, unwritten: self.unwritten })
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let buffer = std::mem::take(&mut self.buffer);
        let put = self.put(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        put
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.unwritten = self.unwritten.saturating_add(bytes.len() as u64);
        let mut written = self.file.write_all(bytes);
        if self.unwritten > self.unwritten_max {
            written = written.and_then(|()| self.file.sync_data());
            self.unwritten = 0;
        }
        written.map_err(|error| Failure::disk(&self.path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut writer = PartWriter::to(full, "/dev/full".into(), 0, 64, u64::MAX);
        writer.write(b"x", 1).unwrap();
        assert!(matches!(writer.finish(u64::MAX), Err(Failure::Disk { full: true, .. })));
    }
}
