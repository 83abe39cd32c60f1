//! `mr-engine explain`: what a job would do, without running it.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use mr_model::{Compression, DataType, Partitioning, Role};
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
    for (input, files) in spec.inputs.iter().zip(&plan.files) {
        let name = if input.name.is_empty() { String::new() } else { format!("{}: ", input.name) };
        let held: u64 = files.iter().map(|file| file.bytes).sum();
        let (held, number) = (bytes(held), count(files.len() as u64));
        writeln!(out, "input    {name}{held} in {number} files, format {}", input.format)?;
        if let Some(row) = &input.row {
            let key = if row.key.0.is_empty() { "its place".to_owned() } else { row.key.to_string() };
            writeln!(out, "           rows of {}, key {key}", row.value)?;
        }
    }
    for (path, why) in &plan.whole {
        writeln!(out, "           {} goes to one task: {why}", path.display())?;
    }
    let tasks = count(plan.splits.len() as u64);
    for (number, input) in spec.inputs.iter().enumerate() {
        let mapper = plan.stages.mapper(input);
        let mapper = mapper.map_or("identity (no mapper)".to_owned(), |plugin| serving(plugin, Role::Mapper));
        match number {
            _ if !input.name.is_empty() => writeln!(out, "map      {}: {mapper}", input.name)?,
            0 => writeln!(out, "map      {tasks} tasks: {mapper}")?,
            _ => writeln!(out, "map      {}: {mapper}", input.format)?,
        }
    }
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
        OutputTarget::Store { address, .. } => address.clone(),
        OutputTarget::Stdout => "standard output".to_owned(),
    };
    let name = |datatype: &Option<DataType>| {
        datatype.as_ref().map_or("bytes (not declared)".to_owned(), DataType::to_string)
    };
    let output = &spec.output;
    let compression = match output.compression {
        Compression::None => String::new(),
        compression => format!(", compressed with {compression}"),
    };
    writeln!(
        out,
        "output   {to}: format {:?}{compression}, key {}, value {}",
        output.format,
        name(&output.types.key),
        name(&output.types.value)
    )?;
    for port in &output.ports {
        let (key, value) = (name(&port.types.key), name(&port.types.value));
        writeln!(out, "         output {} in a folder of its own: key {key}, value {value}", port.name)?;
    }
    if let Some(size) = output.part_bytes_max {
        writeln!(out, "         a file of {} is ended and the next one begun", bytes(size))?;
    }
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
    for planned in &plan.sides {
        let side = planned.side();
        let path = planned.path().display();
        writeln!(out, "side     {} = {path}: {} (blake3 {:.12})", side.name, bytes(side.bytes), side.blake3)?;
    }
    for (name, value) in &spec.params {
        writeln!(out, "param    {name} = {value}")?;
    }
    Ok(out)
}

fn stage(plan: &Plan, role: Role, otherwise: &str) -> String {
    plan.stages.role(role).map_or(otherwise.to_owned(), |plugin| serving(plugin, role))
}

fn serving(plugin: &Plugin, role: Role) -> String {
    let name = plugin.info().map(|info| format!("{} {}, ", info.name, info.version)).unwrap_or_default();
    format!("{role} of {} ({name}blake3 {:.12})", plugin.path().display(), plugin.hash())
}

fn as_json(plan: &Plan) -> serde_json::Value {
    // Where inputs have mappers of their own, the last one of them is shown; `spec.inputs` tells which has which.
    let stages: serde_json::Map<String, serde_json::Value> = plan
        .stages
        .serving()
        .map(|(role, plugin)| {
            (role.name().to_owned(), serde_json::json!({ "path": plugin.path(), "blake3": plugin.hash() }))
        })
        .collect();
    let memory = plan.memory;
    serde_json::json!({
        "spec": plan.spec,
        "stages": stages,
        "input_files": plan.files.iter().map(Vec::len).sum::<usize>(),
        "input_bytes": plan.input_bytes(),
        "splits": plan.splits,
        "whole": plan.whole,
        "workers": plan.workers,
        "memory": {
            "budget": memory.budget, "guests": memory.guests, "frames": memory.frames, "pool": memory.pool,
            "retain": memory.retain, "sort_min": memory.sort_min, "fan_in": memory.fan_in,
        },
    })
}
