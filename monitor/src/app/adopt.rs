//! Tells the kernel side of the containers that were running before it.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use monitor_common::policy::{Config, ContainerEntry, KEY_MNT_NS, TaskEntry, task_flags};

use crate::bpf;
use crate::container::Scanned;

/// Tells of these containers, with their cgroups, their tasks, and what their files are known by.
///
/// # Errors
/// A map is full, or the kernel refused.
pub(super) fn containers(
    control: &mut bpf::Control,
    found: &[Scanned],
    config: &Config,
) -> Result<(), String> {
    for container in found {
        let key = container.key.0;
        control.add_container(key, entry(container, config))?;
        for cgroup in &container.cgroup_ids {
            control.add_cgroup(*cgroup, key)?;
        }
        for task in &container.tasks {
            control.add_task(
                task.tid,
                TaskEntry {
                    container: key,
                    cap_permitted: task.cap_permitted,
                    flags: task_flags::CREDS,
                    uid: task.uid,
                    euid: task.euid,
                    suid: task.suid,
                    ..TaskEntry::default()
                },
            )?;
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
        return ContainerEntry { entered, ..ContainerEntry::default() };
    }
    let own_root = base.root_dev != config.host_root_dev && has_overlay_root(pid);
    ContainerEntry {
        entered,
        mnt_id: if base.mnt_ns == config.host_mnt_ns { 0 } else { mount_namespace_id(pid).unwrap_or(0) },
        root_dev: if own_root { base.root_dev } else { 0 },
        reserved: 0,
    }
}

/// True if the root of a process is an overlay, which no other container has.
fn has_overlay_root(pid: u32) -> bool {
    /// `OVERLAYFS_SUPER_MAGIC`, kernel `include/uapi/linux/magic.h`.
    const OVERLAY: i64 = 0x794c_7630;
    rustix::fs::statfs(format!("/proc/{pid}/root/")).is_ok_and(|s| s.f_type == OVERLAY)
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
