//! Whose a thread was that a report names: numbers of threads are given again.

use monitor_common::policy::DeadThread;

/// How long a thread that is gone stands for its number if no other has that, nanoseconds.
const RECENT: u64 = 10_000_000_000;
/// How much too late the time of a line may be taken for, nanoseconds: as long as its reader was kept waiting.
const LAG: u64 = 1_000_000_000;

/// A thread that lives now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Living {
    /// Its process, in the initial pid namespace.
    pub pid: u32,
    /// When the thread started, nanoseconds since boot, to a clock tick.
    pub started: u64,
}

/// The process that a number stood for when the line that names it was `printed`, nanoseconds since boot at the latest: of the
/// thread that died under it, or of the one that has it now.
pub fn owner(dead: Option<DeadThread>, living: Option<Living>, printed: u64) -> Option<u32> {
    let living = living.filter(|thread| thread.started <= printed);
    let since = |thread: &DeadThread| printed.saturating_sub(thread.died);
    let limit = if living.is_some() { LAG } else { RECENT };
    let dead = dead.filter(|thread| since(thread) < limit);
    dead.map(|thread| thread.pid).or(living.map(|thread| thread.pid))
}

/// The log's clock beside that of the records: it stops while the machine sleeps, and is not corrected.
#[derive(Debug, Default)]
pub struct Clock {
    /// How much it is behind, nanoseconds, at most.
    behind: Option<i128>,
}

impl Clock {
    /// All has been read: the next line was printed a moment before it is read.
    pub fn caught_up(&mut self) {
        self.behind = None;
    }

    /// When a line was printed, nanoseconds since boot, at the latest. `now` it is read.
    pub fn printed(&mut self, stamp: u64, now: u64) -> u64 {
        let behind = i128::from(now) - i128::from(stamp);
        let least = self.behind.map_or(behind, |known| known.min(behind));
        self.behind = Some(least);
        u64::try_from(i128::from(stamp) + least).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn dead(died: u64) -> Option<DeadThread> {
        Some(DeadThread { died, pid: 1, reserved: 0 })
    }

    fn living(started: u64) -> Option<Living> {
        Some(Living { pid: 2, started })
    }

    #[test]
    fn a_number_that_was_given_again_is_the_dead_ones() {
        let at = 100 * SECOND;
        for (dead, living, wanted) in [
            (None, None, None),
            (None, living(at - 1), Some(2)),
            (None, living(at + 1), None),
            // It printed, died, and somebody else has its number by now.
            (dead(at + 1), living(at + 2), Some(1)),
            // The same, and the line's time is too late by a little.
            (dead(at - 2), living(at - 1), Some(1)),
            (dead(at - 2), living(at + 1), Some(1)),
            (dead(at - 2), None, Some(1)),
            // One that had the number long before.
            (dead(at - 2 * SECOND), living(at - SECOND), Some(2)),
            (dead(at - 9 * SECOND), None, Some(1)),
            (dead(at - 9 * SECOND), living(at + 1), Some(1)),
            (dead(at - 10 * SECOND), None, None),
            (dead(at - 10 * SECOND), living(at + 1), None),
        ] {
            assert_eq!(owner(dead, living, at), wanted, "{dead:?} {living:?}");
        }
    }

    #[test]
    fn a_line_was_printed_no_later_than_it_is_read() {
        let mut clock = Clock::default();
        // The first of a burst was read 5 after it was printed, a later one 50 after.
        assert_eq!(clock.printed(1000, 3005), 3005);
        assert_eq!(clock.printed(1010, 3060), 3015);
        assert_eq!(clock.printed(1020, 3021), 3021);
        assert_eq!(clock.printed(1030, 9000), 3031);
        // The machine slept.
        clock.caught_up();
        assert_eq!(clock.printed(1040, 9000), 9000);
        // A clock that is before.
        clock.caught_up();
        assert_eq!(clock.printed(7000, 6000), 6000);
        assert_eq!(clock.printed(7010, 6100), 6010);
        assert_eq!(clock.printed(0, u64::MAX), 0);
    }
}
