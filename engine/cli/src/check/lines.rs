//! What was found, one line for each thing that was looked at; the exit code follows from the gravest.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use mr_runtime::PlanError;
use mr_sandbox::survey::{Finding, Gravity};
use serde_json::{Value, json};

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    about: &'static str,
    gravity: Gravity,
    sentence: String,
}

/// Everything that was found.
#[derive(Default)]
pub struct Report {
    plugins: Vec<(PathBuf, Option<String>, Vec<Line>)>,
    /// About what the plugins make together.
    pub job: Vec<Line>,
}

/// Some of what was checked would be refused.
#[derive(Debug)]
pub struct Found(usize);

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            1 => f.write_str("1 check is refused, and so would a job be"),
            count => write!(f, "{count} checks are refused, and so would a job be"),
        }
    }
}

impl std::error::Error for Found {}

impl Line {
    /// Something that is as it has to be.
    pub fn fine(about: &'static str, sentence: String) -> Self {
        Self { about, gravity: Gravity::Fine, sentence }
    }

    /// Something that would have a job refused.
    pub fn refused(about: &'static str, sentence: String) -> Self {
        Self { about, gravity: Gravity::Refused, sentence }
    }

    /// What was found in a component's bytes.
    pub fn of_finding(finding: &Finding) -> Self {
        let Finding { aspect, gravity, sentence } = finding;
        Self { about: aspect.name(), gravity: *gravity, sentence: sentence.clone() }
    }

    /// What does not fit in a plan.
    pub fn of_plan(error: &PlanError) -> Self {
        let about = match error {
            PlanError::Input(_) | PlanError::Split(_) => "input",
            PlanError::Side(_) => "side",
            PlanError::Memory(_) => "memory",
            PlanError::Types { .. } | PlanError::Inputs { .. } | PlanError::Group { .. } => "types",
            PlanError::Param { .. } | PlanError::ParamCount { .. } => "param",
            PlanError::Options(_) => "options",
        };
        Self::refused(about, error.to_string())
    }

    fn verdict(&self) -> &'static str {
        match self.gravity {
            Gravity::Fine => "ok",
            Gravity::Warning => "warning",
            Gravity::Refused => "refused",
        }
    }

    fn text(&self) -> String {
        format!("  {:8} {:10} {}\n", self.verdict(), self.about, self.sentence)
    }

    fn json(&self) -> Value {
        json!({ "verdict": self.verdict(), "about": self.about, "sentence": self.sentence })
    }
}

impl Report {
    /// Adds what was found of a plugin.
    pub fn plugin(&mut self, path: &Path, hash: Option<String>, lines: Vec<Line>) {
        self.plugins.push((path.to_owned(), hash, lines));
    }

    /// Prints everything.
    ///
    /// # Errors
    /// [`Found`] where anything would be refused.
    pub fn print(&self, as_json: bool) -> Result<()> {
        let lines = self.plugins.iter().flat_map(|(_, _, lines)| lines).chain(&self.job);
        let refused = lines.filter(|line| line.gravity == Gravity::Refused).count();
        let text = if as_json { format!("{:#}\n", self.json(refused)) } else { self.text() };
        std::io::stdout().write_all(text.as_bytes())?;
        if refused > 0 { Err(Found(refused).into()) } else { Ok(()) }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (path, _, lines) in &self.plugins {
            text.push_str(&format!("plugin {}\n", path.display()));
            text.extend(lines.iter().map(Line::text));
        }
        if !self.job.is_empty() {
            text.push_str("job\n");
            text.extend(self.job.iter().map(Line::text));
        }
        text
    }

    fn json(&self, refused: usize) -> Value {
        let all = |lines: &[Line]| lines.iter().map(Line::json).collect::<Vec<_>>();
        let plugins = self.plugins.iter();
        let plugins: Vec<Value> = plugins
            .map(|(path, hash, lines)| json!({ "path": path, "blake3": hash, "findings": all(lines) }))
            .collect();
        json!({ "plugins": plugins, "job": all(&self.job), "refused": refused })
    }
}
