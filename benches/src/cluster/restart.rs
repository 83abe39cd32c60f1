//! The coordinator is killed in the middle of a job of many small tasks and started again: how long it
//! takes until it answers, and that no finished task runs again. Client and workers stay.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::nodes::{Nodes, number, winners};
use crate::child::Sample;
use crate::digest::{Digest, Form, digest};
use crate::report::{Row, Section, Spread, Target};
use crate::setup::Setup;

/// Most seconds until the coordinator answers again.
const ANSWER_SECONDS_MOST: f64 = 5.0;
/// Workers.
const WORKERS: usize = 2;

/// What a run with a restart found.
struct Restart {
    sample: Sample,
    /// From the start of the new coordinator until it says that it is ready.
    ready: Duration,
    /// From the start of the new coordinator until a client has its answer and has ended.
    answered: Duration,
}

/// Measures.
pub fn run(setup: &Setup) -> Result<Section> {
    let input = setup.data.text(setup.sizes.restart_bytes)?;
    let split = (setup.sizes.restart_bytes / setup.sizes.restart_tasks).to_string();
    setup.warm("wordcount", &[])?;
    let output = setup.scratch("counts");
    setup.job("wordcount", &input, &output, &[]).run(&[])?;
    let expected = digest(&output, Form::Bytes)?;
    std::fs::remove_dir_all(&output)?;

    let mut nodes = Nodes::start(setup, "restart", WORKERS)?;
    nodes.wait_for_workers(WORKERS)?;
    let (mut calm, mut restarts) = (Vec::new(), Vec::new());
    for round in 0..setup.runs {
        let id = format!("calm-{round}");
        let job = nodes.submit("wordcount", &input, &output, &["--split-size", &split, "--job-id", &id]);
        calm.push(job.run(&[])?);
        check(setup, &nodes, &id, expected)?;
        let id = format!("restarted-{round}");
        let job = nodes.submit("wordcount", &input, &output, &["--split-size", &split, "--job-id", &id]);
        restarts.push(restart(&mut nodes, &job, &id)?);
        check(setup, &nodes, &id, expected)?;
    }
    let mut section = Section::new(format!(
        "cluster: the coordinator is killed in a job of {} map tasks, and restarted",
        setup.sizes.restart_tasks
    ));
    let struck: Vec<Sample> = restarts.iter().map(|restart| restart.sample).collect();
    section.rows([Row::of_samples("undisturbed (cpu, peak: client)", &calm)]);
    section.rows([Row::of_samples("coordinator killed at half of the maps", &struck)]);
    let ready: Spread = restarts.iter().map(|restart| restart.ready.as_secs_f64()).collect();
    section.number("from its start until it is ready", ready, "s", Target::None);
    let answered: Spread = restarts.iter().map(|restart| restart.answered.as_secs_f64()).collect();
    let most = Target::AtMost(ANSWER_SECONDS_MOST);
    section.number("from its start until a client has an answer", answered, "s", most);
    Ok(section)
}

fn restart(nodes: &mut Nodes<'_>, job: &crate::child::Invocation, id: &str) -> Result<Restart> {
    let running = job.start()?;
    let before = number(&nodes.half_of_maps(id)?, "map_tasks")?;
    nodes.kill_coordinator()?;
    let (start, ready) = nodes.start_coordinator()?;
    let status = nodes.status(id)?.context("WRONG: the restarted coordinator does not know the job")?;
    let answered = start.elapsed();
    let after = number(&status, "map_tasks")?;
    if after < before {
        bail!("WRONG: {before} map tasks were done before the restart, and {after} after it");
    }
    Ok(Restart { sample: running.wait(&[])?, ready: ready - start, answered })
}

/// The output is right, and every task was won once.
fn check(setup: &Setup, nodes: &Nodes<'_>, id: &str, expected: Digest) -> Result<()> {
    let output = setup.scratch("counts");
    let found = digest(&output, Form::Bytes)?;
    if found != expected {
        bail!("WRONG: the output of job {id} is {found:?} where {expected:?} is right");
    }
    std::fs::remove_dir_all(output)?;
    let status = nodes.status(id)?.context("the job is not in the history")?;
    let winners = winners(&nodes.ask(&["job", "logs", id])?)?;
    let tasks = number(&status, "map_tasks_total")? + number(&status, "reduce_tasks_total")?;
    let again = winners.values().filter(|workers| workers.len() > 1).count();
    if again > 0 || number(&status, "maps_rerun")? > 0 || winners.len() as u64 != tasks {
        bail!("WRONG: of {tasks} tasks of job {id}, {} are in the history, {again} ran twice", winners.len());
    }
    Ok(())
}
