//! What can be typed about clusters.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::args::CompileArgs;
use crate::size::{parse_millis, parse_reserve, parse_size};

/// Which cluster is meant.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// Coordinator of the cluster [default: `cluster` in the configuration file]
    #[arg(long, value_name = "HOST:PORT", env = "MR_ENGINE_CLUSTER", help_heading = "Cluster")]
    pub cluster: Option<String>,
    /// Folder with ca.pem and the client's certificate and key [default: `identity` in the configuration
    /// file]
    #[arg(long, value_name = "DIR", env = "MR_ENGINE_IDENTITY", help_heading = "Cluster")]
    pub identity: Option<PathBuf>,
    /// Configuration file [default: mr-engine/config.toml in the user's folder for these, ~/.config]
    #[arg(long, value_name = "FILE", env = "MR_ENGINE_CONFIG", help_heading = "Cluster")]
    pub config: Option<PathBuf>,
    /// How long the coordinator may be away before this command gives up
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = parse_millis, help_heading = "Cluster")]
    pub away_max: Duration,
}

#[derive(Debug, Args)]
pub struct JobsArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Most jobs shown
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Show how a job stands
    Status(OneJobArgs),
    /// Wait for the end of a job; ends with the exit code that the job has
    Wait(WaitArgs),
    /// Stop a job; no output is left
    Cancel(CancelArgs),
    /// Print what plugins logged and why attempts failed, attempt by attempt
    Logs(OneJobArgs),
}

#[derive(Debug, Args)]
pub struct OneJobArgs {
    /// The job
    pub job: String,
    #[command(flatten)]
    pub target: TargetArgs,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct WaitArgs {
    /// The job
    pub job: String,
    #[command(flatten)]
    pub target: TargetArgs,
    /// Show no progress and no summary, only errors
    #[arg(long, short)]
    pub quiet: bool,
    /// Report progress and result as JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The job
    pub job: String,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Debug, Args)]
pub struct WorkersArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Mint the cluster's authority and a certificate for each node
    Init(InitArgs),
    /// Mint a certificate for another node, or a new one for a node whose old files were moved away
    Add(AddArgs),
    /// Run a coordinator and workers on this machine, for trying out and for tests
    Up(UpArgs),
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder for the certificates; made if it is not there
    pub dir: PathBuf,
    /// Host name or address of the coordinator, for its certificate; may be given several times
    #[arg(long, value_name = "HOST")]
    pub coordinator_host: Vec<String>,
    /// Number of workers, which are named worker-1 and so on
    #[arg(long, value_name = "N", conflicts_with = "worker", value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub workers: Option<u32>,
    /// Name of a worker (a-z, 0-9 and -); may be given several times
    #[arg(long, value_name = "NAME")]
    pub worker: Vec<String>,
    /// Name of a client; may be given several times [default: one, named client]
    #[arg(long, value_name = "NAME")]
    pub client: Vec<String>,
}

#[derive(Debug, Args)]
pub struct AddArgs {
    /// The folder that `cluster init` made, with ca.key
    pub dir: PathBuf,
    /// What the node is
    pub role: AddRole,
    /// Its name (a-z, 0-9 and -); that of the coordinator is coordinator
    pub name: String,
    /// Host name or address of the node, for its certificate; may be given several times
    #[arg(long, value_name = "HOST")]
    pub host: Vec<String>,
}

/// What can be added to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AddRole {
    /// Schedules jobs; a cluster has one
    Coordinator,
    /// Runs tasks
    Worker,
    /// Submits jobs and asks about them
    Client,
}

#[derive(Debug, Args)]
pub struct UpArgs {
    /// Number of workers
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: u32,
    /// Tasks that each worker runs at once [default: the number of cores divided by the workers, rounded
    /// up]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub slots: Option<u32>,
    /// Memory of each worker [default: a quarter of the machine's, divided by the workers]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// Folder for certificates, data and logs, which must be empty or new and is kept [default: a
    /// temporary one, which is removed]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// See `coordinator --worker-lease`
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_millis)]
    pub worker_lease: Duration,
    /// See `worker --shuffle-codec`
    #[arg(long, value_name = "CODEC", default_value = "auto")]
    pub shuffle_codec: CodecArg,
    /// See `worker --isolation`
    #[arg(long, value_name = "HOW", default_value = "process")]
    pub isolation: IsolationArg,
    /// See `coordinator --policy` and `worker --policy`
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Run this command with the cluster set (MR_ENGINE_CONFIG), then take the cluster down and end with
    /// the command's exit code
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<std::ffi::OsString>,
}

#[derive(Debug, Args)]
pub struct CoordinatorArgs {
    /// Folder with ca.pem, coordinator.pem and coordinator.key
    #[arg(long, value_name = "DIR")]
    pub identity: PathBuf,
    /// Folder for the journal and the components of jobs; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:7077")]
    pub listen: SocketAddr,
    /// Time without a sign of life after which a worker is lost, and what it runs is run elsewhere
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_millis)]
    pub worker_lease: Duration,
    /// A queue of jobs: its share of the slots relative to other queues, and the most slots that its jobs
    /// use together; may be given several times [default: one queue, `default`]
    #[arg(long = "queue", value_name = "NAME=WEIGHT[:CAP]", value_parser = parse_queue)]
    pub queues: Vec<Queue>,
    /// Ended jobs that are kept in the history
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub keep_jobs: u64,
    /// Time without any worker after which jobs fail
    #[arg(long, value_name = "TIME", default_value = "300s", value_parser = parse_millis)]
    pub no_worker_timeout: Duration,
    /// Refuse jobs and plugins that this policy file does not allow; it is read once, at the start
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct WorkerArgs {
    #[command(subcommand)]
    pub command: Option<WorkerCommand>,
    #[command(flatten)]
    pub run: WorkerRunArgs,
}

#[derive(Debug, Subcommand)]
pub enum WorkerCommand {
    /// Tell a worker to finish what it has and leave
    Drain(DrainArgs),
}

#[derive(Debug, Args)]
pub struct DrainArgs {
    /// The worker
    pub name: String,
    #[command(flatten)]
    pub target: TargetArgs,
}

/// What is required here is required only where no order for a worker is typed.
#[derive(Debug, Args)]
pub struct WorkerRunArgs {
    /// Folder with ca.pem and the worker's certificate and key
    #[arg(long, value_name = "DIR", required = true)]
    pub identity: Option<PathBuf>,
    /// Name of the worker, where the folder has several
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The coordinator
    #[arg(long, value_name = "HOST:PORT", required = true)]
    pub coordinator: Option<String>,
    /// Folder for map output and components, of this worker alone; made if it is not there
    #[arg(long, value_name = "DIR", required = true)]
    pub data_dir: Option<PathBuf>,
    /// Folder for compiled plugins [default: in --data-dir]
    #[arg(long, value_name = "DIR", env = "MR_ENGINE_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Address to listen on for other workers, which fetch map output; port 0 is any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:0")]
    pub listen: SocketAddr,
    /// Address at which other workers reach this one [default: --listen, with the machine's name if that
    /// is every address]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub advertise: Option<String>,
    /// Tasks that run at once [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub slots: Option<u32>,
    /// Memory budget; what does not fit is spilled to --data-dir [default: a quarter of the machine's
    /// memory]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// Free space of --data-dir below which the worker takes no tasks, and ends the one that fills it
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = parse_reserve)]
    pub disk_reserve: u64,
    /// How map output is stored and sent; auto is none where the coordinator is on this machine, else lz4
    #[arg(long, value_name = "CODEC", default_value = "auto")]
    pub shuffle_codec: CodecArg,
    /// Fetch map output of other workers on this machine, too, instead of reading it where it lies
    #[arg(long)]
    pub no_near: bool,
    /// How plugins are kept from the worker: each attempt in a process with few rights (process), the same
    /// or no worker where the system lacks a wall (require), or in threads of the worker (none)
    #[arg(long, value_name = "HOW", default_value = "process")]
    pub isolation: IsolationArg,
    #[command(flatten)]
    pub compile: CompileArgs,
    /// Refuse jobs and plugins that this policy file does not allow, whatever the coordinator accepted; it
    /// is read once, at the start
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogArgs,
}

/// How plugins are kept from a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IsolationArg {
    /// In processes, with the walls that the system offers
    Process,
    /// In processes, with all walls
    Require,
    /// In threads
    None,
}

impl IsolationArg {
    /// As it is typed.
    pub fn as_str(self) -> &'static str {
        match self {
            IsolationArg::Process => "process",
            IsolationArg::Require => "require",
            IsolationArg::None => "none",
        }
    }
}

/// How map output is stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CodecArg {
    /// By where the coordinator is
    Auto,
    /// LZ4
    Lz4,
    /// As it is
    None,
}

impl CodecArg {
    /// As it is typed.
    pub fn as_str(self) -> &'static str {
        match self {
            CodecArg::Auto => "auto",
            CodecArg::Lz4 => "lz4",
            CodecArg::None => "none",
        }
    }
}

/// How a coordinator or a worker tells what it does.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// What is logged to standard error: error, warn, info, debug, trace, or directives such as
    /// mr_cluster=debug
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    pub log: String,
    /// How it is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Process that this one ends with, when it is its parent.
    #[arg(long, value_name = "PID", hide = true)]
    pub exit_with_parent: Option<i32>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One object a line
    Json,
}

/// A queue of jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Its share of the slots relative to other queues.
    pub weight: u32,
    /// Most slots of its jobs together.
    pub slots_max: Option<u32>,
}

fn parse_queue(text: &str) -> Result<Queue, String> {
    let usage = || "use NAME=WEIGHT or NAME=WEIGHT:CAP, as in nightly=1:8".to_owned();
    let (name, share) = text.split_once('=').ok_or_else(usage)?;
    let (weight, cap) = match share.split_once(':') {
        Some((weight, cap)) => (weight, Some(cap)),
        None => (share, None),
    };
    let positive = |text: &str| text.parse().ok().filter(|number: &u32| *number > 0).ok_or_else(usage);
    if name.is_empty() {
        return Err(usage());
    }
    Ok(Queue { name: name.to_owned(), weight: positive(weight)?, slots_max: cap.map(positive).transpose()? })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    /// The same word runs a worker and gives orders to one.
    #[test]
    fn a_worker_is_run_or_told() {
        let parse = |line: &str| -> Result<WorkerArgs, clap::error::ErrorKind> {
            let cli = Cli::try_parse_from(line.split(' ')).map_err(|error| error.kind())?;
            let Command::Worker(args) = cli.command else { panic!("{line}") };
            Ok(*args)
        };
        let run = parse("mr-engine worker --identity i --coordinator h:1 --data-dir d").unwrap();
        assert!(run.command.is_none() && run.run.coordinator.as_deref() == Some("h:1"));
        let told = parse("mr-engine worker drain w1 --cluster h:1").unwrap();
        assert!(matches!(told.command, Some(WorkerCommand::Drain(args)) if args.name == "w1"));
        let missing = clap::error::ErrorKind::MissingRequiredArgument;
        assert_eq!(parse("mr-engine worker --identity i --coordinator h:1").unwrap_err(), missing);
        let both = parse("mr-engine worker --identity i --coordinator h:1 --data-dir d drain w1");
        assert_eq!(both.unwrap_err(), clap::error::ErrorKind::ArgumentConflict);
    }

    #[test]
    fn queues_parse() {
        let queue = |weight, slots_max| Queue { name: "nightly".to_owned(), weight, slots_max };
        assert_eq!(parse_queue("nightly=3"), Ok(queue(3, None)));
        assert_eq!(parse_queue("nightly=1:8"), Ok(queue(1, Some(8))));
        for bad in ["", "nightly", "=1", "nightly=", "nightly=0", "nightly=1:", "nightly=1:0", "nightly=-1"] {
            assert!(parse_queue(bad).is_err(), "{bad}");
        }
    }
}
