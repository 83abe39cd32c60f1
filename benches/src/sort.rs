//! Sort of records: the engine against GNU sort and a native program, in memory and with a budget
//! that makes both spill. All sort the same file: records of 100 bytes that end in a newline, so
//! that they are lines as well, and all must write the same bytes.

use std::path::Path;

use anyhow::Result;

use crate::child::Invocation;
use crate::contest::{Contestant, contest};
use crate::digest::Form;
use crate::report::{Section, Target, mib};
use crate::setup::{MEMORY, Setup, WORKERS};

/// The engine takes less time than GNU sort: at least so many times.
const GNU_LEAST: f64 = 1.0;
/// A budget that the records do not fit in.
const LITTLE_MEMORY: &str = "256M";
/// As options of the engine.
pub const FIXED: [&str; 2] = ["--input-format", "fixed:100:10"];

/// Measures.
pub fn run(setup: &Setup) -> Result<Section> {
    let bytes = setup.sizes.sort_bytes;
    let input = setup.data.records(bytes)?;
    setup.warm("sort", &FIXED)?;
    let mut section = Section::new(format!("sort of {:.0} MiB in records of 100 bytes", mib(bytes)));

    let much = contest(
        &[
            engine(setup, &input, "fixed:100:10", MEMORY),
            engine(setup, &input, "line-keys", MEMORY),
            gnu_sort(setup, &input, MEMORY),
            Contestant::new(
                "native, all in memory",
                setup.reference("native-sort", &input, &setup.scratch("sorted")),
                setup.scratch("sorted"),
                Form::Bytes,
            ),
        ],
        setup.runs,
    )?;
    section.rows(much.rows());
    let little = contest(
        &[engine(setup, &input, "fixed:100:10", LITTLE_MEMORY), gnu_sort(setup, &input, LITTLE_MEMORY)],
        setup.runs,
    )?;
    section.rows(little.rows());

    let gnu = Target::AtLeast(GNU_LEAST);
    section.ratio("GNU sort over engine, fixed:100:10", much.ratio(2, 0), gnu);
    section.ratio("GNU sort over engine, line-keys", much.ratio(2, 1), gnu);
    section.ratio(format!("GNU sort over engine, both within {LITTLE_MEMORY}"), little.ratio(1, 0), gnu);
    section.ratio("engine, fixed:100:10, over native", much.ratio(0, 3), Target::None);
    Ok(section)
}

fn engine(setup: &Setup, input: &Path, format: &str, memory: &str) -> Contestant {
    let output = setup.scratch("sorted");
    let job = setup.job("sort", input, &output, &["--input-format", format, "--memory", memory]);
    Contestant::new(format!("mr-engine, {format}, --memory {memory}"), job, output, Form::Bytes)
}

fn gnu_sort(setup: &Setup, input: &Path, memory: &str) -> Contestant {
    let output = setup.scratch("sorted");
    let parallel = format!("--parallel={WORKERS}");
    let mut sort = Invocation::new(["sort", &parallel, "-S", memory]).env("LC_ALL", "C");
    sort.argv.extend(["-T".into(), setup.scratch("").into(), "-o".into(), output.clone().into()]);
    sort.argv.push(input.into());
    Contestant::new(format!("GNU sort, LC_ALL=C, -S {memory}"), sort, output, Form::Bytes)
}
