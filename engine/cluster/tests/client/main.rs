//! The client against a coordinator that the test plays itself, over real connections.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests, and what they share")]

mod asking;
mod coordinator;
mod job;
mod submitting;
