//! Servers on loopback for tests: an S3-compatible store that checks signatures, and a web server of a few
//! lines; both with faults on demand. Each has its own port and its own folder, and ends with its value.
//!
//! The store is s3s (HTTP, signatures, XML) over s3s-fs (objects as files); [`backend`] adds what the
//! latter leaves out. In reading order: [`store`], [`backend`], [`fault`], [`web`]; below them `listen`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

pub mod backend;
pub mod fault;
mod listen;
pub mod store;
pub mod web;

pub use fault::Fault;
pub use store::{ACCESS_KEY, BUCKET, SECRET_KEY, Store};
pub use web::Web;
