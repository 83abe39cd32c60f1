//! Jobs on what Debian tells of its packages: a join of every path with the package that it is of, and PageRank
//! of what packages depend on, round by round.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use mr_runtime::memory::PROCESS_BYTES;

use crate::child::Invocation;
use crate::contest::{Contestant, contest};
use crate::digest::Form;
use crate::report::{Row, Section, Spread, Target, mib};
use crate::setup::{ROOT, Setup, WORKERS};

/// Memory of the join, for the engine and for each GNU sort, in MiB.
const JOIN_MIB: u64 = 64;
/// Rounds of PageRank.
const ROUNDS: u32 = 10;
/// What a round may cost beside its records, in milliseconds.
const ROUND_MILLIS_MOST: f64 = 100.0;
/// What the pipeline says of its rounds and of their end.
const ROUNDS_SAID: [&str; 2] = ["iterations-max = 50", "\"moved < 1000000\""];
/// `sort` and `join` of coreutils on the columns that the engine's job joins by.
const SHELL: &str = "
    set -e
    tab=$(printf '\\t')
    sort -t \"$tab\" -k1,1 -S \"$3\" --parallel=2 -T \"$4\" \"$1\" >\"$4/left\"
    sort -t \"$tab\" -k2,2 -S \"$3\" --parallel=2 -T \"$4\" \"$2\" >\"$4/right\"
    join -t \"$tab\" -1 1 -2 2 \"$4/left\" \"$4/right\"
    rm \"$4/left\" \"$4/right\"";

/// Measures.
pub fn run(setup: &Setup) -> Result<Section> {
    let tables = tables(setup)?;
    let mut section = Section::new("tables of Debian: a join, and rounds of PageRank");
    join(setup, &tables, &mut section)?;
    rank(setup, &tables.join("depends.tsv"), &mut section)?;
    Ok(section)
}

/// The folder of tables, with Contents where sizes are full; fetched where they are not there yet.
fn tables(setup: &Setup) -> Result<PathBuf> {
    let folder = setup.data.folder().join("debian");
    let mut fetch = Command::new("sh");
    fetch.arg(Path::new(ROOT).join("tools/data/debian.sh")).arg(&folder);
    if setup.sizes.contents {
        fetch.arg("contents");
    }
    if !fetch.status()?.success() {
        bail!("the tables of Debian's packages cannot be had");
    }
    Ok(folder)
}

/// Paths, or with small sizes dependencies, joined with packages.
fn join(setup: &Setup, tables: &Path, section: &mut Section) -> Result<()> {
    let (left, output) = (tables.join("packages.tsv"), setup.scratch("joined"));
    let right = tables.join(if setup.sizes.contents { "contents.tsv" } else { "depends.tsv" });
    let memory = format!("{JOIN_MIB}M");
    let named = |name: &str, path: &Path| format!("--input={name}={}", path.display());
    let options = [
        named("left", &left),
        named("right", &right),
        "--param=right-key=2".to_owned(),
        "--reducers=2".to_owned(),
        format!("--memory={memory}"),
    ];
    let mut engine = setup.unread("join", &output);
    engine.argv.extend(options.map(Into::into));
    let sorting = setup.scratch("sorting");
    fs::create_dir_all(&sorting)?;
    let shell = setup.scratch("joined.txt");
    let mut coreutils = Invocation::new(["sh", "-c", SHELL, "sh"]).env("LC_ALL", "C").stdout(&shell);
    coreutils.argv.extend([left.into(), right.clone().into(), memory.into(), sorting.into()]);
    let name = format!("join of {:.0} MiB, --memory {JOIN_MIB}M", mib(fs::metadata(&right)?.len()));
    let outcome = contest(
        &[
            Contestant::new(&name, engine, output, Form::Lines),
            Contestant::new("sort, sort, join, with as much for each sort", coreutils, shell, Form::Lines),
        ],
        setup.runs,
    )?;
    section.rows(outcome.rows());
    section.ratio("join: coreutils over engine", outcome.ratio(1, 0), Target::AtLeast(1.0));
    let peak: Spread = outcome.samples(0).iter().map(|sample| mib(sample.peak_bytes)).collect();
    let most = mib(PROCESS_BYTES + (JOIN_MIB << 20));
    section.number("join: peak of budget and process", peak, "MiB", Target::AtMost(most));
    Ok(())
}

/// Rounds of the graph of packages, and of a graph of two nodes, which has next to no records.
fn rank(setup: &Setup, depends: &Path, section: &mut Section) -> Result<()> {
    let tiny = setup.scratch("links.tsv");
    fs::write(&tiny, "a\tb\nb\ta\n")?;
    // Compiles.
    pipeline(setup, &tiny, 1)?;
    let mut sums = Vec::new();
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..setup.runs {
        for (links, rounds) in [depends, &tiny].into_iter().zip(&mut rounds) {
            let one = pipeline(setup, links, 1)?;
            let all = pipeline(setup, links, ROUNDS)?;
            rounds.push((all - one) / f64::from(ROUNDS - 1) * 1e3);
            if links == depends {
                sums.push(all);
            }
        }
    }
    let [packages, nothing] = rounds;
    section.rows([Row::of_seconds(&format!("PageRank of packages, {ROUNDS} rounds"), sums)]);
    section.number("a round of packages", packages.into_iter().collect(), "ms", Target::None);
    let what = "a round of two nodes: what rounds cost beside their records";
    section.number(what, nothing.into_iter().collect(), "ms", Target::AtMost(ROUND_MILLIS_MOST));
    Ok(())
}

/// Runs the pipeline that is beside the plugin to its end; seconds.
fn pipeline(setup: &Setup, links: &Path, rounds: u32) -> Result<f64> {
    let shipped = fs::read_to_string(Path::new(ROOT).join("plugins/pagerank-step/pagerank.toml"))?;
    let [iterations, until] = ROUNDS_SAID;
    if !shipped.contains(iterations) || !shipped.contains(until) {
        bail!("pagerank.toml does not say {ROUNDS_SAID:?}");
    }
    // The ranks of two nodes stand still at once, and their rounds are to go on.
    let text = shipped.replace(iterations, &format!("iterations-max = {rounds}"));
    let text = text.replace(until, "\"moved < 0\"");
    let folder = setup.scratch("pagerank");
    fs::create_dir_all(&folder)?;
    let file = folder.join("pagerank.toml");
    fs::write(&file, text)?;
    let mut run = setup.engine(&["run", "--quiet", "--fresh", "--workers", WORKERS]);
    run.argv.push(file.into());
    let params = [("links", links), ("plugins", setup.scratch("").as_path())]
        .map(|(name, path)| format!("--param={name}={}", path.display()));
    run.argv.extend(params.map(Into::into));
    for (option, path) in [("--cache-dir", setup.cache()), ("--work-dir", setup.scratch("work"))] {
        run.argv.extend([option.into(), path.into()]);
    }
    let sample = run.run(&[])?;
    let best = folder.join("results/best");
    if fs::read_dir(&best).with_context(|| format!("no {}", best.display()))?.next().is_none() {
        bail!("WRONG: PageRank told nothing");
    }
    fs::remove_dir_all(&folder)?;
    Ok(sample.wall.as_secs_f64())
}
