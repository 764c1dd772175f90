//! What is kept of a process.

use std::sync::Arc;

use monitor_common::event::State;

use super::Shared;
use crate::container::ContainerKey;

/// Nanoseconds of a clock tick, to which `/proc` tells when a process started: `USER_HZ` is 100 on every Linux that Bulkhead
/// runs on.
pub const TICK_NS: u64 = 10_000_000;

/// A process for ever: pids are used again, pid and start time together are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessKey {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Start, nanoseconds since boot.
    pub started: u64,
}

/// A process as the hot thread knows it.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Which process.
    pub key: ProcessKey,
    /// Process id of its parent when last seen.
    pub ppid: u32,
    /// Its container; the host for an ancestor outside.
    pub container: ContainerKey,
    /// True while it is a trusted runtime task that sets up or joins a container.
    pub runtime: bool,
    /// What it executes.
    pub program: Shared,
    /// Real uid.
    pub uid: u32,
    /// Effective uid.
    pub euid: u32,
    /// Group id.
    pub gid: u32,
    /// Effective capabilities.
    pub cap_effective: u64,
    /// State last reported, inherited at fork.
    pub state: Option<Arc<State>>,
    /// Set when it ended; the entry stays as long as others may name it as an ancestor.
    pub exited: bool,
}
