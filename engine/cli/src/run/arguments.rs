//! From a stage of a pipeline to the arguments of `submit`: the one place where both meet. An option of a
//! stage is an option of the command line of the same name, and is parsed as one.

use std::path::Path;

use anyhow::Result;
use clap::{CommandFactory, Parser};
use mr_model::is_address;
use mr_pipeline::{Call, CallInput, Graph, Origin, PipelineFault, Stage};

use crate::args::JobArgs;
use crate::exit::UsageError;
use crate::job::join_pattern;

/// Settings of an input that are options of a job, with `NAME=` ahead of the value.
const INPUT_OPTIONS: [&str; 4] = ["fields", "key-fields", "compression", "map"];
const INPUT_FORMAT: &str = "input-format";

/// A job as it would be typed.
#[derive(Debug, Parser)]
#[command(name = "stage", disable_help_flag = true)]
struct Typed {
    #[command(flatten)]
    job: JobArgs,
}

/// Whether every option of every stage is one, with a value that it takes.
///
/// # Errors
/// The first that is not, with its line.
pub fn check(graph: &Graph) -> Result<(), PipelineFault> {
    let command = Typed::command();
    for node in graph.stages() {
        let stage = &node.stage;
        if let Some(output) = stage.output.as_deref()
            && is_address(Path::new(output))
            && !output.starts_with("s3://")
        {
            return Err(PipelineFault {
                file: graph.file().map(Path::to_owned),
                line: stage.line,
                reason: format!(
                    "stage {}: outputs go to folders and to stores, s3://bucket/name, and not to {output}",
                    stage.name
                ),
            });
        }
        for (name, option) in &stage.options {
            let fault = |reason: String| PipelineFault {
                file: graph.file().map(Path::to_owned),
                line: option.line,
                reason: format!("stage {}: {reason}", stage.name),
            };
            if !command.get_arguments().any(|known| known.get_long() == Some(name)) {
                return Err(fault(format!(
                    "there is no option {name}; `mr-engine submit --help` lists them"
                )));
            }
            if option.values.iter().any(|value| value.contains('{')) {
                continue;
            }
            let sample = ["stage", "x.wasm", "--input=x", "--output=x"].map(str::to_owned);
            let typed = sample.into_iter().chain(option_words(name, &option.values));
            Typed::try_parse_from(typed).map_err(|error| fault(sentence(&error)))?;
        }
        let known = |name: &&String| {
            !["name", "format"].contains(&name.as_str()) && !INPUT_OPTIONS.contains(&name.as_str())
        };
        for input in &stage.inputs {
            if let Some(unknown) = input.settings.keys().find(known) {
                return Err(PipelineFault {
                    file: graph.file().map(Path::to_owned),
                    line: input.line,
                    reason: format!(
                        "stage {}: an input has no {unknown}; it has path, name, format, {}",
                        stage.name,
                        INPUT_OPTIONS.join(", ")
                    ),
                });
            }
        }
    }
    Ok(())
}

/// The arguments of a stage's job.
///
/// # Errors
/// An option that only now, with its parameters filled in, makes no sense.
pub fn job_args(call: &Call, job: Option<&str>) -> Result<JobArgs> {
    let words = words(call, job)?;
    let typed = Typed::try_parse_from(words).map_err(|error| UsageError(sentence(&error)))?;
    Ok(typed.job)
}

/// A pattern of the pipeline's file from where the process is.
pub fn place_pattern(folder: &Path, pattern: &str) -> Result<String, UsageError> {
    let is_placed = pattern.starts_with('/') || pattern.contains("://") || pattern == "-";
    if is_placed || folder.as_os_str().is_empty() {
        return Ok(pattern.to_owned());
    }
    let folder = text(folder)?;
    let placed = Path::new(folder).join(pattern);
    match placed.to_str() {
        // A name that only looks like a pattern.
        Some(placed) if Path::new(placed).exists() => Ok(placed.to_owned()),
        _ => Ok(join_pattern(folder, pattern)),
    }
}

fn words(call: &Call, job: Option<&str>) -> Result<Vec<String>, UsageError> {
    let stage = &call.stage;
    let mut words = vec!["stage".to_owned()];
    for (role, path) in &stage.roles {
        words.push(format!("--{role}={}", text(&call.path(path))?));
    }
    for (name, value) in &stage.params {
        words.push(format!("--param={name}={value}"));
    }
    for (name, option) in &stage.options {
        let is_of_inputs = name == INPUT_FORMAT && common_format(stage).is_some();
        let is_set = matches!(name.as_str(), "output-format" | "overwrite");
        if !is_of_inputs && !is_set {
            words.extend(option_words(name, &option.values));
        }
    }
    if let Some(format) = call.output_format() {
        words.push(format!("--output-format={format}"));
    }
    words.extend(input_words(call)?);
    for (name, origin) in &call.sides {
        words.push(format!("--side={name}={}", side(call, name, origin)?));
    }
    words.push(format!("--output={}", text(&call.output)?));
    if call.overwrite {
        words.push("--overwrite".to_owned());
    }
    words.extend(job.map(|job| format!("--job-id={job}")));
    if let Some(plugin) = &stage.plugin {
        words.push("--".to_owned());
        words.push(text(&call.path(plugin))?.to_owned());
    }
    Ok(words)
}

fn option_words(name: &str, values: &[String]) -> Vec<String> {
    if values.is_empty() {
        return vec![format!("--{name}")];
    }
    values.iter().map(|value| format!("--{name}={value}")).collect()
}

/// The format that a stage says for all of its inputs.
fn common_format(stage: &Stage) -> Option<&str> {
    match stage.options.get(INPUT_FORMAT)?.values.as_slice() {
        [format] if !format.contains('=') || format.contains(',') => Some(format),
        _ => None,
    }
}

fn input_words(call: &Call) -> Result<Vec<String>, UsageError> {
    let common = common_format(&call.stage);
    let format = |input: &CallInput| {
        let own = input.settings.get("format").map(String::as_str);
        own.or(common.filter(|_| matches!(input.origin, Origin::Path(_)))).map(str::to_owned)
    };
    let formats: Vec<Option<String>> = call.inputs.iter().map(format).collect();
    let same = formats.windows(2).all(|pair| pair[0] == pair[1]);
    let mut words = Vec::new();
    for (input, format) in call.inputs.iter().zip(&formats) {
        let pattern = match &input.origin {
            Origin::Path(pattern) => place_pattern(&call.folder, pattern)?,
            Origin::Made { folder, .. } => text(folder)?.to_owned(),
        };
        let name = input.settings.get("name").map(|name| format!("{name}=")).unwrap_or_default();
        let format = format.as_ref().filter(|_| !same).map(|format| format!(":{format}"));
        words.push(format!("--input={name}{pattern}{}", format.unwrap_or_default()));
        for option in INPUT_OPTIONS {
            let Some(value) = input.settings.get(option) else { continue };
            let value = if option == "map" { text(&call.path(value))?.to_owned() } else { value.clone() };
            words.push(format!("--{option}={name}{value}"));
        }
    }
    if let (true, Some(Some(format))) = (same, formats.first()) {
        words.push(format!("--{INPUT_FORMAT}={format}"));
    }
    Ok(words)
}

/// The file of a side. A stage that makes one makes one part.
fn side(call: &Call, name: &str, origin: &Origin) -> Result<String, UsageError> {
    let folder = match origin {
        Origin::Path(path) => return Ok(text(&call.path(path))?.to_owned()),
        Origin::Made { folder, .. } => folder,
    };
    if is_address(folder) {
        return Err(UsageError(format!(
            "the side {name} is made at {}, and sides are files of this machine; leave out the output of the stage that \
             makes it",
            folder.display()
        )));
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut parts: Vec<_> = entries.map(|entry| entry.path()).collect();
    parts.retain(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"part-")));
    match parts.as_slice() {
        [part] => Ok(text(part)?.to_owned()),
        // Not there yet: only what the job is called for is asked.
        [] => Ok(text(folder)?.to_owned()),
        several => Err(UsageError(format!(
            "the side {name} is made of {} parts; give the stage that makes it reducers = 1",
            several.len()
        ))),
    }
}

fn text(path: &Path) -> Result<&str, UsageError> {
    path.to_str().ok_or_else(|| UsageError(format!("{}: paths of pipelines are UTF-8", path.display())))
}

/// What the command line says of a wrong option, in one sentence.
fn sentence(error: &clap::Error) -> String {
    let told = error.to_string();
    let first = told.split("\n\n").next().unwrap_or_default();
    first.trim_start_matches("error: ").trim().replace('\n', "; ")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use mr_pipeline::Pipeline;

    use super::*;

    fn graph(options: &str) -> Graph {
        let text = format!(
            "[[stage]]\nname = \"a\"\nplugin = \"x.wasm\"\ninputs = [\"in\"]\noutput = \"out\"\n{options}\n"
        );
        Graph::new(&Pipeline::parse(&text, Path::new("p.toml")).unwrap()).unwrap()
    }

    #[test]
    fn options_are_those_of_submit() {
        check(&graph("reducers = 3\nsync = true\nsplit-size = \"1M\"\npartition = \"range\"")).unwrap();
        for (options, says) in [
            (
                "colour = 1",
                "line 6: stage a: there is no option colour; `mr-engine submit --help` lists them",
            ),
            ("sync = true\nreducers = \"x\"", "line 7: stage a: invalid value 'x' for '--reducers <N>'"),
            ("sync = 3", "line 6: stage a: unexpected value '3' for '--sync' found"),
            ("split-size = true", "line 6: stage a: a value is required for '--split-size <SIZE>'"),
        ] {
            let said = check(&graph(options)).unwrap_err().to_string();
            assert!(said.starts_with(&format!("pipeline p.toml, {says}")), "{said}");
        }
        let text = "[[stage]]\nname = \"a\"\nplugin = \"x\"\noutput = \"o\"\ninputs = [{ path = \"x\", from = \"y\" }]";
        let graph = Graph::new(&Pipeline::parse(text, Path::new("p.toml")).unwrap()).unwrap();
        let said = check(&graph).unwrap_err().to_string();
        assert!(
            said.starts_with("pipeline p.toml, line 5: stage a: an input has no from; it has path, name"),
            "{said}"
        );
    }

    /// The pipelines of the documentation are ones.
    #[test]
    fn documented_pipelines_are_right() {
        let page = include_str!("../../../../docs/pipelines.md");
        let blocks: Vec<&str> =
            page.split("```toml\n").skip(1).filter_map(|block| block.split("```").next()).collect();
        assert_eq!(blocks.len(), 3);
        for block in blocks {
            let pipeline = Pipeline::parse(block, Path::new("docs.toml")).unwrap();
            check(&Graph::new(&pipeline).unwrap()).unwrap();
        }
    }

    fn call(stage: Stage, inputs: Vec<CallInput>) -> Call {
        Call {
            pipeline: "p".into(),
            folder: "/d".into(),
            stage,
            iteration: 0,
            inputs,
            sides: Vec::new(),
            output: PathBuf::from("/w/out"),
            overwrite: true,
        }
    }

    #[test]
    fn a_stage_is_typed_as_a_job() {
        let input = |path: &str, settings: &[(&str, &str)]| CallInput {
            origin: Origin::Path(path.to_owned()),
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let made = CallInput {
            origin: Origin::Made { folder: "/w/made".into(), digest: String::new() },
            settings: [("format".to_owned(), "kv".to_owned())].into(),
        };
        let stage = Stage::new("a").plugin("x.wasm").role("reduce", "/r.wasm").param("p", "a=b");
        let stage = stage.option("reducers", "2").option("sync", "").option("input-format", "csv");
        let inputs = vec![input("in/*", &[]), input("/u", &[("name", "u"), ("fields", "id")]), made.clone()];
        let words = words(&call(stage, inputs), Some("job")).unwrap();
        let expected = "stage --reduce=/r.wasm --param=p=a=b --reducers=2 --sync --output-format=kv \
                        --input=/d/in/*:csv --input=u=/u:csv --fields=u=id --input=/w/made:kv --output=/w/out \
                        --overwrite --job-id=job -- /d/x.wasm";
        assert_eq!(words.join(" "), expected);
        let same = super::words(&call(Stage::new("a").plugin("x"), vec![made]), None).unwrap();
        assert_eq!(
            same.join(" "),
            "stage --output-format=kv --input=/w/made --input-format=kv --output=/w/out --overwrite -- /d/x"
        );
    }
}
