//! Signing a component and finding out who did. A signature is over everything before the first one, so
//! that several people can sign the same file in any order, and the file stays one file: WebAssembly
//! skips custom sections that it does not know.
//!
//! What is signed is not the content itself but a fixed text and a BLAKE3 of it, derived for this purpose
//! alone: a signature of this engine can be taken for one of nothing else, and nothing else for one of it.

use crate::key::{PublicKey, SigningKey};
use crate::section::{Block, SECTION_BYTES, SectionError, split};

/// What every message that is signed begins with.
const DOMAIN: &[u8; 32] = b"mr-engine component signature 1\0";
/// Context that the hash is derived for: never used for anything else.
const HASH_CONTEXT: &str = "mr-engine 2026-01 content of a signed component";

/// Why the signatures of a component do not count. What is shown begins with a verb: the plugin goes
/// before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There are none to be found.
    #[error(transparent)]
    Section(#[from] SectionError),
    /// A signature is not that of this content.
    #[error(
        "has a signature of {key} that is not of this content: it was changed after it was signed; take it from \
         where it was signed, or have it built and signed again"
    )]
    Wrong {
        /// Whose it says it is.
        key: PublicKey,
    },
    /// A key has signed twice.
    #[error("has two signatures of {key}; remove its signatures and sign it again")]
    Twice {
        /// The key.
        key: PublicKey,
    },
}

/// Who signed a component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signed {
    /// The keys whose signatures are right, in the order of the file.
    pub signers: Vec<PublicKey>,
    /// Length of what they signed, in bytes: all before the first signature.
    pub content_bytes: usize,
}

impl Signed {
    /// Checks every signature of a component. One without any has no signers.
    ///
    /// # Errors
    /// Bytes that are no component; a signature that is malformed, in the wrong place or wrong. One bad
    /// signature spoils the good ones: somebody touched the file.
    pub fn of(component: &[u8]) -> Result<Self, SignatureError> {
        let (content, blocks) = split(component)?;
        let mut signed = Self { signers: Vec::with_capacity(blocks.len()), content_bytes: content.len() };
        if blocks.is_empty() {
            return Ok(signed);
        }
        let message = message(content);
        for Block { key, signature } in &blocks {
            let key = PublicKey::from_bytes(*key);
            if signed.signers.contains(&key) {
                return Err(SignatureError::Twice { key });
            }
            if !key.verifies(&message, signature) {
                return Err(SignatureError::Wrong { key });
            }
            signed.signers.push(key);
        }
        Ok(signed)
    }
}

/// Signs a component: what has to be put behind its last byte, or nothing where the key has signed it
/// already.
///
/// # Errors
/// As [`Signed::of`]: what has a bad signature is not signed over it. Too many signatures.
pub fn sign(component: &[u8], key: &SigningKey) -> Result<Option<[u8; SECTION_BYTES]>, SignatureError> {
    let signed = Signed::of(component)?;
    if signed.signers.contains(&key.public()) {
        return Ok(None);
    }
    if signed.signers.len() == crate::section::SIGNATURES_MAX {
        return Err(SectionError::TooMany.into());
    }
    let content = component.get(..signed.content_bytes).unwrap_or_default();
    let signature = key.sign(&message(content));
    Ok(Some(Block { key: *key.public().as_bytes(), signature }.encode()))
}

fn message(content: &[u8]) -> [u8; 64] {
    let mut message = [0; 64];
    let (domain, hash) = message.split_at_mut(DOMAIN.len());
    domain.copy_from_slice(DOMAIN);
    hash.copy_from_slice(&blake3::derive_key(HASH_CONTEXT, content));
    message
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(name: &str) -> SigningKey {
        let dir = tempfile::tempdir().unwrap();
        SigningKey::create(&dir.path().join(name)).unwrap()
    }

    fn component() -> Vec<u8> {
        b"\0asm\x0d\0\x01\0\x00\x0b\x05other-bytes"[..8 + 2 + 11].to_vec()
    }

    fn signed(component: &[u8], keys: &[&SigningKey]) -> Vec<u8> {
        let mut bytes = component.to_vec();
        for key in keys {
            let section = sign(&bytes, key).unwrap().expect("a new signature");
            bytes.extend_from_slice(&section);
        }
        bytes
    }

    /// Made once and for all: a change of what is signed would make every signature out there worthless.
    #[test]
    fn a_signature_of_long_ago_still_counts() {
        let key = SigningKey::from_pem(include_bytes!("../tests/data/openssl.pem")).unwrap();
        let made = signed(b"\0asm\x0d\0\x01\0", &[&key]);
        let kept = include_bytes!("../tests/data/signed.wasm");
        assert_eq!(made, kept, "Ed25519 is deterministic");
        assert_eq!(Signed::of(kept).unwrap().signers, [key.public()]);
    }

    #[test]
    fn who_signed_is_found_in_any_order() {
        let (alice, bob) = (key("alice"), key("bob"));
        let content = component();
        assert_eq!(Signed::of(&content).unwrap(), Signed { signers: vec![], content_bytes: content.len() });
        let both = signed(&content, &[&alice, &bob]);
        assert_eq!(Signed::of(&both).unwrap().signers, [alice.public(), bob.public()]);
        assert_eq!(Signed::of(&both).unwrap().content_bytes, content.len());
        let swapped = signed(&content, &[&bob, &alice]);
        assert_eq!(Signed::of(&swapped).unwrap().signers, [bob.public(), alice.public()]);
        assert_eq!((sign(&both, &alice), sign(&both, &bob)), (Ok(None), Ok(None)));
    }

    #[test]
    fn a_signature_cannot_be_moved_doubled_or_claimed() {
        let (alice, bob) = (key("alice"), key("bob"));
        let content = component();
        let of_alice = signed(&content, &[&alice]);
        let section = &of_alice[content.len()..];
        // On another content.
        let other = [&content[..8], section].concat();
        assert_eq!(Signed::of(&other), Err(SignatureError::Wrong { key: alice.public() }));
        assert_eq!(sign(&other, &alice), Err(SignatureError::Wrong { key: alice.public() }));
        // Twice.
        let twice = [&of_alice[..], section].concat();
        assert_eq!(Signed::of(&twice), Err(SignatureError::Twice { key: alice.public() }));
        // With another name on it, beside a good one of that name.
        let mut claimed = section.to_vec();
        claimed[23..55].copy_from_slice(bob.public().as_bytes());
        let claimed = [&of_alice[..], &claimed].concat();
        assert_eq!(Signed::of(&claimed), Err(SignatureError::Wrong { key: bob.public() }));
        // Of a content that has the signature in it.
        let of_all = Block { key: *bob.public().as_bytes(), signature: bob.sign(&message(&of_alice)) };
        let of_all = [&of_alice[..], &of_all.encode()].concat();
        assert_eq!(Signed::of(&of_all), Err(SignatureError::Wrong { key: bob.public() }));
        // Of the bytes rather than of the message that stands for them.
        let bare = Block { key: *bob.public().as_bytes(), signature: bob.sign(&content) };
        let bare = [&content[..], &bare.encode()].concat();
        assert_eq!(Signed::of(&bare), Err(SignatureError::Wrong { key: bob.public() }));
    }

    proptest! {
        /// No bit can be changed, no byte taken away or put in.
        #[test]
        fn whatever_is_changed_is_noticed(at in any::<prop::sample::Index>(), bit in 0u8..8, how in 0u8..3) {
            let key = SigningKey::from_pem(include_bytes!("../tests/data/openssl.pem")).unwrap();
            let good = signed(&component(), &[&key]);
            let mut bad = good.clone();
            let at = at.index(bad.len());
            match how {
                0 => bad[at] ^= 1 << bit,
                1 => drop(bad.remove(at)),
                _ => bad.insert(at, bit),
            }
            prop_assume!(bad != good);
            // A name that is changed makes a signature into something else: it is gone then.
            let signers = Signed::of(&bad).map(|signed| signed.signers).unwrap_or_default();
            prop_assert_eq!(signers, []);
        }
    }
}
