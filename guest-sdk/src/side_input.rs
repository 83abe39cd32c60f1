//! Read-only files that are shipped with a job.

use std::io;

use crate::error::{Error, Result};
use crate::host;

/// Bytes that are asked of the host at once: big enough to hide the call.
const READ_BYTES_MAX: usize = 1 << 20;

/// A file shipped with the job, for reading from front to back. Use it through [`io::Read`].
#[derive(Debug)]
pub struct SideInput {
    name: String,
    offset: u64,
    bytes: u64,
}

impl SideInput {
    pub(crate) fn open(name: &str) -> Result<Self> {
        let bytes = host::side_input_bytes(name)
            .ok_or_else(|| Error::fatal(format!("the job has no side input {name:?}")))?;
        Ok(Self { name: name.to_owned(), offset: 0, bytes })
    }

    /// Length of the file in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl io::Read for SideInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = u32::try_from(buffer.len().min(READ_BYTES_MAX)).unwrap_or(u32::MAX);
        let read = host::side_input_read(&self.name, self.offset, len);
        let part = buffer.get_mut(..read.len()).ok_or(io::ErrorKind::InvalidData)?;
        part.copy_from_slice(&read);
        self.offset += read.len() as u64;
        Ok(read.len())
    }
}
