//! The engine as its users meet it: real processes, real plugins, real files. Results are compared byte
//! for byte with naive references that hold everything in memory; failures with their exit code and
//! their words. Needs the engine and the plugins to be built, which `make test` does.
//!
//! In reading order: [`support`] (how a job is run and judged), then results: [`jobs`] (the exemplary
//! plugins that came first), [`plugins`] (those of the classic literature), [`records`] (shuffles of every
//! shape), [`roles`], [`sorting`], [`order`] (within groups), [`hot`] (keys), [`input`], [`sides`], [`output`], [`outputs`],
//! [`formats`] (of both);
//! then trouble: [`refusals`] (before anything runs), [`check`] (all of it), [`policy`], [`faults`] (of plugins), [`traps`] (that are left out),
//! [`conditions`] (on counters),
//! [`hostile`] (ones), [`disk`], [`interrupt`], [`memory`]; clusters of processes, and all that befalls them:
//! [`cluster`]; [`stores`] in place of folders; plugins in many languages: [`languages`]; jobs that read each other's output: [`pipelines`]; then
//! the rest: [`cache`], [`commands`].

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cache;
mod check;
mod cluster;
mod commands;
mod conditions;
mod disk;
mod faults;
mod formats;
mod hostile;
mod hot;
mod input;
mod interrupt;
mod jobs;
mod languages;
mod memory;
mod order;
mod output;
mod outputs;
mod pipelines;
mod plugins;
mod policy;
mod records;
mod refusals;
mod roles;
mod sides;
mod sorting;
mod stores;
mod support;
mod traps;
