//! `mr-engine submit`: plans a job, runs it in this process, shows its progress and its summary. Where a
//! cluster is set, the job runs there ([`crate::remote::submit`]).

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use mr_runtime::{OutputTarget, Progress, run_local};

use crate::args::{RemoteArgs, SubmitArgs};
use crate::exit::UsageError;
use crate::interrupt::Interrupt;
use crate::job::Place;
use crate::show::{Show, Style};
use crate::{config, job, policy, remote, summary};

/// Runs the job.
pub fn run(args: &SubmitArgs) -> Result<()> {
    let style = match (args.json, args.quiet) {
        (true, quiet) => Style::Json { to_stdout: args.job.output.is_some(), quiet },
        (false, true) => Style::Quiet,
        (false, false) => Style::People { verbose: args.verbose },
    };
    if !args.remote.local
        && let Some(target) = config::target(&args.remote.target)?
    {
        return remote::submit::run(args, &target, style);
    }
    check_local(&args.remote)?;
    let policy = policy::read(&args.job.policy, args.remote.target.config.as_deref())?;
    let interrupt = Interrupt::watch()?;
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
