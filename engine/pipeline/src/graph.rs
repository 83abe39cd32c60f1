//! The checked graph of a pipeline: names are known, nothing waits for itself, everything is read by
//! somebody or is a result. What can be refused without looking at files is refused here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::fault::PipelineFault;
use crate::names::{self, ITERATION, Names};
use crate::pipeline::{Input, Loop, Pipeline, Source, Stage};
use crate::place;
use crate::until::Until;

/// Most stages of a pipeline: far more than anybody writes.
pub const STAGES_MAX: usize = 1_000;
/// Most rounds of a loop: each leaves a record behind until the pipeline is done.
pub const ITERATIONS_MAX: u32 = 10_000;
/// Longest name of a pipeline, a stage or a loop, in bytes: names become part of file names.
pub const NAME_BYTES_MAX: usize = 32;

/// A pipeline that can be run.
#[derive(Debug, Clone)]
pub struct Graph {
    name: String,
    file: Option<PathBuf>,
    /// In an order in which every stage is behind all that it waits for, but for its own loop.
    stages: Vec<Node>,
    loops: Vec<Round>,
}

/// A stage and what it waits for.
#[derive(Debug, Clone)]
pub struct Node {
    /// The stage, parameters of the pipeline filled in.
    pub stage: Stage,
    /// The loop that it is in.
    pub in_loop: Option<usize>,
    /// What each of its inputs is, then each of its sides.
    pub(crate) reads: Vec<From>,
    /// What it waits for without reading it.
    pub(crate) after: Vec<From>,
}

/// A loop of the graph.
#[derive(Debug, Clone)]
pub struct Round {
    /// Its name.
    pub name: String,
    /// Its stages, in order.
    pub stages: Vec<usize>,
    /// What it begins with.
    pub start: Vec<Input>,
    pub(crate) start_from: Vec<From>,
    /// When it ends.
    pub until: Option<Until>,
    /// It ends when its output stays as it is.
    pub until_unchanged: bool,
    /// Most rounds.
    pub iterations_max: u32,
}

/// Where something comes from, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Outside,
    Stage(usize),
    Loop(usize),
}

impl Graph {
    /// Checks a pipeline.
    ///
    /// # Errors
    /// The first thing that is wrong with it, in the order of the file as far as there is one.
    pub fn new(pipeline: &Pipeline) -> Result<Self, PipelineFault> {
        Checker::new(pipeline)?.check()
    }

    /// Name of the pipeline.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that it was read from.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The folder that paths are meant from: that of the file. Empty for the current one.
    pub fn folder(&self) -> &Path {
        place::folder_of(self.file.as_deref())
    }

    /// Its stages; each is behind all that it waits for.
    pub fn stages(&self) -> &[Node] {
        &self.stages
    }

    /// Its loops.
    pub fn loops(&self) -> &[Round] {
        &self.loops
    }

    /// The results that depend on an input, as it is written.
    pub fn results_of<'a>(&'a self, input: &'a str) -> impl Iterator<Item = &'a Stage> {
        let reads_it = |node: &Node| {
            node.stage.inputs.iter().any(|one| matches!(&one.source, Source::Path(path) if path == input))
        };
        let mut fed: Vec<bool> = self.stages.iter().map(reads_it).collect();
        // A loop hands on what any of its stages reads, so that once in order is not enough.
        for _ in 0..=self.loops.len() {
            for (at, node) in self.stages.iter().enumerate() {
                let is_fed = |from: &From| match from {
                    From::Outside => false,
                    From::Stage(stage) => fed[*stage],
                    From::Loop(number) => {
                        let round = &self.loops[*number];
                        let starts = round.start_from.iter().any(|from| match from {
                            From::Stage(stage) => fed[*stage],
                            From::Loop(other) => self.loops[*other].stages.iter().any(|stage| fed[*stage]),
                            From::Outside => false,
                        });
                        starts || round.stages.iter().any(|stage| fed[*stage])
                    }
                };
                fed[at] = fed[at] || node.reads.iter().any(is_fed);
            }
        }
        let results = self.stages.iter().zip(fed).filter(|(node, fed)| *fed && node.stage.output.is_some());
        results.map(|(node, _)| &node.stage)
    }

    /// The last stage of a loop, whose output goes into the next round.
    pub(crate) fn last_of(&self, number: usize) -> usize {
        self.loops[number].stages.last().copied().unwrap_or_default()
    }
}

/// A pipeline that is being checked.
struct Checker<'a> {
    pipeline: &'a Pipeline,
    stages: Vec<(&'a Stage, Option<usize>)>,
    names: BTreeMap<&'a str, From>,
}

impl<'a> Checker<'a> {
    fn new(pipeline: &'a Pipeline) -> Result<Self, PipelineFault> {
        let outside = pipeline.stages.iter().map(|stage| (stage, None));
        let inside = pipeline.loops.iter().enumerate();
        let inside =
            inside.flat_map(|(number, all)| all.stages.iter().map(move |stage| (stage, Some(number))));
        let mut checker = Self { pipeline, stages: outside.chain(inside).collect(), names: BTreeMap::new() };
        checker.check_name(pipeline.name(), 0, "the pipeline")?;
        if checker.stages.is_empty() {
            return Err(checker.fault(0, "it has no [[stage]]"));
        }
        if checker.stages.len() > STAGES_MAX {
            let reason = format!("it has {} stages, and {STAGES_MAX} are allowed", checker.stages.len());
            return Err(checker.fault(0, reason));
        }
        let stages = checker.stages.clone().into_iter().enumerate();
        for (number, (stage, _)) in stages {
            checker.add_name(&stage.name, stage.line, From::Stage(number), "a stage")?;
        }
        for (number, repeated) in pipeline.loops.iter().enumerate() {
            checker.add_name(&repeated.name, repeated.line, From::Loop(number), "a loop")?;
        }
        Ok(checker)
    }

    fn fault(&self, line: usize, reason: impl Into<String>) -> PipelineFault {
        PipelineFault::at(self.pipeline.file.as_deref(), line, reason)
    }

    fn check_name(&self, name: &str, line: usize, what: &str) -> Result<(), PipelineFault> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(legal) {
            return Ok(());
        }
        let reason =
            format!("{what} is called {name:?}; a name has 1 to {NAME_BYTES_MAX} of a-z, 0-9 and '-'");
        Err(self.fault(line, reason))
    }

    fn add_name(&mut self, name: &'a str, line: usize, is: From, what: &str) -> Result<(), PipelineFault> {
        self.check_name(name, line, what)?;
        match self.names.insert(name, is) {
            None => Ok(()),
            Some(_) => Err(self.fault(line, format!("the name {name} is there twice"))),
        }
    }

    fn check(self) -> Result<Graph, PipelineFault> {
        let names = Names::values(&self.pipeline.params);
        let mut nodes = Vec::new();
        for (stage, in_loop) in &self.stages {
            let stage = names::replace_in_stage(stage, names);
            nodes.push(self.node(stage, *in_loop)?);
        }
        let mut loops = Vec::new();
        for (number, repeated) in self.pipeline.loops.iter().enumerate() {
            loops.push(self.round(number, repeated, &nodes)?);
        }
        self.check_outputs(&nodes)?;
        self.check_read(&nodes, &loops)?;
        let graph = Graph {
            name: self.pipeline.name.clone(),
            file: self.pipeline.file.clone(),
            stages: nodes,
            loops,
        };
        self.sorted(graph)
    }

    fn node(&self, stage: Stage, in_loop: Option<usize>) -> Result<Node, PipelineFault> {
        let (name, line) = (&stage.name, stage.line);
        if stage.plugin.is_none()
            && ["map", "combine", "reduce"].iter().all(|role| !stage.roles.contains_key(*role))
        {
            return Err(
                self.fault(line, format!("stage {name} has no plugin: say plugin, map, combine or reduce"))
            );
        }
        if stage.inputs.is_empty() {
            return Err(self.fault(line, format!("stage {name} has no inputs")));
        }
        let inputs = stage.inputs.iter().map(|input| (&input.source, input.line.max(line)));
        let sides = stage.sides.values().map(|side| (side, line));
        let reads = inputs.chain(sides).map(|(source, line)| self.find(source, in_loop, line));
        let reads = reads.collect::<Result<_, _>>()?;
        let after = stage.after.iter().map(|name| {
            let found = self.names.get(name.as_str());
            let found =
                found.ok_or_else(|| self.fault(line, format!("after: there is no stage or loop {name}")))?;
            self.check_sight(*found, in_loop, line)
        });
        let after = after.collect::<Result<_, _>>()?;
        Ok(Node { stage, in_loop, reads, after })
    }

    /// What a source is, seen from a loop or from outside of all.
    fn find(&self, source: &Source, in_loop: Option<usize>, line: usize) -> Result<From, PipelineFault> {
        let (what, name) = match source {
            Source::Path(_) => return Ok(From::Outside),
            Source::Stage(name) => ("stage", name),
            Source::Loop(name) => ("loop", name),
        };
        match (source, self.names.get(name.as_str())) {
            (Source::Stage(_), Some(found @ From::Stage(_))) => self.check_sight(*found, in_loop, line),
            (Source::Loop(_), Some(found @ From::Loop(_))) => Ok(*found),
            (_, Some(From::Stage(_))) => {
                Err(self.fault(line, format!("{name} is a stage: say stage:{name}")))
            }
            (_, Some(From::Loop(_))) => Err(self.fault(line, format!("{name} is a loop: say loop:{name}"))),
            _ => Err(self.fault(line, format!("there is no {what} {name}"))),
        }
    }

    /// A stage of a loop is seen by that loop alone.
    fn check_sight(&self, found: From, in_loop: Option<usize>, line: usize) -> Result<From, PipelineFault> {
        if let From::Stage(number) = found
            && let (stage, Some(of)) = self.stages[number]
            && in_loop != Some(of)
        {
            let (stage, of) = (&stage.name, &self.pipeline.loops[of].name);
            let reason = format!("stage {stage} is in loop {of}; what the loop made in the end is loop:{of}");
            return Err(self.fault(line, reason));
        }
        Ok(found)
    }

    fn round(&self, number: usize, repeated: &Loop, nodes: &[Node]) -> Result<Round, PipelineFault> {
        let (name, line) = (&repeated.name, repeated.line);
        let fault = |reason: &str| Err(self.fault(line, format!("loop {name} {reason}")));
        if repeated.stages.is_empty() {
            return fault("has no [[loop.stage]]");
        }
        if !(1..=ITERATIONS_MAX).contains(&repeated.iterations_max) {
            return fault(&format!("has iterations-max outside of 1 to {ITERATIONS_MAX}"));
        }
        if repeated.start.is_empty() {
            return fault("has no start: say what loop:NAME is in the first round");
        }
        let stages: Vec<usize> = nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.in_loop == Some(number))
            .map(|(at, _)| at)
            .collect();
        if !stages.iter().any(|at| nodes[*at].reads.contains(&From::Loop(number))) {
            return fault(&format!(
                "has no stage that reads loop:{name}, so that all rounds would be the same"
            ));
        }
        let start: Vec<Input> = repeated
            .start
            .iter()
            .map(|input| names::replace_in_input(input, Names::values(&self.pipeline.params)))
            .collect();
        let start_from = start.iter().map(|input| self.find(&input.source, None, input.line.max(line)));
        let start_from = start_from.collect::<Result<Vec<_>, _>>()?;
        if start_from.contains(&From::Loop(number)) {
            return fault("starts with itself");
        }
        Ok(Round {
            name: name.clone(),
            stages,
            start,
            start_from,
            until: repeated.until.clone(),
            until_unchanged: repeated.until_unchanged,
            iterations_max: repeated.iterations_max,
        })
    }

    /// Every result has a folder of its own, and is read as what it is, however its path is written.
    fn check_outputs(&self, nodes: &[Node]) -> Result<(), PipelineFault> {
        let folder = place::folder_of(self.pipeline.file.as_deref());
        let mut outputs: Vec<(PathBuf, &str)> = Vec::new();
        for node in nodes {
            let (name, line) = (&node.stage.name, node.stage.line);
            let Some(output) = &node.stage.output else { continue };
            let path = place::lexical(&place::placed(folder, output));
            let meets = |(other, _): &&(PathBuf, &str)| other.starts_with(&path) || path.starts_with(other);
            if let Some((taken, other)) = outputs.iter().find(meets) {
                let reason = match *taken == path {
                    true => format!("stages {other} and {name} have the same output {output}"),
                    false => {
                        format!("the outputs of stages {other} and {name} are one in the other: {output}")
                    }
                };
                return Err(self.fault(line, reason));
            }
            outputs.push((path, name));
            if node.in_loop.is_some() && !output.contains(&format!("{{{ITERATION}}}")) {
                let reason = format!(
                    "stage {name} makes {output} in every round; put {{{ITERATION}}} into the name, or add a stage behind the loop"
                );
                return Err(self.fault(line, reason));
            }
        }
        for Node { stage, .. } in nodes {
            let inputs = stage.inputs.iter().map(|input| (&input.source, input.line));
            for (source, line) in inputs.chain(stage.sides.values().map(|side| (side, stage.line))) {
                let Source::Path(path) = source else { continue };
                let (fixed, is_glob) = place::without_glob(path);
                let read = place::lexical(&place::placed(folder, fixed));
                let meets = |(output, _): &&(PathBuf, &str)| {
                    read.starts_with(output) || (!is_glob && output.starts_with(&read))
                };
                let Some((_, other)) = outputs.iter().find(meets) else { continue };
                let name = &stage.name;
                let reason = match *other == name {
                    true => format!("stage {name} reads {path}, where its own output is"),
                    false => {
                        format!("stage {name} reads {path}, the output of stage {other}: say stage:{other}")
                    }
                };
                return Err(self.fault(line, reason));
            }
        }
        Ok(())
    }

    /// What nobody reads is a result.
    fn check_read(&self, nodes: &[Node], loops: &[Round]) -> Result<(), PipelineFault> {
        let starts = loops.iter().flat_map(|round| &round.start_from);
        let read: Vec<From> = nodes.iter().flat_map(|node| &node.reads).chain(starts).copied().collect();
        for (at, node) in nodes.iter().enumerate() {
            let is_last = node.in_loop.is_some_and(|number| loops[number].stages.last() == Some(&at));
            if node.stage.output.is_none() && !is_last && !read.contains(&From::Stage(at)) {
                let name = &node.stage.name;
                let reason =
                    format!("stage {name} has no output, and no stage reads it: give it output = \"...\"");
                return Err(self.fault(node.stage.line, reason));
            }
        }
        for (number, round) in loops.iter().enumerate() {
            let outside = |node: &&Node| node.in_loop != Some(number);
            let is_read = nodes.iter().filter(outside).any(|node| node.reads.contains(&From::Loop(number)))
                || loops.iter().any(|other| other.start_from.contains(&From::Loop(number)));
            if !is_read && round.stages.iter().all(|at| nodes[*at].stage.output.is_none()) {
                let (name, line) = (&round.name, self.pipeline.loops[number].line);
                let reason =
                    format!("nobody reads what loop {name} makes: add a stage that reads loop:{name}");
                return Err(self.fault(line, reason));
            }
        }
        Ok(())
    }

    /// Sorts the stages so that each is behind all that it waits for.
    fn sorted(&self, graph: Graph) -> Result<Graph, PipelineFault> {
        let waits: Vec<Vec<usize>> = (0..graph.stages.len()).map(|at| waits_for(&graph, at)).collect();
        let mut order: Vec<usize> = Vec::with_capacity(waits.len());
        let mut placed = vec![false; waits.len()];
        while order.len() < waits.len() {
            let mut is_ready = |at: &usize| !placed[*at] && waits[*at].iter().all(|before| placed[*before]);
            let Some(ready) = (0..waits.len()).find(&mut is_ready) else {
                return Err(self.cycle(&graph, &placed));
            };
            placed[ready] = true;
            order.push(ready);
        }
        Ok(renumbered(graph, &order))
    }

    /// Names a cycle among the stages that have no place.
    fn cycle(&self, graph: &Graph, placed: &[bool]) -> PipelineFault {
        let mut path: Vec<usize> = placed.iter().position(|placed| !placed).into_iter().collect();
        while let Some(before) =
            path.last().and_then(|at| waits_for(graph, *at).into_iter().find(|before| !placed[*before]))
        {
            if let Some(begin) = path.iter().position(|at| *at == before) {
                path.drain(..begin);
                path.push(before);
                break;
            }
            path.push(before);
        }
        let names: Vec<&str> = path.iter().map(|at| graph.stages[*at].stage.name.as_str()).collect();
        let line = path.first().map_or(0, |at| graph.stages[*at].stage.line);
        self.fault(line, format!("stages wait for each other: {}", names.join(" waits for ")))
    }
}

/// Stages that a stage waits for within one round of its loop.
fn waits_for(graph: &Graph, at: usize) -> Vec<usize> {
    let node = &graph.stages[at];
    let mut waits = Vec::new();
    let mut add = |from: &From| match from {
        From::Outside => {}
        From::Stage(other) => waits.push(*other),
        // Its own loop is the round before.
        From::Loop(number) if node.in_loop == Some(*number) => {}
        From::Loop(number) => waits.extend(&graph.loops[*number].stages),
    };
    node.reads.iter().chain(&node.after).for_each(&mut add);
    if let Some(number) = node.in_loop {
        graph.loops[number].start_from.iter().for_each(add);
    }
    waits
}

fn renumbered(mut graph: Graph, order: &[usize]) -> Graph {
    let mut place = vec![0; order.len()];
    for (new, old) in order.iter().enumerate() {
        place[*old] = new;
    }
    let renumber = |from: &mut From| {
        if let From::Stage(at) = from {
            *at = place[*at];
        }
    };
    for node in &mut graph.stages {
        node.reads.iter_mut().chain(&mut node.after).for_each(renumber);
    }
    for round in &mut graph.loops {
        round.start_from.iter_mut().for_each(renumber);
        // The last stage stays the last: its place in the file says what goes into the next round.
        round.stages.iter_mut().for_each(|at| *at = place[*at]);
    }
    graph.stages = order.iter().map(|old| graph.stages[*old].clone()).collect();
    graph
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let pipeline = Pipeline::parse(text, Path::new("p.toml")).unwrap();
        let said = Graph::new(&pipeline).unwrap_err().to_string();
        said.strip_prefix("pipeline p.toml").unwrap().to_owned()
    }

    fn stage(name: &str, rest: &str) -> String {
        format!("[[stage]]\nname = \"{name}\"\nplugin = \"x.wasm\"\n{rest}\n")
    }

    #[test]
    fn faults_are_one_sentence_with_the_line() {
        let round = |rest: &str, stage: &str| {
            format!(
                "[[loop]]\nname = \"l\"\niterations-max = 3\nstart = \"x\"\n{rest}\n[[loop.stage]]\nname = \"s\"\nplugin = \"x\"\n{stage}\n"
            )
        };
        for (text, expected) in [
            (String::new(), ": it has no [[stage]]"),
            (
                stage("A", "inputs = \"x\""),
                ", line 1: a stage is called \"A\"; a name has 1 to 32 of a-z, 0-9 and '-'",
            ),
            (stage("a", ""), ", line 1: stage a has no inputs"),
            (
                "[[stage]]\nname = \"a\"\ninputs = \"x\"".to_owned(),
                ", line 1: stage a has no plugin: say plugin, map, combine or reduce",
            ),
            (stage("a", "inputs = \"stage:b\""), ", line 4: there is no stage b"),
            (stage("a", "inputs = \"x\"\nafter = \"b\""), ", line 1: after: there is no stage or loop b"),
            (
                stage("a", "inputs = \"x\""),
                ", line 1: stage a has no output, and no stage reads it: give it output = \"...\"",
            ),
            (
                stage("a", "inputs = \"stage:b\"\noutput = \"o\"") + &stage("b", "inputs = \"stage:a\""),
                ", line 1: stages wait for each other: a waits for b waits for a",
            ),
            (
                stage("a", "inputs = \"x\"\noutput = \"o\"") + &stage("b", "inputs = \"x\"\noutput = \"o/\""),
                ", line 6: stages a and b have the same output o/",
            ),
            (
                stage("a", "inputs = \"x\"\noutput = \"o\"") + &stage("b", "inputs = \"o\"\noutput = \"p\""),
                ", line 9: stage b reads o, the output of stage a: say stage:a",
            ),
            (
                stage("a", "inputs = \"x\"\noutput = \"o\"")
                    + &stage("b", "inputs = \"x\"\noutput = \"./o/p\""),
                ", line 6: the outputs of stages a and b are one in the other: ./o/p",
            ),
            (
                stage("a", "inputs = \"x\"\noutput = \"o\"")
                    + &stage("b", "inputs = \"./o/part*\"\noutput = \"p\""),
                ", line 9: stage b reads ./o/part*, the output of stage a: say stage:a",
            ),
            (
                stage("a", "inputs = \"x\"\noutput = \"x/o\""),
                ", line 4: stage a reads x, where its own output is",
            ),
            (
                stage("a", "inputs = \"x\"\noutput = \"o\"") + &stage("a", "inputs = \"x\"\noutput = \"p\""),
                ", line 6: the name a is there twice",
            ),
            (
                round("", "inputs = \"x\""),
                ", line 1: loop l has no stage that reads loop:l, so that all rounds would be the same",
            ),
            (
                round("", "inputs = \"loop:l\""),
                ", line 1: nobody reads what loop l makes: add a stage that reads loop:l",
            ),
            (
                round("", "inputs = \"loop:l\"\noutput = \"o\""),
                ", line 6: stage s makes o in every round; put {iteration} into the name, or add a stage behind the loop",
            ),
            (
                round("", "inputs = \"loop:l\"") + &stage("a", "inputs = \"stage:s\"\noutput = \"o\""),
                ", line 13: stage s is in loop l; what the loop made in the end is loop:l",
            ),
            (
                round("", "inputs = \"loop:l\"") + &stage("a", "inputs = \"stage:l\"\noutput = \"o\""),
                ", line 13: l is a loop: say loop:l",
            ),
        ] {
            assert_eq!(said(&text), expected, "{text}");
        }
        let many = "[[loop]]\nname = \"l\"\niterations-max = 10_001\nstart = \"x\"\n[[loop.stage]]\nname = \"s\"\nplugin = \"x\"\ninputs = \"loop:l\"";
        assert_eq!(said(many), ", line 1: loop l has iterations-max outside of 1 to 10000");
    }

    #[test]
    fn stages_are_sorted_and_parameters_filled_in() {
        let last = Stage::new("last").plugin("{p}.wasm").input("stage:first").input("{q}").output("{p}");
        let first = Stage::new("first").plugin("x").input("x");
        let graph = Graph::new(&Pipeline::new("p").param("p", "v").stage(last).stage(first)).unwrap();
        let names: Vec<&str> = graph.stages().iter().map(|node| node.stage.name.as_str()).collect();
        assert_eq!(names, ["first", "last"]);
        let last = &graph.stages()[1];
        assert_eq!(last.reads, [From::Stage(0), From::Outside]);
        assert_eq!(last.stage.plugin.as_deref(), Some("v.wasm"));
        assert_eq!(last.stage.inputs[1].source, Source::Path("{q}".into()));
    }
}
