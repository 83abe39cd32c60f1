//! Types of keys and values and their order-preserving encodings, as `wit/ENCODING.md` fixes them.
//! The engine itself moves bytes; it needs types to check that stages fit and to render text.

mod cell;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Type of a key or value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DataType {
    /// Any bytes, as they are.
    Bytes,
    /// UTF-8 by intention; encoded and ordered as its bytes, never checked.
    Text,
    /// 8 bytes, big-endian.
    U64,
    /// 8 bytes, big-endian, sign bit flipped.
    S64,
    /// 8 bytes, big-endian IEEE 754; sign bit flipped if clear, all bits if set (total order).
    F64,
    /// One byte, 0 or 1.
    Bool,
    /// No bytes.
    Unit,
    /// Elements end to end; `bytes` and `text` are terminated by 00 00, a 00 inside becomes 00 FF.
    Tuple(Vec<DataType>),
    /// The cell as an element of a tuple, every bit flipped, so that the order is turned round.
    Desc(Box<DataType>),
}

/// Deepest nesting of tuples and `desc`: bounds the parser and the renderer.
const DEPTH_MAX: usize = 8;
/// Most elements of a tuple.
pub const TUPLE_ELEMENTS_MAX: usize = 64;

/// Bytes that are no cell of the type that a plugin declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes are not a cell of type {datatype}")]
pub struct BadCell {
    /// The type declared.
    pub datatype: String,
    /// Length of the cell.
    pub bytes: usize,
}

/// A type's name that is not in `wit/ENCODING.md`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no type: use bytes, text, u64, s64, f64, bool, unit, or tuple<...> and desc<...> of these")]
pub struct BadDataType(String);

impl DataType {
    fn parse(text: &str, depth: usize) -> Option<Self> {
        Some(match text.trim() {
            "bytes" => DataType::Bytes,
            "text" => DataType::Text,
            "u64" => DataType::U64,
            "s64" => DataType::S64,
            "f64" => DataType::F64,
            "bool" => DataType::Bool,
            "unit" => DataType::Unit,
            nested => {
                let (name, inner) = nested.strip_suffix('>')?.split_once('<')?;
                if depth >= DEPTH_MAX {
                    return None;
                }
                match name {
                    "desc" => DataType::Desc(Box::new(Self::parse(inner, depth + 1)?)),
                    "tuple" => DataType::Tuple(Self::parse_elements(inner, depth + 1)?),
                    _ => return None,
                }
            }
        })
    }

    fn parse_elements(text: &str, depth: usize) -> Option<Vec<Self>> {
        let elements =
            split_top(text).map(|element| Self::parse(element, depth)).collect::<Option<Vec<_>>>()?;
        (elements.len() <= TUPLE_ELEMENTS_MAX).then_some(elements)
    }
}

/// Splits at the commas that are outside of `<...>`.
fn split_top(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    text.split(move |c| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        c == ',' && depth == 0
    })
}

impl FromStr for DataType {
    type Err = BadDataType;

    fn from_str(text: &str) -> Result<Self, BadDataType> {
        Self::parse(text, 0).ok_or_else(|| BadDataType(text.to_owned()))
    }
}

impl TryFrom<String> for DataType {
    type Error = BadDataType;

    fn try_from(text: String) -> Result<Self, BadDataType> {
        text.parse()
    }
}

impl From<DataType> for String {
    fn from(datatype: DataType) -> Self {
        datatype.to_string()
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            DataType::Bytes => "bytes",
            DataType::Text => "text",
            DataType::U64 => "u64",
            DataType::S64 => "s64",
            DataType::F64 => "f64",
            DataType::Bool => "bool",
            DataType::Unit => "unit",
            DataType::Tuple(elements) => {
                f.write_str("tuple<")?;
                for (i, element) in elements.iter().enumerate() {
                    let comma = if i > 0 { "," } else { "" };
                    write!(f, "{comma}{element}")?;
                }
                ">"
            }
            DataType::Desc(inner) => return write!(f, "desc<{inner}>"),
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        for name in [
            "bytes",
            "unit",
            "tuple<text,u64>",
            "tuple<tuple<s64,f64>,bool>",
            "desc<text>",
            "tuple<desc<tuple<text,u64>>,u64>",
        ] {
            assert_eq!(name.parse::<DataType>().unwrap().to_string(), name);
        }
        for bad in [
            "",
            "int",
            "tuple<>x",
            "tuple<text",
            "tuple<nope>",
            "desc<u64,u64>",
            "desc<>",
            "desc",
            "desc<u64",
        ] {
            assert!(bad.parse::<DataType>().is_err(), "{bad}");
        }
    }
}
