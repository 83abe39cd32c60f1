//! `mr-engine submit`: plans a job, runs it in this process, shows its progress and its summary. Where a
//! cluster is set, the job runs there ([`crate::remote::submit`]). Runs that come again are of [`crate::again`].

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use mr_model::is_address;
use mr_pipeline::watch::{Intent, next_run};
use mr_runtime::{OutputTarget, Progress, run_local};

use crate::again::{Again, Committed};
use crate::args::{RemoteArgs, SubmitArgs};
use crate::exit::UsageError;
use crate::interrupt::Interrupt;
use crate::job::Place;
use crate::show::{Show, Style};
use crate::{config, job, policy, remote, summary};

/// Runs the job, once or again and again.
pub fn run(args: &SubmitArgs) -> Result<()> {
    let style = match (args.json, args.quiet) {
        (true, quiet) => Style::Json { to_stdout: args.job.output.is_some(), quiet },
        (false, true) => Style::Quiet,
        (false, false) => Style::People { verbose: args.verbose },
    };
    let interrupt = Interrupt::watch()?;
    if !args.again.is_asked() {
        return once(args, style, &interrupt);
    }
    let output = check_again(args)?;
    let again = Again::new(&args.again, &interrupt, style);
    let Some(every) = args.again.every else {
        return again.watch(output, Committed::Outputs, &mut |run| {
            once(&with_files(args, output, run)?, style, &interrupt)
        });
    };
    again.every(every, || {
        if args.job.overwrite {
            return once(args, style, &interrupt);
        }
        once(&with_output(args, &output.join(next_run(output)?)), style, &interrupt)
    })
}

/// What goes with runs that come again; the answer is the folder of their outputs.
fn check_again(args: &SubmitArgs) -> Result<&Path, UsageError> {
    let option = if args.again.every.is_some() { "--every" } else { "--watch" };
    let watches = !args.again.watch.is_empty();
    let refused = [
        ("--detach", args.remote.detach),
        ("--job-id", args.job.job_id.is_some()),
        ("--input", watches && !args.job.inputs.is_empty()),
        ("--overwrite", watches && args.job.overwrite),
    ];
    if let Some((other, _)) = refused.iter().find(|(_, given)| *given) {
        return Err(UsageError(format!(
            "{other} does not go with {option}, which runs the job more than once"
        )));
    }
    let output = args.job.output.as_deref();
    let output = output
        .ok_or_else(|| UsageError(format!("{option} needs --output, a folder for the output of each run")))?;
    let made = std::path::absolute(output).unwrap_or_else(|_| output.to_owned());
    let feeds = |watched: &&String| {
        let is_folder = !watched.contains(['*', '?', '[', '{']);
        let watched = std::path::absolute(watched).unwrap_or_else(|_| watched.into());
        is_folder && !is_address(output) && made.starts_with(watched)
    };
    if let Some(watched) = args.again.watch.iter().find(feeds) {
        return Err(UsageError(format!(
            "--output {} is within --watch {watched}, so that every run would read what the one before made; choose \
             a folder elsewhere",
            output.display()
        )));
    }
    // The runs are counted by what is in it.
    if is_address(output) && !args.job.overwrite {
        return Err(UsageError(format!(
            "{option} counts its runs in the folder --output, which has to be a local one; for a store {}",
            match watches {
                true => "run a pipeline with output = \"s3://bucket/name/{run}\" and --watch",
                false => "give --overwrite, which replaces the output in every run",
            }
        )));
    }
    Ok(output)
}

/// The job with the files of one of many runs.
fn with_files(args: &SubmitArgs, folder: &Path, run: &Intent) -> Result<SubmitArgs> {
    let mut args = with_output(args, &folder.join(run.name()));
    let files = run.files.iter().map(|file| {
        let text = file.path.to_str().map(str::to_owned);
        text.ok_or_else(|| UsageError(format!("--watch: {} is not UTF-8", file.path.display())))
    });
    args.job.inputs = files.collect::<Result<_, _>>()?;
    args.job.job_id = Some(run.job.clone());
    Ok(args)
}

fn with_output(args: &SubmitArgs, output: &Path) -> SubmitArgs {
    let mut args = args.clone();
    args.job.output = Some(output.to_owned());
    args
}

/// Runs the job.
fn once(args: &SubmitArgs, style: Style, interrupt: &Interrupt) -> Result<()> {
    if !args.remote.local
        && let Some(target) = config::target(&args.remote.target)?
    {
        return remote::submit::run(args, &target, style, interrupt);
    }
    check_local(&args.remote)?;
    let policy = policy::read(&args.job.policy, args.remote.target.config.as_deref())?;
    let progress = Arc::new(Progress::default());
    let show = Show::start(style, progress.clone());
    let begun = Instant::now();
    let planned =
        job::plan(&args.job, Place::Here, policy.as_ref(), &mut |path, event| show.loading(path, event));
    let compiled = begun.elapsed();
    let outcome = planned.and_then(|plan| {
        show.planned(&plan);
        let report = run_local(&plan, &progress, interrupt.arm(), show.log_forward())?;
        Ok((plan, report))
    });
    show.finish();
    let (plan, report) = outcome?;
    let output = match &plan.output {
        OutputTarget::Dir { path, .. } => Some(path.as_path()),
        OutputTarget::Store { address, .. } => Some(Path::new(address)),
        OutputTarget::Stdout => None,
    };
    summary::print(style, &report, output, Some(compiled))
}

/// What only means something on a cluster is refused, so that nobody believes in it.
fn check_local(args: &RemoteArgs) -> Result<(), UsageError> {
    let given = [
        ("--detach", args.detach),
        ("--queue", args.queue.is_some()),
        ("--priority", args.priority.is_some()),
        ("--weight", args.weight.is_some()),
        ("--max-slots", args.max_slots.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(UsageError(format!(
            "{option} is for jobs on a cluster, and this one runs here; give --cluster HOST:PORT"
        ))),
        None => Ok(()),
    }
}
