//! One run of one stage, with every name replaced by what it stands for: what a runner is given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mr_model::Counters;

use crate::graph::{Graph, ITERATIONS_MAX};
use crate::names::{self, ITERATION, Names};
use crate::pipeline::{Input, Source, Stage};
use crate::place::placed;

/// Format of output that only other stages read, and how it is read again: its types and its records as
/// they are.
pub const INTERMEDIATE: &str = "kv";
/// Format of a result that nothing else is said of, as `submit` writes it.
pub(crate) const RESULT: &str = "text";
/// Option of `submit` that says how lines and the like become records.
const INPUT_FORMAT: &str = "input-format";
/// Option of `submit` that says how records become output.
const OUTPUT_FORMAT: &str = "output-format";

/// A stage, ready to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Name of the pipeline.
    pub pipeline: String,
    /// The folder that paths are meant from; empty for the current one.
    pub folder: PathBuf,
    /// The stage, without any `{name}`. Inputs and sides are in `inputs` and `sides`.
    pub stage: Stage,
    /// The round, from 1; 0 outside of loops.
    pub iteration: u32,
    /// What it reads, in order.
    pub inputs: Vec<CallInput>,
    /// Files beside the records, by name.
    pub sides: Vec<(String, Origin)>,
    /// Folder that its output goes to.
    pub output: PathBuf,
    /// Whether a former output there is its own to replace.
    pub overwrite: bool,
}

/// An input of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallInput {
    /// Where it is.
    pub origin: Origin,
    /// What else is said of it.
    pub settings: BTreeMap<String, String>,
}

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A path or pattern as it was written, meant from the pipeline's folder.
    Path(String),
    /// Output of a stage of the pipeline.
    Made {
        /// Its folder.
        folder: PathBuf,
        /// Stands for all of its bytes.
        digest: String,
    },
}

/// A source with what the flow says that it is.
pub(crate) type Resolved = Vec<(PathBuf, String, String)>;

impl Call {
    /// A stage in a round. `made` tells folder, digest and format of each output that the inputs, then
    /// the sides, name, and `counters` what was counted while these were made; the output is filled in later.
    pub(crate) fn new(
        graph: &Graph,
        stage: usize,
        iteration: u32,
        made: &[Resolved],
        counters: &Counters,
    ) -> Self {
        let node = &graph.stages()[stage];
        let mut values = BTreeMap::new();
        if iteration > 0 {
            values.insert(ITERATION.to_owned(), iteration.to_string());
        }
        let names = Names { values: &values, counters: Some(counters) };
        let stage = names::replace_in_stage(&node.stage, names);
        let reads_text = !stage.options.contains_key(INPUT_FORMAT);
        let mut inputs = Vec::new();
        let starts = node.in_loop.map(|number| &graph.loops()[number]).filter(|_| iteration == 1);
        for (input, made) in stage.inputs.iter().zip(made) {
            let start = starts.filter(|round| input.source == Source::Loop(round.name.clone()));
            match start {
                Some(round) => inputs.extend(starting(input, &round.start, made, names, reads_text)),
                None => inputs.extend(call_inputs(input, made, reads_text)),
            }
        }
        let sides = stage.sides.iter().zip(made.iter().skip(stage.inputs.len()));
        let mut side_origins = Vec::new();
        for ((name, source), made) in sides {
            let start = starts.filter(|round| *source == Source::Loop(round.name.clone()));
            let outside = start.and_then(|round| round.start.first()).map_or(source, |input| &input.source);
            let origin = match (made.first(), outside) {
                (Some((folder, digest, _)), _) => {
                    Origin::Made { folder: folder.clone(), digest: digest.clone() }
                }
                (None, source) => Origin::Path(source.to_string()),
            };
            side_origins.push((name.clone(), origin));
        }
        Self {
            pipeline: graph.name().to_owned(),
            folder: graph.folder().to_owned(),
            stage,
            iteration,
            inputs,
            sides: side_origins,
            output: PathBuf::new(),
            overwrite: false,
        }
    }

    /// Format of its output, where the stage or the pipeline says so; results are what `submit` makes.
    pub fn output_format(&self) -> Option<&str> {
        let asked = self.stage.options.get(OUTPUT_FORMAT).and_then(|option| option.values.last());
        asked.map(String::as_str).or(self.stage.output.is_none().then_some(INTERMEDIATE))
    }

    /// What the stage is called in words for people.
    pub fn title(&self) -> String {
        match self.iteration {
            0 => format!("stage {}", self.stage.name),
            round => format!("stage {} (iteration {round})", self.stage.name),
        }
    }

    /// A path of the pipeline from where the process is.
    pub fn path(&self, path: &str) -> PathBuf {
        placed(&self.folder, path)
    }

    /// Its name among files: of digits, letters and `-`.
    pub(crate) fn file_name(&self) -> String {
        let width = ITERATIONS_MAX.to_string().len();
        match self.iteration {
            0 => self.stage.name.clone(),
            round => format!("{}-{round:0width$}", self.stage.name),
        }
    }
}

/// The format that reads what was written in another; none where nothing does by itself, and for text where
/// the stage says how it is read.
fn reader_of(format: &str, reads_text: bool) -> Option<String> {
    match format.split([',', ':']).next() {
        Some("text") => reads_text.then(|| "lines".to_owned()),
        Some("raw") => None,
        _ => Some(format.to_owned()),
    }
}

fn call_inputs(input: &Input, made: &Resolved, reads_text: bool) -> Vec<CallInput> {
    if made.is_empty() {
        return vec![CallInput {
            origin: Origin::Path(input.source.to_string()),
            settings: input.settings.clone(),
        }];
    }
    let one = |(folder, digest, format): &(PathBuf, String, String)| {
        let mut settings = input.settings.clone();
        if let Some(format) = reader_of(format, reads_text) {
            settings.entry("format".to_owned()).or_insert(format);
        }
        CallInput { origin: Origin::Made { folder: folder.clone(), digest: digest.clone() }, settings }
    };
    made.iter().map(one).collect()
}

/// What a loop starts with, in the place of what it made.
fn starting(
    input: &Input,
    start: &[Input],
    made: &Resolved,
    names: Names<'_>,
    reads_text: bool,
) -> Vec<CallInput> {
    let mut made = made.iter();
    let mut inputs = Vec::new();
    for begin in start {
        let begin = names::replace_in_input(begin, names);
        let resolved: Resolved = match begin.source {
            Source::Path(_) => Vec::new(),
            _ => made.next().cloned().into_iter().collect(),
        };
        let mut settings = begin.settings.clone();
        settings.extend(input.settings.clone());
        let begin = Input { settings, ..begin };
        inputs.extend(call_inputs(&begin, &resolved, reads_text));
    }
    inputs
}

/// The folder of output that nobody asked to keep.
pub(crate) fn data_folder(work: &Path, call: &Call, key: &str) -> PathBuf {
    work.join("data").join(format!("{}-{}", call.file_name(), &key[..key.len().min(16)]))
}
