//! Plugins in AssemblyScript. Its compiler runs in node.

use std::fs;

use super::check_word_count;
use super::compiled::{check_fault, check_templates, copy, natively};
use super::project::Project;
use super::vectors;

/// What tests in AssemblyScript are compiled with, and run by.
pub const TEST_OPTIONS: &str = "-o build/test.wasm --runtime minimal --enable simd --disableWarning 906 --exportStart _start \
    --use abort=mr/panic/mrAbort && node mr/test.mjs build/test.wasm";

#[test]
fn from_nothing_to_a_result() {
    check_word_count("assemblyscript");
}

#[test]
#[ignore = "make test-languages"]
fn templates_pass_their_own_tests() {
    check_templates("assemblyscript", &format!("asc test.ts {TEST_OPTIONS}"));
}

#[test]
#[ignore = "make test-languages"]
fn cells_are_those_of_the_vectors() {
    let project = Project::new("assemblyscript", "empty").into_built();
    copy(&project, "guest-sdk/assemblyscript/tests/vectors.ts", "vectors.ts");
    let lines = format!("export const VECTORS: string = {:?};\n", vectors::lines().trim_end());
    fs::write(project.dir().join("lines.ts"), lines).unwrap();
    natively(&project, "assemblyscript", &format!("asc vectors.ts {TEST_OPTIONS}"));
}

#[test]
#[ignore = "make test-languages"]
fn faults_name_their_record() {
    for (fault, says) in [
        ("throw new Error(\"no such luck\");", "panicked: no such luck; at main.ts:"),
        ("assert(line.text.len == 0);", "panicked: "),
        ("log(3, line.text.at(9).toString());", "panicked: byte 9 of 4"),
        ("return invalid(\"no such line\");", "no such line"),
    ] {
        let project = Project::new("assemblyscript", "empty");
        project.edit("main.ts", "register }", "invalid, log, register }");
        let fault = format!("if (line.text.equals(\"boom\")) {{ {fault} }}\n    out.emit(");
        project.edit("main.ts", "out.emit(", &fault);
        check_fault(&project, says);
    }
}

#[test]
#[ignore = "make test-languages"]
fn what_there_is_not_is_refused_by_name() {
    let project = Project::new("assemblyscript", "empty");
    project.edit("main.ts", "out.emit(", "console.log(\"here\");\n    out.emit(");
    let ended = project.engine("build");
    assert_eq!(ended.code(), Some(5), "{}", ended.stderr);
    let says =
        "a function console.log of \"env\", which is neither in the program nor in the plugin interface";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
}
