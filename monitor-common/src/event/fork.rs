//! A process was made.

use super::record::record;

record! {
    /// A new process, not a thread; seen by its parent at `sched_process_fork` (kernel `kernel/fork.c`).
    pub struct Fork {
        /// Start of the child, nanoseconds since boot.
        child_started: u64 as Number,
        /// Cgroup that the child was born in.
        child_cgroup: u64 as Number,
        /// Process id of the child.
        child_pid: u32 as Number,
        /// Process id of the child's real parent.
        child_ppid: u32 as Number,
    }
    tail {}
}
