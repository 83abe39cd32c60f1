//! Where the signatures of a component are: a run of custom sections at its very end. The one place that
//! reads bytes which anybody may have written.
//!
//! A component is a preamble of 8 bytes and sections: a byte that names the kind, the length in LEB128, as
//! many bytes. Sections of kind 0 are custom: they begin with a name, and whoever does not know the name
//! skips them. A signature is such a section, always of [`SECTION_BYTES`] bytes:
//!
//! ```text
//! 00  75  13  "mr-engine:signature"  01       key       signature
//! kind |  length of the name         version  32 bytes  64 bytes
//!      length of what follows
//! ```
//!
//! The sections are walked from the front, as a compiler walks them: what only looks like a signature
//! within a section, or within a component that lies in this one, is content. A signature that anything
//! but another signature follows is refused, and so is one that is not exactly as above: there is one
//! way to write each signature, and no file with a signature that somebody could read in another way.

use crate::key::{PUBLIC_KEY_BYTES, SIGNATURE_BYTES};

/// Most signatures of a component: a release needs one or two, and each costs time to check.
pub const SIGNATURES_MAX: usize = 16;
/// Length of a signature with all around it, in bytes.
pub const SECTION_BYTES: usize = HEAD.len() + PUBLIC_KEY_BYTES + SIGNATURE_BYTES;

/// Name of the custom sections that are signatures.
const NAME: &[u8] = b"mr-engine:signature";
/// What each of them begins with.
const HEAD: [u8; 23] = *b"\x00\x75\x13mr-engine:signature\x01";
/// First bytes of every component: the magic of WebAssembly, the version, and the layer of components.
const PREAMBLE: &[u8] = b"\0asm\x0d\0\x01\0";
/// Kind of custom sections.
const CUSTOM: u8 = 0;

/// Why the sections of a component cannot be told apart from its signatures. What is shown begins with a
/// verb: the plugin goes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// It does not begin as components do.
    #[error("is not a WebAssembly component")]
    NotComponent,
    /// It ends in the middle of a section, or a length is none.
    #[error("is cut off or damaged: its section at byte {offset} is not whole")]
    Cut {
        /// Where the section begins.
        offset: usize,
    },
    /// A section has the name of a signature and is none.
    #[error("has a malformed signature at byte {offset}; remove its signatures and sign it again")]
    Malformed {
        /// Where the section begins.
        offset: usize,
    },
    /// Something comes after a signature.
    #[error(
        "was changed after it was signed: something follows the signature at byte {offset}; sign plugins as the \
         last step of their build"
    )]
    Followed {
        /// Where the signature begins.
        offset: usize,
    },
    /// There are too many signatures.
    #[error("has more than {SIGNATURES_MAX} signatures; remove some")]
    TooMany,
}

/// One signature, not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Whose it says it is.
    pub key: [u8; PUBLIC_KEY_BYTES],
    /// The signature.
    pub signature: [u8; SIGNATURE_BYTES],
}

impl Block {
    /// The section that goes to the end of a component.
    pub fn encode(&self) -> [u8; SECTION_BYTES] {
        let mut section = [0; SECTION_BYTES];
        let (head, rest) = section.split_at_mut(HEAD.len());
        let (key, signature) = rest.split_at_mut(PUBLIC_KEY_BYTES);
        head.copy_from_slice(&HEAD);
        key.copy_from_slice(&self.key);
        signature.copy_from_slice(&self.signature);
        section
    }

    fn decode(section: &[u8]) -> Option<Self> {
        let rest = section.strip_prefix(&HEAD)?;
        let (key, signature) = rest.split_first_chunk()?;
        Some(Self { key: *key, signature: signature.try_into().ok()? })
    }
}

/// Splits a component into what is signed, which is all before its first signature, and its signatures.
///
/// # Errors
/// Bytes that are no component, and signatures that are malformed, too many, or not at the very end.
pub fn split(component: &[u8]) -> Result<(&[u8], Vec<Block>), SectionError> {
    if !component.starts_with(PREAMBLE) {
        return Err(SectionError::NotComponent);
    }
    let mut blocks: Vec<Block> = Vec::new();
    let mut content = component;
    let mut offset = PREAMBLE.len();
    while offset < component.len() {
        let rest = component.get(offset..).unwrap_or_default();
        let section = section(rest).ok_or(SectionError::Cut { offset })?;
        if section.is_signature {
            let block = Block::decode(section.bytes).ok_or(SectionError::Malformed { offset })?;
            if blocks.is_empty() {
                content = component.get(..offset).unwrap_or_default();
            }
            if blocks.len() == SIGNATURES_MAX {
                return Err(SectionError::TooMany);
            }
            blocks.push(block);
        } else if !blocks.is_empty() {
            return Err(SectionError::Followed { offset: offset - SECTION_BYTES });
        }
        offset += section.bytes.len();
    }
    Ok((content, blocks))
}

/// The first section of some bytes.
struct Section<'a> {
    /// All of it, with kind and length.
    bytes: &'a [u8],
    /// Whether it has the name of a signature.
    is_signature: bool,
}

/// Nothing where the bytes end before the section does, or a length is none.
fn section(bytes: &[u8]) -> Option<Section<'_>> {
    let (kind, rest) = bytes.split_first()?;
    let (length, rest) = leb128(rest)?;
    let payload = rest.get(..length)?;
    let all = bytes.get(..bytes.len() - rest.len() + length)?;
    let is_signature = *kind == CUSTOM && {
        let (length, name) = leb128(payload)?;
        name.get(..length)? == NAME
    };
    Some(Section { bytes: all, is_signature })
}

/// A number of up to 32 bits, as WebAssembly writes lengths, and what is behind it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0u32;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        let bits = u32::from(byte & 0x7f);
        if place == 4 && bits > 0x0f {
            return None;
        }
        number |= bits << (7 * place);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(number).ok()?, bytes.get(place + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(byte: u8) -> Block {
        Block { key: [byte; 32], signature: [!byte; 64] }
    }

    fn custom(name: &[u8], content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(1 + name.len() + content.len()).unwrap();
        assert!(length < 0x80, "one byte is enough");
        [&[0, length, u8::try_from(name.len()).unwrap()], name, content].concat()
    }

    fn component(sections: &[&[u8]]) -> Vec<u8> {
        [&[PREAMBLE], sections].concat().concat()
    }

    #[test]
    fn a_signature_is_the_section_that_is_documented() {
        assert_eq!(usize::from(HEAD[1]) + 2, SECTION_BYTES);
        assert_eq!(usize::from(HEAD[2]), NAME.len());
        assert_eq!(Block::decode(&block(7).encode()), Some(block(7)));
        assert_eq!(block(7).encode().to_vec(), custom(NAME, &[&[1][..], &[7; 32], &[!7; 64]].concat()));
    }

    #[test]
    fn signatures_are_a_run_at_the_end_and_all_before_is_signed() {
        let (one, two) = (block(1).encode(), block(2).encode());
        let content = component(&[&custom(b"other", b"bytes")]);
        assert_eq!(split(&content), Ok((&content[..], vec![])));
        let signed = [&content[..], &one].concat();
        assert_eq!(split(&signed), Ok((&content[..], vec![block(1)])));
        let signed = [&content[..], &two, &one].concat();
        assert_eq!(split(&signed), Ok((&content[..], vec![block(2), block(1)])));
        // A component of nothing but signatures is one, too.
        assert_eq!(split(&component(&[&one])), Ok((PREAMBLE, vec![block(1)])));
        let many = vec![&one[..]; SIGNATURES_MAX];
        assert_eq!(split(&component(&many)).unwrap().1.len(), SIGNATURES_MAX);
        let too_many = vec![&one[..]; SIGNATURES_MAX + 1];
        assert_eq!(split(&component(&too_many)), Err(SectionError::TooMany));
    }

    #[test]
    fn what_only_looks_like_a_signature_is_content() {
        let one = block(1).encode();
        // Within another custom section, and within a component that lies in this one: at the very end.
        let within = [&[0, 126, 6][..], b"other!", &one].concat();
        let nested = [&[4, 127][..], PREAMBLE, &one].concat();
        for section in [within, nested] {
            let whole = component(&[&section]);
            assert_eq!(split(&whole), Ok((&whole[..], vec![])));
            // The real one is told apart from it.
            let signed = [&whole[..], &one].concat();
            assert_eq!(split(&signed), Ok((&whole[..], vec![block(1)])));
        }
        // The name is another one.
        let other = component(&[&custom(b"mr-engine:signatures", &one[23..])]);
        assert_eq!(split(&other), Ok((&other[..], vec![])));
        // The kind is another one.
        let mut kind = one;
        kind[0] = 1;
        let other = component(&[&kind]);
        assert_eq!(split(&other), Ok((&other[..], vec![])));
    }

    #[test]
    fn a_signature_that_something_follows_counts_for_nothing() {
        let one = block(1).encode();
        let followed = component(&[&one, &custom(b"other", b"")]);
        assert_eq!(split(&followed), Err(SectionError::Followed { offset: 8 }));
        let between = component(&[&one, &custom(b"other", b""), &one]);
        assert_eq!(split(&between), Err(SectionError::Followed { offset: 8 }));
        let late = component(&[&one, &one, &[1, 0]]);
        assert_eq!(split(&late), Err(SectionError::Followed { offset: 8 + SECTION_BYTES }));
        for end in [&[0][..], &[0x80], &[0xff; 5], b"trailing bytes"] {
            let cut = component(&[&one, end]);
            assert_eq!(split(&cut), Err(SectionError::Cut { offset: 8 + SECTION_BYTES }), "{end:?}");
        }
    }

    #[test]
    fn a_signature_is_written_in_one_way_only() {
        let one = block(1).encode();
        let malformed = |section: &[u8]| {
            let whole = component(&[section]);
            assert_eq!(split(&whole), Err(SectionError::Malformed { offset: 8 }), "{section:?}");
        };
        let mut version = one;
        version[22] = 2;
        malformed(&version);
        malformed(&custom(NAME, b""));
        malformed(&custom(NAME, &one[22..118]));
        malformed(&custom(NAME, &[&one[22..], &[0]].concat()));
        // Lengths with more bytes than they need, of the section and of the name.
        malformed(&[&[0, 0xf5, 0][..], &one[2..]].concat());
        malformed(&[&[0, 0x76, 0x93, 0][..], &one[3..]].concat());
        for cut in 1..SECTION_BYTES {
            assert_eq!(split(&component(&[&one[..cut]])), Err(SectionError::Cut { offset: 8 }), "{cut}");
        }
    }

    #[test]
    fn what_is_no_component() {
        for bytes in [&b""[..], b"\0asm", b"\0asm\x01\0\0\0", b"#!/bin/sh", b"\0asm\x0e\0\x01\0"] {
            assert_eq!(split(bytes), Err(SectionError::NotComponent));
        }
        // Lengths beyond the file, beyond 32 bits, and beyond five bytes.
        for length in [&[1][..], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0xff, 0xff, 0xff, 0xff, 0x1f], &[0x80; 6]]
        {
            let whole = component(&[&[1], length]);
            assert_eq!(split(&whole), Err(SectionError::Cut { offset: 8 }), "{length:?}");
        }
    }

    proptest! {
        /// Whatever the bytes are: no panic, and what is split makes the whole again.
        #[test]
        fn splitting_loses_nothing(
            tail in prop::collection::vec(any::<u8>(), 0..300),
            sections in prop::collection::vec((0u8..14, prop::collection::vec(any::<u8>(), 0..40)), 0..6),
            signatures in 0usize..4,
        ) {
            let sections: Vec<Vec<u8>> = sections.into_iter().map(|(kind, bytes)| {
                let length = u8::try_from(bytes.len()).unwrap();
                // Custom sections have a name; this one has none.
                match kind { 0 => vec![0, 1, 0], kind => [&[kind, length], &bytes[..]].concat() }
            }).collect();
            let content = component(&sections.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let blocks: Vec<Block> = (0..signatures).map(|number| block(u8::try_from(number).unwrap())).collect();
            let run: Vec<u8> = blocks.iter().flat_map(Block::encode).collect();
            let whole = [&content[..], &run].concat();
            prop_assert_eq!(split(&whole), Ok((&content[..], blocks.clone())));
            let whole = [&whole[..], &tail].concat();
            if let Ok((content, blocks)) = split(&whole) {
                let run: Vec<u8> = blocks.iter().flat_map(Block::encode).collect();
                prop_assert_eq!([content, &run].concat(), whole);
            }
        }
    }
}
