//! A file, mount or file system was marked for fanotify.

use super::record::record;

/// Flags of `fanotify_mark(2)`, from `include/uapi/linux/fanotify.h`.
pub mod mark {
    /// Adds a mark.
    pub const ADD: u32 = 1 << 0;
    /// Everything on a mount.
    pub const MOUNT: u32 = 1 << 4;
    /// Everything on a file system.
    pub const FILESYSTEM: u32 = 1 << 8;
}

const MARKS: &[(u64, &str)] = &[
    (mark::ADD as u64, "add"),
    (1 << 1, "remove"),
    (1 << 2, "dont_follow"),
    (1 << 3, "onlydir"),
    (mark::MOUNT as u64, "mount"),
    (1 << 5, "ignored_mask"),
    (1 << 6, "ignored_surv_modify"),
    (1 << 7, "flush"),
    (mark::FILESYSTEM as u64, "filesystem"),
    (1 << 9, "evictable"),
    (1 << 10, "ignore"),
];

record! {
    /// `fanotify_mark(2)` (kernel `fs/notify/fanotify/fanotify_user.c`).
    pub struct Fanotify {
        /// Events that are asked for.
        mask: u64 as Hex,
        /// Superblock magic of the directory descriptor's file system, 0 for none.
        magic: u64 as Hex,
        /// Flags of the call.
        flags: u32 as Flags(MARKS),
        /// Result of the call.
        ret: i32 as Return,
        /// Device of the directory descriptor's file system, 0 for none.
        dev: u32 as Device,
        /// Unused, 0.
        reserved: u32 as Number,
    }
    tail {
        /// What is marked, as the program named it.
        name: Bytes,
    }
}
