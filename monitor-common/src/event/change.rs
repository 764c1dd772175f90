//! A file was renamed, linked, removed, made special, or its attributes were changed.

use super::file::{CLASSES, WHY};
use super::record::record;

/// What was done; the numbers are part of the wire format.
pub mod op {
    /// `rename(2)` and its kin.
    pub const RENAME: u32 = 1;
    /// `link(2)`.
    pub const LINK: u32 = 2;
    /// `unlink(2)`.
    pub const UNLINK: u32 = 3;
    /// `symlink(2)`.
    pub const SYMLINK: u32 = 4;
    /// `mknod(2)` of a device.
    pub const MKNOD: u32 = 5;
    /// `chmod(2)`.
    pub const CHMOD: u32 = 6;
    /// `chown(2)`.
    pub const CHOWN: u32 = 7;
    /// `truncate(2)`, or an open that truncates.
    pub const TRUNCATE: u32 = 8;
    /// `setxattr(2)`.
    pub const SETXATTR: u32 = 9;
}

const OPS: &[(u64, &str)] = &[
    (op::RENAME as u64, "rename"),
    (op::LINK as u64, "link"),
    (op::UNLINK as u64, "unlink"),
    (op::SYMLINK as u64, "symlink"),
    (op::MKNOD as u64, "mknod"),
    (op::CHMOD as u64, "chmod"),
    (op::CHOWN as u64, "chown"),
    (op::TRUNCATE as u64, "truncate"),
    (op::SETXATTR as u64, "setxattr"),
];

record! {
    /// Changes of the file tree (kernel `fs/namei.c`, `fs/open.c`, `fs/xattr.c`), of which only what `why` names is
    /// reported where the kernel's objects can be seen.
    pub struct FileChange {
        /// Inode of the file, 0 if it was new or cannot be seen.
        ino: u64 as Number,
        /// Superblock magic of its file system, 0 if it cannot be seen.
        magic: u64 as Hex,
        /// What was done.
        op: u32 as Choice(OPS),
        /// Result of the call; that of the security modules if `is_final` is 0.
        ret: i32 as Return,
        /// Device of the file system.
        dev: u32 as Device,
        /// File mode: the new one for chmod and mknod.
        mode: u32 as Hex,
        /// Device that a node stands for, for mknod.
        rdev: u32 as Device,
        /// Why it is reported.
        why: u32 as Flags(WHY),
        /// Which watched objects it is, or lies below.
        class: u32 as Flags(CLASSES),
        /// 1 if `ret` is the result of the call.
        is_final: u32 as Number,
    }
    tail {
        /// Path of the file, for rename and link the new one; `/` if it cannot be seen.
        path: Path,
        /// That path as the program named it, where the kernel's objects cannot be seen.
        name: Bytes,
        /// Old name (rename, link), target (symlink) or name of the attribute (setxattr).
        other: Bytes,
    }
}
