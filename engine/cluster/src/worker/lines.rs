//! The last log lines of the plugins of one attempt, for the history.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use mr_model::limit::LOG_LINES_MAX;
use mr_sandbox::{LogForward, LogLevel};

use crate::protocol::LOG_BYTES_MAX;

/// Keeps the last lines, within [`LOG_LINES_MAX`] and [`LOG_BYTES_MAX`].
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Lines {
    /// What the attempt is given to say its lines to.
    pub fn forward(&self) -> LogForward {
        let kept = self.0.clone();
        Arc::new(move |role, level, text| {
            let line = format!("{role} {}: {text}", word(level));
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        })
    }

    /// The lines, oldest first.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).lines.into()
    }
}

impl Kept {
    fn push(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > LOG_LINES_MAX || self.bytes > LOG_BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.len();
        }
    }
}

fn word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use mr_model::Role;

    use super::*;

    #[test]
    fn the_last_lines_are_kept_within_both_limits() {
        let lines = Lines::default();
        let say = lines.forward();
        for number in 0..LOG_LINES_MAX + 10 {
            say(Role::Mapper, LogLevel::Info, &number.to_string());
        }
        let kept = lines.take();
        assert_eq!(kept.len(), LOG_LINES_MAX);
        assert_eq!(kept[0], "mapper info: 10");
        assert_eq!(lines.take(), Vec::<String>::new());

        say(Role::Reducer, LogLevel::Warn, "first");
        say(Role::Reducer, LogLevel::Warn, &"x".repeat(LOG_BYTES_MAX - 40));
        say(Role::Reducer, LogLevel::Warn, "last");
        let kept = lines.take();
        assert!(kept.iter().map(String::len).sum::<usize>() <= LOG_BYTES_MAX);
        assert_eq!(kept.last().unwrap(), "reducer warn: last");
        assert_eq!(kept.len(), 2);
    }
}
