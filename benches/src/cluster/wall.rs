//! What the wall around plugins costs: the same jobs on a cluster whose attempts are processes with few rights,
//! and on one whose attempts are threads of the worker, in turn.

use std::path::Path;

use anyhow::Result;

use super::jobs::Up;
use crate::contest::{Contestant, contest};
use crate::digest::Form;
use crate::report::{Section, Spread, Target};
use crate::setup::Setup;

/// Most times of threads that processes may take.
const THREADS_MOST: f64 = 1.03;
/// Most milliseconds that an attempt with next to no work may take longer.
const ATTEMPT_MILLIS_MOST: f64 = 5.0;
/// Bytes and splits of the job whose attempts have next to no work.
const SMALL_BYTES: u64 = 1 << 20;
const SMALL_SPLIT: &str = "4K";
/// Its attempts: the splits, and a reduce task.
const SMALL_ATTEMPTS: f64 = 257.0;
/// Slots of the cluster, over which they are spread.
const SLOTS: f64 = 2.0;

/// Word count, sort, and many attempts with next to no work.
pub fn run(setup: &Setup) -> Result<Section> {
    let walled = Up::start(setup, "up-process", &["--isolation", "process"])?;
    let open = Up::start(setup, "up-none", &["--isolation", "none"])?;
    let sizes = &setup.sizes;
    let (text, records) = (setup.data.text(sizes.count_bytes)?, setup.data.records(sizes.sort_bytes)?);
    let mut section = Section::new("cluster: plugins in processes with few rights, and in threads");
    let small = ["--split-size", SMALL_SPLIT, "--reducers", "1"];
    let few = setup.data.text(SMALL_BYTES)?;
    for (name, plugin, input, form, options) in [
        ("word count", "wordcount", &text, Form::Counts, &[] as &[&str]),
        ("sort", "sort", &records, Form::Bytes, &crate::sort::FIXED),
        ("257 attempts", "wordcount", &few, Form::Counts, &small),
    ] {
        setup.warm(plugin, options)?;
        let contestants = [(&walled, "processes"), (&open, "threads")].map(|(up, how)| {
            contestant(setup, up, &format!("{name} in {how}"), plugin, input, form, options)
        });
        let [walled, open] = contestants;
        let outcome = contest(&[walled?, open?], setup.runs)?;
        section.rows(outcome.rows());
        if name == "257 attempts" {
            let pairs = outcome.samples(0).iter().zip(outcome.samples(1));
            let more = pairs.map(|(walled, open)| walled.wall.as_secs_f64() - open.wall.as_secs_f64());
            let each: Spread = more.map(|seconds| seconds * 1e3 * SLOTS / SMALL_ATTEMPTS).collect();
            section.number(
                "an attempt in a process takes longer by",
                each,
                "ms",
                Target::AtMost(ATTEMPT_MILLIS_MOST),
            );
        } else {
            let what = format!("{name}: processes over threads");
            section.ratio(what, outcome.ratio(0, 1), Target::AtMost(THREADS_MOST));
        }
    }
    Ok(section)
}

/// A job on one of the clusters, which has run a small one of the kind before.
fn contestant(
    setup: &Setup,
    up: &Up,
    name: &str,
    plugin: &str,
    input: &Path,
    form: Form,
    options: &[&str],
) -> Result<Contestant> {
    let (warm, output) = (setup.scratch("warm.txt"), setup.scratch("out"));
    up.submit(setup, plugin, &warm, &output, options).run(&[])?;
    std::fs::remove_dir_all(&output)?;
    Ok(Contestant::new(name, up.submit(setup, plugin, input, &output, options), output, form))
}
