//! Takes over run files that a process wrote which is not trusted. Whatever lies at the place of a run is
//! a run of this attempt whose index makes sense, or it is refused; what is in its blocks is checked by
//! whoever reads them, as always.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use mr_model::Failure;
use rustix::fs::OFlags;

use crate::reader::{check_header, read_index};
use crate::run::{IndexEntry, RunId, corrupt, file_name};
use crate::writer::RunFile;

impl RunFile {
    /// The run `id` in `dir`, which has at most `partitions` partitions. From now on it is removed when
    /// this is dropped. Nobody may write to it any more.
    ///
    /// # Errors
    /// [`Failure::Corrupt`] if there is no regular file of that name alone, if it is another run, or if
    /// its index is not what one of such a run can be.
    pub fn adopt(dir: &Path, id: RunId, partitions: u32) -> Result<Self, Failure> {
        let path = dir.join(file_name(&id));
        let refused = |reason: String| corrupt(&path, &id, reason);
        // Neither does a symbolic link lead elsewhere, nor a pipe make anybody wait.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(&path);
        let file = opened.map_err(|error| refused(error.to_string()))?;
        let bytes = length(&file).map_err(refused)?;
        let (codec, seed, header_bytes) = check_header(&file, &path, &id)?;
        let index = read_index(&file, bytes, seed, header_bytes, partitions).map_err(refused)?;
        check_index(&index, header_bytes, partitions).map_err(refused)?;
        Ok(RunFile::at(path, id, codec, index, bytes))
    }
}

/// Length of a file that is nothing but a file.
fn length(file: &File) -> Result<u64, String> {
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.is_file() && metadata.nlink() == 1 {
        return Ok(metadata.len());
    }
    Err("it is no regular file, or has other names".into())
}

/// Refuses an index that no writer writes.
fn check_index(index: &[IndexEntry], header_bytes: u64, partitions: u32) -> Result<(), String> {
    let mut at = header_bytes;
    let (mut next, mut sum) = (0, (0_u64, 0_u64));
    for entry in index {
        let follows = entry.partition >= next && entry.partition < partitions && entry.offset == at;
        let sums = sum.0.checked_add(entry.records).zip(sum.1.checked_add(entry.bytes));
        match (at.checked_add(entry.length), sums) {
            (Some(end), Some(sums)) if follows && entry.records > 0 => (at, sum) = (end, sums),
            _ => return Err(format!("its index is wrong at partition {}", entry.partition)),
        }
        next = entry.partition + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mr_model::{AttemptId, JobId, TaskId};

    use super::*;
    use crate::run::Codec;
    use crate::writer::RunWriter;

    fn id(sequence: u32) -> RunId {
        let attempt = AttemptId { task: TaskId::map(3), attempt: 1 };
        RunId { job: JobId::new("job-1").unwrap(), attempt, sequence }
    }

    #[test]
    fn only_the_run_itself_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = RunWriter::create(dir.path(), id(0), Codec::Lz4, Default::default()).unwrap();
        for partition in [0, 2] {
            (0..1000).for_each(|_| writer.append(partition, b"key", b"value").unwrap());
        }
        // As if another process had written it.
        let written = std::mem::ManuallyDrop::new(writer.finish().unwrap());
        let adopted = RunFile::adopt(dir.path(), id(0), 3).unwrap();
        assert_eq!(
            (adopted.index(), adopted.codec(), adopted.bytes()),
            (written.index(), Codec::Lz4, written.bytes())
        );
        let refused = |sequence, partitions| {
            let refused = RunFile::adopt(dir.path(), id(sequence), partitions).unwrap_err();
            assert!(matches!(refused, Failure::Corrupt { .. }), "{refused}");
        };
        refused(0, 2);
        refused(1, 3);
        let place = |sequence| dir.path().join(file_name(&id(sequence)));
        fs::copy(place(0), place(1)).unwrap();
        refused(1, 3);
        fs::remove_file(place(1)).unwrap();
        std::os::unix::fs::symlink(place(0), place(1)).unwrap();
        refused(1, 3);
        fs::hard_link(place(0), dir.path().join("other")).unwrap();
        refused(0, 3);
        fs::remove_file(dir.path().join("other")).unwrap();
        drop(adopted);
        refused(0, 3);
    }

    #[test]
    fn an_index_without_sense_is_refused() {
        let entry = |partition, offset, length, records| IndexEntry {
            partition,
            offset,
            length,
            records,
            bytes: 1,
            cursor_bytes: 1,
            hash: 0,
        };
        let whole = [entry(0, 10, 5, 1), entry(2, 15, 5, 1)];
        assert_eq!(check_index(&whole, 10, 3), Ok(()));
        for wrong in [
            [entry(0, 11, 5, 1), entry(2, 16, 5, 1)],
            [entry(0, 10, 5, 1), entry(2, 16, 5, 1)],
            [entry(0, 10, 5, 1), entry(0, 15, 5, 1)],
            [entry(0, 10, 5, 1), entry(3, 15, 5, 1)],
            [entry(0, 10, 5, 0), entry(2, 15, 5, 1)],
            [entry(0, 10, u64::MAX, 1), entry(2, 15, 5, 1)],
            [entry(0, 10, 5, u64::MAX), entry(2, 15, 5, 1)],
        ] {
            assert!(check_index(&wrong, 10, 3).is_err(), "{wrong:?}");
        }
    }
}
