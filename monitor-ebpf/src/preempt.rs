//! Keeps a task on its CPU while it writes a record.
//!
//! Programs can be preempted on trampolines of preemptible kernels, and at tracepoints since 7.0 (kernel
//! `include/linux/tracepoint.h`, `kernel/bpf/trampoline.c`). A task that loses the CPU between reserving a slot and
//! submitting it holds up every later record of that ring, for as long as an attacker who made it idle-class likes.
//!
//! It does not help against skipped runs: the kernel runs a tracing program once at a time on each CPU
//! (`prog->active`), and a task that has to go leaves its CPU when preemption comes back on, still inside. Those are
//! counted (`recursion_misses`) and reported as losses of runs.

use monitor_common::kfunc::{DISABLE, DISABLE_AT_TRACEPOINT, ENABLE, ENABLE_AT_TRACEPOINT};

/// Runs `body`, in a program of a trampoline, without preemption, where the kernel offers that; the loader sees to it.
#[inline(always)]
pub(crate) fn off<T>(body: impl FnOnce() -> T) -> T {
    call::<DISABLE>();
    let result = body();
    call::<ENABLE>();
    result
}

/// The same for a program of a tracepoint, which before 7.0 is never preempted: two calls less for every system call.
#[inline(always)]
pub(crate) fn off_at_tracepoint<T>(body: impl FnOnce() -> T) -> T {
    call::<DISABLE_AT_TRACEPOINT>();
    let result = body();
    call::<ENABLE_AT_TRACEPOINT>();
    result
}

/// A call that the loader replaces: by one of the kernel's function, or by nothing.
#[inline(always)]
fn call<const ID: u32>() {
    // SAFETY: a call by number is a call of a helper to the compiler, as in `aya_ebpf::helpers`; it takes nothing and
    // gives nothing.
    let function: unsafe extern "C" fn() = unsafe { core::mem::transmute(ID as usize) };
    // SAFETY: both functions have no preconditions but to be called in pairs, which `off` does.
    unsafe { function() };
}
