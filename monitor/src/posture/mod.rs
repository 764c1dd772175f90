//! Posture: what each running container was granted, whatever it does with it.
//!
//! [`gather`] reads facts of `/proc`, of cgroups and of the OCI configuration: of all containers at once, or of one that
//! has just started. Everything else is pure: [`judge`] turns a [`Baseline`] into findings, [`explain`] into a list of
//! everything that was granted, [`report`] writes them. No program is loaded and no daemon is needed.

mod baseline;
pub mod check;
mod config;
mod explain;
pub mod gather;
mod judge;
mod mountinfo;
mod question;
pub mod report;
mod rules;

pub use baseline::{Baseline, Host, IdRange, Limits, NAMESPACES, Node, Object, SocketSeen};
pub use check::{CHECKS, Check};
pub use config::Config;
pub use explain::{Grant, Verdict, explain};
pub use judge::{Finding, Item, Layers, Source, contradicted, judge, link_layers};
pub use mountinfo::{Mount, host_path, leads_through_remote, parse_mounts};
pub use question::{Answer, Question, Unread};
pub use rules::{find_rule, finding, rules};

use crate::container::{Container, Identity};

/// One container with everything that posture says of it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Who it is.
    pub container: Container,
    /// The facts; of one that could not be looked at, its first process alone.
    pub baseline: Baseline,
    /// Why it could not be looked at.
    pub unread: Option<Unread>,
}

impl Subject {
    /// Who it is, as its runtime and engine name it.
    pub fn identity(&self) -> &Identity {
        &self.container.identity
    }
}

#[cfg(test)]
mod tests;
