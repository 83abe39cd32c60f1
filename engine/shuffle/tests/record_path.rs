//! The whole record path, from emitted records to groups, against a naive in-memory reference: any
//! budget, any number of partitions, fan-in, batch size, codec, with and without a combiner.

#![expect(clippy::unwrap_used, reason = "a failing unwrap fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use mr_model::{AttemptId, BatchBuf, ColumnBuf, Failure, GroupedBatchBuf, JobId, TaskId};
use mr_shuffle::{
    Codec, Combine, GroupReader, HashPartitioner, MapOutput, MapOutputWriter, MemoryPool, OutputOptions,
    ReduceInput, ReduceInputOptions, RunId,
};
use proptest::prelude::*;

type Record = (Vec<u8>, Vec<u8>);

/// Concatenates the values of a group, so that the order of values is seen, too.
struct Concatenate;

impl Combine for Concatenate {
    fn combine(&mut self, groups: &GroupedBatchBuf, out: &mut BatchBuf) -> Result<(), Failure> {
        for (key, values) in groups_of(groups) {
            out.push(&key, &values.concat());
        }
        Ok(())
    }
}

fn groups_of(batch: &GroupedBatchBuf) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let ends = batch.ends.as_chunks::<4>().0.iter().map(|end| u32::from_le_bytes(*end) as usize);
    let values: Vec<Vec<u8>> = batch.values.view().iter().map(<[u8]>::to_vec).collect();
    let mut start = 0;
    let mut groups = Vec::new();
    for (key, end) in batch.keys.view().iter().zip(ends) {
        groups.push((key.to_vec(), values[start..end].to_vec()));
        start = end;
    }
    groups
}

#[derive(Debug, Clone)]
struct Case {
    tasks: Vec<Vec<Record>>,
    partitions: u32,
    pool_bytes: u64,
    retain_bytes: Option<u64>,
    fan_in: usize,
    batch_bytes: usize,
    codec: Codec,
    combine: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let key = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3),
        (0u32..50).prop_map(|i| format!("a-long-common-prefix-{i}").into_bytes()),
        Just(Vec::new()),
    ];
    let record = (key, prop::collection::vec(any::<u8>(), 0..40));
    let tasks = prop::collection::vec(prop::collection::vec(record, 0..300), 1..5);
    let sizes = (1u32..5, 2_000u64..60_000, prop::option::of(0u64..20_000));
    let merging = (2usize..6, 1usize..3_000, any::<bool>(), any::<bool>());
    (tasks, sizes, merging).prop_map(|(tasks, sizes, merging)| Case {
        tasks,
        partitions: sizes.0,
        pool_bytes: sizes.1,
        retain_bytes: sizes.2,
        fan_in: merging.0,
        batch_bytes: merging.1,
        codec: if merging.2 { Codec::Lz4 } else { Codec::None },
        combine: merging.3,
    })
}

fn id(task: TaskId) -> RunId {
    RunId { job: JobId::new("test").unwrap(), attempt: AttemptId { task, attempt: 0 }, sequence: 0 }
}

fn hook(case: &Case) -> Option<Box<dyn Combine>> {
    case.combine.then(|| Box::new(Concatenate) as Box<dyn Combine>)
}

fn run_maps(case: &Case, dir: &std::path::Path) -> Vec<MapOutput> {
    let pool = MemoryPool::new(case.pool_bytes + case.retain_bytes.unwrap_or(0));
    let retain = case.retain_bytes.map(MemoryPool::new);
    let hash = HashPartitioner::new(case.partitions);
    let mut outputs = Vec::new();
    for (task, records) in (0u32..).zip(&case.tasks) {
        let mut writer = MapOutputWriter::new(OutputOptions {
            id: id(TaskId::map(task)),
            partitions: case.partitions,
            dir: dir.to_owned(),
            pool: pool.clone(),
            retain: retain.clone(),
            buffer_bytes_min: 1_000,
            codec: case.codec,
            batch_bytes: case.batch_bytes,
            combine: hook(case),
        });
        for (key, value) in records {
            writer.push(hash.partition(key), key, value).unwrap();
        }
        outputs.push(writer.finish().unwrap());
        assert!(pool.taken() <= pool.bytes_max());
    }
    outputs
}

fn run_reduce(
    case: &Case,
    dir: &std::path::Path,
    outputs: &[MapOutput],
    partition: u32,
    to_the_end: bool,
) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let input = ReduceInput::new(outputs, partition);
    let (merge, merged) = input
        .open(ReduceInputOptions {
            id: id(TaskId::reduce(partition)),
            dir: dir.to_owned(),
            fan_in: case.fan_in,
            codec: case.codec,
            batch_bytes: case.batch_bytes,
            combine: hook(case),
            cancelled: Box::new(|| false),
            merged_bytes: Arc::default(),
            merge_bytes: Arc::default(),
        })
        .unwrap();
    let mut reader = GroupReader::new(merge, case.batch_bytes);
    let (mut batch, mut more) = (GroupedBatchBuf::default(), ColumnBuf::default());
    let mut groups = BTreeMap::new();
    let mut last_key: Option<Vec<u8>> = None;
    while reader.next_batch(&mut batch).unwrap() {
        let mut fresh = groups_of(&batch);
        if batch.more {
            let open = fresh.last_mut().unwrap();
            while to_the_end && reader.next_values(&mut more).unwrap() {
                open.1.extend(more.view().iter().map(<[u8]>::to_vec));
            }
        }
        for (key, values) in fresh {
            assert!(last_key.as_ref().is_none_or(|last| *last < key), "keys rise and come once");
            last_key = Some(key.clone());
            groups.insert(key, values);
        }
    }
    merged.check(reader.passed()).unwrap();
    groups
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn groups_equal_a_naive_reference(case in case()) {
        let dir = tempfile::tempdir().unwrap();
        let outputs = run_maps(&case, dir.path());
        let hash = HashPartitioner::new(case.partitions);
        for partition in 0..case.partitions {
            let mut naive: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
            for (key, value) in case.tasks.iter().flatten().filter(|(key, _)| hash.partition(key) == partition) {
                naive.entry(key.clone()).or_default().push(value.clone());
            }
            let groups = run_reduce(&case, dir.path(), &outputs, partition, true);
            // A reducer that leaves the rest of a long group unread still sees every key once.
            let hasty = run_reduce(&case, dir.path(), &outputs, partition, false);
            prop_assert!(hasty.keys().eq(naive.keys()));
            if case.combine {
                // A combiner may run any number of times: only the concatenation is fixed.
                let joined = |groups: BTreeMap<Vec<u8>, Vec<Vec<u8>>>| -> BTreeMap<Vec<u8>, Vec<u8>> {
                    groups.into_iter().map(|(key, values)| (key, values.concat())).collect()
                };
                prop_assert_eq!(joined(groups), joined(naive));
            } else {
                prop_assert_eq!(groups, naive);
            }
        }
        drop(outputs);
        prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "run files are removed");
    }
}
