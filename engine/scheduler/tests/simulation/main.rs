//! Simulated clusters: one seed is one history of a coordinator, workers and a bad network, in
//! virtual time, with crashes of workers and coordinator, cut links, zombies, full disks, corrupt
//! outputs, lost, doubled and reordered messages. The jobs count words, and what they publish is
//! compared with the naive count. The observer checks every step against a naive reference.
//!
//! `MR_SIM_SEEDS=n` runs n seeds, from `MR_SIM_FIRST=n` on. A failing seed is printed;
//! `MR_SIM_SEED=n` runs it alone and prints what happens.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this crate is a test: whatever goes wrong must fail it"
)]

mod cluster;
mod data;
mod machine;
mod observer;
mod prefix;
mod rng;
mod store;
mod tally;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use cluster::Cluster;
use tally::Tally;

/// Seeds of a plain test run: some seconds.
const SEEDS: u64 = 1_000;
/// Seeds that once failed, each for a reason of its own. They always run.
const ONCE_FAILED: [u64; 2] = [5_129, 96_064];

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect(name))
}

fn run(seed: u64, tally: &mut Tally) {
    match catch_unwind(AssertUnwindSafe(|| Cluster::new(seed, false).run())) {
        Ok(seen) => tally.add(&seen),
        Err(panic) => {
            eprintln!("failing seed: see what happens with MR_SIM_SEED={seed}");
            resume_unwind(panic);
        }
    }
}

#[test]
fn clusters_keep_their_promises() {
    if let Some(seed) = setting("MR_SIM_SEED") {
        return drop(Cluster::new(seed, true).run());
    }
    let first = setting("MR_SIM_FIRST").unwrap_or(0);
    let count = setting("MR_SIM_SEEDS").unwrap_or(SEEDS);
    let mut tally = Tally::default();
    for seed in ONCE_FAILED.into_iter().chain(first..first + count) {
        run(seed, &mut tally);
    }
    eprintln!("{count} histories: {tally:?}");
    if count >= SEEDS {
        tally.assert_everything_was_seen();
    }
}
