//! A job in a folder of its own. However it ends, it is judged by the same rules: an output is complete
//! and as its manifest says, or there is none; and nothing else is left behind.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::assert_same_bytes;
use super::process::{Ended, Running, command, plugin, run, shared_cache};

/// Names that a job's folder may hold.
const OWN_NAMES: [&str; 5] = ["in", "out", "work", "cache", "other"];

/// A job that can be run.
pub struct Job {
    dir: TempDir,
    args: Vec<OsString>,
    inputs: bool,
    cache: Option<PathBuf>,
}

impl Job {
    /// A job of a plugin by its name; its input is `in`, a file or folder, and its output `out`.
    pub fn new(name: &str) -> Self {
        Self::of(&plugin(name))
    }

    /// A job of the plugin in a file.
    pub fn of(plugin: &Path) -> Self {
        let job = Self::staged();
        job.arg(plugin)
    }

    /// A job without a plugin of its own.
    pub fn staged() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self { dir, args: Vec::new(), inputs: false, cache: None }
    }

    /// Takes a role's component from another plugin: `map`, `combine`, `reduce`, `partitioner`.
    pub fn stage(self, option: &str, name: &str) -> Self {
        let wasm = plugin(name);
        self.arg(format!("--{option}")).arg(wasm)
    }

    /// Arguments, apart by spaces.
    pub fn args(mut self, args: &str) -> Self {
        self.args.extend(args.split_whitespace().map(OsString::from));
        self
    }

    /// One argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// The file `in`.
    pub fn input(self, bytes: impl AsRef<[u8]>) -> Self {
        self.file("in", bytes)
    }

    /// A file of the job's folder.
    pub fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    /// Reads these instead of `in`.
    pub fn reads(mut self, patterns: &[&str]) -> Self {
        self.inputs = true;
        patterns.iter().fold(self, |job, pattern| job.arg("--input").arg(pattern))
    }

    /// Keeps compiled plugins apart from those of the other tests.
    pub fn own_cache(mut self) -> Self {
        self.cache = Some(self.path("cache"));
        self
    }

    /// A path in the job's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The command without an output.
    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = command(self.dir.path());
        command.arg(subcommand).args(&self.args);
        if !self.inputs {
            command.args(["--input", "in"]);
        }
        command.arg("--cache-dir").arg(self.cache.clone().unwrap_or_else(shared_cache));
        command.args(["--work-dir", "work"]);
        command
    }

    /// The command with the output `out`.
    pub fn command_to_folder(&self) -> Command {
        let mut command = self.command("submit");
        command.args(["--output", "out"]);
        command
    }

    /// Starts the job, showing what the plugins log.
    pub fn start(&self) -> Running {
        let mut command = self.command_to_folder();
        command.arg("--verbose");
        Running::start(command)
    }

    /// Runs the job, which must succeed.
    #[track_caller]
    pub fn done(&self) -> Done {
        let mut command = self.command_to_folder();
        command.arg("--json");
        self.judge_done(run(command))
    }

    /// Runs the job, which must succeed with these parts.
    #[track_caller]
    pub fn check(&self, expected: &[Vec<u8>]) -> Done {
        let done = self.done();
        assert_eq!(done.parts.len(), expected.len(), "number of parts");
        for ((name, got), expected) in done.parts.iter().zip(expected) {
            assert_same_bytes(name, got, expected);
        }
        done
    }

    /// Runs the job, which must succeed; its parts one after the other must be these bytes.
    #[track_caller]
    pub fn check_whole(&self, expected: &[u8]) -> Done {
        let done = self.done();
        assert_same_bytes("all parts", &done.whole(), expected);
        done
    }

    /// Runs the job, which must fail with this code and say all of this.
    #[track_caller]
    pub fn fails(&self, code: i32, says: &[&str]) -> Failed {
        let failed = self.judge_failed(run(self.command_to_folder()), code);
        for words in says {
            assert!(failed.stderr.contains(words), "{words:?} is not in {:?}", failed.stderr);
        }
        failed
    }

    /// Most run files that the job's reduce tasks merge at once.
    pub fn fan_in(&self) -> u64 {
        let mut command = self.command("explain");
        command.arg("--json");
        let plan: Value = serde_json::from_slice(&run(command).stdout).unwrap();
        plan["memory"]["fan_in"].as_u64().unwrap()
    }

    /// Judges the end of a job that must have succeeded.
    #[track_caller]
    pub fn judge_done(&self, ended: Ended) -> Done {
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        let stdout = String::from_utf8(ended.stdout).expect("JSON is UTF-8");
        let events: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let report = events.last().cloned().unwrap_or_default();
        assert_eq!(report["event"], "finished", "{stdout}");
        self.assert_no_leftovers();
        Done::read(&self.path("out"), report, events, ended.stderr)
    }

    /// Judges the end of a job that must have failed.
    #[track_caller]
    pub fn judge_failed(&self, ended: Ended, code: i32) -> Failed {
        assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
        assert!(!self.path("out").exists(), "a failed job left an output");
        self.assert_no_leftovers();
        Failed { stderr: ended.stderr }
    }

    /// Nothing is left beside the output, nor among the temporary files.
    #[track_caller]
    pub fn assert_no_leftovers(&self) {
        for name in names(self.dir.path()) {
            assert!(OWN_NAMES.contains(&name.as_str()), "{name} was left beside the output");
        }
        assert_eq!(names(&self.path("work")), [""; 0], "left in the folder for temporary files");
    }
}

/// Names in a folder, sorted; none where there is no folder.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Names of the files in a folder and in the folders in it, sorted.
pub fn names_below(folder: &Path) -> Vec<String> {
    let mut below = Vec::new();
    for name in names(folder) {
        let path = folder.join(&name);
        match path.is_dir() {
            true => below.extend(names(&path).iter().map(|inner| format!("{name}/{inner}"))),
            false => below.push(name),
        }
    }
    below.sort();
    below
}

/// A job that succeeded.
pub struct Done {
    /// Names and content of the parts, in order.
    pub parts: Vec<(String, Vec<u8>)>,
    /// The last of the events.
    pub report: Value,
    /// All that was told as JSON.
    pub events: Vec<Value>,
    pub manifest: Value,
    /// Lines of `_rejects.jsonl`.
    pub rejects: Vec<Value>,
    pub stderr: String,
}

impl Done {
    /// Reads an output and holds it against its manifest.
    #[track_caller]
    fn read(out: &Path, report: Value, events: Vec<Value>, stderr: String) -> Self {
        let manifest: Value = serde_json::from_slice(&fs::read(out.join("_manifest.json")).unwrap()).unwrap();
        assert_eq!(fs::read(out.join("_SUCCESS")).unwrap(), b"");
        assert_eq!(report["parts"], manifest["parts"]);
        let mut expected = vec!["_SUCCESS".to_owned(), "_manifest.json".to_owned()];
        let mut parts = Vec::new();
        for part in manifest["parts"].as_array().unwrap() {
            let name = part["name"].as_str().unwrap().to_owned();
            let bytes = fs::read(out.join(&name)).unwrap();
            assert_eq!(part["bytes"], bytes.len() as u64, "{name}");
            assert_eq!(part["blake3"], blake3::hash(&bytes).to_hex().as_str(), "{name}");
            expected.push(name.clone());
            parts.push((name, bytes));
        }
        let mut rejects = Vec::new();
        if report["rejects"] != 0 {
            expected.push("_rejects.jsonl".to_owned());
            let text = fs::read_to_string(out.join("_rejects.jsonl")).unwrap();
            rejects = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        }
        assert_eq!(report["rejects"], rejects.len());
        expected.sort();
        assert_eq!(names_below(out), expected, "files of the output");
        Self { parts, report, events, manifest, rejects, stderr }
    }

    /// All parts, one after the other.
    pub fn whole(&self) -> Vec<u8> {
        self.parts.iter().flat_map(|(_, bytes)| bytes).copied().collect()
    }

    /// A number of the report.
    #[track_caller]
    pub fn number(&self, name: &str) -> u64 {
        self.report[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {}", self.report))
    }
}

/// A job that failed.
pub struct Failed {
    pub stderr: String,
}
