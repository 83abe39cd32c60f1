//! What a plugin says while it runs: log calls, and lines on standard output and error. The last
//! lines are kept for a failure's report and some are passed on while the task runs. All of it is
//! bounded, and none of it can stop a guest.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mr_model::Role;
use mr_model::limit::{LOG_BYTES_MAX, LOG_FORWARD_BURST, LOG_FORWARD_RATE, LOG_LINES_MAX, MESSAGE_BYTES_MAX};
use mr_model::text::printable;

/// Time in which one more line may be passed on.
const FORWARD_INTERVAL: Duration = Duration::from_millis(1000 / LOG_FORWARD_RATE as u64);

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

/// What the log lines of one attempt pass through on their way to whoever listens: a burst of lines at
/// once, then a few in a second, so that a plugin that logs every record slows down nobody but itself.
/// How many lines were left out is said before the next one that passes, and at the end.
#[derive(Clone)]
pub struct LogGate(Arc<Mutex<Gate>>);

struct Gate {
    forward: LogForward,
    /// Lines that may pass now.
    room: u32,
    /// Until when room was added.
    filled: Instant,
    left_out: u64,
    /// What is said now was said before.
    hushed: bool,
    /// Who spoke last.
    role: Role,
}

impl LogGate {
    /// The gate of one attempt.
    pub fn new(forward: LogForward) -> Self {
        let filled = Instant::now();
        Self(Arc::new(Mutex::new(Gate {
            forward,
            room: LOG_FORWARD_BURST,
            filled,
            left_out: 0,
            hushed: false,
            role: Role::Mapper,
        })))
    }

    /// Whether lines are dropped from now on, as those of work that is done again are.
    pub fn hush(&self, hushed: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).hushed = hushed;
    }

    fn pass(&self, now: Instant, role: Role, level: LogLevel, text: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pass(now, role, level, text);
    }
}

impl Gate {
    fn pass(&mut self, now: Instant, role: Role, level: LogLevel, text: &str) {
        if self.hushed {
            return;
        }
        self.role = role;
        if self.room == 0 {
            self.fill(now);
        }
        let Some(room) = self.room.checked_sub(1) else {
            self.left_out += 1;
            return;
        };
        self.room = room;
        self.tell_left_out();
        (self.forward)(role, level, text);
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_millis() / FORWARD_INTERVAL.as_millis();
        self.room = u32::try_from(passed).unwrap_or(u32::MAX).min(LOG_FORWARD_BURST);
        if self.room > 0 {
            self.filled = now;
        }
    }

    fn tell_left_out(&mut self) {
        if self.left_out > 0 {
            let text = format!("{} log lines left out", std::mem::take(&mut self.left_out));
            (self.forward)(self.role, LogLevel::Warn, &text);
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.tell_left_out();
    }
}

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
    /// Bytes of the lines kept.
    bytes: usize,
    partial: [Vec<u8>; 2],
    last_error: Option<String>,
    forward: Option<(Role, LogGate)>,
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
    pub(crate) fn new(role: Role, forward: Option<LogGate>) -> Self {
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
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > LOG_LINES_MAX || self.bytes > LOG_BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.len();
        }
    }

    fn forward(&self, level: LogLevel, text: &str) {
        if let Some((role, gate)) = &self.forward {
            gate.pass(Instant::now(), *role, level, text);
        }
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

/// Text from a guest, cut to [`MESSAGE_BYTES_MAX`] and fit to be shown.
pub(crate) fn clean(text: &str) -> String {
    printable(text, MESSAGE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
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
    fn kept_lines_are_bounded_in_bytes_too() {
        let mut log = Log::default();
        for _ in 0..LOG_LINES_MAX {
            log.message(LogLevel::Info, &"x".repeat(2 * MESSAGE_BYTES_MAX));
        }
        let lines = log.lines();
        assert!(lines.iter().map(String::len).sum::<usize>() <= LOG_BYTES_MAX);
        assert_eq!(lines.len(), LOG_BYTES_MAX / (MESSAGE_BYTES_MAX + "info: ".len()));
    }

    #[test]
    fn a_flood_is_left_out_and_it_is_said_how_much() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let forward: LogForward = Arc::new(move |role, level, text| {
            sink.lock().unwrap().push((role, level, text.to_owned()));
        });
        let gate = LogGate::new(forward);
        let begun = Instant::now();
        let say =
            |after: Duration, text: &str| gate.pass(begun + after, Role::Reducer, LogLevel::Debug, text);
        let said = || std::mem::take(&mut *seen.lock().unwrap());
        let line = |text: &str| (Role::Reducer, LogLevel::Debug, text.to_owned());
        let note = |text: &str| (Role::Reducer, LogLevel::Warn, text.to_owned());

        (0..2 * LOG_FORWARD_BURST).for_each(|_| say(Duration::ZERO, "again"));
        assert_eq!(said(), vec![line("again"); LOG_FORWARD_BURST as usize]);
        // Some room comes back with time, in which the next lines pass.
        (0..4).for_each(|_| say(2 * FORWARD_INTERVAL, "later"));
        assert_eq!(said(), [note("1000 log lines left out"), line("later"), line("later")]);
        gate.hush(true);
        (0..4).for_each(|_| say(2 * FORWARD_INTERVAL, "said before"));
        gate.hush(false);
        assert_eq!(said(), []);
        drop(gate);
        assert_eq!(said(), [note("2 log lines left out")]);
    }
}
