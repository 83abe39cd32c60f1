//! The pipeline file, in TOML. What it says is taken as it is, with its lines; whether the stages fit
//! together is [`crate::graph`]'s to say, and whether options exist that of whoever runs them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use mr_model::Condition;
use mr_model::counter::ENGINE_GROUP;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::fault::PipelineFault;
use crate::pipeline::{Input, Loop, Pipeline, Source, Stage, StageOption};

/// Largest pipeline file, in bytes: thousands of stages.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Keys that take a role from a component, as the options of `submit` of the same name do.
const ROLES: [&str; 4] = ["map", "combine", "reduce", "partitioner"];
/// Options of `submit` that a stage does not have: what they set is of the pipeline or of its run.
const NOT_OF_STAGES: [(&str, &str); 9] = [
    ("input", "say inputs = [...]"),
    ("param", "say params = { NAME = \"VALUE\" }"),
    ("side", "say sides = { NAME = \"PATH\" }"),
    ("job-id", "stages are named by the pipeline"),
    ("work-dir", "give --work-dir to `run`"),
    ("cache-dir", "give --cache-dir to `run`"),
    ("no-cache", "give --no-cache to `run`"),
    ("policy", "give --policy to `run`"),
    ("help", "it is no option of a job"),
];

impl Pipeline {
    /// Reads a pipeline file. Its name is that of the file where it says none.
    ///
    /// # Errors
    /// A file that cannot be read, is too large, is no TOML, or has other keys than those of a pipeline.
    pub fn read(path: &Path) -> Result<Self, PipelineFault> {
        let fault = |reason: String| PipelineFault::at(Some(path), 0, reason);
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
        read.map_err(|error| fault(error.to_string()))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(fault(format!("it is larger than {FILE_BYTES_MAX} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| fault("it is not UTF-8".to_owned()))?;
        Self::parse(&text, path)
    }

    /// Takes the text of a pipeline file. `path` is what it is called.
    ///
    /// # Errors
    /// As [`Pipeline::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, PipelineFault> {
        let reader = Reader { text, path };
        let parsed = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(0, |span| reader.line(span.start));
            PipelineFault::at(Some(path), line, error.message().replace('\n', "; "))
        })?;
        let mut table = reader.table(parsed.get_ref(), "the file", 1);
        let mut pipeline =
            Pipeline { file: Some(path.to_owned()), name: name_of_file(path), ..Pipeline::default() };
        if let Some(head) = table.take("pipeline") {
            let mut head = reader.as_table(head, "[pipeline]")?;
            if let Some(name) = head.take("name") {
                pipeline.name = reader.text(name, "name")?;
            }
            pipeline.params = head.take_texts("params")?;
            head.finish()?;
        }
        for stage in table.take_tables("stage")? {
            pipeline.stages.push(reader.stage(stage)?);
        }
        for repeated in table.take_tables("loop")? {
            pipeline.loops.push(reader.repeated(repeated)?);
        }
        table.finish()?;
        Ok(pipeline)
    }
}

/// The name of a file, as far as a name may be so.
fn name_of_file(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    stem.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
}

type Value<'a> = Spanned<DeValue<'a>>;

/// A file that is being read.
#[derive(Clone, Copy)]
struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
}

/// A table whose keys are taken out one by one.
struct Table<'a> {
    reader: Reader<'a>,
    what: String,
    line: usize,
    entries: BTreeMap<&'a str, (usize, &'a Value<'a>)>,
}

impl<'a> Reader<'a> {
    fn line(&self, start: usize) -> usize {
        self.text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1
    }

    fn fault(&self, value: &Value<'_>, reason: impl Into<String>) -> PipelineFault {
        PipelineFault::at(Some(self.path), self.line(value.span().start), reason)
    }

    fn table(self, table: &'a DeTable<'a>, what: impl Into<String>, line: usize) -> Table<'a> {
        let entry = |(key, value): (&'a Spanned<Cow<'a, str>>, &'a Value<'a>)| {
            (key.get_ref().as_ref(), (self.line(key.span().start), value))
        };
        Table { reader: self, what: what.into(), line, entries: table.iter().map(entry).collect() }
    }

    fn as_table(self, value: &'a Value<'a>, what: &str) -> Result<Table<'a>, PipelineFault> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(self.table(table, what, self.line(value.span().start))),
            other => Err(self.fault(value, format!("{what} is {}, not a table", kind(other)))),
        }
    }

    /// A text, or what is written like one on a command line.
    fn text(&self, value: &Value<'_>, what: &str) -> Result<String, PipelineFault> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix());
                parsed.map(|number| number.to_string()).map_err(|error| self.fault(value, error.to_string()))
            }
            DeValue::Float(number) => Ok(number.as_str().replace('_', "")),
            DeValue::Boolean(truth) => Ok(truth.to_string()),
            other => Err(self.fault(value, format!("{what} is {}, not a text or a number", kind(other)))),
        }
    }

    fn texts(&self, value: &'a Value<'a>, what: &str) -> Result<Vec<String>, PipelineFault> {
        match value.get_ref() {
            DeValue::Array(items) => items.iter().map(|item| self.text(item, what)).collect(),
            _ => Ok(vec![self.text(value, what)?]),
        }
    }

    fn inputs(self, value: &'a Value<'a>, what: &str) -> Result<Vec<Input>, PipelineFault> {
        match value.get_ref() {
            DeValue::Array(items) => items.iter().map(|item| self.input(item, what)).collect(),
            _ => Ok(vec![self.input(value, what)?]),
        }
    }

    fn input(self, value: &'a Value<'a>, what: &str) -> Result<Input, PipelineFault> {
        let line = self.line(value.span().start);
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            return Ok(Input { line, ..Input::from(self.text(value, what)?) });
        }
        let mut table = self.as_table(value, what)?;
        let Some(path) = table.take("path") else {
            return Err(self.fault(value, format!("{what}: an input without path = \"...\"")));
        };
        let source = Source::parse(&self.text(path, "path")?);
        let settings = table.take_rest()?;
        Ok(Input { source, settings, line })
    }

    fn stage(self, mut table: Table<'a>) -> Result<Stage, PipelineFault> {
        let mut stage = Stage { name: table.take_name()?, line: table.line, ..Stage::default() };
        table.what = format!("stage {}", stage.name);
        stage.plugin = table.take_text("plugin")?;
        for role in ROLES {
            if let Some(path) = table.take_text(role)? {
                stage.roles.insert(role.to_owned(), path);
            }
        }
        if let Some(inputs) = table.take("inputs") {
            stage.inputs = self.inputs(inputs, "inputs")?;
        }
        let sides = table.take_texts("sides")?.into_iter();
        stage.sides = sides.map(|(name, source)| (name, Source::parse(&source))).collect();
        stage.output = table.take_text("output")?;
        stage.params = table.take_texts("params")?;
        if let Some(after) = table.take("after") {
            stage.after = self.texts(after, "after")?;
        }
        stage.options = table.take_options()?;
        Ok(stage)
    }

    fn repeated(self, mut table: Table<'a>) -> Result<Loop, PipelineFault> {
        let mut repeated = Loop { name: table.take_name()?, line: table.line, ..Loop::default() };
        table.what = format!("loop {}", repeated.name);
        if let Some(start) = table.take("start") {
            repeated.start = self.inputs(start, "start")?;
        }
        if let Some(until) = table.take("until") {
            let parsed: Result<Condition, String> = self.text(until, "until")?.parse();
            let parsed = parsed.map_err(|reason| self.fault(until, reason))?;
            if parsed.counter().starts_with(ENGINE_GROUP) {
                let reason = format!(
                    "until asks for {}: loops know what plugins count, not the engine's own",
                    parsed.counter()
                );
                return Err(self.fault(until, reason));
            }
            repeated.until = Some(parsed);
        }
        if let Some(value) = table.take("until-unchanged") {
            let truth = value.get_ref().as_bool();
            repeated.until_unchanged =
                truth.ok_or_else(|| self.fault(value, "until-unchanged is true or false"))?;
        }
        let Some(most) = table.take("iterations-max") else {
            let reason = format!("loop {} has no iterations-max: say how many rounds are enough", table.what);
            return Err(PipelineFault::at(
                Some(self.path),
                table.line,
                reason.replacen("loop loop", "loop", 1),
            ));
        };
        let parsed = self.text(most, "iterations-max")?.parse();
        repeated.iterations_max =
            parsed.map_err(|_| self.fault(most, "iterations-max is a number of rounds, from 1"))?;
        for stage in table.take_tables("stage")? {
            repeated.stages.push(self.stage(stage)?);
        }
        table.finish()?;
        Ok(repeated)
    }
}

impl<'a> Table<'a> {
    fn take(&mut self, key: &str) -> Option<&'a Value<'a>> {
        self.entries.remove(key).map(|(_, value)| value)
    }

    fn take_text(&mut self, key: &str) -> Result<Option<String>, PipelineFault> {
        let reader = self.reader;
        self.take(key).map(|value| reader.text(value, key)).transpose()
    }

    fn take_name(&mut self) -> Result<String, PipelineFault> {
        let missing = format!("{} has no name", self.what);
        self.take_text("name")?.ok_or_else(|| PipelineFault::at(Some(self.reader.path), self.line, missing))
    }

    /// A table of texts.
    fn take_texts(&mut self, key: &str) -> Result<BTreeMap<String, String>, PipelineFault> {
        let Some(value) = self.take(key) else { return Ok(BTreeMap::new()) };
        self.reader.as_table(value, key)?.take_rest()
    }

    fn take_rest(self) -> Result<BTreeMap<String, String>, PipelineFault> {
        let reader = self.reader;
        let rest = self.entries.into_iter();
        rest.map(|(name, (_, value))| Ok((name.to_owned(), reader.text(value, name)?))).collect()
    }

    /// Several tables: `[[key]]`.
    fn take_tables(&mut self, key: &str) -> Result<Vec<Table<'a>>, PipelineFault> {
        let reader = self.reader;
        let what = format!("[[{key}]]");
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(reader.fault(value, format!("write {what}, with two brackets")));
        };
        let table = |item| {
            let mut table = reader.as_table(item, &what)?;
            key.clone_into(&mut table.what);
            Ok(table)
        };
        items.iter().map(table).collect()
    }

    /// All that is left, as options of a job.
    fn take_options(self) -> Result<BTreeMap<String, StageOption>, PipelineFault> {
        let reader = self.reader;
        let mut options = BTreeMap::new();
        for (name, (line, value)) in self.entries {
            if let Some((_, instead)) = NOT_OF_STAGES.iter().find(|(refused, _)| *refused == name) {
                let reason = format!("{} says {name}: {instead}", self.what);
                return Err(PipelineFault::at(Some(reader.path), line, reason));
            }
            let values = match value.get_ref() {
                DeValue::Boolean(true) => Vec::new(),
                DeValue::Boolean(false) => continue,
                _ => reader.texts(value, name)?,
            };
            options.insert(name.to_owned(), StageOption { values, line });
        }
        Ok(options)
    }

    /// What is left is unknown.
    fn finish(self) -> Result<(), PipelineFault> {
        let Some((key, (line, _))) = self.entries.first_key_value() else { return Ok(()) };
        let reason = format!("{} has no key {key:?}", self.what);
        Err(PipelineFault::at(Some(self.reader.path), *line, reason))
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Pipeline, PipelineFault> {
        Pipeline::parse(text, Path::new("my pipe.toml"))
    }

    /// A file says what a program may build.
    #[test]
    fn a_file_and_a_program_say_the_same() {
        let text = r#"
            [pipeline]
            params = { most = 10 }
            [[stage]]
            name = "links"
            plugin = "links.wasm"
            inputs = "data"
            reducers = 0x4
            sync = true
            overwrite = false
            [[loop]]
            name = "rank"
            start = ["stage:links"]
            until = "moved < 5"
            iterations-max = 30
            [[loop.stage]]
            name = "step"
            map = "step.wasm"
            inputs = ["loop:rank", { path = "stage:links", name = "links", format = "kv" }]
            params = { round = "{iteration}", damping = 0.85 }
            after = ["links"]
            [[stage]]
            name = "top"
            plugin = "top.wasm"
            inputs = ["loop:rank"]
            sides = { names = "names.txt" }
            output = "out"
        "#;
        let mut links = Input::from("stage:links");
        links.settings = [("name", "links"), ("format", "kv")].map(|(a, b)| (a.into(), b.into())).into();
        let step = Stage::new("step").role("map", "step.wasm").input("loop:rank").input(links);
        let step = step.param("round", "{iteration}").param("damping", "0.85").after("links");
        let built = Pipeline::new("my-pipe")
            .param("most", "10")
            .stage(
                Stage::new("links")
                    .plugin("links.wasm")
                    .input("data")
                    .option("reducers", "4")
                    .option("sync", ""),
            )
            .stage(
                Stage::new("top")
                    .plugin("top.wasm")
                    .input("loop:rank")
                    .side("names", "names.txt")
                    .output("out"),
            )
            .repeat(
                Loop::new("rank", 30).start("stage:links").until("moved < 5".parse().unwrap()).stage(step),
            );
        let mut parsed = parse(text).unwrap();
        assert_eq!(parsed.loops[0].line, 11);
        assert_eq!(parsed.stages[0].options["sync"].line, 9);
        parsed.file = None;
        let stages = parsed.stages.iter_mut().chain(parsed.loops.iter_mut().flat_map(|all| &mut all.stages));
        for stage in stages {
            stage.line = 0;
            stage.inputs.iter_mut().for_each(|input| input.line = 0);
            stage.options.values_mut().for_each(|option| option.line = 0);
        }
        parsed.loops[0].line = 0;
        parsed.loops[0].start[0].line = 0;
        assert_eq!(parsed, built);
    }

    #[test]
    fn faults_name_file_and_line() {
        for (text, says) in [
            ("x = 1", "line 1: the file has no key \"x\""),
            ("\n[pipeline]\nnom = 1", "line 3: [pipeline] has no key \"nom\""),
            ("[stage]\nname = \"a\"", "line 1: write [[stage]], with two brackets"),
            ("[[stage]]\nplugin = \"a\"", "line 1: stage has no name"),
            ("[[stage]]\nname = []", "line 2: name is a list, not a text or a number"),
            ("[[stage]]\nname = \"a\"\ninputs = [{}]", "line 3: inputs: an input without path = \"...\""),
            (
                "[[stage]]\nname = \"a\"\njob-id = \"x\"",
                "line 3: stage a says job-id: stages are named by the pipeline",
            ),
            (
                "[[loop]]\nname = \"a\"",
                "line 1: loop a has no iterations-max: say how many rounds are enough",
            ),
            (
                "[[loop]]\nname = \"a\"\niterations-max = -1",
                "line 3: iterations-max is a number of rounds, from 1",
            ),
            ("[[loop]]\nname = \"a\"\nuntil = \"x\"", "line 3: \"x\" is no condition"),
            ("[[stage]]\nname = \"a\"\nname = \"b\"", "line 3: "),
            ("[[stage", "line 1: "),
        ] {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.starts_with(&format!("pipeline my pipe.toml, {says}")), "{said}");
        }
    }
}
