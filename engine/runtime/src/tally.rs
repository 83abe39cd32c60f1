//! What winning attempts told, task by task, and what is made of it: the report and the manifest.

use std::collections::BTreeMap;
use std::path::Path;

use mr_model::{Counters, Failure};
use mr_scheduler::AttemptReport;
use mr_shuffle::SpillStats;
use mr_storage::{Manifest, ManifestInput, ManifestPlugin, Part, PendingPart, Reject, write_rejects};

use crate::map::{MapDone, MapProduct};
use crate::plan::Plan;
use crate::reduce::ReduceDone;
use crate::report::{JobReport, Times};
use crate::sink::Rejected;

/// What a map attempt told beside its output.
#[derive(Debug, Default)]
pub(crate) struct MapFacts {
    records_in: u64,
    records_out: u64,
    bytes_out: u64,
    shuffle: (u64, u64),
    spilled: SpillStats,
    rejected: Vec<Rejected>,
    counters: Counters,
    guest_memory_peak: u64,
}

/// What a reduce attempt told beside its part.
#[derive(Debug, Default)]
pub(crate) struct ReduceFacts {
    groups: u64,
    spilled: SpillStats,
    rejected: Vec<Rejected>,
    counters: Counters,
    guest_memory_peak: u64,
}

impl MapFacts {
    /// Separates a finished attempt into what it made, what the scheduler is told, and the rest.
    pub fn split(done: MapDone) -> (MapProduct, AttemptReport, Self) {
        let (shuffle, spilled) = match &done.product {
            MapProduct::Runs(output) => {
                ((output.records.iter().sum(), output.bytes.iter().sum()), output.spilled)
            }
            MapProduct::Part(_) => ((0, 0), SpillStats::default()),
        };
        let report = AttemptReport {
            records_in: done.records_in,
            bytes_in: done.bytes_in,
            records_out: done.records_out,
            bytes_out: done.bytes_out,
            bytes_spilled: spilled.bytes,
            rejects: done.rejected.len() as u64,
            cpu_millis: 0,
            counters: done.counters.clone(),
            partition_bytes: Vec::new(),
        };
        let facts = Self {
            records_in: done.records_in,
            records_out: done.records_out,
            bytes_out: done.bytes_out,
            shuffle,
            spilled,
            rejected: done.rejected,
            counters: done.counters,
            guest_memory_peak: done.guest_memory_peak,
        };
        (done.product, report, facts)
    }
}

impl ReduceFacts {
    /// Separates a finished attempt into its part, what the scheduler is told, and the rest.
    pub fn split(done: ReduceDone) -> (PendingPart, AttemptReport, Self) {
        let report = AttemptReport {
            records_in: done.records_in,
            bytes_in: done.bytes_in,
            records_out: done.part.rows(),
            bytes_out: done.part.bytes(),
            bytes_spilled: done.spilled.bytes,
            rejects: done.rejected.len() as u64,
            cpu_millis: 0,
            counters: done.counters.clone(),
            partition_bytes: Vec::new(),
        };
        let facts = Self {
            groups: done.groups,
            spilled: done.spilled,
            rejected: done.rejected,
            counters: done.counters,
            guest_memory_peak: done.guest_memory_peak,
        };
        (done.part, report, facts)
    }
}

/// Facts of all tasks. A task that ran again counts once, with its last attempt.
#[derive(Debug)]
pub(crate) struct Tally {
    maps: Vec<Option<MapFacts>>,
    maps_done: usize,
    reduces: Vec<Option<ReduceFacts>>,
    /// Committed parts by task.
    pub parts: BTreeMap<u32, Part>,
    pub attempts_failed: u64,
    rejects: u64,
}

impl Tally {
    pub fn new(maps: usize, reduces: usize) -> Self {
        Self {
            maps: std::iter::repeat_with(|| None).take(maps).collect(),
            maps_done: 0,
            reduces: std::iter::repeat_with(|| None).take(reduces).collect(),
            parts: BTreeMap::new(),
            attempts_failed: 0,
            rejects: 0,
        }
    }

    pub fn keep_map(&mut self, index: u32, facts: MapFacts) {
        let Some(place) = self.maps.get_mut(index as usize) else { return };
        self.rejects += facts.rejected.len() as u64;
        match place.replace(facts) {
            Some(former) => self.rejects -= former.rejected.len() as u64,
            None => self.maps_done += 1,
        }
    }

    pub fn keep_reduce(&mut self, index: u32, facts: ReduceFacts) {
        let Some(place) = self.reduces.get_mut(index as usize) else { return };
        self.rejects += facts.rejected.len() as u64;
        if let Some(former) = place.replace(facts) {
            self.rejects -= former.rejected.len() as u64;
        }
    }

    pub fn all_maps_done(&self) -> bool {
        self.maps_done == self.maps.len()
    }

    /// Records and bytes that reducers are to consume.
    pub fn shuffle(&self) -> (u64, u64) {
        self.maps().map(|facts| facts.shuffle).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Records rejected so far.
    pub fn rejects(&self) -> u64 {
        self.rejects
    }

    /// Rejected records in task order, maps first.
    pub fn rejected(&self) -> impl Iterator<Item = &Rejected> {
        let reduces = self.reduces.iter().flatten().flat_map(|facts| &facts.rejected);
        self.maps().flat_map(|facts| &facts.rejected).chain(reduces)
    }

    pub fn last_rejected(&self) -> Option<&Rejected> {
        self.rejected().last()
    }

    fn maps(&self) -> impl Iterator<Item = &MapFacts> {
        self.maps.iter().flatten()
    }

    fn reduces(&self) -> impl Iterator<Item = &ReduceFacts> {
        self.reduces.iter().flatten()
    }

    /// Counters of all tasks, and how many were left out: each attempt is within the cap on names, all
    /// together may not be.
    fn counters(&self) -> (Counters, u64) {
        let mut sum = Counters::default();
        let mut left_out = 0;
        let maps = self.maps().map(|facts| &facts.counters);
        for counters in maps.chain(self.reduces().map(|facts| &facts.counters)) {
            for (name, delta) in counters.iter() {
                left_out += u64::from(sum.add(name, delta).is_err());
            }
        }
        (sum, left_out)
    }

    /// The report of a job that ended well.
    pub fn report(&self, plan: &Plan, millis: Times, output_closed: bool) -> JobReport {
        let mut spilled = SpillStats::default();
        self.maps().for_each(|facts| spilled.add(&facts.spilled));
        self.reduces().for_each(|facts| spilled.add(&facts.spilled));
        let peaks = self.maps().map(|facts| facts.guest_memory_peak);
        let peaks = peaks.chain(self.reduces().map(|facts| facts.guest_memory_peak));
        let (shuffle_records, shuffle_bytes) = self.shuffle();
        let (counters, counters_left_out) = self.counters();
        JobReport {
            job: plan.spec.id.to_string(),
            input_files: plan.files.len() as u64,
            input_bytes: plan.input_bytes(),
            input_records: self.maps().map(|facts| facts.records_in).sum(),
            map_tasks: self.maps.len() as u64,
            reduce_tasks: self.reduces.len() as u64,
            attempts_failed: self.attempts_failed,
            map_output_records: self.maps().map(|facts| facts.records_out).sum(),
            map_output_bytes: self.maps().map(|facts| facts.bytes_out).sum(),
            shuffle_records,
            shuffle_bytes,
            spilled: spilled.into(),
            reduce_groups: self.reduces().map(|facts| facts.groups).sum(),
            output_records: self.parts.values().map(|part| part.rows).sum(),
            output_bytes: self.parts.values().map(|part| part.bytes).sum(),
            rejects: self.rejects,
            counters,
            counters_left_out,
            millis,
            guest_memory_bytes_peak: peaks.max().unwrap_or(0),
            parts: self.parts.values().cloned().collect(),
            output_closed,
        }
    }
}

/// The manifest that is published with the output.
pub(crate) fn manifest(plan: &Plan, tally: &Tally) -> Manifest {
    let plugins = plan.stages.plugins().into_iter().map(|(plugin, roles)| ManifestPlugin {
        roles,
        name: plugin.info().map(|info| info.name.clone()).unwrap_or_default(),
        blake3: plugin.hash().to_owned(),
    });
    let inputs = plan.files.iter().map(|file| ManifestInput { path: file.path.clone(), bytes: file.bytes });
    Manifest {
        engine: env!("CARGO_PKG_VERSION").to_owned(),
        job: plan.spec.id.clone(),
        plugins: plugins.collect(),
        params: plan.spec.params.iter().cloned().collect(),
        inputs: inputs.collect(),
        input_format: plan.spec.input_format,
        input_key: plan.spec.input_key,
        output_format: plan.spec.output_format,
        output_types: plan.spec.output_types.clone(),
        partitioning: plan.spec.partitioning,
        reducers: plan.spec.reducers,
        parts: tally.parts.values().cloned().collect(),
        counters: tally.counters().0,
        rejects: tally.rejects(),
    }
}

/// Writes the rejected records beside the parts, if there are any.
pub(crate) fn write_rejected(folder: &Path, tally: &Tally) -> Result<(), Failure> {
    if tally.rejects() == 0 {
        return Ok(());
    }
    let rejects = tally.rejected().map(|rejected| Reject {
        place: rejected.place.as_ref(),
        reason: &rejected.reason,
        sample: &rejected.sample,
    });
    write_rejects(folder, rejects).map(|_| ())
}
