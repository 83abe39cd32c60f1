//! What is asked of a cluster, through the command line of its client.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::super::job::names;
use super::super::process::{Ended, command, run};
use super::eventually;
use super::handed::Handed;
use super::work::{Work, Yield};

/// A client of a cluster.
#[derive(Debug, Clone)]
pub struct Client {
    dir: PathBuf,
    /// Where the coordinator listens, also after a restart.
    pub address: String,
}

/// What there was of the attempts of one task.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tried {
    pub won: usize,
    pub failed: usize,
}

impl Client {
    /// A client in a cluster's folder, whose coordinator was not started yet.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), address: "127.0.0.1:0".to_owned() }
    }

    /// A path in the cluster's folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.join(name)
    }

    /// Where the output of a job goes.
    pub fn output(&self, id: &str) -> PathBuf {
        self.path("outputs").join(id)
    }

    /// All parts of a job's output, one after the other.
    pub fn parts(&self, id: &str) -> Vec<u8> {
        let output = self.output(id);
        let parts = names(&output).into_iter().filter(|name| name.starts_with("part-"));
        parts.flat_map(|part| std::fs::read(output.join(part)).expect("a part")).collect()
    }

    /// A command that knows the cluster.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = command(&self.dir);
        command.args(args).args(["--cluster", &self.address, "--identity", "ids"]);
        command
    }

    /// Runs a command that knows the cluster.
    pub fn run(&self, args: &[&str]) -> Ended {
        run(self.command(args))
    }

    /// Runs a command that has to succeed; the objects that it prints.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Vec<Value> {
        let ended = self.run(&[args, &["--json"]].concat());
        assert_eq!(ended.code(), Some(0), "{args:?}: {}", ended.stderr);
        let text = String::from_utf8(ended.stdout).expect("JSON is UTF-8");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Runs a command that has to end so, saying all of this.
    #[track_caller]
    pub fn says(&self, args: &[&str], code: i32, says: &[&str]) {
        let ended = self.run(args);
        assert_eq!(ended.code(), Some(code), "{args:?}: {}", ended.stderr);
        for words in says {
            assert!(ended.stderr.contains(words), "{args:?}: {words:?} is not in {:?}", ended.stderr);
        }
    }

    /// What the coordinator knows of a worker.
    #[track_caller]
    pub fn worker(&self, name: &str) -> Option<Value> {
        self.json(&["workers"]).into_iter().find(|worker| worker["name"] == name)
    }

    /// Waits until a worker is as it has to be; what is known of it then.
    #[track_caller]
    pub fn wait_for_worker(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{name} {what}"), || self.worker(name).filter(&is))
    }

    /// Waits until so many workers are there.
    #[track_caller]
    pub fn wait_until_live(&self, workers: usize) {
        let is_there = |worker: &&Value| worker["live"] == true && worker["connected"] == true;
        eventually(&format!("{workers} live workers"), || {
            let known = self.json(&["workers"]);
            (known.iter().filter(is_there).count() == workers).then_some(())
        });
    }

    /// Hands a job in; its client waits for it in the background.
    pub fn submit(&self, work: &Work, id: &str) -> Handed {
        Handed::submit(self, work, id)
    }

    /// Runs a job that must succeed and yield what it has to; its state at the end.
    #[track_caller]
    pub fn check(&self, work: &Work, id: &str) -> Value {
        self.submit(work, id).done()
    }

    /// Holds output and report of a job that has succeeded against those of the same job without a
    /// cluster; the job's state.
    #[track_caller]
    pub fn assert_yields(&self, work: &Work, id: &str) -> Value {
        let view = self.json(&["job", "status", id]).remove(0);
        assert_eq!(view["state"], "succeeded", "{view}");
        let got = Yield::read(&self.output(id), &view["end"]["report"]);
        let expected = work.expected();
        assert_eq!(got, *expected, "job {id}");
        view
    }

    /// What there was of attempts, by task: `map task 3`.
    #[track_caller]
    pub fn attempts(&self, id: &str) -> BTreeMap<String, Tried> {
        let mut tried = BTreeMap::<String, Tried>::new();
        for record in self.json(&["job", "logs", id]) {
            let name = record["attempt"].as_str().expect("a name");
            let (task, _) = name.split_once(" attempt ").expect("task and attempt");
            let task = tried.entry(task.to_owned()).or_default();
            if record["failure"].is_null() {
                task.won += 1;
            } else {
                task.failed += 1;
            }
        }
        tried
    }

    /// Workers that won attempts of a job.
    #[track_caller]
    pub fn winners(&self, id: &str) -> Vec<String> {
        let mut records = self.json(&["job", "logs", id]);
        records.retain(|record| record["failure"].is_null());
        let names = records.iter().filter_map(|record| record["worker"].as_str().map(str::to_owned));
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.dedup();
        names
    }
}
