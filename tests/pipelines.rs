//! Pipelines as their users run them: stages that read each other's output, loops, what is taken over from
//! runs before, what a kill leaves behind, and runs of new files. Results are compared with naive references.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::cluster::Cluster;
use crate::support::job::names;
use crate::support::process::{Ended, Running, command, plugin, run, shared_cache};

const TEXT: &str = "to be or not to be\nthat is the question\nwhether tis nobler in the mind to suffer\n";

/// Words with their counts, then those that match, and the lines that match: the input is read twice.
const WORDS: &str = r#"
    [pipeline]
    name = "words"
    params = { pattern = "^t", turns = 0 }

    [[stage]]
    name = "count"
    plugin = "PLUGINS/wordcount.wasm"
    inputs = ["in"]
    output-format = "text"

    [[stage]]
    name = "select"
    plugin = "PLUGINS/grep.wasm"
    inputs = ["stage:count"]
    params = { pattern = "{pattern}" }
    reducers = 0
    output-format = "text"

    [[stage]]
    name = "first"
    plugin = "PLUGINS/toil.wasm"
    inputs = ["stage:select", "in"]
    params = { map-turns = "{turns}" }
    output = "out/first"

    [[stage]]
    name = "lines"
    plugin = "PLUGINS/grep.wasm"
    inputs = ["in"]
    params = { pattern = "{pattern}" }
    reducers = 0
    output = "out/lines"
"#;

/// A folder with a pipeline.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new(pipeline: &str, text: &str) -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        bench.write("in", text);
        bench.write("pipe.toml", pipeline.replace("PLUGINS", plugins().to_str().unwrap()));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(self.dir.path());
        command.args(args).arg("--cache-dir").arg(shared_cache());
        command.args(["--work-dir", "work"]);
        command
    }

    /// Runs the pipeline, which must succeed.
    #[track_caller]
    fn run(&self, args: &[&str]) -> Events {
        let ended = run(self.command(&[&["run", "pipe.toml", "--json"], args].concat()));
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        Events::read(&ended)
    }

    #[track_caller]
    fn fails(&self, args: &[&str], code: i32, says: &str) {
        let ended = run(self.command(&[&["run", "pipe.toml"], args].concat()));
        assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
        assert!(ended.stderr.contains(says), "{says:?} is not in {:?}", ended.stderr);
    }

    /// The bytes of an output, parts in order.
    #[track_caller]
    fn output(&self, name: &str) -> String {
        let folder = self.path(name);
        assert!(folder.join("_SUCCESS").is_file(), "{name} is complete");
        let parts = names(&folder).into_iter().filter(|name| name.starts_with("part-"));
        parts.map(|part| fs::read_to_string(folder.join(part)).unwrap()).collect()
    }

    fn data(&self, pipeline: &str) -> Vec<String> {
        names(&self.path(".mr-engine").join(pipeline).join("data"))
    }

    /// Makes a file that was changed long ago.
    fn settle(&self, name: &str, text: &str, seconds_ago: u64) {
        self.write(name, text);
        let file = fs::File::options().write(true).open(self.path(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds_ago)).unwrap();
    }
}

/// What a run told.
struct Events(Vec<Value>);

impl Events {
    fn read(ended: &Ended) -> Self {
        let text = std::str::from_utf8(&ended.stdout).unwrap();
        Self(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    /// Stages that went so, in order of their names and rounds.
    fn stages(&self, state: &str) -> Vec<String> {
        let events = self.0.iter().filter(|event| event["event"] == "stage" && event["state"] == state);
        let title = |event: &Value| match event["iteration"].as_u64() {
            None => event["stage"].as_str().unwrap().to_owned(),
            Some(round) => format!("{} {round}", event["stage"].as_str().unwrap()),
        };
        events.map(title).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn plugins() -> PathBuf {
    plugin("wordcount").parent().unwrap().to_owned()
}

/// What [`WORDS`] makes of a text.
fn naive(text: &str, pattern: impl Fn(&str) -> bool) -> (String, String) {
    let mut counts = BTreeMap::<&str, u64>::new();
    text.split_ascii_whitespace().for_each(|word| *counts.entry(word).or_default() += 1);
    let counted: Vec<String> = counts.iter().map(|(word, count)| format!("{word}\t{count}")).collect();
    let mut first = BTreeMap::<&str, u64>::new();
    let selected = counted.iter().map(String::as_str).filter(|line| pattern(line));
    for line in selected.chain(text.lines()) {
        *first.entry(line.split(' ').next().unwrap()).or_default() += 1;
    }
    let lines = text.lines().filter(|line| pattern(line)).map(|line| format!("{line}\n"));
    (first.iter().map(|(word, count)| format!("{word}\t{count}\n")).collect(), lines.collect())
}

#[test]
fn stages_read_each_other_and_the_same_input() {
    let bench = Bench::new(WORDS, TEXT);
    let all = ["count", "first", "lines", "select"];
    let events = bench.run(&[]);
    assert_eq!(events.stages("finished"), all);
    let (first, lines) = naive(TEXT, |line| line.starts_with('t'));
    assert_eq!((bench.output("out/first"), bench.output("out/lines")), (first, lines));
    assert_eq!(bench.data("words"), [""; 0], "what nobody needs is gone");
    assert_eq!(names(&bench.path("work")), [""; 0]);
    // Nothing changed: nothing runs.
    let events = bench.run(&[]);
    assert_eq!((events.stages("reused").len(), events.stages("finished").len()), (4, 0));
    // Another parameter: the count stays, and is made again because one that changed reads it.
    let events = bench.run(&["-p", "pattern=o"]);
    assert_eq!(events.stages("finished"), all);
    let (first, lines) = naive(TEXT, |line| line.contains('o'));
    assert_eq!((bench.output("out/first"), bench.output("out/lines")), (first, lines));
    // A parameter of one stage alone.
    let events = bench.run(&["-p", "pattern=o", "-p", "turns=1"]);
    assert!(events.stages("finished").contains(&"first".to_owned()));
    assert!(!events.stages("finished").contains(&"lines".to_owned()));
    // Another input, a lost part, and being told to.
    bench.write("in", "one two\n");
    assert_eq!(bench.run(&["-p", "turns=1"]).stages("finished"), all);
    fs::remove_file(bench.path("out/lines/part-m-00000")).unwrap();
    assert_eq!(bench.run(&["-p", "turns=1"]).stages("finished"), ["lines"]);
    assert_eq!(bench.run(&["-p", "turns=1", "--fresh"]).stages("finished"), all);
}

/// Stages that hand on keys and values as they are, and one whose output another has beside its records.
const TABLES: &str = r#"
    [[stage]]
    name = "one"
    plugin = "PLUGINS/wordcount.wasm"
    inputs = ["in"]
    reducers = 3

    [[stage]]
    name = "two"
    plugin = "PLUGINS/wordcount.wasm"
    inputs = ["more"]

    [[stage]]
    name = "total"
    reduce = "PLUGINS/wordcount.wasm"
    inputs = ["stage:one", "stage:two"]
    output = "out/total"

    [[stage]]
    name = "table"
    reduce = "PLUGINS/wordcount.wasm"
    inputs = ["stage:two"]
    reducers = 1
    output-format = "text"

    [[stage]]
    name = "join"
    plugin = "PLUGINS/map-join.wasm"
    inputs = ["in"]
    sides = { table = "stage:table" }
    reducers = 0
    output = "out/join"
"#;

#[test]
fn keys_and_values_are_handed_on_as_they_are() {
    let bench = Bench::new(TABLES, "b\tfirst\nc\tsecond\nb\tthird\n");
    bench.write("more", "a b\tx\nb first\n\n");
    bench.run(&[]);
    assert_eq!(bench.output("out/total"), "a\t1\nb\t4\nc\t1\nfirst\t2\nsecond\t1\nthird\t1\nx\t1\n");
    assert_eq!(bench.output("out/join"), "b\tfirst\t2\nb\tthird\t2\n");
    // The side counts as an input does.
    bench.write("more", "c\n");
    assert_eq!(bench.run(&[]).stages("finished"), ["join", "one", "table", "total", "two"]);
    assert_eq!(bench.output("out/join"), "c\tsecond\t1\n");
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let bench = Bench::new(WORDS, TEXT);
    // So many turns that it does not end by itself.
    let mut command = bench.command(&["run", "pipe.toml", "--verbose", "-p", "turns=1000000000000"]);
    command.args(["--workers", "2"]);
    let running = Running::start(command);
    running.wait_for("stage lines: done");
    running.wait_for("stage first: mapper info: toils");
    // Nobody else may run it meanwhile.
    bench.fails(&[], 2, "another run of this pipeline is under way");
    running.signal(Signal::KILL);
    running.end();
    assert_eq!(bench.data("words").len(), 1, "what the killed stage reads");
    let events = bench.run(&[]);
    assert_eq!(events.stages("reused"), ["count", "lines", "select"]);
    assert_eq!(events.stages("finished"), ["first"]);
    assert_eq!(bench.output("out/first"), naive(TEXT, |line| line.starts_with('t')).0);
}

/// Takes the lines of one length out, in every round those that are longer by one.
const ROUNDS: &str = r#"
    [pipeline]
    name = "rounds"
    params = { turns = 0 }

    [[loop]]
    name = "shrink"
    start = ["in"]
    until = "lines matched == 0"
    iterations-max = 20

    [[loop.stage]]
    name = "drop"
    plugin = "PLUGINS/grep.wasm"
    inputs = ["loop:shrink"]
    params = { pattern = "^x{{iteration}}$", invert = true }
    reducers = 0
    output-format = "text"

    [[stage]]
    name = "left"
    plugin = "PLUGINS/toil.wasm"
    inputs = ["loop:shrink"]
    params = { map-turns = "{turns}" }
    output = "out"
"#;

#[test]
fn a_loop_ends_by_its_counter_and_is_not_begun_anew() {
    let text: String = [1, 2, 2, 3, 4, 6, 7].iter().map(|count| "x".repeat(*count) + "\n").collect();
    let bench = Bench::new(ROUNDS, &text);
    let mut command = bench.command(&["run", "pipe.toml", "--verbose", "-p", "turns=1000000000000"]);
    command.args(["--workers", "1"]);
    let running = Running::start(command);
    running.wait_for("loop shrink: ended after 5 iterations, its condition holds");
    running.wait_for("stage left: mapper info: toils");
    running.signal(Signal::KILL);
    running.end();
    assert_eq!(bench.data("rounds").len(), 1, "rounds leave nothing behind but the last");
    let events = bench.run(&[]);
    assert_eq!(events.stages("finished"), ["left"]);
    assert_eq!(events.stages("reused").len(), 5);
    assert_eq!(bench.output("out"), "xxxxxx\t1\nxxxxxxx\t1\n");
    let looped = events.0.iter().find(|event| event["event"] == "loop").unwrap();
    assert_eq!((&looped["iterations"], &looped["end"]), (&5.into(), &"until".into()));
    // One more line of the missing length, and it goes on to the end.
    bench.write("in", text + "xxxxx\n");
    let events = bench.run(&[]);
    assert_eq!(events.stages("finished").len(), 9);
    assert_eq!(bench.output("out"), "");
}

#[test]
fn failures_name_pipeline_stage_and_round() {
    let rounds =
        ROUNDS.replace("^x{{iteration}}$", "{iteration}").replace("invert = true", "invert = true, bad = 1");
    let bench = Bench::new(&rounds, "x\n");
    bench.fails(&[], 5, "pipeline rounds, stage drop (iteration 1): parameter bad: ");
    let bench = Bench::new(
        &WORDS.replace("grep.wasm", "unruly.wasm").replace("pattern = \"{", "mode = \"{"),
        "boom\n",
    );
    bench.fails(&["-p", "pattern=panic", "--parallel", "1"], 6, "pipeline words, stage ");
    assert!(!bench.path("out/lines").exists());
    bench.fails(&["-p", "colour=red"], 2, "pipe.toml has no such parameter; it has pattern, turns");
    bench.write(
        "pipe.toml",
        "[[stage]]\nname = \"a\"\nplugin = \"x\"\ninputs = \"in\"\noutput = \"o\"\ncolour = 1\n",
    );
    bench.fails(&[], 2, "pipeline pipe.toml, line 6: stage a: there is no option colour");
    // What is not its own is left alone.
    let bench = Bench::new(WORDS, TEXT);
    bench.write("out/lines/mine", "precious");
    bench.fails(&[], 4, "pipeline words, stage lines: output out/lines exists already");
    assert!(!bench.path("out/first").exists() && bench.data("words").is_empty(), "nothing ran");
}

#[test]
fn explain_draws_and_says_what_would_run() {
    let bench = Bench::new(ROUNDS, "x\n");
    let drawn = |args: &[&str]| {
        let ended = run(bench.command(&[&["run", "pipe.toml"], args].concat()));
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        String::from_utf8(ended.stdout).unwrap().replace(plugins().to_str().unwrap(), "P")
    };
    let expected = "\
pipeline rounds
  loop shrink: until lines matched == 0, at most 20 rounds
    starts with in
    [drop] P/grep.wasm  runs
      <- loop:shrink
  [left] P/toil.wasm  runs unless what it reads stays the same
    <- loop:shrink
    -> out
";
    assert_eq!(drawn(&["--explain"]), expected);
    assert!(!bench.path(".mr-engine").exists(), "nothing was touched");
    bench.run(&[]);
    let reused =
        expected.replace("runs\n", "reused\n").replace("runs unless what it reads stays the same", "reused");
    assert_eq!(drawn(&["--explain"]), reused);
    let dot = drawn(&["--dot"]);
    for line in [
        "digraph \"rounds\" {",
        "    subgraph \"cluster_shrink\" {",
        "    \"drop\" -> \"drop\" [style=dashed constraint=false];",
        "    \"file in\" -> \"drop\";",
        "    \"drop\" -> \"left\";",
        "    \"left\" -> \"file out\";",
    ] {
        assert!(dot.lines().any(|drawn| drawn == line), "{line} is not in {dot}");
    }
}

/// Runs a job with what is new, and returns what it made, if it made anything.
fn watch_once(bench: &Bench, args: &[&str]) -> Ended {
    let wordcount = plugin("wordcount");
    let submit = ["submit", wordcount.to_str().unwrap(), "--watch", "new", "--once", "--output", "out"];
    run(bench.command(&[&submit, args].concat()))
}

#[test]
fn new_files_are_read_exactly_once() {
    let bench = Bench::new("", "");
    let ended = watch_once(&bench, &[]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), "nothing new\n"));
    bench.settle("new/a", "a b\n", 60);
    bench.settle("new/b", "b c\n", 60);
    bench.write("new/growing", "x\n");
    assert_eq!(watch_once(&bench, &["--settle", "1h"]).stderr, "nothing new\n");
    assert_eq!(watch_once(&bench, &[]).code(), Some(0));
    assert_eq!(bench.output("out/run-000001"), "a\t1\nb\t2\nc\t1\n");
    assert_eq!(watch_once(&bench, &[]).stderr, "nothing new\n");
    // One that changed, and one that does not grow any more.
    bench.settle("new/b", "b d\n", 30);
    bench.settle("new/growing", "x y\n", 30);
    // A run that fails takes nothing away.
    let failed = watch_once(&bench, &["--max-record", "1"]);
    assert_eq!(failed.code(), Some(3), "{}", failed.stderr);
    assert_eq!(names(&bench.path("out")), [".run-000002.json", ".watch-lock", "run-000001"]);
    assert_eq!(watch_once(&bench, &[]).code(), Some(0));
    assert_eq!(bench.output("out/run-000002"), "b\t1\nd\t1\nx\t1\ny\t1\n");
    assert_eq!(watch_once(&bench, &[]).stderr, "nothing new\n");
    assert_eq!(names(&bench.path("out")), [".watch-lock", "run-000001", "run-000002"]);
    // An output that is taken back: its files are new again.
    fs::remove_dir_all(bench.path("out/run-000002")).unwrap();
    assert_eq!(watch_once(&bench, &[]).code(), Some(0));
    assert_eq!(bench.output("out/run-000002"), "b\t1\nd\t1\nx\t1\ny\t1\n");
}

#[test]
fn a_pipeline_of_new_files() {
    let pipeline = WORDS.replace("[\"in\"]", "[\"watch:\"]").replace("\"in\"", "\"watch:\"");
    let bench = Bench::new(&pipeline.replace("out/", "out/{run}-"), "");
    bench.fails(&[], 2, "pipe.toml reads \"watch:\", new files: give --watch PATH");
    let watch = ["--watch", "new/*.txt", "--once"];
    let says =
        "makes the same output of every run's new files: put {run} into its name, or say overwrite = true";
    let pipeline = pipeline.replace("PLUGINS", plugins().to_str().unwrap());
    bench.write("pipe.toml", &pipeline);
    bench.fails(&watch, 2, says);
    bench.write("pipe.toml", pipeline.replace("out/", "out/{run}-"));
    bench.settle("new/a.txt", TEXT, 60);
    assert_eq!(bench.run(&watch).stages("finished").len(), 4);
    bench.settle("new/b.txt", "tea to go\n", 60);
    assert_eq!(bench.run(&watch).stages("finished").len(), 4);
    assert!(bench.run(&watch).0.iter().all(|event| event["event"] == "nothing-new"));
    for (run, text) in [("run-000001", TEXT), ("run-000002", "tea to go\n")] {
        let (first, lines) = naive(text, |line| line.starts_with('t'));
        let made = ["first", "lines"].map(|name| bench.output(&format!("out/{run}-{name}")));
        assert_eq!(made, [first, lines]);
    }
}

#[test]
fn a_job_comes_again_until_it_is_interrupted() {
    let bench = Bench::new("", "a b\n");
    let wordcount = plugin("wordcount");
    let args = ["submit", wordcount.to_str().unwrap(), "--input", "in", "--every", "1s"];
    let refused = run(bench.command(&args));
    assert!(refused.stderr.contains("--every needs --output"), "{}", refused.stderr);
    let running = Running::start(bench.command(&[&args[..], &["--output", "out"]].concat()));
    running.wait_for("out/run-000002");
    running.signal(Signal::INT);
    let ended = running.end();
    assert!(matches!(ended.code(), Some(0 | 130)), "{}", ended.stderr);
    for run in ["out/run-000001", "out/run-000002"] {
        assert_eq!(bench.output(run), "a\t1\nb\t1\n");
    }
}

#[test]
fn a_cluster_makes_the_same() {
    let mut cluster = Cluster::steady(2);
    let here = Bench::new(WORDS, TEXT);
    here.run(&[]);
    let there = |name: &str| cluster.path("pipeline").join(name);
    fs::create_dir_all(there("")).unwrap();
    for file in ["in", "pipe.toml"] {
        fs::copy(here.path(file), there(file)).unwrap();
    }
    let run = || {
        let file = there("pipe.toml");
        let mut command = cluster.command(&["run", file.to_str().unwrap(), "--json"]);
        command.arg("--cache-dir").arg(shared_cache());
        let ended = run(command);
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        Events::read(&ended)
    };
    assert_eq!(run().stages("finished").len(), 4);
    for output in ["out/first", "out/lines"] {
        assert_same_folder(&there(output), &here.path(output));
    }
    assert_eq!(run().stages("reused").len(), 4);
    // The names of its jobs are those of its stages.
    let jobs = cluster.json(&["jobs"]);
    let ids: BTreeSet<&str> =
        jobs.iter().map(|job| job["job"].as_str().unwrap().split('-').next().unwrap()).collect();
    assert_eq!(ids, BTreeSet::from(["count", "first", "lines", "select"]));
    cluster.assert_idle(&[]);
}

#[track_caller]
fn assert_same_folder(one: &Path, other: &Path) {
    let parts = |folder: &Path| -> Vec<(String, Vec<u8>)> {
        let parts = names(folder).into_iter().filter(|name| name.starts_with("part-"));
        parts.map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
    };
    assert!(!parts(one).is_empty());
    assert_eq!(parts(one), parts(other));
}
