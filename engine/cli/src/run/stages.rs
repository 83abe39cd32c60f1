//! Who runs a stage of a pipeline: in this process, with components that are loaded once for all stages and
//! rounds, or on a cluster.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use mr_pipeline::{Call, FileFact, Ingredients, Made, Notice, Origin, PartFact, Share, StageRunner};
use mr_policy::Policy;
use mr_runtime::{JobError, JobReport, Plan, Progress, run_local};
use mr_sandbox::{LoadProgress, LogForward, Plugin, Sandbox, read_component};
use mr_stores::{StoreInputs, StoreOutputs};

use super::arguments::{job_args, place_pattern};
use super::cluster::Remote;
use super::show::RunShow;
use crate::args::JobArgs;
use crate::args::run::RunArgs;
use crate::interrupt::Interrupt;
use crate::job::{self, Place};
use crate::remote::end::Left;
use crate::show::{Style, say_loading};
use crate::{machine, policy};

/// Runs stages.
pub struct Runner<'a> {
    args: &'a RunArgs,
    policy: Option<Policy>,
    sandbox: Sandbox,
    /// Components by their file, for as long as the pipeline runs.
    loaded: Mutex<HashMap<PathBuf, Plugin>>,
    hashes: Mutex<HashMap<PathBuf, String>>,
    remote: Option<Remote>,
    interrupt: Interrupt,
    show: RunShow,
}

impl<'a> Runner<'a> {
    /// Whoever runs stages as the command line says.
    pub fn new(args: &'a RunArgs, show: RunShow, interrupt: Interrupt) -> Result<Self> {
        let remote = super::target(args)?.map(|target| Remote::new(target, &args.remote)).transpose()?;
        Ok(Self {
            args,
            policy: policy::read(&args.policy, args.remote.target.config.as_deref())?,
            sandbox: job::sandbox(&args.cache)?,
            loaded: Mutex::default(),
            hashes: Mutex::default(),
            remote,
            interrupt,
            show,
        })
    }

    /// What is told.
    pub fn show(&self) -> &RunShow {
        &self.show
    }

    fn plan(&self, args: &JobArgs, place: Place) -> Result<Plan> {
        let shows = matches!(self.show.style(), Style::People { .. });
        let mut load = |path: &Path| {
            // Not held while a component is compiled: stages wait for their own only.
            let mut known: HashMap<PathBuf, Plugin> = HashMap::new();
            known.extend(lock(&self.loaded).get(path).map(|plugin| (path.to_owned(), plugin.clone())));
            let say = &mut |path: &Path, event| {
                // Who waits here waits for a stage of this very run.
                if shows && event != LoadProgress::Waiting {
                    say_loading(path, event);
                }
            };
            let plugin = job::load(&self.sandbox, &mut known, self.policy.as_ref(), path, say)?;
            lock(&self.loaded).insert(path.to_owned(), plugin.clone());
            // What was looked at to decide whether the stage runs.
            match lock(&self.hashes).get(path) {
                Some(hash) if hash != plugin.hash() => Err(anyhow::anyhow!(
                    "plugin {} changed while the pipeline ran; run it again",
                    path.display()
                )),
                _ => Ok(plugin),
            }
        };
        job::plan_with(args, place, self.policy.as_ref(), &mut load)
    }

    /// The arguments of a stage with its share of the machine.
    fn args(&self, call: &Call, job: &str, share: Share) -> Result<JobArgs> {
        let mut args = job_args(call, Some(job))?;
        let of = u64::from(share.of.max(1));
        if args.workers.is_none() {
            let all = self.args.workers.map_or_else(machine::workers, usize::from);
            let own = (all as u64 * u64::from(share.units) / of).max(1);
            args.workers = Some(u16::try_from(own).unwrap_or(u16::MAX));
        }
        if args.memory.is_none() {
            let all = self.args.memory.unwrap_or_else(machine::memory_bytes);
            args.memory = Some(all / of * u64::from(share.units));
        }
        args.work_dir.clone_from(&self.args.work_dir);
        args.cache = self.args.cache.clone();
        args.policy = self.args.policy.clone();
        Ok(args)
    }

    fn here(&self, call: &Call, args: &JobArgs) -> Result<JobReport> {
        let begun = Instant::now();
        let plan = self.plan(args, Place::Here)?;
        let planned = begun.elapsed();
        let progress = Arc::new(Progress::default());
        self.show.follow(call, &progress);
        let report = run_local(&plan, &progress, self.interrupt.arm(), self.log_forward(call));
        self.show.leave(call);
        let mut report = report?;
        // Finding inputs and checking the job is of its plan, too.
        let millis = u64::try_from(planned.as_millis()).unwrap_or(u64::MAX);
        report.millis.plan = report.millis.plan.saturating_add(millis);
        report.millis.total = report.millis.total.saturating_add(millis);
        Ok(report)
    }

    /// What takes the plugins' log lines, where somebody wants them.
    fn log_forward(&self, call: &Call) -> Option<LogForward> {
        if self.show.style() != (Style::People { verbose: true }) {
            return None;
        }
        let title = call.title();
        Some(Arc::new(move |role, level, line: &str| {
            eprintln!("{title}: {role} {}: {line}", format!("{level:?}").to_lowercase());
        }))
    }

    /// BLAKE3 of a file, as it was when the pipeline first came across it.
    fn hash_component(&self, path: &Path) -> Result<String> {
        if let Some(hash) = lock(&self.hashes).get(path) {
            return Ok(hash.clone());
        }
        let hash = blake3::hash(&read_component(path)?).to_hex().to_string();
        lock(&self.hashes).insert(path.to_owned(), hash.clone());
        Ok(hash)
    }
}

impl StageRunner for Runner<'_> {
    type Error = anyhow::Error;

    fn ingredients(&self, call: &Call) -> Result<Ingredients> {
        let mut plugins = BTreeMap::new();
        let own = call.stage.plugin.iter().map(|path| ("plugin", path));
        let roles = call.stage.roles.iter().map(|(role, path)| (role.as_str(), path));
        for (role, path) in own.chain(roles) {
            plugins.insert(role.to_owned(), self.hash_component(&call.path(path))?);
        }
        for (number, input) in call.inputs.iter().enumerate() {
            if let Some(path) = input.settings.get("map") {
                plugins.insert(format!("map of input {number}"), self.hash_component(&call.path(path))?);
            }
        }
        let exclude =
            call.stage.options.get("exclude").map(|option| option.values.as_slice()).unwrap_or_default();
        let mut files = Vec::new();
        for input in &call.inputs {
            files.push(match &input.origin {
                Origin::Made { .. } => Vec::new(),
                Origin::Path(pattern) => list(&place_pattern(&call.folder, pattern)?, exclude)?,
            });
        }
        let mut sides = BTreeMap::new();
        for (name, origin) in &call.sides {
            if let Origin::Path(path) = origin {
                let path = call.path(path);
                sides.insert(
                    name.clone(),
                    hash_file(&path).with_context(|| format!("side {name}, {}", path.display()))?,
                );
            }
        }
        Ok(Ingredients { engine: env!("CARGO_PKG_VERSION").to_owned(), plugins, files, sides })
    }

    fn run(&self, call: &Call, job: &str, share: Share) -> Result<Made> {
        let args = self.args(call, job, share)?;
        let report = match &self.remote {
            None => self.here(call, &args)?,
            Some(remote) => {
                let plan = self.plan(&args, Place::Cluster)?;
                remote.run(call, &args, &plan, &self.interrupt, self.show.style())?
            }
        };
        self.show.job(call, &report);
        let part = |part: &mr_storage::Part| PartFact {
            name: part.name.clone(),
            bytes: part.bytes,
            blake3: part.blake3.clone(),
        };
        Ok(Made { parts: report.parts.iter().map(part).collect(), counters: report.counters })
    }

    fn published(&self, address: &Path) -> Result<Option<Vec<u8>>> {
        let text = address.to_str().context("an address that is not UTF-8")?;
        let published = StoreOutputs::default().published(text);
        Ok(published.map_err(|failure| JobError::Output(failure.into()))?)
    }

    fn may_go_on(&self, error: &anyhow::Error) -> bool {
        use mr_cluster::client::ClientError;
        error.chain().any(|cause| {
            // Here nothing goes on, but what was published a moment ago is found again.
            cause.downcast_ref::<Left>().is_some()
                || matches!(cause.downcast_ref(), Some(ClientError::Away { .. }))
                || matches!(cause.downcast_ref(), Some(JobError::Cancelled))
        })
    }

    fn notice(&self, notice: &Notice<'_>) {
        self.show.notice(notice);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Files of a pattern, as they are.
fn list(pattern: &str, exclude: &[String]) -> Result<Vec<FileFact>> {
    let files = mr_storage::list_inputs(&[pattern.to_owned()], exclude, Some(&StoreInputs::default()))
        .map_err(mr_runtime::PlanError::Input)?;
    let fact = |file: &mr_storage::InputFile| FileFact {
        path: file.path.as_os_str().as_encoded_bytes().escape_ascii().to_string(),
        bytes: file.bytes,
        mark: format!("{} {}", file.modified_ns, file.tag.as_deref().unwrap_or_default()),
    };
    Ok(files.iter().map(fact).collect())
}

fn hash_file(path: &Path) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}
