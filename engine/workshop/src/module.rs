//! Core modules: what they import and export, and exports under other names. Must not know of roles.

use std::collections::HashMap;

use wasm_encoder::{ExportKind, ExportSection, RawSection};
use wasmparser::{BinaryReaderError, ExternalKind, Parser, Payload};

/// Section in which a module says its interface; generated bindings bring one along.
const TYPE_SECTION: &str = "component-type";

/// What a module has at its edges.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    /// Module and name of every import.
    pub(crate) imports: Vec<(String, String)>,
    /// Name of every export.
    pub(crate) exports: Vec<String>,
    /// It says its interface.
    pub(crate) has_world: bool,
}

/// The edges of a module.
///
/// # Errors
/// A sentence: it is no core module, or malformed.
pub(crate) fn edges(bytes: &[u8]) -> Result<Edges, String> {
    if !Parser::is_core_wasm(bytes) {
        return Err("what the compiler wrote is not a WebAssembly module".to_owned());
    }
    let mut edges = Edges::default();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(malformed)?;
                    edges.imports.push((import.module.to_owned(), import.name.to_owned()));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    edges.exports.push(export.map_err(malformed)?.name.to_owned());
                }
            }
            Payload::CustomSection(section) if section.name().starts_with(TYPE_SECTION) => {
                edges.has_world = true;
            }
            _ => {}
        }
    }
    Ok(edges)
}

/// The module with exports renamed, all else byte for byte as it was.
///
/// # Errors
/// A sentence: the module is malformed.
pub(crate) fn rename_exports(bytes: &[u8], names: &HashMap<String, String>) -> Result<Vec<u8>, String> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(malformed)?;
        if let Payload::ExportSection(section) = payload {
            let mut renamed = ExportSection::new();
            for export in section {
                let export = export.map_err(malformed)?;
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

fn malformed(error: BinaryReaderError) -> String {
    format!("what the compiler wrote is a malformed module: {error}")
}
