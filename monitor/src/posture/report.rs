//! Writes posture for people: a table and paragraphs. Programs get `posture` records (`output/`).

mod text;

pub use text::{explained, overview};

use super::baseline::{Baseline, Host};
use super::explain::{Grant, explain};
use super::judge::{Finding, judge};
use super::{Subject, Unread};
use crate::detect::Severity;
use crate::output::Posture;

/// A container with what is to be said of it.
#[derive(Debug)]
pub struct Judged<'a> {
    /// The container.
    pub subject: &'a Subject,
    /// Its findings, the worst first.
    pub findings: Vec<Finding>,
    /// Everything that it was granted; empty unless it was asked for.
    pub grants: Vec<Grant>,
}

impl<'a> Judged<'a> {
    /// Judges a container; `in_full` also lists everything that it was granted.
    pub fn new(subject: &'a Subject, host: &Host, in_full: bool) -> Self {
        let is_read = subject.unread.is_none();
        let findings = if is_read { judge(&subject.baseline, host) } else { Vec::new() };
        let grants =
            if in_full && is_read { explain(&subject.baseline, host, &findings) } else { Vec::new() };
        Self { subject, findings, grants }
    }

    /// What its record says.
    pub fn record(&self) -> Posture<'_> {
        let Baseline { pid, config, .. } = &self.subject.baseline;
        Posture {
            pid: *pid,
            config: config.as_ref().map(|config| config.path.as_str()),
            unread: self.subject.unread.map(Unread::reason),
            findings: &self.findings,
            grants: &self.grants,
        }
    }

    /// True if it has a finding of at least this severity, or may have one: it could not be looked at.
    pub fn fails(&self, least: Severity) -> bool {
        self.subject.unread.is_some() || self.worst() >= Some(least)
    }

    /// Its worst severity.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}
