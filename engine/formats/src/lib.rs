//! Bytes of one file to records and back: formats of text, rows and columns, and the compression around
//! them.
//!
//! Owns what is inside of files: where they may be cut, which rows they hold, how records are read from a
//! range and written. Sync and single-threaded. Must not open paths, list folders or use a network: bytes
//! come from a [`Source`], and whoever calls puts the name of the file to a [`FormatError`].
//!
//! In reading order: `source`, `error`, `open` (what a caller sees), `cell` and `digits` (one value of
//! a row), `compress`, `tape` (a window over bytes), `text`, `whole`, `kv`, `columnar`, `write`.

mod cell;
mod columnar;
mod compress;
mod digits;
mod error;
mod kv;
mod open;
mod source;
mod tape;
mod text;
#[cfg(test)]
mod tiling;
mod whole;
mod write;

pub use columnar::panics_are_caught;
pub use error::{BadRecord, FormatError, OnBad};
pub use kv::KvWriter;
pub use open::{Cuts, ReadOptions, RecordReader, cuts, describe, footprint, kv_types, open, reading_bytes};
pub use source::{FileSource, Source};
pub use tape::told_place;
pub use write::{EncodeError, Encoder};
