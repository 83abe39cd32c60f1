//! Plugins in C.

use super::project::{Project, check_fault, check_templates, check_word_count};
use super::vectors;

const NATIVE: &str =
    "zig cc -g -fsanitize=undefined -Wall -Wextra -Werror -Imr -Ibuild/bindings test.c -o build/test && build/test";

#[test]
fn templates_build_and_import_nothing_but_the_engine() {
    check_templates("c", NATIVE, |_| false);
}

#[test]
fn words_are_counted_as_everywhere() {
    check_word_count("c");
}

#[test]
fn cells_are_those_of_the_vectors() {
    let project = Project::new("c", "empty");
    project.build();
    project.copy("guest-sdk/c/tests/vectors.c", "vectors.c");
    project.write("vectors.txt", vectors::lines());
    project.native("zig cc -g -Imr -Ibuild/bindings vectors.c -o build/vectors && build/vectors vectors.txt");
}

#[test]
fn faults_name_their_record() {
    for (fault, says) in [
        ("abort();", "panicked: abort was called"),
        ("assert(line.text.len != 4);", "panicked: assertion failed: line.text.len != 4, "),
        ("mr_panic(\"no such luck\");", "panicked: no such luck"),
        ("return mr_invalid(\"no such line\");", "no such line"),
    ] {
        let project = Project::new("c", "empty");
        project.replace("main.c", "#include \"mr.h\"", "#include <assert.h>\n#include \"mr.h\"");
        let fault = format!("if (mr_equal(line.text, mr_text(\"boom\"))) {{ {fault} }}\n    mr_emit(");
        project.replace("main.c", "mr_emit(", &fault);
        check_fault(&project, &[says]);
    }
}

#[test]
fn what_is_printed_is_allowed_and_shows_in_the_imports() {
    let project = Project::new("c", "empty");
    project.replace("main.c", "#include \"mr.h\"", "#include <stdio.h>\n#include \"mr.h\"");
    project.replace("main.c", "mr_emit(", "printf(\"%zu bytes\\n\", line.text.len);\n    mr_emit(");
    let component = project.build();
    assert!(project.wasi_imports(&component).iter().any(|name| name.starts_with("wasi:cli/stdout")));
}

#[test]
fn roles_are_those_of_the_project() {
    let project = Project::new("c", "wordcount");
    project.replace("mr-engine.toml", ", \"combiner\"", "");
    let ended = project.engine(&["build"]);
    assert_eq!(ended.code(), Some(5), "{}", ended.stderr);
    let says = "the plugin has a combiner, which `roles` in mr-engine.toml does not name";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
}
