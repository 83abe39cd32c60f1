//! `mr-engine inspect`: what a plugin is and needs.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::Result;
use mr_model::DataType;
use mr_sandbox::Plugin;

use crate::args::InspectArgs;
use crate::job;
use crate::size::bytes;

/// Prints what is known of a component.
pub fn run(args: &InspectArgs) -> Result<()> {
    let plugin = job::sandbox(&args.cache)?.load(&args.plugin, &mut |_| {})?;
    let text = if args.json { format!("{:#}\n", as_json(&plugin)) } else { as_text(&plugin)? };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn as_text(plugin: &Plugin) -> Result<String> {
    let mut out = String::new();
    writeln!(out, "file     {} ({})", plugin.path().display(), bytes(plugin.bytes()))?;
    writeln!(out, "blake3   {}", plugin.hash())?;
    match plugin.info() {
        Some(info) => writeln!(out, "plugin   {} {} (built with {})", info.name, info.version, info.sdk)?,
        None => writeln!(out, "plugin   does not describe itself")?,
    }
    let roles: Vec<&str> = plugin.roles().iter().map(|role| role.name()).collect();
    let roles =
        if roles.is_empty() { "none: every stage is the identity".to_owned() } else { roles.join(", ") };
    writeln!(out, "roles    {roles}")?;
    let contract = plugin.contract();
    let stages = [
        ("map emits", &contract.map),
        ("combine", &contract.combine),
        ("reduce takes", &contract.reduce_in),
        ("reduce emits", &contract.reduce),
    ];
    for (name, (key, value)) in stages {
        if key.is_some() || value.is_some() {
            writeln!(out, "types    {name} {}, {}", type_name(key), type_name(value))?;
        }
    }
    for (name, param) in contract.params.iter().flatten() {
        let default = match (&param.default, param.required) {
            (Some(default), _) => format!(" = {default}"),
            (None, true) => ", required".to_owned(),
            (None, false) => String::new(),
        };
        writeln!(out, "param    {name}: {}{default}  {}", param.datatype, param.help)?;
    }
    for import in plugin.imports() {
        let gives = mr_sandbox::granted(import).map_or("unknown", |grant| grant.gives);
        writeln!(out, "imports  {import}: {gives}")?;
    }
    Ok(out)
}

fn type_name(datatype: &Option<DataType>) -> String {
    datatype.as_ref().map_or_else(|| "anything".to_owned(), DataType::to_string)
}

fn as_json(plugin: &Plugin) -> serde_json::Value {
    serde_json::json!({
        "path": plugin.path(),
        "bytes": plugin.bytes(),
        "blake3": plugin.hash(),
        "info": plugin.info(),
        "roles": plugin.roles(),
        "contract": plugin.contract(),
        "imports": plugin.imports(),
        "exports": plugin.exports(),
    })
}
