//! Any pipeline, in a world without files: every stage runs after all that it reads, as often as it has to
//! and no more, whatever fails and whenever the process dies.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use mr_model::Counters;
use mr_pipeline::flow::{Action, Event, Flow, Known, NodeId};
use mr_pipeline::{Graph, Loop, Pipeline, Source, Stage};
use proptest::prelude::*;

/// What a pipeline is made of: stage `n` reads some of those before it, and may be a result.
#[derive(Debug, Clone)]
struct Shape {
    stages: Vec<(Vec<prop::sample::Index>, bool)>,
    /// A loop of so many stages and rounds, starting with one of the stages; one reads the loop.
    repeated: Option<(usize, u32, prop::sample::Index)>,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let stage = (prop::collection::vec(any::<prop::sample::Index>(), 0..4), any::<bool>());
    let repeated = prop::option::of((1usize..4, 1u32..5, any::<prop::sample::Index>()));
    (prop::collection::vec(stage, 1..8), repeated).prop_map(|(stages, repeated)| Shape { stages, repeated })
}

fn graph(shape: &Shape) -> Graph {
    let mut pipeline = Pipeline::new("p");
    let name = |number: usize| format!("s{number}");
    let mut read = BTreeSet::new();
    let mut stages = Vec::new();
    for (number, (reads, is_result)) in shape.stages.iter().enumerate() {
        let mut stage = Stage::new(name(number)).plugin("x").input("outside");
        for other in reads.iter().filter(|_| number > 0).map(|index| index.index(number)) {
            read.insert(other);
            stage = stage.input(Source::Stage(name(other)));
        }
        stages.push((stage, *is_result));
    }
    if let Some((count, rounds, start)) = &shape.repeated {
        let start = start.index(stages.len());
        read.insert(start);
        let mut repeated = Loop::new("l", *rounds).start(Source::Stage(name(start)));
        for number in 0..*count {
            let stage = Stage::new(format!("l{number}")).plugin("x");
            let stage = match number {
                0 => stage.input("loop:l").input(Source::Stage(name(start))),
                _ => stage.input(Source::Stage(format!("l{}", number - 1))),
            };
            repeated = repeated.stage(stage);
        }
        if let Some(until) = (*rounds > 2).then(|| "rounds >= 3".parse().unwrap()) {
            repeated = repeated.until(until);
        }
        pipeline =
            pipeline.repeat(repeated).stage(Stage::new("end").plugin("x").input("loop:l").output("end"));
    }
    for (number, (stage, is_result)) in stages.into_iter().enumerate() {
        let stage = if is_result || !read.contains(&number) { stage.output(name(number)) } else { stage };
        pipeline = pipeline.stage(stage);
    }
    Graph::new(&pipeline).unwrap()
}

/// What outlives a process: what was noted, and what is on the disk.
#[derive(Debug, Default)]
struct World {
    noted: BTreeMap<NodeId, Known>,
    disk: BTreeSet<NodeId>,
    runs: BTreeMap<NodeId, u32>,
}

#[derive(Debug, PartialEq)]
enum End {
    Done,
    Stopped,
    Died,
}

/// Runs until the end, or until `steps` events have happened, failing the stages in `failing`. Answers of
/// stages come in an order of `order`'s choice.
fn run(graph: &Graph, world: &mut World, steps: usize, failing: &BTreeSet<NodeId>, order: &[usize]) -> End {
    let mut flow = Flow::new(graph, 3, false);
    let mut waiting = flow.begin();
    for step in 0..steps {
        if waiting.is_empty() {
            panic!("nothing happens: {flow:?}");
        }
        let at = order.get(step).map_or(0, |choice| choice % waiting.len());
        let action = waiting.remove(at);
        let event = match action {
            Action::Look { node } => {
                let known = world.noted.get(&node).cloned();
                let found = known.map(|known| Known { present: world.disk.contains(&node), ..known });
                Event::Looked { node, found }
            }
            Action::Run { node, units } => {
                assert!((1..=3).contains(&units));
                for source in flow.sources(node).into_iter().flatten() {
                    assert!(world.disk.contains(&source), "{node:?} runs without {source:?}");
                }
                *world.runs.entry(node).or_default() += 1;
                if failing.contains(&node) {
                    Event::Failed { node }
                } else {
                    let mut counters = Counters::default();
                    counters.add("rounds", i64::from(node.iteration)).unwrap();
                    let known = Known { digest: format!("{node:?}"), counters, present: true };
                    world.disk.insert(node);
                    world.noted.insert(node, known.clone());
                    Event::Finished { node, known }
                }
            }
            Action::Remove { node } => {
                assert!(world.disk.remove(&node), "{node:?} was removed twice");
                continue;
            }
            Action::LoopEnded { iterations, .. } => {
                assert!(iterations <= 4);
                continue;
            }
            Action::Differs { node } => panic!("{node:?} differs"),
            Action::Done => {
                assert!(
                    waiting
                        .iter()
                        .all(|action| matches!(action, Action::Remove { .. } | Action::LoopEnded { .. }))
                );
                return End::Done;
            }
            Action::Stopped => return End::Stopped,
        };
        waiting.extend(flow.handle(event));
    }
    End::Died
}

/// Every node that a whole run has.
fn all_nodes(graph: &Graph) -> BTreeSet<NodeId> {
    let mut world = World::default();
    assert_eq!(run(graph, &mut world, usize::MAX, &BTreeSet::new(), &[]), End::Done);
    world.runs.into_keys().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_stage_runs_once_behind_its_inputs(shape in shapes(), order in prop::collection::vec(any::<usize>(), 0..200)) {
        let graph = graph(&shape);
        let mut world = World::default();
        prop_assert_eq!(run(&graph, &mut world, usize::MAX, &BTreeSet::new(), &order), End::Done);
        prop_assert!(world.runs.values().all(|times| *times == 1));
        let named: BTreeSet<usize> = world.runs.keys().map(|node| node.stage).collect();
        prop_assert_eq!(named.len(), graph.stages().len());
        // Results stay, and running it again runs nothing.
        let before = world.runs.clone();
        prop_assert_eq!(run(&graph, &mut world, usize::MAX, &BTreeSet::new(), &order), End::Done);
        prop_assert_eq!(&world.runs, &before);
        // A result that is gone comes back, with all that it needs.
        let results: Vec<NodeId> = world.disk.iter().copied().collect();
        for node in results.into_iter().filter(|node| graph.stages()[node.stage].stage.output.is_some()) {
            world.disk.remove(&node);
            prop_assert_eq!(run(&graph, &mut world, usize::MAX, &BTreeSet::new(), &order), End::Done);
            prop_assert!(world.disk.contains(&node));
        }
    }

    #[test]
    fn a_death_at_any_step_costs_no_finished_stage(
        shape in shapes(),
        deaths in prop::collection::vec(0usize..40, 0..6),
        order in prop::collection::vec(any::<usize>(), 0..200),
    ) {
        let graph = graph(&shape);
        let nodes = all_nodes(&graph);
        let mut world = World::default();
        for steps in deaths {
            run(&graph, &mut world, steps, &BTreeSet::new(), &order);
        }
        prop_assert_eq!(run(&graph, &mut world, usize::MAX, &BTreeSet::new(), &order), End::Done);
        prop_assert_eq!(world.runs.keys().copied().collect::<BTreeSet<_>>(), nodes);
        prop_assert!(world.runs.values().all(|times| *times == 1), "{:?}", world.runs);
    }

    #[test]
    fn failures_stop_it_and_the_next_run_goes_on(
        shape in shapes(),
        failing in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        order in prop::collection::vec(any::<usize>(), 0..200),
    ) {
        let graph = graph(&shape);
        let nodes: Vec<NodeId> = all_nodes(&graph).into_iter().collect();
        let failing: BTreeSet<NodeId> = failing.iter().map(|index| nodes[index.index(nodes.len())]).collect();
        let mut world = World::default();
        prop_assert_eq!(run(&graph, &mut world, usize::MAX, &failing, &order), End::Stopped);
        let done: BTreeSet<NodeId> = world.noted.keys().copied().collect();
        prop_assert_eq!(run(&graph, &mut world, usize::MAX, &BTreeSet::new(), &order), End::Done);
        for node in nodes {
            let times = world.runs[&node];
            prop_assert!(times == 1 || !done.contains(&node) && times == 2, "{:?} ran {} times", node, times);
        }
    }
}

/// What was deleted is made again where somebody has to read it, and nothing else is.
#[test]
fn what_is_gone_is_made_again_where_it_is_needed() {
    let chain = |stage: &str, reads: &str| Stage::new(stage).plugin("x").input(reads);
    let pipeline = Pipeline::new("p")
        .stage(chain("a", "outside"))
        .stage(chain("b", "stage:a"))
        .stage(chain("c", "stage:b").output("c"))
        .stage(chain("d", "stage:a").output("d"));
    let graph = Graph::new(&pipeline).unwrap();
    let at = |name: &str| {
        let stage = graph.stages().iter().position(|node| node.stage.name == name).unwrap();
        NodeId { stage, iteration: 0 }
    };
    let mut world = World::default();
    assert_eq!(run(&graph, &mut world, usize::MAX, &BTreeSet::new(), &[]), End::Done);
    assert_eq!(world.disk, BTreeSet::from([at("c"), at("d")]));
    // Another plugin of c: its key is a new one.
    world.noted.remove(&at("c"));
    assert_eq!(run(&graph, &mut world, usize::MAX, &BTreeSet::new(), &[]), End::Done);
    let runs = ["a", "b", "c", "d"].map(|name| world.runs[&at(name)]);
    assert_eq!(runs, [2, 2, 2, 1]);
}

/// A stage that makes something else of the same things is told of, and nothing is built on it.
#[test]
fn other_output_of_the_same_things_is_noticed() {
    let first = Stage::new("a").plugin("x").input("outside").output("a");
    let second = Stage::new("b").plugin("x").input("stage:a").output("b");
    let graph = Graph::new(&Pipeline::new("p").stage(first).stage(second)).unwrap();
    let (a, b) = (NodeId { stage: 0, iteration: 0 }, NodeId { stage: 1, iteration: 0 });
    let mut flow = Flow::new(&graph, 1, false);
    assert_eq!(flow.begin(), [Action::Look { node: a }]);
    let known =
        |digest: &str, present| Known { digest: digest.to_owned(), counters: Counters::default(), present };
    let actions = flow.handle(Event::Looked { node: a, found: Some(known("old", false)) });
    assert_eq!(actions, [Action::Look { node: b }]);
    let actions = flow.handle(Event::Looked { node: b, found: Some(known("b", true)) });
    assert_eq!(actions, [Action::Run { node: a, units: 1 }]);
    let actions = flow.handle(Event::Finished { node: a, known: known("new", true) });
    assert_eq!(actions, [Action::Differs { node: a }, Action::Stopped]);
}

/// Stages that are ready at the same time share the machine; one alone has all of it.
#[test]
fn ready_stages_share_the_machine() {
    let stage = |name: &str, reads: &str| Stage::new(name).plugin("x").input(reads);
    let pipeline = Pipeline::new("p")
        .stage(stage("a", "outside"))
        .stage(stage("b", "outside"))
        .stage(stage("c", "stage:a").input("stage:b").output("c"));
    let graph = Graph::new(&pipeline).unwrap();
    let at = |stage: usize| NodeId { stage, iteration: 0 };
    let mut flow = Flow::new(&graph, 4, true);
    assert_eq!(flow.begin(), [Action::Look { node: at(0) }, Action::Look { node: at(1) }]);
    assert_eq!(flow.handle(Event::Looked { node: at(0), found: None }), []);
    let actions = flow.handle(Event::Looked { node: at(1), found: None });
    assert_eq!(actions, [Action::Run { node: at(0), units: 2 }, Action::Run { node: at(1), units: 2 }]);
    let known = Known { digest: "d".into(), ..Known::default() };
    assert_eq!(flow.handle(Event::Finished { node: at(1), known: known.clone() }), []);
    let actions = flow.handle(Event::Finished { node: at(0), known });
    assert_eq!(actions, [Action::Look { node: at(2) }]);
    let actions = flow.handle(Event::Looked { node: at(2), found: None });
    assert_eq!(actions, [Action::Run { node: at(2), units: 4 }]);
}
