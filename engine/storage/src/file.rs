//! Opening and reading input files: what listing and reading have in common. Never blocks on a file
//! that turns out to be a pipe, and reads without moving a file position.

use std::fs::{File, Metadata};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{Advice, Mode, OFlags};

/// Opens for reading and asks what was opened. Not blocking, so that a pipe does not hang it; the
/// caller refuses whatever is not a regular file.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

/// Time of the last change in nanoseconds since 1970; it is only ever compared, so that times out of
/// range (before 1677, after 2262) may as well be cut.
pub(crate) fn modified_ns(metadata: &Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

/// Appends what follows `offset` to `data`, at most its spare capacity, of which there must be some.
/// Answers the number of bytes; 0 means the end of the file.
pub(crate) fn read_at(file: &File, offset: u64, data: &mut Vec<u8>) -> io::Result<usize> {
    let read = rustix::io::retry_on_intr(|| rustix::io::pread(file, spare_capacity(data), offset))?;
    Ok(read)
}

/// Tells the kernel that `bytes` from `offset` are read in order. Only a hint: that it fails does not
/// matter.
pub(crate) fn advise_sequential(file: &File, offset: u64, bytes: u64) {
    let _ = rustix::fs::fadvise(file, offset, NonZeroU64::new(bytes), Advice::Sequential);
}

/// Makes room for `bytes` in an empty buffer, and gives memory back where one huge record made it
/// grow far beyond that: reads fill the whole capacity.
pub(crate) fn fit(buffer: &mut Vec<u8>, bytes: usize) {
    debug_assert!(buffer.is_empty());
    if buffer.capacity() > bytes.saturating_mul(2) {
        *buffer = Vec::new();
    }
    buffer.reserve_exact(bytes);
}

/// A length or position within a buffer as an index. Buffers are far smaller than the address space.
pub(crate) fn index(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
