//! `mr-engine jobs`: the jobs of a cluster, newest first.

use std::io::Write;

use anyhow::Result;
use mr_cluster::client::Client;
use mr_cluster::protocol::{JobView, PAGE_ROWS_MAX};

use super::table::table;
use super::view;
use crate::args::cluster::JobsArgs;
use crate::size::{ago, bytes, seconds};

/// Prints the jobs.
pub fn run(args: &JobsArgs) -> Result<()> {
    let jobs = super::ask(&args.target, async |client: &Client| pages(client, args.limit).await)?;
    let text = if args.json {
        jobs.iter().map(|job| format!("{}\n", view::job(job))).collect()
    } else {
        as_table(&jobs, super::unix_millis())
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

async fn pages(client: &Client, limit: u32) -> Result<Vec<JobView>> {
    let mut jobs: Vec<JobView> = Vec::new();
    loop {
        let left = limit - u32::try_from(jobs.len()).unwrap_or(u32::MAX).min(limit);
        let before = jobs.last().map(|job| job.number);
        let page = if left == 0 { Vec::new() } else { client.jobs(before, left.min(PAGE_ROWS_MAX)).await? };
        // A page that does not go on downwards would never end.
        let goes_on = page.last().is_some_and(|last| before.is_none_or(|before| last.number < before));
        if !goes_on {
            return Ok(jobs);
        }
        jobs.extend(page);
        jobs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
}

fn as_table(jobs: &[JobView], now_unix_millis: u64) -> String {
    let rows: Vec<[String; 7]> = jobs
        .iter()
        .map(|job| {
            let ended = job.ended_unix_millis.unwrap_or(now_unix_millis);
            [
                job.job.to_string(),
                view::state(job).to_owned(),
                format!("{}/{}", job.maps.done, job.maps.total),
                format!("{}/{}", job.reduces.done, job.reduces.total),
                bytes(job.input_bytes),
                seconds(ended.saturating_sub(job.submitted_unix_millis)),
                ago(now_unix_millis.saturating_sub(job.submitted_unix_millis)),
            ]
        })
        .collect();
    table(["JOB", "STATE", "MAPS", "REDUCES", "INPUT", "TIME", "SUBMITTED"], &rows)
}
