//! Stores as the engine meets them: a real S3-compatible store and web servers on loopback, with faults on
//! demand. In reading order: [`listing`], [`fetching`], [`uploading`], [`output`], [`trouble`].

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fetching;
mod listing;
mod output;
mod trouble;
mod uploading;

use std::sync::Arc;
use std::time::Duration;

use mr_s3::Store;
use mr_stores::{Options, Patience, Settings, Stores};

/// Nobody gives up.
fn never() -> bool {
    false
}

/// The door to `store`.
fn stores(store: &Store) -> Arc<Stores> {
    stores_with(store, &[], enough())
}

/// The same with other variables and another patience.
fn stores_with(store: &Store, variables: &[(&'static str, &str)], patience: Patience) -> Arc<Stores> {
    let mut all = store.environment();
    all.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let settings = Settings::read(&|name| all.get(name).cloned()).unwrap();
    Arc::new(Stores::new(Options { settings: Some(settings), patience }))
}

/// Patience with a server that does what it is asked, on a busy machine.
fn enough() -> Patience {
    Patience { deadline: Duration::from_secs(20), silence: Duration::from_secs(20) }
}

/// Patience with servers that are known to be hopeless.
fn little() -> Patience {
    Patience { deadline: Duration::from_millis(700), silence: Duration::from_millis(500) }
}

/// Bytes that tell their place.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect()
}
