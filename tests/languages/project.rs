//! A project of a language in a folder of its own, and what the templates of every language must do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cluster::{Cluster, Work};
use crate::support::naive;
use crate::support::process::{Ended, command, isolated, run, shared_cache};
use crate::support::random::Random;
use crate::support::Job;

/// What every language has.
pub const TEMPLATES: [&str; 4] = ["wordcount", "grep", "join", "empty"];

/// The repository.
fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests are in a folder of the repository")
}

/// Where toolchains are: the user's, or the project's own.
fn toolchains() -> PathBuf {
    std::env::var_os("MR_ENGINE_TOOLCHAINS")
        .map_or_else(|| repository().join("target/toolchains"), PathBuf::from)
}

/// Installs the toolchain of a language, once for all tests.
fn install(language: &str) {
    static DONE: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    if done.iter().any(|known| known == language) {
        return;
    }
    let mut script = Command::new("sh");
    script.arg(repository().join(format!("tools/languages/{language}.sh"))).arg(toolchains());
    let ended = run(script);
    assert_eq!(ended.code(), Some(0), "{language}: {}", ended.stderr);
    done.push(language.to_owned());
}

/// Gives a command the tools of a language, and a home whose caches all tests share.
fn equipped(mut command: Command, language: &str) -> Command {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages");
    fs::create_dir_all(&home).unwrap();
    let tools = toolchains().join(language).join("bin");
    command.env("HOME", &home).env("PATH", format!("{}:/usr/bin:/bin", tools.display()));
    command.env("MR_ENGINE_TOOLCHAINS", toolchains());
    command
}

/// A project that `mr-engine new` made.
pub struct Project {
    dir: TempDir,
    language: &'static str,
}

impl Project {
    /// A project of a template.
    pub fn new(language: &'static str, template: &str) -> Self {
        install(language);
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut new = command(dir.path());
        new.args(["new", "plugin", "--lang", language, "--template", template]);
        let ended = run(new);
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        Self { dir, language }
    }

    /// A path in the project.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("plugin").join(name)
    }

    /// Writes a file of the project.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Copies a file of the repository into the project.
    pub fn copy(&self, from: &str, to: &str) {
        fs::copy(repository().join(from), self.path(to)).unwrap();
    }

    /// Puts `new` where `old` stands in a file.
    #[track_caller]
    pub fn replace(&self, name: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(old), "{name} has no {old}");
        self.write(name, text.replace(old, new));
    }

    /// Runs `mr-engine` with these arguments in the project.
    pub fn engine(&self, args: &[&str]) -> Ended {
        let mut engine = equipped(command(&self.path("")), self.language);
        engine.args(args);
        if args.first() == Some(&"test") {
            engine.arg("--cache-dir").arg(shared_cache());
        }
        run(engine)
    }

    /// Builds the plugin.
    #[track_caller]
    pub fn build(&self) -> PathBuf {
        let ended = self.engine(&["build"]);
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        self.path("build/plugin.wasm")
    }

    /// Runs a command line of the language's own tools.
    #[track_caller]
    pub fn native(&self, line: &str) {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]);
        let ended = run(equipped(isolated(shell, &self.path("")), self.language));
        let said = String::from_utf8_lossy(&ended.stdout);
        assert_eq!(ended.code(), Some(0), "{line}: {said}{}", ended.stderr);
    }

    /// Interfaces that a component imports besides the engine's.
    #[track_caller]
    pub fn wasi_imports(&self, component: &Path) -> Vec<String> {
        let ended = self.engine(&["inspect", "--json", &component.display().to_string()]);
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        let shown: Value = serde_json::from_slice(&ended.stdout).unwrap();
        let imports = shown["imports"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
        imports.filter(|name| !name.starts_with("mr:engine/")).collect()
    }
}

/// Interfaces without their versions.
pub fn unversioned(imports: &[String]) -> Vec<&str> {
    imports.iter().map(|name| name.split('@').next().unwrap_or_default()).collect()
}

/// Every template is a project that builds, passes its tests here and in the language itself, and imports
/// what `is_allowed` of WASI.
#[track_caller]
pub fn check_templates(language: &'static str, native: &str, is_allowed: impl Fn(&str) -> bool) {
    for template in TEMPLATES {
        let project = Project::new(language, template);
        let component = project.build();
        let ended = project.engine(&["test", "--no-build"]);
        assert_eq!(ended.code(), Some(0), "{template}: {}", ended.stderr);
        project.native(native);
        let imports = project.wasi_imports(&component);
        let strange: Vec<_> = unversioned(&imports).into_iter().filter(|name| !is_allowed(name)).collect();
        assert!(strange.is_empty(), "{template} imports {strange:?}");
    }
}

/// The word count of a language yields what a naive count does, here, and on a cluster of two workers the
/// very files of the exemplary plugin.
#[track_caller]
pub fn check_word_count(language: &'static str) {
    let project = Project::new(language, "wordcount");
    let component = project.build();
    let text = odd_text();
    let job = Job::of(&component).input(&text).args("--split-size 16K --reducers 3");
    job.check(&naive::wordcount(&text, 3));

    let cluster = Cluster::steady(2);
    let exemplary = Work::small_count();
    let work = Work::of(component, exemplary.input().to_owned(), "--split-size 128K --reducers 4");
    cluster.check(&work, language);
    exemplary.expected().assert_same_files(&cluster.output(language));
}

/// Words of all lengths, also those that no table of short ones takes, bytes that are no UTF-8, and white
/// space of all kinds that the reference knows.
pub fn odd_text() -> Vec<u8> {
    let mut random = Random::new(7);
    let words: Vec<Vec<u8>> = (0..3_000u64)
        .map(|number| {
            let len = if number % 50 == 0 { random.below(300) } else { random.below(26) };
            (0..=len).map(|_| [b'a', b'z', b'0', 0, 0x80, 0xff, b'\'', 0x1f][usize::try_from(random.below(8)).unwrap()]).collect()
        })
        .collect();
    let mut text = Vec::new();
    for _ in 0..40_000 {
        let word = random.below(3_000).min(random.below(3_000));
        text.extend_from_slice(&words[usize::try_from(word).unwrap()]);
        text.push(b" \t\n\r\x0c "[usize::try_from(random.below(6)).unwrap()]);
    }
    text
}

/// A mapper that fails at the line `boom` says so with these words, and names the line.
#[track_caller]
pub fn check_fault(project: &Project, says: &[&str]) {
    let component = project.build();
    let job = Job::of(&component).input("one\nboom\nthree\n").args("--max-attempts 1");
    let ended = run(job.command_to_folder());
    assert_eq!(ended.code(), Some(6), "{}", ended.stderr);
    for said in says.iter().chain(&["while mapping the line at byte 4: \"boom\""]) {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
}

