//! What is wrong with a pipeline as it was written: one sentence, with the file and the line.

use std::fmt;
use std::path::{Path, PathBuf};

/// A pipeline that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineFault {
    /// The file, where it was read from one.
    pub file: Option<PathBuf>,
    /// The line, from 1; 0 where it is not known.
    pub line: usize,
    /// What is wrong and what to do.
    pub reason: String,
}

impl PipelineFault {
    pub(crate) fn at(file: Option<&Path>, line: usize, reason: impl Into<String>) -> Self {
        Self { file: file.map(Path::to_owned), line, reason: reason.into() }
    }
}

impl fmt::Display for PipelineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pipeline")?;
        if let Some(file) = &self.file {
            write!(f, " {}", file.display())?;
        }
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for PipelineFault {}
