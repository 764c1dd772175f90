//! The sensors of files.

use monitor_common::call::Call;

use super::{Level, RACED, Rung, SECCOMP, Sensor, calls, cgroup, fexit, optional};

/// Files opened: by foreign mount, device, kernel file system, watched object.
pub(super) const FILE: Sensor = Sensor {
    name: "file",
    about: "files opened: by foreign mount, device, kernel file system, watched object",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[fexit("security_file_open", &["security_file_open"])],
            unseen: "O_PATH opens, until the descriptor is used to open; opens for writing on a read-only mount",
        },
        Rung {
            level: Level::Syscall,
            probes: &[calls("call_open", &[Call::Open, Call::Openat, Call::Openat2, Call::Creat])],
            unseen: "opens by io_uring; opens that were refused",
        },
    ],
    canaries: &["file_open"],
};

/// Open_by_handle_at.
pub(super) const FILE_HANDLE: Sensor = Sensor {
    name: "file_handle",
    about: "open_by_handle_at",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[call!("exit_open_by_handle_at", "open_by_handle_at")],
            unseen: SECCOMP,
        },
        Rung {
            level: Level::Syscall,
            probes: &[calls("call_open", &[Call::OpenByHandleAt])],
            unseen: "nothing known",
        },
    ],
    canaries: &["file_open"],
};

/// Rename, link, unlink, symlink, mknod, chmod, chown, truncate of watched files.
pub(super) const FILE_CHANGE: Sensor = Sensor {
    name: "file_change",
    about: "rename, link, unlink, symlink, mknod, chmod, chown, truncate of watched files",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[
                fexit("change_rename", &["security_path_rename"]),
                fexit("change_link", &["security_path_link"]),
                fexit("change_unlink", &["security_path_unlink"]),
                fexit("change_symlink", &["security_path_symlink"]),
                fexit("change_mknod", &["security_path_mknod"]),
                fexit("change_chmod", &["security_path_chmod"]),
                // Before 6.0 trampolines refuse functions that take a struct, as `kuid_t` is.
                optional(fexit("change_chown", &["security_path_chown"])),
                fexit("change_truncate", &["security_path_truncate"]),
                // Before 6.2 the other one is called for open files, too.
                optional(fexit("change_file_truncate", &["security_file_truncate"])),
            ],
            unseen: "the result of the call after the security modules",
        },
        Rung {
            level: Level::Syscall,
            probes: &[
                calls("call_change", CHANGES),
                calls("call_change_fd", &[Call::Fchmod, Call::Fchown, Call::Ftruncate]),
            ],
            unseen: "changes by io_uring; watched objects of the host, but for open files; names are read from user \
                     memory at the end of the call, which decides what is reported, and marked raced",
        },
    ],
    canaries: &[
        "file_change.rename",
        "file_change.link",
        "file_change.unlink",
        "file_change.symlink",
        "file_change.mknod",
        "file_change.chmod",
        "file_change.truncate",
    ],
};

/// Setxattr of file capabilities, and of watched files.
pub(super) const FILE_ATTRIBUTE: Sensor = Sensor {
    name: "file_attribute",
    about: "setxattr of file capabilities, and of watched files",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[fexit("change_setxattr", &["security_inode_setxattr"])],
            unseen: "the result of the call after the security modules; the path above the file system's root",
        },
        Rung {
            level: Level::Syscall,
            probes: &[
                calls("call_change", &[Call::Setxattr, Call::Lsetxattr, Call::Setxattrat]),
                calls("call_change_fd", &[Call::Fsetxattr]),
            ],
            unseen: "changes by io_uring; watched objects of the host, but for open files; names are read from \
                         user memory at the end of the call, and marked raced",
        },
    ],
    canaries: &["file_change.setxattr"],
};

/// Pages of files that go into pipes and sockets without being copied.
pub(super) const SPLICE: Sensor = Sensor {
    name: "splice",
    about: "pages of executable files spliced or sent into pipes, and of any into sockets that encrypt in place",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[
                fexit("do_splice", &["do_splice"]),
                call!("exit_sendfile", "sendfile64"),
                call32!("exit_sendfile_32", "sendfile64"),
                optional(fexit("exit_sendfile_old_32", &["__ia32_compat_sys_sendfile"])),
            ],
            unseen: "vmsplice of a file that is mapped; sendfile of files without the right to execute; executable files into \
                     pipes after the first time in a program",
        },
        Rung {
            level: Level::Syscall,
            probes: &[calls("call_splice", &[Call::Splice, Call::Sendfile])],
            unseen: "splices by io_uring; vmsplice of a file that is mapped; sendfile of files without the right to execute; \
                     files whose descriptor another thread replaces before the call ends; executable files into pipes after \
                     the first time in a program",
        },
    ],
    canaries: &["splice.splice", "splice.sendfile"],
};

/// Terminal, loop, device mapper and network block device control calls.
pub(super) const IOCTL: Sensor = Sensor {
    name: "ioctl",
    about: "terminal, loop, device mapper and network block device control calls",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[
                fexit("security_file_ioctl", &["security_file_ioctl"]),
                // Before 6.8 the other one is called for 32-bit calls, too.
                optional(fexit("security_file_ioctl_compat", &["security_file_ioctl_compat"])),
            ],
            unseen: "the result of the call after the security modules",
        },
        Rung {
            level: Level::Syscall,
            probes: &[calls("call_ioctl", &[Call::Ioctl])],
            unseen: "nothing known",
        },
    ],
    canaries: &["ioctl"],
};

/// Fanotify_mark.
pub(super) const FANOTIFY: Sensor = Sensor {
    name: "fanotify",
    about: "fanotify_mark",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[call!("exit_fanotify_mark", "fanotify_mark")],
            unseen: SECCOMP,
        },
        Rung {
            level: Level::Syscall,
            probes: &[calls("call_fanotify", &[Call::FanotifyMark])],
            unseen: RACED,
        },
    ],
    canaries: &["fanotify"],
};

/// Kernel settings written.
pub(super) const SYSCTL: Sensor = Sensor {
    name: "sysctl",
    about: "kernel settings written",
    required: false,
    rungs: &[Rung {
        level: Level::Event,
        probes: &[cgroup("sysctl_write")],
        unseen: "writes that the file's mount or mode refuses",
    }],
    canaries: &["sysctl"],
};

/// Calls that change the file that they name.
const CHANGES: &[Call] = &[
    Call::Rename,
    Call::Renameat,
    Call::Renameat2,
    Call::Link,
    Call::Linkat,
    Call::Unlink,
    Call::Unlinkat,
    Call::Symlink,
    Call::Symlinkat,
    Call::Mknod,
    Call::Mknodat,
    Call::Chmod,
    Call::Fchmodat,
    Call::Fchmodat2,
    Call::Chown,
    Call::Lchown,
    Call::Fchownat,
    Call::Truncate,
];
