//! The same word count in every language: its speed on one core, the size of its component, what
//! compiling it costs, and how soon a job of it begins.
//!
//! The plugins are those of the templates, made by `mr-engine new` and built by `mr-engine build` with the
//! toolchains that `tools/languages` installs. All outputs are compared, byte for byte. Rates are those of whole jobs
//! with one worker, by their processor time: seconds that others take from the core are no language's fault.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::child::{Invocation, Sample};
use crate::contest::{Contestant, contest};
use crate::digest::Form;
use crate::report::{Row, Section, Spread, Target, mib};
use crate::setup::{MEMORY, ROOT, Setup};

/// Most times of the exemplary plugin in Rust that a compiled language may take.
const COMPILED_MOST: f64 = 1.5;
/// Runs of a language whose word count takes seconds for each MiB that others count in milliseconds.
const SLOW_RUNS: usize = 2;
/// The exemplary plugin, which all others are compared with.
const EXEMPLARY: &str = "wordcount";

/// What a language should reach.
enum Goal {
    /// Times of the exemplary plugin.
    OfRust,
    /// MiB in a second, on one core.
    Rate(f64),
}

/// Languages besides Rust, with what they should reach.
const LANGUAGES: [(&str, Goal); 7] = [
    ("c", Goal::OfRust),
    ("cpp", Goal::OfRust),
    ("zig", Goal::OfRust),
    ("assemblyscript", Goal::OfRust),
    ("go", Goal::Rate(70.0)),
    ("python", Goal::Rate(20.0)),
    ("javascript", Goal::Rate(4.0)),
];

/// Measures.
pub fn run(setup: &Setup) -> Result<Section> {
    let bytes = setup.sizes.language_bytes;
    let input = setup.data.text(bytes)?;
    for (language, _) in &LANGUAGES {
        build(setup, language).with_context(|| format!("the word count in {language}"))?;
    }
    let names: Vec<&str> =
        std::iter::once(EXEMPLARY).chain(LANGUAGES.iter().map(|(language, _)| *language)).collect();
    let tiny = setup.scratch("tiny.txt");
    fs::write(&tiny, "to be or not to be\n")?;
    let compiled = names.iter().map(|name| compile(setup, name, &tiny)).collect::<Result<Vec<_>>>()?;
    let started = names.iter().map(|name| start(setup, name, &tiny)).collect::<Result<Vec<_>>>()?;

    let output = setup.scratch("counts");
    let contestants: Vec<Contestant> = names
        .iter()
        .map(|name| {
            let job = on_one_core(setup, name, &input, &output);
            let contestant = Contestant::new(title(name), job, output.clone(), Form::Bytes);
            if matches!(*name, "python" | "javascript") { contestant.runs_max(SLOW_RUNS) } else { contestant }
        })
        .collect();
    let outcome = contest(&contestants, setup.runs)?;

    let mut section = Section::new(format!(
        "word count of {:.0} MiB in every language, by seconds of one core",
        mib(bytes)
    ));
    section.rows(outcome.rows());
    section.rows(
        names
            .iter()
            .zip(&compiled)
            .map(|(name, sample)| Row::of_samples(&format!("compiling {}", title(name)), &[*sample])),
    );
    for (at, name) in names.iter().enumerate() {
        let rate: Spread =
            outcome.samples(at).iter().map(|sample| mib(bytes) / sample.cpu.as_secs_f64()).collect();
        let goal = LANGUAGES.iter().find(|(language, _)| language == name).map(|(_, goal)| goal);
        let least = if let Some(Goal::Rate(least)) = goal { Target::AtLeast(*least) } else { Target::None };
        section.number(format!("{}, text", title(name)), rate, "MiB/s", least);
        if let Some(Goal::OfRust) = goal {
            let pairs = outcome.samples(at).iter().zip(outcome.samples(0));
            let times = pairs.map(|(other, rust)| other.cpu.as_secs_f64() / rust.cpu.as_secs_f64()).collect();
            section.ratio(format!("{} over rust", title(name)), times, Target::AtMost(COMPILED_MOST));
        }
        let size = fs::metadata(setup.plugin(name))?.len();
        section.number(
            format!("{}, component", title(name)),
            [mib(size) * 1024.0].into_iter().collect(),
            "KiB",
            Target::None,
        );
        section.number(format!("{}, tiny job", title(name)), started[at], "ms", Target::None);
    }
    Ok(section)
}

fn title(name: &str) -> &str {
    if name == EXEMPLARY { "rust" } else { name }
}

/// A job with one worker, whose plugin is compiled already.
fn on_one_core(setup: &Setup, name: &str, input: &Path, output: &Path) -> Invocation {
    setup.submit(name, input, output, &["--memory", MEMORY, "--local", "--workers", "1"])
}

/// A tiny job whose plugin is compiled now: nearly all of it is the compiler.
fn compile(setup: &Setup, name: &str, tiny: &Path) -> Result<Sample> {
    let output = setup.scratch("compiled");
    let mut job = on_one_core(setup, name, tiny, &output);
    let cache = job.argv.iter().position(|arg| arg == "--cache-dir");
    cache.map(|at| job.argv.drain(at..at + 2));
    job.argv.push("--no-cache".into());
    let sample = job.run(&[])?;
    fs::remove_dir_all(output)?;
    Ok(sample)
}

/// Milliseconds of a tiny job whose plugin was compiled by an earlier one.
fn start(setup: &Setup, name: &str, tiny: &Path) -> Result<Spread> {
    let output = setup.scratch("started");
    let mut millis = Vec::new();
    for _ in 0..=setup.runs {
        let sample = on_one_core(setup, name, tiny, &output).run(&[])?;
        millis.push(sample.wall.as_secs_f64() * 1e3);
        fs::remove_dir_all(&output)?;
    }
    Ok(millis.into_iter().skip(1).collect())
}

/// Makes, builds and keeps the word count of a language.
fn build(setup: &Setup, language: &str) -> Result<()> {
    let toolchains = Path::new(ROOT).join("target/toolchains");
    let script = Path::new(ROOT).join(format!("tools/languages/{language}.sh"));
    fs::create_dir_all(&toolchains)?;
    let tools = toolchains.join(language).into_os_string();
    Invocation::new(["sh".into(), script.into_os_string(), tools]).run(&[])?;
    let toolchains = toolchains.canonicalize()?;
    let folder = setup.scratch("projects");
    fs::create_dir_all(&folder)?;
    let engine = setup.scratch("mr-engine");
    let shell = format!(
        "cd {} && {} new {language} --lang {language} && {} build {language}",
        quoted(&folder),
        quoted(&engine),
        quoted(&engine)
    );
    Invocation::new(["sh", "-c", &shell]).env("MR_ENGINE_TOOLCHAINS", toolchains).run(&[])?;
    fs::copy(folder.join(language).join(format!("build/{language}.wasm")), setup.plugin(language))?;
    Ok(())
}

/// A path as a word of the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", PathBuf::from(path).display().to_string().replace('\'', "'\\''"))
}
