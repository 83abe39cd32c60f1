//! The closing summary of a job.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use mr_model::counter::grouped;
use mr_model::quantity::percent;
use mr_runtime::{HotKey, JobReport};

use crate::show::{Style, print_json};
use crate::size::{bytes, count, seconds};

/// Shows the summary to whoever looks. `output` is the folder, where it went to one; `loaded` the time
/// until the job was planned, where this process planned it.
pub fn print(
    style: Style,
    report: &JobReport,
    output: Option<&Path>,
    loaded: Option<Duration>,
) -> Result<()> {
    let loaded = loaded.map(|loaded| u64::try_from(loaded.as_millis()).unwrap_or(u64::MAX));
    match style {
        Style::Quiet | Style::Json { quiet: true, .. } => {}
        Style::Json { to_stdout, .. } => {
            let mut value = report.json()?;
            value["event"] = "finished".into();
            value["load_millis"] = loaded.unwrap_or(0).into();
            print_json(to_stdout, &value);
        }
        Style::People { .. } => eprint!("{}", text(report, output, loaded)),
    }
    Ok(())
}

fn text(report: &JobReport, output: Option<&Path>, loaded: Option<u64>) -> String {
    let mut out = String::new();
    let millis = report.millis;
    let load = loaded.map(|loaded| format!("load {}, ", seconds(loaded))).unwrap_or_default();
    let mut line = |name: &str, text: String| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name:<9}{text}");
    };
    line(
        "done",
        format!(
            "in {} ({load}plan {}, map {}, reduce {}, publish {})",
            seconds(loaded.unwrap_or(0) + millis.total),
            seconds(millis.plan),
            seconds(millis.map),
            seconds(millis.reduce),
            seconds(millis.publish),
        ),
    );
    line(
        "input",
        format!(
            "{} records, {} in {} and {}",
            count(report.input_records),
            bytes(report.input_bytes),
            plural(report.input_files, "file"),
            plural(report.map_tasks, "split"),
        ),
    );
    if report.reduce_tasks > 0 {
        line(
            "map",
            format!(
                "{} records, {} emitted",
                count(report.map_output_records),
                bytes(report.map_output_bytes)
            ),
        );
        line("shuffle", shuffle(report));
        line(
            "reduce",
            format!("{} groups in {}", count(report.reduce_groups), plural(report.reduce_tasks, "task")),
        );
        report.hot_keys.iter().for_each(|hot| line("hot key", hot_key(hot)));
        if !report.hot_keys.is_empty() {
            line("", HOT_KEY_ADVICE.to_owned());
        }
    }
    let target = match output {
        Some(path) => format!(" in {}", path.display()),
        None if report.output_closed => " (the reader left early)".to_owned(),
        None => String::new(),
    };
    line(
        "output",
        format!(
            "{} records, {} in {}{target}",
            count(report.output_records),
            bytes(report.output_bytes),
            plural(report.parts.len() as u64, "part"),
        ),
    );
    if report.rejects > 0 {
        let kept = match output {
            Some(_) => "kept in _rejects.jsonl",
            None => "not kept: give --output",
        };
        line("rejects", format!("{} records, {kept}", count(report.rejects)));
    }
    if report.attempts_failed > 0 {
        line("retries", format!("{} attempts failed and were tried again", count(report.attempts_failed)));
    }
    if report.counters_left_out > 0 {
        line("counter", format!("{} counts left out: too many names", count(report.counters_left_out)));
    }
    let mut above = None;
    for (name, value) in report.counters.iter() {
        let (group, name) = grouped(name).map_or((None, name), |(group, name)| (Some(group), name));
        if let Some(group) = group.filter(|_| group != above) {
            line("counters", group.to_owned());
        }
        above = group;
        match group {
            Some(_) => line("", format!("  {name} = {value}")),
            None => line("counter", format!("{name} = {value}")),
        }
    }
    out
}

/// What to do about keys that hold up a job.
const HOT_KEY_ADVICE: &str = "its one task takes that long: let a combiner fold its values, or let the mapper \
                              salt the key and a second job add up; range partitioning does not divide one key";

fn hot_key(hot: &HotKey) -> String {
    format!(
        "\"{}\" has {} records, {}, {} of all that were reduced, in partition {}",
        hot.key,
        count(hot.records),
        bytes(hot.bytes),
        percent(hot.share_per_million),
        hot.partition,
    )
}

fn shuffle(report: &JobReport) -> String {
    let spilled = report.spilled;
    let mut text = format!("{} records, {}", count(report.shuffle_records), bytes(report.shuffle_bytes));
    if spilled.spill_files > 0 {
        let _ = write!(
            text,
            ", {} of {} spilled",
            plural(spilled.spill_files, "run"),
            bytes(spilled.spill_bytes)
        );
    } else {
        text.push_str(", nothing spilled");
    }
    if spilled.combine_input_records > 0 {
        let _ = write!(
            text,
            ", combined {} to {} records",
            count(spilled.combine_input_records),
            count(spilled.combine_output_records)
        );
    }
    text
}

fn plural(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}
