//! What a mapper reads: lines, lines with their file, whole chunks of lines, or typed records.
//!
//! Text crosses the boundary in chunks of whole lines, one row each, and is split here: that is
//! cheaper than a row for each line. A row without newline is a line by itself, so that the same
//! mapper also works on rows of lines.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use crate::current::{self, Doing};
use crate::datatype::{DataType, Malformed, Text};
use crate::error::Result;
use crate::text::Str;
use crate::words::{Words, words, words_of_front};

/// A kind of input of a [`Mapper`](crate::Mapper).
pub trait Input: 'static {
    /// One item of it.
    type Record<'a>;

    /// What the engine has to know about it: attributes of the plugin.
    #[doc(hidden)]
    fn attributes() -> Vec<(&'static str, String)>;

    /// Calls `each` for every record of the row.
    #[doc(hidden)]
    fn read<'a>(
        row: u32,
        key: &'a [u8],
        value: &'a [u8],
        each: &mut impl FnMut(Self::Record<'a>) -> Result,
    ) -> Result;
}

/// Input as lines of text: the mapper gets a [`Line`] at a time.
#[derive(Debug)]
pub struct Lines;

/// Input as lines of text that know their file: the mapper gets a [`FileLine`] at a time.
#[derive(Debug)]
pub struct FileLines;

/// Input as chunks of whole lines: the mapper gets a [`Chunk`] at a time. For plugins that are
/// faster on much text at once, as a search is.
#[derive(Debug)]
pub struct Chunks;

/// Input as records with a key and a value of these types: the mapper gets `(key, value)`.
#[derive(Debug)]
pub struct Records<K, V>(PhantomData<(K, V)>);

/// A line of text, without its newline. Derefs to its bytes.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    offset: u64,
    /// From the line's first byte as far as the chunk goes (see [`Words`]).
    tail: &'a [u8],
    len: usize,
}

impl<'a> Line<'a> {
    /// Byte offset of the line in its file.
    pub fn offset(self) -> u64 {
        self.offset
    }

    /// The bytes of the line.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        &self.tail[..self.len]
    }

    /// The line as text: prints, compares, and becomes a `&str` if it is UTF-8.
    pub fn text(self) -> Str<'a> {
        self.as_bytes().into()
    }

    /// The line as a `&str`, if it is UTF-8.
    pub fn to_str(self) -> Result<&'a str, std::str::Utf8Error> {
        std::str::from_utf8(self.as_bytes())
    }

    /// What is between white space.
    #[inline]
    pub fn words(self) -> Words<'a> {
        words_of_front(self.tail, self.len)
    }
}

/// A line of text, without its newline, that knows its file. Derefs to its bytes.
#[derive(Clone)]
pub struct FileLine<'a> {
    path: Str<'a>,
    line: Line<'a>,
}

impl<'a> FileLine<'a> {
    /// Path of the file, as the job names it.
    pub fn path(&self) -> &Str<'a> {
        &self.path
    }

    /// Byte offset of the line in its file.
    pub fn offset(&self) -> u64 {
        self.line.offset
    }

    /// The bytes of the line.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.line.as_bytes()
    }

    /// The line as text: prints, compares, and becomes a `&str` if it is UTF-8.
    pub fn text(&self) -> Str<'a> {
        self.line.text()
    }

    /// What is between white space.
    pub fn words(&self) -> Words<'a> {
        self.line.words()
    }
}

/// Whole lines with their newlines; the last one may lack its own. Derefs to its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    offset: u64,
    bytes: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Byte offset of the chunk in its file.
    pub fn offset(self) -> u64 {
        self.offset
    }

    /// The bytes of the chunk.
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// What is between white space.
    pub fn words(self) -> Words<'a> {
        words(self.bytes)
    }

    /// The lines, without their newlines.
    pub fn lines(self) -> impl Iterator<Item = Line<'a>> {
        split_lines(self.offset, self.bytes)
    }
}

impl Input for Lines {
    type Record<'a> = Line<'a>;

    fn attributes() -> Vec<(&'static str, String)> {
        vec![("map.batch", "chunks".into()), ("map.input-key", "offset".into())]
    }

    #[inline]
    fn read<'a>(
        row: u32,
        key: &'a [u8],
        value: &'a [u8],
        each: &mut impl FnMut(Line<'a>) -> Result,
    ) -> Result {
        for line in split_lines(place::<u64>(row, key)?, value) {
            current::set(Doing::Line { row, offset: line.offset }, line.as_bytes(), &[]);
            each(line)?;
        }
        Ok(())
    }
}

impl Input for FileLines {
    type Record<'a> = FileLine<'a>;

    fn attributes() -> Vec<(&'static str, String)> {
        vec![("map.batch", "chunks".into()), ("map.input-key", "path-offset".into())]
    }

    fn read<'a>(
        row: u32,
        key: &'a [u8],
        value: &'a [u8],
        each: &mut impl FnMut(FileLine<'a>) -> Result,
    ) -> Result {
        let (path, offset) = place::<(Text, u64)>(row, key)?;
        for line in split_lines(offset, value) {
            current::set(Doing::Line { row, offset: line.offset }, line.as_bytes(), &[]);
            each(FileLine { path: path.clone(), line })?;
        }
        Ok(())
    }
}

impl Input for Chunks {
    type Record<'a> = Chunk<'a>;

    fn attributes() -> Vec<(&'static str, String)> {
        Lines::attributes()
    }

    fn read<'a>(
        row: u32,
        key: &'a [u8],
        value: &'a [u8],
        each: &mut impl FnMut(Chunk<'a>) -> Result,
    ) -> Result {
        let offset = place::<u64>(row, key)?;
        current::set(Doing::Chunk { row, offset }, value, &[]);
        each(Chunk { offset, bytes: value })
    }
}

impl<K: DataType, V: DataType> Input for Records<K, V> {
    type Record<'a> = (K::View<'a>, V::View<'a>);

    fn attributes() -> Vec<(&'static str, String)> {
        vec![("map.batch", "rows".into()), ("map.in.key", K::name()), ("map.in.value", V::name())]
    }

    #[inline]
    fn read<'a>(
        row: u32,
        key: &'a [u8],
        value: &'a [u8],
        each: &mut impl FnMut(Self::Record<'a>) -> Result,
    ) -> Result {
        current::set(Doing::Record { row }, key, value);
        each((K::decode(key)?, V::decode(value)?))
    }
}

/// Reads the place of a row of text.
fn place<D: DataType>(row: u32, key: &[u8]) -> Result<D::View<'_>, Malformed> {
    current::set(Doing::Record { row }, key, &[]);
    D::decode(key)
}

/// The lines of a row: an empty row is an empty line.
#[inline]
fn split_lines(offset: u64, chunk: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let tail = &chunk[start..];
        let len = memchr::memchr(b'\n', tail).unwrap_or(tail.len());
        let line = Line { offset: offset + start as u64, tail, len };
        start += len + 1;
        done = start >= chunk.len();
        Some(line)
    })
}

macro_rules! bytes_of_lines {
    ($($line:ident)*) => {$(
        impl Deref for $line<'_> {
            type Target = [u8];

            fn deref(&self) -> &[u8] {
                self.as_bytes()
            }
        }

        impl fmt::Debug for $line<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.text())
            }
        }
    )*};
}

bytes_of_lines! { Line FileLine }

impl Deref for Chunk<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_split_into_lines_with_their_places() {
        let split = |chunk: &'static str| {
            let lines = split_lines(100, chunk.as_bytes());
            lines.map(|line| (line.offset, line.to_str().unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(split("a b\n\ncd\r\n"), [(100, "a b"), (104, ""), (105, "cd\r")]);
        assert_eq!(split("a\nb"), [(100, "a"), (102, "b")]);
        assert_eq!(split("\n"), [(100, "")]);
        assert_eq!(split(""), [(100, "")]);
    }
}
