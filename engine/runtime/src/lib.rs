//! Runs jobs: one task attempt from split to runs and from runs to a part, and the local runner that
//! drives the scheduler with threads.
//!
//! Owns: turning a request into a checked [`Plan`], the memory plan, the two kinds of attempt, and
//! the local driver. Must not know of the command line, and must not decide what runs when or what is
//! tried again: that is the scheduler's.
//!
//! In reading order: [`request`] (what somebody wants), [`memory`] (what fits), [`fit`] (whether the
//! stages fit together), [`plan`] (what would run), [`progress`] and [`report`] (what is told),
//! `job` (what attempts share), `sink` and `hook` (between sandbox and shuffle), `map` and
//! `reduce` (the attempts), `sample` (boundaries of range partitioning), `workdir` and `tally`
//! (what the driver keeps), [`local`] (the driver).

pub mod fit;
mod hook;
mod job;
pub mod local;
mod map;
pub mod memory;
pub mod plan;
pub mod progress;
mod reduce;
pub mod report;
pub mod request;
mod sample;
mod sink;
mod tally;
mod workdir;

pub use local::{JobError, run_local};
pub use memory::{MemoryError, MemoryPlan};
pub use plan::{Plan, PlanError};
pub use progress::{Phase, Progress};
pub use report::JobReport;
pub use request::{JobRequest, OutputTarget, Stages};
