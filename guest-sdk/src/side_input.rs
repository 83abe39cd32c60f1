//! Read-only files that are shipped with a job.

use std::io;

use crate::error::{Error, Result};
use crate::host;

/// Bytes that are asked of the host at once: big enough to hide the call.
const READ_BYTES_MAX: u32 = 1 << 20;

/// A file shipped with the job (`--side NAME=PATH`). It is read through [`io::Read`] and [`io::Seek`]; every
/// read asks the engine, so that many small ones go through [`SideInput::buffered`].
///
/// ```
/// use std::io::{BufRead, Read, Seek, SeekFrom};
///
/// use guest_sdk::prelude::*;
///
/// fn setup(task: &Task) -> Result<Vec<String>> {
///     // All of it, where it is small.
///     let mut digits = task.side_input("digits")?;
///     assert_eq!(digits.read_all(1_000)?, b"0123456789");
///     // A part of it, however large it is.
///     let mut part = [0; 3];
///     digits.seek(SeekFrom::Start(4))?;
///     digits.read_exact(&mut part)?;
///     assert_eq!(&part, b"456");
///     // Line by line.
///     let lines = task.side_input("names")?.buffered().lines();
///     Ok(lines.collect::<std::io::Result<_>>()?)
/// }
/// # struct Names(Vec<String>);
/// # impl Mapper for Names {
/// #     type Input = Lines;
/// #     type Output = Emitter<(), Text>;
/// #     fn setup(task: &Task) -> Result<Self> { setup(task).map(Names) }
/// #     fn map(&mut self, _: Line<'_>, out: &mut Self::Output) -> Result {
/// #         self.0.iter().for_each(|name| out.emit((), name.as_str()));
/// #         Ok(())
/// #     }
/// # }
/// # let test = guest_sdk::testing::Test::new().side_input("digits", "0123456789").side_input("names", "a\nb\n");
/// # assert_eq!(test.map::<Names>("x\n")?.text(), "a\nb\n");
/// # Ok::<(), Error>(())
/// ```
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

    /// All of the file, which has to fit in `bytes_max` bytes: what a plugin holds of it counts towards its
    /// memory.
    ///
    /// # Errors
    /// It is longer.
    pub fn read_all(&self, bytes_max: u64) -> Result<Vec<u8>> {
        let (name, bytes) = (&self.name, self.bytes);
        if bytes > bytes_max {
            return Err(Error::fatal(format!(
                "side input {name} has {bytes} bytes, and {bytes_max} are allowed"
            )));
        }
        let mut all = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        while (all.len() as u64) < bytes {
            let part = host::side_input_read(name, all.len() as u64, READ_BYTES_MAX);
            if part.is_empty() {
                return Err(Error::fatal(format!("side input {name} ends before its {bytes} bytes")));
            }
            all.extend_from_slice(&part);
        }
        Ok(all)
    }

    /// For many small reads from here on, and for lines.
    pub fn buffered(self) -> io::BufReader<Self> {
        io::BufReader::with_capacity(READ_BYTES_MAX as usize, self)
    }
}

impl io::Read for SideInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = u32::try_from(buffer.len()).unwrap_or(u32::MAX).min(READ_BYTES_MAX);
        let read = host::side_input_read(&self.name, self.offset, len);
        let part = buffer.get_mut(..read.len()).ok_or(io::ErrorKind::InvalidData)?;
        part.copy_from_slice(&read);
        self.offset += read.len() as u64;
        Ok(read.len())
    }
}

impl io::Seek for SideInput {
    fn seek(&mut self, place: io::SeekFrom) -> io::Result<u64> {
        let offset = match place {
            io::SeekFrom::Start(offset) => Some(offset),
            io::SeekFrom::End(behind) => self.bytes.checked_add_signed(behind),
            io::SeekFrom::Current(behind) => self.offset.checked_add_signed(behind),
        };
        self.offset = offset.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.offset)
    }
}
