//! Plugins in JavaScript and TypeScript.

use std::path::Path;

use super::imports;
use super::project::{Project, detached, repository, succeeds};
use super::{TEMPLATES, check, check_failure, check_templates_pass, check_word_count};
use crate::support::Job;

#[test]
fn from_nothing_to_a_result() {
    check_word_count("javascript");
}

#[test]
#[ignore = "make test-languages"]
fn the_other_templates_pass() {
    check_templates_pass("javascript");
}

#[test]
#[ignore = "make test-languages"]
fn from_nothing_to_a_result_with_types() {
    check("typescript");
}

#[test]
fn the_sdk_passes_its_own_tests() {
    let mut command = detached(Path::new("/usr/bin/env"), &repository("guest-sdk/javascript"));
    command.args(["node", "--test", "tests"]);
    succeeds(command);
    for template in TEMPLATES {
        let project = Project::untooled("javascript", template);
        let mut command = detached(Path::new("/usr/bin/env"), &project.dir());
        command.args(["node", "--test"]);
        succeeds(command);
    }
}

#[test]
fn what_is_thrown_arrives_with_its_record_and_stack() {
    let project = Project::new("javascript", "empty");
    project.edit(
        "plugin.js",
        "out.emit(null, line)",
        "console.log('at', line); out.emit(line === 'bad' ? null.x : null, line)",
    );
    let component = project.built();
    let says = ["TypeError: ", "(plugin.js:9 in map); while mapping the line at byte 5: \"bad\""];
    let logs = ["info: at good", "info: at bad", "error:     at map (/plugin.js:9"];
    check_failure(&component, "good\nbad\n", &says, &logs);
    // Nothing of the machine, not even the imports for it.
    imports::check(&project, "javascript");
}

#[test]
#[ignore = "make test-languages"]
fn a_value_of_another_type_is_named() {
    let project = Project::new("javascript", "empty");
    project.edit("plugin.js", "out.emit(null, line)", "out.emit(null, line === 'bad' ? 7 : line)");
    let says = "the mapper emitted a value of another type: 7 is a number and not a value of type text";
    Job::of(&project.built()).input("good\nbad\n").fails(6, &[says]);
}

#[test]
#[ignore = "make test-languages"]
fn what_is_wrong_with_the_source_is_said_at_the_build() {
    let project = Project::new("javascript", "empty");
    project.edit("mr-engine.toml", "[\"mapper\"]", "[\"mapper\", \"reducer\"]");
    let ended = project.engine("build");
    assert_eq!(ended.code(), Some(5), "{}", ended.stderr);
    let says = "mr-engine.toml names the role reducer, and plugin.js exports mapper";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
    let project = Project::new("typescript", "empty");
    project.edit("plugin.ts", "out.emit(null, line)", "out.emit(line, line)");
    let ended = project.engine("build");
    assert_eq!(ended.code(), Some(5), "{}", ended.stderr);
    let says = [
        "my-empty was not built: tsc failed",
        "plugin.ts(9,14): error TS2345",
        "not assignable to parameter of type 'null'",
    ];
    for words in says {
        assert!(ended.stderr.contains(words), "{words:?} is not in {}", ended.stderr);
    }
}
