//! Kernel settings written, whatever the path of their file: a program of the root cgroup, which runs for every
//! cgroup below it and never refuses anything.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::{bpf_sysctl_get_name, bpf_sysctl_get_new_value};
use aya_ebpf::macros::cgroup_sysctl;
use aya_ebpf::programs::SysctlContext;
use monitor_common::event::{EventKind, Sysctl};
use monitor_common::policy::KEY_CANARY;

use crate::emit::{Ring, STRING_MAX, reserve};
use crate::filter::Subject;

/// `BPF_PROG_TYPE_CGROUP_SYSCTL`: run by `__cgroup_bpf_run_filter_sysctl()` (kernel `kernel/bpf/cgroup.c`) before a
/// setting is read or written. 1 lets it happen.
#[cgroup_sysctl]
fn sysctl_write(ctx: SysctlContext) -> i32 {
    try_write(&ctx);
    1
}

#[inline(always)]
fn try_write(ctx: &SysctlContext) -> Option<()> {
    // SAFETY: the context is valid while the program runs.
    let write = unsafe { (*ctx.sysctl).write };
    let subject = Subject::current_by_task()?;
    // The canary only reads: it must change nothing.
    if subject.runtime || (write == 0 && subject.container != KEY_CANARY) {
        return None;
    }
    let mut out = reserve::<Sysctl, { 2 * (STRING_MAX + 4) }>(Ring::Critical, EventKind::Sysctl, &subject)?;
    out.body(Sysctl { write, reserved: 0 });
    let of = ctx.as_ptr().cast();
    // SAFETY: the helpers write at most the size that they are told, which `filled` has left.
    out.filled::<STRING_MAX>(|to| unsafe { bpf_sysctl_get_name(of, to.cast(), STRING_MAX as u64, 0) });
    // SAFETY: as above.
    out.filled::<STRING_MAX>(|to| unsafe { bpf_sysctl_get_new_value(of, to.cast(), STRING_MAX as u64) });
    out.submit_anywhere(&subject, 0);
    Some(())
}
