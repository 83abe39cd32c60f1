//! A project of an author, in a folder of its own, with the tools of its language.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use crate::support::process::{Ended, engine, run, shared_cache};

/// Variables of the machine that compilers and package managers need.
const PASSED_ON: [&str; 9] = [
    "HOME",
    "PATH",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
];
/// What the names of others begin with, in any case: where packages come from.
const FAMILIES_PASSED_ON: [&str; 5] = ["pip_", "npm_config_", "http_proxy", "https_proxy", "no_proxy"];

/// A project.
pub struct Project {
    parent: TempDir,
    name: String,
    toolchains: PathBuf,
}

impl Project {
    /// A new project; the tools of its language are installed before.
    #[track_caller]
    pub fn new(language: &str, template: &str) -> Self {
        Self::make(language, template, toolchain(language))
    }

    /// A new project that is not built: its language needs no tools for that.
    #[track_caller]
    pub fn untooled(language: &str, template: &str) -> Self {
        Self::make(language, template, PathBuf::new())
    }

    #[track_caller]
    fn make(language: &str, template: &str, toolchains: PathBuf) -> Self {
        let project = Self {
            parent: tempfile::tempdir().expect("a temporary folder"),
            name: format!("my-{template}"),
            toolchains,
        };
        let mut command = detached(&engine(), project.parent.path());
        command.args(["new", &project.name, "--lang", language, "--template", template]);
        let made = run(command);
        assert_eq!(made.code(), Some(0), "{}", made.stderr);
        project.share_dependencies(language);
        project
    }

    /// What cargo builds of a plugin's dependencies is the same for all projects, and takes long.
    fn share_dependencies(&self, language: &str) {
        if language == "rust" {
            let shared = self.toolchains.join("rust/cargo");
            fs::create_dir_all(&shared).unwrap();
            fs::create_dir_all(self.dir().join("build")).unwrap();
            std::os::unix::fs::symlink(shared, self.dir().join("build/cargo")).unwrap();
        }
    }

    /// Its folder.
    pub fn dir(&self) -> PathBuf {
        self.parent.path().join(&self.name)
    }

    /// What is built.
    pub fn component(&self) -> PathBuf {
        self.dir().join(format!("build/{}.wasm", self.name))
    }

    /// Replaces a text in one of its files.
    #[track_caller]
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.dir().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from:?} is not in {file}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    /// `mr-engine build` or `test`, in the project.
    pub fn engine(&self, subcommand: &str) -> Ended {
        let mut command = detached(&engine(), &self.dir());
        command.arg(subcommand).env("MR_ENGINE_TOOLCHAINS", &self.toolchains);
        command.env("MR_ENGINE_CACHE_DIR", shared_cache());
        run(command)
    }

    /// Its tests pass; what was said.
    #[track_caller]
    pub fn passes(&self) -> String {
        let ended = self.engine("test");
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("... ok"), "{}", ended.stderr);
        ended.stderr
    }

    /// Itself, built.
    #[track_caller]
    pub fn into_built(self) -> Self {
        self.built();
        self
    }

    /// It is built; its component.
    #[track_caller]
    pub fn built(&self) -> PathBuf {
        let ended = self.engine("build");
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        self.component()
    }
}

/// A command in a session of its own: some tools stop where they are in the background of a terminal.
pub fn detached(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(program).current_dir(dir).stdin(std::process::Stdio::null()).env_clear();
    command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_passed_on)));
    command
}

fn is_passed_on(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    PASSED_ON.contains(&name) || FAMILIES_PASSED_ON.iter().any(|family| lower.starts_with(family))
}

/// The folder of all toolchains, in which that of this language is installed now.
#[track_caller]
fn toolchain(language: &str) -> PathBuf {
    // Tests that install the same thing at once would be in each other's way.
    static INSTALLS: Mutex<()> = Mutex::new(());
    let _one = INSTALLS.lock().unwrap_or_else(PoisonError::into_inner);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let toolchains = root.join("target/toolchains");
    fs::create_dir_all(&toolchains).unwrap();
    let mut command = detached(Path::new("/bin/sh"), &root);
    command.arg(format!("tools/languages/{language}.sh")).arg(toolchains.join(language));
    let installed = run(command);
    assert_eq!(installed.code(), Some(0), "{}", installed.stderr);
    toolchains
}

/// A program that this machine has, for tests of an SDK by itself.
#[track_caller]
pub fn succeeds(mut command: Command) {
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let ended = run(command);
    assert_eq!(ended.code(), Some(0), "{}{}", String::from_utf8_lossy(&ended.stdout), ended.stderr);
}

/// A folder of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
