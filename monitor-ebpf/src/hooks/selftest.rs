//! The start-up self-test: the same facts by offsets and by helpers, for the daemon to compare.

use aya_ebpf::btf_maps::Array;
use aya_ebpf::helpers::generated::bpf_get_current_cgroup_id;
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_get_current_uid_gid};
use aya_ebpf::macros::{btf_map, btf_tracepoint};
use aya_ebpf::programs::BtfTracePointContext;
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::SelfTest;

use crate::kernel::task::Task;
use crate::kernel::{cgroup, file, ns};
use crate::maps::{config, daemon_pid};
use crate::preempt;

/// What the self-test read.
#[btf_map]
static SELFTEST: Array<SelfTest, 1> = Array::new();

/// `TP_PROTO(struct task_struct *parent, struct task_struct *child)`, kernel `include/trace/events/sched.h`: the
/// daemon starts a thread to get here.
#[btf_tracepoint(function = "sched_process_fork")]
fn selftest(_ctx: BtfTracePointContext) -> i32 {
    preempt::off_at_tracepoint(|| {
        try_selftest();
    });
    0
}

#[inline(always)]
fn try_selftest() -> Option<()> {
    let ids = bpf_get_current_pid_tgid();
    if (ids >> 32) as u32 != daemon_pid() {
        return None;
    }
    let task = Task::current();
    let cred = task.cred();
    let names = ns::Inums::of(task);
    let root = file::id(task.root().1.follow(F::DentryInode));
    let exe = file::id(file::inode_of(task.exe_file()));
    let slot = SELFTEST.get_ptr_mut(0)?;
    let abi = config!(abi);
    // SAFETY: a live, aligned map value; the daemon reads it after the thread has ended.
    unsafe {
        *slot = SelfTest {
            done: 1,
            abi,
            pid_helper: (ids >> 32) as u32,
            pid_offsets: task.tgid(),
            tid_helper: ids as u32,
            tid_offsets: task.tid(),
            uid_helper: bpf_get_current_uid_gid() as u32,
            uid_offsets: cred.uid,
            ppid: task.ppid(),
            mnt_ns: names.mnt,
            pid_ns: names.pid,
            net_ns: names.net,
            ipc_ns: names.ipc,
            uts_ns: names.uts,
            cgroup_ns: names.cgroup,
            user_ns: names.user,
            root_dev: root.dev,
            exe_dev: exe.dev,
            root_ino: root.ino,
            exe_ino: exe.ino,
            cgroup_helper: bpf_get_current_cgroup_id(),
            cgroup_offsets: cgroup::of_task(task),
            cap_effective: cred.cap_effective,
            started: task.started(),
        };
    }
    Some(())
}
