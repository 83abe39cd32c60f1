//! The records of `wit/engine.wit` as they cross the boundary: read in place where the guest sends
//! them, borrowed where the host sends them, so that a batch costs one copy at most. Names and
//! order of fields are the interface's; wasmtime checks them when a plugin is loaded.

use mr_model::{BadColumn, Batch, Column, GroupedBatchBuf, TaskContext};
use wasmtime::AsContext;
use wasmtime::component::{ComponentType, Lift, Lower, WasmList};

use crate::log::LogLevel;
use crate::state::State;

/// `types.column` in guest memory.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ColumnIn {
    width: u32,
    ends: WasmList<u8>,
    data: WasmList<u8>,
}

/// `types.batch` in guest memory.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct BatchIn {
    rows: u32,
    keys: ColumnIn,
    values: ColumnIn,
}

/// Why a batch of a guest is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadBatch {
    #[error("its key column is malformed: {0}")]
    Keys(BadColumn),
    #[error("its value column is malformed: {0}")]
    Values(BadColumn),
}

impl BatchIn {
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// Bytes of keys and values.
    pub(crate) fn bytes(&self) -> u64 {
        (self.keys.data.len() + self.values.data.len()) as u64
    }

    /// The checked batch, in guest memory.
    pub(crate) fn view<'a>(&self, store: &'a impl AsContext<Data = State>) -> Result<Batch<'a>, BadBatch> {
        Ok(Batch {
            keys: self.keys.view(self.rows, store).map_err(BadBatch::Keys)?,
            values: self.values.view(self.rows, store).map_err(BadBatch::Values)?,
        })
    }
}

impl ColumnIn {
    fn view<'a>(&self, rows: u32, store: &'a impl AsContext<Data = State>) -> Result<Column<'a>, BadColumn> {
        let (ends, data) = (self.ends.as_le_slice(store), self.data.as_le_slice(store));
        Column::new(rows, self.width, ends, data)
    }
}

/// `types.column` in host memory.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(crate) struct ColumnArg<'a> {
    width: u32,
    ends: &'a [u8],
    data: &'a [u8],
}

impl<'a> From<Column<'a>> for ColumnArg<'a> {
    fn from(column: Column<'a>) -> Self {
        let (width, ends, data) = column.parts();
        Self { width, ends, data }
    }
}

/// `types.batch` in host memory.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(crate) struct BatchArg<'a> {
    rows: u32,
    keys: ColumnArg<'a>,
    values: ColumnArg<'a>,
}

impl<'a> From<Batch<'a>> for BatchArg<'a> {
    fn from(batch: Batch<'a>) -> Self {
        Self { rows: batch.rows(), keys: batch.keys.into(), values: batch.values.into() }
    }
}

/// `types.grouped-batch` in host memory.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(crate) struct GroupedArg<'a> {
    groups: u32,
    keys: ColumnArg<'a>,
    ends: &'a [u8],
    rows: u32,
    values: ColumnArg<'a>,
    pub(crate) more: bool,
}

impl<'a> From<&'a GroupedBatchBuf> for GroupedArg<'a> {
    fn from(batch: &'a GroupedBatchBuf) -> Self {
        Self {
            groups: batch.groups(),
            keys: batch.keys.view().into(),
            ends: &batch.ends,
            rows: batch.values.rows(),
            values: batch.values.view().into(),
            more: batch.more,
        }
    }
}

/// `types.task-context`.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(crate) struct ContextArg<'a> {
    #[component(name = "job-id")]
    job_id: &'a str,
    stage: u32,
    task: u32,
    attempt: u32,
    partitions: u32,
    seed: u64,
    #[component(name = "batch-bytes")]
    batch_bytes: u32,
    outputs: &'a [String],
}

impl<'a> From<&'a TaskContext> for ContextArg<'a> {
    fn from(context: &'a TaskContext) -> Self {
        let task = context.attempt.task;
        Self {
            job_id: context.job.as_str(),
            stage: task.stage.number(),
            task: task.index,
            attempt: context.attempt.attempt,
            partitions: context.partitions,
            seed: context.seed,
            batch_bytes: context.batch_bytes,
            outputs: &context.outputs,
        }
    }
}

/// `group-values.values`, owned because it outlives the host call that makes it.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct ValuesOut {
    rows: u32,
    cells: ColumnOut,
}

/// `types.column`, owned.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct ColumnOut {
    width: u32,
    ends: Vec<u8>,
    data: Vec<u8>,
}

impl From<Column<'_>> for ValuesOut {
    fn from(column: Column<'_>) -> Self {
        let (width, ends, data) = column.parts();
        Self { rows: column.rows(), cells: ColumnOut { width, ends: ends.to_vec(), data: data.to_vec() } }
    }
}

/// `types.error-kind`.
#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "made by the derived `Lift`, out of the number that the guest sends")]
pub(crate) enum ErrorKind {
    #[component(name = "invalid-input")]
    InvalidInput,
    #[component(name = "transient")]
    Transient,
    #[component(name = "fatal")]
    Fatal,
}

/// `types.error`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ErrorIn {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) row: Option<u32>,
}

/// `logging.level`.
#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "made by the derived `Lift`, out of the number that the guest sends")]
pub(crate) enum LevelIn {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

impl From<LevelIn> for LogLevel {
    fn from(level: LevelIn) -> Self {
        match level {
            LevelIn::Trace => LogLevel::Trace,
            LevelIn::Debug => LogLevel::Debug,
            LevelIn::Info => LogLevel::Info,
            LevelIn::Warn => LogLevel::Warn,
            LevelIn::Error => LogLevel::Error,
        }
    }
}

/// `plugin.info`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct InfoIn {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sdk: String,
    pub(crate) attributes: Vec<(String, String)>,
}
