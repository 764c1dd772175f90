//! Judges events against a container's baseline: the invariants and the checks of the catalogue.
//!
//! [`Detector::on_event`] is the entry. [`RULES`] says what is checked; one file a family holds the checks,
//! `memory.rs` what they remember of containers, `dedup.rs` how repeated findings are counted.
//!
//! Same records in, same findings out: no file, no clock, no socket is reached from here.

mod cgroup;
mod change;
mod confine;
mod context;
mod control;
mod crash;
mod cred;
mod dedup;
mod detector;
mod file;
mod kernel;
mod kernel_file;
mod magic;
mod mask;
mod memory;
mod mount;
mod namespace;
mod network;
mod open;
mod outside;
mod program;
mod rules;
mod secure;
mod socket;
mod splice;
#[cfg(test)]
mod tests;
mod tracing;
mod types;

pub use context::Lineage;
pub use dedup::Emitted;
pub use detector::{ControlSocket, DetectConfig, Detector};
pub use memory::HostFacts;
pub use network::NetworkFacts;
pub use rules::{RULES, find as find_rule};
pub use socket::CONTROL_SOCKET_NAMES;
pub use types::{Evidence, Finding, Outcome, RuleInfo, Severity, Value};
