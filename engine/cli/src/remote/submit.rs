//! `mr-engine submit` to a cluster: plans the job here, with the very code of a job that runs here, hands
//! it to the coordinator and waits for its end.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use mr_cluster::client::{Accepted, Client, ClientError, Component, Submission};
use mr_cluster::protocol::{OutputRequest, Refused, Share, SubmittedPlan};
use mr_model::{Failure, JobId};
use mr_runtime::{JobError, OutputTarget, Plan, Progress};
use mr_scheduler::config::QUEUE_DEFAULT;
use mr_storage::Durability;

use super::end::{Left, report};
use super::show::RemoteShow;
use super::wait::until_end;
use crate::args::{JobArgs, RemoteArgs, SubmitArgs};
use crate::config::Target;
use crate::exit::UsageError;
use crate::interrupt::Interrupt;
use crate::job::{self, Place};
use crate::policy::Unusable;
use crate::show::{Show, Style, print_json};
use crate::{inputs, policy, summary};

/// Plans the job, hands it in, and waits for it unless told otherwise.
pub fn run(args: &SubmitArgs, target: &Target, style: Style, interrupt: &Interrupt) -> Result<()> {
    check(args)?;
    let policy = policy::read(&args.job.policy, args.remote.target.config.as_deref())?;
    let options = super::options(target, args.remote.target.away_max)?;
    let runtime = super::runtime()?;
    // Reaching the coordinator and planning take their time at once.
    let connecting = runtime.spawn(Client::connect(options));
    let begun = Instant::now();
    let show = Show::start(style, Arc::new(Progress::default()));
    let planned =
        job::plan(&args.job, Place::Cluster, policy.as_ref(), &mut |path, event| show.loading(path, event));
    let loaded = begun.elapsed();
    let submission = planned.and_then(|plan| {
        show.planned(&plan);
        let submission = submission(&args.job, &args.remote, &plan, interrupt)?;
        Ok((plan, submission))
    });
    show.finish();
    let (plan, submission) = submission?;
    let id = plan.spec.id.clone();
    let view = runtime.block_on(async {
        let client = connecting.await.context("the connection ended")??;
        let ended = hand_in(&client, args, target, &submission, &id, style, interrupt).await;
        client.close().await;
        ended.map_err(|error| name_plugin(error, &plan))
    })?;
    let Some(view) = view else { return Ok(()) };
    let output = view.output.clone();
    summary::print(style, &report(view)?, Some(&output), Some(loaded))
}

/// Submits and waits. Nothing where nobody wants to wait.
async fn hand_in(
    client: &Client,
    args: &SubmitArgs,
    target: &Target,
    submission: &Submission,
    id: &JobId,
    style: Style,
    interrupt: &Interrupt,
) -> Result<Option<mr_cluster::protocol::JobView>> {
    interrupt.arm();
    let show = RemoteShow::new(style, args.remote.target.away_max);
    let accepted = tokio::select! {
        biased;
        () = interrupt.token().cancelled() => {
            return Err(Left { job: id.clone(), accepted: false }.into());
        }
        accepted = client.submit(submission, |upload| show.upload(upload)) => accepted?,
    };
    say_accepted(&show, style, args.remote.detach, id, accepted, target);
    let ended = match args.remote.detach {
        true => Ok(None),
        false => until_end(client, id, &show, interrupt.token()).await.map(Some),
    };
    show.finish();
    ended
}

fn say_accepted(
    show: &RemoteShow,
    style: Style,
    detach: bool,
    id: &JobId,
    accepted: Accepted,
    target: &Target,
) {
    let known = if accepted.known { ", where it was known already" } else { "" };
    match style {
        Style::Json { to_stdout, quiet } if detach || !quiet => print_json(
            to_stdout,
            &serde_json::json!({
                "event": "submitted", "job": id, "known": accepted.known, "cluster": target.coordinator,
            }),
        ),
        // The one thing that a script wants to know.
        _ if detach => println!("{id}"),
        _ => show.note(&format!(
            "job {id} is on the cluster at {} ({}){known}",
            target.coordinator, target.source
        )),
    }
}

/// The cluster knows a plugin that it refuses by its hash; people know it by its file.
pub fn name_plugin(error: anyhow::Error, plan: &Plan) -> anyhow::Error {
    let Some(ClientError::Refused(Refused::Component { hash, reason })) = error.downcast_ref() else {
        return error;
    };
    let hex = blake3::Hash::from_bytes(*hash).to_hex();
    match plan.stages.plugins().into_iter().find(|(plugin, _)| plugin.hash() == hex.as_str()) {
        Some((plugin, _)) => Unusable { path: plugin.path().to_owned(), reason: reason.clone() }.into(),
        None => error,
    }
}

/// What means nothing on a cluster is refused or told.
fn check(args: &SubmitArgs) -> Result<(), UsageError> {
    if args.job.output.is_none() {
        return Err(UsageError(
            "a job on a cluster needs --output, a folder that the coordinator and all workers reach under the same \
             path, or s3://bucket/name; or run it here with --local"
                .to_owned(),
        ));
    }
    let ignored = [("--workers", args.job.workers.is_some()), ("--memory", args.job.memory.is_some())];
    for (option, _) in ignored.iter().filter(|(_, given)| *given && !args.quiet && !args.json) {
        eprintln!("mr-engine: {option} does not count on a cluster, whose workers have their own");
    }
    Ok(())
}

/// Samples the input where the job needs that, and encodes the plan.
pub fn submission(
    args: &JobArgs,
    remote: &RemoteArgs,
    plan: &Plan,
    interrupt: &Interrupt,
) -> Result<Submission> {
    let spread = plan.boundaries(interrupt.arm()).map_err(|failure| match failure {
        Failure::Cancelled => JobError::Cancelled,
        failure => JobError::Sample(failure),
    })?;
    let output = match &plan.output {
        OutputTarget::Dir { path, overwrite, durability } => OutputRequest {
            path: path.clone(),
            overwrite: *overwrite,
            sync: *durability == Durability::Synced,
        },
        OutputTarget::Store { address, overwrite, .. } => {
            OutputRequest { path: address.into(), overwrite: *overwrite, sync: false }
        }
        OutputTarget::Stdout => return Err(UsageError("a job on a cluster needs --output".to_owned()).into()),
    };
    let submitted = SubmittedPlan {
        record: plan.record(),
        // The coordinator fills in where parts go.
        description: plan.describe(spread, std::path::PathBuf::new()),
        splits: plan.splits.clone(),
        output,
        share: share(remote),
    };
    let mut inputs = Vec::new();
    for input in inputs::read(args)? {
        for pattern in &input.patterns {
            inputs.push(format!("{}={}", input.name, job::absolute_pattern(pattern)?));
        }
    }
    inputs.extend(args.exclude.iter().map(|glob| format!("!{glob}")));
    let components = plan.stages.plugins().into_iter().filter(|(_, roles)| !roles.is_empty());
    let components: Vec<Component> = components
        .map(|(plugin, _)| Component {
            path: plugin.path().to_owned(),
            blake3: plugin.hash().to_owned(),
            bytes: plugin.bytes(),
        })
        .collect();
    let submission = Submission::new(&submitted, &inputs, args.split_size, &components)?;
    Ok(submission.with_sides(plan.sides.clone()))
}

fn share(args: &RemoteArgs) -> Share {
    Share {
        queue: args.queue.clone().unwrap_or_else(|| QUEUE_DEFAULT.to_owned()),
        priority: args.priority.unwrap_or(0),
        weight: args.weight.unwrap_or(1),
        slots_max: args.max_slots,
        speculation: !args.no_speculation,
    }
}
