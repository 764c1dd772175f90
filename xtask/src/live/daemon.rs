//! The real daemon, started and ended as a person would.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use serde_json::Value;

use crate::live::child::Guarded;
use crate::live::folder::Folder;
use crate::live::lines::{Lines, Next};
use crate::live::stop;

/// How long it may take until it is ready; in guests that count, the verifier takes its time.
const READY: Duration = Duration::from_secs(60);
/// Bytes of the pipe that events are counted from.
const PIPE: usize = 1024 * 1024;
/// Between two tries to reach its socket.
const LOOK: Duration = Duration::from_millis(1);

/// Where its JSON lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// To this process, which reads them.
    Here,
    /// To `/dev/null`: written, and read by nobody.
    Nowhere,
    /// To this process, which counts the events and reads the rest.
    Counted,
}

/// A running daemon.
pub(crate) struct Daemon {
    process: Guarded,
    records: Option<Lines>,
    events: Arc<AtomicU64>,
    log: PathBuf,
    /// Where `tail` finds it.
    pub(crate) socket: PathBuf,
    /// From its start to the line `ready`, or to reading that over the socket.
    pub(crate) ready_after: Duration,
    /// Its `coverage` record.
    pub(crate) coverage: Value,
}

impl Daemon {
    /// Starts `bulkhead run --format json` with more arguments, and waits until it is ready.
    pub(crate) fn start(
        program: &Path,
        folder: &Folder,
        output: Output,
        args: &[&str],
    ) -> anyhow::Result<Self> {
        let (socket, log) = (folder.join("bulkhead.sock"), folder.join("daemon.log"));
        let mut command = Command::new(program);
        command.args(["run", "--format", "json", "--socket"]).arg(&socket).args(args);
        command.stdin(Stdio::null()).stderr(File::create(&log)?);
        command.stdout(if output == Output::Nowhere { Stdio::null() } else { Stdio::piped() });
        let began = Instant::now();
        let mut process = Guarded::spawn(&mut command, Signal::INT)?;
        let (mut records, mut events) = (None, Arc::default());
        if let Some(pipe) = process.child.stdout.take() {
            if output == Output::Counted {
                // A larger pipe saves turns; a smaller one does too.
                let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE);
                let is_event = |line: &[u8]| line.starts_with(br#"{"type":"event","#);
                let (lines, count) = Lines::counting(is_event, pipe);
                (records, events) = (Some(lines), count);
            } else {
                records = Some(Lines::of(pipe));
            }
        }
        let mut daemon = Self {
            process,
            records,
            events,
            log,
            socket,
            ready_after: Duration::ZERO,
            coverage: Value::Null,
        };
        let ready =
            if output != Output::Nowhere { daemon.ready_here(began)? } else { daemon.ready_there(began)? };
        daemon.ready_after = ready.duration_since(began);
        Ok(daemon)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Events written so far, where they are counted.
    pub(crate) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// The next record that `wanted` is true for; earlier ones are passed over.
    pub(crate) fn wait_for(
        &mut self,
        limit: Duration,
        what: &str,
        mut wanted: impl FnMut(&Value) -> bool,
    ) -> anyhow::Result<(Instant, Value)> {
        let deadline = Instant::now() + limit;
        let records = self.records.as_ref().context("the daemon's records are not read here")?;
        loop {
            match records.next(deadline)? {
                Next::Line(at, line) => {
                    let record: Value =
                        serde_json::from_slice(&line).context("the daemon wrote a line that is no JSON")?;
                    if wanted(&record) {
                        return Ok((at, record));
                    }
                }
                Next::Late => bail!("no {what} within {} s", limit.as_secs()),
                Next::End => bail!("the daemon ended before {what}: {}", self.last_words()),
            }
        }
    }

    fn ready_here(&mut self, began: Instant) -> anyhow::Result<Instant> {
        let limit = READY.saturating_sub(began.elapsed());
        let (_, coverage) = self.wait_for(limit, "coverage", |r| is_status(r, "coverage"))?;
        self.coverage = coverage;
        let (at, _) = self.wait_for(limit, "ready", |r| is_status(r, "ready"))?;
        Ok(at)
    }

    /// The socket repeats every status to whoever joins. The connection is closed again: a reader has a cost.
    fn ready_there(&mut self, began: Instant) -> anyhow::Result<Instant> {
        let stream = loop {
            if let Ok(stream) = UnixStream::connect(&self.socket) {
                break stream;
            }
            stop::check()?;
            if self.process.child.try_wait()?.is_some() || began.elapsed() > READY {
                bail!("the daemon is not ready: {}", self.last_words());
            }
            std::thread::sleep(LOOK);
        };
        stream.set_read_timeout(Some(READY))?;
        for line in BufReader::new(stream).lines() {
            stop::check()?;
            let record: Value = serde_json::from_str(&line.context("no `ready` on the socket")?)?;
            if is_status(&record, "coverage") {
                self.coverage = record;
            } else if is_status(&record, "ready") {
                return Ok(Instant::now());
            }
        }
        bail!("the daemon ended before it was ready: {}", self.last_words())
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join(" | ")
    }

    /// Ends it as Ctrl-C does; gives the records it still wrote.
    pub(crate) fn stop(mut self) -> anyhow::Result<Vec<Value>> {
        let status = self.process.end()?.context("the daemon does not end after SIGINT")?;
        if !status.success() {
            bail!("the daemon ended with {status}: {}", self.last_words());
        }
        let mut rest = Vec::new();
        if let Some(records) = &self.records {
            let deadline = Instant::now() + Duration::from_secs(5);
            while let Next::Line(_, line) = records.next(deadline)? {
                rest.extend(serde_json::from_slice::<Value>(&line));
            }
        }
        Ok(rest)
    }
}

/// True for a `status` record of this name.
pub(crate) fn is_status(record: &Value, name: &str) -> bool {
    record["type"] == "status" && record["status"] == name
}
