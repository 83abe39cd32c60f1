//! What attempts do on the machines: run, read map outputs, write their file, ask to commit, fail.

use mr_model::{Failure, Incarnation, JobId, Stage};
use mr_scheduler::{Event, Lease, MapOutput};

use super::{Cluster, Happening, Word};
use crate::data;
use crate::machine::{AttemptKey, Fate, Phase, SimAttempt, SimOutput, draw_fate, report_of};

impl Cluster {
    pub(super) fn start(&mut self, index: usize, lease: Lease, reducers: u32, inputs: Vec<MapOutput>) {
        if !self.machines[index].is_life(lease.incarnation) {
            return;
        }
        let faults = self.faults();
        let fatal = faults && self.fatal.contains(&lease.job);
        let fate = draw_fate(&mut self.rng, faults, fatal, &self.machines[index], &lease);
        let slow = self.rng.percent(8);
        let longest = if self.slow_commits { 10_000 } else { 40_000 };
        let duration = if slow { self.rng.within(6_000, longest) } else { self.rng.within(50, 3_000) };
        let duration = (duration * self.machines[index].slowness).min(longest);
        let reads_at = self.now + self.rng.within(0, duration);
        let reads = lease.attempt.task.stage == Stage::Reduce;
        let key = (lease.job.clone(), lease.attempt);
        let (started, phase) = (self.now, Phase::Running);
        let attempt = SimAttempt { lease, reducers, phase, fate, inputs, read: None, started, duration };
        match self.machines[index].launch(attempt) {
            Ok(Some(duration)) => {
                let incarnation = self.machines[index].incarnation;
                if reads {
                    self.at(reads_at, Happening::Read { machine: index, incarnation, key: key.clone() });
                }
                self.at(self.now + duration + 1, Happening::Step { machine: index, incarnation, key });
            }
            Ok(None) => {}
            Err(word) => self.say(index, Word::Plain(word)),
        }
    }

    fn attempt(&self, machine: usize, incarnation: u64, key: &AttemptKey) -> Option<&SimAttempt> {
        let machine = &self.machines[machine];
        machine.attempts.get(key).filter(|_| machine.is_life(Incarnation(incarnation)))
    }

    pub(super) fn read(&mut self, index: usize, incarnation: u64, key: &AttemptKey) {
        let Some(attempt) = self.attempt(index, incarnation, key) else { return };
        if !matches!(attempt.phase, Phase::Running) {
            return;
        }
        let reducer = attempt.lease.attempt.task.index as usize;
        let mut sum = data::Counts::default();
        for input in &attempt.inputs {
            match self.fetch(index, &key.0, input) {
                Ok(output) => data::add(&mut sum, &output.partitions[reducer]),
                Err(failure) => {
                    let word = Event::AttemptFailed { lease: attempt.lease.clone(), failure };
                    let word = self.machines[index].end(key, word);
                    return self.say(index, Word::Plain(word));
                }
            }
        }
        self.machines[index].attempts.get_mut(key).unwrap().read = Some(sum);
    }

    /// A map's output as machine `reader` gets it at this moment.
    fn fetch(&self, reader: usize, job: &JobId, input: &MapOutput) -> Result<&SimOutput, Failure> {
        let holder = &self.machines[usize::try_from(input.worker.0).unwrap()];
        let map_task = input.attempt.task;
        let reached = holder.id == self.machines[reader].id
            || !(holder.apart || self.machines[reader].apart || holder.frozen_until > self.now);
        let output = holder.outputs.get(&(job.clone(), input.attempt));
        match output.filter(|_| reached && holder.is_life(input.incarnation)) {
            Some(output) if output.intact => Ok(output),
            Some(_) => Err(Failure::Corrupt {
                path: "run".into(),
                reason: "checksum".into(),
                map_task: Some(map_task),
            }),
            None => Err(Failure::Fetch { map_task, reason: "gone".into() }),
        }
    }

    pub(super) fn step(&mut self, index: usize, incarnation: u64, key: AttemptKey) {
        let Some(attempt) = self.attempt(index, incarnation, &key).cloned() else { return };
        let (lease, reducers) = (attempt.lease, attempt.reducers);
        let task = lease.attempt.task;
        let report = report_of(&key.0, lease.attempt, reducers);
        match (&attempt.phase, &attempt.fate) {
            (Phase::Ended(_), _) => {}
            (Phase::Running, Fate::Fails(failure)) => {
                let word = Event::AttemptFailed { lease, failure: failure.clone() };
                let word = self.machines[index].end(&key, word);
                self.say(index, Word::Plain(word));
            }
            (Phase::Running, Fate::Succeeds) if task.stage == Stage::Map && reducers > 0 => {
                let intact = !(self.faults() && self.rng.percent(2));
                let output = SimOutput { intact, partitions: data::map(&key.0, task.index, reducers) };
                let machine = &mut self.machines[index];
                machine.outputs.insert(key.clone(), output);
                let word = machine.end(&key, Event::AttemptFinished { lease, report });
                self.say(index, Word::Plain(word));
            }
            // It was frozen, and what it missed comes in another order.
            (Phase::Running, _) if task.stage == Stage::Reduce && attempt.read.is_none() => {
                self.at(self.now + 1, Happening::Step { machine: index, incarnation, key });
            }
            (Phase::Running | Phase::AwaitsCommit, _) => {
                if matches!(attempt.phase, Phase::Running) {
                    let read = || data::map(&key.0, task.index, 1).remove(0);
                    let counts = if task.stage == Stage::Map { read() } else { attempt.read.unwrap() };
                    self.store.write(&lease, counts);
                    self.machines[index].attempts.get_mut(&key).unwrap().phase = Phase::AwaitsCommit;
                }
                self.say(index, Word::Ready { lease, report });
                let patience = if self.slow_commits { 4_000 } else { 700 };
                self.at(self.now + patience, Happening::Step { machine: index, incarnation, key });
            }
        }
    }
}
