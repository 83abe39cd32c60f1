//! From a file to a [`Plugin`]: every way in which a file can be no plugin for this engine is found
//! here, before any work begins, and told in one sentence. The component is instantiated once on
//! trial, its functions are checked against the interface, and it is asked to describe itself.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, TryLockError, Weak};
use std::time::Instant;

use mr_model::ContractError;
use mr_model::limit::COMPONENT_BYTES_MAX;
use wasmtime::component::Component;

use crate::cache::Entry;
use crate::engine::{Core, Sandbox};
use crate::host::VERSION;
use crate::inspect::inspect;
use crate::limits::Passed;
use crate::plugin::{Compile, Facts, Plugin};

/// What to do about a component that the compiler refuses.
fn compile_advice(reason: &str) -> &'static str {
    // The parser has bounds of its own, and says so in these words.
    let is_too_much = ["exceeds limit", "exceeds the limit", "limit exceeded", "count of"];
    if is_too_much.iter().any(|words| reason.contains(words)) {
        "it holds more than a component may; make it smaller"
    } else {
        "build it again with current tools"
    }
}

/// First bytes of every WebAssembly binary.
const WASM_MAGIC: &[u8] = b"\0asm";
/// What follows the magic in a component.
const COMPONENT_LAYER: &[u8] = &[0x0d, 0, 1, 0];

/// What takes time while a plugin is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadProgress {
    /// A component of `bytes` bytes is being compiled, which takes from milliseconds to half a minute.
    Compiling {
        /// Size of the component.
        bytes: u64,
    },
    /// Another thread or process is compiling it.
    Waiting,
}

/// Why a file cannot be used as a plugin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error("plugin {path} does not exist; check the path")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("plugin {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// The file is too large.
    #[error("plugin {path} is larger than {max} bytes; strip its debug information", max = COMPONENT_BYTES_MAX)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("plugin {path} is not a WebAssembly file; a plugin is a compiled component (.wasm)")]
    NotWasm {
        /// The file.
        path: PathBuf,
    },
    /// The file is a core module.
    #[error(
        "plugin {path} is a core WebAssembly module and not a component; \
         build it for the target wasm32-wasip2, or run `wasm-tools component new` on it"
    )]
    CoreModule {
        /// The file.
        path: PathBuf,
    },
    /// The component is malformed or uses what this engine does not support.
    #[error("plugin {path} cannot be compiled: {reason}; {}", compile_advice(reason))]
    Compile {
        /// The file.
        path: PathBuf,
        /// The compiler's reason.
        reason: String,
    },
    /// Compiling it takes more than is allowed.
    #[error(
        "compiling plugin {path} went over its limit of {limit}: {value}, and {cap} are allowed \
         (raise it with {option}, or make the plugin smaller)"
    )]
    CompileLimit {
        /// The file.
        path: PathBuf,
        /// What is limited.
        limit: String,
        /// What it took, with unit.
        value: String,
        /// The cap, with unit.
        cap: String,
        /// The option that sets the cap.
        option: String,
    },
    /// The process that was to compile it did not.
    #[error("plugin {path} was not compiled: {reason}")]
    Compiler {
        /// The file.
        path: PathBuf,
        /// What became of the process.
        reason: String,
    },
    /// The component wants something that no plugin is given.
    #[error(
        "plugin {path} imports {import}, which this engine does not offer; \
         plugins may import mr:engine@{VERSION} and WASI 0.2 (cli, clocks, filesystem, io, random, sockets)"
    )]
    UnknownImport {
        /// The file.
        path: PathBuf,
        /// Name of the import.
        import: String,
    },
    /// The component was built for another version of the interface.
    #[error(
        "plugin {path} is built for {interface}, and this engine speaks mr:engine@{VERSION}; \
         build it with an SDK for that version"
    )]
    WrongVersion {
        /// The file.
        path: PathBuf,
        /// The interface with its version.
        interface: String,
    },
    /// The component exports nothing that the engine knows.
    #[error(
        "plugin {path} exports no role; \
         export mr:engine/mapper, combiner, reducer, partitioner or plugin, each @{VERSION}"
    )]
    NoRole {
        /// The file.
        path: PathBuf,
    },
    /// A function has other types than the interface says.
    #[error(
        "plugin {path} does not fit {interface}: {reason}; build it against this engine's wit/engine.wit"
    )]
    WrongType {
        /// The file.
        path: PathBuf,
        /// The interface with its version, or the imports on offer.
        interface: String,
        /// What does not fit.
        reason: String,
    },
    /// The component goes over a limit before it works on anything.
    #[error("plugin {path} goes over the limit of {limit}: {value}, and {cap} are allowed")]
    Limit {
        /// The file.
        path: PathBuf,
        /// What is limited.
        limit: &'static str,
        /// What it came to, with unit.
        value: String,
        /// The cap, with unit.
        cap: String,
    },
    /// The component fails before any of its functions is called.
    #[error("plugin {path} does not start: {reason}")]
    Start {
        /// The file.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
    /// `plugin.describe` fails.
    #[error("plugin {path} does not describe itself: {reason}")]
    Describe {
        /// The file.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
    /// The description cannot be understood.
    #[error("plugin {path} describes itself wrongly: {reason}")]
    Contract {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: ContractError,
    },
}

impl LoadError {
    /// What is wrong, without the file that it begins with: for lists of what is wrong with one file.
    pub fn about(&self, path: &Path) -> String {
        let text = self.to_string();
        match text.strip_prefix(&format!("plugin {} ", path.display())) {
            Some(rest) => rest.to_owned(),
            None => text,
        }
    }

    /// A limit was passed while the plugin was looked at; no option raises these.
    pub(crate) fn passed(path: &Path, passed: &Passed) -> Self {
        LoadError::Limit {
            path: path.to_owned(),
            limit: passed.limit.name,
            value: passed.value.clone(),
            cap: passed.limit.show(passed.cap),
        }
    }
}

/// The compiled code of a component, and what it was compiled from.
pub struct Code {
    /// BLAKE3 of the component.
    pub hash: blake3::Hash,
    /// Size of the component, in bytes.
    pub component_bytes: u64,
    /// The code.
    pub code: Vec<u8>,
}

/// Plugins in use, by hash, each behind a lock that is held while it is loaded.
#[derive(Default)]
pub(crate) struct Loaded(Mutex<HashMap<blake3::Hash, Arc<Mutex<Weak<Facts>>>>>);

impl Loaded {
    fn slot(&self, hash: blake3::Hash) -> Arc<Mutex<Weak<Facts>>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What nobody uses and nobody is loading goes, so that the map does not grow for ever.
        slots.retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|facts| facts.strong_count() > 0)
        });
        Arc::clone(slots.entry(hash).or_default())
    }
}

impl Sandbox {
    /// Loads a plugin: reads, checks and compiles it or takes it from the cache. A file that is loaded
    /// twice is compiled once, whoever asks. `on_progress` is told what takes time.
    pub fn load(&self, path: &Path, on_progress: &mut dyn FnMut(LoadProgress)) -> Result<Plugin, LoadError> {
        let started = Instant::now();
        let bytes = read(path)?;
        let hash = blake3::hash(&bytes);
        let slot = self.0.loaded.slot(hash);
        let mut held = match slot.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(held)) => held.into_inner(),
            Err(TryLockError::WouldBlock) => {
                on_progress(LoadProgress::Waiting);
                slot.lock().unwrap_or_else(PoisonError::into_inner)
            }
        };
        let (facts, cached) = match held.upgrade() {
            Some(facts) => (facts, true),
            None => {
                let (component, cached) = component(&self.0, path, &bytes, &hash, on_progress)?;
                let facts = Arc::new(inspect(&self.0, path, &component, &hash, bytes.len() as u64)?);
                *held = Arc::downgrade(&facts);
                (facts, cached)
            }
        };
        let compile = Compile { cached, time: started.elapsed() };
        Ok(Plugin { path: path.to_owned(), facts, compile })
    }

    /// The code of a component, from the cache or compiled: nothing of it runs in this process, and where
    /// the compiler is apart, nothing of it is looked at but its first bytes.
    pub fn code(&self, path: &Path, on_progress: &mut dyn FnMut(LoadProgress)) -> Result<Code, LoadError> {
        let bytes = read(path)?;
        let hash = blake3::hash(&bytes);
        let (entry, _) = code(&self.0, path, &bytes, &hash, on_progress, &mut |_| true)?;
        Ok(Code { hash, component_bytes: bytes.len() as u64, code: entry.into_code() })
    }
}

/// Reads a component, as far as its size allows.
///
/// # Errors
/// A file that is missing, cannot be read, is too large or does not begin as components do.
pub fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |reason: io::Error| match reason.kind() {
        io::ErrorKind::NotFound => LoadError::Missing { path: path.to_owned() },
        _ => LoadError::Unreadable { path: path.to_owned(), reason },
    };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(COMPONENT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > COMPONENT_BYTES_MAX {
        return Err(LoadError::TooLarge { path: path.to_owned() });
    }
    check_kind(path, &bytes)?;
    Ok(bytes)
}

/// Whether a file begins as components do.
pub(crate) fn check_kind(path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    match bytes.strip_prefix(WASM_MAGIC) {
        Some(rest) if rest.starts_with(COMPONENT_LAYER) => Ok(()),
        // A core module has its layer, 0, where a component has 1.
        Some([_, _, 0, 0, ..]) => Err(LoadError::CoreModule { path: path.to_owned() }),
        Some([_, _, _, _, ..]) => Err(LoadError::Compile {
            path: path.to_owned(),
            reason: "it is in a binary format of another version".into(),
        }),
        _ => Err(LoadError::NotWasm { path: path.to_owned() }),
    }
}

/// The compiled component, and whether it was in the cache.
fn component(
    core: &Core,
    path: &Path,
    bytes: &[u8],
    hash: &blake3::Hash,
    on_progress: &mut dyn FnMut(LoadProgress),
) -> Result<(Component, bool), LoadError> {
    let mut found = None;
    let mut read = |entry: &Entry| {
        // SAFETY: deserialising trusts its input. This is code that the same engine compiled: just now, or
        // before, and then it was kept in a folder and a file that nobody else could write to since, and
        // is whole by its hash.
        found = unsafe { Component::deserialize(&core.engine, entry.code()) }.ok();
        found.is_some()
    };
    let (_, cached) = code(core, path, bytes, hash, on_progress, &mut read)?;
    let unreadable = || LoadError::Compiler {
        path: path.to_owned(),
        reason: "the engine does not understand the compiler's code".into(),
    };
    found.map(|component| (component, cached)).ok_or_else(unreadable)
}

/// The code of a component, and whether it was in the cache. What `accept` refuses is compiled anew.
fn code(
    core: &Core,
    path: &Path,
    bytes: &[u8],
    hash: &blake3::Hash,
    on_progress: &mut dyn FnMut(LoadProgress),
    accept: &mut dyn FnMut(&Entry) -> bool,
) -> Result<(Entry, bool), LoadError> {
    let folder = core.cache.as_ref().and_then(|cache| cache.folder().ok());
    let mut find = || folder.as_ref().and_then(|folder| folder.lookup(hash, accept));
    if let Some(entry) = find() {
        return Ok((entry, true));
    }
    let _lock = folder.as_ref().and_then(|folder| {
        let wait = || on_progress(LoadProgress::Waiting);
        folder.lock(hash, wait).ok()
    });
    // Somebody else may have compiled it since the first look.
    if let Some(entry) = find() {
        return Ok((entry, true));
    }
    on_progress(LoadProgress::Compiling { bytes: bytes.len() as u64 });
    let code = core.compiler.compile(&core.engine, bytes).map_err(|error| error.of(path))?;
    if let Some(folder) = &folder {
        // A full disk or a folder that went away: the next process compiles again.
        let _ = folder.store(hash, &code);
    }
    let entry = Entry::from(code);
    accept(&entry);
    Ok((entry, false))
}
