//! A task changed how another one may run.

use super::record::record;

/// What was to be changed.
const OPS: &[(u64, &str)] = &[
    (143, "prlimit64"),
    (144, "setpriority"),
    (145, "sched_setscheduler"),
    (146, "sched_setparam"),
    (147, "sched_setattr"),
    (148, "sched_setaffinity"),
    (149, "ioprio_set"),
];

record! {
    /// Limits, scheduling or priority of a task that is not of the same container (kernel `kernel/sys.c`,
    /// `kernel/sched/syscalls.c`, `block/ioprio.c`).
    pub struct Control {
        /// Container key of the target, 0 for the host.
        target_container: u64 as Number,
        /// Process id of the target.
        target_pid: u32 as Number,
        /// Which change; the numbers are [`crate::call::Call`]'s, the security hooks take the nearest one.
        op: u32 as Choice(OPS),
        /// Result of the call, or verdict of the security modules.
        ret: i32 as Return,
        /// Which resource (`RLIMIT_*`) or value, where there is one.
        value: u32 as Number,
    }
    tail {}
}
