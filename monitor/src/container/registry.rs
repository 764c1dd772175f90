//! The containers as the hot thread knows them: made, entered and forgotten by records. No I/O, no clock.

mod end;
mod maker;

use std::collections::VecDeque;

use hashbrown::HashMap;
use monitor_common::event::{Cgroup, EventKind, EventRef, Header, Payload, State, cgroup_op, state_reason};
use monitor_common::policy::{KEY_MNT_NS, KEY_V1};

use super::resolve::{ResolveRequest, RuntimeInvocation};
use super::{Baseline, Container, ContainerKey, Identity, Status, Update};
use crate::process::ProcessTable;
use maker::invocation;

/// Containers kept that are not gone.
const CAPACITY: usize = 16_384;
/// Containers kept that are gone: late records name them.
const GONE_KEPT: usize = 1024;
/// Cgroups made lately whose paths are kept, for a container whose attach record was lost.
const MADE_KEPT: usize = 64;

pub use end::Suspect;

/// Why a container that has long been gone is not known.
const FORGOTTEN: &str = "it was gone, and more than a thousand others after it, before it was found out";

/// What a record meant for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there: being set up, or heard of for the first time.
    Created(ContainerKey),
    /// Its first own program starts, or it was found running; the baseline is set. It may be the first that
    /// is heard of it.
    Entered(ContainerKey),
    /// Its cgroup was removed, or it has had no process for a while.
    Gone(ContainerKey),
}

#[derive(Debug)]
struct Entry {
    container: Container,
    request: ResolveRequest,
    gone: bool,
    /// True if it is gone because it had no process; its cgroup may still be there.
    emptied: bool,
    /// True while a question about it waits for the edge.
    asked: bool,
    tally: Tally,
}

/// What became of a container's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that came out of the rings.
    pub received: u64,
    /// Records that found a ring full.
    pub ring_full: u64,
    /// Records beyond its budget.
    pub over_budget: u64,
    /// Records that nobody wanted.
    pub filtered: u64,
}

/// Containers by key.
#[derive(Debug)]
pub struct Registry {
    // hashbrown's default hasher is seeded anew for each map.
    entries: HashMap<ContainerKey, Entry>,
    gone: VecDeque<ContainerKey>,
    made: VecDeque<(u64, Vec<u8>)>,
    /// Containers that were forgotten before anybody found out who they were.
    unanswered: Vec<Container>,
    /// Containers that ended unseen, and whose place another one has taken.
    replaced: Vec<Container>,
    last: ContainerKey,
    boot_epoch_ns: i64,
    /// The revision given last.
    revision: u64,
    refused: u64,
}

impl Registry {
    /// An empty registry. `boot_epoch_ns` is the wall clock minus the boot clock, in nanoseconds: the records
    /// have boot time only.
    pub fn new(boot_epoch_ns: i64) -> Self {
        Self {
            entries: HashMap::new(),
            gone: VecDeque::new(),
            made: VecDeque::new(),
            unanswered: Vec::new(),
            replaced: Vec::new(),
            last: ContainerKey::HOST,
            boot_epoch_ns,
            revision: 0,
            refused: 0,
        }
    }

    /// Tells that the wall clock was set; see [`Registry::new`].
    pub fn set_boot_epoch(&mut self, boot_epoch_ns: i64) {
        self.boot_epoch_ns = boot_epoch_ns;
    }

    /// Number of containers, gone ones included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Records that named a new container when there were already as many as are kept.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The container with this key.
    pub fn get(&self, key: ContainerKey) -> Option<&Container> {
        self.entries.get(&key).map(|entry| &entry.container)
    }

    /// True if the container is gone, or nothing is known of it.
    pub fn is_gone(&self, key: ContainerKey) -> bool {
        self.entries.get(&key).is_none_or(|entry| entry.gone)
    }

    /// The containers that are not gone, by key.
    pub fn iter(&self) -> impl Iterator<Item = &Container> {
        let mut list: Vec<&Container> =
            self.entries.values().filter(|entry| !entry.gone).map(|entry| &entry.container).collect();
        list.sort_unstable_by_key(|container| container.key);
        list.into_iter()
    }

    /// What became of a container's records, to be added to.
    pub fn tally(&mut self, key: ContainerKey) -> Option<&mut Tally> {
        self.entries.get_mut(&key).map(|entry| &mut entry.tally)
    }

    /// Each container with what became of its records, gone ones included.
    pub fn accounts(&self) -> impl Iterator<Item = (&Container, Tally)> {
        self.entries.values().map(|entry| (&entry.container, entry.tally))
    }

    /// What the edge needs to find out who the container is.
    pub fn hint(&self, key: ContainerKey) -> Option<&ResolveRequest> {
        self.entries.get(&key).map(|entry| &entry.request)
    }

    /// True if a question about the container is to be put, because it is not known and none is waiting.
    pub fn ask(&mut self, key: ContainerKey) -> bool {
        let unknown = |entry: &&mut Entry| !entry.asked && entry.container.status != Status::Resolved;
        self.entries.get_mut(&key).filter(unknown).map(|entry| entry.asked = true).is_some()
    }

    /// The question about a container, with all that is known by now.
    pub fn question(&mut self, key: ContainerKey) -> Option<ResolveRequest> {
        let entry = self.entries.get_mut(&key)?;
        entry.asked = false;
        (entry.container.status != Status::Resolved).then(|| entry.request.clone())
    }

    /// Takes the containers that were forgotten before anybody found out who they were.
    pub fn take_unanswered(&mut self) -> Vec<Container> {
        std::mem::take(&mut self.unanswered)
    }

    /// Leaves off waiting: what is not known by now never will be, for that reason. Gives those containers.
    pub fn give_up(&mut self, why: &str) -> Vec<ContainerKey> {
        let pending = self.entries.values_mut().filter(|entry| entry.container.status == Status::Pending);
        let mut keys = Vec::new();
        for Entry { container, .. } in pending {
            self.revision += 1;
            container.revision = self.revision;
            container.status = Status::Unknown(why.to_owned());
            keys.push(container.key);
        }
        keys.sort_unstable();
        keys
    }

    /// Takes in what the edge found out. True if that says anything new. What was once resolved does not
    /// become unknown again.
    pub fn update(&mut self, update: Update) -> bool {
        let Some(Entry { container, .. }) = self.entries.get_mut(&update.key) else { return false };
        if container.status == Status::Resolved && update.status != Status::Resolved {
            return false;
        }
        let declared = update.declared.or_else(|| container.declared.take());
        let id = update.identity.id.or_else(|| container.identity.id.clone());
        let identity = Identity { id, ..update.identity };
        let same = container.status == update.status
            && container.identity == identity
            && container.declared == declared
            && container.mismatches == update.mismatches;
        self.revision += 1;
        container.revision = self.revision;
        container.status = update.status;
        container.identity = identity;
        container.declared = declared;
        container.mismatches = update.mismatches;
        !same
    }

    /// Adds a container that was found running. True if it is new.
    pub fn insert_scanned(&mut self, request: ResolveRequest) -> bool {
        let key = request.key;
        if let Some(entry) = self.entries.get_mut(&key) {
            if entry.request.pid == 0 {
                entry.request.pid = request.pid;
            }
            if entry.container.cgroup_path.is_empty() {
                entry.container.cgroup_path.clone_from(&request.cgroup_path);
                entry.request.cgroup_path = request.cgroup_path;
            }
            return false;
        }
        self.insert(request)
    }

    /// Follows a record.
    pub fn apply(&mut self, ev: &EventRef<'_>, procs: &ProcessTable) -> Option<Change> {
        match ev.kind {
            EventKind::Cgroup => {
                if let Some(Payload::Cgroup(cgroup)) = ev.payload() {
                    return self.cgroup(ev, &cgroup, procs);
                }
            }
            EventKind::State => {
                if let Some(Payload::State(state)) = ev.payload()
                    && matches!(state.reason, state_reason::ENTRY | state_reason::SCAN)
                    && ev.header.container != 0
                {
                    return self.enter(&ev.header, &state, procs);
                }
            }
            // Told later than it was: its process, and the container with it, may be gone by now.
            EventKind::KernelFault => return None,
            _ => {}
        }
        self.first_seen(&ev.header, procs)
    }

    /// A record of a container that no attach record told of: that one was lost, or is still to come.
    fn first_seen(&mut self, header: &Header, procs: &ProcessTable) -> Option<Change> {
        let key = ContainerKey(header.container);
        if key.is_host() || key == self.last {
            return None;
        }
        let known = self.entries.contains_key(&key);
        if known || self.create(key, &[], header.pid, invocation(header.pid, procs)) {
            self.last = key;
        }
        let is_new = if known { self.comes_back(key) } else { self.last == key };
        is_new.then_some(Change::Created(key))
    }

    fn cgroup(&mut self, ev: &EventRef<'_>, cgroup: &Cgroup, procs: &ProcessTable) -> Option<Change> {
        let path = ev.string(0).bytes;
        let dst = ContainerKey(cgroup.dst_container);
        match cgroup.op {
            cgroup_op::MKDIR => {
                let mut slot = if self.made.len() >= MADE_KEPT { self.made.pop_front() } else { None }
                    .unwrap_or_default();
                slot.0 = cgroup.id;
                slot.1.clear();
                slot.1.extend_from_slice(path);
                self.made.push_back(slot);
                None
            }
            // A runtime moves its child there, or has it born there (CLONE_INTO_CGROUP).
            cgroup_op::ATTACH | cgroup_op::BORN
                if cgroup.task_runtime == 1 && cgroup.task_container == 0 && !dst.is_host() =>
            {
                if self.entries.get(&dst).is_some_and(|entry| !entry.gone) {
                    return None;
                }
                // A cgroup that was removed cannot be joined: the number stands for a new one.
                self.forget(dst);
                let run = invocation(cgroup.task_pid, procs).or_else(|| invocation(ev.header.pid, procs));
                self.create(dst, path, cgroup.task_pid, run).then_some(Change::Created(dst))
            }
            cgroup_op::RMDIR => {
                let top = !dst.is_host() && dst.0 & KEY_MNT_NS == 0 && dst.0 & !KEY_V1 == cgroup.id;
                self.entries.get(&dst).filter(|entry| top && !entry.gone)?;
                self.leave(dst);
                Some(Change::Gone(dst))
            }
            _ => None,
        }
    }

    fn enter(&mut self, header: &Header, state: &State, procs: &ProcessTable) -> Option<Change> {
        let key = ContainerKey(header.container);
        // One that had no process any more is entered: that is another one, in the same place.
        if self.entries.get(&key).is_some_and(|entry| entry.emptied) {
            self.forget(key);
        }
        if state.reason == state_reason::ENTRY {
            self.replace(key, header.pid);
        }
        let known = self.entries.contains_key(&key);
        if !known && !self.create(key, &[], header.pid, invocation(header.pid, procs)) {
            return None;
        }
        // A scanned container runs since its first process started; the record was written later.
        let entered = if state.reason == state_reason::SCAN { header.started } else { header.time };
        let epoch_ns = i128::from(entered) + i128::from(self.boot_epoch_ns);
        let entry = self.entries.get_mut(&key)?;
        if entry.container.status == Status::Pending
            && let Some(identity) = maker::resident(header.pid, &entry.request.cgroup_path, procs)
        {
            self.revision += 1;
            entry.container.revision = self.revision;
            entry.container.status = Status::Resolved;
            entry.container.identity = identity;
        }
        let seen = entry.container.baseline.is_some_and(|b| b.state.reason == state_reason::ENTRY);
        if seen {
            return None;
        }
        entry.request.pid = header.pid;
        entry.container.baseline = Some(Baseline {
            state: *state,
            uid: header.uid,
            euid: header.euid,
            entered,
            entered_epoch: i64::try_from(epoch_ns.div_euclid(1_000_000_000)).unwrap_or_default(),
        });
        Some(Change::Entered(key))
    }

    fn create(
        &mut self,
        key: ContainerKey,
        path: &[u8],
        pid: u32,
        runtime: Option<RuntimeInvocation>,
    ) -> bool {
        let made = self.made.iter().rev().find(|(id, _)| key.0 & KEY_MNT_NS == 0 && *id == key.0 & !KEY_V1);
        let path = if path.is_empty() { made.map_or(path, |(_, path)| path) } else { path };
        let request =
            ResolveRequest { key, cgroup_path: String::from_utf8_lossy(path).into_owned(), pid, runtime };
        self.insert(request)
    }

    fn insert(&mut self, request: ResolveRequest) -> bool {
        if self.entries.len() - self.gone.len() >= CAPACITY {
            self.refused += 1;
            return false;
        }
        self.revision += 1;
        let container = Container {
            key: request.key,
            revision: self.revision,
            status: Status::Pending,
            identity: Identity { id: maker::id(&request), ..Identity::default() },
            cgroup_path: request.cgroup_path.clone(),
            declared: None,
            baseline: None,
            mismatches: Vec::new(),
        };
        let entry =
            Entry { container, request, gone: false, emptied: false, asked: false, tally: Tally::default() };
        self.entries.insert(entry.container.key, entry);
        true
    }

    fn forget(&mut self, key: ContainerKey) {
        if let Some(Entry { mut container, .. }) = self.entries.remove(&key)
            && container.status == Status::Pending
        {
            container.revision = 0;
            container.status = Status::Unknown(FORGOTTEN.to_owned());
            self.unanswered.push(container);
        }
        self.gone.retain(|gone| *gone != key);
        if self.last == key {
            self.last = ContainerKey::HOST;
        }
    }
}

#[cfg(test)]
mod tests;
