//! What a plugin says of itself (`plugin.describe`), parsed and checked: types of its stages, how
//! it wants its input, its parameters. The attribute names are documented in `wit/ATTRIBUTES.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::datatype::{DataType, TUPLE_ELEMENTS_MAX};
use crate::job::{InputFormat, InputKey, Partitioning};
use crate::limit::ATTRIBUTES_MAX;

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
    /// `input.format`: format of the input where the job does not say.
    pub input_format: Option<InputFormat>,
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
    /// `reduce.group`: the reducer takes as one group the records whose keys, which are tuples, begin with
    /// the same elements, so many of them; 0 for those of one key.
    pub group_prefix: Option<u32>,
    /// `partition.key`: keys that the partitioner takes.
    pub partition_key: Option<DataType>,
    /// `param.NAME.type|required|default|help`. None where the plugin does not describe itself,
    /// so that any parameter may be set.
    pub params: Option<BTreeMap<String, Param>>,
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
            "input.format" => self.input_format = Some(value.parse()?),
            "partition" => {
                self.partitioning = Some(match value {
                    "hash" => Partitioning::Hash,
                    "range" => Partitioning::Range,
                    _ => return Err("use hash or range".into()),
                })
            }
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
            _ => {
                if let Some(rest) = name.strip_prefix("param.") {
                    return self.param(rest, value);
                }
            }
        }
        Ok(())
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
                param.datatype = value.parse().map_err(|e: crate::datatype::BadDataType| e.to_string())?;
            }
            "required" => param.required = value.parse().map_err(|_| "use true or false")?,
            "default" => param.default = Some(value.to_owned()),
            "help" => param.help = value.to_owned(),
            _ => return Err("use param.NAME.type, .required, .default or .help".into()),
        }
        Ok(())
    }
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
            ("colour", "green"),
        ])
        .unwrap();
        assert!(contract.chunks);
        assert_eq!(contract.map, (Some(DataType::Text), Some(DataType::U64)));
        assert_eq!(contract.group_prefix, Some(2));
        let params = contract.params.unwrap();
        assert!(params["pattern"].required);
        assert_eq!(params["pattern"].help, "what to look for");
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
