//! Where records come from and where they go: inputs become splits become batches, and records
//! become committed output parts.
//!
//! Owns: listing of input files, cutting them into splits, reading splits into batches, rendering
//! output records, part files, and the folder that they are published in. Everything is synchronous
//! and on local file systems; a [`Split`] and a [`Part`] are plain data, so that where the bytes lie
//! can change without its users. Must not know of plugins, threads, schedulers or the network, and
//! must not write anywhere but in the staging folder of an output.
//!
//! In reading order: [`input`], [`remote`], [`split`], [`reader`], [`names`], [`part`], [`parts`],
//! [`rejects`], [`folder`], [`output`], [`remote_output`], [`store_output`], [`stdout`], [`manifest`]; below them `inspect`, `plain`, `formatted`,
//! `walk`, `file`, `origin`, `replace`, `staging` and [`step`].

mod file;
pub mod folder;
mod formatted;
pub mod input;
mod inspect;
pub mod manifest;
pub mod names;
mod origin;
pub mod output;
pub mod part;
pub mod parts;
mod plain;
pub mod reader;
pub mod rejects;
pub mod remote;
pub mod remote_output;
mod replace;
pub mod split;
mod staging;
pub mod stdout;
pub mod step;
pub mod store_output;
mod walk;

pub use folder::{AttemptFolder, ToldPart, attempt_bytes};
pub use input::{InputError, InputFile, list_inputs};
pub use inspect::{LocalInputs, OpenInput, describe_input};
pub use manifest::{Manifest, ManifestInput, ManifestPlugin};
pub use mr_formats::{Encoder, Source, reading_bytes};
pub use names::PartNames;
pub use output::{Durability, OutputDir, OutputError, Resumed};
pub use part::{Part, PartWriter};
pub use parts::{PartsWriter, PendingParts, ReadyParts};
pub use reader::{BadInput, ReaderOptions, SplitReader};
pub use rejects::{Reject, write_rejects};
pub use remote::{Copies, RemoteInputs, copy_in};
pub use remote_output::{RemoteOutput, RemoteOutputs, RemotePlace, RemoteResumed, Upload};
pub use split::{Piece, Split, SplitError, SplitPlan, plan_splits};
pub use stdout::{Delivery, StdoutParts};
pub use store_output::{StoreOutput, StoreResumed};
