//! What was typed about inputs: which patterns belong together under which name, and which options are of
//! which input. Opens nothing; that files are there is for whoever lists them to say.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use mr_model::job::is_input_name;
use mr_model::{Compression, Fields, InputFormat, is_address};

use crate::args::JobArgs;
use crate::exit::UsageError;

/// An input as it was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypedInput {
    /// Its name; empty for none.
    pub name: String,
    /// Files, folders and globs.
    pub patterns: Vec<String>,
    /// How its bytes become records.
    pub format: Option<InputFormat>,
    /// How its files are compressed.
    pub compression: Option<Compression>,
    /// Fields of the value.
    pub fields: Option<Fields>,
    /// Fields of the key.
    pub key_fields: Option<Fields>,
    /// The component of its mapper, where one was named.
    pub mapper: Option<PathBuf>,
}

/// The inputs, in the order in which they are named first. Without any there is one without patterns.
///
/// # Errors
/// An option is of an input that is not there, comes twice, or is malformed.
pub fn read(args: &JobArgs) -> Result<Vec<TypedInput>, UsageError> {
    let mut inputs: Vec<TypedInput> = Vec::new();
    for typed in &args.inputs {
        let (name, rest) = split_name(typed);
        let (pattern, format) = split_format(rest);
        if let (None, Some(reason)) = (format, no_format(rest)) {
            return Err(UsageError(format!("--input {typed}: {reason}")));
        }
        let known = inputs
            .iter_mut()
            .find(|input| input.name == name && (!name.is_empty() || input.format == format));
        match known {
            Some(known) if format.is_some() && known.format.is_some() && known.format != format => {
                return Err(UsageError(format!(
                    "--input {typed}: the input {name} has another format already; give one of them another name"
                )));
            }
            Some(known) => {
                known.format = known.format.or(format);
                known.patterns.push(pattern.to_owned());
            }
            None => inputs.push(TypedInput {
                name: name.to_owned(),
                patterns: vec![pattern.to_owned()],
                format,
                ..TypedInput::default()
            }),
        }
    }
    if inputs.is_empty() {
        inputs.push(TypedInput::default());
    }
    let mut settings = Settings { inputs: &mut inputs };
    settings.set("--input-format", &args.input_format, |input| &mut input.format)?;
    settings.set("--compression", &args.compression, |input| &mut input.compression)?;
    settings.set("--fields", &args.fields, |input| &mut input.fields)?;
    settings.set("--key-fields", &args.key_fields, |input| &mut input.key_fields)?;
    settings.set("--map", &args.map, |input| &mut input.mapper)?;
    Ok(inputs)
}

/// Every component that is named as a mapper.
pub fn mappers(inputs: &[TypedInput]) -> impl Iterator<Item = &PathBuf> {
    inputs.iter().filter_map(|input| input.mapper.as_ref())
}

/// Puts values of options into inputs.
struct Settings<'a> {
    inputs: &'a mut [TypedInput],
}

impl Settings<'_> {
    /// A value is `NAME=VALUE` for the input NAME, or holds for all that none is set for.
    fn set<T: FromStr + Clone>(
        &mut self,
        option: &str,
        typed: &[String],
        slot: impl Fn(&mut TypedInput) -> &mut Option<T>,
    ) -> Result<(), UsageError>
    where
        T::Err: std::fmt::Display,
    {
        let mut common: Option<T> = None;
        for text in typed {
            let named =
                text.split_once('=').filter(|(name, _)| is_input_name(name) && !Path::new(text).exists());
            let named = named.and_then(|(name, value)| {
                let at = self.inputs.iter().position(|input| input.name == name)?;
                Some((at, value))
            });
            let value = named.map_or(text.as_str(), |(_, value)| value);
            let value =
                value.parse::<T>().map_err(|error| UsageError(format!("{option} {text}: {error}")))?;
            let twice = match named {
                Some((at, _)) => {
                    slot(&mut self.inputs[at]).replace(value).is_some() && option != "--input-format"
                }
                None => common.replace(value).is_some(),
            };
            if twice {
                return Err(UsageError(format!("{option} {text}: it is given twice for the same input")));
            }
        }
        for input in self.inputs.iter_mut() {
            let slot = slot(input);
            if slot.is_none() {
                slot.clone_from(&common);
            }
        }
        Ok(())
    }
}

/// The name ahead of `=`, empty for none. What exists under the whole text is that.
fn split_name(typed: &str) -> (&str, &str) {
    match typed.split_once('=') {
        Some((name, rest)) if is_input_name(name) && !Path::new(typed).exists() => (name, rest),
        _ => ("", typed),
    }
}

/// The format behind `:`, where what is behind it is one. What exists under the whole text is that.
fn split_format(typed: &str) -> (&str, Option<InputFormat>) {
    if Path::new(typed).exists() {
        return (typed, None);
    }
    let colons = typed.match_indices(':').map(|(at, _)| at);
    let formats = colons.filter_map(|at| Some((&typed[..at], typed[at + 1..].parse::<InputFormat>().ok()?)));
    formats.into_iter().next().map_or((typed, None), |(pattern, format)| (pattern, Some(format)))
}

/// What is wrong with what stands behind `:`, where a file of the name ahead of it is there.
fn no_format(typed: &str) -> Option<String> {
    if Path::new(typed).exists() || is_address(Path::new(typed)) {
        return None;
    }
    let (path, format) = typed.split_once(':')?;
    Path::new(path).exists().then(|| format.parse::<InputFormat>().err())?
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn typed(options: &str) -> Result<Vec<TypedInput>, String> {
        let words = ["mr-engine", "explain", "p.wasm"].into_iter().chain(options.split(' '));
        let Command::Explain(args) = Cli::try_parse_from(words).unwrap().command else { panic!() };
        read(&args.job).map_err(|error| error.0)
    }

    #[test]
    fn patterns_gather_under_names_and_formats() {
        let inputs =
            typed("-i a -i orders=o/*.csv:csv -i b:fixed:10:2 -i c -i orders=more -i s3://b/k:tsv").unwrap();
        let shown: Vec<_> = inputs
            .iter()
            .map(|input| {
                let format = input.format.map_or("-".to_owned(), |format| format.to_string());
                format!("{}={}:{format}", input.name, input.patterns.join("+"))
            })
            .collect();
        assert_eq!(shown, ["=a+c:-", "orders=o/*.csv+more:csv", "=b:fixed:10:2", "=s3://b/k:tsv"]);
    }

    #[test]
    fn options_are_of_one_input_or_of_all() {
        let options = "-i o=a:csv -i u=b --fields u=id:u64,x --key-fields id --map u=u.wasm --map all.wasm \
                       --input-format jsonl --compression o=zstd";
        let inputs = typed(options).unwrap();
        assert_eq!(inputs[0].format, "csv".parse().ok());
        assert_eq!(inputs[1].format, "jsonl".parse().ok());
        assert_eq!(inputs[0].compression, Some(Compression::Zstd));
        assert_eq!(inputs[1].compression, None);
        assert_eq!([&inputs[0].fields, &inputs[1].fields], [&None, &"id:u64,x".parse().ok()]);
        assert!(inputs.iter().all(|input| input.key_fields == "id".parse().ok()));
        let mappers: Vec<_> = mappers(&inputs).map(|path| path.to_str().unwrap()).collect();
        assert_eq!(mappers, ["all.wasm", "u.wasm"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (options, sentence) in [
            ("-i o=a:csv -i o=b:tsv", "the input o has another format already"),
            ("-i o=a --fields o=x --fields o=y", "--fields o=y: it is given twice"),
            ("-i a --compression rar", "--compression rar: \"rar\" is no compression"),
            ("-i a --input-format xml", "--input-format xml: \"xml\" is no input format"),
        ] {
            let refused = typed(options).unwrap_err();
            assert!(refused.contains(sentence), "{refused}");
        }
    }
}
