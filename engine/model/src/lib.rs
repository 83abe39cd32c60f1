//! The nouns of mr-engine, shared by every other crate of the engine.
//!
//! Owns: ids, the job description, limits, the closed failure enum, counters, the layout of packed
//! columns, and the types and codecs of `wit/ENCODING.md`. Must not do I/O, read a clock, or know
//! of wasmtime, threads or the network.
//!
//! In reading order: [`id`], [`limit`], [`mod@column`], [`datatype`], [`mod@format`], [`contract`],
//! [`job`], [`output`], [`side`], [`failure`], [`counter`], [`condition`]; below them [`quantity`], [`mod@text`],
//! [`address`] and [`path_serde`].

pub mod address;
pub mod column;
pub mod condition;
pub mod contract;
pub mod counter;
pub mod datatype;
pub mod failure;
pub mod format;
pub mod id;
pub mod job;
pub mod limit;
pub mod output;
pub mod path_serde;
pub mod quantity;
pub mod side;
pub mod text;

pub use address::is_address;
pub use column::{BadColumn, Batch, BatchBuf, Column, ColumnBuf, GroupedBatchBuf};
pub use condition::Condition;
pub use contract::{Contract, ContractError, Param, PluginInfo, parse_group_prefix};
pub use counter::Counters;
pub use datatype::{BadCell, DataType};
pub use failure::{Failure, LastWords, Place, PluginFault, Retry};
pub use format::{Compression, Delimited, FIELDS_MAX, Field, Fields, InputFormat, OutputFormat, Row};
pub use id::{AttemptId, Incarnation, JobId, Role, Stage, TaskId, WorkerId};
pub use job::{InputKey, InputSpec, JobSpec, Partitioning, Permissions, StageTypes, TaskContext};
pub use output::{OutputSpec, Port};
pub use side::Side;
