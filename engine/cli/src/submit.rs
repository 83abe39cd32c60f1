//! `mr-engine submit`: plans a job, runs it in this process, shows its progress and its summary.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use mr_runtime::{Progress, run_local};

use crate::args::SubmitArgs;
use crate::interrupt::Interrupt;
use crate::show::{Show, Style};
use crate::{job, summary};

/// Runs the job.
pub fn run(args: &SubmitArgs) -> Result<()> {
    let interrupt = Interrupt::watch()?;
    let style = match (args.json, args.quiet) {
        (true, quiet) => Style::Json { to_stdout: args.job.output.is_some(), quiet },
        (false, true) => Style::Quiet,
        (false, false) => Style::People { verbose: args.verbose },
    };
    let progress = Arc::new(Progress::default());
    let show = Show::start(style, progress.clone());
    let begun = Instant::now();
    let planned = job::plan(&args.job, &mut |event| show.loading(event));
    let compiled = begun.elapsed();
    let outcome = planned.and_then(|plan| {
        show.planned(&plan);
        let report = run_local(&plan, &progress, interrupt.arm(), show.log_forward())?;
        Ok((plan, report))
    });
    show.finish();
    let (plan, report) = outcome?;
    match style {
        Style::Quiet | Style::Json { quiet: true, .. } => Ok(()),
        Style::Json { to_stdout, .. } => summary::json(&report, compiled, to_stdout),
        Style::People { .. } => {
            eprint!("{}", summary::text(&plan, &report, compiled));
            Ok(())
        }
    }
}
