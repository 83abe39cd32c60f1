//! Types of keys and values and their order-preserving encodings, as `wit/ENCODING.md` fixes them.
//! The engine itself moves bytes; it needs types to check that stages fit and to render text.

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
}

/// Deepest nesting of tuples: bounds the parser and the renderer.
const TUPLE_DEPTH_MAX: usize = 8;
/// Most elements of a tuple.
const TUPLE_ELEMENTS_MAX: usize = 64;

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
#[error("{0:?} is no type: use bytes, text, u64, s64, f64, bool, unit or tuple<...> of these")]
pub struct BadDataType(String);

impl DataType {
    /// Appends the cell as text: numbers in decimal, text and bytes as they are, tuple elements
    /// separated by tabs, a unit as nothing.
    pub fn render(&self, cell: &[u8], out: &mut Vec<u8>) -> Result<(), BadCell> {
        match self {
            DataType::Bytes | DataType::Text => {
                out.extend_from_slice(cell);
                Ok(())
            }
            _ => match self.render_front(cell, out) {
                Some([]) => Ok(()),
                _ => Err(BadCell { datatype: self.to_string(), bytes: cell.len() }),
            },
        }
    }

    /// Renders the element at the front of `cell`; answers what is left, none if it is malformed.
    fn render_front<'a>(&self, cell: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
        match self {
            DataType::Bytes | DataType::Text => unescape_front(cell, out),
            DataType::U64 => {
                let (word, rest) = cell.split_first_chunk::<8>()?;
                render_u64(u64::from_be_bytes(*word), out);
                Some(rest)
            }
            DataType::S64 => {
                let (word, rest) = cell.split_first_chunk::<8>()?;
                let value = (u64::from_be_bytes(*word) ^ (1 << 63)).cast_signed();
                if value < 0 {
                    out.push(b'-');
                }
                render_u64(value.unsigned_abs(), out);
                Some(rest)
            }
            DataType::F64 => {
                let (word, rest) = cell.split_first_chunk::<8>()?;
                out.extend_from_slice(decode_f64(*word).to_string().as_bytes());
                Some(rest)
            }
            DataType::Bool => {
                let (byte, rest) = cell.split_first()?;
                out.extend_from_slice(match byte {
                    0 => b"false",
                    1 => b"true",
                    _ => return None,
                });
                Some(rest)
            }
            DataType::Unit => Some(cell),
            DataType::Tuple(elements) => {
                let mut rest = cell;
                for (i, element) in elements.iter().enumerate() {
                    if i > 0 {
                        out.push(b'\t');
                    }
                    rest = element.render_front(rest, out)?;
                }
                Some(rest)
            }
        }
    }

    fn parse(text: &str, depth: usize) -> Option<Self> {
        Some(match text.trim() {
            "bytes" => DataType::Bytes,
            "text" => DataType::Text,
            "u64" => DataType::U64,
            "s64" => DataType::S64,
            "f64" => DataType::F64,
            "bool" => DataType::Bool,
            "unit" => DataType::Unit,
            tuple => {
                let inner = tuple.strip_prefix("tuple<")?.strip_suffix('>')?;
                if depth >= TUPLE_DEPTH_MAX {
                    return None;
                }
                let elements = split_top(inner)
                    .map(|element| Self::parse(element, depth + 1))
                    .collect::<Option<Vec<_>>>()?;
                if elements.len() > TUPLE_ELEMENTS_MAX {
                    return None;
                }
                DataType::Tuple(elements)
            }
        })
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

fn decode_f64(word: [u8; 8]) -> f64 {
    let bits = u64::from_be_bytes(word);
    f64::from_bits(if bits >> 63 == 1 { bits ^ (1 << 63) } else { !bits })
}

fn render_u64(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10).to_le_bytes()[0];
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

fn unescape_front<'a>(cell: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut rest = cell;
    loop {
        let zero = rest.iter().position(|byte| *byte == 0)?;
        out.extend_from_slice(&rest[..zero]);
        rest = &rest[zero + 1..];
        match rest.split_first() {
            Some((0xff, tail)) => {
                out.push(0);
                rest = tail;
            }
            Some((0, tail)) => return Some(tail),
            _ => return None,
        }
    }
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
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(datatype: &str, cell: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        datatype.parse::<DataType>().unwrap().render(cell, &mut out).ok()?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn names_survive_a_round_trip() {
        for name in ["bytes", "unit", "tuple<text,u64>", "tuple<tuple<s64,f64>,bool>"] {
            assert_eq!(name.parse::<DataType>().unwrap().to_string(), name);
        }
        for bad in ["", "int", "tuple<>x", "tuple<text", "tuple<nope>"] {
            assert!(bad.parse::<DataType>().is_err(), "{bad}");
        }
    }

    #[test]
    fn cells_render_as_text() {
        assert_eq!(rendered("u64", &[0; 8]).unwrap(), "0");
        assert_eq!(rendered("u64", &[255; 8]).unwrap(), u64::MAX.to_string());
        assert_eq!(rendered("s64", &[0; 8]).unwrap(), i64::MIN.to_string());
        assert_eq!(rendered("f64", &[0xbf, 0xf8, 0, 0, 0, 0, 0, 0]).unwrap(), "1.5");
        assert_eq!(rendered("f64", &[0x40, 0x07, 255, 255, 255, 255, 255, 255]).unwrap(), "-1.5");
        assert_eq!(rendered("tuple<text,u64>", b"a\0\xffb\0\0\0\0\0\0\0\0\0\x07").unwrap(), "a\0b\t7");
        assert_eq!(rendered("unit", b"").unwrap(), "");
        assert_eq!(rendered("bool", b"\x01").unwrap(), "true");
    }

    #[test]
    fn malformed_cells_are_refused() {
        for (datatype, cell) in [
            ("u64", b"1234567".as_slice()),
            ("u64", b"123456789"),
            ("unit", b"x"),
            ("bool", b"\x02"),
            ("tuple<text>", b"a"),
        ] {
            assert_eq!(rendered(datatype, cell), None, "{datatype}");
        }
    }
}
