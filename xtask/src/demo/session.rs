//! The throwaway container's own program: reads acts line by line and performs each in a process of its own.

use std::io::Write as _;
use std::path::Path;
use std::process::{ChildStdin, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use crate::live::child::Guarded;
use crate::live::folder::Folder;
use crate::live::lines::{Lines, Next};
use crate::live::oci::Container;

/// How long starting, or one act, may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Divides the words of a line.
const UNIT: &str = "\x1f";

/// The runtime's process, and the pipes to the container's first program. It ends when its input does.
pub(crate) struct Session {
    input: Option<ChildStdin>,
    output: Lines,
    process: Guarded,
}

impl Session {
    /// Runs the container, and waits until its program listens.
    pub(crate) fn start(container: &Container<'_>, folder: &Folder) -> anyhow::Result<Self> {
        let log = folder.join("container.log");
        let mut command = container.run(false);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(std::fs::File::create(&log)?);
        let mut process = Guarded::spawn(&mut command, Signal::TERM)?;
        let input = process.child.stdin.take();
        let output = Lines::of(process.child.stdout.take().context("the container's output is piped")?);
        let session = Self { input, output, process };
        session.until("session ready", &log)?;
        Ok(session)
    }

    fn until(&self, wanted: &str, log: &Path) -> anyhow::Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.output.next(deadline)? {
                Next::Line(_, line) if line.starts_with(wanted.as_bytes()) => return Ok(()),
                Next::Line(..) => {}
                Next::Late | Next::End => {
                    let said = std::fs::read_to_string(log).unwrap_or_default();
                    bail!("the container does not answer: {}", said.trim())
                }
            }
        }
    }

    /// Performs one act, to its end.
    pub(crate) fn act(&mut self, words: &[String], folder: &Folder) -> anyhow::Result<()> {
        let input = self.input.as_mut().context("the container's input is closed")?;
        writeln!(input, "{}", words.join(UNIT)).context("the container takes no more acts")?;
        input.flush()?;
        self.until("done ", &folder.join("container.log"))
    }

    /// Ends the container as it ends by itself: its input is closed.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        self.input = None;
        self.process.ended(LIMIT)?.context("the container does not end")?;
        Ok(())
    }
}
