//! One value of a row as an element of a tuple (`wit/ENCODING.md`): what all readers of rows write. Runs for
//! every value of every row: nothing is allocated here.

use std::fmt;

use mr_model::DataType;

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
    }
}

/// Text that is no value of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mismatch;

/// Appends the value of `datatype` that `text` is written as. Strict: no spaces, no sign ahead of a `u64`, no
/// plus at all, digits only for whole numbers, `true` or `false`; for an `f64` a decimal number, with or
/// without an exponent, `inf`, `-inf` or `NaN`. On an error `out` is as it was.
#[inline]
pub(crate) fn parse_text(out: &mut Vec<u8>, datatype: &DataType, text: &[u8]) -> Result<(), Mismatch> {
    match datatype {
        DataType::Bytes | DataType::Text => push_bytes(out, text),
        DataType::U64 => push_u64(out, parse_u64(text).ok_or(Mismatch)?),
        DataType::S64 => push_s64(out, parse_s64(text).ok_or(Mismatch)?),
        DataType::F64 => push_f64(out, parse_f64(text).ok_or(Mismatch)?),
        DataType::Bool => push_bool(
            out,
            match text {
                b"true" => true,
                b"false" => false,
                _ => return Err(Mismatch),
            },
        ),
        DataType::Unit => text.is_empty().then_some(()).ok_or(Mismatch)?,
        DataType::Tuple(_) => return Err(Mismatch),
    }
    Ok(())
}

#[inline]
fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut value = 0_u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

#[inline]
fn parse_s64(text: &[u8]) -> Option<i64> {
    match text.split_first() {
        Some((b'-', digits)) => 0_i64.checked_sub_unsigned(parse_u64(digits)?),
        _ => i64::try_from(parse_u64(text)?).ok(),
    }
}

fn parse_f64(text: &[u8]) -> Option<f64> {
    match text {
        b"inf" => return Some(f64::INFINITY),
        b"-inf" => return Some(f64::NEG_INFINITY),
        b"NaN" => return Some(f64::NAN),
        _ => {}
    }
    // What the standard library takes beside numbers as above: a plus ahead, names in any case.
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if !digits.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.') {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
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
        let parsed = parse_text(&mut out, &datatype.parse().unwrap(), text.as_bytes());
        let cell = out.split_off(5);
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
