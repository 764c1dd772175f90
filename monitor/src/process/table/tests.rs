//! Tests of the process table.

use monitor_common::event::{Cred, EventKind, Exec, Exit, Fork, Header, State, TRUNCATED, TailString, flags};

use super::super::testing::{event, list, record};
use super::*;
use crate::process::Program;

const SECOND: u64 = 1_000_000_000;

fn header(pid: u32, started: u64) -> Header {
    Header { pid, tid: pid, started: started * SECOND, container: 7, ..Header::default() }
}

fn fork(table: &mut ProcessTable, parent: (u32, u64), child: (u32, u64)) {
    let payload =
        Fork { child_pid: child.0, child_started: child.1 * SECOND, child_ppid: parent.0, ..Fork::default() };
    let bytes = record(EventKind::Fork, header(parent.0, parent.1), &payload, &[]);
    table.apply(&event(&bytes));
}

fn exec(table: &mut ProcessTable, who: (u32, u64), ppid: u32, exe: &[&str], argv: &[&str]) {
    let payload = Exec { ppid, gid: 5, cap_effective: 3, ..Exec::default() };
    let bytes = record(
        EventKind::Exec,
        header(who.0, who.1),
        &payload,
        &[&list(exe), &list(argv), &list(&["tmp"]), b""],
    );
    table.apply(&event(&bytes));
}

fn exit(table: &mut ProcessTable, who: (u32, u64)) {
    let bytes = record(EventKind::Exit, header(who.0, who.1), &Exit::default(), &[]);
    table.apply(&event(&bytes));
}

fn chain(table: &ProcessTable, pid: u32) -> Vec<u32> {
    table.ancestors(pid).map(|p| p.key.pid).collect()
}

/// Lists and counts agree, whatever happened.
fn check_whole(table: &ProcessTable) {
    assert_eq!(table.living.len() + table.exited.len(), table.by_pid.len());
    assert_eq!(table.by_pid.len() + table.free.len(), table.slots.len());
    let programs: std::collections::BTreeMap<u64, usize> = table
        .slots
        .iter()
        .map(|slot| &slot.process.program)
        .filter(|program| program.id != 0)
        .map(|program| (program.id, crate::process::text::weight(program)))
        .collect();
    assert_eq!(programs.values().sum::<usize>(), table.programs.bytes());
}

#[test]
fn exec_sets_the_program_root_first() {
    let mut table = ProcessTable::default();
    exec(&mut table, (10, 1), 9, &["sh", "bin", "usr"], &["sh", "-c", "id"]);
    let p = table.get(10).expect("known");
    assert_eq!(p.program.exe, b"/usr/bin/sh");
    assert_eq!(p.program.argv, [b"sh".to_vec(), b"-c".to_vec(), b"id".to_vec()]);
    assert_eq!((p.program.cwd.as_slice(), p.ppid, p.gid, p.cap_effective), (b"/tmp".as_slice(), 9, 5, 3));
    assert_eq!(p.container, ContainerKey(7));
    check_whole(&table);
}

#[test]
fn a_program_without_a_path_has_arguments() {
    let mut table = ProcessTable::default();
    exec(&mut table, (10, 1), 9, &["crun"], &["crun", "exec"]);
    // It executes itself once more, from a mount that has nothing but the file.
    exec(&mut table, (10, 1), 9, &[], &["crun", "exec"]);
    let p = table.get(10).expect("known");
    assert_eq!((p.program.exe.as_slice(), p.program.argv.len()), (b"/".as_slice(), 2));
    check_whole(&table);
}

#[test]
fn a_parent_may_be_a_stranger() {
    let mut table = ProcessTable::default();
    exec(&mut table, (10, 5), 9, &["runc"], &["runc", "exec"]);
    assert_eq!(table.stranger(10), Some(9));
    table.insert_scanned(Process { key: ProcessKey { pid: 9, started: SECOND }, ..Process::default() });
    assert_eq!((table.stranger(10), table.stranger(11)), (None, None));
}

#[test]
fn paths() {
    #[track_caller]
    fn check(bytes: &[u8], flags: u16, want: &str) {
        let mut out = Vec::new();
        append_path(&mut out, TailString { bytes, flags });
        assert_eq!(String::from_utf8_lossy(&out), want);
    }
    check(b"", 0, "/");
    check(b"", TRUNCATED, "");
    check(b"a\0", 0, "/a");
    check(b"c\0b\0a\0", 0, "/a/b/c");
    check(b"c\0b\0a\0", TRUNCATED, "a/b/c");
    check(b"c\0b", 0, "/b/c");
    check(b"\0\0", 0, "//");
}

#[test]
fn a_child_inherits_and_ancestors_survive_exits() {
    let mut table = ProcessTable::default();
    exec(&mut table, (10, 1), 1, &["runc"], &["runc", "create"]);
    fork(&mut table, (10, 1), (11, 2));
    fork(&mut table, (11, 2), (12, 3));
    assert_eq!(table.get(12).expect("known").program.argv[1], b"create");
    exit(&mut table, (11, 2));
    exit(&mut table, (10, 1));
    exec(&mut table, (12, 3), 1, &["sh"], &["sh"]);
    assert_eq!(chain(&table, 12), [11, 10], "the lineage, not the new parent");
    assert_eq!(table.get(12).expect("known").ppid, 1);
    assert!(table.get(11).expect("kept").exited);
    check_whole(&table);
}

#[test]
fn ancestors_cross_to_scanned_host_processes() {
    let mut table = ProcessTable::default();
    fork(&mut table, (20, 5), (21, 6));
    exec(&mut table, (20, 5), 19, &["sh"], &["sh"]);
    table.insert_scanned(Process {
        key: ProcessKey { pid: 19, started: 4 * SECOND },
        program: Program::new(b"/usr/bin/containerd-shim".to_vec(), Vec::new(), Vec::new()).into(),
        ..Process::default()
    });
    assert_eq!(chain(&table, 21), [20, 19]);
    assert!(table.get(19).expect("known").container.is_host());
}

#[test]
fn a_reused_pid_is_another_process() {
    let mut table = ProcessTable::default();
    exec(&mut table, (10, 1), 1, &["old"], &["old"]);
    fork(&mut table, (10, 1), (11, 2));
    exit(&mut table, (10, 1));
    exec(&mut table, (10, 50), 1, &["new"], &["new"]);
    assert_eq!(table.get(10).expect("known").program.exe, b"/new");
    assert!(table.get_key(ProcessKey { pid: 10, started: SECOND }).is_none());
    assert!(table.get_key(ProcessKey { pid: 10, started: 50 * SECOND }).is_some());
    assert_eq!(chain(&table, 11), [0u32; 0], "the new owner of the pid is no ancestor");
    check_whole(&table);
}

#[test]
fn a_scan_and_a_record_are_the_same_process() {
    let mut table = ProcessTable::default();
    let started = 3 * SECOND + 1234;
    table.insert_scanned(Process {
        key: ProcessKey { pid: 30, started: 3 * SECOND },
        program: Program::new(b"/bin/app".to_vec(), Vec::new(), Vec::new()).into(),
        ..Process::default()
    });
    let head = Header { started, ..header(30, 0) };
    let bytes = record(EventKind::State, head, &State { mnt_ns: 9, ..State::default() }, &[b""]);
    table.apply(&event(&bytes));
    let p = table.get_key(ProcessKey { pid: 30, started }).expect("known");
    assert_eq!((p.program.exe.as_slice(), p.key.started), (b"/bin/app".as_slice(), started));
    assert_eq!(p.state.as_ref().expect("set").mnt_ns, 9);
    assert_eq!(table.len(), 1);
}

#[test]
fn credentials_follow_only_what_the_kernel_did() {
    let mut table = ProcessTable::default();
    for (ret, want) in [(-1, 0), (0, 1000)] {
        let payload = Cred { ret, new_uid: 1000, new_euid: 1000, ..Cred::default() };
        let bytes = record(EventKind::Cred, header(40, 1), &payload, &[]);
        table.apply(&event(&bytes));
        assert_eq!(table.get(40).expect("known").euid, want);
    }
}

#[test]
fn the_runtime_flag_ends_with_entry() {
    let mut table = ProcessTable::default();
    let head = Header { flags: flags::RUNTIME, ..header(50, 1) };
    let bytes = record(EventKind::Exec, head, &Exec::default(), &[b"", b"", b"", b""]);
    table.apply(&event(&bytes));
    assert!(table.get(50).expect("known").runtime);
    exec(&mut table, (50, 1), 1, &["sh"], &["sh"]);
    assert!(!table.get(50).expect("known").runtime);
}

#[test]
fn a_fork_storm_is_bounded() {
    let mut table = ProcessTable::new(64);
    exec(&mut table, (1000, 1), 1, &["bomb"], &["bomb"]);
    for n in 0..10_000u32 {
        fork(&mut table, (1000, 1), (2000 + n, 10 + u64::from(n)));
        if n % 3 == 0 {
            exit(&mut table, (2000 + n, 10 + u64::from(n)));
        }
        assert!(table.len() <= 64);
    }
    check_whole(&table);
    assert!(table.evicted() > 0);
    assert_eq!(chain(&table, 2000 + 9_998), [1000], "the ancestor of all was not evicted");
}

#[test]
fn a_fork_bomb_fills_the_table_and_no_more() {
    let mut table = ProcessTable::default();
    exec(&mut table, (1, 1), 0, &["bomb"], &["bomb"]);
    let one = table.programs.bytes();
    let bomb = ProcessTable::DEFAULT_CAPACITY as u32 + 10_000;
    for n in 0..bomb {
        fork(&mut table, (1 + n / 2, u64::from(1 + n / 2)), (2 + n, u64::from(2 + n)));
    }
    assert_eq!(table.len(), ProcessTable::DEFAULT_CAPACITY);
    assert!(table.slots.len() <= ProcessTable::DEFAULT_CAPACITY && table.evicted() >= 10_000);
    assert_eq!(table.programs.bytes(), one, "nobody executed");
    check_whole(&table);
}

#[test]
fn children_share_the_program_until_they_execute() {
    let mut table = ProcessTable::default();
    exec(&mut table, (10, 1), 1, &["sh"], &["sh"]);
    let one = table.programs.bytes();
    for n in 0..1000 {
        fork(&mut table, (10, 1), (100 + n, 2));
    }
    assert_eq!(table.programs.bytes(), one);
    assert_eq!(table.get(100).expect("known").program.id, table.get(10).expect("known").program.id);
    exec(&mut table, (100, 2), 10, &["id"], &["id"]);
    assert_ne!(table.get(100).expect("known").program.id, table.get(10).expect("known").program.id);
    assert_eq!(table.get(101).expect("known").program.exe, b"/sh");
    check_whole(&table);
    assert!(size_of::<Slot>() <= 112, "a fork bomb fills the table: {}", size_of::<Slot>());
}

#[test]
fn a_chain_of_forks_is_bounded_and_a_cycle_ends() {
    let mut table = ProcessTable::new(64);
    for n in 0..1000u32 {
        fork(&mut table, (100 + n, u64::from(n)), (101 + n, u64::from(n) + 1));
    }
    assert!(table.len() <= 64);
    assert_eq!(table.ancestors(1100).count(), MAX_ANCESTORS);
    let mut table = ProcessTable::default();
    exec(&mut table, (1, 1), 2, &["a"], &["a"]);
    exec(&mut table, (2, 1), 1, &["b"], &["b"]);
    exec(&mut table, (3, 1), 3, &["c"], &["c"]);
    assert_eq!(chain(&table, 1), [2]);
    assert_eq!(chain(&table, 3), [0u32; 0]);
    check_whole(&table);
}

#[test]
fn exited_processes_are_forgotten_in_the_end() {
    let mut table = ProcessTable::default();
    for n in 0..(EXITED_KEPT as u32 + 500) {
        exec(&mut table, (100 + n, 1), 1, &["a"], &["a"]);
        exit(&mut table, (100 + n, 1));
    }
    assert_eq!(table.len(), EXITED_KEPT);
    assert_eq!(table.evicted(), 0);
    assert!(table.get(100).is_none());
    check_whole(&table);
}

#[test]
fn strings_are_bounded() {
    let mut table = ProcessTable::default();
    let long = "x".repeat(9000);
    exec(&mut table, (60, 1), 1, &["a"], &[&long, "lost"]);
    let p = table.get(60).expect("known");
    assert_eq!(p.program.argv.iter().map(Vec::len).sum::<usize>(), crate::process::MAX_ARGV_BYTES);
    assert!(p.program.argv_cut);
    exec(&mut table, (61, 1), 1, &["a"], &[&long[..crate::process::MAX_ARGV_BYTES]]);
    assert!(!table.get(61).expect("known").program.argv_cut);
    for n in 0..20_000u32 {
        exec(&mut table, (100 + n, 2), 60, &["a"], &[&long]);
    }
    assert!(table.programs.bytes() <= BYTES);
    assert!(table.evicted() > 0);
    check_whole(&table);
}

#[test]
fn a_program_whose_exec_was_lost_is_not_the_one_before() {
    let mut table = ProcessTable::default();
    exec(&mut table, (10, 1), 9, &["sh", "bin"], &["sh"]);
    let stale = Header { flags: flags::STALE, ..header(10, 1) };
    let lost = record(EventKind::Exit, stale, &Exit::default(), &[]);
    let fork_of_stale = Fork { child_pid: 11, child_started: SECOND, child_ppid: 10, ..Fork::default() };
    table.apply(&event(&record(EventKind::Fork, stale, &fork_of_stale, &[])));
    assert!(table.get(10).unwrap().program.exe.is_empty() && table.get(11).unwrap().program.exe.is_empty());
    exec(&mut table, (10, 1), 9, &["id", "bin"], &["id"]);
    assert_eq!(table.get(10).unwrap().program.exe, b"/bin/id");
    table.apply(&event(&lost));
    assert!(table.get(10).unwrap().program.exe.is_empty());
    check_whole(&table);
}
