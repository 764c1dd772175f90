//! A signal crossed the border of a container.

use super::record::record;

/// What the kernel made of a signal: `TRACE_SIGNAL_*`, kernel `include/trace/events/signal.h`; 5 and 6 are the
/// answers of the security hook, which comes first.
const RESULTS: &[(u64, &str)] = &[
    (0, "delivered"),
    (1, "ignored"),
    (2, "already_pending"),
    (3, "overflow"),
    (4, "information_lost"),
    (5, "allowed"),
    (6, "refused"),
];

/// What became of a signal.
pub mod result {
    /// The security hook let it pass.
    pub const ALLOWED: u32 = 5;
    /// The security hook refused it.
    pub const REFUSED: u32 = 6;
}

record! {
    /// A signal from a task of a container to a task that is not of the same container (kernel
    /// `kernel/signal.c`).
    pub struct Signal {
        /// Container key of the target, 0 for the host.
        target_container: u64 as Number,
        /// Process id of the target.
        target_pid: u32 as Number,
        /// Thread id of the target.
        target_tid: u32 as Number,
        /// Number of the signal; 0 only asks whether one could be sent.
        signal: u32 as Number,
        /// Where it comes from (`si_code`, man 2 sigaction): 0 `kill`, -1 `sigqueue`, -6 `tgkill`.
        code: i32 as Number,
        /// What became of it.
        result: u32 as Choice(RESULTS),
        /// Error of the security hook, or 0.
        ret: i32 as Return,
    }
    tail {}
}
