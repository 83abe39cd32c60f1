//! Plugins in Zig.

use super::check_word_count;
use super::compiled::{check_fault, check_templates, copy, natively, write_vectors};
use super::project::Project;

#[test]
fn from_nothing_to_a_result() {
    check_word_count("zig");
}

#[test]
#[ignore = "make test-languages"]
fn templates_pass_their_own_tests() {
    check_templates("zig", "zig test --dep mr -Mroot=main.zig -Mmr=mr/mr.zig");
}

#[test]
#[ignore = "make test-languages"]
fn cells_are_those_of_the_vectors() {
    let project = Project::new("zig", "empty");
    copy(&project, "guest-sdk/zig/tests/vectors.zig", "vectors.zig");
    write_vectors(&project, "vectors.txt");
    natively(&project, "zig", "zig test --dep mr -Mroot=vectors.zig -Mmr=mr/mr.zig && zig test mr/words.zig");
}

#[test]
#[ignore = "make test-languages"]
fn faults_name_their_record() {
    for (fault, says) in [
        ("@panic(\"no such luck\")", "panicked: no such luck"),
        (
            "return mr.invalid(\"{d}\", .{line.text[line.text.len + line.text[0]]})",
            "panicked: index out of bounds: index 102, len 4",
        ),
        ("return mr.invalid(\"no such {s}\", .{line.text})", "no such boom"),
        ("return error.NoSuchLine", "NoSuchLine"),
    ] {
        let project = Project::new("zig", "empty");
        let fault = format!("if (line.text.len == 4) {fault};\n        out.emit(");
        project.edit("main.zig", "out.emit(", &fault);
        check_fault(&project, says);
    }
}

#[test]
#[ignore = "make test-languages"]
fn roles_are_those_of_the_project() {
    let project = Project::new("zig", "wordcount");
    let fails = |says: &str| {
        let ended = project.engine("build");
        assert_eq!(ended.code(), Some(5), "{}", ended.stderr);
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    };
    project.edit("mr-engine.toml", "\"combiner\", ", "");
    fails("the code has a combiner, which `roles` does not name");
    project.edit("mr-engine.toml", "\"reducer\"", "\"combiner\", \"reducer\", \"partitioner\"");
    fails("`roles` names a partitioner, but the code has none");
}
