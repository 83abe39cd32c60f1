//! Writes the seeds of targets into a folder for each, which a fuzzer takes as its first corpus.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a tool of developers, run by hand")]

use std::fs;
use std::path::PathBuf;

fn main() {
    let dir = PathBuf::from(std::env::args_os().nth(1).expect("usage: seeds FOLDER"));
    for target in mr_fuzz::TARGETS {
        let dir = dir.join(target.name);
        fs::create_dir_all(&dir).unwrap();
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(dir.join(format!("seed-{number:02}")), seed).unwrap();
        }
    }
}
