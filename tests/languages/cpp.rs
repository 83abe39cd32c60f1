//! Plugins in C++. The first build of all compiles the library of C++, which takes a minute.

use super::project::{Project, check_fault, check_templates, check_word_count};
use super::vectors;

const NATIVE: &str = "zig c++ -std=c++23 -g -Wall -Wextra -Imr -Ibuild/bindings test.cpp -o build/test && build/test";

#[test]
#[ignore = "make test-languages"]
fn templates_build_and_import_nothing_but_the_engine() {
    check_templates("cpp", NATIVE, |_| false);
}

#[test]
#[ignore = "make test-languages"]
fn words_are_counted_as_everywhere() {
    check_word_count("cpp");
}

#[test]
#[ignore = "make test-languages"]
fn cells_are_those_of_the_vectors() {
    let project = Project::new("cpp", "empty");
    project.build();
    project.copy("guest-sdk/cpp/tests/vectors.cpp", "vectors.cpp");
    project.write("vectors.txt", vectors::lines());
    project.native(
        "zig c++ -std=c++23 -g -Imr -Ibuild/bindings vectors.cpp -o build/vectors && build/vectors vectors.txt",
    );
}

#[test]
#[ignore = "make test-languages"]
fn faults_name_their_record() {
    for (fault, says) in [
        ("std::abort();", "panicked: abort was called"),
        ("std::vector<int> none; (void)none.at(9);", "panicked: "),
        ("mr::panic(\"no such luck\");", "panicked: no such luck"),
        ("return mr::invalid(\"no such line\");", "no such line"),
    ] {
        let project = Project::new("cpp", "empty");
        project.replace("main.cpp", "#include \"mr.hpp\"", "#include <vector>\n#include \"mr.hpp\"");
        let fault = format!("if (line.text == \"boom\") {{ {fault} }}\n        out.emit(");
        project.replace("main.cpp", "out.emit(", &fault);
        check_fault(&project, &[says]);
    }
}
