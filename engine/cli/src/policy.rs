//! The policy that holds for a command: which file it is, and what it says to plugins before any of their
//! code is compiled or run. Verdicts themselves are those of [`mr_policy`].

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use mr_policy::{Approval, ComponentRefusal, Policy};
use mr_sandbox::{Plugin, read_component};

use crate::args::policy::PolicyArgs;
use crate::config;

/// A plugin that cannot be used, whatever it does. The reason begins with a verb.
#[derive(Debug)]
pub struct Unusable {
    /// Its file.
    pub path: PathBuf,
    /// Why not.
    pub reason: String,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin {} {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for Unusable {}

/// The policy that holds, if any. `config` is the configuration file that was asked for.
///
/// # Errors
/// A configuration file, a policy or a key that cannot be used.
pub fn read(args: &PolicyArgs, config: Option<&Path>) -> Result<Option<Policy>> {
    let file = config::policy_file(args.policy.as_deref(), config)?;
    Ok(file.as_deref().map(Policy::read).transpose()?)
}

/// A plugin's file that a policy has looked at.
pub struct Seen {
    hash: blake3::Hash,
}

/// Looks at a plugin's file before it is loaded.
///
/// # Errors
/// A file that cannot be read; [`Unusable`] where the policy does not take it.
pub fn look(policy: &Policy, path: &Path) -> Result<Seen> {
    let bytes = read_component(path)?;
    let hash = blake3::hash(&bytes);
    match policy.check_component(&bytes, &hash) {
        Ok(_) => Ok(Seen { hash }),
        Err(refusal) => Err(Unusable { path: path.to_owned(), reason: refusal.to_string() }.into()),
    }
}

impl Seen {
    /// Whether what was loaded is what was looked at.
    ///
    /// # Errors
    /// [`Unusable`] where somebody replaced the file in between.
    pub fn check(&self, plugin: &Plugin) -> Result<(), Unusable> {
        if plugin.hash() == self.hash.to_hex().as_str() {
            return Ok(());
        }
        let reason = "changed while it was loaded; try again".to_owned();
        Err(Unusable { path: plugin.path().to_owned(), reason })
    }
}

/// What a policy says of a plugin.
///
/// # Errors
/// A file that cannot be read.
pub fn verdict(policy: &Policy, path: &Path) -> Result<Result<Approval, ComponentRefusal>> {
    let bytes = read_component(path)?;
    Ok(policy.check_component(&bytes, &blake3::hash(&bytes)))
}
