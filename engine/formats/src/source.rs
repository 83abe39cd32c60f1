//! Where bytes come from: anything with a length that can be read at any place. Must not know of formats.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::error::FormatError;

/// Bytes of one file, readable at any place.
pub trait Source: Send + Sync {
    /// Length in bytes.
    fn bytes(&self) -> u64;

    /// Reads bytes from `offset` on into the front of `buffer`, as many as there are at hand; 0 at the end
    /// only, or for an empty `buffer`.
    ///
    /// # Errors
    /// What the file or the network says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// Fills `buffer` with the bytes from `offset` on.
///
/// # Errors
/// The source cannot be read, or ends before.
pub(crate) fn read_exact_at(source: &dyn Source, offset: u64, buffer: &mut [u8]) -> Result<(), FormatError> {
    let mut filled = 0;
    while filled < buffer.len() {
        let at = offset + filled as u64;
        match source.read_at(at, &mut buffer[filled..])? {
            0 => return Err(FormatError::Shrunk { offset: at }),
            bytes => filled += bytes,
        }
    }
    Ok(())
}

/// A file of this machine.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    bytes: u64,
}

impl FileSource {
    /// The file with the length that it has now.
    ///
    /// # Errors
    /// Its length cannot be asked for.
    pub fn new(file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }
}

impl FileSource {
    /// The file, said to have this length: where it ends ahead of that, its readers say so.
    pub fn with_length(file: File, bytes: u64) -> Self {
        Self { file, bytes }
    }
}

impl Source for FileSource {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// A source that somebody else keeps, for what is read while they wait.
pub(crate) struct Borrowed<'a>(pub(crate) &'a dyn Source);

impl Source for Borrowed<'_> {
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }
}

/// Bytes in memory: tests, and parts of files that were read already.
impl Source for Vec<u8> {
    fn bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let bytes = rest.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_reads_as_its_bytes() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let (file, memory) = (FileSource::new(file).unwrap(), b"0123456789".to_vec());
        for source in [&file as &dyn Source, &memory] {
            assert_eq!(source.bytes(), 10);
            for (offset, read) in [(0, b"0123".as_slice()), (8, b"89"), (10, b""), (99, b"")] {
                let mut buffer = [0; 4];
                let bytes = source.read_at(offset, &mut buffer).unwrap();
                assert_eq!(&buffer[..bytes], read, "{offset}");
            }
        }
    }
}
