//! The coordinator: owns the jobs, their journal and their outputs.
//!
//! Owns: admission, the scheduler and its journal, commits, the history, and what is told to whom. Runs
//! no plugin and reads no input; sees the folders of outputs, which it alone commits to.
//!
//! One thread has all state (`driver`, `core`); the network side (`service`) and work on outputs
//! (`output`) only send it messages. In reading order: `record` and `journal` (what is kept), `job`,
//! `core` with `words`, `act`, `finish`, `restore` and `view`, `output`, `driver`, `submission`,
//! `contents`, `stored`, `intake`, `gate`, `service`.

mod act;
mod contents;
pub mod core;
mod driver;
mod finish;
mod gate;
mod intake;
mod job;
pub mod journal;
mod output;
pub mod record;
mod restore;
mod service;
mod stored;
#[doc(hidden)]
pub mod submission;
mod view;
mod words;

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mr_net::{BindError, Identity, Limits, Listener, NodeRole, Server, ServerError};
use mr_policy::Policy;
use mr_scheduler::{Config, QueueConfig};
use mr_storage::RemoteOutputs;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::contents::Contents;
use self::core::{Core, CoreSettings};
use self::driver::{Clock, Driver, MESSAGES_MAX};
use self::gate::Gate;
use self::journal::{Journal, JournalError};
use self::service::Service;

pub use self::driver::worker_id;
pub use self::output::{Outputs, Task};

/// Name of the journal in the data folder.
const JOURNAL_FILE: &str = "journal.redb";
/// Outputs that are worked on at once; more wait.
const OUTPUT_THREADS_MAX: usize = 32;
/// Folder of components in the data folder.
const COMPONENTS_DIR: &str = "components";
/// Folder of side inputs in the data folder.
const SIDES_DIR: &str = "sides";
/// Folder of what is put together for outputs on stores, in the data folder.
const OUTPUTS_DIR: &str = "outputs";
/// Bytes of side inputs that stay although no job that runs names them: a job that is submitted again and
/// again sends its table once.
const IDLE_SIDES_BYTES_MAX: u64 = 16 << 30;

/// How a coordinator runs.
#[derive(Debug, Clone)]
pub struct CoordinatorOptions {
    /// Its certificate and key.
    pub identity: Identity,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Folder of journal, components and side inputs.
    pub data_dir: PathBuf,
    /// Time without a word after which a worker counts as lost.
    pub worker_lease: Duration,
    /// Time without any worker after which jobs fail.
    pub no_worker_timeout: Duration,
    /// Queues: weight, and most slots if there is a cap.
    pub queues: BTreeMap<String, (u32, Option<u32>)>,
    /// Ended jobs that stay in the history.
    pub keep_jobs: u64,
    /// What jobs and plugins have to keep to, if anything.
    pub policy: Option<Arc<Policy>>,
    /// Stores that output may go to; none where there are folders alone.
    pub remote_outputs: Option<Arc<dyn RemoteOutputs>>,
    /// Of the network.
    pub limits: Limits,
}

/// Why a coordinator ended, or did not begin.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// The data folder.
    #[error("{} cannot be used as --data-dir: {reason}", path.display())]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The journal.
    #[error("{}: {error}", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// What is wrong.
        error: JournalError,
    },
    /// The socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The network.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The system.
    #[error("the system gives no thread: {0}")]
    Thread(std::io::Error),
}

/// What jobs bring along, by content.
#[derive(Debug, Clone)]
struct Stores {
    /// Kept as long as the history names them.
    components: Contents,
    /// Kept for jobs that run, and as far as there is room for them.
    sides: Contents,
}

/// Runs a coordinator until `shutdown`; `ready` is told the address once it can be reached. Jobs that
/// run go on when it is started again.
pub async fn run(
    options: CoordinatorOptions,
    ready: impl FnOnce(SocketAddr),
    shutdown: CancellationToken,
) -> Result<(), CoordinatorError> {
    let CoordinatorOptions { identity, listen, data_dir, limits, .. } = &options;
    let folder = |error: std::io::Error| CoordinatorError::DataDir {
        path: data_dir.clone(),
        reason: error.to_string(),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(folder)?;
    let path = data_dir.join(JOURNAL_FILE);
    let broken = |error| CoordinatorError::Journal { path: path.clone(), error };
    let journal = Journal::open(&path).map_err(broken)?;
    let components = Contents::open(data_dir.join(COMPONENTS_DIR), "wasm", 0).map_err(folder)?;
    let sides = Contents::open(data_dir.join(SIDES_DIR), "side", IDLE_SIDES_BYTES_MAX).map_err(folder)?;
    let stores = Stores { components, sides };
    let clock = Clock::start();
    let (core, effects) = Core::open(journal, settings(&options), clock.now()).map_err(broken)?;
    let roles = [NodeRole::Worker, NodeRole::Client];
    let listener = Listener::bind(*listen, identity, &roles, limits.clone())?;
    let address = listener.address();
    let (messages, inbox) = mpsc::channel(MESSAGES_MAX);
    let stop = CancellationToken::new();
    let outputs = Outputs::new(options.remote_outputs.clone(), data_dir.join(OUTPUTS_DIR));
    let (back, owned) = (messages.clone(), stores.clone());
    let driver =
        start_driver(move || Driver::new(core, owned, clock, effects, inbox, back, outputs), stop.clone())?;
    let service = Service::new(messages, stores, Gate::new(options.policy.clone()), shutdown.clone());
    let server = Server::new(listener, Arc::new(service));
    ready(address);
    let serving = server.run(shutdown.clone());
    tokio::pin!(serving);
    let mut driver = driver;
    tokio::select! {
        served = &mut serving => {
            stop.cancel();
            let driven = (&mut driver).await;
            ended(driven).map_err(broken)?;
            Ok(served?)
        }
        driven = &mut driver => {
            // Without its journal a coordinator can promise nothing.
            shutdown.cancel();
            let _ = serving.await;
            ended(driven).map_err(broken)
        }
    }
}

type Driven = Result<Result<(), JournalError>, tokio::sync::oneshot::error::RecvError>;

fn ended(driven: Driven) -> Result<(), JournalError> {
    driven.unwrap_or_else(|_| {
        let reason = "the thread that owns it ended".to_owned();
        Err(JournalError::Content { what: "something", reason })
    })
}

/// Starts the thread that has the core; what becomes of it comes back.
fn start_driver(
    driver: impl FnOnce() -> Driver + Send + 'static,
    stop: CancellationToken,
) -> Result<tokio::sync::oneshot::Receiver<Result<(), JournalError>>, CoordinatorError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(OUTPUT_THREADS_MAX)
        .build();
    let runtime = runtime.map_err(CoordinatorError::Thread)?;
    let (done, driven) = tokio::sync::oneshot::channel();
    let work = move || {
        let outcome = runtime.block_on(async move { driver().run(stop).await });
        let _ = done.send(outcome);
    };
    let thread = std::thread::Builder::new().name("coordinator".into());
    thread.spawn(work).map_err(CoordinatorError::Thread)?;
    Ok(driven)
}

fn settings(options: &CoordinatorOptions) -> CoreSettings {
    let queues = options.queues.iter().map(|(name, (weight, slots_max))| {
        (name.clone(), QueueConfig { weight: *weight, slots_max: *slots_max })
    });
    let scheduler = Config {
        worker_lease: Some(options.worker_lease),
        no_worker_timeout: options.no_worker_timeout,
        queues: queues.collect(),
    };
    CoreSettings { scheduler, keep_jobs: options.keep_jobs }
}
