//! Programs that the runner starts: output taken with a deadline, and an end for each.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal};

use crate::stop;

/// Waits look around this often for a signal to the runner.
const TICK: Duration = Duration::from_millis(100);
/// Between looks at a process that ends soon.
const LOOK: Duration = Duration::from_millis(2);

/// Makes the program die with the runner, whatever kills that.
#[expect(unsafe_code, reason = "pre_exec")]
pub fn die_with_parent(command: &mut Command) {
    // SAFETY: prctl(2) is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
            Ok(())
        });
    }
}

fn describe(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Waits until the process ends; `None` at the deadline.
///
/// # Errors
/// The runner was told to stop.
pub fn wait(child: &mut Child, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        stop::check()?;
        thread::sleep(LOOK);
    }
}

/// Runs a program to its end. Output goes to files: a container that outlives the program may keep it open.
///
/// # Errors
/// It cannot be started, or is not done at the deadline.
pub fn output(command: &mut Command, limit: Duration) -> anyhow::Result<Output> {
    let what = describe(command);
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(err.try_clone()?);
    let mut child = command.spawn().with_context(|| format!("cannot start {what}"))?;
    let status = match wait(&mut child, limit) {
        Ok(Some(status)) => status,
        ended => {
            // Ours, and of no use any more.
            let _ = child.kill();
            let _ = child.wait();
            ended?;
            bail!("not done within {} s: {what}: {}", limit.as_secs(), read_back(&mut err)?.escape_ascii());
        }
    };
    Ok(Output { status, stdout: read_back(&mut out)?, stderr: read_back(&mut err)? })
}

fn read_back(file: &mut File) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Like [`output`], but a status other than 0 is an error too; gives standard output.
///
/// # Errors
/// As said, with what the program wrote to standard error.
pub fn run(command: &mut Command, limit: Duration) -> anyhow::Result<String> {
    let output = output(command, limit)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}: {}", describe(command), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program that stays, and is ended by SIGTERM when the guard goes.
#[derive(Debug)]
pub struct Service {
    child: Child,
    what: String,
}

impl Service {
    /// Starts it, in a process group of its own, with its words in `log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &mut Command, log: &std::path::Path) -> anyhow::Result<Self> {
        let what = describe(command);
        let log = File::create(log)?;
        die_with_parent(command);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {what}"))?;
        Ok(Self { child, what })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it without a warning.
    pub fn kill(mut self) {
        // It may have ended.
        let _ = self.child.kill();
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// The program ends before that, or the deadline passes.
    pub fn wait_until(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}", self.what);
            }
            if Instant::now() >= deadline {
                bail!("{} is not ready after {} s", self.what, limit.as_secs());
            }
            stop::check()?;
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

/// Asks a process of ours to end.
pub fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        signal(&self.child, Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(10);
        // Not `wait`: a signal to the runner must not cut this short.
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
            thread::sleep(LOOK);
        }
    }
}

/// A program that answers lines with lines.
#[derive(Debug)]
pub struct Dialogue {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: File,
}

impl Dialogue {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let what = describe(command);
        let errors = tempfile::tempfile()?;
        die_with_parent(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors.try_clone()?);
        let mut child = command.spawn().with_context(|| format!("cannot start {what}"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (sender, lines) = channel();
        let stdout = stdout.context("standard output is piped")?;
        thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, stdin, lines, errors })
    }

    /// Sends a line.
    ///
    /// # Errors
    /// The program has ended.
    pub fn send(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let stdin = self.stdin.as_mut().context("standard input is piped")?;
        stdin.write_all(line)?;
        stdin.write_all(b"\n")?;
        stdin.flush()?;
        Ok(())
    }

    /// Lines up to and without the first for which `last` is true; that one comes second.
    ///
    /// # Errors
    /// The program ends, or the deadline passes, before there is one.
    pub fn lines_until(
        &mut self,
        limit: Duration,
        last: impl Fn(&str) -> bool,
    ) -> anyhow::Result<(Vec<String>, String)> {
        let deadline = Instant::now() + limit;
        let mut lines = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left.min(TICK)) {
                Ok(line) if last(&line) => return Ok((lines, line)),
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => stop::check()?,
                Err(_) => {
                    let said = String::from_utf8_lossy(&read_back(&mut self.errors)?).trim().to_owned();
                    bail!("no answer from the container's session; so far: {lines:?}; errors: {said}");
                }
            }
        }
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        // The program ends at the end of its input; the container's end ends it otherwise.
        self.stdin = None;
        let deadline = Instant::now() + Duration::from_secs(3);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(LOOK);
        }
    }
}
