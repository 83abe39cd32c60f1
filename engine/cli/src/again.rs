//! Runs that come again, of jobs and of pipelines: at certain times (`--every`), or whenever there are new
//! files (`--watch`), until somebody interrupts.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mr_pipeline::beat::{self, Clock};
pub use mr_pipeline::watch::Committed;
use mr_pipeline::watch::{Intent, WATCH_POLL, Watch};
use mr_runtime::PlanError;
use mr_storage::InputError;
use mr_storage::InputFile;
use mr_stores::StoreInputs;

use crate::args::run::AgainArgs;
use crate::exit::UsageError;
use crate::interrupt::Interrupt;
use crate::job;
use crate::show::{Style, print_json};

/// Between two looks at whether somebody interrupted.
const INTERRUPT_POLL: Duration = Duration::from_millis(100);
/// What the names of jobs of new files begin with.
const JOB_PREFIX: &str = "watch";

/// Runs that come again.
pub struct Again<'a> {
    args: &'a AgainArgs,
    interrupt: &'a Interrupt,
    style: Style,
}

/// The clock of the machine.
struct Machine<'a> {
    begun: Instant,
    interrupt: &'a Interrupt,
}

impl Clock for Machine<'_> {
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn wait_until(&mut self, then: Duration) -> bool {
        self.interrupt.arm();
        loop {
            if self.interrupt.is_raised() {
                return false;
            }
            let left = then.saturating_sub(self.now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(INTERRUPT_POLL));
        }
    }
}

impl<'a> Again<'a> {
    /// Runs as the command line says.
    pub fn new(args: &'a AgainArgs, interrupt: &'a Interrupt, style: Style) -> Self {
        Self { args, interrupt, style }
    }

    /// Runs now and every so often.
    ///
    /// # Errors
    /// The first failure of a run.
    pub fn every(&self, every: Duration, run: impl FnMut() -> Result<()>) -> Result<()> {
        if every < beat::EVERY_MIN {
            let least = beat::EVERY_MIN.as_secs();
            return Err(UsageError(format!("--every is at least {least} s")).into());
        }
        beat::repeat(every, &mut self.clock(), run)
    }

    /// Runs with what is new, whenever something is. Runs are counted in `folder`.
    ///
    /// # Errors
    /// The first failure of a run; the next call takes the same files again.
    pub fn watch(
        &self,
        folder: &Path,
        committed: Committed,
        run: &mut dyn FnMut(&Intent) -> Result<()>,
    ) -> Result<()> {
        let mut watch = Watch::open(folder, committed)?;
        let mut clock = self.clock();
        loop {
            match self.next(&mut watch)? {
                Some(intent) => {
                    self.say(&format!("{}: {} new files", intent.name(), intent.files.len()), &intent);
                    run(&intent)?;
                    watch.commit(&intent)?;
                }
                None if self.args.once => {
                    self.say_nothing();
                    return Ok(());
                }
                None => {}
            }
            if self.args.once || !clock.wait_until(clock.now() + WATCH_POLL) {
                return Ok(());
            }
        }
    }

    /// The next run, if there are files for one.
    fn next(&self, watch: &mut Watch) -> Result<Option<Intent>> {
        let listed = list(&self.args.watch)?;
        if let Some(pending) = watch.pending().cloned() {
            if Watch::is_unchanged(&pending, &listed) {
                return Ok(Some(pending));
            }
            // What it was begun with is not there any more, so nobody can finish it.
            watch.forget();
        }
        let now = job::since_1970()?;
        let now_ns = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        let fresh = watch.fresh(&listed, now_ns, self.args.settle);
        if fresh.is_empty() {
            return Ok(None);
        }
        let name = format!("{JOB_PREFIX}-{}-{}", now.as_millis(), std::process::id());
        Ok(Some(watch.intend(name, fresh)?))
    }

    fn clock(&self) -> Machine<'a> {
        Machine { begun: Instant::now(), interrupt: self.interrupt }
    }

    fn say(&self, text: &str, intent: &Intent) {
        match self.style {
            Style::People { .. } => eprintln!("{text}"),
            Style::Json { to_stdout, quiet: false } => print_json(
                to_stdout,
                &serde_json::json!({ "event": "run", "run": intent.name(), "files": intent.files.len() }),
            ),
            _ => {}
        }
    }

    fn say_nothing(&self) {
        match self.style {
            Style::People { .. } => eprintln!("nothing new"),
            Style::Json { to_stdout, quiet: false } => {
                print_json(to_stdout, &serde_json::json!({ "event": "nothing-new" }));
            }
            _ => {}
        }
    }
}

/// The files that are watched. That there are none yet is no fault.
fn list(patterns: &[String]) -> Result<Vec<InputFile>> {
    let mut listed = Vec::new();
    for pattern in patterns {
        let pattern = job::absolute_pattern(pattern).context("--watch")?;
        match mr_storage::list_inputs(std::slice::from_ref(&pattern), &[], Some(&StoreInputs::default())) {
            Ok(files) => listed.extend(files),
            Err(InputError::NoMatch { .. } | InputError::Missing { .. }) => {}
            Err(error) => return Err(anyhow::Error::from(PlanError::Input(error)).context("--watch")),
        }
    }
    Ok(listed)
}
