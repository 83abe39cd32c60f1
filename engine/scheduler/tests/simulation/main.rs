//! Simulated clusters: one seed is one history of a coordinator, workers and a bad network, in
//! virtual time, with crashes, restarts, cut links, zombies, lost, doubled and reordered messages.
//! The observer checks every step against a naive reference; a failing seed is printed and
//! reproduces the history. `MR_SIM_SEEDS=n` runs n seeds, `MR_SIM_FIRST=n` starts at another one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this crate is a test: whatever goes wrong must fail it"
)]

mod cluster;
mod machine;
mod observer;
mod rng;
mod tally;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use cluster::Cluster;
use tally::Tally;

/// Seeds of a plain test run: some seconds.
const SEEDS: u64 = 2_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect(name))
}

#[test]
fn clusters_keep_their_promises() {
    let (first, count) = (setting("MR_SIM_FIRST", 0), setting("MR_SIM_SEEDS", SEEDS));
    let mut tally = Tally::default();
    for seed in first..first + count {
        match catch_unwind(AssertUnwindSafe(|| Cluster::new(seed).run())) {
            Ok(seen) => tally.add(&seen),
            Err(panic) => {
                eprintln!("failing seed: MR_SIM_FIRST={seed} MR_SIM_SEEDS=1");
                resume_unwind(panic);
            }
        }
    }
    eprintln!("{count} histories: {tally:?}");
    if count >= SEEDS {
        tally.assert_everything_was_seen();
    }
}
