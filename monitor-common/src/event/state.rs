//! What a task is confined by: the baseline at ENTRY, and every change since.

use super::record::record;

/// Why a state record was written.
pub mod reason {
    /// The state differs from the one last seen for this task.
    pub const CHANGE: u32 = 0;
    /// The container's own first program starts: this is the baseline.
    pub const ENTRY: u32 = 1;
    /// A program joins from outside.
    pub const JOIN: u32 = 2;
    /// Read at start from a container that was already running.
    pub const SCAN: u32 = 3;
    /// Seccomp or `no_new_privs` confines the task less than before, which nothing in the kernel allows.
    pub const WEAKENED: u32 = 4;
}

record! {
    /// Namespaces, root, working directory, credentials and seccomp of a task, read from `task_struct`.
    pub struct State {
        /// Effective capabilities.
        cap_effective: u64 as Capabilities,
        /// Permitted capabilities.
        cap_permitted: u64 as Capabilities,
        /// Bounding set.
        cap_bounding: u64 as Capabilities,
        /// Inheritable capabilities.
        cap_inheritable: u64 as Capabilities,
        /// Ambient capabilities.
        cap_ambient: u64 as Capabilities,
        /// Inode of the root directory.
        root_ino: u64 as Number,
        /// Why the record was written.
        reason: u32 as Choice(&[(0, "change"), (1, "entry"), (2, "join"), (3, "scan"), (4, "weakened")]),
        /// Mount namespace.
        mnt_ns: u32 as Namespace,
        /// Pid namespace for children.
        pid_ns: u32 as Namespace,
        /// Network namespace.
        net_ns: u32 as Namespace,
        /// IPC namespace.
        ipc_ns: u32 as Namespace,
        /// UTS namespace.
        uts_ns: u32 as Namespace,
        /// Cgroup namespace.
        cgroup_ns: u32 as Namespace,
        /// Time namespace.
        time_ns: u32 as Namespace,
        /// User namespace of the credentials.
        user_ns: u32 as Namespace,
        /// Mount namespace that the root directory's mount belongs to.
        root_mnt_ns: u32 as Namespace,
        /// Mount namespace that the working directory's mount belongs to.
        cwd_mnt_ns: u32 as Namespace,
        /// Device of the root directory.
        root_dev: u32 as Device,
        /// Seccomp mode: 0 off, 1 strict, 2 filter.
        seccomp: u32 as Choice(&[(0, "off"), (1, "strict"), (2, "filter")]),
        /// 1 if `no_new_privs` is set.
        no_new_privs: u32 as Number,
        /// Number of seccomp filters.
        seccomp_filters: u32 as Number,
        /// Seccomp mode before; meaningful if the reason is `weakened`.
        old_seccomp: u32 as Choice(&[(0, "off"), (1, "strict"), (2, "filter")]),
        /// Number of seccomp filters before; likewise.
        old_seccomp_filters: u32 as Number,
        /// `no_new_privs` before; likewise.
        old_no_new_privs: u32 as Number,
        /// Saved user id.
        suid: u32 as Number,
        /// Group id.
        gid: u32 as Number,
    }
    tail {
        /// Working directory.
        cwd: Path,
    }
}
