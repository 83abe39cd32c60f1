//! `mr-engine job`: the state of one job, its log, and its cancellation.

use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use mr_cluster::client::Client;
use mr_cluster::protocol::{AttemptRecord, JobEnd, JobView, PAGE_ROWS_MAX};
use mr_model::Failure;

use super::{end, show, view, wait};
use crate::args::cluster::{CancelArgs, JobCommand, OneJobArgs};
use crate::size::{ago, bytes, count, seconds};
use crate::words;

/// Runs one of the subcommands of `mr-engine job`.
pub fn run(command: &JobCommand) -> Result<()> {
    match command {
        JobCommand::Status(args) => status(args),
        JobCommand::Wait(args) => wait::run(args),
        JobCommand::Cancel(args) => cancel(args),
        JobCommand::Logs(args) => logs(args),
    }
}

fn status(args: &OneJobArgs) -> Result<()> {
    let job = super::job_id(&args.job)?;
    let view =
        super::ask(&args.target, async |client: &Client| Ok(client.job(&job, 0, Duration::ZERO).await?))?;
    let text =
        if args.json { format!("{}\n", view::job(&view)) } else { as_text(view, super::unix_millis()) };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn cancel(args: &CancelArgs) -> Result<()> {
    let job = super::job_id(&args.job)?;
    super::ask(&args.target, async |client: &Client| Ok(client.cancel(&job).await?))?;
    writeln!(std::io::stdout(), "job {job} is told to stop")?;
    Ok(())
}

/// Prints page after page, so that a long history is not held.
fn logs(args: &OneJobArgs) -> Result<()> {
    let job = super::job_id(&args.job)?;
    super::ask(&args.target, async |client: &Client| {
        let mut shown = 0;
        loop {
            let page = client.attempts(&job, shown, PAGE_ROWS_MAX).await?;
            if page.is_empty() {
                return Ok(());
            }
            shown += page.len() as u64;
            let lines = page.iter().map(|record| {
                if args.json { format!("{}\n", view::attempt(record)) } else { attempt_text(record) }
            });
            std::io::stdout().write_all(lines.collect::<String>().as_bytes())?;
        }
    })
}

fn as_text(view: JobView, now_unix_millis: u64) -> String {
    let mut out = String::new();
    let mut line = |name: &str, text: String| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name:<9}{text}");
    };
    let submitted = view.submitted_unix_millis;
    let until = view.ended_unix_millis.unwrap_or(now_unix_millis);
    line("job", view.job.to_string());
    line(
        "state",
        format!(
            "{}, submitted {}, {} long",
            view::state(&view),
            ago(now_unix_millis.saturating_sub(submitted)),
            seconds(until.saturating_sub(submitted))
        ),
    );
    line("progress", show::line(&view));
    line("input", bytes(view.input_bytes));
    line(
        "output",
        format!(
            "{} records, {} in {}",
            count(view.output_records),
            bytes(view.output_bytes),
            view.output.display()
        ),
    );
    if view.maps_rerun > 0 {
        line("reruns", format!("{} map tasks, because their output was lost", count(view.maps_rerun)));
    }
    if !matches!(view.end, None | Some(JobEnd::Succeeded(_)))
        && let Err(failed) = end::report(view)
    {
        line("error", words::indented(&failed.to_string()));
        if let Some(left) = failed.failure().and_then(Failure::words) {
            words::place(left).into_iter().chain(words::log(left)).for_each(|text| line("", text));
        }
    }
    out
}

/// An attempt with what its plugins logged.
fn attempt_text(record: &AttemptRecord) -> String {
    let took = seconds(record.ended_unix_millis.saturating_sub(record.started_unix_millis));
    let end = match &record.failure {
        Some(failure) => format!("failed after {took}: {}", words::indented(&failure.to_string())),
        None => format!("done in {took}"),
    };
    let mut text = format!("{} on {}: {end}\n", record.attempt, record.worker);
    let left = record.failure.as_ref().and_then(Failure::words);
    let failed = left.map_or(&[][..], |left| &left.log);
    let log = if record.log.is_empty() { failed } else { &record.log };
    let place = left.map(words::place).unwrap_or_default();
    for line in place.iter().chain(log).flat_map(|line| line.lines()) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use mr_model::{AttemptId, TaskId};

    use super::*;

    #[test]
    fn attempts_are_told_with_their_log() {
        let record = AttemptRecord {
            attempt: AttemptId { task: TaskId::reduce(3), attempt: 1 },
            worker: "w1".to_owned(),
            started_unix_millis: 1_000,
            ended_unix_millis: 2_520,
            failure: Some(Failure::internal("odd")),
            report: None,
            log: vec!["reducer info: one\ntwo".to_owned()],
        };
        let text = attempt_text(&record);
        assert_eq!(
            text,
            "reduce task 3 attempt 1 on w1: failed after 1.52 s: internal fault: odd\n  reducer info: one\n  two\n"
        );
        let text = attempt_text(&AttemptRecord { failure: None, log: Vec::new(), ..record });
        assert_eq!(text, "reduce task 3 attempt 1 on w1: done in 1.52 s\n");
    }
}
