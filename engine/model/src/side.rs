//! Side inputs as every part of the engine sees them: files that go with a job and that its plugins read
//! by name. Told by content, so that it does not matter where a copy lies. Must not open any file.

use serde::{Deserialize, Serialize};

use crate::limit::{SIDE_BYTES_MAX, SIDE_NAME_BYTES_MAX, SIDES_BYTES_MAX, SIDES_MAX};

/// Letters of a BLAKE3 in hexadecimal.
const HASH_LETTERS: usize = 64;

/// A side input of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// What plugins call it.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// BLAKE3 of its bytes, in lower-case hexadecimal.
    pub blake3: String,
}

impl Side {
    /// Whether a side input may have this name: up to 64 of `a-z`, `0-9`, `.`, `_` and `-`, the first of
    /// them a letter or a digit.
    ///
    /// # Errors
    /// What is wrong with it, for people; the name itself is in it.
    pub fn check_name(name: &str) -> Result<(), String> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let begins_well = name.bytes().next().is_some_and(is_plain);
        if begins_well && name.bytes().all(|byte| is_plain(byte) || matches!(byte, b'.' | b'_' | b'-')) {
            if name.len() <= SIDE_NAME_BYTES_MAX {
                return Ok(());
            }
            return Err(format!("a name of {} letters is too long; use {SIDE_NAME_BYTES_MAX}", name.len()));
        }
        Err(format!("{name:?} is no name: use a-z, 0-9, '.', '_' and '-', and a letter or digit first"))
    }

    /// Checks all side inputs of a job, which may come from a stranger: names, hashes, lengths, and that they
    /// are in the order of their names, each there once.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn check_all(sides: &[Side]) -> Result<(), String> {
        if sides.len() > SIDES_MAX {
            return Err(format!("{} side inputs are given, and {SIDES_MAX} are allowed", sides.len()));
        }
        for side in sides {
            Self::check_name(&side.name)?;
            if side.bytes > SIDE_BYTES_MAX {
                return Err(format!(
                    "side input {} has {} bytes, and {SIDE_BYTES_MAX} are allowed",
                    side.name, side.bytes
                ));
            }
            let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if side.blake3.len() != HASH_LETTERS || !side.blake3.bytes().all(is_hex) {
                return Err(format!("side input {} has a malformed hash", side.name));
            }
        }
        if !sides.is_sorted_by(|one, next| one.name < next.name) {
            return Err("its side inputs are not in order, or one is there twice".to_owned());
        }
        let bytes = Self::bytes_of(sides);
        if bytes > SIDES_BYTES_MAX {
            return Err(format!(
                "the side inputs have {bytes} bytes together, and {SIDES_BYTES_MAX} are allowed"
            ));
        }
        Ok(())
    }

    /// Bytes of all side inputs of a job together.
    pub fn bytes_of(sides: &[Side]) -> u64 {
        sides.iter().fold(0, |sum, side| sum.saturating_add(side.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(name: &str, bytes: u64) -> Side {
        Side { name: name.into(), bytes, blake3: "0a".repeat(32) }
    }

    #[test]
    fn names_are_plain_and_short() {
        for name in ["v", "stop-words", "0.1_b", &"n".repeat(SIDE_NAME_BYTES_MAX)] {
            assert_eq!(Side::check_name(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", ".v", "-v", "a/b", "A", "a b", "ä", &"n".repeat(SIDE_NAME_BYTES_MAX + 1)]
        {
            assert!(Side::check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_job_has_each_name_once_and_keeps_to_the_limits() {
        assert_eq!(Side::check_all(&[side("a", 0), side("b", SIDE_BYTES_MAX)]), Ok(()));
        let many: Vec<Side> = (0..=SIDES_MAX).map(|n| side(&format!("n{n:03}"), 1)).collect();
        let heavy: Vec<Side> = ["a", "b", "c"].map(|name| side(name, SIDE_BYTES_MAX)).into();
        let malformed = Side { blake3: "0A".repeat(32), ..side("a", 1) };
        for refused in [
            vec![side("a", 1), side("a", 1)],
            vec![side("b", 1), side("a", 1)],
            vec![side("a", SIDE_BYTES_MAX + 1)],
            vec![malformed],
            many,
            heavy,
        ] {
            assert!(Side::check_all(&refused).is_err(), "{refused:?}");
        }
    }
}
