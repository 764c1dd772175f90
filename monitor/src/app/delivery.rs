//! When the critical ring may forget: with pins, a record stays in it until what was made of it has been written, so
//! that a daemon that takes over finds what the one before it had read and not delivered.

use std::collections::VecDeque;

/// Rounds that may be open. One more, and the oldest is given up: the ring must not fill because a reader is slow.
const ROUNDS: usize = 4096;

/// Positions of the critical ring on their way.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// Read at a time, and perhaps still waiting for its turn.
    read: VecDeque<(u64, usize)>,
    /// Gone out with a batch.
    sent: VecDeque<(u64, usize)>,
}

impl Delivery {
    /// The ring was read up to `position` at `time`, nanoseconds since boot.
    pub(super) fn read(&mut self, time: u64, position: usize) {
        if self.read.back().is_none_or(|(_, last)| *last != position) {
            self.read.push_back((time, position));
        }
    }

    /// Every record up to `horizon` has been through the pipeline, and what was made of it is in batches up to `sent`.
    pub(super) fn released(&mut self, horizon: u64, sent: u64) {
        while let Some((_, position)) = self.read.front().copied().filter(|(time, _)| *time <= horizon) {
            self.read.pop_front();
            self.sent.push_back((sent, position));
        }
    }

    /// The position before which everything has been delivered, if it has moved. `delivered` is the number of batches
    /// that reached their reader, `room` says that the ring is not half full.
    pub(super) fn done(&mut self, delivered: u64, room: impl Fn(usize) -> bool) -> Option<usize> {
        let mut done = None;
        while let Some((_, position)) = self.sent.front().copied().filter(|(sent, _)| *sent <= delivered) {
            self.sent.pop_front();
            done = Some(position);
        }
        while self.read.len() + self.sent.len() > ROUNDS || self.oldest().is_some_and(|oldest| !room(oldest))
        {
            match self.sent.pop_front().or_else(|| self.read.pop_front()) {
                Some((_, position)) => done = Some(position),
                None => break,
            }
        }
        done
    }

    /// True if something is on its way.
    pub(super) fn is_open(&self) -> bool {
        !(self.read.is_empty() && self.sent.is_empty())
    }

    fn oldest(&self) -> Option<usize> {
        self.sent.front().or_else(|| self.read.front()).map(|(_, position)| *position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: fn(usize) -> bool = |_| true;

    #[test]
    fn a_position_is_given_back_when_its_batch_has_arrived() {
        let mut delivery = Delivery::default();
        delivery.read(10, 100);
        delivery.read(20, 200);
        delivery.released(15, 1);
        assert_eq!(delivery.done(0, ROOM), None);
        assert_eq!(delivery.done(1, ROOM), Some(100));
        delivery.released(25, 1);
        assert_eq!(delivery.done(1, ROOM), Some(200));
        assert!(!delivery.is_open());
    }

    #[test]
    fn a_slow_reader_does_not_fill_the_ring() {
        let mut delivery = Delivery::default();
        delivery.read(10, 100);
        delivery.read(20, 200);
        delivery.released(30, 5);
        assert_eq!(delivery.done(0, |oldest| oldest > 100), Some(100));
        assert_eq!(delivery.done(0, |oldest| oldest > 100), None);
    }
}
