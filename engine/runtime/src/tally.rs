//! What winning attempts told, task by task, and what is made of it: the report and the manifest. Must
//! not decide who wins: the scheduler does.

use std::collections::BTreeMap;

use mr_model::limit::{OUTPUT_FILES_MAX, table};
use mr_model::{
    AttemptId, Condition, Counters, Failure, LastWords, Permissions, PluginFault, Role, Stage, TaskId,
};
use mr_shuffle::{LARGE_GROUPS_MAX, SpillStats};
use mr_storage::{Manifest, Part, PartNames};

use crate::facts::{Facts, LargeKey, LastReject, MapFacts, ReduceFacts, StageFacts};
use crate::quota::{check_output, check_shuffle, stage_role};
use crate::record::PlanRecord;
use crate::report::{HotKey, JobReport, Times};

/// Facts of the winners. A task that ran again counts once, with its last winner.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Maps come before reduces, each in order.
    tasks: BTreeMap<TaskId, Won>,
    maps: u32,
    reducers: u32,
    permissions: Permissions,
    /// The job has a combiner, so that parts may differ and be right.
    combines: bool,
    /// What fails the job in its end.
    fail_if: Vec<Condition>,
    /// Names of its parts.
    names: Option<PartNames>,
    /// A task that ran again made other output than before.
    differs: Option<Failure>,
    attempts_failed: u64,
    maps_done: u32,
    sums: Sums,
}

/// What is kept of a task.
#[derive(Debug, Clone)]
struct Won {
    attempt: AttemptId,
    facts: Facts,
    /// In the order in which they were begun.
    parts: Vec<Part>,
}

/// Sums that limits are compared with, kept so that a task costs the same however many there are.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    shuffle_records: u64,
    shuffle_bytes: u64,
    output_bytes: u64,
    output_records: u64,
    files: u64,
    rejects: u64,
}

impl Tally {
    /// The tally of a job of which no task is done.
    pub fn new(record: &PlanRecord) -> Self {
        Self {
            maps: record.map_tasks,
            reducers: record.spec.reducers,
            permissions: record.spec.permissions.clone(),
            names: Some(PartNames::of(&record.spec.output)),
            fail_if: record.spec.fail_if.clone(),
            combines: record.plugins.iter().any(|plugin| plugin.roles.contains(&Role::Combiner)),
            ..Self::default()
        }
    }

    /// Keeps what the winner of a task told, and its committed parts where it made some. Tasks that the
    /// job does not have are left out.
    pub fn keep(&mut self, attempt: AttemptId, mut facts: Facts, parts: Vec<Part>) {
        let task = attempt.task;
        // A reduce task knows its own share alone; all maps are done by now.
        let hot_min = HotKey::records_min(self.sums.shuffle_records);
        facts.large_groups.retain(|group| group.records >= hot_min);
        let tasks = match task.stage {
            Stage::Map => self.maps,
            Stage::Reduce => self.reducers,
        };
        if task.index >= tasks {
            return;
        }
        if let Some(failure) = self.differs(attempt, &facts, &parts) {
            self.differs.get_or_insert(failure);
        }
        let won = Won { attempt, facts, parts };
        self.sums.add(&won);
        match self.tasks.insert(task, won) {
            Some(former) => self.sums.subtract(&former),
            None => self.maps_done += u32::from(task.stage == Stage::Map),
        }
    }

    /// The failure of a job of which `attempt` made other output than the attempt that is kept of its
    /// task, from the same input; none where both are the same or cannot be compared. Map attempts are
    /// compared by what their mapper emitted. Parts are compared only where nothing is combined: in which
    /// portions a combiner is given a group depends on memory, and one that adds up floating point
    /// numbers, say, makes other sums of them that are as right.
    pub fn differs(&self, attempt: AttemptId, facts: &Facts, parts: &[Part]) -> Option<Failure> {
        let former = self.tasks.get(&attempt.task).filter(|former| former.attempt != attempt)?;
        let emitted = match (&former.facts.stage, &facts.stage) {
            (StageFacts::Map(former), StageFacts::Map(map)) => former.emitted.zip(map.emitted),
            _ => None,
        };
        let compared = !self.combines && !former.parts.is_empty() && !parts.is_empty();
        let same = emitted.is_none_or(|(former, latter)| former == latter)
            && (!compared || hashes(&former.parts) == hashes(parts));
        (!same).then(|| nondeterministic(former.attempt, attempt))
    }

    /// Counts an attempt that failed and is tried again.
    pub fn count_failed(&mut self) {
        self.attempts_failed += 1;
    }

    /// Whether every map task is done.
    pub fn all_maps_done(&self) -> bool {
        self.maps_done == self.maps
    }

    /// Records and bytes that reducers are to consume.
    pub fn shuffle(&self) -> (u64, u64) {
        (self.sums.shuffle_records, self.sums.shuffle_bytes)
    }

    /// Records rejected so far.
    pub fn rejects(&self) -> u64 {
        self.sums.rejects
    }

    /// Processor time of all winners, in milliseconds.
    pub fn cpu_millis(&self) -> u64 {
        sum(self.facts().map(|facts| facts.cpu_millis))
    }

    /// Parts in order: those of the main output, task by task, then those of each named one.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        let outputs = self.names.as_ref().map_or(1, PartNames::outputs);
        let outputs = 0..u32::try_from(outputs).unwrap_or(u32::MAX);
        outputs.flat_map(move |output| self.all_parts().filter(move |part| self.output_of(part) == output))
    }

    fn all_parts(&self) -> impl Iterator<Item = &Part> {
        self.tasks.values().flat_map(|won| &won.parts)
    }

    fn output_of(&self, part: &Part) -> u32 {
        self.names.as_ref().and_then(|names| names.port_of(&part.name)).unwrap_or(0)
    }

    /// Winners that rejected records, in task order, with how many: what
    /// [`mr_storage::OutputDir::collect_rejects`] takes.
    pub fn rejecting(&self) -> Vec<(AttemptId, u64)> {
        let winners = self.tasks.values().map(|won| (won.attempt, won.facts.rejects));
        winners.filter(|(_, rejects)| *rejects > 0).collect()
    }

    /// The failure of a job whose tasks together are over a limit (on rejects, or on what is shuffled or
    /// written), or of which one made other output than before.
    pub fn fault(&self) -> Option<Failure> {
        if self.differs.is_some() {
            return self.differs.clone();
        }
        self.check_rejects()
            .and_then(|()| check_shuffle(&self.permissions, self.sums.shuffle_bytes))
            .and_then(|()| self.check_output(0, 0))
            .and_then(|()| self.check_files())
            .err()
    }

    /// The failure of a job that has come to its end, where too large a share of its input was rejected or it
    /// is as one of its conditions says.
    pub fn verdict(&self) -> Option<Failure> {
        self.check_share().err().or_else(|| self.condition_held())
    }

    /// The first condition that holds.
    fn condition_held(&self) -> Option<Failure> {
        // Not of `counters`, which leaves some out where there are too many names.
        let mut values: BTreeMap<&str, i64> = BTreeMap::new();
        for condition in &self.fail_if {
            let name = condition.counter();
            values.insert(
                name,
                self.engine_counter(name).map_or(0, |sum| i64::try_from(sum).unwrap_or(i64::MAX)),
            );
        }
        for (name, delta) in self.facts().flat_map(|facts| facts.counters.iter()) {
            if let Some(sum) = values.get_mut(name) {
                *sum = sum.saturating_add(delta);
            }
        }
        let value = |condition: &Condition| values.get(condition.counter()).copied().unwrap_or(0);
        let held = self.fail_if.iter().find(|condition| condition.holds_for(value(condition)))?;
        Some(Failure::Condition { condition: held.clone(), value: value(held) })
    }

    /// A sum of the engine's own, one of [`mr_model::condition::ENGINE_COUNTERS`].
    fn engine_counter(&self, name: &str) -> Option<u64> {
        Some(match name {
            "mr/input-records" => sum(self.maps().map(|facts| facts.records_in)),
            "mr/input-bytes" => sum(self.maps().map(|facts| facts.bytes_in)),
            "mr/map-output-records" => sum(self.maps().map(|facts| facts.records_out)),
            "mr/map-output-bytes" => sum(self.maps().map(|facts| facts.bytes_out)),
            "mr/shuffle-records" => self.sums.shuffle_records,
            "mr/reduce-groups" => sum(self.reduces().map(|facts| facts.groups)),
            "mr/output-records" => self.sums.output_records,
            "mr/output-bytes" => self.sums.output_bytes,
            "mr/rejects" => self.sums.rejects,
            _ => return None,
        })
    }

    /// Refuses another part of `bytes` bytes and `records` records if the job would write more than it
    /// may.
    ///
    /// # Errors
    /// [`Failure::Limit`].
    pub fn check_output(&self, bytes: u64, records: u64) -> Result<(), Failure> {
        let stage = if self.reducers == 0 { Stage::Map } else { Stage::Reduce };
        let Sums { output_bytes, output_records, .. } = self.sums;
        let (bytes, records) = (output_bytes.saturating_add(bytes), output_records.saturating_add(records));
        check_output(&self.permissions, stage_role(stage), bytes, records)
    }

    fn check_files(&self) -> Result<(), Failure> {
        let (files, most) = (self.sums.files, OUTPUT_FILES_MAX);
        if files <= most {
            return Ok(());
        }
        let stage = if self.reducers == 0 { Stage::Map } else { Stage::Reduce };
        Err(table::OUTPUT_FILES.passed(stage_role(stage), files, most))
    }

    fn check_rejects(&self) -> Result<(), Failure> {
        let allowed = self.permissions.rejects_max;
        if self.sums.rejects <= allowed {
            return Ok(());
        }
        let LastReject { place, reason } = self.last_reject();
        Err(Failure::Rejects { allowed, reason, place })
    }

    fn check_share(&self) -> Result<(), Failure> {
        let Some(per_million_max) = self.permissions.rejects_per_million_max else { return Ok(()) };
        let (rejects, records) = (self.sums.rejects, sum(self.maps().map(|facts| facts.records_in)));
        if u128::from(rejects) * 1_000_000 <= u128::from(per_million_max) * u128::from(records) {
            return Ok(());
        }
        let LastReject { place, reason } = self.last_reject();
        Err(Failure::RejectsShare { rejects, records, per_million_max, reason, place })
    }

    fn last_reject(&self) -> LastReject {
        let last = self.tasks.values().rev().find_map(|won| won.facts.last_reject.clone());
        last.unwrap_or(LastReject { place: None, reason: String::new() })
    }

    fn facts(&self) -> impl Iterator<Item = &Facts> {
        self.tasks.values().map(|won| &won.facts)
    }

    fn maps(&self) -> impl Iterator<Item = &MapFacts> {
        self.facts().filter_map(|facts| match &facts.stage {
            StageFacts::Map(map) => Some(map),
            StageFacts::Reduce(_) => None,
        })
    }

    fn reduces(&self) -> impl Iterator<Item = &ReduceFacts> {
        self.facts().filter_map(|facts| match &facts.stage {
            StageFacts::Reduce(reduce) => Some(reduce),
            StageFacts::Map(_) => None,
        })
    }

    /// Counters of all tasks, and how many were left out: each attempt is within the cap on names, all
    /// together may not be.
    fn counters(&self) -> (Counters, u64) {
        let mut sum = Counters::default();
        let mut left_out = 0;
        for facts in self.facts() {
            for (name, delta) in facts.counters.iter() {
                left_out += u64::from(sum.add(name, delta).is_err());
            }
        }
        (sum, left_out)
    }

    /// Keys that a large share of all records have, the largest first.
    fn hot_keys(&self) -> Vec<HotKey> {
        let all = sum(self.reduces().map(|facts| facts.records_in));
        let least = HotKey::records_min(all);
        let mut hot = Vec::new();
        for (task, won) in self.tasks.iter().filter(|(task, _)| task.stage == Stage::Reduce) {
            for LargeKey { key, records, bytes } in &won.facts.large_groups {
                if *records >= least {
                    let share = u128::from(*records) * 1_000_000 / u128::from(all.max(1));
                    hot.push(HotKey {
                        key: key.clone(),
                        partition: task.index,
                        records: *records,
                        bytes: *bytes,
                        share_per_million: u32::try_from(share).unwrap_or(u32::MAX),
                    });
                }
            }
        }
        hot.sort_by_key(|hot| std::cmp::Reverse(hot.records));
        hot.truncate(LARGE_GROUPS_MAX);
        hot
    }

    /// The report of a job that ended well.
    pub fn report(&self, record: &PlanRecord, millis: Times, output_closed: bool) -> JobReport {
        let mut spilled = SpillStats::default();
        self.facts().for_each(|facts| spilled.add(&facts.spilled));
        let (counters, counters_left_out) = self.counters();
        JobReport {
            job: record.spec.id.to_string(),
            input_files: record.files.len() as u64,
            input_bytes: record.input_bytes,
            input_records: sum(self.maps().map(|facts| facts.records_in)),
            map_tasks: u64::from(self.maps),
            reduce_tasks: u64::from(self.reducers),
            attempts_failed: self.attempts_failed,
            map_output_records: sum(self.maps().map(|facts| facts.records_out)),
            map_output_bytes: sum(self.maps().map(|facts| facts.bytes_out)),
            shuffle_records: self.sums.shuffle_records,
            shuffle_bytes: self.sums.shuffle_bytes,
            spilled: spilled.into(),
            reduce_groups: sum(self.reduces().map(|facts| facts.groups)),
            hot_keys: self.hot_keys(),
            output_records: sum(self.all_parts().map(|part| part.rows)),
            output_bytes: self.sums.output_bytes,
            rejects: self.sums.rejects,
            counters,
            counters_left_out,
            millis,
            guest_memory_bytes_peak: self
                .facts()
                .map(|facts| facts.guest_memory_bytes_peak)
                .max()
                .unwrap_or(0),
            parts: self.parts().cloned().collect(),
            output_closed,
        }
    }

    /// The manifest that is published with the output.
    pub fn manifest(&self, record: &PlanRecord) -> Manifest {
        let spec = &record.spec;
        Manifest {
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            job: spec.id.clone(),
            plugins: record.plugins.clone(),
            params: spec.params.iter().cloned().collect(),
            inputs: spec.inputs.clone(),
            files: record.files.clone(),
            sides: spec.sides.clone(),
            output: spec.output.clone(),
            partitioning: spec.partitioning,
            reducers: spec.reducers,
            parts: self.parts().cloned().collect(),
            counters: self.counters().0,
            rejects: self.sums.rejects,
        }
    }
}

impl Sums {
    fn add(&mut self, won: &Won) {
        for (sum, amount) in self.fields().into_iter().zip(won.amounts()) {
            *sum = sum.saturating_add(amount);
        }
    }

    fn subtract(&mut self, won: &Won) {
        for (sum, amount) in self.fields().into_iter().zip(won.amounts()) {
            *sum = sum.saturating_sub(amount);
        }
    }

    fn fields(&mut self) -> [&mut u64; 6] {
        [
            &mut self.shuffle_records,
            &mut self.shuffle_bytes,
            &mut self.output_bytes,
            &mut self.output_records,
            &mut self.files,
            &mut self.rejects,
        ]
    }
}

impl Won {
    fn amounts(&self) -> [u64; 6] {
        let (records, bytes) = match &self.facts.stage {
            StageFacts::Map(map) => (map.shuffle_records, map.shuffle_bytes),
            StageFacts::Reduce(_) => (0, 0),
        };
        let of_parts = |count: fn(&Part) -> u64| sum(self.parts.iter().map(count));
        let (part_bytes, part_records) = (of_parts(|part| part.bytes), of_parts(|part| part.rows));
        [records, bytes, part_bytes, part_records, self.parts.len() as u64, self.facts.rejects]
    }
}

/// What two attempts at a task have to agree on: names and hashes, in whatever order the files were begun.
fn hashes(parts: &[Part]) -> BTreeMap<&str, &str> {
    parts.iter().map(|part| (part.name.as_str(), part.blake3.as_str())).collect()
}

fn nondeterministic(former: AttemptId, latter: AttemptId) -> Failure {
    let message = format!(
        "{} made other output in attempt {} than in attempt {}, from the same input; let what it emits depend on its \
         records and parameters alone, not on the number of its attempt, on addresses or on the order of a hash table",
        latter.task, latter.attempt, former.attempt
    );
    Failure::Plugin {
        fault: PluginFault::Nondeterministic,
        role: stage_role(latter.task.stage),
        message,
        place: None,
        words: LastWords::default(),
    }
}

/// Saturating: the numbers may come from another machine.
fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use mr_model::condition::ENGINE_COUNTERS;

    use super::*;

    fn attempt(task: TaskId, attempt: u32) -> AttemptId {
        AttemptId { task, attempt }
    }

    fn facts(stage: StageFacts) -> Facts {
        Facts {
            stage,
            spilled: SpillStats::default(),
            rejects: 0,
            last_reject: None,
            large_groups: Vec::new(),
            counters: Counters::default(),
            guest_memory_bytes_peak: 0,
            cpu_millis: 0,
        }
    }

    fn map(emitted: Option<u128>) -> Facts {
        facts(StageFacts::Map(MapFacts { emitted, ..MapFacts::default() }))
    }

    fn parts(hashes: &[&str]) -> Vec<Part> {
        let part = |(number, hash): (usize, &&str)| Part {
            name: format!("part-r-00000-{number:04}"),
            rows: 1,
            bytes: 1,
            blake3: (*hash).into(),
        };
        hashes.iter().enumerate().map(part).collect()
    }

    #[test]
    fn maps_that_ran_again_are_compared_by_what_they_emitted() {
        let task = TaskId::map(3);
        let mut tally = Tally { maps: 9, combines: true, ..Tally::default() };
        tally.keep(attempt(task, 0), map(Some(7)), Vec::new());
        assert_eq!(tally.differs(attempt(task, 1), &map(Some(7)), &[]), None);
        assert_eq!(tally.differs(attempt(task, 0), &map(Some(8)), &[]), None, "it is the same attempt");
        assert_eq!(tally.differs(attempt(task, 1), &map(None), &[]), None, "there is nothing to compare");
        tally.keep(attempt(task, 1), map(Some(7)), Vec::new());
        assert_eq!(tally.fault(), None);
        tally.keep(attempt(task, 2), map(Some(8)), Vec::new());
        let said = "the mapper is not deterministic: map task 3 made other output in attempt 2 than in attempt 1, \
                    from the same input; let what it emits depend on ";
        assert!(tally.fault().unwrap().to_string().starts_with(said), "{:?}", tally.fault());
    }

    #[test]
    fn conditions_are_judged_over_winners() {
        let counted = |count: i64, records_in: u64| {
            let mut facts = facts(StageFacts::Map(MapFacts { records_in, ..MapFacts::default() }));
            facts.counters.add("errors/date", count).unwrap();
            facts
        };
        let verdict = |condition: &str| {
            let fail_if = vec!["nobody > 0".parse().unwrap(), condition.parse().unwrap()];
            let mut tally = Tally { maps: 9, fail_if, ..Tally::default() };
            tally.keep(attempt(TaskId::map(0), 0), counted(50, 50), Vec::new());
            tally.keep(attempt(TaskId::map(0), 1), counted(3, 10), Vec::new());
            tally.keep(attempt(TaskId::map(1), 0), counted(4, 10), Vec::new());
            tally.verdict()
        };
        for condition in ["errors/date > 7", "mr/input-records != 20", "nobody != 0"] {
            assert_eq!(verdict(condition), None, "{condition}");
        }
        for (condition, value) in [("errors/date >= 7", 7), ("mr/input-records == 20", 20), ("errors < 1", 0)]
        {
            let failure = Failure::Condition { condition: condition.parse().unwrap(), value };
            assert_eq!(verdict(condition), Some(failure));
        }
        for name in ENGINE_COUNTERS {
            assert!(Tally::default().engine_counter(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_share_of_rejects_is_of_all_records() {
        let verdict = |rejects: [u64; 2], per_million_max: u32| {
            let permissions =
                Permissions { rejects_per_million_max: Some(per_million_max), ..Permissions::default() };
            let mut tally = Tally { maps: 9, permissions, ..Tally::default() };
            for (index, rejects) in (0..).zip(rejects) {
                let map = MapFacts { records_in: 100, ..MapFacts::default() };
                let told = Facts { rejects, ..facts(StageFacts::Map(map)) };
                tally.keep(attempt(TaskId::map(index), 0), told, Vec::new());
            }
            tally.verdict()
        };
        // One task is over the share, all together are not.
        assert_eq!(verdict([2, 0], 10_000), None);
        assert_eq!(verdict([0, 0], 0), None);
        let says = "3 of 200 records were rejected, the last one (), and 1% are allowed (raise it with --max-rejects)";
        assert_eq!(verdict([2, 1], 10_000).unwrap().to_string(), says);
        assert!(verdict([1, 0], 4_999).is_some());
    }

    #[test]
    fn hot_keys_are_judged_over_all_tasks() {
        let reduced = |records_in: u64, groups: &[(&str, u64)]| {
            let stage = StageFacts::Reduce(ReduceFacts { records_in, ..ReduceFacts::default() });
            let large = |(key, records): &(&str, u64)| LargeKey {
                key: (*key).into(),
                records: *records,
                bytes: 2 * records,
            };
            Facts { large_groups: groups.iter().map(large).collect(), ..facts(stage) }
        };
        let hot = |first: u64, second: &[(&str, u64)], all: u64| {
            let mut tally = Tally { reducers: 2, ..Tally::default() };
            tally.keep(
                AttemptId { task: TaskId::reduce(0), attempt: 0 },
                reduced(first, &[("a", first)]),
                Vec::new(),
            );
            let second = reduced(all - first, second);
            tally.keep(AttemptId { task: TaskId::reduce(1), attempt: 0 }, second, Vec::new());
            tally.hot_keys()
        };
        // A tenth of all is not enough, and one record more is.
        assert_eq!(hot(10_000, &[], 100_000), []);
        let one = HotKey {
            key: "a".into(),
            partition: 0,
            records: 10_001,
            bytes: 20_002,
            share_per_million: 100_010,
        };
        assert_eq!(hot(10_001, &[], 100_000), [one]);
        assert_eq!(hot(9_999, &[], 10_000), [], "few records hold up nobody");
        let both = hot(30_000, &[("b", 60_000), ("c", 10_000)], 100_000);
        let told: Vec<_> =
            both.iter().map(|hot| (hot.key.as_str(), hot.partition, hot.share_per_million)).collect();
        assert_eq!(told, [("b", 1, 600_000), ("a", 0, 300_000)]);
    }

    #[test]
    fn parts_are_compared_where_nothing_is_combined() {
        let task = TaskId::reduce(0);
        let reduced = || facts(StageFacts::Reduce(ReduceFacts::default()));
        for combines in [false, true] {
            let mut tally = Tally { reducers: 1, combines, ..Tally::default() };
            tally.keep(attempt(task, 0), reduced(), parts(&["a", "b"]));
            let mut same = parts(&["a", "b"]);
            same.reverse();
            assert_eq!(tally.differs(attempt(task, 1), &reduced(), &same), None);
            for other in [parts(&["a", "c"]), parts(&["a"]), parts(&["a", "b", "c"])] {
                let differs = tally.differs(attempt(task, 1), &reduced(), &other);
                assert_eq!(differs.is_some(), !combines);
            }
        }
    }
}
