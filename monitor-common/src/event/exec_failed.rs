//! The kernel did not execute a program that was asked for.

use super::record::record;

record! {
    /// `execve(2)` and `execveat(2)` that failed (kernel `fs/exec.c`). Left out is `ENOENT`: whoever looks a program up in
    /// a search path makes it for each directory before the right one.
    pub struct ExecFailed {
        /// Which call; the numbers are [`crate::call::Call`]'s.
        op: u32 as Choice(&[(226, "execve"), (227, "execveat")]),
        /// The error.
        ret: i32 as Return,
        /// The descriptor that the name is relative to; -100 for the working directory.
        fd: i32 as Number,
        /// `AT_*` flags of `execveat(2)`.
        flags: u32 as Hex,
    }
    tail {
        /// Name of the program, as the program gave it.
        path: Bytes,
    }
}
