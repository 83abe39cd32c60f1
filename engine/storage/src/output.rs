//! The folder that a job leaves behind: all of it or nothing.
//!
//! Everything is made in a staging folder beside the final path and takes its place in one rename
//! when it is complete, so that a job that fails, is interrupted or killed leaves nothing at the path,
//! and an output that is replaced is there until the new one is. Nothing but a former output is ever
//! replaced. Must not know what is in the parts.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mr_model::{AttemptId, Failure, JobId, TaskId};

use crate::manifest::Manifest;
use crate::names::parse;
use crate::part::Part;
use crate::parts::{PendingParts, ReadyParts, make_folder};
use crate::rejects;
use crate::replace::{
    check_replaceable, exchange, remove_attempts, remove_strays, rename_new, sync_files, sync_folder,
};
use crate::staging::{Found, Parents, Staging};
use crate::step::step;

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
    /// A store does not take it. The text says why.
    #[error("{sentence}")]
    Store {
        /// The reason.
        sentence: String,
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

/// What [`OutputDir::resume`] found.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each job that is taken up again")]
pub enum Resumed {
    /// The output is still in the making, and is ours again.
    Open(OutputDir),
    /// The output was published; what was left to clean up is cleaned up.
    Published,
    /// There is nothing of the job: it never came to make anything, or somebody removed it.
    Lost,
}

/// Parts of a task by name.
pub(crate) type Committed = BTreeMap<String, Part>;

/// An output in the making. Dropped without [`OutputDir::publish`] it leaves nothing.
#[derive(Debug)]
pub struct OutputDir {
    path: PathBuf,
    overwrite: bool,
    /// The committed parts of each task, by name.
    committed: Mutex<BTreeMap<TaskId, Committed>>,
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
        let (parent, name) = split(path)?;
        let unwritable = |error: io::Error| unwritable(path, &error);
        check_replaceable(path, overwrite)?;
        let parents = Parents::create(parent).map_err(unwritable)?;
        let staging = Staging::create(parent, name, job, parents.count()).map_err(unwritable)?;
        let staging = staging.ok_or_else(|| OutputError::Busy { path: path.to_owned(), job: job.clone() })?;
        // The sweep of dead jobs may have put an old output back.
        check_replaceable(path, overwrite)?;
        Ok(Self { path: path.to_owned(), overwrite, committed: Mutex::default(), staging, parents })
    }

    /// Takes up the output `path` of `job` again after the process that made it has died at any moment:
    /// nothing staged is removed, and parts that count are to be told by [`OutputDir::adopt`]. An
    /// output that was published already is one whose manifest names the job.
    ///
    /// # Errors
    /// Another process is at it, the output was finished and its place taken ([`OutputError::Taken`]), or
    /// the system refuses.
    pub fn resume(path: &Path, overwrite: bool, job: &JobId) -> Result<Resumed, OutputError> {
        let (parent, name) = split(path)?;
        let staging = match Staging::resume(parent, name, job) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Resumed::Lost),
            staging => staging.map_err(|error| unwritable(path, &error))?,
        };
        let (mut staging, found) =
            staging.ok_or_else(|| OutputError::Busy { path: path.to_owned(), job: job.clone() })?;
        match found {
            Found::Nothing => Ok(Resumed::Lost),
            Found::Kept => {
                Err(OutputError::Taken { path: path.to_owned(), kept: staging.unpublished().to_owned() })
            }
            Found::Published => {
                clean_published(path);
                // Whether that was still to be done is not known; it is harmless where it was not asked.
                let _ = sync_folder(parent);
                Ok(Resumed::Published)
            }
            Found::Open => {
                let parents = staging.reopen().map_err(|error| unwritable(path, &error))?;
                let committed = Mutex::default();
                Ok(Resumed::Open(Self { path: path.to_owned(), overwrite, committed, staging, parents }))
            }
        }
    }

    /// The staging folder, where attempts write their parts.
    pub fn staging(&self) -> &Path {
        self.staging.folder()
    }

    /// Makes the parts of an attempt the parts of its task.
    ///
    /// # Errors
    /// [`Failure::Internal`] if the task's parts are committed already or were written elsewhere,
    /// [`Failure::Disk`] if one cannot be renamed.
    pub fn commit(&self, pending: PendingParts) -> Result<Vec<Part>, Failure> {
        if pending.dir() != self.staging() {
            return Err(Failure::internal(format!("{} is not of this output", pending.path(0).display())));
        }
        let task = pending.attempt().task;
        let mut committed = self.committed();
        if committed.contains_key(&task) {
            return Err(Failure::internal(format!("the output of {task} was committed twice")));
        }
        let parts = pending.rename()?;
        committed.insert(task, by_name(&parts));
        Ok(parts)
    }

    /// Makes the parts that another process made ready the parts of their task. May be asked again for the
    /// same parts, also after a crash at any moment: files that have their final names already are recognised by
    /// their lengths and hashes. Parts in place that were never committed are replaced.
    ///
    /// # Errors
    /// [`Failure::Internal`] if their names are not those of parts of the attempt's task, or the task's parts
    /// are committed already and others; [`Failure::Corrupt`] if a file is gone or not as long as told;
    /// [`Failure::Disk`] if one cannot be renamed.
    pub fn commit_ready(&self, ready: &ReadyParts) -> Result<Vec<Part>, Failure> {
        let parts = checked_by_name(ready)?;
        if !ready.uploads.is_empty() {
            return Err(Failure::internal(format!("the parts of {} are on a store", ready.attempt)));
        }
        let task = ready.attempt.task;
        let mut committed = self.committed();
        match committed.get(&task) {
            Some(known) if *known == parts => return Ok(ready.parts.clone()),
            Some(_) => return Err(Failure::internal(format!("the output of {task} was committed twice"))),
            None => {}
        }
        for (place, part) in ready.parts.iter().enumerate() {
            make_folder(self.staging(), &part.name)?;
            put_in_place(&self.staging().join(ready.file(place)), &self.staging().join(&part.name), part)?;
        }
        committed.insert(task, parts);
        Ok(ready.parts.clone())
    }

    /// Counts a part as committed that was committed before [`OutputDir::resume`].
    ///
    /// # Errors
    /// [`Failure::Corrupt`] if it is not there with its length, [`Failure::Internal`] if it has the name
    /// of no part.
    pub fn adopt(&self, part: &Part) -> Result<(), Failure> {
        let Some((_, task)) = parse(&part.name) else {
            return Err(Failure::internal(format!("{:?} is not the name of a part", part.name)));
        };
        let path = self.staging().join(&part.name);
        let metadata = fs::symlink_metadata(&path).map_err(|error| lost(&path, &error))?;
        check_length(&path, &metadata, part)?;
        self.committed().entry(task).or_default().insert(part.name.clone(), part.clone());
        Ok(())
    }

    /// Puts the rejects of winning attempts together, before publishing: `winners` are those that
    /// rejected records, in task order, with how many. May be asked again after a crash.
    ///
    /// # Errors
    /// [`Failure::Corrupt`] if an attempt did not leave as many as told, [`Failure::Disk`] if its file
    /// cannot be read or theirs not be written.
    pub fn collect_rejects(&self, winners: &[(AttemptId, u64)]) -> Result<(), Failure> {
        rejects::collect(self.staging(), winners)
    }

    /// Completes the output and puts it in its place, in one step for whoever looks.
    ///
    /// # Errors
    /// The manifest's parts are not those committed, storage fails, or the place was taken by something
    /// that may not be replaced; then the output is kept beside it ([`OutputError::Taken`]).
    pub fn publish(mut self, manifest: &Manifest, durability: Durability) -> Result<(), OutputError> {
        check_parts(&self.committed(), manifest)?;
        let folder = self.staging.folder().to_owned();
        let disk = |error: io::Error| Failure::disk(&folder, &error);
        remove_attempts(&folder).map_err(disk)?;
        let names = manifest.parts.iter().map(|part| part.name.as_str()).collect();
        remove_strays(&folder, &names).map_err(disk)?;
        manifest.write(&folder)?;
        step!("create _SUCCESS", File::create(folder.join(SUCCESS_NAME))).map_err(disk)?;
        self.staging.open_to_all().map_err(disk)?;
        if durability == Durability::Synced {
            sync_files(&folder).map_err(disk)?;
        }
        self.take_place()?;
        self.parents.keep();
        clean_published(&self.path);
        if durability == Durability::Synced {
            sync_folder(split(&self.path)?.0).map_err(disk)?;
        }
        Ok(())
    }

    /// Gives the output up: nothing of it stays.
    pub fn discard(self) {}

    /// Lets go of the output and removes nothing, for [`OutputDir::resume`] to take it up again.
    pub fn leave(self) {
        let Self { staging, mut parents, .. } = self;
        parents.keep();
        staging.leave();
    }

    fn committed(&self) -> MutexGuard<'_, BTreeMap<TaskId, Committed>> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
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
        match step!("keep unpublished", fs::rename(self.staging.folder(), &kept)) {
            Ok(()) => {
                self.parents.keep();
                OutputError::Taken { path: self.path.clone(), kept }
            }
            Err(error) => unwritable(&kept, &error),
        }
    }
}

fn by_name(parts: &[Part]) -> Committed {
    parts.iter().map(|part| (part.name.clone(), part.clone())).collect()
}

/// The parts of an attempt by name.
///
/// # Errors
/// [`Failure::Internal`] if they can be nothing of its task.
pub(crate) fn checked_by_name(ready: &ReadyParts) -> Result<Committed, Failure> {
    let parts = by_name(&ready.parts);
    if ready.is_harmless() && parts.len() == ready.parts.len() {
        return Ok(parts);
    }
    Err(Failure::internal(format!("these are no parts of {}: {:?}", ready.attempt, parts.keys())))
}

/// Refuses a manifest that lists other parts than were committed.
pub(crate) fn check_parts(
    committed: &BTreeMap<TaskId, Committed>,
    manifest: &Manifest,
) -> Result<(), Failure> {
    let listed: BTreeMap<&str, &Part> =
        manifest.parts.iter().map(|part| (part.name.as_str(), part)).collect();
    let known: BTreeMap<&str, &Part> =
        committed.values().flatten().map(|(name, part)| (name.as_str(), part)).collect();
    if listed.len() != manifest.parts.len() || known != listed {
        return Err(Failure::internal("the manifest does not list the parts that were committed"));
    }
    Ok(())
}

/// The folder that holds the output, and the output's name in it.
fn split(path: &Path) -> Result<(&Path, &OsStr), OutputError> {
    let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
        return Err(OutputError::NoName { path: path.to_owned() });
    };
    Ok((if parent.as_os_str().is_empty() { Path::new(".") } else { parent }, name))
}

/// Removes what late attempts wrote while the output took its place. It is complete without that.
fn clean_published(path: &Path) {
    let _ = remove_attempts(path);
}

/// Gives the file of an attempt the name of its part, unless it has it already.
fn put_in_place(file: &Path, named: &Path, part: &Part) -> Result<(), Failure> {
    let renamed = fs::symlink_metadata(file).map(|metadata| {
        check_length(file, &metadata, part)?;
        Ok(step!("rename the part", fs::rename(file, named)))
    });
    // Gone before or behind the look: both come from a rename whose answer was lost.
    match renamed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_in_place(named, part),
        Ok(Ok(Err(error))) if error.kind() == io::ErrorKind::NotFound => check_in_place(named, part),
        Err(error) => Err(Failure::disk(file, &error)),
        Ok(checked) => checked?.map_err(|error| Failure::disk(file, &error)),
    }
}

fn check_in_place(named: &Path, part: &Part) -> Result<(), Failure> {
    let (file, metadata) = crate::file::open(named).map_err(|error| lost(named, &error))?;
    check_length(named, &metadata, part)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(|error| Failure::disk(named, &error))?;
    if hasher.finalize().to_hex().as_str() == part.blake3 {
        return Ok(());
    }
    Err(corrupt(named, "its bytes are not those that were told".into()))
}

fn check_length(path: &Path, metadata: &fs::Metadata, part: &Part) -> Result<(), Failure> {
    if metadata.is_file() && metadata.len() == part.bytes {
        return Ok(());
    }
    Err(corrupt(path, format!("it is no file of {} bytes", part.bytes)))
}

/// A file that should be there.
fn lost(path: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => corrupt(path, "it is gone".into()),
        _ => Failure::disk(path, error),
    }
}

fn corrupt(path: &Path, reason: String) -> Failure {
    Failure::Corrupt { path: path.to_owned(), reason, map_task: None }
}

pub(crate) fn unwritable(path: &Path, error: &io::Error) -> OutputError {
    OutputError::Unwritable { path: path.to_owned(), reason: error.to_string() }
}
