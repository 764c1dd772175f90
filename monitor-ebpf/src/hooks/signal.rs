//! Signals from a container to tasks outside it (catalogue rows C13, H01).

use aya_ebpf::macros::{btf_tracepoint, fexit};
use aya_ebpf::programs::{BtfTracePointContext, FExitContext};
use monitor_common::event::{EventKind, Signal, signal_result};
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::KEY_CANARY;

use crate::emit::{Ring, reserve};
use crate::filter::{self, Subject};
use crate::kernel::Ptr;
use crate::kernel::task::Task;
use crate::preempt;

/// `SI_TIMER` (kernel `include/uapi/asm-generic/siginfo.h`): sent from a timer's interrupt, on behalf of nobody.
const SI_TIMER: i32 = -2;
/// `SI_ASYNCIO`: likewise, when an asynchronous operation ends.
const SI_ASYNCIO: i32 = -4;

/// A task of a container, of which a signal to that task leaves the container.
#[inline(always)]
fn crossing(target: Task) -> Option<(Subject, u64)> {
    let subject = Subject::current()?;
    if subject.runtime || subject.container == 0 {
        return None;
    }
    let container = filter::container_of_task(target);
    if container == subject.container && container != KEY_CANARY {
        return None;
    }
    Some((subject, container))
}

#[inline(always)]
fn report(subject: &Subject, record: Signal) -> Option<()> {
    let mut out = reserve::<Signal, 0>(Ring::Critical, EventKind::Signal, subject)?;
    out.body(record);
    out.submit(subject, 0);
    Some(())
}

/// `TP_PROTO(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result)`, kernel
/// `include/trace/events/signal.h`; also for signals that the target ignores, not for signal 0.
#[btf_tracepoint(function = "signal_generate")]
fn signal_generate(ctx: BtfTracePointContext) -> i32 {
    preempt::off_at_tracepoint(|| {
        try_generate(
            ctx.arg::<u64>(0) as u32,
            Ptr(ctx.arg::<u64>(1)),
            Task(Ptr(ctx.arg::<u64>(2))),
            ctx.arg::<u64>(4) as u32,
        );
    });
    0
}

#[inline(always)]
fn try_generate(signal: u32, info: Ptr, target: Task, result: u32) -> Option<()> {
    // `SEND_SIG_PRIV`: the kernel's own signals.
    if info.0 == 1 {
        return None;
    }
    // `SEND_SIG_NOINFO`, 0, is what kill(2) itself sends since 7.x: from the current task, and `SI_USER`.
    let code: i32 = if info.is_valid() { info.read(F::SiginfoCode) } else { 0 };
    // Positive codes are the kernel's; those of timers come in an interrupt, when `current` is anybody.
    if code > 0 || code == SI_TIMER || code == SI_ASYNCIO {
        return None;
    }
    let (subject, target_container) = crossing(target)?;
    report(
        &subject,
        Signal {
            target_container,
            target_pid: target.tgid(),
            target_tid: target.tid(),
            signal,
            code,
            result,
            ret: 0,
        },
    )
}

/// `int security_task_kill(struct task_struct *p, struct kernel_siginfo *info, int sig, const struct cred
/// *cred)`, kernel `security/security.c`; after the check of the user ids, also for signal 0.
#[fexit(function = "security_task_kill")]
fn security_task_kill(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        try_kill(
            Task(Ptr(ctx.arg::<u64>(0))),
            Ptr(ctx.arg::<u64>(1)),
            ctx.arg::<u64>(2) as u32,
            ctx.arg::<i32>(4),
        );
    });
    0
}

#[inline(always)]
fn try_kill(target: Task, info: Ptr, signal: u32, ret: i32) -> Option<()> {
    let (subject, target_container) = crossing(target)?;
    let code = if info.0 > 1 { info.read(F::SiginfoCode) } else { 0 };
    report(
        &subject,
        Signal {
            target_container,
            target_pid: target.tgid(),
            target_tid: target.tid(),
            signal,
            code,
            result: if ret == 0 { signal_result::ALLOWED } else { signal_result::REFUSED },
            ret,
        },
    )
}
