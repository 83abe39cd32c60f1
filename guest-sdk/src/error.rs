//! Why a plugin gives up: three kinds, because the engine does three different things about them.
//!
//! Any standard error becomes an [`Error`] through `?`; where it came from decides its kind.

use std::fmt;

use crate::wire::ErrorKind;

/// Result of everything that a plugin writes.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// A failure of the task, or of the job.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    kind: Option<ErrorKind>,
    message: String,
}

impl Error {
    /// The input cannot be processed: no other attempt would do better, so the job fails. To go
    /// on without the record use [`reject`](crate::reject).
    pub fn invalid(message: impl fmt::Display) -> Self {
        Self { kind: Some(ErrorKind::InvalidInput), message: message.to_string() }
    }

    /// Worth another attempt, perhaps on another machine.
    pub fn transient(message: impl fmt::Display) -> Self {
        Self { kind: Some(ErrorKind::Transient), message: message.to_string() }
    }

    /// Fails the job at once: a parameter makes no sense, for example.
    pub fn fatal(message: impl fmt::Display) -> Self {
        Self { kind: Some(ErrorKind::Fatal), message: message.to_string() }
    }

    /// Puts what was being done in front of the message.
    #[must_use]
    pub fn context(self, doing: impl fmt::Display) -> Self {
        Self { message: format!("{doing}: {}", self.message), ..self }
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The kind, if the error was given one; errors that came through `?` get theirs from where
    /// they happened: fatal in `setup`, invalid input elsewhere.
    pub fn kind(&self) -> Option<ErrorKind> {
        self.kind
    }

    /// The error with a kind, `kind` unless it has one.
    pub(crate) fn with_kind(self, kind: ErrorKind) -> Self {
        Self { kind: Some(self.kind.unwrap_or(kind)), ..self }
    }
}

#[cfg(not(target_family = "wasm"))]
impl Error {
    /// The error as a test sees it.
    pub(crate) fn from_wire(error: crate::wire::Error) -> Self {
        Self { kind: Some(error.kind), message: error.message }
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self { kind: None, message }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some(kind) => write!(f, "{kind:?}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
