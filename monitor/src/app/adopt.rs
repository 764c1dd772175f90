//! The containers that were running before the daemon: who they are, and what the kernel side is told of them.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use monitor_common::policy::{Config, ContainerEntry, KEY_MNT_NS, TaskEntry, task_flags};

use crate::bounded::{LOOK, Worker};
use crate::bpf;
use crate::container::{Resolver, Scanned, ScannedTask, Update};
use crate::diag::{Code, Diagnostic};
use crate::posture::parse_mounts;

/// How long finding out who they are may take; those that are left are asked about later.
const LIMIT: Duration = Duration::from_secs(2);

/// A container that runs, with who it is, if there was time to find out.
pub(super) struct Running {
    pub(super) scanned: Scanned,
    pub(super) update: Option<Update>,
}

/// Finds the containers that run, and who they are before anything is written of them. One that keeps whoever reads its
/// files waiting is left to the edge.
pub(super) fn find(resolver: &Resolver) -> Vec<Running> {
    let begin = Instant::now();
    let (mut worker, mut waiting) = (Worker::new("scan-files"), BTreeSet::new());
    let shared = Arc::new(resolver.clone());
    let mut known = HashMap::new();
    for Scanned { key, request, .. } in resolver.scan_within(&mut worker, &mut waiting) {
        if begin.elapsed() >= LIMIT {
            break;
        }
        if waiting.contains(&key) {
            continue;
        }
        let (first, asked) = ((key, request.pid), Arc::clone(&shared));
        match worker.run(LOOK, move || asked.resolve(&request)) {
            Ok(update) => drop(known.insert(first, update)),
            Err(_) => drop(waiting.insert(key)),
        }
    }
    // Again, because that took time: the kernel side is to be told of the tasks that there are now. What has no id is
    // left to those who may know more than the files.
    let now = resolver.scan_within(&mut worker, &mut waiting).into_iter();
    now.map(|scanned| {
        let update = known.remove(&(scanned.key, scanned.request.pid));
        Running { scanned, update: update.filter(|update| update.identity.id.is_some()) }
    })
    .collect()
}

/// What the kernel side is told of a container.
pub(super) struct Known {
    key: u64,
    entry: ContainerEntry,
    cgroups: Vec<u64>,
    tasks: Vec<(u32, TaskEntry)>,
}

/// What is to be told of these containers: their cgroups, their tasks, and what their files are known by.
pub(super) fn known(found: &[Running], config: &Config) -> Vec<Known> {
    let of = |Running { scanned, .. }: &Running| {
        let key = scanned.key.0;
        let task = |task: &ScannedTask| TaskEntry {
            container: key,
            cap_permitted: task.cap_permitted,
            flags: task_flags::CREDS,
            uid: task.uid,
            euid: task.euid,
            suid: task.suid,
            ..TaskEntry::default()
        };
        Known {
            key,
            entry: entry(scanned, config),
            cgroups: scanned.cgroup_ids.clone(),
            tasks: scanned.tasks.iter().map(|one| (one.tid, task(one))).collect(),
        }
    };
    found.iter().map(of).collect()
}

/// Tells it.
///
/// # Errors
/// A map is full, or the kernel refused.
pub(super) fn tell(control: &mut bpf::Control, known: Vec<Known>) -> Result<(), Diagnostic> {
    let refused = |e: String| Diagnostic::new(Code::BpfRefused).note(e);
    for container in known {
        control.add_container(container.key, container.entry).map_err(refused)?;
        for cgroup in container.cgroups {
            control.add_cgroup(cgroup, container.key).map_err(refused)?;
        }
        for (tid, task) in container.tasks {
            control.add_task(tid, task).map_err(refused)?;
        }
    }
    Ok(())
}

fn entry(container: &Scanned, config: &Config) -> ContainerEntry {
    let Some(first) = container.processes.get(container.first) else {
        return ContainerEntry { entered: 1, ..ContainerEntry::default() };
    };
    let (pid, base) = (first.key.pid, &container.baseline);
    let entered = first.key.started.max(1);
    // As on the kernel side: without a cgroup of its own it may be an engine's mount namespace.
    if container.key.0 & KEY_MNT_NS != 0 {
        let known_by = mount_namespace_id(pid).unwrap_or(0) as u32;
        return ContainerEntry { entered, known_by, ..ContainerEntry::default() };
    }
    let own_root = base.root_dev != config.host_root_dev && has_overlay_root(pid);
    ContainerEntry {
        entered,
        mnt_id: if base.mnt_ns == config.host_mnt_ns { 0 } else { mount_namespace_id(pid).unwrap_or(0) },
        root_dev: if own_root { base.root_dev } else { 0 },
        known_by: 0,
    }
}

/// True if the root of a process is an overlay, which no other container has. The file system itself is not asked: it may not
/// answer.
fn has_overlay_root(pid: u32) -> bool {
    let mounts = parse_mounts(&fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default());
    mounts.iter().rfind(|mount| mount.point == "/").is_some_and(|root| root.fstype == "overlay")
}

/// The unique id of the mount namespace of a process. Kernels before 6.11 do not tell.
#[expect(unsafe_code, reason = "a call that no safe wrapper offers")]
fn mount_namespace_id(pid: u32) -> Option<u64> {
    /// `NS_GET_MNTNS_ID`, kernel `include/uapi/linux/nsfs.h`.
    const GET_ID: libc::Ioctl = 0x8008_b705_u32 as libc::Ioctl;
    let namespace = File::open(format!("/proc/{pid}/ns/mnt")).ok()?;
    let mut id = 0u64;
    // SAFETY: the call writes one u64, which outlives it.
    let got = unsafe { libc::ioctl(namespace.as_raw_fd(), GET_ID, std::ptr::from_mut(&mut id)) };
    (got == 0).then_some(id)
}
