//! Inputs and outputs in every format, end to end: what the engine reads and writes against files that were
//! written without it, and what it says of files that are not what they should be.
//!
//! In reading order: [`table`] (rows, and files of them), [`readers`] (every format of input), [`compressed`],
//! [`several`] (inputs of one job), [`writers`] (every format of output), [`choice`] (which files are read, and how
//! they are packed), [`changed`] (files that do not stay as they are), [`bad`] (files), [`bombs`] (files that would
//! fill the memory), [`rejects`] (rows that are left out), [`page`] (what users are told).

mod bad;
mod bombs;
mod changed;
mod choice;
mod compressed;
mod page;
mod readers;
mod rejects;
mod several;
mod table;
mod writers;

use crate::support::Job;

/// A job that copies what it reads, without a plugin.
fn copy(args: &str) -> Job {
    Job::staged().args("--reducers 0 --workers 2 --memory 128M").args(args)
}

/// Bytes of each of about so many splits.
fn split_of(bytes: &[u8], splits: usize) -> String {
    format!("--split-size {}", (bytes.len() / splits).max(1))
}
