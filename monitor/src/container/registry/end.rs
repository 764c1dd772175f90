//! Containers whose end nobody tells: their cgroup stays, with no process in it, or they never had one.

use hashbrown::HashMap;
use monitor_common::event::state_reason;
use monitor_common::policy::KEY_MNT_NS;

use super::{Entry, GONE_KEPT, Registry};
use crate::container::{Container, ContainerKey};
use crate::process::{ProcessKey, ProcessTable};

/// A container that may have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspect {
    /// Which container.
    pub key: ContainerKey,
    /// Path of its top cgroup, as the kernel gave it; empty if it is not known.
    pub cgroup_path: String,
    /// Of one without a cgroup of its own, the processes that did not end, as far as records told.
    pub processes: Vec<ProcessKey>,
    /// Records of it so far: if one more comes, it lives.
    pub received: u64,
    /// When it was entered, nanoseconds since boot; 0 if that was not seen.
    pub entered: u64,
}

fn entered(entry: &Entry) -> u64 {
    entry.container.baseline.map_or(0, |baseline| baseline.entered)
}

impl Registry {
    /// The containers whose first process has ended, or all that are not gone: a record of that end may be lost.
    pub fn suspects(&self, procs: &ProcessTable, all: bool) -> Vec<Suspect> {
        let lives = |entry: &Entry| {
            procs.get(entry.request.pid).is_some_and(|p| !p.exited && p.container == entry.container.key)
        };
        let wanted = self.entries.values().filter(|entry| !entry.gone && (all || !lives(entry)));
        let mut suspects: Vec<Suspect> = wanted
            .map(|entry| Suspect {
                key: entry.container.key,
                cgroup_path: entry.container.cgroup_path.clone(),
                processes: Vec::new(),
                received: entry.tally.received,
                entered: entered(entry),
            })
            .collect();
        let shared = suspects.iter_mut().filter(|suspect| suspect.key.0 & KEY_MNT_NS != 0);
        let mut shared: HashMap<ContainerKey, &mut Suspect> =
            shared.map(|suspect| (suspect.key, suspect)).collect();
        if !shared.is_empty() {
            for (key, process) in procs.living() {
                if let Some(suspect) = shared.get_mut(&key) {
                    suspect.processes.push(process);
                }
            }
        }
        drop(shared);
        suspects
    }

    /// Takes in that a container had no process for a while, in which no record of it may have come. True if it is gone
    /// by that. A record that comes later takes it back.
    pub fn end(&mut self, suspect: &Suspect) -> bool {
        let key = suspect.key;
        let same = |entry: &&mut Entry| {
            !entry.gone && entry.tally.received == suspect.received && entered(entry) == suspect.entered
        };
        let Some(entry) = self.entries.get_mut(&key).filter(same) else { return false };
        entry.emptied = true;
        self.leave(key);
        true
    }

    /// Counts a container among those that are gone, of which the oldest is forgotten.
    pub(super) fn leave(&mut self, key: ContainerKey) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.gone = true;
        }
        // The next record of it is looked at.
        if self.last == key {
            self.last = ContainerKey::HOST;
        }
        self.gone.push_back(key);
        if self.gone.len() > GONE_KEPT
            && let Some(old) = self.gone.front().copied()
        {
            self.forget(old);
        }
    }

    /// Forgets a container without a cgroup of its own because another one is entered, by this process. Each is entered once,
    /// and the number of the mount namespace that it is known by is given again as soon as that is gone. One that was
    /// found running may be entered while it is looked at: by its own first process.
    pub(super) fn replace(&mut self, key: ContainerKey, pid: u32) {
        let is_entered = |entry: &&Entry| {
            entry.container.baseline.is_some_and(|baseline| match baseline.state.reason {
                state_reason::ENTRY => true,
                _ => entry.request.pid != pid,
            })
        };
        let Some(entry) = self.entries.get(&key).filter(is_entered) else { return };
        if key.0 & KEY_MNT_NS == 0 {
            return;
        }
        if !entry.gone {
            self.replaced.push(entry.container.clone());
        }
        self.forget(key);
    }

    /// Takes the containers that ended unseen, and whose place another one has taken.
    pub fn take_replaced(&mut self) -> Vec<Container> {
        std::mem::take(&mut self.replaced)
    }

    /// Takes back that a container is gone, if that was because it had no process. True if it was.
    pub(super) fn comes_back(&mut self, key: ContainerKey) -> bool {
        let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.emptied) else { return false };
        entry.gone = false;
        entry.emptied = false;
        self.gone.retain(|gone| *gone != key);
        true
    }
}
