//! `struct cgroup` and `struct css_set` (kernel `include/linux/cgroup-defs.h`).

use aya_ebpf::helpers::generated::bpf_get_current_cgroup_id;
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::KEY_V1;

use super::task::Task;
use super::{Object, Ptr, read_kernel};
use crate::maps::config;

/// Id of a cgroup as Bulkhead counts it: of the v2 hierarchy, or marked as v1. `None` if the cgroup belongs to
/// another hierarchy than the one used for identity.
#[inline(always)]
pub(crate) fn id(cgroup: Ptr) -> Option<u64> {
    let hierarchy = hierarchy(cgroup);
    if config!(cgroup_v2) == 1 {
        if hierarchy != 0 {
            return None;
        }
        Some(kernfs_id(cgroup.follow(F::CgroupKn)))
    } else {
        if hierarchy != config!(v1_hierarchy) {
            return None;
        }
        Some(kernfs_id(cgroup.follow(F::CgroupKn)) | KEY_V1)
    }
}

/// Id of the parent of a cgroup whose id is known to count.
#[inline(always)]
pub(crate) fn parent_id(cgroup: Ptr) -> u64 {
    let id = kernfs_id(cgroup.follow(F::CgroupKn).follow(F::KnParent));
    if config!(cgroup_v2) == 1 { id } else { id | KEY_V1 }
}

/// Number of the hierarchy of a cgroup.
#[inline(always)]
pub(crate) fn hierarchy(cgroup: Ptr) -> u32 {
    cgroup.follow(F::CgroupRoot).read(F::CgroupRootHierarchy)
}

#[inline(always)]
fn kernfs_id(node: Ptr) -> u64 {
    node.read(F::KnId)
}

/// Id of a task's cgroup in the identity hierarchy.
#[inline(always)]
pub(crate) fn of_task<P: Object>(task: Task<P>) -> u64 {
    let set = task.0.follow(F::TaskCgroups);
    if config!(cgroup_v2) == 1 {
        set.follow(F::CssSetDfl).follow(F::CgroupKn).read(F::KnId)
    } else {
        let set = set.address();
        let css = Ptr(read_kernel::<u64>(set.inside(F::CssSetSubsys).0 + u64::from(config!(v1_subsys)) * 8));
        kernfs_id(css.follow(F::CssCgroup).follow(F::CgroupKn)) | KEY_V1
    }
}

/// Id of the current task's cgroup in the identity hierarchy: by the helper where that is the same, which
/// costs a third.
#[inline(always)]
pub(crate) fn of_current<P: Object>(task: Task<P>) -> u64 {
    if config!(cgroup_v2) == 1 {
        // SAFETY: the helper has no preconditions.
        unsafe { bpf_get_current_cgroup_id() }
    } else {
        of_task(task)
    }
}
