//! `mr-engine check`: everything that would be refused at submit, found before, and all of it rather than
//! the first. Finds nothing by itself: a component's bytes are surveyed and the component is loaded by
//! [`mr_sandbox`], stages are held against each other by [`mr_runtime`], signatures and permissions against
//! the policy by [`mr_policy`].
//!
//! In reading order: this file (what is checked), [`lines`](mod@lines) (how it is told).

pub mod lines;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use mr_model::{Permissions, Side};
use mr_policy::{Approval, Policy};
use mr_runtime::{InputRequest, JobRequest, Plan, PlanError, Stages, misfits};
use mr_sandbox::survey::{Aspect, Finding, Gravity, survey};
use mr_sandbox::{LoadError, Plugin, Sandbox, read_component};

use self::lines::{Line, Report};
use crate::args::JobArgs;
use crate::args::policy::CheckArgs;
use crate::exit::UsageError;
use crate::job::{self, Place};
use crate::{inputs, policy, show};

/// Checks the plugins, and the job that they would make.
pub fn run(args: &CheckArgs) -> Result<()> {
    let job = &args.job;
    let typed = inputs::read(job)?;
    let stages = [&job.combine, &job.reduce, &job.partitioner];
    let stages: Vec<_> = inputs::mappers(&typed).chain(stages.into_iter().flatten()).collect();
    if !args.more.is_empty() && !stages.is_empty() {
        let sentence = "several plugins are checked one by one; give one at most beside --map, --combine, --reduce and \
                        --partitioner";
        return Err(UsageError(sentence.to_owned()).into());
    }
    let policy = policy::read(&job.policy, None)?;
    let mut check = Check {
        args: job,
        policy: policy.as_ref(),
        permissions: job::permissions(job, policy.as_ref())?,
        sandbox: job::sandbox(&job.cache)?,
        loaded: BTreeMap::new(),
        report: Report::default(),
    };
    let mains = job.plugin.iter().chain(&args.more);
    for path in mains.clone().chain(stages.iter().copied()) {
        check.plugin(path);
    }
    check.permissions();
    for main in mains {
        check.job(Some(main));
    }
    if job.plugin.is_none() {
        check.job(None);
    }
    check.report.print(args.json)
}

/// What is being checked, and what was found so far.
struct Check<'a> {
    args: &'a JobArgs,
    policy: Option<&'a Policy>,
    /// What the job asks for, and is given where it does not ask.
    permissions: Permissions,
    sandbox: Sandbox,
    /// Plugins that were looked at; nothing for those that cannot be loaded.
    loaded: BTreeMap<PathBuf, Option<Plugin>>,
    report: Report,
}

impl Check<'_> {
    /// Checks a plugin by itself, once.
    fn plugin(&mut self, path: &Path) {
        if self.loaded.contains_key(path) {
            return;
        }
        let (lines, plugin) = match read_component(path) {
            Ok(bytes) => self.component(path, &bytes),
            Err(error) => (vec![Line::refused("file", error.about(path))], None),
        };
        let hash = plugin.as_ref().map(|plugin| plugin.hash().to_owned());
        self.report.plugin(path, hash, lines);
        self.loaded.insert(path.to_owned(), plugin);
    }

    fn component(&self, path: &Path, bytes: &[u8]) -> (Vec<Line>, Option<Plugin>) {
        let mut found = survey(path, bytes, self.permissions.guest_memory_bytes_max);
        let loaded = self.sandbox.load(path, &mut |event| show::say_loading(path, event));
        let is_refused =
            |finding: &Finding, aspect| finding.gravity == Gravity::Refused && finding.aspect == aspect;
        if matches!(loaded, Err(LoadError::Compile { .. })) {
            // The compiler says better what is malformed.
            found.retain(|finding| !is_refused(finding, Aspect::File));
        }
        let mut lines: Vec<Line> = found.iter().map(Line::of_finding).collect();
        let refused = |aspect| found.iter().any(|finding| is_refused(finding, aspect));
        lines.extend(load_line(path, &loaded, refused));
        lines.extend(self.policy.map(|policy| policy_line(policy, bytes)));
        (lines, loaded.ok())
    }

    /// Checks what the job asks for.
    fn permissions(&mut self) {
        let Some(policy) = self.policy else { return };
        let excesses = policy.excesses(&self.permissions);
        if excesses.is_empty() {
            self.report
                .job
                .push(Line::fine("policy", format!("{} allows what the job asks for", policy.name())));
        }
        self.report.job.extend(excesses.iter().map(|excess| Line::refused("policy", excess.to_string())));
    }

    /// Checks whether stages, parameters and options fit together; and with inputs the whole plan. Says
    /// nothing where a plugin cannot be loaded: that was said.
    fn job(&mut self, main: Option<&PathBuf>) {
        let (stages, inputs) = match self.stages(main) {
            Ok(Some(assembled)) => assembled,
            Ok(None) => return,
            Err(errors) => return self.report.job.extend(errors),
        };
        let request = match job::request(self.args, Place::Here, stages, inputs, self.permissions.clone()) {
            Ok(request) => request,
            Err(error) => return self.report.job.push(Line::refused("options", format!("{error:#}"))),
        };
        let alone = self.args.inputs.is_empty() && self.args.params.is_empty();
        let mut errors = misfits(&request);
        // Whoever only looks at a plugin gives it no parameters.
        errors.retain(|error| !(alone && matches!(error, PlanError::Param { .. })));
        let mut lines: Vec<Line> = errors.iter().map(Line::of_plan).collect();
        if !self.args.inputs.is_empty()
            && let Some(line) = self.plan(request)
            && !lines.contains(&line)
        {
            lines.push(line);
        }
        if lines.is_empty() {
            let what =
                main.map_or("the stages".to_owned(), |path| format!("the stages of {}", path.display()));
            lines.push(Line::fine("stages", format!("{what} fit together")));
        }
        self.report.job.extend(lines);
    }

    /// What keeps the job from being planned, or the policy from taking its side inputs.
    fn plan(&self, request: JobRequest) -> Option<Line> {
        let plan = match Plan::new(request) {
            Ok(plan) => plan,
            Err(error) => return Some(Line::of_plan(&error)),
        };
        let refusal = self.policy?.check_sides(Side::bytes_of(&plan.spec.sides)).err()?;
        Some(Line::refused("policy", refusal.to_string()))
    }

    /// The stages as the job would have them: nothing where a plugin is not there, the reasons where one
    /// lacks a role.
    fn stages(&self, main: Option<&PathBuf>) -> Result<Option<(Stages, Vec<InputRequest>)>, Vec<Line>> {
        let find = |path: &Path| self.loaded.get(path).cloned().flatten();
        let mut absent = main.is_some_and(|path| find(path).is_none());
        let mut missing = Vec::new();
        let mut load = |path: &Path| {
            let plugin = find(path);
            absent |= plugin.is_none();
            plugin.ok_or_else(|| anyhow::anyhow!("{} cannot be loaded", path.display()))
        };
        let mut refuse = |error: anyhow::Error| {
            missing.push(Line::refused("stages", error.to_string()));
            Ok(())
        };
        let main = main.and_then(|path| find(path));
        let assembled = job::assemble(self.args, main, &mut load, &mut refuse);
        match assembled {
            _ if absent => Ok(None),
            _ if !missing.is_empty() => Err(missing),
            Ok(assembled) => Ok(Some(assembled)),
            Err(error) => Err(vec![Line::refused("options", format!("{error:#}"))]),
        }
    }
}

/// What loading adds to what was found without: nothing where it says the same again.
fn load_line(
    path: &Path,
    loaded: &Result<Plugin, LoadError>,
    refused: impl Fn(Aspect) -> bool,
) -> Option<Line> {
    let error = match loaded {
        Ok(plugin) => {
            let name = plugin.info().map(|info| format!(" as {} {}", info.name, info.version));
            let name = name.unwrap_or_default();
            return Some(Line::fine("load", format!("compiles, starts, and describes itself{name}")));
        }
        Err(error) => error,
    };
    let is_known = match error {
        LoadError::UnknownImport { .. } => refused(Aspect::Import),
        LoadError::WrongVersion { .. } | LoadError::WrongType { .. } | LoadError::NoRole { .. } => {
            refused(Aspect::Import) || refused(Aspect::Role)
        }
        LoadError::Start { .. } | LoadError::Limit { .. } => {
            refused(Aspect::Memory) || refused(Aspect::Tables) || refused(Aspect::Instances)
        }
        _ => refused(Aspect::File),
    };
    (!is_known).then(|| Line::refused("load", error.about(path)))
}

fn policy_line(policy: &Policy, bytes: &[u8]) -> Line {
    match policy.check_component(bytes, &blake3::hash(bytes)) {
        Ok(Approval::Anybody) => Line::fine("policy", format!("{} takes plugins of anybody", policy.name())),
        Ok(approval) => Line::fine("policy", format!("{} takes it: {approval}", policy.name())),
        Err(refusal) => Line::refused("policy", refusal.to_string()),
    }
}
