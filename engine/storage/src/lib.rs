//! Where records come from and where they go: inputs become splits become batches, and records
//! become committed output parts.
//!
//! Owns: listing of input files, cutting them into splits, reading splits into batches, rendering
//! output records, part files, and the folder that they are published in. Everything is synchronous
//! and on local file systems; a [`Split`] and a [`Part`] are plain data, so that where the bytes lie
//! can change without its users. Must not know of plugins, threads, schedulers or the network, and
//! must not write anywhere but in the staging folder of an output.
//!
//! In reading order: [`input`], [`split`], [`reader`], [`encode`], [`names`], [`part`], [`parts`], [`rejects`], [`folder`], [`output`],
//! [`stdout`], [`manifest`]; below them `walk`, `file`, `origin`, `replace`, `staging` and [`step`].

pub mod encode;
mod file;
pub mod folder;
pub mod input;
pub mod manifest;
pub mod names;
mod origin;
pub mod output;
pub mod part;
pub mod parts;
pub mod reader;
pub mod rejects;
mod replace;
pub mod split;
mod staging;
pub mod stdout;
pub mod step;
mod walk;

pub use encode::RecordEncoder;
pub use folder::{AttemptFolder, ToldPart, attempt_bytes};
pub use input::{InputError, InputFile, list_inputs};
pub use manifest::{Manifest, ManifestInput, ManifestPlugin};
pub use names::PartNames;
pub use output::{Durability, OutputDir, OutputError, Resumed};
pub use part::{Part, PartWriter};
pub use parts::{PartsWriter, PendingParts, ReadyParts};
pub use reader::{ReaderOptions, SplitReader};
pub use rejects::{Reject, write_rejects};
pub use split::{Piece, Split, SplitError, plan_splits};
pub use stdout::{Delivery, StdoutParts};
