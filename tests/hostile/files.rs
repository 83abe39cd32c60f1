//! Files that are no plugins, and components that want too much before they run: refused before anything
//! runs, with exit code 5 and a sentence that names the file.

use std::fs;

use super::attacks::fits;
use super::{forged, guest};
use crate::support::Job;

const NOT_WASM: &str = "is not a WebAssembly file; a plugin is a compiled component (.wasm)";

/// Runs a job of this file, which must be refused.
#[track_caller]
fn refused(what: &str, file: &[u8], why: &str) -> Option<String> {
    let job = Job::staged().own_cache().arg("other").file("other", file).input("a\n");
    let failed = job.fails(5, &[]);
    let sentence =
        failed.stderr.lines().find_map(|line| line.strip_prefix("mr-engine: ")).unwrap_or_default();
    let expected = format!("plugin other {why}");
    (!fits(&expected, sentence)).then(|| format!("{what}: {sentence:?}"))
}

#[track_caller]
fn all_refused(cases: &[(&str, Vec<u8>, &str)]) {
    let wrong: Vec<String> = cases.iter().filter_map(|(what, file, why)| refused(what, file, why)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_plugins() {
    let whole = fs::read(guest::hostile()).unwrap();
    let cut = |bytes: usize| whole[..bytes].to_vec();
    #[rustfmt::skip]
    all_refused(&[
        ("empty", cut(0), NOT_WASM),
        ("one byte", cut(1), NOT_WASM),
        ("the magic alone", cut(4), NOT_WASM),
        ("noise", vec![0x5a; 10_000], NOT_WASM),
        ("the header alone", cut(8), "exports no role; export mr:engine/mapper, *"),
        ("cut in the middle", cut(whole.len() / 2), "cannot be compiled: *; build it again with current tools"),
        ("cut at the end", cut(whole.len() - 1), "cannot be compiled: *; build it again with current tools"),
        ("noise after the header", [cut(8), vec![0x5a; 10_000]].concat(), "cannot be compiled: *; build it again with current tools"),
        ("a core module", forged::core_module(), "is a core WebAssembly module and not a component; *"),
        ("no role", forged::nothing(), "exports no role; export mr:engine/mapper, *"),
        ("another version", guest::of_another_version(), "is built for mr:engine/*@0.7.0, and this engine speaks mr:engine@0.1.0; *"),
    ]);
}

/// Every byte of the file may be another one: whatever it is then, the engine says so or runs it, and lives.
#[test]
fn damaged_files() {
    let whole = fs::read(guest::hostile()).unwrap();
    for part in 0..16 {
        let mut damaged = whole.clone();
        let at = part * whole.len() / 16 + 11;
        damaged[at] ^= 0x55;
        let job = Job::staged().own_cache().arg("other").file("other", damaged).input("a\n");
        let ended = crate::support::process::run(job.args("--task-timeout 1s").command_to_folder());
        let code = ended.code();
        assert!(matches!(code, Some(0 | 5 | 6 | 7)), "byte {at}: {code:?} {}", ended.stderr);
    }
}

#[test]
fn greedy_structures() {
    #[rustfmt::skip]
    all_refused(&[
        ("4 GiB of memory", forged::memory(65_536), "goes over the limit of memory at the start: 4096 MiB, and * MiB are allowed"),
        ("200 memories", forged::memories(200), "goes over the limit of linear memories: *, and 64 are allowed"),
        ("ten million elements", forged::table(10_000_000), "goes over the limit of table elements: 10000000, and 4194304 are allowed"),
        ("90,000 tables", forged::tables(90_000), "goes over the limit of tables: 1100, and 1000 are allowed"),
        ("a million tables", forged::tables(1_000_000), "cannot be compiled: *instances count exceeds limit of 1000*; it holds more than a component may; make it smaller"),
        ("5000 instances", forged::instances(5_000), "cannot be compiled: *instances count exceeds limit of 1000*; it holds more than a component may; make it smaller"),
        ("deep components", forged::nested(1_000), "*"),
        ("deep types", forged::nested_types(2_000), "cannot be compiled: *"),
        ("doubled types", forged::doubled_types(40), "cannot be compiled: *"),
    ]);
}

/// Takes memory until there is none, and gives up.
const GROWING: &str = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";

#[test]
fn bad_starts() {
    #[rustfmt::skip]
    all_refused(&[
        ("trap", forged::starting("unreachable"), "does not start: wasm trap: wasm `unreachable` instruction executed*"),
        ("recursion", forged::starting("call $start"), "goes over the limit of call stack: more than 1 MiB, and 1 MiB are allowed"),
        ("memory", forged::starting(GROWING), "goes over the limit of memory at the start: * MiB, and * MiB are allowed"),
        ("call", forged::starting_with_a_call(), "does not start: it called output.reject while it was being described; `describe` and start-up must not call imports"),
        ("nothing in it", forged::starting(""), "does not fit mr:engine/mapper@0.1.0: function `open`: it is missing; *"),
    ]);
}

#[test]
#[ignore = "make chaos"]
fn a_start_without_an_end() {
    all_refused(&[(
        "spin",
        forged::starting("(loop (br 0))"),
        "goes over the limit of time to start and to describe itself: 5.*s, and 5.0s are allowed",
    )]);
}

#[test]
#[ignore = "make chaos"]
fn compile_bombs() {
    let memory = "mr-engine: compiling plugin other went over its limit of memory: more than 2048 MiB, and 2048 MiB are \
        allowed (raise it with --compile-memory, or make the plugin smaller)";
    for bomb in [forged::slow_to_compile(9), forged::nested(50_000)] {
        Job::staged().own_cache().arg("other").file("other", bomb).input("a\n").fails(7, &[memory]);
    }
}
