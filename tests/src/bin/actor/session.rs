//! A container's remote control: reads one act a line from standard input, runs each as a program of its own.
//!
//! A line is the words of an `actor` command line, divided by the unit separator (0x1f). The act's own lines are
//! followed by `done STATUS`. So one `exec` by a runtime serves many acts, and each still has its own process.

use std::ffi::OsString;
use std::io::{BufRead as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::process::{Command, Stdio};

pub(crate) fn serve() {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "session ready");
    let _ = stdout.flush();
    for line in std::io::stdin().lock().split(b'\n') {
        let Ok(line) = line else { return };
        let words = line.split(|byte| *byte == 0x1f).map(|word| OsString::from_vec(word.to_vec()));
        let status = Command::new("/actor").args(words).stdin(Stdio::null()).status();
        let status = match status {
            Ok(status) => status.code().unwrap_or(-1).to_string(),
            Err(error) => format!("{error}"),
        };
        if writeln!(stdout, "done {status}").and_then(|()| stdout.flush()).is_err() {
            return;
        }
    }
}

/// Says that it waits, and goes on when a line comes.
pub(crate) fn wait_for_line() {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "waiting");
    let _ = stdout.flush();
    // At the end of the input there is nobody to wait for.
    let _ = std::io::stdin().lock().read_line(&mut String::new());
}
