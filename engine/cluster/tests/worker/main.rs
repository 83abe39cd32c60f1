//! Real workers against a coordinator that does what the test says. The jobs have no components: what is
//! tested is what the worker does around an attempt.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests, and what they share")]

mod control;
mod faults;
mod shuffle;
mod support;
