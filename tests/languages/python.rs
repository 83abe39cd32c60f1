//! Plugins in Python.

use std::path::Path;

use super::imports;
use super::project::{Project, detached, repository, succeeds};
use super::{TEMPLATES, check_failure, check_templates_pass, check_word_count};
use crate::support::Job;

#[test]
fn from_nothing_to_a_result() {
    check_word_count("python");
}

#[test]
#[ignore = "make test-languages"]
fn the_other_templates_pass() {
    check_templates_pass("python");
}

#[test]
fn the_sdk_passes_its_own_tests() {
    let path = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(repository("guest-sdk/python/sdk"), path.path().join("mr")).unwrap();
    let mut command = detached(Path::new("/usr/bin/env"), &repository("guest-sdk/python/tests"));
    command.args(["python3", "-m", "unittest", "test_sdk"]).env("PYTHONPATH", path.path());
    succeeds(command);
    for template in TEMPLATES {
        let project = Project::untooled("python", template);
        let mut command = detached(Path::new("/usr/bin/env"), &project.dir());
        command.args(["python3", "-m", "unittest"]);
        succeeds(command);
    }
}

#[test]
#[ignore = "make test-languages"]
fn an_exception_arrives_with_its_record_and_traceback() {
    let project = Project::new("python", "empty");
    project.edit(
        "plugin.py",
        "yield None, line",
        "print('at', line)\n    yield None, line if line != 'bad' else int(line)",
    );
    let component = project.built();
    let says = "ValueError: invalid literal for int() with base 10: 'bad' (plugin.py:9 in pass_on); \
                while mapping the line at byte 5: \"bad\"";
    let logs = [
        "info: at good",
        "info: at bad",
        "error: Traceback (most recent call last):",
        "error:   File \"plugin.py\", line 9, in pass_on",
        "error:     yield None, line if line != 'bad' else int(line)",
    ];
    check_failure(&component, "good\nbad\n", &[says], &logs);
    // Nothing of the machine, not even the imports for it.
    imports::check(&project, "python");
}

#[test]
#[ignore = "make test-languages"]
fn a_value_of_another_type_is_named() {
    let project = Project::new("python", "empty");
    project.edit("plugin.py", "yield None, line", "yield None, 7 if line == 'bad' else line");
    let says = "the mapper yielded the value \"7\", a int, and its values are of type text";
    Job::of(&project.built()).input("good\nbad\n").fails(6, &[says]);
    project.edit("plugin.py", "yield None, 7 if line == 'bad' else line", "return 7");
    let says = "the mapper returned 7: yield pairs of key and value, or return a dict; while mapping the line at byte 0: \"good\"";
    Job::of(&project.built()).input("good\nbad\n").fails(6, &[says]);
}

#[test]
#[ignore = "make test-languages"]
fn what_is_wrong_with_the_source_is_said_at_the_build() {
    let project = Project::new("python", "empty");
    let fails = |says: &str| {
        let ended = project.engine("build");
        assert_eq!(ended.code(), Some(5), "{}", ended.stderr);
        assert!(ended.stderr.contains("my-empty was not built: componentize-py failed"), "{}", ended.stderr);
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    };
    project.edit("mr-engine.toml", "[\"mapper\"]", "[\"mapper\", \"reducer\"]");
    fails("mr-engine.toml names the role reducer, and plugin.py declares mapper: @mr.reducer is missing");
    project.edit("plugin.py", "def pass_on(line):", "def pass_on(line:");
    fails("SyntaxError");
}
