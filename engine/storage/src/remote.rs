//! Inputs that are no files of this machine: what a store has to offer, and how their bytes become files for
//! an attempt. An attempt never talks to a store: whoever runs it copies what its split needs ahead of it,
//! into sparse files at the same offsets, so that readers know no difference. Knows no protocol and no
//! credentials.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use mr_formats::{FormatError, footprint};
use mr_model::{Failure, InputSpec, Place};

use crate::input::{InputError, InputFile};
use crate::inspect::OpenInput;
use crate::split::{Piece, Split};

/// Stores that inputs come from.
pub trait RemoteInputs: OpenInput + fmt::Debug {
    /// Whether a pattern names something there, and not a file.
    fn is_remote(&self, pattern: &str) -> bool;

    /// The objects that a pattern names, in the order of their names, each with its tag.
    ///
    /// # Errors
    /// There are none, or the store refuses.
    fn list(&self, pattern: &str) -> Result<Vec<InputFile>, InputError>;

    /// Copies ranges of an object to the same offsets of the file `to`, which it makes.
    ///
    /// # Errors
    /// The object is gone, changed or cannot be read, or the disk does not take it; [`Failure::Cancelled`] once
    /// `stop` says so.
    fn copy(
        &self,
        object: &InputFile,
        ranges: &[Range<u64>],
        to: &Path,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), Failure>;
}

/// Copies of an attempt's input; the files go when this is dropped.
#[derive(Debug, Default)]
pub struct Copies(Vec<PathBuf>);

impl Drop for Copies {
    fn drop(&mut self) {
        for path in &self.0 {
            // What cannot be removed goes with the folder that it is in.
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether any of a split lies in a store.
pub fn is_remote(split: &Split) -> bool {
    split.pieces.iter().any(|piece| piece.tag.is_some())
}

/// Copies what the reader of `split` needs of remote objects into files of `dir` whose names begin with
/// `name`, and has the split read those.
///
/// # Errors
/// As [`RemoteInputs::copy`]; and an object that is not of its format.
pub fn copy_in(
    split: &mut Split,
    input: &InputSpec,
    record_bytes_max: u64,
    (dir, name): (&Path, &str),
    remote: &dyn RemoteInputs,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Copies, Failure> {
    let mut copies = Copies::default();
    for (number, piece) in split.pieces.iter_mut().enumerate().filter(|(_, piece)| piece.tag.is_some()) {
        let object = object_of(piece);
        let lost = |reason: String| Failure::InputLost { path: piece.path.clone(), reason };
        let source = remote.open(&object).map_err(|error| lost(error.to_string()))?;
        let range = piece.start..piece.end;
        let ranges = footprint(&*source, input.format, piece.compression, range, record_bytes_max);
        let ranges = ranges.map_err(|error| match error {
            FormatError::Bad { offset, reason } => {
                Failure::InputRecord { place: Place { path: piece.path.clone(), offset }, reason }
            }
            error => lost(error.to_string()),
        })?;
        let path = dir.join(format!("{name}.input-{number}"));
        copies.0.push(path.clone());
        remote.copy(&object, &ranges, &path, stop)?;
        piece.copy = Some(path);
    }
    Ok(copies)
}

fn object_of(piece: &Piece) -> InputFile {
    InputFile {
        path: piece.path.clone(),
        bytes: piece.file_bytes,
        modified_ns: piece.modified_ns,
        tag: piece.tag.clone(),
    }
}
