//! Kernel modules: loaded, removed, asked for (catalogue rows D01, D02).

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use monitor_common::event::{EventKind, Module, module_op};
use monitor_common::offsets::FieldId as F;

use crate::emit::{Ring, STRING_MAX, reserve};
use crate::filter::Subject;
use crate::kernel::Ptr;
use crate::preempt;

/// `TP_PROTO(struct module *mod)`, kernel `include/trace/events/module.h`; before the module's own code runs.
#[btf_tracepoint(function = "module_load")]
fn module_load(ctx: BtfTracePointContext) -> i32 {
    preempt::off_at_tracepoint(|| {
        let module = Ptr(ctx.arg::<u64>(0));
        report(module_op::LOAD, module.inside(F::ModuleName).0, module.read(F::ModuleTaints), 0);
    });
    0
}

/// `TP_PROTO(struct module *mod)`, kernel `include/trace/events/module.h`.
#[btf_tracepoint(function = "module_free")]
fn module_free(ctx: BtfTracePointContext) -> i32 {
    preempt::off_at_tracepoint(|| {
        let module = Ptr(ctx.arg::<u64>(0));
        report(module_op::FREE, module.inside(F::ModuleName).0, module.read(F::ModuleTaints), 0);
    });
    0
}

/// `TP_PROTO(char *name, bool wait, unsigned long ip)`, kernel `include/trace/events/module.h`; in the task whose
/// act needs the module. The kernel's helper that loads it is a task of the host.
#[btf_tracepoint(function = "module_request")]
fn module_request(ctx: BtfTracePointContext) -> i32 {
    preempt::off_at_tracepoint(|| {
        report(module_op::REQUEST, ctx.arg::<u64>(0), 0, ctx.arg::<u64>(1) as u32 & 1);
    });
    0
}

#[inline(always)]
fn report(op: u32, name: u64, taints: u64, waits: u32) -> Option<()> {
    let subject = Subject::current()?;
    let mut out = reserve::<Module, { STRING_MAX + 8 }>(Ring::Critical, EventKind::Module, &subject)?;
    out.body(Module { taints, op, waits });
    out.kernel_string(name, 0);
    out.submit(&subject, 0);
    Some(())
}
