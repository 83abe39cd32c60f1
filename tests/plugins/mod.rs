//! The plugins of the classic literature against naive references, byte for byte: [`tera`] (generator, sort
//! and validator), [`relational`] (operators on tables), [`matrix`], [`text`], [`ordered`] (grouped by less
//! than they are sorted by), [`iterated`] (run on what they made); over made-up data of every shape and, in
//! [`debian`], over what Debian tells of its packages.

mod debian;
mod iterated;
mod matrix;
mod ordered;
mod relational;
mod tera;
mod text;

use std::fs;

use crate::support::naive::by_hash;
use crate::support::process::data;

/// Lines of each part, by the key that they were shuffled by; groups in the order of their keys.
fn parts(groups: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>, reducers: usize) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new(); reducers];
    for (key, lines) in groups {
        parts[by_hash(&key, reducers)].extend(lines);
    }
    parts
}

/// A table of Debian's.
fn table(name: &str) -> String {
    fs::read_to_string(data(name)).unwrap()
}
