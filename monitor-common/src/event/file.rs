//! A file was opened that a container has no ordinary reason to open.

use super::layer;
use super::record::record;

/// Why an open was reported; the bits are part of the wire format.
pub mod why {
    /// The file's mount belongs to another mount namespace than the task's (invariant I-4).
    pub const FOREIGN: u32 = 1 << 0;
    /// The file does not lie below the root of the mount it was opened through (invariant I-5).
    pub const UNREACHABLE: u32 = 1 << 1;
    /// A block device.
    pub const BLOCK: u32 = 1 << 2;
    /// A character device that containers are not given by default.
    pub const CHAR: u32 = 1 << 3;
    /// Opened for writing on a file system that reaches into the kernel.
    pub const KERNEL_WRITE: u32 = 1 << 4;
    /// Opened for reading: information about the kernel that runtimes mask.
    pub const KERNEL_READ: u32 = 1 << 5;
    /// A watched object of the host, or below one.
    pub const WATCHED: u32 = 1 << 6;
    /// Opened for writing, and its name or that of its directory is a watched one.
    pub const NAMED: u32 = 1 << 7;
    /// Opened by a file handle, without a path.
    pub const HANDLE: u32 = 1 << 8;
    /// The file of a namespace.
    pub const NAMESPACE: u32 = 1 << 9;
    /// Makes a program set-user-ID or set-group-ID.
    pub const SETID: u32 = 1 << 10;
}

/// The names of the bits of [`why`].
pub(super) const WHY: &[(u64, &str)] = &[
    (why::FOREIGN as u64, "foreign"),
    (why::UNREACHABLE as u64, "unreachable"),
    (why::BLOCK as u64, "block"),
    (why::CHAR as u64, "char"),
    (why::KERNEL_WRITE as u64, "kernel_write"),
    (why::KERNEL_READ as u64, "kernel_read"),
    (why::WATCHED as u64, "watched"),
    (why::NAMED as u64, "named"),
    (why::HANDLE as u64, "handle"),
    (why::NAMESPACE as u64, "namespace"),
    (why::SETID as u64, "setid"),
];

/// The names of the bits of [`crate::policy::watch`].
pub(super) const CLASSES: &[(u64, &str)] = &[
    (crate::policy::watch::RUNTIME as u64, "runtime"),
    (crate::policy::watch::OWN as u64, "own"),
    (crate::policy::watch::NODE as u64, "node"),
    (crate::policy::watch::LOG as u64, "log"),
    (crate::policy::watch::ACCOUNTS as u64, "accounts"),
];

record! {
    /// `security_file_open` or the exit of an open call, of which only what `why` names is reported (kernel
    /// `fs/open.c`).
    pub struct FileOpen {
        /// Inode of the file.
        ino: u64 as Number,
        /// Superblock magic of its file system.
        magic: u64 as Hex,
        /// Container that a cgroup file belongs to; 0 if to none, or if it is no cgroup file.
        owner: u64 as Hex,
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
        /// Result: 0 or more, or the errno of a refusal.
        ret: i32 as Return,
        /// Why it is reported.
        why: u32 as Flags(WHY),
        /// Which watched objects it is, or lies below.
        class: u32 as Flags(CLASSES),
        /// Layer of an overlay: `lower` came with the image, `upper` was made or changed since.
        layer: u32 as Choice(layer::NAMES),
    }
    tail {
        /// Path of the file up to the root of its mount namespace; on file systems of the kernel, up to their root.
        path: Path,
    }
}
