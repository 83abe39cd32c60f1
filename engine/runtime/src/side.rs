//! The side inputs of a job where it is planned: files that are opened once, told by their content, and
//! from then on neither looked up again nor allowed to change. Must not know what is in them.

use std::fs::{File, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use mr_model::limit::{SIDE_BYTES_MAX, SIDES_BYTES_MAX, SIDES_MAX};
use mr_model::{Failure, Side};
use mr_sandbox::{SideFile, Sides};
use rustix::fs::{Mode, OFlags};

/// Bytes that are hashed at once.
const PIECE_BYTES: usize = 1 << 20;

/// A side input that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SideError {
    /// No side input can have this name.
    #[error("--side {}: {reason}", path.display())]
    Name {
        /// Its file.
        path: PathBuf,
        /// What is wrong with the name.
        reason: String,
    },
    /// A name is given twice.
    #[error("--side {name}=... is given twice, with {} and {}; choose another name for one", first.display(), second.display())]
    Twice {
        /// The name.
        name: String,
        /// One of the files.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// There are too many.
    #[error("--side is given {count} times, and {SIDES_MAX} side inputs are allowed")]
    Count {
        /// How many there are.
        count: usize,
    },
    /// The system refuses to open or read it.
    #[error("side input {name}: {} {reason}", path.display())]
    Unreadable {
        /// The name.
        name: String,
        /// Its file.
        path: PathBuf,
        /// Why, beginning with a verb.
        reason: String,
    },
    /// It is larger than side inputs may be.
    #[error(
        "side input {name}: {} has {bytes} bytes, and {SIDE_BYTES_MAX} are allowed; join it as an input instead",
        path.display()
    )]
    Large {
        /// The name.
        name: String,
        /// Its file.
        path: PathBuf,
        /// Its length in bytes.
        bytes: u64,
    },
    /// All together are.
    #[error("the side inputs have {bytes} bytes together, and {SIDES_BYTES_MAX} are allowed")]
    Total {
        /// Their length in bytes.
        bytes: u64,
    },
    /// Somebody wrote to it while it was read.
    #[error(
        "side input {name}: {} changed while it was being read; submit the job when it is complete",
        path.display()
    )]
    Changed {
        /// The name.
        name: String,
        /// Its file.
        path: PathBuf,
    },
}

/// A side input as it was when the job was planned. Clones share the open file.
#[derive(Debug, Clone)]
pub struct PlannedSide {
    side: Side,
    path: PathBuf,
    file: Arc<File>,
    modified: SystemTime,
}

impl PlannedSide {
    /// What the job is told of it.
    pub fn side(&self) -> &Side {
        &self.side
    }

    /// Its file, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For plugins to read in place.
    pub fn open(&self) -> SideFile {
        let file = SideFile::new(&self.side.name, self.side.bytes, self.file.clone(), self.path.clone());
        file.unchanged_since(self.modified)
    }

    /// Fills `buffer` with what lies at `offset`; for whoever sends it on.
    ///
    /// # Errors
    /// Those of reading it; [`SideError::Changed`] where it is not what it was any more.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), SideError> {
        self.file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.changed(),
            _ => unreadable(&self.side.name, &self.path, format!("cannot be read: {error}")),
        })?;
        let metadata = self.file.metadata();
        let stamp = metadata.and_then(|metadata| Ok((metadata.len(), metadata.modified()?)));
        if stamp.is_ok_and(|stamp| stamp == (self.side.bytes, self.modified)) {
            Ok(())
        } else {
            Err(self.changed())
        }
    }

    fn changed(&self) -> SideError {
        SideError::Changed { name: self.side.name.clone(), path: self.path.clone() }
    }
}

/// Opens copies of the side inputs of a job, which lie at `paths`, in the same order; nobody else writes to
/// them, and what is in them was checked.
///
/// # Errors
/// A copy that cannot be opened, or is not as long as it was.
pub fn open_sides(sides: &[Side], paths: &[PathBuf]) -> Result<Sides, Failure> {
    if sides.len() != paths.len() {
        return Err(Failure::internal(format!("{} side inputs lie in {} files", sides.len(), paths.len())));
    }
    let open = |(side, path): (&Side, &PathBuf)| {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (bytes, file) = opened.map_err(|error| Failure::disk(path, &error))?;
        if bytes != side.bytes {
            let reason = format!("side input {} has {} bytes, and {bytes} are there", side.name, side.bytes);
            return Err(Failure::Disk { path: path.clone(), reason, full: false });
        }
        Ok(SideFile::new(&side.name, bytes, Arc::new(file), path.clone()))
    };
    sides.iter().zip(paths).map(open).collect()
}

/// Opens and hashes the side inputs of a job, given as names and files: in the order of their names.
///
/// # Errors
/// On the first that cannot be used.
pub(crate) fn plan_sides(asked: &[(String, PathBuf)]) -> Result<Vec<PlannedSide>, SideError> {
    if asked.len() > SIDES_MAX {
        return Err(SideError::Count { count: asked.len() });
    }
    let mut asked: Vec<_> = asked.iter().collect();
    asked.sort();
    for (name, path) in &asked {
        Side::check_name(name).map_err(|reason| SideError::Name { path: path.clone(), reason })?;
    }
    if let Some(twice) = asked.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let (first, second) = (twice[0].1.clone(), twice[1].1.clone());
        return Err(SideError::Twice { name: twice[0].0.clone(), first, second });
    }
    let opened: Vec<_> = asked.iter().map(|(name, path)| open(name, path)).collect::<Result<_, _>>()?;
    let bytes = opened.iter().fold(0, |sum: u64, (_, metadata)| sum.saturating_add(metadata.len()));
    if bytes > SIDES_BYTES_MAX {
        return Err(SideError::Total { bytes });
    }
    let named = asked.iter().zip(opened);
    named.map(|((name, path), (file, metadata))| plan(name, path, file, &metadata)).collect()
}

/// Opens without blocking, so that a pipe is refused and not waited for.
fn open(name: &str, path: &Path) -> Result<(File, Metadata), SideError> {
    let unusable = |reason: &str| unreadable(name, path, reason.to_owned());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map(File::from).map_err(io::Error::from);
    let opened = file.and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => unusable("does not exist"),
        _ => unusable(&format!("cannot be read: {error}")),
    })?;
    if !metadata.is_file() {
        return Err(unusable(not_a_file(metadata.file_type())));
    }
    if metadata.len() > SIDE_BYTES_MAX {
        let (name, path) = (name.to_owned(), path.to_owned());
        return Err(SideError::Large { name, path, bytes: metadata.len() });
    }
    Ok((file, metadata))
}

fn not_a_file(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "is a folder; a side input is one file"
    } else if kind.is_fifo() {
        "is a named pipe; a side input is a regular file"
    } else {
        "is no regular file"
    }
}

fn plan(name: &str, path: &Path, file: File, metadata: &Metadata) -> Result<PlannedSide, SideError> {
    let modified = metadata.modified();
    let modified = modified.map_err(|error| unreadable(name, path, format!("cannot be read: {error}")))?;
    let side = Side { name: name.to_owned(), bytes: metadata.len(), blake3: String::new() };
    let mut planned = PlannedSide { side, path: path.to_owned(), file: Arc::new(file), modified };
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; PIECE_BYTES];
    let mut at = 0;
    while at < planned.side.bytes {
        let left = usize::try_from(planned.side.bytes - at).unwrap_or(usize::MAX);
        let piece = buffer.get_mut(..left.min(PIECE_BYTES)).unwrap_or_default();
        planned.read_exact_at(piece, at)?;
        hasher.update(piece);
        at += piece.len() as u64;
    }
    planned.side.blake3 = hasher.finalize().to_hex().to_string();
    Ok(planned)
}

fn unreadable(name: &str, path: &Path, reason: String) -> SideError {
    SideError::Unreadable { name: name.to_owned(), path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(asked: &[(&str, &Path)]) -> String {
        let asked: Vec<_> = asked.iter().map(|(name, path)| (name.to_string(), path.to_path_buf())).collect();
        plan_sides(&asked).unwrap_err().to_string()
    }

    #[test]
    fn files_are_told_by_content_in_the_order_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        let long = "0123456789abcdef".repeat(PIECE_BYTES / 8) + "end";
        std::fs::write(&a, &long).unwrap();
        std::fs::write(&b, "").unwrap();
        let planned = plan_sides(&[("z".into(), a.clone()), ("empty".into(), b)]).unwrap();
        let hash = |text: &str| blake3::hash(text.as_bytes()).to_hex().to_string();
        let sides: Vec<Side> = planned.iter().map(|planned| planned.side().clone()).collect();
        assert_eq!(
            sides,
            [
                Side { name: "empty".into(), bytes: 0, blake3: hash("") },
                Side { name: "z".into(), bytes: long.len() as u64, blake3: hash(&long) },
            ]
        );
        assert_eq!(Side::check_all(&sides), Ok(()));
        let mut end = [0; 3];
        planned[1].read_exact_at(&mut end, long.len() as u64 - 3).unwrap();
        assert_eq!(&end, b"end");
        std::fs::write(&a, "shorter").unwrap();
        let changed = planned[1].read_exact_at(&mut end, 0).unwrap_err();
        assert!(changed.to_string().contains("changed while it was being read"), "{changed}");
    }

    #[test]
    fn what_cannot_be_a_side_input_is_refused_in_one_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let (file, missing) = (dir.path().join("file"), dir.path().join("missing"));
        std::fs::write(&file, "x").unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR).unwrap();
        let huge = dir.path().join("huge");
        File::create(&huge).unwrap().set_len(SIDE_BYTES_MAX + 1).unwrap();
        for (asked, end) in [
            (vec![("x", &*missing)], "missing does not exist"),
            (vec![("x", dir.path())], " is a folder; a side input is one file"),
            (vec![("x", &*pipe)], "pipe is a named pipe; a side input is a regular file"),
            (vec![("x", &*file), ("y", &*file), ("x", &*missing)], "choose another name for one"),
            (vec![("a/b", &*file)], "and a letter or digit first"),
            (vec![("x", &*huge)], "join it as an input instead"),
        ] {
            let sentence = refused(&asked);
            assert!(sentence.ends_with(end) && !sentence.contains('\n'), "{sentence}");
        }
    }
}
