//! Children that lie, die and babble, played by shell scripts: what the parent makes of each. A script
//! speaks to its parent on its standard input, as every child does.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mr_model::{
    AttemptId, Failure, InputFormat, InputSpec, JobId, JobSpec, OutputFormat, OutputSpec, Partitioning,
    Permissions, Port, StageTypes, TaskId,
};
use mr_runtime::{
    Facts, FormatMemory, JobDescription, MapFacts, MemoryPlan, Progress, SpreadDescription, StageFacts,
    TaskInput,
};
use mr_shuffle::Codec;
use mr_storage::{Split, ToldPart};

use crate::attempt::{AttemptOrder, Done, Made, Stop};
use crate::executors::{Executors, ExecutorsError};
use crate::frame::encode;
use crate::message::{DoneWord, MadeWord, WORD_BYTES_MAX, Walls, Word};
use crate::process::Program;

fn script(script: &str) -> Program {
    Program { path: "/bin/sh".into(), args: vec!["-c".into(), script.to_owned()] }
}

/// The command that says a word.
fn say(word: &Word) -> String {
    let frame = encode(word, WORD_BYTES_MAX).unwrap();
    let octal: String = frame.iter().map(|byte| format!("\\{byte:03o}")).collect();
    format!("printf '{octal}' >&0\n")
}

/// A file with a word that is too long for a command.
fn filed(word: &Word) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), encode(word, WORD_BYTES_MAX).unwrap()).unwrap();
    file
}

/// What a child does until it has its order, and has entered these walls: the order is longer than five
/// bytes, and there as a whole when its beginning is. `first` is done in between.
fn enter(first: &str, walls: Walls) -> String {
    format!("{}head -c 5 > /dev/null\n{first}\n{}", say(&Word::Ready), say(&Word::Entered(walls)))
}

fn all() -> Walls {
    Walls { missing: Vec::new(), landlock: true, seccomp: true }
}

/// A child that gets as far as a good one does, and then goes on so. `dir` tells its first life, in which
/// the platform is looked at, from the others.
fn child(dir: &Path, then: &str) -> Program {
    let looked = dir.join("looked").display().to_string();
    let enter = enter(&format!("[ -e {looked} ] || exec=exit; : > {looked}"), all());
    script(&format!("{enter}$exec\n{then}"))
}

fn order(dir: &Path) -> AttemptOrder {
    let spec = JobSpec {
        id: JobId::new("job").unwrap(),
        params: Vec::new(),
        reducers: 2,
        inputs: vec![InputSpec::of(InputFormat::Lines)],
        output: OutputSpec::of(OutputFormat::Text),
        partitioning: Partitioning::Hash,
        shuffle_types: Default::default(),
        group_prefix: 0,
        fail_if: Vec::new(),
        batch_bytes: 1 << 18,
        attempts_max: 4,
        permissions: Permissions::default(),
        sides: Vec::new(),
    };
    AttemptOrder {
        description: JobDescription {
            spec,
            roles: Vec::new(),
            spread: SpreadDescription::Hash,
            guest_memory_bytes: None,
            part_dir: dir.to_owned(),
        },
        attempt: AttemptId { task: TaskId::map(3), attempt: 0 },
        input: TaskInput::Map(Split { index: 3, input: 0, bytes: 7, pieces: Vec::new() }),
        memory: MemoryPlan::new(64 << 20, 1, None, false, 1 << 20, FormatMemory::default()).unwrap(),
        codec: Codec::None,
        room_patience: std::time::Duration::ZERO,
        unwritten_bytes_max: u64::MAX,
        run_dir: dir.to_owned(),
        sides: Vec::new(),
        plugins: Vec::new(),
    }
}

/// What comes of an attempt in such a child.
fn runs(then: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let executors = Executors::start(child(dir.path(), then), 1, true).unwrap();
    let log = Arc::new(|_, _, _: &str| {});
    let progress = Progress::default();
    let ended = executors.run(order(dir.path()), &progress, &(log as _), &Stop::default());
    ended.unwrap_err().to_string()
}

fn facts(map: MapFacts) -> Facts {
    Facts {
        stage: StageFacts::Map(map),
        spilled: Default::default(),
        rejects: 0,
        last_reject: None,
        large_groups: Vec::new(),
        counters: Default::default(),
        guest_memory_bytes_peak: 0,
        cpu_millis: 0,
    }
}

fn done(bytes_in: u64, runs: u32) -> String {
    let facts = facts(MapFacts { bytes_in, ..MapFacts::default() });
    say(&Word::Done(Box::new(DoneWord { facts, made: MadeWord::Runs(runs) })))
}

#[test]
fn a_child_that_dies_fails_its_attempt_alone() {
    let it = "internal fault: the executor of map task 3 attempt 0";
    assert_eq!(runs("kill -9 $$"), format!("{it} was killed by signal 9 (SIGKILL)"));
    assert_eq!(runs("exit 0"), format!("{it} ended without an answer"));
    assert_eq!(runs("exit 86"), format!("{it} ran out of the memory that it may have"));
    assert_eq!(runs("echo first >&2; echo last >&2; exit 3"), format!("{it} ended with exit code 3 (last)"));
    assert_eq!(
        runs("printf '\\033[2J\\n' >&2; exit 3"),
        format!("{it} ended with exit code 3 (\u{fffd}[2J)")
    );
}

#[test]
fn a_child_that_babbles_is_ended() {
    let it = "the executor of map task 3 attempt 0 answered with what is no answer and was killed: ";
    for (babble, because) in [
        ("yes >&0".to_owned(), "a message of 175704697 bytes"),
        (say(&Word::Ready) + "exec sleep 1000", "it said \"ready\" when that could not be"),
        (say(&Word::Compiled) + "exec sleep 1000", "it said \"compiled\" when that could not be"),
        ("printf '\\001\\000\\000\\000\\177' >&0; exec sleep 1000".to_owned(), ""),
    ] {
        let said = runs(&babble);
        assert!(said.contains(it) && said.contains(because), "{said}");
    }
}

#[test]
fn a_child_that_lies_is_not_believed() {
    let it = "the executor of map task 3 attempt 0 told what is not so: ";
    for (lie, because) in [
        (done(8, 0), "it read (0, 8) records and bytes, and was given (0, 7)"),
        (done(7, 1), "run-map-000003-0-00000 is corrupt: No such file"),
        (done(7, u32::MAX), "run-map-000003-0-00000 is corrupt: No such file"),
    ] {
        let said = runs(&lie);
        assert!(said.contains(it) && said.contains(because), "{said}");
    }
    let fetch = Failure::Fetch { map_task: TaskId::map(0), reason: "\x1b]0;gone\x07".into() };
    let said = runs(&say(&Word::Failed(Box::new(fetch))));
    assert!(said.contains("told a failure that it cannot have") && !said.contains('\x1b'), "{said}");
    assert!(runs(&say(&Word::Failed(Box::new(Failure::Cancelled)))).contains("cannot have"));
    let path = "x".repeat(700 << 10).into();
    let long = filed(&Word::Failed(Box::new(Failure::InputLost { path, reason: String::new() })));
    assert!(runs(&format!("cat {} >&0", long.path().display())).contains("told a failure of more than"));
}

/// An attempt without reducers, whose child makes these files in its folder and tells of these: the outputs that they
/// are of, and their lengths. Answers the names of its parts.
fn writes(files: &[&str], told: &[(u32, u64)], bytes_out: u64) -> Result<Vec<String>, String> {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("_attempt-m-00003-0.folder");
    let make: String =
        files.iter().map(|name| format!("printf xx > {}/{name}\n", folder.display())).collect();
    let part =
        |(port, bytes): &(u32, u64)| ToldPart { port: *port, rows: 1, bytes: *bytes, blake3: "a".repeat(64) };
    let facts =
        facts(MapFacts { bytes_in: 7, records_out: told.len() as u64, bytes_out, ..MapFacts::default() });
    let made = MadeWord::Parts(told.iter().map(part).collect());
    let done = say(&Word::Done(Box::new(DoneWord { facts, made })));
    let executors = Executors::start(child(dir.path(), &(make + &done)), 1, true).unwrap();
    let mut order = order(dir.path());
    let port = Port { name: "errors".into(), names: None, types: StageTypes::default() };
    order.description.spec.reducers = 0;
    order.description.spec.output.ports = vec![port];
    let log = Arc::new(|_, _, _: &str| {});
    let ended = executors.run(order, &Progress::default(), &(log as _), &Stop::default());
    let left = |name: &str| dir.path().join(name).exists();
    match ended {
        Ok(Done { made: Made::Parts(parts), .. }) => {
            assert!((0..parts.parts.len()).all(|place| left(&parts.file(place))));
            Ok(parts.parts.into_iter().map(|part| part.name).collect())
        }
        Ok(done) => panic!("{done:?}"),
        Err(failure) => {
            let moved = left("_attempt-m-00003-0") || left("_attempt-m-00003-0.1");
            assert!(!moved, "what was moved before something was refused is removed");
            Err(failure.to_string())
        }
    }
}

#[test]
fn files_of_a_child_are_those_that_its_attempt_can_have() {
    let (first, second) = ("_attempt-m-00003-0", "_attempt-m-00003-0.1");
    let named = writes(&[first, second], &[(0, 2), (1, 2)], 4);
    assert_eq!(named, Ok(vec!["part-m-00003".to_owned(), "errors/part-m-00003".to_owned()]));
    for (told, counted, because) in [
        ([].as_slice(), 0, "no attempt leaves 0 files of these outputs"),
        (&[(1, 2)], 2, "no attempt leaves 1 files of these outputs"),
        (&[(0, 2), (0, 2)], 4, "no attempt leaves 2 files of these outputs"),
        (&[(0, 2), (2, 2)], 4, "no attempt leaves 2 files of these outputs"),
        (&[(0, 2), (1, 2)], 5, "its parts have other sums than it counted"),
        (&[(0, 2), (1, 3)], 5, "_attempt-m-00003-0.1 is corrupt: it is no part of 3 bytes"),
        (&[(0, u64::MAX), (1, u64::MAX)], u64::MAX, "it is no part of 18446744073709551615 bytes"),
    ] {
        let said = writes(&[first, second], told, counted).unwrap_err();
        assert!(said.contains(because), "{said}");
    }
    let said = writes(&[first, "errors"], &[(0, 2), (1, 2)], 4).unwrap_err();
    assert!(said.contains("_attempt-m-00003-0.1 is corrupt"), "{said}");
}

#[test]
fn a_child_that_made_nothing_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    let executors = Executors::start(child(dir.path(), &done(7, 0)), 1, true).unwrap();
    let log = Arc::new(|_, _, _: &str| {});
    let done = executors.run(order(dir.path()), &Progress::default(), &(log as _), &Stop::default()).unwrap();
    assert_eq!(done.report.bytes_in, 7);
}

#[test]
fn a_program_that_is_no_child_is_refused_each_time() {
    let start = |program| Executors::start(program, 1, false).unwrap_err().to_string();
    let it = "processes that run plugins do not start on this machine: ";
    assert_eq!(start(script("exit 7")), format!("{it}ended with exit code 7"));
    assert!(start(Program { path: "/nowhere".into(), args: Vec::new() }).contains("did not start: /nowhere"));
    let bare = Walls { missing: vec!["a wall".into()], landlock: false, seccomp: true };
    let bare = script(&(enter("", bare) + "exec sleep 1000"));
    assert!(matches!(Executors::start(bare.clone(), 1, true), Err(ExecutorsError::Missing { .. })));
    let executors = Executors::start(bare, 1, false).unwrap();
    assert_eq!(executors.platform().missing, ["a wall"]);
    // One that works once, and never again.
    let dir = tempfile::tempdir().unwrap();
    let (used, good) = (dir.path().join("used"), enter("", all()));
    let broken = script(&format!("[ -e {0} ] && exit 5\n: > {0}\n{good}", used.display()));
    let executors = Executors::start(broken, 1, false).unwrap();
    for _ in 0..3 {
        let log = Arc::new(|_, _, _: &str| {});
        let ended = executors.run(order(dir.path()), &Progress::default(), &(log as _), &Stop::default());
        let said = ended.unwrap_err().to_string();
        assert_eq!(said, "internal fault: the executor of map task 3 attempt 0 ended with exit code 5");
    }
}

#[test]
fn what_is_stopped_is_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let at_work = dir.path().join("at-work");
    let then = format!("mkfifo {0}; echo > {0}; exec sleep 1000", at_work.display());
    let executors = Executors::start(child(dir.path(), &then), 1, true).unwrap();
    let stop = Stop::default();
    let stopping = stop.clone();
    let order_dir = dir.path().to_owned();
    let running = std::thread::spawn(move || {
        let log = Arc::new(|_, _, _: &str| {});
        executors.run(order(&order_dir), &Progress::default(), &(log as _), &stop)
    });
    while !at_work.exists() {
        assert!(!running.is_finished(), "{:?}", running.join());
        std::thread::yield_now();
    }
    drop(fs::read(&at_work));
    stopping.stop();
    assert_eq!(running.join().unwrap().unwrap_err(), Failure::Cancelled);
}
