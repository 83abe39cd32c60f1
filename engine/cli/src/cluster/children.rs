//! Child processes of `mr-engine cluster up`: started, listened to, and ended within a bounded time. One
//! queue of events tells all that happens, so that whoever waits waits for everything at once.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Longest that a child may take to end after it was asked to: a worker waits for its attempts, and for
/// its last words to arrive. Then it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a log that are looked at for its last lines.
const LOG_TAIL_BYTES: u64 = 8 << 10;
/// Last lines of a log that are shown when a child has died.
const LOG_TAIL_LINES: usize = 10;

/// Number of a child, in the order of their starts.
pub type Number = usize;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A child said a line on its standard output.
    Said(Number, String),
    /// A child has ended.
    Ended(Number, ExitStatus),
    /// A signal asks to end.
    Asked,
}

/// The children, and what they do.
pub struct Children {
    members: Vec<Member>,
    events: Receiver<Event>,
    sender: Sender<Event>,
}

struct Member {
    name: String,
    /// Stands for the process also after it has ended, when its number may be another's.
    process: OwnedFd,
    log: Option<PathBuf>,
    running: bool,
}

impl Children {
    /// None yet; signals are heard from now on.
    pub fn new() -> Result<Self> {
        let (sender, events) = channel();
        let asked = sender.clone();
        // The receiver lives until the process ends.
        ctrlc::set_handler(move || drop(asked.send(Event::Asked))).context("signals cannot be handled")?;
        Ok(Self { members: Vec::new(), events, sender })
    }

    /// Starts a child that logs into a file, and whose lines on standard output are heard. A signal from
    /// the terminal does not reach it: in which order children end is decided here.
    pub fn start(&mut self, name: &str, log: &Path, mut command: Command) -> Result<Number> {
        let file = File::create(log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).process_group(0);
        self.spawn(name, Some(log.to_owned()), command)
    }

    /// Starts a child that stands in for this process: it shares terminal and signals.
    pub fn start_in_front(&mut self, name: &str, command: Command) -> Result<Number> {
        self.spawn(name, None, command)
    }

    /// The next thing that happens; none when nothing does until the deadline.
    pub fn next_until(&mut self, deadline: Instant) -> Option<Event> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.events.recv_timeout(left) {
            Ok(event) => Some(self.note(event)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// The next thing that happens, however long it takes.
    pub fn next(&mut self) -> Option<Event> {
        self.events.recv().ok().map(|event| self.note(event))
    }

    /// Name of a child.
    pub fn name(&self, number: Number) -> &str {
        self.members.get(number).map_or("", |member| &member.name)
    }

    /// Whether any of these children runs.
    pub fn any_running(&self, numbers: impl IntoIterator<Item = Number>) -> bool {
        numbers.into_iter().any(|number| self.members.get(number).is_some_and(|member| member.running))
    }

    /// A sentence about how a child ended, and the last lines that it logged.
    pub fn obituary(&self, number: Number, status: ExitStatus) -> String {
        let Some(member) = self.members.get(number) else { return String::new() };
        let mut text = format!("{} ended ({status})", member.name);
        if let Some(log) = &member.log {
            text.push_str(&format!("; the end of {}:", log.display()));
            for line in tail(log) {
                text.push_str(&format!("\n  {line}"));
            }
        }
        text
    }

    /// Asks a child to end.
    pub fn ask(&self, number: Number) {
        self.signal(number, Signal::TERM);
    }

    /// Asks children to end and waits until they have; kills those that do not, and all of them at once
    /// when a signal asks for haste.
    pub fn stop(&mut self, numbers: &[Number]) {
        numbers.iter().for_each(|number| self.ask(*number));
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.any_running(numbers.iter().copied()) {
            if let Some(Event::Said(..) | Event::Ended(..)) = self.next_until(deadline) {
                continue;
            }
            numbers.iter().for_each(|number| self.signal(*number, Signal::KILL));
            break;
        }
        // A process that was killed ends unless the system is stuck; that is not waited for.
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.any_running(numbers.iter().copied()) && self.next_until(deadline).is_some() {}
    }

    fn spawn(&mut self, name: &str, log: Option<PathBuf>, mut command: Command) -> Result<Number> {
        let number = self.members.len();
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().with_context(|| format!("{program} cannot be started"))?;
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).inspect_err(|_| {
            // What cannot be ended in order is ended at once.
            drop(child.kill().and_then(|()| child.wait()));
        })?;
        let (stdout, sender) = (child.stdout.take(), self.sender.clone());
        let listener = std::thread::Builder::new().name(format!("hear-{name}"));
        listener.spawn(move || listen(number, child, stdout, &sender)).context("the system gives no threads")?;
        self.members.push(Member { name: name.to_owned(), process, log, running: true });
        Ok(number)
    }

    fn note(&mut self, event: Event) -> Event {
        if let Event::Ended(number, _) = event
            && let Some(member) = self.members.get_mut(number)
        {
            member.running = false;
        }
        event
    }

    fn signal(&self, number: Number, signal: Signal) {
        if let Some(member) = self.members.get(number).filter(|member| member.running) {
            // It may have ended by itself.
            let _ = pidfd_send_signal(&member.process, signal);
        }
    }
}

/// Reads what a child says until it ends.
fn listen(number: Number, mut child: Child, stdout: Option<ChildStdout>, events: &Sender<Event>) {
    for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
        let Ok(line) = line else { break };
        // Nobody listens any more when this process is about to end.
        let _ = events.send(Event::Said(number, line));
    }
    if let Ok(status) = child.wait() {
        let _ = events.send(Event::Ended(number, status));
    }
}

/// The last lines of a log, as far as it can be read.
fn tail(log: &Path) -> Vec<String> {
    let read = || {
        let mut file = File::open(log)?;
        let bytes = file.metadata()?.len();
        file.seek(SeekFrom::Start(bytes.saturating_sub(LOG_TAIL_BYTES)))?;
        let mut end = Vec::new();
        file.take(LOG_TAIL_BYTES).read_to_end(&mut end)?;
        std::io::Result::Ok(String::from_utf8_lossy(&end).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, because signals can be handled once in a process.
    #[test]
    fn children_are_heard_ended_and_killed() {
        let dir = tempfile::tempdir().unwrap();
        let mut children = Children::new().unwrap();
        let mut shell = |name: &str, script: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]);
            children.start(name, &dir.path().join(name), command).unwrap()
        };
        let calm = shell("calm", "echo ready; exec sleep 1000");
        let dying = shell("dying", "echo last words >&2; exit 7");
        let deadline = || Instant::now() + Duration::from_secs(60);
        let (mut said, mut ended) = (None, None);
        while said.is_none() || ended.is_none() {
            match children.next_until(deadline()).expect("something happens") {
                Event::Said(number, line) => said = Some((number, line)),
                Event::Ended(number, status) => ended = Some((number, status)),
                Event::Asked => panic!("nobody asked"),
            }
        }
        assert_eq!(said, Some((calm, "ready".to_owned())));
        let (number, status) = ended.unwrap();
        assert_eq!((number, status.code()), (dying, Some(7)));
        let obituary = children.obituary(dying, status);
        assert!(obituary.starts_with("dying ended (exit status: 7)") && obituary.ends_with("\n  last words"));
        assert!(children.any_running([calm, dying]) && !children.any_running([dying]));
        children.stop(&[calm, dying]);
        assert!(!children.any_running([calm]));
    }
}
