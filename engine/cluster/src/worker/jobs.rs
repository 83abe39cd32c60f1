//! The jobs that a worker has attempts of: described, with their components loaded, once each.
//!
//! Attempts that need the same job at once wait for one of them to get it ready. A job is kept until it
//! is forgotten. Must not know which attempts run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use mr_model::{Failure, JobId, Role};
use mr_runtime::{AttemptResources, Job, JobDescription, MemoryPlan, Stages};
use mr_sandbox::Plugin;
use mr_shuffle::{Codec, MemoryPool, Reservation};
use tokio::sync::OnceCell;

use super::ask::Asker;
use super::components::Components;
use super::data::{job_dir, make};
use crate::protocol::{ComponentHash, CoordinatorKey};

/// The memory of a worker, and how it is lent to attempts.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    /// The budget, in bytes.
    pub budget: u64,
    /// Attempts that run at once.
    pub slots: usize,
    /// Where the sort buffers of all attempts draw from.
    pub pool: Arc<MemoryPool>,
}

/// The jobs of one life.
pub(super) struct Jobs {
    life_dir: PathBuf,
    codec: Codec,
    memory: Memory,
    components: Components,
    known: Mutex<BTreeMap<JobId, Arc<OnceCell<Ready>>>>,
}

/// A job that attempts can run of.
#[derive(Clone)]
pub(super) struct Ready {
    /// What its attempts share.
    pub job: Arc<Job>,
    /// Number of its partitions.
    pub reducers: u32,
    /// Folder of its files.
    pub dir: PathBuf,
    plugins: Arc<[String]>,
    /// What its guests need more than those of other jobs; taken out of the pool as long as it is known.
    _lent: Arc<Reservation>,
}

impl Jobs {
    /// None are known yet.
    pub fn new(life_dir: PathBuf, codec: Codec, memory: Memory, components: Components) -> Self {
        Self { life_dir, codec, memory, components, known: Mutex::default() }
    }

    /// The job, made ready if it is not. A caller that is dropped while it waits leaves the work to the
    /// next one.
    pub async fn ready(&self, id: &JobId, asker: &Asker) -> Result<Ready, Failure> {
        let slot =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(id.clone()).or_default().clone();
        slot.get_or_try_init(|| self.prepare(id, asker)).await.cloned()
    }

    /// Lets go of a job and of the components that it alone needed.
    pub fn forget(&self, id: &JobId) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(id);
        let in_use = |hash: &str| {
            let mut ready = known.values().filter_map(|slot| slot.get());
            ready.any(|ready| ready.plugins.iter().any(|plugin| plugin == hash))
        };
        self.components.release(in_use);
    }

    /// The jobs that are known.
    pub fn known(&self) -> Vec<JobId> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    async fn prepare(&self, id: &JobId, asker: &Asker) -> Result<Ready, Failure> {
        let what = format!("the description of job {id}");
        let bytes = asker.description(&CoordinatorKey::Job(id.clone()), &what).await?;
        let description: JobDescription = decode(&bytes, &what)?;
        if description.spec.id != *id {
            return Err(Failure::internal(format!("{what} is that of job {}", description.spec.id)));
        }
        let (stages, plugins) = self.load(&description, asker).await?;
        let (plan, lent) = self.memory.plan(&description)?;
        let dir = job_dir(&self.life_dir, id);
        make(&dir).map_err(|error| Failure::disk(&dir, &error))?;
        let resources = AttemptResources {
            memory: plan,
            pool: self.memory.pool.clone(),
            retain: None,
            run_dir: dir.clone(),
            codec: self.codec,
        };
        let reducers = description.spec.reducers;
        let job = Job::new(description, stages, resources)?;
        Ok(Ready { job, reducers, dir, plugins, _lent: Arc::new(lent) })
    }

    async fn load(
        &self,
        description: &JobDescription,
        asker: &Asker,
    ) -> Result<(Stages, Arc<[String]>), Failure> {
        let mut stages = Stages::default();
        let mut plugins = Vec::new();
        for (role, hash) in &description.roles {
            let plugin = self.components.load(parse(hash)?, asker).await?;
            if !plugin.roles().contains(role) {
                return Err(Failure::internal(format!("component {hash} does not serve the role {role}")));
            }
            plugins.push(plugin.hash().to_owned());
            *stage(&mut stages, *role) = Some(plugin);
        }
        Ok((stages, plugins.into()))
    }
}

impl Memory {
    /// How memory is divided for the attempts of a job, and what it takes out of the pool for guests that
    /// need more than usual. While the pool has not so much, they wait for nobody: the sort buffers that
    /// hold it end with their attempts.
    fn plan(&self, description: &JobDescription) -> Result<(MemoryPlan, Reservation), Failure> {
        let plan = MemoryPlan::new(
            self.budget,
            self.slots,
            description.guest_memory_bytes,
            !description.roles.is_empty(),
            description.spec.permissions.record_bytes_max,
        );
        let plan = plan.map_err(|error| {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            Failure::internal(format!(
                "this worker has --memory {} MiB for {} slots, and the job needs {} MiB",
                mib(error.budget),
                self.slots,
                mib(error.least)
            ))
        })?;
        let mut lent = self.pool.reserve();
        let _ = lent.grow_to(self.pool.bytes_max().saturating_sub(plan.pool));
        Ok((plan, lent))
    }
}

/// Decodes what the coordinator sent. `what` names it for people.
pub(super) fn decode<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<T, Failure> {
    match postcard::take_from_bytes(bytes) {
        Ok((decoded, [])) => Ok(decoded),
        Ok((_, rest)) => Err(Failure::internal(format!("{what} has {} bytes too many", rest.len()))),
        Err(error) => Err(Failure::internal(format!("{what} cannot be understood: {error}"))),
    }
}

fn parse(hash: &str) -> Result<ComponentHash, Failure> {
    let parsed = blake3::Hash::from_hex(hash);
    parsed.map(Into::into).map_err(|_| Failure::internal(format!("{hash:?} is no hash of a component")))
}

fn stage(stages: &mut Stages, role: Role) -> &mut Option<Plugin> {
    match role {
        Role::Mapper => &mut stages.mapper,
        Role::Combiner => &mut stages.combiner,
        Role::Reducer => &mut stages.reducer,
        Role::Partitioner => &mut stages.partitioner,
    }
}
