//! `mr-engine run`: a pipeline, here or on a cluster. Reads the file, runs its stages through
//! [`mr_pipeline`], and tells how they fare.
//!
//! In reading order: [`arguments`] (a stage as a job), `stages` (who runs one), `cluster` (where that is
//! elsewhere), `show` (what is told).

pub mod arguments;
mod cluster;
mod show;
mod stages;

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use mr_pipeline::{Fate, Graph, Pipeline, RunError, RunOptions, draw, foresee};
use mr_runtime::JobError;
use mr_storage::OutputError;

use crate::again::{self, Again};
use crate::args::run::RunArgs;
use crate::config;
use crate::exit::UsageError;
use crate::interrupt::Interrupt;
use crate::job;
use crate::show::Style;

use show::RunShow;
use stages::Runner;

/// What stands for the files that `--watch` found.
const WATCHED: &str = "watch:";

/// A stage made other output of the same things than in a run before.
#[derive(Debug)]
pub struct Differs;

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "it made other output than in a run before of the same input, plugins and parameters; run again with \
             --fresh, or make its plugins deterministic",
        )
    }
}

impl std::error::Error for Differs {}

/// Runs the pipeline, once or again and again.
pub fn run(args: &RunArgs) -> Result<()> {
    if args.explain || args.dot {
        let graph = graph(args, None)?;
        let text = match args.dot {
            true => draw::dot(&graph, &[]),
            false => draw::text(&graph, &fates(args, &graph)?),
        };
        return Ok(std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?);
    }
    if args.remote.detach {
        let reason = "--detach is for single jobs: whoever runs a pipeline begins one stage after the other";
        return Err(UsageError(reason.to_owned()).into());
    }
    // Before anything is waited for.
    let graph = graph(args, None)?;
    let style = match (args.json, args.quiet) {
        (true, quiet) => Style::Json { to_stdout: true, quiet },
        (false, true) => Style::Quiet,
        (false, false) => Style::People { verbose: args.verbose },
    };
    let interrupt = Interrupt::watch()?;
    let runner = Runner::new(args, RunShow::start(style), interrupt.clone())?;
    if !args.again.is_asked() {
        return once(args, &graph, &runner);
    }
    let notes = work_folder(args, &graph).join("runs");
    let again = Again::new(&args.again, &interrupt, runner.show().style());
    match args.again.every {
        Some(every) => again.every(every, || once(args, &graph, &runner)),
        None => again.watch(&notes, again::Committed::Notes, &mut |run| {
            once(args, &self::graph(args, Some(run))?, &runner)
        }),
    }
}

/// Runs the pipeline to its end.
fn once(args: &RunArgs, graph: &Graph, runner: &Runner<'_>) -> Result<()> {
    let begun = Instant::now();
    let name = graph.name();
    let summary = mr_pipeline::run(graph, &options(args, graph)?, runner);
    let summary = summary.map_err(|error| named(name, error))?;
    runner.show().done(name, summary, begun);
    Ok(())
}

/// The pipeline as the file and the command line say; with the files of one of many runs.
fn graph(args: &RunArgs, run: Option<&mr_pipeline::watch::Intent>) -> Result<Graph> {
    let mut pipeline = Pipeline::read(&args.pipeline)?;
    if let Some(run) = run {
        pipeline = pipeline.param("run", run.name());
        let files = run.files.iter().map(|file| {
            let absolute = std::path::absolute(&file.path).context("the current folder")?;
            absolute.into_os_string().into_string().map_err(|path| {
                UsageError(format!("{}: paths of pipelines are UTF-8", path.display())).into()
            })
        });
        pipeline = pipeline.with_files(WATCHED, &files.collect::<Result<Vec<String>>>()?);
    } else if !args.again.watch.is_empty() {
        if !pipeline.reads(WATCHED) {
            let reason = format!("--watch: no stage of {} reads \"{WATCHED}\"", args.pipeline.display());
            return Err(UsageError(reason).into());
        }
    } else if pipeline.reads(WATCHED) && !args.explain && !args.dot {
        let reason = format!("{} reads \"{WATCHED}\", new files: give --watch PATH", args.pipeline.display());
        return Err(UsageError(reason).into());
    }
    for (name, value) in &args.params {
        if !pipeline.params().any(|known| known == name) {
            let known: Vec<&str> = pipeline.params().collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let file = args.pipeline.display();
            return Err(
                UsageError(format!("--param {name}: {file} has no such parameter; it has {known}")).into()
            );
        }
        pipeline = pipeline.param(name, value);
    }
    let graph = Graph::new(&pipeline)?;
    check_lasting(&graph)?;
    arguments::check(&graph)?;
    Ok(graph)
}

/// Refuses results that every run would make in the same place of its own new files alone: those of the runs
/// before would be lost.
fn check_lasting(graph: &Graph) -> Result<(), UsageError> {
    let is_named = |stage: &mr_pipeline::Stage| {
        let output = stage.output.as_ref();
        output.is_some_and(|output| output.contains("{run}")) || stage.options.contains_key("overwrite")
    };
    let Some(stage) = graph.results_of(WATCHED).find(|stage| !is_named(stage)) else { return Ok(()) };
    Err(UsageError(format!(
        "stage {} makes the same output of every run's new files: put {{run}} into its name, or say overwrite = true",
        stage.name
    )))
}

/// What would run.
fn fates(args: &RunArgs, graph: &Graph) -> Result<Vec<Fate>> {
    if !args.again.watch.is_empty() {
        return Ok(Vec::new());
    }
    let runner = Runner::new(args, RunShow::start(Style::Quiet), Interrupt::default())?;
    foresee(graph, &options(args, graph)?, &runner).map_err(|error| named(graph.name(), error))
}

fn options(args: &RunArgs, graph: &Graph) -> Result<RunOptions> {
    // A new name in every run, of at most 12 digits and letters until the year 2500.
    let mut millis = job::since_1970()?.as_millis();
    let mut run = Vec::new();
    while millis > 0 {
        let digit = u32::try_from(millis % 36).unwrap_or_default();
        run.push(char::from_digit(digit, 36).unwrap_or('0'));
        millis /= 36;
    }
    Ok(RunOptions {
        work: work_folder(args, graph),
        parallel: args.parallel,
        keep: args.keep,
        fresh: args.fresh,
        run: run.into_iter().rev().collect(),
    })
}

fn work_folder(args: &RunArgs, graph: &Graph) -> PathBuf {
    let beside = || graph.folder().join(".mr-engine").join(graph.name());
    args.pipeline_dir.clone().unwrap_or_else(beside)
}

/// A failure with the names of the pipeline and the stage.
fn named(pipeline: &str, error: RunError<anyhow::Error>) -> anyhow::Error {
    match error {
        RunError::Stage { title, error } => error.context(format!("pipeline {pipeline}, {title}")),
        RunError::Differs { title } => {
            anyhow::Error::from(Differs).context(format!("pipeline {pipeline}, {title}"))
        }
        RunError::Taken { title, path } => {
            let error = JobError::Output(OutputError::Exists { path });
            anyhow::Error::from(error).context(format!("pipeline {pipeline}, {title}"))
        }
        RunError::Ledger(error) => anyhow::Error::from(error).context(format!("pipeline {pipeline}")),
    }
}

/// The cluster that stages run on, if any.
fn target(args: &RunArgs) -> Result<Option<config::Target>> {
    if args.remote.local { Ok(None) } else { Ok(config::target(&args.remote.target)?) }
}
