//! Finds the containers that run already when Bulkhead starts, with their processes and what confines them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use monitor_common::event::{State, state_reason};
use monitor_common::policy::KEY_MNT_NS;

use super::cgroup::{Layout, cgroup_id};
use super::host::read_start;
use super::pattern::container_in_path;
use super::resolve::{ResolveRequest, Resolver, runtime_name};
use super::state_dir::list_states;
use super::supervisor::Supervisor;
use super::{ContainerKey, Engine};
use crate::process::Process;

/// Cgroups listed below one container.
const MAX_CGROUPS: usize = 4096;
/// Bytes of a list of processes that are read.
const MAX_PROCS: usize = 64 << 10;

/// A task of a container that was running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScannedTask {
    /// Thread id.
    pub tid: u32,
    /// Process id.
    pub tgid: u32,
    /// Process id of the parent.
    pub ppid: u32,
    /// Start of the process, nanoseconds since boot, floored to 10 ms: `/proc/<pid>/stat` counts clock ticks.
    pub started_ns: u64,
    /// Real uid.
    pub uid: u32,
    /// Effective uid.
    pub euid: u32,
    /// Saved uid.
    pub suid: u32,
    /// Permitted capabilities.
    pub cap_permitted: u64,
    /// Effective capabilities.
    pub cap_effective: u64,
}

/// A container that was running.
#[derive(Clone, Debug, Default)]
pub struct Scanned {
    /// Its key.
    pub key: ContainerKey,
    /// Path of its top cgroup; of the shared one if it has none of its own.
    pub cgroup_path: String,
    /// Ids of its cgroups as the kernel side counts them, the top one first; empty if it has none of its own.
    pub cgroup_ids: Vec<u64>,
    /// Its tasks.
    pub tasks: Vec<ScannedTask>,
    /// What confines its first process; the mount namespaces of root and working directory are taken to be
    /// its own, because `/proc` does not tell.
    pub baseline: State,
    /// Index into `processes` of the one that `baseline` was read from.
    pub first: usize,
    /// What [`Resolver::resolve`] needs.
    pub request: ResolveRequest,
    /// Its processes.
    pub processes: Vec<Process>,
    /// Processes outside that those descend from: a shim, and who joined.
    pub ancestors: Vec<Process>,
}

/// A process, as far as grouping needs it.
struct Seen {
    pid: u32,
    ppid: u32,
    path: String,
    mnt_ns: u32,
}

/// Which containers run, before each of them is read.
#[derive(Default)]
pub struct Survey {
    groups: Vec<Group>,
    seen: BTreeMap<u32, Seen>,
    tops: Vec<String>,
}

impl Survey {
    /// Their keys.
    pub fn keys(&self) -> impl Iterator<Item = ContainerKey> {
        self.groups.iter().map(|group| group.key)
    }
}

/// Processes of one container, on the way to a [`Scanned`].
struct Group {
    top: String,
    key: ContainerKey,
    pids: Vec<u32>,
}

impl Resolver {
    /// The containers that run now. Takes as long as reading all of `/proc` does.
    pub fn scan(&self) -> Vec<Scanned> {
        let survey = self.survey();
        (0..survey.groups.len()).filter_map(|at| self.read(&survey, at)).collect()
    }

    /// Which containers run now.
    pub fn survey(&self) -> Survey {
        let Some(layout) = &self.layout else { return Survey::default() };
        let seen = self.see(layout);
        let groups = self.groups(layout, &seen);
        let tops = groups.iter().map(|group| group.top.clone()).collect();
        Survey { groups, seen, tops }
    }

    /// Reads one of them, by its place; `None` if it is gone.
    pub fn read(&self, Survey { groups, seen, tops }: &Survey, at: usize) -> Option<Scanned> {
        self.scanned(self.layout.as_ref()?, groups.get(at)?, seen, tops)
    }

    /// What [`Resolver::scan`] says of one container, whose first process is that of `request`; `None` if it is gone.
    pub fn look_at(&self, request: &ResolveRequest) -> Option<Scanned> {
        let first = self.proc.process(request.pid)?;
        let mut pids = vec![request.pid];
        if request.key.0 & KEY_MNT_NS == 0
            && let Some(layout) = &self.layout
        {
            let listed = read_start(
                &layout.directory(&self.host, &request.cgroup_path).join("cgroup.procs"),
                MAX_PROCS as u64,
            );
            let listed = String::from_utf8(listed.unwrap_or_default()).unwrap_or_default();
            pids.extend(listed.lines().filter_map(|line| line.parse::<u32>().ok()));
        }
        pids.sort_unstable();
        pids.dedup();
        let tasks = pids.iter().flat_map(|pid| self.tasks(*pid, 0, 0)).collect();
        Some(Scanned {
            key: request.key,
            cgroup_path: request.cgroup_path.clone(),
            tasks,
            baseline: self.confinement(request.pid)?,
            request: request.clone(),
            processes: vec![first],
            ..Scanned::default()
        })
    }

    /// True if the process runs that started then, nanoseconds since boot.
    pub fn runs(&self, pid: u32, started: u64) -> bool {
        // `/proc` counts ticks of 10 ms.
        self.proc.stat(pid).is_some_and(|(_, start)| start.abs_diff(started) <= 10_000_000)
    }

    /// The threads of a process.
    fn tasks(&self, pid: u32, ppid: u32, started_ns: u64) -> Vec<ScannedTask> {
        let task = |tid: u32| {
            let status = self.proc.status(pid, tid)?;
            Some(ScannedTask {
                tid,
                tgid: pid,
                ppid,
                started_ns,
                uid: status.uid,
                euid: status.euid,
                suid: status.suid,
                cap_permitted: status.cap_permitted,
                cap_effective: status.cap_effective,
            })
        };
        self.proc.threads(pid).into_iter().filter_map(task).collect()
    }

    fn see(&self, layout: &Layout) -> BTreeMap<u32, Seen> {
        let see = |pid: u32| {
            let (ppid, _) = self.proc.stat(pid)?;
            let path = layout.path_in(&self.proc.cgroup(pid)?)?.to_owned();
            // Kernel threads have no namespaces to show, and are in no container.
            Some((pid, Seen { pid, ppid, path, mnt_ns: self.proc.namespace(pid, "mnt")? }))
        };
        self.proc.pids().into_iter().filter_map(see).collect()
    }

    fn groups(&self, layout: &Layout, seen: &BTreeMap<u32, Seen>) -> Vec<Group> {
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
        for state in self.state_roots().iter().flat_map(|root| list_states(&self.host, root)) {
            let Some(init) = seen.get(&state.pid) else { continue };
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
        groups.into_values().chain(others.into_values()).filter(|group| !group.pids.is_empty()).collect()
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

    fn scanned(
        &self,
        layout: &Layout,
        group: &Group,
        seen: &BTreeMap<u32, Seen>,
        tops: &[String],
    ) -> Option<Scanned> {
        let mut out = Scanned { key: group.key, cgroup_path: group.top.clone(), ..Scanned::default() };
        for pid in &group.pids {
            let Some(mut process) = self.proc.process(*pid) else { continue };
            process.container = group.key;
            out.tasks.extend(self.tasks(*pid, process.ppid, process.key.started));
            out.processes.push(process);
        }
        // The first program is the oldest process whose parent is outside.
        let outside = |p: &Process| seen.get(&p.key.pid).is_some_and(|s| !group.pids.contains(&s.ppid));
        let oldest = |(_, p): &(usize, &Process)| (!outside(p), p.key.started, p.key.pid);
        for process in out.processes.iter().filter(|process| outside(process)) {
            for ancestor in self.ancestors_from_proc(process.key.pid) {
                if out.ancestors.iter().all(|known| known.key != ancestor.key) {
                    out.ancestors.push(ancestor);
                }
            }
        }
        let (first, init) = out.processes.iter().enumerate().min_by_key(oldest)?;
        out.first = first;
        let pid = init.key.pid;
        out.baseline = self.confinement(pid)?;
        out.request = ResolveRequest { key: group.key, cgroup_path: group.top.clone(), pid, runtime: None };
        if group.key.0 & KEY_MNT_NS == 0 {
            let directory = layout.directory(&self.host, &group.top);
            let inner: Vec<_> = tops
                .iter()
                .filter(|top| **top != group.top && within(top, &group.top))
                .map(|top| layout.directory(&self.host, top))
                .collect();
            let skip = |path: &Path| inner.iter().any(|top| top == path);
            list_cgroups(layout, &directory, &skip, &mut out.cgroup_ids);
        }
        Some(out)
    }

    fn confinement(&self, pid: u32) -> Option<State> {
        let status = self.proc.status(pid, pid)?;
        let ns = |name: &str| self.proc.namespace(pid, name).unwrap_or(0);
        let (root_dev, root_ino) = self.proc.root(pid).unwrap_or_default();
        let mnt_ns = ns("mnt");
        Some(State {
            cap_effective: status.cap_effective,
            cap_permitted: status.cap_permitted,
            cap_bounding: status.cap_bounding,
            root_ino,
            reason: state_reason::SCAN,
            mnt_ns,
            pid_ns: ns("pid_for_children"),
            net_ns: ns("net"),
            ipc_ns: ns("ipc"),
            uts_ns: ns("uts"),
            cgroup_ns: ns("cgroup"),
            time_ns: ns("time"),
            user_ns: ns("user"),
            root_mnt_ns: mnt_ns,
            cwd_mnt_ns: mnt_ns,
            root_dev,
            seccomp: status.seccomp,
            no_new_privs: status.no_new_privs,
            suid: status.suid,
            gid: status.gid,
            ..State::default()
        })
    }
}

/// True if cgroup `path` is `top` or below it.
fn within(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || top.ends_with('/'))
}

/// The ids of a cgroup and all below it, without the containers nested in it.
fn list_cgroups(layout: &Layout, directory: &Path, skip: &dyn Fn(&Path) -> bool, out: &mut Vec<u64>) {
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        if out.len() >= MAX_CGROUPS {
            break;
        }
        let Ok(id) = cgroup_id(&directory) else { continue };
        out.push(layout.key(id).0);
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        let children = entries.filter_map(Result::ok).filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
        waiting.extend(children.map(|e| e.path()).filter(|path| !skip(path)));
    }
}

#[cfg(test)]
mod tests;
