//! The hidden folder beside an output where it is made, and the lease that tells whether its job
//! still lives.
//!
//! For an output `NAME` of job `JOB` there are, in the folder that will hold `NAME`:
//! `.NAME.JOB.lease`, locked while the job lives; `.NAME.JOB.staging`, the output in the making, and
//! for a moment after an exchange the old output; `.NAME.JOB.aside`, the old output, only where the
//! file system cannot exchange. A lease that nobody has locked is that of a dead job, and whoever
//! makes the same output next removes its folders. The lease lies beside the staging folder and not
//! in it, so that no moment of publishing leaves a folder without one.
//!
//! The lease holds the inode number of the staging folder, which stays the same in every rename: after
//! a crash it tells which folder is the output in the making, whatever came of its name. Beside it are
//! the permissions that the folder gets and how many parents were made for it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mr_model::JobId;

use crate::manifest::Manifest;
use crate::replace::is_output;
use crate::step::step;

/// Tries at a lease before giving up: one is lost each time that a sweep removes the file between its
/// creation and its lock.
const LEASE_TRIES: u32 = 16;
/// Most that is read of a lease, in bytes: three numbers.
const RECORD_BYTES_MAX: u64 = 64;
const LEASE_SUFFIX: &[u8] = b".lease";

/// A staging folder and its lease; both go when it is dropped.
#[derive(Debug)]
pub(crate) struct Staging {
    names: Names,
    /// Holds the lock.
    lease: File,
    record: Record,
    /// Whether everything stays when it is dropped.
    left: bool,
}

/// What a lease says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Record {
    /// Inode number of the staging folder; 0 where it is not written yet.
    inode: u64,
    /// Permissions that the folder would have had by default.
    mode: u32,
    /// Parents that were created for the output.
    parents: usize,
}

/// What a dead job left of its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// The output in the making.
    Open,
    /// The output in its place.
    Published,
    /// The finished output where it was kept because its place was taken.
    Kept,
    /// None of these.
    Nothing,
}

impl Staging {
    /// Takes the lease, removes what dead jobs left behind for this output, and creates the folder,
    /// open to its owner alone. None if a live job has the lease.
    pub(crate) fn create(
        parent: &Path,
        name: &OsStr,
        job: &JobId,
        parents: usize,
    ) -> io::Result<Option<Self>> {
        let names = Names::new(parent, name, job.as_str().as_bytes());
        let Some(lease) = acquire(&names.lease)? else { return Ok(None) };
        let mut staging = Self { names, lease, record: Record::default(), left: false };
        sweep(parent, name);
        staging.names.clear()?;
        // What an earlier life wrote must not be taken for what is true of the new folder.
        staging.lease.set_len(0)?;
        step!("create the staging folder", fs::create_dir(staging.folder()))?;
        let metadata = fs::metadata(staging.folder())?;
        let mode = metadata.permissions().mode();
        staging.record = Record { inode: metadata.ino(), mode, parents };
        step!("write the lease", staging.record.write(&staging.lease))?;
        staging.close_to_others()?;
        Ok(Some(staging))
    }

    /// Takes the lease of a dead job and tells what there is; nothing is removed. None if a live job has
    /// it. Dropped, it leaves nothing but what is published or kept.
    pub(crate) fn resume(parent: &Path, name: &OsStr, job: &JobId) -> io::Result<Option<(Self, Found)>> {
        let names = Names::new(parent, name, job.as_str().as_bytes());
        let Some(lease) = acquire(&names.lease)? else { return Ok(None) };
        let record = Record::read(&lease);
        let found = names.find(record, job);
        let record = record.unwrap_or_default();
        Ok(Some((Self { names, lease, record, left: false }, found)))
    }

    /// Makes the folder of a dead job ready to be gone on with; an old output that was put aside goes
    /// back to its place until it is replaced. Answers the parents that were created for it.
    pub(crate) fn reopen(&mut self) -> io::Result<Parents> {
        if is_missing(&self.names.output) && !is_missing(&self.names.aside) {
            step!("put the old output back", fs::rename(&self.names.aside, &self.names.output))?;
        }
        if self.record.inode == 0 {
            let metadata = fs::metadata(self.folder())?;
            self.record = Record { inode: metadata.ino(), mode: metadata.permissions().mode(), parents: 0 };
            self.lease.set_len(0)?;
            step!("write the lease", self.record.write(&self.lease))?;
        }
        self.close_to_others()?;
        Ok(Parents::known(&self.names.output, self.record.parents))
    }

    /// Lets go of the lease and removes nothing.
    pub(crate) fn leave(mut self) {
        self.left = true;
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
        let open = Permissions::from_mode(self.record.mode);
        step!("open the staging folder", fs::set_permissions(&self.names.staging, open))
    }

    fn close_to_others(&self) -> io::Result<()> {
        let private = Permissions::from_mode(self.record.mode & !0o077);
        step!("close the staging folder", fs::set_permissions(&self.names.staging, private))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        // Where something stays, the lease stays with it for the next sweep.
        if self.names.clear().is_ok() {
            let _ = step!("remove the lease", fs::remove_file(&self.names.lease));
        }
    }
}

impl Record {
    fn write(&self, mut lease: &File) -> io::Result<()> {
        lease.rewind()?;
        lease.write_all(format!("{} {:o} {}\n", self.inode, self.mode, self.parents).as_bytes())
    }

    /// None where the process died before it was written whole.
    fn read(lease: &File) -> Option<Self> {
        let mut text = String::new();
        lease.take(RECORD_BYTES_MAX).read_to_string(&mut text).ok()?;
        let mut fields = text.strip_suffix('\n')?.split(' ');
        let inode = fields.next()?.parse().ok()?;
        let mode = u32::from_str_radix(fields.next()?, 8).ok()?;
        let parents = fields.next()?.parse().ok()?;
        Some(Self { inode, mode, parents })
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

    /// What there is of a job whose lease says `record`. Where that does not tell, because it was never
    /// written or the file system invents inode numbers, the manifests do.
    fn find(&self, record: Option<Record>, job: &JobId) -> Found {
        let is_named = |folder: &Path| Manifest::job_of(folder).as_ref() == Some(job);
        let is_recorded = |folder: &Path| {
            let inode = fs::symlink_metadata(folder).ok().filter(|metadata| metadata.is_dir());
            inode.is_some_and(|metadata| record.is_some_and(|record| record.inode == metadata.ino()))
        };
        let is_staged = !is_missing(&self.staging);
        if is_recorded(&self.staging) {
            Found::Open
        } else if is_named(&self.output)
            && (is_recorded(&self.output) || !is_staged || is_output(&self.staging))
        {
            Found::Published
        } else if is_staged {
            Found::Open
        } else if is_named(&self.unpublished) {
            Found::Kept
        } else {
            Found::Nothing
        }
    }

    /// Removes the folders, which may or may not be there. An old output that was put aside and never
    /// replaced goes back to its place.
    fn clear(&self) -> io::Result<()> {
        step!("remove the staging folder", remove_folder(&self.staging))?;
        if is_missing(&self.aside) {
            return Ok(());
        }
        match fs::symlink_metadata(&self.output) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                step!("put the old output back", fs::rename(&self.aside, &self.output))
            }
            Err(error) => Err(error),
            Ok(_) => step!("remove the old output", remove_folder(&self.aside)),
        }
    }
}

fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err()
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Folders that were created on the way to an output; removed again unless it is published.
#[derive(Debug)]
pub(crate) struct Parents(Vec<PathBuf>);

impl Parents {
    /// Creates what is missing.
    pub(crate) fn create(parent: &Path) -> io::Result<Self> {
        let missing: Vec<&Path> = parent
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && fs::symlink_metadata(path).is_err())
            .collect();
        let mut created = Self(Vec::new());
        for path in missing.into_iter().rev() {
            match step!("create a parent", fs::create_dir(path)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => {
                    made?;
                    created.0.push(path.to_owned());
                }
            }
        }
        Ok(created)
    }

    /// The nearest `count` folders above `output`, created by an earlier life.
    fn known(output: &Path, count: usize) -> Self {
        let above = output.ancestors().skip(1).take(count);
        let mut parents: Vec<PathBuf> = above.map(Path::to_owned).collect();
        parents.reverse();
        Self(parents)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Leaves them for good.
    pub(crate) fn keep(&mut self) {
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

/// Creates the lease and locks it; none if a live job has it.
fn acquire(path: &Path) -> io::Result<Option<File>> {
    let options = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        options
    };
    for _ in 0..LEASE_TRIES {
        let lease = match step!("create the lease", options().create_new(true).open(path)) {
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
            let _ = step!("remove the lease", fs::remove_file(&names.lease));
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
