//! Progress while a job runs: bars on a terminal, plain lines elsewhere, JSON for machines. A thread of
//! its own reads the job's counters; the job never waits for it.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use mr_runtime::{Phase, Plan, Progress};
use mr_sandbox::{LoadProgress, LogForward};

use crate::size;

/// Between two looks at the counters.
const REFRESH: Duration = Duration::from_millis(100);
/// Between two plain lines or JSON objects.
const REPORT: Duration = Duration::from_secs(2);

/// Components of this size are compiled for seconds, those of language runtimes.
const SLOW_BYTES: u64 = 1 << 20;

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Somebody at a terminal or reading a log.
    People {
        /// Show the plugins' log lines.
        verbose: bool,
    },
    /// A program.
    Json {
        /// On standard output; otherwise on standard error.
        to_stdout: bool,
        /// Only errors.
        quiet: bool,
    },
    /// Nobody.
    Quiet,
}

/// The display of one job.
pub struct Show {
    style: Style,
    bars: Option<MultiProgress>,
    compile: Mutex<Option<ProgressBar>>,
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

/// What takes time while the plugin of this file is loaded.
fn loading(path: &Path, event: LoadProgress) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).display();
    match event {
        LoadProgress::Compiling { bytes } => {
            format!("compiling {name} ({}) for this machine, once", size::bytes(bytes))
        }
        LoadProgress::Waiting => format!("waiting for another process that compiles {name}"),
    }
}

/// Says on standard error what takes time where there is no display of a job, unless it is over in no time.
pub fn say_loading(path: &Path, event: LoadProgress) {
    if !matches!(event, LoadProgress::Compiling { bytes } if bytes < SLOW_BYTES) {
        eprintln!("{}", loading(path, event));
    }
}

impl Show {
    /// Starts to show `progress`.
    pub fn start(style: Style, progress: Arc<Progress>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bars = (matches!(style, Style::People { .. }) && terminal).then(MultiProgress::new);
        let (stop, stopped) = channel();
        let thread = match (style, &bars) {
            (Style::Quiet | Style::Json { quiet: true, .. }, _) => None,
            (_, Some(bars)) => {
                let bars = Bars::new(bars, progress);
                std::thread::Builder::new().name("progress".into()).spawn(move || bars.run(&stopped)).ok()
            }
            (style, None) => {
                let lines = Lines::new(style, progress);
                std::thread::Builder::new().name("progress".into()).spawn(move || lines.run(&stopped)).ok()
            }
        };
        Self { style, bars, compile: Mutex::default(), stop, thread }
    }

    /// The plugin of this file is being compiled.
    pub fn loading(&self, path: &Path, event: LoadProgress) {
        let text = loading(path, event);
        match (self.style, &self.bars) {
            (Style::People { .. }, Some(bars)) => {
                let bar = bars.add(ProgressBar::new_spinner().with_message(text));
                bar.enable_steady_tick(REFRESH);
                if let Ok(mut compile) = self.compile.lock()
                    && let Some(former) = compile.replace(bar)
                {
                    former.finish_and_clear();
                }
            }
            (Style::People { .. }, None) => eprintln!("{text}"),
            (Style::Json { to_stdout, quiet: false }, _) => {
                print_json(to_stdout, &serde_json::json!({ "event": "loading", "message": text }));
            }
            _ => {}
        }
    }

    /// The plan is made; the job begins.
    pub fn planned(&self, plan: &Plan) {
        if let Ok(mut compile) = self.compile.lock()
            && let Some(bar) = compile.take()
        {
            bar.finish_and_clear();
        }
        if let Style::Json { to_stdout, quiet: false } = self.style {
            print_json(
                to_stdout,
                &serde_json::json!({
                    "event": "planned",
                    "job": plan.spec.id,
                    "input_files": plan.files.len(),
                    "input_bytes": plan.input_bytes(),
                    "map_tasks": plan.splits.len(),
                    "reduce_tasks": plan.spec.reducers,
                }),
            );
        }
    }

    /// What takes the plugins' log lines, where somebody wants them.
    pub fn log_forward(&self) -> Option<LogForward> {
        if self.style != (Style::People { verbose: true }) {
            return None;
        }
        let bars = self.bars.clone();
        Some(Arc::new(move |role, level, line: &str| {
            let text = format!("{role} {}: {line}", format!("{level:?}").to_lowercase());
            match &bars {
                // A terminal that went away takes no lines; the job goes on.
                Some(bars) => drop(bars.println(text)),
                None => eprintln!("{text}"),
            }
        }))
    }

    /// Takes the display away.
    pub fn finish(mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        if let Some(bars) = &self.bars {
            drop(bars.clear());
        }
    }
}

/// Writes one JSON object on a line. A reader that went away is no reason to stop the job.
pub fn print_json(to_stdout: bool, value: &serde_json::Value) {
    if to_stdout {
        drop(writeln!(std::io::stdout(), "{value}"));
    } else {
        drop(writeln!(std::io::stderr(), "{value}"));
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// True while the job still runs, after a wait.
fn wait(stopped: &Receiver<()>) -> bool {
    matches!(stopped.recv_timeout(REFRESH), Err(RecvTimeoutError::Timeout))
}

/// Bars on a terminal.
struct Bars {
    progress: Arc<Progress>,
    map: ProgressBar,
    shuffle: ProgressBar,
    reduce: ProgressBar,
}

impl Bars {
    fn new(bars: &MultiProgress, progress: Arc<Progress>) -> Self {
        let bytes = "{prefix:8} {wide_bar:.cyan/dim} {binary_bytes:>11}/{binary_total_bytes} {binary_bytes_per_sec:>13} {eta:>4}";
        let tasks = "{prefix:8} {wide_bar:.cyan/dim} {pos:>11}/{len} {msg:>16} {eta:>4}";
        let style = |template| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let bar = |prefix: &'static str, template| {
            bars.add(ProgressBar::new(0).with_prefix(prefix).with_style(style(template)))
        };
        Self {
            map: bar("map", bytes),
            shuffle: bar("shuffle", bytes),
            reduce: bar("reduce", tasks),
            progress,
        }
    }

    fn run(&self, stopped: &Receiver<()>) {
        let mut shown = Phase::Plan;
        while wait(stopped) {
            let progress = &self.progress;
            let phase = progress.phase();
            if phase == Phase::Plan {
                continue;
            }
            show(&self.map, load(&progress.map_bytes), load(&progress.map_bytes_total));
            if phase >= Phase::Reduce {
                if shown < Phase::Reduce {
                    // Rates and times left of a stage count from its begin, and stand still at its end.
                    self.map.abandon();
                    self.shuffle.reset();
                    self.reduce.reset();
                }
                show(&self.shuffle, load(&progress.shuffle_bytes), load(&progress.shuffle_bytes_total));
                show(&self.reduce, load(&progress.reduce_tasks), load(&progress.reduce_tasks_total));
                self.reduce.set_message(size::bytes(load(&progress.output_bytes)));
            }
            shown = phase;
        }
    }
}

/// Work that is done again counts again, so what is shown is capped.
fn show(bar: &ProgressBar, done: u64, total: u64) {
    bar.set_length(total);
    bar.set_position(done.min(total));
}

/// Plain lines, or JSON objects.
struct Lines {
    style: Style,
    progress: Arc<Progress>,
}

impl Lines {
    fn new(style: Style, progress: Arc<Progress>) -> Self {
        Self { style, progress }
    }

    fn run(&self, stopped: &Receiver<()>) {
        let mut reported = Instant::now();
        while wait(stopped) {
            if reported.elapsed() >= REPORT {
                reported = Instant::now();
                self.report();
            }
        }
    }

    fn report(&self) {
        let progress = &self.progress;
        let (map, map_total) = (load(&progress.map_bytes), load(&progress.map_bytes_total));
        let (tasks, tasks_total) = (load(&progress.reduce_tasks), load(&progress.reduce_tasks_total));
        let (shuffle, shuffle_total) = (load(&progress.shuffle_bytes), load(&progress.shuffle_bytes_total));
        match self.style {
            Style::Json { to_stdout, .. } => print_json(
                to_stdout,
                &serde_json::json!({
                    "event": "progress",
                    "phase": format!("{:?}", progress.phase()).to_lowercase(),
                    "map_bytes": map, "map_bytes_total": map_total,
                    "shuffle_bytes": shuffle, "shuffle_bytes_total": shuffle_total,
                    "reduce_tasks": tasks, "reduce_tasks_total": tasks_total,
                    "output_bytes": load(&progress.output_bytes),
                }),
            ),
            _ => match progress.phase() {
                Phase::Plan => {}
                Phase::Map => {
                    eprintln!("map {} of {}", size::bytes(map.min(map_total)), size::bytes(map_total))
                }
                Phase::Reduce => eprintln!(
                    "shuffle {} of {}, reduce {} of {} tasks",
                    size::bytes(shuffle.min(shuffle_total)),
                    size::bytes(shuffle_total),
                    tasks.min(tasks_total),
                    tasks_total
                ),
                Phase::Publish => eprintln!("publishing"),
            },
        }
    }
}
