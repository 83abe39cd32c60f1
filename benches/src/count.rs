//! Word count: the engine against the same functions in a native program, a native program with
//! functions of its own, and what a shell does.

use anyhow::Result;

use crate::child::Invocation;
use crate::contest::{Contestant, contest};
use crate::digest::Form;
use crate::report::{Section, Target, mib};
use crate::setup::{MEMORY, Setup, WORKERS};

/// Most times of the native reference that the engine may take.
const NATIVE_MOST: f64 = 1.6;
/// Least times of the engine that the shell takes.
const SHELL_LEAST: f64 = 8.0;
/// Runs of the shell, which takes far longer than all others.
const SHELL_RUNS: usize = 3;

/// Measures.
pub fn run(setup: &Setup) -> Result<Section> {
    let bytes = setup.sizes.count_bytes;
    let input = setup.data.text(bytes)?;
    setup.warm("wordcount", &[])?;
    let output = setup.scratch("counts");
    let engine = setup.job("wordcount", &input, &output, &["--memory", MEMORY]);
    let script = format!(
        "tr -s '[:space:]' '\\n' < \"$1\" | sort --parallel={WORKERS} -S {MEMORY} -T \"$2\" | uniq -c"
    );
    let mut shell = Invocation::new(["sh", "-c", &script, "sh"]).env("LC_ALL", "C").stdout(&output);
    shell.argv.extend([input.clone().into(), setup.scratch("").into()]);
    let typed = "tr -s '[:space:]' '\\n' < \"$1\" | sort | uniq -c";
    let mut plain = Invocation::new(["sh", "-c", typed, "sh"]).env("LC_ALL", "C.UTF-8").stdout(&output);
    plain.argv.push(input.clone().into());
    let outcome = contest(
        &[
            Contestant::new("mr-engine, sandboxed", engine, output.clone(), Form::Counts),
            Contestant::new(
                "native, same functions, no sandbox",
                setup.reference("native-count", &input, &output),
                output.clone(),
                Form::Counts,
            ),
            Contestant::new(
                "native, hash tables, text in memory",
                setup.reference("native-tuned", &input, &output),
                output.clone(),
                Form::Counts,
            ),
            Contestant::new(
                "tr | sort --parallel=2 -S 4G | uniq -c, LC_ALL=C",
                shell,
                output.clone(),
                Form::UniqCounts,
            )
            .runs_max(SHELL_RUNS),
            Contestant::new("tr | sort | uniq -c, LC_ALL=C.UTF-8", plain, output, Form::UniqCounts)
                .runs_max(SHELL_RUNS),
        ],
        setup.runs,
    )?;
    let mut section =
        Section::new(format!("word count of {:.0} MiB, {} words found", mib(bytes), outcome.digest.rows));
    section.rows(outcome.rows());
    section.ratio("engine over native", outcome.ratio(0, 1), Target::AtMost(NATIVE_MOST));
    section.ratio("engine over native hash tables", outcome.ratio(0, 2), Target::None);
    section.ratio("shell, as it is typed, over engine", outcome.ratio(4, 0), Target::AtLeast(SHELL_LEAST));
    section.ratio("shell, tuned, over engine", outcome.ratio(3, 0), Target::AtLeast(SHELL_LEAST));
    Ok(section)
}
