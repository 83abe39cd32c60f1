//! Where the values of a delimited row lie. Takes rows apart as the `csv` crate does: a quote opens a quoted
//! value at its front only, one within an unquoted value stands for itself, and what follows a closing quote is
//! taken as it is; `\n`, `\r` and both of them end a row. Runs for every row: nothing is allocated here.

use std::ops::Range;

use mr_model::Delimited;

use super::marks::{BLOCK_BYTES, Marks};

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

/// Finds delimiters, newlines and quotes: a block of bytes is looked at once, and what is found in it is kept.
pub(super) struct Finder<'a> {
    bytes: &'a [u8],
    dialect: Dialect,
    /// Where the block begins.
    base: usize,
    marks: Marks,
}

impl<'a> Finder<'a> {
    pub(super) fn new(dialect: Dialect, bytes: &'a [u8]) -> Self {
        // No place is in a block that is half of all memory away.
        Self { bytes, dialect, base: usize::MAX / 2, marks: Marks { ends: 0, quotes: 0 } }
    }

    /// The first end of a value at `at` or behind it, or the end of the bytes.
    #[inline(always)]
    fn end(&mut self, at: usize) -> usize {
        self.find(at, |marks| marks.ends)
    }

    /// The first quote at `at` or behind it, or the end of the bytes.
    #[inline(always)]
    fn quote(&mut self, at: usize) -> usize {
        self.find(at, |marks| marks.quotes)
    }

    #[inline(always)]
    fn find(&mut self, at: usize, which: impl Fn(Marks) -> u64) -> usize {
        let mut at = at;
        loop {
            let into = at.wrapping_sub(self.base);
            if into < BLOCK_BYTES {
                let marks = which(self.marks) >> into;
                if marks != 0 {
                    return at + marks.trailing_zeros() as usize;
                }
                at = self.base + BLOCK_BYTES;
            }
            let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) else {
                return self.bytes.len();
            };
            self.base = at;
            self.marks = Marks::of(self.dialect, rest);
        }
    }
}

impl Dialect {
    pub(super) fn new(delimited: Delimited) -> Self {
        Self { delimiter: delimited.delimiter, quote: delimited.quote }
    }

    /// Parses the row at `at`; if the bytes of the finder are `all` that there is, their end is its end. `spans` are
    /// told of as many values as they have room for.
    // A function of its own, with the finder a copy of its own, so that all of it stays in registers.
    #[inline(never)]
    pub(super) fn parse(finder: &mut Finder<'_>, at: usize, all: bool, spans: &mut [Span]) -> Parsed {
        let mut own = Finder { ..*finder };
        let parsed = own.dialect.parse_with(&mut own, at, all, spans);
        (finder.base, finder.marks) = (own.base, own.marks);
        parsed
    }

    #[inline(always)]
    fn parse_with(self, finder: &mut Finder<'_>, at: usize, all: bool, spans: &mut [Span]) -> Parsed {
        let bytes = finder.bytes;
        let (mut at, mut columns) = (at, 0);
        loop {
            let (end, span) = match bytes.get(at) {
                Some(first) if Some(*first) == self.quote => match self.quoted(finder, at, all) {
                    Some(found) => found,
                    None if all => return Parsed::Unclosed(at),
                    None => return Parsed::More,
                },
                _ => {
                    let end = finder.end(at);
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
    #[inline(always)]
    fn quoted(self, finder: &mut Finder<'_>, at: usize, all: bool) -> Option<(usize, Span)> {
        let (bytes, quote) = (finder.bytes, self.quote?);
        let (start, mut from, mut kind) = (at + 1, at + 1, Kind::Quoted);
        loop {
            let close = finder.quote(from);
            match bytes.get(close + 1) {
                Some(next) if *next == quote => {
                    kind = Kind::Escaped;
                    from = close + 2;
                }
                Some(next) if kind == Kind::Quoted && (*next == self.delimiter || is_newline(*next)) => {
                    return Some((close + 1, Span { start, end: close, kind }));
                }
                None if !all || close == bytes.len() => return None,
                _ => {
                    let end = finder.end(close + 1);
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

/// Whether a byte ends a row.
#[inline]
pub(super) fn is_newline(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8], all: bool) -> (Parsed, Vec<Vec<u8>>) {
        let dialect = Dialect::new(Delimited::CSV);
        let mut spans = [Span::NONE; 9];
        let parsed = Dialect::parse(&mut Finder::new(dialect, bytes), 0, all, &mut spans);
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
