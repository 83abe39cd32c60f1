//! How values become cells (`wit/ENCODING.md`): big-endian, so that byte order is natural order.
//!
//! One trait says what may be emitted where a data type is due: `&str`, `String`, a line, a word
//! and bytes are all good for [`Text`].

use std::borrow::Cow;

use crate::datatype::{Bytes, DataType, Desc, SIGN, Text};
use crate::input::{FileLine, Line};
use crate::short::{InlineKey, append, append_front};
use crate::text::Str;
use crate::words::Word;

/// A value that can be emitted as the data type `D`.
///
/// Implement it for your own types by delegating to the tuple or text that they are.
pub trait Encode<D: DataType> {
    /// Appends the value as a whole cell.
    fn encode(&self, out: &mut Vec<u8>);

    /// Appends the value as an element of a tuple.
    fn encode_element(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }

    /// The cell in registers, if it is short enough; else in `scratch`, and none.
    #[doc(hidden)]
    #[inline]
    fn inline_key(&self, scratch: &mut Vec<u8>) -> Option<InlineKey> {
        scratch.clear();
        self.encode(scratch);
        InlineKey::new(scratch)
    }
}

impl<D: DataType, T: Encode<D> + ?Sized> Encode<D> for &T {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }

    fn encode_element(&self, out: &mut Vec<u8>) {
        (**self).encode_element(out);
    }

    #[inline]
    fn inline_key(&self, scratch: &mut Vec<u8>) -> Option<InlineKey> {
        (**self).inline_key(scratch)
    }
}

/// Everything that is a byte string: the cell is the bytes, an element is escaped and terminated.
macro_rules! byte_strings {
    ($datatype:ty: $($source:ty, |$value:ident| $bytes:expr;)*) => {$(
        impl Encode<$datatype> for $source {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                let $value = self;
                append(out, $bytes);
            }

            fn encode_element(&self, out: &mut Vec<u8>) {
                let $value = self;
                escape($bytes, out);
            }

            #[inline]
            fn inline_key(&self, scratch: &mut Vec<u8>) -> Option<InlineKey> {
                let $value = self;
                let bytes: &[u8] = $bytes;
                InlineKey::new(bytes).or_else(|| {
                    scratch.clear();
                    scratch.extend_from_slice(bytes);
                    None
                })
            }
        }
    )*};
}

byte_strings! { Text:
    str, |text| text.as_bytes();
    String, |text| text.as_bytes();
    Str<'_>, |text| text;
    Line<'_>, |line| line.as_bytes();
    FileLine<'_>, |line| line.as_bytes();
    [u8], |bytes| bytes;
    Vec<u8>, |bytes| bytes;
    Cow<'_, [u8]>, |bytes| bytes;
}

byte_strings! { Bytes:
    str, |text| text.as_bytes();
    String, |text| text.as_bytes();
    Str<'_>, |text| text;
    [u8], |bytes| bytes;
    Vec<u8>, |bytes| bytes;
    Cow<'_, [u8]>, |bytes| bytes;
}

impl<const N: usize> Encode<Bytes> for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn encode_element(&self, out: &mut Vec<u8>) {
        escape(self, out);
    }
}

impl Encode<Text> for Word<'_> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        append_front(out, self.tail(), self.len());
    }

    fn encode_element(&self, out: &mut Vec<u8>) {
        escape(self, out);
    }

    #[inline]
    fn inline_key(&self, scratch: &mut Vec<u8>) -> Option<InlineKey> {
        InlineKey::front(self.tail(), self.len()).or_else(|| {
            scratch.clear();
            scratch.extend_from_slice(self);
            None
        })
    }
}

/// Appends bytes as an element of a tuple: 00 becomes 00 FF, 00 00 ends it. So a string sorts before
/// every longer one that begins with it, whatever follows in the tuple.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(zero) = memchr::memchr(0, rest) {
        out.extend_from_slice(&rest[..=zero]);
        out.push(0xff);
        rest = &rest[zero + 1..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[0, 0]);
}

impl Encode<u64> for u64 {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
}

impl Encode<i64> for i64 {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.cast_unsigned() ^ SIGN).to_be_bytes());
    }
}

impl Encode<f64> for f64 {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        // The sign and payload of a computed NaN differ between machines; output must not.
        let bits = if self.is_nan() { f64::NAN.to_bits() & !SIGN } else { self.to_bits() };
        let ordered = if bits & SIGN == 0 { bits | SIGN } else { !bits };
        out.extend_from_slice(&ordered.to_be_bytes());
    }
}

impl Encode<bool> for bool {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Encode<()> for () {
    #[inline]
    fn encode(&self, _: &mut Vec<u8>) {}
}

impl<D: DataType, T: Encode<D>> Encode<Option<D>> for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        match self {
            Some(value) => value.encode_element(out),
            None => D::encode_empty(out),
        }
    }
}

/// The value as an element of a tuple, every bit flipped, so that the order is turned round.
impl<D: DataType, T: Encode<D>> Encode<Desc<D>> for Desc<T> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.0.encode_element(out);
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

macro_rules! tuples {
    ($(($($datatype:ident $value:ident $index:tt),+))*) => {$(
        impl<$($datatype: DataType, $value: Encode<$datatype>),+> Encode<($($datatype,)+)>
            for ($($value,)+)
        {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$index.encode_element(out);)+
            }
        }
    )*};
}

tuples! {
    (A T 0)
    (A T 0, B U 1)
    (A T 0, B U 1, C V 2)
    (A T 0, B U 1, C V 2, D W 3)
    (A T 0, B U 1, C V 2, D W 3, E X 4)
    (A T 0, B U 1, C V 2, D W 3, E X 4, F Y 5)
    (A T 0, B U 1, C V 2, D W 3, E X 4, F Y 5, G Z 6)
    (A T 0, B U 1, C V 2, D W 3, E X 4, F Y 5, G Z 6, H S 7)
    (A T 0, B U 1, C V 2, D W 3, E X 4, F Y 5, G Z 6, H S 7, I R 8)
    (A T 0, B U 1, C V 2, D W 3, E X 4, F Y 5, G Z 6, H S 7, I R 8, J Q 9)
    (A T 0, B U 1, C V 2, D W 3, E X 4, F Y 5, G Z 6, H S 7, I R 8, J Q 9, K P 10)
    (A T 0, B U 1, C V 2, D W 3, E X 4, F Y 5, G Z 6, H S 7, I R 8, J Q 9, K P 10, L O 11)
}
