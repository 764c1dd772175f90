//! A descriptor was received that gives more than data.

use super::record::record;

record! {
    /// `SCM_RIGHTS` or `pidfd_getfd`, for directories, devices and files of another mount namespace only (kernel
    /// `fs/file.c`, `receive_fd`).
    pub struct FileReceive {
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
        /// Device that the file is, for device nodes.
        rdev: u32 as Device,
        /// File mode of the inode.
        mode: u32 as Hex,
        /// `O_*` flags of the open file.
        flags: u32 as Hex,
        /// Verdict of the security modules.
        ret: i32 as Return,
        /// Unused, 0.
        reserved: u32 as Number,
    }
    tail {
        /// Path of the file, up to the root of its mount namespace.
        path: Path,
    }
}
