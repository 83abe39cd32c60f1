//! What a plugin says while it runs: log calls, and lines on standard output and error. The last
//! lines are kept for a failure's report and some are passed on while the task runs. All of it is
//! bounded, and none of it can stop a guest.

use std::collections::VecDeque;
use std::sync::Arc;

use mr_model::Role;
use mr_model::limit::{LOG_LINES_MAX, MESSAGE_BYTES_MAX};

/// Lines of one instance that are passed on while it runs; the rest is only kept. A plugin that
/// logs every record must not slow down whoever listens.
const FORWARDED_LINES_MAX: usize = 1000;

/// Weight of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// Finest detail.
    Trace,
    /// For whoever writes the plugin.
    Debug,
    /// For whoever runs the job; standard output counts as this.
    Info,
    /// Something is odd; standard error counts as this.
    Warn,
    /// Something failed.
    Error,
}

/// Takes log lines while a task runs. Called on the guest's thread, so it must be quick.
pub type LogForward = Arc<dyn Fn(Role, LogLevel, &str) + Send + Sync>;

/// Which standard stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdio {
    Out,
    Err,
}

/// The log of one instance.
#[derive(Default)]
pub(crate) struct Log {
    lines: VecDeque<String>,
    partial: [Vec<u8>; 2],
    last_error: Option<String>,
    forward: Option<(Role, LogForward)>,
    forwarded: usize,
}

impl LogLevel {
    fn name(self) -> &'static str {
        match self {
            LogLevel::Trace => "trace",
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        }
    }
}

impl Log {
    pub(crate) fn new(role: Role, forward: Option<LogForward>) -> Self {
        Self { forward: forward.map(|forward| (role, forward)), ..Self::default() }
    }

    /// A call of `logging.log`.
    pub(crate) fn message(&mut self, level: LogLevel, text: &str) {
        let text = clean(text);
        self.forward(level, &text);
        self.keep(format!("{}: {text}", level.name()));
        if level == LogLevel::Error {
            self.last_error = Some(text);
        }
    }

    /// Bytes written to a standard stream; every line becomes a log line.
    pub(crate) fn write(&mut self, stdio: Stdio, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let partial = &mut self.partial[stdio.index()];
            let room = MESSAGE_BYTES_MAX.saturating_sub(partial.len());
            partial.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                self.end_line(stdio);
            }
        }
    }

    /// The lines kept, oldest first, with what has no end yet.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        for stdio in [Stdio::Out, Stdio::Err] {
            if !self.partial[stdio.index()].is_empty() {
                self.end_line(stdio);
            }
        }
        self.lines.iter().cloned().collect()
    }

    /// The last error logged since the last call of this.
    pub(crate) fn take_error(&mut self) -> Option<String> {
        self.last_error.take()
    }

    fn end_line(&mut self, stdio: Stdio) {
        let bytes = std::mem::take(&mut self.partial[stdio.index()]);
        let text = clean(&String::from_utf8_lossy(&bytes));
        let (level, name) = match stdio {
            Stdio::Out => (LogLevel::Info, "stdout"),
            Stdio::Err => (LogLevel::Warn, "stderr"),
        };
        self.forward(level, &text);
        self.keep(format!("{name}: {text}"));
    }

    fn keep(&mut self, line: String) {
        if self.lines.len() == LOG_LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn forward(&mut self, level: LogLevel, text: &str) {
        let Some((role, forward)) = &self.forward else { return };
        match self.forwarded {
            ..FORWARDED_LINES_MAX => forward(*role, level, text),
            FORWARDED_LINES_MAX => {
                forward(*role, LogLevel::Warn, "too many log lines; the rest is not shown")
            }
            _ => return,
        }
        self.forwarded += 1;
    }
}

impl Stdio {
    fn index(self) -> usize {
        match self {
            Stdio::Out => 0,
            Stdio::Err => 1,
        }
    }
}

/// Text from a guest, cut to [`MESSAGE_BYTES_MAX`] and without control characters, which could
/// drive the terminal of whoever reads it.
pub(crate) fn clean(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)];
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let mut log = Log::default();
        for i in 0..LOG_LINES_MAX + 2 {
            log.message(LogLevel::Info, &format!("{i}"));
        }
        log.write(Stdio::Out, b"one\ntw");
        log.write(Stdio::Err, b"\x1b[2J\n");
        log.write(Stdio::Out, b"o");
        let lines = log.lines();
        assert_eq!(lines.len(), LOG_LINES_MAX);
        assert_eq!(lines[0], "info: 5");
        assert_eq!(lines[LOG_LINES_MAX - 3..], ["stdout: one", "stderr: \u{fffd}[2J", "stdout: two"]);
    }

    #[test]
    fn long_lines_are_cut_and_end_where_they_end() {
        let mut log = Log::default();
        log.write(Stdio::Out, &vec![b'x'; 3 * MESSAGE_BYTES_MAX]);
        log.write(Stdio::Out, b"y\nnext\n");
        log.message(LogLevel::Error, &"ü".repeat(MESSAGE_BYTES_MAX));
        assert_eq!(log.lines()[0].len(), "stdout: ".len() + MESSAGE_BYTES_MAX);
        assert_eq!(log.lines()[1], "stdout: next");
        assert_eq!(log.take_error().map(|text| text.len()), Some(MESSAGE_BYTES_MAX));
        assert_eq!(log.take_error(), None);
    }

    #[test]
    fn only_so_many_lines_are_passed_on() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let forward: LogForward = Arc::new(move |role, level, text| {
            sink.lock().unwrap().push((role, level, text.to_owned()));
        });
        let mut log = Log::new(Role::Reducer, Some(forward));
        for _ in 0..2 * FORWARDED_LINES_MAX {
            log.message(LogLevel::Debug, "again");
        }
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), FORWARDED_LINES_MAX + 1);
        assert_eq!(seen[0], (Role::Reducer, LogLevel::Debug, "again".to_owned()));
        assert_eq!(seen[FORWARDED_LINES_MAX].1, LogLevel::Warn);
    }
}
