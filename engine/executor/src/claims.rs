//! What a child says of the end of its attempt, and what of that is believed. Names of files come from
//! here, never from the child; what lies there has to be what the attempt was to make, and numbers have
//! to agree with it. A child that lies about its own records harms its own job at most.

use std::path::Path;

use mr_model::{Counters, Failure, LastWords, Place, Stage};
use mr_runtime::{Facts, StageFacts, TaskInput};
use mr_shuffle::writer::RunFile;
use mr_shuffle::{LARGE_GROUPS_MAX, MapOutput, Run, RunId};
use mr_storage::{AttemptFolder, PartNames};

use crate::attempt::{Done, Made};
use crate::executors::TEXT_BYTES_MAX;
use crate::message::{AttemptWork, DoneWord, MadeWord};
use crate::process::clean;

/// Checks what a child made and says of it. It must have ended.
pub(crate) fn check(
    word: DoneWord,
    work: &AttemptWork,
    folder: Option<&AttemptFolder>,
) -> Result<Done, Failure> {
    let attempt = work.attempt;
    let wrong = |reason: String| {
        Failure::internal(format!("the executor of {attempt} told what is not so: {reason}"))
    };
    let DoneWord { mut facts, made } = word;
    check_facts(&mut facts, work).map_err(wrong)?;
    let made = match (made, folder) {
        (MadeWord::Runs(runs), _) if makes_runs(work) => {
            let output = runs_of(runs, &facts, work).map_err(wrong)?;
            check_runs(&output, &facts).map_err(wrong)?;
            Made::Runs(output)
        }
        (MadeWord::Parts(told), Some(folder)) if !makes_runs(work) => {
            let (rows_out, bytes_out) = match &facts.stage {
                StageFacts::Map(map) => (map.records_out, map.bytes_out),
                StageFacts::Reduce(reduce) => (reduce.records_out, reduce.bytes_out),
            };
            let sum = told.iter().fold((0_u64, 0_u64), |(rows, bytes), part| {
                (rows.saturating_add(part.rows), bytes.saturating_add(part.bytes))
            });
            if sum != (rows_out, bytes_out) {
                return Err(wrong("its parts have other sums than it counted".into()));
            }
            Made::Parts(folder.take_parts(told, &PartNames::of(&work.description.spec.output))?)
        }
        _ => return Err(wrong("it made something else than it was to make".into())),
    };
    match (facts.rejects, folder) {
        (0, _) => {}
        (_, Some(folder)) => folder.take_rejects()?,
        (_, None) => return Err(wrong("it rejected records where none may be".into())),
    }
    Ok(Done { made, report: facts.report(), facts })
}

/// Largest failure that is passed on, in bytes as sent: log and stack of a plugin as long as they may be.
/// It travels on with more log lines, in a message of twice that size.
const FAILURE_BYTES_MAX: usize = 600 << 10;

/// The failure that a child tells, as far as an attempt can fail so; harmless for whoever reads it.
pub(crate) fn failure(told: Failure, work: &AttemptWork) -> Failure {
    let believed = believed(told, work);
    match postcard::to_stdvec(&believed) {
        Ok(bytes) if bytes.len() <= FAILURE_BYTES_MAX => believed,
        _ => Failure::internal(format!(
            "the executor of {} told a failure of more than {FAILURE_BYTES_MAX} bytes",
            work.attempt
        )),
    }
}

fn believed(failure: Failure, work: &AttemptWork) -> Failure {
    let text = |text: String| clean(&text, TEXT_BYTES_MAX);
    match failure {
        Failure::Plugin { fault, role, message, place, words } => {
            Failure::Plugin { fault, role, message: text(message), place, words: harmless(words) }
        }
        Failure::Limit { role, limit, value, cap, option, words, place } => Failure::Limit {
            role,
            limit: text(limit),
            value: text(value),
            cap: text(cap),
            option: text(option),
            words: harmless(words),
            place,
        },
        Failure::InputLost { path, reason } => Failure::InputLost { path, reason: text(reason) },
        Failure::InputChanged { path, reason } => Failure::InputChanged { path, reason: text(reason) },
        Failure::InputRecord { place, reason } => Failure::InputRecord { place, reason: text(reason) },
        Failure::Rejects { allowed, reason, place } => {
            Failure::Rejects { allowed, reason: text(reason), place }
        }
        Failure::Corrupt { path, reason, map_task } => {
            // Only map output that it was given can be run again for it.
            let given = |task| match &work.input {
                TaskInput::Reduce(segments) => segments.iter().any(|segment| segment.task() == task),
                TaskInput::Map(_) => false,
            };
            Failure::Corrupt { path, reason: text(reason), map_task: map_task.filter(|task| given(*task)) }
        }
        Failure::Disk { path, reason, full } => Failure::Disk { path, reason: text(reason), full },
        Failure::Internal { message } => Failure::Internal { message: text(message) },
        other @ (Failure::Fetch { .. }
        | Failure::RejectsShare { .. }
        | Failure::Condition { .. }
        | Failure::Refused { .. }
        | Failure::Cancelled) => Failure::internal(format!(
            "the executor of {} told a failure that it cannot have: {}",
            work.attempt,
            text(other.to_string())
        )),
    }
}

fn harmless(words: LastWords) -> LastWords {
    let most = mr_model::limit::LOG_LINES_MAX;
    let lines = |lines: Vec<String>, skipped: usize| {
        lines.into_iter().skip(skipped).take(most).map(|line| clean(&line, TEXT_BYTES_MAX)).collect()
    };
    let LastWords { log, stack, record } = words;
    let record = record.map(|record| clean(&record, TEXT_BYTES_MAX));
    // The last lines, and the innermost functions.
    let early = log.len().saturating_sub(most);
    LastWords { log: lines(log, early), stack: lines(stack, 0), record }
}

fn makes_runs(work: &AttemptWork) -> bool {
    work.attempt.task.stage == Stage::Map && work.description.spec.reducers > 0
}

/// Numbers that are known here, and limits.
fn check_facts(facts: &mut Facts, work: &AttemptWork) -> Result<(), String> {
    let (read, given) = match (&facts.stage, &work.input) {
        (StageFacts::Map(map), TaskInput::Map(split)) => ((0, map.bytes_in), (0, split.bytes)),
        (StageFacts::Reduce(reduce), TaskInput::Reduce(segments)) => {
            let sum = segments.iter().fold((0_u64, 0_u64), |(records, bytes), segment| {
                (records.saturating_add(segment.entry.records), bytes.saturating_add(segment.entry.bytes))
            });
            ((reduce.records_in, reduce.bytes_in), sum)
        }
        _ => return Err("it counted for another stage".into()),
    };
    if read != given {
        return Err(format!("it read {read:?} records and bytes, and was given {given:?}"));
    }
    let mut counters = Counters::default();
    counters.merge(&facts.counters).map_err(|refused| refused.to_string())?;
    if facts.rejects > work.description.spec.permissions.rejects_max {
        return Err(format!("it rejected {} records", facts.rejects));
    }
    if let Some(last) = &mut facts.last_reject {
        last.reason = clean(&last.reason, TEXT_BYTES_MAX);
        last.place = last.place.take().filter(is_short);
    }
    let records_in = match &facts.stage {
        StageFacts::Map(_) => 0,
        StageFacts::Reduce(reduce) => reduce.records_in,
    };
    facts.large_groups.retain(|group| group.records <= records_in);
    facts.large_groups.truncate(LARGE_GROUPS_MAX);
    facts.large_groups.iter_mut().for_each(|group| group.key = clean(&group.key, TEXT_BYTES_MAX));
    Ok(())
}

fn is_short(place: &Place) -> bool {
    place.path.as_os_str().len() <= TEXT_BYTES_MAX
}

/// The run files that lie in the attempt's folder.
fn runs_of(runs: u32, facts: &Facts, work: &AttemptWork) -> Result<MapOutput, String> {
    let spec = &work.description.spec;
    let partitions = spec.reducers;
    let (mut records, mut bytes) = (vec![0_u64; partitions as usize], vec![0_u64; partitions as usize]);
    let mut files = Vec::new();
    for sequence in 0..runs {
        let id = RunId { job: spec.id.clone(), attempt: work.attempt, sequence };
        let file = adopt(&work.run_dir, id, partitions)?;
        for entry in file.index() {
            let at = entry.partition as usize;
            let (Some(records), Some(bytes)) = (records.get_mut(at), bytes.get_mut(at)) else {
                return Err("a run has a partition that the job has not".into());
            };
            *records = records.saturating_add(entry.records);
            *bytes = bytes.saturating_add(entry.bytes);
        }
        files.push(Run::File(file.into()));
    }
    Ok(MapOutput { runs: files, records, bytes, spilled: facts.spilled })
}

fn adopt(dir: &Path, id: RunId, partitions: u32) -> Result<RunFile, String> {
    RunFile::adopt(dir, id, partitions).map_err(|failure| failure.to_string())
}

/// Run files hold what the attempt counted.
fn check_runs(output: &MapOutput, facts: &Facts) -> Result<(), String> {
    let sum = |numbers: &[u64]| numbers.iter().fold(0_u64, |sum, number| sum.saturating_add(*number));
    let held = (sum(&output.records), sum(&output.bytes));
    match &facts.stage {
        StageFacts::Map(map) if (map.shuffle_records, map.shuffle_bytes) == held => Ok(()),
        StageFacts::Map(map) => Err(format!(
            "its runs hold {held:?} records and bytes, and it counted {:?}",
            (map.shuffle_records, map.shuffle_bytes)
        )),
        StageFacts::Reduce(_) => Err("a reducer makes no runs".into()),
    }
}
