//! From facts to findings: pure functions over a [`Baseline`], one for each row.

pub(super) mod devices;
pub(super) mod differences;
pub(super) mod engine;
pub(super) mod image;
pub(super) mod layers;
pub(super) mod limits;
pub(super) mod masks;
pub(super) mod mounts;
pub(super) mod namespaces;
pub(super) mod paths;
pub(super) mod privilege;

pub use engine::contradicted;
pub use layers::{Layers, link_layers};

use super::baseline::{Baseline, Host};
use super::check::{CHECKS, Check};
use crate::detect::Severity;

/// Where a grant comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A JSON pointer into the OCI configuration.
    Config(String),
    /// A mount, by its point.
    Mount(String),
    /// A file of the kernel's, with what it says: `/proc/<pid>/status Seccomp`.
    Kernel(&'static str),
    /// A program of the host.
    Program(String),
    /// An engine, by its socket.
    Engine(String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(pointer) => write!(f, "config.json {pointer}"),
            Self::Mount(point) => write!(f, "mountinfo {point}"),
            Self::Kernel(file) => f.write_str(file),
            Self::Program(path) | Self::Engine(path) => f.write_str(path),
        }
    }
}

/// One thing that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Severity of this one.
    pub severity: Severity,
    /// What it is: a capability, a path, a namespace.
    pub what: String,
    /// What the configuration says, if it was found and says something.
    pub declared: Option<String>,
    /// What the kernel shows.
    pub observed: String,
    /// Where it was granted.
    pub source: Source,
}

impl Item {
    fn new(severity: Severity, what: impl Into<String>, observed: impl Into<String>, source: Source) -> Self {
        Self { severity, what: what.into(), declared: None, observed: observed.into(), source }
    }

    fn declared(mut self, declared: impl Into<String>) -> Self {
        self.declared = Some(declared.into());
        self
    }
}

/// A check that a container does not pass.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which.
    pub check: &'static Check,
    /// The worst of its items.
    pub severity: Severity,
    /// Why; never empty.
    pub items: Vec<Item>,
}

/// Everything that is to be said of a container, the worst first.
pub fn judge(baseline: &Baseline, host: &Host) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        CHECKS.iter().filter_map(|check| judge_one(check, baseline, host)).collect();
    // Stable: the order of the catalogue within a severity.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn judge_one(check: &'static Check, baseline: &Baseline, host: &Host) -> Option<Finding> {
    let items = (check.judge)(baseline, host);
    let severity = items.iter().map(|item| item.severity).max()?;
    Some(Finding { check, severity, items })
}

/// The severity where ids are mapped: what a user namespace of its own makes of a grant.
fn in_users(baseline: &Baseline, host: &Host, severity: Severity) -> Severity {
    if baseline.has_host_users(host) { severity } else { severity.min(Severity::Notice) }
}

/// One less, down to notice.
fn lower(severity: Severity) -> Severity {
    match severity {
        Severity::Critical => Severity::Warning,
        Severity::Warning => Severity::Notice,
        other => other,
    }
}

/// The pointer into the configuration if there is one, else a fact of the kernel's.
fn from_config(pointer: Option<String>, kernel: &'static str) -> Source {
    pointer.map_or(Source::Kernel(kernel), Source::Config)
}
