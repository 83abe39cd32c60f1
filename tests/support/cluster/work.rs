//! Jobs for clusters, and what they must yield: the very files that the same job makes when it runs
//! without a cluster. Each is run so once, whoever asks.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};

use super::super::job::names_below;
use super::super::process::{command, plugin, run, shared_cache};
use super::super::random::Random;

/// Bytes of the text for jobs that run at full speed.
const LARGE_BYTES: u64 = 112 << 20;
/// The same for those that have to be quick.
const SMALL_BYTES: u64 = 3 << 20;
/// Lines of the text for jobs that take their time.
const LINES: u64 = 6_000;
/// Numbers in a report that depend on input and plugins alone.
const FIXED: [&str; 11] = [
    "input_files",
    "input_bytes",
    "input_records",
    "map_tasks",
    "reduce_tasks",
    "map_output_records",
    "map_output_bytes",
    "reduce_groups",
    "output_records",
    "output_bytes",
    "rejects",
];

/// A job without a place and a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work {
    plugin: Option<PathBuf>,
    input: PathBuf,
    args: String,
    /// Options that change nothing of what it yields.
    free_args: String,
}

impl Work {
    /// Counts the words of more than 100 MiB.
    pub fn count() -> Self {
        Self::new("wordcount", text(LARGE_BYTES), "--split-size 2M --reducers 6")
    }

    /// Sorts the lines of more than 100 MiB.
    pub fn sort() -> Self {
        Self::new("sort", text(LARGE_BYTES), "--split-size 2M --reducers 8")
    }

    /// Counts the words of a few MiB, in 24 splits.
    pub fn small_count() -> Self {
        Self::new("wordcount", text(SMALL_BYTES), "--split-size 128K --reducers 4")
    }

    /// The same by a plugin in a file.
    pub fn small_count_by(plugin: &Path) -> Self {
        Self { plugin: Some(plugin.to_owned()), ..Self::small_count() }
    }

    /// Sorts the lines of a few MiB, in 24 splits.
    pub fn small_sort() -> Self {
        Self::new("sort", text(SMALL_BYTES), "--split-size 128K --reducers 5")
    }

    /// Counts first words in some 30 splits and 8 partitions, so slowly that there is time to do things
    /// to it: so many thousands of turns for each line, and for each group.
    pub fn toil(map_turns: u32, reduce_turns: u32) -> Self {
        let args = "--split-size 12K --reducers 8";
        let turns = format!("-p map-turns={map_turns}000 -p reduce-turns={reduce_turns}000");
        Self::new("toil", lines(), args).with(&turns)
    }

    /// A job of one of the test's plugins.
    pub fn new(name: &str, input: PathBuf, args: &str) -> Self {
        Self::of(plugin(name), input, args)
    }

    /// A job of the plugin in a file.
    pub fn of(plugin: PathBuf, input: PathBuf, args: &str) -> Self {
        Self { plugin: Some(plugin), ..Self::copy(input, args) }
    }

    /// A job without any plugin.
    pub fn copy(input: PathBuf, args: &str) -> Self {
        Self { plugin: None, input, args: args.to_owned(), free_args: String::new() }
    }

    /// Other options than those that shape what it yields so far.
    pub fn shaped(self, args: &str) -> Self {
        Self { args: args.to_owned(), ..self }
    }

    /// Further options that change nothing of what it yields.
    pub fn with(self, args: &str) -> Self {
        Self { free_args: format!("{} {args}", self.free_args), ..self }
    }

    /// What it reads.
    pub fn input(&self) -> &Path {
        &self.input
    }

    /// Gives a command everything but the output.
    pub fn dress(&self, command: &mut std::process::Command) {
        command.args(&self.plugin).args(self.args.split_whitespace()).args(self.free_args.split_whitespace());
        command.arg("--input").arg(&self.input).arg("--cache-dir").arg(shared_cache());
    }

    /// What it must yield.
    pub fn expected(&self) -> Arc<Yield> {
        static KNOWN: OnceLock<Mutex<BTreeMap<Work, Arc<Yield>>>> = OnceLock::new();
        let key = Self { free_args: String::new(), ..self.clone() };
        let mut known = KNOWN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.entry(key.clone()).or_insert_with(|| Arc::new(key.run_alone()));
        Arc::clone(found)
    }

    fn run_alone(&self) -> Yield {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut command = command(dir.path());
        command.args(["submit", "--json", "--output", "out", "--work-dir", "work"]);
        self.dress(&mut command);
        let ended = run(command);
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        let report = String::from_utf8(ended.stdout).unwrap();
        let report: Value = serde_json::from_str(report.lines().last().unwrap()).unwrap();
        Yield::read(&dir.path().join("out"), &report)
    }
}

/// What a job yields.
#[derive(Debug, PartialEq)]
pub struct Yield {
    /// All files but the manifest, with lengths and hashes.
    files: BTreeMap<String, (u64, String)>,
    /// What the manifest says of them.
    parts: Value,
    /// Numbers of the report that are the same wherever it runs.
    pub numbers: Value,
}

impl Yield {
    /// Fails where the files of an output are not these.
    #[track_caller]
    pub fn assert_same_files(&self, out: &Path) {
        let (files, parts) = (read_files(out), &read_manifest(out)["parts"]);
        assert_eq!((&files, parts), (&self.files, &self.parts));
    }

    /// Reads an output, and the report that tells of it.
    #[track_caller]
    pub fn read(out: &Path, report: &Value) -> Self {
        let manifest = read_manifest(out);
        let mut numbers: BTreeMap<&str, Value> =
            FIXED.iter().map(|name| (*name, report[*name].clone())).collect();
        numbers.insert("counters", report["counters"].clone());
        assert_eq!(report["parts"], manifest["parts"]);
        assert_eq!(report["counters"], manifest["counters"]);
        Self { files: read_files(out), parts: manifest["parts"].clone(), numbers: json!(numbers) }
    }
}

fn read_manifest(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("_manifest.json")).unwrap()).unwrap()
}

/// All files but the manifest, with lengths and hashes.
fn read_files(out: &Path) -> BTreeMap<String, (u64, String)> {
    let hashed = |name: String| {
        let bytes = fs::read(out.join(&name)).unwrap();
        (name, (bytes.len() as u64, blake3::hash(&bytes).to_hex().to_string()))
    };
    names_below(out).into_iter().filter(|name| name != "_manifest.json").map(hashed).collect()
}

/// Text of so many bytes at least, made from a seed: few words are most of it. It is made once for all
/// runs of the tests.
fn text(bytes: u64) -> PathBuf {
    made(&format!("text-{bytes}"), |file| {
        let mut random = Random::new(bytes);
        let vocabulary: Vec<String> = (0..400_000u64).map(|_| word(&mut random)).collect();
        let (mut written, mut line) = (0, String::new());
        while written < bytes {
            line.clear();
            for _ in 0..=random.below(14) {
                // Of two numbers the smaller, four times over: a long tail.
                let number = (0..4).map(|_| random.below(400_000)).min().unwrap_or(0);
                line.push_str(&vocabulary[usize::try_from(number).unwrap()]);
                line.push(' ');
            }
            line.push('\n');
            file.write_all(line.as_bytes())?;
            written += line.len() as u64;
        }
        Ok(())
    })
}

/// Short lines whose first words repeat.
fn lines() -> PathBuf {
    made(&format!("lines-{LINES}"), |file| {
        let mut random = Random::new(LINES);
        for line in 0..LINES {
            writeln!(file, "key-{:04} {line:06} and the rest of it that nobody reads", random.below(1_600))?;
        }
        Ok(())
    })
}

fn word(random: &mut Random) -> String {
    (0..=random.below(9)).map(|_| char::from(b'a' + random.byte(26))).collect()
}

/// A file of the tests' own folder; written aside first, so that it is there whole or not at all.
fn made(name: &str, write: impl Fn(&mut BufWriter<File>) -> std::io::Result<()>) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster-data");
    let path = folder.join(name);
    if !path.exists() {
        fs::create_dir_all(&folder).unwrap();
        let aside = folder.join(format!("{name}.{}", std::process::id()));
        let mut file = BufWriter::new(File::create(&aside).unwrap());
        write(&mut file).and_then(|()| file.flush()).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    path
}
