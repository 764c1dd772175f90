//! I-8: capabilities stay within the bounding set (A04); I-10: what confines a task never weakens (A08, A09); A16:
//! capabilities that programs inherit.

use monitor_common::event::{Cred, Exec, State, state_reason};

use super::context::{Context, Sink, compared, observed};
use super::memory::Memory;
use super::rules::Rule;
use super::types::{Outcome, Severity, Value};

pub(super) fn check_state(cx: &Context<'_>, s: &State, memory: &mut Memory, sink: &mut Sink<'_>) {
    match s.reason {
        state_reason::WEAKENED => weakened(s, sink),
        state_reason::JOIN => {
            // A trusted runtime may join with more than the first program had (`exec --privileged`).
            memory.note_granted_caps(cx.key(), s.cap_bounding);
            inherited(s, sink);
        }
        state_reason::ENTRY => inherited(s, sink),
        _ => {}
    }
    let held = s.cap_permitted | s.cap_effective | s.cap_bounding;
    beyond(cx, held, s.user_ns, memory, sink);
}

pub(super) fn check_cred(cx: &Context<'_>, c: &Cred, memory: &Memory, sink: &mut Sink<'_>) {
    beyond(cx, c.cap_permitted | c.cap_effective, c.user_ns, memory, sink);
}

pub(super) fn check_exec(cx: &Context<'_>, e: &Exec, memory: &Memory, sink: &mut Sink<'_>) {
    // Namespaces are compared before the record of an exec is written, so the last state is the present one.
    let user_ns = cx.process.and_then(|p| p.state.as_ref()).map_or(cx.base.state.user_ns, |s| s.user_ns);
    beyond(cx, e.cap_permitted | e.cap_effective, user_ns, memory, sink);
}

/// I-8. A user namespace of the container's own making has all capabilities inside it: only those of the container's
/// own namespace count.
fn beyond(cx: &Context<'_>, held: u64, user_ns: u32, memory: &Memory, sink: &mut Sink<'_>) {
    let base = &cx.base.state;
    if base.cap_bounding == 0 || user_ns == 0 || user_ns != base.user_ns {
        return;
    }
    let granted = base.cap_bounding | memory.granted_caps(cx.key());
    let gained = held & !granted;
    if gained != 0 {
        sink.report(Rule::I8, Severity::Critical, Outcome::Succeeded, || {
            vec![
                compared("capabilities", Value::Hex(granted), Value::Hex(held)),
                observed("gained", Value::Hex(gained)),
            ]
        });
    }
}

/// I-10.
fn weakened(s: &State, sink: &mut Sink<'_>) {
    sink.report(Rule::I10, Severity::Critical, Outcome::Succeeded, || {
        let number = |n: u32| Value::Number(u64::from(n));
        vec![
            compared("seccomp", number(s.old_seccomp), number(s.seccomp)),
            compared("seccomp_filters", number(s.old_seccomp_filters), number(s.seccomp_filters)),
            compared("no_new_privs", number(s.old_no_new_privs), number(s.no_new_privs)),
        ]
    });
}

/// A16.
fn inherited(s: &State, sink: &mut Sink<'_>) {
    if s.cap_inheritable & !s.cap_ambient != 0 {
        sink.report(Rule::A16, Severity::Info, Outcome::Succeeded, || {
            vec![
                compared("cap_inheritable", Value::Hex(0), Value::Hex(s.cap_inheritable)),
                observed("cap_ambient", Value::Hex(s.cap_ambient)),
            ]
        });
    }
}
