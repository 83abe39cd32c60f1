//! Plugins in Zig.

use super::project::{Project, check_fault, check_templates, check_word_count};
use super::vectors;

#[test]
fn templates_build_and_import_nothing_but_the_engine() {
    check_templates("zig", "zig test --dep mr -Mroot=main.zig -Mmr=mr/mr.zig", |_| false);
}

#[test]
fn words_are_counted_as_everywhere() {
    check_word_count("zig");
}

#[test]
fn cells_are_those_of_the_vectors() {
    let project = Project::new("zig", "empty");
    project.copy("guest-sdk/zig/tests/vectors.zig", "vectors.zig");
    project.write("vectors.txt", vectors::lines());
    project.native("zig test --dep mr -Mroot=vectors.zig -Mmr=mr/mr.zig");
    project.native("zig test mr/words.zig");
}

#[test]
fn faults_name_their_record() {
    for (fault, says) in [
        ("@panic(\"no such luck\")", "panicked: no such luck"),
        ("_ = line.text[line.text.len + line.offset]", "panicked: index out of bounds"),
        ("return mr.invalid(\"no such {s}\", .{line.text})", "no such boom"),
        ("return error.NoSuchLine", "NoSuchLine"),
    ] {
        let project = Project::new("zig", "empty");
        let fault = format!("if (line.text.len == 4) {fault};\n        out.emit(");
        project.replace("main.zig", "out.emit(", &fault);
        check_fault(&project, &[says]);
    }
}

#[test]
fn roles_are_those_of_the_project() {
    let project = Project::new("zig", "wordcount");
    project.replace("mr-engine.toml", ", \"combiner\"", "");
    let ended = project.engine(&["build"]);
    assert_eq!(ended.code(), Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("the code has a combiner, which `roles` does not name"), "{}", ended.stderr);
    project.replace("mr-engine.toml", "\"reducer\"", "\"combiner\", \"reducer\", \"partitioner\"");
    let ended = project.engine(&["build"]);
    assert!(ended.stderr.contains("`roles` names a partitioner, but the code has none"), "{}", ended.stderr);
}
