//! A01, A02.

use monitor_common::event::{Cred, EventKind, Exec, State, layer, transition};

use super::build::{Brief, ENTERED, HOST, ROOT_DEV, Rec, World, base_state, fact, process, rec};
use super::namespace::state;
use crate::detect::Outcome::{Denied, Succeeded};
use crate::detect::Severity::{Critical, Notice, Warning};
use crate::detect::Value;

const SETUID: u32 = 20;
const SETGID: u32 = 21;
const SETREUID: u32 = 22;
const SETRESUID: u32 = 24;
const SETFSUID: u32 = 26;
const CAPSET: u32 = 29;

const ROSE: Brief = ("A01", Critical, Succeeded);
const REFUSED: Brief = ("A01", Warning, Denied);

pub(super) fn cred(op: u32, ret: i32, old: [u32; 3], new_euid: u32, new_fsuid: u32) -> Rec {
    rec(
        EventKind::Cred,
        Cred {
            op,
            ret,
            old_uid: old[0],
            old_euid: old[1],
            old_suid: old[2],
            new_euid,
            new_fsuid,
            user_ns: HOST.user_ns,
            ..Cred::default()
        },
    )
}

fn check(records: &[Rec], expected: &[Brief]) {
    World::without(&["F01", "F02", "F03"]).check(records, expected);
}

#[test]
fn rises_to_root() {
    for op in [SETUID, SETREUID, SETRESUID] {
        check(&[cred(op, 0, [1000; 3], 0, 0)], &[ROSE]);
        check(&[cred(op, -1, [1000; 3], 1000, 1000)], &[REFUSED]);
        // A set-uid program that comes back to root, and root itself.
        check(&[cred(op, 0, [1000, 1000, 0], 0, 0)], &[]);
        check(&[cred(op, 0, [0; 3], 0, 0)], &[]);
        // Dropping is healthy.
        check(&[cred(op, 0, [0; 3], 33, 33)], &[]);
        check(&[cred(op, 0, [1000; 3], 1001, 1001)], &[]);
        check(&[cred(op, 0, [1000; 3], 0, 0).by_runtime()], &[]);
    }
    let found = World::without(&["F01", "F02", "F03"]).check(&[cred(SETUID, 0, [1000; 3], 0, 0)], &[ROSE]);
    assert_eq!(fact(&found[0], "old_euid").1, &Value::Number(1000));
}

#[test]
fn setfsuid_answers_with_the_old_id() {
    check(&[cred(SETFSUID, 1000, [1000; 3], 1000, 0)], &[ROSE]);
    check(&[cred(SETFSUID, 1000, [1000; 3], 1000, 1000)], &[REFUSED]);
    check(&[cred(SETFSUID, 0, [0; 3], 0, 1000)], &[]);
}

#[test]
fn only_calls_for_user_ids_and_for_root() {
    check(&[cred(SETGID, -1, [1000; 3], 1000, 1000)], &[]);
    check(&[cred(CAPSET, 0, [1000; 3], 1000, 1000)], &[]);
    let wants_another = Cred {
        op: SETUID,
        ret: -1,
        wanted: 33,
        old_uid: 1000,
        old_euid: 1000,
        old_suid: 1000,
        new_euid: 1000,
        new_fsuid: 1000,
        ..Cred::default()
    };
    check(&[rec(EventKind::Cred, wants_another)], &[]);
}

#[test]
fn root_is_that_of_the_user_namespace() {
    let mapped = |user_ns, old: u32| {
        let ids = Cred { old_uid: old, old_euid: old, old_suid: old, ..Cred::default() };
        let new = Cred { op: SETUID, new_euid: 100_000, new_fsuid: 100_000, ns_root: 100_000, ..ids };
        rec(EventKind::Cred, Cred { user_ns, ..new })
    };
    check(&[mapped(HOST.user_ns, 101_000)], &[ROSE]);
    check(&[mapped(HOST.user_ns, 100_000)], &[]);
    // Root of a user namespace that the container made itself: a rootless engine.
    let makes =
        monitor_common::event::Namespace { op: 11, flags: 0x1000_0000, user_ns: 901, ..Default::default() };
    check(&[rec(EventKind::Namespace, makes), mapped(901, 101_000)], &[("A01", Notice, Succeeded)]);
    // No root at all is mapped: uid 0 of the initial one is meant.
    let unmapped = Cred {
        op: SETUID,
        old_uid: 1,
        old_euid: 1,
        old_suid: 1,
        new_euid: 0,
        ns_root: u32::MAX,
        ..Cred::default()
    };
    check(&[rec(EventKind::Cred, unmapped)], &[ROSE]);
}

fn gaining_exec() -> Exec {
    Exec {
        old_known: 1,
        old_euid: 1000,
        old_cap_permitted: 0,
        cap_permitted: 0xff,
        exe_ctime: ENTERED + 60,
        exe_nlink: 1,
        exe_dev: ROOT_DEV,
        exe_layer: layer::LOWER,
        exe_mnt_ns: 101,
        exe_mode: 0o104_755,
        secure: 1,
        argv_len: 3,
        ..Exec::default()
    }
}

/// A change that no call explains.
pub(super) fn unseen(old: [u32; 3], new: [u32; 3], gained: u64) -> Rec {
    let ids = Cred { old_uid: old[0], old_euid: old[1], old_suid: old[2], ..Cred::default() };
    let ids = Cred { new_uid: new[0], new_euid: new[1], new_suid: new[2], new_fsuid: new[1], ..ids };
    let cap_permitted = 0xf | gained;
    let caps = Cred { old_cap_permitted: 0xf, cap_permitted, user_ns: HOST.user_ns, ..ids };
    rec(EventKind::Cred, caps)
}

#[test]
fn other_changes_that_no_call_explains() {
    let (warned, critical) = (("A07", Warning, Succeeded), ("A07", Critical, Succeeded));
    check(&[unseen([1000; 3], [1001; 3], 0)], &[warned]);
    check(&[unseen([1000; 3], [1000, 1000, 0], 0)], &[warned]);
    check(&[unseen([1000; 3], [1000; 3], 0x80)], &[critical]);
    check(&[unseen([0; 3], [0; 3], 0x80)], &[critical]);
    // Root is A01's, dropping is healthy, and one's own ids may be exchanged.
    check(&[unseen([1000; 3], [0; 3], 0)], &[ROSE]);
    check(&[unseen([0; 3], [1000; 3], 0)], &[]);
    check(&[unseen([1000, 1001, 1002], [1002, 1000, 1001], 0)], &[]);
    // What a call explains, and what a namespace gives.
    let with = |change: fn(&mut Cred)| {
        let mut c = Cred { old_uid: 1, old_euid: 1, old_suid: 1, user_ns: HOST.user_ns, ..Cred::default() };
        (c.new_uid, c.new_euid, c.new_suid, c.new_fsuid, c.cap_permitted) = (2, 2, 2, 2, 0x80);
        change(&mut c);
        rec(EventKind::Cred, c)
    };
    check(&[with(|_| ())], &[critical]);
    check(&[with(|c| c.op = CAPSET)], &[]);
    check(&[with(|c| c.user_ns = 901)], &[]);
}

#[test]
fn an_exec_that_raised_nothing_gives_nothing() {
    let a07 = &[("A07", Critical, Succeeded)];
    let plain = |e: &mut Exec| (e.exe_ctime, e.secure) = (ENTERED - 60, 0);
    check(&[exec(0, plain)], a07);
    check(&[exec(1000, plain)], a07);
    check(&[exec(1000, |e| (e.exe_ctime, e.secure, e.cap_permitted) = (ENTERED - 60, 0, 0))], &[]);
    // Root gains what it had given up; a set-uid program; a kernel that does not say.
    check(&[exec(1000, plain).with(|h| h.uid = 0)], &[]);
    check(&[exec(0, |e| (e.exe_ctime, e.secure) = (ENTERED - 60, 1))], &[]);
    check(&[exec(0, |e| (e.exe_ctime, e.secure) = (ENTERED - 60, 2))], &[]);
    check(&[exec(0, |e| (e.exe_ctime, e.secure, e.old_euid) = (0, 0, 0))], &[]);
    check(&[exec(0, |e| (e.exe_ctime, e.secure, e.old_known) = (0, 0, 0))], &[]);
    check(&[exec(0, |e| (e.exe_ctime, e.secure, e.transition) = (0, 0, transition::JOIN))], &[]);
}

/// An exec that ends with this euid.
pub(super) fn exec(euid: u32, change: impl FnOnce(&mut Exec)) -> Rec {
    let mut e = gaining_exec();
    change(&mut e);
    rec(EventKind::Exec, e).with(|h| h.euid = euid).path("/tmp/sh")
}

#[test]
fn planted_privileges() {
    let a02 = &[("A02", Critical, Succeeded)];
    let found = World::without(&["F01", "F02", "F03"]).check(&[exec(0, |_| ())], a02);
    assert_eq!(fact(&found[0], "exe").1, &Value::Bytes(b"/tmp/sh".to_vec()));
    assert_eq!(fact(&found[0], "exe_origin").1, &Value::Word("made or changed after start"));
    // File capabilities.
    check(&[exec(1000, |_| ())], a02);
    check(&[exec(0, |e| (e.exe_ctime, e.exe_nlink) = (0, 0))], a02);
    check(&[exec(0, |e| (e.exe_ctime, e.exe_mnt_ns) = (0, HOST.mnt_ns))], a02);
}

#[test]
fn ordinary_execs() {
    // sudo and ping of the image.
    check(&[exec(0, |e| e.exe_ctime = ENTERED - 60)], &[]);
    check(&[exec(1000, |e| e.exe_ctime = ENTERED)], &[]);
    // A program built in the container that gives nothing.
    check(&[exec(1000, |e| e.cap_permitted = 0)], &[]);
    check(&[exec(0, |e| e.old_euid = 0)], &[]);
    check(&[exec(0, |e| e.old_known = 0)], &[]);
    check(&[exec(0, |e| e.transition = transition::ENTRY)], &[]);
    check(&[exec(0, |e| e.transition = transition::JOIN)], &[]);
    check(&[exec(0, |_| ()).by_runtime()], &[]);
    let mut when_unknown = World::without(&["F01", "F02", "F03"]);
    when_unknown.container.baseline.as_mut().unwrap().entered_epoch = 0;
    when_unknown.check(&[exec(0, |_| ())], &[]);
}

#[test]
fn capabilities_of_an_own_user_namespace_come_from_no_program() {
    let mut world = World::without(&["F01", "F02", "F03"]);
    let mut task = process(500, b"/bin/unshare");
    task.state = Some(State { user_ns: 901, ..base_state() }.into());
    world.process = Some(task);
    world.feed(&state(monitor_common::event::state_reason::SCAN, |s| s.user_ns = 901));
    world.check(&[exec(1000, |_| ())], &[]);
}
