//! What an engine says of a container that is not so.

use super::{Finding, Item, Source, judge_one};
use crate::container::Mismatch;
use crate::detect::Severity;
use crate::posture::baseline::{Baseline, Host};
use crate::posture::check::Check;

pub(in crate::posture) const DIFFERENCE: Check = Check {
    id: "X-engine",
    title: "Engine contradicted by the kernel",
    severity: Severity::Critical,
    rows: &["G01", "G02"],
    cis: &[],
    pss: &[],
    checklist: &[],
    what: "An engine names another process as the container's first one, another id, or other privileges than the kernel and the \
           OCI configuration show. Nothing of what it says is taken. Only the daemon asks engines, and reports this. That the \
           socket of one user speaks of another user's container is a warning.",
    change: "See who listens at the socket. If it is the engine, compare its view (`docker inspect`) with the OCI configuration: a \
             runtime or hook between the two grants what the engine does not know of.",
    judge: difference,
};

fn difference(b: &Baseline, _: &Host) -> Vec<Item> {
    b.mismatches.iter().map(item).collect()
}

fn item(mismatch: &Mismatch) -> Item {
    let severity = if mismatch.what == "owner" { Severity::Warning } else { Severity::Critical };
    let source = Source::Engine(mismatch.engine.clone());
    Item::new(severity, mismatch.what, mismatch.observed.clone(), source).declared(mismatch.said.clone())
}

/// What is to be said of a container of which an engine says what is not so; `None` if no engine does.
pub fn contradicted(mismatches: &[Mismatch]) -> Option<Finding> {
    let baseline = Baseline { mismatches: mismatches.to_vec(), ..Baseline::default() };
    judge_one(&DIFFERENCE, &baseline, &Host::default())
}
