//! Exit: a scheduler tracepoint, which every kernel offers without trampolines.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use monitor_common::event::{EventKind, Exit};
use monitor_common::policy::DeadThread;
use monitor_common::twice as number;

use crate::emit::{Ring, reserve};
use crate::filter::{self, Subject};
use crate::kernel::task::Task;
use crate::maps::{DEAD_THREADS, TASKS, task_key};
use crate::twice;

/// `TP_PROTO(struct task_struct *p)`, from 6.16 on with `bool group_dead`; kernel
/// `include/trace/events/sched.h`, called from `do_exit()` for every thread.
#[btf_tracepoint(function = "sched_process_exit")]
fn process_exit(_ctx: BtfTracePointContext) -> i32 {
    twice::first(number::EXIT, || {
        try_exit();
    });
    0
}

/// [`process_exit`] while that one is held.
#[btf_tracepoint(function = "sched_process_exit")]
fn process_exit_2(_ctx: BtfTracePointContext) -> i32 {
    twice::second(number::EXIT, || {
        try_exit();
    });
    0
}

#[inline(always)]
fn try_exit() -> Option<()> {
    let subject = Subject::current()?;
    let task = Task::known();
    // As one in which the kernel had a fault does: its report names the thread, which is gone before anybody can look. The first
    // thread has its process's number; another one may be the last that is left of its process, too.
    if subject.tid != subject.pid && task.exit_code() & 0x7f != 0 {
        // SAFETY: the helper has no preconditions.
        let died = unsafe { bpf_ktime_get_boot_ns() };
        // No room is ever missing: the oldest goes.
        let _ = DEAD_THREADS.insert(&subject.tid, &DeadThread { died, pid: subject.pid, reserved: 0 }, 0);
    }
    if task.group_dead() {
        filter::compare_creds(&subject, task);
        if let Some(mut out) = reserve::<Exit, 0>(Ring::Bulk, EventKind::Exit, &subject) {
            out.body(Exit { code: task.exit_code(), ppid: task.ppid() });
            out.submit(&subject, 0);
        }
    }
    let _ = TASKS.remove(&task_key(subject.tid));
    Some(())
}
