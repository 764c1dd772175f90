//! The table of processes: one slot a process, bounded in number and in bytes.

mod ancestors;
mod living;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use hashbrown::HashMap;
use monitor_common::event::{
    Cred, EventKind, EventRef, Exec, Fork, Header, Payload, State, TRUNCATED, flags,
};

use super::order::{Links, Order};
use super::program::Programs;
use super::text::{append_path, set_list};
use super::{Process, ProcessKey, TICK_NS};
use crate::container::ContainerKey;
pub use ancestors::{Ancestors, MAX_ANCESTORS};

/// Exited processes kept, because a living one may name them as an ancestor.
const EXITED_KEPT: usize = 8192;
/// How many candidates an eviction looks at before it takes the oldest, ancestor or not.
const LOOK: usize = 32;
/// Bytes of the strings of all programs together.
const BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
struct Slot {
    process: Process,
    /// The process that made it; pid 0 if that is not known.
    parent: ProcessKey,
    /// Processes in the table that have it as `parent`.
    children: u32,
}

/// Processes by pid. Belongs to the hot thread: no I/O, no clock.
///
/// When it is full, exited processes leave first, in order of exit; then the oldest living one that is
/// nobody's ancestor. Each is counted in [`ProcessTable::evicted`].
#[derive(Debug)]
pub struct ProcessTable {
    // hashbrown's default hasher is seeded anew for each map, so a container cannot aim for collisions.
    by_pid: HashMap<u32, u32>,
    slots: Vec<Slot>,
    links: Vec<Links>,
    free: Vec<u32>,
    living: Order,
    exited: Order,
    programs: Programs,
    capacity: usize,
    evicted: u64,
}

impl Default for ProcessTable {
    fn default() -> Self {
        Self::new(Self::DEFAULT_CAPACITY)
    }
}

impl ProcessTable {
    /// Processes kept unless said otherwise.
    pub const DEFAULT_CAPACITY: usize = 65_536;

    /// A table for `capacity` processes, at least 16.
    pub fn new(capacity: usize) -> Self {
        Self {
            by_pid: HashMap::new(),
            slots: Vec::new(),
            links: Vec::new(),
            free: Vec::new(),
            living: Order::new(),
            exited: Order::new(),
            programs: Programs::default(),
            capacity: capacity.clamp(MAX_ANCESTORS, u32::MAX as usize / 2),
            evicted: 0,
        }
    }

    /// Number of processes, exited ones included.
    pub fn len(&self) -> usize {
        self.by_pid.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.by_pid.is_empty()
    }

    /// Processes dropped because the table was full.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The process that has, or had last, this pid.
    pub fn get(&self, pid: u32) -> Option<&Process> {
        self.by_pid.get(&pid).map(|slot| &self.slots[*slot as usize].process)
    }

    /// The process with this pid and start time.
    pub fn get_key(&self, key: ProcessKey) -> Option<&Process> {
        self.find(key).map(|slot| &self.slots[slot as usize].process)
    }

    /// Adds a process found in `/proc`. What records said about it stays, what they did not say is filled
    /// in.
    pub fn insert_scanned(&mut self, process: Process) {
        let program = self.programs.adopt(&process.program);
        let slot = match self.find(process.key) {
            Some(slot) => {
                let known = &mut self.slots[slot as usize].process;
                let useless = if known.program.exe.is_empty() {
                    std::mem::replace(&mut known.program, program)
                } else {
                    program
                };
                self.programs.release(useless);
                if known.ppid == 0 {
                    known.ppid = process.ppid;
                }
                if known.container.is_host() {
                    known.container = process.container;
                }
                slot
            }
            None => {
                let slot = self.insert(process.key, None);
                self.slots[slot as usize].process = Process { program, ..process };
                slot
            }
        };
        self.adopt(slot);
        self.shrink(slot);
    }

    /// True if records of this kind change the table by more than what every header says: by themselves, or joined
    /// into others.
    pub const fn follows(kind: EventKind) -> bool {
        use EventKind::{Cred, Exec, ExecArgs, Exit, Fork, State};
        matches!(kind, Exec | ExecArgs | Fork | Exit | State | Cred)
    }

    /// Follows a record.
    pub fn apply(&mut self, ev: &EventRef<'_>) {
        let header = &ev.header;
        if header.has(flags::STALE)
            && let Some(slot) = self.find(key_of(header))
        {
            // It runs a program whose exec was not reported: nothing is better than the one before.
            self.programs.release(std::mem::take(&mut self.slots[slot as usize].process.program));
        }
        match ev.payload() {
            Some(Payload::Exec(exec)) => self.exec(ev, &exec),
            Some(Payload::Fork(fork)) => self.fork(header, &fork),
            Some(Payload::Exit(_)) => self.exit(header),
            Some(Payload::State(state)) => self.state(header, &state),
            Some(Payload::Cred(cred)) => self.cred(header, &cred),
            Some(Payload::Dns(_)) => {} // An answer has the credentials of when it was asked for.
            _ => {
                if let Some(slot) = self.find(key_of(header)) {
                    refresh(&mut self.slots[slot as usize].process, header);
                }
            }
        }
    }

    fn exec(&mut self, ev: &EventRef<'_>, exec: &Exec) {
        let slot = self.obtain(&ev.header);
        let process = &mut self.slots[slot as usize].process;
        if exec.ppid != 0 {
            process.ppid = exec.ppid;
        }
        process.gid = exec.gid;
        process.cap_effective = exec.cap_effective;
        self.programs.release(std::mem::take(&mut process.program));
        process.program = self.programs.make(|program| {
            program.file = Some((exec.exe_dev, exec.exe_ino, exec.exe_ctime));
            program.exe.clear();
            // A file that is the root of a mount of its own, as crun and runc make one of themselves, has no more than `/`.
            append_path(&mut program.exe, ev.string(0));
            let argv = ev.string(1);
            program.argv_cut = set_list(&mut program.argv, argv.list()) || argv.flags & TRUNCATED != 0;
            program.cwd.clear();
            append_path(&mut program.cwd, ev.string(2));
        });
        self.adopt(slot);
        self.shrink(slot);
    }

    fn fork(&mut self, header: &Header, fork: &Fork) {
        let parent = self.obtain(header);
        let key = ProcessKey { pid: fork.child_pid, started: fork.child_started };
        if key.pid == 0 || key.pid == header.pid {
            return;
        }
        let child = match self.find(key) {
            // Its own records came first and know it better than the parent does.
            Some(child) => child,
            None => {
                let child = self.insert(key, Some(parent));
                let from = &self.slots[parent as usize].process;
                let process = Process {
                    key,
                    container: from.container,
                    runtime: from.runtime,
                    program: from.program.clone(),
                    uid: from.uid,
                    euid: from.euid,
                    gid: from.gid,
                    cap_effective: from.cap_effective,
                    state: from.state.clone(),
                    ..Process::default()
                };
                self.slots[child as usize].process = process;
                child
            }
        };
        let made_by_header = fork.child_ppid == header.pid;
        let slot = &mut self.slots[child as usize];
        slot.process.ppid = fork.child_ppid;
        if made_by_header && slot.parent.pid == 0 {
            slot.parent = key_of(header);
            let parent = &mut self.slots[parent as usize];
            parent.children = parent.children.saturating_add(1);
        }
        self.adopt(child);
    }

    fn exit(&mut self, header: &Header) {
        let Some(slot) = self.find(key_of(header)) else { return };
        let process = &mut self.slots[slot as usize].process;
        if process.exited {
            return;
        }
        refresh(process, header);
        process.exited = true;
        self.living.unlink(&mut self.links, slot);
        self.exited.push_back(&mut self.links, slot);
        while self.exited.len() > EXITED_KEPT.min(self.capacity / 2) {
            let Some(old) = self.victim(&self.exited, slot) else { break };
            self.remove(old);
        }
    }

    fn state(&mut self, header: &Header, state: &State) {
        let slot = self.obtain(header);
        let process = &mut self.slots[slot as usize].process;
        process.gid = state.gid;
        process.cap_effective = state.cap_effective;
        // One that no child shares is written over.
        match process.state.as_mut().and_then(Arc::get_mut) {
            Some(known) => *known = *state,
            None => process.state = Some(Arc::new(*state)),
        }
    }

    fn cred(&mut self, header: &Header, cred: &Cred) {
        let slot = self.obtain(header);
        // A refused call changed nothing, and one that seccomp refused shows no credentials at all.
        if cred.ret < 0 {
            return;
        }
        let process = &mut self.slots[slot as usize].process;
        process.uid = cred.new_uid;
        process.euid = cred.new_euid;
        process.gid = cred.new_gid;
        process.cap_effective = cred.cap_effective;
    }

    /// The slot of the process that a record is about, made if it is new.
    fn obtain(&mut self, header: &Header) -> u32 {
        let key = key_of(header);
        let slot = match self.find(key) {
            Some(slot) => slot,
            None => self.insert(key, None),
        };
        let process = &mut self.slots[slot as usize].process;
        process.key.started = key.started;
        refresh(process, header);
        slot
    }

    fn find(&self, key: ProcessKey) -> Option<u32> {
        let slot = *self.by_pid.get(&key.pid)?;
        let known = &self.slots[slot as usize].process;
        let same =
            known.key.started == key.started || (!known.exited && near(known.key.started, key.started));
        same.then_some(slot)
    }

    fn insert(&mut self, key: ProcessKey, keep: Option<u32>) -> u32 {
        if let Some(old) = self.by_pid.get(&key.pid).copied() {
            self.remove(old);
        }
        let keep = keep.unwrap_or(u32::MAX);
        if self.by_pid.len() >= self.capacity {
            self.evict(keep);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.links.push(Links::LOOSE);
            (self.slots.len() - 1) as u32
        });
        self.slots[slot as usize].process.key = key;
        self.by_pid.insert(key.pid, slot);
        self.living.push_back(&mut self.links, slot);
        slot
    }

    fn remove(&mut self, at: u32) {
        let slot = &mut self.slots[at as usize];
        let parent = std::mem::take(&mut slot.parent);
        slot.children = 0;
        let old = std::mem::take(&mut slot.process);
        self.by_pid.remove(&old.key.pid);
        let order = if old.exited { &mut self.exited } else { &mut self.living };
        order.unlink(&mut self.links, at);
        self.programs.release(old.program);
        self.free.push(at);
        if let Some(slot) = self.by_pid.get(&parent.pid).copied() {
            let slot = &mut self.slots[slot as usize];
            if near(slot.process.key.started, parent.started) {
                slot.children = slot.children.saturating_sub(1);
            }
        }
    }

    fn evict(&mut self, keep: u32) {
        let victim = self.victim(&self.exited, keep).or_else(|| self.victim(&self.living, keep));
        if let Some(slot) = victim {
            self.remove(slot);
            self.evicted += 1;
        }
    }

    /// The oldest slot that nobody needs; the oldest of all if the first [`LOOK`] are all needed.
    fn victim(&self, order: &Order, keep: u32) -> Option<u32> {
        let mut oldest = None;
        let mut next = order.front();
        for _ in 0..LOOK {
            let Some(slot) = next else { break };
            if slot != keep {
                let Slot { process, children, .. } = &self.slots[slot as usize];
                // A host process is in the table only because it is an ancestor.
                if *children == 0 && (process.exited || !process.container.is_host() || process.runtime) {
                    return Some(slot);
                }
                oldest = oldest.or(Some(slot));
            }
            next = order.after(&self.links, slot);
        }
        oldest
    }

    /// Ties a process to its parent by identity while the parent's pid still means the parent.
    fn adopt(&mut self, at: u32) {
        let Slot { process, parent, .. } = &self.slots[at as usize];
        if parent.pid != 0 || process.ppid == 0 {
            return;
        }
        let started = process.key.started;
        let Some(up) = self.by_pid.get(&process.ppid).copied().filter(|up| *up != at) else { return };
        let up = &mut self.slots[up as usize];
        if up.process.key.started < started.saturating_add(TICK_NS) {
            up.children = up.children.saturating_add(1);
            let key = up.process.key;
            self.slots[at as usize].parent = key;
        }
    }

    /// Makes room if the strings have become too many. `keep` stays.
    fn shrink(&mut self, keep: u32) {
        while self.programs.bytes() > BYTES && self.by_pid.len() > 1 {
            self.evict(keep);
        }
    }
}

fn key_of(header: &Header) -> ProcessKey {
    ProcessKey { pid: header.pid, started: header.started }
}

/// True if two start times can be the same moment, once exact and once in clock ticks.
fn near(a: u64, b: u64) -> bool {
    a.abs_diff(b) < TICK_NS
}

fn refresh(process: &mut Process, header: &Header) {
    if header.container != 0 {
        process.container = ContainerKey(header.container);
    }
    process.runtime = header.has(flags::RUNTIME);
    process.uid = header.uid;
    process.euid = header.euid;
}
