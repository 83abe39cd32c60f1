//! Write MapReduce plugins for mr-engine in Rust: typed records in, typed records out.
//!
//! A plugin implements [`Mapper`], [`Combiner`], [`Reducer`] or [`Partitioner`], and names what it
//! has with [`export!`]. It is compiled to a WebAssembly component and runs in the engine's
//! sandbox; compiled natively it runs in ordinary tests, see [`testing`]. The README beside this
//! crate goes from nothing to a running job.
//!
//! This crate stands alone: it knows the plugin interface (`wit/engine.wit`), the encodings
//! (`wit/ENCODING.md`) and nothing else of the engine.
//!
//! In reading order: what an author implements ([`Mapper`] and its kin), what is read ([`Lines`],
//! [`Values`]), where it is emitted ([`Emitter`], [`Combining`], [`Port`]), of which types ([`DataType`],
//! [`Encode`]), and what else there is to say ([`Task`], [`reject`], [`count`], [`log`]).

#[cfg(target_family = "wasm")]
mod bindings;
mod combining;
mod current;
mod datatype;
mod describe;
mod driver;
mod emitter;
mod encode;
mod error;
mod export;
mod fold;
mod host;
mod input;
mod param;
mod port;
mod role;
mod short;
mod side_input;
mod task;
mod text;
mod values;
mod wire;
mod words;

#[cfg(not(target_family = "wasm"))]
pub mod native;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod sandbox;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use combining::{Combined, Combining};
pub use datatype::{Bytes, DataType, Desc, Fixed, Malformed, Owned, Text};
pub use describe::Description;
pub use emitter::{Emitter, Output};
pub use encode::Encode;
pub use error::{Error, Result};
pub use fold::{Fold, Folding, Max, Min, Sum};
pub use host::Level;
pub use input::{Chunk, Chunks, FileLine, FileLines, Input, Line, Lines, Records};
pub use param::Param;
pub use port::{AnyPort, Port, PortEmitter};
pub use role::{Combiner, Mapper, Partitioner, Reducer};
pub use side_input::SideInput;
pub use task::{Counter, Task, count, log, reject};
pub use text::Str;
pub use values::Values;
pub use wire::{Batch, Cells, Column, ErrorKind, GroupedBatch};
pub use words::{Word, Words, words};

/// All that a plugin usually needs.
pub mod prelude {
    pub use crate::{
        AnyPort, Bytes, Chunk, Chunks, Combined, Combiner, Combining, Counter, DataType, Desc, Emitter,
        Encode, Error, FileLine, FileLines, Fold, Folding, Level, Line, Lines, Mapper, Max, Min, Param,
        Partitioner, Port, PortEmitter, Records, Reducer, Result, Str, Sum, Task, Text, Values, Word, count,
        log, reject,
    };
}
