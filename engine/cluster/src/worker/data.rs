//! A worker's data folder: who may use it, and what is kept in it under which name.
//!
//! ```text
//! lease             locked while a worker lives
//! incarnation       the latest life, in decimal
//! components/HASH.wasm
//! compiled/         the sandbox's cache, unless another folder is given
//! lives/LIFE/JOB/   run files and fetched segments of one job in one life
//! ```
//!
//! Everything of earlier lives is removed at start: nobody will ask for it. Must not know what the files
//! hold. All functions block.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use mr_model::{Incarnation, JobId};

use super::WorkerError;
use super::sides::IDLE_BYTES_MAX;

/// Fetched components that are kept for later jobs, in bytes; those used least recently go at start.
const COMPONENTS_BYTES_MAX: u64 = 4 << 30;
/// Endings of files that are not complete.
pub(super) const UNFINISHED_SUFFIX: &str = ".part";

/// A data folder that is this process's alone.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    _lease: File,
}

impl DataDir {
    /// Takes the folder, making it where it is missing, and removes what earlier lives left.
    pub fn open(path: &Path) -> Result<Self, WorkerError> {
        make(path).map_err(|error| unusable(path, &error))?;
        let lease = path.join("lease");
        let open = File::options().create(true).truncate(false).write(true).open(&lease);
        let file = open.map_err(|error| unusable(&lease, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(WorkerError::DataInUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(unusable(&lease, &error)),
        }
        let data = Self { path: path.to_owned(), _lease: file };
        data.sweep()?;
        Ok(data)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Folder of fetched components.
    pub fn components(&self) -> PathBuf {
        self.path.join("components")
    }

    /// Folder of fetched side inputs.
    pub fn sides(&self) -> PathBuf {
        self.path.join("sides")
    }

    /// Folder of compiled components.
    pub fn compiled(&self) -> PathBuf {
        self.path.join("compiled")
    }

    /// Folder of a life.
    pub fn life(&self, life: Incarnation) -> PathBuf {
        self.lives().join(life.0.to_string())
    }

    /// Begins a life that is higher than all earlier ones, also than those of a folder that was lost
    /// if the machine's clock is right, and makes its folder. It is on disk when this returns.
    pub fn begin_life(&self) -> Result<Incarnation, WorkerError> {
        let path = self.path.join("incarnation");
        let stored = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(unusable(&path, &error)),
        };
        let life = Incarnation(unix_millis().max(u64::saturating_add(stored, 1)));
        replace(&self.path, &path, life.0.to_string().as_bytes()).map_err(|error| unusable(&path, &error))?;
        let dir = self.life(life);
        make(&dir).map_err(|error| unusable(&dir, &error))?;
        Ok(life)
    }

    fn lives(&self) -> PathBuf {
        self.path.join("lives")
    }

    fn sweep(&self) -> Result<(), WorkerError> {
        let lives = self.lives();
        remove(&lives).map_err(|error| unusable(&lives, &error))?;
        let (components, sides) = (self.components(), self.sides());
        for dir in [&lives, &components, &sides] {
            make(dir).map_err(|error| unusable(dir, &error))?;
        }
        for (dir, bytes_max) in [(&components, COMPONENTS_BYTES_MAX), (&sides, IDLE_BYTES_MAX)] {
            drop_oldest(dir, bytes_max).map_err(|error| unusable(dir, &error))?;
        }
        Ok(())
    }
}

/// Folder of a job in the folder of a life.
pub(super) fn job_dir(life: &Path, job: &JobId) -> PathBuf {
    life.join(job.as_str())
}

/// Makes a folder and those above it, private to the user.
pub(super) fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Removes a folder with all that is in it; one that is not there is fine.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts new content in place of a file's old one, at once and for good.
fn replace(dir: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED_SUFFIX);
    let mut file = File::create(&name)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&name, path)?;
    File::open(dir)?.sync_all()
}

/// Removes unfinished files, and finished ones, the oldest first, until `bytes_max` bytes are left.
fn drop_oldest(dir: &Path, bytes_max: u64) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().ends_with(UNFINISHED_SUFFIX.as_bytes()) {
            fs::remove_file(entry.path())?;
            continue;
        }
        let metadata = entry.metadata()?;
        kept.push((metadata.modified()?, metadata.len(), entry.path()));
    }
    kept.sort();
    let mut bytes: u64 = kept.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, size, path) in kept {
        if bytes <= bytes_max {
            break;
        }
        fs::remove_file(path)?;
        bytes -= size;
    }
    Ok(())
}

fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn unusable(path: &Path, error: &io::Error) -> WorkerError {
    WorkerError::Data { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_serves_one_worker_and_lives_only_go_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let data = DataDir::open(&path).unwrap();
        assert!(matches!(DataDir::open(&path), Err(WorkerError::DataInUse { .. })));
        let first = data.begin_life().unwrap();
        let second = data.begin_life().unwrap();
        assert!(second > first);
        fs::write(data.life(second).join("run"), "left behind").unwrap();
        fs::write(data.components().join("kept.wasm"), "kept").unwrap();
        fs::write(data.components().join("half.wasm.part"), "half").unwrap();
        // A clock that was set back, or a life from the future, does not make lives repeat.
        fs::write(path.join("incarnation"), format!("{}\n", u64::MAX / 2)).unwrap();
        drop(data);

        let data = DataDir::open(&path).unwrap();
        assert!(!data.life(second).exists());
        assert!(data.components().join("kept.wasm").exists());
        assert!(!data.components().join("half.wasm.part").exists());
        assert_eq!(data.begin_life().unwrap(), Incarnation(u64::MAX / 2 + 1));
    }

    #[test]
    fn the_oldest_components_go_first() {
        let dir = tempfile::tempdir().unwrap();
        for (age, name) in [(3, "old"), (2, "middle"), (1, "new")] {
            let file = File::create(dir.path().join(name)).unwrap();
            file.set_len(100).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age * 60)).unwrap();
        }
        drop_oldest(dir.path(), 250).unwrap();
        let left = ["old", "middle", "new"].map(|name| dir.path().join(name).exists());
        assert_eq!(left, [false, true, true]);
    }
}
