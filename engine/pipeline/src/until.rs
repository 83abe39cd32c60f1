//! When a loop ends: a counter compared with a number.

/// `COUNTER OP NUMBER`, over the counters of one round.
pub use mr_model::Condition as Until;
