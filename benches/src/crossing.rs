//! The cost of the sandbox alone: one mapper over the same text, in the sandbox and as native code,
//! one thread, into a sink that only counts. Runs in a process of its own, which holds the text.

use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use guest_sdk::{Encode, Mapper as GuestMapper, native};
use mr_model::limit::{BATCH_BYTES, IDLE_TIMEOUT_DEFAULT};
use mr_model::{AttemptId, Batch, Column, Failure, JobId, TaskContext, TaskId};
use mr_sandbox::{
    CancelToken, GuestMemory, GuestOutput, InstanceOptions, Mapper, Plugin, Sandbox, SandboxOptions, Sides,
    Sink,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::args::CrossingArgs;
use crate::report::{Row, Section, Spread, Target, mib};
use crate::setup::Setup;

/// Most times of the native mapper that the sandboxed one may take.
const NATIVE_MOST: f64 = 1.5;
/// Memory of the guest, in bytes: far more than it takes.
const GUEST_BYTES: u64 = 256 << 20;

/// Starts the process and reads what it found.
pub fn run(setup: &Setup) -> Result<Section> {
    let bytes = setup.sizes.count_bytes;
    let mut section =
        Section::new(format!("crossing the sandbox: mappers over {:.0} MiB, 1 thread", mib(bytes)));
    for (plugin, combining) in [("every-word", false), ("wordcount", true)] {
        let mut command = Command::new(setup.scratch("mr-bench"));
        command.arg("crossing").arg(setup.plugin(plugin)).arg(setup.data.text(bytes)?);
        command.arg("--cache").arg(setup.cache()).args(["--runs", &setup.runs.to_string()]);
        command.args(combining.then_some("--combining"));
        let output = command.output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let pairs =
            parse(&String::from_utf8(output.stdout)?).context("the measuring process said nonsense")?;
        let what = if combining { "adding up in the plugin" } else { "every word by itself" };
        section.rows([
            Row::of_seconds(&format!("sandbox: {what}"), pairs.iter().map(|pair| pair.0)),
            Row::of_seconds(&format!("native: {what}"), pairs.iter().map(|pair| pair.1)),
        ]);
        let ratio: Spread = pairs.iter().map(|(sandbox, native)| sandbox / native).collect();
        let target = if combining { Target::None } else { Target::AtMost(NATIVE_MOST) };
        section.ratio(format!("sandbox over native, {what}"), ratio, target);
    }
    Ok(section)
}

/// Lines of two numbers of seconds.
fn parse(text: &str) -> Option<Vec<(f64, f64)>> {
    text.lines()
        .map(|line| line.split_once(' '))
        .map(|pair| Some((pair?.0.parse().ok()?, pair?.1.parse().ok()?)))
        .collect()
}

/// Measures both sides in turn and prints their seconds, a line for each round.
pub fn measure(args: &CrossingArgs) -> Result<()> {
    if args.combining {
        measure_mapper::<wordcount::Words>(args)
    } else {
        measure_mapper::<every_word::EveryWord>(args)
    }
}

fn measure_mapper<M: GuestMapper>(args: &CrossingArgs) -> Result<()> {
    let text = fs::read(&args.input).with_context(|| format!("no text {}", args.input.display()))?;
    let chunks = chunks(&text);
    let sandbox =
        Sandbox::new(SandboxOptions { cache_dir: Some(args.cache.clone()), ..SandboxOptions::default() })?;
    let plugin = sandbox.load(&args.plugin, &mut |_| {})?;
    let (_, expected) = in_native::<M>(&chunks, true)?;
    let (_, found) = in_sandbox(&plugin, &chunks, true)?;
    if found != expected || found.rows == 0 {
        bail!("WRONG: the sandboxed mapper emitted {found:?}, the native one {expected:?}");
    }
    let expected = Seen { hash: None, ..expected };
    for _ in 0..args.runs {
        let (sandbox, found) = in_sandbox(&plugin, &chunks, false)?;
        let (native, also) = in_native::<M>(&chunks, false)?;
        if found != expected || also != expected {
            bail!("WRONG: {found:?} and {also:?} were emitted where {expected:?} is right");
        }
        println!("{} {}", sandbox.as_secs_f64(), native.as_secs_f64());
    }
    Ok(())
}

/// Chunks of whole lines as the engine makes them, with their offsets.
fn chunks(text: &[u8]) -> Vec<(u64, &[u8])> {
    let mut chunks = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let goal = (start + BATCH_BYTES as usize).min(text.len());
        let cut = memchr::memrchr(b'\n', &text[start..goal]).map(|newline| start + newline + 1);
        let end = cut.or_else(|| memchr::memchr(b'\n', &text[goal..]).map(|newline| goal + newline + 1));
        let end = end.unwrap_or(text.len());
        chunks.push((start as u64, &text[start..end]));
        start = end;
    }
    chunks
}

/// What was emitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    rows: u64,
    bytes: u64,
    /// Sum of the hashes of the records, where they are looked at.
    hash: Option<u64>,
}

impl Seen {
    fn new(hashing: bool) -> Self {
        Self { hash: hashing.then_some(0), ..Self::default() }
    }

    fn add<'a>(&mut self, rows: u32, bytes: usize, records: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        self.rows += u64::from(rows);
        self.bytes += bytes as u64;
        if let Some(hash) = &mut self.hash {
            *hash = records.fold(*hash, |hash, (key, value)| {
                hash.wrapping_add(xxh3_64(key).rotate_left(1) ^ xxh3_64(value))
            });
        }
    }
}

impl Sink for Seen {
    fn emit(&mut self, _port: u32, batch: Batch<'_>) -> Result<(), Failure> {
        self.add(batch.rows(), batch.keys.data().len() + batch.values.data().len(), batch.iter());
        Ok(())
    }

    fn emit_partitioned(&mut self, batch: Batch<'_>, _partitions: &[u8]) -> Result<(), Failure> {
        self.emit(0, batch)
    }

    fn reject(&mut self, _row: u32, reason: &str) -> Result<(), Failure> {
        Err(Failure::internal(format!("the mapper rejected a record: {reason}")))
    }
}

fn in_sandbox(plugin: &Plugin, chunks: &[(u64, &[u8])], hashing: bool) -> Result<(Duration, Seen)> {
    let seen = Arc::new(Mutex::new(Seen::new(hashing)));
    let options = InstanceOptions {
        context: TaskContext {
            job: JobId::new("crossing")?,
            attempt: AttemptId { task: TaskId::map(0), attempt: 0 },
            partitions: 1,
            seed: 0,
            batch_bytes: BATCH_BYTES,
            outputs: [mr_model::output::MAIN_OUTPUT.to_owned()].into(),
        },
        params: Arc::default(),
        memory: Arc::new(GuestMemory::new(GUEST_BYTES)),
        memory_bytes_max: GUEST_BYTES,
        idle_timeout: IDLE_TIMEOUT_DEFAULT,
        deadline: None,
        output: Arc::new(GuestOutput::new(u64::MAX, u64::MAX)),
        wall_clock: None,
        sides: Sides::default(),
        cancel: CancelToken::default(),
        log: None,
    };
    let start = Instant::now();
    let mut mapper = Mapper::open(plugin, options, Box::new(seen.clone()))?;
    for (offset, chunk) in chunks {
        let mut key = Vec::with_capacity(8);
        offset.encode(&mut key);
        let keys = Column::new(1, u32::try_from(key.len())?, &[], &key)?;
        let values = Column::new(1, u32::try_from(chunk.len())?, &[], chunk)?;
        mapper.map_batch(Batch { keys, values })?;
    }
    mapper.close()?;
    let time = start.elapsed();
    let seen = *seen.lock().map_err(|_| anyhow!("the sink was lost"))?;
    Ok((time, seen))
}

fn in_native<M: GuestMapper>(chunks: &[(u64, &[u8])], hashing: bool) -> Result<(Duration, Seen)> {
    let mut seen = Seen::new(hashing);
    let mut sink = |batch: &guest_sdk::Batch| {
        seen.add(batch.rows, batch.keys.data.len() + batch.values.data.len(), batch.iter());
    };
    let failed = |error| anyhow!("the native mapper failed: {error:?}");
    let start = Instant::now();
    let mut mapper = native::MapDriver::<M>::open(&[], BATCH_BYTES).map_err(failed)?;
    for (offset, chunk) in chunks {
        mapper.map_chunk(*offset, chunk, &mut sink).map_err(failed)?;
    }
    mapper.close(&mut sink).map_err(failed)?;
    Ok((start.elapsed(), seen))
}
