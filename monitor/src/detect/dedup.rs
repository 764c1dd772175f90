//! Counts repeated findings, so that a flood of one act does not flood the output.
//!
//! Findings are the same if rule, severity, outcome, container, process, executable and evidence are. The
//! first is emitted, then the 10th, the 100th and so on, with the count. New ones have a budget for each rule,
//! severity, outcome and container of [`BUDGET`] in [`WINDOW`]; beyond it they are counted together, in the same
//! way, until the window ends. Time is that of the records.

use std::hash::{BuildHasher as _, RandomState};
use std::mem;

use hashbrown::HashMap;

use super::rules::Rule;
use super::types::{Finding, Outcome, Severity};
use crate::container::ContainerKey;
use crate::process::ProcessKey;

/// Different findings of one rule and container that are emitted in one [`WINDOW`].
const BUDGET: u32 = 100;
/// Length of a window, nanoseconds.
const WINDOW: u64 = 60_000_000_000;
/// Findings in one generation. Two generations are kept: what was not seen during a whole one is forgotten.
const GENERATION: usize = 4096;
/// Windows that are kept at most.
const MAX_WINDOWS: usize = 4096;

/// A finding that goes to the output, with how often it was seen.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// The container that it is about: the acting process's, or for a host process that of the process it
    /// acted on.
    pub container: ContainerKey,
    /// What was found.
    pub finding: Finding,
    /// How often it was seen until now.
    pub count: u64,
    /// When it was seen first, nanoseconds since boot.
    pub first_seen: u64,
    /// When it was seen last, nanoseconds since boot.
    pub last_seen: u64,
    /// True if `count` counts different findings of the rule together, because there were too many of them;
    /// `finding` is then the latest one.
    pub over_budget: bool,
}

/// Whose act it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) container: ContainerKey,
    pub(super) process: ProcessKey,
    pub(super) exe: &'a [u8],
    /// Time of the record, nanoseconds since boot.
    pub(super) time: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Class {
    rule: Rule,
    severity: Severity,
    outcome: Outcome,
    container: ContainerKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    class: Class,
    process: ProcessKey,
    digest: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    count: u64,
    first_seen: u64,
    last_seen: u64,
}

impl Tally {
    /// Counts one more; true if it is to be emitted.
    fn add(&mut self, time: u64) -> bool {
        if self.count == 0 {
            self.first_seen = time;
        }
        self.count = self.count.saturating_add(1);
        // Records of several CPUs may be a little out of order.
        self.last_seen = self.last_seen.max(time);
        is_power_of_ten(self.count)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    start: u64,
    new: u32,
    over: Tally,
}

/// The findings seen of late.
#[derive(Debug, Default)]
pub(super) struct Dedup {
    // Seeded, so that a container cannot choose evidence that collides with another one's.
    hasher: RandomState,
    young: HashMap<Key, Tally>,
    old: HashMap<Key, Tally>,
    windows: HashMap<Class, Window>,
}

impl Dedup {
    /// Counts a finding; gives it back if it is to be emitted.
    pub(super) fn admit(&mut self, rule: Rule, subject: &Subject<'_>, finding: Finding) -> Option<Emitted> {
        let class = Class {
            rule,
            severity: finding.severity,
            outcome: finding.outcome,
            container: subject.container,
        };
        let digest = self.hasher.hash_one((subject.exe, &finding.evidence));
        let key = Key { class, process: subject.process, digest };

        let known = self.young.get(&key).copied().or_else(|| self.old.remove(&key));
        let mut over_budget = false;
        let (emit, tally) = if let Some(mut tally) = known {
            let emit = tally.add(subject.time);
            self.insert(key, tally);
            (emit, tally)
        } else {
            let window = self.window(class, subject.time);
            if window.new < BUDGET {
                window.new += 1;
                let mut tally = Tally::default();
                let emit = tally.add(subject.time);
                self.insert(key, tally);
                (emit, tally)
            } else {
                over_budget = true;
                (window.over.add(subject.time), window.over)
            }
        };
        emit.then_some(Emitted {
            container: subject.container,
            finding,
            count: tally.count,
            first_seen: tally.first_seen,
            last_seen: tally.last_seen,
            over_budget,
        })
    }

    /// Forgets the budgets of a container that is gone.
    pub(super) fn forget(&mut self, container: ContainerKey) {
        self.windows.retain(|class, _| class.container != container);
    }

    fn insert(&mut self, key: Key, tally: Tally) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, tally);
    }

    fn window(&mut self, class: Class, time: u64) -> &mut Window {
        if self.windows.len() >= MAX_WINDOWS && !self.windows.contains_key(&class) {
            self.windows.retain(|_, w| time.saturating_sub(w.start) < WINDOW);
            if self.windows.len() >= MAX_WINDOWS
                && let Some(oldest) =
                    self.windows.iter().min_by_key(|(_, w)| w.start).map(|(class, _)| *class)
            {
                self.windows.remove(&oldest);
            }
        }
        let window = self.windows.entry(class).or_insert(Window { start: time, ..Window::default() });
        if time.saturating_sub(window.start) >= WINDOW {
            *window = Window { start: time, ..Window::default() };
        }
        window
    }
}

fn is_power_of_ten(mut n: u64) -> bool {
    while n >= 10 && n.is_multiple_of(10) {
        n /= 10;
    }
    n == 1
}
