//! What a process that runs a plugin may send to its parent, after a stranger's code has taken it over: it
//! is heard within its limits, and nothing is believed that the attempt has not made.

use mr_executor::trial::{BYTES_MAX, Trial, hear};
use mr_model::{AttemptId, Failure, TaskId};
use mr_runtime::{FormatMemory, MapFacts, MemoryPlan, StageFacts, TaskInput};
use serde::Serialize;

use crate::journal::facts;
use crate::message::failures;
use crate::submission::{description, split};

/// Longest failure that is passed on, in bytes as sent, with some room.
const FAILURE_BYTES_MAX: usize = 1 << 20;

/// Target: the bytes of a child that runs a map attempt and has made nothing.
pub fn executor(data: &[u8]) {
    let memory = MemoryPlan::new(1 << 30, 2, None, true, 1 << 20, FormatMemory::default()).unwrap();
    let attempt = AttemptId { task: TaskId::map(1), attempt: 0 };
    let input = TaskInput::Map(split(1, 10));
    let run_dir = "/nowhere".into();
    let heard = hear(data, description(), memory, attempt, input, run_dir).unwrap();
    let Trial { words, failures, believed } = heard;
    assert!(words <= data.len().min(BYTES_MAX) / 5, "a word takes five bytes at least");
    assert!(believed <= words);
    for failure in failures {
        let retried = matches!(failure, Failure::Fetch { .. } | Failure::Refused { .. } | Failure::Cancelled);
        assert!(!retried, "an attempt cannot fail so: {failure:?}");
        assert!(postcard::to_stdvec(&failure).unwrap().len() <= FAILURE_BYTES_MAX);
    }
}

/// Words by their numbers: ready, entered, a pulse, a log line, ends of several kinds.
pub fn seeds() -> Vec<Vec<u8>> {
    fn word<T: Serialize>(number: u8, content: &T) -> Vec<u8> {
        let word = [vec![number], postcard::to_stdvec(content).unwrap()].concat();
        [u32::try_from(word.len()).unwrap().to_le_bytes().to_vec(), word].concat()
    }
    let entered = word(1, &(vec!["landlock"], false, true));
    let pulse = word(2, &(1u64, 2u64, 3u64, 4u64, 5u64, 6u64, 7u64));
    let log = word(3, &(mr_model::Role::Mapper, 2u8, "a line\u{1b}[2J"));
    let counted = MapFacts { bytes_in: 10, ..MapFacts::default() };
    // Run files: none, and one that is not there; a part.
    let ends = [(0u32, 0u32), (0, 1)].map(|made| word(4, &(facts(StageFacts::Map(counted)), made)));
    let part = word(4, &(facts(StageFacts::Map(counted)), (1u32, 0u64, 0u64, "00")));
    let start = [word(0, &()), entered, pulse, log].concat();
    let mut seeds = vec![start.clone(), [start, part].concat(), word(8, &"no")];
    seeds.extend(ends);
    seeds.extend(failures().iter().map(|failure| word(5, failure)));
    seeds
}
