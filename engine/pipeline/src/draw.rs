//! A pipeline drawn for people: as indented text, and for Graphviz.

use std::fmt::Write;

use crate::graph::{Graph, Node};
use crate::pipeline::{Input, Source};
use crate::run::Fate;

/// The graph as text; with what becomes of each stage where that is known.
pub fn text(graph: &Graph, fates: &[Fate]) -> String {
    let mut out = format!("pipeline {}\n", graph.name());
    let mut shown = vec![false; graph.loops().len()];
    for (number, node) in graph.stages().iter().enumerate() {
        match node.in_loop {
            None => stage_text(&mut out, node, fates.get(number), ""),
            Some(at) if !std::mem::replace(&mut shown[at], true) => loop_text(&mut out, graph, at, fates),
            Some(_) => {}
        }
    }
    out
}

/// The graph in the language of Graphviz.
pub fn dot(graph: &Graph, fates: &[Fate]) -> String {
    let mut out = format!("digraph {} {{\n    rankdir=LR;\n    node [shape=box];\n", quoted(graph.name()));
    let mut edges = String::new();
    for (number, node) in graph.stages().iter().enumerate() {
        let name = &node.stage.name;
        let style = match fates.get(number) {
            Some(Fate::Reused) => " style=filled fillcolor=lightgrey",
            _ => "",
        };
        let line = format!(
            "    {} [label={}{style}];\n",
            quoted(name),
            quoted(&format!("{name}\n{}", made_by(node)))
        );
        if node.in_loop.is_none() {
            out.push_str(&line);
        }
        for source in sources(node) {
            edge(&mut edges, graph, source, name);
        }
        if let Some(output) = &node.stage.output {
            let _ = writeln!(edges, "    {} -> {};", quoted(name), folder(output));
        }
    }
    for (number, round) in graph.loops().iter().enumerate() {
        let label = quoted(&format!("{}: {}", round.name, ends(graph, number)));
        let _ = writeln!(
            out,
            "    subgraph {} {{\n        label={label};",
            quoted(&format!("cluster_{}", round.name))
        );
        for stage in &round.stages {
            let node = &graph.stages()[*stage];
            let label = format!("{}\n{}", node.stage.name, made_by(node));
            let _ = writeln!(out, "        {} [label={}];", quoted(&node.stage.name), quoted(&label));
        }
        out.push_str("    }\n");
        let readers = round.stages.iter().map(|stage| &graph.stages()[*stage]);
        for reader in readers.filter(|node| sources(node).any(|one| *one == Source::Loop(round.name.clone())))
        {
            for start in &round.start {
                edge(&mut edges, graph, &start.source, &reader.stage.name);
            }
        }
    }
    out + &edges + "}\n"
}

fn edge(edges: &mut String, graph: &Graph, source: &Source, to: &str) {
    let (from, style) = match source {
        Source::Path(path) => (folder(path), ""),
        Source::Stage(name) => (quoted(name), ""),
        Source::Loop(name) => {
            let number = graph.loops().iter().position(|round| round.name == *name).unwrap_or_default();
            let last = &graph.stages()[graph.last_of(number)];
            let inside = last.in_loop.is_some_and(|number| {
                let mut stages = graph.loops()[number].stages.iter();
                stages.any(|stage| graph.stages()[*stage].stage.name == to)
            });
            (quoted(&last.stage.name), if inside { " [style=dashed constraint=false]" } else { "" })
        }
    };
    let _ = writeln!(edges, "    {from} -> {}{style};", quoted(to));
}

/// A file or folder, drawn as a note.
fn folder(path: &str) -> String {
    quoted(&format!("file {path}"))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn loop_text(out: &mut String, graph: &Graph, number: usize, fates: &[Fate]) {
    let round = &graph.loops()[number];
    let _ = writeln!(out, "  loop {}: {}", round.name, ends(graph, number));
    let starts: Vec<String> = round.start.iter().map(input_text).collect();
    let _ = writeln!(out, "    starts with {}", starts.join(", "));
    for stage in &round.stages {
        stage_text(out, &graph.stages()[*stage], fates.get(*stage), "  ");
    }
}

fn ends(graph: &Graph, number: usize) -> String {
    let round = &graph.loops()[number];
    let until = round.until.as_ref().map(|until| format!("until {until}, "));
    let unchanged = if round.until_unchanged { "until nothing changes, " } else { "" };
    format!("{}{unchanged}at most {} rounds", until.unwrap_or_default(), round.iterations_max)
}

fn stage_text(out: &mut String, node: &Node, fate: Option<&Fate>, indent: &str) {
    let stage = &node.stage;
    let fate = match fate {
        None => "",
        Some(Fate::Reused) => "  reused",
        Some(Fate::Runs) => "  runs",
        Some(Fate::Open) => "  runs unless what it reads stays the same",
    };
    let _ = writeln!(out, "  {indent}[{}] {}{fate}", stage.name, made_by(node));
    for input in &stage.inputs {
        let _ = writeln!(out, "  {indent}  <- {}", input_text(input));
    }
    for (name, side) in &stage.sides {
        let _ = writeln!(out, "  {indent}  <- side {name}: {side}");
    }
    if !stage.after.is_empty() {
        let _ = writeln!(out, "  {indent}  after {}", stage.after.join(", "));
    }
    if let Some(output) = &stage.output {
        let _ = writeln!(out, "  {indent}  -> {output}");
    }
}

fn input_text(input: &Input) -> String {
    let settings = input.settings.iter().map(|(name, value)| format!(" {name}={value}"));
    format!("{}{}", input.source, settings.collect::<String>())
}

/// The components of a stage.
fn made_by(node: &Node) -> String {
    let roles = node.stage.roles.iter().map(|(role, path)| format!("{role}={path}"));
    let all: Vec<String> = node.stage.plugin.iter().cloned().chain(roles).collect();
    all.join(" ")
}

fn sources(node: &Node) -> impl Iterator<Item = &Source> {
    node.stage.inputs.iter().map(|input| &input.source).chain(node.stage.sides.values())
}
