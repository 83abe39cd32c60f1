//! Jobs on a cluster of this machine against the same jobs in one process: what the network, the journal
//! and more processes cost. From the start of the client to its end; the cluster is up already and has
//! run a job before.

use std::path::Path;

use anyhow::{Context, Result};

use super::node::Node;
use crate::child::Invocation;
use crate::contest::{Contestant, contest};
use crate::digest::Form;
use crate::report::{Section, Spread, Target, mib};
use crate::setup::{MEMORY, Setup, WORKERS};

/// Most times of the local runner that the cluster may take.
const LOCAL_MOST: f64 = 1.25;
/// Most milliseconds of a job without input.
const EMPTY_MILLIS_MOST: f64 = 250.0;
/// Memory of each of the two workers: together what the local runner has.
const WORKER_MEMORY: &str = "2G";
/// Runs of the empty job for each run that was asked for: they are short.
const EMPTY_RUNS: usize = 4;

/// Word count and sort.
pub fn run(setup: &Setup) -> Result<Section> {
    let up = Up::start(setup, "up", &[])?;
    let sizes = &setup.sizes;
    let (text, records) = (setup.data.text(sizes.count_bytes)?, setup.data.records(sizes.sort_bytes)?);
    let mut section = Section::new(format!(
        "cluster of {WORKERS} workers with a slot each: word count of {:.0} MiB, sort of {:.0} MiB",
        mib(sizes.count_bytes),
        mib(sizes.sort_bytes)
    ));
    for (plugin, input, form, options) in [
        ("wordcount", &text, Form::Counts, &[] as &[&str]),
        ("sort", &records, Form::Bytes, &crate::sort::FIXED),
    ] {
        let [cluster, local] = up.pair(setup, plugin, input, form, options)?;
        let outcome = contest(&[cluster, local], setup.runs)?;
        section.rows(outcome.rows());
        let name = format!("{plugin}: cluster over one process");
        section.ratio(name, outcome.ratio(0, 1), Target::AtMost(LOCAL_MOST));
    }
    Ok(section)
}

/// A job without input.
pub fn run_empty(setup: &Setup) -> Result<Section> {
    let up = Up::start(setup, "up-empty", &[])?;
    let input = setup.scratch("empty.txt");
    std::fs::write(&input, "")?;
    let pair = up.pair(setup, "wordcount", &input, Form::Counts, &[])?;
    let outcome = contest(&pair, setup.runs * EMPTY_RUNS)?;
    let mut section = Section::new("cluster: a job without input, from submission to result");
    section.rows(outcome.rows());
    let millis: Spread = outcome.samples(0).iter().map(|sample| sample.wall.as_secs_f64() * 1e3).collect();
    section.number("empty job on a cluster", millis, "ms", Target::AtMost(EMPTY_MILLIS_MOST));
    Ok(section)
}

/// A cluster that `mr-engine cluster up` holds, of two workers with a slot each.
pub(super) struct Up {
    config: std::path::PathBuf,
    _node: Node,
}

impl Up {
    /// With `options` of `cluster up`, in a folder of this name.
    pub(super) fn start(setup: &Setup, name: &str, options: &[&str]) -> Result<Self> {
        let folder = setup.scratch(name);
        let mut up = setup.engine(&["cluster", "up", "--slots", "1", "--workers", WORKERS]);
        up.argv.extend(["--memory", WORKER_MEMORY, "--dir"].map(Into::into));
        up.argv.push(folder.clone().into());
        up.argv.extend(options.iter().map(Into::into));
        let up = up.env("MR_ENGINE_CACHE_DIR", setup.cache());
        let node = Node::start(&up, &setup.scratch(&format!("{name}.log")))?;
        let config = folder.join("client.toml");
        config.exists().then_some(()).with_context(|| format!("cluster up said {:?}", node.said))?;
        Ok(Self { config, _node: node })
    }

    /// The same job on the cluster and in one process, after both have run a small one.
    fn pair(
        &self,
        setup: &Setup,
        plugin: &str,
        input: &Path,
        form: Form,
        options: &[&str],
    ) -> Result<[Contestant; 2]> {
        setup.warm(plugin, options)?;
        let (warm, output) = (setup.scratch("warm.txt"), setup.scratch("out"));
        self.submit(setup, plugin, &warm, &output, options).run(&[])?;
        std::fs::remove_dir_all(&output)?;
        let cluster = self.submit(setup, plugin, input, &output, options);
        let local = setup.job(plugin, input, &output, &[options, &["--memory", MEMORY]].concat());
        Ok([
            Contestant::new(
                format!("{plugin} on a cluster (cpu, peak: client)"),
                cluster,
                output.clone(),
                form,
            ),
            Contestant::new(format!("{plugin} in one process"), local, output, form),
        ])
    }

    /// A job on it.
    pub(super) fn submit(
        &self,
        setup: &Setup,
        plugin: &str,
        input: &Path,
        output: &Path,
        options: &[&str],
    ) -> Invocation {
        setup.submit(plugin, input, output, options).env("MR_ENGINE_CONFIG", &self.config)
    }
}
