//! Plugins in Rust, as an author writes them outside of this repository.

use std::path::Path;

use super::project::{Project, detached, succeeds};
use super::{TEMPLATES, check_templates_pass, check_word_count};

#[test]
fn from_nothing_to_a_result() {
    check_word_count("rust");
}

#[test]
#[ignore = "make test-languages"]
fn the_other_templates_pass_and_so_do_their_own_tests() {
    check_templates_pass("rust");
    for template in TEMPLATES {
        let project = Project::new("rust", template);
        let mut command = detached(Path::new("/usr/bin/env"), &project.dir());
        command.args(["cargo", "test", "--quiet", "--target-dir", "build/cargo"]);
        succeeds(command);
    }
}

#[test]
fn what_a_test_expects_and_does_not_get_is_shown() {
    let project = Project::new("rust", "empty");
    project.edit("tests/lines/expected.txt", "another", "an other");
    let ended = project.engine("test");
    assert_eq!(ended.code(), Some(10), "{}", ended.stderr);
    let shown = "test lines ... differs: line 2\n  expected \"an other\\n\"\n  got      \"another\\n\"\n";
    assert!(ended.stderr.contains(shown), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("mr-engine: 1 of 1 tests failed\n"), "{}", ended.stderr);
    project.edit("src/lib.rs", "out.emit((), line)", "out.emit(1, line)");
    let ended = project.engine("build");
    assert_eq!(ended.code(), Some(5), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("my-empty was not built: cargo failed with exit code 101\n"),
        "{}",
        ended.stderr
    );
    assert!(!project.component().exists(), "a component of an earlier build is left");
}
