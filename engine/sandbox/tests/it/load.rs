//! From files to plugins: every kind of file that is none, and the cache.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mr_model::{DataType, Role};
use mr_sandbox::{LoadError, LoadProgress, Sandbox, SandboxOptions};

use crate::support::{guest, load, plugin};

#[test]
fn a_plugin_tells_what_it_is() {
    let plugin = plugin();
    assert_eq!(plugin.path(), guest());
    assert_eq!(plugin.roles(), Role::ALL);
    assert_eq!(plugin.bytes(), guest().metadata().unwrap().len());
    assert_eq!(plugin.hash(), blake3::hash(&std::fs::read(guest()).unwrap()).to_hex().as_str());
    let info = plugin.info().unwrap();
    assert_eq!((info.name.as_str(), info.version.as_str()), ("hostile", "1.2.3"));
    assert_eq!(plugin.contract().map, (Some(DataType::Text), Some(DataType::U64)));
    assert!(plugin.imports().contains(&"mr:engine/output@0.1.0".to_owned()));
    assert!(plugin.exports().contains(&"mr:engine/reducer@0.1.0".to_owned()));
}

/// Loads `content` and expects this message, in which PATH stands for the file.
fn refused(content: &[u8], message: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plugin.wasm");
    std::fs::write(&path, content).unwrap();
    let Err(error) = load(None, &path) else { panic!("it loaded: {message}") };
    assert_eq!(error.to_string().replace(path.to_str().unwrap(), "PATH"), message);
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn files_that_are_no_plugins() {
    let missing = load(None, Path::new("/no/such/plugin.wasm"));
    assert!(matches!(missing, Err(LoadError::Missing { .. })));
    assert!(matches!(load(None, Path::new("/")), Err(LoadError::Unreadable { .. })));
    let not_wasm = "plugin PATH is not a WebAssembly file; a plugin is a compiled component (.wasm)";
    refused(b"", not_wasm);
    refused(b"(component)", not_wasm);
    refused(b"\0asm\x0d", not_wasm);
    refused(
        &wat("(module)"),
        "plugin PATH is a core WebAssembly module and not a component; \
         build it for the target wasm32-wasip2, or run `wasm-tools component new` on it",
    );
    refused(
        b"\0asm\x0c\0\x01\0",
        "plugin PATH cannot be compiled: it is in a binary format of another version; \
         build it again with current tools",
    );
    refused(
        &wat("(component)"),
        "plugin PATH exports no role; \
         export mr:engine/mapper, combiner, reducer, partitioner or plugin, each @0.1.0",
    );
    let mut cut = std::fs::read(guest()).unwrap();
    cut.truncate(cut.len() / 2);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.wasm");
    std::fs::write(&path, cut).unwrap();
    assert!(matches!(load(None, &path), Err(LoadError::Compile { .. })));
}

#[test]
fn components_of_another_world() {
    for import in ["wasi:http/types@0.2.0", "wasi:cli/stdout@0.3.0", "env", "mr:engine/files@0.1.0"] {
        let message = format!(
            "plugin PATH imports {import}, which this engine does not offer; plugins may import \
             mr:engine@0.1.0 and WASI 0.2 (cli, clocks, filesystem, io, random, sockets)"
        );
        refused(&wat(&format!(r#"(component (import "{import}" (instance)))"#)), &message);
    }
    // What is on offer is there to be linked.
    for grant in mr_sandbox::GRANTS {
        let version = if grant.interface.starts_with("mr:") { "0.1.0" } else { "0.2.6" };
        let import = format!(r#"(import "{}@{version}" (instance))"#, grant.interface);
        refused(&component(&import), NO_MAPPER);
    }
    let version = |interface: &str| {
        format!(
            "plugin PATH is built for {interface}, and this engine speaks mr:engine@0.1.0; \
             build it with an SDK for that version"
        )
    };
    refused(
        &wat(r#"(component (instance $i) (export "mr:engine/mapper@0.2.0" (instance $i)))"#),
        &version("mr:engine/mapper@0.2.0"),
    );
    refused(
        &wat(r#"(component (import "mr:engine/output@0.1.1" (instance)))"#),
        &version("mr:engine/output@0.1.1"),
    );
}

#[test]
fn functions_of_other_types() {
    refused(
        &wat(r#"(component (instance $i) (export "mr:engine/mapper@0.1.0" (instance $i)))"#),
        "plugin PATH does not fit mr:engine/mapper@0.1.0: function `open`: it is missing; \
         build it against this engine's wit/engine.wit",
    );
    refused(
        &plugin_only("", "(result u32)", "i32.const 8"),
        "plugin PATH does not fit mr:engine/plugin@0.1.0: function `describe`: \
         type mismatch with results: expected `record` found `u32`; \
         build it against this engine's wit/engine.wit",
    );
    let import = r#"(component (import "mr:engine/side-input@0.1.0"
        (instance (export "size" (func (param "name" string) (result u32)))))
        (instance $i) (export "mr:engine/mapper@0.1.0" (instance $i)))"#;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plugin.wasm");
    std::fs::write(&path, wat(import)).unwrap();
    let Err(LoadError::WrongType { reason, .. }) = load(None, &path) else { panic!("it loaded") };
    assert!(reason.contains("mr:engine/side-input@0.1.0") && reason.contains("size"), "{reason}");
}

#[test]
fn descriptions() {
    let info = r#"(result (record (field "name" string) (field "version" string) (field "sdk" string)
        (field "attributes" (list (tuple string string)))))"#;
    // All texts are empty: the answer is the zeroes at address 64.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("only.wasm");
    std::fs::write(&path, plugin_only("", info, "i32.const 64")).unwrap();
    let plugin = load(None, &path).unwrap();
    assert_eq!(plugin.roles(), []);
    assert_eq!(plugin.info().unwrap().name, "");
    refused(
        &plugin_only("", info, "unreachable"),
        "plugin PATH does not describe itself: wasm trap: wasm `unreachable` instruction executed, in describe",
    );
    refused(
        &plugin_only("(start $start) (func $start (drop (call $describe)))", info, "unreachable"),
        "plugin PATH does not start: wasm trap: wasm `unreachable` instruction executed, \
         in describe, called by start",
    );
}

/// A component that only exports `plugin.describe`, with this core code and these results.
fn plugin_only(more: &str, result: &str, body: &str) -> Vec<u8> {
    wat(&format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func $describe (export "describe") (result i32) {body})
                {more})
            (core instance $i (instantiate $m))
            (alias core export $i "memory" (core memory $memory))
            (type $result (func {result}))
            {lift}
            (export "mr:engine/plugin@0.1.0" (instance $plugin)))"#,
        lift = lift(result),
    ))
}

/// Records need a name at the boundary of an instance, plain types do not.
fn lift(result: &str) -> String {
    match result.strip_prefix("(result (record").and_then(|rest| rest.strip_suffix("))")) {
        Some(fields) => format!(
            r#"(type $info (record {fields}))
            (func $f (result $info) (canon lift (core func $i "describe") (memory $memory)))
            (component $c
                (type $info' (record {fields}))
                (import "info" (type $info (eq $info')))
                (import "f" (func $f (result $info)))
                (export $exported "info" (type $info))
                (export "describe" (func $f) (func (result $exported))))
            (instance $plugin (instantiate $c (with "info" (type $info)) (with "f" (func $f))))"#
        ),
        None => r#"(func $f (type $result) (canon lift (core func $i "describe")))
            (instance $plugin (export "describe" (func $f)))"#
            .to_owned(),
    }
}

/// Loads the guest in a new sandbox: whether it was cached, and what was told.
fn load_guest(cache: &Path) -> (bool, Vec<LoadProgress>) {
    let sandbox =
        Sandbox::new(SandboxOptions { cache_dir: Some(cache.to_owned()), ..SandboxOptions::default() })
            .unwrap();
    let mut told = Vec::new();
    let plugin = sandbox.load(guest(), &mut |progress| told.push(progress)).unwrap();
    assert_eq!(plugin.roles(), Role::ALL);
    (plugin.compile().cached, told)
}

fn entries(cache: &Path) -> Vec<PathBuf> {
    let engines = std::fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    let files =
        engines.flat_map(|engine| std::fs::read_dir(engine).unwrap()).map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    files
}

#[test]
fn the_cache_keeps_what_was_compiled_and_trusts_only_whole_entries() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("deep/cache");
    let compiling = (false, vec![LoadProgress::Compiling { bytes: guest().metadata().unwrap().len() }]);
    assert_eq!(load_guest(&cache), compiling);
    assert_eq!(load_guest(&cache), (true, vec![]));
    let files = entries(&cache);
    let names: Vec<_> = files.iter().map(|file| file.extension().unwrap()).collect();
    assert_eq!(names, ["cwasm", "lock"]);
    for file in &files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let whole = std::fs::read(&files[0]).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for bad in [&whole[..whole.len() - 1], &changed, b""] {
        std::fs::write(&files[0], bad).unwrap();
        assert_eq!(load_guest(&cache), compiling);
        assert_eq!(std::fs::read(&files[0]).unwrap(), whole, "the entry is made anew");
    }
    std::fs::set_permissions(&files[0], PermissionsExt::from_mode(0o666)).unwrap();
    assert_eq!(load_guest(&cache), compiling, "others could have written the entry");
}

#[test]
fn a_cache_that_cannot_be_used_costs_only_time() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    assert!(!load_guest(&file).0);
    let shared = dir.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o777)).unwrap();
    assert!(!load_guest(&shared).0);
    assert!(!load_guest(&shared).0);
    assert_eq!(entries(&shared), Vec::<PathBuf>::new());
}

#[test]
fn threads_that_load_the_same_file_compile_it_once() {
    let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
    let copy = tempfile::NamedTempFile::new().unwrap();
    std::fs::copy(guest(), copy.path()).unwrap();
    let loads: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = [guest(), copy.path(), guest()]
            .map(|path| {
                scope.spawn(|| {
                    let mut compiled = 0;
                    let plugin = sandbox.load(path, &mut |progress| {
                        compiled += usize::from(matches!(progress, LoadProgress::Compiling { .. }));
                    });
                    (plugin.unwrap(), compiled)
                })
            })
            .into_iter()
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(loads.iter().map(|(_, compiled)| compiled).sum::<usize>(), 1);
    assert_eq!(loads[1].0.path(), copy.path());
}

/// What is said of a component that fits but for the functions of its role.
const NO_MAPPER: &str = "plugin PATH does not fit mr:engine/mapper@0.1.0: function `open`: it is missing; \
                         build it against this engine's wit/engine.wit";

/// A component whose core modules and instances are `inner`, and that is no plugin in any other way.
fn component(inner: &str) -> Vec<u8> {
    wat(&format!(r#"(component {inner} (instance (export "mr:engine/mapper@0.1.0")))"#))
}

#[test]
fn components_that_are_too_much() {
    let over = |content: &[u8], limit: &str, value: &str, cap: &str| {
        let message = format!("plugin PATH goes over the limit of {limit}: {value}, and {cap} are allowed");
        refused(content, &message);
    };
    let module =
        |fields: &str| component(&format!("(core module $m {fields}) (core instance (instantiate $m))"));
    over(&module("(memory 32768)"), "memory at the start", "2048 MiB", "256 MiB");
    over(&module("(table 5000000 funcref)"), "table elements", "5000000", "4194304");
    let many = |fields: &str, instances: usize| {
        let instance = "(core instance (instantiate $m))";
        component(&format!("(core module $m {fields}) {}", instance.repeat(instances)))
    };
    over(&many("(memory 1)", 65), "linear memories", "65", "64");
    over(&many(&"(table 1 funcref)".repeat(50), 21), "tables", "1050", "1000");
    // Growth at the start counts as well; a module that copes with the refusal is none the worse for it.
    let grow = |then: &str| {
        format!(
            "(memory 1) (func $start (if (i32.eq (memory.grow (i32.const 32768)) (i32.const -1)) (then {then})))
             (start $start)"
        )
    };
    over(&module(&grow("unreachable")), "memory at the start", "2049 MiB", "256 MiB");
    refused(&module(&grow("")), NO_MAPPER);
    let recurse = "(func $f (call $f)) (start $f)";
    over(&module(recurse), "call stack", "more than 1 MiB", "1 MiB");
}
