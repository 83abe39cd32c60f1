//! Plugins in JavaScript and TypeScript.

use std::path::Path;

use super::check;
use super::project::{Project, detached, repository, succeeds};
use crate::support::Job;

#[test]
#[ignore = "make test-languages"]
fn from_nothing_to_a_result() {
    check("javascript");
}

#[test]
#[ignore = "make test-languages"]
fn from_nothing_to_a_result_with_types() {
    check("typescript");
}

#[test]
#[ignore = "make test-languages"]
fn the_sdk_passes_its_own_tests() {
    let mut command = detached(Path::new("/usr/bin/env"), &repository("guest-sdk/javascript"));
    command.args(["node", "--test", "tests"]);
    succeeds(command);
    let project = Project::new("javascript", "join");
    let mut command = detached(Path::new("/usr/bin/env"), &project.dir());
    command.args(["node", "--test"]);
    succeeds(command);
}

#[test]
#[ignore = "make test-languages"]
fn what_is_thrown_arrives_with_its_record_and_stack() {
    let project = Project::new("javascript", "empty");
    project.edit(
        "plugin.js",
        "out.emit(null, line)",
        "console.log('at', line); out.emit(line === 'bad' ? null.x : null, line)",
    );
    let component = project.built();
    let says = [
        "TypeError: ",
        "(plugin.js:9 in map); while mapping the line at byte 5: \"bad\"",
        "plugin log: info: at good",
        "plugin log: error:     at map (/plugin.js:9",
    ];
    Job::of(&component).input("good\nbad\n").fails(6, &says);
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
