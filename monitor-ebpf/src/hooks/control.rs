//! Limits, scheduling and priority of tasks outside the container (catalogue row C13).

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::call::Call;
use monitor_common::event::{Control, EventKind};

use crate::emit::{Ring, reserve};
use crate::filter::{self, Subject};
use crate::kernel::Ptr;
use crate::kernel::pid;
use crate::kernel::task::Task;
use crate::preempt;

/// Reports a change of a task that is not of the subject's container.
#[inline(always)]
fn check(target: Task, call: Call, value: u32, ret: i32) -> Option<()> {
    let subject = Subject::current()?;
    if subject.runtime || subject.container == 0 {
        return None;
    }
    let target_container = filter::container_of_task(target);
    if target_container == subject.container {
        return None;
    }
    report(&subject, Control { target_container, target_pid: target.tgid(), op: call as u32, ret, value })
}

#[inline(always)]
fn report(subject: &Subject, record: Control) -> Option<()> {
    let mut out = reserve::<Control, 0>(Ring::Critical, EventKind::Control, subject)?;
    out.body(record);
    out.submit(subject, 0);
    Some(())
}

#[inline(always)]
fn task(ctx: &FExitContext) -> Task {
    Task(Ptr(ctx.arg::<u64>(0)))
}

/// `int security_task_setrlimit(struct task_struct *p, unsigned int resource, struct rlimit *new_rlim)`, kernel
/// `security/security.c`; `p` is the leader. A limit that is only read does not come here.
#[fexit(function = "security_task_setrlimit")]
fn security_task_setrlimit(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        check(task(&ctx), Call::Prlimit64, ctx.arg::<u32>(1), ctx.arg::<i32>(3));
    });
    0
}

/// `int security_task_setscheduler(struct task_struct *p)`, kernel `security/security.c`: class, parameters,
/// affinity.
#[fexit(function = "security_task_setscheduler")]
fn security_task_setscheduler(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        check(task(&ctx), Call::SchedSetscheduler, 0, ctx.arg::<i32>(1));
    });
    0
}

/// `int security_task_setnice(struct task_struct *p, int nice)`, kernel `security/security.c`.
#[fexit(function = "security_task_setnice")]
fn security_task_setnice(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        check(task(&ctx), Call::Setpriority, ctx.arg::<u32>(1), ctx.arg::<i32>(2));
    });
    0
}

/// `int security_task_setioprio(struct task_struct *p, int ioprio)`, kernel `security/security.c`.
#[fexit(function = "security_task_setioprio")]
fn security_task_setioprio(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        check(task(&ctx), Call::IoprioSet, ctx.arg::<u32>(1), ctx.arg::<i32>(2));
    });
    0
}

/// `PRIO_PROCESS`, and `IOPRIO_WHO_PROCESS` (man 2 setpriority, ioprio_set).
const PRIO_PROCESS: u64 = 0;
const IOPRIO_WHO_PROCESS: u64 = 1;

/// The process that a call is about, as a number, and what it sets; 0 for the caller itself, for groups of
/// processes, and for limits that are only read.
#[inline(always)]
fn target_of(call: Call, args: &[u64; 6]) -> (u32, u64) {
    match call {
        Call::Prlimit64 if args[2] == 0 => (0, 0),
        Call::Setpriority if args[0] != PRIO_PROCESS => (0, 0),
        Call::IoprioSet if args[0] != IOPRIO_WHO_PROCESS => (0, 0),
        Call::Setpriority | Call::IoprioSet => (args[1] as u32, args[2]),
        _ => (args[0] as u32, args[1]),
    }
}

/// True if another process is named.
#[inline(always)]
pub(crate) fn is_wanted(call: Call, args: &[u64; 6]) -> bool {
    target_of(call, args).0 != 0
}

/// The calls, at their end. The target is a number in the caller's pid namespace: only in the initial one is it
/// known whose it is, and in no other is a process of the host in reach.
#[inline(never)]
pub(crate) fn leave_control(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    let _ = try_leave(subject, call, args, ret);
}

#[inline(always)]
fn try_leave(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) -> Option<()> {
    if subject.runtime || subject.container == 0 {
        return None;
    }
    let (target, value) = target_of(call, args);
    if !pid::is_initial(subject.task) {
        return None;
    }
    let target_container = filter::entry(target).map_or(0, |entry| entry.container);
    if target_container == subject.container {
        return None;
    }
    let record = Control {
        target_container,
        target_pid: target,
        op: call as u32,
        ret: ret as i32,
        value: value as u32,
    };
    report(subject, record)
}
