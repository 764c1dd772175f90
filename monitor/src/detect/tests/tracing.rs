//! D03, D04, D05.

use monitor_common::event::{Bpf, EventKind, IoUring, IoUringOp, PerfEvent};

use super::build::{Brief, Rec, World, fact, rec};
use crate::detect::Outcome::{Attempted, Denied, Succeeded};
use crate::detect::Severity::{Critical, Notice, Warning};
use crate::detect::Value;

const EPERM: i32 = -1;
const PROG_LOAD: u32 = 5;
const GET_FD_BY_ID: u32 = 13;
const SOCKET_FILTER: u32 = 1;
const XDP: u32 = 6;
const TRACING: u32 = 26;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

pub(super) fn bpf(cmd: u32, prog_type: u32, ret: i32) -> Rec {
    rec(EventKind::Bpf, Bpf { cmd, prog_type, ret, object: 2, id: 17, ..Bpf::default() })
}

pub(super) fn perf(change: impl FnOnce(&mut PerfEvent)) -> Rec {
    let mut p = PerfEvent {
        event_type: 1,
        attributes: 1 | 1 << 5,
        cpu: -1,
        ret: 3,
        is_final: 1,
        ..PerfEvent::default()
    };
    change(&mut p);
    rec(EventKind::PerfEvent, p)
}

fn granted(capability: u32) -> World {
    let mut world = World::new();
    world.container.baseline.as_mut().unwrap().state.cap_permitted = 1 << capability;
    world
}

#[track_caller]
fn check(record: Rec, expected: &[Brief]) {
    World::new().check(&[record], expected);
}

#[test]
fn bpf_programs_and_objects() {
    let found = World::new().check(&[bpf(PROG_LOAD, TRACING, 3)], &[("D03", Critical, Succeeded)]);
    assert_eq!(fact(&found[0], "prog_type").1, &Value::Word("tracing"));
    granted(CAP_BPF).check(&[bpf(PROG_LOAD, TRACING, 3)], &[("D03", Warning, Succeeded)]);
    check(bpf(PROG_LOAD, XDP, 3), &[("D03", Warning, Succeeded)]);
    granted(CAP_BPF).check(&[bpf(PROG_LOAD, XDP, 3)], &[("D03", Notice, Succeeded)]);
    check(bpf(PROG_LOAD, TRACING, EPERM), &[("D03", Notice, Denied)]);
    check(bpf(GET_FD_BY_ID, TRACING, 3), &[("D03", Critical, Succeeded)]);
    check(bpf(GET_FD_BY_ID, 0, EPERM), &[("D03", Notice, Denied)]);
    // What needs no privileges, and looks.
    check(bpf(PROG_LOAD, SOCKET_FILTER, 3), &[]);
    check(bpf(0, 0, 3), &[]);
    check(bpf(11, 0, 0), &[]);
    check(bpf(PROG_LOAD, TRACING, 3).by_runtime(), &[]);
}

#[test]
fn performance_events() {
    let every = |p: &mut PerfEvent| (p.pid, p.cpu) = (-1, 0);
    let found = World::new().check(&[perf(every)], &[("D04", Warning, Succeeded)]);
    assert_eq!(fact(&found[0], "scope").1, &Value::Word("every process of a CPU"));
    granted(CAP_PERFMON).check(&[perf(every)], &[("D04", Notice, Succeeded)]);
    check(perf(|p| p.ret = EPERM), &[]);
    check(perf(|p| (p.attributes, p.ret) = (0, EPERM)), &[("D04", Notice, Denied)]);
    check(perf(|p| (p.attributes, p.ret, p.is_final) = (0, 0, 0)), &[("D04", Warning, Attempted)]);
    check(perf(|p| p.attributes = 0), &[("D04", Warning, Succeeded)]);
    check(perf(|p| p.event_type = 2), &[("D04", Warning, Succeeded)]);
    check(perf(|p| p.event_type = 8).text(b"kprobe"), &[("D04", Warning, Succeeded)]);
    check(perf(|p| p.event_type = 8).text(b"cpu_clock"), &[]);
    // Itself in user mode, and the event that counts nothing.
    check(perf(|_| ()), &[]);
    check(perf(|p| (p.attributes, p.config) = (0, 9)), &[]);
}

#[test]
fn rings() {
    check(
        rec(EventKind::IoUring, IoUring { sq_entries: 8, ..IoUring::default() }),
        &[("D05", Notice, Succeeded)],
    );
    let found = World::new()
        .check(&[rec(EventKind::IoUringOp, IoUringOp { op: 18, fd: -1 })], &[("D05", Notice, Attempted)]);
    assert_eq!(fact(&found[0], "operation").1, &Value::Word("openat"));
}
