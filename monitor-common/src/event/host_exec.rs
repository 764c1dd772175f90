//! A process of the host executed a file of a container, or the kernel started a helper.

use super::layer;
use super::record::record;

record! {
    /// An exec by a task that is in no container, of a file on a container's storage, or by a helper that the kernel
    /// itself started (kernel `fs/exec.c`, `kernel/umh.c`).
    pub struct HostExec {
        /// Container key of the container whose storage the file is on; 0 if it is on none's.
        exe_container: u64 as Hex,
        /// Inode of the executable.
        exe_ino: u64 as Number,
        /// Superblock magic of the executable's file system.
        exe_magic: u64 as Hex,
        /// Change time of the executable's inode.
        exe_ctime: i64 as Seconds,
        /// Device of the executable's file system.
        exe_dev: u32 as Device,
        /// Mount namespace that the executable's mount belongs to; 0 if internal.
        exe_mnt_ns: u32 as Namespace,
        /// Hard links of the executable.
        exe_nlink: u32 as Number,
        /// Layer of an overlay that the executable comes from.
        exe_layer: u32 as Choice(layer::NAMES),
        /// 1 if the parent is a thread of the kernel: a helper (core_pattern, modprobe, release_agent).
        helper: u32 as Number,
        /// Process id of the parent.
        ppid: u32 as Number,
    }
    tail {
        /// Path of the executable in its own mount namespace, as the kernel resolved it.
        exe: Path,
        /// Arguments, of which 256 bytes at most.
        argv: List,
    }
}
