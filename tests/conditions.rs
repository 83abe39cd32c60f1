//! Jobs that fail by what was counted: all of their work is done, and nothing is published.

use serde_json::json;

use crate::support::Job;
use crate::support::cluster::{Cluster, Work};
use crate::support::process::run;

const TEXT: &str = "boom a\ncalm b\nboom a\ncalm b\nboom c\ncalm b\ncalm b\n";
const COUNTS: &[u8] = b"boom a\t2\nboom c\t1\ncalm b\t4\n";
/// Conditions that hold for the text, and what their counters come to.
const HOLDING: [(&str, &str); 5] = [
    ("lines >= 7", "lines is 7"),
    ("odd/boom lines > 2", "odd/boom lines is 3"),
    ("mr/input-records == 7", "mr/input-records is 7"),
    ("mr/output-records != 4", "mr/output-records is 3"),
    ("never < 1", "never is 0"),
];
const NOT_HOLDING: [&str; 4] = ["lines > 7", "odd/boom lines != 3", "mr/rejects > 0", "never >= 1"];

fn counting() -> Job {
    Job::new("unruly").input(TEXT).args("-p mode=count --split-size 7 --reducers 1")
}

#[test]
fn a_job_fails_by_its_counters() {
    for (condition, value) in HOLDING {
        let says = format!(
            "mr-engine: the job fails by its condition --fail-if \"{condition}\": {value}; nothing is published\n"
        );
        counting().args("--fail-if").arg("never > 0").args("--fail-if").arg(condition).fails(11, &[&says]);
    }
    let passing = NOT_HOLDING.iter().fold(counting(), |job, condition| job.arg("--fail-if").arg(condition));
    passing.check_whole(COUNTS);
}

#[test]
fn counters_are_shown_in_groups() {
    let done = counting().done();
    assert_eq!(done.report["counters"], json!({ "groups": 3, "lines": 7, "odd/boom lines": 3 }));
    assert_eq!(done.report["counter_groups"], json!({ "odd": { "boom lines": 3 } }));
    let summary = run(counting().command_to_folder()).stderr;
    let shown = "counter  groups = 3\ncounter  lines = 7\ncounters odd\n           boom lines = 3\n";
    assert!(summary.ends_with(shown), "{summary}");
}

#[test]
fn conditions_that_cannot_be_judged_are_refused() {
    for (condition, says) in [
        ("lines", "is no condition: use COUNTER OP NUMBER"),
        ("lines = 7", "OP one of < <= == != >= >"),
        ("mr/reject > 7", "the engine keeps no mr/reject; it keeps mr/input-records, "),
    ] {
        counting().arg("--fail-if").arg(condition).fails(2, &[says]);
    }
    // What went to standard output cannot be taken back.
    let job = counting();
    let mut command = job.command("submit");
    command.args(["--fail-if", "lines > 7"]);
    assert_eq!(run(command).code(), Some(2));
}

#[test]
fn a_cluster_judges_alike() {
    let cluster = Cluster::steady(2);
    let input = cluster.path("text.txt");
    std::fs::write(&input, TEXT).unwrap();
    let work = Work::new("unruly", input, "-p mode=count --split-size 7 --reducers 2");
    for (number, (condition, value)) in HOLDING.iter().enumerate() {
        let (id, condition) = (format!("fails-{number}"), format!("--fail-if={condition}"));
        let mut command = cluster.command(&["submit", "--job-id", &id, &condition]);
        work.dress(&mut command);
        let ended = run({
            command.arg("--output").arg(cluster.output(&id));
            command
        });
        assert_eq!(ended.code(), Some(11), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("{value}; nothing is published")), "{}", ended.stderr);
        assert!(!cluster.output(&id).exists(), "a failed job left an output");
    }
    // One record for each of seven tasks, and six are allowed: it is the end of the last task, whichever that is, that
    // passes these limits.
    let booms = cluster.path("booms.txt");
    std::fs::write(&booms, "boom x\n".repeat(7)).unwrap();
    for (number, (options, code, says)) in [
        ("-p mode=reject -p role=mapper --max-rejects 6", 6, "and 6 rejects are allowed"),
        ("-p mode=count --max-output-records 6", 7, "6 are allowed"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("passes-limits-{number}");
        let work = Work::new("unruly", booms.clone(), &format!("{options} --split-size 7 --reducers 0"));
        let mut command = cluster.command(&["submit", "--job-id", &id]);
        work.dress(&mut command);
        let ended = run({
            command.arg("--output").arg(cluster.output(&id));
            command
        });
        assert_eq!(ended.code(), Some(code), "{options}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
        assert!(!cluster.output(&id).exists(), "a failed job left an output");
    }
    let never = NOT_HOLDING.map(|condition| format!("--fail-if={condition}"));
    let mut command = cluster.command(&["submit", "--job-id", "passes"]);
    command.args(never).arg("--output").arg(cluster.output("passes"));
    work.dress(&mut command);
    let ended = run(command);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    cluster.assert_yields(&work, "passes");
}
