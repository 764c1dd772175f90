//! The readers of the socket: each has a bounded buffer of its own, loses lines when it is slow, and is told
//! how many. No I/O here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::output::queue::Batch;

/// Makes the line that tells a reader how many lines it missed.
pub type LossLine = Arc<dyn Fn(u64) -> Bytes + Send + Sync>;

/// Buffer of one reader.
#[derive(Default)]
pub struct Client {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Bytes>,
    bytes: usize,
    lost: u64,
    /// Nothing more will come: the reader gets what is there.
    finished: bool,
    /// The reader is gone.
    gone: bool,
}

impl Client {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below leaves the state consistent, so a panic elsewhere does no harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next bytes to write; `None` when it is over. Cancellation-safe: nothing is taken before it returns.
    pub async fn next(&self, loss: &LossLine) -> Option<Bytes> {
        loop {
            {
                let mut state = self.state();
                if let Some(bytes) = state.queue.pop_front() {
                    state.bytes -= bytes.len();
                    return Some(bytes);
                }
                if state.lost > 0 {
                    return Some(loss(std::mem::take(&mut state.lost)));
                }
                if state.finished {
                    return None;
                }
            }
            self.wake.notified().await;
        }
    }

    /// To be called when the reader is gone.
    pub fn leave(&self) {
        let mut state = self.state();
        state.gone = true;
        state.queue.clear();
        state.bytes = 0;
    }

    fn finish(&self) {
        self.state().finished = true;
        self.wake.notify_one();
    }

    fn offer(&self, bytes: &Bytes, lines: u64, limit: usize, loss: &LossLine) {
        let mut state = self.state();
        if state.gone {
            return;
        }
        if state.bytes + bytes.len() > limit {
            state.lost += lines;
        } else {
            if state.lost > 0 {
                // Said where the gap is: after what came before it, before what follows.
                let line = loss(std::mem::take(&mut state.lost));
                state.bytes += line.len();
                state.queue.push_back(line);
            }
            state.bytes += bytes.len();
            state.queue.push_back(bytes.clone());
        }
        drop(state);
        self.wake.notify_one();
    }
}

/// Every reader, and what a new one gets first.
pub struct Clients {
    clients: Vec<Arc<Client>>,
    kept: BTreeMap<u8, Bytes>,
    limit: usize,
    loss: LossLine,
}

impl Clients {
    /// `limit`: bytes that one reader's buffer holds.
    pub fn new(limit: usize, loss: LossLine) -> Self {
        Self { clients: Vec::new(), kept: BTreeMap::new(), limit, loss }
    }

    /// A new reader; its buffer holds the kept lines, in the order of their slots.
    pub fn join(&mut self) -> Arc<Client> {
        let client = Arc::new(Client::default());
        for line in self.kept.values() {
            client.offer(line, 1, usize::MAX, &self.loss);
        }
        self.clients.push(Arc::clone(&client));
        client
    }

    /// Gives a batch to every reader that has room for it.
    pub fn deliver(&mut self, batch: &Batch) {
        for (slot, range) in &batch.kept {
            // A copy: a slice would hold the whole batch in memory for as long as the line is kept.
            self.kept.insert(*slot, Bytes::copy_from_slice(&batch.bytes[range.clone()]));
        }
        for client in &self.clients {
            client.offer(&batch.bytes, batch.lines, self.limit, &self.loss);
        }
    }

    /// How many readers there are, once those that left are taken out.
    pub fn count(&mut self) -> usize {
        self.clients.retain(|client| !client.state().gone);
        self.clients.len()
    }

    /// Tells every reader that nothing more will come.
    pub fn finish(&mut self) {
        for client in self.clients.drain(..) {
            client.finish();
        }
    }
}
