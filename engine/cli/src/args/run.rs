//! What can be typed about pipelines, and about runs that come again.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::args::policy::PolicyArgs;
use crate::args::{CacheArgs, RemoteArgs, parse_param};
use crate::size::{parse_millis, parse_size};

/// A pipeline and how it is run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The pipeline file (.toml)
    pub pipeline: PathBuf,
    /// A parameter of the pipeline, instead of what the file says
    #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = parse_param, help_heading = "Pipeline")]
    pub params: Vec<(String, String)>,
    /// Draw the pipeline and say what would run, without running it
    #[arg(long, help_heading = "Pipeline")]
    pub explain: bool,
    /// Draw the pipeline for Graphviz, without running it
    #[arg(long, conflicts_with = "explain", help_heading = "Pipeline")]
    pub dot: bool,
    /// Run all stages, also those that ran before with the same plugins, inputs and parameters
    #[arg(long, help_heading = "Pipeline")]
    pub fresh: bool,
    /// Keep the output that stages hand to each other
    #[arg(long, help_heading = "Pipeline")]
    pub keep: bool,
    /// Most stages that run at once; they share --workers and --memory
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=16),
        help_heading = "Pipeline")]
    pub parallel: u32,
    /// Folder for what stages hand to each other and what is known of earlier runs; on a cluster all nodes
    /// have to reach it [default: .mr-engine/NAME beside the pipeline file]
    #[arg(long, value_name = "DIR", help_heading = "Pipeline")]
    pub pipeline_dir: Option<PathBuf>,
    #[command(flatten)]
    pub again: AgainArgs,
    /// Tasks of all stages that run at once [default: the number of cores]; not on a cluster
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Resources")]
    pub workers: Option<u16>,
    /// Memory budget of all stages [default: a quarter of the machine's memory]; not on a cluster
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Resources")]
    pub memory: Option<u64>,
    /// Folder for temporary files [default: mr-engine-UID in the system's folder for these]
    #[arg(long, value_name = "DIR", env = "MR_ENGINE_WORK_DIR", help_heading = "Resources")]
    pub work_dir: Option<PathBuf>,
    #[command(flatten)]
    pub cache: CacheArgs,
    #[command(flatten)]
    pub policy: PolicyArgs,
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// Show no progress and no summary, only errors
    #[arg(long, short, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Show the plugins' log lines while stages run; on a cluster `job logs` shows them
    #[arg(long, short)]
    pub verbose: bool,
    /// Report progress and result as JSON, one object a line, on standard output
    #[arg(long)]
    pub json: bool,
}

/// Runs that come again.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Again and again")]
pub struct AgainArgs {
    /// Run now and then every so often, until interrupted; a time that falls into a run is skipped. Each run
    /// of `submit` makes run-000001 and so on in --output, or replaces it with --overwrite
    #[arg(long, value_name = "TIME", value_parser = parse_millis, conflicts_with = "watch")]
    pub every: Option<Duration>,
    /// Wait for new or changed files here (a file, a folder or a glob; may be given several times) and run with
    /// them, each exactly once, until interrupted. Takes the place of --input, and of `watch:` in a pipeline;
    /// each run makes run-000001 and so on in --output
    #[arg(long, value_name = "PATH")]
    pub watch: Vec<String>,
    /// With --watch: run once with what is new, if anything is, and end
    #[arg(long, requires = "watch")]
    pub once: bool,
    /// With --watch: leave files for later that were changed less than this ago
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_millis)]
    pub settle: Duration,
}

impl AgainArgs {
    /// Whether there is to be more than one run.
    pub fn is_asked(&self) -> bool {
        self.every.is_some() || !self.watch.is_empty()
    }
}
