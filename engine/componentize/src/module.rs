//! Core modules: what they import and export, and exports under other names.

use std::collections::HashMap;
use std::path::Path;

use wasm_encoder::{ExportKind, ExportSection, RawSection};
use wasmparser::{ExternalKind, Parser, Payload};

use crate::error::Error;

/// Names at the edges of a core module.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    /// Module and name of every import.
    pub(crate) imports: Vec<(String, String)>,
    /// Name of every export.
    pub(crate) exports: Vec<String>,
    /// Whether it says which world it was built for.
    pub(crate) has_world: bool,
}

/// Reads the names of a module; `path` is for messages.
pub(crate) fn edges(bytes: &[u8], path: &Path) -> Result<Edges, Error> {
    let fault = |why: String| Error::NotModule { path: path.to_owned(), why };
    if !Parser::is_core_wasm(bytes) {
        return Err(fault("it does not begin as one".into()));
    }
    let broken = |why: wasmparser::BinaryReaderError| fault(why.to_string());
    let mut edges = Edges::default();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(broken)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(broken)?;
                    edges.imports.push((import.module.to_owned(), import.name.to_owned()));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    edges.exports.push(export.map_err(broken)?.name.to_owned());
                }
            }
            Payload::CustomSection(section) if section.name().starts_with("component-type") => {
                edges.has_world = true;
            }
            _ => {}
        }
    }
    Ok(edges)
}

/// The module with exports renamed, all else byte for byte as it was.
pub(crate) fn rename_exports(
    bytes: &[u8],
    names: &HashMap<String, String>,
    path: &Path,
) -> Result<Vec<u8>, Error> {
    let broken =
        |why: wasmparser::BinaryReaderError| Error::NotModule { path: path.to_owned(), why: why.to_string() };
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(broken)?;
        if let Payload::ExportSection(section) = payload {
            let mut renamed = ExportSection::new();
            for export in section {
                let export = export.map_err(broken)?;
                let name = names.get(export.name).map_or(export.name, String::as_str);
                renamed.export(name, kind(export.kind), export.index);
            }
            module.section(&renamed);
        } else if let Some((id, range)) = payload.as_section() {
            let range = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            let data = range.and_then(|(start, end)| bytes.get(start..end)).unwrap_or_default();
            module.section(&RawSection { id, data });
        }
    }
    Ok(module.finish())
}

fn kind(kind: ExternalKind) -> ExportKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
        ExternalKind::Table => ExportKind::Table,
        ExternalKind::Memory => ExportKind::Memory,
        ExternalKind::Global => ExportKind::Global,
        ExternalKind::Tag => ExportKind::Tag,
    }
}
