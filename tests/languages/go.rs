//! Plugins in Go. The first build of all compiles Go's library for WebAssembly, which takes ten seconds.

use super::check_word_count;
use super::compiled::{check_fault, check_templates, copy, natively, write_vectors};
use super::project::Project;

#[test]
fn from_nothing_to_a_result() {
    check_word_count("go");
}

#[test]
#[ignore = "make test-languages"]
fn templates_pass_their_own_tests() {
    check_templates("go", "go vet . && go test");
}

#[test]
#[ignore = "make test-languages"]
fn cells_are_those_of_the_vectors() {
    let project = Project::new("go", "empty");
    copy(&project, "guest-sdk/go/tests/vectors_test.go", "mr/vectors_test.go");
    write_vectors(&project, "mr/vectors.txt");
    natively(&project, "go", "go test ./mr");
}

#[test]
#[ignore = "make test-languages"]
fn faults_name_their_record() {
    for (fault, says) in [
        ("panic(\"no such luck\")", "panicked: no such luck; at main.go:"),
        (
            "_ = line.Text[len(line.Text)+int(line.Offset)]",
            "panicked: runtime error: index out of range [8] with length 4; at main.go:",
        ),
        ("return mr.Invalid(\"no such line\")", "no such line"),
    ] {
        let project = Project::new("go", "empty");
        let fault = format!("if string(line.Text) == \"boom\" {{\n\t\t{fault}\n\t}}\n\tout.Emit(");
        project.edit("main.go", "out.Emit(", &fault);
        check_fault(&project, says);
    }
}

#[test]
#[ignore = "make test-languages"]
fn a_role_that_is_not_registered_is_missed_by_name() {
    let project = Project::new("go", "wordcount");
    project.edit("main.go", "\t\tReducer:  mr.Sum[mr.Text](),\n", "");
    let ended = project.engine("test");
    let says = "mr-engine.toml names the role reducer, but the program registers none";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
}
