//! Which processes belong to which container, before any of them is read.

use std::collections::{BTreeMap, BTreeSet};

use monitor_common::policy::KEY_MNT_NS;

use super::nested;
use crate::container::cgroup::{Layout, cgroup_id};
use crate::container::pattern::container_in_path;
use crate::container::resolve::{Resolver, runtime_name};
use crate::container::state_dir::list_states;
use crate::container::supervisor::Supervisor;
use crate::container::{ContainerKey, Engine};

/// A process, as far as grouping needs it.
pub(super) struct Seen {
    pub(super) pid: u32,
    pub(super) ppid: u32,
    /// Nanoseconds since boot, floored to 10 ms.
    pub(super) started: u64,
    path: String,
    mnt_ns: u32,
}

/// Processes of one container, on the way to a [`Scanned`].
pub(super) struct Group {
    pub(super) top: String,
    pub(super) key: ContainerKey,
    pub(super) pids: Vec<u32>,
}

impl Resolver {
    pub(super) fn see(&self, layout: &Layout) -> BTreeMap<u32, Seen> {
        let see = |pid: u32| {
            let (ppid, started) = self.proc.stat(pid)?;
            let path = layout.path_in(&self.proc.cgroup(pid)?)?.to_owned();
            // Kernel threads have no namespaces to show, and are in no container.
            Some((pid, Seen { pid, ppid, started, path, mnt_ns: self.proc.namespace(pid, "mnt")? }))
        };
        self.proc.pids().into_iter().filter_map(see).collect()
    }

    /// The processes of each container, the containers that are nested in another one among that one's.
    pub(super) fn groups(&self, layout: &Layout, seen: &BTreeMap<u32, Seen>) -> Vec<Group> {
        let mut tops: BTreeSet<String> = BTreeSet::new();
        let mut shared: BTreeMap<u32, String> = BTreeMap::new();
        let host = seen.get(&1).or_else(|| seen.values().next());
        let host_mnt_ns = host.map_or(0, |host| host.mnt_ns);
        for process in seen.values() {
            if let Some(found) = container_in_path(&process.path)
                && (!found.engine.is_some_and(Engine::has_no_bundle)
                    // A name says less than the digits of an id; and all this host may be such a container.
                    || process.mnt_ns != host_mnt_ns && !host.is_some_and(|host| within(&host.path, found.top)))
            {
                tops.insert(found.top.to_owned());
            }
        }
        let mut listed = BTreeSet::new();
        for state in self.state_roots().iter().flat_map(|root| list_states(&self.host, root)) {
            let Some(init) = seen.get(&state.pid) else { continue };
            listed.insert(state.pid);
            let own = state
                .cgroups
                .iter()
                .map(|cgroup| self.cgroup_of(cgroup))
                .find(|path| within(&init.path, path));
            self.add(init, own, seen, &mut tops, &mut shared);
        }
        // A process that has left its container's cgroup still has that one's mounts and process ids.
        let innermost = |process: &Seen, tops: &BTreeSet<String>| {
            tops.iter().filter(|top| within(&process.path, top)).max_by_key(|top| top.len()).cloned()
        };
        let inside = seen.values().filter(|process| process.mnt_ns != host_mnt_ns);
        let owners: BTreeMap<u32, String> =
            inside.filter_map(|process| Some((process.mnt_ns, innermost(process, &tops)?))).collect();
        let host_pid_ns = self.proc.namespace(1, "pid");
        let owner = |process: &Seen| {
            owners.get(&process.mnt_ns).filter(|_| self.proc.namespace(process.pid, "pid") != host_pid_ns)
        };
        let host_root = host.and_then(|host| self.proc.root(host.pid));
        for process in seen.values() {
            let known = process.mnt_ns == host_mnt_ns || tops.iter().any(|top| within(&process.path, top));
            if known || owner(process).is_some() {
                continue;
            }
            let topmost = seen.get(&process.ppid).is_none_or(|up| up.mnt_ns != process.mnt_ns);
            if topmost && self.proc.root(process.pid) != host_root && self.is_made(process, seen) {
                self.add(process, None, seen, &mut tops, &mut shared);
            }
        }
        let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
        for top in &tops {
            let Ok(id) = cgroup_id(&layout.directory(&self.host, top)) else { continue };
            groups.insert(top, Group { top: top.clone(), key: layout.key(id), pids: Vec::new() });
        }
        let mut others: BTreeMap<u32, Group> = BTreeMap::new();
        for process in seen.values() {
            // The longest path is the innermost container.
            let top = innermost(process, &tops).or_else(|| owner(process).cloned());
            if let Some(group) = top.and_then(|top| groups.get_mut(top.as_str())) {
                group.pids.push(process.pid);
            } else if let Some(path) = shared.get(&process.mnt_ns) {
                let key = ContainerKey(u64::from(process.mnt_ns) | KEY_MNT_NS);
                let group = || Group { top: path.clone(), key, pids: Vec::new() };
                others.entry(process.mnt_ns).or_insert_with(group).pids.push(process.pid);
            }
        }
        let groups = groups.into_values().chain(others.into_values()).filter(|group| !group.pids.is_empty());
        nested::merge(groups.collect(), seen, &listed)
    }

    /// Notes the container whose first process is `init`: by its cgroup, or by its mount namespace where the
    /// cgroup is shared with processes outside.
    fn add(
        &self,
        init: &Seen,
        own: Option<&str>,
        seen: &BTreeMap<u32, Seen>,
        tops: &mut BTreeSet<String>,
        shared: &mut BTreeMap<u32, String>,
    ) {
        let path = own.unwrap_or(&init.path);
        if tops.iter().any(|top| within(path, top)) {
            return;
        }
        let outsider = || seen.get(&init.ppid).is_some_and(|up| within(&up.path, path));
        if path.len() > 1 && !outsider() {
            tops.insert(path.to_owned());
        } else {
            shared.insert(init.mnt_ns, path.to_owned());
        }
    }

    /// True if a process with a mount namespace and a root of its own was started by a runtime: its parent is
    /// a shim, conmon or runtime, or it is the first of a pid namespace in a cgroup of its own.
    fn is_made(&self, process: &Seen, seen: &BTreeMap<u32, Seen>) -> bool {
        let argv = self.proc.argv(process.ppid);
        if Supervisor::parse(&argv).is_some() || argv.first().is_some_and(|arg| runtime_name(arg).is_some()) {
            return true;
        }
        let first = self.proc.status(process.pid, process.pid).is_some_and(|status| status.inner_pid == 1);
        let host_pid_ns = self.proc.namespace(1, "pid");
        first
            && self.proc.namespace(process.pid, "pid") != host_pid_ns
            && process.path.len() > 1
            && seen.values().all(|other| other.mnt_ns == process.mnt_ns || other.path != process.path)
    }
}

/// True if cgroup `path` is `top` or below it.
pub(super) fn within(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || top.ends_with('/'))
}
