//! What can be typed: the benchmarks, and the references that the benchmarks start as processes of
//! their own.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Measures mr-engine against references that are measured in the same run.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build what is measured, run the benchmarks, print and keep the results
    All(AllArgs),
    /// Count words without a sandbox
    #[command(hide = true)]
    NativeCount(ReferenceArgs),
    /// Count words in hash tables over a text in memory
    #[command(hide = true)]
    NativeTuned(ReferenceArgs),
    /// Sort records of 100 bytes by their first 10
    #[command(hide = true)]
    NativeSort(ReferenceArgs),
    /// Run one mapper in the sandbox and natively, in turn
    #[command(hide = true)]
    Crossing(CrossingArgs),
}

#[derive(Debug, ClapArgs)]
pub struct AllArgs {
    /// Only this benchmark; may be given several times
    #[arg(long, value_name = "NAME")]
    pub only: Vec<Bench>,
    /// Small inputs, made from what is at hand: for seeing that it works, not for figures
    #[arg(long)]
    pub quick: bool,
    /// Measured runs of each contestant
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub runs: u16,
    /// Keep the results in this file [default: benches/runs/DATE-WHAT.txt; none with --quick]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct ReferenceArgs {
    /// The input file
    pub input: PathBuf,
    /// The output: a folder for counts, a file for sorted records
    pub output: PathBuf,
    /// Threads to use
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
}

#[derive(Debug, ClapArgs)]
pub struct CrossingArgs {
    /// The plugin whose mapper runs, one that this program also has natively
    pub plugin: PathBuf,
    /// The text that it maps
    pub input: PathBuf,
    /// Folder for compiled plugins
    #[arg(long)]
    pub cache: PathBuf,
    /// Measured runs of each side
    #[arg(long, default_value_t = 5)]
    pub runs: u16,
    /// Mapper that adds up early, instead of one that emits every word
    #[arg(long)]
    pub combining: bool,
}

/// The benchmarks, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bench {
    /// Word count against a native program and coreutils
    WordCount,
    /// Sort against GNU sort and a native program
    Sort,
    /// Search against GNU grep
    Grep,
    /// Many small files against one file of the same bytes
    SmallFiles,
    /// A mapper in the sandbox against the same one outside
    Crossing,
    /// A tiny job
    Start,
    /// Readers of formats against their crates alone, and jobs that copy rows
    Formats,
    /// A join and rounds of PageRank on what Debian tells of its packages
    Debian,
    /// Peak memory of jobs ten times their budget
    Memory,
    /// A coordinator and workers against the local runner, and what befalls them
    Cluster,
    /// Word count in every language; only where it is asked for, as it installs their toolchains
    Languages,
}

impl Bench {
    /// Those that run where none is named.
    pub const ALL: [Self; 10] = [
        Self::Start,
        Self::Crossing,
        Self::WordCount,
        Self::SmallFiles,
        Self::Sort,
        Self::Grep,
        Self::Formats,
        Self::Debian,
        Self::Memory,
        Self::Cluster,
    ];

    /// What stands above its results.
    pub fn title(self) -> &'static str {
        match self {
            Self::WordCount => "word count",
            Self::Sort => "sort",
            Self::Grep => "grep",
            Self::Formats => "formats",
            Self::Debian => "debian",
            Self::SmallFiles => "small files",
            Self::Crossing => "crossing the sandbox",
            Self::Start => "start-up",
            Self::Memory => "peak memory",
            Self::Cluster => "cluster",
            Self::Languages => "languages",
        }
    }
}
