//! A task changed namespaces, or tried to.

use super::record::record;

/// `CLONE_NEW*` flags, from `include/uapi/linux/sched.h`.
pub const NAMESPACE_FLAGS: &[(u64, &str)] = &[
    (0x0000_0080, "time"),
    (0x0002_0000, "mnt"),
    (0x0200_0000, "cgroup"),
    (0x0400_0000, "uts"),
    (0x0800_0000, "ipc"),
    (0x1000_0000, "user"),
    (0x2000_0000, "pid"),
    (0x4000_0000, "net"),
];

record! {
    /// `setns(2)`, `unshare(2)`, and the namespaces that a clone made (kernel `kernel/nsproxy.c`).
    pub struct Namespace {
        /// Namespace types asked for; 0 for a `setns` that leaves the type to the descriptor.
        flags: u64 as Flags(NAMESPACE_FLAGS),
        /// Which call.
        op: u32 as Choice(&[(10, "setns"), (11, "unshare"), (12, "clone")]),
        /// Result of the call.
        ret: i32 as Return,
        /// Inode of the namespace that the descriptor of `setns` names; 0 for a pidfd.
        wanted_ns: u32 as Namespace,
        /// Mount namespace after the call; of the child for a clone.
        mnt_ns: u32 as Namespace,
        /// Pid namespace for children after the call.
        pid_ns: u32 as Namespace,
        /// Network namespace after the call.
        net_ns: u32 as Namespace,
        /// IPC namespace after the call.
        ipc_ns: u32 as Namespace,
        /// UTS namespace after the call.
        uts_ns: u32 as Namespace,
        /// Cgroup namespace after the call.
        cgroup_ns: u32 as Namespace,
        /// Time namespace after the call.
        time_ns: u32 as Namespace,
        /// User namespace after the call.
        user_ns: u32 as Namespace,
        /// Process id of the child for a clone, else 0.
        child_pid: u32 as Number,
    }
    tail {}
}
