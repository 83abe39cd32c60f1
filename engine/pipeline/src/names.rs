//! Names that stand for values: `{name}` in what a stage says.

use std::borrow::Cow;
use std::collections::BTreeMap;

use mr_model::Counters;
use mr_model::counter::ENGINE_GROUP;

use crate::pipeline::{Input, Source, Stage};

/// The parameter that every loop has: the number of the round, from 1.
pub(crate) const ITERATION: &str = "iteration";
/// What begins the name of a counter of the stages that are read.
const COUNTER: &str = "counter:";

/// What names stand for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    /// Values by name.
    pub values: &'a BTreeMap<String, String>,
    /// What was counted by the stages that are read, where that is known by now: `{counter:NAME}`.
    pub counters: Option<&'a Counters>,
}

impl<'a> Names<'a> {
    /// Values alone, before anything ran.
    pub fn values(values: &'a BTreeMap<String, String>) -> Self {
        Self { values, counters: None }
    }

    /// What a name stands for. A counter that nobody counted is 0.
    fn value(self, name: &str) -> Option<Cow<'a, str>> {
        if let Some(value) = self.values.get(name) {
            return Some(Cow::Borrowed(value));
        }
        let (counters, name) = (self.counters?, name.strip_prefix(COUNTER)?);
        // Those are not kept.
        if name.starts_with(ENGINE_GROUP) {
            return None;
        }
        Some(Cow::Owned(counters.value(name).to_string()))
    }
}

/// Puts the values of `names` in the place of `{name}`. Braces around anything else stay: patterns have
/// them, too.
pub(crate) fn replace(text: &str, names: Names<'_>) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        replaced.push_str(&rest[..open]);
        let inside = &rest[open + 1..];
        let value = inside.find('}').and_then(|close| Some((names.value(&inside[..close])?, close)));
        match value {
            Some((value, close)) => {
                replaced.push_str(&value);
                rest = &inside[close + 1..];
            }
            None => {
                replaced.push('{');
                rest = inside;
            }
        }
    }
    replaced.push_str(rest);
    replaced
}

/// Replaces names in all that a stage says, but for the names of its own.
pub(crate) fn replace_in_stage(stage: &Stage, names: Names<'_>) -> Stage {
    let text = |text: &String| replace(text, names);
    let source = |source: &Source| replace_in_source(source, names);
    let mut replaced = stage.clone();
    replaced.plugin = stage.plugin.as_ref().map(text);
    replaced.roles.values_mut().for_each(|path| *path = replace(path, names));
    replaced.inputs = stage.inputs.iter().map(|input| replace_in_input(input, names)).collect();
    replaced.sides.values_mut().for_each(|side| *side = source(side));
    replaced.output = stage.output.as_ref().map(text);
    replaced.params.values_mut().for_each(|value| *value = replace(value, names));
    let values = replaced.options.values_mut().flat_map(|option| &mut option.values);
    values.for_each(|value| *value = replace(value, names));
    replaced
}

/// Replaces names in an input.
pub(crate) fn replace_in_input(input: &Input, names: Names<'_>) -> Input {
    let settings = input.settings.iter().map(|(name, value)| (name.clone(), replace(value, names)));
    Input { source: replace_in_source(&input.source, names), settings: settings.collect(), line: input.line }
}

fn replace_in_source(source: &Source, names: Names<'_>) -> Source {
    match source {
        Source::Path(path) => Source::Path(replace(path, names)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_replaced() {
        let names = [("a", "1"), ("b", "{a}")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let names = BTreeMap::from(names);
        for (text, expected) in
            [("{a}-{b}", "1-{a}"), ("x{2,3}{c}{", "x{2,3}{c}{"), ("{{a}}", "{1}"), ("", ""), ("é{a}é", "é1é")]
        {
            assert_eq!(replace(text, Names::values(&names)), expected);
        }
        let mut counters = Counters::default();
        assert!(counters.add("nodes", 7).is_ok());
        let known = Names { values: &names, counters: Some(&counters) };
        let text = "{counter:nodes}/{counter:none}/{a}";
        assert_eq!(replace(text, known), "7/0/1");
        assert_eq!(replace(text, Names::values(&names)), "{counter:nodes}/{counter:none}/1");
    }
}
