//! The components that jobs of this worker need: fetched once, kept in the data folder, loaded once.
//!
//! Attempts that need the same component at once wait for one of them to fetch it. What lies in the
//! folder is checked again when it is loaded. Must not load what has other bytes than its name says.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use mr_model::Failure;
use mr_sandbox::{LoadProgress, Plugin, Sandbox};
use tokio::sync::OnceCell;

use super::ask::{Asker, hex};
use super::thread::on_thread;
use crate::protocol::ComponentHash;

type Slot = Arc<OnceCell<Plugin>>;

/// Components in a folder, and those that are loaded.
#[derive(Clone)]
pub(super) struct Components {
    dir: PathBuf,
    sandbox: Sandbox,
    loaded: Arc<Mutex<BTreeMap<ComponentHash, Slot>>>,
}

impl Components {
    /// Those of a folder.
    pub fn new(dir: PathBuf, sandbox: Sandbox) -> Self {
        Self { dir, sandbox, loaded: Arc::default() }
    }

    /// The component with a hash, fetched and loaded if it is not here. A caller that is dropped while
    /// it waits leaves the work to the next one.
    pub async fn load(&self, hash: ComponentHash, asker: &Asker) -> Result<Plugin, Failure> {
        let slot =
            self.loaded.lock().unwrap_or_else(PoisonError::into_inner).entry(hash).or_default().clone();
        let plugin = slot.get_or_try_init(|| self.fetch_and_load(hash, asker)).await?;
        Ok(plugin.clone())
    }

    /// Lets go of what no job holds any more.
    pub fn release(&self, in_use: impl Fn(&str) -> bool) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|hash, slot| Arc::strong_count(slot) > 1 || in_use(&hex(*hash)));
    }

    async fn fetch_and_load(&self, hash: ComponentHash, asker: &Asker) -> Result<Plugin, Failure> {
        let path = self.dir.join(format!("{}.wasm", hex(hash)));
        if path.exists() {
            match self.load_file(hash, path.clone()).await {
                Ok(plugin) => return Ok(plugin),
                Err(failure) => tracing::warn!(%failure, "a kept component is fetched again"),
            }
        }
        asker.component(hash, &path).await?;
        tracing::debug!(component = %hex(hash), "component fetched");
        self.load_file(hash, path).await
    }

    /// Loads on a thread of its own: compiling takes long, and components run while they are loaded.
    async fn load_file(&self, hash: ComponentHash, path: PathBuf) -> Result<Plugin, Failure> {
        let sandbox = self.sandbox.clone();
        on_thread("load".to_owned(), move || load(&sandbox, hash, &path)).await
    }
}

fn load(sandbox: &Sandbox, hash: ComponentHash, path: &Path) -> Result<Plugin, Failure> {
    let hash = hex(hash);
    // The time of use is what keeps it. Where it cannot be set, it only goes sooner.
    let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
    let mut told = |progress| match progress {
        LoadProgress::Compiling { bytes } => {
            tracing::info!(component = %hash, bytes, "compiling a component")
        }
        LoadProgress::Waiting => tracing::debug!(component = %hash, "another thread compiles the component"),
    };
    let plugin = sandbox.load(path, &mut told).map_err(|error| {
        Failure::internal(format!("component {hash} does not load on this worker: {error}"))
    })?;
    if plugin.hash() == hash {
        return Ok(plugin);
    }
    Err(Failure::internal(format!("component {hash} has the bytes of {}; it is refused", plugin.hash())))
}
