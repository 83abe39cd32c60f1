//! The worker: runs attempts, keeps their map output, and serves it to other workers.
//!
//! Owns: a data folder, a lease counted by its own clock, slots, fetching and serving of segments. Must
//! not decide what runs, nor commit anything: parts are handed over in the job's staging folder under
//! names of their own, or uploaded to a store without being visible there, and the coordinator does the rest.
//!
//! A worker has lives. A life begins with a registration and ends when the coordinator fences it or its
//! lease lapses; then everything of it is stopped and removed, and the next one begins. A connection that
//! breaks ends no life: attempts go on, and what was said and not noted is said again.
//!
//! In reading order: this file (options, errors, [`run`]), `house` (what outlasts lives), `control` and
//! `work` (one life), `lease`, `ledger`, `link` (its state), `ask`, `jobs`, `components`, `sides` (what comes
//! from the coordinator), `isolation`, `attempt`, `cancel`, `share`, `lines`, `thread` (one attempt), `fetch`, `source`,
//! `spool` (its input), `outputs`, `serve` (what others fetch), `data`, `disk`.

mod ask;
mod attempt;
mod cancel;
mod components;
mod control;
mod data;
mod disk;
mod fetch;
mod house;
mod isolation;
mod jobs;
mod lease;
mod ledger;
mod lines;
mod link;
mod near;
mod outputs;
mod serve;
mod share;
mod sides;
mod source;
mod spool;
mod tenants;
mod thread;
mod work;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mr_executor::ExecutorsError;
use mr_net::{BindError, ConnectError, Identity, Limits, NodeId, Server, ServerError};
use mr_policy::Policy;
use mr_sandbox::SandboxError;
use mr_shuffle::Codec;
use mr_storage::{RemoteInputs, RemoteOutputs};
use tokio_util::sync::CancellationToken;

use control::{Life, LifeEnd};
use house::House;
use link::jittered;

pub use isolation::Isolation;

/// Wait before the next life where the coordinator refused the last one at once.
const REFUSED_WAIT: Duration = Duration::from_secs(1);

/// How a worker is set up.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Its certificate, of the role worker.
    pub identity: Identity,
    /// The coordinator, as HOST:PORT.
    pub coordinator: String,
    /// Where it listens for other workers; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where other workers reach it, as HOST or HOST:PORT. None: where it listens, or the machine's name
    /// if that is every address.
    pub advertise: Option<String>,
    /// Folder for run files, fetched segments and components; one worker's alone.
    pub data_dir: PathBuf,
    /// Folder for compiled components; one in the data folder if none is given.
    pub cache_dir: Option<PathBuf>,
    /// Attempts that it runs at once, at least 1.
    pub slots: u32,
    /// Memory for all attempts together, in bytes.
    pub memory_bytes: u64,
    /// Space of the data folder's disk that stays free, in bytes; below, nothing new is taken.
    pub disk_reserve_bytes: u64,
    /// How run files are stored.
    pub codec: Codec,
    /// Whether map output of other workers on the same machine is read where it lies, where that can be
    /// done; all else is fetched.
    pub read_near: bool,
    /// Stores that inputs may come from; none where there are files alone.
    pub remote: Option<Arc<dyn RemoteInputs>>,
    /// Stores that output may go to; none where there are folders alone.
    pub remote_outputs: Option<Arc<dyn RemoteOutputs>>,
    /// How plugins are kept from the worker.
    pub isolation: Isolation,
    /// What its owner allows, whatever the coordinator accepted; none allows everything.
    pub policy: Option<Arc<Policy>>,
    /// Limits of the network.
    pub limits: Limits,
}

/// Why a worker does not start, or ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The certificate is not a worker's.
    #[error("the certificate is that of {node}, and a worker needs one of the role worker")]
    Role {
        /// Whose it is.
        node: NodeId,
    },
    /// The coordinator's address makes no sense.
    #[error("{address:?} is no address of a coordinator; give HOST:PORT")]
    Coordinator {
        /// The address.
        address: String,
    },
    /// It has no slots.
    #[error("a worker without slots runs nothing; give --slots 1 or more")]
    Slots,
    /// The memory does not do for its slots.
    #[error(
        "--memory {} MiB is too small for {slots} slots: it takes at least {} MiB; \
         give more memory or use fewer --slots",
        budget.div_ceil(1 << 20), least.div_ceil(1 << 20)
    )]
    Memory {
        /// What is given, in bytes.
        budget: u64,
        /// The least that would do, in bytes.
        least: u64,
        /// Its slots.
        slots: u32,
    },
    /// Another worker uses the data folder.
    #[error("{} is in use by another worker; give each worker a data folder of its own", path.display())]
    DataInUse {
        /// The folder.
        path: PathBuf,
    },
    /// The data folder cannot be used.
    #[error("{} in the worker's data folder cannot be used: {reason}", path.display())]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// A socket cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Plugins cannot run on this machine.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Plugins cannot be kept apart on this machine.
    #[error(transparent)]
    Executors(#[from] ExecutorsError),
    /// The side that serves other workers failed.
    #[error("other workers cannot be served any more: {reason}")]
    Serve {
        /// What happened.
        reason: String,
    },
    /// The coordinator does not let this worker in.
    #[error(transparent)]
    Refused(ConnectError),
    /// Another process works under the same name.
    #[error("another worker named {name} has joined the cluster; give each worker a certificate of its own")]
    Replaced {
        /// The name.
        name: String,
    },
    /// Attempts did not stop.
    #[error(
        "{attempts} attempts did not stop within {after:?}; the worker ends so that they do not outlive their lease"
    )]
    Stuck {
        /// How many.
        attempts: usize,
        /// How long was waited.
        after: Duration,
    },
}

/// Works for a coordinator until that drains it or `shutdown` is cancelled; both are orderly ends.
/// `ready` is told where other workers reach it once the coordinator has welcomed it. Needs
/// a tokio runtime with several threads or one, and leaves no data behind.
///
/// # Errors
/// What cannot work is refused at once. Later a worker ends with an error only if it may not join any
/// more, or can no longer keep its promises: all else is tried again.
pub async fn run(
    options: WorkerOptions,
    ready: impl FnOnce(&str),
    shutdown: CancellationToken,
) -> Result<(), WorkerError> {
    let (house, server) = House::open(options).await?;
    let house = Arc::new(house);
    let announced = async {
        house.joined.cancelled().await;
        ready(house.address());
        std::future::pending::<()>().await;
    };
    let stop = CancellationToken::new();
    let mut serving = tokio::spawn(Server::run(server, stop.clone()));
    let ended = tokio::select! {
        ended = lives(&house, &shutdown) => ended,
        () = announced => Ok(()),
        served = &mut serving => return Err(unserved(served.map_err(|error| error.to_string()))),
    };
    stop.cancel();
    if let Ok(Err(error)) = serving.await {
        tracing::warn!(%error, "other workers were cut off");
    }
    house.dialer.close().await;
    ended
}

/// One life after the other.
async fn lives(house: &Arc<House>, shutdown: &CancellationToken) -> Result<(), WorkerError> {
    loop {
        let begun = house.clone();
        let begun = tokio::task::spawn_blocking({
            let runtime = tokio::runtime::Handle::current();
            move || {
                let _runtime = runtime.enter();
                Life::begin(begun)
            }
        });
        let mut life = begun.await.unwrap_or_else(|error| {
            Err(WorkerError::Data { path: house.data.path().to_owned(), reason: error.to_string() })
        })?;
        let lived = life.live(shutdown).await;
        let ended = *lived.as_ref().unwrap_or(&LifeEnd::Over { welcomed: false });
        life.end(ended).await?;
        match lived? {
            LifeEnd::Over { welcomed: true } => {}
            LifeEnd::Over { welcomed: false } => {
                shutdown.run_until_cancelled(tokio::time::sleep(jittered(REFUSED_WAIT))).await;
            }
            LifeEnd::Left | LifeEnd::Shutdown => {
                tracing::info!("left the cluster");
                return Ok(());
            }
        }
    }
}

fn unserved(served: Result<Result<(), ServerError>, String>) -> WorkerError {
    let reason = match served {
        Ok(Ok(())) => "it ended".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(reason) => reason,
    };
    WorkerError::Serve { reason }
}
