//! A job that was handed in to a cluster: how it stands, and how its end is judged.

use rustix::process::Signal;
use serde_json::Value;

use super::super::process::{Ended, Running};
use super::client::Client;
use super::eventually;
use super::work::Work;

/// A job on a cluster, with the process that submitted it and waits for it.
pub struct Handed {
    client: Client,
    work: Work,
    id: String,
    waiting: Running,
}

impl Handed {
    /// Starts a process that submits the job and waits for it.
    pub fn submit(client: &Client, work: &Work, id: &str) -> Self {
        let mut command = client.command(&["submit", "--json", "--job-id", id]);
        command.arg("--output").arg(client.output(id));
        work.dress(&mut command);
        let waiting = Running::start(command);
        Self { client: client.clone(), work: work.clone(), id: id.to_owned(), waiting }
    }

    /// How it stands; none before the cluster knows it.
    pub fn view(&self) -> Option<Value> {
        let ended = self.client.run(&["job", "status", &self.id, "--json"]);
        (ended.code() == Some(0)).then(|| serde_json::from_slice(&ended.stdout).expect("JSON"))
    }

    /// Waits until it stands as it has to.
    #[track_caller]
    pub fn wait(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let what = format!("job {} {what}", self.id);
        eventually(&what, || {
            let view = self.view()?;
            let there = is(&view);
            assert!(there || view["end"].is_null(), "waited for {what}, and it ended: {view}");
            there.then_some(view)
        })
    }

    /// Waits until so many map tasks are done.
    #[track_caller]
    pub fn maps(&self, done: u64) -> Value {
        self.wait(&format!("to have done {done} maps"), |view| number(view, "map_tasks") >= done)
    }

    /// Waits until so many reduce tasks are done.
    #[track_caller]
    pub fn reduces(&self, done: u64) -> Value {
        self.wait(&format!("to have done {done} reduces"), |view| number(view, "reduce_tasks") >= done)
    }

    /// Waits until so many tasks are done, of both stages together.
    #[track_caller]
    pub fn tasks(&self, done: u64) -> Value {
        let of = |view: &Value| number(view, "map_tasks") + number(view, "reduce_tasks");
        self.wait(&format!("to have done {done} tasks"), |view| of(view) >= done)
    }

    /// Sends a signal to the process that waits, not to the job.
    pub fn signal(&self, signal: Signal) {
        self.waiting.signal(signal);
    }

    /// Waits for the end of the process that waits.
    pub fn end(self) -> Ended {
        self.waiting.end()
    }

    /// Waits for the job, which must succeed and yield the very same as without a cluster; its state at
    /// the end.
    #[track_caller]
    pub fn done(self) -> Value {
        let Self { client, work, id, waiting } = self;
        let ended = waiting.end();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert_eq!(ended.code(), Some(0), "job {id}: {}{said}", ended.stderr);
        let report: Value = serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap();
        assert_eq!(report["event"], "finished", "{said}");
        client.assert_yields(&work, &id)
    }

    /// Waits for the job, which must fail with this exit code, saying all of this in one sentence, and
    /// leave no output.
    #[track_caller]
    pub fn fails(self, code: i32, says: &[&str]) {
        let output = self.client.output(&self.id);
        let ended = self.waiting.end();
        assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
        let sentence = ended.stderr.lines().find(|line| line.starts_with("mr-engine: ")).unwrap_or_default();
        for words in says {
            assert!(sentence.contains(words), "{words:?} is not in {:?}", ended.stderr);
        }
        assert!(!output.exists(), "a failed job left an output");
    }
}

/// A number of a job's state.
#[track_caller]
pub fn number(view: &Value, name: &str) -> u64 {
    view[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {view}"))
}
