//! The folder that a job leaves behind: all of it or nothing.
//!
//! Everything is made in a staging folder beside the final path and takes its place in one rename
//! when it is complete, so that a job that fails, is interrupted or killed leaves nothing at the path,
//! and an output that is replaced is there until the new one is. Nothing but a former output is ever
//! replaced. Must not know what is in the parts.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mr_model::{Failure, JobId};
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::manifest::{MANIFEST_NAME, Manifest};
use crate::part::{ATTEMPT_PREFIX, Part, PendingPart};
use crate::staging::Staging;

/// File name of the empty file that says that an output is complete.
pub const SUCCESS_NAME: &str = "_SUCCESS";

/// Tries at putting an output in its place while something else comes and goes there.
const PLACE_TRIES: u32 = 8;

/// Why an output cannot be made or published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// The path has no last component.
    #[error("output {} names no folder that could be created; give it a name of its own", path.display())]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// There is something already.
    #[error("output {} exists already; remove it, choose another, or replace it with --overwrite", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// There is something that is not ours to replace.
    #[error(
        "output {} is neither an empty folder nor a former output (with _SUCCESS or _manifest.json in it), so --overwrite leaves it alone; remove it or choose another",
        path.display()
    )]
    NotAnOutput {
        /// The path.
        path: PathBuf,
    },
    /// The same job is at it already.
    #[error("output {} is being made by another run of job {job}", path.display())]
    Busy {
        /// The path.
        path: PathBuf,
        /// The job.
        job: JobId,
    },
    /// The system refuses.
    #[error("output {} cannot be created: {reason}", path.display())]
    Unwritable {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Something took the place while the job ran.
    #[error(
        "output {} was created by something else while the job ran and is left alone; this job's output is in {}",
        path.display(),
        kept.display()
    )]
    Taken {
        /// The path.
        path: PathBuf,
        /// Where the finished output is now.
        kept: PathBuf,
    },
    /// Storage failed, or the engine did.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// What publishing waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: the output is safe from the death of any process, and from a power cut once the
    /// system has written it back, usually within a minute.
    Written,
    /// Every file is on the disk before the output is at its path: `_SUCCESS` seen after a power cut
    /// implies the parts.
    Synced,
}

/// An output in the making. Dropped without [`OutputDir::publish`] it leaves nothing.
#[derive(Debug)]
pub struct OutputDir {
    path: PathBuf,
    overwrite: bool,
    /// Names of the committed parts.
    committed: Mutex<BTreeSet<String>>,
    // In this order, so that parents are empty when they are dropped.
    staging: Staging,
    parents: Parents,
}

impl OutputDir {
    /// Begins the output `path` of `job`: checks that it can be published there and creates the
    /// staging folder, and parents where they are missing.
    ///
    /// # Errors
    /// Something is there (with `overwrite`: something that is not a former output or empty), another
    /// run of the job is at it, or the system refuses.
    pub fn create(path: &Path, overwrite: bool, job: &JobId) -> Result<Self, OutputError> {
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
            return Err(OutputError::NoName { path: path.to_owned() });
        };
        let unwritable = |error: io::Error| unwritable(path, &error);
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        check_replaceable(path, overwrite)?;
        let parents = Parents::create(parent).map_err(unwritable)?;
        let staging = Staging::create(parent, name, job).map_err(unwritable)?;
        let staging = staging.ok_or_else(|| OutputError::Busy { path: path.to_owned(), job: job.clone() })?;
        // The sweep of dead jobs may have put an old output back.
        check_replaceable(path, overwrite)?;
        let committed = Mutex::default();
        Ok(Self { path: path.to_owned(), overwrite, committed, staging, parents })
    }

    /// The staging folder, where attempts write their parts.
    pub fn staging(&self) -> &Path {
        self.staging.folder()
    }

    /// Makes the part of an attempt the part of its task.
    ///
    /// # Errors
    /// [`Failure::Internal`] if the task's part is committed already or was written elsewhere,
    /// [`Failure::Disk`] if it cannot be renamed.
    pub fn commit(&self, pending: PendingPart) -> Result<Part, Failure> {
        if pending.path().parent() != Some(self.staging()) {
            return Err(Failure::internal(format!("{} is no part of this output", pending.path().display())));
        }
        let name = pending.part().name.clone();
        let mut committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        if committed.contains(&name) {
            return Err(Failure::internal(format!("{name} was committed twice")));
        }
        let part = pending.rename()?;
        committed.insert(name);
        Ok(part)
    }

    /// Completes the output and puts it in its place, in one step for whoever looks.
    ///
    /// # Errors
    /// The manifest's parts are not those committed, storage fails, or the place was taken by something
    /// that may not be replaced; then the output is kept beside it ([`OutputError::Taken`]).
    pub fn publish(mut self, manifest: &Manifest, durability: Durability) -> Result<(), OutputError> {
        self.check_parts(manifest)?;
        let folder = self.staging.folder().to_owned();
        let disk = |error: io::Error| Failure::disk(&folder, &error);
        remove_attempts(&folder).map_err(disk)?;
        manifest.write(&folder)?;
        File::create(folder.join(SUCCESS_NAME)).map_err(disk)?;
        self.staging.open_to_all().map_err(disk)?;
        if durability == Durability::Synced {
            sync_files(&folder).map_err(disk)?;
        }
        self.take_place()?;
        self.parents.keep();
        if durability == Durability::Synced {
            let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            sync_folder(parent.unwrap_or(Path::new("."))).map_err(disk)?;
        }
        Ok(())
    }

    fn check_parts(&self, manifest: &Manifest) -> Result<(), Failure> {
        let committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        let listed: BTreeSet<&str> = manifest.parts.iter().map(|part| part.name.as_str()).collect();
        if listed.len() != manifest.parts.len() || !committed.iter().map(String::as_str).eq(listed) {
            return Err(Failure::internal("the manifest does not list the parts that were committed"));
        }
        Ok(())
    }

    fn take_place(&mut self) -> Result<(), OutputError> {
        let (from, to) = (self.staging.folder(), self.path.as_path());
        for _ in 0..PLACE_TRIES {
            match rename_new(from, to) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                renamed => return renamed.map_err(|error| unwritable(to, &error)),
            }
            if check_replaceable(to, self.overwrite).is_err() {
                return Err(self.keep_unpublished());
            }
            match exchange(from, to, self.staging.aside()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                exchanged => return exchanged.map_err(|error| unwritable(to, &error)),
            }
        }
        Err(self.keep_unpublished())
    }

    /// Saves a finished output whose place is taken.
    fn keep_unpublished(&mut self) -> OutputError {
        let kept = self.staging.unpublished().to_owned();
        match fs::rename(self.staging.folder(), &kept) {
            Ok(()) => {
                self.parents.keep();
                OutputError::Taken { path: self.path.clone(), kept }
            }
            Err(error) => unwritable(&kept, &error),
        }
    }
}

/// Folders that were created on the way to an output; removed again unless it is published.
#[derive(Debug)]
struct Parents(Vec<PathBuf>);

impl Parents {
    fn create(parent: &Path) -> io::Result<Self> {
        let missing: Vec<&Path> = parent
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && fs::symlink_metadata(path).is_err())
            .collect();
        let mut created = Self(Vec::new());
        for path in missing.into_iter().rev() {
            match fs::create_dir(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => {
                    made?;
                    created.0.push(path.to_owned());
                }
            }
        }
        Ok(created)
    }

    fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Parents {
    fn drop(&mut self) {
        // One that is no longer empty is someone else's by now, and stays.
        for path in self.0.iter().rev() {
            let _ = fs::remove_dir(path);
        }
    }
}

/// Refuses what is at `path` unless it is nothing or may be replaced.
fn check_replaceable(path: &Path, overwrite: bool) -> Result<(), OutputError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(|error| unwritable(path, &error))?,
    };
    if !overwrite {
        return Err(OutputError::Exists { path: path.to_owned() });
    }
    if !metadata.is_dir() {
        return Err(OutputError::NotAnOutput { path: path.to_owned() });
    }
    let marked = [SUCCESS_NAME, MANIFEST_NAME].iter().any(|name| path.join(name).is_file());
    let mut entries = fs::read_dir(path).map_err(|error| unwritable(path, &error))?;
    if marked || entries.next().is_none() {
        return Ok(());
    }
    Err(OutputError::NotAnOutput { path: path.to_owned() })
}

/// Renames to a name that must be free.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(error) if is_unsupported(error) => rename_new_unchecked(from, to),
        renamed => Ok(renamed?),
    }
}

/// For file systems that know no flags: what comes between the look and the rename is replaced only if
/// it is an empty folder, else it makes the rename fail.
fn rename_new_unchecked(from: &Path, to: &Path) -> io::Result<()> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

/// Puts the folder `from` at `to`, where another one is. That one is at `from` or `aside` after it.
fn exchange(from: &Path, to: &Path, aside: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE) {
        Err(error) if is_unsupported(error) => exchange_by_renames(from, to, aside),
        exchanged => Ok(exchanged?),
    }
}

/// For file systems that cannot exchange; `to` is missing for a moment.
fn exchange_by_renames(from: &Path, to: &Path, aside: &Path) -> io::Result<()> {
    fs::rename(to, aside)?;
    rename_new(from, to).inspect_err(|_| {
        // If that fails too, dropping the staging folder tries again.
        let _ = rename_new(aside, to);
    })
}

fn is_unsupported(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

/// Removes what losing attempts have not yet removed themselves.
fn remove_attempts(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_attempt = |name: &OsStr| name.as_encoded_bytes().starts_with(ATTEMPT_PREFIX.as_bytes());
        if is_attempt(&entry.file_name()) {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
    }
    Ok(())
}

fn sync_files(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        File::open(entry?.path())?.sync_data()?;
    }
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn unwritable(path: &Path, error: &io::Error) -> OutputError {
    OutputError::Unwritable { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the exchange leaves behind without the kernel's help, and when it fails half way.
    #[test]
    fn an_exchange_by_renames_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let make = |name: &str| {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("content"), name).unwrap();
        };
        let content = |name: &str| fs::read_to_string(at(name).join("content")).ok();
        make("new");
        make("old");
        exchange_by_renames(&at("new"), &at("old"), &at("aside")).unwrap();
        assert_eq!((content("old").as_deref(), content("aside").as_deref()), (Some("new"), Some("old")));
        fs::remove_dir_all(at("aside")).unwrap();
        exchange_by_renames(&at("missing"), &at("old"), &at("aside")).unwrap_err();
        assert_eq!((content("old").as_deref(), content("aside")), (Some("new"), None));
        make("next");
        assert_eq!(
            rename_new_unchecked(&at("next"), &at("old")).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
    }
}
