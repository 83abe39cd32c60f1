//! Measures the engine against references that are measured in the same run, and keeps the run.
//!
//! What is told are ratios: seconds belong to a machine and to whatever else it does at the time.
//! It is no test of speed: it fails only where an output is wrong, never where a ratio is.
//!
//! In reading order: `args`, `setup` (what is built and where it is kept), `data` (inputs),
//! `child` and `contest` (how a command is run and compared), `digest` (whether its output is
//! right), one module for each benchmark (`cluster` is a folder of them), `native_*` (the references that are written here) and
//! `report`.
//!
//! This process stays small, since the peak memory of a child is counted from that of its parent:
//! whatever holds data in memory runs in a process of its own.

mod args;
mod child;
mod cluster;
mod contest;
mod count;
mod crossing;
mod data;
mod debian;
mod digest;
mod formats;
mod grep;
mod languages;
mod memory;
mod native_count;
mod native_sort;
mod native_tuned;
mod report;
mod setup;
mod small;
mod sort;
mod start;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use args::{AllArgs, Args, Bench, Command};
use report::{Report, Section};
use setup::Setup;

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::All(args) => all(&args),
        Command::NativeCount(args) => {
            native_count::run(&args.input, &args.output, args.threads).map(|()| true)
        }
        Command::NativeTuned(args) => {
            native_tuned::run(&args.input, &args.output, args.threads).map(|()| true)
        }
        Command::NativeSort(args) => native_sort::run(&args.input, &args.output, args.threads).map(|()| true),
        Command::Crossing(args) => crossing::measure(&args).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mr-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the benchmarks; true if every output was right.
fn all(args: &AllArgs) -> Result<bool> {
    let setup = Setup::prepare(args)?;
    let mut report = Report::begin(&setup);
    println!("{report}");
    let chosen = if args.only.is_empty() { Bench::ALL.to_vec() } else { args.only.clone() };
    for bench in chosen {
        run(bench, &setup, &mut |section| {
            println!("{section}");
            report.add(section);
        });
    }
    println!("{}", report.verdicts());
    if let Some(path) = setup.run_file(args) {
        std::fs::write(&path, format!("{report}\n{}", report.verdicts()))
            .with_context(|| format!("cannot keep the run in {}", path.display()))?;
        println!("kept in {}", path.display());
    }
    Ok(report.is_right())
}

/// Runs one benchmark and hands over its sections, each when it is complete.
fn run(bench: Bench, setup: &Setup, found: &mut dyn FnMut(Section)) {
    let section = match bench {
        Bench::WordCount => count::run(setup),
        Bench::Sort => sort::run(setup),
        Bench::Grep => grep::run(setup),
        Bench::Formats => formats::run(setup),
        Bench::Debian => debian::run(setup),
        Bench::SmallFiles => small::run(setup),
        Bench::Crossing => crossing::run(setup),
        Bench::Start => start::run(setup),
        Bench::Memory => memory::run(setup),
        Bench::Languages => languages::run(setup),
        Bench::Cluster => return cluster::run(setup, found),
    };
    found(section.unwrap_or_else(|error| Section::failed(bench.title(), &error)));
}
