//! What users are told in `docs/formats.md`: its commands are run in one folder, in their order, and print what stands
//! below them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::process::{engine, isolated, run, shared_cache};

/// The blocks of code of the page: what stands behind the fence, and the lines.
fn blocks() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/formats.md");
    let page = fs::read_to_string(page).unwrap();
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced
        .map(|block| {
            let (kind, text) = block.split_once('\n').unwrap();
            (kind.to_owned(), format!("{text}\n"))
        })
        .collect()
}

#[test]
fn commands_print_what_stands_below_them() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine();
    let path = format!("{}:/usr/bin:/bin", engine.parent().unwrap().display());
    let blocks = blocks();
    assert!(blocks.len() >= 14, "{} blocks", blocks.len());
    for pair in blocks.chunks(2) {
        let [(sh, commands), (text, expected)] = pair else { panic!("{pair:?} is no pair") };
        assert_eq!((sh.as_str(), text.as_str()), ("sh", "text"));
        let mut shell = isolated(Command::new("/bin/sh"), folder.path());
        shell.env("PATH", &path).env("MR_ENGINE_CACHE_DIR", shared_cache());
        shell.args(["-ec", commands]);
        let ended = run(shell);
        assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{commands}");
        assert_eq!(String::from_utf8_lossy(&ended.stdout), *expected, "{commands}");
    }
}
