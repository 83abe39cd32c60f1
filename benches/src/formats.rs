//! Formats: reading rows through the engine's readers against the crate that reads the same bytes alone, in one process
//! and on one thread; and what is left of that in a whole job that copies them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::contest::{Contestant, contest};
use crate::digest::Form;
use crate::report::{Section, Spread, Target, mib};
use crate::setup::Setup;

/// Most times of the crate alone that reading may take.
const ALONE_MOST: f64 = 1.5;
/// Readings that the target is for: the same columns of the same types, as a crate reads them alone.
const TARGETED: [&str; 4] = ["csv as text", "csv with quotes", "jsonl, the same fields", "parquet"];
/// And Parquet files of every shape, as most writers compress them.
const TARGETED_SHAPES: &str = ", snappy";
/// Fields with the types that their values have.
const TYPED: &str = "--fields=id:u64,name,price:f64,ok:bool,count:s64,note:text?";
/// Files of the jobs, and what is asked of them.
const JOBS: [(&str, &str, Option<&str>); 4] = [
    ("rows.csv", "csv", Some(TYPED)),
    ("quoted.csv", "csv", None),
    ("rows.jsonl", "jsonl", Some(TYPED)),
    ("rows.parquet", "parquet", None),
];

/// A round of one reading.
struct Round {
    name: String,
    alone: String,
    seconds: f64,
    alone_seconds: f64,
    bytes: f64,
}

/// Measures.
pub fn run(setup: &Setup) -> Result<Section> {
    let program = setup.example("mr-formats", "speed")?;
    let output = Command::new(&program).args(["rounds", &setup.runs.to_string()]).output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let rounds = parse(&String::from_utf8(output.stdout)?).context("speed said nonsense")?;
    let mut section = Section::new("formats: readers beside crates, 1 thread, and jobs that copy rows");
    let mut names: Vec<(&str, &str)> = Vec::new();
    for round in &rounds {
        let pair = (round.name.as_str(), round.alone.as_str());
        if !names.contains(&pair) {
            names.push(pair);
        }
    }
    for (name, alone) in names {
        let of = || rounds.iter().filter(move |round| round.name == name && round.alone == alone);
        let ratio: Spread = of().map(|round| round.seconds / round.alone_seconds).collect();
        let targeted = TARGETED.contains(&name) || name.ends_with(TARGETED_SHAPES);
        let target = if targeted { Target::AtMost(ALONE_MOST) } else { Target::None };
        section.ratio(format!("{name} over {alone}"), ratio, target);
        let rate = of().map(|round| round.bytes / round.seconds / 1e6).collect();
        section.number(format!("{name}, beside {alone}"), rate, "MB/s", Target::None);
    }
    copy(setup, &program, &mut section)?;
    Ok(section)
}

/// Jobs without a plugin that copy rows into files of the engine's own format.
fn copy(setup: &Setup, program: &Path, section: &mut Section) -> Result<()> {
    let folder = setup.scratch("rows");
    std::fs::create_dir_all(&folder)?;
    let rows = setup.sizes.format_rows.to_string();
    if !Command::new(program).arg("write").arg(&folder).arg(rows).status()?.success() {
        bail!("the files of rows cannot be written");
    }
    let output = setup.scratch("copied");
    for (name, format, fields) in JOBS {
        let input = folder.join(name);
        let bytes = std::fs::metadata(&input)?.len();
        let mut job = setup.copy(&input, &output);
        job.argv.extend(["--input-format", format, "--output-format", "kv"].map(Into::into));
        job.argv.extend(fields.map(Into::into));
        let what = format!("mr-engine, {name} of {:.0} MiB to kv", mib(bytes));
        let outcome = contest(&[Contestant::new(&what, job, output.clone(), Form::Bytes)], setup.runs)?;
        section.rows(outcome.rows());
        let rate = |seconds: f64| bytes as f64 / seconds / 1e6;
        let rates = outcome.samples(0).iter().map(|sample| rate(sample.wall.as_secs_f64())).collect();
        section.number(what, rates, "MB/s", Target::None);
    }
    Ok(())
}

/// Lines of five columns.
fn parse(text: &str) -> Option<Vec<Round>> {
    let round = |line: &str| {
        let mut columns = line.split('\t');
        Some(Round {
            name: columns.next()?.to_owned(),
            alone: columns.next()?.to_owned(),
            seconds: columns.next()?.parse().ok()?,
            alone_seconds: columns.next()?.parse().ok()?,
            bytes: columns.next()?.parse().ok()?,
        })
    };
    text.lines().map(round).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_parsed() {
        let rounds = parse("csv as text\tcsv crate\t0.5\t0.25\t1000\n").unwrap();
        assert_eq!((rounds[0].name.as_str(), rounds[0].alone.as_str()), ("csv as text", "csv crate"));
        assert!((rounds[0].seconds / rounds[0].alone_seconds - 2.0).abs() < 1e-9);
        assert!(parse("csv\tx\t0.5\n").is_none());
    }
}
