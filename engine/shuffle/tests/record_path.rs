//! The whole record path, from emitted records to groups, against a naive in-memory reference: any
//! budget, any number of partitions, fan-in, batch size, codec, with and without a combiner.

#![expect(clippy::unwrap_used, reason = "a failing unwrap fails the test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use mr_model::{AttemptId, BatchBuf, ColumnBuf, DataType, Failure, GroupedBatchBuf, JobId, TaskId};
use mr_shuffle::{
    Codec, Combine, GroupReader, HashPartitioner, KeyPrefix, MapOutput, MapOutputWriter, MemoryPool,
    OutputOptions, ReduceInput, ReduceInputOptions, RunId, StoredSegment,
};
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

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
    /// Keys are tuples, of which the first element decides about partition and group.
    prefix: Option<KeyPrefix>,
}

impl Case {
    /// What of a key decides about partition and group.
    fn first<'a>(&self, key: &'a [u8]) -> &'a [u8] {
        self.prefix.as_ref().map_or(key, |prefix| prefix.of(key).unwrap())
    }
}

/// Two byte strings as a key of type `tuple<bytes,bytes>`.
fn pair(first: &[u8], second: &[u8]) -> Vec<u8> {
    let element = |bytes: &[u8]| -> Vec<u8> {
        let escaped = bytes.iter().flat_map(|byte| if *byte == 0 { vec![0, 0xff] } else { vec![*byte] });
        escaped.chain([0, 0]).collect()
    };
    [element(first), element(second)].concat()
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
    let merging = (2usize..6, 1usize..3_000, any::<bool>(), any::<bool>(), any::<bool>());
    (tasks, sizes, merging).prop_map(|(mut tasks, sizes, merging)| Case {
        prefix: merging.4.then(|| {
            for (key, value) in tasks.iter_mut().flatten() {
                *key = pair(key, &value[..value.len().min(2)]);
            }
            KeyPrefix::new(&"tuple<bytes,bytes>".parse::<DataType>().unwrap(), 1).unwrap()
        }),
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

fn run_maps(case: &Case, dir: &Path) -> Vec<MapOutput> {
    let pool = MemoryPool::new(case.pool_bytes + case.retain_bytes.unwrap_or(0));
    let retain = case.retain_bytes.map(MemoryPool::new);
    let hash = HashPartitioner::new(case.partitions);
    let mut outputs = Vec::new();
    for (task, records) in (0u32..).zip(&case.tasks) {
        let mut writer = MapOutputWriter::new(OutputOptions {
            full: Default::default(),
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
            writer.push(hash.partition(case.first(key)), key, value).unwrap();
        }
        outputs.push(writer.finish().unwrap());
        assert!(pool.taken() <= pool.bytes_max());
    }
    outputs
}

/// The partition's segments of all outputs as another machine has them: sent as plain data, their bytes
/// checked by hash and copied into one file, one behind the other, the last ones first.
fn fetch(outputs: &[MapOutput], dir: &Path, partition: u32) -> Vec<StoredSegment> {
    let path = dir.join(format!("spool-{partition}"));
    let mut spool = b"something else".to_vec();
    let mut segments: Vec<StoredSegment> = outputs.iter().flat_map(MapOutput::segments).collect();
    segments.retain(|segment| segment.entry.partition == partition);
    segments.reverse();
    for segment in &mut segments {
        let [at, length] = [segment.at, segment.entry.length].map(|number| usize::try_from(number).unwrap());
        let bytes = std::fs::read(&segment.path).unwrap()[at..at + length].to_vec();
        assert_eq!(xxh3_128(&bytes), segment.entry.hash);
        segment.path = path.clone();
        segment.at = spool.len() as u64;
        spool.extend_from_slice(&bytes);
    }
    std::fs::write(path, spool).unwrap();
    postcard::from_bytes(&postcard::to_stdvec(&segments).unwrap()).unwrap()
}

fn run_reduce(
    case: &Case,
    dir: &Path,
    input: ReduceInput,
    partition: u32,
    to_the_end: bool,
) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let (merge, merged) = input
        .open(ReduceInputOptions {
            full: Default::default(),
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
    let least = (merged.expected.0 / 10 + 1).max(3);
    let mut reader = GroupReader::new(merge, case.batch_bytes, case.prefix.clone()).noting(least);
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
    let large: Vec<(&[u8], u64)> =
        reader.large().iter().map(|group| (group.key.as_slice(), group.records)).collect();
    let sizes = groups.iter().map(|(key, values)| (key.as_slice(), values.len() as u64));
    // Records that a hasty reducer did not see count, too.
    if to_the_end {
        assert!(sizes.filter(|(_, records)| *records >= least).eq(large));
    } else {
        assert!(
            sizes
                .filter(|(_, records)| *records >= least)
                .all(|(key, _)| large.iter().any(|one| one.0 == key))
        );
    }
    groups
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn groups_equal_a_naive_reference(case in case()) {
        let (dir, spools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let outputs = run_maps(&case, dir.path());
        let hash = HashPartitioner::new(case.partitions);
        for partition in 0..case.partitions {
            let mut naive: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
            let mut records: Vec<&Record> = case.tasks.iter().flatten().collect();
            records.retain(|(key, _)| hash.partition(case.first(key)) == partition);
            records.sort_by_key(|(key, _)| key);
            for (key, value) in records {
                naive.entry(case.first(key).to_vec()).or_default().push(value.clone());
            }
            let groups = run_reduce(&case, dir.path(), ReduceInput::new(&outputs, partition), partition, true);
            // A reducer that leaves the rest of a long group unread still sees every key once.
            let hasty = run_reduce(&case, dir.path(), ReduceInput::new(&outputs, partition), partition, false);
            prop_assert!(hasty.keys().eq(naive.keys()));
            if case.retain_bytes.is_none() {
                let segments = fetch(&outputs, spools.path(), partition);
                let input = ReduceInput::from_segments(segments, partition).unwrap();
                prop_assert_eq!(input.expected(), ReduceInput::new(&outputs, partition).expected());
                let fetched = run_reduce(&case, dir.path(), input, partition, true);
                prop_assert_eq!(&fetched, &groups);
            }
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

/// One map task with one run, and the segment of its only partition.
fn segment(dir: &Path, task: u32) -> (MapOutput, StoredSegment) {
    let records = (0u32..300).map(|i| (i.to_be_bytes().to_vec(), vec![b'v'; 9])).collect();
    let case = Case {
        tasks: vec![Vec::new(), Vec::new(), records],
        partitions: 1,
        pool_bytes: 1 << 20,
        retain_bytes: None,
        fan_in: 4,
        batch_bytes: 1000,
        codec: Codec::Lz4,
        combine: false,
        prefix: None,
    };
    let output = run_maps(&case, dir).pop().unwrap();
    let mut segment = output.segments().next().unwrap();
    assert_eq!((segment.at, output.segments().count()), (segment.entry.offset, 1));
    segment.id.attempt.task = TaskId::map(task);
    (output, segment)
}

fn read(segment: &StoredSegment) -> Result<u64, Failure> {
    let mut cursor = segment.cursor()?;
    let mut records = 0;
    while !cursor.is_exhausted() {
        records += 1;
        cursor.advance()?;
    }
    Ok(records)
}

#[test]
fn a_damaged_segment_names_its_map_task() {
    let dir = tempfile::tempdir().unwrap();
    let (_output, segment) = segment(dir.path(), 2);
    assert_eq!(read(&segment), Ok(300));
    let [at, length] = [segment.at, segment.entry.length].map(|number| usize::try_from(number).unwrap());
    let bytes = std::fs::read(&segment.path).unwrap()[at..][..length].to_vec();
    let copy = dir.path().join("copy");
    let placed = StoredSegment { path: copy.clone(), at: 0, ..segment.clone() };
    let refused = |segment: &StoredSegment| {
        let outcome = read(segment);
        let names =
            matches!(&outcome, Err(Failure::Corrupt { map_task: Some(task), .. }) if *task == TaskId::map(2));
        assert!(names, "{outcome:?}");
    };
    refused(&placed);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&copy, flipped).unwrap();
        refused(&placed);
        std::fs::write(&copy, &bytes[..at]).unwrap();
        refused(&placed);
    }
    std::fs::write(&copy, &bytes).unwrap();
    assert_eq!(read(&placed), Ok(300));
    let mut told = placed.clone();
    let mut wrongly = |change: fn(&mut StoredSegment)| {
        change(&mut told);
        refused(&told);
        told = placed.clone();
    };
    wrongly(|segment| segment.at = u64::MAX);
    wrongly(|segment| segment.at += 1);
    wrongly(|segment| segment.codec = Codec::None);
    wrongly(|segment| segment.id.attempt.attempt += 1);
    wrongly(|segment| segment.entry.offset = u64::MAX);
    wrongly(|segment| segment.entry.offset += 1);
    wrongly(|segment| segment.entry.length = u64::MAX);
    wrongly(|segment| segment.entry.length = 0);
    wrongly(|segment| segment.entry.records += 1);
    wrongly(|segment| segment.entry.cursor_bytes = 0);
}

#[test]
fn segments_that_do_not_belong_together_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_output, mut one) = segment(dir.path(), 1);
    one.entry.partition = 3;
    let other = |change: fn(&mut StoredSegment)| {
        let mut other = one.clone();
        change(&mut other);
        ReduceInput::from_segments(vec![one.clone(), other], 3).map(|input| input.expected().0)
    };
    assert_eq!(other(|other| other.id.sequence = 1), Ok(600));
    assert_eq!(other(|other| other.id.attempt.task.index = 0), Ok(600));
    let refused = |outcome| assert!(matches!(outcome, Err(Failure::Internal { .. })), "{outcome:?}");
    refused(other(|_| {}));
    refused(other(|other| other.entry.partition = 2));
    refused(other(|other| (other.id.attempt.attempt, other.id.sequence) = (1, 1)));
    refused(other(|other| other.id.attempt.task = TaskId::reduce(0)));
}
