//! Counters of full maps: per CPU, added to atomically, never reset. Records have accounts of their own, see
//! [`crate::account`].

/// One counter. The number is the index in the `COUNTERS` map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Entries that found `TASKS` full.
    TasksFull = 0,
    /// Entries that found `CGROUPS` full.
    CgroupsFull = 1,
    /// Entries that found `CONTAINERS` full.
    ContainersFull = 2,
    /// Records let through because `BUDGETS` was full.
    BudgetsFull = 3,
    /// Losses whose container cannot be told because `LOSSES` was full.
    LossesFull = 4,
    /// Entries that found `STORAGE` full.
    StorageFull = 5,
    /// Records that nobody wanted, and whose container could not be counted because `FILTERED` was full.
    FilteredFull = 6,
}

impl Counter {
    /// How many there are.
    pub const COUNT: u32 = 7;
    /// Every counter.
    pub const ALL: &'static [Self] = &[
        Self::TasksFull,
        Self::CgroupsFull,
        Self::ContainersFull,
        Self::BudgetsFull,
        Self::LossesFull,
        Self::StorageFull,
        Self::FilteredFull,
    ];

    /// The map that was full.
    pub const fn map(self) -> &'static str {
        match self {
            Self::TasksFull => "TASKS",
            Self::CgroupsFull => "CGROUPS",
            Self::ContainersFull => "CONTAINERS",
            Self::BudgetsFull => "BUDGETS",
            Self::LossesFull => "LOSSES",
            Self::StorageFull => "STORAGE",
            Self::FilteredFull => "FILTERED",
        }
    }
}
