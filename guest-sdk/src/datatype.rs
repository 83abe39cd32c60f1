//! Types of keys and values: their names, and how cells of them are read (`wit/ENCODING.md`).
//!
//! A data type is a Rust type used as a name: [`Text`], [`Bytes`], `u64`, `i64`, `f64`, `bool`,
//! `()`, tuples of these, and [`Desc`] of any. What a plugin reads is the type's [`View`](DataType::View); what it
//! may emit for one is any [`Encode`](crate::Encode) of it.

use std::borrow::Cow;
use std::fmt;

use crate::encode::Encode;
use crate::text::Str;

/// Marks a key or value as text: UTF-8 by intention, never checked. Read as [`Str`].
#[derive(Debug, Clone, Copy)]
pub struct Text;

/// Marks a key or value as bytes. Read as `Cow<[u8]>`.
#[derive(Debug, Clone, Copy)]
pub struct Bytes;

/// A key, or an element of one, that sorts the other way round: the greatest first. It names the type
/// (`Desc<u64>`) and holds the value (`Desc(7)`) that is emitted and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Desc<T>(pub T);

/// A cell that is not of the type that it is read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Name of the type.
    pub datatype: String,
    /// Length of the cell in bytes.
    pub bytes: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { datatype, bytes } = self;
        write!(
            f,
            "a cell of {bytes} bytes is not of type {datatype}: was it written by another kind of plugin?"
        )
    }
}

impl std::error::Error for Malformed {}

/// Type of a key or value.
pub trait DataType: Sized + 'static {
    /// What a plugin reads: borrowed from the batch where that is possible.
    type View<'a>: Clone + fmt::Debug + Encode<Self>;

    /// Bytes of every cell, where all have the same.
    const WIDTH: Option<usize>;

    /// Name of the type in `wit/ENCODING.md`.
    fn name() -> String;

    /// Reads an element at the front of a tuple's cell and moves past it. None if malformed.
    fn decode_front<'a>(cell: &mut &'a [u8]) -> Option<Self::View<'a>>;

    /// Appends the element of an empty value: zero, false, no bytes. It is what stands behind a `false` where
    /// a value is missing.
    #[doc(hidden)]
    fn encode_empty(out: &mut Vec<u8>);

    /// Reads a whole cell.
    #[inline]
    fn decode(cell: &[u8]) -> Result<Self::View<'_>, Malformed> {
        let mut rest = cell;
        match Self::decode_front(&mut rest) {
            Some(view) if rest.is_empty() => Ok(view),
            _ => Err(malformed::<Self>(cell)),
        }
    }

    /// A copy that borrows from nothing.
    fn to_owned(view: Self::View<'_>) -> Self::View<'static>;

    /// Appends the value as the engine writes it to text output.
    fn render(view: &Self::View<'_>, out: &mut Vec<u8>);
}

/// What a plugin keeps of a key or value.
pub type Owned<D> = <D as DataType>::View<'static>;

/// A type whose cells all have the same width and that is read as itself.
pub trait Fixed: for<'a> DataType<View<'a> = Self> + Encode<Self> + Copy {}

#[cold]
fn malformed<D: DataType>(cell: &[u8]) -> Malformed {
    Malformed { datatype: D::name(), bytes: cell.len() }
}

impl DataType for Text {
    type View<'a> = Str<'a>;
    const WIDTH: Option<usize> = None;

    fn name() -> String {
        "text".into()
    }

    fn decode_front<'a>(cell: &mut &'a [u8]) -> Option<Str<'a>> {
        Some(Str(unescape_front(cell)?))
    }

    #[inline]
    fn decode(cell: &[u8]) -> Result<Str<'_>, Malformed> {
        Ok(Str(Cow::Borrowed(cell)))
    }

    fn encode_empty(out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0]);
    }

    fn to_owned(view: Str<'_>) -> Str<'static> {
        view.into_owned()
    }

    fn render(view: &Str<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(view);
    }
}

impl DataType for Bytes {
    type View<'a> = Cow<'a, [u8]>;
    const WIDTH: Option<usize> = None;

    fn name() -> String {
        "bytes".into()
    }

    fn decode_front<'a>(cell: &mut &'a [u8]) -> Option<Cow<'a, [u8]>> {
        unescape_front(cell)
    }

    #[inline]
    fn decode(cell: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
        Ok(Cow::Borrowed(cell))
    }

    fn encode_empty(out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0]);
    }

    fn to_owned(view: Cow<'_, [u8]>) -> Cow<'static, [u8]> {
        Cow::Owned(view.into_owned())
    }

    fn render(view: &Cow<'_, [u8]>, out: &mut Vec<u8>) {
        out.extend_from_slice(view);
    }
}

/// Reads up to the terminator 00 00, turning 00 FF back into 00.
fn unescape_front<'a>(cell: &mut &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let mut text = Cow::Borrowed(&cell[..0]);
    let mut rest = *cell;
    loop {
        let zero = memchr::memchr(0, rest)?;
        let (head, mark) = (&rest[..zero], *rest.get(zero + 1)?);
        rest = &rest[zero + 2..];
        match mark {
            0 if text.is_empty() => text = Cow::Borrowed(head),
            0 => text.to_mut().extend_from_slice(head),
            0xff => {
                text.to_mut().extend_from_slice(head);
                text.to_mut().push(0);
                continue;
            }
            _ => return None,
        }
        *cell = rest;
        return Some(text);
    }
}

/// Types of eight bytes or fewer that are read as themselves.
macro_rules! fixed {
    ($($datatype:ty = $name:literal, $width:literal, |$word:ident| $decode:expr;)*) => {$(
        impl DataType for $datatype {
            type View<'a> = $datatype;
            const WIDTH: Option<usize> = Some($width);

            fn name() -> String {
                $name.into()
            }

            #[inline]
            fn decode_front(cell: &mut &[u8]) -> Option<$datatype> {
                let ($word, rest) = cell.split_first_chunk::<$width>()?;
                *cell = rest;
                $decode
            }

            fn encode_empty(out: &mut Vec<u8>) {
                <$datatype>::default().encode(out);
            }

            fn to_owned(view: $datatype) -> $datatype {
                view
            }

            fn render(view: &$datatype, out: &mut Vec<u8>) {
                out.extend_from_slice(view.to_string().as_bytes());
            }
        }

        impl Fixed for $datatype {}
    )*};
}

fixed! {
    u64 = "u64", 8, |word| Some(u64::from_be_bytes(*word));
    i64 = "s64", 8, |word| Some((u64::from_be_bytes(*word) ^ SIGN).cast_signed());
    f64 = "f64", 8, |word| Some(decode_f64(u64::from_be_bytes(*word)));
    bool = "bool", 1, |word| match word { [0] => Some(false), [1] => Some(true), _ => None };
}

/// The bit that is flipped to put negative numbers first.
pub(crate) const SIGN: u64 = 1 << 63;

#[inline]
fn decode_f64(bits: u64) -> f64 {
    f64::from_bits(if bits & SIGN == 0 { !bits } else { bits ^ SIGN })
}

impl DataType for () {
    type View<'a> = ();
    const WIDTH: Option<usize> = Some(0);

    fn name() -> String {
        "unit".into()
    }

    #[inline]
    fn decode_front(_: &mut &[u8]) -> Option<()> {
        Some(())
    }

    fn encode_empty(_: &mut Vec<u8>) {}

    fn to_owned((): ()) {}

    fn render((): &(), _: &mut Vec<u8>) {}
}

impl Fixed for () {}

/// A value that may be missing, as a field with `?` has it: `tuple<bool,T>`, false and an empty value where it
/// is missing. Sorts ahead of all values.
impl<D: DataType> DataType for Option<D> {
    type View<'a> = Option<D::View<'a>>;
    const WIDTH: Option<usize> = width_sum(&[Some(1), D::WIDTH]);

    fn name() -> String {
        format!("tuple<bool,{}>", D::name())
    }

    #[inline]
    fn decode_front<'a>(cell: &mut &'a [u8]) -> Option<Self::View<'a>> {
        let is_there = bool::decode_front(cell)?;
        let value = D::decode_front(cell)?;
        Some(is_there.then_some(value))
    }

    fn encode_empty(out: &mut Vec<u8>) {
        false.encode(out);
        D::encode_empty(out);
    }

    fn to_owned(view: Self::View<'_>) -> Self::View<'static> {
        view.map(D::to_owned)
    }

    fn render(view: &Self::View<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(if view.is_some() { b"true\t" } else { b"false\t" });
        match view {
            Some(value) => D::render(value, out),
            None => {
                let mut empty = Vec::new();
                D::encode_empty(&mut empty);
                if let Some(value) = D::decode_front(&mut empty.as_slice()) {
                    D::render(&value, out);
                }
            }
        }
    }
}

impl<D: DataType> DataType for Desc<D> {
    type View<'a> = Desc<Owned<D>>;
    const WIDTH: Option<usize> = D::WIDTH;

    fn name() -> String {
        format!("desc<{}>", D::name())
    }

    /// Flips what is there, or as much of it as the element can have, and reads it.
    fn decode_front<'a>(cell: &mut &'a [u8]) -> Option<Self::View<'a>> {
        let bytes = D::WIDTH.unwrap_or(cell.len());
        let flipped: Vec<u8> = cell.get(..bytes)?.iter().map(|byte| !byte).collect();
        let mut rest = flipped.as_slice();
        let value = D::to_owned(D::decode_front(&mut rest)?);
        *cell = &cell[flipped.len() - rest.len()..];
        Some(Desc(value))
    }

    fn encode_empty(out: &mut Vec<u8>) {
        let start = out.len();
        D::encode_empty(out);
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }

    fn to_owned(view: Self::View<'_>) -> Self::View<'static> {
        view
    }

    fn render(view: &Self::View<'_>, out: &mut Vec<u8>) {
        D::render(&view.0, out);
    }
}

/// Sum of the widths of a tuple's elements, where all have one.
const fn width_sum(widths: &[Option<usize>]) -> Option<usize> {
    let mut sum = 0;
    let mut i = 0;
    while i < widths.len() {
        match widths[i] {
            Some(width) => sum += width,
            None => return None,
        }
        i += 1;
    }
    Some(sum)
}

macro_rules! tuples {
    ($(($($element:ident $index:tt),+))*) => {$(
        impl<$($element: DataType),+> DataType for ($($element,)+) {
            type View<'a> = ($($element::View<'a>,)+);
            const WIDTH: Option<usize> = width_sum(&[$($element::WIDTH),+]);

            fn name() -> String {
                format!("tuple<{}>", [$($element::name()),+].join(","))
            }

            #[inline]
            fn decode_front<'a>(cell: &mut &'a [u8]) -> Option<Self::View<'a>> {
                Some(($($element::decode_front(cell)?,)+))
            }

            fn encode_empty(out: &mut Vec<u8>) {
                $($element::encode_empty(out);)+
            }

            fn to_owned(view: Self::View<'_>) -> Self::View<'static> {
                ($($element::to_owned(view.$index),)+)
            }

            fn render(view: &Self::View<'_>, out: &mut Vec<u8>) {
                $(
                    if $index > 0 {
                        out.push(b'\t');
                    }
                    $element::render(&view.$index, out);
                )+
            }
        }

        impl<$($element: Fixed),+> Fixed for ($($element,)+) {}
    )*};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_missing_sorts_first_and_reads_back() {
        type Row = (Option<Text>, Option<i64>);
        let cell = |row: (Option<&str>, Option<i64>)| {
            let mut cell = Vec::new();
            Encode::<Row>::encode(&row, &mut cell);
            cell
        };
        assert_eq!(cell((None, Some(-1))), [0, 0, 0, 1, 0x7f, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(cell((Some(""), None)), [1, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]);
        let rows = [(None, None), (None, Some(i64::MIN)), (Some(""), None), (Some("a"), Some(0))];
        assert!(rows.map(cell).is_sorted());
        for row in rows {
            let bytes = cell(row);
            let (text, number) = Row::decode(&bytes).unwrap();
            assert_eq!((text.map(|text| text.to_string()), number), (row.0.map(str::to_owned), row.1));
        }
        assert_eq!(Row::name(), "tuple<tuple<bool,text>,tuple<bool,s64>>");
    }
}
