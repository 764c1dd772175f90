//! The count of everything that was checked, and the parsers of what others counted.

use std::fmt;
use std::time::{Duration, Instant};

use crate::say;

/// Passed, failed, skipped.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// From the scenario runner's last line, `3 passed, 0 failed, 1 skipped`.
    pub(crate) fn from_summary(line: &str) -> Option<Self> {
        Self::from_parts(line.trim(), ", ", [" passed", " failed", " skipped"])
    }

    /// From libtest's `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; …`.
    pub(crate) fn from_libtest(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        Self::from_parts(counts, "; ", [" passed", " failed", " ignored"])
    }

    fn from_parts(text: &str, divider: &str, words: [&str; 3]) -> Option<Self> {
        let mut parts = text.split(divider);
        let mut number = |word: &str| parts.next()?.strip_suffix(word)?.parse().ok();
        Some(Self { passed: number(words[0])?, failed: number(words[1])?, skipped: number(words[2])? })
    }
}

/// How a check ended.
pub(crate) enum Verdict {
    Passed,
    Skipped(String),
    /// Many at once, counted by the program that ran them, with a line on each that failed or was skipped.
    Counted {
        counts: Counts,
        notable: Vec<String>,
    },
}

/// The whole run's count.
#[derive(Default)]
pub(crate) struct Tally {
    total: Counts,
    notable: Vec<String>,
}

impl Tally {
    /// Runs one check; an error is a failure with its reason, and the next check runs all the same.
    pub(crate) fn check(&mut self, name: &str, check: impl FnOnce() -> anyhow::Result<Verdict>) -> bool {
        say::step(format!("── {name}"));
        let start = Instant::now();
        let verdict = check();
        self.count(name, verdict, start.elapsed())
    }

    /// Counts a check that was run already, and took so long.
    pub(crate) fn count(&mut self, name: &str, verdict: anyhow::Result<Verdict>, took: Duration) -> bool {
        let mut counts = Counts::default();
        let ending = match verdict {
            Ok(Verdict::Passed) => {
                counts.passed = 1;
                "passed".to_owned()
            }
            Ok(Verdict::Skipped(reason)) => {
                counts.skipped = 1;
                self.notable.push(format!("SKIP {name}: {reason}"));
                "skipped".to_owned()
            }
            Ok(Verdict::Counted { counts: counted, notable }) => {
                counts = counted;
                self.notable.extend(notable.into_iter().map(|line| format!("{line} [{name}]")));
                // Worded unlike the run's last line, which scripts look for.
                format!("passed {}, failed {}, skipped {}", counts.passed, counts.failed, counts.skipped)
            }
            Err(error) => {
                counts.failed = 1;
                self.notable.push(format!("FAIL {name}: {error:#}"));
                format!("FAILED, {error:#}")
            }
        };
        say::step(format!("── {name}: {ending} ({:.1} s)", took.as_secs_f32()));
        self.total.add(counts);
        counts.failed == 0
    }

    /// Prints what failed and what was skipped, then the plain last line; true when nothing failed.
    pub(crate) fn finish(self) -> bool {
        for line in &self.notable {
            say::result(line);
        }
        say::result(self.total);
        self.total.failed == 0
    }
}

/// Collects the scenario runner's lines.
#[derive(Default)]
pub(crate) struct ScenarioLines {
    summary: Option<Counts>,
    counted: Counts,
    notable: Vec<String>,
}

impl ScenarioLines {
    pub(crate) fn take(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("PASS", _)) => self.counted.passed += 1,
            Some(("FAIL", _)) => {
                self.counted.failed += 1;
                self.notable.push(line.to_owned());
            }
            Some(("SKIP", _)) => {
                self.counted.skipped += 1;
                self.notable.push(line.to_owned());
            }
            _ => self.summary = Counts::from_summary(line).or(self.summary),
        }
    }

    /// The verdict; `failure` is how the runner itself ended when not well. A runner that did not reach its last
    /// line, or contradicts its own lines, is one more failure.
    pub(crate) fn verdict(mut self, failure: Option<String>) -> Verdict {
        let unfinished = match self.summary {
            None => Some("the scenario runner did not reach its last line".to_owned()),
            Some(summary) if summary != self.counted => Some(format!(
                "the scenario runner's last line says {summary}, its lines say {}",
                self.counted
            )),
            Some(_) => failure.clone().filter(|_| self.counted.failed == 0),
        };
        if let Some(unfinished) = unfinished {
            let ended = failure.map(|failure| format!(" ({failure})")).unwrap_or_default();
            self.counted.failed += 1;
            self.notable.push(format!("FAIL {unfinished}{ended}"));
        }
        Verdict::Counted { counts: self.counted, notable: self.notable }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u32, failed: u32, skipped: u32) -> Counts {
        Counts { passed, failed, skipped }
    }

    fn scenarios(lines: &[&str], failure: Option<&str>) -> Counts {
        let mut taken = ScenarioLines::default();
        lines.iter().for_each(|line| taken.take(line));
        match taken.verdict(failure.map(str::to_owned)) {
            Verdict::Counted { counts, .. } => counts,
            _ => Counts::default(),
        }
    }

    #[test]
    fn lines_of_others() {
        assert_eq!(Counts::from_summary("3 passed, 0 failed, 1 skipped"), Some(counts(3, 0, 1)));
        assert_eq!(Counts::from_summary("3 passed, no failed"), None);
        let libtest = "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(Counts::from_libtest(libtest), Some(counts(12, 1, 2)));
        assert_eq!(Counts::from_libtest("test a ... ok"), None);
    }

    #[test]
    fn scenario_lines() {
        let lines = ["PASS a", "SKIP b: no crun", "noise", "1 passed, 0 failed, 1 skipped"];
        assert_eq!(scenarios(&lines, None), counts(1, 0, 1));
        assert_eq!(scenarios(&lines, Some("status 101")), counts(1, 1, 1));
        assert_eq!(scenarios(&lines[..3], None), counts(1, 1, 1));
        let contradiction = ["PASS a", "2 passed, 0 failed, 0 skipped"];
        assert_eq!(scenarios(&contradiction, None), counts(1, 1, 0));
        let failing = ["FAIL a: no finding", "0 passed, 1 failed, 0 skipped"];
        assert_eq!(scenarios(&failing, Some("status 1")), counts(0, 1, 0));
    }
}
