//! Whose task it is: a container's, a trusted runtime's, or the host's, which is left alone.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use monitor_common::counters::Counter;
use monitor_common::event::{Cred as CredRecord, EventKind, flags, state_reason};
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::{TaskEntry, confined, task_flags};

use crate::emit::{Ring, reserve};
use crate::kernel::task::Task;
use crate::kernel::{Known, Object, Ptr, cgroup, ns};
use crate::listed;
use crate::maps::{CGROUPS, TASKS, config, count, daemon_pid, task_key};
use crate::state;

/// `BPF_NOEXIST`.
const NOEXIST: u64 = 1;

/// The task that a record is about.
#[derive(Clone, Copy)]
pub(crate) struct Subject {
    pub(crate) task: Task,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    /// Container key, 0 for the host.
    pub(crate) container: u64,
    pub(crate) cgroup: u64,
    /// A trusted runtime task that has not yet executed container content.
    pub(crate) runtime: bool,
    /// In a system call of the 32-bit entry.
    pub(crate) compat: bool,
    /// The record of its last exec was not sent.
    pub(crate) stale: bool,
}

/// What a header says of a process beside its numbers.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    /// Start of the process, nanoseconds since boot.
    pub(crate) started: u64,
    pub(crate) uid: u32,
    pub(crate) euid: u32,
}

impl Owner {
    /// Of this task.
    #[inline(always)]
    pub(crate) fn of<P: Object>(task: Task<P>) -> Self {
        let (uid, euid) = task.uids();
        Self { started: task.started(), uid, euid }
    }
}

impl Subject {
    /// The flags of a record about it.
    #[inline(always)]
    pub(crate) fn flags(&self) -> u16 {
        let mut bits = if self.runtime { flags::RUNTIME } else { 0 };
        if self.compat {
            bits |= flags::COMPAT;
        }
        if self.stale {
            bits |= flags::STALE;
        }
        bits
    }

    /// The current task, whoever it belongs to.
    #[inline(always)]
    pub(crate) fn anyone() -> Self {
        let ids = bpf_get_current_pid_tgid();
        let task = Task::current();
        Self {
            task,
            pid: (ids >> 32) as u32,
            tid: ids as u32,
            container: 0,
            cgroup: cgroup::of_current(task),
            runtime: false,
            compat: false,
            stale: false,
        }
    }

    /// The current task if it belongs to a container or to a trusted runtime; `None` for the host.
    #[inline(always)]
    pub(crate) fn current() -> Option<Self> {
        let ids = bpf_get_current_pid_tgid();
        Self::of(Task::current(), (ids >> 32) as u32, ids as u32)
    }

    /// As [`Self::current`], for programs that 5.10 does not let ask for the ids.
    #[inline(always)]
    pub(crate) fn current_by_task() -> Option<Self> {
        let task = Task::current();
        Self::of(task, task.tgid(), task.tid())
    }

    #[inline(always)]
    fn of(task: Task, pid: u32, tid: u32) -> Option<Self> {
        if pid == daemon_pid() {
            return None;
        }
        if let Some(entry) = entry(tid) {
            return Some(Self {
                task,
                pid,
                tid,
                container: entry.container,
                cgroup: cgroup::of_current(task),
                runtime: entry.flags & task_flags::RUNTIME != 0,
                compat: false,
                stale: entry.flags & task_flags::STALE != 0,
            });
        }
        let cgroup = cgroup::of_current(task);
        if cgroup == config!(root_cgroup) {
            return None;
        }
        let container = container_of(cgroup)?;
        adopt(task, tid, container);
        Some(Self { task, pid, tid, container, cgroup, runtime: false, compat: false, stale: false })
    }
}

/// True if the current task, which has no entry, is in a container's cgroup.
#[inline(always)]
pub(crate) fn is_unlisted(task: Task<Known>) -> bool {
    let cgroup = cgroup::of_current(task);
    cgroup != config!(root_cgroup) && container_of(cgroup).is_some()
}

/// True for the daemon itself, of which nothing is recorded.
#[inline(always)]
pub(crate) fn is_daemon(task: Task<Known>) -> bool {
    task.tgid() == daemon_pid()
}

/// A copy of a task's entry.
#[inline(always)]
pub(crate) fn entry(tid: u32) -> Option<TaskEntry> {
    // SAFETY: the entry is copied at once; a concurrent writer changes single fields only.
    unsafe { TASKS.get(&task_key(tid)) }.copied()
}

/// The container that a cgroup belongs to.
#[inline(always)]
pub(crate) fn container_of(cgroup: u64) -> Option<u64> {
    // SAFETY: one aligned u64 is read.
    unsafe { CGROUPS.get(&cgroup) }.map(|entry| entry.container)
}

/// The container that a task belongs to, 0 for the host.
#[inline(always)]
pub(crate) fn container_of_task(task: Task) -> u64 {
    match entry(task.tid()) {
        Some(entry) => entry.container,
        None => container_of(cgroup::of_task(task)).unwrap_or(0),
    }
}

/// Writes a task's entry; a full map is counted.
#[inline(always)]
pub(crate) fn put(tid: u32, entry: &TaskEntry) {
    if TASKS.insert(&task_key(tid), entry, 0).is_err() {
        count(Counter::TasksFull);
    }
}

/// Gives a task of a container its entry, if it has none: it is older than the daemon, or came by a way that
/// no hook saw.
#[inline(never)]
pub(crate) fn adopt(task: Task, tid: u32, container: u64) {
    let cred = task.cred();
    let entry = TaskEntry {
        container,
        state: 0,
        told: 0,
        cap_permitted: cred.cap_permitted,
        flags: task_flags::CREDS,
        uid: cred.uid,
        euid: cred.euid,
        suid: cred.suid,
        ..TaskEntry::default()
    };
    // EEXIST means that another CPU was first, which is as good.
    if let Err(errno) = TASKS.insert(&task_key(tid), &entry, NOEXIST)
        && errno != -17
    {
        count(Counter::TasksFull);
    }
}

/// Compares a container task with what was last seen of it, and reports what no hook explained. `task` is the subject's.
#[inline(always)]
pub(crate) fn compare<P: Object>(subject: &Subject, task: Task<P>) {
    if subject.runtime || subject.container == 0 {
        return;
    }
    let Some(entry) = TASKS.get_ptr_mut(&task_key(subject.tid)) else { return };
    let now = listed::digest(task);
    // SAFETY: a live map value; this task is the only one to write its entry.
    let before = unsafe { (*entry).state };
    if before != now {
        let reported = state::report(subject, state_reason::CHANGE, 0);
        // What was not reported is compared again at the next event: a change must not be lost in a flood.
        // SAFETY: as above.
        unsafe { (*entry).state = if reported { now } else { before } };
    }
}

/// Compares how seccomp and `no_new_privs` confine a container task with what was last seen, and reports what has
/// become less. Nothing in the kernel takes either back, so it is enough to look when programs and processes begin.
#[inline(always)]
pub(crate) fn compare_confined(subject: &Subject) {
    if subject.runtime || subject.container == 0 {
        return;
    }
    let Some(entry) = TASKS.get_ptr_mut(&task_key(subject.tid)) else { return };
    let now = Task::known().confined();
    // SAFETY: a live map value; this task is the only one to write its entry.
    let before = unsafe { core::mem::replace(&mut (*entry).confined, now) };
    if confined::fell(before, now) && !state::report(subject, state_reason::WEAKENED, before) {
        // SAFETY: as above.
        unsafe { (*entry).confined = before };
    }
}

/// Compares a container task's credentials with those last seen, and reports a change that no watched call
/// made: a 32-bit call, or a write to kernel memory. `task` is the subject's.
#[inline(always)]
pub(crate) fn compare_creds<P: Object>(subject: &Subject, task: Task<P>) {
    if subject.runtime || subject.container == 0 {
        return;
    }
    let Some(entry) = TASKS.get_ptr_mut(&task_key(subject.tid)) else { return };
    // SAFETY: a live map value.
    let (flags, old_uid, old_euid) = unsafe { ((*entry).flags, (*entry).uid, (*entry).euid) };
    if flags & task_flags::CREDS == 0 {
        return;
    }
    let (uid, euid) = task.uids();
    if uid != old_uid || euid != old_euid {
        report_creds(subject, 0, 0, 0);
    }
}

/// Writes a credentials record and remembers what it says. A function in the kernel, too: its record would take the
/// stack of every program that compares.
#[inline(never)]
pub(crate) fn report_creds(subject: &Subject, op: u32, ret: i32, wanted: u32) {
    let cred = subject.task.cred();
    let mut old = (cred.uid, cred.euid, cred.suid, cred.cap_permitted);
    if let Some(entry) = TASKS.get_ptr_mut(&task_key(subject.tid)) {
        // SAFETY: a live map value; this task is the only one to write its entry.
        unsafe {
            if (*entry).flags & task_flags::CREDS != 0 {
                old = ((*entry).uid, (*entry).euid, (*entry).suid, (*entry).cap_permitted);
            }
            (*entry).uid = cred.uid;
            (*entry).euid = cred.euid;
            (*entry).suid = cred.suid;
            (*entry).cap_permitted = cred.cap_permitted;
            (*entry).flags |= task_flags::CREDS;
        }
    }
    let Some(mut out) = reserve::<CredRecord, 0>(Ring::Critical, EventKind::Cred, subject) else { return };
    let user_ns = Ptr(cred.user_ns);
    let body = out.body_ptr();
    // SAFETY: `body` is the slot's payload, writable and aligned; every field is written. Field by field, for the
    // stack's sake.
    unsafe {
        (*body).old_cap_permitted = old.3;
        (*body).cap_permitted = cred.cap_permitted;
        (*body).cap_effective = cred.cap_effective;
        (*body).op = op;
        (*body).ret = ret;
        (*body).wanted = wanted;
        (*body).old_uid = old.0;
        (*body).old_euid = old.1;
        (*body).old_suid = old.2;
        (*body).new_uid = cred.uid;
        (*body).new_euid = cred.euid;
        (*body).new_suid = cred.suid;
        (*body).new_fsuid = cred.fsuid;
        (*body).new_gid = cred.gid;
        (*body).new_egid = cred.egid;
        (*body).user_ns = user_ns.read(F::UserInum);
        (*body).ns_root = ns::root_uid(user_ns);
    }
    out.submit_anywhere(subject, 0);
}
