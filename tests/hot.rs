//! Hot keys: what of them reaches reducers, and what the report says.

use serde_json::json;

use crate::support::Job;
use crate::support::cluster::{Cluster, Work};
use crate::support::process::{plugin, run};
use crate::support::random::Random;

/// Records of a key of 4 bytes and a value of 8, the number 1; the key `hot!` has so many of a hundred.
fn records(count: usize, hot: u64) -> Vec<u8> {
    let mut random = Random::new(hot);
    let record = |_| {
        let key = match random.below(100) < hot {
            true => *b"hot!",
            false => u32::try_from(random.below(50_000)).unwrap().to_be_bytes(),
        };
        [&key[..], &1u64.to_be_bytes()].concat()
    };
    (0..count).flat_map(record).collect()
}

fn hot_records(records: &[u8]) -> u64 {
    records.chunks(12).filter(|record| record.starts_with(b"hot!")).count() as u64
}

/// Values of the hot key that reached the reducer `gather`.
fn reached(output: &[u8]) -> u64 {
    let begin = output.windows(5).position(|bytes| bytes == b"hot!\t").unwrap() + 5;
    let digits = output[begin..].split(|byte| *byte == b':').next().unwrap();
    std::str::from_utf8(digits).unwrap().parse().unwrap()
}

#[test]
fn the_hottest_key_reaches_the_reducer_folded() {
    // Where most keys are equal all of them are combined, and where few are the hot one alone.
    for hot in [90, 10] {
        let (tasks, count) = (200, 400_000);
        let input = records(count, hot);
        let job = |memory: &str| {
            let split = input.len() / tasks;
            let args = format!("--input-format fixed:12:4 --split-size {split} --reducers 1 --workers 1");
            Job::staged()
                .stage("combine", "sum")
                .stage("reduce", "gather")
                .input(&input)
                .args(&args)
                .args(&format!("--memory {memory}"))
        };
        // A record for each run: one for each task where all of them fit.
        let roomy = job("1G").done();
        assert_eq!(roomy.number("map_tasks"), tasks as u64);
        assert_eq!((roomy.number("spill_files"), reached(&roomy.whole())), (0, tasks as u64));
        assert!(roomy.number("combine_input_records") >= hot_records(&input));
        // Where runs are merged in passes, they are folded again.
        let tight = job("27M");
        let fan_in = tight.fan_in();
        let done = tight.done();
        assert!(done.number("spill_files") > fan_in, "{}", done.report);
        assert!(reached(&done.whole()) <= fan_in, "{} of {fan_in}", reached(&done.whole()));
        assert!(done.report["hot_keys"].as_array().unwrap().is_empty(), "{}", done.report);
        // It is the same sum.
        let gathered = job("1G").args("-p how=sum").done();
        let found = gathered.whole();
        let begin = found.windows(5).position(|bytes| bytes == b"hot!\t").unwrap() + 5;
        assert_eq!(&found[begin..begin + 8], hot_records(&input).to_be_bytes());
    }
}

#[test]
fn the_report_names_hot_keys() {
    let input = records(60_000, 40);
    let job = |args: &str| {
        Job::staged()
            .stage("map", "remap")
            .stage("reduce", "gather")
            .input(&input)
            .args("--input-format fixed:12:4 --split-size 100K --reducers 3")
            .args(args)
    };
    let hot = hot_records(&input);
    let done = job("").done();
    let part =
        done.parts.iter().position(|(_, part)| part.windows(5).any(|bytes| bytes == b"hot!\t")).unwrap();
    let expected = json!([{
        "key": "hot!",
        "partition": part,
        "records": hot,
        "bytes": 12 * hot,
        "share_per_million": hot * 1_000_000 / 60_000,
    }]);
    assert_eq!(done.report["hot_keys"], expected);
    let summary = run(job("").command_to_folder()).stderr;
    assert!(summary.contains("\nhot key  \"hot!\" has "), "{summary}");
    assert!(summary.contains("range partitioning does not divide one key\n"), "{summary}");
    // Fewer records hold up nobody, whatever their share.
    let few = Job::staged().stage("reduce", "gather").input(records(10_000, 90));
    let done = few.args("--input-format fixed:12:4 --reducers 1").done();
    assert_eq!(done.report["hot_keys"], json!([]));

    let cluster = Cluster::steady(2);
    let path = cluster.path("records");
    std::fs::write(&path, &input).unwrap();
    let (map, reduce) = (plugin("remap"), plugin("gather"));
    let args = "--input-format fixed:12:4 --split-size 100K --reducers 3";
    let args = format!("--map {} --reduce {} {args}", map.display(), reduce.display());
    let view = cluster.check(&Work::copy(path, &args), "hot");
    assert_eq!(view["end"]["report"]["hot_keys"], expected);
}
