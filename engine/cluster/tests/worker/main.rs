//! Real workers against a coordinator that does what the test says. The jobs have no components: what is
//! tested is what the worker does around an attempt.

mod control;
mod faults;
mod shuffle;
mod support;
