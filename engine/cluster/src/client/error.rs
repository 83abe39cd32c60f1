//! What can go wrong for a client.

use std::path::PathBuf;
use std::time::Duration;

use mr_net::{BindError, ConnectError};
use mr_runtime::SideError;

use crate::protocol::Refused;

/// Why a client does not get what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// There is no socket to dial from, or the identity cannot be used.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// The coordinator cannot be reached, or does not let this client in.
    #[error("the coordinator cannot be reached: {0}")]
    Connect(ConnectError),
    /// The coordinator does not do what it was asked.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The coordinator was reached once and has been away for too long.
    #[error(
        "the coordinator at {coordinator} has been away for {} seconds ({last}); submitted jobs go on when it is back",
        after.as_secs()
    )]
    Away {
        /// Its address.
        coordinator: String,
        /// How long there was no contact.
        after: Duration,
        /// What went wrong last.
        last: String,
    },
    /// The coordinator broke the protocol, or says that this client did.
    #[error("the coordinator at {coordinator} is not understood: {reason}; is it of the same release?")]
    Protocol {
        /// Its address.
        coordinator: String,
        /// What makes no sense.
        reason: String,
    },
    /// A side input is not what it was when the job was planned.
    #[error(transparent)]
    Side(#[from] SideError),
    /// What is to be submitted cannot be read, or not be sent.
    #[error("{} cannot be submitted: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
