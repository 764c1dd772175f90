//! The bounded way from the hot thread to a sink: [`Outbox`] gathers lines into batches and never blocks,
//! [`Inbox`] hands the batches on.
//!
//! The queue is bounded in bytes. Events may fill three quarters of it; the rest is kept for everything else,
//! so that under load events go first, and findings and status last. Order is kept. What does not fit is
//! counted by type in [`Shed`].

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::kinds::Class;

/// How much a queue holds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes after which a batch is sent without waiting for a flush.
    pub batch_bytes: usize,
    /// Bytes in the queue.
    pub total_bytes: usize,
    /// Batches in the queue.
    pub batches: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { batch_bytes: 64 << 10, total_bytes: 8 << 20, batches: 16 << 10 }
    }
}

/// Bytes of a long line: what a batch may be larger than [`Limits::batch_bytes`] without moving.
const LINE: usize = 8 << 10;

/// What the queue knows about a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its type.
    pub class: Class,
    /// A line that a late reader gets first, replacing the one that had this slot.
    pub slot: Option<u8>,
}

/// How many lines were shed, by type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shed([u64; Class::ALL.len()]);

impl Shed {
    /// How many of one type.
    pub fn of(&self, class: Class) -> u64 {
        self.0[class as usize]
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Counts one.
    pub fn add(&mut self, class: Class) {
        self.0[class as usize] += 1;
    }
}

/// Whole lines.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The lines, each with its newline.
    pub bytes: Bytes,
    /// How many there are.
    pub lines: u64,
    /// Lines that a late reader gets first: slot and place in `bytes`.
    pub kept: Vec<(u8, Range<usize>)>,
}

/// The hot thread's end.
#[derive(Debug)]
pub struct Outbox {
    sender: mpsc::Sender<Batch>,
    queued: Arc<AtomicUsize>,
    /// Batches sent.
    sent: u64,
    delivered: Arc<AtomicU64>,
    limits: Limits,
    pending: Vec<u8>,
    marks: Vec<(Mark, usize)>,
    shed: Shed,
    closed: bool,
}

/// The sink's end.
#[derive(Debug)]
pub struct Inbox {
    receiver: mpsc::Receiver<Batch>,
    queued: Arc<AtomicUsize>,
    delivered: Arc<AtomicU64>,
}

/// A queue with these limits.
pub fn queue(limits: Limits) -> (Outbox, Inbox) {
    let (sender, receiver) = mpsc::channel(limits.batches.max(1));
    let queued = Arc::new(AtomicUsize::new(0));
    let delivered = Arc::new(AtomicU64::new(0));
    let outbox = Outbox {
        sender,
        queued: Arc::clone(&queued),
        sent: 0,
        delivered: Arc::clone(&delivered),
        limits,
        pending: Vec::new(),
        marks: Vec::new(),
        shed: Shed::default(),
        closed: false,
    };
    (outbox, Inbox { receiver, queued, delivered })
}

impl Outbox {
    /// Adds a line, newline included. Sends when the batch is large enough. Never blocks.
    pub fn push(&mut self, mark: Mark, line: &[u8]) {
        self.write(mark, |out| out.extend_from_slice(line));
    }

    /// Adds the line that `write` appends. Otherwise like [`Self::push`].
    pub fn write(&mut self, mark: Mark, write: impl FnOnce(&mut Vec<u8>)) {
        if self.closed {
            return;
        }
        if self.pending.capacity() == 0 {
            // The last batch took its buffer along.
            self.pending.reserve(self.limits.batch_bytes + LINE);
        }
        let before = self.pending.len();
        write(&mut self.pending);
        self.marks.push((mark, self.pending.len() - before));
        if self.pending.len() >= self.limits.batch_bytes {
            self.flush();
        }
    }

    /// Sends what is there, or sheds it. Never blocks.
    pub fn flush(&mut self) {
        if self.pending.is_empty() || self.try_send(self.limits.total_bytes / 4 * 3) {
            return;
        }
        self.shed_where(|class| class == Class::Event);
        if !self.pending.is_empty() && !self.try_send(self.limits.total_bytes) {
            self.shed_where(|_| true);
        }
    }

    /// What was shed since this was asked last.
    pub fn take_shed(&mut self) -> Shed {
        std::mem::take(&mut self.shed)
    }

    /// True if something was shed, and a word about it would find room now.
    pub fn owes_word(&self) -> bool {
        self.shed.total() > 0
            && self.queued.load(Ordering::Relaxed) < self.limits.total_bytes / 2
            && self.sender.capacity() > 1
    }

    /// Batches sent so far: a mark to compare with what [`Self::delivered`] says later.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Batches that the sink says it has delivered; all of them once nobody reads any more.
    pub fn delivered(&self) -> u64 {
        if self.closed { u64::MAX } else { self.delivered.load(Ordering::Acquire) }
    }

    /// True once nobody reads any more; lines are then dropped and not counted.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn try_send(&mut self, limit: usize) -> bool {
        let size = self.pending.len();
        // Only this side adds, so what is read here can only be too large.
        if self.queued.load(Ordering::Relaxed) + size > limit {
            return false;
        }
        match self.sender.try_reserve() {
            Ok(permit) => {
                let mut at = 0;
                let mut kept = Vec::new();
                for (mark, len) in &self.marks {
                    if let Some(slot) = mark.slot {
                        kept.push((slot, at..at + len));
                    }
                    at += len;
                }
                let lines = self.marks.len() as u64;
                self.marks.clear();
                self.queued.fetch_add(size, Ordering::Relaxed);
                self.sent += 1;
                permit.send(Batch { bytes: take_bytes(&mut self.pending), lines, kept });
                true
            }
            Err(TrySendError::Full(())) => false,
            Err(TrySendError::Closed(())) => {
                self.closed = true;
                self.pending.clear();
                self.marks.clear();
                true
            }
        }
    }

    /// Takes the lines of some types out of the batch and counts them.
    fn shed_where(&mut self, goes: impl Fn(Class) -> bool) {
        let (mut from, mut to) = (0, 0);
        let (pending, shed) = (&mut self.pending, &mut self.shed);
        self.marks.retain(|(mark, len)| {
            let range = from..from + len;
            from = range.end;
            if goes(mark.class) {
                shed.add(mark.class);
                return false;
            }
            pending.copy_within(range, to);
            to += len;
            true
        });
        self.pending.truncate(to);
    }
}

/// The gathered bytes. A large batch takes the buffer along, a small one is copied, so that what is queued holds
/// little more memory than it has bytes.
fn take_bytes(pending: &mut Vec<u8>) -> Bytes {
    if pending.len() >= pending.capacity() / 2 {
        return std::mem::take(pending).into();
    }
    let bytes = Bytes::copy_from_slice(pending);
    pending.clear();
    bytes
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Inbox {
    /// The next batch; `None` once the outbox is gone and everything was taken. Cancellation-safe.
    pub async fn recv(&mut self) -> Option<Batch> {
        let batch = self.receiver.recv().await;
        self.taken(batch)
    }

    /// The next batch, for a thread of its own. Must not be called from async code.
    pub fn recv_blocking(&mut self) -> Option<Batch> {
        let batch = self.receiver.blocking_recv();
        self.taken(batch)
    }

    /// Says that one more batch has reached its reader.
    pub fn deliver(&self) {
        self.delivered.fetch_add(1, Ordering::Release);
    }

    fn taken(&self, batch: Option<Batch>) -> Option<Batch> {
        let size = batch.as_ref().map_or(0, |b| b.bytes.len());
        self.queued.fetch_sub(size, Ordering::Relaxed);
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: Mark = Mark { class: Class::Event, slot: None };
    const FINDING: Mark = Mark { class: Class::Finding, slot: None };

    fn all(inbox: &mut Inbox) -> String {
        let mut text = Vec::new();
        while let Some(batch) = inbox.recv_blocking() {
            assert_eq!(batch.lines as usize, batch.bytes.split(|b| *b == b'\n').count() - 1);
            text.extend_from_slice(&batch.bytes);
        }
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn order_is_kept_and_kept_lines_are_found() {
        let (mut outbox, mut inbox) = queue(Limits::default());
        outbox.push(EVENT, b"a\n");
        outbox.push(Mark { class: Class::Status, slot: Some(2) }, b"ready\n");
        outbox.push(FINDING, b"b\n");
        outbox.flush();
        let batch = inbox.recv_blocking().unwrap();
        assert_eq!((batch.lines, batch.kept), (3, vec![(2, 2..8)]));
        assert_eq!(&batch.bytes[..], b"a\nready\nb\n");
        assert_eq!((outbox.sent(), outbox.delivered()), (1, 0));
        inbox.deliver();
        assert_eq!(outbox.delivered(), 1);
        drop(outbox);
        assert_eq!(all(&mut inbox), "");
    }

    #[test]
    fn events_go_first_and_all_is_counted() {
        let limits = Limits { batch_bytes: 9, total_bytes: 40, batches: 100 };
        let (mut outbox, mut inbox) = queue(limits);
        for n in 0..10 {
            outbox.push(EVENT, format!("event  {n}\n").as_bytes());
        }
        outbox.push(FINDING, b"finding 1\n");
        outbox.push(FINDING, b"finding 2\n");
        // Three events fill three quarters; one finding fits into the rest, the other one does not.
        assert_eq!((outbox.shed.of(Class::Event), outbox.shed.of(Class::Finding)), (7, 1));
        assert!(!outbox.owes_word());
        assert_eq!(outbox.take_shed().total(), 8);
        drop(outbox);
        assert_eq!(all(&mut inbox), "event  0\nevent  1\nevent  2\nfinding 1\n");
    }

    #[test]
    fn a_mixed_batch_keeps_what_matters() {
        let limits = Limits { batch_bytes: 1000, total_bytes: 40, batches: 100 };
        let (mut outbox, mut inbox) = queue(limits);
        for line in ["event 1\n", "event 2\n", "event 3\n"] {
            outbox.push(EVENT, line.as_bytes());
        }
        outbox.push(FINDING, b"finding 1\n");
        outbox.push(EVENT, b"event 4\n");
        outbox.flush();
        assert_eq!((outbox.take_shed().of(Class::Event), outbox.is_closed()), (4, false));
        drop(outbox);
        assert_eq!(all(&mut inbox), "finding 1\n");
    }

    #[test]
    fn nobody_reads() {
        let (mut outbox, inbox) = queue(Limits::default());
        drop(inbox);
        outbox.push(EVENT, b"x\n");
        outbox.flush();
        assert!(outbox.is_closed());
        assert_eq!(outbox.take_shed().total(), 0);
    }
}
