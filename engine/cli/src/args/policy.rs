//! What can be typed about policies, signatures and checks.

use std::path::PathBuf;

use clap::Args;

use crate::args::JobArgs;

/// Which policy holds.
#[derive(Debug, Clone, Args)]
pub struct PolicyArgs {
    /// Refuse what this policy file does not allow [default: `policy` in the configuration file]
    #[arg(long, value_name = "FILE", env = "MR_ENGINE_POLICY", help_heading = "Policy")]
    pub policy: Option<PathBuf>,
}

/// What is checked: plugins alone, or a job with some of the options of `submit`.
#[derive(Debug, Args)]
#[command(mut_arg("inputs", |input| input.required(false)))]
#[command(mut_arg("plugin", |plugin| plugin.required_unless_present_any(["map", "combine", "reduce"])))]
pub struct CheckArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Further plugins, each checked for itself
    #[arg(value_name = "PLUGIN")]
    pub more: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// File for the private key, which must not exist
    #[arg(value_name = "KEY")]
    pub key: PathBuf,
}

#[derive(Debug, Args)]
pub struct SignArgs {
    /// The component (.wasm), which is replaced by the signed one
    pub plugin: PathBuf,
    /// File with the private key: Ed25519 in PEM, as `mr-engine keygen` or `openssl genpkey` made it
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Write the signed component to this file instead
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The component (.wasm)
    pub plugin: PathBuf,
    /// A public key that counts, in a file or as ed25519:HEX; may be given several times, and the signature
    /// of one of them is enough [default: any]
    #[arg(long = "key", value_name = "KEY")]
    pub keys: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
