//! Which files a job reads: patterns become a list of regular, readable files in a fixed order.
//!
//! The order decides the output, so it follows from the patterns and the names alone: patterns as
//! given, files of one pattern by the bytes of their paths. Whatever cannot be read is refused here,
//! before any work is done. Must not read contents.

use std::collections::{HashMap, HashSet};
use std::fs::{self, FileType};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::remote::RemoteInputs;
use crate::{file, walk};

/// One file of a job's input, as it was when listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// Path as the job named it, or that joined with what was found below it.
    pub path: PathBuf,
    /// Length in bytes.
    pub bytes: u64,
    /// Time of the last change, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// What tells a remote object from a later one under the same name; none for files.
    pub tag: Option<String>,
}

/// Why inputs cannot be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// No such file or folder.
    #[error("input {} does not exist", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// The system refuses to open or list it.
    #[error("input {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Neither a regular file nor a folder.
    #[error("input {} is {kind}; only regular files and folders of them can be read", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
        /// What it is, for example `a named pipe`.
        kind: &'static str,
    },
    /// A folder contains itself through symbolic links.
    #[error("input {} leads back to {}: a cycle of symbolic links; remove the link", path.display(), ancestor.display())]
    LinkCycle {
        /// The link.
        path: PathBuf,
        /// Where it leads to.
        ancestor: PathBuf,
    },
    /// A pattern without a match.
    #[error("input {pattern:?} matches no file (names that begin with '.' or '_' have to be named)")]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// A pattern that is none.
    #[error("input {pattern:?} is no valid pattern: {reason}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A place that is none.
    #[error(
        "input {pattern:?} is in no store that is known: use s3://BUCKET/KEY, http://, https://, or a path"
    )]
    NoStore {
        /// The pattern.
        pattern: String,
    },
    /// A store refuses.
    #[error("input {pattern:?} cannot be listed: {reason}")]
    Store {
        /// The pattern.
        pattern: String,
        /// The store's reason.
        reason: String,
    },
    /// The standard input was asked for.
    #[error("input '-' is not supported: a job reads its input more than once, so put it in a file")]
    Stdin,
    /// More files and folders than are walked.
    #[error("input {} holds more than {max} files and folders", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// How many are walked.
        max: u64,
    },
}

/// Lists the files that `patterns` name, without those below folders and globs that `exclude` matches: a
/// glob over the end of the path (`*.tmp`, `old/**`).
/// A pattern is a file, a folder (everything below it but names
/// that begin with `.` or `_`), or, where no such file exists, a glob (`*`, `?`, `[..]`, `{a,b}`, and
/// `**` for any depth). Symbolic links are followed; a file that is reached twice counts once.
///
/// # Errors
/// On the first pattern or file that cannot be read as told by [`InputError`].
pub fn list_inputs(
    patterns: &[String],
    exclude: &[String],
    remote: Option<&dyn RemoteInputs>,
) -> Result<Vec<InputFile>, InputError> {
    let excluded = walk::Excluded::parse(exclude)?;
    let mut listing = Listing::default();
    for pattern in patterns {
        if pattern.contains("://") && !Path::new(pattern).exists() {
            let remote = remote.filter(|remote| remote.is_remote(pattern));
            let remote = remote.ok_or_else(|| InputError::NoStore { pattern: pattern.clone() })?;
            let named = |file: &InputFile| file.path == Path::new(pattern);
            let listed = remote.list(pattern)?.into_iter();
            listing.files.extend(listed.filter(|file| named(file) || !excluded.matches(&file.path)));
            continue;
        }
        for path in expand(pattern)? {
            if path == Path::new(pattern) || !excluded.matches(&path) {
                listing.add(path)?;
            }
        }
    }
    Ok(listing.files)
}

/// Paths of the files that one pattern names, in order.
fn expand(pattern: &str) -> Result<Vec<PathBuf>, InputError> {
    if pattern == "-" {
        return Err(InputError::Stdin);
    }
    let path = Path::new(pattern);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => walk::folder(path),
        Ok(metadata) if metadata.is_file() => Ok(vec![path.to_owned()]),
        Ok(metadata) => {
            Err(InputError::NotRegular { path: path.to_owned(), kind: kind(metadata.file_type()) })
        }
        Err(error) if is_absent(&error) && walk::is_glob(pattern) => walk::glob(pattern),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(InputError::Missing { path: path.to_owned() })
        }
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// No file has that name, or none can.
fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
}

/// Input files so far, each once.
#[derive(Default)]
struct Listing {
    files: Vec<InputFile>,
    /// Index of the first file with a device and inode number.
    first: HashMap<(u64, u64), usize>,
    /// Canonical paths of the files that share such numbers. The numbers alone do not tell: a hard
    /// link is a file of its own, and some network file systems invent them.
    canonical: HashSet<PathBuf>,
}

impl Listing {
    /// Adds a file unless it is there already; opens it, so that it is known to be readable.
    fn add(&mut self, path: PathBuf) -> Result<(), InputError> {
        let (_, metadata) = file::open(&path).map_err(|error| unreadable(&path, &error))?;
        if !metadata.is_file() {
            return Err(InputError::NotRegular { path, kind: kind(metadata.file_type()) });
        }
        let index = self.files.len();
        let first = *self.first.entry((metadata.dev(), metadata.ino())).or_insert(index);
        if first != index {
            self.canonical.insert(canonical(&self.files[first].path)?);
            if !self.canonical.insert(canonical(&path)?) {
                return Ok(());
            }
        }
        let modified_ns = file::modified_ns(&metadata);
        self.files.push(InputFile { path, bytes: metadata.len(), modified_ns, tag: None });
        Ok(())
    }
}

fn canonical(path: &Path) -> Result<PathBuf, InputError> {
    fs::canonicalize(path).map_err(|error| unreadable(path, &error))
}

pub(crate) fn unreadable(path: &Path, error: &io::Error) -> InputError {
    InputError::Unreadable { path: path.to_owned(), reason: error.to_string() }
}

/// What a file is, for people.
pub(crate) fn kind(file_type: FileType) -> &'static str {
    if file_type.is_fifo() {
        "a named pipe"
    } else if file_type.is_socket() {
        "a socket"
    } else if file_type.is_char_device() || file_type.is_block_device() {
        "a device"
    } else if file_type.is_dir() {
        "a folder"
    } else {
        "no regular file"
    }
}
