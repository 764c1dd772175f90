//! A mount was made, moved, changed or removed, or tried to be.

use super::record::record;

/// Which call; the numbers are [`crate::call::Call`]'s.
const MOUNT_OPS: &[(u64, &str)] = &[
    (1, "mount"),
    (2, "umount"),
    (5, "fsopen"),
    (6, "fsmount"),
    (7, "open_tree"),
    (8, "move_mount"),
    (9, "mount_setattr"),
];

/// `mount(2)` flags, from `include/uapi/linux/mount.h`.
pub const MOUNT_FLAGS: &[(u64, &str)] = &[
    (1, "ro"),
    (2, "nosuid"),
    (4, "nodev"),
    (8, "noexec"),
    (1 << 4, "sync"),
    (1 << 5, "remount"),
    (1 << 6, "mandlock"),
    (1 << 10, "noatime"),
    (1 << 11, "nodiratime"),
    (1 << 12, "bind"),
    (1 << 13, "move"),
    (1 << 14, "rec"),
    (1 << 15, "silent"),
    (1 << 17, "unbindable"),
    (1 << 18, "private"),
    (1 << 19, "slave"),
    (1 << 20, "shared"),
    (1 << 21, "relatime"),
    (1 << 24, "strictatime"),
];

record! {
    /// `mount(2)`, `umount2(2)` and the new mount API (kernel `fs/namespace.c`, `fs/fsopen.c`).
    pub struct Mount {
        /// Flags of the call: `MS_*` for mount, `MNT_*` for umount, the call's own for the others.
        flags: u64 as Hex,
        /// Superblock magic of what was mounted or opened; 0 if `object` is 0.
        magic: u64 as Hex,
        /// Which call.
        op: u32 as Choice(MOUNT_OPS),
        /// Result of the call.
        ret: i32 as Return,
        /// Device of the superblock.
        dev: u32 as Device,
        /// 1 if the superblock lives on a block device.
        block_device: u32 as Number,
        /// Mount namespace of the task.
        mnt_ns: u32 as Namespace,
        /// 1 if magic, device and backing were read from the kernel's mount.
        object: u32 as Number,
    }
    tail {
        /// Where; as the kernel resolved it, or as the program named it.
        target: Bytes,
        /// What: device, directory, or nothing.
        source: Bytes,
        /// File system type.
        fstype: Bytes,
    }
}
