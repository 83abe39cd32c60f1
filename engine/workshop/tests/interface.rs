//! `docs/interface.md` is what `wit/engine.wit` says, in the form of a reference: made here, and compared with what
//! stands there, so that the two cannot differ.

#![cfg(test)]

use std::fmt::Write;
use std::path::Path;

use wit_parser::{Docs, Function, Interface, Resolve, Type, TypeDef, TypeDefKind, World, WorldItem};

const WIT: &str = include_str!("../../../wit/engine.wit");
const INTRODUCTION: &str = "\
This is what a plugin imports and exports, made from [wit/engine.wit](../wit/engine.wit). SDKs hide all of it; it is for those who write one,
or go without. Cells of keys and values are described in [wit/ENCODING.md](../wit/ENCODING.md), what a plugin may say of itself in
[wit/ATTRIBUTES.md](../wit/ATTRIBUTES.md).
";

/// The whole document.
fn document() -> String {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("engine.wit", WIT).unwrap();
    let package = &resolve.packages[package];
    let mut text =
        format!("# The interface of plugins, `{}`\n\n{INTRODUCTION}\n{}", package.name, prose(&package.docs));
    let everything = &resolve.worlds[package.worlds["job"]];
    for (name, id) in &package.interfaces {
        let interface = &resolve.interfaces[*id];
        let way = way(&resolve, everything, name);
        heading(&mut text, &format!("## `{name}`, {way}"), &interface.docs);
        interface_text(&resolve, interface, &mut text);
    }
    text.push_str("\n## Worlds\n\nWhat a component of each kind imports and exports.\n\n| world | imports | exports |\n|---|---|---|\n");
    for (name, id) in &package.worlds {
        let world = &resolve.worlds[*id];
        let [imports, exports] = [&world.imports, &world.exports].map(|items| {
            let names = items.values().filter_map(|item| item_name(&resolve, item));
            names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        });
        writeln!(text, "| `{name}` | {imports} | {exports} |").unwrap();
    }
    text
}

/// Whether plugins import or export an interface.
fn way(resolve: &Resolve, world: &World, name: &str) -> &'static str {
    let is_it = |item: &WorldItem| item_name(resolve, item).is_some_and(|item| item == name);
    match (world.exports.values().any(is_it), name) {
        (true, _) => "exported by a plugin",
        (false, "types") => "used by the others",
        (false, _) => "imported by a plugin",
    }
}

fn item_name<'a>(resolve: &'a Resolve, item: &WorldItem) -> Option<&'a str> {
    match item {
        WorldItem::Interface { id, .. } => resolve.interfaces[*id].name.as_deref(),
        _ => None,
    }
}

fn interface_text(resolve: &Resolve, interface: &Interface, text: &mut String) {
    for (name, id) in &interface.types {
        type_text(resolve, name, &resolve.types[*id], text);
    }
    for function in interface.functions.values() {
        heading(text, &format!("### `{}`", signature(resolve, function)), &function.docs);
    }
}

/// A type that an interface defines; what it takes from another interface is told there.
fn type_text(resolve: &Resolve, name: &str, definition: &TypeDef, text: &mut String) {
    match &definition.kind {
        TypeDefKind::Record(record) => {
            heading(text, &format!("### record `{name}`"), &definition.docs);
            text.push_str("\n| field | type | |\n|---|---|---|\n");
            for field in &record.fields {
                let (datatype, says) = (type_name(resolve, &field.ty), line(&field.docs));
                writeln!(text, "| `{}` | `{datatype}` | {says} |", field.name).unwrap();
            }
        }
        TypeDefKind::Enum(cases) => {
            heading(text, &format!("### enum `{name}`"), &definition.docs);
            text.push('\n');
            for case in &cases.cases {
                let says =
                    if case.docs.is_empty() { String::new() } else { format!(": {}", line(&case.docs)) };
                writeln!(text, "* `{}`{says}", case.name).unwrap();
            }
        }
        TypeDefKind::Type(_) => {}
        other => panic!("this page has no form for a {}: {name}", other.as_str()),
    }
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let params: Vec<String> = function
        .params
        .iter()
        .map(|param| format!("{}: {}", param.name, type_name(resolve, &param.ty)))
        .collect();
    let result =
        function.result.map_or(String::new(), |result| format!(" -> {}", type_name(resolve, &result)));
    format!("{}({}){result}", function.name, params.join(", "))
}

/// A type as the interface writes it.
fn type_name(resolve: &Resolve, datatype: &Type) -> String {
    let Type::Id(id) = datatype else {
        return format!("{datatype:?}").to_lowercase();
    };
    let definition = &resolve.types[*id];
    if let Some(name) = &definition.name {
        return name.clone();
    }
    let name = |inner: &Type| type_name(resolve, inner);
    match &definition.kind {
        TypeDefKind::List(inner) => format!("list<{}>", name(inner)),
        TypeDefKind::Option(inner) => format!("option<{}>", name(inner)),
        TypeDefKind::Tuple(tuple) => {
            format!("tuple<{}>", tuple.types.iter().map(name).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Result(result) => {
            let side = |side: &Option<Type>| side.as_ref().map_or("_".to_owned(), name);
            format!("result<{}, {}>", side(&result.ok), side(&result.err))
        }
        other => panic!("this page has no form for a {}", other.as_str()),
    }
}

/// A heading with what is said below it.
fn heading(text: &mut String, title: &str, docs: &Docs) {
    let says = prose(docs);
    writeln!(text, "\n{title}").unwrap();
    if !says.is_empty() {
        write!(text, "\n{says}").unwrap();
    }
}

/// Documentation as paragraphs, or nothing.
fn prose(docs: &Docs) -> String {
    let Some(text) = &docs.contents else { return String::new() };
    // Lines of dashes divide the file, and say nothing of what follows them.
    let kept: Vec<&str> = text.trim_end().lines().filter(|line| !line.starts_with("----")).collect();
    if kept.is_empty() { String::new() } else { format!("{}\n", kept.join("\n")) }
}

/// Documentation in one line, for a table.
fn line(docs: &Docs) -> String {
    prose(docs).split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[test]
fn the_reference_says_what_the_interface_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interface.md");
    let made = document();
    if std::env::var_os("MR_WRITE_INTERFACE_MD").is_some() {
        std::fs::write(&path, &made).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == made,
        "docs/interface.md differs from wit/engine.wit; write it anew with \
         `MR_WRITE_INTERFACE_MD=1 cargo test --release -p mr-workshop the_reference_says`"
    );
}
