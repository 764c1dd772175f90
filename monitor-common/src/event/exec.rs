//! A program was executed.

use super::layer;
use super::record::record;

/// What an exec meant for the container.
pub mod transition {
    /// Nothing: an exec inside the container, or of the runtime itself.
    pub const NONE: u32 = 0;
    /// It ended SETUP: the container's own first program.
    pub const ENTRY: u32 = 1;
    /// It ended JOIN: a program started from outside (`docker exec`, a probe).
    pub const JOIN: u32 = 2;
}

record! {
    /// A successful `execve(2)` or `execveat(2)`, seen at `sched_process_exec` (kernel `fs/exec.c`).
    pub struct Exec {
        /// Inode of the executable.
        exe_ino: u64 as Number,
        /// Change time of the executable's inode: later than the container's start means it was made there.
        exe_ctime: i64 as Seconds,
        /// Superblock magic of the executable's file system.
        exe_magic: u64 as Hex,
        /// Permitted capabilities before the exec; meaningful if `old_known` is 1.
        old_cap_permitted: u64 as Capabilities,
        /// Permitted capabilities after it.
        cap_permitted: u64 as Capabilities,
        /// Effective capabilities after it.
        cap_effective: u64 as Capabilities,
        /// Execs of this task and its ancestors so far (`self_exec_id`, kernel `include/linux/sched.h`).
        exec_id: u64 as Number,
        /// Process id of the parent.
        ppid: u32 as Number,
        /// Group id.
        gid: u32 as Number,
        /// Device of the executable's file system.
        exe_dev: u32 as Device,
        /// Hard links of the executable; 0 for a deleted file or a memfd.
        exe_nlink: u32 as Number,
        /// File mode of the executable.
        exe_mode: u32 as Hex,
        /// Owner of the executable.
        exe_uid: u32 as Number,
        /// Mount namespace that the executable's mount belongs to; 0 if internal.
        exe_mnt_ns: u32 as Namespace,
        /// Effective uid before the exec; meaningful if `old_known` is 1.
        old_euid: u32 as Number,
        /// 1 if the credentials before the exec are known.
        old_known: u32 as Number,
        /// What the exec meant for the container.
        transition: u32 as Choice(&[(0, "none"), (1, "entry"), (2, "join")]),
        /// Layer of an overlay that the executable comes from.
        exe_layer: u32 as Choice(layer::NAMES),
        /// Bytes of all arguments, each with its NUL.
        argv_len: u32 as Number,
        /// Whether the exec raised privileges (`AT_SECURE`): the loader must not trust the environment then.
        secure: u32 as Choice(&[(0, "no"), (1, "yes"), (2, "unknown")]),
        /// Unused, 0.
        reserved: u32 as Number,
    }
    tail {
        /// Path of the executable, as the kernel resolved it.
        exe: Path,
        /// Arguments, of which 32 KiB at most.
        argv: List,
        /// Working directory.
        cwd: Path,
        /// Environment, of which 32 KiB at most; empty unless `--env` asks for it.
        environ: List,
    }
}
