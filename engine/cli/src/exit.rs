//! Exit codes: one table, shown by `--help` and decided in one place.

use std::process::ExitCode;

use mr_cluster::client::ClientError;
use mr_cluster::protocol::Refused;
use mr_model::Failure;
use mr_net::IdentityError;
use mr_pipeline::watch::WatchError;
use mr_pipeline::{LedgerError, PipelineFault};
use mr_policy::key::KeyFileError;
use mr_policy::{PermissionRefusal, PolicyError};
use mr_runtime::{JobError, PlanError};
use mr_sandbox::{LoadError, SandboxError};
use mr_scheduler::Outcome;
use mr_storage::{OutputError, SplitError};
use mr_workshop::WorkshopError;

use crate::check::lines::Found;
use crate::policy::Unusable;
use crate::remote::end::{Cause, JobFailed, Left};
use crate::run::Differs;
use crate::words;
use crate::workshop::test::TestsFailed;

/// The table, for `--help` and the manual.
pub const TABLE: &str = "\
Exit codes:
    0  the job is done (also when the reader of standard output went away)
    1  a fault of the engine or of the machine
    2  command line, setting, key or certificate is wrong, or names what is not there or allowed
    3  an input is missing, unreadable, changed or malformed
    4  the output exists, cannot be written or published
    5  a plugin cannot be built or used: no component, wrong version, unsigned, stages do not fit
    6  a plugin failed: it trapped, answered with an error or rejected too many records
    7  a limit was passed: memory, time, record size
    8  no space left on a disk
    9  the cluster cannot be reached, has no workers, or refuses
   10  a plugin does not yield what its tests expect (`mr-engine test`)
   11  a condition of the job holds that fails it (`--fail-if`); nothing was published
  130  interrupted or cancelled; no output was left (a job on a cluster may go on: it is said so)";

/// An exit code with its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Fault = 1,
    Usage = 2,
    Input = 3,
    Output = 4,
    Plugin = 5,
    PluginFailed = 6,
    Limit = 7,
    Disk = 8,
    Cluster = 9,
    Tests = 10,
    Condition = 11,
    Interrupted = 130,
}

/// An option with a value that only the subcommand could check.
#[derive(Debug)]
pub struct UsageError(pub String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Somebody stopped this process before it had done what it was asked.
#[derive(Debug)]
pub struct Interrupted(pub &'static str);

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Interrupted {}

/// Says what went wrong, with the plugin's last words where there are any, and picks the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    eprintln!("mr-engine: {}", told(error));
    ExitCode::from(code(error) as u8)
}

/// What went wrong, with what a failed plugin left in lines of their own.
pub fn told(error: &anyhow::Error) -> String {
    let here = error.chain().find_map(|cause| cause.downcast_ref::<JobError>()).and_then(JobError::failure);
    let there = || error.chain().find_map(|cause| cause.downcast_ref::<JobFailed>())?.failure();
    let mut text = words::indented(&format!("{error:#}"));
    if let Some(left) = here.or_else(there).and_then(Failure::words) {
        for line in words::place(left).into_iter().chain(words::log(left)) {
            text.push_str("\n  ");
            text.push_str(&line);
        }
    }
    text
}

/// The reader of standard output went away, as `head` does: not an error.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn code(error: &anyhow::Error) -> Code {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<JobError>() {
            return job_code(error);
        }
        if let Some(error) = cause.downcast_ref::<PlanError>() {
            return plan_code(error);
        }
        if let Some(failed) = cause.downcast_ref::<JobFailed>() {
            return end_code(&failed.cause);
        }
        if let Some(error) = cause.downcast_ref::<ClientError>() {
            return client_code(error);
        }
        if cause.downcast_ref::<Left>().is_some() || cause.downcast_ref::<Interrupted>().is_some() {
            return Code::Interrupted;
        }
        if cause.downcast_ref::<IdentityError>().is_some()
            || cause.downcast_ref::<PolicyError>().is_some()
            || cause.downcast_ref::<PermissionRefusal>().is_some()
            || cause.downcast_ref::<KeyFileError>().is_some()
        {
            return Code::Usage;
        }
        if matches!(cause.downcast_ref(), Some(LoadError::CompileLimit { .. })) {
            return Code::Limit;
        }
        if cause.downcast_ref::<LoadError>().is_some()
            || cause.downcast_ref::<Unusable>().is_some()
            || cause.downcast_ref::<Found>().is_some()
            || crate::job::is_role_missing(cause)
        {
            return Code::Plugin;
        }
        if let Some(error) = cause.downcast_ref::<LedgerError>() {
            return if matches!(error, LedgerError::Busy { .. }) { Code::Usage } else { Code::Output };
        }
        if cause.downcast_ref::<PipelineFault>().is_some() {
            return Code::Usage;
        }
        if cause.downcast_ref::<Differs>().is_some() {
            return Code::PluginFailed;
        }
        if cause.downcast_ref::<WatchError>().is_some() {
            return Code::Output;
        }
        if let Some(error) = cause.downcast_ref::<WorkshopError>() {
            return workshop_code(error);
        }
        if cause.downcast_ref::<TestsFailed>().is_some() {
            return Code::Tests;
        }
        if cause.downcast_ref::<UsageError>().is_some() {
            return Code::Usage;
        }
        if cause.downcast_ref::<SandboxError>().is_some() {
            return Code::Fault;
        }
    }
    Code::Fault
}

fn workshop_code(error: &WorkshopError) -> Code {
    match error {
        error if error.is_build() => Code::Plugin,
        error if error.is_usage() => Code::Usage,
        _ => Code::Fault,
    }
}

fn plan_code(error: &PlanError) -> Code {
    match error {
        PlanError::Split(SplitError::NoFields { .. }) => Code::Usage,
        PlanError::Input(_) | PlanError::Split(_) | PlanError::Side(_) => Code::Input,
        PlanError::Memory(_) => Code::Limit,
        PlanError::Types { .. }
        | PlanError::Inputs { .. }
        | PlanError::Group { .. }
        | PlanError::Param { .. }
        | PlanError::ParamCount { .. } => Code::Plugin,
        PlanError::Options(_) => Code::Usage,
    }
}

fn job_code(error: &JobError) -> Code {
    match error {
        JobError::Cancelled => Code::Interrupted,
        JobError::Output(OutputError::Failed(failure)) => failure_code(failure),
        JobError::Output(_) => Code::Output,
        JobError::Attempt { failure, .. } | JobError::Sample(failure) | JobError::Job(failure) => {
            failure_code(failure)
        }
    }
}

/// How a job on a cluster ended.
fn end_code(cause: &Cause) -> Code {
    match cause {
        Cause::Outcome(Outcome::Failed { failure, .. } | Outcome::Aborted { failure }) => {
            failure_code(failure)
        }
        Cause::Outcome(Outcome::NoWorkers { .. }) => Code::Cluster,
        Cause::Outcome(Outcome::Cancelled) => Code::Interrupted,
        Cause::Output(_) => Code::Output,
        Cause::Outcome(Outcome::Succeeded) | Cause::Unknown => Code::Fault,
    }
}

fn client_code(error: &ClientError) -> Code {
    match error {
        ClientError::Connect(_) | ClientError::Away { .. } => Code::Cluster,
        ClientError::Refused(refused) => refused_code(refused),
        ClientError::Io { .. } => Code::Plugin,
        ClientError::Side(_) => Code::Input,
        ClientError::Socket(_) | ClientError::Protocol { .. } => Code::Fault,
    }
}

fn refused_code(refused: &Refused) -> Code {
    match refused {
        Refused::NoJob { .. } | Refused::NoWorker { .. } | Refused::Differs { .. } => Code::Usage,
        Refused::Permissions { .. } => Code::Usage,
        Refused::Component { .. } => Code::Plugin,
        Refused::Output { .. } => Code::Output,
        Refused::Role { .. }
        | Refused::Job { .. }
        | Refused::Malformed { .. }
        | Refused::ShuttingDown
        | Refused::Busy
        | Refused::Fault { .. } => Code::Cluster,
    }
}

fn failure_code(failure: &Failure) -> Code {
    match failure {
        Failure::Plugin { .. } | Failure::Rejects { .. } | Failure::RejectsShare { .. } => Code::PluginFailed,
        Failure::Condition { .. } => Code::Condition,
        Failure::Limit { .. } => Code::Limit,
        Failure::InputLost { .. } | Failure::InputChanged { .. } | Failure::InputRecord { .. } => Code::Input,
        Failure::Disk { full: true, .. } => Code::Disk,
        Failure::Disk { full: false, .. } => Code::Output,
        Failure::Refused { .. } => Code::Cluster,
        Failure::Cancelled => Code::Interrupted,
        Failure::Fetch { .. } | Failure::Corrupt { .. } | Failure::Internal { .. } => Code::Fault,
    }
}
