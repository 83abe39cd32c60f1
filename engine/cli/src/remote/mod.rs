//! Jobs on a cluster, and questions to one: connects as a client, and says what comes back.
//!
//! In reading order: [`submit`], [`wait`] and [`show`] (a job that is waited for), [`end`] (how it ended),
//! [`job`], [`jobs`] and [`workers`] (questions), [`view`] (answers for programs), `table` (for people).
//! Must not decide exit codes (that is [`crate::exit`]).

pub mod end;
pub mod job;
pub mod jobs;
pub mod show;
pub mod submit;
mod table;
mod view;
pub mod wait;
pub mod workers;

use std::time::Duration;

use anyhow::{Context, Result};
use mr_cluster::client::{Client, ClientOptions};
use mr_model::JobId;
use mr_net::{Limits, NodeRole};
use tokio::runtime::Runtime;

use crate::args::cluster::TargetArgs;
use crate::config::{self, Target};
use crate::exit::UsageError;
use crate::identity;

/// A runtime for a client: one thread keeps the connection alive while this one plans.
pub fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().context("the system gives no threads")
}

/// What a client of the cluster needs.
pub fn options(target: &Target, away_max: Duration) -> Result<ClientOptions> {
    Ok(ClientOptions {
        identity: identity::load(&target.identity, NodeRole::Client, None)?,
        coordinator: target.coordinator.clone(),
        limits: Limits::default(),
        away_max,
    })
}

/// Asks the cluster that is set.
fn ask<T>(args: &TargetArgs, question: impl AsyncFnOnce(&Client) -> Result<T>) -> Result<T> {
    let options = options(&config::required_target(args)?, args.away_max)?;
    runtime()?.block_on(async {
        let client = Client::connect(options).await?;
        let answer = question(&client).await;
        client.close().await;
        answer
    })
}

/// The name of a job as it was typed.
fn job_id(text: &str) -> Result<JobId, UsageError> {
    JobId::new(text).map_err(|error| UsageError(error.to_string()))
}

/// Milliseconds since 1970, now.
fn unix_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
