//! I-8, I-10, I-15, F18, D17.

use monitor_common::event::{EventKind, Exec, HostExec, Memory, State, layer, state_reason, transition};

use super::build::{Brief, ENTERED, OWN, ROOT_DEV, Rec, World, base_state, fact, process, rec};
use super::namespace;
use crate::detect::Outcome::{Denied, Succeeded};
use crate::detect::Severity::{Critical, Notice, Warning};
use crate::detect::Value;

const OVERLAY: u64 = 0x794c_7630;
const TMPFS: u64 = 0x0102_1994;

pub(super) fn exec(change: impl FnOnce(&mut Exec)) -> Rec {
    let mut e = Exec {
        exe_dev: ROOT_DEV,
        exe_nlink: 1,
        exe_mnt_ns: 101,
        exe_ctime: ENTERED - 1000,
        exe_magic: OVERLAY,
        exe_layer: layer::LOWER,
        ..Exec::default()
    };
    change(&mut e);
    rec(EventKind::Exec, e)
}

pub(super) fn memory(kind: u32, change: impl FnOnce(&mut Memory)) -> Rec {
    let mut m = Memory { kind, op: 140, prot: 7, dev: ROOT_DEV, nlink: 1, ..Memory::default() };
    change(&mut m);
    rec(EventKind::Memory, m)
}

pub(super) fn weakened(change: impl FnOnce(&mut State)) -> Rec {
    namespace::state(state_reason::WEAKENED, change)
}

fn check(record: Rec, expected: &[Brief]) -> Vec<crate::detect::Emitted> {
    World::new().check(&[record], expected)
}

#[test]
fn programs_of_the_image() {
    check(exec(|_| ()), &[]);
    let plain = |e: &mut Exec| (e.exe_layer, e.exe_magic) = (layer::NONE, 0xef53);
    check(exec(plain), &[]);
    check(exec(|e| e.transition = transition::ENTRY), &[]);
    // Whoever starts the container chooses what it begins with.
    check(exec(|e| (e.transition, e.exe_dev) = (transition::ENTRY, 7)), &[]);
    check(exec(|e| (e.exe_layer, e.exe_nlink) = (layer::UPPER, 0)).by_runtime(), &[]);
}

#[test]
fn programs_that_the_image_did_not_bring() {
    let new = |e: &mut Exec| (e.exe_layer, e.exe_ctime) = (layer::UPPER, ENTERED + 5);
    let found = check(exec(new).path("/tmp/x"), &[("F01", Warning, Succeeded)]);
    assert_eq!(fact(&found[0], "layer"), (Some(&Value::Word("lower")), &Value::Word("upper")));
    assert_eq!(fact(&found[0], "file").1, &Value::Bytes(b"/tmp/x".to_vec()));
    check(exec(|e| e.exe_layer = layer::UPPER), &[("F01", Notice, Succeeded)]);
    let plain = |e: &mut Exec| (e.exe_layer, e.exe_ctime) = (layer::NONE, ENTERED + 5);
    check(exec(plain), &[("F01", Warning, Succeeded)]);
}

#[test]
fn programs_without_a_file_or_from_elsewhere() {
    let memfd = |e: &mut Exec| (e.exe_nlink, e.exe_mnt_ns, e.exe_magic) = (0, 0, TMPFS);
    let found = check(exec(memfd), &[("F02", Critical, Succeeded)]);
    assert_eq!(fact(&found[0], "kind").1, &Value::Word("memfd"));
    let found = check(exec(|e| e.exe_nlink = 0), &[("F02", Critical, Succeeded)]);
    assert_eq!(fact(&found[0], "kind").1, &Value::Word("deleted or never linked"));
    let shm = |e: &mut Exec| (e.exe_dev, e.exe_layer, e.exe_magic) = (7, layer::NONE, TMPFS);
    let found = check(exec(shm), &[("F03", Notice, Succeeded)]);
    assert_eq!(fact(&found[0], "filesystem").1, &Value::Word("tmpfs"));
}

#[test]
fn names_of_the_kernels_threads() {
    let named = |name: &[u8]| exec(|_| ()).path("/bin/sleep").text(name);
    let found = check(named(b"[kworker/0:1]\x001\0"), &[("F18", Warning, Succeeded)]);
    assert_eq!(fact(&found[0], "name").1, &Value::Bytes(b"[kworker/0:1]".to_vec()));
    check(named(b"[\0-f\0]\0"), &[]);
    check(named(b"sleep\0[1]\0"), &[]);
}

#[test]
fn executable_memory() {
    check(memory(1, |_| ()), &[("D17", Notice, Succeeded)]);
    check(memory(2, |m| m.ret = -13), &[("D17", Notice, Denied)]);
    check(memory(4, |_| ()), &[("D17", Notice, Succeeded)]);
    check(memory(3, |m| (m.layer, m.ino) = (layer::UPPER, 5)), &[("F01", Notice, Succeeded)]);
    check(memory(3, |m| m.dev = 7), &[("F03", Notice, Succeeded)]);
    check(memory(3, |m| m.layer = layer::LOWER), &[]);
    // The last rung does not see what is behind it: relocations in code look the same.
    check(memory(0, |m| m.prot = 5), &[]);
    check(memory(0, |_| ()), &[("D17", Notice, Succeeded)]);
}

#[test]
fn capabilities_beyond_the_bounding_set() {
    let mut world = World::new();
    if let Some(base) = &mut world.container.baseline {
        base.state.cap_bounding = 0xff;
    }
    let found = world.check(&[exec(|e| e.cap_permitted = 0x1ff)], &[("I-8", Critical, Succeeded)]);
    assert_eq!(fact(&found[0], "gained").1, &Value::Hex(0x100));
    world.check(&[exec(|e| e.cap_permitted = 0xff)], &[]);
    // A runtime that joins may give more.
    let joined = namespace::state(state_reason::JOIN, |s| s.cap_bounding = 0x3ff);
    world.check(&[joined, exec(|e| e.cap_permitted = 0x1ff)], &[]);
    // In a user namespace of its own a process has all capabilities.
    let inner = State { user_ns: 901, ..base_state() };
    let mut task = process(500, b"/bin/sh");
    task.state = Some(inner.into());
    world.process = Some(task);
    world.check(&[exec(|e| e.cap_permitted = u64::MAX)], &[]);
}

#[test]
fn confinement_that_is_lost() {
    let found = check(
        weakened(|s| (s.old_seccomp, s.old_seccomp_filters, s.old_no_new_privs) = (2, 1, 1)),
        &[("I-10", Critical, Succeeded)],
    );
    assert_eq!(fact(&found[0], "seccomp"), (Some(&Value::Number(2)), &Value::Number(0)));
    check(namespace::state(state_reason::CHANGE, |s| s.seccomp = 2), &[]);
}

pub(super) fn host(change: impl FnOnce(&mut HostExec)) -> Rec {
    let mut e = HostExec { exe_mnt_ns: 1, exe_nlink: 1, ..HostExec::default() };
    change(&mut e);
    rec(EventKind::HostExec, e).by_host()
}

#[test]
fn code_of_a_container_on_the_host() {
    let found = check(
        host(|e| e.exe_container = OWN).path("/bin/x").text(b"x\0-v\0"),
        &[("I-12", Critical, Succeeded)],
    );
    assert_eq!(fact(&found[0], "storage"), (Some(&Value::Word("host")), &Value::Hex(OWN)));
    assert_eq!(fact(&found[0], "argv").1, &Value::Bytes(b"x -v".to_vec()));
    assert_eq!(found[0].container.0, OWN);
    check(host(|e| e.exe_container = OWN).by_runtime(), &[]);
}

#[test]
fn helpers_of_the_kernel() {
    let helper = |e: &mut HostExec| e.helper = 1;
    check(host(helper).path("/sbin/modprobe").text(b"modprobe\0"), &[]);
    let layer = host(helper).path("/var/lib/docker/overlay2/abc/diff/cmd").text(b"cmd\0");
    check(layer, &[("I-13", Critical, Succeeded)]);
    let inside = |e: &mut HostExec| (e.helper, e.exe_container) = (1, OWN);
    check(host(inside).path("/cmd").text(b"cmd\0"), &[("I-13", Critical, Succeeded)]);
}
