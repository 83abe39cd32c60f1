//! Where the records of a job's last stage go: into files, encoded, one open file at most for each output of the
//! job. A file that is large enough is ended between two records, and the next one begins with the next. Checks
//! each record against the job's limits on the way. Must not know what files are called.

use std::sync::Arc;

use mr_model::{Batch, Failure, Role};
use mr_sandbox::Sink;
use mr_storage::{Encoder, PartWriter, PartsWriter, PendingParts};

use crate::job::{Attempt, Job};
use crate::outputs::{Ports, encoder};
use crate::progress::Progress;
use crate::quota::{check_output, stage_role};
use crate::sink::{Rejects, contract};

/// Encoded records of the main output that are handed to a file at a time, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;
/// The same of a named output: there may be many of them, of few records each.
const PORT_CHUNK_BYTES: usize = 16 * 1024;

/// Takes output records into parts.
pub(crate) struct PartSink {
    ground: Ground,
    main: OutputFile,
    /// The named outputs of the job, in order.
    named: Vec<OutputFile>,
    /// Which of the job's outputs the ports of the plugin are.
    outputs: Vec<usize>,
    pub rejects: Rejects,
}

/// What all files of the attempt share.
struct Ground {
    job: Arc<Job>,
    progress: Arc<Progress>,
    role: Role,
    parts: PartsWriter,
    /// Records and bytes that went to files.
    records: u64,
    bytes: u64,
}

/// An output, with the file that its records go to now.
struct OutputFile {
    port: u32,
    encoder: Encoder,
    /// None until there is something to write.
    part: Option<PartWriter>,
    encoded: Vec<u8>,
    /// Bytes of `encoded` with which they are written: fewer where the file is nearly full.
    due_bytes: usize,
    /// Records that were given since the last write.
    rows: u64,
}

impl PartSink {
    /// Takes what `attempt` emits; the plugin's ports are `ports`.
    pub fn new(attempt: &Attempt, ports: &Ports) -> Result<Self, Failure> {
        let job = attempt.job.clone();
        let rejects = Rejects::new(job.spec.permissions.rejects_max);
        let last = u32::try_from(job.spec.output.ports.len()).unwrap_or(u32::MAX);
        let mut main = OutputFile::new(&job, 0)?;
        let named = (1..=last).map(|port| OutputFile::new(&job, port)).collect::<Result<_, _>>()?;
        let mut parts = attempt.parts();
        // The main output has a file whatever comes.
        main.part = Some(parts.begin(0)?);
        let role = stage_role(attempt.id.task.stage);
        let ground = Ground { progress: attempt.progress.clone(), role, parts, records: 0, bytes: 0, job };
        Ok(Self { ground, main, named, outputs: ports.outputs.clone(), rejects })
    }

    /// Takes a record of the main output.
    #[inline]
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        self.main.push(&mut self.ground, key, value)
    }

    /// Writes what is left and hands over the parts.
    pub fn finish(mut self) -> Result<PendingParts, Failure> {
        for file in std::iter::once(&mut self.main).chain(&mut self.named) {
            if file.part.is_some() || file.rows > 0 {
                file.end(&mut self.ground)?;
            }
        }
        self.ground.parts.finish()
    }
}

impl Sink for PartSink {
    fn emit(&mut self, port: u32, batch: Batch<'_>) -> Result<(), Failure> {
        let output = self.outputs.get(port as usize).copied();
        let file = match output {
            Some(0) => Some(&mut self.main),
            Some(named) => self.named.get_mut(named - 1),
            None => None,
        };
        let file = file.ok_or_else(|| Failure::internal(format!("there is no port {port}")))?;
        batch.iter().try_for_each(|(key, value)| file.push(&mut self.ground, key, value))
    }

    fn emit_partitioned(&mut self, _batch: Batch<'_>, _partitions: &[u8]) -> Result<(), Failure> {
        Err(contract(self.ground.role, "emit-partitioned is for mappers of a job with reducers".into()))
    }

    fn reject(&mut self, row: u32, reason: &str) -> Result<(), Failure> {
        self.rejects.add(row, reason)
    }
}

impl OutputFile {
    fn new(job: &Job, port: u32) -> Result<Self, Failure> {
        let chunk_bytes = if port == 0 { CHUNK_BYTES } else { PORT_CHUNK_BYTES };
        // The last record comes on top of a chunk.
        let encoded = Vec::with_capacity(chunk_bytes * 2);
        let mut file =
            Self { port, encoder: new_encoder(job, port)?, part: None, encoded, due_bytes: 0, rows: 0 };
        file.due_bytes = file.due(job, 0).unwrap_or(1);
        Ok(file)
    }

    #[inline]
    fn push(&mut self, ground: &mut Ground, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        ground.job.check_record(ground.role, key, value)?;
        if let Err(error) = self.encoder.encode(key, value, &mut self.encoded) {
            return Err(self.refused(ground, &error));
        }
        self.rows += 1;
        if self.encoded.len() >= self.due_bytes { self.write(ground) } else { Ok(()) }
    }

    /// Writes what is encoded, and ends the file that is large enough then.
    fn write(&mut self, ground: &mut Ground) -> Result<(), Failure> {
        let written = self.flush(ground)?;
        match self.due(&ground.job, written) {
            Some(due_bytes) => {
                self.due_bytes = due_bytes;
                Ok(())
            }
            None => self.end(ground),
        }
    }

    /// Writes the rest of the file and ends it.
    fn end(&mut self, ground: &mut Ground) -> Result<(), Failure> {
        if let Err(error) = self.encoder.finish(&mut self.encoded) {
            return Err(self.refused(ground, &error));
        }
        self.flush(ground)?;
        if let Some(part) = self.part.take() {
            ground.parts.end(part)?;
        }
        self.encoder = new_encoder(&ground.job, self.port)?;
        self.due_bytes = self.due(&ground.job, 0).unwrap_or(1);
        Ok(())
    }

    /// Hands what is encoded to the file, which is begun where there is none; answers its length.
    fn flush(&mut self, ground: &mut Ground) -> Result<u64, Failure> {
        ground.count(self.encoded.len() as u64, self.rows)?;
        let part = match &mut self.part {
            Some(part) => part,
            None => self.part.insert(ground.parts.begin(self.port)?),
        };
        part.write(&self.encoded, self.rows)?;
        self.encoded.clear();
        // A row group of Parquet comes all at once, and the next one is gathered elsewhere.
        self.encoded.shrink_to(2 * CHUNK_BYTES);
        self.rows = 0;
        Ok(part.bytes())
    }

    /// Bytes after which a file of `written` bytes is written to again; none where it is large enough.
    fn due(&self, job: &Job, written: u64) -> Option<usize> {
        let chunk_bytes = if self.port == 0 { CHUNK_BYTES } else { PORT_CHUNK_BYTES };
        let Some(max) = job.spec.output.part_bytes_max else { return Some(chunk_bytes) };
        let room = max.saturating_sub(written);
        (room > 0).then(|| usize::try_from(room).unwrap_or(usize::MAX).min(chunk_bytes))
    }

    #[cold]
    fn refused(&self, ground: &Ground, error: &dyn std::fmt::Display) -> Failure {
        let named = (self.port as usize).checked_sub(1);
        let named = named.and_then(|named| ground.job.spec.output.ports.get(named));
        let to = named.map(|port| format!(" to the output {}", port.name)).unwrap_or_default();
        let job = &ground.job;
        if ground.role != Role::Reducer || job.stages.reducer.is_some() {
            return contract(
                ground.role,
                format!("what it emitted{to} is not of the type it declares: {error}"),
            );
        }
        // Nobody reduced it: it is as it was given to the shuffle.
        let format = job.spec.output.format;
        let emitted = job.spec.inputs.iter().any(|input| input.mapper.is_some());
        let what = if emitted { "what it emitted" } else { "a record of the input, which it passes on," };
        let role = if job.stages.combiner.is_some() { Role::Combiner } else { Role::Mapper };
        contract(role, format!("{what} cannot be written{to} in the output format {format}: {error}"))
    }
}

impl Ground {
    /// Counts what goes to a file, unless the job would write more than it may.
    fn count(&mut self, bytes: u64, rows: u64) -> Result<(), Failure> {
        let (all_bytes, all_records) = (self.bytes + bytes, self.records + rows);
        check_output(&self.job.spec.permissions, self.role, all_bytes, all_records)?;
        (self.bytes, self.records) = (all_bytes, all_records);
        self.progress.add(&self.progress.output_records, rows);
        self.progress.add(&self.progress.output_bytes, bytes);
        Ok(())
    }
}

fn new_encoder(job: &Job, port: u32) -> Result<Encoder, Failure> {
    encoder(&job.spec.output, port).map_err(Failure::internal)
}
