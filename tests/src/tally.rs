//! The runner's lines: one for each scenario, and the count at the end.

use std::io::Write as _;

/// Passed, failed, skipped.
#[derive(Debug, Default)]
pub struct Tally {
    passed: u32,
    failed: u32,
    skipped: u32,
}

/// Prints a line to standard output.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that is gone must not keep the guards from cleaning up.
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

impl Tally {
    /// `PASS name`.
    pub fn pass(&mut self, name: &str) {
        self.passed += 1;
        say(&format!("PASS {name}"));
    }

    /// `FAIL name: why`.
    pub fn fail(&mut self, name: &str, why: &str) {
        self.failed += 1;
        say(&format!("FAIL {name}: {why}"));
    }

    /// `SKIP name: why`.
    pub fn skip(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        say(&format!("SKIP {name}: {why}"));
    }

    /// By result.
    pub fn take(&mut self, name: &str, result: &anyhow::Result<()>) {
        match result {
            Ok(()) => self.pass(name),
            Err(error) => self.fail(name, &format!("{error:#}")),
        }
    }

    /// Prints the last line; true if nothing failed.
    pub fn finish(&self) -> bool {
        say(&format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped));
        self.failed == 0
    }
}
