//! Names that stand for values: `{name}` in what a stage says.

use std::collections::BTreeMap;

use crate::pipeline::{Input, Source, Stage};

/// The parameter that every loop has: the number of the round, from 1.
pub(crate) const ITERATION: &str = "iteration";

/// Puts the values of `names` in the place of `{name}`. Braces around anything else stay: patterns have
/// them, too.
pub(crate) fn replace(text: &str, names: &BTreeMap<String, String>) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        replaced.push_str(&rest[..open]);
        let inside = &rest[open + 1..];
        let value = inside.find('}').and_then(|close| Some((names.get(&inside[..close])?, close)));
        match value {
            Some((value, close)) => {
                replaced.push_str(value);
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
pub(crate) fn replace_in_stage(stage: &Stage, names: &BTreeMap<String, String>) -> Stage {
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
pub(crate) fn replace_in_input(input: &Input, names: &BTreeMap<String, String>) -> Input {
    let settings = input.settings.iter().map(|(name, value)| (name.clone(), replace(value, names)));
    Input { source: replace_in_source(&input.source, names), settings: settings.collect(), line: input.line }
}

fn replace_in_source(source: &Source, names: &BTreeMap<String, String>) -> Source {
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
            assert_eq!(replace(text, &names), expected);
        }
    }
}
