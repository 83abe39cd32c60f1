//! The scheduler of mr-engine: a pure state machine, events and time in, actions out.
//!
//! Owns: which task runs where and when, leases on slots, retries, commits, fencing, backup
//! attempts, fair sharing, the end of a job. Two drivers use the very same machine: the local
//! runner with threads, the coordinator with QUIC. Must not do I/O, read a clock, draw random
//! numbers, block, or know how a task is run; and must give the same actions for the same events,
//! so no hash map is ever iterated.
//!
//! A driver calls [`Scheduler::handle`] for each event and carries out the [`Action`]s that it
//! returns. A driver with leases, backups or a limit on waiting for workers also calls
//! [`Scheduler::due`] now and then: what time alone decides comes out of it as events, which the
//! driver hands to `handle` at once. So a journal of the events for which [`Event::is_durable`]
//! holds, with their times, restores the whole machine, and so does a snapshot (the [`Scheduler`]
//! serialised) with the events after it; after a restart [`Event::Resumed`] gives the workers a fresh
//! term. Of the actions that a replay gives again, only [`Action::JobFinished`] needs another look:
//! the driver may have died before it carried that out. All others come up again by themselves.
//!
//! In reading order: [`time`], [`event`], [`action`], [`config`]; `task` (the tasks of a stage),
//! `locality` (where their input is), `job` (one job), `conduct` (failures of a worker's own), `free`
//! (free slots), `worker` (leases and slots), `queue` (whose turn it is), `speculation`;
//! [`scheduler`], with the words of attempts in `word` and placement in `placement`; [`status`].

pub mod action;
mod conduct;
pub mod config;
pub mod event;
mod free;
mod job;
mod locality;
mod placement;
mod queue;
pub mod scheduler;
mod speculation;
pub mod status;
mod task;
pub mod time;
mod word;
mod worker;

pub use action::{Action, JobTotals, Outcome, Refusal};
pub use config::{Config, QueueConfig};
pub use event::{AttemptReport, Event, JobPlan, Lease, LossCause, Progress};
pub use scheduler::Scheduler;
pub use status::{JobStatus, MapOutput, QueueStatus, StageStatus, WorkerStatus};
pub use time::Time;
