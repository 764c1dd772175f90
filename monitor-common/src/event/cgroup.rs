//! A cgroup was made or removed, or a task moved between cgroups.

use super::record::record;

/// Values of [`Cgroup::op`].
pub mod op {
    /// `mkdir`.
    pub const MKDIR: u32 = 0;
    /// `rmdir`.
    pub const RMDIR: u32 = 1;
    /// A task was moved (`cgroup.procs`).
    pub const ATTACH: u32 = 2;
    /// A task was born in another cgroup than its parent's (`CLONE_INTO_CGROUP`).
    pub const BORN: u32 = 3;
}

record! {
    /// Tracepoints `cgroup_mkdir`, `cgroup_rmdir`, `cgroup_attach_task`, and births (kernel `kernel/cgroup/cgroup.c`).
    pub struct Cgroup {
        /// The cgroup made, removed or moved to.
        id: u64 as Number,
        /// Its container key after the operation, 0 if it belongs to none.
        dst_container: u64 as Number,
        /// Container key of the moved task, 0 for a host task.
        task_container: u64 as Number,
        /// What happened.
        op: u32 as Choice(&[(0, "mkdir"), (1, "rmdir"), (2, "attach"), (3, "born")]),
        /// Process id of the moved task.
        task_pid: u32 as Number,
        /// Thread id of the moved task.
        task_tid: u32 as Number,
        /// 1 if the acting task runs a trusted runtime, engine or init program.
        mover_trusted: u32 as Number,
        /// 1 if the moved task is a trusted runtime task.
        task_runtime: u32 as Number,
        /// Number of the hierarchy, 0 for cgroup v2.
        hierarchy: u32 as Number,
    }
    tail {
        /// Path of the cgroup in its hierarchy.
        path: Bytes,
    }
}
