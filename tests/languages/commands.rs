//! What an author may do wrong before there is a component: each ends in one sentence.

use std::fs;
use std::path::Path;

use crate::support::process::{Ended, command, run};

fn engine(dir: &Path, args: &[&str]) -> Ended {
    let mut command = command(dir);
    command.args(args);
    run(command)
}

#[track_caller]
fn fails(dir: &Path, args: &[&str], code: i32, says: &[&str]) {
    let ended = engine(dir, args);
    assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
    for words in says {
        assert!(ended.stderr.contains(words), "{words:?} is not in {:?}", ended.stderr);
    }
}

#[test]
fn a_project_is_made_once_and_from_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let made = engine(dir.path(), &["new", "words", "--lang", "py"]);
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    assert!(String::from_utf8(made.stdout).unwrap().contains("next: cd words && mr-engine test"));
    for file in ["mr-engine.toml", "plugin.py", "README.md", "mr/__init__.py", "tests/words/expected.txt"] {
        assert!(dir.path().join("words").join(file).is_file(), "{file}");
    }
    fails(dir.path(), &["new", "words", "--lang", "python"], 2, &["words: there is something already"]);
    fails(dir.path(), &["new", "Words", "--lang", "python"], 2, &["\"Words\" cannot be a project's name"]);
    fails(dir.path(), &["new", "w", "--lang", "cobol"], 2, &["no language \"cobol\"; there are ", "python"]);
    fails(
        dir.path(),
        &["new", "w", "--lang", "rust", "-t", "x"],
        2,
        &["no template \"x\"; it has empty, grep"],
    );
    assert!(!dir.path().join("w").exists());
}

#[test]
fn what_is_missing_or_misspelt_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fails(dir.path(), &["build"], 2, &["no mr-engine.toml here; `mr-engine new` makes a project"]);
    assert_eq!(engine(dir.path(), &["new", "words", "--lang", "python"]).code(), Some(0));
    let words = dir.path().join("words");
    let says = [
        "Python needs componentize-py 0.25.1, and componentize-py was not found on PATH nor in ",
        "tools/python/bin: pip install componentize-py==0.25.1",
    ];
    fails(&words, &["build", "--toolchains", "tools"], 2, &says);
    fails(&words, &["test"], 2, &["pip install"]);
    fails(&words, &["test", "--no-build"], 2, &["words.wasm is not there; leave out --no-build"]);
    fails(&words, &["test", "--case", "more"], 2, &["has no case \"more\"; it has words"]);
    let file = words.join("mr-engine.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("combiner", "combinor")).unwrap();
    fails(&words, &["build"], 2, &["mr-engine.toml: \"combinor\" is no role; did you mean combiner?"]);
    fs::write(&file, text.replace("plugin.py", "plug.py")).unwrap();
    fails(&words, &["build"], 2, &["plug.py is not there; `entry` and `sources` name the author's files"]);
}
