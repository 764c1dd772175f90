//! A control call on a terminal, a loop device, the device mapper or a network block device.

use super::record::record;

/// The calls that are reported (kernel `include/uapi/asm-generic/ioctls.h`, `include/uapi/linux/loop.h`,
/// `include/uapi/linux/dm-ioctl.h`, `include/uapi/linux/nbd.h`).
pub mod cmd {
    /// Puts a character into the input of a terminal.
    pub const TIOCSTI: u32 = 0x5412;
    /// Controls of the console, among them its selection and paste buffer.
    pub const TIOCLINUX: u32 = 0x541C;
    /// Takes over the output of the console.
    pub const TIOCCONS: u32 = 0x541D;
    /// Backs a loop device with a file.
    pub const LOOP_SET_FD: u32 = 0x4C00;
    /// Changes the file behind a loop device.
    pub const LOOP_CHANGE_FD: u32 = 0x4C06;
    /// Backs a loop device with a file and sets it up.
    pub const LOOP_CONFIGURE: u32 = 0x4C0A;
    /// Makes a loop device.
    pub const LOOP_CTL_ADD: u32 = 0x4C80;
    /// Gives a free loop device.
    pub const LOOP_CTL_GET_FREE: u32 = 0x4C82;
    /// Group (bits 8 to 15) of the device mapper's calls.
    pub const GROUP_DM: u32 = 0xFD;
    /// Group of the network block devices' calls.
    pub const GROUP_NBD: u32 = 0xAB;
}

const COMMANDS: &[(u64, &str)] = &[
    (cmd::TIOCSTI as u64, "TIOCSTI"),
    (cmd::TIOCLINUX as u64, "TIOCLINUX"),
    (cmd::TIOCCONS as u64, "TIOCCONS"),
    (cmd::LOOP_SET_FD as u64, "LOOP_SET_FD"),
    (cmd::LOOP_CHANGE_FD as u64, "LOOP_CHANGE_FD"),
    (cmd::LOOP_CONFIGURE as u64, "LOOP_CONFIGURE"),
    (cmd::LOOP_CTL_ADD as u64, "LOOP_CTL_ADD"),
    (cmd::LOOP_CTL_GET_FREE as u64, "LOOP_CTL_GET_FREE"),
    (0xc138_fd00, "DM_VERSION"),
    (0xc138_fd03, "DM_DEV_CREATE"),
    (0xc138_fd06, "DM_DEV_SUSPEND"),
    (0xc138_fd09, "DM_TABLE_LOAD"),
    (0xab00, "NBD_SET_SOCK"),
    (0xab03, "NBD_DO_IT"),
];

record! {
    /// `security_file_ioctl` or the exit of `ioctl(2)` (kernel `fs/ioctl.c`), of which only some calls are reported.
    pub struct Ioctl {
        /// Inode of the file.
        ino: u64 as Number,
        /// Superblock magic of its file system.
        magic: u64 as Hex,
        /// Argument of the call.
        arg: u64 as Hex,
        /// Which call.
        cmd: u32 as Choice(COMMANDS),
        /// Result of the call; that of the security modules if `is_final` is 0.
        ret: i32 as Return,
        /// Device of the file system.
        dev: u32 as Device,
        /// Device that the file is, for device nodes.
        rdev: u32 as Device,
        /// File mode of the inode.
        mode: u32 as Hex,
        /// 1 if `ret` is the result of the call.
        is_final: u32 as Number,
    }
    tail {
        /// Path of the file.
        path: Path,
    }
}
