//! `mr-engine explain`: what a job would do, without running it.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use mr_model::{DataType, Partitioning, Role};
use mr_policy::Policy;
use mr_runtime::{OutputTarget, Plan};
use mr_sandbox::Plugin;

use crate::args::ExplainArgs;
use crate::job::{self, Place};
use crate::size::{bytes, count};
use crate::{policy, show};

/// Splits shown one by one.
const SPLITS_SHOWN: usize = 10;

/// Prints the plan.
pub fn run(args: &ExplainArgs) -> Result<()> {
    let policy = policy::read(&args.job.policy, None)?;
    let plan = job::plan(&args.job, Place::Here, policy.as_ref(), &mut show::say_loading)?;
    let verdicts = policy.as_ref().map(|policy| verdicts(policy, &plan)).transpose()?.unwrap_or_default();
    let text = if args.json {
        let mut value = as_json(&plan);
        if let Some(policy) = &policy {
            value["policy"] = serde_json::json!({ "path": policy.name(), "plugins": verdicts });
        }
        format!("{value:#}\n")
    } else {
        as_text(&plan)? + &policy.as_ref().map(|policy| policy_text(policy, &verdicts)).unwrap_or_default()
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// What the policy says of each plugin of the plan.
fn verdicts(policy: &Policy, plan: &Plan) -> Result<Vec<(PathBuf, String)>> {
    let verdict = |plugin: &Plugin| {
        let verdict = policy::verdict(policy, plugin.path())?;
        let sentence = verdict.map_or_else(|refusal| refusal.to_string(), |approval| approval.to_string());
        Ok((plugin.path().to_owned(), sentence))
    };
    plan.stages.plugins().iter().map(|(plugin, _)| verdict(plugin)).collect()
}

fn policy_text(policy: &Policy, verdicts: &[(PathBuf, String)]) -> String {
    let mut lines = vec![format!("policy   {}: plugins {}", policy.name(), policy.plugin_rules())];
    let caps = policy.caps().options().into_iter();
    lines.extend(caps.map(|(option, cap)| format!("           {option} is at most {cap}")));
    let verdicts = verdicts.iter();
    lines.extend(verdicts.map(|(path, verdict)| format!("           {}: {verdict}", path.display())));
    lines.join("\n") + "\n"
}

fn as_text(plan: &Plan) -> Result<String> {
    let mut out = String::new();
    let spec = &plan.spec;
    writeln!(
        out,
        "input    {} in {} files, format {}",
        bytes(plan.input_bytes()),
        count(plan.files.len() as u64),
        spec.input_format
    )?;
    writeln!(
        out,
        "map      {} tasks: {}",
        count(plan.splits.len() as u64),
        stage(plan, Role::Mapper, "identity (no mapper)")
    )?;
    for split in plan.splits.iter().take(SPLITS_SHOWN) {
        let first = split.pieces.first();
        let from = first
            .map(|piece| format!("{} from byte {}", piece.path.display(), piece.start))
            .unwrap_or_default();
        let more = match split.pieces.len() {
            0 | 1 => String::new(),
            pieces => format!(" and {} more files", pieces - 1),
        };
        writeln!(out, "           split {}: {} of {from}{more}", split.index, bytes(split.bytes))?;
    }
    if plan.splits.len() > SPLITS_SHOWN {
        writeln!(out, "           and {} more splits", plan.splits.len() - SPLITS_SHOWN)?;
    }
    if spec.reducers > 0 {
        writeln!(out, "combine  {}", stage(plan, Role::Combiner, "nothing (no combiner)"))?;
        let partitioning = match spec.partitioning {
            Partitioning::Hash => "by hash".to_owned(),
            Partitioning::Range => {
                "by ranges with sampled boundaries: parts in order are sorted as a whole".to_owned()
            }
            Partitioning::Plugin => stage(plan, Role::Partitioner, "by plugin"),
        };
        let group = match spec.group_prefix {
            0 => String::new(),
            elements => {
                format!("; partitions and groups are made by the first {elements} elements of the keys")
            }
        };
        writeln!(out, "shuffle  {partitioning}{group}")?;
        writeln!(
            out,
            "reduce   {} tasks: {}",
            count(u64::from(spec.reducers)),
            stage(plan, Role::Reducer, "identity (no reducer)")
        )?;
    }
    let to = match &plan.output {
        OutputTarget::Dir { path, .. } => path.display().to_string(),
        OutputTarget::Stdout => "standard output".to_owned(),
    };
    let name = |datatype: &Option<DataType>| {
        datatype.as_ref().map_or("bytes (not declared)".to_owned(), DataType::to_string)
    };
    writeln!(
        out,
        "output   {to}: format {:?}, key {}, value {}",
        spec.output_format,
        name(&spec.output_types.key),
        name(&spec.output_types.value)
    )?;
    let memory = plan.memory;
    writeln!(
        out,
        "memory   {} for {} workers: each {} for plugins, {} for batches and {} to sort; {} for all to sort more and to keep map output, of which {} may stay in memory; up to {} run files merged at once",
        bytes(memory.budget),
        plan.workers,
        bytes(memory.guests),
        bytes(memory.frames),
        bytes(memory.sort_min),
        bytes(memory.pool),
        bytes(memory.retain),
        memory.fan_in
    )?;
    for (name, value) in crate::limits::permissions(&spec.permissions) {
        writeln!(out, "permits  {name}: {value}")?;
    }
    for (name, value) in &spec.params {
        writeln!(out, "param    {name} = {value}")?;
    }
    Ok(out)
}

fn stage(plan: &Plan, role: Role, otherwise: &str) -> String {
    let Some(plugin) = plan.stages.role(role) else { return otherwise.to_owned() };
    let name = plugin.info().map(|info| format!("{} {}, ", info.name, info.version)).unwrap_or_default();
    format!("{role} of {} ({name}blake3 {:.12})", plugin.path().display(), plugin.hash())
}

fn as_json(plan: &Plan) -> serde_json::Value {
    let stages: serde_json::Map<String, serde_json::Value> = Role::ALL
        .iter()
        .filter_map(|role| {
            let plugin = plan.stages.role(*role)?;
            Some((
                role.name().to_owned(),
                serde_json::json!({ "path": plugin.path(), "blake3": plugin.hash() }),
            ))
        })
        .collect();
    let memory = plan.memory;
    serde_json::json!({
        "spec": plan.spec,
        "stages": stages,
        "input_files": plan.files.len(),
        "input_bytes": plan.input_bytes(),
        "splits": plan.splits,
        "workers": plan.workers,
        "memory": {
            "budget": memory.budget, "guests": memory.guests, "frames": memory.frames, "pool": memory.pool,
            "retain": memory.retain, "sort_min": memory.sort_min, "fan_in": memory.fan_in,
        },
    })
}
