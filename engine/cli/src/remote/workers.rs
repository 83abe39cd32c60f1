//! `mr-engine workers`, and `mr-engine worker drain`.

use std::io::Write;

use anyhow::Result;
use mr_cluster::client::Client;
use mr_cluster::protocol::WorkerView;

use super::table::table;
use super::view;
use crate::args::cluster::{DrainArgs, WorkersArgs};
use crate::size::{bytes, count};

/// Prints the workers.
pub fn run(args: &WorkersArgs) -> Result<()> {
    let workers = super::ask(&args.target, async |client: &Client| Ok(client.workers().await?))?;
    let text = if args.json {
        workers.iter().map(|worker| format!("{}\n", view::worker(worker))).collect()
    } else {
        as_table(&workers)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Tells a worker to leave.
pub fn drain(args: &DrainArgs) -> Result<()> {
    super::ask(&args.target, async |client: &Client| Ok(client.drain(&args.name).await?))?;
    writeln!(
        std::io::stdout(),
        "worker {} takes nothing new, and ends when its tasks are done and its map output is not needed any more",
        args.name
    )?;
    Ok(())
}

fn as_table(workers: &[WorkerView]) -> String {
    let rows: Vec<[String; 6]> = workers
        .iter()
        .map(|worker| {
            [
                worker.name.clone(),
                view::worker_state(worker).to_owned(),
                format!("{}/{}", worker.running, worker.slots),
                count(worker.outputs),
                bytes(worker.disk_free_bytes),
                worker.address.clone(),
            ]
        })
        .collect();
    table(["WORKER", "STATE", "SLOTS", "OUTPUTS", "DISK FREE", "ADDRESS"], &rows)
}
