//! The components that jobs of this worker need: fetched once, kept in the data folder, loaded once.
//!
//! Attempts that need the same component at once wait for one of them to fetch it. What lies in the
//! folder is checked again when it is loaded. Must not load what has other bytes than its name says,
//! or what the worker's policy does not take.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use mr_model::{Failure, Role};
use mr_policy::Policy;
use tokio::sync::OnceCell;

use super::ask::{Asker, hex};
use super::isolation::{Loaded, Loader};
use super::thread::on_thread;
use crate::protocol::ComponentHash;

/// A component, or why it is not taken: it would not be another time.
type Slot = Arc<OnceCell<Result<Loaded, Failure>>>;

/// Components in a folder, and those that are loaded.
#[derive(Clone)]
pub(super) struct Components {
    dir: PathBuf,
    loader: Loader,
    policy: Option<Arc<Policy>>,
    loaded: Arc<Mutex<BTreeMap<ComponentHash, Slot>>>,
}

impl Components {
    /// Those of a folder, as far as a policy takes them.
    pub fn new(dir: PathBuf, loader: Loader, policy: Option<Arc<Policy>>) -> Self {
        Self { dir, loader, policy, loaded: Arc::default() }
    }

    /// What they are loaded with.
    pub fn loader(&self) -> &Loader {
        &self.loader
    }

    /// The component with a hash, fetched and loaded if it is not here, for `role`. A caller that is
    /// dropped while it waits leaves the work to the next one.
    pub async fn load(&self, hash: ComponentHash, role: Role, asker: &Asker) -> Result<Loaded, Failure> {
        let slot =
            self.loaded.lock().unwrap_or_else(PoisonError::into_inner).entry(hash).or_default().clone();
        let load = || async {
            match self.fetch_and_load(hash, role, asker).await {
                Err(failure) if !lasts(&failure) => Err(failure),
                lasting => Ok(lasting),
            }
        };
        slot.get_or_try_init(load).await?.clone()
    }

    /// Lets go of what no job holds any more.
    pub fn release(&self, in_use: impl Fn(&str) -> bool) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|hash, slot| Arc::strong_count(slot) > 1 || in_use(&hex(*hash)));
    }

    async fn fetch_and_load(
        &self,
        hash: ComponentHash,
        role: Role,
        asker: &Asker,
    ) -> Result<Loaded, Failure> {
        let path = self.dir.join(format!("{}.wasm", hex(hash)));
        if path.exists() {
            match self.load_file(hash, role, path.clone()).await {
                Ok(loaded) => return Ok(loaded),
                Err(failure) if lasts(&failure) => return Err(failure),
                Err(failure) => tracing::warn!(%failure, "a kept component is fetched again"),
            }
        }
        asker.component(hash, &path).await?;
        tracing::debug!(component = %hex(hash), "component fetched");
        self.load_file(hash, role, path).await
    }

    /// Loads on a thread of its own: that takes long where the component is compiled.
    async fn load_file(&self, hash: ComponentHash, role: Role, path: PathBuf) -> Result<Loaded, Failure> {
        let (loader, policy) = (self.loader.clone(), self.policy.clone());
        let load = move || {
            if let Some(policy) = &policy {
                check(policy, &hex(hash), &path)?;
            }
            // The time of use is what keeps it. Where it cannot be set, it only goes sooner.
            let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
            loader.load(&hex(hash), &path, role)
        };
        on_thread("load".to_owned(), load).await
    }
}

/// Whether a failure would be the same again.
fn lasts(failure: &Failure) -> bool {
    matches!(failure, Failure::Limit { .. } | Failure::Refused { .. })
}

/// Asks the policy before anything of a component is compiled.
fn check(policy: &Policy, name: &str, path: &Path) -> Result<(), Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::disk(path, &error))?;
    let verdict = policy.check_component(&bytes, &blake3::hash(&bytes));
    verdict.map(drop).map_err(|refusal| Failure::Refused { sentence: format!("plugin {name} {refusal}") })
}
