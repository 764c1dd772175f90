//! The last rung: one program at the end of every system call, which hands the watched ones of containers over
//! to the program of their family by a tail call.
//!
//! Not the tracepoints of single calls: they do not run for 32-bit calls, each takes a grace period to detach,
//! and the kernel's slow path for system calls is on either way (`docs/decisions/0008`).

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use monitor_common::call::{Call, X32_BIT, table};
use monitor_common::twice::SYS_EXIT;

use super::{
    call, change_call, control, datagram, exec_failed, file, ioctl, memory, ptrace, receive, sensitive,
    socket_create, splice,
};
use crate::filter::{self, Subject};
use crate::kernel::task::Task;
use crate::kernel::{Known, forget, read_user, regs};
use crate::listed::{self, Listed};
use crate::maps::{CALL_PROGRAMS, CALL_TABLE};
use crate::{preempt, twice};

/// A watched call that has ended.
#[derive(Clone, Copy)]
struct Ended {
    /// Number of the [`Call`].
    call: u32,
    entry: Entry,
    regs: Known,
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
    twice::begin(SYS_EXIT);
    let call = preempt::off_at_tracepoint(|| wanted(&ctx));
    go_to(&ctx, call);
    twice::end(SYS_EXIT);
    0
}

/// [`sys_exit`] while that one is held.
#[btf_tracepoint(function = "sys_exit")]
fn sys_exit_2(ctx: BtfTracePointContext) -> i32 {
    if twice::is_held(SYS_EXIT) {
        let call = preempt::off_at_tracepoint(|| wanted(&ctx));
        go_to(&ctx, call);
    }
    0
}

/// Number of the [`Call`] that has ended, 0 if nothing is to be done about it.
#[inline(always)]
fn wanted(ctx: &BtfTracePointContext) -> u32 {
    let Some(place) = place_of(ctx) else { return 0 };
    let task = Task::known();
    match Ended::of(ctx, place, task) {
        Some(ended) if !ended.is_quiet(task, ctx.arg::<i64>(1)) => ended.call,
        _ => 0,
    }
}

/// Goes on in the program of the call. The verifier lets none do so while preemption is off: that one switches it off
/// itself.
#[inline(always)]
fn go_to(ctx: &BtfTracePointContext, call: u32) {
    if call != 0 {
        // SAFETY: nothing here needs dropping; if there is no program for the call, this one just ends.
        unsafe { CALL_PROGRAMS.tail_call(ctx, call) };
    }
}

impl Ended {
    /// The watched call that `sys_exit` is about; `None` if it is not watched.
    #[inline(always)]
    fn read(ctx: &BtfTracePointContext) -> Option<Self> {
        Self::of(ctx, place_of(ctx)?, Task::known())
    }

    /// The same, of which the place in the table is known; `task` is the current one.
    #[inline(always)]
    fn of(ctx: &BtfTracePointContext, place: u32, task: Task<Known>) -> Option<Self> {
        let regs = Known::argument(ctx.arg::<u64>(0));
        let (mut call, mut entry) = (table::native(place), Entry::Native);
        if task.in_compat_call() {
            (call, entry) = (table::compat(place), Entry::Compat);
        }
        if call == table::MULTIPLEXED {
            let operation = regs::compat_arguments(regs)[0] as u32;
            (call, entry) = (table::compat(watched(operation + table::NUMBERS)), Entry::Socketcall);
        }
        if call == 0 { None } else { Some(Self { call, entry, regs }) }
    }

    /// True if it is nobody's, or an open of which there is nothing to say: most of what ends here, told with one look for
    /// the task, which is the current one. `ret` is its result.
    #[inline(always)]
    fn is_quiet(self, task: Task<Known>, ret: i64) -> bool {
        if filter::is_daemon(task) {
            return true;
        }
        let Some(listed) = Listed::of(task) else { return !filter::is_unlisted(task) };
        is_open(self.call)
            && (ret < 0 || file::is_quiet(listed, task.opened(ret as u32)))
            && !listed.has_changed()
    }

    /// The arguments, wherever the program put them.
    #[inline(always)]
    fn arguments(self) -> [u64; 6] {
        let mut args = [0; 6];
        read_arguments(self.regs, self.entry as u32, &mut args);
        args
    }
}

/// An open by name. One by a handle is always reported.
#[inline(always)]
fn is_open(call: u32) -> bool {
    call == Call::Openat as u32
        || call == Call::Open as u32
        || call == Call::Openat2 as u32
        || call == Call::Creat as u32
}

/// Not inlined: the stack that it needs is not the caller's.
#[inline(never)]
fn read_arguments(regs: Known, entry: u32, to: &mut [u64; 6]) {
    *to = if entry == Entry::Native as u32 {
        regs::ended_arguments(regs)
    } else if entry == Entry::Compat as u32 {
        regs::compat_arguments(regs)
    } else {
        read_user::<[u32; 6]>(regs::compat_arguments(regs)[1]).map(u64::from)
    };
}

/// What the table has for the number of a call; `None` if it is not watched.
#[inline(always)]
fn place_of(ctx: &BtfTracePointContext) -> Option<u32> {
    let place = watched(regs::number(ctx.arg::<*const u8>(0)) & !X32_BIT);
    if place == 0 { None } else { Some(place) }
}

/// A place of the table, 0 beyond its end.
#[inline(always)]
fn watched(index: u32) -> u32 {
    CALL_TABLE.get(index).copied().unwrap_or(0)
}

/// Hands a call to its family; true if the task is not as it was last seen, by a call that no hook explains, or by a
/// write to kernel memory.
#[inline(always)]
fn at_exit(ctx: &BtfTracePointContext, leave: impl FnOnce(&Subject, Call, &[u64; 6], i64)) -> Option<bool> {
    let mut subject = Subject::current()?;
    let ended = Ended::read(ctx)?;
    let call = Call::from_raw(ended.call)?;
    subject.compat = ended.entry != Entry::Native;
    // By three ways the arguments come here, each of which the verifier of 5.10 would follow to the end.
    let args = forget(ended.arguments());
    let (subject, call) = forget((subject, call));
    leave(&subject, call, &args, ctx.arg::<i64>(1));
    Some(listed::has_changed())
}

/// Goes on in [`call_compare`] if there is something to report, else this is the end.
#[inline(always)]
fn go_on(ctx: &BtfTracePointContext, changed: Option<bool>) {
    if changed == Some(true) {
        // SAFETY: nothing here needs dropping; without the program this one just ends.
        unsafe { CALL_PROGRAMS.tail_call(ctx, table::COMPARE) };
    }
    twice::end(SYS_EXIT);
}

/// Reports what no hook explains of a task that has ended a watched call. A program of its own: the state record takes
/// stack and verifier's time that the programs of the families need themselves.
#[btf_tracepoint(function = "sys_exit")]
fn call_compare(_ctx: BtfTracePointContext) -> i32 {
    preempt::off_at_tracepoint(|| {
        if let Some(subject) = Subject::current() {
            filter::compare_creds(&subject, Task::known());
            filter::compare(&subject, Task::known());
        }
    });
    twice::end(SYS_EXIT);
    0
}

macro_rules! at_exit {
    ($( $program:ident: $leave:path; )+) => {$(
        #[doc = concat!("The calls that `", stringify!($leave), "` reports; reached by tail call from `sys_exit`.")]
        #[btf_tracepoint(function = "sys_exit")]
        fn $program(ctx: BtfTracePointContext) -> i32 {
            let changed = preempt::off_at_tracepoint(|| at_exit(&ctx, $leave));
            go_on(&ctx, changed);
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

/// Execs that fail: an exec that succeeds is looked at where it happens, and most that fail found no file.
#[btf_tracepoint(function = "sys_exit")]
fn call_exec(ctx: BtfTracePointContext) -> i32 {
    let changed = if exec_failed::is_wanted(ctx.arg::<i64>(1)) {
        preempt::off_at_tracepoint(|| at_exit(&ctx, exec_failed::leave_exec))
    } else {
        None
    };
    go_on(&ctx, changed);
    0
}

/// Families with calls that programs make all the time, of which few are of interest: those are told by their
/// arguments, before anything else is done.
macro_rules! at_exit_if {
    ($( $program:ident: $leave:path, if $wanted:path; )+) => {$(
        #[doc = concat!("The calls that `", stringify!($leave), "` reports, if `", stringify!($wanted), "`.")]
        #[btf_tracepoint(function = "sys_exit")]
        fn $program(ctx: BtfTracePointContext) -> i32 {
            let changed = preempt::off_at_tracepoint(|| {
                let ended = Ended::read(&ctx)?;
                let call = Call::from_raw(ended.call)?;
                if $wanted(call, &ended.arguments()) { at_exit(&ctx, $leave) } else { None }
            });
            go_on(&ctx, changed);
            0
        }
    )+};
}

at_exit_if! {
    call_memory: memory::leave_memory, if memory::is_wanted;
    call_control: control::leave_control, if control::is_wanted;
    call_ioctl: ioctl::leave_ioctl, if ioctl::is_wanted;
    call_splice: splice::leave_splice, if splice::is_wanted;
}
