//! What is said where a policy does not allow something: one sentence that names what was asked, what is
//! allowed, the policy, and what to do.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mr_model::quantity::{size_text, time_text};
use serde::{Deserialize, Serialize};

use crate::key::PublicKey;
use crate::signature::SignatureError;

/// Keys named in a sentence; more are counted.
const KEYS_SHOWN_MAX: usize = 3;

/// How much of something, with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// Bytes.
    Bytes(u64),
    /// A number of things.
    Count(u64),
    /// A time.
    Time(Duration),
}

impl fmt::Display for Amount {
    /// As options take it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Bytes(bytes) => f.write_str(&size_text(*bytes)),
            Amount::Count(count) => count.fmt(f),
            Amount::Time(time) => f.write_str(&time_text(*time)),
        }
    }
}

/// A permission that a policy does not grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermissionRefusal {
    /// The job asks for more than the policy allows.
    #[error(
        "the job sets its limit of {permission} to {asked}, and the policy {policy} allows {cap}; give {option} {cap} or less"
    )]
    Over {
        /// What is asked for.
        permission: &'static str,
        /// How much of it.
        asked: Amount,
        /// How much is allowed.
        cap: Amount,
        /// The option that asks for it.
        option: &'static str,
        /// The policy.
        policy: String,
    },
    /// The job brings more side inputs than the policy allows.
    #[error("the side inputs of the job have {bytes} bytes together, and the policy {policy} allows {cap}")]
    Sides {
        /// Their size in bytes.
        bytes: u64,
        /// How much is allowed.
        cap: Amount,
        /// The policy.
        policy: String,
    },
    /// The job sets itself no bound where the policy has one.
    #[error(
        "the job sets no limit of {permission}, and the policy {policy} allows {cap}; give {option} {cap} or less"
    )]
    Unbounded {
        /// What is not bounded.
        permission: &'static str,
        /// How much is allowed.
        cap: Amount,
        /// The option that bounds it.
        option: &'static str,
        /// The policy.
        policy: String,
    },
    /// The job asks for what can only be granted or not, and is not.
    #[error("the job asks for {permission}, and the policy {policy} does not grant it; leave {option} out")]
    NotGranted {
        /// What is asked for.
        permission: &'static str,
        /// The option that asks for it.
        option: &'static str,
        /// The policy.
        policy: String,
    },
}

/// A plugin that a policy does not take. What is shown begins with a verb: the plugin goes before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComponentRefusal {
    /// It is too large.
    #[error(
        "has {bytes} bytes, and the policy {policy} allows {}; strip its debug information",
        Amount::Bytes(*cap)
    )]
    TooLarge {
        /// Its size, in bytes.
        bytes: u64,
        /// Largest size, in bytes.
        cap: u64,
        /// The policy.
        policy: String,
    },
    /// Its signatures do not count.
    #[error("{error} (the policy {policy} takes signed plugins)")]
    Signature {
        /// What is wrong.
        error: SignatureError,
        /// The policy.
        policy: String,
    },
    /// Nobody signed it.
    #[error(
        "is not signed, and the policy {policy} takes plugins that are signed by {}; sign it with `mr-engine sign`",
        one_of(trusted)
    )]
    Unsigned {
        /// Names of the keys that count.
        trusted: Vec<String>,
        /// The policy.
        policy: String,
    },
    /// Others signed it.
    #[error(
        "is signed by {}, and the policy {policy} takes plugins that are signed by {}",
        all_of(signers),
        one_of(trusted)
    )]
    Stranger {
        /// Who signed it.
        signers: Vec<PublicKey>,
        /// Names of the keys that count.
        trusted: Vec<String>,
        /// The policy.
        policy: String,
    },
    /// It is not one of those that are listed.
    #[error("is not among the plugins that the policy {policy} allows; its blake3 is {hash}")]
    Unlisted {
        /// BLAKE3 of its bytes, in hexadecimal.
        hash: String,
        /// The policy.
        policy: String,
    },
}

/// A path that a policy does not open to jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRefusal {
    /// What it is to the job: `input` or `output`.
    pub what: &'static str,
    /// The path.
    pub path: PathBuf,
    /// Where it leads to, if that is the reason.
    pub leads_to: Option<PathBuf>,
    /// What is open.
    pub folders: Vec<PathBuf>,
    /// The policy.
    pub policy: String,
}

impl fmt::Display for PathRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} {} ", self.what, self.path.display())?;
        match &self.leads_to {
            Some(target) => write!(f, "leads to {}", target.display())?,
            None => write!(f, "is not open to jobs")?,
        }
        write!(f, ", and the policy {} opens ", self.policy)?;
        match self.folders.as_slice() {
            [] => f.write_str("nothing"),
            [folder] => write!(f, "{} only", folder.display()),
            [first, rest @ ..] if rest.len() < KEYS_SHOWN_MAX => {
                write!(f, "{}", first.display())?;
                rest.iter().try_for_each(|folder| write!(f, ", {}", folder.display()))?;
                f.write_str(" only")
            }
            folders => write!(f, "{} folders only", folders.len()),
        }
    }
}

impl std::error::Error for PathRefusal {}

fn one_of(names: &[String]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [name] => name.clone(),
        names if names.len() <= KEYS_SHOWN_MAX => format!("one of {}", names.join(", ")),
        names => format!("one of its {} keys", names.len()),
    }
}

fn all_of(keys: &[PublicKey]) -> String {
    let mut text: Vec<String> = keys.iter().take(KEYS_SHOWN_MAX).map(PublicKey::to_string).collect();
    if let Some(more) = keys.len().checked_sub(KEYS_SHOWN_MAX).filter(|more| *more > 0) {
        text.push(format!("{more} more"));
    }
    text.join(", ")
}
