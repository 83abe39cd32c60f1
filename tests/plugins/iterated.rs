//! Jobs that are run again and again on what they made: PageRank, k-means; job by job, and by the pipelines that
//! are beside the plugins. Every round is the same to the last bit as that of a naive reference, in any
//! arrangement.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::table;
use crate::support::job::names;
use crate::support::naive::by_hash;
use crate::support::process::{command, plugin, run, shared_cache};
use crate::support::random::{Arrangement, Random, property};
use crate::support::{Done, Job, assert_same_bytes};

/// The average rank.
const ONE: u64 = 1_000_000_000;
/// 0.85 of it.
const DAMPING: u64 = 850_000_000;

/// Nodes with their ranks and links.
type Graph = BTreeMap<String, (u64, BTreeSet<String>)>;

fn graph<'a>(links: impl Iterator<Item = (&'a str, &'a str)>) -> Graph {
    let mut graph = Graph::new();
    for (from, to) in links {
        graph.entry(to.to_owned()).or_insert((ONE, BTreeSet::new()));
        graph.entry(from.to_owned()).or_insert((ONE, BTreeSet::new())).1.insert(to.to_owned());
    }
    graph
}

/// One round: the next ranks, in whole numbers as the plugin has them. The rank of nodes without links is
/// spread over all nodes.
fn round(graph: &Graph) -> Graph {
    let dangling: u64 = graph.values().filter(|(_, links)| links.is_empty()).map(|(rank, _)| rank).sum();
    let share = dangling / graph.len() as u64;
    let mut shared: BTreeMap<&str, u64> = graph.keys().map(|node| (node.as_str(), share)).collect();
    for (rank, links) in graph.values() {
        for to in links {
            *shared.get_mut(to.as_str()).unwrap() += rank / links.len() as u64;
        }
    }
    let damped = |sum: u64| {
        u64::try_from(u128::from(sum) * u128::from(DAMPING) / u128::from(ONE)).unwrap() + ONE - DAMPING
    };
    let next = |(node, (_, links)): (&String, &(u64, BTreeSet<String>))| {
        (node.clone(), (damped(shared[node.as_str()]), links.clone()))
    };
    graph.iter().map(next).collect()
}

fn text(graph: &Graph, reducers: usize) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new(); reducers];
    for (node, (rank, links)) in graph {
        let links: Vec<&str> = links.iter().map(String::as_str).collect();
        let line = format!("{node}\t{rank}\t{}\n", links.join("\t"));
        parts[by_hash(node.as_bytes(), reducers)].extend_from_slice(line.as_bytes());
    }
    parts
}

/// The parameters that a round is given by the one before.
fn counted(done: &Done) -> String {
    let counter = |name: &str| done.report["counters"][name].as_u64().unwrap_or(0);
    format!("-p nodes={} -p dangling={}", counter("nodes"), counter("dangling"))
}

/// A job that reads the parts of another as keys and values.
fn reads_parts(mut job: Job, done: &Done) -> Job {
    for (name, part) in &done.parts {
        job = job.file(&format!("in/{name}"), part);
    }
    job.reads(&["in:kv"])
}

/// Ranks after so many rounds, in the arrangement of `args`: as text, and what the last round moved.
fn ranked(links: &str, rounds: u32, reducers: usize, args: &str) -> (Vec<Vec<u8>>, u64) {
    let args = format!("--reducers {reducers} {args}");
    let mut done = Job::new("pagerank-graph").input(links).args(&args).args("--output-format kv").done();
    for number in 1..=rounds {
        let format = if number == rounds { "text" } else { "kv" };
        let job = Job::new("pagerank-step").args(&args).args(&counted(&done));
        done = reads_parts(job, &done).args(&format!("--output-format {format}")).done();
    }
    let moved = done.report["counters"]["moved"].as_u64().unwrap_or(0);
    (done.parts.into_iter().map(|(_, part)| part).collect(), moved)
}

#[test]
fn ranks_are_those_of_a_naive_loop() {
    let values = (proptest::num::u64::ANY, 1..800u64, 2..120u64, Arrangement::any(), 1..4usize);
    property(6, &values, |(seed, links, nodes, arrangement, reducers)| {
        let mut random = Random::new(seed);
        // A few nodes have most of the links, and some link to nothing.
        let link = |_| {
            let to = random.below(nodes).min(random.below(nodes));
            (format!("n{}", random.below(nodes / 2 + 1)), format!("n{to}"))
        };
        let links: Vec<(String, String)> = (0..links).map(link).collect();
        let input: String = links.iter().map(|(from, to)| format!("{from}\t{to}\n")).collect();
        let mut expected = graph(links.iter().map(|(from, to)| (from.as_str(), to.as_str())));
        for _ in 0..3 {
            expected = round(&expected);
        }
        let (parts, _) = ranked(&input, 3, reducers, &arrangement.args(input.len()));
        assert!(parts == text(&expected, reducers), "ranks differ");
    });
}

#[test]
fn packages_of_debian_are_ranked() {
    let depends = table("depends.tsv");
    let mut expected = graph(depends.lines().map(|line| line.split_once('\t').unwrap()));
    let nodes = expected.len() as u64;
    for _ in 0..10 {
        expected = round(&expected);
    }
    let (parts, moved) = ranked(&depends, 10, 2, "--workers 2 --memory 256M --split-size 2M");
    assert!(parts == text(&expected, 2), "ranks differ");
    let sum: u64 = expected.values().map(|(rank, _)| rank).sum();
    assert!(sum.abs_diff(nodes * ONE) < 10 * depends.len() as u64, "ranks add up to the number of nodes");
    assert!(moved < nodes * ONE / 20, "ranks still move by {moved} after ten rounds");
    let best = expected.iter().max_by_key(|(_, (rank, _))| *rank).unwrap();
    assert_eq!(best.0, "libc6");
}

#[test]
fn a_graph_that_is_none_is_told() {
    let job = |args: &str| Job::new("pagerank-step").input("").args(args);
    job("-p nodes=0 -p dangling=0").fails(6, &["nodes=0: there are none to rank"]);
    let rejected = Job::new("pagerank-graph").input("a\tb\na\n").args("--max-rejects 1 --reducers 1").done();
    assert_eq!(rejected.whole(), b"a\t1000000000\tb\nb\t1000000000\t\n");
}

/// Runs a pipeline that is beside a plugin, with files of these names and parameters of the same names.
fn run_pipeline(file: &str, files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("plugins").join(file);
    fs::copy(&shipped, dir.path().join("pipe.toml")).unwrap();
    let mut command = command(dir.path());
    let plugins = plugin("pagerank-step");
    command.args(["run", "pipe.toml", "--work-dir", "work", "-p"]);
    command.arg(format!("plugins={}", plugins.parent().unwrap().display()));
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
        command.args(["-p", &format!("{name}={name}")]);
    }
    let ended = run({
        command.arg("--cache-dir").arg(shared_cache());
        command
    });
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    dir
}

/// All parts of an output.
fn output(dir: &TempDir, name: &str) -> Vec<u8> {
    let folder = dir.path().join(name);
    let parts = names(&folder).into_iter().filter(|name| name.starts_with("part-"));
    parts.flat_map(|part| fs::read(folder.join(part)).unwrap()).collect()
}

#[test]
fn a_pipeline_ranks_until_little_moves() {
    let links: String = (0..2000_u64).map(|n| format!("n{}\tn{}\n", n % 97, n * n % 113)).collect();
    let mut expected = graph(links.lines().map(|line| line.split_once('\t').unwrap()));
    loop {
        let next = round(&expected);
        let moved: u64 = next.iter().map(|(node, (rank, _))| rank.abs_diff(expected[node].0)).sum();
        expected = next;
        if moved < 1_000_000 {
            break;
        }
    }
    let mut best: Vec<(f64, String)> = expected
        .iter()
        .map(|(_, (rank, _))| *rank as f64 / ONE as f64)
        .zip(expected.keys())
        .map(|(rank, node)| (rank, format!("{node}\t{rank}\n")))
        .collect();
    best.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let best: String = best.iter().take(20).map(|(_, line)| line.as_str()).collect();
    let dir = run_pipeline("pagerank-step/pagerank.toml", &[("links", &links)]);
    assert_same_bytes("best", &output(&dir, "results/best"), best.as_bytes());
}

/// Millionths.
type Point = Vec<i64>;

fn shown(coordinate: i64) -> String {
    let (sign, number) = (if coordinate < 0 { "-" } else { "" }, coordinate.unsigned_abs());
    let shown = format!("{sign}{}.{:06}", number / 1_000_000, number % 1_000_000);
    shown.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn lines(name: &str, points: &[Point]) -> String {
    let line = |(number, point): (usize, &Point)| {
        let coordinates: Vec<String> = point.iter().map(|coordinate| shown(*coordinate)).collect();
        format!("{name}{number}\t{}\n", coordinates.join("\t"))
    };
    points.iter().enumerate().map(line).collect()
}

/// The next means, and what their coordinates moved by.
fn moved_means(points: &[Point], means: &[Point]) -> (Vec<Point>, u64) {
    let mut clusters = vec![Vec::new(); means.len()];
    for point in points {
        let distance = |mean: &Point| -> u128 {
            mean.iter().zip(point).map(|(a, b)| u128::from(a.abs_diff(*b)).pow(2)).sum()
        };
        let nearest = (0..means.len()).min_by_key(|number| distance(&means[*number])).unwrap();
        clusters[nearest].push(point);
    }
    let next = |(cluster, mean): (&Vec<&Point>, &Point)| -> Point {
        let count = i128::try_from(cluster.len()).unwrap();
        let mean = mean.iter().enumerate().map(|(at, before)| {
            let sum: i128 = cluster.iter().map(|point| i128::from(point[at])).sum();
            if count == 0 { *before } else { i64::try_from((sum + count / 2).div_euclid(count)).unwrap() }
        });
        mean.collect()
    };
    let next: Vec<Point> = clusters.iter().zip(means).map(next).collect();
    let moved = next.iter().flatten().zip(means.iter().flatten()).map(|(a, b)| a.abs_diff(*b)).sum();
    (next, moved)
}

#[test]
fn means_move_until_they_stand_still() {
    let values = (proptest::num::u64::ANY, 1..400usize, 1..6usize, 1..5usize, Arrangement::any());
    property(6, &values, |(seed, count, k, dimensions, arrangement)| {
        let mut random = Random::new(seed);
        let mut coordinate = || i64::try_from(random.below(4_000_000_000)).unwrap() - 2_000_000_000;
        let mut points = |count: usize| -> Vec<Point> {
            (0..count).map(|_| (0..dimensions).map(|_| coordinate()).collect()).collect()
        };
        let (points, mut means) = (points(count), points(k));
        let input = lines("p", &points);
        for _ in 0..100 {
            let (next, moved) = moved_means(&points, &means);
            let job = Job::new("k-means").input(&input).file("other/means", lines("m", &means));
            let args = format!("--side means=other/means --reducers 1 {}", arrangement.args(input.len()));
            let done = job.args(&args).check_whole(lines("m", &next).as_bytes());
            assert_eq!(done.report["counters"]["moved"].as_u64().unwrap_or(0), moved);
            means = next;
            if moved == 0 {
                return;
            }
        }
        panic!("the means still move after 100 rounds");
    });
}

#[test]
fn a_pipeline_moves_means_until_they_stand_still() {
    let mut random = Random::new(7);
    let mut coordinate = |near: i64| near * 1_000_000 + i64::try_from(random.below(1_000_000)).unwrap();
    let points: Vec<Point> = (0..300).map(|n| vec![coordinate(n % 3 * 5), coordinate(n % 2 * 4)]).collect();
    let means: Vec<Point> = points[..6].to_vec();
    let mut expected = means.clone();
    loop {
        let (next, moved) = moved_means(&points, &expected);
        expected = next;
        if moved == 0 {
            break;
        }
    }
    let (points, means) = (lines("p", &points), lines("m", &means));
    let dir = run_pipeline("k-means/k-means.toml", &[("points", &points), ("means", &means)]);
    assert_same_bytes("means", &output(&dir, "results"), lines("m", &expected).as_bytes());
}

#[test]
fn means_are_needed() {
    let job = Job::new("k-means").input("a\t1\n");
    job.fails(6, &["the job has no side input \"means\""]);
    let job =
        Job::new("k-means").input("a\t1\t2\n").file("other/means", "m\t1\n").args("--side means=other/means");
    job.fails(6, &["no point: use NAME and 1 coordinates"]);
}
