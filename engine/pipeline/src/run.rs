//! Runs a pipeline: does what [`crate::flow`] says with the help of somebody who can run a stage. One thread
//! owns flow and ledger; each stage under way has a thread of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::Scope;

use mr_model::{Counters, is_address};

use crate::call::{Call, RESULT, Resolved, data_folder};
use crate::flow::{Action, Event, Flow, Known, LoopEnd, NodeId};
use crate::graph::Graph;
use crate::key::{Ingredients, key};
use crate::ledger::{Entry, Ledger, LedgerError, Made, Manifest};
use crate::place::placed;

/// Digits of a key in the name of a job.
const KEY_DIGITS: usize = 8;

/// Who runs the stages of a pipeline.
pub trait StageRunner: Sync {
    /// Why a stage cannot run, or did not end well.
    type Error: Send;

    /// What the output of a stage depends on beside what the pipeline says.
    ///
    /// # Errors
    /// A component or an input that cannot be read.
    fn ingredients(&self, call: &Call) -> Result<Ingredients, Self::Error>;

    /// Runs a stage to its end as the job `job`.
    ///
    /// # Errors
    /// Why it did not end well.
    fn run(&self, call: &Call, job: &str, share: Share) -> Result<Made, Self::Error>;

    /// The manifest of the output at an address, if a whole one is there. Who knows no stores leaves this out.
    ///
    /// # Errors
    /// It cannot be told.
    fn published(&self, _address: &Path) -> Result<Option<Vec<u8>>, Self::Error> {
        Ok(None)
    }

    /// Whether a job may go on although running it ended so: then the next run takes it up again.
    fn may_go_on(&self, error: &Self::Error) -> bool;

    /// Something happened, for whoever watches.
    fn notice(&self, notice: &Notice<'_>);
}

/// What a stage may take of the machine: so many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Its units.
    pub units: u32,
    /// All units.
    pub of: u32,
}

/// How a pipeline is run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Folder for output between stages and the ledger; kept between runs.
    pub work: PathBuf,
    /// Most stages that run at once.
    pub parallel: u32,
    /// Output between stages is not deleted.
    pub keep: bool,
    /// Nothing of earlier runs is taken over.
    pub fresh: bool,
    /// A name for this run that no other has: at most 12 of a-z and 0-9.
    pub run: String,
}

/// What happens in a run.
#[derive(Debug)]
pub enum Notice<'a> {
    /// A stage is taken over from a run before.
    Reused {
        /// The stage.
        call: &'a Call,
        /// What it made then.
        made: &'a Made,
    },
    /// A stage begins.
    Started {
        /// The stage.
        call: &'a Call,
    },
    /// A stage ended well.
    Finished {
        /// The stage.
        call: &'a Call,
        /// What it made.
        made: &'a Made,
    },
    /// A stage failed; nothing further is begun, and what runs is waited for.
    Failed {
        /// The stage.
        call: &'a Call,
        /// How many stages still run.
        running: usize,
    },
    /// A loop has ended.
    LoopEnded {
        /// Its name.
        name: &'a str,
        /// Its rounds.
        iterations: u32,
        /// Why.
        end: LoopEnd,
    },
}

/// A run that ended well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Stages that ran; each round counts.
    pub ran: u64,
    /// Stages that were taken over from runs before.
    pub reused: u64,
}

/// Why a run did not end well.
#[derive(Debug)]
pub enum RunError<E> {
    /// The work folder cannot be used.
    Ledger(LedgerError),
    /// A stage failed.
    Stage {
        /// Which, and in which round, for people.
        title: String,
        /// Why.
        error: E,
    },
    /// A stage made other output of the same things than in a run before.
    Differs {
        /// Which, and in which round, for people.
        title: String,
    },
    /// Something else is where the result of a stage is to go. Nothing ran.
    Taken {
        /// Which, for people.
        title: String,
        /// The place.
        path: PathBuf,
    },
}

impl<E> From<LedgerError> for RunError<E> {
    fn from(error: LedgerError) -> Self {
        RunError::Ledger(error)
    }
}

/// What becomes of a stage in the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is taken over from a run before.
    Reused,
    /// It runs.
    Runs,
    /// It depends on what others make that run.
    Open,
}

/// Runs a pipeline to its end.
///
/// # Errors
/// The first failure. Stages that ran at the same time were waited for; what ended well is taken over by
/// the next run.
pub fn run<R: StageRunner>(
    graph: &Graph,
    options: &RunOptions,
    runner: &R,
) -> Result<Summary, RunError<R::Error>> {
    let ledger = Ledger::open(&options.work)?;
    let mut run = Run::new(graph, options, runner, ledger);
    run.check_places()?;
    std::thread::scope(|scope| run.drive(scope))
}

/// What would become of each stage, by its number; a stage of a loop has the fate of its latest round.
/// Changes nothing.
///
/// # Errors
/// A work folder, a component or an input that cannot be read.
pub fn foresee<R: StageRunner>(
    graph: &Graph,
    options: &RunOptions,
    runner: &R,
) -> Result<Vec<Fate>, RunError<R::Error>> {
    let mut run = Run::new(graph, options, runner, Ledger::peek(&options.work)?);
    let mut queue: VecDeque<Action> = run.flow.begin().into();
    while let Some(action) = queue.pop_front() {
        if let Action::Look { node } = action {
            let event = run.look(node)?;
            queue.extend(run.flow.handle(event));
        }
    }
    let fate = |(stage, node): (usize, &crate::graph::Node)| {
        let iteration = node.in_loop.map_or(0, |number| run.flow.turn(number).0);
        let node = NodeId { stage, iteration };
        match (run.flow.known(node), run.flow.is_due(node)) {
            (Some(_), _) => Fate::Reused,
            (None, true) => Fate::Runs,
            (None, false) => Fate::Open,
        }
    };
    Ok(graph.stages().iter().enumerate().map(fate).collect())
}

/// Where a stage's output is, or will be.
struct Place {
    call: Call,
    key: String,
    digest: String,
}

type Told<E> = (NodeId, Result<Made, E>);

struct Run<'a, R: StageRunner> {
    graph: &'a Graph,
    options: &'a RunOptions,
    runner: &'a R,
    flow: Flow<'a>,
    ledger: Ledger,
    places: BTreeMap<NodeId, Place>,
    running: usize,
    summary: Summary,
    failure: Option<RunError<R::Error>>,
}

impl<'a, R: StageRunner> Run<'a, R> {
    fn new(graph: &'a Graph, options: &'a RunOptions, runner: &'a R, ledger: Ledger) -> Self {
        Self {
            graph,
            options,
            runner,
            flow: Flow::new(graph, options.parallel, options.keep),
            ledger,
            places: BTreeMap::new(),
            running: 0,
            summary: Summary::default(),
            failure: None,
        }
    }

    /// Refuses places of results that are taken, before anything runs for hours.
    fn check_places(&self) -> Result<(), RunError<R::Error>> {
        let stages = self.graph.stages().iter().filter(|node| node.in_loop.is_none()).map(|node| &node.stage);
        for stage in stages.filter(|stage| !stage.options.contains_key("overwrite")) {
            let Some(output) = &stage.output else { continue };
            let path = placed(self.graph.folder(), output);
            let title = format!("stage {}", stage.name);
            let found = self.found(&title, &path)?;
            // What else is at an address is found when its stage begins.
            let taken = if is_address(&path) { found.is_some() } else { path.symlink_metadata().is_ok() };
            if taken && !self.ledger.is_own(&path, found.as_ref()) {
                return Err(RunError::Taken { title, path });
            }
        }
        Ok(())
    }

    /// What the output in a place says of itself.
    fn found(&self, title: &str, place: &Path) -> Result<Option<Manifest>, RunError<R::Error>> {
        if !is_address(place) {
            return Ok(Manifest::read(place));
        }
        let published = self.runner.published(place);
        let failed = |error| RunError::Stage { title: title.to_owned(), error };
        Ok(published.map_err(failed)?.and_then(|bytes| Manifest::of(&bytes)))
    }

    fn drive<'s>(&mut self, scope: &'s Scope<'s, '_>) -> Result<Summary, RunError<R::Error>>
    where
        'a: 's,
    {
        let (tell, told) = channel::<Told<R::Error>>();
        let mut queue: VecDeque<Action> = self.flow.begin().into();
        loop {
            while let Some(action) = queue.pop_front() {
                match action {
                    Action::Look { node } => {
                        let event = match self.look(node) {
                            Ok(event) => event,
                            Err(failure) => self.failed(node, failure),
                        };
                        queue.extend(self.flow.handle(event));
                    }
                    Action::Run { node, units } => self.launch(node, units, scope, &tell)?,
                    Action::LoopEnded { number, iterations, end } => {
                        let name = &self.graph.loops()[number].name;
                        self.runner.notice(&Notice::LoopEnded { name, iterations, end });
                    }
                    Action::Remove { node } => self.remove(node),
                    Action::Differs { node } => {
                        let title = self.places[&node].call.title();
                        self.failure.get_or_insert(RunError::Differs { title });
                    }
                    Action::Done => {
                        self.ledger.tidy(self.options.keep)?;
                        return Ok(self.summary);
                    }
                    Action::Stopped => return Err(self.failure.take().unwrap_or_else(unreachable_stop)),
                }
            }
            // This end of the channel is held here, so that waiting ends with an answer.
            let Ok((node, result)) = told.recv() else { return Err(unreachable_stop()) };
            let event = self.ended(node, result)?;
            queue.extend(self.flow.handle(event));
        }
    }

    /// Finds out what a stage would make, and whether it is there.
    fn look(&mut self, node: NodeId) -> Result<Event, RunError<R::Error>> {
        let sources = self.flow.sources(node);
        let made: Vec<Resolved> = sources.iter().map(|sources| self.resolve(sources)).collect();
        let mut call = Call::new(self.graph, node.stage, node.iteration, &made, &self.counted(&sources));
        let ingredients = self.runner.ingredients(&call);
        let ingredients = ingredients.map_err(|error| RunError::Stage { title: call.title(), error })?;
        let key = key(&call, &ingredients);
        call.output = match &call.stage.output {
            Some(output) => call.path(output),
            None => data_folder(self.ledger.folder(), &call, &key),
        };
        let there = self.found(&call.title(), &call.output)?;
        call.overwrite = call.stage.output.is_none()
            || call.stage.options.contains_key("overwrite")
            || self.ledger.is_own(&call.output, there.as_ref());
        let mut place = Place { call, key, digest: String::new() };
        let found = if self.options.fresh { None } else { self.find(&mut place, there)? };
        self.places.insert(node, place);
        Ok(Event::Looked { node, found })
    }

    /// What an earlier run made in the place of this stage.
    fn find(&mut self, place: &mut Place, there: Option<Manifest>) -> Result<Option<Known>, LedgerError> {
        let Place { call, key, digest } = place;
        if self.ledger.entry(key).is_none()
            && let Some(job) = self.ledger.started(key)
            && let Some(made) = there.as_ref().and_then(|there| there.of_job(job, &call.output))
        {
            self.ledger.note_finished(key, Entry { folder: call.output.clone(), made })?;
        }
        let Some(entry) = self.ledger.entry(key) else { return Ok(None) };
        let present = entry.folder == call.output
            && match is_address(&call.output) {
                true => there.is_some_and(|there| there.made.parts == entry.made.parts),
                false => entry.made.is_in(&call.output),
            };
        *digest = entry.made.digest();
        if present || call.stage.output.is_none() {
            self.summary.reused += 1;
            self.runner.notice(&Notice::Reused { call, made: &entry.made });
        }
        Ok(Some(Known { digest: digest.clone(), counters: entry.made.counters.clone(), present }))
    }

    fn resolve(&self, sources: &[NodeId]) -> Resolved {
        let place = |node: &NodeId| {
            let Place { call, digest, .. } = self.places.get(node)?;
            let format = call.output_format().unwrap_or(RESULT).to_owned();
            Some((call.output.clone(), digest.clone(), format))
        };
        sources.iter().filter_map(place).collect()
    }

    /// What was counted while all of this was made; a stage that is read twice counts once.
    fn counted(&self, sources: &[Vec<NodeId>]) -> Counters {
        let stages: BTreeSet<NodeId> = sources.iter().flatten().copied().collect();
        let mut sum = Counters::default();
        for known in stages.into_iter().filter_map(|node| self.flow.last_known(node)) {
            // Names beyond the cap are left out, as in a job.
            let _ = sum.merge(&known.counters);
        }
        sum
    }

    fn launch<'s>(
        &mut self,
        node: NodeId,
        units: u32,
        scope: &'s Scope<'s, '_>,
        tell: &Sender<Told<R::Error>>,
    ) -> Result<(), RunError<R::Error>>
    where
        'a: 's,
    {
        let Some(Place { call, key, .. }) = self.places.get(&node) else { return Ok(()) };
        let fresh = || {
            let digits = &key[..key.len().min(KEY_DIGITS)];
            format!("{}-{digits}-{}", call.file_name(), self.options.run)
        };
        let job = match self.ledger.started(key) {
            // One that may still be under way elsewhere.
            Some(job) if !self.options.fresh => job.to_owned(),
            _ => fresh(),
        };
        self.ledger.note_started(key, &job)?;
        let (call, tell, runner) = (call.clone(), tell.clone(), self.runner);
        let share = Share { units, of: self.options.parallel.max(1) };
        self.running += 1;
        runner.notice(&Notice::Started { call: &call });
        scope.spawn(move || {
            let result = runner.run(&call, &job, share);
            // The receiver lives as long as this scope.
            let _ = tell.send((node, result));
        });
        Ok(())
    }

    fn ended(&mut self, node: NodeId, result: Result<Made, R::Error>) -> Result<Event, RunError<R::Error>> {
        self.running -= 1;
        let Some(place) = self.places.get_mut(&node) else { return Ok(Event::Failed { node }) };
        match result {
            Ok(made) => {
                place.digest = made.digest();
                self.summary.ran += 1;
                self.runner.notice(&Notice::Finished { call: &place.call, made: &made });
                let known =
                    Known { digest: place.digest.clone(), counters: made.counters.clone(), present: true };
                self.ledger.note_finished(&place.key, Entry { folder: place.call.output.clone(), made })?;
                Ok(Event::Finished { node, known })
            }
            Err(error) => {
                if !self.runner.may_go_on(&error) {
                    self.ledger.note_failed(&place.key)?;
                }
                let title = place.call.title();
                Ok(self.failed(node, RunError::Stage { title, error }))
            }
        }
    }

    fn failed(&mut self, node: NodeId, failure: RunError<R::Error>) -> Event {
        if let Some(place) = self.places.get(&node) {
            self.runner.notice(&Notice::Failed { call: &place.call, running: self.running });
        }
        self.failure.get_or_insert(failure);
        Event::Failed { node }
    }

    fn remove(&self, node: NodeId) {
        if let Some(place) = self.places.get(&node) {
            // What cannot be removed now goes at the end.
            let _ = std::fs::remove_dir_all(&place.call.output);
        }
    }
}

/// A flow stops because of a failure, and the first one is kept.
fn unreachable_stop<E>() -> RunError<E> {
    RunError::Differs { title: "a stage".to_owned() }
}
