//! From what was typed to a plan: loads the components of the stages and fills in defaults.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use mr_model::limit::{BATCH_BYTES, REJECTS_MAX};
use mr_model::{JobId, Partitioning, Permissions, Role, Side, is_address};
use mr_policy::Policy;
use mr_runtime::{InputRequest, JobRequest, OutputTarget, Plan, Stages, WriteOptions};
use mr_sandbox::{LoadProgress, Plugin, Sandbox, SandboxOptions};
use mr_storage::Durability;
use mr_stores::{StoreInputs, StoreOutputs};

use crate::args::{CacheArgs, JobArgs, PartitionArg, RejectsArg};
use crate::exit::UsageError;
use crate::{compiler, inputs, machine, policy};

/// Where a job is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this process.
    Here,
    /// On a cluster, whose machines know paths from the root only.
    Cluster,
}

/// A component that does not have the role that it is asked for.
#[derive(Debug)]
struct RoleMissing {
    path: PathBuf,
    role: Role,
    roles: String,
}

/// The sandbox with the cache that was asked for.
pub fn sandbox(cache: &CacheArgs) -> Result<Sandbox> {
    let cache_dir = if cache.no_cache { None } else { cache.cache_dir.clone().or_else(machine::cache_dir) };
    Ok(Sandbox::new(SandboxOptions { cache_dir, compiler: compiler::apart(&cache.compile) })?)
}

/// Loads the components and plans the job, as far as the policy allows it.
pub fn plan(
    args: &JobArgs,
    place: Place,
    policy: Option<&Policy>,
    on_load: &mut dyn FnMut(&Path, LoadProgress),
) -> Result<Plan> {
    let sandbox = sandbox(&args.cache)?;
    let mut loaded = HashMap::new();
    plan_with(args, place, policy, &mut |path| load(&sandbox, &mut loaded, policy, path, on_load))
}

/// Plans the job with components that `load` loads.
pub fn plan_with(
    args: &JobArgs,
    place: Place,
    policy: Option<&Policy>,
    load: &mut dyn FnMut(&Path) -> Result<Plugin>,
) -> Result<Plan> {
    let permissions = permissions(args, policy)?;
    if let Some(policy) = policy {
        policy.check(&permissions)?;
    }
    let main = args.plugin.as_deref().map(&mut *load).transpose()?;
    let (stages, inputs) = assemble(args, main, load, &mut Err)?;
    let plan = Plan::new(request(args, place, stages, inputs, permissions)?)?;
    if let Some(policy) = policy {
        policy.check_sides(Side::bytes_of(&plan.spec.sides))?;
    }
    Ok(plan)
}

/// The component in a file: one that was loaded, or it is loaded as far as the policy takes it.
pub fn load(
    sandbox: &Sandbox,
    loaded: &mut HashMap<PathBuf, Plugin>,
    policy: Option<&Policy>,
    path: &Path,
    on_load: &mut dyn FnMut(&Path, LoadProgress),
) -> Result<Plugin> {
    if let Some(plugin) = loaded.get(path) {
        return Ok(plugin.clone());
    }
    // Before any of it is compiled or run.
    let seen = policy.map(|policy| policy::look(policy, path)).transpose()?;
    let plugin = sandbox.load(path, &mut |event| on_load(path, event))?;
    seen.map_or(Ok(()), |seen| seen.check(&plugin))?;
    loaded.insert(path.to_owned(), plugin.clone());
    Ok(plugin)
}

/// What the plugins of the job may use: what it asks for, and where it does not ask, what the policy gives
/// it.
///
/// # Errors
/// An option asks for more than the engine allows any job.
pub fn permissions(args: &JobArgs, policy: Option<&Policy>) -> Result<Permissions> {
    let wall_clock = if args.wall_clock { Some(since_1970()?.as_secs()) } else { None };
    let (rejects_max, rejects_per_million_max) = match args.max_rejects {
        RejectsArg::Count(count) => (count, None),
        RejectsArg::PerMillion(share) => (REJECTS_MAX, Some(share)),
    };
    let mut permissions = Permissions {
        record_bytes_max: args.max_record,
        idle_timeout: args.task_timeout,
        task_time_max: args.max_task_time,
        rejects_max,
        rejects_per_million_max,
        task_output_bytes_max: args.max_task_output,
        task_output_records_max: args.max_task_records,
        shuffle_bytes_max: args.max_shuffle,
        output_bytes_max: args.max_output,
        output_records_max: args.max_output_records,
        wall_clock,
        ..Permissions::default()
    };
    if let Some(bytes) = args.guest_memory {
        permissions.guest_memory_bytes_max = bytes;
    }
    if let Some((limit, _)) = permissions.over_engine() {
        let max = crate::limits::show(limit, limit.max);
        return Err(UsageError(format!("{} is at most {max}", limit.option)).into());
    }
    if let Some(policy) = policy {
        policy.grant(&mut permissions, args.guest_memory);
    }
    Ok(permissions)
}

/// The stages of a job and its inputs with their mappers. `load` gives the component of a path; `refuse` hears
/// of what lacks its role, and may let it pass.
///
/// # Errors
/// What was typed about inputs is malformed, and whatever `load` and `refuse` do not let pass.
pub fn assemble(
    args: &JobArgs,
    main: Option<Plugin>,
    load: &mut dyn FnMut(&Path) -> Result<Plugin>,
    refuse: &mut dyn FnMut(anyhow::Error) -> Result<()>,
) -> Result<(Stages, Vec<InputRequest>)> {
    let mut stage = |given: Option<&PathBuf>, role: Role| -> Result<Option<Plugin>> {
        let Some(path) = given else {
            return Ok(main.clone().filter(|plugin| plugin.roles().contains(&role)));
        };
        match with_role(load(path)?, role) {
            Ok(plugin) => Ok(Some(plugin)),
            Err(error) => refuse(error).map(|()| None),
        }
    };
    let mut stages = Stages::default();
    let mut requests = Vec::new();
    for input in inputs::read(args)? {
        let mapper = stage(input.mapper.as_ref(), Role::Mapper)?;
        if let Some(mapper) = &mapper {
            stages.add(Role::Mapper, mapper.clone());
        }
        requests.push(InputRequest {
            name: input.name,
            patterns: input.patterns,
            exclude: args.exclude.clone(),
            format: input.format,
            compression: input.compression,
            expansion_max: args.max_expansion,
            fields: input.fields,
            key_fields: input.key_fields,
            mapper,
        });
    }
    stages.combiner = stage(args.combine.as_ref(), Role::Combiner)?;
    stages.reducer = stage(args.reduce.as_ref(), Role::Reducer)?;
    stages.partitioner = stage(args.partitioner.as_ref(), Role::Partitioner)?;
    stages.main = main;
    Ok((stages, requests))
}

/// A plugin that a stage names.
///
/// # Errors
/// It does not have the stage's role.
pub fn with_role(plugin: Plugin, role: Role) -> Result<Plugin> {
    if plugin.roles().contains(&role) {
        return Ok(plugin);
    }
    let roles: Vec<&str> = plugin.roles().iter().map(|role| role.name()).collect();
    Err(RoleMissing { path: plugin.path().to_owned(), role, roles: roles.join(", ") }.into())
}

/// The job as it was typed.
pub fn request(
    args: &JobArgs,
    place: Place,
    stages: Stages,
    mut inputs: Vec<InputRequest>,
    permissions: Permissions,
) -> Result<JobRequest> {
    if place == Place::Cluster {
        for pattern in inputs.iter_mut().flat_map(|input| &mut input.patterns) {
            *pattern = absolute_pattern(pattern)?;
        }
    }
    let id = match &args.job_id {
        Some(id) => JobId::new(id.as_str()).map_err(|error| UsageError(format!("--job-id: {error}")))?,
        None => fresh_job_id()?,
    };
    let output = match &args.output {
        Some(path) if is_address(path) => OutputTarget::Store {
            address: store_address(path)?,
            overwrite: args.overwrite,
            stores: Arc::new(StoreOutputs::default()),
        },
        Some(path) => OutputTarget::Dir {
            path: match place {
                Place::Here => path.clone(),
                Place::Cluster => std::path::absolute(path)
                    .with_context(|| format!("--output {}: the current folder", path.display()))?,
            },
            overwrite: args.overwrite,
            durability: if args.sync { Durability::Synced } else { Durability::Written },
        },
        None => OutputTarget::Stdout,
    };
    Ok(JobRequest {
        id,
        stages,
        inputs,
        remote: Some(Arc::new(StoreInputs::default())),
        output,
        sides: args.sides.clone(),
        params: args.params.clone(),
        reducers: args.reducers,
        write: WriteOptions {
            format: args.output_format,
            compression: args.output_compression,
            fields: args.output_fields.clone(),
            file_bytes: args.output_file_size,
        },
        partitioning: args.partition.map(|partition| match partition {
            PartitionArg::Hash => Partitioning::Hash,
            PartitionArg::Range => Partitioning::Range,
            PartitionArg::Plugin => Partitioning::Plugin,
        }),
        group_prefix: args.group_prefix,
        fail_if: args.fail_if.clone(),
        split_bytes: args.split_size,
        batch_bytes: BATCH_BYTES,
        memory_bytes: args.memory.filter(|_| place == Place::Here).unwrap_or_else(machine::memory_bytes),
        guest_memory_bytes: args.guest_memory,
        workers: match place {
            Place::Here => args.workers.map_or_else(machine::workers, usize::from),
            // Only samples run here.
            Place::Cluster => 1,
        },
        attempts_max: args.max_attempts,
        permissions,
        work_dir: args.work_dir.clone().unwrap_or_else(machine::work_dir),
    })
}

/// The address of an output on a store.
///
/// # Errors
/// Outputs do not go there.
fn store_address(path: &Path) -> Result<String, UsageError> {
    match path.to_str() {
        Some(address) if address.contains(['*', '?', '[', '{']) => Err(UsageError(format!(
            "--output {address}: it would be a pattern where it is read; leave out *, ?, [ and {{"
        ))),
        Some(address) if address.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("s3://")) => {
            Ok(format!("s3://{}", address[5..].trim_end_matches('/')))
        }
        _ => Err(UsageError(format!(
            "--output {}: outputs go to folders and to stores, s3://bucket/name; other addresses are for reading",
            path.display()
        ))),
    }
}

/// An input pattern from the root.
///
/// # Errors
/// The current folder is not known, or its name is not UTF-8.
pub fn absolute_pattern(pattern: &str) -> Result<String, UsageError> {
    // What is no path at all is refused where inputs are listed.
    if pattern.is_empty() || pattern == "-" || pattern.starts_with('/') || pattern.contains("://") {
        return Ok(pattern.to_owned());
    }
    let unknown =
        |reason: &str| UsageError(format!("--input {pattern}: {reason}; give the path from the root, /..."));
    let absolute = std::path::absolute(pattern).map_err(|error| unknown(&error.to_string()))?;
    if absolute.exists() {
        return absolute
            .into_os_string()
            .into_string()
            .map_err(|_| unknown("the current folder is not UTF-8"));
    }
    let here = std::env::current_dir().map_err(|error| unknown(&error.to_string()))?;
    let here = here.to_str().ok_or_else(|| unknown("the current folder is not UTF-8"))?;
    Ok(join_pattern(here, pattern))
}

/// Puts a folder before a pattern. What would mean something in a pattern is literal in the folder.
pub fn join_pattern(folder: &str, pattern: &str) -> String {
    let mut joined = String::with_capacity(folder.len() + pattern.len() + 1);
    for letter in folder.chars() {
        match letter {
            '*' | '?' | '[' | '{' | '}' => joined.extend(['[', letter, ']']),
            letter => joined.push(letter),
        }
    }
    if !joined.ends_with('/') {
        joined.push('/');
    }
    joined.push_str(pattern.trim_start_matches("./"));
    joined
}

/// A name that is new on this machine: time and process.
fn fresh_job_id() -> Result<JobId> {
    Ok(JobId::new(format!("job-{}-{}", since_1970()?.as_millis(), std::process::id()))?)
}

/// The time of the machine.
pub fn since_1970() -> Result<Duration> {
    SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")
}

impl std::fmt::Display for RoleMissing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, role, roles } = self;
        let has = if roles.is_empty() { "no role at all" } else { roles };
        write!(f, "{} has no {role}; it has {has}", path.display())
    }
}

impl std::error::Error for RoleMissing {}

/// True where an error says that a component lacks a role.
pub fn is_role_missing(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<RoleMissing>().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_go_from_the_root() {
        assert_eq!(join_pattern("/data", "in/*.txt"), "/data/in/*.txt");
        assert_eq!(join_pattern("/", "./in"), "/in");
        assert_eq!(join_pattern("/a[1]/{b}", "*"), "/a[[]1]/[{]b[}]/*");
        assert_eq!(absolute_pattern("/a/*").unwrap(), "/a/*");
        assert_eq!(absolute_pattern("-").unwrap(), "-");
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute_pattern("./src").unwrap(), here.join("src").to_str().unwrap());
    }

    /// A folder whose name looks like a pattern is still that folder.
    #[test]
    fn a_literal_folder_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a[1] {b}*?");
        std::fs::create_dir(&odd).unwrap();
        std::fs::write(odd.join("x.txt"), "x").unwrap();
        let listed =
            mr_storage::list_inputs(&[join_pattern(odd.to_str().unwrap(), "*.txt")], &[], None).unwrap();
        assert_eq!(listed[0].path, odd.join("x.txt"));
    }
}
