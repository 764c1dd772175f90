//! Mounts, by mount(2) and by the new API.

use std::ffi::{CStr, CString};

use crate::sys::{self, Ret, at, c_string, call, plain};
use crate::{Usage, Words};

// Numbers and flags of `include/uapi/linux/mount.h`; the system call numbers are the same everywhere.
const SYS_OPEN_TREE: libc::c_long = 428;
const SYS_MOVE_MOUNT: libc::c_long = 429;
const SYS_FSOPEN: libc::c_long = 430;
const SYS_FSCONFIG: libc::c_long = 431;
const SYS_FSMOUNT: libc::c_long = 432;
const SYS_MOUNT_SETATTR: libc::c_long = 442;
const OPEN_TREE_CLONE: usize = 1;
const FSCONFIG_CMD_CREATE: usize = 6;
const MOVE_MOUNT_F_EMPTY_PATH: usize = 4;
const MOUNT_ATTR_NODEV: u64 = 4;
const CWD: usize = libc::AT_FDCWD as usize;

fn mount(source: &CStr, target: &CString, kind: &CStr, flags: libc::c_ulong) -> Ret {
    let strings = [source.as_ptr() as usize, at(target), kind.as_ptr() as usize];
    // SAFETY: the strings outlive the call; no data is passed.
    unsafe { call(libc::SYS_mount, [strings[0], strings[1], strings[2], flags as usize, 0, 0]) }
}

fn folder(path: &CString) {
    // SAFETY: the string outlives the call. A folder that is there already is as good.
    unsafe { call(libc::SYS_mkdirat, [CWD, at(path), 0o755, 0, 0, 0]) };
}

/// A file system of `kind` by fsopen, fsconfig, fsmount, move_mount; the first refusal ends it.
fn new_mount(kind: &CString, target: &CString) -> Ret {
    // SAFETY: the string outlives the call.
    let context = unsafe { call(SYS_FSOPEN, [at(kind), 0, 0, 0, 0, 0]) };
    if context.failed() {
        return context;
    }
    let made = plain(SYS_FSCONFIG, &[context.value as usize, FSCONFIG_CMD_CREATE]);
    if made.failed() {
        return made;
    }
    let detached = plain(SYS_FSMOUNT, &[context.value as usize, 0, 0]);
    if detached.failed() {
        return detached;
    }
    let nothing = c"";
    // SAFETY: both strings outlive the call.
    unsafe {
        call(
            SYS_MOVE_MOUNT,
            [detached.value as usize, nothing.as_ptr() as usize, CWD, at(target), MOVE_MOUNT_F_EMPTY_PATH, 0],
        )
    }
}

fn mount_setattr(target: &CString) -> Ret {
    // `struct mount_attr`: attr_set, attr_clr, propagation, userns_fd.
    let attr: [u64; 4] = [MOUNT_ATTR_NODEV, 0, 0, 0];
    // SAFETY: string and struct outlive the call, and the size given is the struct's.
    unsafe { call(SYS_MOUNT_SETATTR, [CWD, at(target), 0, attr.as_ptr() as usize, size_of_val(&attr), 0]) }
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "mount-fs" => {
            let (kind, dir) = (c_string(words.word("type")?), c_string(words.word("directory")?));
            folder(&dir);
            mount(&kind, &dir, &kind, 0)
        }
        "mount-bind" => {
            let (source, dir) = (c_string(words.word("source")?), c_string(words.word("directory")?));
            folder(&dir);
            mount(&source, &dir, c"none", libc::MS_BIND)
        }
        "mount-device" => {
            let (device, kind) = (c_string(words.word("device")?), c_string(words.word("type")?));
            let dir = c_string(words.word("directory")?);
            folder(&dir);
            mount(&device, &dir, &kind, libc::MS_RDONLY)
        }
        "remount-rw" => {
            let dir = c_string(words.word("directory")?);
            mount(c"none", &dir, c"none", libc::MS_REMOUNT | libc::MS_BIND)
        }
        "make-shared" => {
            let dir = c_string(words.word("directory")?);
            mount(c"none", &dir, c"none", libc::MS_SHARED)
        }
        "new-mount" => {
            let (kind, dir) = (c_string(words.word("type")?), c_string(words.word("directory")?));
            folder(&dir);
            new_mount(&kind, &dir)
        }
        "open-tree-clone" | "open-tree-plain" => {
            let dir = c_string(words.word("directory")?);
            let flags = if verb == "open-tree-clone" { OPEN_TREE_CLONE } else { 0 };
            // SAFETY: the string outlives the call.
            unsafe { call(SYS_OPEN_TREE, [CWD, at(&dir), flags, 0, 0, 0]) }
        }
        "mount-setattr" => mount_setattr(&c_string(words.word("directory")?)),
        "umount" | "umount-detach" => {
            let dir = c_string(words.word("directory")?);
            let flags = if verb == "umount-detach" { libc::MNT_DETACH as usize } else { 0 };
            // SAFETY: the string outlives the call.
            unsafe { call(libc::SYS_umount2, [at(&dir), flags, 0, 0, 0, 0]) }
        }
        "statfs" => {
            let dir = c_string(words.word("directory")?);
            let fd = sys::open(&dir, libc::O_RDONLY | libc::O_DIRECTORY);
            // Larger than any architecture's `struct statfs`.
            let mut facts = [0_u64; 64];
            // SAFETY: the buffer is large enough and outlives the call.
            unsafe { call(libc::SYS_fstatfs, [fd.value as usize, facts.as_mut_ptr() as usize, 0, 0, 0, 0]) }
        }
        _ => return Ok(None),
    }))
}
