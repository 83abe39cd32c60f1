//! One child process: started with nothing but a socket, and ended. It never outlives the value that
//! stands for it.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

use crate::allocator::NO_MEMORY;

/// Bytes of a child's last words that are looked at.
const LAST_WORDS_BYTES: usize = 8 << 10;
/// Bytes of them that are told.
const TOLD_BYTES_MAX: usize = 512;
/// Longest wait for the end of a child that closed its socket, in milliseconds, so that its exit code can
/// be told: the kernel has to give back its memory first.
const END_PATIENCE_MILLIS: u16 = 2000;

/// What is started as a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

impl Program {
    /// This very program, also where its file was replaced meanwhile, with the argument that makes it
    /// call [`crate::child::run`].
    pub fn this(argument: &str) -> Self {
        Self { path: "/proc/self/exe".into(), args: vec![argument.to_owned()] }
    }
}

/// A child.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pidfd: Arc<OwnedFd>,
    stderr: Option<ChildStderr>,
    status: Option<ExitStatus>,
}

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether the kernel gave it no more memory.
    pub no_memory: bool,
    /// A verb phrase that says how, with the last words, for people.
    pub how: String,
}

impl Process {
    /// Starts a child, and answers its end of the socket. It inherits no variables and no descriptors
    /// beside the socket, which is its standard input.
    pub fn start(program: &Program) -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&program.path);
        command.arg0("mr-engine").args(&program.args).env_clear();
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).inspect_err(|_| {
            // What cannot be ended in order is ended at once.
            drop(child.kill().and_then(|()| child.wait()));
        })?;
        let stderr = child.stderr.take();
        Ok((Self { child, pidfd: Arc::new(pidfd), stderr, status: None }, ours))
    }

    /// What kills it, from any thread and at any time.
    pub fn pidfd(&self) -> Arc<OwnedFd> {
        self.pidfd.clone()
    }

    /// Ends it if it has not ended by itself, with all that it may have started, and waits for that.
    pub fn end(&mut self) -> ExitStatus {
        if let Some(status) = self.status {
            return status;
        }
        kill(&self.pidfd);
        // It leads a session of its own; nothing is in there where the platform let it start nothing.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let status = self.child.wait().unwrap_or_else(|_| ExitStatus::from_raw(0));
        self.status = Some(status);
        status
    }

    /// How a child ended that closed its socket, and with which words.
    pub fn obituary(&mut self) -> Ended {
        let status = self.status.or_else(|| self.ended_by_itself()).unwrap_or_else(|| self.end());
        let no_memory = status.code() == Some(NO_MEMORY);
        let mut how = match (status.signal(), status.code()) {
            (Some(number), _) => format!("was killed by signal {number}{}", name(number)),
            (None, Some(NO_MEMORY)) => "ran out of the memory that it may have".to_owned(),
            (None, Some(0)) => "ended without an answer".to_owned(),
            (None, code) => format!("ended with exit code {}", code.unwrap_or(-1)),
        };
        let words = self.last_words();
        if !words.is_empty() {
            // Writing to a string does not fail.
            let _ = write!(how, " ({words})");
        }
        Ended { signal: status.signal(), no_memory, how }
    }

    /// The end of a process that is about to end: its socket is closed already.
    fn ended_by_itself(&mut self) -> Option<ExitStatus> {
        let mut ended = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        // Where it cannot be waited for, it is killed.
        let _ = poll(&mut ended, PollTimeout::from(END_PATIENCE_MILLIS));
        self.status = self.child.try_wait().ok().flatten();
        self.status
    }

    /// The last line that it wrote to its standard error. It has ended, so that this waits for nobody.
    fn last_words(&mut self) -> String {
        let Some(stderr) = self.stderr.take() else { return String::new() };
        // Nobody holds the other end any more, or it is not waited for.
        let _ = fcntl_setfl(&stderr, OFlags::NONBLOCK);
        let mut words = Vec::new();
        // What cannot be read is not told.
        let _ = stderr.take(LAST_WORDS_BYTES as u64).read_to_end(&mut words);
        let words = String::from_utf8_lossy(&words);
        let mut lines = words.lines().map(str::trim);
        let line = lines.rfind(|line| !line.is_empty() && !line.starts_with("note: "));
        clean(line.unwrap_or_default(), TOLD_BYTES_MAX)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Kills a child; one that has ended is none any more.
pub(crate) fn kill(pidfd: &OwnedFd) {
    let _ = pidfd_send_signal(pidfd, Signal::KILL);
}

/// Text of a child for people: bounded, and without characters that a terminal acts on.
pub(crate) fn clean(text: &str, bytes_max: usize) -> String {
    let text = &text[..text.floor_char_boundary(bytes_max)];
    let harmless =
        |c: char| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(harmless).collect()
}

fn name(signal: i32) -> String {
    let known = [
        (Signal::ILL, "SIGILL"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::SYS, "SIGSYS"),
    ];
    let found = known.iter().find(|(known, _)| known.as_raw() == signal);
    found.map(|(_, name)| format!(" ({name})")).unwrap_or_default()
}
