//! Crash-point sweep: a job runs on a real core, journal and output folder; the process is killed at
//! every single step that matters (each write, length change and sync of the journal; each rename,
//! sync, create and remove of the commit path), started again, and the job has to end with the right
//! output. Exhaustive: the number of steps is counted first, then each of them is a crash.
//!
//! A crash is a real one: the test runs itself as a child process, which kills itself. Swept three
//! times: with workers that outlive the coordinator (then no finished task may run again), with workers
//! that die with it, and with a machine that dies, so that what was not synced is lost.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test prepares has to work, also in functions that tests share"
)]

mod backend;
mod plan;
mod scene;
mod steps;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};

use mr_cluster::protocol::JobEnd;
use mr_model::Stage;
use mr_scheduler::Outcome;

use crate::backend::Unsynced;
use crate::plan::{MAPS, REDUCERS};
use crate::scene::Scene;

const DIR: &str = "MR_CRASH_DIR";
const AT: &str = "MR_CRASH_AT";
const MODE: &str = "MR_CRASH_MODE";
/// Line with which a life tells how many steps it took.
const STEPS: &str = "steps: ";

#[derive(Debug, Clone, Copy)]
struct Mode {
    name: &'static str,
    unsynced: Unsynced,
    workers_survive: bool,
}

const MODES: [Mode; 3] = [
    Mode { name: "workers-survive", unsynced: Unsynced::Kept, workers_survive: true },
    Mode { name: "workers-die", unsynced: Unsynced::Kept, workers_survive: false },
    Mode { name: "power-cut", unsynced: Unsynced::Lost, workers_survive: true },
];

#[test]
fn every_crash_is_survived() {
    for mode in MODES {
        let counted = Sandbox::new(mode);
        let told = counted.live(0);
        let told = String::from_utf8(told.stdout).unwrap();
        let steps = told.lines().find_map(|line| line.strip_prefix(STEPS)).expect(&told);
        let steps: u64 = steps.parse().unwrap();
        assert!(steps > 100, "{}: only {steps} steps", mode.name);
        counted.check("without a crash");
        let next = AtomicU64::new(1);
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        if at > steps {
                            return;
                        }
                        crash_at(mode, at);
                    }
                });
            }
        });
        println!("{}: {steps} crashes survived", mode.name);
    }
}

/// Steps of the second life at which it is killed, too, on top of each crash of the first: those of
/// recovery itself, and some in what follows.
const AGAIN: [u64; 6] = [2, 7, 16, 31, 60, 110];

#[test]
fn a_crash_in_the_middle_of_recovery_is_survived() {
    let mode = MODES[0];
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = 3 + 7 * next.fetch_add(1, Ordering::Relaxed);
                    let first = Sandbox::new(mode);
                    if first.live(at).status.success() {
                        return;
                    }
                    for again in AGAIN {
                        crash_again(mode, at, again);
                    }
                }
            });
        }
    });
}

/// Coordinator and workers are started again in the middle of a job, and its map tasks run again. What
/// they emitted in their first life is remembered.
#[test]
fn a_mapper_that_emits_something_else_when_it_runs_again_fails_the_job() {
    for capricious in [false, true] {
        let sandbox = Sandbox::new(MODES[1]);
        let first = sandbox.live_as("life_until_maps_are_done", 0);
        assert!(first.status.signal().is_some(), "it went on to the end: {}", text(&first));
        let mut second = Scene::open(sandbox.dir.path(), Unsynced::Kept, false);
        second.capricious = capricious;
        match second.run() {
            JobEnd::Succeeded(_) => assert!(!capricious),
            JobEnd::Failed(Outcome::Aborted { failure }) => {
                assert!(capricious, "{failure}");
                let said = failure.to_string();
                assert!(said.starts_with("the mapper is not deterministic: map task "), "{said}");
                assert!(said.contains(" made other output in attempt 1 than in attempt 0, "), "{said}");
            }
            end => panic!("{end:?}"),
        }
    }
}

/// A worker names files as it likes: its attempts fail, and what an honest one made is the output.
#[test]
fn a_worker_that_tells_of_odd_files_is_not_believed() {
    let sandbox = Sandbox::new(MODES[1]);
    let mut scene = Scene::open(sandbox.dir.path(), Unsynced::Kept, false);
    scene.lying = true;
    let JobEnd::Succeeded(report) = scene.run() else { panic!("the last attempts are honest") };
    assert_eq!(report.attempts_failed, 3 * u64::from(REDUCERS));
    drop(scene);
    sandbox.check("after lies");
}

fn crash_again(mode: Mode, at: u64, again: u64) {
    let context = format!("{}, crashes at steps {at} and {again}", mode.name);
    let sandbox = Sandbox::new(mode);
    assert_eq!(sandbox.live(at).status.signal(), Some(9), "{context}");
    let second = sandbox.live(again);
    if !second.status.success() {
        assert_eq!(second.status.signal(), Some(9), "{context}: {}", text(&second));
        let third = sandbox.live(0);
        assert!(third.status.success(), "{context}: {}", text(&third));
    }
    sandbox.check(&context);
}

fn crash_at(mode: Mode, at: u64) {
    let context = format!("{}, crash at step {at}", mode.name);
    let sandbox = Sandbox::new(mode);
    let crashed = sandbox.live(at);
    assert_eq!(crashed.status.signal(), Some(9), "{context}: {crashed:?}");
    let resumed = sandbox.live(0);
    assert!(resumed.status.success(), "{context}: {}", text(&resumed));
    sandbox.check(&context);
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// The folder of one sweep step.
struct Sandbox {
    dir: tempfile::TempDir,
    mode: Mode,
}

impl Sandbox {
    fn new(mode: Mode) -> Self {
        // In memory where there is such a folder: the sweep forces thousands of writes to disk.
        let shared_memory = Path::new("/dev/shm");
        let parent = if shared_memory.is_dir() { shared_memory.to_owned() } else { std::env::temp_dir() };
        let dir = tempfile::Builder::new().prefix("mr-crash-").tempdir_in(parent).unwrap();
        let old = scene::output(dir.path());
        fs::create_dir(&old).unwrap();
        fs::write(old.join("_SUCCESS"), "").unwrap();
        fs::write(old.join("part-r-00000"), "old").unwrap();
        Self { dir, mode }
    }

    /// One life of the coordinator in a child process.
    fn live(&self, die_at: u64) -> Output {
        self.live_as("life", die_at)
    }

    fn live_as(&self, life: &str, die_at: u64) -> Output {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", life, "--ignored", "--nocapture", "--test-threads=1"])
            .env(DIR, self.dir.path())
            .env(AT, die_at.to_string())
            .env(MODE, self.mode.name)
            .output()
            .unwrap()
    }

    fn check(&self, context: &str) {
        let output = scene::output(self.dir.path());
        let names: Vec<PathBuf> = sorted_names(&output);
        let files = || (0..REDUCERS).flat_map(scene::files);
        let of_main = |name: &String| !name.contains('/');
        let mut expected: Vec<PathBuf> =
            files().map(|(name, _)| name).filter(of_main).map(PathBuf::from).collect();
        expected.extend(["_SUCCESS".into(), "_manifest.json".into(), "errors".into()]);
        expected.sort();
        assert_eq!(names, expected, "{context}");
        assert_eq!(sorted_names(&output.join("errors")).len(), REDUCERS as usize, "{context}");
        for (name, content) in files() {
            let part = fs::read_to_string(output.join(&name)).unwrap();
            assert_eq!(part, content, "{context}: {name}");
        }
        let beside: Vec<PathBuf> = sorted_names(self.dir.path());
        let known = ["input", "journal", "out", "world"].map(PathBuf::from);
        assert_eq!(beside, known, "{context}: something is left beside the output");
        if self.mode.workers_survive {
            let once: BTreeMap<_, _> = (0..MAPS)
                .map(|index| ((Stage::Map, index), 1))
                .chain((0..REDUCERS).map(|index| ((Stage::Reduce, index), 1)))
                .collect();
            assert_eq!(Scene::executions(self.dir.path()), once, "{context}: a task ran again");
        }
    }
}

fn sorted_names(dir: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into()).collect();
    names.sort();
    names
}

/// Not a test of its own: a life that ends when all map tasks are done.
#[test]
#[ignore = "run by a test in a process of its own"]
fn life_until_maps_are_done() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let mut scene = Scene::open(Path::new(&dir), Unsynced::Kept, false);
    scene.run_maps();
    // Nothing of it is dropped in order.
    std::process::abort();
}

/// Not a test of its own: what the sweep runs in a child process.
#[test]
#[ignore = "run by the sweep in a process of its own"]
fn life() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let variable = |name| std::env::var(name).unwrap();
    let mode = MODES.into_iter().find(|mode| mode.name == variable(MODE)).unwrap();
    steps::die_at(variable(AT).parse().unwrap());
    let mut scene = Scene::open(Path::new(&dir), mode.unsynced, mode.workers_survive);
    let end = scene.run();
    let JobEnd::Succeeded(report) = end else { panic!("{end:?}") };
    assert_eq!(report.output_records, 3 * u64::from(REDUCERS));
    drop(scene);
    println!("\n{STEPS}{}", steps::count());
}
