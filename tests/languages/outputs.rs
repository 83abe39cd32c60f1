//! Named outputs in every language: what a mapper and a reducer emit to them lies in folders of their names, byte for
//! byte; a stage that has none says so; and the doubles of the compiled languages, which plugins are tested
//! with, do what the engine does.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use super::compiled::{copy, natively};
use super::pages::sections;
use super::project::{Project, repository};
use super::sides::entry;
use crate::outputs::{assert_same_files, routed, text};
use crate::support::Job;

const LANGUAGES: [&str; 9] =
    ["rust", "python", "javascript", "typescript", "go", "c", "cpp", "zig", "assemblyscript"];

/// The recipe of a language's page: amounts are added up, and what is none goes to the output `errors`.
fn recipe(language: &str) -> String {
    let page = match language {
        "python" => "docs/cookbook.md".to_owned(),
        "rust" => "guest-sdk/README.md".to_owned(),
        "typescript" => "guest-sdk/javascript/README.md".to_owned(),
        _ => format!("guest-sdk/{language}/README.md"),
    };
    let sections = sections(&page);
    let section = sections.iter().find(|section| section.title == "Named outputs").expect("a section");
    section.blocks[0].1.replace("example.com/words", "example.com/my-empty")
}

/// A mapper that sends records to where the plugin `route` does.
fn cut(language: &str) -> String {
    let ending = match language {
        "rust" => "rs",
        "python" => "py",
        "javascript" | "typescript" => "js",
        "assemblyscript" => "ts",
        same => same,
    };
    fs::read_to_string(repository(&format!("tests/languages/outputs/cut.{ending}"))).unwrap()
}

/// A project with this source, built, and its component.
#[track_caller]
fn built(language: &str, source: &str, roles: &str) -> (Project, PathBuf) {
    let project = Project::new(language, "empty");
    fs::write(entry(&project.dir()), source).unwrap();
    project.edit("mr-engine.toml", "[\"mapper\"]", roles);
    let component = project.built();
    (project, component)
}

#[track_caller]
fn check(language: &str) {
    let file = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
    let (_total, total) = built(language, &recipe(language), "[\"mapper\", \"reducer\"]");
    let done = Job::of(&total).input("Ada\t12\nGrace\t7\nAda\ttwelve\nAda\t30\n").args("--reducers 1").done();
    let expected =
        [file("part-r-00000", "Ada\t42\nGrace\t7\n"), file("errors/part-r-00000", "Ada\ttwelve\n")];
    assert_same_files(&done.parts, &expected);

    // Enough for several batches of each output.
    let text = text(60_000);
    let (_cut, cut) = built(language, &cut(language), "[\"mapper\"]");
    let done = Job::of(&cut).input(&text).args("--reducers 0").done();
    let mut expected = Vec::new();
    for (output, lines) in routed(text.lines()) {
        let mut name = output.to_owned();
        write!(name, "{}part-m-00000", if output.is_empty() { "" } else { "/" }).unwrap();
        expected.push((name, lines.concat().into_bytes()));
    }
    assert_same_files(&done.parts, &expected);
    assert_eq!(done.manifest["output"]["ports"][1]["types"]["value"], "u64");

    // A mapper before a reducer has none.
    let says = ["there is no output errors in this stage", "of a job without"];
    let staged = Job::staged().arg("--map").arg(&cut).arg("--reduce").arg(&total);
    staged.input("b !no\n").args("--reducers 1").fails(6, &says);
}

#[test]
#[ignore = "make test-languages"]
fn every_language_writes_to_them() {
    for language in LANGUAGES {
        eprintln!("{language}");
        check(language);
    }
}

#[test]
#[ignore = "make test-languages"]
fn doubles_have_them_and_group_by_a_prefix() {
    let native = "-Imr -Ibuild/bindings -o build/double";
    for (language, file, to, line) in [
        ("go", "double_test.go", "mr/double_test.go", "go test ./mr"),
        (
            "c",
            "double.c",
            "double.c",
            &format!("zig cc -fsanitize=undefined -Wall -Wextra -Werror {native} double.c && build/double"),
        ),
        (
            "cpp",
            "double.cpp",
            "double.cpp",
            &format!(
                "zig c++ -std=c++23 -Wall -Wextra -Wno-missing-field-initializers {native} double.cpp && build/double"
            ),
        ),
        ("zig", "double.zig", "double.zig", "zig test --dep mr -Mroot=double.zig -Mmr=mr/mr.zig"),
        (
            "assemblyscript",
            "double.ts",
            "double.ts",
            &format!("asc double.ts {}", super::assemblyscript::TEST_OPTIONS),
        ),
    ] {
        eprintln!("{language}");
        // Bindings are among what is built.
        let project = Project::new(language, "empty").into_built();
        copy(&project, &format!("guest-sdk/{language}/tests/{file}"), to);
        natively(&project, language, line);
    }
}
