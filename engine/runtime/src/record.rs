//! What is kept of a plan when the plan itself is gone: all that reports and manifests tell of it.

use mr_model::JobSpec;
use mr_storage::{ManifestInput, ManifestPlugin};
use serde::{Deserialize, Serialize};

use crate::plan::Plan;

/// What reports and manifests need to know of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// The job.
    pub spec: JobSpec,
    /// Input files, in order.
    pub files: Vec<ManifestInput>,
    /// Components, with what they do in the job.
    pub plugins: Vec<ManifestPlugin>,
    /// Number of map tasks.
    pub map_tasks: u32,
    /// Bytes of all input files.
    pub input_bytes: u64,
}

impl Plan {
    /// What reports and manifests need to know of the plan.
    pub fn record(&self) -> PlanRecord {
        let files =
            (0u32..).zip(&self.files).flat_map(|(input, files)| files.iter().map(move |file| (input, file)));
        let files = files.map(|(input, file)| ManifestInput {
            path: file.path.clone(),
            bytes: file.bytes,
            input,
            modified_ns: file.modified_ns,
            tag: file.tag.clone(),
        });
        let plugins = self.stages.plugins().into_iter().map(|(plugin, roles)| ManifestPlugin {
            roles,
            name: plugin.info().map(|info| info.name.clone()).unwrap_or_default(),
            blake3: plugin.hash().to_owned(),
        });
        PlanRecord {
            spec: self.spec.clone(),
            files: files.collect(),
            plugins: plugins.collect(),
            map_tasks: u32::try_from(self.splits.len()).unwrap_or(u32::MAX),
            input_bytes: self.input_bytes(),
        }
    }
}
