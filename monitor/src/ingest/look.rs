//! What the edge read of the kernel side's accounts: plain numbers, at one moment.

use monitor_common::account::CpuAccount;
use monitor_common::counters::Counter;
use monitor_common::event::EventKind;

/// The kernel side's accounts at one moment.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// By CPU number.
    pub cpus: Vec<CpuAccount>,
    /// Entries that found a map full since the start, in the order of [`Counter::ALL`].
    pub full: [u64; Counter::COUNT as usize],
    /// How many entries those maps hold.
    pub limits: [u32; Counter::COUNT as usize],
    /// Losses since the look before, by container.
    pub named: Vec<Named>,
    /// Records that nobody wanted, by container key: how many more than were read before. Not read at every look.
    pub filtered: Vec<(u64, u64)>,
    /// Programs whose runs the kernel has skipped since the look before, and how many runs: a program that
    /// interrupts itself on a CPU is not run.
    pub skipped: Vec<(String, u64)>,
    /// True if nothing writes any more: every account must balance exactly.
    pub last: bool,
}

/// Records of one container and kind that were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Container key, 0 for the host.
    pub container: u64,
    /// The kind of event.
    pub kind: EventKind,
    /// The CPU, if it is known.
    pub cpu: Option<u16>,
    /// True for the critical ring, false for a bulk ring.
    pub critical: bool,
    /// True if the container was over its budget, false if the ring was full.
    pub over_budget: bool,
    /// How many.
    pub count: u64,
    /// The first of them, nanoseconds since boot.
    pub first: u64,
    /// The last of them, nanoseconds since boot.
    pub last: u64,
}
