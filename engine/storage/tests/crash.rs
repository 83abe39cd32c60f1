//! An output whose process is killed at any step of making, committing, publishing or giving it up:
//! another process takes it up, and the end is the same as without a crash.

#![expect(
    clippy::unwrap_used,
    reason = "what a test prepares has to work, also in functions that tests share"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::sync::atomic::{AtomicU32, Ordering};

use mr_model::{
    AttemptId, Counters, InputFormat, InputSpec, JobId, OutputFormat, OutputSpec, Partitioning, Port,
    StageTypes, TaskId,
};
use mr_storage::{
    Durability, Manifest, OutputDir, OutputError, Part, PartNames, PartsWriter, ReadyParts, Reject, Resumed,
    step, write_rejects,
};

/// Tells the process that is to crash where to work, in which scene, and before which step.
const CRASH: &str = "MR_STORAGE_CRASH";
/// Status of a process that ended at its step: one that ended otherwise was not killed.
const KILLED: i32 = 86;
/// Reducers of the job.
const REDUCERS: u32 = 2;
const REJECTS: &str = "{\"path\":null,\"offset\":null,\"reason\":\"no\",\"sample\":\"x\"}\n";

static STEPS_LEFT: AtomicU32 = AtomicU32::new(0);

/// What is at the path before the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    Nothing,
    /// An output of another job.
    Former,
    /// An output of a job of the same name.
    SameName,
}

const SCENES: [Scene; 3] = [Scene::Nothing, Scene::Former, Scene::SameName];

fn job() -> JobId {
    JobId::new("job").unwrap()
}

fn rejecting() -> AttemptId {
    AttemptId { task: TaskId::map(0), attempt: 0 }
}

fn manifest(job: &JobId, parts: Vec<Part>) -> Manifest {
    Manifest {
        engine: "0.1.0".into(),
        job: job.clone(),
        plugins: Vec::new(),
        params: [].into(),
        inputs: vec![InputSpec::of(InputFormat::Lines)],
        files: Vec::new(),
        sides: Vec::new(),
        output: output_spec(),
        partitioning: Partitioning::Hash,
        reducers: REDUCERS,
        parts,
        counters: Counters::default(),
        rejects: 1,
    }
}

/// Files of some size, and a named output.
fn output_spec() -> OutputSpec {
    let port = Port { name: "errors".into(), names: None, types: StageTypes::default() };
    OutputSpec { part_bytes_max: Some(2), ports: vec![port], ..OutputSpec::of(OutputFormat::Text) }
}

/// Ports and texts of the files that an attempt writes. The first attempt at a task writes more of them than those
/// after it, so that one that loses half way leaves traces.
fn files(index: u32, attempt: u32) -> Vec<(u32, String)> {
    let mut files = vec![(0, format!("a{index}\n"))];
    if attempt == 0 {
        files.extend([(1, format!("error {index}\n")), (0, format!("b{index}\n"))]);
    }
    files
}

/// The parts of one attempt, written as by a worker.
fn ready(staging: &Path, index: u32, attempt: u32, files: &[(u32, String)]) -> ReadyParts {
    let attempt = AttemptId { task: TaskId::reduce(index), attempt };
    let mut parts = PartsWriter::new(staging, attempt, PartNames::of(&output_spec()));
    for (port, text) in files {
        let mut part = parts.begin(*port).unwrap();
        part.write(text.as_bytes(), 1).unwrap();
        parts.end(part).unwrap();
    }
    parts.finish().unwrap().hand_over()
}

/// One part of one attempt.
fn ready_text(staging: &Path, text: &str) -> ReadyParts {
    ready(staging, 0, 0, &[(0, text.to_owned())])
}

/// What the coordinator keeps beside the output: survives it.
struct Journal(PathBuf);

impl Journal {
    fn write(&self, word: &str) {
        let path = self.0.join(word);
        fs::write(path, "").unwrap();
    }

    fn says(&self, word: &str) -> bool {
        self.0.join(word).exists()
    }

    /// Number of this life: attempts of each have numbers of their own.
    fn begin(&self) -> u32 {
        let life = (0..).find(|life| !self.says(&format!("life-{life}"))).unwrap();
        self.write(&format!("life-{life}"));
        life
    }
}

/// Makes the whole output from wherever it stands, as a coordinator does; `attempt` numbers the life.
fn go_on(output: OutputDir, journal: &Journal, attempt: u32) -> Result<(), OutputError> {
    let mut parts = Vec::new();
    for index in 0..REDUCERS {
        let word = format!("part-{index}");
        let stored = journal.0.join(format!("{word}.json"));
        if journal.says(&word) {
            let known: Vec<Part> = serde_json::from_slice(&fs::read(stored).unwrap()).unwrap();
            known.iter().for_each(|part| output.adopt(part).unwrap());
            parts.extend(known);
            continue;
        }
        // The granted attempt is in the journal, its commit is not: it is committed again. Before the
        // grant another attempt wins, and also where the worker of the granted one is lost.
        let granted = journal.0.join(format!("{word}.granted.json"));
        let ready = match fs::read(&granted) {
            Ok(bytes) if index == 0 => serde_json::from_slice(&bytes).unwrap(),
            _ => {
                let ready = ready(output.staging(), index, attempt, &files(index, attempt));
                fs::write(granted, serde_json::to_vec(&ready).unwrap()).unwrap();
                ready
            }
        };
        let committed = output.commit_ready(&ready).unwrap();
        assert_eq!(output.commit_ready(&ready).as_ref(), Ok(&committed), "asked again");
        fs::write(stored, serde_json::to_vec(&committed).unwrap()).unwrap();
        journal.write(&word);
        parts.extend(committed);
    }
    if !journal.says("rejected") {
        let _ = fs::remove_file(output.staging().join("_attempt-m-00000-0.rejects"));
        let reject = Reject { place: None, reason: "no", sample: b"x" };
        write_rejects(output.staging(), rejecting(), [reject]).unwrap();
        journal.write("rejected");
    }
    output.collect_rejects(&[(rejecting(), 1)]).unwrap();
    output.publish(&manifest(&job(), parts), Durability::Synced)
}

/// A folder in memory where there is such: the sweep forces thousands of files to disk.
fn scratch() -> tempfile::TempDir {
    let shared_memory = Path::new("/dev/shm");
    let parent = if shared_memory.is_dir() { shared_memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("mr-crash-").tempdir_in(parent).unwrap()
}

fn prepare(root: &Path, scene: Scene) {
    let former = match scene {
        Scene::Nothing => return,
        Scene::Former => JobId::new("former").unwrap(),
        Scene::SameName => job(),
    };
    let out = root.join("deep/out");
    let output = OutputDir::create(&out, false, &former).unwrap();
    let parts = output.commit_ready(&ready_text(output.staging(), "old")).unwrap();
    output.publish(&Manifest { rejects: 0, ..manifest(&former, parts) }, Durability::Written).unwrap();
}

fn tree(path: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(tree(&entry.path()).iter().map(|below| format!("{name}/{below}")));
        }
        names.push(name);
    }
    names.sort();
    names
}

fn check_published(root: &Path, case: &str) {
    let deep = root.join("deep");
    assert_eq!(tree(&deep)[0], "out", "{case}");
    assert_eq!(fs::read_dir(&deep).unwrap().count(), 1, "{case}: {:?}", tree(&deep));
    let manifest: Manifest =
        serde_json::from_slice(&fs::read(deep.join("out/_manifest.json")).unwrap()).unwrap();
    let mut names: Vec<String> = manifest.parts.iter().map(|part| part.name.clone()).collect();
    for index in 0..REDUCERS {
        // Either the first attempt won, with all of its files, or a later one with all of its own.
        let won = u32::from(!names.contains(&format!("errors/part-r-0000{index}-0000")));
        let mut numbers = [0, 0];
        for (port, text) in files(index, won) {
            let number = &mut numbers[port as usize];
            let name = format!("{}part-r-0000{index}-000{number}", ["", "errors/"][port as usize]);
            *number += 1;
            assert_eq!(fs::read_to_string(deep.join("out").join(name)).unwrap(), text, "{case}");
        }
    }
    names.extend(["_SUCCESS", "_manifest.json", "_rejects.jsonl"].map(str::to_owned));
    if names.iter().any(|name| name.starts_with("errors/")) {
        names.push("errors".to_owned());
    }
    names.sort();
    assert_eq!(tree(&deep.join("out")), names, "{case}");
    assert_eq!(fs::read_to_string(deep.join("out/_rejects.jsonl")).unwrap(), REJECTS, "{case}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&deep.join("out")), mode(root), "{case}");
}

/// Runs `body` in a process of its own that is killed before its `steps`-th step from now. False if it
/// ended before.
fn is_killed(test: &str, root: &Path, scene: usize, steps: u32) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CRASH, format!("{scene} {steps} {}", root.display()))
        .output()
        .unwrap();
    let code = status.status.code();
    assert!(matches!(code, Some(0 | KILLED)), "{}", String::from_utf8_lossy(&status.stderr));
    code == Some(KILLED)
}

/// What the process that is to be killed was told; none in the test itself.
fn told() -> Option<(PathBuf, Scene, u32)> {
    let told = std::env::var(CRASH).ok()?;
    let mut words = told.splitn(3, ' ');
    let scene = SCENES[words.next()?.parse::<usize>().unwrap()];
    let steps = words.next()?.parse().unwrap();
    Some((words.next()?.into(), scene, steps))
}

fn count_down(_step: &'static str) {
    if STEPS_LEFT.fetch_sub(1, Ordering::Relaxed) == 1 {
        // Nothing is dropped: the same as a kill.
        exit(KILLED);
    }
}

fn arm(steps: u32) {
    STEPS_LEFT.store(steps, Ordering::Relaxed);
    step::install(count_down);
}

/// A coordinator's life: creates or takes up the output, then goes on.
fn live(root: &Path) {
    let (out, journal) = (root.join("deep/out"), Journal(root.join("journal")));
    let life = journal.begin();
    let output = match OutputDir::resume(&out, true, &job()).unwrap() {
        Resumed::Open(output) => output,
        Resumed::Published if journal.says("created") => return journal.write("published"),
        Resumed::Published | Resumed::Lost => {
            assert!(!journal.says("part-0"), "what was committed is lost");
            OutputDir::create(&out, true, &job()).unwrap()
        }
    };
    journal.write("created");
    go_on(output, &journal, life).unwrap();
    journal.write("published");
}

#[test]
fn an_output_survives_a_crash_at_any_step() {
    if let Some((root, _, steps)) = told() {
        arm(steps);
        return live(&root);
    }
    for (number, scene) in SCENES.into_iter().enumerate() {
        let mut steps = 0;
        loop {
            steps += 1;
            let dir = scratch();
            // What a new folder looks like, unlike a temporary one.
            let root = dir.path().join("root");
            fs::create_dir_all(root.join("journal")).unwrap();
            prepare(&root, scene);
            let case = format!("{scene:?}, killed at step {steps}");
            let killed = is_killed("an_output_survives_a_crash_at_any_step", &root, number, steps);
            // A second crash, in the process that cleans up, at a place that differs from case to case.
            if killed {
                is_killed("an_output_survives_a_crash_at_any_step", &root, number, 1 + steps % 7);
            }
            if !Journal(root.join("journal")).says("published") {
                live(&root);
            }
            check_published(&root, &case);
            if !killed {
                assert!(steps > 50, "there are steps to be killed at: {steps}");
                break;
            }
        }
    }
}

#[test]
fn an_output_that_is_given_up_leaves_nothing_after_a_crash() {
    if let Some((root, _, steps)) = told() {
        let out = root.join("deep/out");
        let Resumed::Open(output) = OutputDir::resume(&out, true, &job()).unwrap() else {
            panic!("the output is gone");
        };
        arm(steps);
        return output.discard();
    }
    for steps in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let (root, out) = (dir.path(), dir.path().join("deep/out"));
        // A process that ends without dropping its output.
        let output = OutputDir::create(&out, true, &job()).unwrap();
        ready(output.staging(), 0, 0, &files(0, 0));
        forget_lease(output);
        let killed = is_killed("an_output_that_is_given_up_leaves_nothing_after_a_crash", root, 0, steps);
        match OutputDir::resume(&out, true, &job()).unwrap() {
            Resumed::Open(output) => output.discard(),
            Resumed::Lost => {}
            Resumed::Published => panic!("nothing was published"),
        }
        let left = tree(root);
        // The folder above is known from the lease: it stays where only that was gone.
        assert!(left.is_empty() || left == ["deep"] && killed, "killed at step {steps}: {left:?}");
        if !killed {
            assert!(left.is_empty());
            return;
        }
    }
}

/// Ends the life of an output as a kill does: its lease is free, and nothing is removed.
fn forget_lease(output: OutputDir) {
    let staging = output.staging().to_owned();
    let lease = staging.with_extension("lease");
    let kept = fs::read(&lease).unwrap();
    // The lock goes with the file that has it; the same words in a new one are free.
    fs::remove_file(&lease).unwrap();
    fs::write(&lease, kept).unwrap();
    std::mem::forget(output);
}

#[test]
fn an_old_output_put_aside_comes_back_and_a_new_one_in_place_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let out = root.join("deep/out");
    prepare(root, Scene::Former);
    let staged = || {
        let output = OutputDir::create(&out, true, &job()).unwrap();
        let mut parts = output.commit_ready(&ready_text(output.staging(), "new")).unwrap();
        let staging = output.staging().to_owned();
        forget_lease(output);
        (staging, parts.remove(0))
    };
    // Where the file system cannot exchange, the old output is aside for a moment.
    let (staging, part) = staged();
    let aside = staging.with_extension("aside");
    fs::rename(&out, &aside).unwrap();
    let Resumed::Open(output) = OutputDir::resume(&out, true, &job()).unwrap() else { panic!() };
    assert_eq!(fs::read_to_string(out.join("part-r-00000-0000")).unwrap(), "old");
    output.adopt(&part).unwrap();
    assert!(output.adopt(&Part { bytes: 9, ..part.clone() }).is_err());
    assert!(output.adopt(&Part { name: "../part-r-00000".into(), ..part.clone() }).is_err());
    output.discard();
    assert_eq!(tree(&root.join("deep"))[0], "out");
    let (staging, part) = staged();
    fs::write(staging.join("_manifest.json"), serde_json::to_vec(&manifest(&job(), vec![part])).unwrap())
        .unwrap();
    fs::rename(&out, &aside).unwrap();
    fs::rename(&staging, &out).unwrap();
    fs::write(out.join("_attempt-r-00000-7"), "late").unwrap();
    assert!(matches!(OutputDir::resume(&out, true, &job()), Ok(Resumed::Published)));
    assert_eq!(fs::read_to_string(out.join("part-r-00000-0000")).unwrap(), "new");
    assert_eq!(fs::read_dir(root.join("deep")).unwrap().count(), 1);
    assert!(!out.join("_attempt-r-00000-7").exists());
    assert!(matches!(OutputDir::resume(&out, true, &job()), Ok(Resumed::Published)), "asked again");
}

#[test]
fn what_is_not_the_jobs_is_lost_or_taken() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let out = root.join("deep/out");
    assert!(matches!(OutputDir::resume(&out, true, &job()), Ok(Resumed::Lost)));
    assert_eq!(fs::read_dir(root).unwrap().count(), 0);
    prepare(root, Scene::Former);
    assert!(matches!(OutputDir::resume(&out, true, &job()), Ok(Resumed::Lost)));
    let live = OutputDir::create(&out, true, &job()).unwrap();
    assert!(matches!(OutputDir::resume(&out, true, &job()), Err(OutputError::Busy { .. })));
    forget_lease(live);
    // Another job for the same output removes what the dead one left.
    OutputDir::create(&out, true, &JobId::new("other").unwrap()).unwrap().discard();
    assert!(matches!(OutputDir::resume(&out, true, &job()), Ok(Resumed::Lost)));
    let output = OutputDir::create(&out, false, &JobId::new("late").unwrap());
    assert!(matches!(output, Err(OutputError::Exists { .. })));
    let kept = root.join("deep/.out.job.unpublished");
    fs::rename(&out, &kept).unwrap();
    fs::write(kept.join("_manifest.json"), serde_json::to_vec(&manifest(&job(), Vec::new())).unwrap())
        .unwrap();
    assert!(matches!(OutputDir::resume(&out, true, &job()), Err(OutputError::Taken { .. })));
    assert!(kept.exists());
}
