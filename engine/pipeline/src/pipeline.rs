//! What somebody wants of a pipeline, as a file says it or a program builds it: stages, loops, what they
//! read. Nothing in here is checked; that is [`crate::graph`]'s.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::until::Until;

/// Jobs that read each other's output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pipeline {
    pub(crate) name: String,
    /// The file that it was read from, if any.
    pub(crate) file: Option<PathBuf>,
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) loops: Vec<Loop>,
}

/// One job of a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// The component that has its roles.
    pub plugin: Option<String>,
    /// Components of single roles, by the option of `submit` that names them: `map`, `combine`, `reduce`,
    /// `partitioner`.
    pub roles: BTreeMap<String, String>,
    /// What it reads, in order.
    pub inputs: Vec<Input>,
    /// Files beside the records, by name.
    pub sides: BTreeMap<String, Source>,
    /// Folder of its result; none for output that only other stages read.
    pub output: Option<String>,
    /// Parameters for its plugins.
    pub params: BTreeMap<String, String>,
    /// Options of the job, by the name that they have on the command line.
    pub options: BTreeMap<String, StageOption>,
    /// Stages and loops that have to be done before.
    pub after: Vec<String>,
    /// Line in the file; 0 where there is no file.
    pub line: usize,
}

/// An option of a stage, as the command line would have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageOption {
    /// Its values; none for one that is only there or not.
    pub values: Vec<String>,
    /// Line in the file; 0 where there is no file.
    pub line: usize,
}

/// Something that a stage reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Where it comes from.
    pub source: Source,
    /// What else is said of it: `name`, `format` and other words of an input.
    pub settings: BTreeMap<String, String>,
    /// Line in the file; 0 where there is no file.
    pub line: usize,
}

/// Where records come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, a folder or a glob.
    Path(String),
    /// The output of the stage of this name.
    Stage(String),
    /// What the loop of this name has: its start in the first round, then what its last stage made in the
    /// round before; for whoever is outside, what it made in its last round.
    Loop(String),
}

/// Stages that are repeated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loop {
    /// Its name.
    pub name: String,
    /// What `loop:NAME` is in the first round.
    pub start: Vec<Input>,
    /// Its stages; the output of the last one goes into the next round.
    pub stages: Vec<Stage>,
    /// When it ends.
    pub until: Option<Until>,
    /// It ends when a round made the very output of the one before.
    pub until_unchanged: bool,
    /// Most rounds.
    pub iterations_max: u32,
    /// Line in the file; 0 where there is no file.
    pub line: usize,
}

impl Pipeline {
    /// A pipeline without stages.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Adds a stage.
    #[must_use]
    pub fn stage(mut self, stage: Stage) -> Self {
        self.stages.push(stage);
        self
    }

    /// Adds a loop.
    #[must_use]
    pub fn repeat(mut self, repeated: Loop) -> Self {
        self.loops.push(repeated);
        self
    }

    /// Sets a parameter, which stands for `{name}` wherever a stage says that.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Puts files in the place of every input and start that is `word`.
    #[must_use]
    pub fn with_files(mut self, word: &str, files: &[String]) -> Self {
        let word = Source::Path(word.to_owned());
        let stages = self.stages.iter_mut().chain(self.loops.iter_mut().flat_map(|all| &mut all.stages));
        stages.for_each(|stage| put_files(&mut stage.inputs, &word, files));
        self.loops.iter_mut().for_each(|all| put_files(&mut all.start, &word, files));
        self
    }

    /// Whether anything reads the path `word`.
    pub fn reads(&self, word: &str) -> bool {
        let word = Source::Path(word.to_owned());
        let stages = self.stages.iter().chain(self.loops.iter().flat_map(|all| &all.stages));
        let starts = self.loops.iter().flat_map(|all| &all.start);
        stages.flat_map(|stage| &stage.inputs).chain(starts).any(|input| input.source == word)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names of the parameters that it has.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.params.keys().map(String::as_str)
    }
}

impl Stage {
    /// A stage that does nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Takes its roles from the component in a file.
    #[must_use]
    pub fn plugin(mut self, path: impl Into<String>) -> Self {
        self.plugin = Some(path.into());
        self
    }

    /// Takes one role from another component: `map`, `combine`, `reduce` or `partitioner`.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>, path: impl Into<String>) -> Self {
        self.roles.insert(role.into(), path.into());
        self
    }

    /// Reads a path, `stage:NAME` or `loop:NAME`.
    #[must_use]
    pub fn input(mut self, input: impl Into<Input>) -> Self {
        self.inputs.push(input.into());
        self
    }

    /// Gives the plugins a file beside the records.
    #[must_use]
    pub fn side(mut self, name: impl Into<String>, source: &str) -> Self {
        self.sides.insert(name.into(), Source::parse(source));
        self
    }

    /// Makes a result in this folder.
    #[must_use]
    pub fn output(mut self, path: impl Into<String>) -> Self {
        self.output = Some(path.into());
        self
    }

    /// Gives the plugins a parameter.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Sets an option of `submit`, named without dashes in front; an empty value for one that takes none.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let option = self.options.entry(name.into()).or_default();
        let value = value.into();
        if !value.is_empty() {
            option.values.push(value);
        }
        self
    }

    /// Waits for a stage or a loop that it reads nothing of.
    #[must_use]
    pub fn after(mut self, name: impl Into<String>) -> Self {
        self.after.push(name.into());
        self
    }
}

impl Loop {
    /// A loop of at most so many rounds.
    pub fn new(name: impl Into<String>, iterations_max: u32) -> Self {
        Self { name: name.into(), iterations_max, ..Self::default() }
    }

    /// What the first round begins with.
    #[must_use]
    pub fn start(mut self, input: impl Into<Input>) -> Self {
        self.start.push(input.into());
        self
    }

    /// Adds a stage.
    #[must_use]
    pub fn stage(mut self, stage: Stage) -> Self {
        self.stages.push(stage);
        self
    }

    /// Ends the loop when a counter is such.
    #[must_use]
    pub fn until(mut self, until: Until) -> Self {
        self.until = Some(until);
        self
    }

    /// Ends the loop when a round changed nothing.
    #[must_use]
    pub fn until_unchanged(mut self) -> Self {
        self.until_unchanged = true;
        self
    }
}

fn put_files(inputs: &mut Vec<Input>, word: &Source, files: &[String]) {
    let put = |input: Input| {
        if input.source != *word {
            return vec![input];
        }
        let file = |path: &String| Input { source: Source::Path(path.clone()), ..input.clone() };
        files.iter().map(file).collect()
    };
    *inputs = std::mem::take(inputs).into_iter().flat_map(put).collect();
}

impl Source {
    /// What a text in a pipeline names.
    pub fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some(("stage", name)) => Source::Stage(name.to_owned()),
            Some(("loop", name)) => Source::Loop(name.to_owned()),
            _ => Source::Path(text.to_owned()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Path(path) => f.write_str(path),
            Source::Stage(name) => write!(f, "stage:{name}"),
            Source::Loop(name) => write!(f, "loop:{name}"),
        }
    }
}

impl From<Source> for Input {
    fn from(source: Source) -> Self {
        Self { source, settings: BTreeMap::new(), line: 0 }
    }
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        Source::parse(text).into()
    }
}

impl From<String> for Input {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}
