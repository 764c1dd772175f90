//! I-2: a container's processes stay in its cgroup (C07, C08); I-14: and no others come into it (C10).

use monitor_common::event::{Cgroup, EventRef, cgroup_op};
use monitor_common::policy::KEY_V1;

use super::context::{Lineage, Sink, compared, container_value, observed, push_bytes};
use super::rules::Rule;
use super::types::{Evidence, Outcome, Severity, Value};
use crate::container::ContainerKey;

/// The container whose top cgroup the record says was removed.
pub(super) fn removed_container(c: &Cgroup) -> Option<ContainerKey> {
    let is_top = c.dst_container != 0 && c.dst_container & !KEY_V1 == c.id;
    (c.op == cgroup_op::RMDIR && is_top).then_some(ContainerKey(c.dst_container))
}

/// The acting process may be one of the host: it is not asked for a baseline.
pub(super) fn check(ev: &EventRef<'_>, c: &Cgroup, procs: &dyn Lineage, sink: &mut Sink<'_>) {
    if c.task_container == 0 {
        check_injected(ev, c, procs, sink);
        return;
    }
    let stays = c.dst_container == c.task_container;
    if stays || c.task_runtime != 0 || c.mover_trusted != 0 {
        return;
    }
    let by_host = ev.header.container == 0;
    let (rule, severity) = match c.op {
        cgroup_op::ATTACH if by_host => (Rule::C07, Severity::Warning),
        cgroup_op::ATTACH => (Rule::C07, Severity::Critical),
        cgroup_op::BORN => (Rule::C08, Severity::Critical),
        _ => return,
    };
    if by_host {
        sink.subject.container = ContainerKey(c.task_container);
    }
    sink.report(rule, severity, Outcome::Succeeded, || evidence(ev, c, procs));
}

/// C10: a task of the host was put into a container, and not by a runtime or an engine.
fn check_injected(ev: &EventRef<'_>, c: &Cgroup, procs: &dyn Lineage, sink: &mut Sink<'_>) {
    let arrives = matches!(c.op, cgroup_op::ATTACH | cgroup_op::BORN);
    if !arrives || c.dst_container == 0 || c.task_runtime != 0 || c.mover_trusted != 0 {
        return;
    }
    sink.subject.container = ContainerKey(c.dst_container);
    sink.report(Rule::C10, Severity::Warning, Outcome::Succeeded, || evidence(ev, c, procs));
}

fn evidence(ev: &EventRef<'_>, c: &Cgroup, procs: &dyn Lineage) -> Vec<Evidence> {
    let mut list = vec![compared(
        "cgroup_container",
        container_value(c.task_container),
        container_value(c.dst_container),
    )];
    push_bytes(&mut list, "cgroup_path", ev.string(0).bytes);
    list.push(observed("cgroup_id", Value::Number(c.id)));
    list.push(observed("task_pid", Value::Number(u64::from(c.task_pid))));
    if let Some(task) = procs.process(c.task_pid) {
        push_bytes(&mut list, "task_exe", &task.program.exe);
    }
    if c.op == cgroup_op::ATTACH {
        list.push(observed("moved_by", container_value(ev.header.container)));
    }
    list
}
