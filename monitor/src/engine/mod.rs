//! What engines say about containers, over their sockets: names, labels, images, pods, services.
//!
//! Bulkhead knows a container without any engine, from the kernel and from files ([`crate::container`]). An engine adds
//! what files do not have, and is never believed against them. One task follows each engine ([`follow`]), one protocol
//! a file; [`desk`] knows which containers there are, asks, joins the answers with what files said ([`merge`]), and
//! hands an [`crate::container::Update`] on when that says anything new. All of it runs on one thread of its own: no
//! engine, however slow, delays a record.

mod backoff;
mod case;
mod containerd;
mod cri;
mod desk;
mod docker;
mod endpoint;
mod fault;
mod follow;
pub mod grpc;
mod http;
mod kube;
mod listener;
mod merge;
mod place;
mod podman;
mod probe;
mod status;
mod verdict;

use std::time::Duration;

use crate::container::Identity;

pub use desk::{Desk, Known, Outlet};
pub use endpoint::{Endpoint, EngineKind, usual};
pub use fault::Fault;
pub use kube::node_name;
pub use listener::Listener;
pub use probe::{Probe, probe};
pub use status::{StatusChange, Tally};

/// How long one question to an engine may take.
pub(crate) const ASK_LIMIT: Duration = Duration::from_secs(2);
/// How long connecting may take, with the first words on both sides.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// How long an engine may take to list its containers.
pub(crate) const LIST_LIMIT: Duration = Duration::from_secs(10);
/// How long a container that files cannot name waits for the engines.
pub(crate) const NAME_LIMIT: Duration = Duration::from_secs(4);
/// Containers of one engine that are looked at.
pub(crate) const MAX_CONTAINERS: usize = 16_384;
/// Bytes of one answer about one container.
pub(crate) const MAX_ANSWER: usize = 4 << 20;
/// Bytes of a list of containers.
pub(crate) const MAX_LIST: usize = 64 << 20;

/// What an engine says about one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Full id.
    pub id: String,
    /// Its first process as the host counts; 0 if it does not run, or the engine does not say.
    pub pid: u32,
    /// Path of its cgroup, if the engine says one.
    pub cgroup_path: Option<String>,
    /// Who it is.
    pub identity: Identity,
    /// What the engine says it granted.
    pub grants: Grants,
}

/// What an engine says it granted, as far as the OCI configuration can be compared with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// True for `--privileged`.
    pub privileged: Option<bool>,
    /// The most that the bounding set may have, bit n is capability n.
    pub capabilities: Option<u64>,
}

/// What an engine's stream of events tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A container started, or something about it changed: it is worth asking.
    Changed(String),
    /// A container ended.
    Ended(String),
    /// Nothing of interest.
    Other,
}

/// How one kind of engine is spoken to. Every call is given a limit of time by who makes it.
pub(crate) trait Protocol: Clone + Send + Sync + 'static {
    /// The stream of events.
    type Events: Send;

    /// Connects, and begins to follow events: what happens from here on is in them.
    fn connect(endpoint: &Endpoint) -> impl Future<Output = Result<Connected<Self>, Fault>> + Send;

    /// The ids of the containers that run.
    fn list(&self) -> impl Future<Output = Result<Vec<String>, Fault>> + Send;

    /// What the engine says about one container; `None` if it does not know it.
    fn inspect(&self, id: &str) -> impl Future<Output = Result<Option<Answer>, Fault>> + Send;

    /// Waits for the next event. May be given up and called again without losing one.
    fn next(events: &mut Self::Events) -> impl Future<Output = Result<Event, Fault>> + Send;
}

/// A connected engine.
#[derive(Debug)]
pub(crate) struct Connected<P: Protocol> {
    /// To ask it.
    pub(crate) engine: P,
    /// Its stream of events.
    pub(crate) events: P::Events,
    /// Its version, as it says.
    pub(crate) version: String,
    /// Who listens at the socket.
    pub(crate) listener: Listener,
}

#[cfg(test)]
mod tests;
