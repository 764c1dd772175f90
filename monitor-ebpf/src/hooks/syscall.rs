//! The last rung: one program at the end of every system call, which hands the watched ones of containers over
//! to the program of their family by a tail call.
//!
//! Not the tracepoints of single calls: they do not run for 32-bit calls, each takes a grace period to detach,
//! and the kernel's slow path for system calls is on either way (`docs/decisions/0008`).

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use monitor_common::call::{Call, X32_BIT, table};

use super::{call, change_call, control, datagram, ioctl, memory, ptrace, receive, sensitive, socket_create};
use crate::filter::{self, Subject};
use crate::kernel::task::Task;
use crate::kernel::{Ptr, forget, read_user, regs};
use crate::maps::{CALL_PROGRAMS, CALL_TABLE};
use crate::preempt;

/// A watched call that has ended.
#[derive(Clone, Copy)]
struct Ended {
    /// Number of the [`Call`].
    call: u32,
    entry: Entry,
    regs: Ptr,
}

/// By which way a call came into the kernel: where its arguments are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    Native,
    Compat,
    Socketcall,
}

/// `TP_PROTO(struct pt_regs *regs, long ret)`, kernel `include/trace/events/syscalls.h`. Runs on every system call
/// of every task: a number that is not watched costs one read and one look into an array.
#[btf_tracepoint(function = "sys_exit")]
fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    // The verifier lets no program go by a tail call while preemption is off: that one switches it off itself.
    let ended = preempt::off(|| Ended::read(&ctx).filter(|_| Subject::current().is_some()));
    if let Some(ended) = ended {
        // SAFETY: nothing here needs dropping; if there is no program for the call, this one just ends.
        unsafe { CALL_PROGRAMS.tail_call(&ctx, ended.call) };
    }
    0
}

impl Ended {
    /// The watched call that `sys_exit` is about; `None` if it is not watched.
    #[inline(always)]
    fn read(ctx: &BtfTracePointContext) -> Option<Self> {
        let place = watched(regs::number(ctx.arg::<*const u8>(0)) & !X32_BIT);
        if place == 0 {
            return None;
        }
        let regs = Ptr(ctx.arg::<u64>(0));
        let (mut call, mut entry) = (table::native(place), Entry::Native);
        if Task::current().in_compat_call() {
            (call, entry) = (table::compat(place), Entry::Compat);
        }
        if call == table::MULTIPLEXED {
            let operation = regs::compat_arguments(regs)[0] as u32;
            (call, entry) = (table::compat(watched(operation + table::NUMBERS)), Entry::Socketcall);
        }
        if call == 0 { None } else { Some(Self { call, entry, regs }) }
    }

    /// The arguments, wherever the program put them.
    #[inline(always)]
    fn arguments(self) -> [u64; 6] {
        match self.entry {
            Entry::Native => regs::ended_arguments(self.regs),
            Entry::Compat => regs::compat_arguments(self.regs),
            Entry::Socketcall => read_user::<[u32; 6]>(regs::compat_arguments(self.regs)[1]).map(u64::from),
        }
    }
}

/// A place of the table, 0 beyond its end.
#[inline(always)]
fn watched(index: u32) -> u32 {
    CALL_TABLE.get(index).copied().unwrap_or(0)
}

#[inline(always)]
fn at_exit(ctx: &BtfTracePointContext, leave: impl FnOnce(&Subject, Call, &[u64; 6], i64)) -> Option<()> {
    let mut subject = Subject::current()?;
    let ended = Ended::read(ctx)?;
    let call = Call::from_raw(ended.call)?;
    subject.compat = ended.entry != Entry::Native;
    if !call.sets_credentials() {
        // A write to kernel memory, or a call that is not watched, since the last event of this task.
        filter::compare_creds(&subject);
    }
    let args = ended.arguments();
    let (subject, call) = forget((subject, call));
    leave(&subject, call, &args, ctx.arg::<i64>(1));
    // What the call changed is remembered, so that it is not reported again as unexplained.
    filter::compare(&subject);
    Some(())
}

macro_rules! at_exit {
    ($( $program:ident: $leave:path; )+) => {$(
        #[doc = concat!("The calls that `", stringify!($leave), "` reports; reached by tail call from `sys_exit`.")]
        #[btf_tracepoint(function = "sys_exit")]
        fn $program(ctx: BtfTracePointContext) -> i32 {
            preempt::off(|| {
            at_exit(&ctx, $leave);
            });
            0
        }
    )+};
}

at_exit! {
    call_mount: call::leave_mount;
    call_root: call::leave_root;
    call_cred: call::leave_cred;
    call_namespace: call::leave_namespace;
    call_socket: call::leave_socket;
    call_open: call::leave_open;
    call_sensitive: sensitive::leave_sensitive;
    call_bpf: sensitive::leave_bpf;
    call_perf: sensitive::leave_perf;
    call_socket_create: socket_create::leave_socket_create;
    call_send: datagram::leave_send;
    call_receive: receive::leave_receive;
    call_memfd: memory::leave_memfd;
    call_fanotify: call::leave_fanotify;
    call_change: change_call::leave_change;
    call_change_fd: change_call::leave_change_fd;
    call_ptrace: ptrace::leave_ptrace;
}

/// Families with calls that programs make all the time, of which few are of interest: those are told by their
/// arguments, before anything else is done.
macro_rules! at_exit_if {
    ($( $program:ident: $leave:path, if $wanted:path; )+) => {$(
        #[doc = concat!("The calls that `", stringify!($leave), "` reports, if `", stringify!($wanted), "`.")]
        #[btf_tracepoint(function = "sys_exit")]
        fn $program(ctx: BtfTracePointContext) -> i32 {
            preempt::off(|| {
            if let Some(ended) = Ended::read(&ctx)
                && let Some(call) = Call::from_raw(ended.call)
                && $wanted(call, &ended.arguments())
            {
                at_exit(&ctx, $leave);
            }
            });
            0
        }
    )+};
}

at_exit_if! {
    call_memory: memory::leave_memory, if memory::is_wanted;
    call_control: control::leave_control, if control::is_wanted;
    call_ioctl: ioctl::leave_ioctl, if ioctl::is_wanted;
}
