//! The search over chunks against one search for each line.

use guest_sdk::testing::Test;

use super::*;

const TEXT: &str = "the cat\n\nsat on the mat\nCAT\n  mat\r\nno\nxaax\na b\nand the last line has no end";

fn grep(pattern: &str, flags: &[&str]) -> String {
    let test =
        flags.iter().fold(Test::new().param("pattern", pattern), |test, flag| test.param(flag, "true"));
    let run = test.map::<Matches>(TEXT).unwrap();
    let matched = run.counters.get("lines matched").copied().unwrap_or(0);
    let lines = run.text().lines().count() as i64;
    let all = TEXT.lines().count() as i64;
    assert_eq!(matched, if flags.contains(&"invert") { all - lines } else { lines }, "{pattern}");
    run.text()
}

#[test]
fn lines_are_those_that_match_alone() {
    let patterns = [
        "cat",
        "mat$",
        "^the",
        "^$",
        "",
        "x*",
        "a|b",
        r"\s",
        r"t\s+",
        r"[^x]*",
        r"(?s).*",
        r"^\w+$",
        r"\bt",
        r"(a+)x$",
        r"\r$",
        r"\w+ cat",
        r"[a-z]+ (on|line)",
        r"(sat|last|mat)\s",
        "nowhere",
    ];
    for pattern in patterns {
        for ignore_case in [false, true] {
            // A single line is all that the reference sees, so it cannot match across lines.
            let alone = regex_automata::meta::Regex::builder()
                .syntax(
                    regex_automata::util::syntax::Config::new()
                        .multi_line(true)
                        .case_insensitive(ignore_case),
                )
                .build(pattern)
                .unwrap();
            let select = |wanted: bool| -> String {
                let lines = TEXT.split('\n').filter(|line| alone.is_match(line) == wanted);
                lines.map(|line| format!("{line}\n")).collect()
            };
            let case: &[&str] = if ignore_case { &["ignore-case"] } else { &[] };
            assert_eq!(grep(pattern, case), select(true), "{pattern}");
            assert_eq!(grep(pattern, &[case, &["invert"]].concat()), select(false), "not {pattern}");
        }
    }
}

#[test]
fn a_bad_pattern_is_fatal_and_named() {
    for pattern in ["(", r"a\nb", r"\Athe", r"no\z"] {
        let error = Test::new().param("pattern", pattern).map::<Matches>(TEXT).unwrap_err();
        assert!(error.message().starts_with("parameter pattern: "), "{error}");
        assert_eq!(error.kind(), Some(guest_sdk::ErrorKind::Fatal));
    }
    assert!(Test::new().map::<Matches>(TEXT).unwrap_err().message().contains("pattern is required"));
}
