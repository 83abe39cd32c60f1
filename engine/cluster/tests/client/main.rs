//! The client against a coordinator that the test plays itself, over real connections.

mod asking;
mod coordinator;
mod job;
mod submitting;
