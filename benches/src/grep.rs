//! Search: the engine against GNU grep, on the same text and patterns. Both write the lines that
//! match to files; the engine's parts in order are the bytes that grep writes.

use anyhow::Result;

use crate::child::Invocation;
use crate::contest::{Contestant, contest};
use crate::digest::Form;
use crate::report::{Section, Target, mib};
use crate::setup::Setup;

/// Most times of GNU grep that the engine may take.
const GNU_MOST: f64 = 4.0;

/// A pattern that means the same to both.
struct Pattern {
    what: &'static str,
    pattern: &'static str,
    /// As option of grep: a fixed string or an extended regular expression.
    kind: &'static str,
}

const PATTERNS: [Pattern; 7] = [
    Pattern { what: "string, nowhere", pattern: "zyzzyva_quux", kind: "-F" },
    Pattern { what: "string, rare", pattern: "copy_from_user", kind: "-F" },
    Pattern { what: "string, often", pattern: "return", kind: "-F" },
    Pattern { what: "string, a quarter of the lines", pattern: ";", kind: "-F" },
    Pattern { what: "regex after a string", pattern: "^static .*_(init|exit)\\(void\\)", kind: "-E" },
    Pattern { what: "regex of alternatives", pattern: "_(init|exit)\\(void\\)", kind: "-E" },
    Pattern { what: "regex without strings", pattern: "[a-z]+_[0-9]+_[a-z]+\\(", kind: "-E" },
];

/// Measures.
pub fn run(setup: &Setup) -> Result<Section> {
    let bytes = setup.sizes.grep_bytes;
    let input = setup.data.text(bytes)?;
    let output = setup.scratch("lines");
    setup.warm("grep", &["--param", "pattern=x"])?;
    let mut section = Section::new(format!("grep of {:.0} MiB, lines written to files", mib(bytes)));
    let mut findings = Vec::new();
    for Pattern { what, pattern, kind } in PATTERNS {
        let param = format!("pattern={pattern}");
        let engine = setup.job("grep", &input, &output, &["--param", &param]);
        let gnu = |locale: &str| {
            let mut grep = Invocation::new(["grep", "-a", kind, pattern]).env("LC_ALL", locale);
            grep.argv.push(input.clone().into());
            let grep = grep.stdout(&output);
            let name = format!("GNU grep, LC_ALL={locale}: {what}");
            Contestant { accepted: &[1], ..Contestant::new(name, grep, output.clone(), Form::Bytes) }
        };
        let engine = Contestant::new(format!("mr-engine: {what}"), engine, output.clone(), Form::Bytes);
        let outcome = contest(&[engine, gnu("C"), gnu("C.UTF-8")], setup.runs)?;
        section.rows(outcome.rows());
        let name = format!("{what}: {} lines, {:.0} MiB", outcome.digest.rows, mib(outcome.digest.bytes));
        findings.push((format!("{name}, C"), outcome.ratio(0, 1), Target::AtMost(GNU_MOST)));
        findings.push((format!("{name}, C.UTF-8"), outcome.ratio(0, 2), Target::None));
    }
    for (name, ratio, target) in findings {
        section.ratio(name, ratio, target);
    }
    Ok(section)
}
