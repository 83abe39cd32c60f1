//! What can be told of a component without compiling or starting it: everything in its bytes that would
//! have it refused, and not only the first. [`Sandbox::load`](crate::Sandbox::load) has the last word;
//! this says the same of the same component, in the same sentences.
//!
//! In reading order: this file (the findings), `interface` (functions and their types), `demand` (what an
//! instance takes when it starts). Reads bytes that anybody may have written: no more of them than
//! [`COMPONENT_BYTES_MAX`](mr_model::limit::COMPONENT_BYTES_MAX), without their function bodies, and with
//! the parser's own limits on everything else.

mod demand;
mod interface;

use std::path::Path;

use mr_model::Role;
use mr_model::limit::{
    INSTANCES_MAX, MEMORIES_MAX, START_MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX, table,
};
use wasmparser::types::Types;
use wasmparser::{Parser, Payload, ValidPayload, Validator, WasmFeatures};

use self::demand::{Demand, Tally};
use crate::grants::granted;
use crate::inspect::{DESCRIPTION, check_import, check_version};
use crate::load::{self, LoadError};
use crate::log::clean;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// As it has to be.
    Fine,
    /// Worth a look.
    Warning,
    /// The plugin cannot be used.
    Refused,
}

/// What a [`Finding`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// What kind of file it is.
    File,
    /// One of its imports.
    Import,
    /// One of its roles, or its description of itself.
    Role,
    /// Linear memory that an instance begins with.
    Memory,
    /// Tables that an instance begins with.
    Tables,
    /// Core instances that an instance consists of.
    Instances,
}

impl Aspect {
    /// The aspect in one word.
    pub fn name(self) -> &'static str {
        match self {
            Aspect::File => "file",
            Aspect::Import => "import",
            Aspect::Role => "role",
            Aspect::Memory => "memory",
            Aspect::Tables => "tables",
            Aspect::Instances => "instances",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub aspect: Aspect,
    /// How grave it is.
    pub gravity: Gravity,
    /// What was found and, where that is not fine, what to do.
    pub sentence: String,
}

/// Looks at the bytes of a component that came from `path`. `guest_memory_bytes_max` is the linear memory
/// that its instances may have, in bytes.
pub fn survey(path: &Path, bytes: &[u8], guest_memory_bytes_max: u64) -> Vec<Finding> {
    if let Err(error) = load::check_kind(path, bytes) {
        return vec![refused(Aspect::File, path, &error)];
    }
    let read = Outline::read(bytes).map_err(|error| clean(&error.to_string()));
    let outline = match read.and_then(|outline| outline.ok_or_else(|| "it does not end".to_owned())) {
        Ok(outline) => outline,
        Err(reason) => {
            let error = LoadError::Compile { path: path.to_owned(), reason };
            return vec![refused(Aspect::File, path, &error)];
        }
    };
    let mut findings =
        vec![fine(Aspect::File, format!("a component of {}", show_memory(bytes.len() as u64)))];
    findings.extend(outline.imports.iter().map(|import| judge_import(path, import, &outline.types)));
    findings.extend(judge_exports(path, &outline));
    findings.extend(judge_demand(outline.demand, guest_memory_bytes_max));
    findings
}

/// A component as far as it matters here.
struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
    types: Types,
    demand: Demand,
}

impl Outline {
    /// Nothing where the bytes end before the component does.
    fn read(bytes: &[u8]) -> wasmparser::Result<Option<Self>> {
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        let (mut imports, mut exports) = (Vec::new(), Vec::new());
        let mut tally = Tally::default();
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            tally.take(&payload)?;
            match &payload {
                Payload::ComponentImportSection(section) if tally.is_outermost() => {
                    for import in section.clone() {
                        imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if tally.is_outermost() => {
                    for export in section.clone() {
                        exports.push(export?.name.name.to_owned());
                    }
                }
                _ => {}
            }
            if let ValidPayload::End(types) = validator.payload(&payload)?
                && let Some(demand) = tally.total()
            {
                return Ok(Some(Self { imports, exports, types, demand }));
            }
        }
        Ok(None)
    }
}

fn judge_import(path: &Path, import: &str, types: &Types) -> Finding {
    if let Err(error) = check_import(path, import) {
        return refused(Aspect::Import, path, &error);
    }
    let name = import.strip_prefix("mr:engine/").and_then(|rest| rest.split_once('@')).map(|(name, _)| name);
    if let Some(misfit) = name.and_then(|name| interface::misfits_of_import(types, import, name)) {
        return wrong_type(path, import, misfit);
    }
    let gives = granted(import).map_or("nothing", |grant| grant.gives);
    let gravity = if name == Some("side-input") { Gravity::Warning } else { Gravity::Fine };
    Finding { aspect: Aspect::Import, gravity, sentence: format!("{}: {gives}", clean(import)) }
}

fn judge_exports(path: &Path, outline: &Outline) -> Vec<Finding> {
    let Outline { exports, types, .. } = outline;
    let versions = exports.iter().filter_map(|export| check_version(path, export).err());
    let mut findings: Vec<Finding> = versions.map(|error| refused(Aspect::Role, path, &error)).collect();
    let mut known = 0;
    for name in Role::ALL.map(Role::name).into_iter().chain([DESCRIPTION]) {
        let export = crate::host::interface(name);
        if !exports.contains(&export) {
            continue;
        }
        known += 1;
        let misfits = interface::misfits_of_export(types, &export, name);
        if misfits.is_empty() {
            let functions: Vec<&str> = interface::functions(name).map(|(function, _)| function).collect();
            findings.push(fine(Aspect::Role, format!("{name} with {}", functions.join(", "))));
        }
        findings.extend(misfits.into_iter().map(|misfit| wrong_type(path, &export, misfit)));
    }
    if known == 0 && findings.is_empty() {
        findings.push(refused(Aspect::Role, path, &LoadError::NoRole { path: path.to_owned() }));
    }
    if known > 0 && !exports.contains(&crate::host::interface(DESCRIPTION)) {
        findings.push(Finding {
            aspect: Aspect::Role,
            gravity: Gravity::Warning,
            sentence: "it does not describe itself, so types and parameters are not checked; export \
                       mr:engine/plugin"
                .to_owned(),
        });
    }
    findings
}

/// Something that an instance begins with, beside what it may begin with.
#[derive(Clone, Copy)]
struct Bound {
    aspect: Aspect,
    value: u64,
    cap: u64,
    show: fn(u64) -> String,
    what: &'static str,
    mend: &'static str,
    /// Worth a line also where it fits.
    is_told: bool,
}

impl Bound {
    fn judge(&self) -> Option<Finding> {
        let Self { aspect, what, mend, .. } = self;
        let (value, cap) = ((self.show)(self.value), (self.show)(self.cap));
        if self.value > self.cap {
            let sentence = format!("{value} {what} to begin with, and {cap} are allowed; {mend}");
            return Some(Finding { aspect: *aspect, gravity: Gravity::Refused, sentence });
        }
        self.is_told.then(|| fine(*aspect, format!("{value} {what} to begin with; {cap} are allowed")))
    }
}

fn judge_demand(demand: Demand, guest_memory_bytes_max: u64) -> Vec<Finding> {
    let Demand { memory_bytes, memories, table_elements, tables, instances } = demand;
    let number = |aspect, value: u64, cap: usize, what, mend, is_told| Bound {
        aspect,
        value,
        cap: cap as u64,
        show: |number| number.to_string(),
        what,
        mend,
        is_told,
    };
    let memory = Bound {
        aspect: Aspect::Memory,
        value: memory_bytes,
        cap: guest_memory_bytes_max,
        show: show_memory,
        what: "of linear memory",
        mend: "raise --guest-memory, or build it with less",
        is_told: true,
    };
    // Whatever the job allows: every component is started once before any job runs.
    let start = Bound { cap: START_MEMORY_BYTES_MAX, mend: "build it with less", is_told: false, ..memory };
    let (smaller, fewer) = ("build it with smaller ones", "build it with fewer");
    let bounds = [
        memory,
        start,
        number(Aspect::Memory, memories, MEMORIES_MAX, "linear memories", fewer, false),
        number(Aspect::Tables, table_elements, TABLE_ELEMENTS_MAX, "elements of tables", smaller, true),
        number(Aspect::Tables, tables, TABLES_MAX, "tables", fewer, false),
        number(
            Aspect::Instances,
            instances,
            INSTANCES_MAX,
            "core instances",
            "build it from fewer modules",
            true,
        ),
    ];
    bounds.iter().filter_map(Bound::judge).collect()
}

fn show_memory(bytes: u64) -> String {
    table::GUEST_MEMORY.show(bytes)
}

fn fine(aspect: Aspect, sentence: String) -> Finding {
    Finding { aspect, gravity: Gravity::Fine, sentence }
}

fn wrong_type(path: &Path, interface: &str, reason: String) -> Finding {
    let error =
        LoadError::WrongType { path: path.to_owned(), interface: clean(interface), reason: clean(&reason) };
    let aspect = if reason.starts_with("import") { Aspect::Import } else { Aspect::Role };
    refused(aspect, path, &error)
}

/// A refusal in the words of whoever loads the plugin, without the path that all of them begin with.
fn refused(aspect: Aspect, path: &Path, error: &LoadError) -> Finding {
    Finding { aspect, gravity: Gravity::Refused, sentence: error.about(path) }
}
