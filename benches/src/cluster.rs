//! Benchmarks of a cluster on this machine: a coordinator and workers that are real processes, against
//! the local runner on the same input, and jobs that lose a worker or the coordinator half way.
//!
//! In reading order: `node` (one process), `nodes` (a cluster of them, and questions to it), `jobs`
//! (against the local runner), `segments` (the network alone), `wall` (processes for plugins
//! against threads), `loss` (a worker is killed), `restart`
//! (the coordinator is).

mod jobs;
mod loss;
mod node;
mod nodes;
mod restart;
mod segments;
mod wall;

use anyhow::Result;

use crate::report::Section;
use crate::setup::Setup;

type Part = fn(&Setup) -> Result<Section>;

/// The parts with what stands above them when they fail.
const PARTS: [(&str, Part); 6] = [
    ("cluster: jobs", jobs::run),
    ("cluster: an empty job", jobs::run_empty),
    ("cluster: segments", segments::run),
    ("cluster: plugins in processes", wall::run),
    ("cluster: a worker is killed", loss::run),
    ("cluster: the coordinator is killed", restart::run),
];

/// Measures; a part that fails does not keep the others from running.
pub fn run(setup: &Setup, found: &mut dyn FnMut(Section)) {
    for (title, part) in PARTS {
        found(part(setup).unwrap_or_else(|error| Section::failed(title, &error)));
    }
}
