//! Compiled code and components in memory that no process can change any more: a file without a name,
//! sealed, which all children that need it map. Must not know what the bytes mean.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// Bytes that nobody can change.
#[derive(Debug)]
pub struct Code {
    file: OwnedFd,
    bytes: u64,
}

impl Code {
    /// Keeps a copy of these bytes.
    ///
    /// # Errors
    /// The system's, where it gives no memory or no descriptors.
    pub fn new(bytes: &[u8]) -> io::Result<Self> {
        let mut file = File::from(empty()?);
        file.write_all(bytes)?;
        seal(file.into())
    }

    /// How many bytes there are.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A file without a name that can still be written to.
pub(crate) fn empty() -> io::Result<OwnedFd> {
    Ok(memfd_create("code", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?)
}

/// Seals what was written to a file of [`empty`].
pub(crate) fn seal(file: OwnedFd) -> io::Result<Code> {
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    let bytes = rustix::fs::fstat(&file)?.st_size;
    Ok(Code { bytes: u64::try_from(bytes).unwrap_or(0), file })
}

/// All of a file, which has `bytes_max` bytes at most.
pub(crate) fn read(file: OwnedFd, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut file = File::from(file);
    let length = file.metadata()?.len();
    if length > bytes_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_stays_as_it_is() {
        let code = Code::new(b"code").unwrap();
        assert_eq!(code.bytes(), 4);
        let mut file = File::from(code.file().try_clone_to_owned().unwrap());
        assert!(file.write_all(b"more").is_err() && file.set_len(0).is_err());
        assert_eq!(read(file.into(), 4).unwrap(), b"code");
        assert!(read(code.file, 3).is_err());
    }
}
