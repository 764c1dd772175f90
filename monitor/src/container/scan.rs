//! Finds the containers that run already when Bulkhead starts, with their processes and what confines them.

mod groups;
mod nested;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use monitor_common::event::{State, state_reason};
use monitor_common::policy::KEY_MNT_NS;

use super::ContainerKey;
use super::cgroup::{Layout, cgroup_id};
use super::host::read_start;
use super::resolve::{ResolveRequest, Resolver};
use crate::process::{Process, TICK_NS};
use groups::{Group, Seen, within};

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
        self.proc.stat(pid).is_some_and(|(_, start)| start.abs_diff(started) <= TICK_NS)
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
