//! The four roles with a guest that behaves.

use std::sync::{Arc, Mutex};

use mr_model::{Failure, Role};
use mr_sandbox::{
    Combiner, LogForward, LogGate, LogLevel, Mapper, Partitioner, Reducer, RoleError, RoleReport,
};

use crate::support::{Rest, Seen, Shared, groups, options, plugin, records, text, with_params};

#[test]
fn a_mapper_gets_and_emits_records_unchanged() {
    let input = [("a", "1"), ("", "long value \0\n"), ("c", "")];
    for mode in ["", "echo-in-place"] {
        let seen = Shared::default();
        let mut mapper = Mapper::open(&plugin(), options(mode), Box::new(Arc::clone(&seen))).unwrap();
        mapper.map_batch(records(&input).view()).unwrap();
        mapper.map_batch(records(&[]).view()).unwrap();
        mapper.map_batch(records(&input[..1]).view()).unwrap();
        let report = mapper.close().unwrap();
        let expected = [&input[..], &input[..1]].concat();
        assert_eq!(text(&seen), expected.map_text(), "{mode}");
        if mode.is_empty() {
            assert_eq!(report.counters.iter().collect::<Vec<_>>(), [("batches", 3), ("rows", 4)]);
        }
        assert!(report.memory_bytes_peak >= 64 * 1024);
    }
}

#[test]
fn fixed_width_columns_and_partitions_reach_the_sink() {
    let (seen, _) = map("fixed", &[]).unwrap();
    assert_eq!(text(&seen), [("kkk", ""), ("kkk", "")].map_text());
    let (seen, _) = map("partitioned", &[("a", ""); 6]).unwrap();
    assert_eq!(seen.lock().unwrap().partitions, [0, 1, 2, 3, 0, 1]);
    assert_eq!(seen.lock().unwrap().records.len(), 6);
}

#[test]
fn rejects_carry_row_and_reason() {
    let (seen, _) = map("reject-odd", &[("a", ""); 4]).unwrap();
    assert_eq!(seen.lock().unwrap().rejects, [(1, "odd".to_owned()), (3, "odd".to_owned())]);
}

#[test]
fn a_task_is_told_its_context_and_parameters() {
    let seen = Shared::default();
    let options = with_params(&[("mode", "context"), ("colour", "green")]);
    Mapper::open(&plugin(), options, Box::new(Arc::clone(&seen))).unwrap().close().unwrap();
    let expected = r#"job-1 0 7 2 4 42 65536 ["main"] [("mode", "context"), ("colour", "green")]"#;
    assert_eq!(text(&seen), [("context", expected)].map_text());
}

#[test]
fn combiners_and_reducers_see_groups() {
    let batch = groups(&[("a", &["1", "22"]), ("b", &[]), ("c", &["333"])]);
    let expected = [("a", "3"), ("b", "0"), ("c", "3")].map_text();
    let seen = Shared::default();
    let mut combiner = Combiner::open(&plugin(), options(""), Box::new(Arc::clone(&seen))).unwrap();
    combiner.combine_batch(&batch).unwrap();
    combiner.close().unwrap();
    assert_eq!(text(&seen), expected);
    let seen = Shared::default();
    let mut reducer = open_reducer("", &seen, Rest(vec![]));
    reducer.reduce_batch(&batch).unwrap();
    reducer.close().unwrap();
    assert_eq!(text(&seen), expected);
}

#[test]
fn a_long_group_goes_on_and_the_next_one_too() {
    let rest = Arc::new(Mutex::new(Rest(vec![vec!["333", "4444"], vec![], vec!["55555"]])));
    let seen = Shared::default();
    let mut reducer =
        Reducer::open(&plugin(), options(""), Box::new(Arc::clone(&seen)), Box::new(Arc::clone(&rest)))
            .unwrap();
    let mut batch = groups(&[("a", &["1"]), ("b", &["22"])]);
    batch.more = true;
    reducer.reduce_batch(&batch).unwrap();
    rest.lock().unwrap().0 = vec![vec!["666666"]];
    reducer.reduce_batch(&batch).unwrap();
    batch.more = false;
    reducer.reduce_batch(&batch).unwrap();
    reducer.close().unwrap();
    let expected = [("a", "1"), ("b", "14"), ("a", "1"), ("b", "8"), ("a", "1"), ("b", "2")];
    assert_eq!(text(&seen), expected.map_text());
}

#[test]
fn a_partitioner_answers_one_partition_for_each_key() {
    let mut partitioner = Partitioner::open(&plugin(), options("")).unwrap();
    let mut out = vec![9];
    partitioner.partition_batch(records(&[("", ""), ("abc", ""), ("a", "")]).keys.view(), &mut out).unwrap();
    assert_eq!(out, [0, 3, 1]);
    partitioner.partition_batch(records(&[]).keys.view(), &mut out).unwrap();
    assert_eq!(out, []);
    partitioner.close().unwrap();
}

#[test]
fn a_failure_of_the_sink_comes_back_unchanged() {
    let failure = Failure::Disk { path: "/full".into(), reason: "no space".into(), full: true };
    let seen = Shared::default();
    seen.lock().unwrap().failure = Some(failure.clone());
    let mut mapper = Mapper::open(&plugin(), options(""), Box::new(Arc::clone(&seen))).unwrap();
    let batch = records(&[("a", "1")]);
    assert_eq!(mapper.map_batch(batch.view()), Err(RoleError { failure, row: None }));
    let used = Failure::internal("the mapper was used after it had failed");
    assert_eq!(mapper.map_batch(batch.view()).unwrap_err().failure, used);
    assert_eq!(mapper.close().unwrap_err().failure, used);
}

#[test]
fn log_lines_are_passed_on_and_kept() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let forward: LogForward = Arc::new(move |role, level, line| {
        sink.lock().unwrap().push((role, level, line.to_owned()));
    });
    let mut options = options("flood-log");
    options.log = Some(LogGate::new(forward));
    let mut mapper = Mapper::open(&plugin(), options, Box::new(Shared::default())).unwrap();
    mapper.map_batch(records(&[]).view()).unwrap();
    let log = mapper.close().unwrap().log;
    assert_eq!(log.len(), 64);
    assert_eq!(log[0], "debug: line 99938");
    assert_eq!(log[61], "debug: line 99999");
    assert_eq!(log[62], format!("stdout: {}", "x".repeat(4096)));
    assert!(log[63].starts_with("stdout: no end no end"), "{}", log[63]);
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0], (Role::Mapper, LogLevel::Debug, "line 0".to_owned()));
    // Some were left out, and every line was either passed on or counted.
    let left_out = |text: &str| text.strip_suffix(" log lines left out").map(|n| n.parse::<usize>().unwrap());
    let (notes, lines): (Vec<_>, Vec<_>) =
        seen.iter().map(|(_, _, text)| left_out(text)).partition(Option::is_some);
    assert!(!notes.is_empty());
    assert_eq!(lines.len() + notes.into_iter().flatten().sum::<usize>(), 100_002);
}

/// Maps one batch and closes.
pub fn map(mode: &str, input: &[(&str, &str)]) -> Result<(Shared, RoleReport), RoleError> {
    let seen = Shared::default();
    let mut mapper = Mapper::open(&plugin(), options(mode), Box::new(Arc::clone(&seen)))?;
    mapper.map_batch(records(input).view())?;
    Ok((seen, mapper.close()?))
}

pub fn open_reducer(mode: &str, seen: &Arc<Mutex<Seen>>, rest: Rest) -> Reducer {
    Reducer::open(&plugin(), options(mode), Box::new(Arc::clone(seen)), Box::new(rest)).unwrap()
}

trait MapText {
    fn map_text(&self) -> Vec<(String, String)>;
}

impl<T: AsRef<[(&'static str, &'static str)]> + ?Sized> MapText for T {
    fn map_text(&self) -> Vec<(String, String)> {
        self.as_ref().iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }
}
