//! One command, run in a session of its own and measured from its start to its end.
//!
//! A session of its own, because the kernel shares processor time among sessions: a command must
//! not share its part with whoever started it.

use std::ffi::OsString;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A command to run.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// Program and arguments.
    pub argv: Vec<OsString>,
    /// Environment variables on top of those of this process.
    pub env: Vec<(&'static str, OsString)>,
    /// File for its standard output; discarded without.
    pub stdout: Option<PathBuf>,
}

/// What a run took.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// From the start of the command to its end.
    pub wall: Duration,
    /// Processor time of the command and its children.
    pub cpu: Duration,
    /// Most resident memory of any process of the command, in bytes.
    pub peak_bytes: u64,
}

impl Invocation {
    /// A command without anything special.
    pub fn new<A: Into<OsString>>(argv: impl IntoIterator<Item = A>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// With an environment variable.
    pub fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// With its standard output in a file.
    pub fn stdout(mut self, path: impl Into<PathBuf>) -> Self {
        self.stdout = Some(path.into());
        self
    }

    /// Runs it to its end. An exit code in `accepted`, or 0, is a success.
    pub fn run(&self, accepted: &[i32]) -> Result<Sample> {
        self.start()?.wait(accepted)
    }

    /// Starts it, for those who have something to do until it ends.
    pub fn start(&self) -> Result<Running> {
        let mut command = self.command()?;
        let start = Instant::now();
        let child = command.spawn().with_context(|| format!("{:?} does not start", self.argv))?;
        Ok(Running { argv: self.argv.clone(), start, child, waited: false })
    }

    /// The command, in a session of its own.
    pub fn command(&self) -> Result<Command> {
        let [program, args @ ..] = self.argv.as_slice() else { bail!("no command to run") };
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(path) = &self.stdout {
            let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
            command.stdout(file);
        }
        // SAFETY: between fork and exec nothing runs but one system call.
        unsafe { command.pre_exec(|| Ok(rustix::process::setsid().map(drop)?)) };
        Ok(command)
    }
}

/// A command that runs. Killed when nobody waits for it any more.
#[derive(Debug)]
pub struct Running {
    argv: Vec<OsString>,
    start: Instant,
    child: Child,
    waited: bool,
}

impl Running {
    /// Waits for its end. An exit code in `accepted`, or 0, is a success.
    pub fn wait(mut self, accepted: &[i32]) -> Result<Sample> {
        let pid = libc::pid_t::try_from(self.child.id()).context("a process id of more than 31 bits")?;
        let waited = wait(pid);
        self.waited = true;
        let wall = self.start.elapsed();
        let name = || self.argv.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (status, usage) = waited.with_context(|| format!("{} was lost", name()))?;
        if !status.success() && !status.code().is_some_and(|code| accepted.contains(&code)) {
            bail!("{} failed ({status}); the command was {:?}", name(), self.argv);
        }
        Ok(Sample {
            wall,
            cpu: duration(usage.ru_utime) + duration(usage.ru_stime),
            peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or_default() * 1024,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.waited {
            // It may have ended by itself.
            drop(self.child.kill().and_then(|()| self.child.wait()));
        }
    }
}

fn wait(pid: libc::pid_t) -> std::io::Result<(ExitStatus, libc::rusage)> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both pointers are to live values of the right types.
        let waited = unsafe { libc::wait4(pid, &mut status, 0, usage.as_mut_ptr()) };
        if waited == pid {
            // SAFETY: all zeros is a value of it, and the kernel has filled it in.
            return Ok((ExitStatus::from_raw(status), unsafe { usage.assume_init() }));
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_measured_and_its_failure_told() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let sample =
            Invocation::new(["sh", "-c", "echo $WHO"]).env("WHO", "me").stdout(&out).run(&[]).unwrap();
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "me\n");
        assert!(sample.peak_bytes > 0 && sample.wall > Duration::ZERO);
        let failing = Invocation::new(["sh", "-c", "exit 3"]);
        assert!(failing.run(&[3]).is_ok());
        assert!(failing.run(&[1]).unwrap_err().to_string().contains("exit status: 3"));
    }
}
