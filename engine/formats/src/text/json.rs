//! JSON (RFC 8259) in one pass: values are checked and their places told, nothing is built. What `serde_json`
//! takes is taken, and nothing else.
//!
//! It is not `serde_json` itself that reads lines, as there the text of nested values and floats that are right to
//! the last bit are features of the whole build, and every wanted string would be copied once more.

/// How deep values may nest, as in `serde_json`.
const DEPTH_MAX: u32 = 127;
/// Ones in every byte of a word.
const ONES: u64 = u64::MAX / 0xff;
/// The uppermost bit of every byte of a word.
const UPPER: u64 = ONES << 7;

/// What is wrong with some JSON, as a clause, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadJson {
    pub(super) at: usize,
    pub(super) reason: &'static str,
}

/// A value, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// Its digits.
    Number(&'a [u8]),
    Text(Text<'a>),
    /// An object or array.
    Nested(&'a [u8]),
}

/// What is between the quotes of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text<'a> {
    pub(super) written: &'a [u8],
    /// It has backslashes.
    pub(super) escaped: bool,
}

/// Reads values from the front of some bytes on.
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next byte that is no space, without moving past it.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Moves past `byte`, which has to be next but for spaces.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, reason: &'static str) -> Result<(), BadJson> {
        if self.peek() != Some(byte) {
            return Err(self.bad(reason));
        }
        self.at += 1;
        Ok(())
    }

    /// Whether `byte` is next but for spaces; moves past it if so.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    pub(super) fn bad(&self, reason: &'static str) -> BadJson {
        BadJson { at: self.at, reason }
    }

    /// The next value.
    #[inline]
    pub(super) fn value(&mut self) -> Result<Value<'a>, BadJson> {
        match self.peek() {
            Some(b'"') => self.text().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'n') => self.word(b"null").map(|()| Value::Null),
            Some(b't') => self.word(b"true").map(|()| Value::Bool(true)),
            Some(b'f') => self.word(b"false").map(|()| Value::Bool(false)),
            Some(b'{' | b'[') => {
                let from = self.at;
                self.skip(1)?;
                Ok(Value::Nested(&self.bytes[from..self.at]))
            }
            _ => Err(self.bad("a value is missing")),
        }
    }

    /// Moves past the next value, which is at `depth`.
    pub(super) fn skip(&mut self, depth: u32) -> Result<(), BadJson> {
        match self.peek() {
            Some(b'{') => self.skip_object(depth),
            Some(b'[') => self.skip_array(depth),
            _ => self.value().map(|_| ()),
        }
    }

    fn skip_object(&mut self, depth: u32) -> Result<(), BadJson> {
        self.enter(depth)?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.name()?;
            self.skip(depth + 1)?;
            if !self.take(b',') {
                return self.expect(b'}', "an object has neither , nor } behind a value");
            }
        }
    }

    fn skip_array(&mut self, depth: u32) -> Result<(), BadJson> {
        self.enter(depth)?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.skip(depth + 1)?;
            if !self.take(b',') {
                return self.expect(b']', "an array has neither , nor ] behind a value");
            }
        }
    }

    fn enter(&mut self, depth: u32) -> Result<(), BadJson> {
        if depth >= DEPTH_MAX {
            return Err(self.bad("values nest too deep"));
        }
        self.at += 1;
        Ok(())
    }

    /// The name of a member of an object, and its colon.
    #[inline]
    pub(super) fn name(&mut self) -> Result<Text<'a>, BadJson> {
        if self.peek() != Some(b'"') {
            return Err(self.bad("a name in quotes is missing"));
        }
        let name = self.text()?;
        self.expect(b':', "a : is missing behind a name")?;
        Ok(name)
    }

    /// The string whose quote is next.
    #[inline]
    fn text(&mut self) -> Result<Text<'a>, BadJson> {
        self.at += 1;
        let from = self.at;
        let mut escaped = false;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let written = &self.bytes[from..self.at];
                    self.at += 1;
                    return Ok(Text { written, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.bad("a string has a control character in it")),
                None => return Err(self.bad("a string is not closed")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), BadJson> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') if hex(self.bytes, self.at + 2).is_some() => self.at += 6,
            _ => return Err(self.bad("a string has a backslash that means nothing")),
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), BadJson> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.bad("a value is none of null, true and false"));
        }
        self.at += word.len();
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Result<&'a [u8], BadJson> {
        let from = self.at;
        self.at += usize::from(self.bytes.get(self.at) == Some(&b'-'));
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
            if self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
                return Err(self.bad("a number begins with 0"));
            }
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(&self.bytes[from..self.at])
    }

    #[inline]
    fn digits(&mut self) -> Result<(), BadJson> {
        let from = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == from { Err(self.bad("a number lacks a digit")) } else { Ok(()) }
    }
}

/// Where the first quote, backslash or control character at `at` or behind it is.
#[inline]
fn plain_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        // Borrows make only bytes behind the first one found wrong.
        let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word;
        let quotes = below(word ^ (ONES * u64::from(b'"')), 1);
        let slashes = below(word ^ (ONES * u64::from(b'\\')), 1);
        let hits = (quotes | slashes | below(word, 0x20)) & UPPER;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    at + rest.iter().position(ends).unwrap_or(rest.len())
}

/// Four hexadecimal digits at `at`.
fn hex(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

/// Appends what an escaped string says.
///
/// # Errors
/// It has half of a surrogate pair.
pub(super) fn unescape(written: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let mut rest = written;
    while let Some(slash) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..slash]);
        let (letter, used) = match rest.get(slash + 1) {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => code_point(&rest[slash..])?,
            Some(byte) => (char::from(*byte), 2),
            None => break,
        };
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[slash + used..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// The character of one or two `\uXXXX`, and their length.
fn code_point(escapes: &[u8]) -> Result<(char, usize), &'static str> {
    let lone = "a string has half of a surrogate pair in it";
    let high = hex(escapes, 2).ok_or(lone)?;
    if let Some(letter) = char::from_u32(high) {
        return Ok((letter, 6));
    }
    let low = hex(escapes, 8).filter(|_| escapes[6..].starts_with(b"\\u")).ok_or(lone)?;
    match (high, low) {
        (0xd800..0xdc00, 0xdc00..0xe000) => {
            let letter = char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).ok_or(lone)?;
            Ok((letter, 12))
        }
        _ => Err(lone),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_json(text: &[u8]) -> bool {
        let mut scan = Scan::new(text);
        std::str::from_utf8(text).is_ok() && scan.skip(0).is_ok() && scan.peek().is_none()
    }

    fn check(text: &[u8]) {
        let known = serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
        assert_eq!(is_json(text), known, "{:?}", String::from_utf8_lossy(text));
        let known: Result<String, _> = serde_json::from_slice(text);
        let mut out = Vec::new();
        let value = Scan::new(text).value();
        let said = match value {
            Ok(Value::Text(text)) if unescape(text.written, &mut out).is_ok() => Some(out.as_slice()),
            _ => None,
        };
        if is_json(text) {
            assert_eq!(said, known.ok().as_ref().map(String::as_bytes));
        }
    }

    #[test]
    fn what_serde_json_takes_is_taken() {
        for text in [
            "{}",
            "[]",
            " [1, -0, 0.5e+10 ,true] ",
            "{\"a\":{\"b\":[null]}}",
            "01",
            "1.",
            ".5",
            "-",
            "1e",
            "+1",
            "\"\\u12g4\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ude00\"",
            "\"a\nb\"",
            "\"\\x\"",
            "{\"a\"}",
            "{a:1}",
            "[1,]",
            "{\"a\":1,}",
            "nul",
            "true false",
            "\"open",
            "",
            " ",
            "\"\u{7f}é\u{1F600}\"",
        ] {
            check(text.as_bytes());
        }
        for depth in [126, 127, 128, 200] {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let known = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            assert_eq!(is_json(text.as_bytes()), known, "{depth} deep");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_json_where_serde_json_says_so(
            parts in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ":", ",", "\"", "\\", "\"a\"", "\"key\":", "\\u00e9", "\\ud83d\\ude00", "1", "-0.5", "e7",
                "null", "true", "false", " ", "\t", "é", "\u{1}", "a longer text than a word",
            ]), 0..12),
        ) {
            check(parts.concat().as_bytes());
        }
    }
}
