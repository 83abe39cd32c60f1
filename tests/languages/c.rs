//! Plugins in C.

use super::check_word_count;
use super::compiled::{check_fault, check_templates, copy, natively, write_vectors};
use super::imports;
use super::project::Project;

const NATIVE: &str = "zig cc -g -fsanitize=undefined -Wall -Wextra -Werror -Imr -Ibuild/bindings test.c -o build/test && build/test";

#[test]
fn from_nothing_to_a_result() {
    check_word_count("c");
}

#[test]
#[ignore = "make test-languages"]
fn templates_pass_their_own_tests() {
    check_templates("c", NATIVE);
}

#[test]
#[ignore = "make test-languages"]
fn cells_are_those_of_the_vectors() {
    let project = Project::new("c", "empty").into_built();
    copy(&project, "guest-sdk/c/tests/vectors.c", "vectors.c");
    write_vectors(&project, "vectors.txt");
    let line = "zig cc -g -Imr -Ibuild/bindings vectors.c -o build/vectors && build/vectors vectors.txt";
    natively(&project, "c", line);
}

#[test]
#[ignore = "make test-languages"]
fn faults_name_their_record() {
    for (fault, says) in [
        ("abort();", "panicked: abort was called"),
        ("assert(line.text.len != 4);", "panicked: assertion failed: line.text.len != 4, "),
        ("mr_panic(\"no such luck\");", "panicked: no such luck"),
        ("return mr_invalid(\"no such line\");", "no such line"),
    ] {
        let project = Project::new("c", "empty");
        project.edit("main.c", "#include \"mr.h\"", "#include <assert.h>\n#include \"mr.h\"");
        let fault = format!("if (mr_equal(line.text, mr_text(\"boom\"))) {{ {fault} }}\n    mr_emit(");
        project.edit("main.c", "mr_emit(", &fault);
        check_fault(&project, says);
    }
}

#[test]
#[ignore = "make test-languages"]
fn what_is_printed_is_allowed_and_shows_in_the_imports() {
    let project = Project::new("c", "empty");
    project.edit("main.c", "#include \"mr.h\"", "#include <stdio.h>\n#include \"mr.h\"");
    project.edit("main.c", "mr_emit(", "printf(\"%zu bytes\\n\", line.text.len);\n    mr_emit(");
    project.built();
    assert!(imports::wasi(&project).contains(&"wasi:cli/stdout".to_owned()));
}

#[test]
#[ignore = "make test-languages"]
fn roles_are_those_of_the_project() {
    let project = Project::new("c", "wordcount");
    project.edit("mr-engine.toml", "\"combiner\", ", "");
    let ended = project.engine("build");
    assert_eq!(ended.code(), Some(5), "{}", ended.stderr);
    let says = "the plugin has a combiner, which `roles` in mr-engine.toml does not name";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
}
