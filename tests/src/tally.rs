//! The runner's lines: one for each scenario, and the count at the end.

use std::io::Write as _;

/// Passed, failed, skipped.
#[derive(Debug, Default)]
pub struct Tally {
    passed: u32,
    failed: u32,
    skipped: u32,
    silent: bool,
    /// Why things failed, of a silent one.
    reasons: Vec<String>,
}

/// Prints a line to standard output.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that is gone must not keep the guards from cleaning up.
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

impl Tally {
    /// One that prints nothing and keeps the reasons of failures.
    pub fn silent() -> Self {
        Self { silent: true, ..Self::default() }
    }

    /// How many failures were for this reason.
    pub fn failures(&self, reason: &str) -> usize {
        self.reasons.iter().filter(|why| why.contains(reason)).count()
    }

    fn line(&self, line: &str) {
        if !self.silent {
            say(line);
        }
    }

    /// `PASS name`.
    pub fn pass(&mut self, name: &str) {
        self.passed += 1;
        self.line(&format!("PASS {name}"));
    }

    /// `FAIL name: why`.
    pub fn fail(&mut self, name: &str, why: &str) {
        self.failed += 1;
        self.line(&format!("FAIL {name}: {why}"));
        if self.silent {
            self.reasons.push(why.to_owned());
        }
    }

    /// `SKIP name: why`.
    pub fn skip(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        self.line(&format!("SKIP {name}: {why}"));
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
