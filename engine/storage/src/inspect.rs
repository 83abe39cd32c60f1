//! Looks into input files when a job is planned: what their rows are, where they may be cut. Reads headers,
//! footers and what lies between blocks, never all of a file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mr_formats::{Cuts, FileSource, FormatError, Source};
use mr_model::{Compression, Fields, InputFormat, InputSpec};

use crate::file;
use crate::input::InputFile;
use crate::split::SplitError;

/// Opens listed files to look into them, wherever they lie.
pub trait OpenInput: Send + Sync {
    /// The bytes of a file.
    ///
    /// # Errors
    /// What the file system or the store says.
    fn open(&self, file: &InputFile) -> io::Result<Arc<dyn Source>>;
}

/// Files of this machine.
#[derive(Debug, Clone, Copy)]
pub struct LocalInputs;

impl OpenInput for LocalInputs {
    fn open(&self, file: &InputFile) -> io::Result<Arc<dyn Source>> {
        let (file, _) = file::open(&file.path)?;
        Ok(Arc::new(FileSource::new(file)?))
    }
}

/// Completes what is known of an input: the fields of its rows and the types of its records, from its first
/// file that holds anything. `asked` are the fields of the value, `key` those of the key.
///
/// # Errors
/// Fields are asked of a format that has none, or the file is not of its format or lacks a field.
pub fn describe_input(
    spec: &mut InputSpec,
    asked: Option<&Fields>,
    key: Option<&Fields>,
    files: &[InputFile],
    opener: &dyn OpenInput,
) -> Result<(), SplitError> {
    if !spec.format.has_fields() && (asked.is_some() || key.is_some()) {
        return Err(SplitError::NoFields { format: spec.format });
    }
    let looks = spec.format.has_fields() || spec.format == InputFormat::Kv;
    if let Some(file) = files.iter().find(|file| file.bytes > 0).filter(|_| looks) {
        let source = opener.open(file).map_err(|error| wrong(&file.path, FormatError::Read(error)))?;
        let wrong = |error| wrong(&file.path, error);
        if spec.format == InputFormat::Kv {
            spec.types = mr_formats::kv_types(&*source).map_err(wrong)?;
            return Ok(());
        }
        let compression = compression(spec, file);
        spec.row = mr_formats::describe(&*source, spec.format, compression, asked, key).map_err(wrong)?;
    }
    spec.types = spec.types_of_format();
    Ok(())
}

/// Where a file may be cut.
pub(crate) fn cuts_of(
    spec: &InputSpec,
    file: &InputFile,
    split_bytes: u64,
    opener: &dyn OpenInput,
) -> Result<Cuts, SplitError> {
    let compression = compression(spec, file);
    let plain = matches!(spec.format, InputFormat::Lines | InputFormat::LineKeys | InputFormat::Fixed { .. });
    if plain && compression == Compression::None {
        return Ok(Cuts::Anywhere);
    }
    if file.bytes == 0 {
        return Ok(Cuts::Nowhere("it is empty"));
    }
    // Each task would have to copy all of it.
    if file.tag.is_some() && compression != Compression::None {
        return Ok(Cuts::Nowhere("a compressed object of a store is read as a whole"));
    }
    let source = opener.open(file).map_err(|error| wrong(&file.path, FormatError::Read(error)))?;
    mr_formats::cuts(&*source, spec.format, compression, split_bytes)
        .map_err(|error| wrong(&file.path, error))
}

/// How a file is compressed.
pub(crate) fn compression(spec: &InputSpec, file: &InputFile) -> Compression {
    spec.compression_of(&file.path.to_string_lossy())
}

fn wrong(path: &Path, error: FormatError) -> SplitError {
    let path: PathBuf = path.to_owned();
    match error {
        FormatError::Read(error) => SplitError::Unreadable { path, reason: error.to_string() },
        FormatError::Shrunk { offset } => {
            SplitError::Unreadable { path, reason: format!("it ends at byte {offset}, ahead of its length") }
        }
        FormatError::Bad { offset, reason } => SplitError::Format { path, offset, reason },
    }
}
