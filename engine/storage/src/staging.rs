//! The hidden folder beside an output where it is made, and the lease that tells whether its job
//! still lives.
//!
//! For an output `NAME` of job `JOB` there are, in the folder that will hold `NAME`:
//! `.NAME.JOB.lease`, locked while the job lives; `.NAME.JOB.staging`, the output in the making, and
//! for a moment after an exchange the old output; `.NAME.JOB.aside`, the old output, only where the
//! file system cannot exchange. A lease that nobody has locked is that of a dead job, and whoever
//! makes the same output next removes its folders. The lease lies beside the staging folder and not
//! in it, so that no moment of publishing leaves a folder without one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mr_model::JobId;

/// Tries at a lease before giving up: one is lost each time that a sweep removes the file between its
/// creation and its lock.
const LEASE_TRIES: u32 = 16;
const LEASE_SUFFIX: &[u8] = b".lease";

/// A staging folder and its lease; both go when it is dropped.
#[derive(Debug)]
pub(crate) struct Staging {
    names: Names,
    /// Holds the lock.
    _lease: File,
    /// Permissions that the folder would have had by default.
    mode: u32,
}

impl Staging {
    /// Takes the lease, removes what dead jobs left behind for this output, and creates the folder,
    /// open to its owner alone. None if a live job has the lease.
    pub(crate) fn create(parent: &Path, name: &OsStr, job: &JobId) -> io::Result<Option<Self>> {
        let names = Names::new(parent, name, job.as_str().as_bytes());
        let Some(lease) = acquire(&names.lease)? else { return Ok(None) };
        let mut staging = Self { names, _lease: lease, mode: 0 };
        sweep(parent, name);
        staging.names.clear()?;
        fs::create_dir(staging.folder())?;
        staging.mode = fs::metadata(staging.folder())?.permissions().mode();
        fs::set_permissions(staging.folder(), Permissions::from_mode(staging.mode & !0o077))?;
        Ok(Some(staging))
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.names.staging
    }

    /// Where an old output goes while the new one takes its place.
    pub(crate) fn aside(&self) -> &Path {
        &self.names.aside
    }

    /// Where a finished output goes if its place is taken.
    pub(crate) fn unpublished(&self) -> &Path {
        &self.names.unpublished
    }

    /// Gives the folder the permissions that any new folder has.
    pub(crate) fn open_to_all(&self) -> io::Result<()> {
        fs::set_permissions(&self.names.staging, Permissions::from_mode(self.mode))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Where something stays, the lease stays with it for the next sweep.
        if self.names.clear().is_ok() {
            let _ = fs::remove_file(&self.names.lease);
        }
    }
}

/// Paths that belong to one output of one job.
#[derive(Debug)]
struct Names {
    output: PathBuf,
    lease: PathBuf,
    staging: PathBuf,
    aside: PathBuf,
    unpublished: PathBuf,
}

impl Names {
    fn new(parent: &Path, name: &OsStr, job: &[u8]) -> Self {
        let path = |suffix: &[u8]| {
            let hidden = [b".", name.as_bytes(), b".", job, suffix].concat();
            parent.join(OsStr::from_bytes(&hidden))
        };
        Self {
            output: parent.join(name),
            lease: path(LEASE_SUFFIX),
            staging: path(b".staging"),
            aside: path(b".aside"),
            unpublished: path(b".unpublished"),
        }
    }

    /// Removes the folders, which may or may not be there. An old output that was put aside and never
    /// replaced goes back to its place.
    fn clear(&self) -> io::Result<()> {
        remove_folder(&self.staging)?;
        if fs::symlink_metadata(&self.aside).is_err() {
            return Ok(());
        }
        match fs::symlink_metadata(&self.output) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(&self.aside, &self.output),
            Err(error) => Err(error),
            Ok(_) => remove_folder(&self.aside),
        }
    }
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Creates the lease and locks it; none if a live job has it.
fn acquire(path: &Path) -> io::Result<Option<File>> {
    let options = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        options
    };
    for _ in 0..LEASE_TRIES {
        let lease = match options().create_new(true).open(path) {
            Ok(lease) => {
                // Only a sweep can have locked it meanwhile, and is soon done. Where the file system
                // has no locks, nothing but the cleaning up after dead jobs is lost.
                while lease.lock().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
                lease
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match options().open(path) {
                Ok(lease) if lease.try_lock().is_ok() => lease,
                Ok(_) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            },
            Err(error) => return Err(error),
        };
        if lease.metadata()?.nlink() > 0 {
            return Ok(Some(lease));
        }
    }
    Ok(None)
}

/// Removes what dead jobs left behind for the output `name`. What cannot be removed is left to the
/// next sweep.
fn sweep(parent: &Path, name: &OsStr) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let file_name: OsString = entry.file_name();
        let Some(job) = job_of_lease(&file_name, name) else { continue };
        let names = Names::new(parent, name, job);
        let Ok(lease) = OpenOptions::new().read(true).write(true).open(&names.lease) else { continue };
        let dead = lease.try_lock().is_ok() && lease.metadata().is_ok_and(|metadata| metadata.nlink() > 0);
        if dead && names.clear().is_ok() {
            let _ = fs::remove_file(&names.lease);
        }
    }
}

/// The job in the file name of a lease for the output `name`.
fn job_of_lease<'a>(file_name: &'a OsStr, name: &OsStr) -> Option<&'a [u8]> {
    let rest = file_name.as_bytes().strip_prefix(b".")?.strip_prefix(name.as_bytes())?;
    let job = rest.strip_prefix(b".")?.strip_suffix(LEASE_SUFFIX)?;
    let text = std::str::from_utf8(job).ok()?;
    JobId::new(text).ok().map(|_| job)
}
