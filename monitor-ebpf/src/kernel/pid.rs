//! `struct pid` (kernel `include/linux/pid.h`): from what stands for a process to its task.

use monitor_common::offsets::FieldId as F;

use super::Ptr;
use super::task::Task;

/// `PID_FS_MAGIC`, kernel `include/uapi/linux/magic.h`: pidfds from 6.9 on.
const PID_FS_MAGIC: u64 = 0x5049_4446;

/// The task of a `struct pid`; null if it is gone, or if this kernel does not tell.
///
/// `pid->tasks[PIDTYPE_PID]` is a list of one, linked through `task->pid_links[PIDTYPE_PID]`; the type is 0.
#[inline(always)]
pub(crate) fn task_of(pid: Ptr) -> Task {
    let node = pid.follow(F::PidTasks);
    if node.is_valid() { Task(node.container_of(F::TaskPidLinks)) } else { Task(Ptr::NULL) }
}

/// The task that a pidfd stands for. `file` must be a pidfd: before 6.9 nothing in it says so.
#[inline(always)]
pub(crate) fn of_pidfd(file: Ptr) -> Task {
    let inode = file.follow(F::FileInode);
    if inode.follow(F::InodeSb).read::<u64>(F::SbMagic) == PID_FS_MAGIC {
        return task_of(inode.follow(F::InodePrivate));
    }
    task_of(file.follow(F::FilePrivate))
}

/// True if a task's process ids are those of the initial pid namespace, so that a number that it gives is one
/// that Bulkhead knows.
#[inline(always)]
pub(crate) fn is_initial(task: Task) -> bool {
    let pid = task.0.follow(F::TaskThreadPid);
    pid.is_valid() && pid.read::<u32>(F::PidLevel) == 0
}

/// The task that `tracer` began to trace last; null if it traces none. The newest is at the head of the list
/// (`__ptrace_link()`, kernel `kernel/ptrace.c`).
#[inline(always)]
pub(crate) fn last_traced(tracer: Task) -> Task {
    let head = tracer.0.inside(F::TaskPtraced);
    let first = head.follow(F::ListNext);
    if first == head || !first.is_valid() {
        return Task(Ptr::NULL);
    }
    Task(first.container_of(F::TaskPtraceEntry))
}
