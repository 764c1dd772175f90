//! I-7, B02, B09, C04.

use monitor_common::event::{EventKind, Mount, Root};

use super::build::{Brief, HOST, Rec, World, fact, rec};
use super::namespace::unshare_mnt;
use crate::detect::Outcome::{Denied, Succeeded};
use crate::detect::Severity::{Critical, Notice, Warning};
use crate::detect::Value;

const MOUNT: u32 = 1;
const UMOUNT: u32 = 2;
const FSOPEN: u32 = 5;
const FSMOUNT: u32 = 6;
const OPEN_TREE: u32 = 7;
const MOVE_MOUNT: u32 = 8;
const MOUNT_SETATTR: u32 = 9;

const RDONLY: u64 = 1;
const REMOUNT: u64 = 1 << 5;
const BIND: u64 = 1 << 12;
const MOVE: u64 = 1 << 13;
const PRIVATE: u64 = 1 << 18;
const SHARED: u64 = 1 << 20;
const MGC: u64 = 0xc0ed_0000;

const PROC: u64 = 0x9fa0;
const TMPFS: u64 = 0x0102_1994;
const EXT4: u64 = 0xef53;
const OVERLAY: u64 = 0x794c_7630;

const I7: Brief = ("I-7", Critical, Succeeded);
const B02: Brief = ("B02", Warning, Succeeded);
const B09: Brief = ("B09", Warning, Succeeded);

pub(super) fn call(op: u32, flags: u64, magic: u64, ret: i32) -> Rec {
    let object = u32::from(magic != 0);
    rec(EventKind::Mount, Mount { op, flags, magic, ret, object, dev: 77, mnt_ns: 101, ..Mount::default() })
}

pub(super) fn block(op: u32) -> Rec {
    rec(EventKind::Mount, Mount { op, magic: EXT4, object: 1, block_device: 1, dev: 8, ..Mount::default() })
}

fn check(records: &[Rec], expected: &[Brief]) {
    World::new().check(records, expected);
}

#[test]
fn forbidden_file_systems() {
    for magic in [
        0x9fa0,
        0x6265_6572,
        0x0027_e0eb,
        0x6367_7270,
        0x6462_6720,
        0x7472_6163,
        0x7363_6673,
        0xcafe_4a11,
        0x4249_4e4d,
        0xde5e_81e4,
        0x6265_6570,
    ] {
        check(&[call(MOUNT, 0, magic, 0)], &[I7]);
        check(&[call(FSMOUNT, 0, magic, 5)], &[B09, I7]);
    }
    // Sign-extended by a kernel that keeps it in a signed number.
    check(&[call(MOUNT, 0, 0xffff_ffff_cafe_4a11, 0)], &[I7]);
    let found = World::new().check(&[call(MOUNT, 0, PROC, 0).text(b"/mnt").text(b"proc")], &[I7]);
    assert_eq!(fact(&found[0], "target").1, &Value::Bytes(b"/mnt".to_vec()));
    assert_eq!(fact(&found[0], "mounted_after_start"), (Some(&Value::Word("none")), &Value::Word("proc")));
}

#[test]
fn disks() {
    check(&[block(MOUNT)], &[I7]);
    check(&[block(FSMOUNT)], &[B09, I7]);
    check(&[block(FSMOUNT).by_runtime()], &[]);
}

#[test]
fn devtmpfs_has_the_magic_of_tmpfs() {
    check(&[call(MOUNT, 0, TMPFS, 0).text(b"/mnt").text(b"").text(b"devtmpfs")], &[I7]);
    let by_device = Mount { op: MOUNT, magic: TMPFS, object: 1, dev: HOST.devtmpfs_dev, ..Mount::default() };
    check(&[rec(EventKind::Mount, by_device)], &[I7]);
}

#[test]
fn a_superblock_that_is_mounted_already_is_not_new() {
    check(&[call(MOUNT, BIND, PROC, 0)], &[B02]);
    check(&[call(OPEN_TREE, 1, PROC, 4)], &[B09]);
    check(&[call(OPEN_TREE, 1, PROC, 4), call(MOVE_MOUNT, 4, PROC, 0)], &[B09]);
    check(&[call(MOVE_MOUNT, 0, PROC, 0)], &[B09]);
    check(&[call(MOUNT_SETATTR, 0, PROC, 0)], &[B09]);
    // Reported when it was made, not again when it is attached.
    check(&[call(FSMOUNT, 0, PROC, 4), call(MOVE_MOUNT, 4, PROC, 0)], &[B09]);
    // Nobody in the container made it: the descriptor came from outside.
    check(&[call(MOVE_MOUNT, 4, PROC, 0)], &[B09, I7]);
}

#[test]
fn mounts_after_start() {
    check(&[call(MOUNT, BIND, EXT4, 0)], &[B02]);
    check(&[call(MOUNT, MOVE, EXT4, 0)], &[B02]);
    check(&[call(MOUNT, REMOUNT, EXT4, 0)], &[B02]);
    check(&[call(MOUNT, PRIVATE, EXT4, 0)], &[B02]);
    check(&[call(MOUNT, 0, OVERLAY, 0)], &[B02]);
    check(&[call(MOUNT, 0, 0, 0)], &[B02]);
    check(&[call(MOUNT, 0, TMPFS, 0)], &[("B02", Notice, Succeeded)]);
    check(&[call(MOUNT, SHARED, EXT4, 0)], &[("B02", Critical, Succeeded)]);
    check(&[call(MOUNT, BIND, 0, -1)], &[("B02", Notice, Denied)]);
    check(&[call(MOUNT, 0, 0, -1).text(b"/mnt").text(b"").text(b"proc")], &[("B02", Notice, Denied)]);
    check(&[call(MOUNT, SHARED, 0, -1)], &[("B02", Warning, Denied)]);
    // The old magic looks like private and slave: it is a plain mount.
    check(&[call(MOUNT, MGC, PROC, 0)], &[I7]);

    check(&[call(MOUNT, BIND, EXT4, 0).by_runtime()], &[]);
    check(&[call(UMOUNT, 0, EXT4, 0)], &[]);
}

#[test]
fn protected_paths_made_writable() {
    let remount = |flags, path: &[u8]| call(MOUNT, REMOUNT | BIND | flags, PROC, 0).text(path);
    let found = World::new().check(&[remount(0, b"/proc/sys")], &[("B02", Critical, Succeeded)]);
    assert_eq!(fact(&found[0], "protection"), (Some(&Value::Word("read-only")), &Value::Word("writable")));
    check(&[remount(0, b"/proc/sys/")], &[("B02", Critical, Succeeded)]);
    check(&[remount(0, b"/proc/kcore")], &[("B02", Critical, Succeeded)]);
    check(&[remount(RDONLY, b"/proc/sys")], &[B02]);
    check(&[remount(0, b"/data")], &[B02]);
    let mut undeclared = World::new();
    undeclared.container.declared = None;
    undeclared.check(&[remount(0, b"/proc/sys")], &[B02]);
}

#[test]
fn new_mount_api() {
    for op in [FSOPEN, FSMOUNT, MOVE_MOUNT, MOUNT_SETATTR] {
        check(&[call(op, 0, TMPFS, 3)], &[B09]);
        check(&[call(op, 0, 0, -1)], &[("B09", Notice, Denied)]);
    }
    check(&[call(OPEN_TREE, 1, TMPFS, 3)], &[B09]);
    check(&[call(OPEN_TREE, 0, TMPFS, 3)], &[]);
    check(&[call(FSOPEN, 0, 0, 3).by_runtime()], &[]);
}

pub(super) fn root(op: u32, ret: i32, root_mnt_ns: u32, mnt_ns: u32) -> Rec {
    rec(EventKind::Root, Root { op, ret, root_mnt_ns, mnt_ns, ..Root::default() }).text(b"/new")
}

#[test]
fn changes_of_root() {
    const PIVOT: u32 = 3;
    const CHROOT: u32 = 4;
    check(&[root(PIVOT, 0, 101, 101)], &[("C04", Critical, Succeeded)]);
    check(&[root(PIVOT, -1, 101, 101)], &[("C04", Warning, Denied)]);
    check(&[root(CHROOT, 0, HOST.mnt_ns, 101)], &[("I-3", Critical, Succeeded)]);

    check(&[root(PIVOT, 0, 101, 101).by_runtime()], &[]);
    check(&[root(CHROOT, 0, 101, 101)], &[]);
    check(&[root(CHROOT, -1, HOST.mnt_ns, 101)], &[]);
    check(&[unshare_mnt(), root(CHROOT, 0, 101, 900)], &[]);
    check(&[unshare_mnt(), root(CHROOT, 0, 900, 101)], &[]);
}
