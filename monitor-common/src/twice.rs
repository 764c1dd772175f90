//! Programs of which there are two on kernels that preempt programs of tracepoints: the second runs while a task is
//! held inside the first, which the kernel skips for everybody else on that CPU (`docs/decisions/0011`).

/// The first programs, by number; the second of each has `_2` behind its name.
pub const PROGRAMS: [&str; COUNT as usize] =
    ["sys_exit", "process_exec", "process_exec_record", "process_fork", "process_exit"];
/// How many there are.
pub const COUNT: u32 = 5;

/// Numbers of the programs.
pub const SYS_EXIT: u32 = 0;
/// `process_exec`.
pub const EXEC: u32 = 1;
/// `process_exec_record`.
pub const EXEC_RECORD: u32 = 2;
/// `process_fork`.
pub const FORK: u32 = 3;
/// `process_exit`.
pub const EXIT: u32 = 4;
