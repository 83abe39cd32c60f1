//! What the tests share: a cluster's identities, workers in this process, and a small job.

pub mod coordinator;
pub mod job;
pub mod silent;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mr_cluster::worker::{Isolation, WorkerError, WorkerOptions, run};
use mr_net::{Authority, Certificate, Identity, Limits, NodeRole};
use mr_sandbox::Compiler;
use mr_shuffle::Codec;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use coordinator::{Coordinator, Joined};
pub use job::SmallJob;

/// Bounds every wait. Far beyond what anything takes, so that a loaded machine fails no test.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(120), future).await;
    waited.unwrap_or_else(|_| panic!("{what} takes for ever"))
}

/// Waits for something that nobody tells of.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    soon(what, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// A cluster's authority, with a folder for everything.
pub struct Cluster {
    pub dir: TempDir,
    authority: Authority,
}

impl Cluster {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(&dir.path().join("identities")).unwrap();
        Self { dir, authority }
    }

    pub fn identity(&self, role: NodeRole, name: &str) -> Identity {
        self.authority.issue(&Certificate::new(role, name, &[])).unwrap()
    }

    pub fn coordinator(&self) -> Coordinator {
        Coordinator::start(&self.identity(NodeRole::Coordinator, "coordinator"))
    }

    pub fn options(&self, name: &str, coordinator: &Coordinator) -> WorkerOptions {
        WorkerOptions {
            remote: None,
            remote_outputs: None,
            identity: self.identity(NodeRole::Worker, name),
            coordinator: coordinator.address.clone(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertise: None,
            data_dir: self.dir.path().join(name),
            cache_dir: None,
            slots: 2,
            memory_bytes: 256 << 20,
            disk_reserve_bytes: 0,
            codec: Codec::Lz4,
            read_near: false,
            isolation: Isolation::Threads { compiler: Compiler::InProcess },
            policy: None,
            limits: Limits::default(),
        }
    }

    pub fn worker(&self, name: &str, coordinator: &Coordinator) -> Worker {
        Worker::start(self.options(name, coordinator))
    }
}

/// A worker in a task.
pub struct Worker {
    pub data_dir: PathBuf,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), WorkerError>>,
}

impl Worker {
    pub fn start(options: WorkerOptions) -> Self {
        let (data_dir, shutdown) = (options.data_dir.clone(), CancellationToken::new());
        let task = tokio::spawn(run(options, |_: &str| {}, shutdown.clone()));
        Self { data_dir, shutdown, task }
    }

    /// Tells it to stop, and how it did.
    pub async fn stop(self) -> Result<(), WorkerError> {
        self.shutdown.cancel();
        self.ended().await
    }

    /// How it ended.
    pub async fn ended(self) -> Result<(), WorkerError> {
        soon("the worker's end", self.task).await.unwrap()
    }

    /// Folder of a job in one of its lives.
    pub fn job_dir(&self, joined: &Joined, job: &SmallJob) -> PathBuf {
        let life = joined.registration.incarnation.0.to_string();
        self.data_dir.join("lives").join(life).join(job.id.as_str())
    }

    /// Names of its lives that have files.
    pub fn lives(&self) -> Vec<String> {
        names(&self.data_dir.join("lives"))
    }
}

/// Names in a folder, in order; none if it is not there.
pub fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
