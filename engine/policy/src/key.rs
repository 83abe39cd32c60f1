//! Keys of Ed25519 (RFC 8032) in files of their own, as `openssl genpkey -algorithm ed25519` and
//! `openssl pkey -pubout` write them: PKCS #8 and SubjectPublicKeyInfo (RFC 8410) in PEM. A public key
//! is also written in one word, `ed25519:` and 64 hexadecimal digits. Private keys are written with mode
//! 0600, never overwritten, and not read where others could read them, too.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pem::{EncodeConfig, LineEnding, Pem};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// Length of a public key, in bytes.
pub const PUBLIC_KEY_BYTES: usize = 32;
/// Length of a signature, in bytes.
pub const SIGNATURE_BYTES: usize = 64;
/// Largest file with a key, in bytes: a key takes some 120, and people write remarks around it.
const KEY_FILE_BYTES_MAX: u64 = 16 << 10;
/// Length of the secret that a private key is made from, in bytes.
const SEED_BYTES: usize = 32;
/// What stands before the secret in PKCS #8: version 0, Ed25519, an octet string in an octet string.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// What stands before a public key in SubjectPublicKeyInfo: Ed25519, a string of whole bytes.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What a public key in one word begins with.
const WORD_PREFIX: &str = "ed25519:";
/// Label of a private key in PEM.
const PRIVATE_LABEL: &str = "PRIVATE KEY";
/// Label of a public key in PEM.
const PUBLIC_LABEL: &str = "PUBLIC KEY";

/// Why there is no key. What is shown begins with a verb: the file or the text goes before it.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("cannot be used: {0}")]
    Io(io::Error),
    /// Something is there already, where a new key is to go.
    #[error("exists already, and keys are never overwritten; give another name")]
    Exists,
    /// Others than its owner can read a private key.
    #[error("can be read by others (mode {mode:03o}); run `chmod 600` on it")]
    Exposed {
        /// Its permission bits.
        mode: u32,
    },
    /// The file is too large for a key.
    #[error("is larger than {KEY_FILE_BYTES_MAX} bytes, so it holds no key")]
    TooLarge,
    /// It is not what it has to be.
    #[error("holds no {wanted}: {found}")]
    Kind {
        /// What it has to hold, and how that is made.
        wanted: &'static str,
        /// What it holds.
        found: String,
    },
    /// The system gives no random bytes.
    #[error("cannot be made: the system gives no random bytes")]
    Random,
}

const PRIVATE_WANTED: &str =
    "private Ed25519 key in PEM, as `mr-engine keygen` and `openssl genpkey` make it";
const PUBLIC_WANTED: &str =
    "public Ed25519 key in PEM, as `mr-engine keygen` prints it and `openssl pkey -pubout` makes it";

/// Whose signature counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; PUBLIC_KEY_BYTES]);

impl PublicKey {
    /// A key as signatures carry it. Any bytes are one: whether they are a point is found when a
    /// signature is checked.
    pub fn from_bytes(bytes: [u8; PUBLIC_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The key as signatures carry it.
    pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.0
    }

    /// Reads a key from a file.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Self::from_pem(&read_file(File::open(path).map_err(KeyError::Io)?)?)
    }

    /// Decodes a key in PEM.
    ///
    /// # Errors
    /// [`KeyError::Kind`] where it is anything else.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = contents(pem, PUBLIC_LABEL, PUBLIC_WANTED)?;
        let key = der.strip_prefix(&SPKI_PREFIX).and_then(|key| key.try_into().ok());
        key.map(Self).ok_or_else(|| other(PUBLIC_WANTED, "it is a key of another kind"))
    }

    /// The key in PEM.
    pub fn to_pem(&self) -> String {
        encode(PUBLIC_LABEL, [&SPKI_PREFIX[..], &self.0].concat())
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WORD_PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// A key in one word, or in PEM.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.trim_start().starts_with("-----BEGIN") {
            return Self::from_pem(text.as_bytes());
        }
        let bad = || other(PUBLIC_WANTED, "a key in one word is `ed25519:` and 64 hexadecimal digits");
        let digits = text.strip_prefix(WORD_PREFIX).ok_or_else(bad)?;
        // A hash of BLAKE3 has as many bytes, and its digits are parsed strictly.
        let bytes = blake3::Hash::from_hex(digits).map_err(|_| bad())?;
        Ok(Self(*bytes.as_bytes()))
    }
}

/// A key that signs. Its secret is never shown.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Makes a key and writes it to a new file that only its owner can read.
    ///
    /// # Errors
    /// A file that exists already or cannot be written; a system without random bytes.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let mut seed = [0; SEED_BYTES];
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::Random)?;
        let pem = encode(PRIVATE_LABEL, [&PKCS8_PREFIX[..], &seed].concat());
        let key = Self::from_pem(pem.as_bytes())?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists,
            _ => KeyError::Io(error),
        })?;
        let written = file.write_all(pem.as_bytes()).and_then(|()| file.sync_all());
        written.map(|()| key).map_err(|error| {
            // Half a key is of no use, and in the way of the next try.
            drop(std::fs::remove_file(path));
            KeyError::Io(error)
        })
    }

    /// Reads a key from a file that nobody but its owner may read.
    ///
    /// # Errors
    /// A file that cannot be read, is exposed, or holds something else.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let file = File::open(path).map_err(KeyError::Io)?;
        let mode = file.metadata().map_err(KeyError::Io)?.permissions().mode() & 0o777;
        let pem = read_file(file)?;
        let key = Self::from_pem(&pem)?;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { mode });
        }
        Ok(key)
    }

    /// Decodes a key in PEM.
    ///
    /// # Errors
    /// [`KeyError::Kind`] where it is anything else.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = contents(pem, PRIVATE_LABEL, PRIVATE_WANTED)?;
        // With or without the public key in it: OpenSSL leaves it out.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
        pair.map(Self).map_err(|_| other(PRIVATE_WANTED, "it is a key of another kind"))
    }

    /// The key that checks what this one signs.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; PUBLIC_KEY_BYTES];
        let public = self.0.public_key();
        bytes.copy_from_slice(public.as_ref());
        PublicKey(bytes)
    }

    /// Signs a message.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes.copy_from_slice(self.0.sign(message).as_ref());
        bytes
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

fn read_file(file: File) -> Result<Vec<u8>, KeyError> {
    let mut bytes = Vec::new();
    file.take(KEY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(KeyError::Io)?;
    if bytes.len() as u64 > KEY_FILE_BYTES_MAX { Err(KeyError::TooLarge) } else { Ok(bytes) }
}

/// The content of a file that has one block in PEM, with this label.
fn contents(pem: &[u8], label: &str, wanted: &'static str) -> Result<Vec<u8>, KeyError> {
    let blocks = pem::parse_many(pem).map_err(|error| other(wanted, &error.to_string()))?;
    match <[Pem; 1]>::try_from(blocks) {
        Ok([block]) if block.tag() == label => Ok(block.into_contents()),
        Ok([block]) => Err(other(wanted, &format!("it is {:?}", block.tag()))),
        Err(blocks) if blocks.is_empty() => Err(other(wanted, "it is not PEM")),
        Err(blocks) => Err(other(wanted, &format!("it has {} blocks", blocks.len()))),
    }
}

fn encode(label: &str, contents: Vec<u8>) -> String {
    pem::encode_config(&Pem::new(label, contents), EncodeConfig::new().set_line_ending(LineEnding::LF))
}

fn other(wanted: &'static str, found: &str) -> KeyError {
    KeyError::Kind { wanted, found: found.to_owned() }
}

/// A key's error with the file that it is about.
#[derive(Debug, thiserror::Error)]
#[error("key {} {error}", path.display())]
pub struct KeyFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub error: KeyError,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENSSL: &str = include_str!("../tests/data/openssl.pem");
    const OPENSSL_PUBLIC: &str = include_str!("../tests/data/openssl.pub.pem");

    #[test]
    fn keys_of_openssl_are_ours_and_ours_are_those_of_openssl() {
        let key = SigningKey::from_pem(OPENSSL.as_bytes()).unwrap();
        let public: PublicKey = OPENSSL_PUBLIC.parse().unwrap();
        assert_eq!(key.public(), public);
        assert_eq!(public.to_pem(), OPENSSL_PUBLIC);
        assert_eq!(public.to_string().parse::<PublicKey>().unwrap(), public);
        assert!(public.verifies(b"message", &key.sign(b"message")));
        assert!(!public.verifies(b"massage", &key.sign(b"message")));

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        let made = SigningKey::create(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SigningKey::read(&path).unwrap().public(), made.public());
        let pem = std::fs::read_to_string(&path).unwrap();
        assert_eq!(pem.len(), OPENSSL.len(), "{pem}");
        assert!(matches!(SigningKey::create(&path), Err(KeyError::Exists)));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), pem);
    }

    #[test]
    fn what_is_no_key_says_so() {
        let public = |text: &str| text.parse::<PublicKey>().unwrap_err().to_string();
        let from_pem = |text: &str| PublicKey::from_pem(text.as_bytes()).unwrap_err().to_string();
        assert!(from_pem(OPENSSL).ends_with("it is \"PRIVATE KEY\""), "{}", from_pem(OPENSSL));
        assert!(from_pem("").ends_with("it is not PEM"), "{}", from_pem(""));
        let twice = OPENSSL_PUBLIC.repeat(2);
        assert!(from_pem(&twice).ends_with("it has 2 blocks"), "{}", from_pem(&twice));
        let other = encode(PUBLIC_LABEL, vec![0x30; 44]);
        assert!(from_pem(&other).ends_with("it is a key of another kind"), "{}", from_pem(&other));
        for bad in ["", "ed25519:", "ed25519:00", &"0".repeat(64), &format!("ed25519:{}", "g".repeat(64))] {
            assert!(public(bad).contains("64 hexadecimal digits"), "{bad}");
        }
        let private = |text: &str| SigningKey::from_pem(text.as_bytes()).unwrap_err().to_string();
        assert!(private(OPENSSL_PUBLIC).starts_with("holds no private Ed25519 key in PEM"));
        assert!(private(&encode(PRIVATE_LABEL, vec![])).ends_with("it is a key of another kind"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        std::fs::write(&path, OPENSSL).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let said = SigningKey::read(&path).unwrap_err().to_string();
        assert_eq!(said, "can be read by others (mode 640); run `chmod 600` on it");
    }
}
