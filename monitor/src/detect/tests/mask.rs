//! B10.

use monitor_common::event::{EventKind, Mount};

use super::build::{Brief, Rec, World, rec};
use crate::detect::Outcome::{Denied, Succeeded};
use crate::detect::Severity::{Critical, Notice, Warning};

const MOUNT: u32 = 1;
const UMOUNT: u32 = 2;
const MOVE_MOUNT: u32 = 8;
const BIND: u64 = 1 << 12;
const MOVE: u64 = 1 << 13;
const REMOUNT: u64 = 1 << 5;
const DETACH: u64 = 2;

fn call(op: u32, flags: u64, target: &str, source: &str, ret: i32) -> Rec {
    let record = Mount { op, flags, ret, mnt_ns: 101, ..Mount::default() };
    rec(EventKind::Mount, record).text(target.as_bytes()).text(source.as_bytes())
}

/// umount2(2).
pub(super) fn umount(target: &str, flags: u64, ret: i32) -> Rec {
    call(UMOUNT, flags, target, "", ret)
}

#[track_caller]
fn check(rec: Rec, expected: Option<Brief>) {
    // The calls themselves are other rules'.
    World::without(&["B02", "B09"]).check(&[rec], expected.as_slice());
}

const REMOVED: Option<Brief> = Some(("B10", Critical, Succeeded));
const COVERED: Option<Brief> = Some(("B10", Warning, Succeeded));

#[test]
fn removed() {
    check(umount("/proc/kcore", 0, 0), REMOVED);
    check(umount("//proc/./sys/kernel/../", 0, 0), REMOVED);
    check(umount("/proc", DETACH, 0), REMOVED);
    check(umount("/", DETACH, 0), REMOVED);
    check(umount("/proc/kcore", 0, -22), Some(("B10", Notice, Denied)));
    // Not a protected place, below one, and a parent that the kernel refuses while it is in use.
    check(umount("/mnt", 0, 0), None);
    check(umount("/proc/sys/fs/binfmt_misc", 0, 0), None);
    check(umount("/proc", 0, 0), None);
    check(umount("/proc/system", 0, 0), None);
    check(umount("/proc/kcor", DETACH, 0), None);
    // What the path means is not known.
    check(umount("kcore", 0, 0), None);
    check(umount("", 0, 0), None);
}

#[test]
fn covered() {
    check(call(MOUNT, BIND, "/proc/kcore", "/dev/zero", 0), COVERED);
    check(call(MOUNT, 0, "/proc/sys/kernel", "x", 0), COVERED);
    check(call(MOVE_MOUNT, 4, "/proc/sys", "", 0), COVERED);
    check(call(MOUNT, BIND, "/mnt", "/proc/sys", 0), None);
    check(call(MOUNT, BIND, "/proc", "/x", 0), None);
    // A remount is B02's.
    check(call(MOUNT, REMOUNT | BIND, "/proc/sys", "", 0), None);
}

#[test]
fn moved_away() {
    check(call(MOUNT, MOVE, "/mnt", "/proc/sys", 0), REMOVED);
    check(call(MOUNT, 0xc0ed_0000 | MOVE, "/mnt", "/proc", 0), REMOVED);
    check(call(MOVE_MOUNT, 0, "/mnt", "/proc/kcore", 0), REMOVED);
    check(call(MOVE_MOUNT, 0, "/mnt", "/data", 0), None);
}

#[test]
fn places_are_those_of_the_configuration() {
    let mut world = World::without(&["B02", "B09"]);
    world.check(&[umount("/sys/firmware", 0, 0)], &[]);
    world.container.declared = None;
    world.check(&[umount("/sys/firmware", 0, 0)], REMOVED.as_slice());
    world.check(&[umount("/data", 0, 0)], &[]);
}
