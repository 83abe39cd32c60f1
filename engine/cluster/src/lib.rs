//! A cluster: the coordinator that owns the jobs, the workers that run attempts, and the client.
//!
//! Owns: what they say to each other, the coordinator's journal and history, a worker's data folder,
//! fetching of components and of map output. Must not decide what runs when (that is the scheduler's),
//! nor know how an attempt works (that is the runtime's) or what was typed.
//!
//! In reading order: [`protocol`] (what is said), [`client`], [`coordinator`], [`worker`].

pub mod client;
pub mod coordinator;
pub mod protocol;
pub mod worker;
