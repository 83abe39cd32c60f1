//! One process of a cluster, from its start until it is ended or killed.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::child::Invocation;

/// Longest that a process may take until it is ready, on a busy machine.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest that a process may take to end after it was asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);
/// Between two looks whether it has ended.
const STOP_LOOK: Duration = Duration::from_millis(20);

/// A process that stays. Ended when it is dropped.
#[derive(Debug)]
pub struct Node {
    child: Child,
    /// When it was started.
    pub start: Instant,
    /// The line that it said when it was ready.
    pub said: String,
}

impl Node {
    /// Starts it, with its log in a file, and waits for the first line that it says.
    pub fn start(invocation: &Invocation, log: &Path) -> Result<Self> {
        let mut command = invocation.command()?;
        let file = File::options().create(true).append(true).open(log);
        command.stderr(file.with_context(|| log.display().to_string())?).stdout(Stdio::piped());
        let start = Instant::now();
        let mut child = command.spawn().with_context(|| format!("{:?} does not start", invocation.argv))?;
        let lines = listen(&mut child)?;
        let mut node = Self { child, start, said: String::new() };
        match lines.recv_timeout(READY_TIMEOUT) {
            Ok(line) => node.said = line,
            Err(_) => {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                bail!("{:?} did not become ready; it logged\n{log}", invocation.argv)
            }
        }
        Ok(node)
    }

    /// Kills it: it has no time for last words.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        let pid = rustix::process::Pid::from_child(&self.child);
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while !self.has_ended() {
            if Instant::now() > deadline {
                drop(self.child.kill().and_then(|()| self.child.wait()));
                return;
            }
            std::thread::sleep(STOP_LOOK);
        }
    }
}

/// Hears what a child says until it ends, so that it never waits for somebody to read; its first line.
fn listen(child: &mut Child) -> Result<Receiver<String>> {
    let (sender, lines) = channel();
    let stdout = child.stdout.take().context("no pipe from the child")?;
    std::thread::Builder::new().spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Only the first line is waited for.
            let _ = sender.send(line);
        }
    })?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_heard_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let node = Node::start(&Invocation::new(["sh", "-c", "echo ready; exec sleep 1000"]), &log).unwrap();
        assert_eq!(node.said, "ready");
        drop(node);
        let error = Node::start(&Invocation::new(["sh", "-c", "echo why >&2"]), &log).unwrap_err();
        assert!(error.to_string().ends_with("it logged\nwhy\n"), "{error}");
    }
}
