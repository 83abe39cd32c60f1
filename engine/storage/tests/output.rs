//! Outputs are whole or absent: what is refused, what a job that fails leaves behind (nothing), what
//! publishing does to what was there.

#![expect(
    clippy::unwrap_used,
    reason = "what a test prepares has to work, also in functions that tests share"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use mr_model::{
    AttemptId, Counters, Failure, InputFormat, InputSpec, JobId, OutputFormat, OutputSpec, Partitioning,
    TaskId,
};
use mr_storage::{
    Durability, Manifest, ManifestInput, ManifestPlugin, OutputDir, OutputError, Part, PartNames,
    PartsWriter, PendingParts, ReadyParts, list_inputs,
};

fn job(name: &str) -> JobId {
    JobId::new(name).unwrap()
}

fn manifest(job: &JobId, parts: Vec<Part>) -> Manifest {
    Manifest {
        engine: "0.1.0".into(),
        job: job.clone(),
        plugins: vec![ManifestPlugin {
            roles: vec![mr_model::Role::Mapper],
            name: "p".into(),
            blake3: "00".into(),
        }],
        params: [("k".to_owned(), "v".to_owned())].into(),
        inputs: vec![InputSpec::of(InputFormat::Lines)],
        files: vec![ManifestInput { path: "in".into(), bytes: 3, input: 0, modified_ns: 1, tag: None }],
        sides: Vec::new(),
        output: OutputSpec::of(OutputFormat::Text),
        partitioning: Partitioning::Hash,
        reducers: 2,
        parts,
        counters: Counters::default(),
        rejects: 0,
    }
}

/// The part of an attempt.
fn pending(staging: &Path, index: u32, attempt: u32, text: &str) -> PendingParts {
    let attempt = AttemptId { task: TaskId::reduce(index), attempt };
    let names = PartNames::of(&OutputSpec::of(OutputFormat::Text));
    let mut parts = PartsWriter::new(staging, attempt, names);
    let mut part = parts.begin(0).unwrap();
    part.write(text.as_bytes(), 1).unwrap();
    parts.end(part).unwrap();
    parts.finish().unwrap()
}

/// Writes and commits one part of each partition.
fn fill(output: &OutputDir, texts: &[&str]) -> Vec<Part> {
    let commit =
        |(index, text): (u32, &&str)| output.commit(pending(output.staging(), index, 0, text)).unwrap();
    (0u32..).zip(texts).flat_map(commit).collect()
}

/// Makes an output with one part of each text.
fn make(path: &Path, overwrite: bool, texts: &[&str]) -> Result<(), OutputError> {
    let output = OutputDir::create(path, overwrite, &job("job"))?;
    let parts = fill(&output, texts);
    output.publish(&manifest(&job("job"), parts), Durability::Synced)
}

fn names(dir: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(dir).unwrap().map(name).collect();
    names.sort();
    names
}

fn content(path: &Path) -> String {
    let files = list_inputs(&[path.to_str().unwrap().to_owned()], &[], None).unwrap();
    files.iter().map(|file| fs::read_to_string(&file.path).unwrap()).collect()
}

struct Scratch {
    _dir: tempfile::TempDir,
    root: PathBuf,
    out: PathBuf,
}

fn scratch() -> Scratch {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_owned();
    Scratch { out: root.join("out"), root, _dir: dir }
}

#[test]
fn an_output_is_published_whole() {
    let Scratch { root, out, _dir } = scratch();
    let output = OutputDir::create(&out, false, &job("job")).unwrap();
    let parts = fill(&output, &["a\n", "b\n"]);
    let loser = pending(output.staging(), 1, 1, "");
    assert_eq!(fs::metadata(output.staging()).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(!out.exists());
    let manifest = manifest(&job("job"), parts);
    output.publish(&manifest, Durability::Written).unwrap();
    drop(loser);
    assert_eq!(names(&root), ["out"], "neither staging folder nor lease stays");
    assert_eq!(names(&out), ["_SUCCESS", "_manifest.json", "part-r-00000", "part-r-00001"]);
    let json = fs::read_to_string(out.join("_manifest.json")).unwrap();
    assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), manifest);
    assert_eq!(content(&out), "a\nb\n", "an output is an input");
    fs::create_dir(root.join("plain")).unwrap();
    let mode = |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode();
    assert_eq!(mode("out"), mode("plain"));
}

#[test]
fn a_job_that_fails_leaves_nothing() {
    let Scratch { root, _dir, .. } = scratch();
    let out = root.join("new/deep/out");
    let output = OutputDir::create(&out, false, &job("job")).unwrap();
    fill(&output, &["a"]);
    assert_eq!(names(&root), ["new"]);
    drop(output);
    assert!(names(&root).is_empty(), "parents go too");
    make(&out, false, &["a"]).unwrap();
    assert_eq!(content(&out), "a");
}

#[test]
fn what_exists_is_replaced_only_if_it_was_an_output() {
    let Scratch { root, out, _dir } = scratch();
    make(&out, false, &["old"]).unwrap();
    assert_eq!(make(&out, false, &["new"]), Err(OutputError::Exists { path: out.clone() }));

    let output = OutputDir::create(&out, true, &job("failing")).unwrap();
    fill(&output, &["new"]);
    drop(output);
    assert_eq!(content(&out), "old", "a job that fails leaves the old output");

    make(&out, true, &["new"]).unwrap();
    assert_eq!(content(&out), "new");
    assert_eq!(names(&root), ["out"]);

    let refused = |name: &str| {
        let path = root.join(name);
        assert_eq!(make(&path, true, &["new"]), Err(OutputError::NotAnOutput { path }));
    };
    fs::create_dir(root.join("precious")).unwrap();
    fs::write(root.join("precious/data"), "data").unwrap();
    fs::write(root.join("file"), "data").unwrap();
    symlink("out", root.join("link")).unwrap();
    refused("precious");
    refused("file");
    refused("link");
    fs::create_dir(root.join("empty")).unwrap();
    make(&root.join("empty"), true, &["new"]).unwrap();
    assert_eq!(content(&root.join("empty")), "new");
}

#[test]
fn a_place_taken_meanwhile_is_left_alone_and_the_output_kept() {
    for overwrite in [false, true] {
        let Scratch { root, out, _dir } = scratch();
        let output = OutputDir::create(&out, overwrite, &job("job")).unwrap();
        let parts = fill(&output, &["new"]);
        fs::create_dir(&out).unwrap();
        fs::write(out.join("data"), "precious").unwrap();
        let kept = root.join(".out.job.unpublished");
        assert_eq!(
            output.publish(&manifest(&job("job"), parts), Durability::Written),
            Err(OutputError::Taken { path: out.clone(), kept: kept.clone() })
        );
        assert_eq!(content(&out), "precious");
        assert_eq!(content(&kept), "new");
    }
}

#[test]
fn a_part_is_committed_once() {
    let Scratch { root, out, _dir } = scratch();
    let output = OutputDir::create(&out, false, &job("job")).unwrap();
    let parts = fill(&output, &["first"]);
    for second in [pending(output.staging(), 0, 1, ""), pending(&root, 0, 1, "")] {
        assert!(matches!(output.commit(second), Err(Failure::Internal { .. })));
    }
    assert_eq!(names(output.staging()), ["part-r-00000"]);
    let missing = manifest(&job("job"), Vec::new());
    output.publish(&missing, Durability::Written).unwrap_err();
    assert!(names(&root).is_empty());
    assert_eq!(parts[0].name, "part-r-00000");
}

#[test]
fn dead_jobs_are_swept_and_live_ones_left() {
    let Scratch { root, out, _dir } = scratch();
    // What a killed job leaves: its lease, unlocked, and its staging folder.
    let leave = |name: &str| {
        fs::write(root.join(format!("{name}.lease")), "").unwrap();
        fs::create_dir(root.join(format!("{name}.staging"))).unwrap();
        fs::write(root.join(format!("{name}.staging/part-r-00000")), "dead").unwrap();
    };
    leave(".out.dead");
    leave(".out.job");
    leave(".other.dead");
    let live = OutputDir::create(&out, false, &job("live")).unwrap();
    assert!(matches!(OutputDir::create(&out, false, &job("live")), Err(OutputError::Busy { .. })));
    let parts = fill(&live, &["live"]);
    make(&out, false, &["job"]).unwrap();
    let left = [".other.dead.lease", ".other.dead.staging", ".out.live.lease", ".out.live.staging", "out"];
    assert_eq!(names(&root), left);
    live.publish(&manifest(&job("live"), parts), Durability::Written).unwrap_err();
    assert_eq!(content(&out), "job");
}

/// Jobs that begin and end while others sweep: none may take another for dead.
#[test]
fn jobs_for_one_output_do_not_disturb_each_other() {
    let Scratch { root, out, _dir } = scratch();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let out = &out;
            scope.spawn(move || {
                for run in 0..25 {
                    let job = job(&format!("job-{thread}-{run}"));
                    let output = OutputDir::create(out, true, &job).unwrap();
                    let parts = fill(&output, &["a", "b"]);
                    output.publish(&manifest(&job, parts), Durability::Written).unwrap();
                }
            });
        }
    });
    assert_eq!(names(&root), ["out"]);
    assert_eq!(content(&out), "ab");
}

#[test]
fn an_old_output_put_aside_by_a_dead_job_comes_back() {
    let Scratch { root, out, _dir } = scratch();
    make(&out, false, &["old"]).unwrap();
    fs::rename(&out, root.join(".out.dead.aside")).unwrap();
    fs::write(root.join(".out.dead.lease"), "").unwrap();
    assert_eq!(make(&out, false, &["new"]), Err(OutputError::Exists { path: out.clone() }));
    assert_eq!(content(&out), "old");
    assert_eq!(names(&root), ["out"]);
}

#[test]
fn paths_that_cannot_be_are_refused_in_a_sentence() {
    let Scratch { root, _dir, .. } = scratch();
    fs::write(root.join("file"), "").unwrap();
    for path in ["/", "", ".."] {
        assert!(matches!(make(Path::new(path), false, &[]), Err(OutputError::NoName { .. })), "{path}");
    }
    let below = root.join("file/out");
    assert_eq!(
        make(&below, false, &[]).unwrap_err().to_string(),
        format!("output {} cannot be created: Not a directory (os error 20)", below.display())
    );
    let long = root.join("x".repeat(255));
    assert!(matches!(make(&long, false, &[]), Err(OutputError::Unwritable { .. })));
    assert_eq!(names(&root), ["file"]);
}

#[test]
fn a_part_made_elsewhere_is_committed_by_name_length_and_hash() {
    let Scratch { root, out, _dir } = scratch();
    let output = OutputDir::create(&out, false, &job("job")).unwrap();
    let ready = |attempt, text: &str| pending(output.staging(), 0, attempt, text).hand_over();
    let at = |name: &str| output.staging().join(name);
    let first = ready(0, "first");
    assert_eq!(names(output.staging()), ["_attempt-r-00000-0"]);
    fs::write(at("precious"), "").unwrap();
    fs::write(root.join("_attempt-r-00000-0"), "first").unwrap();
    let refused = |change: fn(&mut ReadyParts)| {
        let mut ready = first.clone();
        change(&mut ready);
        assert!(matches!(output.commit_ready(&ready), Err(Failure::Internal { .. })), "{ready:?}");
    };
    refused(|ready| ready.parts.clear());
    refused(|ready| ready.attempt.task.index = 1);
    refused(|ready| ready.attempt.task = TaskId::map(0));
    refused(|ready| ready.parts.push(ready.parts[0].clone()));
    refused(|ready| ready.parts = vec![ready.parts[0].clone(); 4001]);
    refused(|ready| ready.parts[0].name = "part-r-00001".into());
    refused(|ready| ready.parts[0].name = "_manifest.json".into());
    refused(|ready| ready.parts[0].name = "precious".into());
    refused(|ready| ready.parts[0].name = "../part-r-00000".into());
    refused(|ready| ready.parts[0].name = "/part-r-00000".into());
    refused(|ready| ready.parts[0].name = "a/b/part-r-00000".into());
    refused(|ready| ready.parts[0].name = "_x/part-r-00000".into());
    let damaged = |ready: &ReadyParts| {
        let outcome = output.commit_ready(ready);
        assert!(matches!(outcome, Err(Failure::Corrupt { map_task: None, .. })), "{outcome:?}");
    };
    let mut longer = first.clone();
    longer.parts[0].bytes += 1;
    damaged(&longer);
    assert!(at("_attempt-r-00000-0").exists(), "what is refused is left alone");

    // A coordinator that died behind the rename: its successor is told the same, or of another attempt.
    fs::rename(at("_attempt-r-00000-0"), at("part-r-00000")).unwrap();
    let mut other = first.clone();
    other.parts[0].blake3 = blake3::hash(b"other").to_hex().to_string();
    damaged(&other);
    let second = ready(1, "second");
    let parts = output.commit_ready(&second).unwrap();
    assert_eq!(fs::read_to_string(at("part-r-00000")).unwrap(), "second");
    assert_eq!(output.commit_ready(&second), Ok(parts.clone()));
    assert!(matches!(output.commit_ready(&ready(2, "third")), Err(Failure::Internal { .. })));
    let mut lied = parts;
    lied[0].rows += 1;
    fs::remove_file(at("precious")).unwrap();
    assert_eq!(
        postcard::from_bytes::<ReadyParts>(&postcard::to_stdvec(&second).unwrap()),
        Ok(second),
        "travels between machines"
    );
    let wrong = output.publish(&manifest(&job("job"), lied), Durability::Written);
    assert!(matches!(wrong, Err(OutputError::Failed(Failure::Internal { .. }))));
}
