//! A file was opened through a mount that is not the task's own.

use super::record::record;

record! {
    /// `security_file_open` or the exit of an open call, reported when the file's mount belongs to another
    /// mount namespace than the task's (kernel `fs/open.c`).
    pub struct FileOpen {
        /// Inode of the file.
        ino: u64 as Number,
        /// Superblock magic of its file system.
        magic: u64 as Hex,
        /// Mount namespace that the file's mount belongs to; 0 if it was detached.
        file_mnt_ns: u32 as Namespace,
        /// Mount namespace of the task.
        mnt_ns: u32 as Namespace,
        /// Device of the file system.
        dev: u32 as Device,
        /// File mode of the inode.
        mode: u32 as Hex,
        /// `O_*` flags of the open file.
        flags: u32 as Hex,
        /// Result: 0 or more, or the errno of a refusal.
        ret: i32 as Return,
    }
    tail {
        /// Path of the file, up to the root of its mount namespace.
        path: Path,
    }
}
