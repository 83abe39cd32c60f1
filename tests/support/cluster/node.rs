//! A coordinator or a worker: a real process that logs into a file, and everything that can happen to
//! it. It is killed when it is dropped.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::eventually;

/// Last lines of a log that are shown when a test fails.
const TAIL_LINES: usize = 40;

/// A process of a cluster.
pub struct Node {
    pub name: String,
    log: PathBuf,
    /// Where in the log the present process began.
    from: u64,
    child: Option<Child>,
}

impl Node {
    /// A node that was not started yet.
    pub fn new(name: &str, logs: &Path) -> Self {
        Self { name: name.to_owned(), log: logs.join(format!("{name}.log")), from: 0, child: None }
    }

    /// Starts the process, which must not run.
    pub fn start(&mut self, mut command: Command) {
        assert!(!self.is_running(), "{} runs already", self.name);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        self.from = log.metadata().unwrap().len();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().expect("the engine starts"));
    }

    /// Waits until the process says that it is ready; the address that it serves at.
    #[track_caller]
    pub fn ready(&mut self) -> String {
        let what = format!("{} to be ready", self.name);
        eventually(&what, || {
            let said = self.said();
            assert!(self.is_running(), "{} ended: {said}", self.name);
            let line = said.lines().find(|line| line.contains(" ready at "))?;
            line.rsplit_once(' ').map(|(_, address)| address.to_owned())
        })
    }

    /// What the present or last process said.
    pub fn said(&self) -> String {
        let mut said = Vec::new();
        let mut log = File::open(&self.log).unwrap();
        log.seek(SeekFrom::Start(self.from)).unwrap();
        log.read_to_end(&mut said).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Waits until the process has said `text`.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let what = format!("{} to say {text:?}", self.name);
        eventually(&what, || self.said().contains(text).then_some(()));
    }

    pub fn is_running(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_some_and(|child| child.try_wait().expect("a child can be waited for").is_none())
    }

    /// Sends a signal to the process, which must run.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("it runs");
    }

    /// The process, which must run.
    #[track_caller]
    pub fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("it runs"))
    }

    /// Ends the process without a warning.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            let _ = child.kill();
            child.wait().expect("a child can be waited for");
        }
    }

    /// Waits until the process has ended by itself.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let what = format!("the end of {}", self.name);
        eventually(&what, || child.try_wait().expect("a child can be waited for"))
    }

    /// What the process and those that it started hold now.
    pub fn usage(&self) -> Usage {
        Usage::of(self.child.as_ref().expect("it runs").id())
    }

    /// Peak of resident memory, in KiB.
    pub fn memory_kib_peak(&self) -> u64 {
        status(self.id(), "VmHWM:")
    }

    /// Number of the process, which must run.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }
}

/// A number that the system tells of a process.
pub fn status(id: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the system tells it");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What a process holds, with all the processes that it has started.
#[derive(Debug, Default, Clone, Copy)]
pub struct Usage {
    /// The process itself.
    pub pid: u32,
    /// How many processes there are.
    pub processes: u64,
    /// Resident memory, in KiB.
    pub memory_kib: u64,
    pub threads: u64,
    pub descriptors: u64,
}

impl Usage {
    fn of(pid: u32) -> Self {
        let mut usage = Self { pid, ..Self::default() };
        usage.add(pid);
        usage
    }

    /// Adds a process and all below it; one that has just ended counts as nothing.
    fn add(&mut self, pid: u32) {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let Ok(status) = fs::read_to_string(proc.join("status")) else { return };
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        self.processes += 1;
        self.memory_kib += number("VmRSS:");
        self.threads += number("Threads:");
        self.descriptors += fs::read_dir(proc.join("fd")).map_or(0, Iterator::count) as u64;
        for thread in fs::read_dir(proc.join("task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            children.split_whitespace().filter_map(|pid| pid.parse().ok()).for_each(|pid| self.add(pid));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
            eprintln!("---- the end of {}'s log, of {} lines\n{tail}", self.name, lines.len());
        }
    }
}
