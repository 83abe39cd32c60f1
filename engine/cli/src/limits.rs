//! `mr-engine limits`: everything that bounds a plugin, and what it is given of the machine. Also the
//! sections of SANDBOX.md that say the same; a test compares them.

use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use mr_model::Permissions;
use mr_model::limit::table::TABLE;
use mr_model::limit::{Limit, Unit};
use mr_sandbox::GRANTS;

use crate::args::LimitsArgs;
use crate::size::{bytes, count};

/// Prints the limits.
pub fn run(args: &LimitsArgs) -> Result<()> {
    let text = if args.json { format!("{:#}\n", as_json()) } else { as_text()? };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// A value of a limit for people; "none" where nothing is limited.
pub fn show(limit: &Limit, value: Option<u64>) -> String {
    let Some(value) = value else { return "none".to_owned() };
    match limit.unit {
        Unit::Bytes | Unit::Memory => bytes(value),
        Unit::Millis => time(Duration::from_millis(value)),
        Unit::Count => count(value),
    }
}

/// What a job's plugins may use, one line each: `name`, `value`.
pub fn permissions(permissions: &Permissions) -> Vec<(&'static str, String)> {
    let mut lines: Vec<(&'static str, String)> =
        permissions.limits().into_iter().map(|(limit, value)| (limit.name, show(limit, value))).collect();
    let clock = match permissions.wall_clock {
        Some(seconds) => format!("starts {seconds} seconds after 1970, the time of submission"),
        None => "denied: it starts in the year 2000".to_owned(),
    };
    lines.push(("wall clock", clock));
    lines
}

fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        _ if time.subsec_millis() > 0 => format!("{time:?}"),
        0..60 => format!("{seconds} s"),
        60..3600 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        3600.. if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ => format!("{seconds} s"),
    }
}

/// The most that a job can have, where it can ask.
fn most(limit: &Limit) -> String {
    if limit.is_fixed() { "fixed".to_owned() } else { show(limit, limit.max) }
}

fn as_text() -> Result<String> {
    let mut out = String::new();
    writeln!(out, "{:<36} {:>16} {:>14}  option", "limit", "default", "at most")?;
    for limit in TABLE {
        let default = show(limit, limit.default);
        let line = format!("{:<36} {default:>16} {:>14}  {}", limit.name, most(limit), limit.option);
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out, "\nimports on offer")?;
    for grant in GRANTS {
        writeln!(out, "{:<36} {}", grant.interface, grant.gives)?;
    }
    Ok(out)
}

fn as_json() -> serde_json::Value {
    let limits: Vec<serde_json::Value> = TABLE
        .iter()
        .map(|limit| {
            let unit = match limit.unit {
                Unit::Bytes | Unit::Memory => "bytes",
                Unit::Millis => "milliseconds",
                Unit::Count => "count",
            };
            serde_json::json!({
                "name": limit.name, "unit": unit, "default": limit.default, "max": limit.max,
                "fixed": limit.is_fixed(), "option": limit.option, "policy": limit.policy, "reason": limit.reason,
            })
        })
        .collect();
    let imports: Vec<serde_json::Value> = GRANTS
        .iter()
        .map(|grant| serde_json::json!({ "interface": grant.interface, "gives": grant.gives }))
        .collect();
    serde_json::json!({ "limits": limits, "imports": imports })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What stands around a section of SANDBOX.md that is made here.
    fn marks(section: &str) -> [String; 2] {
        [
            format!("<!-- {section}: made by the tests of mr-engine; do not edit -->\n"),
            format!("<!-- end of {section} -->\n"),
        ]
    }

    fn limits_section() -> String {
        let mut out = String::from(
            "| limit | default | at most | option | policy | why |\n|---|---|---|---|---|---|\n",
        );
        let code = |name: &str| if name.is_empty() { String::new() } else { format!("`{name}`") };
        for limit in TABLE {
            let (default, option, policy) =
                (show(limit, limit.default), code(limit.option), code(limit.policy));
            let cells = [limit.name, &default, &most(limit), &option, &policy, limit.reason];
            out.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        out
    }

    fn imports_section() -> String {
        let mut out = String::from("| import | what a plugin gets |\n|---|---|\n");
        for grant in GRANTS {
            out.push_str(&format!("| `{}` | {} |\n", grant.interface, grant.gives));
        }
        out
    }

    /// The text with what is between the marks of a section replaced.
    fn with_section(text: &str, section: &str, content: &str) -> String {
        let [begin, end] = marks(section);
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("SANDBOX.md has no {begin}"));
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("SANDBOX.md has no {end}"));
        format!("{before}{begin}{content}{end}{after}")
    }

    #[test]
    fn the_document_says_what_the_code_does() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../SANDBOX.md");
        let found = std::fs::read_to_string(&path).unwrap();
        let made = with_section(&found, "limits", &limits_section());
        let made = with_section(&made, "imports", &imports_section());
        if std::env::var_os("MR_WRITE_SANDBOX_MD").is_some() {
            std::fs::write(&path, &made).unwrap();
            return;
        }
        assert!(
            found == made,
            "SANDBOX.md differs from the code; write it anew with \
             `MR_WRITE_SANDBOX_MD=1 cargo test --release -p mr-engine the_document_says`"
        );
    }

    #[test]
    fn times_are_short() {
        let shown = |millis| time(Duration::from_millis(millis));
        assert_eq!(
            [50, 1_000, 90_000, 600_000, 86_400_000].map(shown),
            ["50ms", "1 s", "90 s", "10 min", "24 h"]
        );
    }
}
