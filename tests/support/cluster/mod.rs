//! A cluster of real processes on loopback with certificates and folders of its own; all of it goes when
//! it is dropped. Time is real here, so every wait asks for a condition again and again, and passing
//! its deadline fails the test.
//!
//! In reading order: [`node`] (a process), [`client`] (what is asked of a cluster), [`work`] (jobs, and what
//! they must yield), [`handed`] (a job on the cluster), [`link`] (a network that misbehaves), [`bare`] (peers
//! that break the protocol).

pub mod bare;
pub mod client;
pub mod handed;
pub mod link;
pub mod node;
pub mod work;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use self::node::Node;
use super::job::names;
use super::process::{command, run, shared_cache};

pub use self::client::Client;
pub use self::handed::number;
pub use self::link::{Link, Weather};
pub use self::work::Work;

/// Longest wait for anything: far more than it takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(180);
/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(20);
/// Certificates beyond those of the workers that a cluster begins with.
const SPARE_WORKERS: usize = 2;

/// Asks until there is an answer.
#[track_caller]
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(begun.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
        std::thread::sleep(PAUSE);
    }
}

/// How a cluster is made.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Workers, named `worker-1` and so on.
    pub workers: usize,
    /// Memory of each, which runs one task at once.
    pub memory: &'static str,
    /// After which time a silent worker is lost.
    pub lease: &'static str,
    /// Further options of the coordinator.
    pub coordinator: &'static [&'static str],
    /// The coordinator's policy: the text of `policy.toml`.
    pub policy: Option<String>,
    /// Variables of the coordinator and the workers.
    pub environment: BTreeMap<String, String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            workers: 2,
            memory: "64M",
            lease: "2s",
            coordinator: &[],
            policy: None,
            environment: BTreeMap::new(),
        }
    }
}

/// A cluster.
pub struct Cluster {
    pub coordinator: Node,
    pub workers: Vec<Node>,
    setup: Setup,
    /// Options with which each worker was started.
    options: Vec<Vec<String>>,
    client: Client,
    // Last, so that it outlives the processes.
    _dir: TempDir,
}

/// Everything that a client asks.
impl Deref for Cluster {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Cluster {
    /// A cluster of this shape, ready.
    #[track_caller]
    pub fn start(setup: Setup) -> Self {
        let mut cluster = Self::without_workers(setup);
        for _ in 0..cluster.setup.workers {
            cluster.add_worker(&[]);
        }
        cluster.wait_until_live(cluster.setup.workers);
        cluster
    }

    /// A cluster of so many workers, which are soon lost.
    #[track_caller]
    pub fn of(workers: usize) -> Self {
        Self::start(Setup { workers, ..Setup::default() })
    }

    /// A cluster of so many workers, which are not lost only because the machine is busy.
    #[track_caller]
    pub fn steady(workers: usize) -> Self {
        Self::start(Setup { workers, lease: "30s", ..Setup::default() })
    }

    /// A cluster with a coordinator alone.
    #[track_caller]
    pub fn without_workers(setup: Setup) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for name in ["logs", "outputs"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let mut init = command(dir.path());
        init.args(["cluster", "init", "ids", "--workers", &(setup.workers + SPARE_WORKERS).to_string()]);
        let minted = run(init);
        assert_eq!(minted.code(), Some(0), "{}", minted.stderr);
        if let Some(policy) = &setup.policy {
            fs::write(dir.path().join("policy.toml"), policy).unwrap();
        }
        let coordinator = Node::new("coordinator", &dir.path().join("logs"));
        let client = Client::new(dir.path());
        let mut cluster =
            Self { coordinator, workers: Vec::new(), setup, options: Vec::new(), client, _dir: dir };
        cluster.start_coordinator();
        cluster
    }

    /// Starts the coordinator, at its former address if it had one, and waits until it is ready.
    #[track_caller]
    pub fn start_coordinator(&mut self) {
        let mut command = self.node_command("coordinator");
        command.args(["--data-dir", "coordinator", "--listen", &self.client.address]);
        command.args(["--worker-lease", self.setup.lease]).args(self.setup.coordinator);
        if self.setup.policy.is_some() {
            command.args(["--policy", "policy.toml"]);
        }
        self.coordinator.start(command);
        self.client.address = self.coordinator.ready();
    }

    /// Adds a worker with further options and waits until it is ready; its number.
    #[track_caller]
    pub fn add_worker(&mut self, options: &[&str]) -> usize {
        let number = self.workers.len();
        let name = format!("worker-{}", number + 1);
        self.workers.push(Node::new(&name, &self.path("logs")));
        self.options.push(options.iter().map(|option| (*option).to_owned()).collect());
        self.start_worker(number);
        number
    }

    /// Starts a worker as it was started first and waits until it is ready; its address.
    #[track_caller]
    pub fn start_worker(&mut self, number: usize) -> String {
        let options: Vec<&str> = self.options[number].iter().map(String::as_str).collect();
        let command = self.worker_command(number, &options);
        self.workers[number].start(command);
        self.workers[number].ready()
    }

    /// The command of a worker: these options, and what all have.
    pub fn worker_command(&self, number: usize, options: &[&str]) -> Command {
        let name = &self.workers[number].name;
        let mut command = self.node_command("worker");
        command.args(["--name", name]).args(options);
        if !options.contains(&"--cache-dir") {
            command.arg("--cache-dir").arg(shared_cache());
        }
        for (option, value) in [
            ("--coordinator", self.address.as_str()),
            ("--data-dir", name),
            ("--listen", "127.0.0.1:0"),
            ("--slots", "1"),
            ("--memory", self.setup.memory),
            ("--disk-reserve", "1M"),
        ] {
            if !options.contains(&option) {
                command.args([option, value]);
            }
        }
        // Some read files of their neighbours where they lie, some fetch everything.
        if number.is_multiple_of(2) {
            command.arg("--no-near");
        }
        command
    }

    fn node_command(&self, role: &str) -> Command {
        let mut command = command(&self.path(""));
        command.envs(&self.setup.environment);
        command.args([role, "--identity", "ids", "--log", "info,mr_cluster=debug"]);
        command.args(["--exit-with-parent", &std::process::id().to_string()]);
        command
    }

    /// Kills the coordinator and starts it again.
    #[track_caller]
    pub fn restart_coordinator(&mut self) {
        self.coordinator.kill();
        self.start_coordinator();
    }

    /// Kills a worker and starts it again.
    #[track_caller]
    pub fn restart_worker(&mut self, number: usize) {
        self.workers[number].kill();
        self.start_worker(number);
    }

    /// Stops a worker where it stands, until it is lost.
    #[track_caller]
    pub fn stop_until_lost(&self, number: usize) {
        let name = &self.workers[number].name;
        self.workers[number].signal(Signal::STOP);
        self.wait_for_worker(name, "to be lost", |worker| worker["live"] == false);
    }

    /// Waits until nothing is left of the jobs: no slot taken, no map output kept, no file in the folders
    /// of workers that run, and beside these outputs nothing.
    #[track_caller]
    pub fn assert_idle(&mut self, outputs: &[&str]) {
        eventually("idle workers", || {
            let workers = self.json(&["workers"]);
            workers.iter().all(|worker| worker["running"] == 0 && worker["outputs"] == 0).then_some(())
        });
        let dir = self.path("");
        for worker in &mut self.workers {
            if worker.is_running() {
                let folder = dir.join(&worker.name);
                let what = format!("no files of jobs in {}", folder.display());
                eventually(&what, || job_files(&folder).is_empty().then_some(()));
            }
        }
        let mut outputs: Vec<String> = outputs.iter().map(|id| (*id).to_owned()).collect();
        outputs.sort();
        let folder = self.path("outputs");
        eventually(&format!("{outputs:?} alone in {}", folder.display()), || {
            (names(&folder) == outputs).then_some(())
        });
    }
}

/// Everything of jobs in the data folder of a worker.
pub fn job_files(data_dir: &Path) -> Vec<PathBuf> {
    let lives = data_dir.join("lives");
    names(&lives).iter().flat_map(|life| files_below(&lives.join(life))).collect()
}

/// Files and folders below a folder, which may go while this looks.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        found.push(entry.path());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files_below(&entry.path()));
        }
    }
    found
}
