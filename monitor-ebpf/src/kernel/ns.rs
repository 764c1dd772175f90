//! Namespaces: `struct nsproxy` and the types it points to (kernel `include/linux/nsproxy.h`).

use monitor_common::offsets::FieldId as F;

use super::task::Task;
use super::{Object, Ptr, read_kernel};

/// Inode numbers of a task's namespaces; 0 where unknown.
#[derive(Clone, Copy, Default)]
pub(crate) struct Inums {
    pub(crate) mnt: u32,
    pub(crate) pid: u32,
    pub(crate) net: u32,
    pub(crate) ipc: u32,
    pub(crate) uts: u32,
    pub(crate) cgroup: u32,
    pub(crate) time: u32,
    pub(crate) user: u32,
}

impl Inums {
    /// Of a task.
    #[inline(always)]
    pub(crate) fn of<P: Object>(task: Task<P>) -> Self {
        let proxy = task.nsproxy();
        Self {
            mnt: proxy.follow(F::NsproxyMnt).read(F::MntInum),
            pid: proxy.follow(F::NsproxyPid).read(F::PidInum),
            net: proxy.follow(F::NsproxyNet).read(F::NetInum),
            ipc: proxy.follow(F::NsproxyIpc).read(F::IpcInum),
            uts: proxy.follow(F::NsproxyUts).read(F::UtsInum),
            cgroup: proxy.follow(F::NsproxyCgroup).read(F::CgroupInum),
            time: proxy.follow(F::NsproxyTime).read(F::TimeInum),
            user: task.user_ns().read(F::UserInum),
        }
    }
}

/// Inode number of a mount namespace.
#[inline(always)]
pub(crate) fn mnt_inum(ns: Ptr) -> u32 {
    ns.read(F::MntInum)
}

/// Uid 0 of a user namespace as the initial one counts it: the `lower_first` of the extent that maps 0.
///
/// `struct uid_gid_map` (kernel `include/linux/user_namespace.h`) holds extents of three `u32`: `first`,
/// `lower_first`, `count`. Engines map 0 in the first or the second; no others are looked at, because a loop
/// here is more than the verifiers of 5.10 and 6.1 can follow. `u32::MAX` if neither maps 0.
#[inline(always)]
pub(crate) fn root_uid(user_ns: Ptr) -> u32 {
    let extents = user_ns.inside(F::UserUidMapExtent);
    let first = read_kernel::<[u32; 3]>(extents.0);
    if first[0] == 0 && first[2] > 0 {
        return first[1];
    }
    let second = read_kernel::<[u32; 3]>(extents.0 + 12);
    if second[0] == 0 && second[2] > 0 { second[1] } else { u32::MAX }
}
