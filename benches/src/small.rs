//! Word count of many small files against the same bytes in one file.

use anyhow::Result;

use crate::contest::{Contestant, contest};
use crate::digest::Form;
use crate::report::{Section, Target, mib};
use crate::setup::{MEMORY, Setup};

/// Most times of the one file's job that the small files' job may take.
const ONE_FILE_MOST: f64 = 1.3;

/// Measures.
pub fn run(setup: &Setup) -> Result<Section> {
    let (bytes, files) = (setup.sizes.count_bytes, setup.sizes.small_files);
    let one = setup.data.text(bytes)?;
    let many = setup.data.small_files(bytes, files)?;
    setup.warm("wordcount", &[])?;
    let output = setup.scratch("counts");
    let job = |name: &str, input| {
        let job = setup.job("wordcount", input, &output, &["--memory", MEMORY]);
        Contestant::new(name, job, output.clone(), Form::Counts)
    };
    let contestants = [job(&format!("{files} files"), &many), job("one file", &one)];
    let outcome = contest(&contestants, setup.runs)?;
    let mut section = Section::new(format!("small files: word count of {:.0} MiB", mib(bytes)));
    section.rows(outcome.rows());
    section.ratio("small files over one file", outcome.ratio(0, 1), Target::AtMost(ONE_FILE_MOST));
    Ok(section)
}
