//! Exec and fork: scheduler tracepoints, which every kernel offers without trampolines.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use monitor_common::event::{EventKind, Exec, Fork, Namespace, exec_args, state_reason, transition};
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::{KEY_MNT_NS, TaskEntry, task_flags, trust};
use monitor_common::twice as number;

use super::arguments::{self, Strings};
use super::cgroup::{of_first_program, report_born, trusted};
use super::{host_exec, stdio};
use crate::emit::{PATH_MAX, Ring, reserve};
use crate::filter::{self, Subject};
use crate::kernel::task::Task;
use crate::kernel::{Known, Object as _, Ptr, cgroup, file, forget, mount, ns, overlay};
use crate::maps::{CONTAINERS, TASKS, config, daemon_pid, task_key};
use crate::{listed, state, storage, twice};

/// `TP_PROTO(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, kernel
/// `include/trace/events/sched.h`; called from `fs/exec.c` when the new program is in place.
#[btf_tracepoint(function = "sched_process_exec")]
fn process_exec(ctx: BtfTracePointContext) -> i32 {
    twice::first(number::EXEC, || {
        #[cfg(feature = "debug-log")]
        aya_log_ebpf::debug!(&ctx, "exec by thread {}", ctx.arg::<u32>(1));
        try_exec(ctx.arg::<u64>(1) as u32, Ptr(ctx.arg::<u64>(2)));
    });
    0
}

/// [`process_exec`] while that one is held.
#[btf_tracepoint(function = "sched_process_exec")]
fn process_exec_2(ctx: BtfTracePointContext) -> i32 {
    twice::second(number::EXEC, || {
        try_exec(ctx.arg::<u64>(1) as u32, Ptr(ctx.arg::<u64>(2)));
    });
    0
}

#[inline(always)]
fn try_exec(old_tid: u32, bprm: Ptr) -> Option<()> {
    let executable = bprm.follow(F::BinprmFile);
    let inode = file::inode_of(executable);
    let subject = Subject::anyone();
    if subject.pid == daemon_pid() {
        return None;
    }
    // An exec by a thread that is not the leader takes over the leader's id.
    if old_tid != subject.tid
        && let Some(moved) = filter::entry(old_tid)
    {
        filter::put(subject.tid, &moved);
        let _ = TASKS.remove(&task_key(old_tid));
    }
    let as_runtime = trust::task_flags(trusted(inode));
    let (subject, how) = match Subject::current() {
        None if as_runtime == 0 => return None,
        None => {
            let entry = TaskEntry { flags: as_runtime, ..TaskEntry::default() };
            filter::put(subject.tid, &entry);
            (Subject { runtime: true, ..subject }, transition::NONE)
        }
        Some(known) if !known.runtime => (known, transition::NONE),
        Some(known) if as_runtime != 0 || !is_container_content(known.task, executable) => {
            (known, transition::NONE)
        }
        Some(known) => enter(known),
    };
    let (subject, how) = forget((subject, how));
    // One call of each for all the cases above: the verifier pays for every copy.
    match how {
        transition::NONE => {
            filter::compare_confined(&subject);
            filter::compare(&subject, Task::known());
        }
        _ => {
            let entry = how == transition::ENTRY;
            if let Some(entered) = TASKS.get_ptr_mut(&task_key(subject.tid)) {
                let how = if entry { task_flags::ENTERED } else { task_flags::JOINED };
                // SAFETY: a live map value; this task is the only one to write its entry.
                unsafe { (*entered).flags |= how };
            }
            state::report(&subject, if entry { state_reason::ENTRY } else { state_reason::JOIN }, 0);
        }
    }
    Some(())
}

/// `TP_PROTO(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, kernel
/// `include/trace/events/sched.h`; attached after `process_exec`, which has settled whose task it is. Both together
/// would need more than the 512 bytes of stack that a program has.
#[btf_tracepoint(function = "sched_process_exec")]
fn process_exec_record(ctx: BtfTracePointContext) -> i32 {
    twice::first(number::EXEC_RECORD, || {
        try_exec_record(Ptr(ctx.arg::<u64>(2)));
    });
    0
}

/// [`process_exec_record`] while that one is held.
#[btf_tracepoint(function = "sched_process_exec")]
fn process_exec_record_2(ctx: BtfTracePointContext) -> i32 {
    twice::second(number::EXEC_RECORD, || {
        try_exec_record(Ptr(ctx.arg::<u64>(2)));
    });
    0
}

#[inline(always)]
fn try_exec_record(bprm: Ptr) -> Option<()> {
    let executable = bprm.follow(F::BinprmFile);
    let inode = file::inode_of(executable);
    let Some(subject) = Subject::current() else {
        host_exec::look(executable, inode);
        return None;
    };
    let how = take_transition(subject.tid);
    let strings = arguments::send(&subject, bprm);
    report_exec(&subject, executable, inode, how, &strings);
    if !subject.runtime {
        stdio::look(&subject);
    }
    if subject.runtime
        && trust::task_flags(trusted(inode)) == 0
        && subject.container == 0
        && mount_inum(executable) == config!(host_mnt_ns)
    {
        // A helper of the runtime on the host: from here on it is a host process like any other.
        let _ = TASKS.remove(&task_key(subject.tid));
    }
    Some(())
}

/// What the exec made of the task, as [`process_exec`] left it in its entry.
#[inline(always)]
fn take_transition(tid: u32) -> u32 {
    let Some(entry) = TASKS.get_ptr_mut(&task_key(tid)) else { return transition::NONE };
    // SAFETY: a live map value; this task is the only one to write its entry.
    let flags = unsafe { (*entry).flags };
    // SAFETY: as above.
    unsafe { (*entry).flags = flags & !(task_flags::ENTERED | task_flags::JOINED) };
    if flags & task_flags::ENTERED != 0 {
        transition::ENTRY
    } else if flags & task_flags::JOINED != 0 {
        transition::JOIN
    } else {
        transition::NONE
    }
}

/// Namespace that a file's mount belongs to.
#[inline(always)]
fn mount_inum(file: Ptr) -> u32 {
    mount::namespace_inum(file.follow(F::FileMnt))
}

/// True if a runtime task executes a file of the container: one in the task's own mount namespace, which is
/// not the host's, after the task has left the host's root directory.
#[inline(always)]
fn is_container_content(task: Task, executable: Ptr) -> bool {
    let own = ns::mnt_inum(task.mnt_ns());
    if own == 0 || own == config!(host_mnt_ns) || mount_inum(executable) != own {
        return false;
    }
    let id = file::id(task.root().1.follow(F::DentryInode));
    id.ino != config!(host_root_ino) || id.dev != config!(host_root_dev)
}

/// A runtime task becomes a task of its container: ENTRY the first time, JOIN after that.
#[inline(always)]
fn enter(known: Subject) -> (Subject, u32) {
    let mut container = known.container;
    if container == 0 {
        container = of_first_program(known.task, known.tid, known.cgroup);
    }
    if container == 0 {
        container = u64::from(ns::mnt_inum(known.task.mnt_ns())) | KEY_MNT_NS;
    }
    // SAFETY: two aligned numbers are read.
    let (entered, known_by) =
        unsafe { CONTAINERS.get(&container) }.map_or((0, 0), |known| (known.entered, known.known_by));
    // The number of a mount namespace is given again as soon as that one is gone, its id never.
    let is_another = known_by != 0 && known_by != known.task.mnt_ns().read::<u64>(F::MntId) as u32;
    let mut how = transition::JOIN;
    if entered == 0 || is_another {
        // SAFETY: the helper has no preconditions.
        let now = unsafe { bpf_ktime_get_boot_ns() };
        storage::enter(known.task, container, now);
        how = transition::ENTRY;
    }
    become_inside(known.task, known.tid, container);
    (Subject { container, runtime: false, ..known }, how)
}

/// Gives a task the entry of a task of its container. Not inlined: only the stack that it needs counts against
/// what is done after it.
#[inline(never)]
fn become_inside(task: Task, tid: u32, container: u64) {
    let cred = task.cred();
    filter::put(
        tid,
        &TaskEntry {
            container,
            state: listed::digest(Task::known()),
            cap_permitted: cred.cap_permitted,
            flags: task_flags::CREDS,
            uid: cred.uid,
            euid: cred.euid,
            suid: cred.suid,
            confined: task.confined(),
            ..TaskEntry::default()
        },
    );
}

#[inline(never)]
fn report_exec(subject: &Subject, executable: Ptr, inode: Ptr, how: u32, strings: &Strings) {
    // From here on its program is known, or the entry says otherwise.
    let subject = &Subject { stale: false, ..*subject };
    let task = subject.task;
    let cred = task.cred_ptr();
    let (mut known, mut old_euid, mut old_permitted) = (false, 0, 0);
    if let Some(entry) = TASKS.get_ptr_mut(&task_key(subject.tid)) {
        // SAFETY: a live map value.
        unsafe {
            known = (*entry).flags & task_flags::CREDS != 0;
            old_euid = (*entry).euid;
            old_permitted = (*entry).cap_permitted;
        }
    }
    let raised = known && old_euid != 0 && cred.read::<u32>(F::CredEuid) == 0;
    let ring = match how {
        transition::NONE if raised => Ring::Critical,
        transition::NONE => Ring::Bulk,
        _ => Ring::Vital,
    };
    let mut stale = task_flags::STALE;
    if let Some(mut out) =
        reserve::<Exec, { 2 * PATH_MAX + exec_args::INLINE + 32 }>(ring, EventKind::Exec, subject)
    {
        let facts = file::inode(inode);
        let body = out.body_ptr();
        // Field by field: a whole record on the stack would leave too little of its 512 bytes.
        // SAFETY: `body` is the slot's payload, writable and aligned; every field is written.
        unsafe {
            (*body).exe_ino = facts.ino;
            (*body).exe_ctime = facts.ctime;
            (*body).exe_magic = facts.magic;
            (*body).exe_dev = facts.dev;
            (*body).exe_nlink = facts.nlink;
            (*body).exe_mode = facts.mode;
            (*body).exe_uid = facts.uid;
            (*body).exe_layer = overlay::layer_of(inode, facts.magic);
            (*body).old_cap_permitted = old_permitted;
            ((*body).old_euid, (*body).old_known) = (old_euid, u32::from(known));
            (*body).cap_permitted = cred.read(F::CredCapPermitted);
            (*body).cap_effective = cred.read(F::CredCapEffective);
            (*body).gid = cred.read(F::CredGid);
            (*body).exec_id = task.exec_id();
            (*body).ppid = task.ppid();
            (*body).exe_mnt_ns = mount_inum(executable);
            (*body).transition = how;
            (*body).argv_len = strings.argv_len as u32;
            ((*body).secure, (*body).reserved) = (strings.secure, 0);
        }
        let root = task.root();
        out.path((executable.follow(F::FileMnt), executable.follow(F::FileDentry)), root);
        out.user_bytes::<{ exec_args::INLINE }>(strings.argv, strings.argv_len, 0);
        out.path(task.cwd(), root);
        if strings.environ == 0 {
            out.empty();
        } else {
            out.missing();
        }
        out.submit(subject, 0);
        stale = 0;
    }
    if let Some(entry) = TASKS.get_ptr_mut(&task_key(subject.tid)) {
        // SAFETY: a live map value; this task is the only one to write its entry.
        unsafe {
            (*entry).uid = cred.read(F::CredUid);
            (*entry).euid = cred.read(F::CredEuid);
            (*entry).suid = cred.read(F::CredSuid);
            (*entry).cap_permitted = cred.read(F::CredCapPermitted);
            let kept = (*entry).flags & !(task_flags::STALE | task_flags::OF_PROGRAM);
            (*entry).flags = kept | task_flags::CREDS | stale;
        }
    }
}

/// `TP_PROTO(struct task_struct *parent, struct task_struct *child)`, kernel `include/trace/events/sched.h`;
/// called from `kernel_clone()` after the child has been put into its cgroup.
#[btf_tracepoint(function = "sched_process_fork")]
fn process_fork(ctx: BtfTracePointContext) -> i32 {
    twice::first(number::FORK, || {
        try_fork(Task(Known::argument(ctx.arg::<u64>(1))));
    });
    0
}

/// [`process_fork`] while that one is held.
#[btf_tracepoint(function = "sched_process_fork")]
fn process_fork_2(ctx: BtfTracePointContext) -> i32 {
    twice::second(number::FORK, || {
        try_fork(Task(Known::argument(ctx.arg::<u64>(1))));
    });
    0
}

#[inline(always)]
fn try_fork(child: Task<Known>) -> Option<()> {
    let (tid, pid) = (child.tid(), child.tgid());
    let child_cgroup = cgroup::of_task(child);
    let Some(parent) = Subject::current() else {
        // A host process may put its child straight into a container (CLONE_INTO_CGROUP).
        if child_cgroup != config!(root_cgroup)
            && let Some(container) = filter::container_of(child_cgroup)
        {
            filter::adopt(Task(child.0.address()), tid, container);
        }
        return None;
    };
    filter::compare_confined(&parent);
    let mut entry = filter::entry(parent.tid)?;
    if child_cgroup != parent.cgroup {
        report_born(&parent, Task(child.0.address()), child_cgroup, &mut entry);
    }
    filter::put(tid, &entry);
    if tid != pid {
        return None;
    }
    if let Some(mut out) = reserve::<Fork, 0>(Ring::Bulk, EventKind::Fork, &parent) {
        out.body(Fork {
            child_started: child.started(),
            child_cgroup,
            child_pid: pid,
            child_ppid: child.ppid(),
        });
        out.submit(&parent, 0);
    }
    if !parent.runtime
        && parent.container != 0
        && child.nsproxy().address() != Task::known().nsproxy().address()
    {
        let names = ns::Inums::of(child);
        if let Some(mut out) = reserve::<Namespace, 0>(Ring::Critical, EventKind::Namespace, &parent) {
            out.body(Namespace {
                flags: 0,
                op: 12,
                ret: 0,
                wanted_ns: 0,
                mnt_ns: names.mnt,
                pid_ns: names.pid,
                net_ns: names.net,
                ipc_ns: names.ipc,
                uts_ns: names.uts,
                cgroup_ns: names.cgroup,
                time_ns: names.time,
                user_ns: names.user,
                child_pid: pid,
            });
            out.submit(&parent, 0);
        }
    }
    Some(())
}
