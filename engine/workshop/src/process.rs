//! Runs other people's programs to their end and keeps what they said, within limits.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::error::WorkshopError;

/// Longest that a program may take: the first build of a big project on a slow machine, many times over. The
/// person who waits has an interrupt key.
const RUN_TIME_MAX: Duration = Duration::from_secs(3600);
/// What is kept of each stream, in bytes: its end, where compilers say what counts.
const SAID_BYTES_MAX: usize = 64 << 10;

/// What is to be run.
pub struct Order<'a> {
    /// The program's file.
    pub program: &'a Path,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where it runs.
    pub dir: &'a Path,
    /// Variables besides those of this process.
    pub env: Vec<(OsString, OsString)>,
}

/// How a program ended.
pub struct Ended {
    /// None where it took too long and was killed.
    pub status: Option<ExitStatus>,
    /// Standard output, then standard error.
    pub said: String,
}

impl Ended {
    /// True where it did what it was asked.
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// How it ended, for people.
    pub fn end(&self) -> String {
        match self.status {
            Some(status) => match status.code() {
                Some(code) => format!("failed with exit code {code}"),
                None => format!("was killed ({status})"),
            },
            None => format!("did not end within {} minutes", RUN_TIME_MAX.as_secs() / 60),
        }
    }
}

/// Runs a program without input.
///
/// # Errors
/// It cannot be run.
pub fn run(order: Order<'_>) -> Result<Ended, WorkshopError> {
    let failed = |error: std::io::Error| WorkshopError::ToolRun {
        command: order.program.display().to_string(),
        reason: error.to_string(),
    };
    let mut command = Command::new(order.program);
    command
        .args(&order.args)
        .current_dir(order.dir)
        .envs(order.env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let stdout = thread::spawn(move || tail(stdout));
    let stderr = thread::spawn(move || tail(stderr));
    let status = wait(&mut child).map_err(failed)?;
    let mut said = stdout.join().unwrap_or_default();
    said.push_str(&stderr.join().unwrap_or_default());
    Ok(Ended { status, said })
}

/// Waits for the end; kills what takes too long.
fn wait(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    thread::scope(|scope| {
        let (done, watched) = channel::<()>();
        let id = child.id();
        let watch = scope.spawn(move || {
            let late = watched.recv_timeout(RUN_TIME_MAX) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
            if late {
                kill(id);
            }
            late
        });
        let status = child.wait();
        drop(done);
        let late = watch.join().unwrap_or(false);
        Ok(if late { None } else { Some(status?) })
    })
}

fn kill(id: u32) {
    let pid = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended just now.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// Reads a stream to its end and keeps the last part, from a whole line on.
fn tail(stream: Option<impl Read>) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 8 << 10];
    let mut cut = false;
    if let Some(mut stream) = stream {
        while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
            kept.extend_from_slice(&buffer[..bytes]);
            if kept.len() > 2 * SAID_BYTES_MAX {
                kept.drain(..kept.len() - SAID_BYTES_MAX);
                cut = true;
            }
        }
    }
    let text = String::from_utf8_lossy(&kept).into_owned();
    if cut { format!("...{}", text.split_once('\n').map_or("", |(_, rest)| rest)) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Ended {
        let program = Path::new("/bin/sh");
        let args = vec!["-c".into(), script.into()];
        run(Order { program, args, dir: Path::new("/"), env: vec![("WORD".into(), "said".into())] }).unwrap()
    }

    #[test]
    fn what_is_said_and_how_it_ended_is_kept() {
        let ended = shell("echo $WORD; echo wrong >&2; exit 3");
        assert_eq!((ended.said.as_str(), ended.end().as_str()), ("said\nwrong\n", "failed with exit code 3"));
        assert!(shell("cat").is_success(), "there is no input");
        assert!(shell("kill -9 $$").end().starts_with("was killed"));
    }

    #[test]
    fn a_flood_is_cut_to_its_end() {
        let ended = shell("i=0; while [ $i -lt 40000 ]; do echo line-$i; i=$((i+1)); done");
        assert!(ended.said.len() <= 2 * SAID_BYTES_MAX + 3, "{}", ended.said.len());
        assert!(ended.said.starts_with("...line-") && ended.said.ends_with("line-39999\n"));
    }

    #[test]
    fn what_cannot_be_run_is_named() {
        let order = Order { program: Path::new("/nowhere"), args: vec![], dir: Path::new("/"), env: vec![] };
        assert!(run(order).is_err_and(|error| error.to_string().starts_with("/nowhere cannot be run: ")));
    }
}
