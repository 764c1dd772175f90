//! The reader of the kernel's log, as `/dev/kmsg` gives it (kernel `Documentation/ABI/testing/dev-kmsg`): lines, and the
//! reports about faults of the kernel itself among them. Takes any bytes; reads no file and no clock.
//!
//! What a line says is the kernel's, but parts of it are not: the name of a task is chosen by whoever runs in it, and some
//! lines begin with one. `traps: Oops: 0000 [#1]` is no report, and no more is `Oops: 0000 [#1][77]: segfault at 0`, from a
//! process that is called so. And whoever may make rules of the host's firewall has lines begin with 127 bytes of choice. The
//! first line of a report is therefore matched from its first byte to its last, and so is that with the task, which must end as
//! the kernel that runs calls itself.

mod line;
mod report;
mod title;
mod whose;

#[cfg(test)]
mod tests;

pub use line::Line;
pub use report::{Fault, Reports, Whose};
pub use whose::{Clock, Living, owner};
