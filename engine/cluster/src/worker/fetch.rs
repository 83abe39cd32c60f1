//! Gathers the input of a reduce attempt: asks every worker that holds map output which segments of the
//! partition there are, fetches them into one spool file, and uses its own where they lie.
//!
//! The attempt itself sees local files only. How much is under way at once is bounded, and so is every
//! wait; a source that cannot be had is a failure that names the map task, so that the map runs again.
//! Must not run maps again, nor ask elsewhere: that is the scheduler's. How one worker is talked to is
//! in `source`.

use std::sync::Arc;

use mr_model::{AttemptId, Failure, Incarnation, JobId, TaskId, WorkerId};
use mr_net::SegmentInfo;
use mr_shuffle::{RunId, StoredSegment};
use mr_storage::Copies;
use tokio::task::JoinSet;

use super::near::adopt;
use super::outputs::{Held, Outputs};
use super::share::Share;
use super::source::{Fetcher, Reach};
use super::spool::Spool;
use super::tenants::Tenancy;
use crate::protocol::{LOST_OUTPUT, OutputsRequest, SegmentKey, SegmentMeta, Source};

/// Segments that one attempt fetches at once: enough to keep several sources busy.
const STREAMS_OF_ATTEMPT: usize = 8;
/// Map outputs that are asked about at once: the answer stays far below what an answer may have, even
/// where every map task spilled a hundred times.
const OUTPUTS_ASKED: usize = 256;
const _: () = assert!(OUTPUTS_ASKED <= crate::protocol::OUTPUTS_ASKED_MAX);

/// What a reduce attempt reads.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The job.
    pub job: JobId,
    /// The reduce attempt.
    pub attempt: AttemptId,
    /// This worker and its life, whose outputs are used in place.
    pub us: (WorkerId, Incarnation),
    /// The workers that hold map output.
    pub sources: Vec<Source>,
    /// For each map task, in order: number of the worker in `sources`, and of the attempt, or
    /// [`LOST_OUTPUT`].
    pub outputs: Vec<(u32, u32)>,
    /// Folder of the job.
    pub dir: std::path::PathBuf,
    /// This machine, if outputs of other workers on it are read where they lie.
    pub machine: Option<String>,
}

/// The input of an attempt, there as long as this is held.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// The segments, by map task and sequence.
    pub segments: Vec<StoredSegment>,
    _own: Vec<Held>,
    _spool: Option<Spool>,
    _copies: Copies,
}

impl Input {
    /// Copies of remote objects.
    pub fn of_copies(copies: Copies) -> Self {
        Self { _copies: copies, ..Self::default() }
    }
}

/// Where the segments of one map task lie.
#[derive(Debug, Clone)]
enum Lies {
    Here(Vec<Held>),
    There { source: usize, segments: Vec<SegmentMeta> },
}

/// One segment to fetch.
#[derive(Debug)]
struct Piece {
    source: usize,
    attempt: AttemptId,
    meta: SegmentMeta,
    at: u64,
}

/// Gathers everything.
pub(super) async fn gather(
    fetcher: &Fetcher,
    outputs: &Outputs,
    wanted: Wanted,
    share: &Arc<Share>,
    tenancy: &Tenancy,
) -> Result<Input, Failure> {
    let wanted = Arc::new(wanted);
    let reaches = wanted.sources.iter().map(|source| fetcher.reach(source)).collect::<Vec<_>>();
    let lies = locate(&wanted, &reaches, outputs).await?;
    let (mut input, mut pieces, mut bytes) = (Input::default(), Vec::new(), 0_u64);
    for ((attempt, _), lies) in wanted.maps().zip(lies) {
        match lies {
            Lies::Here(held) => {
                input.segments.extend(held.iter().map(|held| held.segment.clone()));
                input._own.extend(held);
            }
            Lies::There { source, segments } => {
                for meta in segments {
                    let id = wanted.run(attempt, &meta);
                    if let Some(segment) = adopt(&wanted.dir, wanted.attempt, id, &meta).await {
                        input.segments.push(segment);
                        continue;
                    }
                    let at = bytes;
                    bytes = bytes.checked_add(meta.entry.length).ok_or_else(|| {
                        reaches[source].failure(attempt.task, "it lists more bytes than there can be")
                    })?;
                    input.segments.push(wanted.stored(attempt, &meta, at));
                    pieces.push(Piece { source, attempt, meta, at });
                }
            }
        }
    }
    if pieces.is_empty() {
        return Ok(input);
    }
    tenancy.room(bytes).await?;
    let spool = Spool::create(&wanted.dir, wanted.attempt, tenancy.full_disk()).await?;
    for segment in input.segments.iter_mut().filter(|segment| segment.path.as_os_str().is_empty()) {
        segment.path = spool.path().to_owned();
    }
    share.expect(bytes);
    fetch(&wanted, &reaches, pieces, &spool, share).await?;
    input._spool = Some(spool);
    Ok(input)
}

impl Wanted {
    /// The map attempts in order, each with the number of its source.
    fn maps(&self) -> impl Iterator<Item = (AttemptId, usize)> {
        (0..).zip(&self.outputs).map(|(index, &(source, attempt))| {
            (AttemptId { task: TaskId::map(index), attempt }, source as usize)
        })
    }

    fn partition(&self) -> u32 {
        self.attempt.task.index
    }

    /// A fetched segment; the path of the spool is filled in when there is one.
    fn stored(&self, attempt: AttemptId, meta: &SegmentMeta, at: u64) -> StoredSegment {
        let id = self.run(attempt, meta);
        StoredSegment { path: Default::default(), at, id, codec: meta.codec, entry: meta.entry }
    }

    /// The run that a segment is of.
    fn run(&self, attempt: AttemptId, meta: &SegmentMeta) -> RunId {
        RunId { job: self.job.clone(), attempt, sequence: meta.sequence }
    }
}

/// Finds out where the segments of each map task lie.
async fn locate(wanted: &Arc<Wanted>, reaches: &[Reach], outputs: &Outputs) -> Result<Vec<Lies>, Failure> {
    let mut lies: Vec<Option<Lies>> = vec![None; wanted.outputs.len()];
    let mut of_source = vec![Vec::new(); reaches.len()];
    for (attempt, source) in wanted.maps() {
        if wanted.outputs.get(attempt.task.index as usize) == Some(&LOST_OUTPUT) {
            let reason = "it was lost after this attempt was launched".to_owned();
            return Err(Failure::Fetch { map_task: attempt.task, reason });
        }
        let (Some(listed), Some(of_source)) = (wanted.sources.get(source), of_source.get_mut(source)) else {
            return Err(Failure::internal(format!(
                "the order for {} names no source {source}",
                wanted.attempt
            )));
        };
        if (listed.worker, listed.incarnation) != wanted.us {
            of_source.push(attempt);
            continue;
        }
        let held = outputs.segments(listed.incarnation, &wanted.job, attempt, wanted.partition());
        let held = held.ok_or_else(|| reaches[source].failure(attempt.task, "it is gone"))?;
        lies[attempt.task.index as usize] = Some(Lies::Here(held));
    }
    let mut asking = JoinSet::new();
    for (source, attempts) in of_source.iter().enumerate() {
        for attempts in attempts.chunks(OUTPUTS_ASKED) {
            if asking.len() >= STREAMS_OF_ATTEMPT {
                place(&mut lies, ended(&mut asking).await)?;
            }
            asking.spawn(ask(wanted.clone(), reaches[source].clone(), source, attempts.to_vec()));
        }
    }
    while !asking.is_empty() {
        place(&mut lies, ended(&mut asking).await)?;
    }
    let missing = || Failure::internal("a map task was not asked for");
    lies.into_iter().map(|lies| lies.ok_or_else(missing)).collect()
}

type Listed = Vec<(AttemptId, Lies)>;

fn place(lies: &mut [Option<Lies>], listed: Result<Listed, Failure>) -> Result<(), Failure> {
    for (attempt, here) in listed? {
        if let Some(place) = lies.get_mut(attempt.task.index as usize) {
            *place = Some(here);
        }
    }
    Ok(())
}

/// Asks one worker about some map attempts.
async fn ask(
    wanted: Arc<Wanted>,
    reach: Reach,
    source: usize,
    attempts: Vec<AttemptId>,
) -> Result<Listed, Failure> {
    let Some(first) = attempts.first().map(|attempt| attempt.task) else { return Ok(Vec::new()) };
    let request = OutputsRequest::Outputs {
        job: wanted.job.clone(),
        incarnation: reach.incarnation(),
        partition: wanted.partition(),
        attempts: attempts.clone(),
        machine: wanted.machine.clone(),
    };
    let answer = reach.outputs(&request, first).await?;
    if answer.len() != attempts.len() {
        return Err(reach.failure(first, "it lists other outputs than it was asked for"));
    }
    let mut listed = Vec::with_capacity(attempts.len());
    for (attempt, segments) in attempts.into_iter().zip(answer) {
        let segments = segments.ok_or_else(|| reach.failure(attempt.task, "it is gone"))?;
        if !is_in_order(&segments, wanted.partition()) {
            return Err(reach.failure(attempt.task, "it lists segments that cannot be"));
        }
        listed.push((attempt, Lies::There { source, segments }));
    }
    Ok(listed)
}

/// Whether segments are all of the partition and follow each other.
fn is_in_order(segments: &[SegmentMeta], partition: u32) -> bool {
    segments.iter().all(|segment| segment.entry.partition == partition)
        && segments.is_sorted_by(|one, next| one.sequence < next.sequence)
}

/// Fetches the pieces into the spool.
async fn fetch(
    wanted: &Wanted,
    reaches: &[Reach],
    mut pieces: Vec<Piece>,
    spool: &Spool,
    share: &Arc<Share>,
) -> Result<(), Failure> {
    // Reducers that start together do not all begin with the same source.
    let begin = wanted.partition() as usize % pieces.len().max(1);
    pieces.rotate_left(begin);
    let mut fetching = JoinSet::new();
    for piece in pieces {
        if fetching.len() >= STREAMS_OF_ATTEMPT {
            ended(&mut fetching).await?;
        }
        let reach = reaches[piece.source].clone();
        let key = SegmentKey {
            job: wanted.job.clone(),
            incarnation: reach.incarnation(),
            attempt: piece.attempt,
            sequence: piece.meta.sequence,
            partition: wanted.partition(),
        };
        let info = SegmentInfo { bytes: piece.meta.entry.length, hash: piece.meta.entry.hash };
        let (spool, share) = (spool.clone(), share.clone());
        fetching.spawn(async move { reach.segment(&key, info, &spool, piece.at, &share).await });
    }
    while !fetching.is_empty() {
        ended(&mut fetching).await?;
    }
    Ok(())
}

/// What the next task to end came to. The rest is given up when the set is dropped.
async fn ended<T: 'static>(tasks: &mut JoinSet<Result<T, Failure>>) -> Result<T, Failure> {
    match tasks.join_next().await {
        Some(Ok(ended)) => ended,
        Some(Err(error)) => Err(Failure::internal(format!("fetching failed: {error}"))),
        None => Err(Failure::internal("nothing was being fetched")),
    }
}
