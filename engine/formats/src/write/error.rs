//! Why a record cannot be written in the output's format.

use mr_model::BadCell;

/// A record that the output's format cannot hold. Each reads as a clause that follows "the record cannot be
/// written: ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A key or value that is not of its declared type.
    #[error(transparent)]
    Cell(#[from] BadCell),
    /// Text that is not UTF-8, in a format that is UTF-8 throughout.
    #[error(
        "the text of its column {column:?} is not UTF-8, which {format} needs: make it bytes, or use --output-format \
         text"
    )]
    NotUtf8 {
        /// Name of the column.
        column: String,
        /// Name of the format.
        format: &'static str,
    },
    /// A value that has to be quoted, where the output has no quotes.
    #[error(
        "its column {column:?} holds a delimiter or the end of a line, and the output has no quotes: leave out \
         quote=none, or take another delimiter"
    )]
    Unquoted {
        /// Name of the column.
        column: String,
    },
    /// What the writer of a format says.
    #[error("the {format} file cannot be written: {reason}")]
    Writer {
        /// Name of the format.
        format: &'static str,
        /// What the writer says.
        reason: String,
    },
}
