//! What the guest was told to do, and where. Its orders are written into the component itself, over
//! [`WRITTEN`], because `describe` has no parameters; the parameters `attack` and `at`
//! override them everywhere else.

use std::hint::black_box;

use crate::bindings::mr::engine::config;

/// Where tests write `attack@place`, padded with zeros, in place of the dots.
static WRITTEN: [u8; 81] = *b"mr-hostile-orders:\
    ...............................................................";

/// Length of what comes before the dots.
const MARK_BYTES: usize = 18;

/// The attack that is due at `place`, or an empty string.
pub fn due(place: &str) -> String {
    let (attack, at) = written();
    // Nothing may be asked of the host here.
    if place == "describe" {
        return if at == place { attack } else { String::new() };
    }
    let attack = config::get("attack").unwrap_or(attack);
    let at = config::get("at").unwrap_or(at);
    if at == place { attack } else { String::new() }
}

/// Whether this very attack is due at `place`.
pub fn is_due(place: &str, attack: &str) -> bool {
    due(place) == attack
}

fn written() -> (String, String) {
    // Not a constant to the compiler: the bytes in the component are changed.
    let bytes = &black_box(&WRITTEN)[MARK_BYTES..];
    let text: Vec<u8> = bytes.iter().copied().take_while(|byte| *byte != 0 && *byte != b'.').collect();
    let text = String::from_utf8(text).unwrap_or_default();
    match text.split_once('@') {
        Some((attack, at)) => (attack.to_owned(), at.to_owned()),
        None => (String::new(), String::new()),
    }
}
