//! Whether the stages of a job fit together: types along the record path, and parameters.

use std::collections::BTreeMap;

use mr_model::limit::{PARAM_BYTES_MAX, PARAMS_MAX};
use mr_model::{DataType, InputFormat, InputSpec, Param, Role, StageTypes};

use crate::plan::PlanError;
use crate::request::Stages;

/// Types of a record, as far as they are known.
type Types = (Option<DataType>, Option<DataType>);

/// Types along the record path.
#[derive(Debug, Default)]
pub struct PathTypes {
    /// Of what the map stage hands to the reducers.
    pub shuffle: StageTypes,
    /// Of what is written to the parts.
    pub output: StageTypes,
}

/// Checks each stage's input against the output of the one before. `group` is the number of elements of a
/// key that make a group, 0 for the whole key; none for a map-only job.
pub fn check_types(
    stages: &Stages,
    inputs: &[InputSpec],
    group: Option<u32>,
) -> Result<PathTypes, PlanError> {
    let (types, misfits) = walk_types(stages, inputs, group);
    misfits.into_iter().next().map_or(Ok(types), Err)
}

/// Every step of the record path whose types do not fit.
pub fn type_misfits(stages: &Stages, inputs: &[InputSpec], group: Option<u32>) -> Vec<PlanError> {
    walk_types(stages, inputs, group).1
}

/// The types, and what does not fit on the way.
fn walk_types(stages: &Stages, inputs: &[InputSpec], group: Option<u32>) -> (PathTypes, Vec<PlanError>) {
    let mut misfits = Vec::new();
    let (mut types, emitter) = map_types(stages, inputs, &mut misfits);
    let shuffle = StageTypes { key: types.0.clone(), value: types.1.clone() };
    if let Some(group) = group {
        let grouped = match group_key(types.0.as_ref(), group, &emitter) {
            Ok(key) => (key, types.1.clone()),
            Err(misfit) => {
                misfits.push(misfit);
                Types::default()
            }
        };
        if let Some(partitioner) = &stages.partitioner {
            let taken = (partitioner.contract().partition_key.clone(), None);
            check_step(&grouped, &emitter, &taken, Role::Partitioner, partitioner.path(), &mut misfits);
        }
        if let Some(combiner) = &stages.combiner {
            let taken = &combiner.contract().combine;
            check_step(&types, &emitter, taken, Role::Combiner, combiner.path(), &mut misfits);
        }
        if let Some(reducer) = &stages.reducer {
            let contract = reducer.contract();
            check_step(&grouped, &emitter, &contract.reduce_in, Role::Reducer, reducer.path(), &mut misfits);
            types = contract.reduce.clone();
        }
    }
    (PathTypes { shuffle, output: StageTypes { key: types.0, value: types.1 } }, misfits)
}

/// Type of a group's key: the first elements of the records' keys, where not all of them count.
fn group_key(key: Option<&DataType>, elements: u32, emitter: &str) -> Result<Option<DataType>, PlanError> {
    if elements == 0 {
        return Ok(key.cloned());
    }
    let first = key.and_then(|key| key.first(elements as usize));
    first.map(Some).ok_or_else(|| PlanError::Group {
        elements,
        emitter: emitter.to_owned(),
        given: key.map_or_else(|| "that is not declared".to_owned(), DataType::to_string),
    })
}

/// What the map stage emits, over all inputs, and who does: where they differ, that is a misfit.
fn map_types(stages: &Stages, inputs: &[InputSpec], misfits: &mut Vec<PlanError>) -> (Types, String) {
    let mut all: Option<(Types, String)> = None;
    for input in inputs {
        let read = (input.types.key.clone(), input.types.value.clone());
        let (types, emitter) = match stages.mapper(input) {
            Some(mapper) => {
                let taken = &mapper.contract().map_in;
                // What a plugin makes of bytes is its own business: numbers of fixed length, for one.
                let typed = input.row.is_some() || input.format == InputFormat::Kv;
                let read = if typed { read } else { Types::default() };
                check_step(&read, &input_words(input), taken, Role::Mapper, mapper.path(), misfits);
                (mapper.contract().map.clone(), format!("the mapper of {}", mapper.path().display()))
            }
            None => (read, format!("{}, without a mapper)", input_words(input).trim_end_matches(')'))),
        };
        let Some((known, first)) = &mut all else {
            all = Some((types, emitter));
            continue;
        };
        for (what, known, types) in [("keys", &mut known.0, types.0), ("values", &mut known.1, types.1)] {
            match (known.as_ref(), types) {
                (Some(one), Some(other)) if !same_layout(one, &other) => misfits.push(PlanError::Inputs {
                    what,
                    one: first.clone(),
                    one_type: one.to_string(),
                    other: emitter.clone(),
                    other_type: other.to_string(),
                }),
                (None, types) => *known = types,
                _ => {}
            }
        }
    }
    all.unwrap_or_default()
}

/// An input, for people.
fn input_words(input: &InputSpec) -> String {
    match input.name.as_str() {
        "" => format!("the input ({})", input.format),
        name => format!("the input {name} ({})", input.format),
    }
}

fn check_step(
    given: &Types,
    emitter: &str,
    taken: &Types,
    role: Role,
    path: &std::path::Path,
    misfits: &mut Vec<PlanError>,
) {
    for (what, given, taken) in [("keys", &given.0, &taken.0), ("values", &given.1, &taken.1)] {
        if let (Some(given), Some(taken)) = (given, taken)
            && !fits(given, taken)
        {
            misfits.push(PlanError::Types {
                what,
                emitter: emitter.to_owned(),
                given: given.to_string(),
                taker: format!("the {role} of {}", path.display()),
                taken: taken.to_string(),
            });
        }
    }
}

/// True where every cell of `given` is one of `taken`: any cell whatever is bytes, and text is.
fn fits(given: &DataType, taken: &DataType) -> bool {
    match (given, taken) {
        (_, DataType::Bytes) | (DataType::Bytes | DataType::Unit, DataType::Text) => true,
        _ => same_layout(given, taken),
    }
}

/// True where two types lie in memory alike, also inside of a tuple.
pub(crate) fn same_layout(given: &DataType, taken: &DataType) -> bool {
    match (given, taken) {
        (DataType::Text | DataType::Bytes, DataType::Text | DataType::Bytes) => true,
        (DataType::Tuple(given), DataType::Tuple(taken)) => {
            given.len() == taken.len()
                && given.iter().zip(taken).all(|(given, taken)| same_layout(given, taken))
        }
        (DataType::Desc(given), DataType::Desc(taken)) => same_layout(given, taken),
        _ => given == taken,
    }
}

/// Checks the job's parameters against what the plugins declare, and fills in defaults. The answer is
/// sorted by name.
pub fn check_params(stages: &Stages, given: &[(String, String)]) -> Result<Vec<(String, String)>, PlanError> {
    let (params, misfits) = walk_params(stages, given);
    misfits.into_iter().next().map_or(Ok(params), Err)
}

/// Everything that is wrong with the job's parameters.
pub fn param_misfits(stages: &Stages, given: &[(String, String)]) -> Vec<PlanError> {
    walk_params(stages, given).1
}

/// The parameters with defaults filled in, and what does not fit.
fn walk_params(stages: &Stages, given: &[(String, String)]) -> (Vec<(String, String)>, Vec<PlanError>) {
    let plugins = stages.plugins();
    let mut declared: BTreeMap<&str, Vec<&Param>> = BTreeMap::new();
    let mut any_goes = false;
    for (plugin, _) in &plugins {
        match &plugin.contract().params {
            Some(params) => {
                params.iter().for_each(|(name, param)| declared.entry(name).or_default().push(param))
            }
            None => any_goes = true,
        }
    }
    let mut misfits = Vec::new();
    let mut params = BTreeMap::new();
    for (name, value) in given {
        misfits.extend(check_param(name, value, &declared, any_goes).err());
        if params.insert(name.clone(), value.clone()).is_some() {
            misfits.push(PlanError::Param { name: name.clone(), reason: "it is given twice".into() });
        }
    }
    for (name, takers) in declared {
        for param in takers {
            match (&param.default, params.contains_key(name)) {
                (Some(default), false) => drop(params.insert(name.to_owned(), default.clone())),
                (None, false) if param.required => {
                    let reason = format!("the plugin requires it ({}); give --param {name}=...", param.help);
                    misfits.push(PlanError::Param { name: name.to_owned(), reason });
                    break;
                }
                _ => {}
            }
        }
    }
    if params.len() > PARAMS_MAX {
        misfits.push(PlanError::ParamCount { count: params.len() });
    }
    (params.into_iter().collect(), misfits)
}

fn check_param(
    name: &str,
    value: &str,
    declared: &BTreeMap<&str, Vec<&Param>>,
    any_goes: bool,
) -> Result<(), PlanError> {
    let refuse = |reason: String| Err(PlanError::Param { name: name.to_owned(), reason });
    if name.is_empty() || name.starts_with("mr.") {
        return refuse("names are not empty and do not begin with \"mr.\"".into());
    }
    if name.len() + value.len() > PARAM_BYTES_MAX {
        return refuse(format!("name and value have more than {PARAM_BYTES_MAX} bytes"));
    }
    let Some(takers) = declared.get(name) else {
        if any_goes {
            return Ok(());
        }
        let known: Vec<&str> = declared.keys().copied().collect();
        return refuse(match known.as_slice() {
            [] => "the plugin takes no parameters".into(),
            _ => format!("the plugin does not take it; it takes {}", known.join(", ")),
        });
    };
    takers.iter().try_for_each(|param| param.check(value)).or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_fit_where_cells_do() {
        let fit = |given: &str, taken: &str| fits(&given.parse().unwrap(), &taken.parse().unwrap());
        assert!(fit("text", "bytes") && fit("bytes", "text") && fit("unit", "bytes") && fit("u64", "bytes"));
        assert!(fit("tuple<text,u64>", "tuple<bytes,u64>") && fit("tuple<text,u64>", "bytes"));
        assert!(fit("desc<text>", "desc<bytes>") && !fit("desc<u64>", "u64") && !fit("u64", "desc<u64>"));
        assert!(!fit("u64", "s64") && !fit("bytes", "u64") && !fit("unit", "u64"));
        assert!(!fit("tuple<text>", "tuple<text,u64>") && !fit("tuple<u64>", "tuple<bytes>"));
    }
}
