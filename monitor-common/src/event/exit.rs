//! A process ended.

use super::record::record;

record! {
    /// The last thread of a process is gone; seen at `sched_process_exit` (kernel `kernel/exit.c`).
    pub struct Exit {
        /// Exit status as `wait(2)` gives it: signal in the low 7 bits, status in bits 8 to 15.
        code: u32 as Hex,
        /// Process id of the parent.
        ppid: u32 as Number,
    }
    tail {}
}
