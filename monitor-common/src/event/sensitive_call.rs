//! A rare system call by which the kernel itself, or state that no namespace divides, is reached.

use super::record::record;

/// Which call; the numbers are [`crate::call::Call`]'s.
const CALLS: &[(u64, &str)] = &[
    (160, "init_module"),
    (161, "finit_module"),
    (162, "delete_module"),
    (163, "kexec_load"),
    (164, "kexec_file_load"),
    (165, "reboot"),
    (166, "iopl"),
    (167, "ioperm"),
    (168, "modify_ldt"),
    (169, "vm86"),
    (170, "syslog"),
    (171, "settimeofday"),
    (172, "clock_settime"),
    (173, "clock_adjtime"),
    (174, "adjtimex"),
    (175, "stime"),
    (176, "quotactl"),
    (177, "quotactl_fd"),
    (178, "swapon"),
    (179, "swapoff"),
    (180, "acct"),
    (181, "sethostname"),
    (182, "setdomainname"),
    (183, "fanotify_init"),
    (185, "keyctl"),
    (186, "add_key"),
    (187, "request_key"),
    (188, "userfaultfd"),
    (189, "io_uring_setup"),
];

record! {
    /// Modules, kexec, reboot, port access, the kernel's log, clocks, quotas, swap, accounting, host names, fanotify,
    /// keys, userfaultfd and io_uring set-up, each as a call with its arguments (man 2 of each).
    pub struct SensitiveCall {
        /// First argument of the call.
        arg0: u64 as Hex,
        /// Second argument.
        arg1: u64 as Hex,
        /// Third argument.
        arg2: u64 as Hex,
        /// Fourth argument.
        arg3: u64 as Hex,
        /// Fifth argument.
        arg4: u64 as Hex,
        /// `modes` of the structure that `adjtimex` and `clock_adjtime` are given: 0 only reads the clock. Else 0.
        detail: u64 as Hex,
        /// Effective capabilities of the caller.
        cap_effective: u64 as Capabilities,
        /// Which call.
        op: u32 as Choice(CALLS),
        /// Result of the call.
        ret: i32 as Return,
        /// User namespace of the caller.
        user_ns: u32 as Namespace,
        /// Pid namespace of the caller, which `reboot` ends.
        pid_ns: u32 as Namespace,
        /// UTS namespace of the caller, whose names `sethostname` and `setdomainname` change.
        uts_ns: u32 as Namespace,
        /// Unused, 0.
        reserved: u32 as Number,
    }
    tail {
        /// What the call names: a module, a path, the description of a key. For a descriptor the file's own name.
        name: Bytes,
    }
}
