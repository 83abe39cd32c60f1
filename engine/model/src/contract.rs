//! What a plugin says of itself (`plugin.describe`), parsed and checked: types of its stages, how
//! it wants its input, its parameters. The attribute names are documented in `wit/ATTRIBUTES.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::datatype::{BadDataType, DataType, TUPLE_ELEMENTS_MAX};
use crate::format::{Fields, InputFormat};
use crate::job::{InputKey, Partitioning, is_input_name};
use crate::limit::{ATTRIBUTES_MAX, OUTPUTS_MAX};
use crate::output::check_output_name;

/// The raw answer of `plugin.describe`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginInfo {
    /// Name of the plugin.
    pub name: String,
    /// Version of the plugin.
    pub version: String,
    /// SDK it was built with.
    pub sdk: String,
    /// Facts by name.
    pub attributes: Vec<(String, String)>,
}

/// A parameter that a plugin takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// Type that its text must parse as: text, u64, s64, f64 or bool.
    pub datatype: DataType,
    /// The job must set it.
    pub required: bool,
    /// Value where the job does not set it.
    pub default: Option<String>,
    /// One line for people.
    pub help: String,
}

impl Param {
    /// Checks a value's text against the type.
    pub fn check(&self, text: &str) -> Result<(), String> {
        let fits = match self.datatype {
            DataType::U64 => text.parse::<u64>().is_ok(),
            DataType::S64 => text.parse::<i64>().is_ok(),
            DataType::F64 => text.parse::<f64>().is_ok(),
            DataType::Bool => text.parse::<bool>().is_ok(),
            _ => true,
        };
        if fits { Ok(()) } else { Err(format!("{text:?} is not of type {}", self.datatype)) }
    }
}

/// The checked contract of a plugin. Types that it does not declare are `None` and fit anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// `map.batch = chunks`: text input may arrive as chunks of whole lines, one row each.
    pub chunks: bool,
    /// `map.input-key`: what the keys of text input tell.
    pub input_key: InputKey,
    /// `input.format`, `input.fields`, `input.key-fields`: how inputs are read where the job does not say.
    pub input: InputContract,
    /// `input.NAME.format` and so on: the same for the input NAME.
    pub inputs: BTreeMap<String, InputContract>,
    /// `map.in.key`, `map.in.value`: what the mapper takes.
    pub map_in: (Option<DataType>, Option<DataType>),
    /// `partition`: how keys are spread where the job does not say.
    pub partitioning: Option<Partitioning>,
    /// `map.key`, `map.value`: what the mapper emits.
    pub map: (Option<DataType>, Option<DataType>),
    /// `combine.key`, `combine.value`: what the combiner takes and emits.
    pub combine: (Option<DataType>, Option<DataType>),
    /// `reduce.in.key`, `reduce.in.value`: what the reducer takes.
    pub reduce_in: (Option<DataType>, Option<DataType>),
    /// `reduce.key`, `reduce.value`: what the reducer emits.
    pub reduce: (Option<DataType>, Option<DataType>),
    /// `outputs`: names of the outputs beside the main one, in the order of their ports from 1.
    pub outputs: Vec<String>,
    /// `output.fields`: names of the columns of the main output.
    pub output_fields: Option<Fields>,
    /// `output.NAME.key`, `output.NAME.value`, `output.NAME.fields`: records of the output NAME.
    pub output: BTreeMap<String, OutputContract>,
    /// `reduce.group`: the reducer takes as one group the records whose keys, which are tuples, begin with
    /// the same elements, so many of them; 0 for those of one key.
    pub group_prefix: Option<u32>,
    /// `partition.key`: keys that the partitioner takes.
    pub partition_key: Option<DataType>,
    /// `param.NAME.type|required|default|help`. None where the plugin does not describe itself,
    /// so that any parameter may be set.
    pub params: Option<BTreeMap<String, Param>>,
}

/// How a plugin wants an input to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputContract {
    /// Its format.
    pub format: Option<InputFormat>,
    /// Fields of the value.
    pub fields: Option<Fields>,
    /// Fields of the key.
    pub key_fields: Option<Fields>,
}

impl InputContract {
    fn attribute(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "format" => self.format = Some(value.parse()?),
            "fields" => self.fields = Some(value.parse()?),
            "key-fields" => self.key_fields = Some(value.parse()?),
            _ => {
                return Err(
                    "use input.format, input.fields, input.key-fields, or input.NAME.format and so on".into(),
                );
            }
        }
        Ok(())
    }
}

/// What a plugin emits to a named output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputContract {
    /// Type of the keys.
    pub key: Option<DataType>,
    /// Type of the values.
    pub value: Option<DataType>,
    /// Names of the columns.
    pub fields: Option<Fields>,
}

/// An attribute that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// More attributes than allowed.
    #[error("it describes itself with {0} attributes; {ATTRIBUTES_MAX} are allowed")]
    TooMany(usize),
    /// A known attribute with a value that is not one.
    #[error("its attribute {name} = {value:?} cannot be understood: {reason}")]
    Bad {
        /// Name of the attribute.
        name: String,
        /// Its value.
        value: String,
        /// Why not.
        reason: String,
    },
}

impl Contract {
    /// How it wants the input `name` to be read: as it says of that one, else of all.
    pub fn input_of(&self, name: &str) -> InputContract {
        let named = self.inputs.get(name).cloned().unwrap_or_default();
        InputContract {
            format: named.format.or(self.input.format),
            fields: named.fields.or_else(|| self.input.fields.clone()),
            key_fields: named.key_fields.or_else(|| self.input.key_fields.clone()),
        }
    }

    /// Parses what a plugin describes. Unknown attributes are left alone: they are for people or
    /// for later versions.
    pub fn parse(info: &PluginInfo) -> Result<Self, ContractError> {
        if info.attributes.len() > ATTRIBUTES_MAX {
            return Err(ContractError::TooMany(info.attributes.len()));
        }
        let mut contract = Self { params: Some(BTreeMap::new()), ..Self::default() };
        for (name, value) in &info.attributes {
            contract.attribute(name, value).map_err(|reason| ContractError::Bad {
                name: name.clone(),
                value: value.clone(),
                reason,
            })?;
        }
        contract.check_outputs()?;
        Ok(contract)
    }

    fn attribute(&mut self, name: &str, value: &str) -> Result<(), String> {
        let datatype = || value.parse::<DataType>().map(Some).map_err(|e| e.to_string());
        match name {
            "map.batch" => {
                self.chunks = match value {
                    "chunks" => true,
                    "rows" => false,
                    _ => return Err("use chunks or rows".into()),
                }
            }
            "map.input-key" => {
                self.input_key = match value {
                    "offset" => InputKey::Offset,
                    "path-offset" => InputKey::PathOffset,
                    _ => return Err("use offset or path-offset".into()),
                }
            }
            "partition" => {
                self.partitioning = Some(match value {
                    "hash" => Partitioning::Hash,
                    "range" => Partitioning::Range,
                    _ => return Err("use hash or range".into()),
                })
            }
            "map.in.key" => self.map_in.0 = datatype()?,
            "map.in.value" => self.map_in.1 = datatype()?,
            "map.key" => self.map.0 = datatype()?,
            "map.value" => self.map.1 = datatype()?,
            "combine.key" => self.combine.0 = datatype()?,
            "combine.value" => self.combine.1 = datatype()?,
            "reduce.in.key" => self.reduce_in.0 = datatype()?,
            "reduce.in.value" => self.reduce_in.1 = datatype()?,
            "reduce.key" => self.reduce.0 = datatype()?,
            "reduce.value" => self.reduce.1 = datatype()?,
            "reduce.group" => self.group_prefix = Some(parse_group_prefix(value)?),
            "partition.key" => self.partition_key = datatype()?,
            "outputs" => self.outputs = output_names(value)?,
            "output.fields" => self.output_fields = Some(value.parse()?),
            _ => {
                if let Some(rest) = name.strip_prefix("output.") {
                    return self.output(rest, value);
                }
                if let Some(rest) = name.strip_prefix("param.") {
                    return self.param(rest, value);
                }
                if let Some(rest) = name.strip_prefix("input.") {
                    return match rest.rsplit_once('.') {
                        Some((input, _)) if !is_input_name(input) => {
                            Err(format!("{input:?} is no name of an input"))
                        }
                        Some((input, field)) => {
                            self.inputs.entry(input.to_owned()).or_default().attribute(field, value)
                        }
                        None => self.input.attribute(rest, value),
                    };
                }
            }
        }
        Ok(())
    }

    fn output(&mut self, rest: &str, value: &str) -> Result<(), String> {
        let Some((name, field)) = rest.rsplit_once('.') else {
            return Err("use output.fields, or output.NAME.key, .value or .fields".into());
        };
        check_output_name(name)?;
        let output = self.output.entry(name.to_owned()).or_default();
        match field {
            "key" => output.key = Some(value.parse().map_err(|e: BadDataType| e.to_string())?),
            "value" => output.value = Some(value.parse().map_err(|e: BadDataType| e.to_string())?),
            "fields" => output.fields = Some(value.parse()?),
            _ => return Err("use output.NAME.key, .value or .fields".into()),
        }
        Ok(())
    }

    /// Whatever is said of an output is said of one that there is.
    fn check_outputs(&self) -> Result<(), ContractError> {
        match self.output.keys().find(|name| !self.outputs.contains(name)) {
            Some(name) => Err(ContractError::Bad {
                name: "outputs".into(),
                value: self.outputs.join(","),
                reason: format!("there are attributes of the output {name}, which is not among them"),
            }),
            None => Ok(()),
        }
    }

    fn param(&mut self, rest: &str, value: &str) -> Result<(), String> {
        let Some((name, field)) = rest.rsplit_once('.') else {
            return Err("use param.NAME.type, .required, .default or .help".into());
        };
        let param = self.params.get_or_insert_default().entry(name.to_owned()).or_insert_with(|| Param {
            datatype: DataType::Text,
            required: false,
            default: None,
            help: String::new(),
        });
        match field {
            "type" => {
                param.datatype = value.parse().map_err(|e: BadDataType| e.to_string())?;
            }
            "required" => param.required = value.parse().map_err(|_| "use true or false")?,
            "default" => param.default = Some(value.to_owned()),
            "help" => param.help = value.to_owned(),
            _ => return Err("use param.NAME.type, .required, .default or .help".into()),
        }
        Ok(())
    }
}

/// Names with commas between them.
fn output_names(text: &str) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split(',').map(str::trim) {
        check_output_name(name)?;
        if names.iter().any(|known| known == name) {
            return Err(format!("the output {name} is there twice"));
        }
        names.push(name.to_owned());
    }
    if names.len() > OUTPUTS_MAX {
        return Err(format!("{} outputs are too many: {OUTPUTS_MAX} are the most", names.len()));
    }
    Ok(names)
}

/// Number of elements of a key that make a group; 0 for the whole key.
///
/// # Errors
/// What to write instead.
pub fn parse_group_prefix(text: &str) -> Result<u32, String> {
    let elements: Option<u32> = text.parse().ok();
    elements.filter(|elements| *elements as usize <= TUPLE_ELEMENTS_MAX).ok_or_else(|| {
        format!("use the number of elements of the key, up to {TUPLE_ELEMENTS_MAX}, or 0 for the whole key")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(attributes: &[(&str, &str)]) -> Result<Contract, ContractError> {
        let attributes = attributes.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Contract::parse(&PluginInfo { attributes, ..PluginInfo::default() })
    }

    #[test]
    fn known_attributes_are_understood() {
        let contract = parse(&[
            ("map.batch", "chunks"),
            ("map.key", "text"),
            ("map.value", "u64"),
            ("reduce.value", "tuple<text,u64>"),
            ("reduce.group", "2"),
            ("param.pattern.type", "text"),
            ("param.pattern.required", "true"),
            ("param.pattern.help", "what to look for"),
            ("input.fields", "id:u64,name"),
            ("input.orders.format", "csv"),
            ("colour", "green"),
        ])
        .unwrap();
        assert_eq!(contract.input_of("orders").format, Some(InputFormat::Delimited(crate::Delimited::CSV)));
        assert_eq!(contract.input_of("users").format, None);
        assert_eq!(contract.input_of("users").fields, "id:u64,name".parse().ok());
        assert!(contract.chunks);
        assert_eq!(contract.map, (Some(DataType::Text), Some(DataType::U64)));
        assert_eq!(contract.group_prefix, Some(2));
        let params = contract.params.unwrap();
        assert!(params["pattern"].required);
        assert_eq!(params["pattern"].help, "what to look for");
    }

    #[test]
    fn outputs_have_names_and_types() {
        let contract = parse(&[
            ("output.errors.key", "text"),
            ("outputs", "errors, stats"),
            ("output.stats.fields", "name,count"),
            ("output.fields", "a,b"),
        ])
        .unwrap();
        assert_eq!(contract.outputs, ["errors", "stats"]);
        assert_eq!(contract.output["errors"].key, Some(DataType::Text));
        assert_eq!(contract.output["stats"].fields, "name,count".parse().ok());
        for bad in [
            ("outputs", ""),
            ("outputs", "main"),
            ("outputs", "a,a"),
            ("output.none.key", "text"),
            ("output.none", "text"),
            ("output.main.key", "text"),
        ] {
            assert!(parse(&[bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_bad_attribute_is_named() {
        let error = parse(&[("map.key", "int")]).unwrap_err().to_string();
        assert!(error.contains("map.key") && error.contains("int"), "{error}");
        for group in ["-1", "65", "all"] {
            assert!(parse(&[("reduce.group", group)]).is_err(), "{group}");
        }
    }
}
