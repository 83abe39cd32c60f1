//! What a job writes: its format, the size of its files, and its named outputs, which the components of its last
//! stage declare. Each component counts its outputs from 1 in its own order; which of the job's they are is
//! told here. Must not write anything.

use std::sync::Arc;

use mr_model::limit::OUTPUTS_MAX;
use mr_model::output::MAIN_OUTPUT;
use mr_model::{
    Compression, DataType, Failure, Field, Fields, InputFormat, InputKey, InputSpec, OutputFormat,
    OutputSpec, Port, StageTypes,
};
use mr_sandbox::Plugin;
use mr_storage::Encoder;

use crate::fit::same_layout;
use crate::plan::PlanError;
use crate::request::{OutputTarget, Stages, WriteOptions};

/// The outputs that a component can emit to.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    /// Their names by port, the main one first.
    pub names: Arc<[String]>,
    /// Number of each among the outputs of the job.
    pub outputs: Vec<usize>,
}

impl Ports {
    /// The main output alone: what every stage has that does not write files.
    pub fn main() -> Self {
        Self { names: [MAIN_OUTPUT.to_owned()].into(), outputs: vec![0] }
    }

    /// Those of a component of the job's last stage.
    ///
    /// # Errors
    /// [`Failure::Internal`] if it declares one that the job does not have.
    pub fn of(plugin: Option<&Plugin>, spec: &OutputSpec) -> Result<Self, Failure> {
        let mut ports = Self::main();
        let Some(plugin) = plugin else { return Ok(ports) };
        let declared = &plugin.contract().outputs;
        for name in declared {
            let named = spec.ports.iter().position(|port| port.name == *name);
            let named = named.ok_or_else(|| Failure::internal(format!("the job has no output {name}")))?;
            ports.outputs.push(named + 1);
        }
        ports.names = ports.names.iter().chain(declared).cloned().collect();
        Ok(ports)
    }
}

/// What the job writes, as asked for, else as the components of the last stage say. `types` are those of the main
/// output.
pub(crate) fn choose_output(
    asked: &WriteOptions,
    target: &OutputTarget,
    stages: &Stages,
    inputs: &[InputSpec],
    map_only: bool,
    types: StageTypes,
) -> Result<OutputSpec, PlanError> {
    let writers = writers(stages, inputs, map_only);
    let raw = writers.is_empty()
        && inputs
            .iter()
            .all(|input| matches!(input.format, InputFormat::Fixed { .. }) && input.mapper.is_none());
    let described = writers.iter().find_map(|plugin| plugin.contract().output_fields.clone());
    let spec = OutputSpec {
        format: asked.format.unwrap_or(if raw { OutputFormat::Raw } else { OutputFormat::Text }),
        compression: asked.compression.unwrap_or_default(),
        names: asked.fields.clone().or(described).or_else(|| names_of_rows(&writers, inputs)),
        part_bytes_max: asked.file_bytes,
        types,
        ports: ports(&writers)?,
    };
    check(&spec, target)?;
    Ok(spec)
}

/// The encoder of one file of the output `port`: the one place where they are made.
///
/// # Errors
/// A sentence: the format cannot hold its types, or its names are not as many as its columns.
pub(crate) fn encoder(spec: &OutputSpec, port: u32) -> Result<Encoder, String> {
    let (types, names) = spec.port(port).ok_or_else(|| format!("there is no output {port}"))?;
    let names: Option<Vec<String>> =
        names.map(|fields| fields.0.iter().map(|field| field.name.clone()).collect());
    Encoder::new(spec.format, spec.compression, types, names.as_deref(), spec.ports.len() + 1)
}

/// Most memory that writing the outputs of a job takes at a time, in bytes.
///
/// # Errors
/// As of [`encoder`].
pub fn writing_bytes(spec: &OutputSpec) -> Result<u64, String> {
    let last = u32::try_from(spec.ports.len()).unwrap_or(u32::MAX);
    (0..=last).map(|port| encoder(spec, port).map(|encoder| encoder.memory_bytes())).sum()
}

/// Names of the fields where rows are written as they were read.
fn names_of_rows(writers: &[&Plugin], inputs: &[InputSpec]) -> Option<Fields> {
    let mut rows = inputs.iter().map(|input| input.row.as_ref().filter(|_| input.mapper.is_none()));
    let row = rows.next().flatten().filter(|_| writers.is_empty())?;
    let same = rows.all(|other| other == Some(row));
    let named = inputs.first().is_some_and(|input| !row.key.0.is_empty() || input.key == InputKey::Unit);
    let name = |field: &Field| Field { name: field.name.clone(), datatype: None, nullable: false };
    (same && named).then(|| Fields(row.key.0.iter().chain(&row.value.0).map(name).collect()))
}

/// The components whose records are written, in the order of their inputs, each once.
fn writers<'a>(stages: &'a Stages, inputs: &[InputSpec], map_only: bool) -> Vec<&'a Plugin> {
    let mut writers: Vec<&Plugin> = Vec::new();
    if !map_only {
        writers.extend(&stages.reducer);
        // What the mappers emit is written as it is: to the main output.
        return writers;
    }
    for plugin in inputs.iter().filter_map(|input| stages.mapper(input)) {
        if !writers.iter().any(|known| known.hash() == plugin.hash()) {
            writers.push(plugin);
        }
    }
    writers
}

/// The named outputs of all of them: one that several declare is one.
fn ports(writers: &[&Plugin]) -> Result<Vec<Port>, PlanError> {
    let mut ports: Vec<(Port, &Plugin)> = Vec::new();
    for plugin in writers {
        let contract = plugin.contract();
        for name in &contract.outputs {
            let said = contract.output.get(name).cloned().unwrap_or_default();
            let types = StageTypes { key: said.key, value: said.value };
            match ports.iter_mut().find(|(port, _)| port.name == *name) {
                Some((port, first)) => {
                    merge(&mut port.types.key, types.key, "keys", name, [first, plugin])?;
                    merge(&mut port.types.value, types.value, "values", name, [first, plugin])?;
                    port.names = port.names.take().or(said.fields);
                }
                None => ports.push((Port { name: name.clone(), names: said.fields, types }, plugin)),
            }
        }
    }
    if ports.len() > OUTPUTS_MAX {
        let reason =
            format!("its components declare {} named outputs, and {OUTPUTS_MAX} are the most", ports.len());
        return Err(PlanError::Options(reason));
    }
    Ok(ports.into_iter().map(|(port, _)| port).collect())
}

/// Takes the type that another component declares for an output, too.
fn merge(
    known: &mut Option<DataType>,
    other: Option<DataType>,
    what: &str,
    name: &str,
    [first, second]: [&Plugin; 2],
) -> Result<(), PlanError> {
    match (known.as_ref(), other) {
        (Some(one), Some(two)) if !same_layout(one, &two) => Err(PlanError::Options(format!(
            "the output {name} has {what} of type {one} by {} and of type {two} by {}; let both declare the same",
            first.path().display(),
            second.path().display()
        ))),
        (None, other) => {
            *known = other;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn check(spec: &OutputSpec, target: &OutputTarget) -> Result<(), PlanError> {
    let refuse = |reason: String| Err(PlanError::Options(reason));
    if spec.part_bytes_max == Some(0) {
        return refuse("--output-file-size 0: a file has at least one byte".into());
    }
    if matches!(target, OutputTarget::Stdout) {
        if let Some(port) = spec.ports.first() {
            return refuse(format!(
                "the plugin writes the named output {} beside the main one, which standard output has no room for; it \
                 needs --output",
                port.name
            ));
        }
        if spec.part_bytes_max.is_some() {
            return refuse("--output-file-size is for output in files; it needs --output".into());
        }
    }
    if spec.compression != Compression::None && !spec.format.may_be_compressed() {
        // Parquet and kv compress inside of their files, as far as their writers say.
        encoder(spec, 0).map_err(PlanError::Options)?;
    }
    let all = (0..=u32::try_from(spec.ports.len()).unwrap_or(u32::MAX))
        .filter_map(|port| Some((port, spec.port(port)?)));
    for (port, (_, names)) in all {
        let output = port.checked_sub(1).map_or(MAIN_OUTPUT, |named| &spec.ports[named as usize].name);
        if names.is_some_and(is_typed) {
            return refuse(format!(
                "fields of the output {output}: give names alone; their types are those of what is emitted"
            ));
        }
        encoder(spec, port).map_err(|reason| PlanError::Options(format!("output {output}: {reason}")))?;
    }
    Ok(())
}

fn is_typed(fields: &Fields) -> bool {
    fields.0.iter().any(|field| field.datatype.is_some() || field.nullable)
}
