//! Start-up: a job that has next to nothing to do.

use std::fs;

use anyhow::Result;

use crate::child::Invocation;
use crate::contest::{Contestant, contest};
use crate::digest::Form;
use crate::report::{Section, Spread, Target};
use crate::setup::Setup;

/// Most milliseconds of a tiny job whose plugin is compiled.
const WARM_MILLIS_MOST: f64 = 50.0;
/// Size of the input, in bytes.
const INPUT_BYTES: usize = 1024;
/// Runs for each run that was asked for: they are short.
const RUNS: usize = 4;

/// Measures.
pub fn run(setup: &Setup) -> Result<Section> {
    let input = setup.scratch("tiny.txt");
    fs::write(&input, "to be or not to be\n".repeat(INPUT_BYTES / 19))?;
    setup.warm("wordcount", &[])?;
    let output = setup.scratch("counts");
    let warm = setup.job("wordcount", &input, &output, &[]);
    let mut cold = setup.job("wordcount", &input, &output, &["--no-cache"]);
    let cache = cold.argv.iter().position(|arg| arg == "--cache-dir");
    cache.map(|at| cold.argv.drain(at..at + 2));
    let shell = Invocation::new(["sh", "-c", "tr -s '[:space:]' '\\n' < \"$1\" | sort | uniq -c", "sh"]);
    let mut shell = shell.env("LC_ALL", "C").stdout(&output);
    shell.argv.push(input.into());
    let outcome = contest(
        &[
            Contestant::new("tiny job, plugin compiled earlier", warm, output.clone(), Form::Counts),
            Contestant::new("tiny job, plugin compiled now", cold, output.clone(), Form::Counts),
            Contestant::new("tr | sort | uniq -c", shell, output, Form::UniqCounts),
        ],
        setup.runs * RUNS,
    )?;
    let mut section = Section::new("start-up: word count of 1 KiB");
    section.rows(outcome.rows());
    let millis: Spread = outcome.samples(0).iter().map(|sample| sample.wall.as_secs_f64() * 1e3).collect();
    section.number("tiny job, plugin compiled earlier", millis, "ms", Target::AtMost(WARM_MILLIS_MOST));
    Ok(section)
}
