//! Where the values of a delimited row lie. Takes rows apart as the `csv` crate does: a quote opens a quoted
//! value at its front only, one within an unquoted value stands for itself, and what follows a closing quote is
//! taken as it is; `\n`, `\r` and both of them end a row. Runs for every row: nothing is allocated here.

use std::ops::Range;

use mr_model::Delimited;

/// Ones in every byte of a word.
const ONES: u64 = u64::MAX / 0xff;
/// All bits but the uppermost of every byte of a word.
const LOWER: u64 = ONES * 0x7f;

/// Bytes that are looked through without a call.
const NEAR_BYTES: usize = 32;

/// How rows are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
}

/// Where a value lies in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is.
    Plain,
    /// Within quotes, as it is.
    Quoted,
    /// Within quotes, some of which are doubled, or with something behind them.
    Escaped,
}

/// What was found at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    Row {
        /// Where it ends, without what ends it.
        end: usize,
        /// Where the next one begins.
        next: usize,
        columns: usize,
    },
    /// The row goes on behind the bytes.
    More,
    /// The quote here is never closed.
    Unclosed(usize),
}

/// Where delimiters and newlines are, one after the other. Eight bytes are looked at together, and all that is found
/// in them is kept.
pub(super) struct Ends<'a> {
    bytes: &'a [u8],
    /// The delimiter in every byte.
    delimiters: u64,
    /// Where the eight bytes are.
    base: usize,
    /// The uppermost bit of every byte of them that is still to be told.
    hits: u64,
}

impl<'a> Ends<'a> {
    /// Those of `bytes` from `at` on.
    #[inline]
    pub(super) fn new(dialect: Dialect, bytes: &'a [u8], at: usize) -> Self {
        let mut ends = Self { bytes, delimiters: ONES * u64::from(dialect.delimiter), base: 0, hits: 0 };
        ends.seek(at);
        ends
    }

    /// Goes on from `at`, which is looked at when it is asked for.
    #[inline]
    fn seek(&mut self, at: usize) {
        self.base = at.wrapping_sub(8);
        self.hits = 0;
    }

    /// The next one, or the end of the bytes.
    #[inline]
    pub(super) fn next(&mut self) -> usize {
        while self.hits == 0 {
            let base = self.base.wrapping_add(8);
            if base >= self.bytes.len() {
                return self.bytes.len();
            }
            self.base = base;
            self.look();
        }
        let at = self.base + (self.hits.trailing_zeros() / 8) as usize;
        self.hits &= self.hits - 1;
        at
    }

    #[inline]
    fn look(&mut self) {
        let rest = self.bytes.get(self.base..).unwrap_or_default();
        let word = match rest.first_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => rest.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte)),
        };
        let others = others(word ^ self.delimiters)
            & others(word ^ (ONES * b'\n' as u64))
            & others(word ^ (ONES * b'\r' as u64));
        self.hits = !others & !LOWER;
    }
}

impl Dialect {
    pub(super) fn new(delimited: Delimited) -> Self {
        Self { delimiter: delimited.delimiter, quote: delimited.quote }
    }

    /// Parses the row at `at`, from where `ends` go on; if the bytes are `all` that there is, their end is its end.
    /// `spans` are told of as many values as they have room for.
    #[inline]
    pub(super) fn parse(self, ends: &mut Ends<'_>, at: usize, all: bool, spans: &mut [Span]) -> Parsed {
        let bytes = ends.bytes;
        let (mut at, mut columns) = (at, 0);
        loop {
            let (end, span) = match bytes.get(at) {
                Some(first) if Some(*first) == self.quote => match self.quoted(ends, at, all) {
                    Some(found) => found,
                    None if all => return Parsed::Unclosed(at),
                    None => return Parsed::More,
                },
                _ => {
                    let end = ends.next();
                    (end, Span { start: at, end, kind: Kind::Plain })
                }
            };
            if let Some(told) = spans.get_mut(columns) {
                *told = span;
            }
            columns += 1;
            match bytes.get(end) {
                Some(byte) if *byte == self.delimiter => at = end + 1,
                Some(_) => return Parsed::Row { end, next: end + 1, columns },
                None if all => return Parsed::Row { end, next: end, columns },
                None => return Parsed::More,
            }
        }
    }

    /// Where the value with the quote at `at` ends; none if that is not in the bytes.
    #[inline]
    fn quoted(self, ends: &mut Ends<'_>, at: usize, all: bool) -> Option<(usize, Span)> {
        let (bytes, quote) = (ends.bytes, self.quote?);
        let (start, mut from, mut kind) = (at + 1, at + 1, Kind::Quoted);
        loop {
            let close = from + find_near(quote, bytes.get(from..)?)?;
            match bytes.get(close + 1) {
                Some(next) if *next == quote => {
                    kind = Kind::Escaped;
                    from = close + 2;
                }
                Some(next) if kind == Kind::Quoted && (*next == self.delimiter || is_newline(*next)) => {
                    ends.seek(close + 2);
                    return Some((close + 1, Span { start, end: close, kind }));
                }
                None if !all => return None,
                _ => {
                    ends.seek(close + 1);
                    let end = ends.next();
                    return Some((end, Span { start, end, kind: Kind::Escaped }));
                }
            }
        }
    }

    /// The value at `span`; `scratch` holds it where it is not written as it is.
    #[inline]
    pub(super) fn value<'a>(self, bytes: &'a [u8], span: Span, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let written = &bytes[span.range()];
        if span.kind != Kind::Escaped {
            return written;
        }
        scratch.clear();
        let quote = self.quote.unwrap_or(self.delimiter);
        let mut rest = written;
        while let Some(at) = memchr::memchr(quote, rest) {
            scratch.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            if rest.first() != Some(&quote) {
                break;
            }
            scratch.push(quote);
            rest = &rest[1..];
        }
        scratch.extend_from_slice(rest);
        scratch
    }
}

impl Span {
    /// Nothing.
    pub(super) const NONE: Self = Self { start: 0, end: 0, kind: Kind::Plain };

    #[inline]
    pub(super) fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// Where `byte` is first in `bytes`, mostly in the first few of them.
#[inline]
fn find_near(byte: u8, bytes: &[u8]) -> Option<usize> {
    let mut behind = 0;
    while let Some(chunk) = bytes.get(behind..NEAR_BYTES).and_then(|rest| rest.first_chunk::<8>()) {
        let hits = !others(u64::from_le_bytes(*chunk) ^ (ONES * u64::from(byte))) & !LOWER;
        if hits != 0 {
            return Some(behind + (hits.trailing_zeros() / 8) as usize);
        }
        behind += 8;
    }
    Some(behind + memchr::memchr(byte, &bytes[behind..])?)
}

/// Whether a byte ends a row.
#[inline]
pub(super) fn is_newline(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// The uppermost bit of each byte of `word` that is not zero.
#[inline]
fn others(word: u64) -> u64 {
    ((word & LOWER) + LOWER) | word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8], all: bool) -> (Parsed, Vec<Vec<u8>>) {
        let dialect = Dialect::new(Delimited::CSV);
        let mut spans = [Span::NONE; 9];
        let parsed = dialect.parse(&mut Ends::new(dialect, bytes, 0), 0, all, &mut spans);
        let Parsed::Row { columns, .. } = parsed else { return (parsed, Vec::new()) };
        let value = |span: &Span| dialect.value(bytes, *span, &mut Vec::new()).to_vec();
        (parsed, spans[..columns].iter().map(value).collect())
    }

    #[test]
    fn values_are_taken_apart() {
        for (text, values) in [
            (b"a,bc,".as_slice(), vec![b"a".as_slice(), b"bc", b""]),
            (b"\"a,b\n\",\"\"\"\",\"\"", vec![b"a,b\n", b"\"", b""]),
            (b"\"a\"b\"c\"\",d\"e", vec![b"ab\"c\"\"", b"d\"e"]),
            (
                b"a longer value than a word,and another one",
                vec![b"a longer value than a word", b"and another one"],
            ),
            (b"\"\"\"a\"\"\"x", vec![b"\"a\"x"]),
        ] {
            let end = text.len();
            let columns = values.len();
            assert_eq!(
                parse(text, true),
                (Parsed::Row { end, next: end, columns }, values.iter().map(|v| v.to_vec()).collect())
            );
            for newline in [b'\r', b'\n'] {
                let text = [text, &[newline], b"next"].concat();
                assert_eq!(parse(&text, false).0, Parsed::Row { end, next: end + 1, columns });
            }
            assert_eq!(parse(text, false).0, Parsed::More, "{:?}", String::from_utf8_lossy(text));
        }
        assert_eq!(parse(b"a,\"b", true).0, Parsed::Unclosed(2));
    }
}
