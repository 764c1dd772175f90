//! I-11: a container's processes leave those outside alone (A10, B14, C12, C13, H01); A11: tracing inside it.

use monitor_common::call::Call;
use monitor_common::event::{Control, Ptrace, Signal, signal_result};

use super::context::{Context, Sink, compared, container_value, observed, push_bytes, push_errno};
use super::rules::Rule;
use super::types::{Evidence, Outcome, Severity, Value};

const PTRACE_ATTACH: u32 = 2;
const PTRACE_NOAUDIT: u32 = 4;
const PIDFD_OPEN: u32 = Call::PidfdOpen as u32;
const PIDFD_GETFD: u32 = Call::PidfdGetfd as u32;
/// `TRACE_SIGNAL_DELIVERED`, `TRACE_SIGNAL_ALREADY_PENDING`, `TRACE_SIGNAL_LOSE_INFO`: the signal counts.
const DELIVERED: [u32; 3] = [0, 2, 4];

/// True if the target is the daemon itself.
fn is_daemon(cx: &Context<'_>, container: u64, pid: u32) -> bool {
    container == 0 && pid != 0 && pid == cx.host.daemon_pid
}

/// Whose process it is.
fn target(cx: &Context<'_>, container: u64, pid: u32) -> Vec<Evidence> {
    let mut list =
        vec![compared("target_container", container_value(cx.key().0), container_value(container))];
    if pid != 0 {
        list.push(observed("target_pid", Value::Number(u64::from(pid))));
    }
    if let Some(target) = cx.procs.process(pid) {
        push_bytes(&mut list, "target_exe", &target.program.exe);
    }
    list
}

pub(super) fn check_ptrace(cx: &Context<'_>, p: &Ptrace, sink: &mut Sink<'_>) {
    // Without an audit the kernel asks only how much to show, as for `ps`. A number without an object says nothing
    // about whose process it is.
    if p.mode & PTRACE_NOAUDIT != 0 || p.object == 0 {
        return;
    }
    let attach = p.mode & PTRACE_ATTACH != 0;
    let outcome = Outcome::of(p.ret);
    let within = p.target_container == cx.ev.header.container;
    let (rule, worst) = match p.op {
        _ if within && attach => (Rule::A11, Severity::Notice),
        _ if within => return,
        _ if attach && is_daemon(cx, p.target_container, p.target_pid) => (Rule::H01, Severity::Critical),
        PIDFD_GETFD => (Rule::C12, Severity::Critical),
        _ if attach => (Rule::A10, Severity::Critical),
        PIDFD_OPEN => (Rule::B14, Severity::Notice),
        _ => (Rule::B14, Severity::Warning),
    };
    let severity = if outcome == Outcome::Denied { worst.min(Severity::Warning) } else { worst };
    sink.report(rule, severity, outcome, || {
        let mut list = if within {
            vec![observed("target_pid", Value::Number(u64::from(p.target_pid)))]
        } else {
            target(cx, p.target_container, p.target_pid)
        };
        list.push(observed("access", Value::Word(if attach { "attach" } else { "read" })));
        if let Some(call) = Call::from_raw(p.op) {
            list.push(observed("call", Value::Word(call.name())));
        }
        push_errno(&mut list, p.ret);
        list
    });
}

pub(super) fn check_signal(cx: &Context<'_>, s: &Signal, sink: &mut Sink<'_>) {
    if s.target_container == cx.ev.header.container {
        return;
    }
    let outcome = match s.result {
        signal_result::REFUSED => Outcome::Denied,
        signal_result::ALLOWED => Outcome::Succeeded,
        result if DELIVERED.contains(&result) => Outcome::Succeeded,
        _ => Outcome::Attempted,
    };
    let (rule, worst) = match s.target_container {
        // Asking whether there is such a process harms nobody.
        _ if s.signal == 0 => (Rule::C13, Severity::Notice),
        0 if is_daemon(cx, 0, s.target_pid) => (Rule::H01, Severity::Critical),
        0 => (Rule::C13, Severity::Warning),
        // The containers of a pod may share a process namespace, and reload each other.
        _ => (Rule::C13, Severity::Notice),
    };
    let severity = if outcome == Outcome::Denied { worst.min(Severity::Warning) } else { worst };
    sink.report(rule, severity, outcome, || {
        let mut list = target(cx, s.target_container, s.target_pid);
        list.push(observed("signal", Value::Number(u64::from(s.signal))));
        push_errno(&mut list, s.ret);
        list
    });
}

pub(super) fn check_control(cx: &Context<'_>, c: &Control, sink: &mut Sink<'_>) {
    if c.target_container == cx.ev.header.container {
        return;
    }
    let outcome = Outcome::of(c.ret);
    let (rule, severity) = match outcome {
        Outcome::Denied => (Rule::C13, Severity::Notice),
        _ if is_daemon(cx, c.target_container, c.target_pid) => (Rule::H01, Severity::Critical),
        _ => (Rule::C13, Severity::Warning),
    };
    sink.report(rule, severity, outcome, || {
        let mut list = target(cx, c.target_container, c.target_pid);
        if let Some(call) = Call::from_raw(c.op) {
            list.push(observed("call", Value::Word(call.name())));
        }
        push_errno(&mut list, c.ret);
        list
    });
}
