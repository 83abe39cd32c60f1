//! One case of a project's tests: a job over its input, and where its output is not the one expected.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use mr_runtime::{Progress, run_local};

use crate::args::workshop::TestArgs;
use crate::args::{Cli, Command, SubmitArgs};
use crate::exit::UsageError;
use crate::interrupt::Interrupt;
use crate::job::{self, Place};
use crate::policy;
use crate::show::{Show, Style};

/// Letters of a line that are shown.
const LINE_SHOWN: usize = 200;

/// A case.
pub struct Case {
    name: String,
    dir: PathBuf,
}

/// What came of a case.
pub enum Verdict {
    /// What was expected.
    Same,
    /// Something else.
    Differs(Difference),
    /// What it yields is what is expected from now on.
    Accepted,
}

/// The first line that is not the one expected.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    line: usize,
    got: Option<String>,
    expected: Option<String>,
}

impl Case {
    /// The case of this name.
    pub fn new(folder: &Path, name: String) -> Self {
        Self { dir: folder.join(&name), name }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a plugin over the input and compares.
    pub fn run(&self, component: &Path, args: &TestArgs, interrupt: &Interrupt) -> Result<Verdict> {
        let got = self.output(component, args, interrupt)?;
        let file = self.dir.join("expected.txt");
        if args.accept {
            fs::write(&file, got).with_context(|| file.display().to_string())?;
            return Ok(Verdict::Accepted);
        }
        let expected = fs::read(&file).with_context(|| file.display().to_string())?;
        Ok(Difference::find(&got, &expected).map_or(Verdict::Same, Verdict::Differs))
    }

    /// What the plugin yields: all parts, one after the other.
    fn output(&self, component: &Path, args: &TestArgs, interrupt: &Interrupt) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().context("a folder for temporary files")?;
        let out = folder.path().join("out");
        let typed = self.typed(component, &out, folder.path(), args)?;
        let progress = Arc::new(Progress::default());
        let show = Show::start(Style::Quiet, progress.clone());
        let loading = Show::start(Style::People { verbose: false }, Arc::default());
        let policy = policy::read(&typed.job.policy, typed.remote.target.config.as_deref())?;
        let plan = job::plan(&typed.job, Place::Here, policy.as_ref(), &mut |path, event| {
            loading.loading(path, event)
        });
        loading.finish();
        run_local(&plan?, &progress, interrupt.arm(), show.log_forward())?;
        show.finish();
        let mut names: Vec<PathBuf> =
            fs::read_dir(&out)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        names.retain(|path| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"part-"))
        });
        names.sort();
        let mut whole = Vec::new();
        for path in names {
            whole.extend(fs::read(&path).with_context(|| path.display().to_string())?);
        }
        Ok(whole)
    }

    /// The job as somebody would type it.
    fn typed(&self, component: &Path, out: &Path, work: &Path, args: &TestArgs) -> Result<SubmitArgs> {
        let mut words: Vec<OsString> = vec!["mr-engine".into(), "submit".into(), component.into()];
        let mut option = |name: &str, value: &std::ffi::OsStr| words.extend([name.into(), value.to_owned()]);
        option("--input", self.input()?.as_os_str());
        option("--output", out.as_os_str());
        option("--work-dir", work.as_os_str());
        for param in self.params()? {
            option("--param", param.as_ref());
        }
        for (name, path) in self.sides()? {
            let mut side = name;
            side.push("=");
            side.push(path);
            option("--side", &side);
        }
        match Cli::try_parse_from(words)?.command {
            Command::Submit(mut submit) => {
                submit.job.cache = args.cache.clone();
                Ok(*submit)
            }
            _ => Err(UsageError("a test is a job that can be submitted".to_owned()).into()),
        }
    }

    fn input(&self) -> Result<PathBuf, UsageError> {
        let candidates = ["input.txt", "input"].map(|name| self.dir.join(name));
        candidates.into_iter().find(|path| path.exists()).ok_or_else(|| {
            UsageError(format!("{}: neither input.txt nor a folder input is here", self.dir.display()))
        })
    }

    /// The files in the folder `sides`, with their names.
    fn sides(&self) -> Result<Vec<(OsString, PathBuf)>> {
        let dir = self.dir.join("sides");
        if !dir.exists() {
            return Ok(Vec::new());
        }
        let named =
            |entry: std::io::Result<fs::DirEntry>| entry.map(|entry| (entry.file_name(), entry.path()));
        let listed = fs::read_dir(&dir).and_then(|entries| entries.map(named).collect());
        let mut sides: Vec<_> = listed.with_context(|| dir.display().to_string())?;
        sides.sort();
        Ok(sides)
    }

    /// What `params.toml` sets, as NAME=VALUE.
    fn params(&self) -> Result<Vec<String>> {
        let path = self.dir.join("params.toml");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let wrong = |reason: String| UsageError(format!("{}: {reason}", path.display()));
        let table: toml::Table =
            toml::from_str(&text).map_err(|error| wrong(mr_workshop::project::toml_reason(&text, &error)))?;
        let param = |(name, value): (&String, &toml::Value)| {
            let text = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => {
                    value.to_string()
                }
                _ => return Err(wrong(format!("{name} is not a text, a number, true or false")).into()),
            };
            Ok(format!("{name}={text}"))
        };
        table.iter().map(param).collect()
    }
}

impl Difference {
    /// The first difference, if there is one.
    fn find(got: &[u8], expected: &[u8]) -> Option<Self> {
        if got == expected {
            return None;
        }
        let (mut got, mut expected) = (got.split_inclusive(is_newline), expected.split_inclusive(is_newline));
        let mut line = 0;
        loop {
            line += 1;
            let (got, expected) = (got.next(), expected.next());
            if got != expected {
                return Some(Self { line, got: got.map(shown), expected: expected.map(shown) });
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |line: &Option<String>| line.clone().unwrap_or_else(|| "(the end)".to_owned());
        write!(f, "line {}\n  expected {}\n  got      {}", self.line, side(&self.expected), side(&self.got))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "a predicate over a slice")]
fn is_newline(byte: &u8) -> bool {
    *byte == b'\n'
}

/// A line in quotes, cut.
fn shown(line: &[u8]) -> String {
    let cut = &line[..line.len().min(LINE_SHOWN)];
    let more = if cut.len() < line.len() { "..." } else { "" };
    // Text is to be read; only what would not show is escaped.
    format!("{:?}{more}", String::from_utf8_lossy(cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown() {
        let found = |got: &str, expected: &str| {
            Difference::find(got.as_bytes(), expected.as_bytes()).map(|found| found.to_string())
        };
        assert_eq!(found("a\t1\n", "a\t1\n"), None);
        let said = found("a\t1\nb\t2\n", "a\t1\nb\t3\n").unwrap();
        assert_eq!(said, "line 2\n  expected \"b\\t3\\n\"\n  got      \"b\\t2\\n\"");
        assert!(found("a\n", "a\nb\n").unwrap().ends_with("expected \"b\\n\"\n  got      (the end)"));
        assert!(found("a\n", "a").unwrap().starts_with("line 1\n"), "a newline too many");
    }

    #[test]
    fn files_in_the_folder_sides_go_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let case = Case::new(dir.path(), "c".to_owned());
        assert!(case.sides().unwrap().is_empty());
        let folder = dir.path().join("c/sides");
        fs::create_dir_all(&folder).unwrap();
        for name in ["v", "table.tsv"] {
            fs::write(folder.join(name), name).unwrap();
        }
        let expected = ["table.tsv", "v"].map(|name| (name.into(), folder.join(name)));
        assert_eq!(case.sides().unwrap(), expected);
    }

    #[test]
    fn params_are_text_numbers_and_flags() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("c")).unwrap();
        let case = Case::new(dir.path(), "c".to_owned());
        let params = |text: &str| {
            fs::write(dir.path().join("c/params.toml"), text).unwrap();
            case.params().map_err(|error| error.to_string())
        };
        let read = params("a = \"x y\"\nb = 3\nc = true\nd = 1.5\n").unwrap();
        assert_eq!(read, ["a=x y", "b=3", "c=true", "d=1.5"]);
        assert!(params("a = [1]\n").unwrap_err().ends_with("a is not a text, a number, true or false"));
        assert!(params("a = \n").unwrap_err().contains("params.toml: line 1: "));
    }
}
