//! The wire view of the accounts: what became of every record that a sensor wanted to write.

use monitor_common::event::EventKind;

use crate::container::Container;

/// Numbers of one account, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that a sensor wanted to write.
    pub attempted: u64,
    /// Records that were put into a ring.
    pub submitted: u64,
    /// Records that came out of the rings.
    pub received: u64,
    /// Records that found their ring full.
    pub ring_full: u64,
    /// Records of a container that was over its budget.
    pub over_budget: u64,
    /// Records that nobody wanted.
    pub filtered: u64,
}

impl Counts {
    /// The names in output, in this order.
    pub const NAMES: [&'static str; 6] =
        ["attempted", "submitted", "received", "ring_full", "over_budget", "filtered"];

    /// The numbers in the order of [`Self::NAMES`].
    pub fn numbers(&self) -> [u64; 6] {
        [self.attempted, self.submitted, self.received, self.ring_full, self.over_budget, self.filtered]
    }
}

/// What a container's records became: those that were received, and those that were not.
#[derive(Clone, Copy, Debug)]
pub struct ContainerCounts<'a> {
    /// The container.
    pub container: &'a Container,
    /// Records that came out of the rings.
    pub received: u64,
    /// Records that found their ring full.
    pub ring_full: u64,
    /// Records beyond its budget.
    pub over_budget: u64,
    /// Records that nobody wanted, as far as they have been read: they are every ten seconds, and at the end.
    pub filtered: u64,
}

impl ContainerCounts<'_> {
    /// The names in output, in this order.
    pub const NAMES: [&'static str; 5] = ["attempted", "received", "ring_full", "over_budget", "filtered"];

    /// The numbers in the order of [`Self::NAMES`]: the first is the sum of the others.
    pub fn numbers(&self) -> [u64; 5] {
        let known = [self.received, self.ring_full, self.over_budget, self.filtered];
        [known.iter().sum(), known[0], known[1], known[2], known[3]]
    }
}

/// The accounts as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accounts<'a> {
    /// Everything together.
    pub total: Counts,
    /// Runs of programs that the kernel skipped: nobody knows of which records.
    pub skipped_runs: u64,
    /// Records that no account explains.
    pub unaccounted: u64,
    /// True if every attempt had its outcome when the accounts were looked at, and every check has held.
    pub balanced: bool,
    /// By kind of event, with the sensor that writes it; `None` for what any of them may write.
    pub events: &'a [(EventKind, Option<&'static str>, Counts)],
    /// By CPU.
    pub cpus: &'a [(u16, Counts)],
    /// By container, those that lost most first.
    pub containers: &'a [ContainerCounts<'a>],
    /// Containers that are not in the list.
    pub containers_left_out: u64,
}
