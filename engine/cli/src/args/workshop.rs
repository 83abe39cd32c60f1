//! What can be typed about projects: making, building and testing plugins.

use std::path::PathBuf;

use clap::Args;

use super::CacheArgs;

#[derive(Debug, Args)]
pub struct NewArgs {
    /// Name of the plugin and of its folder, which is made here: a-z, 0-9 and '-'
    pub name: String,
    /// The language; a wrong name lists all
    #[arg(long, short, value_name = "LANG")]
    pub lang: String,
    /// What it begins with: wordcount, grep, join or empty
    #[arg(long, short, value_name = "NAME", default_value = "wordcount")]
    pub template: String,
}

#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Folder of the project
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Folder with a folder of tools for each language (LANG/bin), which go before those on PATH
    #[arg(long, value_name = "DIR", env = "MR_ENGINE_TOOLCHAINS")]
    pub toolchains: Option<PathBuf>,
    /// Show what the tools say, also where they succeed
    #[arg(long, short)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    #[command(flatten)]
    pub build: BuildArgs,
    /// Run only this case; may be given several times
    #[arg(long = "case", value_name = "NAME")]
    pub cases: Vec<String>,
    /// Test build/NAME.wasm as it is, without building it
    #[arg(long)]
    pub no_build: bool,
    /// Write what the plugin yields to expected.txt, instead of comparing
    #[arg(long)]
    pub accept: bool,
    #[command(flatten)]
    pub cache: CacheArgs,
}
