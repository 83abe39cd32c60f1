//! Plugins in C++. The first build of all compiles the library of C++, which takes a minute.

use super::check_word_count;
use super::compiled::{check_fault, check_templates, copy, natively, write_vectors};
use super::project::Project;

const NATIVE: &str = "zig c++ -std=c++23 -g -Wall -Wextra -Wno-missing-field-initializers -Imr -Ibuild/bindings test.cpp \
    -o build/test && build/test";

#[test]
#[ignore = "make test-languages"]
fn from_nothing_to_a_result() {
    check_word_count("cpp");
}

#[test]
#[ignore = "make test-languages"]
fn templates_pass_their_own_tests() {
    check_templates("cpp", NATIVE);
}

#[test]
#[ignore = "make test-languages"]
fn cells_are_those_of_the_vectors() {
    let project = Project::new("cpp", "empty").into_built();
    copy(&project, "guest-sdk/cpp/tests/vectors.cpp", "vectors.cpp");
    write_vectors(&project, "vectors.txt");
    let line = "zig c++ -std=c++23 -g -Imr -Ibuild/bindings vectors.cpp -o build/vectors && build/vectors vectors.txt";
    natively(&project, "cpp", line);
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
        project.edit("main.cpp", "#include \"mr.hpp\"", "#include <vector>\n#include \"mr.hpp\"");
        let fault = format!("if (line.text == \"boom\") {{ {fault} }}\n        out.emit(");
        project.edit("main.cpp", "out.emit(", &fault);
        check_fault(&project, says);
    }
}
