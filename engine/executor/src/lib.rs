//! The second wall: processes with as few rights as the platform allows that run what strangers wrote.
//! A plugin that breaks out of its sandbox finds itself in a process that holds no keys, has no network,
//! sees the files of its own attempt only, and whose word is not believed.
//!
//! One process does one thing (an attempt, compiling a component, trying one out) and ends. It is this
//! very program, started again, and talks to its parent over one socket: an order comes in, with compiled
//! code in sealed files; words go out, the last of which is how it ended.
//!
//! Owns: both sides of these processes. Must not know of networks, clusters, or what runs when; must not
//! believe a child, nor let it outlive its parent.
//!
//! In reading order: [`message`] and `frame` (what both sides say, and how); the parent's side: `process`
//! (one child), `hear` (its words, with deadlines), [`code`] (files of code), [`executors`] (how children are
//! had), [`attempt`] and `claims` (an attempt, and what is believed of its end), [`compile`]; the child's side:
//! [`child`] with all that takes rights away; [`allocator`] (the end of a process without memory).

pub mod allocator;
pub mod attempt;
pub mod child;
mod claims;
pub mod code;
pub mod compile;
pub mod executors;
mod frame;
mod hear;
pub mod message;
mod process;
#[cfg(test)]
mod tests;
#[doc(hidden)]
pub mod trial;

pub use allocator::Allocator;
pub use attempt::{AttemptOrder, Done, Made, Stop};
pub use code::Code;
pub use compile::{Apart, CompileLimits};
pub use executors::{Executors, ExecutorsError, Platform};
pub use process::Program;
