//! What clients, the coordinator and workers say to each other. Plain data, versioned as a whole by the
//! protocol version that the handshake of `mr-net` compares.
//!
//! Control messages are small: ids, numbers, one report. Whatever can be large (components, side inputs, job and
//! task descriptions, map output) is a segment that its taker asks for by key. A client and a worker
//! dial the coordinator; a worker dials another worker for map output. Nobody dials a client.
//!
//! Every message is safe to repeat, and may come late: words about attempts carry their whole lease.

use mr_model::{AttemptId, Failure, Incarnation, JobId, Side, WorkerId};
use mr_runtime::{Facts, JobDescription, JobReport, PlanRecord};
use mr_scheduler::{AttemptReport, Lease, Outcome, Progress, StageStatus};
use mr_shuffle::{Codec, IndexEntry};
use mr_storage::{ReadyParts, Split};
use serde::{Deserialize, Serialize};

/// BLAKE3 of something that is stored by its content.
pub type ContentHash = [u8; 32];
/// BLAKE3 of a component.
pub type ComponentHash = ContentHash;

/// Bytes of a submission that travel in one message.
pub const CHUNK_BYTES: usize = 256 << 10;
/// Most bytes of a side input that a worker asks for at once: a piece is asked for again as a whole when a
/// connection breaks, and is in memory until it is written.
pub const SIDE_PIECE_BYTES_MAX: u64 = 4 << 20;
/// Largest submitted plan, in bytes: a million splits with their paths.
pub const PLAN_BYTES_MAX: u64 = 1 << 30;
/// Most jobs, workers or attempts in one answer; the next page is asked for.
pub const PAGE_ROWS_MAX: u32 = 1_000;
/// Longest that the coordinator holds an answer back until something changes, in milliseconds.
pub const WAIT_MILLIS_MAX: u32 = 5_000;
/// Most bytes of log lines that come with the end of an attempt.
pub const LOG_BYTES_MAX: usize = 64 << 10;
/// Most map outputs that a worker is asked about at once.
pub const OUTPUTS_ASKED_MAX: usize = 1_000;

/// What the coordinator is asked. Clients ask; of workers nothing here is taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Request {
    /// The jobs in the history, newest first, with reports without parts, counters and log lines.
    Jobs {
        /// Only those submitted before this one ([`JobView::number`]); the first page has none.
        before: Option<u64>,
        /// Most rows wanted, at most [`PAGE_ROWS_MAX`].
        limit: u32,
    },
    /// One job. The answer is held back until it differs from what was seen.
    Job {
        /// The job.
        job: JobId,
        /// [`JobView::revision`] that is known already; 0 for none.
        seen: u64,
        /// How long to hold back, at most [`WAIT_MILLIS_MAX`]; 0 answers at once.
        wait_millis: u32,
    },
    /// Stop a job.
    Cancel {
        /// The job.
        job: JobId,
    },
    /// Ended attempts of a job with their log lines, in order of their end.
    Attempts {
        /// The job.
        job: JobId,
        /// Rows to skip.
        skip: u64,
        /// Most rows wanted, at most [`PAGE_ROWS_MAX`].
        limit: u32,
    },
    /// All workers known.
    Workers,
    /// A worker is to finish what it has and leave.
    Drain {
        /// Its name.
        worker: String,
    },
}

/// What the coordinator answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Request::Jobs`].
    Jobs(Vec<JobView>),
    /// To [`Request::Job`].
    Job(Box<JobView>),
    /// To [`Request::Attempts`].
    Attempts(Vec<AttemptRecord>),
    /// To [`Request::Workers`].
    Workers(Vec<WorkerView>),
    /// It is done, or under way.
    Done,
    /// It is not done.
    Refused(Refused),
}

/// Why the coordinator does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refused {
    /// The certificate's role does not allow it.
    #[error("a {role} may not ask for that; use the certificate of a client")]
    Role {
        /// Role of the one who asks.
        role: String,
    },
    /// There is no such job.
    #[error(
        "job {job} is not known to the cluster (it may have left the history); `mr-engine jobs` lists them"
    )]
    NoJob {
        /// The job.
        job: JobId,
    },
    /// There is no such worker.
    #[error("worker {worker} is not known to the cluster; `mr-engine workers` lists them")]
    NoWorker {
        /// Its name.
        worker: String,
    },
    /// The name is taken by a job that is not the same.
    #[error(
        "job {job} was submitted already, with other plugins, options or inputs; choose another --job-id"
    )]
    Differs {
        /// The job.
        job: JobId,
    },
    /// The output cannot be made. The text says why.
    #[error("{sentence}")]
    Output {
        /// The reason.
        sentence: String,
    },
    /// The scheduler does not take the job. The text says why.
    #[error("the cluster does not take the job: {sentence}")]
    Job {
        /// The reason.
        sentence: String,
    },
    /// What was sent makes no sense.
    #[error("the submission is malformed: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// The coordinator is going down.
    #[error("the coordinator is shutting down; try again when it is back")]
    ShuttingDown,
    /// The coordinator failed.
    #[error("the coordinator failed: {reason}")]
    Fault {
        /// How.
        reason: String,
    },
    /// The coordinator takes no more at once.
    #[error("too many jobs are being submitted at once; try again")]
    Busy,
    /// The cluster's policy does not allow what the job asks for. The text says what.
    #[error("{sentence}")]
    Permissions {
        /// The reason.
        sentence: String,
    },
    /// The cluster's policy does not take a component.
    #[error("the plugin with blake3 {} {reason}", blake3::Hash::from_bytes(*hash).to_hex())]
    Component {
        /// Which.
        hash: ComponentHash,
        /// The reason, which begins with a verb.
        reason: String,
    },
}

/// First message of a channel to the coordinator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Opening {
    /// A worker offers itself.
    Register(Registration),
    /// A client submits a job.
    Submit(SubmitHead),
}

/// Messages of a channel to the coordinator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Up {
    /// From a worker.
    Worker(WorkerWord),
    /// From a client: the next bytes of what the coordinator wants, at most [`CHUNK_BYTES`].
    Chunk(Vec<u8>),
}

/// Messages of a channel from the coordinator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Down {
    /// To a worker.
    Worker(Order),
    /// To a client.
    Submit(SubmitReply),
}

/// What a submission consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitHead {
    /// Name of the job.
    pub job: JobId,
    /// BLAKE3 over everything that makes it the same job when it is submitted again: components, side
    /// inputs, options, names of inputs and output.
    pub digest: [u8; 32],
    /// Its components with their lengths in bytes, each once.
    pub components: Vec<(ComponentHash, u64)>,
    /// Its side inputs, in the order of their names.
    pub sides: Vec<Side>,
    /// Length of the encoded [`SubmittedPlan`], in bytes.
    pub plan_bytes: u64,
}

/// What the coordinator says to a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubmitReply {
    /// Send these, one after the other, in chunks: the components with these numbers in
    /// [`SubmitHead::components`], the side inputs with these in [`SubmitHead::sides`], then the plan.
    Wants {
        /// Numbers of the components that the coordinator does not have.
        components: Vec<u32>,
        /// Numbers of the side inputs that the coordinator does not have, each content once.
        sides: Vec<u32>,
    },
    /// The job is in the journal: it runs whatever becomes of the client.
    Accepted {
        /// It was there before.
        known: bool,
    },
    /// It is not taken.
    Refused(Refused),
}

/// A planned job as a client hands it in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubmittedPlan {
    /// What reports and the manifest need.
    pub record: PlanRecord,
    /// What workers need; the coordinator fills in where parts go.
    pub description: JobDescription,
    /// The splits, in order.
    pub splits: Vec<Split>,
    /// Where the output goes.
    pub output: OutputRequest,
    /// How it shares the cluster.
    pub share: Share,
}

/// Where the output of a job goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRequest {
    /// The folder, absolute, or the address of one on a store.
    #[serde(with = "mr_model::path_serde")]
    pub path: std::path::PathBuf,
    /// Whether a former output there may be replaced.
    pub overwrite: bool,
    /// Whether it is forced to disk before it is published.
    pub sync: bool,
}

/// How a job shares the cluster with others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Its queue.
    pub queue: String,
    /// Jobs of higher priority come first.
    pub priority: i32,
    /// Share relative to others of its queue and priority.
    pub weight: u32,
    /// Most slots at once.
    pub slots_max: Option<u32>,
    /// Whether stragglers get a backup attempt.
    pub speculation: bool,
}

/// State of a job, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// Its tasks wait or run.
    Running,
    /// Its parts are complete and the output is published.
    Publishing,
    /// It ended.
    Ended,
}

/// How a job ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum JobEnd {
    /// Its output is published.
    Succeeded(Box<JobReport>),
    /// It failed, starved or was cancelled; never [`Outcome::Succeeded`].
    Failed(Outcome),
    /// Its output could not be published. The text says why.
    Output(String),
}

/// A job as the coordinator shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobView {
    /// Its name.
    pub job: JobId,
    /// Number of its submission in this cluster, from 1.
    pub number: u64,
    /// Goes up with every change.
    pub revision: u64,
    /// State.
    pub state: JobState,
    /// When it was submitted, in milliseconds since 1970.
    pub submitted_unix_millis: u64,
    /// When it ended, in milliseconds since 1970.
    pub ended_unix_millis: Option<u64>,
    /// Bytes of input.
    pub input_bytes: u64,
    /// Where the output goes.
    #[serde(with = "mr_model::path_serde")]
    pub output: std::path::PathBuf,
    /// The map stage.
    pub maps: StageStatus,
    /// The reduce stage.
    pub reduces: StageStatus,
    /// Work done in the map stage, in millionths, with that of running attempts.
    pub maps_parts_per_million: u32,
    /// The same of the reduce stage.
    pub reduces_parts_per_million: u32,
    /// Records and bytes written by committed parts.
    pub output_records: u64,
    /// See `output_records`.
    pub output_bytes: u64,
    /// Attempts that failed so far.
    pub attempts_failed: u64,
    /// Map tasks that ran again because their output was lost.
    pub maps_rerun: u64,
    /// How it ended.
    pub end: Option<JobEnd>,
}

/// An attempt that ended, in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// The attempt.
    pub attempt: AttemptId,
    /// Name of its worker.
    pub worker: String,
    /// When it was launched, in milliseconds since 1970.
    pub started_unix_millis: u64,
    /// When its end was noted, in milliseconds since 1970.
    pub ended_unix_millis: u64,
    /// Why it failed; none where it won.
    pub failure: Option<Failure>,
    /// What it did, where it won.
    pub report: Option<AttemptReport>,
    /// The plugin's last log lines.
    pub log: Vec<String>,
}

/// A worker as the coordinator shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Its name.
    pub name: String,
    /// Its life.
    pub incarnation: Incarnation,
    /// Where it serves segments.
    pub address: String,
    /// Its lease holds.
    pub live: bool,
    /// It is connected right now.
    pub connected: bool,
    /// It takes nothing new and leaves.
    pub draining: bool,
    /// It failed too often and gets nothing for a while.
    pub set_aside: bool,
    /// Attempts that it runs at once; 0 while its disk is too full.
    pub slots: u32,
    /// Attempts that it runs.
    pub running: u32,
    /// Map outputs that unfinished jobs hold there.
    pub outputs: u64,
    /// Free space of its data folder, in bytes, as it last said.
    pub disk_free_bytes: u64,
}

/// What a worker says of itself when it connects; its name is that of its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Its life: higher than all earlier ones of this worker, kept in its data folder.
    pub incarnation: Incarnation,
    /// Drawn at process start: tells two processes with one name apart.
    pub instance: u64,
    /// Attempts that it runs at once.
    pub slots: u32,
    /// Address and port at which other workers reach it.
    pub address: String,
    /// Host name, for locality.
    pub host: String,
}

/// What a worker says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum WorkerWord {
    /// It is alive. Names everything that it runs: attempts whose end was not noted yet count as not
    /// running, and their end is said again when they are launched again.
    Heartbeat {
        /// Counts up within an incarnation.
        sequence: u64,
        /// All attempts that it runs.
        running: Vec<Progress>,
        /// Free space of its data folder, in bytes.
        disk_free_bytes: u64,
    },
    /// It runs at most so many attempts from now on; 0 while its disk is too full.
    Resized {
        /// Slots.
        slots: u32,
    },
    /// An attempt ended. Kept and said again at every new connection until it is noted.
    Ended {
        /// Which, where.
        lease: Lease,
        /// How.
        end: Box<AttemptEnd>,
        /// The plugin's last log lines, at most [`LOG_BYTES_MAX`].
        log: Vec<String>,
    },
    /// It goes: everything has ended, and its map outputs are gone.
    Leaving,
}

/// How an attempt ended on its worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum AttemptEnd {
    /// Its map output is on the worker.
    Output {
        /// For the scheduler.
        report: AttemptReport,
        /// For the job's report.
        facts: Facts,
    },
    /// Its parts wait in the staging folder, or on a store, for the coordinator to commit them.
    Parts {
        /// For the scheduler.
        report: AttemptReport,
        /// For the job's report.
        facts: Facts,
        /// The parts.
        parts: ReadyParts,
    },
    /// It failed.
    Failed(Failure),
    /// It was told to stop.
    Cancelled,
}

/// What the coordinator tells a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// The first word after a registration that is taken.
    Welcome {
        /// The worker's id in leases.
        worker: WorkerId,
        /// The lease that each heartbeat renews, in milliseconds.
        lease_millis: u64,
        /// Jobs that have not ended. Data of others is to be removed.
        jobs: Vec<JobId>,
    },
    /// Run the attempt. One that runs is left running; one that ended repeats how.
    Launch {
        /// Which, where.
        lease: Lease,
    },
    /// Stop the attempt and say that it ended as cancelled, also when it is not known; it must not
    /// begin later.
    Cancel {
        /// Which, where.
        lease: Lease,
    },
    /// A heartbeat renewed the lease, counted from when that heartbeat was sent.
    Heard {
        /// Which heartbeat.
        sequence: u64,
    },
    /// The end of the attempt is in the journal and need not be said again.
    Noted {
        /// Which, where.
        lease: Lease,
    },
    /// The job ended: remove everything of it.
    Forget {
        /// The job.
        job: JobId,
    },
    /// A life of another worker is over: what is fetched from it is given up at once.
    Lost {
        /// The worker.
        worker: WorkerId,
        /// Its life that is over.
        incarnation: Incarnation,
    },
    /// This life is over or unknown: end everything, remove all data, and come back with a higher
    /// incarnation.
    Fenced {
        /// The life that is refused.
        incarnation: Incarnation,
        /// Another process with the same name lives: do not come back.
        replaced: bool,
    },
    /// Nothing is needed from it any more after a drain: leave.
    Leave,
}

/// Names a segment that the coordinator serves to workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CoordinatorKey {
    /// A component's bytes.
    Component(ComponentHash),
    /// Bytes of a side input, at most [`SIDE_PIECE_BYTES_MAX`].
    Side {
        /// Which.
        hash: ContentHash,
        /// Where they begin.
        start: u64,
        /// How many.
        bytes: u64,
    },
    /// A job's encoded [`JobDescription`].
    Job(JobId),
    /// The encoded [`TaskOrder`] of an attempt that was launched.
    Task {
        /// The job.
        job: JobId,
        /// The attempt.
        attempt: AttemptId,
    },
}

/// What an attempt works on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum TaskOrder {
    /// A split.
    Map(Split),
    /// One partition of all map outputs.
    Reduce {
        /// The workers that hold them.
        sources: Vec<Source>,
        /// For each map task, in order: number of the worker in `sources`, and of the attempt;
        /// [`LOST_OUTPUT`] where the output was lost since the attempt was launched, which then fails
        /// with that map task as the reason.
        outputs: Vec<(u32, u32)>,
    },
}

/// Map output that is gone, in [`TaskOrder::Reduce`].
pub const LOST_OUTPUT: (u32, u32) = (u32::MAX, u32::MAX);

/// A worker that holds map output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its id.
    pub worker: WorkerId,
    /// Its name, which its certificate must have.
    pub name: String,
    /// Its life.
    pub incarnation: Incarnation,
    /// Where it serves segments.
    pub address: String,
}

/// What a worker is asked by another worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputsRequest {
    /// Which segments of a partition there are.
    Outputs {
        /// The job.
        job: JobId,
        /// The life that made them.
        incarnation: Incarnation,
        /// The partition.
        partition: u32,
        /// Map attempts, at most [`OUTPUTS_ASKED_MAX`].
        attempts: Vec<AttemptId>,
        /// The machine of the one who asks, if it would read files of its own machine where they lie.
        machine: Option<String>,
    },
}

/// Segments of each attempt asked for, in order; none where the output is gone.
pub type OutputsAnswer = Vec<Option<Vec<SegmentMeta>>>;

/// A segment that has records: one partition of one run file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentMeta {
    /// Number of the run within its attempt.
    pub sequence: u32,
    /// How it is stored.
    pub codec: Codec,
    /// Where it lies, and what it holds, as counted and hashed when it was written.
    pub entry: IndexEntry,
    /// The run file, where the one who asked is on the same machine.
    pub near: Option<NearFile>,
}

/// A run file on the machine of the one who asked for its segments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearFile {
    /// Where it is.
    #[serde(with = "mr_model::path_serde")]
    pub path: std::path::PathBuf,
}

/// Names a segment of map output on a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentKey {
    /// The job.
    pub job: JobId,
    /// The life that made it.
    pub incarnation: Incarnation,
    /// The map attempt.
    pub attempt: AttemptId,
    /// Number of the run.
    pub sequence: u32,
    /// The partition.
    pub partition: u32,
}
