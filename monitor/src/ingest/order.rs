//! Puts the records of several rings into one order of time.
//!
//! Each CPU writes its own ring, and critical records have another, so a task that moves between CPUs is in
//! several. Records are kept until every ring has surely been read up to their time.

use monitor_common::event::{HEADER_LEN, Header};

use super::received::Received;

/// Records waiting for their turn, in buffers that are used again.
#[derive(Debug, Default)]
pub struct Order {
    bytes: Vec<u8>,
    waiting: Vec<Waiting>,
    /// Room for [`Self::sort`]: where `waiting` is merged to, and where its ordered runs begin.
    merged: Vec<Waiting>,
    runs: Vec<usize>,
    /// Records shorter than a header.
    short: u64,
    received: Received,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    time: u64,
    at: usize,
    len: usize,
}

impl Order {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a record as it came from a ring.
    pub fn push(&mut self, record: &[u8]) {
        let Some(header) = Header::read(record) else {
            self.short += 1;
            return;
        };
        self.received.add(&header);
        // The slot is larger than the record; the decoder checks the length again.
        let len = usize::from(header.len).clamp(HEADER_LEN, record.len());
        self.waiting.push(Waiting { time: header.time, at: self.bytes.len(), len });
        self.bytes.extend_from_slice(&record[..len]);
    }

    /// Hands the records with a time of at most `horizon` (nanoseconds since boot) to `sink`, oldest first.
    pub fn release(&mut self, horizon: u64, mut sink: impl FnMut(&[u8])) {
        self.sort();
        let ready = self.waiting.partition_point(|w| w.time <= horizon);
        for w in &self.waiting[..ready] {
            sink(&self.bytes[w.at..w.at + w.len]);
        }
        self.keep_from(ready);
    }

    /// Puts what waits into the order of time; records with the same time keep the order of arrival.
    ///
    /// Each ring's records are in order already, but for a few, so there are few runs to merge.
    fn sort(&mut self) {
        self.runs.clear();
        let mut before = 0;
        for (at, w) in self.waiting.iter().enumerate() {
            if at == 0 || w.time < before {
                self.runs.push(at);
            }
            before = w.time;
        }
        while self.runs.len() > 1 {
            self.merged.clear();
            let mut kept = 0;
            let mut run = 0;
            while let Some(&begin) = self.runs.get(run) {
                let end = self.runs.get(run + 2).copied().unwrap_or(self.waiting.len());
                let middle = self.runs.get(run + 1).copied().unwrap_or(end);
                self.runs[kept] = self.merged.len();
                kept += 1;
                merge(&self.waiting[begin..middle], &self.waiting[middle..end], &mut self.merged);
                run += 2;
            }
            self.runs.truncate(kept);
            std::mem::swap(&mut self.waiting, &mut self.merged);
        }
    }

    /// Moves what still waits to the front of the buffer.
    fn keep_from(&mut self, ready: usize) {
        if ready == self.waiting.len() {
            self.waiting.clear();
            self.bytes.clear();
            return;
        }
        if ready == 0 {
            return;
        }
        self.waiting.drain(..ready);
        // By place, so that each move is to the left and over bytes that are done with.
        self.waiting.sort_unstable_by_key(|w| w.at);
        let mut end = 0;
        for w in &mut self.waiting {
            self.bytes.copy_within(w.at..w.at + w.len, end);
            w.at = end;
            end += w.len;
        }
        self.bytes.truncate(end);
    }

    /// The account of what was taken in.
    pub fn received(&mut self) -> &mut Received {
        &mut self.received
    }

    /// True if records wait for their turn.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes the number of records that were shorter than a header.
    pub fn take_short(&mut self) -> u64 {
        std::mem::take(&mut self.short)
    }
}

/// Appends two runs in order; of equal times `a`'s comes first.
fn merge(mut a: &[Waiting], mut b: &[Waiting], out: &mut Vec<Waiting>) {
    while let (Some(first), Some(second)) = (a.first(), b.first()) {
        if second.time < first.time {
            out.push(*second);
            b = &b[1..];
        } else {
            out.push(*first);
            a = &a[1..];
        }
    }
    out.extend_from_slice(a);
    out.extend_from_slice(b);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(time: u64, pid: u32) -> Vec<u8> {
        let mut out = [0; HEADER_LEN];
        Header { len: HEADER_LEN as u16, time, pid, ..Header::default() }.write(&mut out);
        let mut slot = out.to_vec();
        slot.extend_from_slice(&[0xaa; 40]);
        slot
    }

    fn released(order: &mut Order, horizon: u64) -> Vec<(u64, u32)> {
        let mut seen = Vec::new();
        order.release(horizon, |r| {
            assert_eq!(r.len(), HEADER_LEN);
            let header = Header::read(r).unwrap();
            seen.push((header.time, header.pid));
        });
        seen
    }

    #[test]
    fn oldest_first_whatever_ring_they_came_from_and_the_young_wait() {
        let mut order = Order::new();
        for (time, pid) in [(30, 1), (10, 2), (50, 3), (20, 4), (40, 5)] {
            order.push(&record(time, pid));
        }
        assert_eq!(released(&mut order, 30), [(10, 2), (20, 4), (30, 1)]);
        assert!(order.is_waiting());
        order.push(&record(35, 6));
        assert_eq!(released(&mut order, 100), [(35, 6), (40, 5), (50, 3)]);
        assert!(!order.is_waiting());
    }

    #[test]
    fn equal_times_keep_the_order_of_arrival() {
        let mut order = Order::new();
        for pid in 0..20 {
            order.push(&record(7, pid));
        }
        let seen: Vec<u32> = released(&mut order, 7).into_iter().map(|(_, pid)| pid).collect();
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn any_order_is_put_right() {
        // Times that repeat, fall and rise without a pattern (a multiplicative generator).
        let mut order = Order::new();
        let mut state = 7u64;
        let mut pushed = Vec::new();
        for (pid, horizon) in (0..2000).zip([u64::MAX, 0, 40, 90].into_iter().cycle()) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let time = (state >> 33) % 100;
            pushed.push((time, pid));
            order.push(&record(time, pid));
            if pid % 97 == 0 {
                // Of equal times, the first to arrive comes first.
                let mut want: Vec<_> = pushed.extract_if(.., |(time, _)| *time <= horizon).collect();
                want.sort_unstable();
                assert_eq!(released(&mut order, horizon), want);
            }
        }
        pushed.sort_unstable();
        assert_eq!(released(&mut order, u64::MAX), pushed);
    }

    #[test]
    fn what_is_too_short_is_counted() {
        let mut order = Order::new();
        order.push(&[1, 2, 3]);
        assert_eq!(order.take_short(), 1);
        assert_eq!(released(&mut order, u64::MAX), []);
    }
}
