//! The [`Sandbox`]: one wasmtime engine, what plugins may import, the ticker and the cache, shared
//! by all plugins and threads of a process. Decides how components are compiled; must not know
//! what a role does.

use std::path::PathBuf;
use std::sync::Arc;

use mr_model::limit::{HANDLES_MAX, HOSTCALL_BYTES_MAX, STACK_BYTES_MAX};
use wasmtime::component::Linker;
use wasmtime::{Config, Engine, Store, WasmBacktraceDetails};

use crate::cache::Cache;
use crate::compile::Compiler;
use crate::load::Loaded;
use crate::state::State;
use crate::ticker::Ticker;
use crate::{host, wasi};

/// Whether the bit patterns of NaNs are made the same on every kind of processor, so that a plugin that
/// writes one out makes the same bytes everywhere. Costs nothing measurable where plugins count and
/// compare, and up to 1.9 times the cycles in loops of nothing but floating point arithmetic.
const NAN_CANONICAL: bool = true;

/// How a sandbox is set up.
#[derive(Debug, Clone, Default)]
pub struct SandboxOptions {
    /// Folder for compiled components. None compiles anew in every process.
    pub cache_dir: Option<PathBuf>,
    /// Who compiles what is not there.
    pub compiler: Compiler,
}

/// A sandbox that has no thread yet: what takes longest to make, at hand before it is known what for.
/// A process that takes rights away from its threads does so before [`Prepared::start`].
pub struct Prepared {
    engine: Engine,
    linker: Linker<State>,
}

/// Where plugins are compiled and run. Cheap to clone; the last clone, and the last plugin, end its
/// one thread.
#[derive(Clone)]
pub struct Sandbox(pub(crate) Arc<Core>);

/// What a sandbox, its plugins and their instances share.
pub(crate) struct Core {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<State>,
    pub(crate) ticker: Ticker,
    pub(crate) cache: Option<Cache>,
    pub(crate) compiler: Compiler,
    pub(crate) loaded: Loaded,
}

/// A sandbox that cannot be had on this machine.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The processor or the system lacks what compiled plugins need.
    #[error("the WebAssembly engine does not start on this machine: {reason}")]
    Engine {
        /// The engine's reason.
        reason: String,
    },
    /// There is no thread to be had.
    #[error("the sandbox's thread does not start: {0}; raise the limit on threads of this user")]
    Thread(#[from] std::io::Error),
}

impl Sandbox {
    /// Starts the engine. The cache is looked at only when a plugin is loaded.
    pub fn new(options: SandboxOptions) -> Result<Self, SandboxError> {
        Self::prepare()?.start(options)
    }

    /// Makes all of a sandbox but its thread.
    pub fn prepare() -> Result<Prepared, SandboxError> {
        let refused = |error: wasmtime::Error| SandboxError::Engine { reason: format!("{error:#}") };
        let engine = Engine::new(&config()).map_err(refused)?;
        let mut linker = Linker::new(&engine);
        wasi::link(&mut linker).map_err(refused)?;
        host::link(&mut linker).map_err(refused)?;
        Ok(Prepared { engine, linker })
    }
}

impl Prepared {
    /// Starts the thread.
    pub fn start(self, options: SandboxOptions) -> Result<Sandbox, SandboxError> {
        let Self { engine, linker } = self;
        let SandboxOptions { cache_dir, compiler } = options;
        let ticker = Ticker::start(engine.clone())?;
        let cache = cache_dir.map(|root| Cache::new(root, &engine));
        Ok(Sandbox(Arc::new(Core { engine, linker, ticker, cache, compiler, loaded: Loaded::default() })))
    }

    /// Compiles a component to code that [`Sandbox::load_code`] takes, and that this engine alone understands.
    ///
    /// # Errors
    /// The compiler's reason, for people.
    pub fn compile(&self, component: &[u8]) -> Result<Vec<u8>, String> {
        crate::compile::compile(&self.engine, component)
    }
}

impl Core {
    /// A store for one instance, with every limit in place.
    pub(crate) fn store(&self, state: State) -> Store<State> {
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limits);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|cx| cx.data().check_time());
        store.set_hostcall_fuel(usize::try_from(HOSTCALL_BYTES_MAX).unwrap_or(usize::MAX));
        store.set_max_component_handles(HANDLES_MAX);
        store
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        // Component-model async makes every call several times dearer, and nothing here uses it.
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        .relaxed_simd_deterministic(true)
        .cranelift_nan_canonicalization(NAN_CANONICAL)
        // Function names are enough to find a trap; the rest makes the cached code much larger.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .generate_address_map(false)
        .debug_symbols(false)
        .native_unwind_info(false);
    config
}
