//! A task asked for access to another one.

use super::record::record;

record! {
    /// `security_ptrace_access_check` across a container border: `/proc/<pid>/{root,cwd,exe,fd,…}`, ptrace,
    /// `process_vm_*`, `pidfd_getfd` (kernel `kernel/ptrace.c`).
    pub struct Ptrace {
        /// Container key of the target, 0 for the host.
        target_container: u64 as Number,
        /// Process id of the target.
        target_pid: u32 as Number,
        /// Mode of the check (`PTRACE_MODE_*`).
        mode: u32 as Flags(&[(1, "read"), (2, "attach"), (4, "noaudit"), (8, "fscreds"), (16, "realcreds")]),
        /// Verdict of the security modules.
        ret: i32 as Return,
        /// Unused, 0.
        reserved: u32 as Number,
    }
    tail {}
}
