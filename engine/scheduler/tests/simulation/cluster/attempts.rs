//! What attempts do on the machines: run, read map outputs, ask to commit, publish, fail.

use mr_model::{Failure, Incarnation, JobId};
use mr_scheduler::{Event, Lease, MapOutput};

use super::{Cluster, Happening};
use crate::machine::{AttemptKey, Fate, Phase, SimAttempt, draw_fate};

impl Cluster {
    pub(super) fn start(&mut self, index: usize, lease: Lease, commits: bool, inputs: Vec<MapOutput>) {
        if !self.machines[index].is_life(lease.incarnation) {
            return;
        }
        let faults = self.faults();
        let fatal = faults && self.fatal.contains(&lease.job);
        let fate = draw_fate(&mut self.rng, faults, fatal, &lease);
        let slow = self.rng.percent(8);
        let longest = if self.slow_commits { 10_000 } else { 40_000 };
        let duration = if slow { self.rng.within(6_000, longest) } else { self.rng.within(50, 3_000) };
        let reads_at = self.now + self.rng.within(0, duration);
        let reads = !inputs.is_empty();
        let key = (lease.job.clone(), lease.attempt);
        let attempt = SimAttempt::new(lease, commits, inputs, fate, self.now, duration);
        match self.machines[index].launch(attempt) {
            Ok(Some(duration)) => {
                let incarnation = self.machines[index].incarnation;
                if reads {
                    self.at(reads_at, Happening::Read { machine: index, incarnation, key: key.clone() });
                }
                self.at(self.now + duration + 1, Happening::Step { machine: index, incarnation, key });
            }
            Ok(None) => {}
            Err(word) => self.say(index, word),
        }
    }

    pub(super) fn publishing_fails(&mut self, lease: &Lease) -> bool {
        let percent = if self.slow_commits && lease.attempt.attempt > 0 { 60 } else { 5 };
        self.faults() && self.rng.percent(percent)
    }

    pub(super) fn attempt(&self, machine: usize, incarnation: u64, key: &AttemptKey) -> Option<&SimAttempt> {
        let machine = &self.machines[machine];
        machine.attempts.get(key).filter(|_| machine.is_life(Incarnation(incarnation)))
    }

    pub(super) fn read(&mut self, index: usize, incarnation: u64, key: &AttemptKey) {
        let Some(attempt) = self.attempt(index, incarnation, key) else { return };
        if !matches!(attempt.phase, Phase::Running) {
            return;
        }
        let lost = attempt.inputs.iter().find_map(|input| self.unreadable(index, &key.0, input));
        if let Some(failure) = lost {
            let word = Event::AttemptFailed { lease: attempt.lease.clone(), failure };
            let word = self.machines[index].end(key, word);
            self.say(index, word);
        }
    }

    /// Why machine `reader` cannot read a map's output at this moment.
    pub(super) fn unreadable(&self, reader: usize, job: &JobId, input: &MapOutput) -> Option<Failure> {
        let holder = &self.machines[usize::try_from(input.worker.0).unwrap()];
        let map_task = input.attempt.task;
        let reached = holder.id == self.machines[reader].id || !(holder.cut || self.machines[reader].cut);
        let output = holder.outputs.get(&(job.clone(), input.attempt));
        match output.filter(|_| reached && holder.is_life(input.incarnation)) {
            Some(true) => None,
            Some(false) => Some(Failure::Corrupt {
                path: "run".into(),
                reason: "checksum".into(),
                map_task: Some(map_task),
            }),
            None => Some(Failure::Fetch { map_task, reason: "gone".into() }),
        }
    }

    pub(super) fn step(&mut self, index: usize, incarnation: u64, key: AttemptKey) {
        let Some(attempt) = self.attempt(index, incarnation, &key).cloned() else { return };
        let lease = attempt.lease.clone();
        match (&attempt.phase, &attempt.fate) {
            (Phase::Ended(_), _) => {}
            (Phase::Running, Fate::Fails(failure)) => {
                let word = Event::AttemptFailed { lease, failure: failure.clone() };
                let word = self.machines[index].end(&key, word);
                self.say(index, word);
            }
            (Phase::Running, Fate::Succeeds) if !attempt.commits => {
                let intact = !(self.faults() && self.rng.percent(2));
                self.machines[index].outputs.insert(key.clone(), intact);
                let word = self.machines[index].end(&key, attempt.success());
                self.say(index, word);
            }
            (Phase::Running | Phase::AwaitsGrant, _) => {
                self.machines[index].attempts.get_mut(&key).unwrap().phase = Phase::AwaitsGrant;
                self.say(index, Event::CommitRequested { lease });
                self.at(self.now + 700, Happening::Step { machine: index, incarnation, key });
            }
            (Phase::Publishing, _) if self.now >= self.machines[index].lease_end => {
                self.at(self.now + 100, Happening::Step { machine: index, incarnation, key });
            }
            (Phase::Publishing, _) if self.publishing_fails(&lease) => {
                let failure = Failure::Disk { path: "part".into(), reason: "full".into(), full: true };
                let word = self.machines[index].end(&key, Event::AttemptFailed { lease, failure });
                self.say(index, word);
            }
            (Phase::Publishing, _) => {
                self.observer.publish(&lease);
                let word = self.machines[index].end(&key, attempt.success());
                self.say(index, word);
            }
        }
    }
}
