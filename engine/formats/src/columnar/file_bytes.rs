//! A source as the crates of the formats want their files: read at a place, or from a place on. Checks every
//! length that a file claims against the file's own before anything is allocated for it.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::error::FormatError;
use crate::source::{Source, read_exact_at};

/// A file from a place on.
#[derive(Clone)]
pub(crate) struct FileBytes {
    source: Arc<dyn Source>,
    at: u64,
}

impl FileBytes {
    /// The file from its beginning.
    pub fn new(source: Arc<dyn Source>) -> Self {
        Self { source, at: 0 }
    }
}

/// `length` bytes of a source from `offset` on.
///
/// # Errors
/// The source cannot be read, or is not as long: then nothing was allocated.
pub(crate) fn read_bytes(source: &dyn Source, offset: u64, length: u64) -> Result<Vec<u8>, FormatError> {
    let end = offset.checked_add(length).filter(|end| *end <= source.bytes());
    let length = usize::try_from(length).ok().filter(|_| end.is_some());
    let Some(length) = length else {
        return Err(FormatError::bad(offset, "it says that more follows here than its length has room for"));
    };
    let mut bytes = vec![0; length];
    read_exact_at(source, offset, &mut bytes)?;
    Ok(bytes)
}

impl Read for FileBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.source.read_at(self.at, buffer)?;
        self.at += bytes as u64;
        Ok(bytes)
    }
}

impl Seek for FileBytes {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(by) => self.source.bytes().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl Length for FileBytes {
    fn len(&self) -> u64 {
        self.source.bytes()
    }
}

impl ChunkReader for FileBytes {
    type T = BufReader<Self>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(Self { source: self.source.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        read_bytes(&*self.source, start, length as u64).map(Bytes::from).map_err(|error| match error {
            FormatError::Read(error) => ParquetError::External(Box::new(error)),
            other => ParquetError::General(other.to_string()),
        })
    }
}
