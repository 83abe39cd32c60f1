//! What a run of a pipeline tells whoever looks: a line for each stage as it begins and ends, and how far
//! those are that run.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mr_pipeline::{Call, LoopEnd, Made, Notice, Summary};
use mr_runtime::{JobReport, Phase, Progress};
use serde_json::{Value, json};

use crate::show::{Style, print_json};
use crate::size::{bytes, seconds};

/// Between two reports of what runs.
const REPORT: Duration = Duration::from_secs(2);

type Running = BTreeMap<String, (Value, Arc<Progress>)>;

/// The display of a run.
pub struct RunShow {
    style: Style,
    begun: Mutex<BTreeMap<String, Instant>>,
    running: Arc<Mutex<Running>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RunShow {
    /// A display that shows nothing yet.
    pub fn start(style: Style) -> Self {
        let running = Arc::new(Mutex::new(Running::new()));
        let (stop, stopped) = channel();
        let watched = Arc::clone(&running);
        let thread = std::thread::Builder::new().name("progress".into()).spawn(move || {
            while matches!(stopped.recv_timeout(REPORT), Err(RecvTimeoutError::Timeout)) {
                for (title, (named, progress)) in lock(&watched).iter() {
                    report(style, title, named, progress);
                }
            }
        });
        Self { style, begun: Mutex::default(), running, stop: Some(stop), thread: thread.ok() }
    }

    /// Who looks.
    pub fn style(&self) -> Style {
        self.style
    }

    /// How far a stage is, until [`RunShow::leave`].
    pub fn follow(&self, call: &Call, progress: &Arc<Progress>) {
        lock(&self.running).insert(call.title(), (named(call), Arc::clone(progress)));
    }

    /// The stage runs no more.
    pub fn leave(&self, call: &Call) {
        lock(&self.running).remove(&call.title());
    }

    /// Something happened.
    pub fn notice(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Started { call } => {
                lock(&self.begun).insert(call.title(), Instant::now());
                self.say(|| format!("{}: begins", call.title()), || self.event(call, "started"));
            }
            Notice::Reused { call, made } => {
                let size = size(made);
                self.say(
                    || format!("{}: taken over from a run before ({size})", call.title()),
                    || with_made(self.event(call, "reused"), made),
                );
            }
            Notice::Finished { call, made } => {
                let begun = lock(&self.begun).remove(&call.title());
                let millis =
                    begun.map_or(0, |begun| u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
                let text = || format!("{}: done in {} ({})", call.title(), seconds(millis), size(made));
                self.say(text, || {
                    let mut event = with_made(self.event(call, "finished"), made);
                    event["millis"] = millis.into();
                    event
                });
            }
            Notice::Failed { call, running } => {
                let others = match running {
                    0 => String::new(),
                    1 => "; one more stage still runs, and what it makes is kept".to_owned(),
                    more => format!("; {more} more stages still run, and what they make is kept"),
                };
                self.say(|| format!("{}: failed{others}", call.title()), || self.event(call, "failed"));
            }
            Notice::LoopEnded { name, iterations, end } => {
                let why = match end {
                    LoopEnd::Until => "its condition holds",
                    LoopEnd::Unchanged => "nothing changed any more",
                    LoopEnd::IterationsMax => "it had its iterations-max",
                };
                self.say(
                    || format!("loop {name}: ended after {iterations} iterations, {why}"),
                    || {
                        let end = match end {
                            LoopEnd::Until => "until",
                            LoopEnd::Unchanged => "unchanged",
                            LoopEnd::IterationsMax => "iterations-max",
                        };
                        json!({ "event": "loop", "loop": name, "iterations": iterations, "end": end })
                    },
                );
            }
        }
    }

    /// What a job of a stage told in the end, in JSON.
    pub fn job(&self, call: &Call, report: &JobReport) {
        if let Style::Json { to_stdout, quiet: false } = self.style
            && let Ok(mut value) = report.json()
        {
            merge(&mut value, &named(call));
            value["event"] = "job".into();
            print_json(to_stdout, &value);
        }
    }

    /// The run ended well.
    pub fn done(&self, pipeline: &str, summary: Summary, begun: Instant) {
        let Summary { ran, reused } = summary;
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.say(
            || format!("pipeline {pipeline}: done in {} ({ran} stages ran, {reused} taken over)", seconds(millis)),
            || json!({ "event": "finished", "pipeline": pipeline, "ran": ran, "reused": reused, "millis": millis }),
        );
    }

    /// A line for people, or an object for programs.
    pub fn say(&self, text: impl FnOnce() -> String, value: impl FnOnce() -> Value) {
        match self.style {
            Style::People { .. } => eprintln!("{}", text()),
            Style::Json { to_stdout, quiet: false } => print_json(to_stdout, &value()),
            _ => {}
        }
    }

    fn event(&self, call: &Call, state: &str) -> Value {
        let mut event = named(call);
        event["event"] = "stage".into();
        event["state"] = state.into();
        event
    }
}

impl Drop for RunShow {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The names of a stage in a run.
fn named(call: &Call) -> Value {
    let mut named = json!({ "pipeline": call.pipeline, "stage": call.stage.name });
    if call.iteration > 0 {
        named["iteration"] = call.iteration.into();
    }
    named
}

fn with_made(mut event: Value, made: &Made) -> Value {
    event["parts"] = made.parts.len().into();
    event["bytes"] = made.parts.iter().map(|part| part.bytes).sum::<u64>().into();
    event["counters"] = serde_json::to_value(&made.counters).unwrap_or_default();
    event
}

fn merge(value: &mut Value, more: &Value) {
    for (name, one) in more.as_object().into_iter().flatten() {
        value[name] = one.clone();
    }
}

fn size(made: &Made) -> String {
    let parts = made.parts.len();
    let sum = made.parts.iter().map(|part| part.bytes).sum();
    format!("{} in {parts} part{}", bytes(sum), if parts == 1 { "" } else { "s" })
}

fn report(style: Style, title: &str, named: &Value, progress: &Progress) {
    let percent = progress.parts_per_million() / 10_000;
    let phase = match progress.phase() {
        Phase::Plan => "plan",
        Phase::Map => "map",
        Phase::Reduce => "reduce",
        Phase::Publish => "publish",
    };
    match style {
        Style::People { .. } => eprintln!("{title}: {phase}, {percent} %"),
        Style::Json { to_stdout, quiet: false } => {
            let mut event = named.clone();
            event["event"] = "progress".into();
            event["phase"] = phase.into();
            event["percent"] = percent.into();
            event["output_bytes"] = progress.output_bytes.load(Ordering::Relaxed).into();
            print_json(to_stdout, &event);
        }
        _ => {}
    }
}
