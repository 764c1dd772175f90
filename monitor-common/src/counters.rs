//! Counters of the kernel side: per CPU, added to atomically, never reset.

/// One counter. The number is the index in the `COUNTERS` map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Records that a sensor wanted to write.
    Attempted = 0,
    /// Records submitted to a ring.
    Submitted = 1,
    /// Records that found the `BULK` ring full.
    BulkFull = 2,
    /// Records that found the `CRITICAL` ring full.
    CriticalFull = 3,
    /// Entries that found the `TASKS` map full.
    TasksFull = 4,
    /// Entries that found the `CGROUPS` or `CONTAINERS` map full.
    ContainersFull = 5,
}

impl Counter {
    /// How many there are.
    pub const COUNT: u32 = 6;
    /// Every counter.
    pub const ALL: &'static [Self] = &[
        Self::Attempted,
        Self::Submitted,
        Self::BulkFull,
        Self::CriticalFull,
        Self::TasksFull,
        Self::ContainersFull,
    ];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attempted => "attempted",
            Self::Submitted => "submitted",
            Self::BulkFull => "bulk_full",
            Self::CriticalFull => "critical_full",
            Self::TasksFull => "tasks_full",
            Self::ContainersFull => "containers_full",
        }
    }
}
