//! Everything that the daemon wrote, in order, with waits for what is to come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::record::Record;
use crate::stop;

/// Waits look around this often for a signal to the runner.
const TICK: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct Inner {
    records: Vec<Record>,
    /// When each of them came.
    arrived: Vec<SystemTime>,
    /// Where the exec with a nonce is, by nonce.
    nonces: BTreeMap<String, usize>,
    /// Where exits are, by process id.
    exits: BTreeMap<u64, Vec<usize>>,
    /// Lines that are no records.
    broken: Vec<String>,
    ended: bool,
    /// Process id of the daemon.
    daemon: Option<u32>,
}

/// Shared between the thread that reads the daemon and those that wait.
#[derive(Clone, Debug, Default)]
pub struct Store(Arc<(Mutex<Inner>, Condvar)>);

/// A process as the daemon saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Place of its exec among the records.
    pub at: usize,
    /// Process id on the host.
    pub pid: u64,
    /// Start, as the records write it.
    pub started: String,
}

/// The records of one process and those it made, up to its end.
#[derive(Debug, Default)]
pub struct Trace {
    /// In the order in which they came.
    pub records: Vec<Record>,
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of the daemon with this process id.
    pub fn of(daemon: u32) -> Self {
        let store = Self::default();
        store.lock().daemon = Some(daemon);
        store
    }

    /// Process id of the daemon.
    pub fn daemon(&self) -> Option<u32> {
        self.lock().daemon
    }

    /// Takes a line of output.
    pub fn take(&self, line: &str) {
        let now = SystemTime::now();
        let mut inner = self.lock();
        match Record::read(line) {
            Ok(record) => {
                let at = inner.records.len();
                // The runtime's own command line has the nonce as well: only the container's program counts.
                if record.class() == "event"
                    && record.event() == "exec"
                    && record.in_container()
                    && !record.has_flag("runtime")
                {
                    let nonce = record
                        .argv()
                        .iter()
                        .find_map(|word| word.strip_prefix("--nonce=").map(str::to_owned));
                    if let Some(nonce) = nonce {
                        inner.nonces.entry(nonce).or_insert(at);
                    }
                }
                if record.class() == "event"
                    && record.event() == "exit"
                    && let Some((pid, _)) = record.process()
                {
                    inner.exits.entry(pid).or_default().push(at);
                }
                inner.records.push(record);
                inner.arrived.push(now);
            }
            Err(_) => inner.broken.push(line.to_owned()),
        }
        self.0.1.notify_all();
    }

    /// How long after their own time the records came for which `wanted` is true.
    pub fn delays(&self, wanted: impl Fn(&Record) -> bool) -> Vec<Duration> {
        let inner = self.lock();
        let came = inner.records.iter().zip(&inner.arrived).filter(|(record, _)| wanted(record));
        came.filter_map(|(record, at)| at.duration_since(record.time()?).ok()).collect()
    }

    /// The daemon's output has ended.
    pub fn end(&self) {
        self.lock().ended = true;
        self.0.1.notify_all();
    }

    /// Waits until `find` finds; `None` at the deadline or the end of the output.
    fn wait<T>(&self, limit: Duration, find: impl Fn(&Inner) -> Option<T>) -> anyhow::Result<Option<T>> {
        let deadline = Instant::now() + limit;
        let mut inner = self.lock();
        loop {
            if let Some(found) = find(&inner) {
                return Ok(Some(found));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if inner.ended || left.is_zero() {
                return Ok(None);
            }
            stop::check()?;
            let waited = self.0.1.wait_timeout(inner, left.min(TICK));
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a record for which `wanted` is true, from the beginning on.
    ///
    /// # Errors
    /// The runner was told to stop.
    pub fn wait_for(
        &self,
        limit: Duration,
        wanted: impl Fn(&Record) -> bool,
    ) -> anyhow::Result<Option<Record>> {
        self.wait(limit, |inner| inner.records.iter().find(|record| wanted(record)).cloned())
    }

    /// Waits for the program that was executed with this nonce in a container.
    ///
    /// # Errors
    /// The runner was told to stop.
    pub fn wait_exec(&self, nonce: &str, limit: Duration) -> anyhow::Result<Option<Seen>> {
        self.wait(limit, |inner| {
            let at = *inner.nonces.get(nonce)?;
            let (pid, started) = inner.records.get(at)?.process()?;
            Some(Seen { at, pid, started: started.to_owned() })
        })
    }

    /// Waits for the end of that process, then gives its records and those of its children.
    ///
    /// # Errors
    /// The runner was told to stop.
    pub fn wait_trace(&self, seen: &Seen, limit: Duration) -> anyhow::Result<Option<Trace>> {
        self.wait(limit, |inner| {
            let ends = inner.exits.get(&seen.pid)?;
            let end = *ends.iter().find(|end| **end >= seen.at)?;
            Some(Trace { records: trace(&inner.records, seen, end) })
        })
    }

    /// Every record so far.
    pub fn all(&self) -> Vec<Record> {
        self.lock().records.clone()
    }

    /// Lines that were no records.
    pub fn broken(&self) -> Vec<String> {
        self.lock().broken.clone()
    }
}

/// Records of `seen` and its descendants up to `end`. The process may have records before its exec: its fork, and
/// the state that a join begins with.
fn trace(records: &[Record], seen: &Seen, end: usize) -> Vec<Record> {
    let mut children = BTreeSet::new();
    let mut out = Vec::new();
    for record in records.iter().take(end + 1) {
        let Some((pid, started)) = record.process() else { continue };
        let own = pid == seen.pid && started == seen.started;
        if own || children.contains(&pid) {
            children.extend(record.child());
            out.push(record.clone());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn event(kind: &str, pid: u64, more: &str) -> String {
        format!(
            r#"{{"type":"event","event":"{kind}","flags":[],"container":{{"id":"c"}},"process":{{"pid":{pid},"started":"t"}},"{kind}":{{{more}}}}}"#
        )
    }

    #[test]
    fn a_process_with_its_children_up_to_its_end() {
        let store = Store::default();
        store.take("no record");
        for line in [
            event("exec", 7, r#""argv":["/actor","--nonce=n","fork"]"#),
            event("fork", 7, r#""child_pid":8"#),
            event("mount", 8, ""),
            event("mount", 9, ""),
            event("exit", 7, ""),
            event("mount", 7, ""),
        ] {
            store.take(&line);
        }
        let seen = store.wait_exec("n", SECOND).expect("no signal").expect("the exec is there");
        let trace = store.wait_trace(&seen, SECOND).expect("no signal").expect("so is the exit");
        let kinds: Vec<&str> = trace.records.iter().map(Record::event).collect();
        assert_eq!(kinds, ["exec", "fork", "mount", "exit"]);
        assert_eq!(store.broken(), ["no record"]);
    }

    #[test]
    fn the_end_of_the_output_ends_a_wait() {
        let store = Store::default();
        store.end();
        assert!(store.wait_exec("n", Duration::from_secs(60)).expect("no signal").is_none());
    }
}
