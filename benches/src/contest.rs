//! Contestants that do the same work, run in turn: A B C, A B C, ... so that whatever else the
//! machine does meets all of them. Every run's output is compared with the first one's.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::child::{Invocation, Sample};
use crate::digest::{Digest, Form, digest};
use crate::report::{Row, Spread};

/// One way to do the work.
#[derive(Debug)]
pub struct Contestant {
    /// Name in the report.
    pub name: String,
    /// The command.
    pub invocation: Invocation,
    /// File or folder that it leaves.
    pub output: PathBuf,
    /// How the output is looked at.
    pub form: Form,
    /// Most runs that are worth their time.
    pub runs_max: usize,
    /// Exit codes that are no failure besides 0.
    pub accepted: &'static [i32],
}

impl Contestant {
    /// A contestant that runs as often as the others.
    pub fn new(name: impl Into<String>, invocation: Invocation, output: PathBuf, form: Form) -> Self {
        Self { name: name.into(), invocation, output, form, runs_max: usize::MAX, accepted: &[] }
    }

    /// With fewer runs.
    pub fn runs_max(mut self, runs: usize) -> Self {
        self.runs_max = runs;
        self
    }
}

/// Samples of each contestant, in the order of the contestants and of the rounds.
#[derive(Debug)]
pub struct Outcome {
    names: Vec<String>,
    samples: Vec<Vec<Sample>>,
    /// What all outputs were.
    pub digest: Digest,
}

/// Runs all contestants `runs` times.
pub fn contest(contestants: &[Contestant], runs: usize) -> Result<Outcome> {
    let mut samples = vec![Vec::new(); contestants.len()];
    let mut expected = None;
    for round in 0..runs {
        for (contestant, samples) in contestants.iter().zip(&mut samples) {
            if round < contestant.runs_max {
                samples.push(run(contestant, &mut expected)?);
            }
        }
    }
    Ok(Outcome {
        names: contestants.iter().map(|contestant| contestant.name.clone()).collect(),
        samples,
        digest: expected.unwrap_or_default(),
    })
}

fn run(contestant: &Contestant, expected: &mut Option<Digest>) -> Result<Sample> {
    let name = &contestant.name;
    remove(contestant)?;
    let sample = contestant.invocation.run(contestant.accepted).with_context(|| name.clone())?;
    let found = digest(&contestant.output, contestant.form)
        .with_context(|| format!("WRONG: the output of {name} is unreadable"))?;
    match expected {
        Some(expected) if *expected != found => {
            bail!("WRONG: the output of {name} is {found:?} where {expected:?} is right")
        }
        Some(_) => {}
        None => *expected = Some(found),
    }
    // At once, so that it is not written to disk while the next one runs.
    remove(contestant)?;
    Ok(sample)
}

fn remove(contestant: &Contestant) -> Result<()> {
    let path = &contestant.output;
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

impl Outcome {
    /// A line of the report for each contestant.
    pub fn rows(&self) -> Vec<Row> {
        let rows = self.names.iter().zip(&self.samples);
        rows.map(|(name, samples)| Row::of_samples(name, samples)).collect()
    }

    /// Wall time of contestant `a` over that of `b`, round by round.
    pub fn ratio(&self, a: usize, b: usize) -> Spread {
        let pairs = self.samples[a].iter().zip(&self.samples[b]);
        pairs.map(|(a, b)| a.wall.as_secs_f64() / b.wall.as_secs_f64()).collect()
    }

    /// Samples of a contestant.
    pub fn samples(&self, contestant: usize) -> &[Sample] {
        &self.samples[contestant]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contestant(dir: &std::path::Path, name: &str, script: &str) -> Contestant {
        let out = dir.join(name);
        let invocation = Invocation::new(["sh", "-c", script]).stdout(&out);
        Contestant::new(name, invocation, out, Form::Bytes)
    }

    #[test]
    fn contestants_agree_or_the_wrong_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let a = contestant(dir.path(), "a", "echo same");
        let b = contestant(dir.path(), "b", "printf 'same\\n'").runs_max(1);
        let outcome = contest(&[a, b], 3).unwrap();
        assert_eq!((outcome.samples(0).len(), outcome.samples(1).len()), (3, 1));
        assert_eq!(outcome.digest.rows, 1);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "outputs are removed");

        let a = contestant(dir.path(), "a", "echo same");
        let b = contestant(dir.path(), "b", "echo other");
        let error = contest(&[a, b], 1).unwrap_err().to_string();
        assert!(error.starts_with("WRONG: the output of b"), "{error}");
    }
}
