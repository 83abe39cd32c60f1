//! One value of a row as an element of a tuple (`wit/ENCODING.md`): what all readers of rows write. Runs for
//! every value of every row: nothing is allocated here.

use std::fmt;

use mr_model::DataType;

use crate::digits::Digits;

/// The value of every NaN.
const NAN: u64 = 0x7ff8_0000_0000_0000;
/// The sign of a float.
const SIGN: u64 = 1 << 63;

/// Appends bytes or text: `00` is followed by `FF`, and `00 00` is the end.
#[inline]
pub(crate) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some(zero) = memchr::memchr(0, rest) {
        out.extend_from_slice(&rest[..=zero]);
        out.push(0xff);
        rest = &rest[zero + 1..];
    }
    push_zero_free(out, rest);
}

/// Appends bytes or text without a zero byte in it.
#[inline]
pub(crate) fn push_zero_free(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    out.extend_from_slice(&[0, 0]);
}

/// Appends a `u64`.
#[inline]
pub(crate) fn push_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends an `s64`.
#[inline]
pub(crate) fn push_s64(out: &mut Vec<u8>, value: i64) {
    push_u64(out, value.cast_unsigned() ^ SIGN);
}

/// Appends an `f64`.
#[inline]
pub(crate) fn push_f64(out: &mut Vec<u8>, value: f64) {
    let bits = if value.is_nan() { NAN } else { value.to_bits() };
    push_u64(out, if bits & SIGN == 0 { bits ^ SIGN } else { !bits });
}

/// Whether the cell of an `f64` is an infinity.
#[inline]
pub(crate) fn is_infinite(cell: &[u8]) -> bool {
    const INFINITE: u64 = f64::INFINITY.to_bits() | SIGN;
    cell.first_chunk::<8>().is_some_and(
        |cell| matches!(u64::from_be_bytes(*cell), bits if bits == INFINITE || bits == !INFINITE),
    )
}

/// Appends a `bool`, which also stands ahead of a nullable value: true where there is one.
#[inline]
pub(crate) fn push_bool(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// Appends what stands for a value of `datatype` that is missing where it may be: false and an empty value,
/// as if zero or no bytes were given.
pub(crate) fn push_null(out: &mut Vec<u8>, datatype: &DataType) {
    push_bool(out, false);
    push_empty(out, datatype);
}

/// Appends zero, false or no bytes.
fn push_empty(out: &mut Vec<u8>, datatype: &DataType) {
    match datatype {
        DataType::Bytes | DataType::Text => push_zero_free(out, b""),
        DataType::U64 => push_u64(out, 0),
        DataType::S64 => push_s64(out, 0),
        DataType::F64 => push_f64(out, 0.0),
        DataType::Bool => push_bool(out, false),
        DataType::Unit => {}
        DataType::Tuple(elements) => elements.iter().for_each(|element| push_empty(out, element)),
        DataType::Desc(inner) => {
            let start = out.len();
            push_empty(out, inner);
            out[start..].iter_mut().for_each(|byte| *byte = !*byte);
        }
    }
}

/// Text that is no value of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mismatch;

/// Appends the value of `datatype` that `text` is written as. Strict: no spaces, no sign ahead of a `u64`, no
/// plus at all, digits only for whole numbers, `true` or `false`; for an `f64` a decimal number, with or
/// without an exponent, `inf`, `-inf` or `NaN`. On an error `out` is as it was.
#[inline]
pub(crate) fn push_text(out: &mut Vec<u8>, datatype: &DataType, text: &[u8]) -> Result<(), Mismatch> {
    match datatype {
        DataType::Bytes | DataType::Text => {
            push_bytes(out, text);
            Ok(())
        }
        _ => push_part(out, datatype, text, 0, text.len()),
    }
}

/// As [`push_text`], of a part of some bytes, in which no byte is zero. Most values are short, and copies and words of
/// known length are no calls: what is behind the part is read as well and left out.
#[inline(always)]
pub(crate) fn push_part(
    out: &mut Vec<u8>,
    datatype: &DataType,
    bytes: &[u8],
    start: usize,
    length: usize,
) -> Result<(), Mismatch> {
    let digits = Digits { rest: bytes.get(start..).unwrap_or_default(), length };
    match datatype {
        DataType::Bytes | DataType::Text => push_short(out, digits.rest, digits.length),
        DataType::U64 => push_u64(out, digits.unsigned().ok_or(Mismatch)?),
        DataType::S64 => push_s64(out, digits.signed().ok_or(Mismatch)?),
        DataType::F64 => push_f64(out, digits.float().ok_or(Mismatch)?),
        DataType::Bool => push_bool(
            out,
            match digits.text() {
                b"true" => true,
                b"false" => false,
                _ => return Err(Mismatch),
            },
        ),
        DataType::Unit => (length == 0).then_some(()).ok_or(Mismatch)?,
        DataType::Tuple(_) | DataType::Desc(_) => return Err(Mismatch),
    }
    Ok(())
}

/// Appends the first `length` bytes of `rest`, none of which is zero, as an element.
#[inline]
fn push_short(out: &mut Vec<u8>, rest: &[u8], length: usize) {
    // A word with room for the zeros at the end.
    const SHORT: usize = 14;
    match rest.first_chunk::<16>() {
        Some(chunk) if length <= SHORT => {
            let end = out.len() + length + 2;
            let word = u128::from_le_bytes(*chunk) & ((1 << (8 * length)) - 1);
            out.extend_from_slice(&word.to_le_bytes());
            out.truncate(end);
        }
        _ => push_medium(out, rest, length),
    }
}

/// As [`push_short`], of bytes that may be more.
#[inline]
fn push_medium(out: &mut Vec<u8>, rest: &[u8], length: usize) {
    const MEDIUM: usize = 32;
    match rest.first_chunk::<MEDIUM>() {
        Some(chunk) if length <= MEDIUM => {
            let end = out.len() + length;
            out.extend_from_slice(chunk);
            out.truncate(end);
            out.extend_from_slice(&[0, 0]);
        }
        _ => push_zero_free(out, &rest[..length]),
    }
}

/// Shows text of a file within a sentence: in quotes, escaped, cut where it is long.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

/// Bytes of a value that a sentence shows.
const SHOWN_BYTES_MAX: usize = 40;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.0.len().min(SHOWN_BYTES_MAX);
        let dots = if cut < self.0.len() { "..." } else { "" };
        write!(f, "{:?}{dots}", String::from_utf8_lossy(&self.0[..cut]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(datatype: &str, text: &str) -> Option<Vec<u8>> {
        let mut out = b"ahead".to_vec();
        let datatype = datatype.parse().unwrap();
        let parsed = push_text(&mut out, &datatype, text.as_bytes());
        let cell = out.split_off(5);
        if !text.contains('\0') {
            let (mut out, around) = (Vec::new(), format!("8{text}9876543210987654321"));
            let part = push_part(&mut out, &datatype, around.as_bytes(), 1, text.len());
            assert_eq!((part, &out), (parsed, &cell), "as a part of something");
        }
        assert!(parsed.is_ok() || cell.is_empty(), "a refused value leaves nothing");
        parsed.ok().map(|()| cell)
    }

    /// What the encoder writes, the model renders back.
    fn round(datatype: &str, text: &str) -> Option<String> {
        let tuple: DataType = format!("tuple<{datatype}>").parse().unwrap();
        let mut rendered = Vec::new();
        tuple.render(&cell(datatype, text)?, &mut rendered).unwrap();
        Some(String::from_utf8(rendered).unwrap())
    }

    #[test]
    fn values_are_written_as_their_type_says() {
        for (datatype, texts) in [
            ("u64", ["0", "7", "18446744073709551615"]),
            ("s64", ["-9223372036854775808", "-1", "9223372036854775807"]),
            ("f64", ["-0", "1.5", "-inf"]),
            ("f64", ["NaN", "inf", "0.1"]),
            ("bool", ["true", "false", "true"]),
            ("text", ["", "a\0b", "\0"]),
            ("bytes", ["", "a", "ab"]),
        ] {
            for text in texts {
                assert_eq!(round(datatype, text).as_deref(), Some(text), "{datatype}");
            }
        }
        assert_eq!(round("f64", "1e3").as_deref(), Some("1000"));
        assert_eq!(round("f64", "-.5").as_deref(), Some("-0.5"));
        assert_eq!(cell("f64", "NaN").unwrap(), [0xff, 0xf8, 0, 0, 0, 0, 0, 0]);
        assert_eq!(cell("text", "a\0b").unwrap(), b"a\0\xffb\0\0");
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (datatype, texts) in [
            ("u64", ["", "-1", "+1", " 1", "1 ", "12x", "18446744073709551616"]),
            ("s64", ["", "-", "+1", "--1", "-9223372036854775809", "9223372036854775808", "1.0"]),
            ("f64", ["", "-", "+1", "nan", "infinity", "1,5", "0x1"]),
            ("bool", ["", "1", "0", "True", "TRUE", "yes", "t"]),
        ] {
            for text in texts {
                assert_eq!(cell(datatype, text), None, "{datatype} {text:?}");
            }
        }
    }

    #[test]
    fn values_ascend_with_their_cells() {
        let cells: Vec<_> = ["-inf", "-2", "-0", "0", "1e-300", "3", "inf", "NaN"]
            .map(|text| cell("f64", text).unwrap())
            .to_vec();
        assert!(cells.is_sorted());
        let cells: Vec<_> = ["-5", "-1", "0", "1"].map(|text| cell("s64", text).unwrap()).to_vec();
        assert!(cells.is_sorted());
    }

    #[test]
    fn a_null_is_false_and_an_empty_value() {
        let mut out = Vec::new();
        push_null(&mut out, &DataType::S64);
        assert_eq!(out, [0, 0x80, 0, 0, 0, 0, 0, 0, 0]);
        out.clear();
        push_null(&mut out, &DataType::Text);
        assert_eq!(out, [0, 0, 0]);
    }
}
