//! The network against itself and against hostile peers, on loopback. Nothing here sleeps to wait: every
//! test waits for what it is about, and [`support::soon`] bounds the wait.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests, and what they share")]

mod bounds;
mod channels;
mod connections;
mod frames;
mod identities;
mod links;
mod requests;
mod segments;
mod shutdown;
mod support;
