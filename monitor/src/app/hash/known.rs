//! What is known of files: bounded, and what was used longest ago goes first.

use std::collections::HashMap;

use rustix::fs::Statx;

use super::{TICK, now};
use crate::process::{Executable, Outcome};

/// Files that are remembered, and files that could not be read.
const CAPACITY: usize = 4096;

/// What changes when the contents of a file do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Contents {
    pub(super) dev: u32,
    pub(super) ino: u64,
    pub(super) size: u64,
    /// Nanoseconds since the epoch.
    pub(super) ctime: i128,
    pub(super) mtime: i128,
}

impl Contents {
    /// Of a file on this device.
    pub(super) fn of(status: &Statx, dev: u32) -> Self {
        let nanos = |seconds: i64, nanos: u32| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            dev,
            ino: status.stx_ino,
            size: status.stx_size,
            ctime: nanos(status.stx_ctime.tv_sec, status.stx_ctime.tv_nsec),
            mtime: nanos(status.stx_mtime.tv_sec, status.stx_mtime.tv_nsec),
        }
    }
}

/// A table in which what was used longest ago makes room. A search when it is full: each entry stands for a file that was
/// read.
#[derive(Debug)]
struct Recent<K, V> {
    entries: HashMap<K, (V, u64)>,
    used: u64,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), used: 0 }
    }
}

impl<K: Copy + Eq + std::hash::Hash, V: Copy> Recent<K, V> {
    fn get(&mut self, key: &K) -> Option<V> {
        self.used += 1;
        let (value, used) = self.entries.get_mut(key)?;
        *used = self.used;
        Some(*value)
    }

    fn put(&mut self, key: K, value: V) {
        self.used += 1;
        if self.entries.len() >= CAPACITY && !self.entries.contains_key(&key) {
            let oldest = self.entries.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key);
            oldest.and_then(|oldest| self.entries.remove(&oldest));
        }
        self.entries.insert(key, (value, self.used));
    }
}

/// Hashes of files, and which failures were said.
#[derive(Debug, Default)]
pub(super) struct Known {
    contents: Recent<Contents, (Outcome, bool)>,
    failures: Recent<(u32, u64, i64), Outcome>,
}

impl Known {
    /// What became of a file with these contents, if that still holds: a file that was changed just before it was read may
    /// have been changed again without a trace.
    pub(super) fn get(&mut self, contents: &Contents) -> Option<Outcome> {
        self.contents.get(contents).and_then(|(outcome, holds)| holds.then_some(outcome))
    }

    /// Remembers what became of a file; true if that is news.
    pub(super) fn put(&mut self, contents: Contents, outcome: Outcome) -> bool {
        let before = self.contents.get(&contents);
        let holds = contents.ctime.max(contents.mtime) + TICK < now();
        self.contents.put(contents, (outcome, holds));
        before.is_none_or(|(before, _)| before != outcome)
    }

    /// True if this was what became of the file the last time.
    pub(super) fn failed(&mut self, file: &Executable, outcome: Outcome) -> bool {
        self.failures.get(&(file.dev, file.ino, file.ctime)) == Some(outcome)
    }

    /// True unless the same was said of this file.
    pub(super) fn is_first_failure(&mut self, file: &Executable, outcome: Outcome) -> bool {
        let key = (file.dev, file.ino, file.ctime);
        let before = self.failures.get(&key);
        self.failures.put(key, outcome);
        before != Some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let mut recent = Recent::default();
        for n in 0..CAPACITY {
            recent.put(n, n);
        }
        assert_eq!(recent.get(&0), Some(0));
        recent.put(CAPACITY, 7);
        assert_eq!((recent.get(&0), recent.get(&1), recent.get(&2)), (Some(0), None, Some(2)));
        assert_eq!((recent.get(&CAPACITY), recent.entries.len()), (Some(7), CAPACITY));
    }

    #[test]
    fn a_failure_is_said_once_a_file_and_reason() {
        let mut known = Known::default();
        let file = Executable { ino: 7, ..Executable::default() };
        assert!(
            known.is_first_failure(&file, Outcome::Gone) && !known.is_first_failure(&file, Outcome::Gone)
        );
        assert!(known.is_first_failure(&file, Outcome::Unreadable));
        assert!(known.is_first_failure(&Executable { ctime: 1, ..file }, Outcome::Unreadable));
    }
}
