//! What can be wrong with a file and with a record in it. Must not name files: whoever reads them knows
//! their names.

use std::io;

/// What is wrong with a file: its reading ends here. Reasons are clauses as in "the line is longer than 10
/// bytes".
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It cannot be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// It ends ahead of its length.
    #[error("it ends at byte {offset}, ahead of its length")]
    Shrunk {
        /// Where it ends, in bytes.
        offset: u64,
    },
    /// It holds what its format does not allow.
    #[error("at byte {offset}: {reason}")]
    Bad {
        /// Where, in bytes of the file as it lies.
        offset: u64,
        /// A clause that says what is wrong and what to do.
        reason: String,
    },
}

impl FormatError {
    /// Something that the format does not allow.
    pub fn bad(offset: u64, reason: impl Into<String>) -> Self {
        Self::Bad { offset, reason: reason.into() }
    }
}

/// A record that is not what its format or its fields say: a job may go on without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord<'a> {
    /// Where it begins, in bytes of the file as it lies.
    pub offset: u64,
    /// A clause that says what is wrong.
    pub reason: String,
    /// The front of the record, as it lies in the file or, where it is compressed, behind that.
    pub sample: &'a [u8],
}

impl BadRecord<'_> {
    /// What somebody answers who goes on without no record.
    ///
    /// # Errors
    /// Always: [`FormatError::Bad`].
    pub fn refuse(self) -> Result<(), FormatError> {
        Err(FormatError::Bad { offset: self.offset, reason: self.reason })
    }
}

/// Asked for every bad record: an error ends the reading, otherwise it goes on behind the record.
pub type OnBad<'a> = &'a mut dyn FnMut(BadRecord<'_>) -> Result<(), FormatError>;
