//! What can be typed. What it means is decided in [`crate::job`] and the subcommands. What is typed
//! about clusters is in [`cluster`], about policies and signatures in [`policy`], about pipelines in [`run`],
//! about projects in [`workshop`].

pub mod cluster;
pub mod policy;
pub mod run;
pub mod workshop;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mr_model::condition::parse_job_condition;
use mr_model::{Compression, Condition, Fields, OutputFormat, parse_group_prefix};

use self::cluster::{
    ClusterCommand, CoordinatorArgs, JobCommand, JobsArgs, TargetArgs, WorkerArgs, WorkersArgs,
};
use self::policy::{CheckArgs, KeygenArgs, PolicyArgs, SignArgs, VerifyArgs};
use self::run::{AgainArgs, RunArgs};
use self::workshop::{BuildArgs, NewArgs, TestArgs};
use crate::size::{parse_millis, parse_percent, parse_size};

/// MapReduce with WebAssembly components: map, combine and reduce functions in any language, sandboxed.
#[derive(Debug, Parser)]
#[command(version, after_help = crate::exit::TABLE)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a job, here or on a cluster, and wait for its result
    Submit(Box<SubmitArgs>),
    /// Run a pipeline: jobs that read each other's output, as a file says
    Run(Box<RunArgs>),
    /// Show what a job would do (splits, tasks, memory, stages) without running it
    Explain(Box<ExplainArgs>),
    /// Show what a plugin is: roles, types, parameters, imports, size, hash
    Inspect(InspectArgs),
    /// Begin a plugin: a project in one of many languages
    New(NewArgs),
    /// Build a project's plugin with its language's tools
    Build(BuildArgs),
    /// Run a project's plugin over sample input and compare with what is expected
    Test(TestArgs),
    /// Find everything that would have plugins or a job refused, before it is submitted
    Check(Box<CheckArgs>),
    /// Make a key that signs plugins, and print its public half
    Keygen(KeygenArgs),
    /// Sign a plugin
    Sign(SignArgs),
    /// Check the signatures of a plugin and tell who made them
    Verify(VerifyArgs),
    /// Show every limit that bounds a plugin, and what plugins are given of the machine
    Limits(LimitsArgs),
    /// Jobs of a cluster, newest first
    Jobs(JobsArgs),
    /// One job of a cluster: its state, its end, its log
    #[command(subcommand)]
    Job(JobCommand),
    /// Workers of a cluster
    Workers(WorkersArgs),
    /// Make a cluster: certificates, or all of it on this machine
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Run the coordinator of a cluster
    Coordinator(CoordinatorArgs),
    /// Run a worker of a cluster, or tell one to leave
    Worker(Box<WorkerArgs>),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// What this program starts itself as, to run plugins apart from all else
    #[command(hide = true)]
    Executor(ExecutorArgs),
}

#[derive(Debug, Args)]
pub struct ExecutorArgs {
    /// Show what a process that runs plugins may not do
    #[arg(long)]
    pub probe: bool,
    /// With --probe: a file that it may read
    #[arg(long, value_name = "FILE", requires = "probe")]
    pub read: Vec<PathBuf>,
    /// With --probe: a folder that it may write to
    #[arg(long, value_name = "DIR", requires = "probe")]
    pub write: Vec<PathBuf>,
    /// With --probe: a file or folder that it tries although it may not
    #[arg(long, value_name = "PATH", requires = "probe")]
    pub forbidden: Vec<PathBuf>,
}

/// What compiling a plugin may cost, in a process of its own.
#[derive(Debug, Clone, Copy, Args)]
pub struct CompileArgs {
    /// Memory that compiling a plugin may take
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = parse_size, help_heading = "Resources")]
    pub compile_memory: u64,
    /// Processor time that compiling a plugin may take
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = parse_millis, help_heading = "Resources")]
    pub compile_time: std::time::Duration,
}

#[derive(Debug, Clone, Args)]
#[command(mut_arg("inputs", |input| input.required(false).required_unless_present("watch")))]
pub struct SubmitArgs {
    #[command(flatten)]
    pub job: JobArgs,
    #[command(flatten)]
    pub remote: RemoteArgs,
    #[command(flatten)]
    pub again: AgainArgs,
    /// Show no progress and no summary, only errors
    #[arg(long, short, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Show the plugins' log lines while the job runs; on a cluster `job logs` shows them
    #[arg(long, short)]
    pub verbose: bool,
    /// Report progress and result as JSON, one object a line: on standard output with --output, on
    /// standard error without
    #[arg(long)]
    pub json: bool,
}

/// Where and how a job runs on a cluster.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cluster")]
pub struct RemoteArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Run on this machine, also where a cluster is set
    #[arg(long)]
    pub local: bool,
    /// Print the job's name as soon as the cluster has it, and leave
    #[arg(long)]
    pub detach: bool,
    /// Queue of the job [default: default]
    #[arg(long, value_name = "NAME")]
    pub queue: Option<String>,
    /// Jobs of higher priority get free slots first [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub priority: Option<i32>,
    /// Share of the slots relative to other jobs of the queue with the same priority [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub weight: Option<u32>,
    /// Most tasks of the job that run at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_slots: Option<u32>,
    /// Start no second attempt of tasks that are slow
    #[arg(long)]
    pub no_speculation: bool,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The component (.wasm)
    pub plugin: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub policy: PolicyArgs,
    #[command(flatten)]
    pub cache: CacheArgs,
}

#[derive(Debug, Args)]
pub struct LimitsArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell to complete in
    pub shell: clap_complete::Shell,
}

/// A job, as `submit` and `explain` take it.
#[derive(Debug, Clone, Args)]
pub struct JobArgs {
    /// The plugin (.wasm): a component with any of the roles mapper, combiner, reducer, partitioner;
    /// a role that is missing is the identity, so a job without any plugin sorts its input, or with
    /// --reducers 0 copies it: from one format to another, say
    pub plugin: Option<PathBuf>,
    /// Take the mapper from this component; with NAME= that of the input NAME
    #[arg(long, value_name = "[NAME=]WASM", num_args = 1, help_heading = "Stages")]
    pub map: Vec<String>,
    /// Take the combiner from this component
    #[arg(long, value_name = "WASM", help_heading = "Stages")]
    pub combine: Option<PathBuf>,
    /// Take the reducer from this component
    #[arg(long, value_name = "WASM", help_heading = "Stages")]
    pub reduce: Option<PathBuf>,
    /// Take the partitioner from this component
    #[arg(long, value_name = "WASM", help_heading = "Stages")]
    pub partitioner: Option<PathBuf>,
    /// A parameter for the plugins; `inspect` shows which they take
    #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = parse_param, help_heading = "Stages")]
    pub params: Vec<(String, String)>,
    /// Number of reducers, thus of output files; 0 for a map-only job [default: one for each 64 MiB of
    /// input]
    #[arg(long, value_name = "N", help_heading = "Stages")]
    pub reducers: Option<u32>,
    /// How keys are spread over the reducers [default: as the plugin says, else hash]
    #[arg(long, value_name = "HOW", help_heading = "Stages")]
    pub partition: Option<PartitionArg>,
    /// Partition and group by the first N elements of the keys, which are tuples; the values of a group
    /// then come in the order of the other elements. 0: by the whole key [default: as the plugin says,
    /// else 0]
    #[arg(long, value_name = "N", value_parser = parse_group_prefix, help_heading = "Stages")]
    pub group_prefix: Option<u32>,

    /// A file, a folder (with all below it, but for names that begin with . or _) or a glob; may be
    /// given several times. NAME= makes it an input of that name, :FORMAT says how it is read
    #[arg(
        long = "input",
        short,
        value_name = "[NAME=]PATH[:FORMAT]",
        required = true,
        num_args = 1,
        help_heading = "Data"
    )]
    pub inputs: Vec<String>,
    /// Leave out what this glob matches, by the end of its path, of folders and globs; may be given several
    /// times
    #[arg(long, value_name = "GLOB", num_args = 1, help_heading = "Data")]
    pub exclude: Vec<String>,
    /// A file that the plugins may read under this name, whichever record they work on; may be given several
    /// times
    #[arg(long = "side", value_name = "NAME=PATH", value_parser = parse_side, help_heading = "Data")]
    pub sides: Vec<(String, PathBuf)>,
    /// Folder for the output, or s3://bucket/name; without it the result goes to standard output (not on a
    /// cluster)
    #[arg(long, short, value_name = "DIR", help_heading = "Data")]
    pub output: Option<PathBuf>,
    /// Replace a former output at --output, once the new one is complete (on a store: while it is published)
    #[arg(long, requires = "output", help_heading = "Data")]
    pub overwrite: bool,
    /// Force the output to disk before the job ends
    #[arg(long, requires = "output", help_heading = "Data")]
    pub sync: bool,
    /// How input becomes records: lines, line-keys, fixed:BYTES, fixed:BYTES:KEY, whole, csv, tsv, jsonl, kv,
    /// parquet, arrow, avro [default: as the plugin says, else as files are called that end in .parquet,
    /// .arrow, .avro or .kv, else lines]
    #[arg(long, value_name = "[NAME=]FORMAT", num_args = 1, help_heading = "Data")]
    pub input_format: Vec<String>,
    /// Most decoded bytes for each byte of a compressed file; one beyond it is taken for a trap
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Data")]
    pub max_expansion: Option<u64>,
    /// Fields that make the value of a row, in order: NAME, NAME:TYPE, NAME:TYPE? where values may be missing
    /// [default: as the plugin says, else all of them]
    #[arg(long, value_name = "[NAME=]FIELDS", num_args = 1, help_heading = "Data")]
    pub fields: Vec<String>,
    /// Fields that make the key of a row [default: as the plugin says, else none: the key tells the place]
    #[arg(long, value_name = "[NAME=]FIELDS", num_args = 1, help_heading = "Data")]
    pub key_fields: Vec<String>,
    /// How input files are compressed: none, gzip, bzip2, zstd, lz4 [default: as their names say]
    #[arg(long, value_name = "[NAME=]KIND", num_args = 1, help_heading = "Data")]
    pub compression: Vec<String>,
    /// How records become output: text (key TAB value NEWLINE), raw (key and value end to end), jsonl, csv or
    /// tsv (with ,delimiter=C ,quote=C|none ,header=yes|no), kv (the engine's own), parquet [default: text, raw
    /// for fixed-length records that no plugin changes]
    #[arg(long, value_name = "FORMAT", help_heading = "Data")]
    pub output_format: Option<OutputFormat>,
    /// How output files are compressed: none, gzip, bzip2, zstd, lz4 [default: none]
    #[arg(long, value_name = "KIND", help_heading = "Data")]
    pub output_compression: Option<Compression>,
    /// Names of the columns of the output, in order, where its format has them [default: as the plugin says,
    /// else key and value]
    #[arg(long, value_name = "NAMES", help_heading = "Data")]
    pub output_fields: Option<Fields>,
    /// Size at which an output file is ended and the next one begun [default: one file for each task]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Data")]
    pub output_file_size: Option<u64>,
    /// Size that input is split by: one map task each
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = parse_size, help_heading = "Data")]
    pub split_size: u64,

    /// Tasks that run at once [default: the number of cores]; not on a cluster, whose workers have slots
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Resources")]
    pub workers: Option<u16>,
    /// Memory budget; what does not fit is spilled to --work-dir [default: a quarter of the machine's
    /// memory]; not on a cluster, whose workers have their own
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Resources")]
    pub memory: Option<u64>,
    /// Memory of the plugins of one task, out of --memory [default: a quarter of the task's share]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Resources")]
    pub guest_memory: Option<u64>,
    /// Longest time that a plugin may run without a sign of progress (returning, emitting)
    #[arg(long, value_name = "TIME", default_value = "600s", value_parser = parse_millis, help_heading = "Resources")]
    pub task_timeout: std::time::Duration,
    /// Longest time that one attempt at a task may take in all; at most 720h
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_millis, help_heading = "Resources")]
    pub max_task_time: std::time::Duration,
    /// Longest record (line), key and value together; at most 16M
    #[arg(long, value_name = "SIZE", default_value = "1M", value_parser = parse_size, help_heading = "Resources")]
    pub max_record: u64,
    /// Records that the plugins may reject, or trap on, before the job fails, or per cent of all input records,
    /// which is judged at the end; 100000 at most in any case. They are left out and kept in _rejects.jsonl
    #[arg(long, value_name = "N|P%", default_value = "0", value_parser = parse_rejects, help_heading = "Resources")]
    pub max_rejects: RejectsArg,
    /// Fail the job and publish nothing if a counter is so in the end, like "errors/bad date > 10"; OP is one
    /// of < <= == != >= >, a counter that nobody counted is 0; may be given several times. The engine's own:
    /// mr/input-records, mr/input-bytes, mr/map-output-records, mr/map-output-bytes, mr/shuffle-records,
    /// mr/reduce-groups, mr/output-records, mr/output-bytes, mr/rejects
    #[arg(long, value_name = "COUNTER OP NUMBER", num_args = 1, requires = "output", value_parser = parse_job_condition,
        help_heading = "Resources")]
    pub fail_if: Vec<Condition>,
    /// Most bytes of keys and values that the plugins of one attempt at a task may emit
    #[arg(long, value_name = "SIZE", default_value = "256G", value_parser = parse_size, help_heading = "Resources")]
    pub max_task_output: u64,
    /// Most records that the plugins of one attempt at a task may emit
    #[arg(long, value_name = "N", default_value_t = mr_model::limit::TASK_OUTPUT_RECORDS_DEFAULT,
        help_heading = "Resources")]
    pub max_task_records: u64,
    /// Most bytes of map output, after combining, that the job may make
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Resources")]
    pub max_shuffle: Option<u64>,
    /// Most bytes of output that the job may write
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Resources")]
    pub max_output: Option<u64>,
    /// Most records of output that the job may write
    #[arg(long, value_name = "N", help_heading = "Resources")]
    pub max_output_records: Option<u64>,
    /// Let the plugins' clock start at the time of submission instead of a fixed moment: the output may
    /// then depend on when the job ran
    #[arg(long, help_heading = "Resources")]
    pub wall_clock: bool,
    /// Attempts of a task before the job fails, for failures that another attempt may mend
    #[arg(long, value_name = "N", default_value_t = mr_model::limit::ATTEMPTS_MAX,
        value_parser = clap::value_parser!(u32).range(1..=100), help_heading = "Resources")]
    pub max_attempts: u32,
    /// Folder for temporary files [default: mr-engine-UID in the system's folder for these]
    #[arg(long, value_name = "DIR", env = "MR_ENGINE_WORK_DIR", help_heading = "Resources")]
    pub work_dir: Option<PathBuf>,
    #[command(flatten)]
    pub cache: CacheArgs,
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Name of the job: a-z, 0-9 and '-' [default: made from the time]
    #[arg(long, value_name = "ID", help_heading = "Resources")]
    pub job_id: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct CacheArgs {
    /// Folder for compiled plugins [default: mr-engine in the user's cache folder]
    #[arg(long, value_name = "DIR", env = "MR_ENGINE_CACHE_DIR", help_heading = "Resources")]
    pub cache_dir: Option<PathBuf>,
    /// Compile plugins anew and keep nothing
    #[arg(long, conflicts_with = "cache_dir", help_heading = "Resources")]
    pub no_cache: bool,
    #[command(flatten)]
    pub compile: CompileArgs,
}

/// Rejects that are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectsArg {
    /// So many.
    Count(u64),
    /// So many of a million input records.
    PerMillion(u32),
}

/// How keys are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PartitionArg {
    /// By the engine's stable hash
    Hash,
    /// By ranges with sampled boundaries: the output files in order are sorted as a whole
    Range,
    /// By the partitioner component
    Plugin,
}

fn parse_rejects(text: &str) -> Result<RejectsArg, String> {
    if text.ends_with('%') {
        return parse_percent(text).map(RejectsArg::PerMillion);
    }
    let count = text.parse().map(RejectsArg::Count);
    count.map_err(|_| "use a number, or per cent of the input records, as in 0.5%".to_owned())
}

fn parse_side(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), path.into())),
        _ => Err("use NAME=PATH".to_owned()),
    }
}

fn parse_param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("use NAME=VALUE".to_owned()),
    }
}
