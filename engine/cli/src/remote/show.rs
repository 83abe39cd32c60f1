//! Progress of a job on a cluster: bars on a terminal, plain lines elsewhere, JSON for machines. Shows
//! what the coordinator tells; asks nothing itself.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use mr_cluster::client::{Contact, Upload};
use mr_cluster::protocol::{JobState, JobView};
use mr_scheduler::StageStatus;

use crate::show::{Style, print_json};
use crate::size::bytes;

/// Between two plain lines or JSON objects.
const REPORT: Duration = Duration::from_secs(2);
/// A whole, in millionths.
const WHOLE: u64 = 1_000_000;

/// The display of one job.
pub struct RemoteShow {
    style: Style,
    away_max: Duration,
    bars: Option<Bars>,
    reported: Cell<Instant>,
    /// Ahead of every line.
    title: String,
}

struct Bars {
    all: MultiProgress,
    map: ProgressBar,
    reduce: ProgressBar,
}

impl RemoteShow {
    /// A display that shows nothing yet.
    pub fn new(style: Style, away_max: Duration) -> Self {
        let terminal = matches!(style, Style::People { .. }) && std::io::stderr().is_terminal();
        Self {
            style,
            away_max,
            bars: terminal.then(Bars::new),
            reported: Cell::new(Instant::now()),
            title: String::new(),
        }
    }

    /// A display of lines only, for one job of several: `title` is ahead of each.
    pub fn lines(style: Style, away_max: Duration, title: &str) -> Self {
        let title = format!("{title}: ");
        Self { style, away_max, bars: None, reported: Cell::new(Instant::now()), title }
    }

    /// A line for people.
    pub fn note(&self, text: &str) {
        match (&self.bars, self.style) {
            // A terminal that went away takes no lines; the job goes on.
            (Some(bars), _) => drop(bars.all.println(text)),
            (None, Style::People { .. }) => eprintln!("{}{text}", self.title),
            _ => {}
        }
    }

    /// The coordinator went away, or came back.
    pub fn contact(&self, contact: &Contact) {
        let text = match contact {
            Contact::Held => "the coordinator is back".to_owned(),
            Contact::Away { reason } => {
                let seconds = self.away_max.as_secs();
                format!(
                    "the coordinator is away ({reason}); waiting for up to {seconds} seconds until it is back"
                )
            }
        };
        if let Style::Json { to_stdout, quiet: false } = self.style {
            print_json(to_stdout, &serde_json::json!({ "event": "contact", "message": text }));
        }
        self.note(&text);
    }

    /// Part of the job has been sent to the coordinator.
    pub fn upload(&self, upload: Upload) {
        if self.bars.is_none() && self.is_due() {
            self.note(&format!("sent {} of {}", bytes(upload.bytes), bytes(upload.bytes_total)));
        }
    }

    /// The job stands like this.
    pub fn view(&self, view: &JobView) {
        if let Some(bars) = &self.bars {
            return bars.show(view);
        }
        if view.state == JobState::Ended || !self.is_due() {
            return;
        }
        match self.style {
            Style::Json { to_stdout, quiet: false } => {
                let mut progress = super::view::progress(view);
                progress["event"] = "progress".into();
                print_json(to_stdout, &progress);
            }
            Style::People { .. } => eprintln!("{}{}", self.title, line(view)),
            _ => {}
        }
    }

    /// Takes the display away.
    pub fn finish(&self) {
        if let Some(bars) = &self.bars {
            drop(bars.all.clear());
        }
    }

    /// Whether it is time for another line.
    fn is_due(&self) -> bool {
        let due = self.reported.get().elapsed() >= REPORT;
        if due {
            self.reported.set(Instant::now());
        }
        due
    }
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let template = "{prefix:8} {wide_bar:.cyan/dim} {percent:>4} % {msg:>40}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = |prefix: &'static str| {
            all.add(ProgressBar::new(WHOLE).with_prefix(prefix).with_style(style.clone()))
        };
        Self { map: bar("map"), reduce: bar("reduce"), all: all.clone() }
    }

    fn show(&self, view: &JobView) {
        let set = |bar: &ProgressBar, parts_per_million: u32, stage: &StageStatus| {
            bar.set_position(u64::from(parts_per_million).min(WHOLE));
            bar.set_message(tasks(stage));
        };
        set(&self.map, view.maps_parts_per_million, &view.maps);
        set(&self.reduce, view.reduces_parts_per_million, &view.reduces);
    }
}

/// How a job stands, in one line.
pub fn line(view: &JobView) -> String {
    let percent = |parts_per_million: u32| u64::from(parts_per_million).min(WHOLE) * 100 / WHOLE;
    let mut text = format!("map {} % ({})", percent(view.maps_parts_per_million), tasks(&view.maps));
    if view.reduces.total > 0 {
        let reduces = percent(view.reduces_parts_per_million);
        text.push_str(&format!(", reduce {reduces} % ({})", tasks(&view.reduces)));
    }
    if view.state == JobState::Publishing {
        text.push_str(", publishing");
    }
    if view.attempts_failed > 0 {
        text.push_str(&format!(", {} failed attempts", view.attempts_failed));
    }
    text
}

fn tasks(stage: &StageStatus) -> String {
    format!("{} of {} tasks done, {} running", stage.done, stage.total, stage.running)
}
