//! Where the input of tasks is: hosts that have a split, workers that have the bytes of a partition.
//! A preference only: no slot idles for it, because the network costs a task less than waiting does.
//! (Delay scheduling pays where disks are far faster than the network, which they are not any more.)

use std::collections::BTreeMap;

use mr_model::WorkerId;
use serde::{Deserialize, Serialize};

use crate::config::{
    HOST_BYTES_MAX, PARTITION_BYTES_MAPS_MAX, PARTITION_BYTES_REDUCERS_MAX, SPLIT_HOSTS_MAX,
};

/// Most bytes of a partition that one map is believed to have, so that sums stay exact: a PiB.
const PARTITION_BYTES_BELIEVED: u64 = 1 << 50;

/// Hosts that have a copy of each split.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SplitHosts {
    names: Vec<String>,
    /// Indexes into `names`; empty where nothing is known of any split.
    of_split: Vec<Box<[u32]>>,
}

impl SplitHosts {
    /// Keeps each name once: a job has many splits on few hosts.
    pub fn new(splits: Vec<Vec<String>>) -> Self {
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        let mut names = Vec::new();
        let mut of_split = Vec::with_capacity(splits.len());
        for hosts in splits {
            let legal = hosts.into_iter().filter(|host| host.len() <= HOST_BYTES_MAX);
            let hosts = legal.take(SPLIT_HOSTS_MAX).map(|host| {
                *numbers.entry(host).or_insert_with_key(|host| {
                    names.push(host.clone());
                    // At most eight for each of a million splits.
                    u32::try_from(names.len() - 1).unwrap_or(u32::MAX)
                })
            });
            of_split.push(hosts.collect());
        }
        Self { names, of_split }
    }

    /// Whether no split has a host.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Hosts that have the split.
    pub fn of(&self, split: u32) -> impl Iterator<Item = &str> {
        let hosts = self.of_split.get(split as usize).map_or(&[][..], |hosts| &**hosts);
        hosts.iter().filter_map(|&host| self.names.get(host as usize).map(String::as_str))
    }
}

/// Bytes of valid map outputs by worker and partition, as far as reports told them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionBytes {
    /// Partitions of the job; 0 where the sizes are not kept.
    partitions: usize,
    /// Sizes that there is room for: those of each map, and sums for each worker that has one.
    room: usize,
    of_map: BTreeMap<u32, Box<[u64]>>,
    on_worker: BTreeMap<WorkerId, Box<[u64]>>,
}

impl PartitionBytes {
    /// For a job of that many maps and reducers; keeps nothing where that would be too much, or more
    /// than `sizes_max` sizes.
    pub fn new(maps: u32, reducers: u32, sizes_max: usize) -> Self {
        let (maps, partitions) = (maps as usize, reducers as usize);
        let few = maps <= PARTITION_BYTES_MAPS_MAX && reducers <= PARTITION_BYTES_REDUCERS_MAX;
        let room = maps.saturating_mul(partitions).saturating_mul(2);
        if few && room <= sizes_max { Self { partitions, room, ..Self::default() } } else { Self::default() }
    }

    /// Sizes that there is room for.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Notes the output of a map, where its sizes are told and kept.
    pub fn add(&mut self, map: u32, worker: WorkerId, bytes: &[u64]) {
        if self.partitions == 0 || bytes.len() != self.partitions {
            return;
        }
        let bytes: Box<[u64]> = bytes.iter().map(|bytes| (*bytes).min(PARTITION_BYTES_BELIEVED)).collect();
        let sums = self.on_worker.entry(worker).or_insert_with(|| vec![0; bytes.len()].into());
        for (sum, bytes) in sums.iter_mut().zip(&bytes) {
            *sum += bytes;
        }
        self.of_map.insert(map, bytes);
    }

    /// Forgets the output of a map that was on `worker`.
    pub fn remove(&mut self, map: u32, worker: WorkerId) {
        let Some(bytes) = self.of_map.remove(&map) else { return };
        let Some(sums) = self.on_worker.get_mut(&worker) else { return };
        for (sum, bytes) in sums.iter_mut().zip(&bytes) {
            *sum -= bytes;
        }
    }

    /// Forgets all outputs on a worker, which are those of `maps`.
    pub fn remove_worker(&mut self, worker: WorkerId, maps: &[u32]) {
        self.on_worker.remove(&worker);
        for map in maps {
            self.of_map.remove(map);
        }
    }

    /// Workers with at least `percent_min` of a partition's bytes, those with most first.
    pub fn near(&self, partition: u32, percent_min: u64) -> impl Iterator<Item = WorkerId> {
        let bytes = |sums: &[u64]| sums.get(partition as usize).copied().unwrap_or(0);
        let total: u64 = self.on_worker.values().map(|sums| bytes(sums)).sum();
        let enough = |bytes: u64| u128::from(bytes) * 100 >= u128::from(total) * u128::from(percent_min);
        let mut near: Vec<(u64, WorkerId)> = self
            .on_worker
            .iter()
            .map(|(&worker, sums)| (bytes(sums), worker))
            .filter(|(bytes, _)| *bytes > 0 && enough(*bytes))
            .collect();
        near.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        near.into_iter().map(|(_, worker)| worker)
    }
}
