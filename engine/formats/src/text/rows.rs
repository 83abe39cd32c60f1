//! Where the values of a delimited row lie. Takes rows apart as the `csv` crate does: a quote opens a quoted
//! value at its front only, one within an unquoted value stands for itself, and what follows a closing quote is
//! taken as it is; `\n`, `\r` and both of them end a row. Runs for every row: nothing is allocated here.

use mr_model::Delimited;

/// Ones in every byte of a word.
const ONES: u64 = u64::MAX / 0xff;
/// All bits but the uppermost of every byte of a word.
const LOWER: u64 = ONES * 0x7f;

/// How rows are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    /// The delimiter in every byte.
    delimiters: u64,
}

/// Where a value lies in its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
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

/// What was found at the front of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    Row {
        /// Its length, without what ends it.
        bytes: usize,
        /// Its length with that.
        end: usize,
        columns: usize,
    },
    /// The row goes on behind the bytes.
    More,
    /// The quote here is never closed.
    Unclosed(usize),
}

/// How a value ends.
enum End {
    At(usize, Span),
    More,
    Unclosed,
}

impl Dialect {
    pub(super) fn new(delimited: Delimited) -> Self {
        let Delimited { delimiter, quote, .. } = delimited;
        Self { delimiter, quote, delimiters: ONES * u64::from(delimiter) }
    }

    /// Parses the row at the front of `bytes`, which nothing follows if they are `all`; its first `keep` values go
    /// to `spans`.
    #[inline]
    pub(super) fn parse(&self, bytes: &[u8], all: bool, keep: usize, spans: &mut Vec<Span>) -> Parsed {
        spans.clear();
        let (mut at, mut columns) = (0, 0);
        loop {
            let end = match bytes.get(at) {
                Some(first) if Some(*first) == self.quote => match self.quoted(bytes, at, all) {
                    End::At(end, span) => {
                        if columns < keep {
                            spans.push(span);
                        }
                        end
                    }
                    End::More => return Parsed::More,
                    End::Unclosed => return Parsed::Unclosed(at),
                },
                _ => {
                    let end = self.field_end(bytes, at);
                    if columns < keep {
                        spans.push(Span::new(at, end, Kind::Plain));
                    }
                    end
                }
            };
            columns += 1;
            match bytes.get(end) {
                Some(byte) if *byte == self.delimiter => at = end + 1,
                Some(_) => return Parsed::Row { bytes: end, end: end + 1, columns },
                None if all => return Parsed::Row { bytes: end, end, columns },
                None => return Parsed::More,
            }
        }
    }

    /// Where the unquoted value that begins at `at` ends: at a delimiter, at the end of the row or of the bytes.
    #[inline]
    fn field_end(&self, bytes: &[u8], at: usize) -> usize {
        let mut at = at;
        while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*chunk);
            let hits = zeros(word ^ self.delimiters)
                | zeros(word ^ (ONES * b'\n' as u64))
                | zeros(word ^ (ONES * b'\r' as u64));
            if hits != 0 {
                return at + (hits.trailing_zeros() / 8) as usize;
            }
            at += 8;
        }
        let is_end = |byte: &u8| *byte == self.delimiter || is_newline(*byte);
        let rest = bytes.get(at..).unwrap_or_default();
        at + rest.iter().position(is_end).unwrap_or(rest.len())
    }

    /// The value with the quote at `at`.
    #[inline]
    fn quoted(&self, bytes: &[u8], at: usize, all: bool) -> End {
        let quote = self.quote.unwrap_or(self.delimiter);
        let (start, mut from, mut kind) = (at + 1, at + 1, Kind::Quoted);
        loop {
            let Some(found) = memchr::memchr(quote, &bytes[from..]) else {
                return if all { End::Unclosed } else { End::More };
            };
            let close = from + found;
            match bytes.get(close + 1) {
                Some(next) if *next == quote => {
                    kind = Kind::Escaped;
                    from = close + 2;
                }
                Some(next) if *next == self.delimiter || is_newline(*next) => {
                    let end = if kind == Kind::Quoted { close } else { close + 1 };
                    return End::At(close + 1, Span::new(start, end, kind));
                }
                Some(_) => {
                    let end = self.field_end(bytes, close + 1);
                    return End::At(end, Span::new(start, end, Kind::Escaped));
                }
                None if !all => return End::More,
                None => {
                    let end = if kind == Kind::Quoted { close } else { close + 1 };
                    return End::At(close + 1, Span::new(start, end, kind));
                }
            }
        }
    }

    /// The value at `span` of a row; `scratch` holds it where it is not written as it is.
    #[inline]
    pub(super) fn value<'a>(&self, row: &'a [u8], span: Span, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let written = &row[span.start as usize..span.end as usize];
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
    /// A value of a row: rows are shorter than 4 GiB.
    #[inline]
    fn new(start: usize, end: usize, kind: Kind) -> Self {
        let at = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: at(start), end: at(end), kind }
    }
}

/// Whether a byte ends a row.
#[inline]
pub(super) fn is_newline(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// The uppermost bit of each byte of `word` that is zero.
#[inline]
fn zeros(word: u64) -> u64 {
    !(((word & LOWER) + LOWER) | word | LOWER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8], all: bool) -> (Parsed, Vec<Vec<u8>>) {
        let dialect = Dialect::new(Delimited::CSV);
        let mut spans = Vec::new();
        let parsed = dialect.parse(bytes, all, usize::MAX, &mut spans);
        let value = |span: &Span| dialect.value(bytes, *span, &mut Vec::new()).to_vec();
        (parsed, spans.iter().map(value).collect())
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
                (Parsed::Row { bytes: end, end, columns }, values.iter().map(|v| v.to_vec()).collect())
            );
            for newline in [b'\r', b'\n'] {
                let text = [text, &[newline], b"next"].concat();
                assert_eq!(parse(&text, false).0, Parsed::Row { bytes: end, end: end + 1, columns });
            }
            assert_eq!(parse(text, false).0, Parsed::More, "{:?}", String::from_utf8_lossy(text));
        }
        assert_eq!(parse(b"a,\"b", true).0, Parsed::Unclosed(2));
    }
}
