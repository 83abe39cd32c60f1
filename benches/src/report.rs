//! What was found: sections of rows, ratios and targets, as text for people and for keeping.

use std::fmt;
use std::process::Command;

use crate::child::Sample;
use crate::setup::Setup;

/// Columns for the name of a row.
const NAME_COLUMNS: usize = 58;

/// Smallest, middle and largest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl FromIterator<f64> for Spread {
    fn from_iter<I: IntoIterator<Item = f64>>(numbers: I) -> Self {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let [min, .., max] = sorted.as_slice() else {
            let only = sorted.first().copied().unwrap_or(f64::NAN);
            return Self { min: only, median: only, max: only };
        };
        let middle = sorted.len() / 2;
        let upper = sorted[middle];
        let median = if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[middle - 1], upper) };
        Self { min: *min, median, max: *max }
    }
}

/// One contestant: seconds, and where it is known the processor's seconds and peak memory in MiB.
#[derive(Debug)]
pub struct Row {
    name: String,
    wall: Spread,
    cpu: Option<f64>,
    peak: Option<f64>,
}

impl Row {
    /// The row of a command.
    pub fn of_samples(name: &str, samples: &[Sample]) -> Self {
        Self {
            name: name.to_owned(),
            wall: samples.iter().map(|sample| sample.wall.as_secs_f64()).collect(),
            cpu: Some(samples.iter().map(|sample| sample.cpu.as_secs_f64()).collect::<Spread>().median),
            peak: Some(samples.iter().map(|sample| mib(sample.peak_bytes)).collect::<Spread>().median),
        }
    }

    /// A row of seconds only.
    pub fn of_seconds(name: &str, seconds: impl IntoIterator<Item = f64>) -> Self {
        Self { name: name.to_owned(), wall: seconds.into_iter().collect(), cpu: None, peak: None }
    }
}

/// What a number should be.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// Not above.
    AtMost(f64),
    /// Not below.
    AtLeast(f64),
    /// Only told.
    None,
}

/// A number that is compared with its target: nearly always a ratio.
#[derive(Debug)]
pub struct Finding {
    what: String,
    value: Spread,
    unit: &'static str,
    target: Target,
}

/// The results of one benchmark.
#[derive(Debug)]
pub struct Section {
    title: String,
    rows: Vec<Row>,
    findings: Vec<Finding>,
    /// Why there are no results, or not all.
    failure: Option<String>,
}

impl Section {
    /// An empty section.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), rows: Vec::new(), findings: Vec::new(), failure: None }
    }

    /// The section of a benchmark that came to no end.
    pub fn failed(title: &str, error: &anyhow::Error) -> Self {
        Self { failure: Some(format!("{error:#}")), ..Self::new(title) }
    }

    /// Adds rows.
    pub fn rows(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.rows.extend(rows);
    }

    /// Adds a ratio.
    pub fn ratio(&mut self, what: impl Into<String>, value: Spread, target: Target) {
        self.findings.push(Finding { what: what.into(), value, unit: "x", target });
    }

    /// Adds a number with a unit.
    pub fn number(&mut self, what: impl Into<String>, value: Spread, unit: &'static str, target: Target) {
        self.findings.push(Finding { what: what.into(), value, unit, target });
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, rows, findings, failure } = self;
        writeln!(f, "{title}")?;
        if !rows.is_empty() {
            let width = NAME_COLUMNS;
            writeln!(
                f,
                "  {:width$}{:>9}{:>9}{:>9}{:>9}{:>10}",
                "", "min s", "median s", "max s", "cpu s", "peak MiB"
            )?;
        }
        for Row { name, wall, cpu, peak } in rows {
            write!(f, "  {name:NAME_COLUMNS$}{:9.3}{:9.3}{:9.3}", wall.min, wall.median, wall.max)?;
            cpu.map_or(Ok(()), |cpu| write!(f, "{cpu:9.3}"))?;
            peak.map_or(Ok(()), |peak| write!(f, "{peak:10.0}"))?;
            writeln!(f)?;
        }
        findings.iter().try_for_each(|finding| writeln!(f, "  {finding}"))?;
        failure.iter().try_for_each(|failure| writeln!(f, "  FAILED  {failure}"))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, value: Spread { min, median, max }, unit, target } = self;
        let value = format!("{median:.2} {unit} ({min:.2} to {max:.2})");
        write!(f, "{} {what:NAME_COLUMNS$} {value:<28}", self.verdict())?;
        match target {
            Target::AtMost(most) => write!(f, "target: at most {most} {unit}"),
            Target::AtLeast(least) => write!(f, "target: at least {least} {unit}"),
            Target::None => Ok(()),
        }
    }
}

impl Finding {
    fn verdict(&self) -> &'static str {
        let met = match self.target {
            Target::AtMost(most) => self.value.median <= most,
            Target::AtLeast(least) => self.value.median >= least,
            Target::None => return "    ",
        };
        if met { "pass" } else { "FAIL" }
    }
}

/// A whole run.
#[derive(Debug)]
pub struct Report {
    facts: Vec<(&'static str, String)>,
    sections: Vec<Section>,
}

impl Report {
    /// A report that knows the machine and nothing else.
    pub fn begin(setup: &Setup) -> Self {
        let facts = vec![
            ("date", said(&["date", "-u", "+%F %H:%M UTC"])),
            ("machine", machine()),
            ("system", said(&["uname", "-sr"])),
            ("engine", format!("{}, {}", setup.engine_version(), revision())),
            ("rustc", said(&["rustc", "--version"])),
            ("sort", first_line(&["sort", "--version"])),
            ("grep", first_line(&["grep", "--version"])),
            ("text", setup.text_origin()),
            ("runs", setup.runs_said()),
        ];
        Self { facts, sections: Vec::new() }
    }

    /// Adds a section.
    pub fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// True if no output was wrong and no benchmark failed.
    pub fn is_right(&self) -> bool {
        self.sections.iter().all(|section| section.failure.is_none())
    }

    /// How many targets were met.
    pub fn verdicts(&self) -> String {
        let verdicts = || self.sections.iter().flat_map(|s| &s.findings).map(Finding::verdict);
        let met = verdicts().filter(|verdict| *verdict == "pass").count();
        let missed = verdicts().filter(|verdict| *verdict == "FAIL").count();
        let outputs = if self.is_right() { "every output was right" } else { "SOMETHING WAS WRONG" };
        format!("{met} targets met, {missed} missed; {outputs}\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.iter().try_for_each(|(name, fact)| writeln!(f, "{name:<9}{fact}"))?;
        self.sections.iter().try_for_each(|section| write!(f, "\n{section}"))
    }
}

/// Bytes in MiB.
#[expect(clippy::cast_precision_loss, reason = "for people, who read three digits")]
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}

/// What a command prints, or that it cannot be run.
fn said(argv: &[&str]) -> String {
    let output = Command::new(argv[0]).args(&argv[1..]).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn first_line(argv: &[&str]) -> String {
    said(argv).lines().next().unwrap_or_default().to_owned()
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!("{model}, {cores} cores, {} of memory, load {load} at the start", memory.trim())
}

fn revision() -> String {
    let root = crate::setup::ROOT;
    let head = said(&["git", "-C", root, "rev-parse", "--short", "HEAD"]);
    let changed = said(&["git", "-C", root, "status", "--porcelain", "--untracked-files=no"]);
    let changed = if changed.is_empty() || changed == "unknown" { "" } else { " with changes" };
    format!("revision {head}{changed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_middle_of_an_even_number_too() {
        let spread = |numbers: &[f64]| numbers.iter().copied().collect::<Spread>();
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Spread { min: 1.0, median: 2.0, max: 3.0 });
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(spread(&[7.0]), Spread { min: 7.0, median: 7.0, max: 7.0 });
    }

    #[test]
    fn a_missed_target_is_told_and_no_failure() {
        let mut section = Section::new("speed");
        section.ratio("us over them", [1.7].into_iter().collect(), Target::AtMost(1.6));
        section.ratio("them over us", [9.0].into_iter().collect(), Target::AtLeast(8.0));
        let text = section.to_string();
        assert!(text.contains("FAIL us over them") && text.contains("pass them over us"), "{text}");
        let mut report = Report { facts: Vec::new(), sections: vec![section] };
        assert!(report.is_right());
        assert!(report.verdicts().starts_with("1 targets met, 1 missed"));
        report.add(Section::failed("speed", &anyhow::anyhow!("WRONG")));
        assert!(!report.is_right());
    }
}
