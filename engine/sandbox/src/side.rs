//! Side inputs: files that go with a job, for its plugins to read by name and place. What is read goes
//! from the file into the memory of the guest, with no copy between. Must not know where the files come
//! from, nor follow a name that it was not given.
//!
//! Files are read and not mapped: one that somebody cuts off while a job runs is then a failure with a
//! sentence, and not the end of the process.

use std::fs::File;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use mr_model::Failure;
use mr_model::limit::{SIDE_READ_BYTES_MAX, table};
use wasmtime::ValRaw;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext};
use wasmtime::component::{ComponentType, Lower};

use crate::fault::Fault;
use crate::limits::Passed;
use crate::log::clean;

/// Bytes of a place or length in the memory of a guest.
const WORD_BYTES: usize = 4;

/// A side input that is open for reading. Clones read the same file.
#[derive(Debug, Clone)]
pub struct SideFile {
    name: Arc<str>,
    path: Arc<Path>,
    file: Arc<File>,
    bytes: u64,
    /// When it was changed last, where somebody else may change it.
    modified: Option<SystemTime>,
}

impl SideFile {
    /// The side input `name`, which is the first `bytes` bytes of `file`. `path` is for people.
    pub fn new(name: &str, bytes: u64, file: Arc<File>, path: PathBuf) -> Self {
        Self { name: name.into(), path: path.into(), file, bytes, modified: None }
    }

    /// The same file, which is refused from now on wherever it is longer or shorter, or was changed at
    /// another time than `modified`.
    #[must_use]
    pub fn unchanged_since(self, modified: SystemTime) -> Self {
        Self { modified: Some(modified), ..self }
    }

    /// Fills `buffer` with what lies at `offset`.
    fn read(&self, buffer: &mut [u8], mut offset: u64) -> Result<(), Failure> {
        let mut rest = &mut *buffer;
        while !rest.is_empty() {
            let read = rustix::io::retry_on_intr(|| rustix::io::pread(&self.file, &mut *rest, offset));
            match read.map_err(|error| self.lost(&error.to_string()))? {
                0 => return Err(self.changed(format!("it ends at byte {offset}"))),
                bytes => {
                    rest = rest.get_mut(bytes..).unwrap_or_default();
                    offset += bytes as u64;
                }
            }
        }
        self.check()
    }

    /// Refuses a file that is another one by now. What was read before this was still the old one.
    fn check(&self) -> Result<(), Failure> {
        let Some(modified) = self.modified else { return Ok(()) };
        let metadata = self.file.metadata().map_err(|error| self.lost(&error.to_string()))?;
        if metadata.len() != self.bytes {
            return Err(self.changed(format!("it has {} bytes", metadata.len())));
        }
        match metadata.modified() {
            Ok(found) if found == modified => Ok(()),
            _ => Err(self.changed("it was written to".to_owned())),
        }
    }

    fn lost(&self, reason: &str) -> Failure {
        Failure::InputLost {
            path: self.path.to_path_buf(),
            reason: format!("side input {}: {reason}", self.name),
        }
    }

    fn changed(&self, what: String) -> Failure {
        let reason = format!(
            "side input {} had {} bytes when the job was planned, and now {what}",
            self.name, self.bytes
        );
        Failure::InputChanged { path: self.path.to_path_buf(), reason }
    }
}

/// The side inputs of a job. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sides {
    files: Arc<[SideFile]>,
    /// Bytes that guests read.
    read_bytes: Arc<AtomicU64>,
}

impl FromIterator<SideFile> for Sides {
    fn from_iter<I: IntoIterator<Item = SideFile>>(files: I) -> Self {
        Self { files: files.into_iter().collect(), read_bytes: Arc::default() }
    }
}

impl Sides {
    /// The same files, whose bytes are counted in `read_bytes` when guests read them.
    #[must_use]
    pub fn counted_in(&self, read_bytes: Arc<AtomicU64>) -> Self {
        Self { files: Arc::clone(&self.files), read_bytes }
    }

    /// Length of a side input in bytes; none where the job has no such one.
    pub(crate) fn bytes(&self, name: &str) -> Option<u64> {
        self.find(name).map(|file| file.bytes)
    }

    /// What a guest gets that asks for `len` bytes from `offset`: fewer only at the end, none behind it.
    pub(crate) fn part(&self, name: &str, offset: u64, len: u32) -> Result<Part, Fault> {
        let Some(file) = self.find(name) else {
            let name = clean(name);
            return Err(Fault::Contract(format!(
                "it read the side input {name:?}, which the job does not have"
            )));
        };
        let bytes = file.bytes.saturating_sub(offset).min(len.into());
        if bytes > SIDE_READ_BYTES_MAX {
            return Err(Fault::Limit(Passed::new(&table::SIDE_READ_BYTES, bytes, SIDE_READ_BYTES_MAX)));
        }
        self.read_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(Part { file: file.clone(), offset, bytes: usize::try_from(bytes).unwrap_or(0) })
    }

    fn find(&self, name: &str) -> Option<&SideFile> {
        self.files.iter().find(|file| *file.name == *name)
    }
}

/// A part of a side input on its way into the memory of a guest, where it is a `list<u8>`.
pub(crate) struct Part {
    file: SideFile,
    offset: u64,
    bytes: usize,
}

impl Part {
    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Reads it into memory that the guest provides: where, and how much.
    fn store<T>(&self, cx: &mut LowerContext<'_, T>) -> wasmtime::Result<(u32, u32)> {
        let at = cx.realloc(0, 0, 1, self.bytes)?;
        // That it lies within the memory is checked where it comes from.
        let buffer = cx.as_slice_mut().get_mut(at..).and_then(|rest| rest.get_mut(..self.bytes));
        let buffer = buffer.ok_or_else(|| wasmtime::format_err!("the guest's memory ends too early"))?;
        self.file.read(buffer, self.offset).map_err(Fault::Failure)?;
        Ok((u32::try_from(at)?, u32::try_from(self.bytes)?))
    }
}

// SAFETY: in all respects the type that it is checked to be, a `list<u8>`.
unsafe impl ComponentType for Part {
    type Lower = <[u8] as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = <[u8] as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        <[u8] as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: a list is lowered to where its bytes lie and how many there are, as wasmtime lowers a slice; all
// of the destination is written wherever this answers `Ok`.
unsafe impl Lower for Part {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        _ty: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        let (at, bytes) = self.store(cx)?;
        dst.write([ValRaw::u32(at), ValRaw::u32(bytes)]);
        Ok(())
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        _ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        let (at, bytes) = self.store(cx)?;
        *cx.get::<WORD_BYTES>(offset) = at.to_le_bytes();
        *cx.get::<WORD_BYTES>(offset + WORD_BYTES) = bytes.to_le_bytes();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn open(path: &Path) -> SideFile {
        let file = File::open(path).unwrap();
        let metadata = file.metadata().unwrap();
        let side = SideFile::new("v", metadata.len(), file.into(), path.to_owned());
        side.unchanged_since(metadata.modified().unwrap())
    }

    fn read(sides: &Sides, offset: u64, len: u32) -> Result<Vec<u8>, Fault> {
        let part = sides.part("v", offset, len)?;
        let mut buffer = vec![0; part.bytes];
        part.file.read(&mut buffer, offset).map(|()| buffer).map_err(Fault::Failure)
    }

    #[test]
    fn parts_are_whole_but_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v");
        std::fs::write(&path, b"0123456789").unwrap();
        let counted = Arc::new(AtomicU64::new(0));
        let sides = Sides::from_iter([open(&path)]).counted_in(Arc::clone(&counted));
        assert_eq!((sides.bytes("v"), sides.bytes("w")), (Some(10), None));
        for (offset, len, expected) in [
            (0, 10, "0123456789"),
            (3, 4, "3456"),
            (8, u32::MAX, "89"),
            (10, 1, ""),
            (u64::MAX, 1, ""),
            (0, 0, ""),
        ] {
            assert_eq!(read(&sides, offset, len).unwrap(), expected.as_bytes(), "{offset} {len}");
        }
        assert_eq!(counted.load(Ordering::Relaxed), 16);
        assert!(matches!(sides.part("w", 0, 1), Err(Fault::Contract(_))));
    }

    #[test]
    fn a_part_has_a_most() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v");
        File::create(&path).unwrap().set_len(SIDE_READ_BYTES_MAX + 7).unwrap();
        let sides = Sides::from_iter([open(&path)]);
        assert!(matches!(sides.part("v", 0, u32::MAX), Err(Fault::Limit(_))));
        assert_eq!(sides.part("v", 7, u32::MAX).unwrap().bytes as u64, SIDE_READ_BYTES_MAX);
    }

    #[test]
    fn a_file_that_changed_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v");
        std::fs::write(&path, b"0123456789").unwrap();
        let sides = Sides::from_iter([open(&path)]);
        let changed = |offset| match read(&sides, offset, 5) {
            Err(Fault::Failure(Failure::InputChanged { path: named, reason })) => {
                assert_eq!(named, path);
                reason
            }
            other => panic!("{other:?}"),
        };
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"x").unwrap();
        assert!(changed(0).ends_with("and now it has 11 bytes"));
        file.set_len(7).unwrap();
        assert!(changed(5).ends_with("and now it ends at byte 7"));
        std::fs::write(&path, b"9876543210").unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(changed(0).ends_with("and now it was written to"));
        // Another file under the same name is nobody's concern.
        let sides = Sides::from_iter([open(&path)]);
        std::fs::rename(&path, dir.path().join("old")).unwrap();
        std::fs::write(&path, b"other").unwrap();
        assert_eq!(read(&sides, 0, 2).unwrap(), b"98");
    }
}
