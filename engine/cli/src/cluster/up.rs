//! `mr-engine cluster up`: a coordinator and workers as processes of this machine, with certificates of
//! their own, until a signal or until a command has ended. Restarts nothing.

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::children::{Children, Event, Number};
use super::init::{mint, worker_names};
use crate::args::cluster::UpArgs;
use crate::exit::Interrupted;
use crate::{config, interrupt, machine};

/// Longest that all processes may take until they are ready: they start in milliseconds, on a machine
/// that may be busy.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Address of everything: nobody else gets in.
const LOOPBACK: &str = "127.0.0.1:0";
/// What shells add to the number of the signal that ended a command.
const SIGNAL_CODES: i32 = 128;

/// Brings a cluster up, and down again.
pub fn run(args: &UpArgs) -> Result<ExitCode> {
    let folder = Folder::open(args.dir.as_deref())?;
    let mut children = Children::new()?;
    let mut cluster = Cluster { folder: folder.path(), args, coordinator: Vec::new(), workers: Vec::new() };
    let outcome = cluster.up(&mut children).and_then(|address| match args.command.split_first() {
        Some((program, rest)) => cluster.run_command(&mut children, program, rest),
        None => cluster.stay(&mut children, address),
    });
    children.stop(&cluster.workers);
    children.stop(&cluster.coordinator);
    outcome
}

/// Where everything lies.
enum Folder {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    fn open(kept: Option<&Path>) -> Result<Self> {
        let Some(dir) = kept else {
            let temporary = tempfile::Builder::new().prefix("mr-engine-cluster-").tempdir();
            return Ok(Self::Temporary(temporary.context("no temporary folder can be made")?));
        };
        std::fs::create_dir_all(dir)
            .and_then(|()| std::path::absolute(dir))
            .map(Self::Kept)
            .with_context(|| format!("--dir {}", dir.display()))
    }

    fn path(&self) -> &Path {
        match self {
            Folder::Kept(path) => path,
            Folder::Temporary(dir) => dir.path(),
        }
    }
}

/// The cluster's processes.
struct Cluster<'a> {
    folder: &'a Path,
    args: &'a UpArgs,
    coordinator: Vec<Number>,
    workers: Vec<Number>,
}

impl Cluster<'_> {
    /// Starts everything and waits until it is ready. The coordinator's address.
    fn up(&mut self, children: &mut Children) -> Result<SocketAddr> {
        let names = worker_names(self.args.workers);
        mint(&self.identity(), &["127.0.0.1".to_owned()], &names, &["client".to_owned()])?;
        let deadline = Instant::now() + READY_TIMEOUT;
        let coordinator =
            children.start("coordinator", &self.log("coordinator"), self.coordinator_command()?)?;
        self.coordinator.push(coordinator);
        let said = wait_ready(children, &[coordinator], deadline)?;
        let address = said.rsplit(' ').next().and_then(|address| address.parse::<SocketAddr>().ok());
        let address = address.with_context(|| format!("the coordinator said {said:?} and no address"))?;
        for name in &names {
            let command = self.worker_command(name, address)?;
            self.workers.push(children.start(name, &self.log(name), command)?);
        }
        wait_ready(children, &self.workers, deadline)?;
        let text = config::file_text(&address.to_string(), &self.identity());
        let file = self.config();
        std::fs::write(&file, text).with_context(|| file.display().to_string())?;
        Ok(address)
    }

    /// Stays up until a signal, or until nothing is left.
    fn stay(&self, children: &mut Children, address: SocketAddr) -> Result<ExitCode> {
        let text = format!(
            "cluster ready at {address}: {} with {} each\ndata and logs are in {}; use it from elsewhere with\n\n  \
             export MR_ENGINE_CONFIG={}\n\nCtrl-C takes it down\n",
            plural(self.args.workers, "worker"),
            plural(self.slots(), "slot"),
            self.folder.display(),
            self.config().display()
        );
        let mut out = std::io::stdout();
        // It stays up when nobody listens.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        while let Some(event) = children.next() {
            match event {
                Event::Asked => return Ok(ExitCode::SUCCESS),
                Event::Said(..) => {}
                Event::Ended(number, status) => {
                    eprintln!("mr-engine: {}", children.obituary(number, status));
                    if !children.any_running(self.coordinator.iter().chain(&self.workers).copied()) {
                        bail!("nothing is left of the cluster");
                    }
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Runs a command to its end. A signal is passed on to it.
    fn run_command(
        &self,
        children: &mut Children,
        program: &OsString,
        args: &[OsString],
    ) -> Result<ExitCode> {
        let mut command = Command::new(program);
        command.args(args).env("MR_ENGINE_CONFIG", self.config());
        command.env_remove("MR_ENGINE_CLUSTER").env_remove("MR_ENGINE_IDENTITY");
        let front = children.start_in_front(&program.to_string_lossy(), command)?;
        while let Some(event) = children.next() {
            match event {
                Event::Asked => {
                    children.stop(&[front]);
                    return Ok(ExitCode::from(code_of(interrupt::INTERRUPTED)));
                }
                Event::Said(..) => {}
                Event::Ended(number, status) if number == front => {
                    return Ok(ExitCode::from(code_of(exit_code(status))));
                }
                Event::Ended(number, status) => {
                    eprintln!("mr-engine: {}", children.obituary(number, status));
                }
            }
        }
        Ok(ExitCode::FAILURE)
    }

    fn coordinator_command(&self) -> Result<Command> {
        let mut command = engine()?;
        command.arg("coordinator").arg("--identity").arg(self.identity());
        command.arg("--data-dir").arg(self.folder.join("coordinator")).args(["--listen", LOOPBACK]);
        command.arg("--worker-lease").arg(format!("{}ms", self.args.worker_lease.as_millis()));
        Ok(with_parent(self.with_policy(command)))
    }

    fn worker_command(&self, name: &str, coordinator: SocketAddr) -> Result<Command> {
        let mut command = engine()?;
        command.arg("worker").arg("--identity").arg(self.identity()).args(["--name", name]);
        command.arg("--coordinator").arg(coordinator.to_string());
        command.arg("--data-dir").arg(self.folder.join(name)).args(["--listen", LOOPBACK]);
        command.arg("--slots").arg(self.slots().to_string());
        command.arg("--memory").arg(self.memory_bytes().to_string());
        command.args(["--shuffle-codec", self.args.shuffle_codec.as_str()]);
        command.args(["--isolation", self.args.isolation.as_str()]);
        // Compiled once for all workers, and for jobs that run without a cluster.
        if let (Some(cache), None) = (machine::cache_dir(), std::env::var_os("MR_ENGINE_CACHE_DIR")) {
            command.arg("--cache-dir").arg(cache);
        }
        Ok(with_parent(self.with_policy(command)))
    }

    fn with_policy(&self, mut command: Command) -> Command {
        if let Some(policy) = &self.args.policy {
            command.arg("--policy").arg(policy);
        }
        command
    }

    fn slots(&self) -> u32 {
        let cores = u32::try_from(machine::workers()).unwrap_or(u32::MAX);
        self.args.slots.unwrap_or_else(|| cores.div_ceil(self.args.workers.max(1)))
    }

    fn memory_bytes(&self) -> u64 {
        self.args.memory.unwrap_or_else(|| machine::memory_bytes() / u64::from(self.args.workers.max(1)))
    }

    fn identity(&self) -> PathBuf {
        self.folder.join("identity")
    }

    fn config(&self) -> PathBuf {
        self.folder.join("client.toml")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

/// Waits until each of these children has said a line; the last one said.
fn wait_ready(children: &mut Children, numbers: &[Number], deadline: Instant) -> Result<String> {
    let mut waiting: Vec<Number> = numbers.to_vec();
    let mut last = String::new();
    while let Some(first) = waiting.first() {
        match children.next_until(deadline) {
            Some(Event::Said(number, line)) => {
                waiting.retain(|waiting| *waiting != number);
                last = line;
            }
            Some(Event::Ended(number, status)) => bail!("{}", children.obituary(number, status)),
            Some(Event::Asked) => return Err(Interrupted("interrupted before the cluster was ready").into()),
            None => bail!("{} was not ready within {READY_TIMEOUT:?}", children.name(*first)),
        }
    }
    Ok(last)
}

/// This very program.
fn engine() -> Result<Command> {
    Ok(Command::new(std::env::current_exe().context("this program's file is not known")?))
}

/// Has a child end also when this process is killed.
fn with_parent(mut command: Command) -> Command {
    command.arg("--exit-with-parent").arg(std::process::id().to_string());
    command
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| Some(SIGNAL_CODES + status.signal()?)).unwrap_or(1)
}

fn code_of(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(1)
}

fn plural(number: u32, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
