//! Order within groups: keys are tuples, of which the first elements make a group and the others order its
//! values.

use std::collections::BTreeMap;

use crate::support::cluster::{Cluster, Work};
use crate::support::naive::by_hash;
use crate::support::random::Random;
use crate::support::{Job, assert_same_bytes};

/// Lines of the plugin `latest`: few names, one of which has most of the lines; times that repeat.
fn lines(count: u64) -> String {
    let mut random = Random::new(count);
    let mut line = |number| {
        let name = if random.below(3) > 0 { 0 } else { random.below(50) };
        format!("name {name}\t{}\tmark-{number}\n", random.below(count / 3))
    };
    (0..count).map(&mut line).collect()
}

/// The cell of a name as the first element of a tuple.
fn first_element(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0, 0]].concat()
}

/// What `latest` makes of lines.
fn latest(lines: &str, partitions: usize) -> Vec<Vec<u8>> {
    let mut groups: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
    for line in lines.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        groups.entry(fields[0]).or_default().push((fields[1].parse().unwrap(), fields[2]));
    }
    let mut parts = vec![Vec::new(); partitions];
    for (name, mut marks) in groups {
        // Stable, so that marks of one time stay in the order of the input.
        marks.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        let marks: String = marks.iter().map(|(_, mark)| format!("{mark},")).collect();
        let part = &mut parts[by_hash(&first_element(name), partitions)];
        part.extend_from_slice(format!("{name}\t{marks}\n").as_bytes());
    }
    parts
}

#[test]
fn values_come_in_the_order_of_the_rest_of_the_key() {
    let lines = lines(60_000);
    // The largest group is some times a batch; splits and memory make many runs.
    for args in ["--split-size 64K --workers 2 --memory 64M", "--split-size 100K --workers 1 --memory 27M"] {
        let job = Job::new("latest").input(&lines).args("--reducers 3").args(args);
        let done = job.check(&latest(&lines, 3));
        assert_eq!(done.number("reduce_groups"), 50);
    }
    let ranged = Job::new("latest").input(&lines).args("--reducers 3 --partition range --split-size 64K");
    ranged.check_whole(&latest(&lines, 1).concat());
}

#[test]
fn a_cluster_groups_alike() {
    let cluster = Cluster::steady(2);
    let lines = lines(60_000);
    let input = cluster.path("marks.txt");
    std::fs::write(&input, &lines).unwrap();
    let work = Work::new("latest", input, "--reducers 3 --split-size 64K");
    cluster.check(&work, "latest");
    for (number, expected) in latest(&lines, 3).iter().enumerate() {
        let part = std::fs::read(cluster.output("latest").join(format!("part-r-{number:05}"))).unwrap();
        assert_same_bytes(&format!("part {number}"), &part, expected);
    }
}

#[test]
fn without_a_reducer_keys_stay_whole_and_groups_together() {
    let lines = lines(3_000);
    let job = Job::staged().stage("map", "latest").input(&lines);
    let done = job.args("--group-prefix 1 --reducers 3 --split-size 16K").done();
    for (number, (_, part)) in done.parts.iter().enumerate() {
        let part = String::from_utf8(part.clone()).unwrap();
        let mut keys: Vec<(&str, std::cmp::Reverse<u64>)> = Vec::new();
        for line in part.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            assert_eq!(by_hash(&first_element(fields[0]), 3), number);
            keys.push((fields[0], std::cmp::Reverse(fields[1].parse().unwrap())));
        }
        assert!(keys.is_sorted(), "{keys:?}");
    }
    assert_eq!(done.number("output_records"), 3_000);
}

#[test]
fn a_partitioner_sees_what_makes_a_group() {
    let lines = lines(3_000);
    // By the last byte of the key, which is that of the terminator: all in the first part.
    let job = Job::new("latest").stage("partitioner", "place").input(&lines).args("--reducers 3");
    job.check(&[latest(&lines, 1).concat(), Vec::new(), Vec::new()]);
}

#[test]
fn keys_that_cannot_be_grouped_are_refused() {
    let says = [
        "records are grouped by the first 1 elements of their keys",
        "the mapper of",
        "emits keys of a type text",
        "declare map.key as a tuple",
    ];
    Job::new("wordcount").input("a").args("--group-prefix 1").fails(5, &says);
    let says = ["grouped by the first 3 elements", "keys of a type tuple<text,desc<u64>>"];
    Job::new("latest").input("").args("--group-prefix 3").fails(5, &says);
    let says = ["emits keys of type tuple<text,desc<u64>>", "takes tuple<text>"];
    Job::new("latest").input("").args("--group-prefix 0").fails(5, &says);
    Job::new("latest").input("").args("--group-prefix all").fails(2, &["use the number of elements"]);
}

#[test]
fn a_mapper_that_emits_other_keys_than_it_says_fails() {
    for partition in ["hash", "range"] {
        let says =
            ["the mapper broke the plugin interface", "a tuple<text>", "the key \"bad\" does not begin"];
        let args = format!("--reducers 2 --partition {partition}");
        let job = Job::new("liar").input("good\0\0\nbad\n").args("--group-prefix 1").args(&args);
        job.fails(6, &says);
    }
}
