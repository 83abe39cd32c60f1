//! What a cluster tells, as JSON for programs and as words for people.

use mr_cluster::protocol::{AttemptRecord, JobEnd, JobState, JobView, WorkerView};
use mr_scheduler::Outcome;
use serde_json::{Value, json};

/// A job.
pub fn job(view: &JobView) -> Value {
    let mut value = progress(view);
    value["number"] = view.number.into();
    value["submitted_unix_millis"] = view.submitted_unix_millis.into();
    value["ended_unix_millis"] = view.ended_unix_millis.into();
    value["output"] = view.output.to_string_lossy().into();
    value["maps_rerun"] = view.maps_rerun.into();
    value["end"] = view.end.as_ref().map(end).into();
    value
}

/// How far a job has come.
pub fn progress(view: &JobView) -> Value {
    json!({
        "job": view.job,
        "state": state(view),
        "input_bytes": view.input_bytes,
        "map_tasks_total": view.maps.total,
        "map_tasks_running": view.maps.running,
        "map_tasks": view.maps.done,
        "map_parts_per_million": view.maps_parts_per_million,
        "reduce_tasks_total": view.reduces.total,
        "reduce_tasks_running": view.reduces.running,
        "reduce_tasks": view.reduces.done,
        "reduce_parts_per_million": view.reduces_parts_per_million,
        "output_records": view.output_records,
        "output_bytes": view.output_bytes,
        "attempts_failed": view.attempts_failed,
    })
}

/// The state of a job in one word.
pub fn state(view: &JobView) -> &'static str {
    match (&view.state, &view.end) {
        (JobState::Running, _) => "running",
        (JobState::Publishing, _) => "publishing",
        (JobState::Ended, Some(JobEnd::Succeeded(_))) => "succeeded",
        (JobState::Ended, Some(JobEnd::Failed(Outcome::Cancelled))) => "cancelled",
        (JobState::Ended, _) => "failed",
    }
}

/// An attempt.
pub fn attempt(record: &AttemptRecord) -> Value {
    json!({
        "attempt": record.attempt.to_string(),
        "worker": record.worker,
        "started_unix_millis": record.started_unix_millis,
        "ended_unix_millis": record.ended_unix_millis,
        "failure": record.failure,
        "error": record.failure.as_ref().map(ToString::to_string),
        "report": record.report,
        "log": record.log,
    })
}

/// A worker.
pub fn worker(view: &WorkerView) -> Value {
    json!({
        "name": view.name,
        "state": worker_state(view),
        "incarnation": view.incarnation,
        "address": view.address,
        "live": view.live,
        "connected": view.connected,
        "draining": view.draining,
        "set_aside": view.set_aside,
        "slots": view.slots,
        "running": view.running,
        "outputs": view.outputs,
        "disk_free_bytes": view.disk_free_bytes,
    })
}

/// The state of a worker in a word or two: what keeps it from taking tasks comes first.
pub fn worker_state(view: &WorkerView) -> &'static str {
    match view {
        WorkerView { live: false, .. } => "lost",
        WorkerView { draining: true, .. } => "draining",
        WorkerView { connected: false, .. } => "not connected",
        WorkerView { set_aside: true, .. } => "set aside",
        WorkerView { slots: 0, .. } => "disk full",
        _ => "ready",
    }
}

fn end(end: &JobEnd) -> Value {
    match end {
        JobEnd::Succeeded(report) => json!({ "report": report.json().unwrap_or_default() }),
        JobEnd::Failed(Outcome::Failed { attempt, failure }) => {
            json!({ "error": failure.to_string(), "attempt": attempt.to_string(), "failure": failure })
        }
        JobEnd::Failed(Outcome::Aborted { failure }) => {
            json!({ "error": failure.to_string(), "failure": failure })
        }
        JobEnd::Failed(outcome) => json!({ "error": outcome.to_string() }),
        JobEnd::Output(sentence) => json!({ "error": sentence }),
    }
}
