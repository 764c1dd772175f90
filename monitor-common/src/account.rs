//! The account of attempts: for each CPU and kind of event, what became of each record that a sensor wanted to
//! write.
//!
//! `attempted = submitted + ring_full + over_budget + filtered` holds for each CPU and kind whenever no program
//! is between its attempt and the outcome; the sum of `attempted` over the kinds is `seq`. The daemon checks both.

use crate::event::EventKind;

/// What became of the attempts of one kind on one CPU. Every number only grows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindAccount {
    /// Records that a sensor wanted to write.
    pub attempted: u64,
    /// Records submitted to a ring.
    pub submitted: u64,
    /// Records that found their ring full.
    pub ring_full: u64,
    /// Records of a container that was over its budget.
    pub over_budget: u64,
    /// Records of a kind that nobody wanted.
    pub filtered: u64,
}

impl KindAccount {
    /// Attempts whose outcome is known.
    pub const fn settled(&self) -> u64 {
        self.submitted + self.missing() + self.filtered
    }

    /// Records that somebody wanted and nobody got.
    pub const fn missing(&self) -> u64 {
        self.ring_full + self.over_budget
    }

    /// Adds another account's numbers.
    pub const fn add(&mut self, other: &Self) {
        self.attempted += other.attempted;
        self.submitted += other.submitted;
        self.ring_full += other.ring_full;
        self.over_budget += other.over_budget;
        self.filtered += other.filtered;
    }
}

/// Value of `ACCOUNTS`: one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuAccount {
    /// Number of the last attempt.
    pub seq: u64,
    /// When this CPU last woke the reader of its bulk ring, nanoseconds since boot.
    pub woken: u64,
    /// By [`EventKind::index`].
    pub kinds: [KindAccount; EventKind::COUNT],
}

impl Default for CpuAccount {
    fn default() -> Self {
        Self { seq: 0, woken: 0, kinds: [KindAccount::default(); EventKind::COUNT] }
    }
}

impl CpuAccount {
    /// `u64`s of the value.
    pub const WORDS: usize = 2 + 5 * EventKind::COUNT;

    /// Reads the value from its words.
    pub fn from_words(words: &[u64; Self::WORDS]) -> Self {
        let mut account = Self { seq: words[0], woken: words[1], ..Self::default() };
        for (kind, w) in account.kinds.iter_mut().zip(words[2..].as_chunks::<5>().0) {
            *kind = KindAccount {
                attempted: w[0],
                submitted: w[1],
                ring_full: w[2],
                over_budget: w[3],
                filtered: w[4],
            };
        }
        account
    }

    /// All kinds together.
    pub fn total(&self) -> KindAccount {
        let mut total = KindAccount::default();
        for kind in &self.kinds {
            total.add(kind);
        }
        total
    }
}

const _: () = assert!(core::mem::size_of::<CpuAccount>() == 8 * CpuAccount::WORDS);

/// Key of `BUDGETS`: one kind of one container on one way to the daemon.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BudgetKey {
    /// Container key.
    pub container: u64,
    /// [`EventKind::index`].
    pub kind: u32,
    /// 1 for records of the critical ring, 0 for those of the bulk rings.
    pub critical: u32,
}

/// Value of `BUDGETS`: a token bucket, kept as the time at which it would be full again, and what it refused.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// When every token taken so far is back, nanoseconds since boot.
    pub full_at: u64,
    /// Records refused. Only grows.
    pub refused: u64,
    /// The first refusal after a second without any, nanoseconds since boot.
    pub first: u64,
    /// The last refusal, nanoseconds since boot.
    pub last: u64,
}

/// Key of `LOSSES`: records that found a ring full.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LossKey {
    /// Container key, 0 for the host.
    pub container: u64,
    /// [`EventKind::index`].
    pub kind: u16,
    /// The CPU.
    pub cpu: u16,
    /// 1 for the critical ring, 0 for the CPU's bulk ring.
    pub critical: u32,
}

/// Value of `LOSSES`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossEntry {
    /// Records lost. Only grows.
    pub count: u64,
    /// The first loss after a second without any, nanoseconds since boot.
    pub first: u64,
    /// The last loss, nanoseconds since boot.
    pub last: u64,
}
