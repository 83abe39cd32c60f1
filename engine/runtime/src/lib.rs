//! Runs jobs: one task attempt from split to runs and from runs to a part, and the local runner that
//! drives the scheduler with threads.
//!
//! Owns: turning a request into a checked [`Plan`], the memory plan, the two kinds of attempt, and
//! the local driver. Must not know of the command line, and must not decide what runs when or what is
//! tried again: that is the scheduler's.
//!
//! In reading order: [`request`] (what somebody wants), [`memory`] (what fits), [`side`] (side inputs), [`fit`] (whether the
//! stages fit together), [`plan`] (what would run), [`describe`] and [`record`] (a plan as plain data, for
//! attempts and for reports), [`progress`], [`facts`] and [`report`] (what is told), [`job`] (what attempts
//! share), `quota`, `emission`, `placed`, `sink`, `outputs`, `part_sink` and `hook`
//! (between sandbox and shuffle or files), [`attempt`] (one
//! attempt), `map` and `reduce` (its two kinds), `isolate` (the record that a mapper failed on), `skip` and `group_skip` (records and groups that trap), `sample`
//! (boundaries of range partitioning), [`workdir`] and [`tally`] (what a driver keeps), [`local`] (the driver
//! of this process).

pub mod attempt;
pub mod describe;
mod emission;
pub mod facts;
pub mod fit;
mod group_skip;
mod hook;
mod isolate;
pub mod job;
pub mod local;
mod map;
pub mod memory;
mod outputs;
mod part_sink;
mod placed;
pub mod plan;
pub mod progress;
mod quota;
pub mod record;
mod reduce;
pub mod report;
pub mod request;
mod sample;
pub mod side;
mod sink;
mod skip;
pub mod tally;
pub mod workdir;

pub use attempt::{AttemptDone, Product, run_attempt};
pub use describe::{JobDescription, SpreadDescription, TaskInput};
pub use facts::{Facts, LargeKey, MapFacts, ReduceFacts, StageFacts};
pub use isolate::ISOLATION_TIME_MAX;
pub use job::{AttemptResources, Job};
pub use local::{JobError, run_local};
pub use memory::{FormatMemory, MemoryError, MemoryPlan};
pub use plan::{Plan, PlanError, misfits};
pub use progress::{Phase, Progress};
pub use record::PlanRecord;
pub use report::{HotKey, JobReport, Spilled, Times};
pub use request::{InputRequest, JobRequest, OutputTarget, Stages, WriteOptions};
pub use side::{PlannedSide, SideError, open_sides};
pub use tally::Tally;
pub use workdir::WorkDir;
