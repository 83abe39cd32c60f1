//! The folder of one running job, or of one worker, for its run files; removed when it ends. A lock held
//! as long as the process lives tells the folders of the dead, which whoever comes next removes.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use mr_model::{Failure, JobId};

/// File whose lock says that the folder is in use.
const LEASE_NAME: &str = "lease";

/// Tries at a name that is free: the same process may have a folder of this name, and a sweep may take
/// one for dead between its creation and its lock.
const CREATE_TRIES: u32 = 64;

/// A folder that is removed when this is dropped.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    _lease: File,
}

impl WorkDir {
    /// Removes what dead processes left in `parent` and makes a folder for `name` there; `parent` is made,
    /// too, where it is missing. Both are private to the user. `name` is that of a job or of a worker and
    /// becomes the beginning of the folder's name.
    ///
    /// # Errors
    /// [`Failure::Disk`] if a folder cannot be made or locked.
    pub fn create(parent: &Path, name: &JobId) -> Result<Self, Failure> {
        if !parent.is_dir() {
            let made = DirBuilder::new().mode(0o700).recursive(true).create(parent);
            made.map_err(|error| Failure::disk(parent, &error))?;
        }
        remove_dead(parent);
        let first = format!("{name}-{}", std::process::id());
        for number in 0..CREATE_TRIES {
            let path = match number {
                0 => parent.join(&first),
                _ => parent.join(format!("{first}-{number}")),
            };
            if let Some(lease) = make(&path)? {
                return Ok(Self { path, _lease: lease });
            }
        }
        let taken = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        Err(Failure::disk(parent.join(first), &taken))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next job.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Makes the folder and takes its lease; none if something is or was there.
fn make(path: &Path) -> Result<Option<File>, Failure> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(None),
        made => made.map_err(|error| Failure::disk(path, &error))?,
    }
    let lease = path.join(LEASE_NAME);
    let locked = File::create_new(&lease).and_then(|file| file.lock().map(|()| file));
    let kept = locked.and_then(|file| Ok((file.metadata()?.nlink() > 0).then_some(file)));
    kept.map_err(|error| {
        let _ = fs::remove_dir_all(path);
        Failure::disk(lease, &error)
    })
}

/// Removes the folders of processes that are gone. A folder without a lease is left alone: it is
/// just being made, or not ours.
fn remove_dead(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let free = File::open(entry.path().join(LEASE_NAME)).is_ok_and(|lease| lease.try_lock().is_ok());
        if free {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_jobs_folder_is_removed_and_a_live_ones_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let dead = parent.path().join("dead-1");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LEASE_NAME), "").unwrap();
        let live = WorkDir::create(parent.path(), &JobId::new("a").unwrap()).unwrap();
        let other = WorkDir::create(parent.path(), &JobId::new("b").unwrap()).unwrap();
        assert!(!dead.exists() && live.path().exists() && other.path().exists());
        let again = WorkDir::create(parent.path(), &JobId::new("a").unwrap()).unwrap();
        assert_ne!(again.path(), live.path(), "one process may have several of a name");
        let path = live.path().to_owned();
        drop(live);
        assert!(!path.exists());
    }
}
