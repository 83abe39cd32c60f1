//! The guest, built once; options; and a sink and source that remember.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use mr_model::{AttemptId, Batch, BatchBuf, ColumnBuf, Failure, GroupedBatchBuf, JobId, TaskContext, TaskId};
use mr_sandbox::{
    CancelToken, GuestMemory, GuestOutput, InstanceOptions, MoreValues, Plugin, Sandbox, SandboxOptions,
    Sides, Sink,
};

/// The file of the hostile guest.
pub fn guest() -> &'static Path {
    static GUEST: OnceLock<PathBuf> = OnceLock::new();
    GUEST.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest");
        let built = Command::new(env!("CARGO"))
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guest"))
            .args(["build", "--locked", "--quiet", "--release", "--target", "wasm32-wasip2", "--target-dir"])
            .arg(&target)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .status()
            .expect("cargo runs");
        assert!(
            built.success(),
            "the guest does not build; tools/install-wasm-target.sh installs its target"
        );
        target.join("wasm32-wasip2/release/hostile_guest.wasm")
    })
}

/// The guest, compiled once for all tests.
pub fn plugin() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| load(None, guest()).unwrap()).clone()
}

pub fn load(cache_dir: Option<&Path>, path: &Path) -> Result<Plugin, mr_sandbox::LoadError> {
    let sandbox = Sandbox::new(SandboxOptions {
        cache_dir: cache_dir.map(Path::to_owned),
        ..SandboxOptions::default()
    })
    .unwrap();
    sandbox.load(path, &mut |_| {})
}

/// Options of a map task that runs the guest in `mode`.
pub fn options(mode: &str) -> InstanceOptions {
    with_params(&[("mode", mode)])
}

pub fn with_params(params: &[(&str, &str)]) -> InstanceOptions {
    let context = TaskContext {
        job: JobId::new("job-1").unwrap(),
        attempt: AttemptId { task: TaskId::map(7), attempt: 2 },
        partitions: 4,
        seed: 42,
        batch_bytes: 65_536,
        outputs: ["main".to_owned()].into(),
    };
    InstanceOptions {
        context,
        params: params.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        memory: Arc::new(GuestMemory::new(1 << 30)),
        memory_bytes_max: 1 << 30,
        idle_timeout: Duration::from_secs(600),
        deadline: None,
        output: Arc::new(GuestOutput::new(u64::MAX, u64::MAX)),
        wall_clock: None,
        sides: Sides::default(),
        cancel: CancelToken::default(),
        log: None,
    }
}

/// What a role did to its sink, in order.
#[derive(Debug, Default)]
pub struct Seen {
    pub records: Vec<(Vec<u8>, Vec<u8>)>,
    pub partitions: Vec<u32>,
    pub rejects: Vec<(u32, String)>,
    /// Answered to the next emit.
    pub failure: Option<Failure>,
}

pub type Shared = Arc<Mutex<Seen>>;

impl Sink for Seen {
    fn emit(&mut self, port: u32, batch: Batch<'_>) -> Result<(), Failure> {
        assert_eq!(port, 0);
        self.records.extend(batch.iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
        self.failure.take().map_or(Ok(()), Err)
    }

    fn emit_partitioned(&mut self, batch: Batch<'_>, partitions: &[u8]) -> Result<(), Failure> {
        self.partitions.extend(partitions.as_chunks::<4>().0.iter().map(|p| u32::from_le_bytes(*p)));
        self.emit(0, batch)
    }

    fn reject(&mut self, row: u32, reason: &str) -> Result<(), Failure> {
        self.rejects.push((row, reason.to_owned()));
        self.failure.take().map_or(Ok(()), Err)
    }
}

/// Answers with each of its columns once.
pub struct Rest(pub Vec<Vec<&'static str>>);

impl MoreValues for Rest {
    fn next(&mut self, values: &mut ColumnBuf) -> Result<bool, Failure> {
        if self.0.is_empty() {
            return Ok(false);
        }
        self.0.remove(0).iter().for_each(|cell| values.push(cell.as_bytes()));
        Ok(true)
    }
}

pub fn records(records: &[(&str, &str)]) -> BatchBuf {
    let mut batch = BatchBuf::default();
    records.iter().for_each(|(key, value)| batch.push(key.as_bytes(), value.as_bytes()));
    batch
}

pub fn groups(groups: &[(&str, &[&str])]) -> GroupedBatchBuf {
    let mut batch = GroupedBatchBuf::default();
    for (key, values) in groups {
        batch.keys.push(key.as_bytes());
        values.iter().for_each(|value| batch.values.push(value.as_bytes()));
        batch.close_group();
    }
    batch
}

/// Records as text, for comparing.
pub fn text(seen: &Shared) -> Vec<(String, String)> {
    let string = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    seen.lock().unwrap().records.iter().map(|(key, value)| (string(key), string(value))).collect()
}
