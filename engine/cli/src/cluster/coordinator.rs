//! `mr-engine coordinator`: runs the coordinator of a cluster until a signal ends it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use mr_cluster::coordinator::{self, CoordinatorOptions};
use mr_net::{Limits, NodeRole};
use mr_policy::Policy;
use mr_stores::StoreOutputs;

use super::service;
use crate::args::cluster::{CoordinatorArgs, Queue};
use crate::exit::UsageError;
use crate::identity;

/// Runs the coordinator.
pub fn run(args: &CoordinatorArgs) -> Result<()> {
    let options = CoordinatorOptions {
        identity: identity::load(&args.identity, NodeRole::Coordinator, None)?,
        listen: args.listen,
        data_dir: args.data_dir.clone(),
        worker_lease: args.worker_lease,
        no_worker_timeout: args.no_worker_timeout,
        queues: queues(&args.queues)?,
        keep_jobs: args.keep_jobs,
        policy: args.policy.as_deref().map(Policy::read).transpose()?.map(Arc::new),
        remote_outputs: Some(Arc::new(StoreOutputs::default())),
        limits: Limits::default(),
    };
    service::prepare(&args.log)?;
    let ready = |address| service::say_ready(&format!("coordinator ready at {address}"));
    service::serve(async |shutdown| Ok(coordinator::run(options, ready, shutdown).await?))
}

fn queues(queues: &[Queue]) -> Result<BTreeMap<String, (u32, Option<u32>)>, UsageError> {
    let mut named = BTreeMap::new();
    for queue in queues {
        if named.insert(queue.name.clone(), (queue.weight, queue.slots_max)).is_some() {
            return Err(UsageError(format!("--queue: {} is given twice", queue.name)));
        }
    }
    Ok(named)
}
