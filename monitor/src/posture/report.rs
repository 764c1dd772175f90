//! Writes posture for people: a table and paragraphs. Programs get `posture` records (`output/`).

mod text;

pub use text::{explained, overview};

use super::Subject;
use super::baseline::{Baseline, Host};
use super::explain::{Grant, explain};
use super::judge::{Finding, judge};
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
        let findings = judge(&subject.baseline, host);
        let grants = if in_full { explain(&subject.baseline, host, &findings) } else { Vec::new() };
        Self { subject, findings, grants }
    }

    /// What its record says.
    pub fn record(&self) -> Posture<'_> {
        let Baseline { pid, config, .. } = &self.subject.baseline;
        Posture {
            pid: *pid,
            config: config.as_ref().map(|config| config.path.as_str()),
            unread: None,
            findings: &self.findings,
            grants: &self.grants,
        }
    }

    /// Its worst severity.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}
