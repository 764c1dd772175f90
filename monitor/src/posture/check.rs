//! The list of checks: what a person reads about each, what it is mapped to, and the function that judges.

use super::baseline::{Baseline, Host};
use super::judge::{self, Item};
use crate::detect::Severity;

/// A check of what containers are granted.
#[derive(Debug)]
pub struct Check {
    /// Id in output: a row of the catalogue, or `X-…` for a difference between what was declared and what is.
    pub id: &'static str,
    /// One line.
    pub title: &'static str,
    /// The highest severity it reports.
    pub severity: Severity,
    /// Rows of the catalogue.
    pub rows: &'static [&'static str],
    /// Items of the CIS Docker Benchmark 1.6.0.
    pub cis: &'static [&'static str],
    /// Controls of the Kubernetes Pod Security Standards, with their profile.
    pub pss: &'static [&'static str],
    /// Points of the practitioner's checklist (`docs/guide.md`).
    pub checklist: &'static [u8],
    /// What it means, and how cases are rated.
    pub what: &'static str,
    /// What to change.
    pub change: &'static str,
    /// Judges one container: everything that is granted and should be known of.
    pub(super) judge: fn(&Baseline, &Host) -> Vec<Item>,
}

/// Every check, in the order of the catalogue.
pub static CHECKS: &[Check] = &[
    judge::privilege::G01,
    judge::privilege::G02,
    judge::privilege::G03,
    judge::namespaces::G04,
    judge::mounts::G05,
    judge::mounts::G06,
    judge::privilege::G07,
    judge::privilege::G08,
    judge::mounts::G09,
    judge::privilege::G10,
    judge::masks::G11,
    judge::devices::G12,
    judge::mounts::G13,
    judge::mounts::G14,
    judge::limits::G15,
    judge::mounts::G16,
    judge::image::G17,
    judge::image::G18,
    judge::image::G19,
    judge::differences::CAPABILITIES,
    judge::differences::NAMESPACE,
    judge::differences::SECCOMP,
    judge::differences::LABEL,
    judge::masks::DIFFERENCE,
    judge::devices::DIFFERENCE,
    judge::differences::MOUNT,
    judge::engine::DIFFERENCE,
];

/// The check of that id, whatever its case.
pub fn find(id: &str) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.id.eq_ignore_ascii_case(id))
}
