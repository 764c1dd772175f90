//! D01, D02, D06 to D10, D15; A06.

use monitor_common::call::Call;
use monitor_common::event::{EventKind, Module, Mount, Namespace, SensitiveCall, module_op};

use super::build::{Brief, HOST, Rec, World, fact, rec};
use crate::detect::Outcome::{Attempted, Denied, Succeeded};
use crate::detect::Severity::{Critical, Notice, Warning};
use crate::detect::Value;

const EPERM: i32 = -1;

pub(super) fn call(call: Call, ret: i32, change: impl FnOnce(&mut SensitiveCall)) -> Rec {
    let mut c = SensitiveCall {
        op: call as u32,
        ret,
        pid_ns: 102,
        uts_ns: 105,
        user_ns: 8,
        ..SensitiveCall::default()
    };
    change(&mut c);
    rec(EventKind::SensitiveCall, c)
}

pub(super) fn module(op: u32, name: &[u8]) -> Rec {
    rec(EventKind::Module, Module { op, ..Module::default() }).text(name)
}

#[track_caller]
fn check(record: Rec, expected: &[Brief]) {
    World::new().check(&[record], expected);
}

/// A container whose first program had these capabilities.
fn granted(capabilities: &[u32]) -> World {
    let mut world = World::new();
    let base = world.container.baseline.as_mut().unwrap();
    base.state.cap_permitted = capabilities.iter().fold(0, |set, bit| set | 1 << bit);
    world
}

#[test]
fn modules() {
    let found = World::new().check(&[module(module_op::LOAD, b"evil")], &[("D01", Critical, Succeeded)]);
    assert_eq!(fact(&found[0], "module").1, &Value::Bytes(b"evil".to_vec()));
    for refused in [Call::InitModule, Call::FinitModule, Call::DeleteModule] {
        check(call(refused, EPERM, |_| ()), &[("D01", Warning, Denied)]);
    }
    check(call(Call::DeleteModule, 0, |_| ()), &[("D01", Critical, Succeeded)]);
    // Told by the module's own record.
    check(call(Call::FinitModule, 0, |_| ()), &[]);
    check(module(module_op::FREE, b"evil"), &[]);
    check(module(module_op::LOAD, b"overlay").by_runtime(), &[]);
}

#[test]
fn modules_asked_for() {
    for (name, severity) in [
        ("fs-reiserfs", Some(Notice)),
        ("net-pf-13", Some(Notice)),
        ("net-pf-33", Some(Warning)),
        ("nft-chain-1-nat", Some(Warning)),
        ("net-pf-16-proto-6", Some(Warning)),
        ("net-pf-10", None),
        ("binfmt-464c", None),
        ("tcp_bbr", None),
    ] {
        let expected: Vec<Brief> = severity.map(|s| ("D02", s, Attempted)).into_iter().collect();
        check(module(module_op::REQUEST, name.as_bytes()), &expected);
    }
}

#[test]
fn keys_and_faults() {
    for key in [Call::Keyctl, Call::AddKey, Call::RequestKey] {
        check(call(key, 5, |_| ()), &[("D06", Notice, Succeeded)]);
        check(call(key, EPERM, |_| ()), &[("D06", Notice, Denied)]);
        check(call(key, 5, |_| ()).by_runtime(), &[]);
    }
    check(call(Call::Userfaultfd, 3, |_| ()), &[("D07", Warning, Succeeded)]);
    check(call(Call::Userfaultfd, 3, |_| ()).with(|h| h.euid = 0), &[("D07", Notice, Succeeded)]);
    check(call(Call::Userfaultfd, EPERM, |_| ()), &[("D07", Notice, Denied)]);
    check(call(Call::IoUringSetup, EPERM, |_| ()), &[("D05", Notice, Denied)]);
    check(call(Call::IoUringSetup, 3, |_| ()), &[]);
}

#[test]
fn another_kernel() {
    check(call(Call::KexecLoad, 0, |_| ()), &[("D08", Critical, Succeeded)]);
    check(call(Call::KexecFileLoad, EPERM, |_| ()), &[("D08", Warning, Denied)]);
    check(call(Call::Reboot, EPERM, |_| ()), &[("D08", Notice, Denied)]);
    check(call(Call::Reboot, EPERM, |c| c.pid_ns = HOST.pid_ns), &[("D08", Warning, Denied)]);
    check(call(Call::Reboot, 0, |c| c.pid_ns = HOST.pid_ns), &[("D08", Critical, Succeeded)]);
}

#[test]
fn ports_and_tables() {
    check(call(Call::Iopl, 0, |c| c.arg0 = 3), &[("D09", Critical, Succeeded)]);
    check(call(Call::Iopl, EPERM, |c| c.arg0 = 3), &[("D09", Warning, Denied)]);
    check(call(Call::Ioperm, EPERM, |c| c.arg2 = 1), &[("D09", Warning, Denied)]);
    check(call(Call::ModifyLdt, 0, |c| c.arg0 = 0x11), &[("D09", Notice, Succeeded)]);
    check(call(Call::Vm86, 0, |_| ()), &[("D09", Notice, Succeeded)]);
    // Level 0, ports given back, tables read.
    check(call(Call::Iopl, 0, |_| ()), &[]);
    check(call(Call::Ioperm, 0, |_| ()), &[]);
    check(call(Call::ModifyLdt, 16, |_| ()), &[]);
}

#[test]
fn the_kernel_log() {
    for (action, severity) in
        [(2, Notice), (3, Notice), (4, Warning), (5, Warning), (6, Warning), (8, Warning)]
    {
        check(call(Call::Syslog, 0, |c| c.arg0 = action), &[("D10", severity, Succeeded)]);
        check(call(Call::Syslog, EPERM, |c| c.arg0 = action), &[("D10", Notice, Denied)]);
    }
    for action in [0, 1, 9, 10] {
        check(call(Call::Syslog, 0, |c| c.arg0 = action), &[]);
    }
}

#[test]
fn state_of_the_host() {
    let set = || call(Call::ClockSettime, 0, |_| ());
    World::new().check(&[set()], &[("D15", Critical, Succeeded)]);
    granted(&[25]).check(&[set()], &[("D15", Warning, Succeeded)]);
    check(call(Call::ClockSettime, EPERM, |_| ()), &[("D15", Notice, Denied)]);
    check(call(Call::Adjtimex, EPERM, |c| c.detail = 0x4000), &[("D15", Notice, Denied)]);
    check(call(Call::Quotactl, EPERM, |c| c.arg0 = 0x8000_0800), &[("D15", Notice, Denied)]);
    check(call(Call::QuotactlFd, EPERM, |c| c.arg1 = 0x8000_0201), &[("D15", Notice, Denied)]);
    for named in [Call::Swapon, Call::Swapoff, Call::Acct] {
        check(call(named, EPERM, |_| ()), &[("D15", Notice, Denied)]);
    }
    let in_host = call(Call::Sethostname, 0, |c| c.uts_ns = HOST.uts_ns);
    let found = granted(&[21]).check(&[in_host], &[("D15", Warning, Succeeded)]);
    assert_eq!(fact(&found[0], "uts_ns").0, Some(&Value::Namespace("uts", 105)));
    // Read, or the container's own.
    check(call(Call::Adjtimex, 0, |_| ()), &[]);
    check(call(Call::ClockAdjtime, 0, |c| c.detail = 0xa001), &[]);
    check(call(Call::Settimeofday, 0, |_| ()), &[]);
    check(call(Call::Quotactl, 0, |c| c.arg0 = 0x8000_0100), &[]);
    check(call(Call::Sethostname, 0, |_| ()), &[]);
}

#[test]
fn wide_marks() {
    check(call(Call::FanotifyInit, 3, |_| ()), &[]);
}

pub(super) fn new_user_namespace() -> Rec {
    let made = Namespace { op: 11, flags: 0x1000_0000, user_ns: 901, ..Namespace::default() };
    rec(EventKind::Namespace, made)
}

pub(super) fn mount() -> Rec {
    rec(EventKind::Mount, Mount { op: 1, ..Mount::default() })
}

#[test]
fn a_new_user_namespace_put_to_use() {
    let used = &[("B02", Warning, Succeeded), ("A06", Warning, Succeeded)];
    let found = World::new().check(&[new_user_namespace(), mount()], used);
    assert_eq!(fact(&found[1], "user_ns").1, &Value::Namespace("user", 901));
    // Too late, another process, no mount before, or a container that may mount anyway.
    let not = &[("B02", Warning, Succeeded)];
    World::new().check(&[new_user_namespace(), mount().at(10_000_001_001)], not);
    World::new().check(&[new_user_namespace(), mount().by_pid(501)], not);
    World::new().check(&[mount()], not);
    granted(&[21]).check(&[new_user_namespace(), mount()], not);
    // The child of a clone is the first in it.
    let born = Namespace { op: 12, user_ns: 901, child_pid: 501, ..Namespace::default() };
    World::new().check(&[rec(EventKind::Namespace, born), mount().by_pid(501)], used);
}
