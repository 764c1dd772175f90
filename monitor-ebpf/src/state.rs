//! The state record: everything that confines a task, at once.

use monitor_common::event::{EventKind, State, state_reason};
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::confined;

use crate::emit::{PATH_MAX, Ring, reserve};
use crate::filter::Subject;
use crate::kernel::mount;
use crate::kernel::task::Task;

/// Writes a state record; false if it could not be sent. `before` is what `filter::compare_confined` found, else 0.
#[inline(always)]
pub(crate) fn report(subject: &Subject, reason: u32, before: u32) -> bool {
    let bits = u64::from(reason)
        | u64::from(subject.runtime) << 8
        | u64::from(subject.compat) << 9
        | u64::from(subject.stale) << 10;
    let ids = u64::from(subject.pid) << 32 | u64::from(subject.tid);
    bulkhead_report_state(ids, subject.container, subject.cgroup, bits | u64::from(before) << 32) != 0
}

/// The body of [`report`]: a global function, which the verifier looks at once for each program, and not anew
/// on every way that leads to it. It is given numbers only, because before 5.13 it can be given no pointers.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn bulkhead_report_state(ids: u64, container: u64, cgroup: u64, bits: u64) -> u64 {
    let subject = Subject {
        task: Task::current(),
        pid: (ids >> 32) as u32,
        tid: ids as u32,
        container,
        cgroup,
        runtime: bits & 1 << 8 != 0,
        compat: bits & 1 << 9 != 0,
        stale: bits & 1 << 10 != 0,
    };
    u64::from(write(&subject, bits as u32 & 0xff, (bits >> 32) as u32))
}

#[inline(always)]
fn write(subject: &Subject, reason: u32, before: u32) -> bool {
    // What is a container's once, or a runtime's, is past every budget.
    let vital = reason == state_reason::ENTRY || reason == state_reason::JOIN;
    let ring = if vital { Ring::Vital } else { Ring::Critical };
    let Some(mut out) = reserve::<State, { PATH_MAX + 16 }>(ring, EventKind::State, subject) else {
        return false;
    };
    let task = subject.task;
    let (root, cwd) = (task.root(), task.cwd());
    let cred = task.cred_ptr();
    let proxy = task.nsproxy();
    let root_inode = root.1.follow(F::DentryInode);
    let body = out.body_ptr();
    // Field by field: a whole record on the stack would leave too little of its 512 bytes for the caller.
    // SAFETY: `body` is the slot's payload, writable and aligned; every field is written.
    unsafe {
        (*body).cap_effective = cred.read(F::CredCapEffective);
        (*body).cap_permitted = cred.read(F::CredCapPermitted);
        (*body).cap_bounding = cred.read(F::CredCapBset);
        (*body).cap_inheritable = cred.read(F::CredCapInheritable);
        (*body).cap_ambient = cred.read(F::CredCapAmbient);
        (*body).root_ino = root_inode.read(F::InodeIno);
        (*body).reason = reason;
        (*body).mnt_ns = proxy.follow(F::NsproxyMnt).read(F::MntInum);
        (*body).pid_ns = proxy.follow(F::NsproxyPid).read(F::PidInum);
        (*body).net_ns = proxy.follow(F::NsproxyNet).read(F::NetInum);
        (*body).ipc_ns = proxy.follow(F::NsproxyIpc).read(F::IpcInum);
        (*body).uts_ns = proxy.follow(F::NsproxyUts).read(F::UtsInum);
        (*body).cgroup_ns = proxy.follow(F::NsproxyCgroup).read(F::CgroupInum);
        (*body).time_ns = proxy.follow(F::NsproxyTime).read(F::TimeInum);
        (*body).user_ns = cred.follow(F::CredUserNs).read(F::UserInum);
        (*body).root_mnt_ns = mount::namespace_inum(root.0);
        (*body).cwd_mnt_ns = mount::namespace_inum(cwd.0);
        (*body).root_dev = root_inode.follow(F::InodeSb).read(F::SbDev);
        (*body).seccomp = task.seccomp_mode();
        (*body).no_new_privs = task.no_new_privs();
        (*body).seccomp_filters = task.seccomp_filters();
        (*body).old_seccomp = confined::mode(before);
        (*body).old_seccomp_filters = confined::filters(before);
        (*body).old_no_new_privs = confined::no_new_privs(before);
        (*body).suid = cred.read(F::CredSuid);
        (*body).gid = cred.read(F::CredGid);
    }
    out.path(cwd, root);
    out.submit_anywhere(subject, 0);
    true
}
