//! A10, A11, B14, C12, C13, H01.

use monitor_common::event::{Control, EventKind, Ptrace, Signal};

use super::build::{Brief, HOST, OTHER, OWN, Rec, World, fact, rec};
use crate::detect::Outcome::{Attempted, Denied, Succeeded};
use crate::detect::Severity::{Critical, Notice, Warning};
use crate::detect::Value;

const READ: u32 = 1;
const ATTACH: u32 = 2;

pub(super) fn ptrace(target_container: u64, mode: u32, ret: i32, change: impl FnOnce(&mut Ptrace)) -> Rec {
    let mut p =
        Ptrace { target_container, target_pid: 1, mode: mode | 8, ret, object: 1, ..Ptrace::default() };
    change(&mut p);
    rec(EventKind::Ptrace, p)
}

pub(super) fn signal(target_container: u64, target_pid: u32, signal: u32, result: u32) -> Rec {
    let ret = if result == 6 { -1 } else { 0 };
    rec(EventKind::Signal, Signal { target_container, target_pid, signal, result, ret, ..Signal::default() })
}

fn control(target_container: u64, target_pid: u32, ret: i32) -> Rec {
    rec(EventKind::Control, Control { target_container, target_pid, op: 144, ret, value: 0 })
}

fn check(records: &[Rec], expected: &[Brief]) -> Vec<crate::detect::Emitted> {
    World::new().check(records, expected)
}

#[test]
fn access_to_processes_of_others() {
    let found = check(&[ptrace(0, READ, 0, |_| ())], &[("B14", Warning, Succeeded)]);
    assert_eq!(fact(&found[0], "target_container"), (Some(&Value::Hex(OWN)), &Value::Word("host")));
    assert_eq!(fact(&found[0], "target_exe").1, &Value::Bytes(b"/sbin/init".to_vec()));
    let found = check(&[ptrace(OTHER, ATTACH, 0, |p| p.op = 152)], &[("A10", Critical, Succeeded)]);
    assert_eq!(fact(&found[0], "call").1, &Value::Word("process_vm_writev"));
    check(&[ptrace(0, ATTACH, -1, |_| ())], &[("A10", Warning, Denied)]);
    check(&[ptrace(0, ATTACH, 3, |p| p.op = 153)], &[("C12", Critical, Succeeded)]);
    check(&[ptrace(0, READ, 3, |p| p.op = 154)], &[("B14", Notice, Succeeded)]);
    let daemon = |p: &mut Ptrace| p.target_pid = HOST.daemon_pid;
    check(&[ptrace(0, ATTACH, 0, daemon)], &[("H01", Critical, Succeeded)]);
    check(&[ptrace(0, READ, 0, daemon)], &[("B14", Warning, Succeeded)]);
}

#[test]
fn access_to_own_processes() {
    check(&[ptrace(OWN, ATTACH, 0, |_| ())], &[("A11", Notice, Succeeded)]);
    check(&[ptrace(OWN, READ, 0, |_| ())], &[]);
    check(&[ptrace(0, READ | 4, 0, |_| ())], &[]);
    check(&[ptrace(0, READ, 0, |_| ()).by_runtime()], &[]);
    // A number of another pid namespace: nobody knows whose process it is.
    check(&[ptrace(0, ATTACH, 0, |p| p.object = 0)], &[]);
}

#[test]
fn signals() {
    let found = check(&[signal(0, 1, 9, 0)], &[("C13", Warning, Succeeded)]);
    assert_eq!(fact(&found[0], "signal").1, &Value::Number(9));
    check(&[signal(OTHER, 7, 1, 0)], &[("C13", Notice, Succeeded)]);
    check(&[signal(0, 1, 0, 5)], &[("C13", Notice, Succeeded)]);
    check(&[signal(0, 1, 23, 1)], &[("C13", Warning, Attempted)]);
    check(&[signal(0, 1, 9, 6)], &[("C13", Warning, Denied)]);
    check(&[signal(0, HOST.daemon_pid, 19, 5)], &[("H01", Critical, Succeeded)]);
    check(&[signal(0, HOST.daemon_pid, 19, 6)], &[("H01", Warning, Denied)]);

    check(&[signal(OWN, 7, 9, 0)], &[]);
    // The process of that number is not the daemon if it is in a container.
    check(&[signal(OTHER, HOST.daemon_pid, 9, 0)], &[("C13", Notice, Succeeded)]);
    check(&[signal(0, 1, 9, 0).by_runtime()], &[]);
}

#[test]
fn limits_and_priorities() {
    let found = check(&[control(0, 1, 0)], &[("C13", Warning, Succeeded)]);
    assert_eq!(fact(&found[0], "call").1, &Value::Word("setpriority"));
    check(&[control(0, 1, -1)], &[("C13", Notice, Denied)]);
    check(&[control(0, HOST.daemon_pid, 0)], &[("H01", Critical, Succeeded)]);
    check(&[control(OWN, 7, 0)], &[]);
}
