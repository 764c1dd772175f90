//! C01, C03, C06, I-3.

use monitor_common::event::{EventKind, Namespace, State, TRUNCATED, state_reason};

use super::build::{HOST, OTHER, Rec, World, base_state, fact, rec};
use crate::container::ContainerKey;
use crate::detect::Outcome::{Denied, Succeeded};
use crate::detect::Severity::{Critical, Notice, Warning};
use crate::detect::Value;

const SETNS: u32 = 10;
const UNSHARE: u32 = 11;
const CLONE: u32 = 12;
const NEWNS: u64 = 0x0002_0000;
const NEWNET: u64 = 0x4000_0000;
const NEWUSER: u64 = 0x1000_0000;
const NEWTIME: u64 = 0x80;
const EPERM: i32 = -1;

/// A namespace record of a task in the baseline's namespaces, changed by `change`.
fn call(op: u32, flags: u64, ret: i32, change: impl FnOnce(&mut Namespace)) -> Rec {
    let s = base_state();
    let mut n = Namespace {
        flags,
        op,
        ret,
        mnt_ns: s.mnt_ns,
        pid_ns: s.pid_ns,
        net_ns: s.net_ns,
        ipc_ns: s.ipc_ns,
        uts_ns: s.uts_ns,
        cgroup_ns: s.cgroup_ns,
        time_ns: s.time_ns,
        user_ns: s.user_ns,
        ..Namespace::default()
    };
    change(&mut n);
    rec(EventKind::Namespace, n)
}

pub(super) fn setns(wanted: u32, ret: i32, change: impl FnOnce(&mut Namespace)) -> Rec {
    call(SETNS, 0, ret, |n| {
        n.wanted_ns = wanted;
        change(n);
    })
}

pub(super) fn unshare_mnt() -> Rec {
    call(UNSHARE, NEWNS, 0, |n| n.mnt_ns = 900)
}

pub(super) fn state(reason: u32, change: impl FnOnce(&mut State)) -> Rec {
    let mut s = State { reason, ..base_state() };
    change(&mut s);
    rec(EventKind::State, s)
}

/// The neighbour's ENTRY, with a network namespace of inode 203.
fn neighbour_enters(world: &mut World) {
    let own = world.container.key;
    world.container.key = ContainerKey(OTHER);
    let entry = state(state_reason::ENTRY, |s| {
        (s.mnt_ns, s.net_ns, s.root_mnt_ns, s.cwd_mnt_ns) = (201, 203, 201, 201);
    });
    assert!(world.feed(&entry.with(|h| h.container = OTHER)).is_empty());
    world.container.key = own;
}

#[test]
fn joining_the_hosts_namespace_is_critical_and_says_whose() {
    let found = World::new()
        .check(&[setns(HOST.mnt_ns, 0, |n| n.mnt_ns = HOST.mnt_ns)], &[("C01", Critical, Succeeded)]);
    assert_eq!(
        fact(&found[0], "mnt_ns"),
        (Some(&Value::Namespace("mnt", 101)), &Value::Namespace("mnt", HOST.mnt_ns))
    );
    assert_eq!(fact(&found[0], "owner").1, &Value::Word("host"));
}

#[test]
fn joining_a_neighbours_namespace_names_the_neighbour() {
    let mut world = World::new();
    neighbour_enters(&mut world);
    let found = world.check(&[setns(203, 0, |n| n.net_ns = 203)], &[("C01", Critical, Succeeded)]);
    assert_eq!(fact(&found[0], "owner_container").1, &Value::Hex(OTHER));
}

#[test]
fn a_pidfd_is_judged_by_the_result() {
    let flags = NEWNS | NEWNET;
    let joins = call(SETNS, flags, 0, |n| (n.mnt_ns, n.net_ns) = (HOST.mnt_ns, HOST.net_ns));
    let found = World::new().check(&[joins], &[("C01", Critical, Succeeded)]);
    assert_eq!(fact(&found[0], "net_ns").1, &Value::Namespace("net", HOST.net_ns));

    World::new().check(&[call(SETNS, flags, 0, |_| ())], &[]);
    // The network was joined by an earlier call: this one asks for the own mount namespace only.
    World::new().check(&[call(SETNS, NEWNS, 0, |n| n.net_ns = HOST.net_ns)], &[]);
}

#[test]
fn own_namespaces_may_be_joined() {
    World::new().check(&[setns(101, 0, |_| ())], &[]);
    World::new().check(&[setns(101, EPERM, |_| ())], &[]);
    World::new().check(&[unshare_mnt(), setns(101, 0, |_| ())], &[]);
    World::new().check(&[unshare_mnt(), setns(900, 0, |n| n.mnt_ns = 900)], &[]);
    World::new().check(&[setns(HOST.mnt_ns, 0, |n| n.mnt_ns = HOST.mnt_ns).by_runtime()], &[]);
}

#[test]
fn refused_joins_are_warnings_if_they_were_attempts() {
    let denied = &[("C01", Warning, Denied)];
    World::new().check(&[setns(HOST.mnt_ns, EPERM, |_| ())], denied);
    World::new().check(&[setns(0, EPERM, |_| ())], denied);
    World::new().check(&[setns(0, -9, |_| ())], &[]);
}

#[test]
fn a_type_that_the_baseline_does_not_know_is_not_compared() {
    let mut world = World::new();
    world.container.baseline.as_mut().unwrap().state.ipc_ns = 0;
    world.check(&[state(state_reason::CHANGE, |s| s.ipc_ns = 555)], &[]);
    world.check(&[setns(555, 0, |n| n.ipc_ns = 555)], &[]);
    // The host's is known to be foreign all the same.
    world.check(&[setns(HOST.ipc_ns, 0, |n| n.ipc_ns = HOST.ipc_ns)], &[("C01", Critical, Succeeded)]);
}

#[test]
fn a_change_that_no_call_explains() {
    let host =
        |s: &mut State| (s.mnt_ns, s.root_mnt_ns, s.cwd_mnt_ns) = (HOST.mnt_ns, HOST.mnt_ns, HOST.mnt_ns);
    let change = state(state_reason::CHANGE, host);
    let found = World::new().check(std::slice::from_ref(&change), &[("C06", Critical, Succeeded)]);
    assert_eq!(fact(&found[0], "owner").1, &Value::Word("host"));
    // Nobody's: perhaps the call's record was lost.
    World::new().check(&[state(state_reason::CHANGE, |s| s.net_ns = 555)], &[("C06", Warning, Succeeded)]);

    World::new().check(&[state(state_reason::CHANGE, |_| ())], &[]);
    World::new().check(&[state(state_reason::CHANGE, |s| (s.net_ns, s.user_ns) = (0, 0))], &[]);
    World::new().check(&[setns(HOST.mnt_ns, 0, |n| n.mnt_ns = HOST.mnt_ns), change.clone()], &[]);
    World::new().check(&[change.by_runtime()], &[]);
}

#[test]
fn the_containers_own_making_is_not_foreign() {
    let in_it = state(state_reason::CHANGE, |s| (s.mnt_ns, s.root_mnt_ns, s.cwd_mnt_ns) = (900, 900, 900));
    World::new().check(&[unshare_mnt(), in_it.clone()], &[]);
    // Between the calls, root or directory may still be on the outer mounts.
    World::new().check(&[unshare_mnt(), state(state_reason::CHANGE, |s| s.mnt_ns = 900)], &[]);
    World::new().check(&[call(CLONE, NEWNS, 0, |n| n.mnt_ns = 900), in_it.clone()], &[]);
    World::new().check(&[call(CLONE, 0, 0, |n| n.mnt_ns = 900), in_it], &[]);
    // A time namespace is made by unshare and entered by the child.
    let in_time = state(state_reason::CHANGE, |s| s.time_ns = 901);
    let born = call(CLONE, 0, 0, |n| n.time_ns = 901);
    World::new().check(&[call(UNSHARE, NEWTIME, 0, |_| ()), born, in_time], &[]);
}

#[test]
fn a_call_does_not_make_what_is_somebody_elses() {
    let mut world = World::new();
    neighbour_enters(&mut world);
    let claims = call(UNSHARE, NEWNET, 0, |n| n.net_ns = 203);
    let change = state(state_reason::CHANGE, |s| s.net_ns = 203);
    world.check(&[claims, change], &[("C06", Critical, Succeeded)]);
    // Only the types asked for are made.
    let other_type = call(UNSHARE, NEWNS, 0, |n| n.net_ns = 777);
    let change = state(state_reason::CHANGE, |s| s.net_ns = 777);
    World::new().check(&[other_type, change], &[("C06", Warning, Succeeded)]);
}

#[test]
fn an_inode_that_a_new_container_got_is_no_longer_the_makers() {
    let mut world = World::new();
    world.feed(&call(UNSHARE, NEWNET, 0, |n| n.net_ns = 203));
    neighbour_enters(&mut world);
    world.check(&[setns(203, 0, |n| n.net_ns = 203)], &[("C01", Critical, Succeeded)]);
}

#[test]
fn joins_by_a_runtime() {
    World::new().check(&[state(state_reason::JOIN, |_| ())], &[]);
    let other_pid = state(state_reason::JOIN, |s| s.pid_ns = 777);
    World::new().check(std::slice::from_ref(&other_pid), &[]);
    World::new().check(&[other_pid, state(state_reason::CHANGE, |s| s.pid_ns = 777)], &[]);
    let other_mnt = state(state_reason::JOIN, |s| (s.mnt_ns, s.root_mnt_ns, s.cwd_mnt_ns) = (777, 777, 777));
    World::new().check(&[other_mnt], &[("C06", Notice, Succeeded)]);
}

#[test]
fn what_a_scan_finds_counts_as_own_unless_it_is_known() {
    let seen = state(state_reason::SCAN, |s| s.net_ns = 777);
    let change = state(state_reason::CHANGE, |s| s.net_ns = 777);
    World::new().check(&[seen, change], &[]);
    let seen = state(state_reason::SCAN, |s| s.net_ns = HOST.net_ns);
    let change = state(state_reason::CHANGE, |s| s.net_ns = HOST.net_ns);
    World::new().check(&[seen, change], &[("C06", Critical, Succeeded)]);
}

#[test]
fn new_namespaces() {
    World::new().check(&[unshare_mnt()], &[("C03", Notice, Succeeded)]);
    let user = call(UNSHARE, NEWUSER, 0, |n| n.user_ns = 901);
    let found = World::new().check(&[user], &[("C03", Warning, Succeeded)]);
    assert_eq!(fact(&found[0], "namespaces").1, &Value::Text("user".to_owned()));
    World::new().check(&[call(CLONE, NEWNS, 0, |n| n.mnt_ns = 900)], &[("C03", Notice, Succeeded)]);
    World::new().check(&[call(CLONE, 0, 0, |n| n.mnt_ns = 900)], &[("C03", Notice, Succeeded)]);
    World::new().check(&[call(UNSHARE, NEWUSER | NEWNS, EPERM, |_| ())], &[("C03", Notice, Denied)]);

    // CLONE_FILES makes no namespace.
    World::new().check(&[call(UNSHARE, 0x400, 0, |_| ())], &[]);
    World::new().check(&[call(CLONE, 0, 0, |_| ())], &[]);
    World::new().check(&[unshare_mnt().by_runtime()], &[]);
    let mut in_setup = World::new();
    in_setup.container.baseline = None;
    in_setup.check(&[unshare_mnt()], &[]);
}

#[test]
fn root_and_directory_on_foreign_mounts() {
    let critical = &[("I-3", Critical, Succeeded)];
    let cwd = state(state_reason::CHANGE, |s| s.cwd_mnt_ns = HOST.mnt_ns);
    let found = World::new().check(&[cwd.string(b"etc\0", TRUNCATED)], critical);
    assert_eq!(fact(&found[0], "cwd").1, &Value::Bytes(b".../etc".to_vec()));
    World::new().check(&[state(state_reason::CHANGE, |s| s.root_mnt_ns = HOST.mnt_ns)], critical);
    World::new().check(&[state(state_reason::JOIN, |s| s.cwd_mnt_ns = 555)], critical);

    // Unreachable, detached, anonymous (Linux 6.18).
    World::new().check(&[state(state_reason::CHANGE, |s| s.cwd_mnt_ns = 0)], &[]);
    World::new().check(&[state(state_reason::CHANGE, |s| s.cwd_mnt_ns = 0xefff_fff7)], &[]);
}

#[test]
fn a_leaked_directory_at_entry_is_seen_before_there_is_a_baseline() {
    let mut world = World::new();
    world.container.baseline = None;
    world.check(&[state(state_reason::ENTRY, |_| ())], &[]);
    let leaked = state(state_reason::ENTRY, |s| s.cwd_mnt_ns = HOST.mnt_ns);
    world.check(&[leaked], &[("I-3", Critical, Succeeded)]);
}
