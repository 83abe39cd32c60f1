//! The part of a key that decides about partition and group, where not all of it does: the first elements of
//! a tuple. Encodings of elements end by themselves, so two keys agree in these elements exactly if one
//! begins with the bytes that they have in the other.

use mr_model::DataType;

/// Cuts keys behind their first elements.
#[derive(Debug, Clone)]
pub struct KeyPrefix {
    first: DataType,
    elements: usize,
}

impl KeyPrefix {
    /// The first `elements` elements of keys of type `key`; none where it is no tuple of as many.
    pub fn new(key: &DataType, elements: usize) -> Option<Self> {
        Some(Self { first: key.first(elements)?, elements })
    }

    /// The elements at the beginning of `key`; none where they are malformed.
    #[inline]
    pub fn of<'a>(&self, key: &'a [u8]) -> Option<&'a [u8]> {
        self.first.prefix(key, self.elements).map(|end| &key[..end])
    }

    /// Type of what [`KeyPrefix::of`] answers.
    pub fn datatype(&self) -> &DataType {
        &self.first
    }
}
