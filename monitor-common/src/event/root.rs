//! A task changed its root directory.

use super::record::record;

record! {
    /// `pivot_root(2)` and `chroot(2)` (kernel `fs/namespace.c`, `fs/open.c`).
    pub struct Root {
        /// Inode of the root directory after the call.
        root_ino: u64 as Number,
        /// Which call.
        op: u32 as Choice(&[(3, "pivot_root"), (4, "chroot")]),
        /// Result of the call.
        ret: i32 as Return,
        /// Device of the root directory after the call.
        root_dev: u32 as Device,
        /// Mount namespace that the root directory's mount belongs to.
        root_mnt_ns: u32 as Namespace,
        /// Mount namespace of the task.
        mnt_ns: u32 as Namespace,
        /// Unused, 0.
        reserved: u32 as Number,
    }
    tail {
        /// The new root, as the program named it.
        path: Bytes,
    }
}
