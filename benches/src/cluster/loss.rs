//! One of four workers is killed when half of the map tasks are done, against the same job undisturbed:
//! what it costs to notice and to run again what is lost, and that nothing else runs again.
//!
//! The job computes, and four workers share the cores of this machine: what is lost is map output, a
//! running attempt and the time until somebody is sure, but hardly computing power.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::nodes::{Nodes, name, number, winners};
use crate::child::Sample;
use crate::digest::{Digest, Form, digest};
use crate::report::{Row, Section, Spread, Target, mib};
use crate::setup::Setup;

/// Most times of the undisturbed job that the other may take.
const UNDISTURBED_MOST: f64 = 1.35;
/// Workers.
const WORKERS: usize = 4;
/// The one that is killed.
const VICTIM: usize = 1;
/// Runs that are worth their time.
const RUNS_MAX: usize = 3;

/// Measures.
pub fn run(setup: &Setup) -> Result<Section> {
    let input = setup.data.text(setup.sizes.slow_bytes)?;
    let expected = local(setup, &input)?;
    let mut nodes = Nodes::start(setup, "loss", WORKERS)?;
    nodes.wait_for_workers(WORKERS)?;
    let (mut calm, mut struck, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..setup.runs.min(RUNS_MAX) {
        calm.push(job(setup, &mut nodes, &input, &format!("calm-{round}"), false, expected)?.0);
        let (sample, rerun) = job(setup, &mut nodes, &input, &format!("struck-{round}"), true, expected)?;
        struck.push(sample);
        lost.push(rerun);
        nodes.start_worker(VICTIM)?;
        nodes.wait_for_workers(WORKERS)?;
    }
    let mut section = Section::new(format!(
        "cluster: one of {WORKERS} workers is killed half way, a slow word count of {:.0} MiB",
        mib(setup.sizes.slow_bytes)
    ));
    section.rows([Row::of_samples("undisturbed (cpu, peak: client)", &calm)]);
    section.rows([Row::of_samples("a worker killed at half of the maps", &struck)]);
    let ratio: Spread =
        struck.iter().zip(&calm).map(|(a, b)| a.wall.as_secs_f64() / b.wall.as_secs_f64()).collect();
    section.ratio("a worker killed over undisturbed", ratio, Target::AtMost(UNDISTURBED_MOST));
    let share = lost.iter().map(|Rerun { rerun, total, .. }| ratio_of(*rerun, *total)).collect();
    section.number("map tasks run again, of all", share, "%", Target::None);
    let beyond = lost.iter().map(|Rerun { rerun, held, .. }| ratio_of(*rerun, *held) - 100.0).collect();
    section.number("map tasks run again beyond those lost", beyond, "%", Target::AtMost(0.0));
    Ok(section)
}

/// What ran again.
struct Rerun {
    rerun: u64,
    /// Map outputs that the killed worker held, with those that it may have said while it was killed.
    held: u64,
    total: u64,
}

fn ratio_of(part: u64, whole: u64) -> f64 {
    let exact = |number: u64| u32::try_from(number).map_or(f64::INFINITY, f64::from);
    if part == whole { 100.0 } else { exact(part) / exact(whole) * 100.0 }
}

/// The right output: words are words, however slowly they are counted.
fn local(setup: &Setup, input: &Path) -> Result<Digest> {
    setup.warm("wordcount", &[])?;
    setup.warm("slow-words", &[])?;
    let output = setup.scratch("slow");
    setup.job("wordcount", input, &output, &[]).run(&[])?;
    let found = digest(&output, Form::Bytes)?;
    std::fs::remove_dir_all(output)?;
    Ok(found)
}

fn job(
    setup: &Setup,
    nodes: &mut Nodes<'_>,
    input: &Path,
    id: &str,
    strike: bool,
    expected: Digest,
) -> Result<(Sample, Rerun)> {
    let output = setup.scratch("slow");
    let rounds = format!("rounds={}", setup.sizes.slow_rounds);
    let split = setup.sizes.slow_split_bytes.to_string();
    let options = ["--param", &rounds, "--split-size", &split, "--job-id", id];
    let running = nodes.submit("slow-words", input, &output, &options).start()?;
    nodes.half_of_maps(id)?;
    let mut held = 0;
    if strike {
        nodes.kill_worker(VICTIM)?;
        // What it said is in the coordinator's books by now, and that it is dead is not.
        let workers = nodes.ask(&["workers"])?;
        let victim = workers.iter().find(|worker| worker["name"] == name(VICTIM).as_str());
        held = number(victim.context("the killed worker is not known any more")?, "outputs")?;
    }
    let sample = running.wait(&[])?;
    let found = digest(&output, Form::Bytes)?;
    if found != expected {
        bail!("WRONG: the output of job {id} is {found:?} where {expected:?} is right");
    }
    std::fs::remove_dir_all(output)?;
    let status = nodes.status(id)?.context("the job is not in the history")?;
    let rerun = number(&status, "maps_rerun")?;
    check_history(&nodes.ask(&["job", "logs", id])?, strike, rerun).with_context(|| format!("job {id}"))?;
    Ok((sample, Rerun { rerun, held, total: number(&status, "map_tasks_total")? }))
}

/// Only what the killed worker had won was won again.
fn check_history(attempts: &[Value], strike: bool, rerun: u64) -> Result<()> {
    let winners = winners(attempts)?;
    let again: Vec<_> = winners.iter().filter(|(_, workers)| workers.len() > 1).collect();
    let victim = name(VICTIM);
    if let Some((task, workers)) = again.iter().find(|(_, workers)| !strike || workers[0] != victim) {
        bail!("WRONG: {task} ran again although its output was not lost; it was done by {workers:?}");
    }
    if again.len() as u64 != rerun {
        bail!("WRONG: the history has {} tasks that ran again, and maps_rerun is {rerun}", again.len());
    }
    Ok(())
}
