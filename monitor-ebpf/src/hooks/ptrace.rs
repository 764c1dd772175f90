//! Access to other tasks (catalogue rows A10, A11, B14, C12, F12): the kernel's own check on the trampoline rung, the
//! calls that lead to it on the last.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::call::Call;
use monitor_common::event::{EventKind, Ptrace};
use monitor_common::policy::KEY_CANARY;

use crate::emit::{Ring, reserve};
use crate::filter::{self, Subject};
use crate::kernel::task::Task;
use crate::kernel::{Ptr, pid};
use crate::preempt;

/// `PTRACE_MODE_*` (kernel `include/linux/ptrace.h`).
const MODE_READ: u32 = 1;
const MODE_ATTACH: u32 = 2;
const MODE_REALCREDS: u32 = 16;
/// Requests of `ptrace(2)` that begin to trace (kernel `include/uapi/linux/ptrace.h`).
const PTRACE_TRACEME: u64 = 0;
const PTRACE_ATTACH: u64 = 16;
const PTRACE_SEIZE: u64 = 0x4206;

/// `int security_ptrace_access_check(struct task_struct *child, unsigned int mode)`, kernel
/// `security/security.c`.
#[fexit(function = "security_ptrace_access_check")]
fn security_ptrace_access_check(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        try_check(Task(Ptr(ctx.arg::<u64>(0))), ctx.arg::<u32>(1), ctx.arg::<i32>(2));
    });
    0
}

#[inline(always)]
fn try_check(target: Task, mode: u32, ret: i32) -> Option<()> {
    let subject = Subject::current()?;
    if subject.runtime || subject.container == 0 {
        return None;
    }
    report(&subject, target, Ptrace { mode, ret, ..Ptrace::default() })
}

/// `int security_ptrace_traceme(struct task_struct *parent)`, kernel `security/security.c`: a task lets its parent
/// trace it.
#[fexit(function = "security_ptrace_traceme")]
fn security_ptrace_traceme(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        try_traceme(Task(Ptr(ctx.arg::<u64>(0))), ctx.arg::<i32>(1));
    });
    0
}

#[inline(always)]
fn try_traceme(parent: Task, ret: i32) -> Option<()> {
    let subject = Subject::current()?;
    if subject.runtime || subject.container == 0 {
        return None;
    }
    let mode = MODE_ATTACH | MODE_REALCREDS;
    report(&subject, parent, Ptrace { mode, ret, op: Call::Ptrace as u32, ..Ptrace::default() })
}

/// Reports access to `target`, which may be null. To read what another task of the same container shows is left out:
/// every `ps` does it.
#[inline(always)]
fn report(subject: &Subject, target: Task, record: Ptrace) -> Option<()> {
    let object = target.0.is_valid();
    let target_container = if object { filter::container_of_task(target) } else { 0 };
    let within = object && target_container == subject.container;
    if within && record.mode & MODE_ATTACH == 0 && subject.container != KEY_CANARY {
        return None;
    }
    let ring = if within { Ring::Bulk } else { Ring::Critical };
    let mut out = reserve::<Ptrace, 0>(ring, EventKind::Ptrace, subject)?;
    let target_pid = if object { target.tgid() } else { 0 };
    out.body(Ptrace { target_container, target_pid, object: u32::from(object), ..record });
    out.submit(subject, 0);
    Some(())
}

/// The calls that ask for access, at their end.
#[inline(never)]
pub(crate) fn leave_ptrace(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    if subject.runtime || subject.container == 0 {
        return;
    }
    let _ = try_leave(subject, call, args, ret);
}

#[inline(always)]
fn try_leave(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) -> Option<()> {
    let (given, mode) = match call {
        Call::Ptrace if matches!(args[0], PTRACE_ATTACH | PTRACE_SEIZE) => (args[1], MODE_ATTACH),
        Call::Ptrace if args[0] == PTRACE_TRACEME => (0, MODE_ATTACH),
        Call::Ptrace => return None,
        Call::ProcessVmReadv | Call::ProcessVmWritev | Call::PidfdGetfd => (args[0], MODE_ATTACH),
        _ => (args[0], MODE_READ),
    };
    let target = match call {
        Call::Ptrace if given != 0 && ret >= 0 => pid::last_traced(subject.task),
        // A tracer of one's own choosing: the parent.
        Call::Ptrace if given == 0 => subject.task.parent(),
        Call::PidfdGetfd | Call::ProcessMadvise => pid::of_pidfd(subject.task.file(given as u32)),
        Call::PidfdOpen if ret >= 0 => pid::of_pidfd(subject.task.file(ret as u32)),
        _ => Task(Ptr::NULL),
    };
    let record = Ptrace {
        mode: mode | MODE_REALCREDS,
        ret: ret as i32,
        op: call as u32,
        given: given as u32,
        ..Ptrace::default()
    };
    if target.0.is_valid() || !pid::is_initial(subject.task) {
        return report(subject, target, record);
    }
    // The number is one of the initial namespace: the maps know it, though there is no object to be had.
    let target_container = match filter::entry(given as u32) {
        Some(entry) => entry.container,
        None => 0,
    };
    if target_container == subject.container && mode & MODE_ATTACH == 0 {
        return None;
    }
    let ring = if target_container == subject.container { Ring::Bulk } else { Ring::Critical };
    let mut out = reserve::<Ptrace, 0>(ring, EventKind::Ptrace, subject)?;
    out.body(Ptrace { target_container, target_pid: given as u32, object: 1, ..record });
    out.submit(subject, 0);
    Some(())
}
