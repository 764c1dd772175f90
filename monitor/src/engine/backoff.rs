//! How long to wait before an engine is tried again.

use std::time::Duration;

/// The shortest and the longest pause.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
/// The longest pause where there is no socket: looking for one costs one call.
const ABSENT: Duration = Duration::from_secs(2);
/// A connection that lasted this long was a good one.
const LASTED: Duration = Duration::from_secs(10);

/// Pauses that double.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The pause after a connection that lasted so long.
    pub(super) fn pause(&mut self, lasted: Duration, absent: bool) -> Duration {
        if lasted >= LASTED {
            self.next = FIRST;
        }
        let pause = self.next;
        self.next = (pause * 2).min(if absent { ABSENT } else { LONGEST });
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_begin_again() {
        let mut backoff = Backoff::new();
        let pauses: Vec<u128> = (0..9).map(|_| backoff.pause(Duration::ZERO, false).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(backoff.pause(LASTED, false), FIRST);
        let mut absent = Backoff::new();
        assert_eq!((0..9).map(|_| absent.pause(Duration::ZERO, true)).max(), Some(ABSENT));
    }
}
