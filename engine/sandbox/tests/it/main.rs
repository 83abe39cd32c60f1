//! The sandbox against a guest that does what it must not: one exact failure for each attack, and
//! the roles, limits and cache as a task uses them. Nothing here depends on how fast it runs.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod hostile;
mod limits;
mod load;
mod roles;
mod support;
mod survey;
