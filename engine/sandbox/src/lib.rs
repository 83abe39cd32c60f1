//! Plugins in their sandbox: checks, compiles and caches components, and runs one role of one task
//! attempt with a source of batches on one side and a sink on the other.
//!
//! A plugin sees the records it is given, its parameters and the side inputs of its job, and nothing else of the machine. By
//! default everything is denied: no files, no network, no environment, no arguments, no input
//! stream; clocks and random numbers come from the task's seed. Time, linear memory, tables, stack,
//! handles, batches, counters and log lines are bounded. A plugin can fail its attempt, never the
//! process.
//!
//! All calls are synchronous and run on the caller's thread, which needs 2 MiB of stack and must
//! not be a thread that drives an async runtime. Must not know of inputs, partitions on disk,
//! scheduling or the network.
//!
//! In reading order: `engine` (the [`Sandbox`]), `load`, `compile`, `cache` and `inspect` (from a file to
//! a [`Plugin`]), `revive` (from its code to one, in another process), [`mod@survey`] (all that is wrong
//! with a file), `plugin`, `roles` (what a task calls), `role` (life of one instance), `host` and `abi`
//! (what a plugin calls), `side` (the files of the job), `grants` (the list of it), `wasi`, `log`, `limits`, `ticker`, and
//! `fault` (from an error to a [`Failure`](mr_model::Failure)).

mod abi;
mod cache;
mod compile;
mod engine;
mod fault;
mod grants;
mod host;
mod inspect;
mod limits;
mod load;
mod log;
mod plugin;
mod revive;
mod role;
mod roles;
mod side;
mod state;
pub mod survey;
mod ticker;
mod wasi;

pub use compile::{CompileApart, CompileError, Compiler};
pub use engine::{Prepared, Sandbox, SandboxError, SandboxOptions};
pub use grants::{GRANTS, Grant, granted};
pub use limits::{CancelToken, Deadline, GuestMemory, GuestOutput};
pub use load::{Code, LoadError, LoadProgress, read as read_component};
pub use log::{LogForward, LogGate, LogLevel};
pub use plugin::{Compile, Plugin};
pub use revive::{LoadedCode, PluginFacts};
pub use role::{InstanceOptions, RoleError, RoleReport};
pub use roles::{Combiner, Mapper, Partitioner, Reducer};
pub use side::{SideFile, Sides};
pub use state::{MoreValues, Sink};
