//! Peak resident memory of jobs whose input is ten times their budget, against the budget and what
//! the engine says that it takes besides.

use std::path::Path;

use anyhow::Result;
use mr_runtime::memory::PROCESS_BYTES;

use crate::contest::{Contestant, contest};
use crate::digest::Form;
use crate::report::{Section, Spread, Target, mib};
use crate::setup::{MEMORY, Setup};

/// The budget, in MiB.
const BUDGET_MIB: u64 = 64;

/// Measures. The jobs' outputs are compared with those of jobs with much memory.
pub fn run(setup: &Setup) -> Result<Section> {
    let bytes = setup.sizes.memory_input_bytes;
    let title = format!("peak memory of jobs on {:.0} MiB within --memory {BUDGET_MIB}M", mib(bytes));
    let mut section = Section::new(title);
    measure(setup, &mut section, "wordcount", &setup.data.text(bytes)?, Form::Counts, &[])?;
    let records = setup.data.records(bytes)?;
    measure(setup, &mut section, "sort", &records, Form::Bytes, &crate::sort::FIXED)?;
    Ok(section)
}

fn measure(
    setup: &Setup,
    section: &mut Section,
    plugin: &str,
    input: &Path,
    form: Form,
    options: &[&str],
) -> Result<()> {
    setup.warm(plugin, options)?;
    let output = setup.scratch("out");
    let job = |memory: &str| {
        let job = setup.job(plugin, input, &output, &[options, &["--memory", memory]].concat());
        Contestant::new(format!("{plugin}, --memory {memory}"), job, output.clone(), form)
    };
    let outcome = contest(&[job(&format!("{BUDGET_MIB}M")), job(MEMORY)], setup.runs)?;
    section.rows(outcome.rows());
    let peak: Spread = outcome.samples(0).iter().map(|sample| mib(sample.peak_bytes)).collect();
    let most = mib(PROCESS_BYTES + (BUDGET_MIB << 20));
    section.number(format!("{plugin}: peak of budget and process"), peak, "MiB", Target::AtMost(most));
    section.ratio(format!("{plugin}: little memory over much"), outcome.ratio(0, 1), Target::None);
    Ok(())
}
