//! What makes a stage the same as one that ran before: everything that its output depends on, described
//! in one fixed way and hashed. What only says how fast it runs is left out.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::call::{Call, Origin};

/// Options of `submit` that do not change a byte of the output.
const WITHOUT_EFFECT: [&str; 9] = [
    "workers",
    "memory",
    "overwrite",
    "sync",
    "max-attempts",
    "task-timeout",
    "max-task-time",
    "compile-memory",
    "compile-time",
];

/// What a stage's output depends on beside what the pipeline says: what its files hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ingredients {
    /// Version of the engine.
    pub engine: String,
    /// BLAKE3 of each component, by what it is named for (`plugin`, `map`, ...).
    pub plugins: BTreeMap<String, String>,
    /// Files of each input that is a path, in order; nothing for what stages made.
    pub files: Vec<Vec<FileFact>>,
    /// BLAKE3 of each side that is a path, by its name.
    pub sides: BTreeMap<String, String>,
}

/// A file as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileFact {
    /// Its path, as bytes that are escaped where they are not UTF-8.
    pub path: String,
    /// Its length, in bytes.
    pub bytes: u64,
    /// When it was changed last, or another mark of its content.
    pub mark: String,
}

/// All of it, in the order that is hashed.
#[derive(Serialize)]
struct Description<'a> {
    layout: u32,
    stage: &'a str,
    iteration: u32,
    ingredients: &'a Ingredients,
    made: Vec<&'a str>,
    settings: Vec<&'a BTreeMap<String, String>>,
    sides: Vec<(&'a str, &'a str)>,
    params: &'a BTreeMap<String, String>,
    options: BTreeMap<&'a str, &'a [String]>,
    format: Option<&'a str>,
}

/// The key of a stage: BLAKE3 in hex.
pub fn key(call: &Call, ingredients: &Ingredients) -> String {
    let made = |origin: &'_ Origin| -> String {
        match origin {
            Origin::Made { digest, .. } => digest.clone(),
            Origin::Path(_) => String::new(),
        }
    };
    let inputs: Vec<String> = call.inputs.iter().map(|input| made(&input.origin)).collect();
    let sides: Vec<String> = call.sides.iter().map(|(_, origin)| made(origin)).collect();
    let options = call.stage.options.iter().filter(|(name, _)| !WITHOUT_EFFECT.contains(&name.as_str()));
    let description = Description {
        layout: 1,
        stage: &call.stage.name,
        iteration: call.iteration,
        ingredients,
        made: inputs.iter().map(String::as_str).collect(),
        settings: call.inputs.iter().map(|input| &input.settings).collect(),
        sides: call
            .sides
            .iter()
            .map(|(name, _)| name.as_str())
            .zip(sides.iter().map(String::as_str))
            .collect(),
        params: &call.stage.params,
        options: options.map(|(name, option)| (name.as_str(), option.values.as_slice())).collect(),
        format: call.output_format(),
    };
    // Maps of texts do not fail to be written.
    let text = serde_json::to_vec(&description).unwrap_or_default();
    blake3::hash(&text).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Input, Stage};

    fn call() -> Call {
        let stage =
            Stage::new("a").plugin("x.wasm").param("p", "1").option("reducers", "2").option("memory", "1G");
        Call {
            pipeline: "p".into(),
            folder: "".into(),
            stage,
            iteration: 0,
            inputs: vec![crate::call::CallInput {
                origin: Origin::Made { folder: "f".into(), digest: "d".into() },
                settings: Input::from("x").settings,
            }],
            sides: vec![("s".into(), Origin::Path("side".into()))],
            output: "o".into(),
            overwrite: false,
        }
    }

    fn ingredients() -> Ingredients {
        let file = FileFact { path: "f".into(), bytes: 1, mark: "m".into() };
        Ingredients {
            engine: "1".into(),
            plugins: [("plugin".to_owned(), "h".to_owned())].into(),
            files: vec![vec![file]],
            sides: [("s".to_owned(), "h".to_owned())].into(),
        }
    }

    /// Each ingredient makes another key, and nothing else does.
    #[test]
    fn every_ingredient_counts() {
        type Change = (&'static str, fn(&mut Call, &mut Ingredients));
        let base = key(&call(), &ingredients());
        let counts: &[Change] = &[
            ("engine", |_, one| one.engine.push('x')),
            ("plugin", |_, one| one.plugins.values_mut().for_each(|hash| hash.push('x'))),
            ("role", |_, one| one.plugins = [("map".to_owned(), "h".to_owned())].into()),
            ("path", |_, one| one.files[0][0].path.push('x')),
            ("length", |_, one| one.files[0][0].bytes += 1),
            ("time", |_, one| one.files[0][0].mark.push('x')),
            ("another file", |_, one| one.files.push(Vec::new())),
            ("side", |_, one| one.sides.values_mut().for_each(|hash| hash.push('x'))),
            ("stage", |call, _| call.stage.name.push('x')),
            ("iteration", |call, _| call.iteration += 1),
            ("parameter", |call, _| call.stage.params.values_mut().for_each(|value| value.push('x'))),
            ("option", |call, _| call.stage.options.get_mut("reducers").unwrap().values[0].push('0')),
            ("format", |call, _| call.stage.output = Some("o".into())),
            ("setting", |call, _| drop(call.inputs[0].settings.insert("format".into(), "kv".into()))),
            ("digest", |call, _| {
                call.inputs[0].origin = Origin::Made { folder: "f".into(), digest: "e".into() };
            }),
            ("side of a stage", |call, _| {
                call.sides[0].1 = Origin::Made { folder: "f".into(), digest: "e".into() };
            }),
            ("name of a side", |call, _| call.sides[0].0.push('x')),
        ];
        let mut keys = vec![base.clone()];
        for (what, change) in counts {
            let (mut call, mut ingredients) = (call(), ingredients());
            change(&mut call, &mut ingredients);
            let changed = key(&call, &ingredients);
            assert!(!keys.contains(&changed), "{what} does not count");
            keys.push(changed);
        }
        let without: &[Change] = &[
            ("memory", |call, _| call.stage.options.get_mut("memory").unwrap().values[0].push('0')),
            ("line", |call, _| call.stage.line += 1),
            ("pipeline", |call, _| call.pipeline.push('x')),
            ("folder", |call, _| {
                call.inputs[0].origin = Origin::Made { folder: "g".into(), digest: "d".into() }
            }),
            ("output", |call, _| call.output.push("x")),
        ];
        for (what, change) in without {
            let (mut call, mut ingredients) = (call(), ingredients());
            change(&mut call, &mut ingredients);
            assert_eq!(key(&call, &ingredients), base, "{what}");
        }
    }
}
