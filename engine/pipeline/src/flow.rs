//! What happens next in a run of a pipeline: events in, actions out. No files, no clock, no threads, and
//! nothing that depends on what a stage does.
//!
//! A stage is *known* once the digest of its output is: because it was made now, or because a run before
//! made it from the very same things. What is known need not be there any more: output between stages
//! is deleted when no stage needs it. A known stage runs again only where somebody has to read what is
//! gone. Must not decide what is the same (that is [`crate::key`]'s).

use std::collections::BTreeMap;

use mr_model::Counters;

use crate::graph::{From, Graph};

/// A stage in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// The round, from 1; 0 outside of loops.
    pub iteration: u32,
    /// Number of the stage in the graph.
    pub stage: usize,
}

/// What became of a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Stands for all bytes of its output.
    pub digest: String,
    /// What its plugins counted.
    pub counters: Counters,
    /// Whether the output is there.
    pub present: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The answer to [`Action::Look`]: what a run before made of the same things, if any did.
    Looked {
        /// The stage.
        node: NodeId,
        /// What there is.
        found: Option<Known>,
    },
    /// The answer to [`Action::Run`]: its output is there.
    Finished {
        /// The stage.
        node: NodeId,
        /// What it made.
        known: Known,
    },
    /// The answer to [`Action::Look`] or [`Action::Run`]: it cannot be done.
    Failed {
        /// The stage.
        node: NodeId,
    },
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Find out whether the stage ran before.
    Look {
        /// The stage.
        node: NodeId,
    },
    /// Run the stage with `units` of the [`Flow::new`] units of the machine.
    Run {
        /// The stage.
        node: NodeId,
        /// Its share.
        units: u32,
    },
    /// The loop has ended.
    LoopEnded {
        /// The loop.
        number: usize,
        /// Its rounds.
        iterations: u32,
        /// Why.
        end: LoopEnd,
    },
    /// Delete the output of the stage: nobody needs it any more.
    Remove {
        /// The stage.
        node: NodeId,
    },
    /// A stage made other output from the same things than in a run before, and others were taken over
    /// that had read that. Nothing further is begun.
    Differs {
        /// The stage.
        node: NodeId,
    },
    /// Everything is there.
    Done,
    /// Something failed, and nothing runs any more.
    Stopped,
}

/// Why a loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopEnd {
    /// Its condition holds.
    Until,
    /// A round made the output of the one before.
    Unchanged,
    /// It had its rounds.
    IterationsMax,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// For the digests of what it reads.
    Waiting,
    Looking,
    /// Has to run.
    Due,
    Running(u32),
    Known,
}

#[derive(Debug)]
struct Progress {
    state: State,
    known: Known,
    /// It was taken over before: its digest is not to change.
    digest_counts: bool,
    /// Nobody that reads it will ever need it.
    released: bool,
}

#[derive(Debug, Clone, Copy)]
struct Turn {
    iteration: u32,
    ended: bool,
}

/// A run of a pipeline.
#[derive(Debug)]
pub struct Flow<'a> {
    graph: &'a Graph,
    nodes: BTreeMap<NodeId, Progress>,
    turns: Vec<Turn>,
    /// Outputs that are there and not results.
    live: Vec<NodeId>,
    units: u32,
    failed: bool,
    ended: bool,
    keep: bool,
}

/// Somebody that may read an output.
enum Reader {
    Node(NodeId),
    /// Of a round that may still come.
    Unborn,
}

impl<'a> Flow<'a> {
    /// A run that has not begun. `units` bounds the stages that run at once; with `keep` nothing is removed.
    pub fn new(graph: &'a Graph, units: u32, keep: bool) -> Self {
        let mut nodes = BTreeMap::new();
        for (stage, node) in graph.stages().iter().enumerate() {
            nodes.insert(NodeId { iteration: u32::from(node.in_loop.is_some()), stage }, Progress::new());
        }
        let turns = vec![Turn { iteration: 1, ended: false }; graph.loops().len()];
        Self { graph, nodes, turns, live: Vec::new(), units: units.max(1), failed: false, ended: false, keep }
    }

    /// What is to be done first.
    pub fn begin(&mut self) -> Vec<Action> {
        self.settle(Vec::new())
    }

    /// Takes what happened, and answers what is to be done about it. Events of stages that nothing was
    /// asked of are ignored.
    pub fn handle(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Looked { node, found } => self.looked(node, found),
            Event::Finished { node, known } => self.finished(node, known, &mut actions),
            Event::Failed { node } => self.end_of(node),
        }
        self.settle(actions)
    }

    /// What the stage made, where that is known.
    pub fn known(&self, node: NodeId) -> Option<&Known> {
        let progress = self.nodes.get(&node)?;
        (progress.state == State::Known).then_some(&progress.known)
    }

    /// What the stage made, or made when it ran last where it has to be made again.
    pub(crate) fn last_known(&self, node: NodeId) -> Option<&Known> {
        self.nodes.get(&node).filter(|_| self.has_digest(node)).map(|progress| &progress.known)
    }

    /// Whether the stage has to run, as far as one can tell by now.
    pub fn is_due(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|progress| matches!(progress.state, State::Due | State::Running(_)))
    }

    /// The round that a loop is in, and whether it has ended.
    pub fn turn(&self, number: usize) -> (u32, bool) {
        self.turns.get(number).map_or((0, false), |turn| (turn.iteration, turn.ended))
    }

    /// The stages that something reads, in the order of its inputs and then its sides; none for what is no
    /// stage. A loop that has several starts stands for all of them in its first round.
    pub fn sources(&self, node: NodeId) -> Vec<Vec<NodeId>> {
        let Some(stage) = self.graph.stages().get(node.stage) else { return Vec::new() };
        stage.reads.iter().map(|from| self.resolve(node, *from)).collect()
    }

    fn looked(&mut self, node: NodeId, found: Option<Known>) {
        let is_result = self.is_result(node);
        let Some(progress) = self.nodes.get_mut(&node).filter(|one| one.state == State::Looking) else {
            return;
        };
        match found {
            None => progress.state = State::Due,
            Some(known) => {
                progress.digest_counts = true;
                progress.state = if is_result && !known.present { State::Due } else { State::Known };
                if known.present && !is_result {
                    self.live.push(node);
                }
                progress.known = known;
            }
        }
    }

    fn finished(&mut self, node: NodeId, known: Known, actions: &mut Vec<Action>) {
        let is_result = self.is_result(node);
        let Some(progress) = self.nodes.get_mut(&node) else { return };
        if !matches!(progress.state, State::Running(_)) {
            return;
        }
        if progress.digest_counts && progress.known.digest != known.digest {
            self.failed = true;
            actions.push(Action::Differs { node });
        }
        progress.state = State::Known;
        progress.known = Known { present: true, ..known };
        if !is_result {
            self.live.push(node);
        }
    }

    fn end_of(&mut self, node: NodeId) {
        if let Some(progress) = self.nodes.get_mut(&node)
            && matches!(progress.state, State::Running(_) | State::Looking)
        {
            progress.state = State::Due;
            self.failed = true;
        }
    }

    fn is_result(&self, node: NodeId) -> bool {
        self.graph.stages().get(node.stage).is_some_and(|one| one.stage.output.is_some())
    }

    /// Goes on until nothing follows from anything.
    fn settle(&mut self, mut actions: Vec<Action>) -> Vec<Action> {
        if self.ended {
            return actions;
        }
        if !self.failed {
            while self.turn_loops(&mut actions) | self.demand() | self.look(&mut actions) {}
            self.launch(&mut actions);
            if !self.keep {
                self.remove(&mut actions);
            }
        }
        let is_busy = |one: &Progress| matches!(one.state, State::Running(_) | State::Looking);
        if self.failed && !self.nodes.values().any(is_busy) {
            self.ended = true;
            actions.push(Action::Stopped);
        } else if !self.failed
            && self.turns.iter().all(|turn| turn.ended)
            && self.nodes.values().all(|one| one.state == State::Known)
        {
            self.ended = true;
            actions.push(Action::Done);
        }
        actions
    }

    /// Ends rounds that are known whole, and begins the next ones.
    fn turn_loops(&mut self, actions: &mut Vec<Action>) -> bool {
        let mut changed = false;
        for number in 0..self.turns.len() {
            let Turn { iteration, ended } = self.turns[number];
            let round = &self.graph.loops()[number];
            let all = round.stages.iter().map(|stage| NodeId { iteration, stage: *stage });
            if ended || !all.clone().all(|node| self.known(node).is_some()) {
                continue;
            }
            changed = true;
            if let Some(end) = self.loop_end(number, iteration) {
                self.turns[number].ended = true;
                actions.push(Action::LoopEnded { number, iterations: iteration, end });
                continue;
            }
            self.turns[number].iteration = iteration + 1;
            for node in all {
                self.nodes.insert(NodeId { iteration: iteration + 1, ..node }, Progress::new());
            }
        }
        changed
    }

    fn loop_end(&self, number: usize, iteration: u32) -> Option<LoopEnd> {
        let round = &self.graph.loops()[number];
        let counters = round.stages.iter().fold(Counters::default(), |mut sum, stage| {
            if let Some(known) = self.known(NodeId { iteration, stage: *stage }) {
                // Names beyond the cap are left out, as in a job.
                let _ = sum.merge(&known.counters);
            }
            sum
        });
        if round.until.as_ref().is_some_and(|until| until.holds(&counters)) {
            return Some(LoopEnd::Until);
        }
        let stage = self.graph.last_of(number);
        let digest = |iteration| Some(&self.known(NodeId { iteration, stage })?.digest);
        if round.until_unchanged && iteration > 1 && digest(iteration) == digest(iteration - 1) {
            return Some(LoopEnd::Unchanged);
        }
        (iteration >= round.iterations_max).then_some(LoopEnd::IterationsMax)
    }

    /// What has to run needs what it reads to be there.
    fn demand(&mut self) -> bool {
        let due = self.nodes.iter().filter(|(_, one)| one.state == State::Due).map(|(node, _)| *node);
        let due: Vec<NodeId> = due.collect();
        let wanted = due.into_iter().flat_map(|node| self.sources(node)).flatten();
        let mut changed = false;
        for node in wanted.collect::<Vec<_>>() {
            if let Some(one) = self.nodes.get_mut(&node)
                && one.state == State::Known
                && !one.known.present
            {
                one.state = State::Due;
                changed = true;
            }
        }
        changed
    }

    /// Asks about stages all of whose inputs are known.
    fn look(&mut self, actions: &mut Vec<Action>) -> bool {
        let waiting = self.nodes.iter().filter(|(_, one)| one.state == State::Waiting).map(|(node, _)| *node);
        let ready: Vec<NodeId> = waiting.filter(|node| self.may_be_looked_at(*node)).collect();
        for node in &ready {
            if let Some(one) = self.nodes.get_mut(node) {
                one.state = State::Looking;
            }
            actions.push(Action::Look { node: *node });
        }
        !ready.is_empty()
    }

    fn may_be_looked_at(&self, node: NodeId) -> bool {
        let stage = &self.graph.stages()[node.stage];
        let known = |from: &From| {
            let ended = match from {
                // What a loop made is known when it has ended, but for its own next round.
                From::Loop(number) => stage.in_loop == Some(*number) || self.turns[*number].ended,
                _ => true,
            };
            ended && self.resolve(node, *from).iter().all(|one| self.has_digest(*one))
        };
        let starts = stage.in_loop.filter(|_| node.iteration == 1);
        let starts = starts.map_or(&[][..], |number| &self.graph.loops()[number].start_from);
        let starts_known = starts.iter().all(|from| match from {
            From::Loop(number) => self.turns[*number].ended,
            _ => true,
        });
        starts_known && stage.reads.iter().chain(&stage.after).all(known)
    }

    /// Its digest is known, whether or not it has to be made again.
    fn has_digest(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|one| one.state == State::Known || one.digest_counts)
    }

    /// The stages that a source means for a reader.
    fn resolve(&self, reader: NodeId, from: From) -> Vec<NodeId> {
        let in_loop = |stage: usize| self.graph.stages()[stage].in_loop;
        match from {
            From::Outside => Vec::new(),
            From::Stage(stage) if in_loop(stage).is_some() => vec![NodeId { stage, ..reader }],
            From::Stage(stage) => vec![NodeId { stage, iteration: 0 }],
            From::Loop(number) if in_loop(reader.stage) == Some(number) && reader.iteration <= 1 => {
                let starts = &self.graph.loops()[number].start_from;
                starts.iter().flat_map(|from| self.resolve_outside(*from)).collect()
            }
            From::Loop(number) if in_loop(reader.stage) == Some(number) => {
                vec![NodeId { stage: self.graph.last_of(number), iteration: reader.iteration - 1 }]
            }
            from => self.resolve_outside(from).into_iter().collect(),
        }
    }

    /// What a source means for whoever is outside of all loops that it names.
    fn resolve_outside(&self, from: From) -> Option<NodeId> {
        match from {
            From::Outside => None,
            From::Stage(stage) => Some(NodeId { stage, iteration: 0 }),
            From::Loop(number) => {
                Some(NodeId { stage: self.graph.last_of(number), iteration: self.turns[number].iteration })
            }
        }
    }

    /// Begins what can run: those that are ready share what is free. While something is still looked at,
    /// which takes no time, it is not known how many these are.
    fn launch(&mut self, actions: &mut Vec<Action>) {
        if self.nodes.values().any(|one| one.state == State::Looking) {
            return;
        }
        let due = self.nodes.iter().filter(|(_, one)| one.state == State::Due).map(|(node, _)| *node);
        let ready: Vec<NodeId> = due.filter(|node| self.may_run(*node)).collect();
        let busy: u32 = self
            .nodes
            .values()
            .map(|one| if let State::Running(units) = one.state { units } else { 0 })
            .sum();
        let mut free = self.units.saturating_sub(busy);
        let mut left = u32::try_from(ready.len()).unwrap_or(u32::MAX);
        for node in ready {
            if free == 0 {
                return;
            }
            let units = (free / left.max(1)).max(1);
            free -= units;
            left = left.saturating_sub(1);
            if let Some(one) = self.nodes.get_mut(&node) {
                one.state = State::Running(units);
            }
            actions.push(Action::Run { node, units });
        }
    }

    fn may_run(&self, node: NodeId) -> bool {
        let after = &self.graph.stages()[node.stage].after;
        let after_known =
            after.iter().flat_map(|from| self.resolve(node, *from)).all(|one| self.known(one).is_some());
        let mut sources = self.sources(node).into_iter().flatten();
        after_known && sources.all(|one| self.known(one).is_some_and(|known| known.present))
    }

    /// Gives up what nobody reads any more.
    fn remove(&mut self, actions: &mut Vec<Action>) {
        let live = std::mem::take(&mut self.live);
        for node in live {
            if !self.release(node) {
                self.live.push(node);
                continue;
            }
            if let Some(one) = self.nodes.get_mut(&node) {
                one.known.present = false;
            }
            actions.push(Action::Remove { node });
        }
    }

    /// Whether nobody that reads this output will ever need it. Once true, always true.
    fn release(&mut self, node: NodeId) -> bool {
        // What is known and gone hands the question on to its readers.
        let mut open = vec![node];
        let mut seen = vec![node];
        while let Some(node) = open.pop() {
            if self.nodes.get(&node).is_some_and(|one| one.released) {
                continue;
            }
            for reader in self.readers(node) {
                let Reader::Node(reader) = reader else { return false };
                match self.nodes.get(&reader) {
                    Some(one) if one.state != State::Known => return false,
                    Some(one) if one.known.present || seen.contains(&reader) => {}
                    Some(_) => {
                        seen.push(reader);
                        open.push(reader);
                    }
                    None => return false,
                }
            }
        }
        for node in seen {
            if let Some(one) = self.nodes.get_mut(&node) {
                one.released = true;
            }
        }
        true
    }

    /// Everybody that reads an output, or may once do so.
    fn readers(&self, node: NodeId) -> Vec<Reader> {
        let of = self.graph.stages()[node.stage].in_loop;
        let feeds = of.filter(|number| self.graph.last_of(*number) == node.stage);
        let mut readers = Vec::new();
        for (stage, reader) in self.graph.stages().iter().enumerate() {
            let starts = reader.in_loop.filter(|number| reader.reads.contains(&From::Loop(*number)));
            let starts = starts.map_or(&[][..], |number| &self.graph.loops()[number].start_from);
            for (from, is_start) in
                reader.reads.iter().map(|from| (from, false)).chain(starts.iter().map(|from| (from, true)))
            {
                match from {
                    From::Stage(read) if *read == node.stage && of.is_some() => {
                        readers.push(Reader::Node(NodeId { stage, ..node }));
                    }
                    From::Stage(read) if *read == node.stage => {
                        self.add_rounds(stage, is_start, &mut readers)
                    }
                    From::Loop(number) if feeds == Some(*number) && reader.in_loop == Some(*number) => {
                        readers.extend(self.next_round(*number, NodeId { stage, ..node }));
                    }
                    From::Loop(number) if feeds == Some(*number) => {
                        let Turn { iteration, ended } = self.turns[*number];
                        if !ended {
                            readers.push(Reader::Unborn);
                        } else if iteration == node.iteration {
                            self.add_rounds(stage, is_start, &mut readers);
                        }
                    }
                    _ => {}
                }
            }
        }
        readers
    }

    /// Rounds of a reader that is outside of what it reads: all that there are and may come, or the first
    /// one alone where the loop only starts with it.
    fn add_rounds(&self, stage: usize, is_start: bool, readers: &mut Vec<Reader>) {
        let Some(number) = self.graph.stages()[stage].in_loop else {
            return readers.push(Reader::Node(NodeId { stage, iteration: 0 }));
        };
        let Turn { iteration, ended } = self.turns[number];
        // Newest first: it is the one that is not done.
        let rounds = (1..=if is_start { 1 } else { iteration }).rev();
        if !is_start && !ended {
            readers.push(Reader::Unborn);
        }
        readers.extend(rounds.map(|iteration| Reader::Node(NodeId { stage, iteration })));
    }

    fn next_round(&self, number: usize, node: NodeId) -> Option<Reader> {
        let next = NodeId { iteration: node.iteration + 1, ..node };
        if self.nodes.contains_key(&next) {
            return Some(Reader::Node(next));
        }
        (!self.turns[number].ended).then_some(Reader::Unborn)
    }
}

impl Progress {
    fn new() -> Self {
        Self { state: State::Waiting, known: Known::default(), digest_counts: false, released: false }
    }
}
