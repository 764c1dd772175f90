//! What the detector remembers of containers: whose namespaces are whose, and which ones a container made.

use std::collections::VecDeque;

use hashbrown::HashMap;
use monitor_common::event::{Namespace, State};

use super::crash::Deaths;
use super::splice::Spliced;
use crate::container::ContainerKey;

/// The namespace types with their `CLONE_NEW*` flag, in the order of [`NsSet`].
pub(super) const KINDS: [(&str, u64); 8] = [
    ("mnt", 0x0002_0000),
    ("pid", 0x2000_0000),
    ("net", 0x4000_0000),
    ("ipc", 0x0800_0000),
    ("uts", 0x0400_0000),
    ("cgroup", 0x0200_0000),
    ("time", 0x0000_0080),
    ("user", 0x1000_0000),
];
/// The fields of records that hold them, in the same order.
pub(super) const FIELDS: [&str; 8] =
    ["mnt_ns", "pid_ns", "net_ns", "ipc_ns", "uts_ns", "cgroup_ns", "time_ns", "user_ns"];
/// Index of the mount namespace in [`NsSet`].
pub(super) const MNT: usize = 0;
/// Index of the time namespace in [`NsSet`].
pub(super) const TIME: usize = 6;
/// Index of the user namespace in [`NsSet`].
pub(super) const USER: usize = 7;

/// Inode of every anonymous mount namespace (`open_tree`, `fsmount`) since Linux 6.18; before, they had none.
/// `MNT_NS_ANON_INO` in the kernel; who holds the descriptor made the namespace.
const ANONYMOUS_MNT_NS: u32 = 0xefff_fff7;
/// Inodes that are remembered of one container in each list. Older ones are forgotten first.
const MAX_INODES: usize = 1024;
/// User namespaces that are remembered of one container: what is asked is only whether one was made just now.
const MAX_USER_NAMESPACES: usize = 64;
/// Executable files in pipes that are remembered of one container.
const MAX_SPLICED: usize = 16;
/// Containers that are remembered; the one unused for longest is forgotten first.
const MAX_CONTAINERS: usize = 8192;

/// Inodes of the initial namespaces and of the host's objects; 0 where unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Mount namespace.
    pub mnt_ns: u32,
    /// Pid namespace.
    pub pid_ns: u32,
    /// Network namespace.
    pub net_ns: u32,
    /// IPC namespace.
    pub ipc_ns: u32,
    /// UTS namespace.
    pub uts_ns: u32,
    /// Cgroup namespace.
    pub cgroup_ns: u32,
    /// Time namespace.
    pub time_ns: u32,
    /// User namespace.
    pub user_ns: u32,
    /// Kernel device number (major << 20 | minor) of the devtmpfs, which there is one of: that of `/dev` on
    /// the host.
    pub devtmpfs_dev: u32,
    /// Process id of the daemon.
    pub daemon_pid: u32,
}

/// One namespace of each type; 0 is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NsSet(pub(super) [u32; 8]);

impl NsSet {
    pub(super) fn of_state(s: &State) -> Self {
        Self([s.mnt_ns, s.pid_ns, s.net_ns, s.ipc_ns, s.uts_ns, s.cgroup_ns, s.time_ns, s.user_ns])
    }

    pub(super) fn of_record(n: &Namespace) -> Self {
        Self([n.mnt_ns, n.pid_ns, n.net_ns, n.ipc_ns, n.uts_ns, n.cgroup_ns, n.time_ns, n.user_ns])
    }

    fn of_host(h: &HostFacts) -> Self {
        Self([h.mnt_ns, h.pid_ns, h.net_ns, h.ipc_ns, h.uts_ns, h.cgroup_ns, h.time_ns, h.user_ns])
    }

    /// Inodes are unique across types, so an inode alone says enough.
    pub(super) fn contains(&self, inode: u32) -> bool {
        inode != 0 && self.0.contains(&inode)
    }
}

/// Whose namespace it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Host,
    Container(ContainerKey),
    Unknown,
}

impl Owner {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Container(_) => "another container",
            Self::Unknown => "unknown",
        }
    }
}

/// The numbers last added, at most [`MAX_INODES`].
#[derive(Debug, Default)]
struct Recent {
    items: Vec<u32>,
    next: usize,
}

impl Recent {
    fn contains(&self, item: u32) -> bool {
        self.items.contains(&item)
    }

    fn add(&mut self, item: u32) {
        if item == 0 || self.contains(item) {
            return;
        }
        if self.items.len() < MAX_INODES {
            self.items.push(item);
        } else {
            self.items[self.next] = item;
            self.next = (self.next + 1) % MAX_INODES;
        }
    }

    fn remove(&mut self, item: u32) {
        // A hole keeps the order of the others; 0 is never looked up.
        if let Some(slot) = self.items.iter_mut().find(|i| **i == item) {
            *slot = 0;
        }
    }
}

#[derive(Debug, Default)]
struct Traces {
    base: NsSet,
    /// Namespaces that the container made itself.
    made: Recent,
    /// Namespaces that a trusted runtime put a joining process into.
    granted: Recent,
    /// Foreign namespaces that a call already reported explains.
    joined: Recent,
    /// Capabilities that trusted runtimes gave to joining processes.
    caps: u64,
    /// Devices of superblocks that `fsmount` or `open_tree` showed.
    superblocks: Recent,
    /// User namespaces that the container made, the last [`MAX_USER_NAMESPACES`].
    user_namespaces: VecDeque<UserNamespace>,
    /// When its processes were last killed by faults.
    deaths: Deaths,
    /// Executable files whose pages its processes put into pipes, the last [`MAX_SPLICED`].
    spliced: VecDeque<Spliced>,
    used: u64,
}

/// A user namespace that a container made.
#[derive(Clone, Copy, Debug)]
struct UserNamespace {
    inode: u32,
    /// The first process in it.
    pid: u32,
    /// When, nanoseconds since boot.
    time: u64,
}

/// What is remembered of all containers.
#[derive(Debug)]
pub(super) struct Memory {
    host: NsSet,
    containers: HashMap<ContainerKey, Traces>,
    clock: u64,
}

impl Memory {
    pub(super) fn new(host: &HostFacts) -> Self {
        Self { host: NsSet::of_host(host), containers: HashMap::new(), clock: 0 }
    }

    /// Remembers the baseline of a container, so that others are recognised when they enter it.
    pub(super) fn learn_baseline(&mut self, key: ContainerKey, base: NsSet) {
        // Inodes are used again: one that is this container's now was not made by another one.
        self.containers.iter_mut().filter(|(other, _)| **other != key).for_each(|(_, traces)| {
            base.0.iter().filter(|i| **i != 0).for_each(|i| traces.made.remove(*i));
        });
        self.traces_mut(key).base = base;
    }

    pub(super) fn forget(&mut self, key: ContainerKey) {
        self.containers.remove(&key);
    }

    /// True if the namespace is known, and neither of the baseline nor made by, nor granted to, the container.
    pub(super) fn is_foreign(&self, key: ContainerKey, base: &NsSet, inode: u32) -> bool {
        inode != 0
            && inode != ANONYMOUS_MNT_NS
            && !base.contains(inode)
            && self.containers.get(&key).is_none_or(|t| !t.made.contains(inode) && !t.granted.contains(inode))
    }

    /// The types of `seen` that are foreign, with their inodes. A type that the baseline does not know is left out.
    pub(super) fn foreign<'a>(
        &'a self,
        key: ContainerKey,
        base: &'a NsSet,
        seen: &'a NsSet,
    ) -> impl Iterator<Item = (usize, u32)> + 'a {
        seen.0
            .iter()
            .enumerate()
            .map(|(kind, inode)| (kind, *inode))
            .filter(move |(kind, inode)| base.0[*kind] != 0 && self.is_foreign(key, base, *inode))
    }

    pub(super) fn owner(&self, inode: u32, not: ContainerKey) -> Owner {
        if self.host.contains(inode) {
            return Owner::Host;
        }
        // The smallest key, so that the answer does not depend on the order of the map.
        self.containers
            .iter()
            .filter(|(key, traces)| **key != not && traces.base.contains(inode))
            .map(|(key, _)| *key)
            .min()
            .map_or(Owner::Unknown, Owner::Container)
    }

    pub(super) fn was_made_by(&self, key: ContainerKey, inode: u32) -> bool {
        inode != 0 && self.containers.get(&key).is_some_and(|t| t.made.contains(inode))
    }

    /// Remembers a namespace that the container made, unless it is known to be somebody else's.
    pub(super) fn note_made(&mut self, key: ContainerKey, base: &NsSet, inode: u32) {
        if self.is_foreign(key, base, inode) && self.owner(inode, key) == Owner::Unknown {
            self.traces_mut(key).made.add(inode);
        }
    }

    /// Remembers a namespace that the kernel has just made for the container. Inodes are used again: whoever had
    /// this one before is gone, even if its end was not seen.
    pub(super) fn claim(&mut self, key: ContainerKey, inode: u32) {
        if self.host.contains(inode) {
            return;
        }
        for (_, traces) in self.containers.iter_mut().filter(|(other, _)| **other != key) {
            traces.base.0.iter_mut().filter(|i| **i == inode).for_each(|i| *i = 0);
            traces.made.remove(inode);
            traces.granted.remove(inode);
        }
        self.traces_mut(key).made.add(inode);
    }

    pub(super) fn note_granted(&mut self, key: ContainerKey, inode: u32) {
        self.traces_mut(key).granted.add(inode);
    }

    pub(super) fn note_granted_caps(&mut self, key: ContainerKey, caps: u64) {
        self.traces_mut(key).caps |= caps;
    }

    pub(super) fn granted_caps(&self, key: ContainerKey) -> u64 {
        self.containers.get(&key).map_or(0, |t| t.caps)
    }

    pub(super) fn note_joined(&mut self, key: ContainerKey, inode: u32) {
        self.traces_mut(key).joined.add(inode);
    }

    pub(super) fn is_joined(&self, key: ContainerKey, inode: u32) -> bool {
        self.containers.get(&key).is_some_and(|t| t.joined.contains(inode))
    }

    pub(super) fn note_superblock(&mut self, key: ContainerKey, dev: u32) {
        self.traces_mut(key).superblocks.add(dev);
    }

    pub(super) fn has_seen_superblock(&self, key: ContainerKey, dev: u32) -> bool {
        self.containers.get(&key).is_some_and(|t| t.superblocks.contains(dev))
    }

    pub(super) fn note_user_namespace(&mut self, key: ContainerKey, inode: u32, pid: u32, time: u64) {
        let made = &mut self.traces_mut(key).user_namespaces;
        if made.len() >= MAX_USER_NAMESPACES {
            made.pop_front();
        }
        made.push_back(UserNamespace { inode, pid, time });
    }

    /// The user namespace, made by the container at `since` or later, that one of these processes was the first in, or
    /// that is `inode`.
    pub(super) fn new_user_namespace(
        &self,
        key: ContainerKey,
        pids: [u32; 2],
        inode: u32,
        since: u64,
    ) -> Option<u32> {
        let made = &self.containers.get(&key)?.user_namespaces;
        let is_it = |ns: &&UserNamespace| ns.time >= since && (ns.inode == inode || pids.contains(&ns.pid));
        made.iter().rev().find(is_it).map(|ns| ns.inode)
    }

    /// Remembers a death by a fault; how long the burst took that it ends, if it ends one.
    pub(super) fn note_death(&mut self, key: ContainerKey, time: u64) -> Option<u64> {
        self.traces_mut(key).deaths.add(time)
    }

    pub(super) fn note_spliced(&mut self, key: ContainerKey, spliced: Spliced) {
        let known = &mut self.traces_mut(key).spliced;
        if known.len() >= MAX_SPLICED {
            known.pop_front();
        }
        known.push_back(spliced);
    }

    /// The last executable file in a pipe that `is_it`.
    pub(super) fn spliced(&self, key: ContainerKey, is_it: impl Fn(&Spliced) -> bool) -> Option<Spliced> {
        self.containers.get(&key)?.spliced.iter().rev().find(|spliced| is_it(spliced)).copied()
    }

    fn traces_mut(&mut self, key: ContainerKey) -> &mut Traces {
        self.clock += 1;
        if self.containers.len() >= MAX_CONTAINERS
            && !self.containers.contains_key(&key)
            && let Some(oldest) = self.containers.iter().min_by_key(|(_, t)| t.used).map(|(key, _)| *key)
        {
            self.containers.remove(&oldest);
        }
        let traces = self.containers.entry(key).or_default();
        traces.used = self.clock;
        traces
    }
}
