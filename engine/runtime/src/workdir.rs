//! The folder of one running job for its run files, removed when the job ends. A lock held as long as
//! the process lives tells the folders of dead jobs, which the next job removes.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use mr_model::{Failure, JobId};

/// File whose lock says that the folder is in use.
const LEASE_NAME: &str = "lease";

/// A job's folder.
pub(crate) struct WorkDir {
    path: PathBuf,
    _lease: File,
}

impl WorkDir {
    /// Makes a folder for `job` in `parent`, which is made, too, where it is missing; both private to
    /// the user.
    pub fn create(parent: &Path, job: &JobId) -> Result<Self, Failure> {
        let mut private = DirBuilder::new();
        private.mode(0o700);
        if !parent.is_dir() {
            private.recursive(true).create(parent).map_err(|error| Failure::disk(parent, &error))?;
        }
        remove_dead(parent);
        let path = parent.join(format!("{job}-{}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| Failure::disk(&path, &error))?;
        let lease = path.join(LEASE_NAME);
        let locked = File::create_new(&lease).and_then(|file| file.lock().map(|()| file));
        match locked {
            Ok(file) => Ok(Self { path, _lease: file }),
            Err(error) => {
                let _ = fs::remove_dir_all(&path);
                Err(Failure::disk(lease, &error))
            }
        }
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

/// Removes the folders of jobs whose process is gone. A folder without a lease is left alone: it is
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
        let path = live.path().to_owned();
        drop(live);
        assert!(!path.exists());
    }
}
