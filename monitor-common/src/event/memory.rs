//! Memory was made executable that no file of the image is behind.

use super::layer;
use super::record::record;

/// What the memory is.
pub mod kind {
    /// Not told: the rung sees the call, not the memory.
    pub const UNKNOWN: u32 = 0;
    /// Anonymous, writable and executable at once.
    pub const ANONYMOUS_RWX: u32 = 1;
    /// Anonymous, and made executable after it could be written.
    pub const ANONYMOUS_EXEC: u32 = 2;
    /// A file that is not of the image.
    pub const FILE: u32 = 3;
    /// A file without a name: deleted, a memfd, `O_TMPFILE`.
    pub const NAMELESS: u32 = 4;
}

record! {
    /// `mmap(2)` or `mprotect(2)` with `PROT_EXEC` (kernel `mm/mmap.c`, `mm/mprotect.c`). Files of a lower layer, and of
    /// the root's own file system, are left out. Anonymous memory is reported once for each program.
    pub struct Memory {
        /// Inode of the file behind the memory, 0 for none.
        ino: u64 as Number,
        /// Superblock magic of its file system.
        magic: u64 as Hex,
        /// Which call; the numbers are [`crate::call::Call`]'s.
        op: u32 as Choice(&[(140, "mmap"), (141, "mprotect")]),
        /// What the memory is.
        kind: u32 as Choice(&[(0, "unknown"), (1, "anonymous_rwx"), (2, "anonymous_exec"), (3, "file"), (4, "nameless")]),
        /// Protection asked for (`PROT_*`).
        prot: u32 as Flags(&[(1, "read"), (2, "write"), (4, "exec")]),
        /// Result of the call, or verdict of the security modules.
        ret: i32 as Return,
        /// Device of the file system.
        dev: u32 as Device,
        /// Layer of an overlay that the file comes from.
        layer: u32 as Choice(layer::NAMES),
        /// Hard links of the file.
        nlink: u32 as Number,
        /// Mount namespace that the file's mount belongs to; 0 if internal.
        file_mnt_ns: u32 as Namespace,
        /// Change time of the file's inode.
        ctime: i64 as Seconds,
    }
    tail {
        /// Path of the file, as the kernel resolved it.
        path: Path,
    }
}
