//! Readers of text against naive references: for all ways to cut a file into ranges, what is read is what the
//! file has; what is wrong with a file is said in one sentence with its place.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad;
mod compressed;
mod delimited;
mod json_lines;
mod lines;
mod read;
