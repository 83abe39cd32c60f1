//! What is told of a component before it is compiled: all of it, and nothing that loading would not say.

use std::path::Path;

use mr_sandbox::survey::{Aspect, Finding, Gravity, survey};

use crate::support::{guest, load};

const MIB: u64 = 1 << 20;

fn findings(bytes: &[u8], gravity: Gravity) -> Vec<(Aspect, String)> {
    let found = survey(Path::new("p.wasm"), bytes, 64 * MIB).into_iter();
    found
        .filter(|f| f.gravity == gravity)
        .map(|Finding { aspect, sentence, .. }| (aspect, sentence))
        .collect()
}

fn refused(text: &str) -> Vec<(Aspect, String)> {
    findings(&wat::parse_str(text).unwrap(), Gravity::Refused)
}

#[test]
fn a_plugin_that_loads_is_fine() {
    let bytes = std::fs::read(guest()).unwrap();
    assert_eq!(findings(&bytes, Gravity::Refused), []);
    let fine = findings(&bytes, Gravity::Fine);
    let has = |aspect, words: &str| fine.iter().any(|(of, said)| *of == aspect && said.contains(words));
    for (aspect, words) in [
        (Aspect::File, "a component of "),
        (Aspect::Import, "mr:engine/output@0.1.0: emits records"),
        (Aspect::Import, ": nothing: no variables, no arguments, no folder"),
        (Aspect::Role, "mapper with open, map-batch, close"),
        (Aspect::Role, "partitioner with open, partition-batch"),
        (Aspect::Role, "plugin with describe"),
        (Aspect::Memory, " of linear memory to begin with; 64 MiB are allowed"),
        (Aspect::Tables, " elements of tables to begin with; 4194304 are allowed"),
        (Aspect::Instances, " core instances to begin with"),
    ] {
        assert!(has(aspect, words), "{words:?} is not in {fine:#?}");
    }
    // Every import is named once.
    let plugin = load(None, guest()).unwrap();
    let all = survey(Path::new("p.wasm"), &bytes, 64 * MIB);
    let imports = all.iter().filter(|finding| finding.aspect == Aspect::Import).count();
    assert_eq!(imports, plugin.imports().len());
}

#[test]
fn everything_that_is_wrong_is_found_at_once() {
    let found = refused(
        r#"(component
            (import "wasi:http/types@0.2.0" (instance))
            (import "env" (func))
            (import "mr:engine/output@0.9.0" (instance))
            (import "mr:engine/counters@0.1.0" (instance (export "add" (func (param "n" u32)))))
            (import "mr:engine/config@0.1.0" (instance (export "set" (func))))
            (core module $m (memory 1025) (table 4194305 funcref))
            (core instance (instantiate $m))
            (instance $i)
            (export "mr:engine/mapper@0.1.0" (instance $i))
            (export "mr:engine/reducer@0.2.0" (instance $i)))"#,
    );
    let foreign = |import: &str| {
        format!(
            "imports {import}, which this engine does not offer; plugins may import mr:engine@0.1.0 and WASI 0.2 (cli, \
             clocks, filesystem, io, random, sockets)"
        )
    };
    let version = |interface: &str| {
        format!(
            "is built for {interface}, and this engine speaks mr:engine@0.1.0; build it with an SDK for that version"
        )
    };
    let misfit = |interface: &str, what: &str| {
        format!(
            "does not fit mr:engine/{interface}@0.1.0: {what}; build it against this engine's wit/engine.wit"
        )
    };
    let expected = [
        (Aspect::Import, foreign("wasi:http/types@0.2.0")),
        (Aspect::Import, foreign("env")),
        (Aspect::Import, version("mr:engine/output@0.9.0")),
        (
            Aspect::Import,
            misfit(
                "counters",
                "import: function `add`: it is func(u32) and has to be func(list<tuple<string, s64>>)",
            ),
        ),
        (Aspect::Import, misfit("config", "import: function `set`: there is none of this name")),
        (Aspect::Role, version("mr:engine/reducer@0.2.0")),
        (Aspect::Role, misfit("mapper", "function `open`: it is missing")),
        (Aspect::Role, misfit("mapper", "function `map-batch`: it is missing")),
        (Aspect::Role, misfit("mapper", "function `close`: it is missing")),
        (
            Aspect::Memory,
            "65 MiB of linear memory to begin with, and 64 MiB are allowed; raise --guest-memory, or build it with less"
                .to_owned(),
        ),
        (
            Aspect::Tables,
            "4194305 elements of tables to begin with, and 4194304 are allowed; build it with smaller ones"
                .to_owned(),
        ),
    ];
    assert_eq!(found, expected);
}

/// What loading refuses is refused here in the same words.
#[test]
fn the_sentences_are_those_of_loading() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plugin.wasm");
    let texts = [
        "(module)",
        "(component)",
        r#"(component (import "wasi:cli/stdout@0.3.0" (instance)))"#,
        r#"(component (import "mr:engine/output@0.1.1" (instance)))"#,
        r#"(component (instance $i) (export "mr:engine/mapper@0.2.0" (instance $i)))"#,
        r#"(component (instance $i) (export "mr:engine/mapper@0.1.0" (instance $i)))"#,
    ];
    let mut files: Vec<Vec<u8>> = texts.iter().map(|text| wat::parse_str(text).unwrap()).collect();
    files.push(b"text".to_vec());
    files.push(b"\0asm\x0c\0\x01\0".to_vec());
    for bytes in files {
        std::fs::write(&path, &bytes).unwrap();
        let Err(error) = load(None, &path) else { panic!("it loaded: {bytes:?}") };
        let found = survey(&path, &bytes, 64 * MIB);
        let first = found.iter().find(|finding| finding.gravity == Gravity::Refused).unwrap();
        assert_eq!(first.sentence, error.about(&path));
    }
}

/// Whatever the bytes: an answer.
#[test]
fn damaged_components_are_answered() {
    let whole = wat::parse_str(
        r#"(component
            (core module $m (memory 1) (func))
            (core instance (instantiate $m))
            (import "mr:engine/config@0.1.0" (instance (export "get" (func (param "key" string)))))
            (component $c (instance $i) (export "x" (instance $i)))
            (instance (instantiate $c)))"#,
    )
    .unwrap();
    for cut in 0..whole.len() {
        assert_ne!(findings(&whole[..cut], Gravity::Refused), [], "{cut}");
    }
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            drop(survey(Path::new("p.wasm"), &changed, MIB));
        }
    }
}
