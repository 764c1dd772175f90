//! Cgroups made, removed, and tasks moved or born into them: the moments that make a container.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use monitor_common::counters::Counter;
use monitor_common::event::{Cgroup, EventKind, cgroup_op};
use monitor_common::policy::{CgroupEntry, ContainerEntry, KEY_V1, TaskEntry, task_flags};

use crate::emit::{Ring, STRING_MAX, reserve};
use crate::filter::{self, Subject};
use crate::kernel::task::Task;
use crate::kernel::{Ptr, cgroup, file};
use crate::maps::{CGROUPS, CONTAINERS, TRUSTED, config, count};
use crate::preempt;
use crate::storage;

/// Tail of a cgroup record: one path.
const TAIL: usize = STRING_MAX + 8;

/// What a file is trusted for, 0 for nothing.
#[inline(always)]
pub(crate) fn trusted(inode: Ptr) -> u32 {
    let id = file::id(inode);
    // SAFETY: one aligned u32 is read.
    unsafe { TRUSTED.get(&id) }.copied().unwrap_or(0)
}

/// True if the current task runs a trusted program.
#[inline(always)]
fn mover_trusted() -> bool {
    trusted(file::inode_of(Task::current().exe_file())) != 0
}

/// The current task with its container, also if it is the host's.
#[inline(always)]
fn actor() -> Subject {
    match Subject::current() {
        Some(subject) => subject,
        None => Subject::anyone(),
    }
}

/// `TP_PROTO(struct cgroup *cgrp, const char *path)`, kernel `include/trace/events/cgroup.h`.
#[btf_tracepoint(function = "cgroup_mkdir")]
fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    preempt::off_at_tracepoint(|| {
        try_mkdir(Ptr(ctx.arg::<u64>(0)), ctx.arg::<u64>(1));
    });
    0
}

#[inline(always)]
fn try_mkdir(cgrp: Ptr, path: u64) -> Option<()> {
    let id = cgroup::id(cgrp)?;
    let container = filter::container_of(cgroup::parent_id(cgrp)).unwrap_or(0);
    if container != 0 && CGROUPS.insert(&id, &CgroupEntry { container }, 0).is_err() {
        count(Counter::CgroupsFull);
    }
    report(
        &actor(),
        Cgroup {
            id: id & !KEY_V1,
            dst_container: container,
            op: cgroup_op::MKDIR,
            hierarchy: cgroup::hierarchy(cgrp),
            ..Cgroup::default()
        },
        path,
    );
    Some(())
}

/// `TP_PROTO(struct cgroup *cgrp, const char *path)`, kernel `include/trace/events/cgroup.h`.
#[btf_tracepoint(function = "cgroup_rmdir")]
fn cgroup_rmdir(ctx: BtfTracePointContext) -> i32 {
    preempt::off_at_tracepoint(|| {
        try_rmdir(Ptr(ctx.arg::<u64>(0)), ctx.arg::<u64>(1));
    });
    0
}

#[inline(always)]
fn try_rmdir(cgrp: Ptr, path: u64) -> Option<()> {
    let id = cgroup::id(cgrp)?;
    let container = filter::container_of(id).unwrap_or(0);
    if container != 0 {
        let _ = CGROUPS.remove(&id);
        if container == id {
            storage::forget(id);
            let _ = CONTAINERS.remove(&id);
        }
    }
    report(
        &actor(),
        Cgroup {
            id: id & !KEY_V1,
            dst_container: container,
            op: cgroup_op::RMDIR,
            hierarchy: cgroup::hierarchy(cgrp),
            ..Cgroup::default()
        },
        path,
    );
    Some(())
}

/// `TP_PROTO(struct cgroup *dst_cgrp, const char *path, struct task_struct *task, bool threadgroup)`, kernel
/// `include/trace/events/cgroup.h`; `task` is the leader of what moves.
#[btf_tracepoint(function = "cgroup_attach_task")]
fn cgroup_attach(ctx: BtfTracePointContext) -> i32 {
    preempt::off_at_tracepoint(|| {
        try_attach(Ptr(ctx.arg::<u64>(0)), ctx.arg::<u64>(1), Task(Ptr(ctx.arg::<u64>(2))));
    });
    0
}

#[inline(always)]
fn try_attach(dst: Ptr, path: u64, task: Task) -> Option<()> {
    let id = cgroup::id(dst)?;
    let tid = task.tid();
    let mut dst_container = filter::container_of(id).unwrap_or(0);
    let mut record = Cgroup {
        id: id & !KEY_V1,
        op: cgroup_op::ATTACH,
        task_pid: task.tgid(),
        task_tid: tid,
        hierarchy: cgroup::hierarchy(dst),
        ..Cgroup::default()
    };
    match filter::entry(tid) {
        Some(mut entry) => {
            record.task_container = entry.container;
            if entry.flags & task_flags::RUNTIME != 0 {
                record.task_runtime = 1;
                dst_container = settle(&mut entry, id, dst_container);
                filter::put(tid, &entry);
            }
        }
        None if dst_container == 0 => return None,
        None => filter::adopt(task, tid, dst_container),
    }
    record.dst_container = dst_container;
    let actor = actor();
    record.mover_trusted = u32::from(actor.runtime || mover_trusted());
    report(&actor, record, path);
    Some(())
}

/// A trusted runtime task arrives in a cgroup: it joins that container, or makes the cgroup a new one.
#[inline(always)]
fn settle(entry: &mut TaskEntry, cgroup: u64, found: u64) -> u64 {
    if found != 0 {
        entry.container = found;
        return found;
    }
    // A resident runtime's supervisor goes to a cgroup, too.
    if cgroup == config!(root_cgroup) || entry.container != 0 || entry.flags & task_flags::RESIDENT != 0 {
        return 0;
    }
    entry.container = claim(cgroup);
    entry.container
}

/// Makes a cgroup the top one of a new container. Gives the container, 0 if there is no room for it.
#[inline(always)]
fn claim(cgroup: u64) -> u64 {
    if CGROUPS.insert(&cgroup, &CgroupEntry { container: cgroup }, 0).is_err() {
        count(Counter::CgroupsFull);
        return 0;
    }
    if CONTAINERS.insert(&cgroup, &ContainerEntry::default(), 0).is_err() {
        count(Counter::ContainersFull);
        return 0;
    }
    cgroup
}

/// The container whose first program a runtime's task executes, by its cgroup; 0 for none. A resident runtime makes one of
/// the cgroup that it put the task into, unless the one who stays outside is in the same: the parent, or that one's
/// (`lxc-execute` has a process of its own inside).
#[inline(always)]
pub(crate) fn of_first_program(task: Task, tid: u32, cgroup: u64) -> u64 {
    if let Some(known) = filter::container_of(cgroup) {
        return known;
    }
    let resident = filter::entry(tid).is_some_and(|entry| entry.flags & task_flags::RESIDENT != 0);
    if !resident || cgroup == config!(root_cgroup) {
        return 0;
    }
    let mut outside = task.parent();
    if outside.mnt_ns().0 == task.mnt_ns().0 {
        outside = outside.parent();
    }
    if cgroup::of_task(outside) == cgroup { 0 } else { claim(cgroup) }
}

/// A child was born in another cgroup than its parent's. `entry` is what the child inherits.
#[inline(always)]
pub(crate) fn report_born(parent: &Subject, child: Task, cgroup: u64, entry: &mut TaskEntry) {
    let mut dst_container = filter::container_of(cgroup).unwrap_or(0);
    let task_container = entry.container;
    if entry.flags & task_flags::RUNTIME != 0 {
        dst_container = settle(entry, cgroup, dst_container);
    }
    let record = Cgroup {
        id: cgroup & !KEY_V1,
        dst_container,
        task_container,
        op: cgroup_op::BORN,
        task_pid: child.tgid(),
        task_tid: child.tid(),
        mover_trusted: u32::from(parent.runtime),
        task_runtime: u32::from(parent.runtime),
        hierarchy: 0,
    };
    report(parent, record, 0);
}

#[inline(always)]
fn report(actor: &Subject, record: Cgroup, path: u64) {
    let Some(mut out) = reserve::<Cgroup, TAIL>(Ring::Critical, EventKind::Cgroup, actor) else { return };
    out.body(record);
    out.kernel_string(path, 0);
    out.submit(actor, 0);
}
