//! Waiting for a job on a cluster, and `mr-engine job wait`.

use anyhow::Result;
use mr_cluster::client::Client;
use mr_cluster::protocol::JobView;
use mr_model::JobId;
use tokio_util::sync::CancellationToken;

use super::end::{Left, report};
use super::show::RemoteShow;
use crate::args::cluster::WaitArgs;
use crate::interrupt::Interrupt;
use crate::show::Style;
use crate::summary;

/// Waits for a job that was submitted earlier, and reports its end.
pub fn run(args: &WaitArgs) -> Result<()> {
    let job = super::job_id(&args.job)?;
    let style = match (args.json, args.quiet) {
        (true, quiet) => Style::Json { to_stdout: true, quiet },
        (false, true) => Style::Quiet,
        (false, false) => Style::People { verbose: false },
    };
    let interrupt = Interrupt::watch()?;
    interrupt.arm();
    let view = super::ask(&args.target, async |client: &Client| {
        let show = RemoteShow::new(style, args.target.away_max);
        let ended = until_end(client, &job, &show, interrupt.token()).await;
        show.finish();
        ended
    })?;
    let output = view.output.clone();
    summary::print(style, &report(view)?, Some(&output), None)
}

/// Waits until a job has ended or somebody interrupts, which leaves the job as it is.
pub async fn until_end(
    client: &Client,
    job: &JobId,
    show: &RemoteShow,
    interrupted: &CancellationToken,
) -> Result<JobView> {
    let mut contact = client.contact();
    let watching = async {
        while contact.changed().await.is_ok() {
            show.contact(&contact.borrow_and_update());
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        () = interrupted.cancelled() => Err(Left { job: job.clone(), accepted: true }.into()),
        ended = client.wait(job, |view| show.view(view)) => Ok(ended?),
        never = watching => Ok(never),
    }
}
