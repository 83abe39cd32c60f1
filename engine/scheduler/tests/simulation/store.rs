//! The storage for output that all machines and the coordinator share: files of single attempts,
//! and the parts that they become by renaming.

use std::collections::BTreeMap;

use mr_model::{JobId, TaskId};
use mr_scheduler::Lease;

use crate::data::Counts;

#[derive(Debug, Default)]
pub struct Store {
    files: BTreeMap<Lease, Counts>,
    parts: BTreeMap<(JobId, TaskId), (Lease, Counts)>,
}

impl Store {
    pub fn write(&mut self, lease: &Lease, counts: Counts) {
        self.files.insert(lease.clone(), counts);
    }

    pub fn delete(&mut self, lease: &Lease) {
        self.files.remove(lease);
    }

    /// Makes an attempt's file the part of its task, in place of an earlier one. Once more changes
    /// nothing; false where there is neither such a file nor such a part.
    pub fn rename(&mut self, lease: &Lease) -> bool {
        let place = (lease.job.clone(), lease.attempt.task);
        match self.files.remove(lease) {
            Some(counts) => {
                self.parts.insert(place, (lease.clone(), counts));
                true
            }
            None => self.parts.get(&place).is_some_and(|(renamed, _)| renamed == lease),
        }
    }

    pub fn part(&self, job: &JobId, task: TaskId) -> Option<&(Lease, Counts)> {
        self.parts.get(&(job.clone(), task))
    }
}
