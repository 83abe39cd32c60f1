//! What a child does: one attempt, one compilation, or one trial. First all rights are given up that it
//! does not take; what goes wrong after that is said in one word.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use mr_model::{Failure, Role};
use mr_runtime::{AttemptResources, Job, Product, Progress, Stages, TaskInput, open_sides, run_attempt};
use mr_sandbox::{CancelToken, LoadedCode, Plugin, PluginFacts, Prepared, Sandbox, SandboxOptions};
use mr_shuffle::MemoryPool;
use mr_storage::{Part, PartNames, ReadyParts, ToldPart};

use super::rights::{self, Files};
use super::voice::Voice;
use crate::message::{AttemptWork, DoneWord, MadeWord, Order, Walls, Word, Work};

/// Does what the order says.
pub(super) fn obey(order: Order, files: Vec<OwnedFd>, prepared: Prepared, voice: &Voice) -> io::Result<()> {
    let Order { bounds, work } = order;
    let granted = match &work {
        Work::Attempt(attempt) => files_of(attempt),
        Work::Compile | Work::TryOut { .. } | Work::Look => Files::default(),
    };
    voice.set_period()?;
    let walls = match rights::enter(&granted, &bounds) {
        Ok(walls) => walls,
        Err(error) => return voice.say(&Word::Refused(error.to_string())),
    };
    voice.say(&Word::Entered(walls.clone()))?;
    let word = match work {
        Work::Attempt(attempt) => match run(*attempt, &files, prepared, &walls, voice) {
            Ok(done) => Word::Done(Box::new(done)),
            Err(failure) => Word::Failed(Box::new(failure)),
        },
        Work::Compile => {
            compile(files, &prepared, &walls, voice).map_or_else(Word::Refused, |()| Word::Compiled)
        }
        Work::TryOut { hash, bytes } => {
            let facts = try_out(&files, hash.into(), bytes, prepared, &walls, voice);
            facts.map_or_else(Word::Refused, |facts| Word::Facts(Box::new(facts)))
        }
        Work::Look => return Ok(()),
    };
    voice.say(&word)
}

/// The files of an attempt: what it reads, and the folders that are its own.
fn files_of(work: &AttemptWork) -> Files {
    let mut read: Vec<PathBuf> = match &work.input {
        TaskInput::Map(split) => split.pieces.iter().map(|piece| piece.file().to_owned()).collect(),
        TaskInput::Reduce(segments) => segments.iter().map(|segment| segment.path.clone()).collect(),
    };
    read.extend(work.sides.iter().map(|copy| copy.path.clone()));
    // Segments of one file lie side by side or far from each other.
    read.sort_unstable();
    read.dedup();
    Files { read, write: vec![work.run_dir.clone(), work.description.part_dir.clone()] }
}

fn run(
    work: AttemptWork,
    files: &[OwnedFd],
    prepared: Prepared,
    walls: &Walls,
    voice: &Voice,
) -> Result<DoneWord, Failure> {
    let AttemptWork {
        description,
        attempt,
        input,
        memory,
        codec,
        room_patience,
        unwritten_bytes_max,
        run_dir,
        sides,
        plugins,
    } = work;
    let progress = Progress::of_attempt(&input);
    let internal = |error: &dyn std::fmt::Display| Failure::internal(error.to_string());
    voice.live(Some(progress.clone())).map_err(|error| internal(&error))?;
    let sandbox = prepared.start(SandboxOptions::default()).map_err(|error| internal(&error))?;
    if plugins.len() != files.len() {
        return Err(Failure::internal(format!("{} components with {} files", plugins.len(), files.len())));
    }
    let mut revived = Vec::new();
    for (facts, file) in plugins.into_iter().zip(files) {
        revived.push(revive(&sandbox, facts, file).map_err(|error| internal(&error))?);
    }
    // Nothing else is ever to be executed here.
    rights::seal(walls, false).map_err(|error| internal(&error))?;
    let stages = stages(&description.roles, &revived)?;
    let pool = MemoryPool::new(memory.pool);
    let sides: Vec<PathBuf> = sides.into_iter().map(|copy| copy.path).collect();
    let resources = AttemptResources {
        memory,
        pool,
        retain: None,
        run_dir,
        sides: open_sides(&description.spec.sides, &sides)?,
        codec,
        room_patience,
        unwritten_bytes_max,
    };
    let names = PartNames::of(&description.spec.output);
    let job = Job::new(description, stages, resources)?;
    let cancel = CancelToken::default();
    let done = run_attempt(&job, attempt, &input, &progress, Some(voice.log()), &cancel)?;
    let made = match done.product {
        Product::Runs(output) => {
            let runs = u32::try_from(output.runs.len()).unwrap_or(u32::MAX);
            // The files are the parent's now.
            std::mem::forget(output);
            MadeWord::Runs(runs)
        }
        // The files are the parent's now.
        Product::Parts(parts) => MadeWord::Parts(told(&names, parts.hand_over())),
    };
    Ok(DoneWord { facts: done.facts, made })
}

/// What is said of the parts: names are the parent's to give.
fn told(names: &PartNames, ready: ReadyParts) -> Vec<ToldPart> {
    let told = |part: Part| {
        let port = names.port_of(&part.name).unwrap_or(0);
        ToldPart { port, rows: part.rows, bytes: part.bytes, blake3: part.blake3 }
    };
    ready.parts.into_iter().map(told).collect()
}

/// The components of a job's roles.
fn stages(roles: &[(Role, String)], plugins: &[Plugin]) -> Result<Stages, Failure> {
    let mut stages = Stages::default();
    for (role, hash) in roles {
        let plugin = plugins.iter().find(|plugin| plugin.hash() == hash);
        let plugin = plugin.filter(|plugin| plugin.roles().contains(role));
        let plugin = plugin
            .ok_or_else(|| Failure::internal(format!("component {hash} does not serve the role {role}")))?;
        stages.add(*role, plugin.clone());
    }
    Ok(stages)
}

fn revive(sandbox: &Sandbox, facts: PluginFacts, file: &OwnedFd) -> Result<Plugin, mr_sandbox::LoadError> {
    let code = load(sandbox, &facts.hash, file)?;
    // SAFETY: the parent sends facts that a child found when it tried out this very code, and both belong
    // to the component of this hash. Would they not, this process is where that does no harm.
    unsafe { sandbox.revive(code, facts) }
}

fn load(sandbox: &Sandbox, hash: &str, file: &OwnedFd) -> Result<LoadedCode, mr_sandbox::LoadError> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let name = PathBuf::from(format!("{hash}.wasm"));
    // SAFETY: the parent sends code that the engine of this program compiled on this machine, in a file
    // that it sealed. Would it not, this process is where that does no harm.
    unsafe { sandbox.load_code(&name, &path) }
}

fn try_out(
    files: &[OwnedFd],
    hash: blake3::Hash,
    bytes: u64,
    prepared: Prepared,
    walls: &Walls,
    voice: &Voice,
) -> Result<PluginFacts, String> {
    let [file] = files else { return Err("there is no code to try out".to_owned()) };
    voice.live(None).map_err(|error| error.to_string())?;
    let sandbox = prepared.start(SandboxOptions::default()).map_err(|error| error.to_string())?;
    let code = load(&sandbox, hash.to_hex().as_str(), file).map_err(|error| error.to_string())?;
    rights::seal(walls, false).map_err(|error| error.to_string())?;
    sandbox.try_out(&code, hash, bytes).map_err(|error| error.to_string())
}

fn compile(files: Vec<OwnedFd>, prepared: &Prepared, walls: &Walls, voice: &Voice) -> Result<(), String> {
    let Ok([source, target]) = <[OwnedFd; 2]>::try_from(files) else {
        return Err("there is nothing to compile, or nowhere to write to".to_owned());
    };
    voice.live(None).map_err(|error| error.to_string())?;
    // The compiler has threads, and what it makes is not executed here.
    rights::seal(walls, true).map_err(|error| error.to_string())?;
    let mut component = Vec::new();
    let mut source = File::from(source);
    let read = io::Seek::rewind(&mut source).and_then(|()| source.read_to_end(&mut component));
    read.map_err(|error| error.to_string())?;
    let code = prepared.compile(&component)?;
    File::from(target).write_all(&code).map_err(|error| error.to_string())
}
