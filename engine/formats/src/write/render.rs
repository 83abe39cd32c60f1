//! Numbers, bytes and text as the digits and letters of text formats. Appends, and allocates nothing of
//! its own.

use std::io::Write;

/// Appends a number in decimal.
pub(crate) fn unsigned(mut value: u64, out: &mut Vec<u8>) {
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

/// Appends a number in decimal.
pub(crate) fn signed(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(value.unsigned_abs(), out);
}

/// Appends the shortest digits that read back as the same number, without an exponent, as `wit/ENCODING.md`
/// says of text output.
pub(crate) fn float(value: f64, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = write!(out, "{value}");
}

/// Appends the number as JSON has it, in shortest digits; what JSON has no number for as the text that the
/// text output writes.
pub(crate) fn json_float(value: f64, out: &mut Vec<u8>) {
    let _ = if value.is_finite() { write!(out, "{value:?}") } else { write!(out, "\"{value}\"") };
}

/// Appends `text`, which is UTF-8, as a string of JSON.
pub(crate) fn json_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut from = 0;
    for (at, byte) in text.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let _ = write!(out, "\\u{control:04x}");
            }
        }
    }
    out.extend_from_slice(&text[from..]);
    out.push(b'"');
}

/// Appends bytes in base64, with its padding (RFC 4648).
pub(crate) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        let letters = [18, 12, 6, 0].map(|shift| LETTERS[(word >> shift & 63) as usize]);
        out.extend_from_slice(&letters[..=three.len()]);
        out.extend_from_slice(&b"=="[..3 - three.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_rendered() {
        assert_eq!(text(|out| signed(i64::MIN, out)), i64::MIN.to_string());
        assert_eq!(text(|out| unsigned(u64::MAX, out)), u64::MAX.to_string());
        assert_eq!(text(|out| float(1e21, out)), "1000000000000000000000");
        let json: Vec<String> = [1.0, -0.0, 1e300, 0.1, f64::NAN, f64::NEG_INFINITY]
            .map(|value| text(|out| json_float(value, out)))
            .into();
        assert_eq!(json, ["1.0", "-0.0", "1e300", "0.1", "\"NaN\"", "\"-inf\""]);
    }

    #[test]
    fn strings_and_bytes_are_rendered() {
        assert_eq!(text(|out| json_string("a\"\\\n\u{1}é".as_bytes(), out)), "\"a\\\"\\\\\\n\\u0001é\"");
        let encoded: Vec<String> = [b"".as_slice(), b"f", b"fo", b"foo", b"\xff\xfe\xfdx"]
            .map(|b| text(|out| base64(b, out)))
            .into();
        assert_eq!(encoded, ["", "Zg==", "Zm8=", "Zm9v", "//79eA=="]);
    }
}
