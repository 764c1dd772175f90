//! Access to tasks of other containers (catalogue row B14): the trampoline rung only.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::event::{EventKind, Ptrace};

use crate::emit::{Ring, reserve};
use crate::filter::{self, Subject};
use crate::kernel::task::Task;
use crate::kernel::{Ptr, cgroup};

/// `int security_ptrace_access_check(struct task_struct *child, unsigned int mode)`, kernel
/// `security/security.c`.
#[fexit(function = "security_ptrace_access_check")]
fn security_ptrace_access_check(ctx: FExitContext) -> i32 {
    try_ptrace(Task(Ptr(ctx.arg::<u64>(0))), ctx.arg::<u32>(1), ctx.arg::<i32>(2));
    0
}

#[inline(always)]
fn try_ptrace(target: Task, mode: u32, ret: i32) -> Option<()> {
    let subject = Subject::current()?;
    if subject.runtime || subject.container == 0 {
        return None;
    }
    let target_container = match filter::entry(target.tid()) {
        Some(entry) => entry.container,
        None => filter::container_of(cgroup::of_task(target)).unwrap_or(0),
    };
    if target_container == subject.container {
        return None;
    }
    let mut out = reserve::<Ptrace, 0>(Ring::Critical, EventKind::Ptrace, &subject)?;
    out.body(Ptrace { target_container, target_pid: target.tgid(), mode, ret, reserved: 0 });
    out.submit(&subject, 0);
    Some(())
}
