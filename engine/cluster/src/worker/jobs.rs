//! The jobs that a worker has attempts of: described, with their components loaded, once each.
//!
//! Attempts that need the same job at once wait for one of them to get it ready. A job is kept until it
//! is forgotten. Must not know which attempts run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use mr_executor::Code;
use mr_model::{Failure, InputSpec, JobId, Role, Side, is_address};
use mr_policy::Policy;
use mr_runtime::{AttemptResources, FormatMemory, Job, JobDescription, MemoryPlan, Stages, open_sides};
use mr_sandbox::PluginFacts;
use mr_shuffle::{Codec, MemoryPool, Reservation};
use mr_storage::{RemotePlace, Split};
use tokio::sync::OnceCell;

use super::ask::Asker;
use super::components::Components;
use super::data::{job_dir, make};
use super::isolation::Loaded;
use super::sides::{HeldSide, Sides};
use super::tenants::{ROOM_PATIENCE, Tenancy, UNWRITTEN_BYTES_MAX};
use crate::protocol::{ComponentHash, CoordinatorKey};

/// Folder of parts that wait to be uploaded, in the folder of their job.
const PARTS_DIR: &str = "parts";

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
    sides: Sides,
    policy: Option<Arc<Policy>>,
    known: Mutex<BTreeMap<JobId, Arc<OnceCell<Ready>>>>,
}

/// A job that attempts can run of.
#[derive(Clone)]
pub(super) struct Ready {
    /// What its attempts share.
    pub job: Shared,
    /// Number of its partitions.
    pub reducers: u32,
    /// Its inputs.
    pub inputs: Arc<[InputSpec]>,
    /// Longest record of its inputs, in bytes.
    pub record_bytes_max: u64,
    /// Folder of its files.
    pub dir: PathBuf,
    /// Folder that its attempts leave their parts in.
    pub part_dir: PathBuf,
    /// Where parts and rejects are uploaded from there; none where the folder is that of the output.
    pub store: Option<RemotePlace>,
    plugins: Arc<[String]>,
    /// What its guests need more than those of other jobs; taken out of the pool as long as it is known.
    _lent: Option<Arc<Reservation>>,
}

/// What the attempts of a job share.
#[derive(Clone)]
pub(super) enum Shared {
    /// In threads of this process.
    Here(Arc<Job>),
    /// In processes.
    Apart(Arc<Apart>),
}

/// A job whose attempts run in processes.
pub(super) struct Apart {
    /// The job.
    pub description: JobDescription,
    /// How memory is divided among the slots.
    pub memory: MemoryPlan,
    /// How run files are stored.
    pub codec: Codec,
    /// Its components, each once.
    pub plugins: Vec<(PluginFacts, Arc<Code>)>,
    /// Its side inputs, in their order.
    pub sides: Vec<HeldSide>,
}

impl Jobs {
    /// None are known yet. Without a policy all are taken.
    pub fn new(
        life_dir: PathBuf,
        codec: Codec,
        memory: Memory,
        components: Components,
        sides: Sides,
        policy: Option<Arc<Policy>>,
    ) -> Self {
        Self { life_dir, codec, memory, components, sides, policy, known: Mutex::default() }
    }

    /// The job, made ready if it is not. A caller that is dropped while it waits leaves the work to the
    /// next one.
    pub async fn ready(&self, id: &JobId, asker: &Asker, tenancy: &Tenancy) -> Result<Ready, Failure> {
        let slot =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(id.clone()).or_default().clone();
        slot.get_or_try_init(|| self.prepare(id, asker, tenancy)).await.cloned()
    }

    /// Whether the worker's policy lets jobs read what a split is of.
    pub async fn check_split(&self, split: Split) -> Result<Split, Failure> {
        let Some(policy) = self.policy.clone() else { return Ok(split) };
        let verdict = tokio::task::spawn_blocking(move || {
            let refused = split.pieces.iter().find_map(|piece| policy.check_input(&piece.path).err());
            refused.map_or(Ok(split), |refusal| Err(Failure::Refused { sentence: refusal.to_string() }))
        });
        verdict.await.map_err(|error| Failure::internal(error.to_string()))?
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

    /// Where the output of a job goes, if that is a store and the job is known.
    pub fn store(&self, id: &JobId) -> Option<RemotePlace> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id)?.get()?.store.clone()
    }

    /// The jobs that are known.
    pub fn known(&self) -> Vec<JobId> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    async fn prepare(&self, id: &JobId, asker: &Asker, tenancy: &Tenancy) -> Result<Ready, Failure> {
        let what = format!("the description of job {id}");
        let bytes = asker.description(&CoordinatorKey::Job(id.clone()), &what).await?;
        let mut description: JobDescription = decode(&bytes, &what)?;
        if description.spec.id != *id {
            return Err(Failure::internal(format!("{what} is that of job {}", description.spec.id)));
        }
        if let Some(policy) = &self.policy {
            allowed(policy, &description)?;
        }
        let loaded = self.load(&description, asker).await?;
        let sides = self.sides.hold(&description.spec.sides, asker, tenancy).await?;
        let memory = self.memory.plan(&description)?;
        let dir = job_dir(&self.life_dir, id);
        make(&dir).map_err(|error| Failure::disk(&dir, &error))?;
        let store = store_of(&description)?;
        if store.is_some() {
            description.part_dir = dir.join(PARTS_DIR);
            make(&description.part_dir).map_err(|error| Failure::disk(&description.part_dir, &error))?;
        }
        let (reducers, part_dir) = (description.spec.reducers, description.part_dir.clone());
        let inputs: Arc<[InputSpec]> = description.spec.inputs.clone().into();
        let record_bytes_max = description.spec.permissions.record_bytes_max;
        let plugins = loaded.iter().map(|(_, component)| component.hash().to_owned()).collect();
        if self.components.loader().executors().is_some() {
            let apart = Apart { description, memory, codec: self.codec, plugins: apart(loaded), sides };
            let job = Shared::Apart(Arc::new(apart));
            return Ok(Ready {
                job,
                reducers,
                inputs,
                record_bytes_max,
                dir,
                part_dir,
                store,
                plugins,
                _lent: None,
            });
        }
        let lent = self.memory.lend(&memory);
        let pool = self.memory.pool.clone();
        let (run_dir, codec) = (dir.clone(), self.codec);
        let (room_patience, unwritten_bytes_max) = (ROOM_PATIENCE, UNWRITTEN_BYTES_MAX);
        // Open files are there whatever becomes of their names.
        let paths: Vec<PathBuf> = sides.iter().map(|side| side.path().to_owned()).collect();
        let resources = AttemptResources {
            sides: open_sides(&description.spec.sides, &paths)?,
            memory,
            pool,
            retain: None,
            run_dir,
            codec,
            room_patience,
            unwritten_bytes_max,
        };
        let job = Shared::Here(Job::new(description, here(loaded), resources)?);
        let _lent = Some(Arc::new(lent));
        Ok(Ready { job, reducers, inputs, record_bytes_max, dir, part_dir, store, plugins, _lent })
    }

    async fn load(
        &self,
        description: &JobDescription,
        asker: &Asker,
    ) -> Result<Vec<(Role, Loaded)>, Failure> {
        let mut components = Vec::new();
        for (role, hash) in &description.roles {
            let component = self.components.load(parse(hash)?, *role, asker).await?;
            if !component.roles().contains(role) {
                return Err(Failure::internal(format!("component {hash} does not serve the role {role}")));
            }
            components.push((*role, component));
        }
        Ok(components)
    }
}

/// The store that the output of a job goes to: its address is where attempts would leave their parts.
fn store_of(description: &JobDescription) -> Result<Option<RemotePlace>, Failure> {
    if !is_address(&description.part_dir) {
        return Ok(None);
    }
    let address = description.part_dir.to_str().map(str::to_owned);
    let address = address.ok_or_else(|| Failure::internal("the address of the output is not UTF-8"))?;
    Ok(Some(RemotePlace { address, job: description.spec.id.clone() }))
}

/// Whether the worker's policy allows what a job may use, and where it writes.
fn allowed(policy: &Policy, description: &JobDescription) -> Result<(), Failure> {
    let refused = |sentence: String| Failure::Refused { sentence };
    policy.check(&description.spec.permissions).map_err(|refusal| refused(refusal.to_string()))?;
    policy
        .check_sides(Side::bytes_of(&description.spec.sides))
        .map_err(|refusal| refused(refusal.to_string()))?;
    policy.check_output(&description.part_dir).map_err(|refusal| refused(refusal.to_string()))
}

impl Memory {
    /// How memory is divided for the attempts of a job.
    fn plan(&self, description: &JobDescription) -> Result<MemoryPlan, Failure> {
        let spec = &description.spec;
        let compressions = spec.inputs.iter().filter_map(|input| input.compression);
        let formats =
            FormatMemory::of(&spec.inputs, compressions, &spec.output).map_err(Failure::internal)?;
        let plan = MemoryPlan::new(
            self.budget,
            self.slots,
            description.guest_memory_bytes,
            !description.roles.is_empty(),
            spec.permissions.record_bytes_max,
            formats,
        );
        plan.map_err(|error| {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            Failure::internal(format!(
                "this worker has --memory {} MiB for {} slots, and the job needs {} MiB",
                mib(error.budget),
                self.slots,
                mib(error.least)
            ))
        })
    }

    /// What a job takes out of the pool for guests that need more than usual. While the pool has not so
    /// much, they wait for nobody: the sort buffers that hold it end with their attempts.
    fn lend(&self, plan: &MemoryPlan) -> Reservation {
        let mut lent = self.pool.reserve();
        let _ = lent.grow_to(self.pool.bytes_max().saturating_sub(plan.pool));
        lent
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

/// Components in this process, by role.
fn here(components: Vec<(Role, Loaded)>) -> Stages {
    let mut stages = Stages::default();
    for (role, component) in components {
        if let Loaded::Here(plugin) = component {
            stages.add(role, plugin);
        }
    }
    stages
}

/// Components for processes, each once.
fn apart(components: Vec<(Role, Loaded)>) -> Vec<(PluginFacts, Arc<Code>)> {
    let mut plugins: Vec<(PluginFacts, Arc<Code>)> = Vec::new();
    for (_, component) in components {
        if let Loaded::Apart(facts, code) = component
            && plugins.iter().all(|(known, _)| known.hash != facts.hash)
        {
            plugins.push((facts, code));
        }
    }
    plugins
}
