//! One file of a split while it is read: what was planned is checked against what is there, and
//! whole lines or whole records are read at a position. Knows nothing of batches.

use std::fs::{File, Metadata};

use mr_model::{Failure, Place};

use crate::file;
use crate::split::Piece;

/// Bytes read at a time while the first line of a piece is searched.
const SEEK_BYTES: usize = 16 * 1024;
/// Pieces from this length on are announced to the kernel as read in order, in bytes: below it, its
/// readahead has the whole piece anyway.
const ADVISE_BYTES_MIN: u64 = 256 * 1024;

/// The open file of a piece. Every method takes the same piece that it was opened with.
#[derive(Debug)]
pub(crate) struct Origin {
    file: File,
    /// Where the next line or record begins; at or past the piece's end once it is read.
    pub(crate) offset: u64,
}

impl Origin {
    /// Opens the file at the first record of the piece.
    pub(crate) fn open(piece: &Piece, lines: bool) -> Result<Self, Failure> {
        let (file, metadata) = file::open(piece.file()).map_err(|error| lost(piece, &error))?;
        check_unchanged(piece, &metadata)?;
        if piece.end - piece.start >= ADVISE_BYTES_MIN {
            file::advise_sequential(&file, piece.start, piece.end - piece.start);
        }
        let mut origin = Self { file, offset: piece.start };
        if lines && piece.start > 0 {
            origin.offset = origin.first_line(piece)?;
        }
        Ok(origin)
    }

    /// Checks that the file is still what it was.
    pub(crate) fn close(self, piece: &Piece) -> Result<(), Failure> {
        let metadata = self.file.metadata().map_err(|error| lost(piece, &error))?;
        check_unchanged(piece, &metadata)
    }

    /// Appends whole lines, as many as fit the spare capacity of `data`, and moves on past them. One
    /// line that is longer makes an empty `data` grow. False, and nothing appended, if `data` has
    /// bytes already and no line fits behind them.
    pub(crate) fn append_lines(
        &mut self,
        piece: &Piece,
        data: &mut Vec<u8>,
        record_bytes_max: u64,
    ) -> Result<bool, Failure> {
        let from = data.len();
        loop {
            self.read(piece, self.offset + (data.len() - from) as u64, data)?;
            if let Some(whole) = self.whole_lines(piece, &data[from..]) {
                data.truncate(from + whole);
                self.check_lengths(piece, &data[from..], record_bytes_max)?;
                self.offset += whole as u64;
                return Ok(true);
            }
            if data.len() < data.capacity() {
                continue;
            }
            if from > 0 {
                data.truncate(from);
                return Ok(false);
            }
            if data.len() as u64 > record_bytes_max {
                return Err(too_long(piece, self.offset, record_bytes_max));
            }
            let room = file::index(record_bytes_max).saturating_add(1).saturating_sub(data.len());
            data.reserve_exact(room.min(data.len()));
        }
    }

    /// Appends `bytes` bytes, or what is left of the piece if that is less, and moves on past them.
    /// `data` is empty.
    pub(crate) fn append_bytes(
        &mut self,
        piece: &Piece,
        data: &mut Vec<u8>,
        bytes: usize,
    ) -> Result<(), Failure> {
        let bytes = bytes.min(file::index(piece.end - self.offset));
        data.reserve_exact(bytes);
        while data.len() < bytes {
            self.read(piece, self.offset + data.len() as u64, data)?;
        }
        data.truncate(bytes);
        self.offset += bytes as u64;
        Ok(())
    }

    /// Fills the spare capacity of `data` from `offset` on, or up to the planned length of the file; at
    /// least one byte. A file system that answers in smaller portions must not decide how records are
    /// divided into batches: a plugin would see other batches when it runs again.
    fn read(&self, piece: &Piece, offset: u64, data: &mut Vec<u8>) -> Result<(), Failure> {
        let mut offset = offset;
        loop {
            match file::read_at(&self.file, offset, data) {
                Ok(0) => {
                    let had = piece.file_bytes;
                    return Err(changed(piece, format!("it ends at byte {offset} and had {had} bytes")));
                }
                Ok(read) => offset += read as u64,
                Err(error) => return Err(lost(piece, &error)),
            }
            if data.len() == data.capacity() || offset >= piece.file_bytes {
                return Ok(());
            }
        }
    }

    /// Where the first line that begins in the piece begins, or the piece's end. The byte ahead of
    /// the piece tells whether a line begins with its first one.
    fn first_line(&self, piece: &Piece) -> Result<u64, Failure> {
        let mut offset = piece.start - 1;
        let mut block = Vec::with_capacity(SEEK_BYTES);
        while offset + 1 < piece.end {
            block.clear();
            self.read(piece, offset, &mut block)?;
            if let Some(newline) = memchr::memchr(b'\n', &block) {
                return Ok((offset + newline as u64 + 1).min(piece.end));
            }
            offset += block.len() as u64;
        }
        Ok(piece.end)
    }

    /// Length of the whole lines at the front of `bytes` that begin in the piece; none if the first
    /// one goes on behind them.
    fn whole_lines(&self, piece: &Piece, bytes: &[u8]) -> Option<usize> {
        let reached = self.offset + bytes.len() as u64;
        if reached >= piece.end {
            let last = file::index(piece.end - 1 - self.offset);
            if let Some(newline) = memchr::memchr(b'\n', &bytes[last..]) {
                return Some(last + newline + 1);
            }
            if reached >= piece.file_bytes {
                return Some(file::index(piece.file_bytes - self.offset));
            }
        }
        memchr::memrchr(b'\n', bytes).map(|newline| newline + 1)
    }

    /// Refuses lines over the limit. Looks for the last newline within reach rather than at every
    /// line, and at nothing where all of `lines` together are short enough.
    fn check_lengths(&self, piece: &Piece, lines: &[u8], record_bytes_max: u64) -> Result<(), Failure> {
        let max = file::index(record_bytes_max);
        let mut start = 0;
        while lines.len() - start > max {
            match memchr::memrchr(b'\n', &lines[start..=start + max]) {
                Some(newline) => start += newline + 1,
                None => return Err(too_long(piece, self.offset + start as u64, record_bytes_max)),
            }
        }
        Ok(())
    }
}

pub(crate) fn check_unchanged(piece: &Piece, metadata: &Metadata) -> Result<(), Failure> {
    if !metadata.is_file() {
        return Err(changed(piece, "it is no regular file any more".to_owned()));
    }
    if metadata.len() != piece.file_bytes {
        let (had, has) = (piece.file_bytes, metadata.len());
        return Err(changed(piece, format!("it had {had} bytes and has {has}")));
    }
    // A copy is checked against its object by whoever makes it.
    if piece.copy.is_none() && file::modified_ns(metadata) != piece.modified_ns {
        return Err(changed(piece, "it was written to".to_owned()));
    }
    Ok(())
}

fn changed(piece: &Piece, reason: String) -> Failure {
    Failure::InputChanged { path: piece.path.clone(), reason }
}

pub(crate) fn lost(piece: &Piece, error: &std::io::Error) -> Failure {
    Failure::InputLost { path: piece.path.clone(), reason: error.to_string() }
}

fn too_long(piece: &Piece, offset: u64, record_bytes_max: u64) -> Failure {
    Failure::InputRecord {
        place: Place { path: piece.path.clone(), offset },
        reason: format!(
            "the line is longer than {record_bytes_max} bytes, the limit for a record; raise it with --max-record if this is text"
        ),
    }
}
