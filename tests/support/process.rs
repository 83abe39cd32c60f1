//! The engine's process: where it is, what it runs in, and how it ends. Every wait has a deadline, and
//! passing it fails the test.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// Longest that anything may take here: far more than it takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(300);

/// The folder that cargo builds into.
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its file");
    test.ancestors().nth(3).expect("tests are in TARGET/release/deps").to_owned()
}

/// A table of what Debian tells of its packages.
pub fn data(name: &str) -> PathBuf {
    let path = target().join("data/debian").join(name);
    assert!(path.is_file(), "{} is missing; run make data", path.display());
    path
}

fn built(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "{} is missing; run make test", path.display());
    path
}

/// The engine's binary.
pub fn engine() -> PathBuf {
    built(target().join("release/mr-engine"))
}

/// A plugin's file.
pub fn plugin(name: &str) -> PathBuf {
    built(target().join(format!("plugins/{name}.wasm")))
}

/// Compiled plugins, shared by all tests so that each is compiled once.
pub fn shared_cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled")
}

/// A command of the engine that runs in `dir` and knows nothing of the user's settings.
pub fn command(dir: &Path) -> Command {
    isolated(Command::new(engine()), dir)
}

/// Makes `dir` all that a command knows of the machine.
pub fn isolated(mut command: Command, dir: &Path) -> Command {
    command.current_dir(dir).stdin(Stdio::null());
    command.env_clear().env("HOME", dir).env("TMPDIR", dir).env("PATH", "/usr/bin:/bin");
    command
}

/// How a process ended.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ended {
    /// The exit code; a process that was killed has none.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// What a process said so far.
#[derive(Default)]
struct Said {
    text: Mutex<(Vec<u8>, bool)>,
    more: Condvar,
}

/// A process under way.
pub struct Running {
    pid: Pid,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Arc<Said>,
    ended: Receiver<ExitStatus>,
}

/// Runs a command to its end.
pub fn run(command: Command) -> Ended {
    Running::start(command).end()
}

/// Runs a command in `dir`, and tells the peak of its resident memory in MiB, by way of `file`.
pub fn measured(of: &Command, dir: &Path, file: &Path) -> (Ended, usize) {
    let mut command = isolated(Command::new(env!("CARGO_BIN_EXE_measure")), dir);
    command.arg(file).arg(of.get_program()).args(of.get_args());
    let ended = run(command);
    let peak_kib: usize = std::fs::read_to_string(file).unwrap().parse().unwrap();
    (ended, peak_kib / 1024)
}

impl Running {
    /// Starts a command whose output is collected.
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        let mut running = Self::start_unread(command);
        let mut stdout = running.1.take().expect("standard output is a pipe");
        running.0.stdout = Some(std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).expect("a pipe can be read");
            bytes
        }));
        running.0
    }

    /// Starts a command whose standard output the caller reads, or has sent elsewhere.
    pub fn start_unread(mut command: Command) -> (Self, Option<std::process::ChildStdout>) {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the engine starts");
        let stdout = child.stdout.take();
        let pid = Pid::from_child(&child);
        let stderr = listen(&mut child);
        let (end, ended) = channel();
        std::thread::spawn(move || end.send(child.wait().expect("a child can be waited for")));
        (Self { pid, stdout: None, stderr, ended }, stdout)
    }

    /// Waits until the process has said `text` on standard error.
    pub fn wait_for(&self, text: &str) {
        let begun = Instant::now();
        let mut said = self.stderr.text.lock().unwrap();
        loop {
            let so_far = String::from_utf8_lossy(&said.0);
            if so_far.contains(text) {
                return;
            }
            assert!(!said.1 && begun.elapsed() < DEADLINE, "waited for {text:?} and got {so_far:?}");
            said = self.stderr.more.wait_timeout(said, DEADLINE).unwrap().0;
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid, signal).expect("the engine runs");
    }

    /// Waits for the end.
    pub fn end(self) -> Ended {
        let status = match self.ended.recv_timeout(DEADLINE) {
            Ok(status) => status,
            Err(RecvTimeoutError::Disconnected) => panic!("nobody waits for the engine"),
            Err(RecvTimeoutError::Timeout) => {
                self.signal(Signal::KILL);
                let said = self.stderr.text.lock().unwrap();
                panic!("the engine did not end within {DEADLINE:?}: {}", String::from_utf8_lossy(&said.0));
            }
        };
        let stdout = self.stdout.map(|stdout| stdout.join().unwrap()).unwrap_or_default();
        let mut said = self.stderr.text.lock().unwrap();
        while !said.1 {
            said = self.stderr.more.wait(said).unwrap();
        }
        Ended { status, stdout, stderr: String::from_utf8_lossy(&said.0).into_owned() }
    }
}

/// Collects what a child says on standard error.
fn listen(child: &mut Child) -> Arc<Said> {
    let mut stderr = child.stderr.take().expect("standard error is a pipe");
    let said = Arc::new(Said::default());
    let heard = Arc::clone(&said);
    std::thread::spawn(move || {
        let mut block = [0; 4096];
        loop {
            let bytes = stderr.read(&mut block).expect("a pipe can be read");
            let mut text = heard.text.lock().unwrap();
            text.0.extend_from_slice(&block[..bytes]);
            text.1 |= bytes == 0;
            heard.more.notify_all();
            if bytes == 0 {
                return;
            }
        }
    });
    said
}
