//! The attacks on a real worker, one after the other: after each of them the very same process counts words as
//! if nothing had been, and at the end it has grown by no more than is said here.

use std::fs;

use super::attacks::{ATTACKS, Attack, fits, role};
use super::guest::{counted, hostile, lines_of, text};
use crate::support::cluster::node::Usage;
use crate::support::cluster::{Cluster, Setup, Work};
use crate::support::naive;

/// Most resident memory by which the worker, with all its processes, may have grown, in KiB: what its allocators
/// keep, and compiled code of the guest. One attempt's guest memory would be more.
const GROWTH_KIB_MAX: u64 = 64 * 1024;
/// Most threads, descriptors and processes that it may have more than before: those of connections that come
/// and go.
const MORE_MAX: u64 = 12;

/// A cluster of one worker, and what is needed to attack it.
struct Scene {
    cluster: Cluster,
    jobs: u32,
    honest: Work,
    /// What the honest job has to yield.
    expected: Vec<Vec<u8>>,
}

impl Scene {
    fn start() -> Self {
        let cluster = Cluster::start(Setup { workers: 1, memory: "1400M", lease: "30s", ..Setup::default() });
        let input = cluster.path("words.txt");
        let words: String = (0..2_000).map(|number| format!("w{} the\n", number * number % 701)).collect();
        fs::write(&input, &words).unwrap();
        fs::write(cluster.path("attacked.txt"), text()).unwrap();
        let honest = Work::new("wordcount", input, "--split-size 8K --reducers 3");
        let expected = naive::wordcount(words.as_bytes(), 3);
        Self { cluster, jobs: 0, honest, expected }
    }

    /// Makes an attack; what is wrong with what came of it.
    fn attack(&mut self, attack: &Attack, place: &str) -> Option<String> {
        self.jobs += 1;
        let id = format!("attack-{}", self.jobs);
        let mut args = format!("-p attack={} -p at={place} --reducers 3 {}", attack.name, attack.options);
        args += if place.starts_with("partition") { " --partition plugin" } else { " --partition hash" };
        let work = Work::of(hostile(), self.cluster.path("attacked.txt"), &args);
        let ended = self.cluster.submit(&work, &id).end();
        let output = self.cluster.output(&id);
        let sentence =
            ended.stderr.lines().find_map(|line| line.strip_prefix("mr-engine: ")).unwrap_or_default();
        let as_it_has_to = if attack.code == 0 {
            ended.code() == Some(0) && lines_of(&output) == counted(&text())
        } else {
            let why = attack.sentence.replace("ROLE", role(place));
            let expected = format!("job {id}: * task * attempt * failed: {why}");
            ended.code() == Some(attack.code) && !output.exists() && fits(&expected, sentence)
        };
        (!as_it_has_to).then(|| format!("{} at {place}: {:?} {:?}", attack.name, ended.code(), ended.stderr))
    }

    /// Counts words, as if nothing had been.
    #[track_caller]
    fn assert_works(&mut self, after: &str) {
        self.jobs += 1;
        let id = format!("honest-{}", self.jobs);
        let ended = self.cluster.submit(&self.honest, &id).end();
        assert_eq!(ended.code(), Some(0), "after {after}: {}", ended.stderr);
        let output = self.cluster.output(&id);
        for (number, expected) in self.expected.iter().enumerate() {
            let part = fs::read(output.join(format!("part-r-{number:05}"))).unwrap();
            crate::support::assert_same_bytes(&format!("part {number} after {after}"), &part, expected);
        }
    }

    /// Makes these attacks, and an honest job after each of them.
    #[track_caller]
    fn run(&mut self, attacks: &[(&Attack, &str)]) {
        self.assert_works("the start");
        let before = self.usage();
        let mut wrong = Vec::new();
        for (attack, place) in attacks {
            wrong.extend(self.attack(attack, place));
            self.assert_works(&format!("{} at {place}", attack.name));
        }
        assert!(wrong.is_empty(), "{} of {} attacks:\n{}", wrong.len(), attacks.len(), wrong.join("\n"));
        let after = self.usage();
        eprintln!("before {before:?}, after {} attacks {after:?}", attacks.len());
        assert_eq!(after.pid, before.pid);
        assert!(after.memory_kib <= before.memory_kib + GROWTH_KIB_MAX, "{before:?} {after:?}");
        for (before, after) in [
            (before.threads, after.threads),
            (before.descriptors, after.descriptors),
            (before.processes, after.processes),
        ] {
            assert!(after <= before + MORE_MAX, "{before:?} {after:?}");
        }
        assert_eq!(self.cluster.json(&["workers"]).len(), 1, "the worker came back as another one");
    }

    fn usage(&mut self) -> Usage {
        assert!(self.cluster.workers[0].is_running());
        self.cluster.workers[0].usage()
    }
}

#[test]
fn every_attack_once() {
    // Another place for each attack, so that every place comes up.
    let attacks: Vec<(&Attack, &str)> = ATTACKS
        .iter()
        .enumerate()
        .map(|(i, attack)| (attack, attack.places[i % attack.places.len()]))
        .collect();
    Scene::start().run(&attacks);
}

#[test]
#[ignore = "make chaos"]
fn every_attack_in_every_place() {
    let everywhere = |attack: &'static Attack| attack.places.iter().map(move |place| (attack, *place));
    Scene::start().run(&ATTACKS.iter().flat_map(everywhere).collect::<Vec<_>>());
}
