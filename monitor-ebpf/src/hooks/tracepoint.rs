//! The last rung: tracepoints of single system calls. One program serves many calls: the number is in the
//! record that the tracepoint gives.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use monitor_common::call::Call;
use monitor_common::counters::Counter;

use super::call;
use crate::filter::{self, Subject};
use crate::maps::{CALLS, PendingCall, config, count};

/// Offsets of `struct syscall_trace_enter` and `struct syscall_trace_exit` (kernel `kernel/trace/trace.h`):
/// `struct trace_entry` is 8 bytes, then the number, then at 16 the arguments or the result.
const NR: usize = 8;
const DATA: usize = 16;

#[inline(always)]
fn call_of(nr: u32) -> Option<Call> {
    if config().aarch64 == 1 { Call::from_aarch64(nr) } else { Call::from_x86_64(nr) }
}

/// `syscalls:sys_enter_<call>`: keeps the arguments until the exit.
#[tracepoint]
fn call_enter(ctx: TracePointContext) -> u32 {
    try_enter(&ctx);
    0
}

#[inline(always)]
fn try_enter(ctx: &TracePointContext) -> Option<()> {
    let subject = Subject::current()?;
    // A 32-bit call, or a write to kernel memory, since the last event of this task.
    filter::compare_creds(&subject);
    // SAFETY: both lie within the tracepoint's record.
    let (nr, args) = unsafe { (ctx.read_at::<u32>(NR).ok()?, ctx.read_at::<[u64; 5]>(DATA).ok()?) };
    if CALLS.insert(&subject.tid, &PendingCall { nr: u64::from(nr), args }, 0).is_err() {
        count(Counter::CallsFull);
    }
    Some(())
}

/// The end of a call: also of one that seccomp refused, which has no entry.
#[inline(always)]
fn at_exit(ctx: &TracePointContext, leave: impl FnOnce(&Subject, Call, &[u64; 5], i64)) -> Option<()> {
    let subject = Subject::current()?;
    // SAFETY: both lie within the tracepoint's record.
    let (nr, ret) = unsafe { (ctx.read_at::<u32>(NR).ok()?, ctx.read_at::<i64>(DATA).ok()?) };
    let call = call_of(nr)?;
    let tid = bpf_get_current_pid_tgid() as u32;
    // SAFETY: copied at once; only this task writes its entry.
    let args = match unsafe { CALLS.get(&tid) } {
        Some(pending) if pending.nr == u64::from(nr) => pending.args,
        _ => [0; 5],
    };
    let _ = CALLS.remove(&tid);
    leave(&subject, call, &args, ret);
    // What the call changed is remembered, so that it is not reported again as unexplained.
    filter::compare(&subject);
    Some(())
}

macro_rules! at_exit {
    ($( $program:ident: $leave:path; )+) => {$(
        #[doc = concat!("`syscalls:sys_exit_<call>` of the calls that `", stringify!($leave), "` reports.")]
        #[tracepoint]
        fn $program(ctx: TracePointContext) -> u32 {
            at_exit(&ctx, $leave);
            0
        }
    )+};
}

at_exit! {
    call_exit_mount: call::leave_mount;
    call_exit_root: call::leave_root;
    call_exit_cred: call::leave_cred;
    call_exit_namespace: call::leave_namespace;
    call_exit_socket: call::leave_socket;
}

/// `syscalls:sys_exit_{open,openat,openat2,open_by_handle_at,creat}`.
#[tracepoint]
fn open_exit(ctx: TracePointContext) -> u32 {
    try_open(&ctx);
    0
}

#[inline(always)]
fn try_open(ctx: &TracePointContext) -> Option<()> {
    let subject = Subject::current()?;
    filter::compare_creds(&subject);
    // SAFETY: the result lies within the tracepoint's record.
    let ret = unsafe { ctx.read_at::<i64>(DATA) }.ok()?;
    call::leave_open(&subject, ret);
    filter::compare(&subject);
    Some(())
}
