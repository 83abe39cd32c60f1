//! Pipelines: jobs that read each other's output. Stages that do not wait for each other run side by side;
//! loops are repeated until a counter says so; a stage that ran before with the same components, inputs and
//! parameters is taken over.
//!
//! Owns: the pipeline file, its checked graph, what happens next, what counts as the same, the ledger of what
//! was made, and runs at certain times or of new files. Must not know how a stage is run (that is a
//! [`StageRunner`]'s), nor which options a job has.
//!
//! ```
//! use mr_pipeline::{Graph, Loop, Pipeline, Stage};
//!
//! let step = Stage::new("step").plugin("step.wasm").input("loop:rank").input("stage:links");
//! let pipeline = Pipeline::new("pagerank")
//!     .stage(Stage::new("links").plugin("links.wasm").input("packages"))
//!     .repeat(Loop::new("rank", 30).start("stage:links").until("moved < 10".parse()?).stage(step))
//!     .stage(Stage::new("top").plugin("top.wasm").input("loop:rank").output("top"));
//! let graph = Graph::new(&pipeline)?;
//! assert_eq!(graph.stages().len(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In reading order: [`pipeline`] (what somebody wants), [`until`], [`mod@file`] (as TOML), `names` (parameters),
//! [`graph`] (checked), [`fault`] (what is wrong with it), [`draw`]; [`flow`] (what happens next; pure), [`call`]
//! (one run of a stage), [`key`] (what is the same), [`ledger`] (what was made), [`mod@run`] (all of it); [`beat`] (runs
//! at certain times) and [`watch`] (runs of new files).

pub mod beat;
pub mod call;
pub mod draw;
pub mod fault;
pub mod file;
pub mod flow;
pub mod graph;
pub mod key;
pub mod ledger;
mod names;
pub mod pipeline;
mod place;
pub mod run;
pub mod until;
pub mod watch;

pub use call::{Call, CallInput, Origin};
pub use fault::PipelineFault;
pub use flow::LoopEnd;
pub use graph::Graph;
pub use key::{FileFact, Ingredients};
pub use ledger::{LedgerError, Made, PartFact};
pub use pipeline::{Input, Loop, Pipeline, Source, Stage, StageOption};
pub use run::{Fate, Notice, RunError, RunOptions, Share, StageRunner, Summary, foresee, run};
pub use until::Until;
