//! `mr-engine inspect`: what a plugin is and needs.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::Result;
use mr_model::DataType;
use mr_policy::{Approval, ComponentRefusal, PublicKey, SignatureError, Signed};
use mr_sandbox::{Plugin, read_component};

use crate::args::InspectArgs;
use crate::size::bytes;
use crate::{job, policy, show};

/// Prints what is known of a component.
pub fn run(args: &InspectArgs) -> Result<()> {
    let plugin =
        job::sandbox(&args.cache)?.load(&args.plugin, &mut |event| show::say_loading(&args.plugin, event))?;
    let trust = Trust::read(args)?;
    let text = if args.json {
        let mut value = as_json(&plugin);
        trust.add_json(&mut value);
        format!("{value:#}\n")
    } else {
        as_text(&plugin)? + &trust.text()
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Who signed a plugin, and what the policy says of it.
struct Trust {
    signed: Result<Signed, SignatureError>,
    policy: Option<(String, Result<Approval, ComponentRefusal>)>,
}

impl Trust {
    fn read(args: &InspectArgs) -> Result<Self> {
        let signed = Signed::of(&read_component(&args.plugin)?);
        let policy = match policy::read(&args.policy, None)? {
            Some(policy) => Some((policy.name().to_owned(), policy::verdict(&policy, &args.plugin)?)),
            None => None,
        };
        Ok(Self { signed, policy })
    }

    fn text(&self) -> String {
        let mut lines = match &self.signed {
            Ok(signed) if signed.signers.is_empty() => vec!["signed   by nobody".to_owned()],
            Ok(signed) => signed.signers.iter().map(|key| format!("signed   by {key}")).collect(),
            Err(error) => vec![format!("signed   wrongly: it {error}")],
        };
        lines.extend(self.policy.iter().map(|(name, verdict)| match verdict {
            Ok(approval) => format!("policy   {name} takes it: {approval}"),
            Err(refusal) => format!("policy   {name} refuses it: it {refusal}"),
        }));
        lines.join("\n") + "\n"
    }

    fn add_json(&self, value: &mut serde_json::Value) {
        value["signers"] = match &self.signed {
            Ok(signed) => signed.signers.iter().map(PublicKey::to_string).collect(),
            Err(error) => serde_json::json!({ "error": error.to_string() }),
        };
        if let Some((name, verdict)) = &self.policy {
            let sentence = match verdict {
                Ok(approval) => approval.to_string(),
                Err(refusal) => refusal.to_string(),
            };
            value["policy"] =
                serde_json::json!({ "path": name, "takes": verdict.is_ok(), "verdict": sentence });
        }
    }
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
