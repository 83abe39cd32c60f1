//! A coordinator and workers that are started by hand, so that each can be killed, and questions to them
//! through the command line.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::node::Node;
use crate::child::Invocation;
use crate::setup::Setup;

/// Memory of each worker: all that is measured with nodes fits.
const WORKER_MEMORY: &str = "1G";
/// Between two questions how a job stands.
const ASK_PERIOD: Duration = Duration::from_millis(50);
/// Longest wait for something to become true.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Every process of a cluster.
pub struct Nodes<'a> {
    setup: &'a Setup,
    folder: PathBuf,
    address: String,
    workers: Vec<Option<Node>>,
    // Last: workers say good-bye to it.
    coordinator: Option<Node>,
}

impl<'a> Nodes<'a> {
    /// A cluster of so many workers with a slot each, in a folder of this name.
    pub fn start(setup: &'a Setup, name: &str, workers: usize) -> Result<Self> {
        let folder = setup.scratch(name);
        let identity = folder.join("identity");
        let mut init = setup.engine(&["cluster", "init"]);
        init.argv.push(identity.into());
        let number = workers.to_string();
        init.argv.extend(["--coordinator-host", "127.0.0.1", "--workers", &number].map(Into::into));
        init.run(&[])?;
        let mut nodes = Self {
            setup,
            folder,
            address: "127.0.0.1:0".to_owned(),
            workers: (0..workers).map(|_| None).collect(),
            coordinator: None,
        };
        nodes.start_coordinator()?;
        let text = format!("cluster = {:?}\nidentity = \"identity\"\n", nodes.address);
        std::fs::write(nodes.config(), text)?;
        (0..workers).try_for_each(|worker| nodes.start_worker(worker))?;
        Ok(nodes)
    }

    /// Starts the coordinator, again where it was. When it was started, and when it was ready.
    pub fn start_coordinator(&mut self) -> Result<(Instant, Instant)> {
        let mut command = self.daemon("coordinator", "coordinator");
        command.argv.extend(["--listen".into(), self.address.clone().into()]);
        let node = Node::start(&command, &self.folder.join("coordinator.log"))?;
        let ready = Instant::now();
        let address = node.said.rsplit(' ').next().unwrap_or_default();
        self.address = address.to_owned();
        let start = node.start;
        self.coordinator = Some(node);
        Ok((start, ready))
    }

    /// Starts a worker, with the data folder that it had.
    pub fn start_worker(&mut self, worker: usize) -> Result<()> {
        let name = name(worker);
        let mut command = self.daemon("worker", &name);
        let options = ["--name", &name, "--coordinator", &self.address, "--listen", "127.0.0.1:0"];
        command.argv.extend(options.map(Into::into));
        command.argv.extend(["--slots", "1", "--memory", WORKER_MEMORY, "--cache-dir"].map(Into::into));
        command.argv.push(self.setup.cache().into());
        self.workers[worker] = Some(Node::start(&command, &self.folder.join(format!("{name}.log")))?);
        Ok(())
    }

    /// Kills a worker.
    pub fn kill_worker(&mut self, worker: usize) -> Result<()> {
        self.workers[worker].take().context("the worker runs")?.kill()
    }

    /// Kills the coordinator.
    pub fn kill_coordinator(&mut self) -> Result<()> {
        self.coordinator.take().context("the coordinator runs")?.kill()
    }

    /// Waits until so many workers are live and connected.
    pub fn wait_for_workers(&self, number: usize) -> Result<()> {
        self.until(|| {
            let workers = self.ask(&["workers"])?;
            let ready = |worker: &&Value| worker["state"] == "ready";
            Ok((workers.iter().filter(ready).count() == number).then_some(()))
        })
    }

    /// A job for this cluster.
    pub fn submit(&self, plugin: &str, input: &Path, output: &Path, options: &[&str]) -> Invocation {
        self.setup.submit(plugin, input, output, options).env("MR_ENGINE_CONFIG", self.config())
    }

    /// How a job stands. None where the cluster does not know it.
    pub fn status(&self, job: &str) -> Result<Option<Value>> {
        Ok(self.ask(&["job", "status", job])?.pop())
    }

    /// Waits until at least half of a job's map tasks are done; how it stands then.
    pub fn half_of_maps(&self, job: &str) -> Result<Value> {
        self.until(|| {
            let Some(status) = self.status(job)? else { return Ok(None) };
            let (done, total) = (number(&status, "map_tasks")?, number(&status, "map_tasks_total")?);
            if done == total {
                bail!("job {job} had finished its maps before it was seen half way");
            }
            Ok((done * 2 >= total).then_some(status))
        })
    }

    /// What the command says in JSON. Nothing where it fails.
    pub fn ask(&self, question: &[&str]) -> Result<Vec<Value>> {
        let mut command = self.setup.engine(question).env("MR_ENGINE_CONFIG", self.config()).command()?;
        let output = command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
        let text = String::from_utf8(output.stdout)?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    fn until<T>(&self, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let deadline = Instant::now() + WAIT_MAX;
        while Instant::now() < deadline {
            if let Some(found) = look()? {
                return Ok(found);
            }
            std::thread::sleep(ASK_PERIOD);
        }
        bail!("the cluster in {} did not do what was waited for", self.folder.display())
    }

    fn daemon(&self, role: &str, name: &str) -> Invocation {
        let mut command = self.setup.engine(&[role, "--identity"]);
        command.argv.extend([self.folder.join("identity").into(), "--data-dir".into()]);
        command.argv.push(self.folder.join(name).into());
        command
    }

    fn config(&self) -> PathBuf {
        self.folder.join("client.toml")
    }
}

/// The name of a worker in certificates and in what the cluster tells.
pub fn name(worker: usize) -> String {
    format!("worker-{}", worker + 1)
}

/// A number in what the cluster told.
pub fn number(value: &Value, key: &str) -> Result<u64> {
    value[key].as_u64().with_context(|| format!("the cluster tells no {key}"))
}

/// Tasks of a job with the workers where attempts of theirs won, in order of their ends.
pub fn winners(attempts: &[Value]) -> Result<std::collections::BTreeMap<String, Vec<String>>> {
    let mut winners = std::collections::BTreeMap::<String, Vec<String>>::new();
    for attempt in attempts.iter().filter(|attempt| !attempt["report"].is_null()) {
        let (attempt, worker) = (attempt["attempt"].as_str(), attempt["worker"].as_str());
        let task = attempt.and_then(|attempt| attempt.split_once(" attempt ")).context("no attempt")?.0;
        winners.entry(task.to_owned()).or_default().push(worker.context("no worker")?.to_owned());
    }
    Ok(winners)
}
