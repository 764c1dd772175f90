//! The live tail: a second process, `bulkhead tail`, whose lines go on to the terminal as they are.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use crate::live::child::Guarded;
use crate::live::lines::{Lines, Next};

/// A running tail. Its lines pass through here, so that they and the demo's own come in order.
pub(crate) struct Tail {
    _process: Guarded,
    lines: Lines,
}

impl Tail {
    /// Follows one container: in colour on a terminal, plain in a pipe.
    pub(crate) fn start(program: &Path, socket: &Path, container: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["tail", "--container", container, "--socket"]).arg(socket);
        command.args(["--color", if in_colour() { "always" } else { "never" }]);
        if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout())
            && size.ws_col > 0
        {
            command.args(["--width", &size.ws_col.to_string()]);
        }
        let mut process = Guarded::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()), Signal::INT)?;
        let lines = Lines::of(process.child.stdout.take().context("the tail's output is piped")?);
        Ok(Self { _process: process, lines })
    }

    /// Lets lines through, up to the one with all these words.
    pub(crate) fn until(&self, limit: Duration, words: &[&str]) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            match self.lines.next(deadline)? {
                Next::Line(_, line) => {
                    show(&line);
                    let line = plain(&line);
                    if words.iter().all(|word| line.split_whitespace().any(|seen| seen == *word)) {
                        return Ok(());
                    }
                }
                Next::Late => bail!("the tail shows no {}", words.join(" ")),
                Next::End => bail!("the tail ended before {}", words.join(" ")),
            }
        }
    }

    /// Lets the rest through, until the tail ends as the daemon does.
    pub(crate) fn rest(self, limit: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        while let Next::Line(_, line) = self.lines.next(deadline)? {
            show(&line);
        }
        Ok(())
    }
}

/// True on a terminal whose user wants colours.
pub(crate) fn in_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !refused
}

/// `bulkhead tail` has escaped what comes from containers already.
fn show(line: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    // A terminal that is gone ends nothing: what was started must still be ended.
    let _ = stdout.write_all(line).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
}

/// The line without colours (`ESC [ … letter`).
fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut parts = text.split("\x1b[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
        out.push_str(&part[end..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_no_words() {
        assert_eq!(plain(b"\x1b[1;31mCRITICAL\x1b[0m C01 \x1b[2mx\x1b[0m"), "CRITICAL C01 x");
        assert_eq!(plain(b"plain"), "plain");
    }
}
