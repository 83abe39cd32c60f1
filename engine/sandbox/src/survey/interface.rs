//! Functions of `wit/engine.wit` and whether a component's have the same types. Types are compared as
//! text: names of fields and cases count, names of parameters and of types do not.

use std::fmt::Write;

use wasmparser::component_types::{
    ComponentDefinedType, ComponentEntityType, ComponentFuncType, ComponentValType,
};
use wasmparser::types::Types;

/// Longest type that is shown, in bytes; the rest is cut.
const SHOWN_BYTES_MAX: usize = 200;
/// Longest type that is told apart from others, in bytes: those of the interface are much shorter.
const TEXT_BYTES_MAX: usize = 4096;

/// Types that have a name in the interface; `$` refers to one.
const NAMED: [(&str, &str); 7] = [
    ("$column", "record{width: u32, ends: list<u8>, data: list<u8>}"),
    ("$batch", "record{rows: u32, keys: $column, values: $column}"),
    (
        "$grouped-batch",
        "record{groups: u32, keys: $column, ends: list<u8>, rows: u32, values: $column, more: bool}",
    ),
    (
        "$task-context",
        "record{job-id: string, stage: u32, task: u32, attempt: u32, partitions: u32, seed: u64, batch-bytes: u32, \
         outputs: list<string>}",
    ),
    ("$error", "record{kind: enum{invalid-input, transient, fatal}, message: string, row: option<u32>}"),
    ("$values", "record{rows: u32, cells: $column}"),
    ("$info", "record{name: string, version: string, sdk: string, attributes: list<tuple<string, string>>}"),
];

/// Functions by interface: those of exports have to be there, of imports any may be.
const FUNCTIONS: [(&str, &str, &str); 22] = [
    ("mapper", "open", "($task-context) -> result<_, $error>"),
    ("mapper", "map-batch", "($batch) -> result<_, $error>"),
    ("mapper", "close", "() -> result<_, $error>"),
    ("combiner", "open", "($task-context) -> result<_, $error>"),
    ("combiner", "combine-batch", "($grouped-batch) -> result<_, $error>"),
    ("combiner", "close", "() -> result<_, $error>"),
    ("reducer", "open", "($task-context) -> result<_, $error>"),
    ("reducer", "reduce-batch", "($grouped-batch) -> result<_, $error>"),
    ("reducer", "close", "() -> result<_, $error>"),
    ("partitioner", "open", "($task-context) -> result<_, $error>"),
    ("partitioner", "partition-batch", "(u32, $column) -> result<list<u8>, $error>"),
    ("plugin", "describe", "() -> $info"),
    ("output", "emit", "(u32, $batch)"),
    ("output", "emit-partitioned", "($batch, list<u8>)"),
    ("output", "reject", "(u32, string)"),
    ("group-values", "next", "() -> option<$values>"),
    ("config", "get", "(string) -> option<string>"),
    ("config", "get-all", "() -> list<tuple<string, string>>"),
    ("counters", "add", "(list<tuple<string, s64>>)"),
    ("logging", "log", "(enum{trace, debug, info, warn, error}, string)"),
    ("side-input", "size", "(string) -> option<u64>"),
    ("side-input", "read", "(string, u64, u32) -> list<u8>"),
];

/// Functions of an interface, with their types.
pub(super) fn functions(interface: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    FUNCTIONS.iter().filter(move |(of, ..)| *of == interface).map(|(_, function, ty)| (*function, *ty))
}

/// What is wrong with the functions of an exported interface.
pub(super) fn misfits_of_export(types: &Types, export: &str, name: &str) -> Vec<String> {
    let found = types.as_ref().component_item_for_export(export).map(|item| item.ty);
    let Some(ComponentEntityType::Instance(instance)) = found else {
        return vec!["it is no interface".to_owned()];
    };
    let items = &types[instance].exports;
    let misfit = |(function, ty): (&str, &str)| match items.get(function).map(|item| item.ty) {
        None => Some(format!("function `{function}`: it is missing")),
        Some(ComponentEntityType::Func(func)) => misfit(types, &types[func], function, ty),
        Some(_) => Some(format!("function `{function}`: it is no function")),
    };
    functions(name).filter_map(misfit).collect()
}

/// What is wrong with the functions of an imported interface, if anything.
pub(super) fn misfits_of_import(types: &Types, import: &str, name: &str) -> Option<String> {
    let found = types.as_ref().component_item_for_import(import).map(|item| item.ty);
    let Some(ComponentEntityType::Instance(instance)) = found else {
        return Some("import: it is no interface".to_owned());
    };
    let misfits = types[instance].exports.iter().filter_map(|(function, item)| {
        let ComponentEntityType::Func(func) = item.ty else { return None };
        match functions(name).find(|(known, _)| known == function) {
            Some((_, ty)) => misfit(types, &types[func], function, ty),
            None => Some(format!("function `{function}`: there is none of this name")),
        }
    });
    let misfits: Vec<String> = misfits.collect();
    if misfits.is_empty() { None } else { Some(format!("import: {}", misfits.join("; "))) }
}

fn misfit(types: &Types, found: &ComponentFuncType, function: &str, expected: &str) -> Option<String> {
    let text = Text::of_function(types, found);
    if text == expand(expected) {
        return None;
    }
    let mut shown = text;
    if shown.len() > SHOWN_BYTES_MAX {
        shown.truncate(shown.floor_char_boundary(SHOWN_BYTES_MAX));
        shown.push_str("...");
    }
    Some(format!("function `{function}`: it is func{shown} and has to be func{}", expected.replace('$', "")))
}

/// Puts the definitions of named types in their places.
fn expand(ty: &str) -> String {
    let mut text = ty.to_owned();
    // Definitions refer to names in front of them only, so one round from behind is enough.
    for (name, definition) in NAMED.iter().rev() {
        text = text.replace(name, definition);
    }
    text
}

/// Types as text, never longer than [`TEXT_BYTES_MAX`] and a little: a type of a hostile component can be
/// as wide as it is deep.
struct Text<'a> {
    types: &'a Types,
    text: String,
}

impl<'a> Text<'a> {
    fn of_function(types: &'a Types, func: &ComponentFuncType) -> String {
        let mut text = Self { types, text: String::from("(") };
        text.list(func.params.iter().map(|(_, ty)| (None, Some(*ty))));
        text.text.push(')');
        if let Some(result) = func.result {
            text.text.push_str(" -> ");
            text.value(result);
        }
        if func.async_ {
            text.text.insert_str(0, " async ");
        }
        text.text
    }

    fn value(&mut self, ty: ComponentValType) {
        if self.text.len() > TEXT_BYTES_MAX {
            return;
        }
        match ty {
            ComponentValType::Primitive(primitive) => drop(write!(self.text, "{primitive}")),
            ComponentValType::Type(id) => self.defined(&self.types[id]),
        }
    }

    fn defined(&mut self, ty: &'a ComponentDefinedType) {
        match ty {
            ComponentDefinedType::Primitive(primitive) => drop(write!(self.text, "{primitive}")),
            ComponentDefinedType::Record(record) => {
                let fields = record.fields.iter().map(|(name, ty)| (Some(name.as_str()), Some(*ty)));
                self.within("record{", fields, '}');
            }
            ComponentDefinedType::Variant(variant) => {
                let cases = variant.cases.iter().map(|(name, case)| (Some(name.as_str()), case.ty));
                self.within("variant{", cases, '}');
            }
            ComponentDefinedType::Enum(names) => {
                self.within("enum{", names.iter().map(|name| (Some(name.as_str()), None)), '}');
            }
            ComponentDefinedType::Flags(names) => {
                self.within("flags{", names.iter().map(|name| (Some(name.as_str()), None)), '}');
            }
            ComponentDefinedType::List { element, .. } => self.within("list<", [(None, Some(*element))], '>'),
            ComponentDefinedType::Tuple(tuple) => {
                self.within("tuple<", tuple.types.iter().map(|ty| (None, Some(*ty))), '>');
            }
            ComponentDefinedType::Option { ty, .. } => self.within("option<", [(None, Some(*ty))], '>'),
            ComponentDefinedType::Result { ok, err, .. } => {
                let part = |ty: &Option<ComponentValType>| (ty.is_none().then_some("_"), *ty);
                self.within("result<", [part(ok), part(err)], '>');
            }
            // None of these is in the interface: which it is does not matter.
            _ => self.text.push_str("something else"),
        }
    }

    fn within<'n>(
        &mut self,
        open: &str,
        items: impl IntoIterator<Item = (Option<&'n str>, Option<ComponentValType>)>,
        close: char,
    ) {
        self.text.push_str(open);
        self.list(items);
        self.text.push(close);
    }

    fn list<'n>(&mut self, items: impl IntoIterator<Item = (Option<&'n str>, Option<ComponentValType>)>) {
        for (number, (name, ty)) in items.into_iter().enumerate() {
            if self.text.len() > TEXT_BYTES_MAX {
                return;
            }
            if number > 0 {
                self.text.push_str(", ");
            }
            self.text.push_str(name.unwrap_or_default());
            if let Some(ty) = ty {
                if name.is_some() {
                    self.text.push_str(": ");
                }
                self.value(ty);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every function is in the interface as it is written, in the right place.
    #[test]
    fn functions_are_those_of_the_interface() {
        let wit = include_str!("../../../../wit/engine.wit");
        let mut found = 0;
        for block in wit.split("\ninterface ").skip(1) {
            let name = block.split_whitespace().next().unwrap();
            let body = block.split("\n}").next().unwrap();
            for line in body.lines().map(str::trim) {
                let Some((function, _)) = line.split_once(": func(") else { continue };
                assert!(functions(name).any(|(known, _)| known == function), "{name}.{function}");
                found += 1;
            }
        }
        assert_eq!(found, FUNCTIONS.len());
        for (_, _, ty) in FUNCTIONS {
            assert!(!expand(ty).contains('$'), "{ty}");
        }
    }
}
