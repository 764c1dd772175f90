//! Ways to watch the kernel, or to work beside its system calls: BPF (D03), performance events (D04), io_uring (D05).

use monitor_common::event::field::FieldType;
use monitor_common::event::{Bpf, EventKind, IoUring, IoUringOp, PerfEvent};

use super::context::{Context, Sink, compared, observed, push_bytes, push_errno};
use super::kernel::{CAP_SYS_ADMIN, was_granted};
use super::rules::Rule;
use super::types::{Outcome, Severity, Value};

/// Bits of capabilities (`include/uapi/linux/capability.h`).
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// `enum bpf_cmd` (`include/uapi/linux/bpf.h`).
mod cmd {
    pub(super) const PROG_LOAD: u32 = 5;
    pub(super) const OBJ_GET: u32 = 7;
    pub(super) const PROG_DETACH: u32 = 9;
    pub(super) const PROG_GET_FD_BY_ID: u32 = 13;
    pub(super) const MAP_GET_FD_BY_ID: u32 = 14;
    pub(super) const LINK_UPDATE: u32 = 29;
    pub(super) const LINK_GET_FD_BY_ID: u32 = 30;
    pub(super) const LINK_DETACH: u32 = 34;
    pub(super) const TOKEN_CREATE: u32 = 36;
}

/// `enum bpf_prog_type`: socket filter and cgroup skb need no privileges; kprobe, tracepoint, perf event, raw
/// tracepoints, tracing, ext, LSM and syscall programs see or change what the whole host does.
const UNPRIVILEGED: &[u32] = &[1, 8];
const TRACING: &[u32] = &[2, 5, 7, 17, 24, 26, 28, 29, 31];

/// Bit `exclude_kernel` of `struct perf_event_attr`.
const EXCLUDE_KERNEL: u64 = 1 << 5;
/// `PERF_TYPE_SOFTWARE`, `PERF_TYPE_TRACEPOINT`, and the last type that is not a dynamic unit (`PERF_TYPE_BREAKPOINT`).
const SOFTWARE: u32 = 1;
const TRACEPOINT: u32 = 2;
const LAST_FIXED: u32 = 5;
/// Units of the software clocks.
const CLOCKS: &[&[u8]] = &[b"cpu_clock", b"task_clock"];
/// `PERF_COUNT_SW_DUMMY` counts nothing.
const DUMMY: u64 = 9;

fn any_granted(cx: &Context<'_>, capabilities: &[u32]) -> bool {
    capabilities.iter().any(|capability| was_granted(cx, *capability))
}

/// The name of a number in a field of an event, as the reference has it.
fn name_of(kind: EventKind, field: &str, number: u32) -> Value {
    let names = kind.fields().iter().find(|f| f.name == field).map(|f| f.ty);
    match names {
        Some(FieldType::Choice(names)) => names
            .iter()
            .find(|(n, _)| *n == u64::from(number))
            .map_or(Value::Number(u64::from(number)), |(_, name)| Value::Word(name)),
        _ => Value::Number(u64::from(number)),
    }
}

pub(super) fn check_bpf(cx: &Context<'_>, b: &Bpf, sink: &mut Sink<'_>) {
    let graver = match b.cmd {
        cmd::PROG_LOAD if UNPRIVILEGED.contains(&b.prog_type) => return,
        cmd::PROG_LOAD => TRACING.contains(&b.prog_type),
        cmd::PROG_GET_FD_BY_ID | cmd::MAP_GET_FD_BY_ID | cmd::LINK_GET_FD_BY_ID => true,
        cmd::LINK_UPDATE | cmd::LINK_DETACH | cmd::PROG_DETACH | cmd::TOKEN_CREATE => true,
        cmd::OBJ_GET => false,
        _ => return,
    };
    let outcome = Outcome::of(b.ret);
    let granted = any_granted(cx, &[CAP_SYS_ADMIN, CAP_BPF, CAP_PERFMON]);
    let severity = match (outcome, graver, granted) {
        (Outcome::Succeeded, true, false) => Severity::Critical,
        (Outcome::Succeeded, true, true) | (Outcome::Succeeded, false, false) => Severity::Warning,
        _ => Severity::Notice,
    };
    sink.report(Rule::D03, severity, outcome, || {
        let granted_word = if granted { "granted" } else { "not granted" };
        let mut list = vec![
            observed("command", name_of(EventKind::Bpf, "cmd", b.cmd)),
            compared("bpf", Value::Word(granted_word), Value::Word("used")),
        ];
        if b.prog_type != 0 {
            list.push(observed("prog_type", name_of(EventKind::Bpf, "prog_type", b.prog_type)));
        }
        if b.id != 0 {
            list.push(observed("object", name_of(EventKind::Bpf, "object", b.object)));
            list.push(observed("id", Value::Number(u64::from(b.id))));
        } else if b.cmd != cmd::PROG_LOAD {
            list.push(observed("wanted", Value::Number(u64::from(b.wanted))));
        }
        push_bytes(&mut list, "name", cx.ev.string(0).bytes);
        push_errno(&mut list, b.ret);
        list
    });
}

pub(super) fn check_perf(cx: &Context<'_>, p: &PerfEvent, sink: &mut Sink<'_>) {
    let everybody = p.pid == -1;
    let unit = cx.ev.string(0).bytes;
    // The software clocks have units of their own, with a number that a kernel gives them as it starts.
    let tracing = p.event_type == TRACEPOINT || (p.event_type > LAST_FIXED && !CLOCKS.contains(&unit));
    let in_kernel = p.attributes & EXCLUDE_KERNEL == 0 && !(p.event_type == SOFTWARE && p.config == DUMMY);
    let scope = if everybody {
        "every process of a CPU"
    } else if tracing {
        "tracepoint or dynamic unit"
    } else if in_kernel {
        "kernel"
    } else {
        return;
    };
    let outcome = match Outcome::of(p.ret) {
        Outcome::Succeeded if p.is_final == 0 => Outcome::Attempted,
        outcome => outcome,
    };
    let granted = any_granted(cx, &[CAP_SYS_ADMIN, CAP_PERFMON]);
    let severity = if outcome != Outcome::Denied && !granted { Severity::Warning } else { Severity::Notice };
    sink.report(Rule::D04, severity, outcome, || {
        let granted_word = if granted { "granted" } else { "not granted" };
        let mut list = vec![
            observed("scope", Value::Word(scope)),
            compared("perfmon", Value::Word(granted_word), Value::Word("used")),
            observed("event_type", name_of(EventKind::PerfEvent, "event_type", p.event_type)),
            observed("config", Value::Hex(p.config)),
        ];
        push_bytes(&mut list, "unit", unit);
        push_errno(&mut list, p.ret);
        list
    });
}

pub(super) fn check_ring(_cx: &Context<'_>, r: &IoUring, sink: &mut Sink<'_>) {
    sink.report(Rule::D05, Severity::Notice, Outcome::Succeeded, || {
        vec![
            observed("call", Value::Word("io_uring_setup")),
            observed("sq_entries", Value::Number(u64::from(r.sq_entries))),
            observed("setup_flags", Value::Hex(u64::from(r.flags))),
        ]
    });
}

/// The record is written when the operation is submitted.
pub(super) fn check_operation(_cx: &Context<'_>, o: &IoUringOp, sink: &mut Sink<'_>) {
    sink.report(Rule::D05, Severity::Notice, Outcome::Attempted, || {
        vec![observed("operation", name_of(EventKind::IoUringOp, "op", o.op))]
    });
}
