//! The runner's lines: one for each scenario, and the count at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use crate::stop;

/// Passed, failed, skipped.
#[derive(Debug, Default)]
pub struct Tally {
    passed: u32,
    failed: u32,
    skipped: u32,
    silent: bool,
    /// What passed, of a silent one.
    good: BTreeSet<String>,
    /// What failed and why, of a silent one.
    bad: BTreeMap<String, String>,
}

/// Prints a line to standard output.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that is gone must not keep the guards from cleaning up.
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

impl Tally {
    /// One that prints nothing and remembers what it was told.
    pub fn silent() -> Self {
        Self { silent: true, ..Self::default() }
    }

    /// True if it prints nothing.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// True if this passed.
    pub fn has_passed(&self, name: &str) -> bool {
        self.good.contains(name)
    }

    /// True if this failed, for this reason.
    pub fn has_failed(&self, name: &str, reason: &str) -> bool {
        self.bad.get(name).is_some_and(|why| why.contains(reason))
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
        if self.silent {
            self.good.insert(name.to_owned());
        }
    }

    /// `FAIL name: why`.
    pub fn fail(&mut self, name: &str, why: &str) {
        self.failed += 1;
        self.line(&format!("FAIL {name}: {why}"));
        if self.silent {
            self.bad.insert(name.to_owned(), why.to_owned());
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

    /// By the result of a check that may be impossible on this machine, and then says why.
    ///
    /// # Errors
    /// A signal ended the run: nothing that failed after it is told.
    pub fn settle(&mut self, name: &str, result: anyhow::Result<Option<String>>) -> anyhow::Result<()> {
        match result {
            Ok(None) => self.pass(name),
            Ok(Some(why)) => self.skip(name, &why),
            Err(error) => {
                stop::check()?;
                self.fail(name, &format!("{error:#}"));
            }
        }
        Ok(())
    }

    /// Prints the last line; true if nothing failed.
    pub fn finish(&self) -> bool {
        say(&format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped));
        self.failed == 0
    }
}
