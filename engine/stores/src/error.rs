//! What can go wrong with an object: one closed enum, from what a server answered to the failure of an
//! attempt. What a server says is cut and cleaned before it is shown; credentials are in none of it,
//! because requests and their headers are not looked at here.

use std::error::Error;
use std::path::PathBuf;

use mr_model::Failure;

use crate::transport::{Exhausted, Refusal};

/// An object, a pattern or a setting, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {problem}")]
pub struct StoreError {
    /// What was asked for, without what could be secret in its query.
    pub url: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The address cannot be one.
    #[error("is no address of an object: {0}")]
    BadAddress(String),
    /// The glob cannot be read.
    #[error("is no pattern: {0}")]
    BadPattern(String),
    /// There is no such object or bucket.
    #[error("there is no such object")]
    Missing,
    /// Nothing has this name or lies below it.
    #[error("no object matches")]
    NoMatch,
    /// More objects than are listed.
    #[error("there are more than {0} objects below it; name fewer with a longer prefix")]
    TooMany(usize),
    /// The store knows who asks, or cannot tell, and says no.
    #[error(
        "access is denied ({0}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or AWS_PROFILE and its files, and what their owner may do"
    )]
    Denied(String),
    /// No credentials were found anywhere.
    #[error(
        "no credentials were found ({0}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or AWS_SKIP_SIGNATURE=true for a public bucket"
    )]
    NoCredentials(String),
    /// The bucket lies in another region.
    #[error("the bucket is in region {0}; set AWS_REGION={0}")]
    OtherRegion(String),
    /// A server cannot be reached, does not answer, or is too busy, and goes on like that.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// A transfer broke off.
    #[error("the transfer broke off: {0}")]
    Interrupted(String),
    /// The object is another one than was listed.
    #[error("it is not what it was: {0}")]
    Changed(String),
    /// A condition of a write does not hold.
    #[error("it was written by somebody else meanwhile")]
    Conflict,
    /// The server lacks what reading in pieces takes.
    #[error("{0}")]
    Unsuited(String),
    /// The server refuses for another reason.
    #[error("the store refuses: {0}")]
    Refused(String),
    /// A setting of the environment or of a file cannot be used.
    #[error("{0}")]
    Setting(String),
    /// A local file failed.
    #[error("{0}")]
    Local(Box<Failure>),
    /// The job or the attempt was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl StoreError {
    pub(crate) fn new(url: impl Into<String>, problem: Problem) -> Self {
        Self { url: url.into(), problem }
    }

    /// The failure of an attempt, or a job, that reads the object.
    pub fn into_input_failure(self) -> Failure {
        let path = PathBuf::from(self.url);
        match self.problem {
            Problem::Local(failure) => *failure,
            Problem::Cancelled => Failure::Cancelled,
            Problem::Changed(reason) => Failure::InputChanged { path, reason },
            problem => Failure::InputLost { path, reason: problem.to_string() },
        }
    }

    /// The failure of an attempt, or a job, that writes the object.
    pub fn into_output_failure(self) -> Failure {
        match self.problem {
            Problem::Local(failure) => *failure,
            Problem::Cancelled => Failure::Cancelled,
            problem => {
                Failure::Disk { path: PathBuf::from(self.url), reason: problem.to_string(), full: false }
            }
        }
    }

    /// What the client library says, for the object `url`.
    pub(crate) fn from_client(url: &str, error: &object_store::Error) -> Self {
        Self::new(url, Problem::from_chain(error))
    }

    /// A local file that cannot be read or written.
    pub(crate) fn local(path: &std::path::Path, error: &std::io::Error) -> Self {
        let failure = Failure::disk(path, error);
        Self::new(path.display().to_string(), Problem::Local(Box::new(failure)))
    }
}

impl Problem {
    /// What was at the bottom of an error: our transport's own words where it spoke.
    pub(crate) fn from_chain(error: &(dyn Error + 'static)) -> Self {
        let mut link = Some(error);
        let mut last = String::new();
        while let Some(error) = link {
            if let Some(refusal) = error.downcast_ref::<Refusal>() {
                return Self::from_refusal(refusal);
            }
            if let Some(exhausted) = error.downcast_ref::<Exhausted>() {
                return Self::from_exhausted(exhausted);
            }
            last = error.to_string();
            link = error.source();
        }
        Problem::Interrupted(shown(&last))
    }

    pub(crate) fn from_exhausted(exhausted: &Exhausted) -> Self {
        match exhausted.metadata {
            true => Problem::NoCredentials(exhausted.to_string()),
            false => Problem::Unreachable(exhausted.to_string()),
        }
    }

    pub(crate) fn from_refusal(refusal: &Refusal) -> Self {
        match (refusal.status, &refusal.region) {
            (301 | 307 | 400, Some(region)) => Problem::OtherRegion(region.clone()),
            (404, _) if !refusal.metadata => Problem::Missing,
            (_, _) if refusal.metadata => Problem::NoCredentials(refusal.to_string()),
            (401 | 403, _) => Problem::Denied(refusal.to_string()),
            (409 | 412, _) => Problem::Conflict,
            (416, _) => Problem::Changed("it has become shorter".into()),
            _ => Problem::Refused(refusal.to_string()),
        }
    }
}

/// Longest text of a server or a library that is shown, in characters.
const SHOWN_MAX: usize = 200;

/// What somebody else said, short and on one line.
pub(crate) fn shown(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(SHOWN_MAX).collect()
}
