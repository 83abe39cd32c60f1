//! Names of the files of an output: what a task's files are called once they are committed, and what they are
//! called while they are an attempt's. Names are made here and compared; nobody's word for one is taken.
//!
//! A file of the main output is `part-r-00007`: the stage's letter and the number of the task. Those of a job
//! with a target size count up behind it, `part-r-00007-0000`, all of them, so that names sort as records do. Format
//! and compression end the name (`part-r-00007.csv.gz`). Files of a named output are called the same, in
//! a folder of its name (`errors/part-r-00007`).

use mr_model::limit::TASK_FILES_MAX;
use mr_model::output::check_output_name;
use mr_model::{AttemptId, OutputSpec, Stage, TaskId};

use crate::part::Part;

/// Names of files of attempts begin like this; the underscore hides them from jobs that read the
/// folder.
pub(crate) const ATTEMPT_PREFIX: &str = "_attempt-";
/// Endings of a name: of its format and of its compression.
const ENDINGS_MAX: usize = 2;

/// Names of the files of one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartNames {
    ports: Vec<String>,
    /// A task may write several files of an output.
    numbered: bool,
    ending: String,
}

impl PartNames {
    /// Of what a job writes.
    pub fn of(spec: &OutputSpec) -> Self {
        Self {
            ports: spec.ports.iter().map(|port| port.name.clone()).collect(),
            numbered: spec.part_bytes_max.is_some(),
            ending: spec.ending(),
        }
    }

    /// Number of outputs, with the main one.
    pub fn outputs(&self) -> usize {
        self.ports.len() + 1
    }

    /// Name of the file `number` that a task writes to the output `port`; none where there can be no such one.
    pub fn name(&self, task: TaskId, port: u32, number: u32) -> Option<String> {
        let folder = match (port as usize).checked_sub(1) {
            None => String::new(),
            Some(named) => format!("{}/", self.ports.get(named)?),
        };
        let stem = part_stem(task);
        match self.numbered {
            true => Some(format!("{folder}{stem}-{number:04}{}", self.ending)),
            false if number == 0 => Some(format!("{folder}{stem}{}", self.ending)),
            false => None,
        }
    }

    /// The names of what a task wrote to these outputs, in the order in which the files were begun; none if no
    /// task can have: the first is the main one's, and there are not too many.
    pub(crate) fn all(&self, task: TaskId, ports: impl Iterator<Item = u32>) -> Option<Vec<String>> {
        let mut numbers = vec![0_u32; self.outputs()];
        let mut names = Vec::new();
        for port in ports {
            if names.len() >= TASK_FILES_MAX as usize || (names.is_empty() && port != 0) {
                return None;
            }
            let number = numbers.get_mut(port as usize)?;
            names.push(self.name(task, port, *number)?);
            *number += 1;
        }
        (!names.is_empty()).then_some(names)
    }

    /// Whether these are the parts of a task, in the order in which they were begun.
    pub fn are_of(&self, task: TaskId, parts: &[Part]) -> bool {
        let ports: Option<Vec<u32>> = parts.iter().map(|part| self.port_of(&part.name)).collect();
        let names = ports.and_then(|ports| self.all(task, ports.into_iter()));
        names.is_some_and(|names| names.iter().eq(parts.iter().map(|part| &part.name)))
    }

    /// The output that a file is of by its name; none where there is no such output.
    pub fn port_of(&self, name: &str) -> Option<u32> {
        let Some((folder, _)) = name.split_once('/') else { return Some(0) };
        let named = self.ports.iter().position(|port| port == folder)?;
        u32::try_from(named + 1).ok()
    }
}

/// Name of the first file of an attempt; those of its other files, and of whatever else is its own, begin
/// with it.
pub(crate) fn attempt_file(AttemptId { task, attempt }: AttemptId) -> String {
    format!("{ATTEMPT_PREFIX}{}-{:05}-{attempt}", stage_letter(task.stage), task.index)
}

/// Name of the file of an attempt that was begun as number `place`, from 0.
pub(crate) fn attempt_file_at(attempt: AttemptId, place: usize) -> String {
    let first = attempt_file(attempt);
    if place == 0 { first } else { format!("{first}.{place}") }
}

/// The task that wrote a file of this name, and the folder that it is in; none where a part of no output can
/// be called so.
pub(crate) fn parse(name: &str) -> Option<(Option<&str>, TaskId)> {
    let (folder, file) = match name.split_once('/') {
        Some((folder, file)) => (Some(folder), file),
        None => (None, name),
    };
    if folder.is_some_and(|folder| check_output_name(folder).is_err()) {
        return None;
    }
    let (stem, endings) = file.split_once('.').map_or((file, None), |(stem, rest)| (stem, Some(rest)));
    if !endings.is_none_or(are_endings) {
        return None;
    }
    let task = parse_stem(stem)?;
    Some((folder, task))
}

/// The task of `part-r-00007` or `part-r-00007-0001`.
fn parse_stem(stem: &str) -> Option<TaskId> {
    let numbers = stem.strip_prefix("part-")?;
    let stage =
        [Stage::Map, Stage::Reduce].into_iter().find(|stage| numbers.starts_with(stage_letter(*stage)))?;
    let mut numbers = numbers[1..].strip_prefix('-')?.split('-');
    let task = TaskId { stage, index: numbers.next()?.parse().ok()? };
    let number: Option<u32> = numbers.next().map(str::parse).transpose().ok()?;
    let named = number.map_or_else(|| part_stem(task), |number| format!("{}-{number:04}", part_stem(task)));
    (named == stem && numbers.next().is_none()).then_some(task)
}

fn are_endings(endings: &str) -> bool {
    let is_one = |ending: &str| {
        (1..=16).contains(&ending.len())
            && ending.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    endings.split('.').count() <= ENDINGS_MAX && endings.split('.').all(is_one)
}

fn part_stem(TaskId { stage, index }: TaskId) -> String {
    format!("part-{}-{index:05}", stage_letter(stage))
}

fn stage_letter(stage: Stage) -> char {
    match stage {
        Stage::Map => 'm',
        Stage::Reduce => 'r',
    }
}

#[cfg(test)]
mod tests {
    use mr_model::{Compression, OutputFormat, Port, StageTypes};

    use super::*;

    fn names(format: &str, part_bytes_max: Option<u64>) -> PartNames {
        let port = |name: &str| Port { name: name.into(), names: None, types: StageTypes::default() };
        PartNames::of(&OutputSpec {
            compression: Compression::Gzip,
            part_bytes_max,
            ports: vec![port("errors"), port("stats")],
            ..OutputSpec::of(format.parse::<OutputFormat>().unwrap())
        })
    }

    fn part(name: &str) -> Part {
        Part { name: name.into(), rows: 0, bytes: 0, blake3: String::new() }
    }

    #[test]
    fn names_sort_as_records_do() {
        let task = TaskId::reduce(7);
        let numbered = names("csv", Some(1));
        let all: Vec<_> = (0..12).map(|number| numbered.name(task, 0, number).unwrap()).collect();
        assert_eq!(all[11], "part-r-00007-0011.csv.gz");
        assert!(all.is_sorted());
        assert_eq!(numbered.name(task, 2, 0).unwrap(), "stats/part-r-00007-0000.csv.gz");
        let single = names("text", None);
        assert_eq!(single.name(TaskId::map(100_000), 0, 0).unwrap(), "part-m-100000.gz");
        assert_eq!((single.name(task, 0, 1), single.name(task, 3, 0)), (None, None));
    }

    #[test]
    fn parts_are_a_tasks_or_nobodys() {
        let task = TaskId::map(3);
        let are = |names: &PartNames, all: &[&str]| {
            names.are_of(task, &all.iter().copied().map(part).collect::<Vec<_>>())
        };
        let single = names("raw", None);
        assert!(are(&single, &["part-m-00003.gz"]));
        assert!(are(&single, &["part-m-00003.gz", "stats/part-m-00003.gz", "errors/part-m-00003.gz"]));
        let first = "part-m-00003.gz";
        for bad in [
            [].as_slice(),
            &["errors/part-m-00003.gz"],
            &["part-m-00003"],
            &["part-m-00004.gz"],
            &["part-m-00003-0000.gz"],
            &[first, first],
            &[first, "other/part-m-00003.gz"],
            &[first, "errors/../part-m-00003.gz"],
            &[first, "/part-m-00003.gz"],
        ] {
            assert!(!are(&single, bad), "{bad:?}");
        }
        let numbered = names("raw", Some(1));
        let [zero, one, two] = [0, 1, 2].map(|number| format!("part-m-00003-000{number}.gz"));
        let error = "errors/part-m-00003-0000.gz";
        assert!(are(&numbered, &[&zero, error, &one, &two]));
        assert!(!are(&numbered, &[&zero, &two]) && !are(&numbered, &[&zero, &zero]));
        assert!(!are(&numbered, &[first]));
    }

    #[test]
    fn only_names_of_parts_are_taken_apart() {
        assert_eq!(parse("part-r-00007"), Some((None, TaskId::reduce(7))));
        assert_eq!(parse("part-m-100000-0001.csv.gz"), Some((None, TaskId::map(100_000))));
        assert_eq!(parse("errors/part-r-00007.kv"), Some((Some("errors"), TaskId::reduce(7))));
        for bad in [
            "",
            "part-r-7",
            "part-r-00007-1",
            "part-r-00007-0001-0001",
            "part-x-00007",
            "part-r-00007.",
            "part-r-00007.csv.gz.x",
            "part-r-00007.CSV",
            "part-r-+0007",
            "../part-r-00007",
            "a/b/part-r-00007",
            "main/part-r-00007",
            "_manifest.json",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
