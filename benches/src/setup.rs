//! What is measured and where: builds the engine and the plugins, keeps copies of them for the time
//! of the run, and knows the sizes of the inputs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::args::AllArgs;
use crate::child::Invocation;
use crate::data::{Data, Text};

/// The project's folder.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Threads of everything that has threads.
pub const WORKERS: &str = "2";
/// Memory of the engine and of GNU sort where memory is not what is measured: all fits.
pub const MEMORY: &str = "4G";
/// Plugins that are measured, by the names of their crates.
const PLUGINS: [&str; 10] = [
    "wordcount",
    "grep",
    "sort",
    "every-word",
    "slow-words",
    "join",
    "pagerank-graph",
    "pagerank-step",
    "pagerank-ranks",
    "top-k",
];

/// Sizes of inputs.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Text whose words are counted, in bytes.
    pub count_bytes: u64,
    /// Text whose words are counted in every language, in bytes.
    pub language_bytes: u64,
    /// Records that are sorted, in bytes.
    pub sort_bytes: u64,
    /// Text that is searched, in bytes.
    pub grep_bytes: u64,
    /// Files that the text is cut into.
    pub small_files: usize,
    /// Input of the jobs with little memory, in bytes.
    pub memory_input_bytes: u64,
    /// Job that something befalls half way: text in bytes, in splits of so many bytes.
    pub slow_bytes: u64,
    /// See `slow_bytes`.
    pub slow_split_bytes: u64,
    /// Multiplications for each word of it.
    pub slow_rounds: u64,
    /// Text of the job during which the coordinator is killed, in bytes.
    pub restart_bytes: u64,
    /// Map tasks of that job, as near as splits come to it.
    pub restart_tasks: u64,
    /// Bytes that are moved from one process to another at a time, in MiB.
    pub transfer_mib: u64,
    /// Rows of the files of every format.
    pub format_rows: u64,
    /// Whether all paths of Debian are joined, or only dependencies.
    pub contents: bool,
}

const FULL: Sizes = Sizes {
    count_bytes: 256 << 20,
    language_bytes: 64 << 20,
    sort_bytes: 1 << 30,
    grep_bytes: 1 << 30,
    small_files: 10_000,
    memory_input_bytes: 640 << 20,
    slow_bytes: 64 << 20,
    slow_split_bytes: 1 << 20,
    slow_rounds: 5_000,
    restart_bytes: 64 << 20,
    restart_tasks: 2_000,
    transfer_mib: 256,
    format_rows: 4_000_000,
    contents: true,
};

const QUICK: Sizes = Sizes {
    count_bytes: 4 << 20,
    language_bytes: 1 << 20,
    sort_bytes: 8 << 20,
    grep_bytes: 4 << 20,
    small_files: 100,
    memory_input_bytes: 96 << 20,
    slow_bytes: 4 << 20,
    slow_split_bytes: 256 << 10,
    slow_rounds: 3_000,
    restart_bytes: 8 << 20,
    restart_tasks: 2_000,
    transfer_mib: 16,
    format_rows: 100_000,
    contents: false,
};

/// Everything that a benchmark needs.
#[derive(Debug)]
pub struct Setup {
    /// Inputs.
    pub data: Data,
    /// Their sizes.
    pub sizes: Sizes,
    /// Measured runs of each contestant.
    pub runs: usize,
    quick: bool,
    target: PathBuf,
    /// Copies of the binaries, outputs, temporary files; removed in the end.
    scratch: TempDir,
}

impl Setup {
    /// Builds, copies, and finds the text.
    pub fn prepare(args: &AllArgs) -> Result<Self> {
        let exe = std::env::current_exe().context("this program does not know where it is")?;
        let target = exe.ancestors().nth(2).context("this program is not in a target folder")?;
        build(target, &["--release", "-p", "mr-engine"])?;
        let plugins = PLUGINS.iter().flat_map(|plugin| ["-p", plugin]);
        let guest = ["--profile", "guest", "--target", "wasm32-wasip2"].into_iter().chain(plugins);
        build(target, &guest.collect::<Vec<_>>())?;

        let folder = Path::new(ROOT).join("benches/data");
        fs::create_dir_all(&folder)?;
        let folder = folder.canonicalize()?;
        let scratch = tempfile::Builder::new().prefix("scratch-").tempdir_in(&folder)?;
        let copy = |from: PathBuf, name: &str| {
            fs::copy(&from, scratch.path().join(name))
                .with_context(|| format!("{} was not built", from.display()))
        };
        // A build meanwhile must not change what is measured.
        copy(target.join("release/mr-engine"), "mr-engine")?;
        copy(exe.clone(), "mr-bench")?;
        for plugin in PLUGINS {
            let file = format!("{}.wasm", plugin.replace('-', "_"));
            copy(target.join("wasm32-wasip2/guest").join(file), &format!("{plugin}.wasm"))?;
        }
        let text = if args.quick { Text::Crates } else { Text::linux_or_crates(&folder) };
        Ok(Self {
            data: Data::new(folder, text),
            sizes: if args.quick { QUICK } else { FULL },
            runs: usize::from(args.runs),
            quick: args.quick,
            target: target.to_owned(),
            scratch,
        })
    }

    /// A path for an output or the like.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A plugin's file.
    pub fn plugin(&self, name: &str) -> PathBuf {
        self.scratch(&format!("{name}.wasm"))
    }

    /// Folder for compiled plugins, filled by the first job.
    pub fn cache(&self) -> PathBuf {
        self.scratch("cache")
    }

    /// A job of the engine: its plugin, input and output, and further options.
    pub fn job(&self, plugin: &str, input: &Path, output: &Path, options: &[&str]) -> Invocation {
        let mut invocation = self.submit(plugin, input, output, options);
        // Whatever cluster the user has.
        invocation.argv.extend(["--local", "--workers", WORKERS].map(Into::into));
        invocation
    }

    /// A job of the engine, here or on a cluster.
    pub fn submit(&self, plugin: &str, input: &Path, output: &Path, options: &[&str]) -> Invocation {
        let mut invocation = self.unplugged(output);
        invocation.argv.extend(["--input".into(), input.as_os_str().to_owned()]);
        invocation.argv.push(self.plugin(plugin).into());
        invocation.argv.extend(options.iter().map(Into::into));
        invocation
    }

    /// A job of the engine, here, whose inputs are among the options that follow.
    pub fn unread(&self, plugin: &str, output: &Path) -> Invocation {
        let mut invocation = self.unplugged(output);
        invocation.argv.push(self.plugin(plugin).into());
        invocation.argv.extend(["--local", "--workers", WORKERS].map(Into::into));
        invocation
    }

    /// A job of the engine, here, that copies its records without a plugin.
    pub fn copy(&self, input: &Path, output: &Path) -> Invocation {
        let mut invocation = self.unplugged(output);
        invocation.argv.extend(["--input".into(), input.as_os_str().to_owned()]);
        invocation.argv.extend(["--reducers", "0", "--local", "--workers", WORKERS].map(Into::into));
        invocation
    }

    /// A job without plugin and input.
    fn unplugged(&self, output: &Path) -> Invocation {
        let mut invocation = self.engine(&["submit"]);
        let mut add = |option: &str, value: &Path| {
            invocation.argv.extend([option.into(), value.as_os_str().to_owned()]);
        };
        add("--output", output);
        add("--work-dir", &self.scratch("work"));
        add("--cache-dir", &self.cache());
        invocation.argv.push("--quiet".into());
        invocation
    }

    /// The engine with these arguments.
    pub fn engine(&self, args: &[&str]) -> Invocation {
        let mut invocation = Invocation::new([self.scratch("mr-engine")]);
        invocation.argv.extend(args.iter().map(Into::into));
        invocation
    }

    /// Builds an example of a crate of the engine; a copy of it.
    pub fn example(&self, package: &str, name: &str) -> Result<PathBuf> {
        build(&self.target, &["--release", "-p", package, "--example", name])?;
        let copy = self.scratch(name);
        fs::copy(self.target.join("release/examples").join(name), &copy)
            .with_context(|| format!("the example {name} was not built"))?;
        Ok(copy)
    }

    /// A reference that is written here.
    pub fn reference(&self, name: &str, input: &Path, output: &Path) -> Invocation {
        let mut invocation = Invocation::new([self.scratch("mr-bench")]);
        invocation.argv.extend([name.into(), input.into(), output.into()]);
        invocation.argv.extend(["--threads", WORKERS].map(Into::into));
        invocation
    }

    /// Runs a tiny job with a plugin, so that it is compiled before anything is measured.
    pub fn warm(&self, plugin: &str, options: &[&str]) -> Result<()> {
        let (input, output) = (self.scratch("warm.txt"), self.scratch("warm"));
        fs::write(&input, format!("{:99}\n", "warm"))?;
        self.job(plugin, &input, &output, &[&["--overwrite"], options].concat()).run(&[])?;
        Ok(fs::remove_dir_all(output)?)
    }

    /// What the engine says of itself.
    pub fn engine_version(&self) -> String {
        let output = Command::new(self.scratch("mr-engine")).arg("--version").output();
        output.map_or_else(|_| "unknown".into(), |said| String::from_utf8_lossy(&said.stdout).trim().into())
    }

    /// Where the text is from.
    pub fn text_origin(&self) -> String {
        self.data.origin()
    }

    /// How often things are run, and with how many threads.
    pub fn runs_said(&self) -> String {
        let quick = if self.quick { "; QUICK: sizes too small for figures" } else { "" };
        format!("{} of each contestant, in turn; {WORKERS} threads; page cache warm{quick}", self.runs)
    }

    /// File that the run is kept in, if it is.
    pub fn run_file(&self, args: &AllArgs) -> Option<PathBuf> {
        if args.out.is_some() || self.quick {
            return args.out.clone();
        }
        let date = Command::new("date").args(["-u", "+%F-%H%M"]).output().ok()?;
        let date = String::from_utf8_lossy(&date.stdout).trim().to_owned();
        let what: Vec<_> = args.only.iter().map(|bench| bench.title().replace(' ', "-")).collect();
        let what = if what.is_empty() { "full".to_owned() } else { what.join("-") };
        Some(Path::new(ROOT).join(format!("benches/runs/{date}-{what}.txt")))
    }
}

fn build(target: &Path, args: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(ROOT).args(["build", "--quiet", "--target-dir"]).arg(target).args(args);
    // Those of a test run would make another build of everything.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let status = command.status().context("cargo does not start")?;
    if !status.success() {
        bail!(
            "cargo build {} failed; tools/install-wasm-target.sh installs the plugins' target",
            args.join(" ")
        );
    }
    Ok(())
}
