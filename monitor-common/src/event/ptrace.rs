//! A task asked for access to another one.

use super::record::record;

/// How it was asked for.
const OPS: &[(u64, &str)] = &[
    (0, "check"),
    (150, "ptrace"),
    (151, "process_vm_readv"),
    (152, "process_vm_writev"),
    (153, "pidfd_getfd"),
    (154, "pidfd_open"),
    (155, "kcmp"),
    (156, "process_madvise"),
];

record! {
    /// `ptrace(2)`, `process_vm_readv(2)`, `pidfd_getfd(2)`, `/proc/<pid>/{root,cwd,exe,fd,mem,environ,…}` (kernel
    /// `kernel/ptrace.c`): every access across a container's border, and the attaching kind also inside it.
    pub struct Ptrace {
        /// Container key of the target, 0 for the host.
        target_container: u64 as Number,
        /// Process id of the target; 0 if it is not known.
        target_pid: u32 as Number,
        /// Mode of the check (`PTRACE_MODE_*`).
        mode: u32 as Flags(&[(1, "read"), (2, "attach"), (4, "noaudit"), (8, "fscreds"), (16, "realcreds")]),
        /// Verdict of the security modules, or result of the call.
        ret: i32 as Return,
        /// How it was asked for: the kernel's check, which says no more, or a call.
        op: u32 as Choice(OPS),
        /// Process id or descriptor as the program gave it, in its own pid namespace; 0 for the check.
        given: u32 as Number,
        /// 1 if the target was found as a kernel object; 0: only what the program gave is known.
        object: u32 as Number,
    }
    tail {}
}
