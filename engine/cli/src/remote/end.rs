//! How a job on a cluster ended, where that was not well, and waits that were left.

use mr_cluster::protocol::{JobEnd, JobView};
use mr_model::{Failure, JobId};
use mr_runtime::JobReport;
use mr_scheduler::Outcome;

/// A job that ended without its output.
#[derive(Debug)]
pub struct JobFailed {
    /// The job.
    pub job: JobId,
    /// Why.
    pub cause: Cause,
}

/// Why a job has no output.
#[derive(Debug)]
pub enum Cause {
    /// As the scheduler says.
    Outcome(Outcome),
    /// The output could not be published.
    Output(String),
    /// The coordinator says that it ended, and not how.
    Unknown,
}

/// Somebody stopped waiting for a job, which goes on.
#[derive(Debug)]
pub struct Left {
    /// The job.
    pub job: JobId,
    /// Whether the coordinator has it for certain.
    pub accepted: bool,
}

impl JobFailed {
    /// The failure behind it, if there is one.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.cause {
            Cause::Outcome(Outcome::Failed { failure, .. } | Outcome::Aborted { failure }) => Some(failure),
            _ => None,
        }
    }
}

/// The report of a job that ended well.
pub fn report(view: JobView) -> Result<JobReport, JobFailed> {
    let cause = match view.end {
        Some(JobEnd::Succeeded(report)) => return Ok(*report),
        Some(JobEnd::Failed(outcome)) => Cause::Outcome(outcome),
        Some(JobEnd::Output(sentence)) => Cause::Output(sentence),
        None => Cause::Unknown,
    };
    Err(JobFailed { job: view.job, cause })
}

impl std::fmt::Display for JobFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let job = &self.job;
        match &self.cause {
            Cause::Outcome(Outcome::Cancelled) => write!(f, "job {job} was cancelled; no output was left"),
            Cause::Outcome(outcome) => write!(f, "job {job}: {outcome}"),
            Cause::Output(sentence) => write!(f, "job {job}: {sentence}"),
            Cause::Unknown => write!(f, "job {job} ended, and the coordinator does not say how"),
        }
    }
}

impl std::error::Error for JobFailed {}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let job = &self.job;
        let state = if self.accepted { "goes on" } else { "may have been submitted already" };
        write!(
            f,
            "interrupted; job {job} {state}: `mr-engine job wait {job}` waits for it, `mr-engine job cancel {job}` stops it"
        )
    }
}

impl std::error::Error for Left {}
